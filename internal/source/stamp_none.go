//go:build !unix && !windows

package source

import "os"

const openFlags = 0

func isLinkError(error) bool { return false }

func stampOf(f *os.File) (stamp, error) {
	info, err := f.Stat()
	if err != nil {
		return stamp{}, err
	}
	return stamp{regular: info.Mode().IsRegular(), size: uint64(info.Size()), mtime: info.ModTime().UnixNano()}, nil
}
