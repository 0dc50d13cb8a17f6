// Package manifest is a manifest that lies in a file: opened, read to its end,
// joined with others, written for other tools. Its bytes are package fingerprint's
// (docs/formats/manifest.md).
package manifest

import (
	"bufio"
	"errors"
	"io"
	"iter"
	"os"
	"strings"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/source"
)

// Magic is how a manifest begins.
const Magic = "stele manifest v1\n"

// buffer is what a manifest is read through, in bytes.
const buffer = 1 << 20

// File is an open manifest.
type File struct {
	*fingerprint.Reader
	Name string // as a person knows it

	file io.Closer
}

// Open opens a manifest that must hash to want (zero: any).
func Open(path string, want fingerprint.Fingerprint) (*File, error) { return open(path, path, want) }

func open(name, path string, want fingerprint.Fingerprint) (*File, error) {
	f, err := source.OpenRegular(path)
	if err != nil {
		return nil, err
	}
	m, err := New(name, bufio.NewReaderSize(f, buffer), f, want)
	if err != nil {
		f.Close()
	}
	return m, err
}

// New reads a manifest that must hash to want (zero: any), and has file closed when
// it is closed. Where it is none, the file stays open.
func New(name string, r io.Reader, file io.Closer, want fingerprint.Fingerprint) (*File, error) {
	m := &File{Name: name, file: file}
	var err error
	if m.Reader, err = fingerprint.NewReader(r, want); err != nil {
		return nil, m.Explain(err)
	}
	return m, nil
}

// Close closes the file.
func (m *File) Close() error { return m.file.Close() }

// Also has fn called when the manifest is closed.
func (m *File) Also(fn func()) {
	file := m.file
	m.file = closer(func() error {
		defer fn()
		return file.Close()
	})
}

type closer func() error

func (c closer) Close() error { return c() }

// All goes through the files in path order. Its errors are *Error.
func (m *File) All() iter.Seq2[fingerprint.File, error] {
	return func(yield func(fingerprint.File, error) bool) {
		for f, err := range m.Reader.All() {
			if !yield(f, m.Explain(err)) {
				return
			}
		}
	}
}

// Check reads the manifest to its end: only then is it known to be the right one.
func (m *File) Check() error {
	for _, err := range m.All() {
		if err != nil {
			return err
		}
	}
	return nil
}

// Explain names the manifest in an error, once. It is nil for nil.
func (m *File) Explain(err error) error {
	var explained *Error
	if err == nil || errors.As(err, &explained) {
		return err
	}
	return &Error{Name: m.Name, Err: err}
}

// Error is what is wrong with a manifest.
type Error struct {
	Name string
	Err  error
}

func (e *Error) Error() string { return "manifest " + e.Name + ": " + e.Err.Error() }
func (e *Error) Unwrap() error { return e.Err }

// Place is where it lies.
func (e *Error) Place() string { return e.Name }

// Damaged reports whether the manifest is not what was written, and not merely out
// of reach.
func (e *Error) Damaged() bool {
	return errors.Is(e.Err, fingerprint.ErrMismatch) || errors.Is(e.Err, fingerprint.ErrFormat) || errors.Is(e.Err, fingerprint.ErrTruncated)
}

// Is reports whether a file begins as a manifest does; cut short within that, with
// so much of it.
func Is(path string) (whole, cut bool) {
	f, err := source.OpenRegular(path)
	if err != nil {
		return false, false
	}
	defer f.Close()
	head := make([]byte, len(Magic))
	n, _ := io.ReadFull(f, head)
	whole = n == len(Magic) && string(head) == Magic
	return whole, !whole && n > 0 && strings.HasPrefix(Magic, string(head[:n]))
}

// Found is a manifest in a file that was read to its end: whole, and the one that
// its fingerprint names. Close it after its last use.
type Found struct {
	Name        string // as a person knows it
	Path        string
	Fingerprint fingerprint.Fingerprint // zero: any
	Temporary   bool                    // it is removed when it is closed
}

// Open opens the manifest once more; it can be open several times.
func (m *Found) Open() (*File, error) { return open(m.Name, m.Path, m.Fingerprint) }

// Check reads the manifest to its end.
func (m *Found) Check() error {
	f, err := m.Open()
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Check()
}

// Paths are those of all its files; never nil.
func (m *Found) Paths() ([]string, error) {
	f, err := m.Open()
	if err != nil {
		return nil, err
	}
	defer f.Close()
	list := []string{}
	for file, err := range f.All() {
		if err != nil {
			return nil, err
		}
		list = append(list, file.Path)
	}
	return list, nil
}

// Close removes what is temporary.
func (m *Found) Close() {
	if m.Temporary {
		os.Remove(m.Path)
	}
}
