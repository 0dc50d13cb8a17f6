//go:build unix

package source

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// openFlags keep the opening of a file from following a link that took its
// place, and from waiting at a pipe that did.
const openFlags = unix.O_NOFOLLOW | unix.O_NONBLOCK

func isLinkError(err error) bool {
	// EMLINK and EFTYPE are FreeBSD's and NetBSD's words for it; Darwin and
	// Linux say ELOOP.
	return errors.Is(err, unix.ELOOP) || errors.Is(err, unix.EMLINK)
}

func stampOf(f *os.File) (stamp, error) {
	var st unix.Stat_t
	err := unix.Fstat(int(f.Fd()), &st)
	return stampOfStat(&st), err
}

func stampOfStat(st *unix.Stat_t) stamp {
	return stamp{
		regular: st.Mode&unix.S_IFMT == unix.S_IFREG,
		size:    uint64(st.Size),
		mtime:   st.Mtim.Nano(),
		ctime:   st.Ctim.Nano(),
		inode:   uint64(st.Ino),
		device:  uint64(st.Dev), // of other types on other systems
	}
}

// linkStamp looks at whatever stands at a path, and follows no link.
func linkStamp(path string) (stamp, error) {
	var st unix.Stat_t
	err := unix.Lstat(path, &st)
	return stampOfStat(&st), err
}
