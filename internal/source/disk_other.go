//go:build !linux

package source

// handle is what a folder holds open; nothing here.
type handle struct{}

var _ = folder{}.handle

func newDisk(root string) (disk, error) { return newPortable(root) }
