//go:build !unix

package pin

import (
	"io/fs"
	"os"
)

// accessible finds nothing: access control lists are not looked at here.
func accessible(fs.FileInfo) string { return "" }

// Exposed finds nothing: access control lists are not looked at here.
func Exposed(string) []string { return nil }

// alone cannot be known here.
func alone(*os.File) bool { return false }

func share(*os.File) error { return nil }
