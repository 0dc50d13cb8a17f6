package place

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"github.com/stele-ml/stele/internal/source"
)

// Write puts the size bytes of r there, whole or not at all. It never replaces
// other bytes: where the same are there already it is content, and others are
// fs.ErrExist. Folders on this machine are made as needed.
func (p Place) Write(ctx context.Context, o Options, r io.ReadSeeker, size int64) error {
	var err error
	if p.Remote() {
		err = p.put(ctx, o, r, size)
	} else {
		err = p.writeLocal(r)
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	same, err := p.holds(ctx, o, r, size)
	if err != nil {
		return err
	}
	if !same {
		return &source.Error{Path: p.String(), Err: fs.ErrExist, Detail: "other bytes, which are never replaced"}
	}
	return nil
}

func (p Place) put(ctx context.Context, o Options, r io.ReadSeeker, size int64) error {
	st, err := p.store(ctx, o)
	if err != nil {
		return err
	}
	defer st.Close()
	return st.Put(ctx, p.key, r, size)
}

// writeLocal writes a neighbour and gives it the name, which fails where
// something has it.
func (p Place) writeLocal(r io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(p.path), 0o777); err != nil {
		return p.failed(err)
	}
	if _, err := os.Lstat(p.path); err == nil {
		return p.failed(fs.ErrExist)
	}
	f, err := os.CreateTemp(filepath.Dir(p.path), "."+filepath.Base(p.path)+".*")
	if err != nil {
		return p.failed(err)
	}
	defer os.Remove(f.Name())
	_, err = io.Copy(f, r)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return p.failed(err)
	}
	if err := os.Link(f.Name(), p.path); err == nil || errors.Is(err, fs.ErrExist) {
		return p.linked(err)
	}
	// A file system without links: between the look above and this, somebody
	// else's file could be replaced.
	return p.linked(os.Rename(f.Name(), p.path))
}

func (p Place) linked(err error) error {
	var le *os.LinkError
	if errors.As(err, &le) {
		err = le.Err
	}
	if err == nil {
		return nil
	}
	return p.failed(err)
}

// holds reports whether exactly the bytes of r are there.
func (p Place) holds(ctx context.Context, o Options, r io.ReadSeeker, size int64) (bool, error) {
	there, n, err := p.Read(ctx, o, math.MaxInt64)
	if err != nil {
		return false, err
	}
	defer there.Close()
	if n != size {
		return false, nil
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return false, err
	}
	a, b := make([]byte, 64<<10), make([]byte, 64<<10)
	for left := size; left > 0; {
		m := min(left, int64(len(a)))
		if _, err := io.ReadFull(there, a[:m]); err != nil {
			return false, err
		}
		if _, err := io.ReadFull(r, b[:m]); err != nil {
			return false, err
		}
		if !bytes.Equal(a[:m], b[:m]) {
			return false, nil
		}
		left -= m
	}
	return true, nil
}
