package solo

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// mountSmall mounts a disk in memory of that many bytes.
func mountSmall(dir string, size int) error {
	return unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size))
}

func unmount(dir string) { _ = unix.Unmount(dir, unix.MNT_DETACH) }
