//go:build !unix

package solo

func isReadOnlyDisk(error) bool { return false }
