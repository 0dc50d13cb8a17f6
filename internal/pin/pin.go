// Package pin keeps a private copy of what is verified, made while it is read:
// the bytes that were hashed are the bytes that were written, so that whoever
// changes the originals afterwards changes nothing of the copy.
//
// A copy is as private as a folder can be: its owner, and whoever runs as its
// owner, can still change it.
package pin

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/stele-ml/stele/internal/source"
)

// ErrNotPrivate says that a folder cannot hold a private copy: somebody else
// owns it, or may write to it or read it.
var ErrNotPrivate = errors.New("not private")

const (
	folderMode = 0o700
	fileMode   = 0o400
)

// The names of what is being made, and of what is being removed.
const (
	newPrefix = ".new-"
	oldPrefix = ".old-"
)

// Folder is where copies lie, each below a name of its own.
type Folder struct {
	path string
	root *os.Root
	temp bool
	lock *os.File // held in common by all who are at work here
}

// Temp makes a folder of its own below the system's folder for such things
// ($TMPDIR), to be taken away with Remove.
func Temp() (*Folder, error) {
	dir, err := os.MkdirTemp("", "stele-pin-")
	if err != nil {
		return nil, err
	}
	f, err := open(dir)
	if err != nil {
		os.Remove(dir)
		return nil, err
	}
	f.temp = true
	return f, nil
}

// Open opens a folder for copies that stay, and makes it if it is not there. One
// that is there must be a folder, this user's, and nobody else's to look into:
// ErrNotPrivate. Copies that were never finished are taken away, unless another
// process is at work in the folder.
func Open(dir string) (*Folder, error) {
	err := os.Mkdir(dir, folderMode)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	f, err := open(dir)
	if err != nil {
		return nil, err
	}
	if err := f.begin(); err != nil {
		f.close()
		return nil, err
	}
	return f, nil
}

// begin takes away what others have left who are not at work any more. Its lock
// ends with this process, or when it becomes another command.
func (f *Folder) begin() (err error) {
	if f.lock, err = f.root.Open("."); err != nil {
		return err
	}
	if alone(f.lock) {
		list, err := fs.ReadDir(f.root.FS(), ".")
		if err != nil {
			return err
		}
		for _, e := range list {
			if !strings.HasPrefix(e.Name(), newPrefix) && !strings.HasPrefix(e.Name(), oldPrefix) {
				continue
			}
			if err := f.root.RemoveAll(e.Name()); err != nil {
				return err
			}
		}
	}
	return share(f.lock)
}

func (f *Folder) close() error {
	if f.lock != nil {
		_ = f.lock.Close()
	}
	return f.root.Close()
}

func open(dir string) (*Folder, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	above, err := filepath.EvalSymlinks(filepath.Dir(abs))
	if err != nil {
		return nil, err
	}
	abs = filepath.Join(above, filepath.Base(abs))
	info, err := os.Lstat(abs)
	if err != nil {
		return nil, err
	}
	if err := private(abs, info); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(abs)
	if err != nil {
		return nil, err
	}
	// What was opened is what was looked at.
	if now, err := root.Stat("."); err != nil || !os.SameFile(info, now) {
		root.Close()
		return nil, fmt.Errorf("%s: %w: it was replaced while it was opened", abs, ErrNotPrivate)
	}
	return &Folder{path: abs, root: root}, nil
}

// private refuses what is not a folder that only this user can look into.
func private(name string, info fs.FileInfo) error {
	switch {
	case info.Mode()&fs.ModeSymlink != 0:
		return fmt.Errorf("%s: %w: it is a symbolic link", name, ErrNotPrivate)
	case !info.IsDir():
		return fmt.Errorf("%s: %w: it is not a folder", name, ErrNotPrivate)
	}
	if why := accessible(info); why != "" {
		return fmt.Errorf("%s: %w: %s", name, ErrNotPrivate, why)
	}
	return nil
}

