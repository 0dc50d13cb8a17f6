package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/hint"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
)

// inputWatch is what the files of a run's input are known again by once the
// command has ended: every file with its mark, in two files of the run's own
// notes, and the folders with theirs. A nil one watches nothing.
type inputWatch struct {
	path      string // of the two files, without their extensions
	algorithm fingerprint.Algorithm
	entry     uint64 // what the ledger's next entry will be: nothing has been read for it
	opts      scan.Options
	list      *os.File
	files     *fingerprint.Writer
	kept      *os.File
	marks     *hint.MarksWriter
	fp        fingerprint.Fingerprint // of the files as they lie, also where they are a collection
	trail     *source.Trail           // nil in a bucket
	err       error
}

func newInputWatch(path string, a fingerprint.Algorithm, entry uint64) (*inputWatch, error) {
	w := &inputWatch{path: path, algorithm: a, entry: max(entry, 1)}
	var err error
	if w.list, err = os.OpenFile(path+".manifest", os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600); err != nil {
		return nil, err
	}
	if w.kept, err = os.OpenFile(path+".marks", os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600); err != nil {
		w.list.Close()
		return nil, err
	}
	w.files = fingerprint.NewWriter(w.list, a, fingerprint.WriterOptions{})
	w.marks = hint.NewMarksWriter(w.kept)
	return w, nil
}

// begin watches a scan.
func (w *inputWatch) begin(opts *scan.Options) {
	if w == nil {
		return
	}
	w.opts = *opts
	w.opts.Hints = nil
	opts.Kept = w.keep
}

// keep is what a scan calls with each file. What is wrong with it shows in seal:
// a scan that fails says why itself.
func (w *inputWatch) keep(f fingerprint.File, m source.Mark, _ uint64) error {
	if w.err == nil {
		f.SHA256 = nil
		w.err = w.files.Add(f)
	}
	if w.err == nil {
		w.err = w.marks.Add(m, 0)
	}
	return nil
}

// seal ends the watch's files.
func (w *inputWatch) seal() error {
	if w.err == nil {
		var sum fingerprint.Summary
		sum, w.err = w.files.Close()
		w.fp = sum.Fingerprint(w.algorithm)
	}
	if w.err == nil {
		w.err = w.marks.Close(w.fp)
	}
	w.close()
	return w.err
}

// close closes what is open.
func (w *inputWatch) close() {
	if w != nil {
		w.list.Close()
		w.kept.Close()
	}
}

// manifest is of the files as they were when they were verified.
func (w *inputWatch) manifest() *foundManifest {
	return &foundManifest{name: w.path, path: w.path + ".manifest", fp: w.fp}
}

// hides is what was not looked at.
func (w *inputWatch) hides(src source.Source) (source.Skip, error) {
	if parts := partsWithin(src); parts != nil {
		return func(path string, folder bool) bool { hidden, _ := parts.hides(path, folder); return hidden }, nil
	}
	if only := w.opts.Only; only != nil {
		return func(path string, folder bool) bool {
			i, found := slices.BinarySearch(only, path)
			return !found && !(folder && i < len(only) && strings.HasPrefix(only[i], path+"/"))
		}, nil
	}
	rules, err := scan.CompileRules(w.opts.Exact)
	if err != nil {
		return nil, err
	}
	return rules.Hides, nil
}

// partsWithin is how a source sees a collection; nil where it is none.
func partsWithin(src source.Source) *partsSource {
	switch s := src.(type) {
	case *partsSource:
		return s
	case remoteParts:
		return s.partsSource
	}
	return nil
}

// follow notes the folders of a place on this machine.
func (w *inputWatch) follow(d *data) error {
	trail, err := w.trailOf(d)
	w.trail = trail
	return err
}

func (w *inputWatch) trailOf(d *data) (*source.Trail, error) {
	if d.place.Remote() {
		return nil, nil
	}
	hides, err := w.hides(d.source)
	if err != nil {
		return nil, err
	}
	return source.TrailOf(d.place.Path(), hides)
}

// touchedPaths is how many of the touched files are named.
const touchedPaths = 3

// seenAgain is what became of an input while a command ran.
type seenAgain struct {
	diff    *jsonv1.Diff
	touched []string // the first of those whose bytes are the same, and whose marks are not
	count   uint64
	trail   string // a folder or a link that is not what it was, and what of it
}

// look looks again at an input, through a source that was opened anew. Only a
// file whose mark is not what it was is read.
func (w *inputWatch) look(ctx context.Context, a *app, d *data) (*seenAgain, error) {
	s := new(seenAgain)
	if err := w.lookAtFolders(d, s); err != nil {
		return nil, err
	}
	m := w.manifest()
	unmarked := newPathSet()
	opts := w.opts
	opts.Hints = markless(joined(m, func() (io.ReadCloser, error) { return os.Open(w.path + ".marks") }, w.entry), unmarked)
	opts.Kept = func(f fingerprint.File, _ source.Mark, entry uint64) error {
		if entry != 0 || unmarked.has(f.Path) {
			return nil
		}
		if s.count++; len(s.touched) < touchedPaths {
			s.touched = append(s.touched, f.Path)
		}
		return nil
	}
	if opts.Only != nil {
		var err error
		if opts.Only, err = present(ctx, d.source, opts.Only); err != nil {
			return nil, err
		}
	}
	before, err := m.open()
	if err != nil {
		return nil, err
	}
	defer before.Close()
	s.diff, err = compare("then", "now", before.All(), a.scanning(ctx, d, opts, nil), false)
	return s, err
}

func (w *inputWatch) lookAtFolders(d *data, s *seenAgain) error {
	if w.trail == nil {
		return nil
	}
	now, err := w.trailOf(d)
	if err != nil {
		return err
	}
	if path, what := w.trail.Difference(now); path != "" {
		s.trail = source.Show(filepath.FromSlash(path)) + " " + what
		if path == "/" {
			s.trail = "the folder itself " + what
		}
	}
	return nil
}

// pathSet is a set of paths that one goroutine fills and another asks.
type pathSet struct {
	mu    sync.Mutex
	paths map[string]bool
}

func newPathSet() *pathSet { return &pathSet{paths: map[string]bool{}} }

func (p *pathSet) add(path string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.paths[path] = true
}

func (p *pathSet) has(path string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.paths[path]
}

// markless passes hints on, and notes the files that have no mark to be known
// again by: these are read again, whether or not anybody touched them.
func markless(hints iter.Seq2[hint.Hint, error], unmarked *pathSet) iter.Seq2[hint.Hint, error] {
	return func(yield func(hint.Hint, error) bool) {
		for h, err := range hints {
			if err == nil && h.Mark == (source.Mark{}) {
				unmarked.add(h.File.Path)
			}
			if !yield(h, err) {
				return
			}
		}
	}
}

// goneSince reports whether an error says that an input is not there any more,
// or is nothing that can be fingerprinted, where it was before.
func goneSince(err error) bool {
	for _, class := range []error{fs.ErrNotExist, source.ErrChanged, source.ErrLink, source.ErrIrregular, source.ErrName} {
		if errors.Is(err, class) {
			return true
		}
	}
	return false
}
