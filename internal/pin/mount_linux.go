package pin

import "syscall"

// Of statfs(2) and linux/magic.h.
const (
	flagReadOnly = 0x1 // ST_RDONLY: of the file system, or of this mount of it
	magicTmpfs   = 0x01021994
	magicRamfs   = 0x858458f6
)

// ReadOnly reports whether a path lies on a mount that cannot be written to.
func ReadOnly(path string) bool {
	var st syscall.Statfs_t
	return syscall.Statfs(path, &st) == nil && st.Flags&flagReadOnly != 0
}

// InMemory reports whether what is written below a path is kept in memory.
func InMemory(path string) bool {
	var st syscall.Statfs_t
	if syscall.Statfs(path, &st) != nil {
		return false
	}
	kind := uint32(st.Type)
	return kind == magicTmpfs || kind == magicRamfs
}

// Free returns how many bytes this user can still write below a path; ok is false where
// that cannot be told.
func Free(path string) (bytes uint64, ok bool) {
	var st syscall.Statfs_t
	if syscall.Statfs(path, &st) != nil || st.Bsize <= 0 {
		return 0, false
	}
	return uint64(st.Bavail) * uint64(st.Bsize), true
}
