//go:build !linux

package pin

// ReadOnly reports whether a path lies on a mount that cannot be written to. It
// is not looked for here.
func ReadOnly(string) bool { return false }

// InMemory reports whether what is written below a path is kept in memory. It is
// not looked for here.
func InMemory(string) bool { return false }

// Free returns how many bytes can still be written below a path; ok is false:
// it cannot be told here.
func Free(string) (bytes uint64, ok bool) { return 0, false }
