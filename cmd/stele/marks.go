package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/hint"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/manifest"
	"github.com/stele-ml/stele/internal/place"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/statement"
)

// What the files of a stamp are known again by, its marks, lies in the user's
// own state directory, and for a bucket also with the ledger, named by the
// stamp's details. Marks decide what is not read: they are never taken from
// anywhere else.

// maxMarks is for how many stamps of a ledger the user's own marks are kept.
const maxMarks = 64

func (a *app) marksDir(id statement.LedgerID) string {
	return filepath.Join(a.dirs.State, "marks", id.String())
}

// marksPath is where the marks lie that the stamp of an entry made of a place.
// A version, or an inode, means something only there: a place's marks are no
// other's.
func (a *app) marksPath(id statement.LedgerID, entry uint64, at place.Place) string {
	text := at.String()
	if !at.Remote() {
		host, _ := os.Hostname() // several machines may share a home
		text = host + ":" + text
	}
	sum := sha256.Sum256([]byte(strings.TrimSuffix(text, "/")))
	return filepath.Join(a.marksDir(id), fmt.Sprintf("%d-%x", entry, sum[:8]))
}

// entryOf is the entry in the name of a file of marks.
func entryOf(name string) (uint64, error) {
	entry, _, _ := strings.Cut(name, "-")
	return strconv.ParseUint(entry, 10, 64)
}

// marking writes the marks of a scan under way. A nil one writes nothing.
type marking struct {
	f   *os.File
	w   *hint.MarksWriter
	err error // of writing: it ends the marks and not the scan
}

// newMarks begins the marks of a stamp that has no entry yet.
func (a *app) newMarks(id statement.LedgerID) *marking {
	dir := a.marksDir(id)
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		var f *os.File
		if f, err = os.CreateTemp(dir, "new-*"); err == nil {
			return &marking{f: f, w: hint.NewMarksWriter(f)}
		}
	}
	a.term.Warnf("the next version will be read whole: %v", err)
	return nil
}

// add is what a scan calls with each file's mark.
func (m *marking) add(_ fingerprint.File, mark source.Mark, entry uint64) error {
	if m.err == nil {
		m.err = m.w.Add(mark, entry)
	}
	return nil
}

// close ends the marks; fp is of the manifest beside them.
func (m *marking) close(fp fingerprint.Fingerprint) error {
	if m.err == nil {
		m.err = m.w.Close(fp)
	}
	return m.err
}

// shelve puts the marks with the ledger.
func (m *marking) shelve(s shelf) (*statement.Attachment, error) {
	if _, err := m.f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	at, err := s.Copy(m.f)
	return &at, err
}

// keep gives the marks the entry of their stamp, and drops the oldest ones.
func (m *marking) keep(path string) error {
	if err := m.f.Close(); err != nil {
		return err
	}
	if err := os.Rename(m.f.Name(), path); err != nil {
		return err
	}
	list, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return err
	}
	byEntry := map[uint64]string{}
	for _, e := range list {
		if n, err := entryOf(e.Name()); err == nil {
			byEntry[n] = e.Name()
		}
	}
	entries := slices.Sorted(maps.Keys(byEntry))
	for len(entries) > maxMarks {
		if err := os.Remove(filepath.Join(filepath.Dir(path), byEntry[entries[0]])); err != nil {
			return err
		}
		entries = entries[1:]
	}
	return nil
}

// discard gives the marks up. After keep it does nothing.
func (m *marking) discard() {
	if m != nil {
		m.f.Close()
		os.Remove(m.f.Name())
	}
}

// earlierStamp is a stamp whose files may be taken over.
type earlierStamp struct {
	ledger.Binding
	stamp   *statement.Stamp
	details *statement.Details // nil: none, or erased
}

// earlierStamp reads the stamp of a binding.
func (a *app) earlierStamp(r *reading, b ledger.Binding) (*earlierStamp, error) {
	at, st, err := r.StampAt(b)
	if err != nil {
		return nil, err
	}
	if err := r.proveIncluded(at); err != nil { // what it signs decides what is not read
		return nil, err
	}
	e := &earlierStamp{Binding: b, stamp: st.Stamp}
	e.details, _, _ = a.detailsOf(r, st)
	return e, nil
}

