package place

import (
	"context"
	"io"

	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/bucket"
)

// whole is a small object that has been read.
type whole struct {
	rest []byte
	src  *bucket.Source
}

func (w *whole) Read(p []byte) (int, error) {
	if len(w.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, w.rest)
	w.rest = w.rest[n:]
	return n, nil
}

func (w *whole) Close() error { return w.src.Close() }

// stream is a large object, read from its beginning a range after the other by
// a goroutine that waits for whoever reads.
type stream struct {
	*io.PipeReader
	stop func()
	done chan struct{}
	r    source.Reader
	src  *bucket.Source
}

func newStream(ctx context.Context, src *bucket.Source, r source.Reader) *stream {
	ctx, stop := context.WithCancel(ctx)
	pr, pw := io.Pipe()
	s := &stream{PipeReader: pr, stop: stop, done: make(chan struct{}), r: r, src: src}
	go func() {
		defer close(s.done)
		pw.CloseWithError(s.copy(ctx, pw)) // nil is the end of the object
	}()
	return s
}

// copy writes the object to w until nobody reads any more. An object that is
// not what it was is an error before its end is told.
func (s *stream) copy(ctx context.Context, w *io.PipeWriter) error {
	buf := make([]byte, smallRead)
	size, step := s.r.Size(), s.src.RangeSize()
	for off := uint64(0); off < size; off += step {
		err := s.r.Range(ctx, off, min(step, size-off), buf, func(p []byte) {
			if _, err := w.Write(p); err != nil {
				s.stop() // the reader was closed
			}
		})
		if err != nil {
			return err
		}
	}
	return s.r.Unchanged(ctx)
}

func (s *stream) Close() error {
	s.stop()
	s.PipeReader.Close()
	<-s.done
	err := s.r.Close()
	if cerr := s.src.Close(); err == nil {
		err = cerr
	}
	return err
}
