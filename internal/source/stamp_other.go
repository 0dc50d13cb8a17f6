//go:build !unix

package source

import "os"

// linkStamp looks at whatever stands at a path, and follows no link.
func linkStamp(path string) (stamp, error) {
	info, err := os.Lstat(path)
	if err != nil {
		return stamp{}, err
	}
	return stamp{size: uint64(info.Size()), mtime: info.ModTime().UnixNano()}, nil
}
