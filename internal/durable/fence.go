package durable

import (
	"io"
	"io/fs"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// Fence is a file system that can be cut off: after Trip nothing that went
// through it changes the disk any more. A database that failed in the middle
// of a write, and cannot be closed cleanly, is left behind a tripped fence; a
// new one may then open the same files.
//
// Locking through it does nothing: the owner of the fence holds the lock.
type Fence struct {
	vfs.FS
	mu  sync.RWMutex // held, shared, for the length of every change
	err error        // set by Trip; guarded by mu
}

// NewFence returns a fence before fsys.
func NewFence(fsys vfs.FS) *Fence { return &Fence{FS: fsys} }

// Trip waits for the changes under way and makes every later one fail with
// err. The first call counts.
func (f *Fence) Trip(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = err
	}
}

// do makes a change, unless the fence was tripped.
func (f *Fence) do(change func() error) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if f.err != nil {
		return f.err
	}
	return change()
}

func (f *Fence) open(open func() (vfs.File, error)) (file vfs.File, err error) {
	err = f.do(func() error {
		inner, err := open()
		if err == nil {
			file = &fencedFile{inner, f}
		}
		return err
	})
	return file, err
}

// Unwrap returns the file system behind the fence.
func (f *Fence) Unwrap() vfs.FS { return f.FS }

// Create implements vfs.FS, as the methods below do.
func (f *Fence) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.open(func() (vfs.File, error) { return f.FS.Create(name, c) })
}

func (f *Fence) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return f.open(func() (vfs.File, error) { return f.FS.OpenReadWrite(name, c, opts...) })
}

func (f *Fence) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return f.open(func() (vfs.File, error) { return f.FS.ReuseForWrite(oldname, newname, c) })
}

func (f *Fence) Link(oldname, newname string) error {
	return f.do(func() error { return f.FS.Link(oldname, newname) })
}

func (f *Fence) Remove(name string) error {
	return f.do(func() error { return f.FS.Remove(name) })
}

func (f *Fence) RemoveAll(name string) error {
	return f.do(func() error { return f.FS.RemoveAll(name) })
}

func (f *Fence) Rename(oldname, newname string) error {
	return f.do(func() error { return f.FS.Rename(oldname, newname) })
}

func (f *Fence) MkdirAll(dir string, perm fs.FileMode) error {
	return f.do(func() error { return f.FS.MkdirAll(dir, perm) })
}

func (f *Fence) Lock(string) (io.Closer, error) { return nopCloser{}, nil }

type nopCloser struct{}

func (nopCloser) Close() error { return nil }

// fencedFile checks the fence at every change. Closing and reading go through.
type fencedFile struct {
	vfs.File
	fence *Fence
}

func (f *fencedFile) Write(p []byte) (n int, err error) {
	err = f.fence.do(func() (err error) { n, err = f.File.Write(p); return err })
	return n, err
}

func (f *fencedFile) WriteAt(p []byte, off int64) (n int, err error) {
	err = f.fence.do(func() (err error) { n, err = f.File.WriteAt(p, off); return err })
	return n, err
}

func (f *fencedFile) Preallocate(offset, length int64) error {
	return f.fence.do(func() error { return f.File.Preallocate(offset, length) })
}

func (f *fencedFile) Sync() error     { return f.fence.do(f.File.Sync) }
func (f *fencedFile) SyncData() error { return f.fence.do(f.File.SyncData) }

func (f *fencedFile) SyncTo(length int64) (full bool, err error) {
	err = f.fence.do(func() (err error) { full, err = f.File.SyncTo(length); return err })
	return full, err
}
