// Package contracts holds ready contracts, each with tests of its own and a
// page that says what it does not see. README.md is their index.
package contracts

import (
	"embed"
	"fmt"
	"io/fs"
	"strings"
)

//go:embed *.yaml *.md
var files embed.FS

// Names returns the names of the ready contracts, sorted. Each is the name in
// the contract's metadata and the name of its files without their endings.
func Names() []string {
	found, err := fs.Glob(files, "*.yaml")
	if err != nil {
		panic(err) // the pattern is wrong
	}
	for i, file := range found {
		found[i] = strings.TrimSuffix(file, ".yaml")
	}
	return found
}

// Read returns a ready contract, as a person edits it, and its page, which is
// Markdown. The error is an fs.ErrNotExist if there is none of that name.
func Read(name string) (yaml, page []byte, err error) {
	if strings.ContainsAny(name, `./\`) {
		return nil, nil, fmt.Errorf("contract %q: %w", name, fs.ErrNotExist)
	}
	if yaml, err = files.ReadFile(name + ".yaml"); err != nil {
		return nil, nil, fmt.Errorf("contract %q: %w", name, fs.ErrNotExist)
	}
	page, err = files.ReadFile(name + ".md")
	return yaml, page, err
}
