//go:build !unix

package pin

import "io/fs"

// accessible finds nothing: access control lists are not looked at here.
func accessible(fs.FileInfo) string { return "" }

// Exposed finds nothing: access control lists are not looked at here.
func Exposed(string) []string { return nil }
