// Package hint is what an earlier scan read, so that it is not read twice: the
// marks file, which a stamp signs and which lies beside a manifest, and the
// journal of a scan under way.
//
// A hint decides what is not read. So it comes only from where nobody else can
// write: an attachment whose digest a trusted stamp signs, or the user's own
// state directory; never from a file that lies beside the data.
package hint

import (
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/source"
)

// Hint is what an earlier scan read of one file.
type Hint struct {
	File fingerprint.File
	Mark source.Mark // of the file when its bytes were read
	// Entry is the ledger's entry that last read the bytes; 0 if it was an
	// interrupted run of the same scan, which has none yet.
	Entry uint64
}

// Join joins a manifest's files with the marks file beside it. entry is the
// stamp's own: it stands for itself where the marks say that the bytes were
// read for that stamp.
//
// An error, and so a file too many or too few on one side, is the last pair.
// Nothing is proven before the end has been reached without one.
func Join(files iter.Seq2[fingerprint.File, error], marks *MarksReader, entry uint64) iter.Seq2[Hint, error] {
	return func(yield func(Hint, error) bool) {
		yield(Hint{}, errors.New("not yet"))
	}
}

// MarksWriter writes a marks file: docs/formats/marks.md.
type MarksWriter struct{}

// NewMarksWriter returns a writer to w, which need not be buffered.
func NewMarksWriter(w io.Writer) *MarksWriter { return new(MarksWriter) }

// Add appends the mark of the manifest's next file, and the entry that last
// read it, 0 for the one that will name this file.
func (m *MarksWriter) Add(mark source.Mark, entry uint64) error { return errors.New("not yet") }

// Close writes the end. fp is the fingerprint of the manifest beside it.
func (m *MarksWriter) Close(fp fingerprint.Fingerprint) error { return errors.New("not yet") }

// MarksReader reads a marks file.
type MarksReader struct{}

// NewMarksReader reads the first bytes of a marks file. It must be that of the
// manifest with the fingerprint want.
func NewMarksReader(r io.Reader, want fingerprint.Fingerprint) (*MarksReader, error) {
	return nil, errors.New("not yet")
}

// Next returns the next mark, without a size, which is the manifest's, and its
// entry. After the last it returns io.EOF if the whole file has checked.
func (m *MarksReader) Next() (source.Mark, uint64, error) {
	return source.Mark{}, 0, errors.New("not yet")
}

// Key says which scan a journal is of.
type Key struct {
	// Place is where the bytes lie, and whatever else tells one scan from
	// another that may run at the same time: a shard.
	Place     string
	Algorithm fingerprint.Algorithm
	Plain     bool // plain SHA-256 digests are recorded besides
}

// ErrBusy: another process has the journal open.
var ErrBusy = errors.New("another scan of the same place is under way")

// Journal is of a scan under way. Its methods may be called concurrently.
type Journal struct{}

// OpenJournal opens the journal of a scan in dir, the folder of the user's own
// state where all journals are. Nothing is made there before there is something
// to remember. One that is older than [MaxAge], or cannot be read, is dropped;
// one that another process has open is ErrBusy.
func OpenJournal(dir string, key Key) (*Journal, error) {
	return new(Journal), fmt.Errorf("not yet")
}

// Resumed reports whether an earlier run left something behind.
func (j *Journal) Resumed() bool { return false }

// Done removes the journal: the scan's result is safe.
func (j *Journal) Done() error { return nil }

// Close keeps the journal for the next run.
func (j *Journal) Close() error { return nil }
