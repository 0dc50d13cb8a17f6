package ledger_test

import (
	"os"
	"testing"
)

var benchDirs []string

// benchDir is a folder that is gone when the tests are over.
func benchDir() (string, error) {
	dir, err := os.MkdirTemp("", "stele-ledger-")
	if err == nil {
		benchDirs = append(benchDirs, dir)
	}
	return dir, err
}

func TestMain(m *testing.M) {
	code := m.Run()
	for _, dir := range benchDirs {
		os.RemoveAll(dir)
	}
	os.Exit(code)
}