// Path is the folder's path, absolute and without symbolic links.
func (f *Folder) Path() string { return f.path }

// Close gives the folder back, with what is in it.
func (f *Folder) Close() error { return f.close() }

// Remove takes the folder of Temp away with all that is in it. Of Open's it
// leaves everything.
func (f *Folder) Remove() error {
	err := f.close()
	if !f.temp {
		return err
	}
	return os.RemoveAll(f.path)
}

// Copy is one copy while it is made.
type Copy struct {
	folder *Folder
	name   string   // what it will be called: '/' between segments
	staged string   // what it is called until then
	root   *os.Root // of it

	mu    sync.Mutex
	files map[string]*file // by path
	err   error            // the first of writing
}

// file is one file of a copy.
type file struct {
	size    uint64
	written atomic.Uint64
}

// Begin begins a copy that will be called name, a path with '/' between its
// segments.
func (f *Folder) Begin(name string) (*Copy, error) {
	if !fs.ValidPath(name) || name == "." {
		return nil, fmt.Errorf("a copy called %q: %w", name, fs.ErrInvalid)
	}
	c := &Copy{folder: f, name: name, files: map[string]*file{}}
	var err error
	if c.staged, err = f.aside(newPrefix); err != nil {
		return nil, err
	}
	if err = f.root.Mkdir(c.staged, folderMode); err != nil {
		return nil, err
	}
	if c.root, err = f.root.OpenRoot(c.staged); err != nil {
		return nil, err
	}
	return c, nil
}

// aside is a name that nothing has.
func (f *Folder) aside(prefix string) (string, error) {
	var b [8]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", err
	}
	return prefix + hex.EncodeToString(b[:]), nil
}

// Source is a source that writes what is read of src into the copy, as it is
// read. It is src otherwise, and closes it.
func (c *Copy) Source(src source.Source) source.Source {
	s := &copying{Source: src, to: c}
	if remote, ok := src.(source.Remote); ok {
		return remoteCopying{s, remote}
	}
	return s
}

// Size returns how many files were copied so far, and of how many bytes.
func (c *Copy) Size() (files, bytes uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, f := range c.files {
		files++
		bytes += f.size
	}
	return files, bytes
}

// Keep ends the copy: each file that was read is whole, and each of its bytes
// was written exactly once. An earlier copy of that name makes room for it. It
// returns the copy's path; where the source was one file, that lies in it.
func (c *Copy) Keep() (string, error) {
	if err := c.check(); err != nil {
		c.Discard()
		return "", err
	}
	err := c.root.Close()
	if err == nil {
		err = c.place()
	}
	if err != nil {
		_ = c.folder.root.RemoveAll(c.staged)
		return "", err
	}
	return filepath.Join(c.folder.path, filepath.FromSlash(c.name)), nil
}

func (c *Copy) check() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	for name, f := range c.files {
		if n := f.written.Load(); n != f.size {
			return fmt.Errorf("copy %s: %d bytes were written of %d", source.Show(name), n, f.size)
		}
	}
	return nil
}

// place moves the copy to where it is looked for.
func (c *Copy) place() error {
	root := c.folder.root
	for i := 0; i < len(c.name); i++ { // the folders above it
		if c.name[i] != '/' {
			continue
		}
		above := c.name[:i]
		if err := root.Mkdir(above, folderMode); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		info, err := root.Lstat(above)
		if err != nil {
			return err
		}
		if err := private(filepath.Join(c.folder.path, filepath.FromSlash(above)), info); err != nil {
			return err
		}
	}
	// Another process may put the same copy there at the same time.
	for try := 0; ; try++ {
		old, err := c.folder.aside(oldPrefix)
		if err != nil {
			return err
		}
		had := root.Rename(c.name, old)
		if had != nil && !errors.Is(had, fs.ErrNotExist) {
			return had
		}
		err = root.Rename(c.staged, c.name)
		if had == nil {
			if rerr := root.RemoveAll(old); err == nil {
				err = rerr
			}
		}
		if !errors.Is(err, fs.ErrExist) || try == placeTries { // also ENOTEMPTY
			return err
		}
	}
}

