package solo

import (
	"errors"
	"io"
	"io/fs"
	"strings"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stele-ml/stele/internal/durable"
)

// disk is the file system of one opened database. Its first failed change is
// the last that reaches the disk: the database has failed then, nothing that
// it does afterwards may be acknowledged, and only opening the files again
// tells what they hold.
//
// The database itself is not told. Pebble meets an error of the disk with a
// panic here, an exit there and an endless retry elsewhere; so it goes on, on
// a disk in memory, until it is closed. Whoever waits for a commit asks err.
//
// Locking through it does nothing: the engine holds the ledger's lock.
type disk struct {
	vfs.FS // behind: reads go there

	mu     sync.RWMutex  // held, shared, for the length of every change
	cause  error         // of the failure; guarded by mu
	mem    *vfs.MemFS    // where changes go after the failure; guarded by mu
	failed chan struct{} // closed by the failure
}

func newDisk(fsys vfs.FS) *disk { return &disk{FS: fsys, failed: make(chan struct{})} }

// fail cuts the database off. It waits for the changes under way; the first
// call counts. It must not be called within a change.
func (d *disk) fail(cause error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cause == nil {
		d.cause, d.mem = cause, vfs.NewMem()
		close(d.failed)
	}
}

// err returns why the database failed, or nil.
func (d *disk) err() error {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.cause
}

// errCutOff says to the methods below that a change did not reach the disk, or
// failed there, and goes to memory.
var errCutOff = errors.New("cut off")

// change makes a change on the disk.
func (d *disk) change(do func() error) error {
	d.mu.RLock()
	if d.cause != nil {
		d.mu.RUnlock()
		return errCutOff
	}
	err := do()
	d.mu.RUnlock()
	// These are answers, not failures.
	if err == nil || errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrExist) {
		return err
	}
	d.fail(err)
	return errCutOff
}

// memory is where changes go after the failure.
func (d *disk) memory() *vfs.MemFS {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.mem
}

// inMemory returns the file system that has the file: memory, if it was made
// after the failure.
func (d *disk) inMemory(name string) vfs.FS {
	if mem := d.memory(); mem != nil {
		if _, err := mem.Stat(name); err == nil {
			return mem
		}
	}
	return d.FS
}

func (d *disk) open(name string, c vfs.DiskWriteCategory, do func() (vfs.File, error)) (file vfs.File, err error) {
	err = d.change(func() (err error) { file, err = do(); return err })
	if errors.Is(err, errCutOff) {
		if file != nil {
			file.Close() // made, and reported as failed
		}
		mem := d.memory()
		if err := mem.MkdirAll(mem.PathDir(name), 0o755); err != nil {
			return nil, err
		}
		return mem.Create(name, c)
	}
	if err != nil {
		return nil, err
	}
	return &diskFile{file, d}, nil
}

// Unwrap returns the file system behind.
func (d *disk) Unwrap() vfs.FS { return d.FS }

func (d *disk) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.open(name, c, func() (vfs.File, error) {
		if strings.HasPrefix(d.FS.PathBase(name), "marker.") {
			// A marker's name says which manifest counts. Pebble syncs the
			// directory after it made both; a file system that keeps the
			// later name and loses the earlier would leave no database.
			if err := durable.SyncDir(d.FS, d.FS.PathDir(name)); err != nil {
				return nil, err
			}
		}
		return d.FS.Create(name, c)
	})
}

func (d *disk) OpenReadWrite(name string, c vfs.DiskWriteCategory, opts ...vfs.OpenOption) (vfs.File, error) {
	return d.open(name, c, func() (vfs.File, error) { return d.FS.OpenReadWrite(name, c, opts...) })
}

func (d *disk) ReuseForWrite(oldname, newname string, c vfs.DiskWriteCategory) (vfs.File, error) {
	return d.open(newname, c, func() (vfs.File, error) { return d.FS.ReuseForWrite(oldname, newname, c) })
}

func (d *disk) OpenDir(name string) (vfs.File, error) {
	f, err := d.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return &diskFile{f, d}, nil
}

func (d *disk) Open(name string, opts ...vfs.OpenOption) (vfs.File, error) {
	return d.inMemory(name).Open(name, opts...)
}

func (d *disk) Stat(name string) (vfs.FileInfo, error) { return d.inMemory(name).Stat(name) }

// settle makes a change that needs no more than to be made in memory, too.
func (d *disk) settle(do, inMemory func() error) error {
	err := d.change(do)
	if errors.Is(err, errCutOff) {
		_ = inMemory()
		return nil
	}
	return err
}

func (d *disk) Link(oldname, newname string) error {
	return d.settle(func() error { return d.FS.Link(oldname, newname) },
		func() error { return d.memory().Link(oldname, newname) })
}

func (d *disk) Remove(name string) error {
	return d.settle(func() error { return d.FS.Remove(name) },
		func() error { return d.memory().Remove(name) })
}

func (d *disk) RemoveAll(name string) error {
	return d.settle(func() error { return d.FS.RemoveAll(name) },
		func() error { return d.memory().RemoveAll(name) })
}

func (d *disk) Rename(oldname, newname string) error {
	return d.settle(func() error { return d.FS.Rename(oldname, newname) },
		func() error { return d.memory().Rename(oldname, newname) })
}

func (d *disk) MkdirAll(dir string, perm fs.FileMode) error {
	return d.settle(func() error { return d.FS.MkdirAll(dir, perm) },
		func() error { return d.memory().MkdirAll(dir, perm) })
}

func (d *disk) Lock(string) (io.Closer, error) { return nopCloser{}, nil }

type nopCloser struct{}

func (nopCloser) Close() error { return nil }

// diskFile is a file opened before the failure. What is written to it later is
// lost.
type diskFile struct {
	vfs.File
	disk *disk
}

func (f *diskFile) settle(do func() error) error {
	return f.disk.settle(do, func() error { return nil })
}

func (f *diskFile) Write(p []byte) (int, error) {
	return len(p), f.settle(func() error { _, err := f.File.Write(p); return err })
}

func (f *diskFile) WriteAt(p []byte, off int64) (int, error) {
	return len(p), f.settle(func() error { _, err := f.File.WriteAt(p, off); return err })
}

// Preallocate does nothing: Pebble would take more than a memtable's size of
// the disk for the log of a ledger with three entries, and gain a twentieth of
// a sync by it.
func (f *diskFile) Preallocate(int64, int64) error { return nil }

func (f *diskFile) Sync() error     { return f.settle(f.File.Sync) }
func (f *diskFile) SyncData() error { return f.settle(f.File.SyncData) }

func (f *diskFile) SyncTo(length int64) (full bool, err error) {
	err = f.settle(func() (err error) { full, err = f.File.SyncTo(length); return err })
	return full, err
}
