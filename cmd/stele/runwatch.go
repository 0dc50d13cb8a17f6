package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/collection"
	"github.com/stele-ml/stele/internal/hint"
	"github.com/stele-ml/stele/internal/manifest"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/source"
)

// inputWatch is what the files of a run's input are known again by once the
// command has ended: every file with its mark, in two files of the run's own
// notes, and the folders with theirs. The command may write to these files as
// its user may: what they held is known by digests that only this process has. A
// nil one watches nothing.
type inputWatch struct {
	path      string // of the two files, without their extensions
	algorithm fingerprint.Algorithm
	entry     uint64 // what the ledger's next entry will be: nothing has been read for it
	opts      scan.Options
	list      *os.File
	files     *fingerprint.Writer
	kept      *os.File
	marks     *hint.MarksWriter
	sum       hash.Hash               // of what marks writes
	written   hash.Hash               // of when a store says that each object was written
	settled   int64                   // Unix ns: what changed later may change again in the same tick of its clock
	fp        fingerprint.Fingerprint // of the files as they lie, also where they are a collection
	trail     *source.Trail           // nil in a bucket
	err       error
}

// settledAfter is how long ago a file must have changed last for its mark to
// tell the next change, whatever its file system (see [source.Source]).
const settledAfter = 2 * time.Second

func newInputWatch(path string, a fingerprint.Algorithm, entry uint64, now time.Time) (*inputWatch, error) {
	w := &inputWatch{path: path, algorithm: a, entry: max(entry, 1), sum: sha256.New(), written: sha256.New(), settled: now.Add(-settledAfter).UnixNano()}
	var err error
	if w.list, err = os.OpenFile(path+".manifest", os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600); err != nil {
		return nil, err
	}
	if w.kept, err = os.OpenFile(path+".marks", os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600); err != nil {
		w.list.Close()
		return nil, err
	}
	w.files = fingerprint.NewWriter(w.list, a, fingerprint.WriterOptions{})
	w.marks = hint.NewMarksWriter(io.MultiWriter(w.kept, w.sum))
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
		w.err = w.mark(f.Path, m)
	}
	return nil
}

// mark adds a file's mark.
func (w *inputWatch) mark(path string, m source.Mark) error {
	addWritten(w.written, path, m)
	return w.marks.Add(m, 0)
}

// addWritten adds when an object was written: in a bucket without versions, what
// was replaced and put back has the ETag that it had, and another time.
func addWritten(h hash.Hash, path string, m source.Mark) { fmt.Fprintf(h, "%q %d\n", path, m.Modified) }

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
func (w *inputWatch) manifest() *manifest.Found {
	return &manifest.Found{Name: w.path, Path: w.path + ".manifest", Fingerprint: w.fp}
}

// hides is what was not looked at.
func (w *inputWatch) hides(src source.Source) (source.Skip, error) {
	if parts := collection.Unwrap(src); parts != nil {
		return func(path string, folder bool) bool { hidden, _ := parts.Hides(path, folder); return hidden }, nil
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
	trail   string // a folder, a link, or when an object was written, that is not what it was, and what of it
}

// look looks again at an input, through a source that was opened anew. Only a
// file whose mark is not what it was is read.
func (w *inputWatch) look(ctx context.Context, a *app, d *data) (*seenAgain, error) {
	s := new(seenAgain)
	if err := w.lookAtFolders(d, s); err != nil {
		return nil, err
	}
	m := w.manifest()
	fresh := freshMarks{marks: map[string]source.Mark{}}
	opts := w.opts
	opts.Hints = w.settledHints(joined(m, w.openMarks, w.entry), &fresh)
	written := sha256.New()
	opts.Kept = func(f fingerprint.File, now source.Mark, entry uint64) error {
		addWritten(written, f.Path, now)
		if entry != 0 || fresh.same(f.Path, now) {
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
	before, err := m.Open()
	if err != nil {
		return nil, err
	}
	defer before.Close()
	s.diff, err = compare("then", "now", before.All(), a.scanning(ctx, d, opts, nil), false)
	if err == nil && s.diff.Same && s.count == 0 && s.trail == "" && !bytes.Equal(written.Sum(nil), w.written.Sum(nil)) {
		s.trail = "an object was written again, by the time that the store says"
	}
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

// openMarks opens the marks, and sees to it that they are those that were
// written.
func (w *inputWatch) openMarks() (io.ReadCloser, error) {
	f, err := os.Open(w.path + ".marks")
	if err != nil {
		return nil, err
	}
	return &sameAsWritten{f, sha256.New(), w.sum.Sum(nil)}, nil
}

// sameAsWritten is a file that must hold what has that digest: it says so at its
// end.
type sameAsWritten struct {
	*os.File
	sum  hash.Hash
	want []byte
}

func (s *sameAsWritten) Read(p []byte) (int, error) {
	n, err := s.File.Read(p)
	s.sum.Write(p[:n])
	if err == io.EOF && !bytes.Equal(s.sum.Sum(nil), s.want) {
		err = fmt.Errorf("%s: %w", s.Name(), solo.ErrTampered)
	}
	return n, err
}

// freshMarks are the marks of files that had changed a moment before they were
// verified, or that have no mark at all. One goroutine adds to them and another
// asks.
type freshMarks struct {
	mu    sync.Mutex
	marks map[string]source.Mark
}

func (m *freshMarks) add(path string, mark source.Mark) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.marks[path] = mark
}

// same reports whether a file that was read again need not have been touched.
func (m *freshMarks) same(path string, now source.Mark) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	was, ok := m.marks[path]
	return ok && (was == source.Mark{} || was.Same(now) != source.Unsure)
}

// settledHints passes hints on, without the marks of files that are to be read
// again whatever their marks say: another change in the same tick of the file
// system's clock would leave them as they are.
func (w *inputWatch) settledHints(hints iter.Seq2[hint.Hint, error], fresh *freshMarks) iter.Seq2[hint.Hint, error] {
	return func(yield func(hint.Hint, error) bool) {
		for h, err := range hints {
			m := &h.Mark
			if err == nil && (*m == source.Mark{} || max(m.MTime, m.CTime) > w.settled) {
				fresh.add(h.File.Path, *m)
				*m = source.Mark{}
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
