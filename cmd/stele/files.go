package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/stele-ml/stele/internal/source"
)

// writeWhole writes a file through fill so that it appears whole or not at
// all: a temporary neighbour, synced, then renamed over it. What a link points
// at is written, and the link stays. A device or a pipe is written to as it
// is: renaming over it would take it away from the machine.
func writeWhole(path string, fill func(*os.File) error) (err error) {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	mode := os.FileMode(0o644)
	if info, err := os.Stat(path); err == nil {
		if !info.Mode().IsRegular() {
			return writeThrough(path, fill)
		}
		mode = info.Mode().Perm() // what was closed to others stays so
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return notWritten(path, err)
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
	if err = f.Chmod(mode); err != nil {
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

// notWritten says of a file that could not be begun what is the matter, and not
// of the temporary one that nobody asked for.
func notWritten(path string, err error) error {
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		err = pathError.Err
	}
	f := failf(exitError, "write %s: %w", source.Show(path), err).withPath(path)
	if errors.Is(err, fs.ErrNotExist) {
		f.status = exitNotFound
		f.hint = "there is no folder " + source.Show(filepath.Dir(path))
	}
	return f
}

// exists says in plain words that a path is not there.
func exists(path string) error {
	_, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		f := failf(exitNotFound, "there is no %s", source.Show(path)).withPath(path)
		f.err = err
		return f
	}
	var pathError *fs.PathError
	if errors.As(err, &pathError) {
		return failf(exitError, "%s: %w", source.Show(path), pathError.Err).withPath(path)
	}
	return err
}

// liesIn reports whether a path is a folder, or lies in it, once the links on the
// way are followed. Neither has to be there yet.
func liesIn(path, folder string) (bool, error) {
	path, err := realPath(path)
	if err != nil {
		return false, err
	}
	if folder, err = realPath(folder); err != nil {
		return false, err
	}
	rest, err := filepath.Rel(folder, path)
	return err == nil && rest != ".." && !strings.HasPrefix(rest, ".."+string(filepath.Separator)), nil
}

// realPath follows the links of what is there of a path.
func realPath(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(path)
	if !errors.Is(err, fs.ErrNotExist) || filepath.Dir(path) == path {
		return real, err
	}
	dir, err := realPath(filepath.Dir(path))
	return filepath.Join(dir, filepath.Base(path)), err
}

// writeOut writes a file whole; - is standard output.
func (a *app) writeOut(path string, data []byte) error {
	if path == "-" {
		_, err := a.stdout.Write(data)
		return err
	}
	return writeWhole(path, func(f *os.File) error { _, err := f.Write(data); return err })
}

// readIn is readSmall; - is standard input.
func (a *app) readIn(path string, limit int64) ([]byte, error) {
	if path != "-" {
		return readSmall(path, limit)
	}
	data, err := io.ReadAll(io.LimitReader(a.stdin, limit+1))
	if err == nil && int64(len(data)) > limit {
		return nil, failf(exitError, "standard input has more than %d bytes", limit)
	}
	return data, err
}

// checkOut refuses two things on standard output.
func (a *app) checkOut(path string) error {
	if path == "-" && a.json {
		return usagef("-o - and --json both write to standard output").withHint("name a file: -o FILE")
	}
	return nil
}

// writeThrough writes to what cannot be replaced.
func writeThrough(path string, fill func(*os.File) error) error {
	f, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	err = fill(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// checked remembers the first error of a stream, so that output which did not
// arrive never ends with status 0.
type checked struct {
	w   io.Writer
	err error
}

func (c *checked) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	if err != nil && c.err == nil {
		c.err = fmt.Errorf("write output: %w", err)
	}
	return n, err
}
