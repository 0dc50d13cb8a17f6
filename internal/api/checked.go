package api

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/stele-ml/stele/fingerprint"
)

// CheckAttachment reads a document to its end: ErrDocument if it is not the one with
// that digest.
func CheckAttachment(r io.Reader, sum [32]byte) error {
	h := sha256.New()
	if _, err := io.Copy(h, r); err != nil {
		return err
	}
	if got := [32]byte(h.Sum(nil)); got != sum {
		return fmt.Errorf("%w: attachment %x: this is %x", ErrDocument, sum, got)
	}
	return nil
}

// CheckManifest reads a manifest to its end, which must be that of r too: ErrDocument
// if it is not the one of that fingerprint.
func CheckManifest(r io.Reader, fp fingerprint.Fingerprint) error {
	b := bufio.NewReaderSize(r, 256<<10)
	m, err := fingerprint.NewReader(b, fp)
	if err != nil {
		return fmt.Errorf("%w: manifest of %s: %w", ErrDocument, fp, err)
	}
	for _, err := range m.All() {
		if err != nil {
			return fmt.Errorf("%w: manifest of %s: %w", ErrDocument, fp, err)
		}
	}
	switch _, err := b.ReadByte(); {
	case err == nil:
		return fmt.Errorf("%w: manifest of %s: there are bytes after its end", ErrDocument, fp)
	case !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

// checked is a document that is checked while it is read. Its last bytes come only
// once all were found to be the right ones: nobody gets another one whole.
type checked struct {
	document io.ReadCloser
	left     int64
	to       *io.PipeWriter
	verdict  chan error // of the check, which is one
	err      error      // once reading has ended
	judged   bool
}

// newChecked has a document of that many bytes checked. It must be closed.
func newChecked(document io.ReadCloser, size int64, check func(io.Reader) error) *checked {
	from, to := io.Pipe()
	c := &checked{document: document, left: size, to: to, verdict: make(chan error, 1)}
	go func() {
		err := check(from)
		from.CloseWithError(err) // a write that waits ends with it
		c.verdict <- err
	}()
	return c
}

// Read implements io.Reader.
func (c *checked) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.document.Read(p)
	if c.left -= int64(n); c.left < 0 || errors.Is(err, io.EOF) && c.left > 0 {
		c.err = fmt.Errorf("%w: it is of another length", ErrDocument)
		return 0, c.err
	}
	if n > 0 {
		if _, werr := c.to.Write(p[:n]); werr != nil {
			c.err = werr
			return 0, werr
		}
	}
	if c.left == 0 && !c.judged && (err == nil || errors.Is(err, io.EOF)) {
		if verdict := c.judge(nil); verdict != nil {
			c.err = verdict
			return 0, verdict
		}
	}
	c.err = err
	return n, err
}

// judge ends what is checked, there or with an error, and returns the verdict.
func (c *checked) judge(end error) error {
	c.judged = true
	c.to.CloseWithError(end)
	return <-c.verdict
}

// Close implements io.Closer. Nothing of the check goes on after it.
func (c *checked) Close() error {
	if !c.judged {
		_ = c.judge(io.ErrClosedPipe)
	}
	return c.document.Close()
}
