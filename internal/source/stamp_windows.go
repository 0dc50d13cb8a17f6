package source

import (
	"os"
	"unsafe"

	"golang.org/x/sys/windows"
)

// openFlags: what has taken a file's place is judged by what was opened.
const openFlags = 0

func isLinkError(error) bool { return false }

func stampOf(f *os.File) (stamp, error) {
	info, err := f.Stat()
	if err != nil {
		return stamp{}, err
	}
	s := stamp{regular: info.Mode().IsRegular(), size: uint64(info.Size()), mtime: info.ModTime().UnixNano()}
	var basic struct { // FILE_BASIC_INFO
		creation, access, write, change int64 // 100 ns since 1601
		attributes                      uint32
		_                               uint32
	}
	// A file system without change times leaves 0, the same before and after.
	err = windows.GetFileInformationByHandleEx(windows.Handle(f.Fd()), windows.FileBasicInfo,
		(*byte)(unsafe.Pointer(&basic)), uint32(unsafe.Sizeof(basic)))
	if err == nil {
		s.ctime = basic.change
	}
	return s, nil
}
