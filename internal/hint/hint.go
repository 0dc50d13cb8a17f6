// Package hint is what an earlier scan read, so that it is not read twice: the
// marks file, which a stamp signs and which lies beside a manifest, and the
// journal of a scan under way.
//
// A hint decides what is not read. So it comes only from where nobody else can
// write: an attachment whose digest a trusted stamp signs, or the user's own
// state directory; never from a file that lies beside the data.
package hint

import (
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
		if err := join(files, marks, entry, yield); err != nil {
			yield(Hint{}, err)
		}
	}
}

func join(files iter.Seq2[fingerprint.File, error], marks *MarksReader, entry uint64, yield func(Hint, error) bool) error {
	if entry == 0 || entry > MaxEntry {
		return fmt.Errorf("join marks: entry %d is no stamp", entry)
	}
	for f, err := range files {
		if err != nil {
			return err
		}
		mark, read, err := marks.Next()
		switch {
		case err == io.EOF:
			return fmt.Errorf("join marks: %w: fewer marks than files: none for %s", fingerprint.ErrMismatch, source.Show(f.Path))
		case err != nil:
			return err
		case read >= entry:
			return fmt.Errorf("join marks: %w: %s was read at entry %d, not before the stamp's, %d", fingerprint.ErrFormat, source.Show(f.Path), read, entry)
		case read == 0:
			read = entry
		}
		if mark != (source.Mark{}) {
			mark.Size = int64(f.Size)
		}
		if !yield(Hint{f, mark, read}, nil) {
			return nil
		}
	}
	_, _, err := marks.Next()
	switch {
	case err == nil:
		return fmt.Errorf("join marks: %w: more marks than files", fingerprint.ErrMismatch)
	case err != io.EOF:
		return err
	}
	return nil
}
