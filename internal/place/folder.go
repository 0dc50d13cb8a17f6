package place

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/bucket"
)

// Headers are what a store says of a file to whoever fetches it by HTTP. A folder
// on this machine keeps none.
type Headers = bucket.Headers

// Folder is a place that files are published in, for others to fetch. Its methods
// may be called concurrently; names are relative, with slashes.
type Folder struct {
	at    Place
	store bucket.Store // nil on this machine

	mu      sync.Mutex
	written map[string]bool // on this machine: the folders that were written in since Settle
}

// OpenFolder opens a place to publish files in it. A folder on this machine is
// made with its first file.
func (p Place) OpenFolder(ctx context.Context, o Options) (*Folder, error) {
	if !p.Remote() {
		return &Folder{at: p}, nil
	}
	st, err := p.store(ctx, o)
	if err != nil {
		return nil, err
	}
	if _, ok := st.(bucket.Publisher); !ok {
		st.Close()
		return nil, &source.Error{Path: p.String(), Detail: "this kind of store cannot be published in"}
	}
	return &Folder{at: p, store: st}, nil
}

// Close closes it.
func (f *Folder) Close() error {
	if f.store == nil {
		return nil
	}
	return f.store.Close()
}

// Published is a file as it was read.
type Published struct {
	Data []byte
	item bucket.Item
}

// key is a file's, in the store.
func (f *Folder) key(name string) string {
	if f.at.key == "" {
		return name
	}
	return strings.TrimSuffix(f.at.key, "/") + "/" + name
}

func (f *Folder) path(name string) string { return filepath.Join(f.at.path, filepath.FromSlash(name)) }

// Read reads a file of at most limit bytes: fs.ErrNotExist if there is none.
func (f *Folder) Read(ctx context.Context, name string, limit int64) (*Published, error) {
	if f.store == nil {
		r, _, err := Place{path: f.path(name)}.readLocal(limit)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		data, err := io.ReadAll(io.LimitReader(r, limit))
		return &Published{Data: data}, err
	}
	it, err := f.store.Head(ctx, f.key(name))
	if err != nil {
		return nil, err
	}
	p := &Published{item: it}
	switch {
	case it.Size > limit:
		return nil, f.at.Join(name).tooLarge(limit)
	case it.Size == 0:
		return p, nil
	}
	body, got, err := f.store.Read(ctx, it, 0, it.Size)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if it.ETag != "" && got.ETag != "" && strings.Trim(it.ETag, `"`) != strings.Trim(got.ETag, `"`) {
		return nil, &source.Error{Path: f.at.Join(name).String(), Class: source.ErrChanged}
	}
	p.Data = make([]byte, it.Size)
	if _, err := io.ReadFull(body, p.Data); err != nil {
		return nil, &source.Error{Path: f.at.Join(name).String(), Class: source.ErrUnreachable, Err: err}
	}
	return p, nil
}

// Add publishes a file that never changes. Where the same bytes are there already
// it does nothing, and says so; others are fs.ErrExist.
func (f *Folder) Add(ctx context.Context, name string, data []byte, h Headers) (added bool, err error) {
	if f.store == nil {
		if err = (Place{path: f.path(name)}).writeLocal(bytes.NewReader(data)); err == nil {
			f.wrote(f.path(name))
		}
	} else {
		err = f.store.(bucket.Publisher).Publish(ctx, f.key(name), data, h, nil)
	}
	if !errors.Is(err, fs.ErrExist) {
		return err == nil, err
	}
	there, err := f.Read(ctx, name, int64(len(data)))
	if err != nil {
		return false, err
	}
	if !bytes.Equal(there.Data, data) {
		return false, &source.Error{Path: f.at.Join(name).String(), Err: fs.ErrExist, Detail: "other bytes, which are never replaced"}
	}
	return false, nil
}

// Replace publishes a file in place of what was read, nil where nothing was. If
// something else is there by now it is fs.ErrExist; on this machine, where no file
// system has such a condition, it is replaced.
func (f *Folder) Replace(ctx context.Context, name string, data []byte, h Headers, was *Published) error {
	if f.store != nil {
		var it *bucket.Item
		if was != nil {
			it = &was.item
		}
		return f.store.(bucket.Publisher).Publish(ctx, f.key(name), data, h, it)
	}
	to := f.path(name)
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return f.at.failed(err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(to), "."+path.Base(name)+".*")
	if err != nil {
		return f.at.failed(err)
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(data)
	if err == nil {
		err = tmp.Chmod(0o644)
	}
	if err == nil {
		err = tmp.Sync()
	}
	if cerr := tmp.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), to)
	}
	if err != nil {
		return f.at.failed(fmt.Errorf("write %s: %w", name, err))
	}
	f.wrote(to)
	return f.Settle()
}

func (f *Folder) wrote(path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.written == nil {
		f.written = map[string]bool{}
	}
	// The folders above may be new, too.
	for dir := filepath.Dir(path); !f.written[dir]; dir = filepath.Dir(dir) {
		f.written[dir] = true
		if dir == filepath.Clean(f.at.path) || dir == filepath.Dir(dir) {
			return
		}
	}
}

// Settle returns when what was added is there for good. In a bucket it is as soon
// as it was added.
func (f *Folder) Settle() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for dir := range f.written {
		if err := syncFolder(dir); err != nil {
			return f.at.failed(err)
		}
		delete(f.written, dir)
	}
	return nil
}

// syncFolder makes the names in a folder durable. Windows does so by itself, and
// opens no folder for it.
func syncFolder(dir string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}
