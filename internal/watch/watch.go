// Package watch is what files are known again by while something else runs: a run's
// inputs while its command does, a model until its server starts. They are looked
// at again without being read again, and what was touched meanwhile is told, also
// where its bytes are the same: they may have been others.
package watch

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

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/collection"
	"github.com/stele-ml/stele/internal/hint"
	"github.com/stele-ml/stele/internal/manifest"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
)

// Watch is what some files are known again by: every file with its mark, in two
// files, and the folders with theirs. A command that is run meanwhile may write to
// these two as its user may: what they held is known by digests that only this
// process has. A nil one watches nothing.
type Watch struct {
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

// New begins to watch files of which nothing is read before now. path is of the two
// files, without their extensions; entry is what the ledger's next entry will be.
func New(path string, a fingerprint.Algorithm, entry uint64, now time.Time) (*Watch, error) {
	w := &Watch{path: path, algorithm: a, entry: max(entry, 1), sum: sha256.New(), written: sha256.New(), settled: now.Add(-settledAfter).UnixNano()}
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

// Begin watches a scan.
func (w *Watch) Begin(opts *scan.Options) {
	if w == nil {
		return
	}
	w.opts = *opts
	w.opts.Hints = nil
	opts.Kept = w.keep
}

// keep is what a scan calls with each file. What is wrong with it shows in Seal:
// a scan that fails says why itself.
func (w *Watch) keep(f fingerprint.File, m source.Mark, _ uint64) error {
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
func (w *Watch) mark(path string, m source.Mark) error {
	addWritten(w.written, path, m)
	return w.marks.Add(m, 0)
}

// addWritten adds when an object was written: in a bucket without versions, what
// was replaced and put back has the ETag that it had, and another time.
func addWritten(h hash.Hash, path string, m source.Mark) { fmt.Fprintf(h, "%q %d\n", path, m.Modified) }

// Seal ends the watch's files.
func (w *Watch) Seal() error {
	if w.err == nil {
		var sum fingerprint.Summary
		sum, w.err = w.files.Close()
		w.fp = sum.Fingerprint(w.algorithm)
	}
	if w.err == nil {
		w.err = w.marks.Close(w.fp)
	}
	w.Close()
	return w.err
}

// Close closes what is open.
func (w *Watch) Close() {
	if w != nil {
		w.list.Close()
		w.kept.Close()
	}
}

// Manifest is of the files as they were when they were verified.
func (w *Watch) Manifest() *manifest.Found {
	return &manifest.Found{Name: w.path, Path: w.path + ".manifest", Fingerprint: w.fp}
}

// hides is what was not looked at.
func (w *Watch) hides(src source.Source) (source.Skip, error) {
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

// Began is when the files began to be read, in Unix ms.
func (w *Watch) Began() int64 { return w.settled/1e6 + settledAfter.Milliseconds() }

// Path is that of the two files, without their extensions.
func (w *Watch) Path() string { return w.path }

// Follow notes the folders of a place on this machine; of one in a bucket, whose
// folder is empty, there are none.
func (w *Watch) Follow(src source.Source, folder string) (err error) {
	w.trail, err = w.trailOf(src, folder)
	return err
}

func (w *Watch) trailOf(src source.Source, folder string) (*source.Trail, error) {
	if folder == "" {
		return nil, nil
	}
	hides, err := w.hides(src)
	if err != nil {
		return nil, err
	}
	return source.TrailOf(folder, hides)
}

// List takes what the files are known again by from their manifest and from a
// listing, for an audit, which reads but a part of them. rules are the ignore rules
// of the stamp, which a collection has none of; listed says that it is of the files
// alone that the manifest lists.
func (w *Watch) List(ctx context.Context, src source.Source, files iter.Seq2[fingerprint.File, error], rules []string, listed bool) error {
	w.opts = scan.Options{Algorithm: w.algorithm, UseExact: true, Exact: rules}
	for f, err := range files {
		if err != nil {
			return err
		}
		f.SHA256 = nil
		if err := w.files.Add(f); err != nil {
			return err
		}
		if listed {
			w.opts.Only = append(w.opts.Only, f.Path)
		}
	}
	hides, err := w.hides(src)
	if err != nil {
		return err
	}
	return src.List(ctx, hides, func(o source.Object) error {
		m, err := src.Mark(ctx, o)
		if err != nil {
			return err
		}
		return w.mark(o.Path, m)
	})
}

// mostTouched is how many of the touched files are named.
const mostTouched = 3

// Seen is what became of files meanwhile, besides what they hold.
type Seen struct {
	Touched []string // the first of those whose bytes are the same, and whose marks are not
	Count   uint64
	Trail   string // a folder, a link, or when an object was written, that is not what it was, and what of it
}

// Look looks again at the files, through a source that was opened anew. Only a file
// whose mark is not what it was is read: read scans the source with the options
// given, to the end, and compares what it finds with the files before. Where the two
// differ, that is all there is to tell.
func (w *Watch) Look(ctx context.Context, src source.Source, folder string, read func(before iter.Seq2[fingerprint.File, error], opts scan.Options) error) (*Seen, error) {
	s := new(Seen)
	if err := w.lookAtFolders(src, folder, s); err != nil {
		return nil, err
	}
	m := w.Manifest()
	fresh := freshMarks{marks: map[string]source.Mark{}}
	opts := w.opts
	opts.Hints = settled(m.Hints(w.openMarks, w.entry), w.settled, fresh.add)
	written := sha256.New()
	opts.Kept = func(f fingerprint.File, now source.Mark, entry uint64) error {
		addWritten(written, f.Path, now)
		if entry != 0 || fresh.same(f.Path, now) {
			return nil
		}
		if s.Count++; len(s.Touched) < mostTouched {
			s.Touched = append(s.Touched, f.Path)
		}
		return nil
	}
	if opts.Only != nil {
		var err error
		if opts.Only, err = source.Present(ctx, src, opts.Only); err != nil {
			return nil, err
		}
	}
	before, err := m.Open()
	if err != nil {
		return nil, err
	}
	defer before.Close()
	err = read(before.All(), opts)
	if err == nil && s.Count == 0 && s.Trail == "" && !bytes.Equal(written.Sum(nil), w.written.Sum(nil)) {
		s.Trail = "an object was written again, by the time that the store says"
	}
	return s, err
}

func (w *Watch) lookAtFolders(src source.Source, folder string, s *Seen) error {
	if w.trail == nil {
		return nil
	}
	now, err := w.trailOf(src, folder)
	if err != nil {
		return err
	}
	if path, what := w.trail.Difference(now); path != "" {
		s.Trail = source.Show(filepath.FromSlash(path)) + " " + what
		if path == "/" {
			s.Trail = "the folder itself " + what
		}
	}
	return nil
}

// openMarks opens the marks, and sees to it that they are those that were
// written.
func (w *Watch) openMarks() (io.ReadCloser, error) {
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
		err = fmt.Errorf("%s: %w", s.Name(), evidence.ErrTampered)
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

// Settled passes hints on, without the marks of files that had changed a moment
// before they began to be read, at a time in Unix ms: these are to be read again
// whatever their marks say. Another change in the same tick of the file system's
// clock would leave them as they are.
func Settled(hints iter.Seq2[hint.Hint, error], began int64) iter.Seq2[hint.Hint, error] {
	return settled(hints, began*1e6-settledAfter.Nanoseconds(), func(string, source.Mark) {})
}

// settled is Settled by Unix ns; it tells of the marks that it leaves out.
func settled(hints iter.Seq2[hint.Hint, error], before int64, leftOut func(path string, m source.Mark)) iter.Seq2[hint.Hint, error] {
	return func(yield func(hint.Hint, error) bool) {
		for h, err := range hints {
			m := &h.Mark
			if err == nil && (*m == source.Mark{} || max(m.MTime, m.CTime) > before) {
				leftOut(h.File.Path, *m)
				*m = source.Mark{}
			}
			if !yield(h, err) {
				return
			}
		}
	}
}

// Gone reports whether an error says that something is not there any more,
// or is nothing that can be fingerprinted, where it was before.
func Gone(err error) bool {
	for _, class := range []error{fs.ErrNotExist, source.ErrChanged, source.ErrLink, source.ErrIrregular, source.ErrName} {
		if errors.Is(err, class) {
			return true
		}
	}
	return false
}
