package durable

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrLocked says that another holder has the lock.
var ErrLocked = errors.New("locked")

// Holder is what a lock file says about who holds it. It is for people: the
// lock itself is the operating system's, and ends with the process.
type Holder struct {
	PID     int    `json:"pid"`
	Host    string `json:"host"`
	Since   int64  `json:"since"` // Unix milliseconds
	Command string `json:"command"`
}

// maxHolder bounds what is read of a lock file, in bytes.
const maxHolder = 4096

// Lock takes the lock on the named file, made if missing, without waiting, and
// writes the holder into it. It fails with ErrLocked if somebody has it; then
// ReadHolder tells who. With readOnly the file is not made, and the holder is
// written only where it can be; the lock keeps writers and other readers out
// just the same.
func Lock(fsys vfs.FS, name string, h Holder, readOnly bool) (io.Closer, error) {
	if !onDisk(fsys) {
		c, err := fsys.Lock(name)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, ErrLocked)
		}
		return c, nil
	}
	flags := os.O_RDWR
	if !readOnly {
		flags |= os.O_CREATE
	}
	if err := plain(name); err != nil {
		return nil, err
	}
	writable := true
	f, err := os.OpenFile(name, flags, PrivateFile)
	if readOnly && err != nil && !errors.Is(err, fs.ErrNotExist) {
		writable = false // a disk, or a file, that may only be read
		f, err = os.OpenFile(name, os.O_RDONLY, 0)
	}
	if err != nil {
		return nil, err
	}
	if err := same(f, name); err != nil {
		f.Close()
		return nil, err
	}
	if err := lockFile(f); err != nil {
		f.Close()
		if errors.Is(err, ErrLocked) {
			return nil, fmt.Errorf("%s: %w", name, ErrLocked)
		}
		return nil, fmt.Errorf("lock %s: %w", name, err)
	}
	if writable {
		// Best effort: a full disk must not keep a ledger from being opened.
		if text, err := json.Marshal(h); err == nil && f.Truncate(0) == nil {
			_, _ = f.WriteAt(append(text, '\n'), 0)
		}
	}
	return &fileLock{f: f, clear: writable}, nil
}

// How long LockBriefly waits, and how often it looks.
const (
	briefPatience = 10 * time.Second
	briefPause    = 2 * time.Millisecond
)

// LockBriefly is Lock for what whoever has it has for a moment only: it is waited for.
func LockBriefly(fsys vfs.FS, name string, h Holder) (io.Closer, error) {
	for began := time.Now(); ; time.Sleep(briefPause) {
		lock, err := Lock(fsys, name, h, false)
		if !errors.Is(err, ErrLocked) || time.Since(began) >= briefPatience {
			return lock, err
		}
	}
}

// plain refuses a lock that is there and is no file of its own. Its holder is written
// over what it holds, and whoever made the directory, such as that of a ledger from
// elsewhere, must not choose by a link whose file that is.
func plain(name string) error {
	info, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("lock %s: %w", name, ErrNoFile)
	}
	return err
}

// same refuses a file that was opened where something else was put meanwhile.
func same(f *os.File, name string) error {
	opened, err := f.Stat()
	if err != nil {
		return err
	}
	there, err := os.Lstat(name)
	if err != nil {
		return err
	}
	if !os.SameFile(opened, there) {
		return fmt.Errorf("lock %s: it was replaced meanwhile", name)
	}
	return nil
}

type fileLock struct {
	f     *os.File
	clear bool
}

// Close empties the file and gives the lock back. The file stays: removing it
// would let two processes lock two files of one name.
func (l *fileLock) Close() error {
	if l.clear {
		_ = l.f.Truncate(0)
	}
	return l.f.Close()
}

// ReadHolder tells who holds the lock, as far as the file says.
func ReadHolder(fsys vfs.FS, name string) (Holder, bool) {
	if !onDisk(fsys) {
		return Holder{}, false
	}
	data, err := ReadFile(fsys, name, maxHolder)
	if err != nil {
		return Holder{}, false
	}
	var h Holder
	if json.Unmarshal(data, &h) != nil || h.PID == 0 {
		return Holder{}, false
	}
	return h, true
}
