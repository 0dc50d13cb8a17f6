package sourcetest

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stele-ml/stele/fingerprint"
)

// A Made file is made up: its contents are computed where they are read.
type Made struct {
	Path string
	Size uint64 // in bytes
	// Contents are the n bytes at off.
	Contents func(off, n uint64) []byte
}

// File is what a manifest says of it, put together in the plainest way.
func (m Made) File(a fingerprint.Algorithm) fingerprint.File {
	f := fingerprint.File{Path: m.Path, Size: m.Size}
	if m.Size <= fingerprint.ChunkSize {
		f.Digest = a.Sum(m.Contents(0, m.Size))
		return f
	}
	for i := range fingerprint.ChunkCount(m.Size) {
		f.Chunks = append(f.Chunks, a.Sum(m.Contents(i*fingerprint.ChunkSize, uint64(fingerprint.ChunkLen(m.Size, i)))))
	}
	f.Digest = a.FileDigest(m.Size, f.Chunks)
	return f
}

// Readers count the made-up files that a source opens, and those it closes.
type Readers struct{ opened, closed atomic.Int64 }

// Steps are where a test steps in while a file is read; a nil one is passed by.
type Steps struct {
	Range func(path string, off uint64) error // before bytes at off are read
	Check func(path string) error             // at Unchanged
	Read  func(n uint64)                      // before n bytes are given
}

// Open opens a made-up file.
func (r *Readers) Open(m Made, s Steps) *MadeReader {
	r.opened.Add(1)
	return &MadeReader{readers: r, made: m, steps: s}
}

// CheckClosed fails the test unless all that was opened is closed.
func (r *Readers) CheckClosed(t *testing.T) {
	t.Helper()
	if o, c := r.opened.Load(), r.closed.Load(); o != c {
		t.Errorf("%d readers opened, %d closed", o, c)
	}
}

// A MadeReader is an open made-up file. It implements source.Reader.
type MadeReader struct {
	readers *Readers
	made    Made
	steps   Steps
	once    sync.Once
}

// Size implements source.Reader.
func (r *MadeReader) Size() uint64 { return r.made.Size }

// Close implements source.Reader.
func (r *MadeReader) Close() error {
	r.once.Do(func() { r.readers.closed.Add(1) })
	return nil
}

// Range implements source.Reader.
func (r *MadeReader) Range(_ context.Context, off, n uint64, buf []byte, use func([]byte)) error {
	if r.steps.Range != nil {
		if err := r.steps.Range(r.made.Path, off); err != nil {
			return err
		}
	}
	if r.steps.Read != nil {
		r.steps.Read(n)
	}
	for n > 0 {
		k := min(n, uint64(len(buf)))
		use(buf[:copy(buf, r.made.Contents(off, k))])
		off, n = off+k, n-k
	}
	return nil
}

// Unchanged implements source.Reader.
func (r *MadeReader) Unchanged(context.Context) error {
	if r.steps.Check == nil {
		return nil
	}
	return r.steps.Check(r.made.Path)
}
