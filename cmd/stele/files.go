package main

import (
	"bufio"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// writeWhole writes a file through fill so that it appears whole or not at
// all: a temporary neighbour, synced, then renamed over it.
func writeWhole(path string, fill func(*os.File) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if err = fill(f); err != nil {
		return err
	}
	if err = f.Chmod(0o644); err != nil {
		return err
	}
	if err = f.Sync(); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// bufferedReader is the buffer manifests are read through.
func bufferedReader(f *os.File) *bufio.Reader { return bufio.NewReaderSize(f, 1<<20) }

// exists says in plain words that a path is not there.
func exists(path string) error {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return failf(exitNotFound, "there is no %s", path).withPath(path)
	}
	return err
}
