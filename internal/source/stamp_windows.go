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
	h := windows.Handle(f.Fd())
	kind, err := windows.GetFileType(h)
	if err != nil {
		return stamp{}, os.NewSyscallError("GetFileType", err)
	}
	var info windows.ByHandleFileInformation
	if err := windows.GetFileInformationByHandle(h, &info); err != nil {
		return stamp{}, os.NewSyscallError("GetFileInformationByHandle", err)
	}
	s := stamp{
		regular: kind == windows.FILE_TYPE_DISK && info.FileAttributes&(windows.FILE_ATTRIBUTE_DIRECTORY|windows.FILE_ATTRIBUTE_DEVICE) == 0,
		size:    uint64(info.FileSizeHigh)<<32 | uint64(info.FileSizeLow),
		mtime:   info.LastWriteTime.Nanoseconds(),
		// On ReFS, whose identifiers have 128 bits, these 64 are not unique;
		// the times decide there.
		inode:  uint64(info.FileIndexHigh)<<32 | uint64(info.FileIndexLow),
		device: uint64(info.VolumeSerialNumber),
	}
	if s.regular && info.FileAttributes&windows.FILE_ATTRIBUTE_REPARSE_POINT != 0 {
		// Some of these are plain files (deduplicated ones); the standard
		// library knows which.
		fi, err := f.Stat()
		if err != nil {
			return stamp{}, err
		}
		s.regular = fi.Mode().IsRegular()
	}
	var basic struct { // FILE_BASIC_INFO
		creation, access, write, change windows.Filetime
		attributes                      uint32
		_                               uint32
	}
	// A file system without change times leaves 0, the same before and after.
	err = windows.GetFileInformationByHandleEx(h, windows.FileBasicInfo,
		(*byte)(unsafe.Pointer(&basic)), uint32(unsafe.Sizeof(basic)))
	if err == nil && basic.change != (windows.Filetime{}) {
		s.ctime = basic.change.Nanoseconds()
	}
	return s, nil
}
