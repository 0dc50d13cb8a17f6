package manifest

import (
	"io"
	"iter"

	"github.com/stele-ml/stele/internal/hint"
)

// Hints are what was read of the manifest's files, by the marks that lie beside it;
// entry is the stamp's own. Nothing is proven before the end has been reached
// without an error.
func (m *Found) Hints(marks func() (io.ReadCloser, error), entry uint64) iter.Seq2[hint.Hint, error] {
	return func(yield func(hint.Hint, error) bool) {
		files, err := m.Open()
		if err != nil {
			yield(hint.Hint{}, err)
			return
		}
		defer files.Close()
		in, err := marks()
		if err != nil {
			yield(hint.Hint{}, err)
			return
		}
		defer in.Close()
		list, err := hint.NewMarksReader(in, m.Fingerprint)
		if err != nil {
			yield(hint.Hint{}, err)
			return
		}
		for h, err := range hint.Join(files.All(), list, entry) {
			// The fingerprint, by which a manifest is known, is not of the plain
			// digests: wherever it was found, these are nobody's word.
			h.File.SHA256 = nil
			if !yield(h, err) {
				return
			}
		}
		// The attachment's own digest is told only at its end.
		if _, err := io.Copy(io.Discard, in); err != nil {
			yield(hint.Hint{}, err)
		}
	}
}