// madeOf reports whether the stamp's details say that it was made of a place.
func (e *earlierStamp) madeOf(at place.Place) bool {
	return e.details != nil && slices.ContainsFunc(e.details.Locations, func(l string) bool {
		p, err := place.Parse(l)
		return err == nil && p.Same(at)
	})
}

// hints are what the earlier stamp's scan read of the same place, from its
// manifest and its marks; nil where these are not here. They have been read to
// their end once.
func (a *app) hints(ctx context.Context, dir string, id statement.LedgerID, e *earlierStamp, m *manifest.Found, at place.Place) (iter.Seq2[hint.Hint, error], error) {
	at, err := at.Absolute()
	if err != nil {
		return nil, err
	}
	sources := []func() (io.ReadCloser, error){
		func() (io.ReadCloser, error) { return source.OpenRegular(a.marksPath(id, e.Entry, at)) },
	}
	// A path on a disk is another place on each machine.
	if at.Remote() && e.madeOf(at) && e.details.Marks != nil {
		sources = append(sources, func() (io.ReadCloser, error) {
			s, err := a.shelfOf(ctx, dir)
			if err != nil {
				return nil, err
			}
			return s.Open(*e.details.Marks)
		})
	}
	for _, open := range sources {
		hints := m.Hints(open, e.Entry)
		entries, err := entriesOf(hints)
		if err == nil {
			return a.standing(ctx, dir, hints, append(entries, e.Entry))
		}
		if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, solo.ErrWithheld) {
			a.leftAside(err)
		}
	}
	a.term.Notef("what was read of %s here is not known on this machine: everything is read", e.Ref())
	return nil, nil
}

// standing leaves out what was last read for an entry whose signer has lost the
// standing for it: a compromised key's word is nobody's. The last entry is the
// earlier stamp's own, which says all of it.
func (a *app) standing(ctx context.Context, dir string, hints iter.Seq2[hint.Hint, error], entries []uint64) (iter.Seq2[hint.Hint, error], error) {
	fallen := map[uint64]bool{}
	err := a.readUntrusted(ctx, dir, func(r *reading) error {
		for _, entry := range entries {
			e, err := r.Entry(entry)
			if err != nil {
				return err
			}
			if err := r.proveIncluded(e); err != nil {
				return err
			}
			if s := r.Standing(e); !s.OK && !fallen[entry] {
				a.term.Notef("what was last read for entry %d is read again: its signer has no standing: %s", entry, s.Detail)
				fallen[entry] = true
			}
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case len(fallen) == 0:
		return hints, nil
	case fallen[entries[len(entries)-1]]:
		return nil, nil
	}
	return func(yield func(hint.Hint, error) bool) {
		for h, err := range hints {
			if (err != nil || !fallen[h.Entry]) && !yield(h, err) {
				return
			}
		}
	}, nil
}

// entriesOf goes through hints to their end, and returns the entries that they
// are of.
func entriesOf(hints iter.Seq2[hint.Hint, error]) ([]uint64, error) {
	seen := map[uint64]bool{}
	for h, err := range hints {
		if err != nil {
			return nil, err
		}
		seen[h.Entry] = true
	}
	return slices.Sorted(maps.Keys(seen)), nil
}

// atLeastAsSure is hints that count only where a file is known again as surely
// as its mark allows: of an object that had a version, by no ETag.
func atLeastAsSure(hints iter.Seq2[hint.Hint, error]) iter.Seq2[hint.Hint, error] {
	return func(yield func(hint.Hint, error) bool) {
		for h, err := range hints {
			if h.Mark.Version != "" {
				h.Mark.ETag = ""
			}
			if !yield(h, err) {
				return
			}
		}
	}
}

// recheckHints are what the stamp's own scan read of the same place: a file
// that is known again, as surely as it was then, is not read.
func (a *app) recheckHints(ctx context.Context, s *subjectOf, m *manifest.Found, at place.Place) (iter.Seq2[hint.Hint, error], error) {
	if m == nil {
		a.term.Notef("the manifest of %s is not found: everything is read", s.search.what)
		return nil, nil
	}
	hints, err := a.hints(ctx, s.search.ledger, s.file.Ledger, s.earlier, m, at)
	if hints == nil || err != nil {
		return nil, err
	}
	if at.UniqueETags() {
		return hints, nil
	}
	return atLeastAsSure(hints), nil
}
