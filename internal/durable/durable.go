// Package durable writes small files so that a crash leaves either the old
// contents or the new, never a mixture and never a name without its bytes.
//
// It works over Pebble's file system interface, so that one wrapper can count,
// fail or fence every write of a ledger: the database's and ours.
package durable

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// ErrNoFile says that something is a pipe, a device or a directory, and no file: whoever
// opened it might wait for it, or read it, without end.
var ErrNoFile = errors.New("it is no regular file")

// category labels our writes for Pebble's per-category disk statistics.
const category = vfs.WriteCategoryUnspecified

// Permissions of what is private (keys, guards) and of what is not.
const (
	PrivateDir  fs.FileMode = 0o700
	PrivateFile fs.FileMode = 0o600
	SharedDir   fs.FileMode = 0o755
)

// WriteFile puts data under name, replacing what was there: temporary file in
// the same directory, data, fsync, rename, fsync of the directory. After an
// error name holds the old contents or the new.
func WriteFile(fsys vfs.FS, name string, data []byte) error {
	tmp, err := writeTemp(fsys, name, data)
	if err != nil {
		return err
	}
	if err := fsys.Rename(tmp, name); err != nil {
		_ = fsys.Remove(tmp)
		return fmt.Errorf("rename %s: %w", tmp, err)
	}
	return SyncDir(fsys, fsys.PathDir(name))
}

func writeTemp(fsys vfs.FS, name string, data []byte) (string, error) {
	tmp := name + ".tmp-" + suffix()
	f, err := fsys.Create(tmp, category)
	if err != nil {
		return "", fmt.Errorf("create %s: %w", tmp, err)
	}
	// vfs.File.Write may modify what it is given.
	_, err = f.Write(append([]byte(nil), data...))
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		_ = fsys.Remove(tmp)
		return "", fmt.Errorf("write %s: %w", name, err)
	}
	return tmp, nil
}

// suffix keeps temporary names of concurrent writers apart; it is no secret.
func suffix() string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}

// ReadFile returns the contents of name, at most limit bytes of it: a longer
// file is an error, so that a wrong file is never read into memory whole.
func ReadFile(fsys vfs.FS, name string, limit int64) ([]byte, error) {
	if info, err := fsys.Stat(name); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: %w", name, ErrNoFile)
	}
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("read %s: longer than %d bytes", name, limit)
	}
	return data, nil
}

// SyncDir makes the names in a directory durable. Where the system has no such
// call (Windows), it does nothing.
func SyncDir(fsys vfs.FS, dir string) error {
	d, err := fsys.OpenDir(dir)
	if err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}

// MkdirAll makes dir and its missing parents, and makes their names durable.
func MkdirAll(fsys vfs.FS, dir string, perm fs.FileMode) error {
	var missing []string
	for d := dir; ; d = fsys.PathDir(d) {
		if _, err := fsys.Stat(d); err == nil {
			break
		} else if !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("make directory %s: %w", dir, err)
		}
		missing = append(missing, d)
		if fsys.PathDir(d) == d {
			break
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if err := fsys.MkdirAll(dir, perm); err != nil {
		return fmt.Errorf("make directory %s: %w", dir, err)
	}
	for _, d := range missing {
		if err := SyncDir(fsys, fsys.PathDir(d)); err != nil {
			return err
		}
	}
	return nil
}

// Private returns the operating system's file system with every file made
// readable by its owner alone (0600), from its first moment on.
func Private() vfs.FS { return privateFS{vfs.Default} }

type privateFS struct{ vfs.FS }

// Create makes the file itself first: the wrapped file system would make it
// 0666, and a chmod afterwards leaves a moment in which others can open it.
func (p privateFS) Create(name string, c vfs.DiskWriteCategory) (vfs.File, error) {
	// As vfs.FS demands: a new inode, so that readers of the old one keep it.
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_RDWR, PrivateFile)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	return p.FS.OpenReadWrite(name, c)
}

// CheckPrivate refuses a file that others than its owner may read or write.
// Files of other file systems than the operating system's pass; so does
// everything on Windows, where the mode bits do not say.
func CheckPrivate(fsys vfs.FS, name string) error {
	if !onDisk(fsys) || filepath.Separator != '/' {
		return nil
	}
	fi, err := os.Stat(name)
	if err != nil {
		return err
	}
	if extra := fi.Mode().Perm() &^ PrivateFile; extra != 0 {
		return &PermError{Name: name, Mode: fi.Mode().Perm()}
	}
	return nil
}

// PermError names a private file that others can open.
type PermError struct {
	Name string
	Mode fs.FileMode
}

func (e *PermError) Error() string {
	return fmt.Sprintf("%s: mode %04o lets others open it", e.Name, e.Mode)
}

// Hint says how to put it right.
func (e *PermError) Hint() string { return "chmod 600 " + e.Name }

// onDisk reports whether fsys is, under its wrappers, the operating system's.
func onDisk(fsys vfs.FS) bool {
	for fsys != nil {
		if fsys == vfs.Default {
			return true
		}
		fsys = fsys.Unwrap()
	}
	return false
}

// Unwrap lets onDisk see through.
func (p privateFS) Unwrap() vfs.FS { return p.FS }

// Abandoned is after how long nobody is at work any more on what was begun.
const Abandoned = 24 * time.Hour

// RemoveAbandoned removes from a directory what has a name that begins so, and was not
// changed for an age: what programs left behind that were killed. What cannot be
// removed stays; the next one tries again.
func RemoveAbandoned(dir, prefix string, age time.Duration) {
	list, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range list {
		if !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) >= age {
			_ = os.RemoveAll(filepath.Join(dir, e.Name()))
		}
	}
}