// placeTries is how often a copy that others replace at the same time is put in
// its place.
const placeTries = 100

// Discard takes away what was copied. After Keep it does nothing.
func (c *Copy) Discard() {
	_ = c.root.Close()
	_ = c.folder.root.RemoveAll(c.staged)
}

// fail keeps the first error of writing.
func (c *Copy) fail(name string, err error) error {
	if err == nil {
		return nil
	}
	err = fmt.Errorf("copy %s: %w", source.Show(name), err)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
	}
	return err
}

// create makes a file of the copy. One that is read once more is written once
// more; one that the file system takes for another is an error.
func (c *Copy) create(name string, size uint64) (*os.File, *file, error) {
	c.mu.Lock()
	_, again := c.files[name]
	state := &file{size: size}
	c.files[name] = state
	c.mu.Unlock()
	at := filepath.FromSlash(name)
	if dir := path.Dir(name); dir != "." {
		if err := c.root.MkdirAll(filepath.FromSlash(dir), folderMode); err != nil {
			return nil, nil, err
		}
	}
	if again {
		if err := c.root.Remove(at); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, nil, err
		}
	}
	f, err := c.root.OpenFile(at, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if errors.Is(err, fs.ErrExist) {
		err = fmt.Errorf("%w under a name that this file system takes for the same", err)
	}
	return f, state, err
}

// copying is a source that copies what is read of it.
type copying struct {
	source.Source
	to *Copy
}

// remoteCopying is a copying behind a network.
type remoteCopying struct {
	*copying
	source.Remote
}

// Fetch implements source.Source.
func (s *copying) Fetch(ctx context.Context, o source.Object, buf []byte) (source.Fetched, error) {
	got, err := s.Source.Fetch(ctx, o, buf)
	if err != nil {
		return got, err
	}
	size := uint64(got.N)
	if got.Reader != nil {
		size = got.Reader.Size()
	}
	f, state, err := s.to.create(o.Path, size)
	if err == nil && got.Reader == nil {
		_, err = f.Write(buf[:got.N])
		state.written.Add(size)
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}
	if err != nil {
		if got.Reader != nil {
			got.Reader.Close()
		}
		return source.Fetched{}, s.to.fail(o.Path, err)
	}
	if got.Reader != nil {
		got.Reader = &copyingReader{Reader: got.Reader, name: o.Path, to: s.to, f: f, state: state}
	}
	return got, nil
}

// Measure implements source.Measurer where the source below does.
func (s *copying) Measure(ctx context.Context, skip source.Skip, add func(bytes uint64)) error {
	m, ok := s.Source.(source.Measurer)
	if !ok {
		return errors.ErrUnsupported
	}
	return m.Measure(ctx, skip, add)
}

// copyingReader copies the ranges of one file.
type copyingReader struct {
	source.Reader
	name  string
	to    *Copy
	f     *os.File
	state *file
}

// Range implements source.Reader.
func (r *copyingReader) Range(ctx context.Context, off, n uint64, buf []byte, use func(p []byte)) error {
	var failed error
	err := r.Reader.Range(ctx, off, n, buf, func(p []byte) {
		if failed == nil {
			_, failed = r.f.WriteAt(p, int64(off))
		}
		off += uint64(len(p))
		r.state.written.Add(uint64(len(p)))
		use(p)
	})
	if err == nil {
		err = r.to.fail(r.name, failed)
	}
	return err
}

// Close implements source.Reader.
func (r *copyingReader) Close() error {
	err := r.to.fail(r.name, r.f.Close())
	if cerr := r.Reader.Close(); err == nil {
		err = cerr
	}
	return err
}
