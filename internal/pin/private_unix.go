//go:build unix

package pin

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// accessible says why a folder is not this user's alone, or "".
func accessible(info fs.FileInfo) string {
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return "its owner is not known"
	case int(st.Uid) != os.Geteuid():
		return fmt.Sprintf("it belongs to the user %d, and this is the user %d", st.Uid, os.Geteuid())
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Sprintf("its mode is %04o, and should be 0700", info.Mode().Perm())
	}
	return ""
}

// Exposed returns the folders above a path in which somebody other than this
// user and root may rename things, and so put another folder in a copy's place.
func Exposed(path string) (list []string) {
	for dir := filepath.Dir(path); ; dir = filepath.Dir(dir) {
		info, err := os.Lstat(dir)
		if err != nil {
			return append(list, dir)
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		others := info.Mode().Perm()&0o022 != 0 && info.Mode()&fs.ModeSticky == 0
		if !ok || others || st.Uid != 0 && int(st.Uid) != os.Geteuid() {
			list = append(list, dir)
		}
		if dir == filepath.Dir(dir) {
			return list
		}
	}
}

// alone reports whether nobody else is at work in a folder, and keeps others out
// until share.
func alone(folder *os.File) bool {
	return syscall.Flock(int(folder.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil
}

// share lets others in, and waits until they let this process in.
func share(folder *os.File) error {
	for {
		if err := syscall.Flock(int(folder.Fd()), syscall.LOCK_SH); err != syscall.EINTR {
			return err
		}
	}
}
