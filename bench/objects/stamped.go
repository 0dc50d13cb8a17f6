package main

import (
	"errors"
	"iter"
	"os"
	"path/filepath"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/hint"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
)

// The files of a stamp: what it binds, and what its scan is known again by.
const (
	fingerprintFile = "fingerprint" // the last that is written
	manifestFile    = "manifest"
	marksFile       = "marks"
)

// stampEntry stands for the stamp's entry in a ledger.
const stampEntry = 1

// stampWriter writes the files of a stamp as it is made.
type stampWriter struct {
	dir          string
	files, marks *os.File
	m            *fingerprint.Writer
	k            *hint.MarksWriter
}

func newStampWriter(dir string, a fingerprint.Algorithm) (*stampWriter, error) {
	w := &stampWriter{dir: dir}
	var err error
	if w.files, err = os.Create(filepath.Join(dir, manifestFile)); err != nil {
		return nil, err
	}
	if w.marks, err = os.Create(filepath.Join(dir, marksFile)); err != nil {
		return nil, errors.Join(err, w.files.Close())
	}
	w.m, w.k = fingerprint.NewWriter(w.files, a, fingerprint.WriterOptions{}), hint.NewMarksWriter(w.marks)
	return w, nil
}

func (w *stampWriter) file(f fingerprint.File) error { return w.m.Add(f) }

func (w *stampWriter) mark(_ fingerprint.File, m source.Mark, entry uint64) error {
	return w.k.Add(m, entry)
}

func (w *stampWriter) close(res scan.Result) error {
	_, err := w.m.Close()
	return errors.Join(err, w.k.Close(res.Fingerprint), w.files.Close(), w.marks.Close(),
		os.WriteFile(filepath.Join(w.dir, fingerprintFile), []byte(res.Fingerprint.String()), 0o666))
}

// stamped is a stamp's files.
type stamped struct {
	dir string
	fp  fingerprint.Fingerprint
}

func openStamped(dir string) (*stamped, error) {
	text, err := os.ReadFile(filepath.Join(dir, fingerprintFile))
	if err != nil {
		return nil, err
	}
	fp, err := fingerprint.Parse(string(text))
	return &stamped{dir, fp}, err
}

// bytes is how many the artifact has, which a stamp says and only the end of a
// manifest tells.
func (s *stamped) bytes() (n uint64, err error) {
	for f, err := range s.files() {
		if err != nil {
			return 0, err
		}
		n += f.Size
	}
	return n, nil
}

// files goes through the manifest.
func (s *stamped) files() iter.Seq2[fingerprint.File, error] {
	return func(yield func(fingerprint.File, error) bool) {
		f, err := os.Open(filepath.Join(s.dir, manifestFile))
		if err != nil {
			yield(fingerprint.File{}, err)
			return
		}
		defer f.Close()
		r, err := fingerprint.NewReader(f, s.fp)
		if err != nil {
			yield(fingerprint.File{}, err)
			return
		}
		r.All()(yield)
	}
}

// hints goes through the manifest and the marks beside it.
func (s *stamped) hints() iter.Seq2[hint.Hint, error] {
	return func(yield func(hint.Hint, error) bool) {
		f, err := os.Open(filepath.Join(s.dir, marksFile))
		if err != nil {
			yield(hint.Hint{}, err)
			return
		}
		defer f.Close()
		marks, err := hint.NewMarksReader(f, s.fp)
		if err != nil {
			yield(hint.Hint{}, err)
			return
		}
		hint.Join(s.files(), marks, stampEntry)(yield)
	}
}
