package main

import (
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdVector copies a file that other tools made: openssl, Python, b3sum.
func cmdVector(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 2, "vector PACKAGE/NAME FILE")
	dir, name := filepath.Split(args[0])
	data, err := os.ReadFile(filepath.Join("..", "..", "internal", dir, "testdata", name))
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), data, 0o644))
}
