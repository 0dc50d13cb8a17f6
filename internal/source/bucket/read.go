package bucket

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/stele-ml/stele/internal/source"
)

const (
	// maxAttempts is how many answers may break in a row before a read gives up.
	maxAttempts = 8
	// minProgress is how many bytes make up for the breaks before: a store that
	// gives a byte at a time does not keep a read going for ever.
	minProgress = 64 << 10
)

// Backoff is how long to wait before another attempt after failures in a row:
// twice as long each time, up to a bound, and half of it by chance, so that
// those who failed together do not come back together. A store that is busy is
// given more time than a connection that broke.
func Backoff(failures int, busy bool) time.Duration {
	first, most := 100*time.Millisecond, 5*time.Second
	if busy {
		first, most = 500*time.Millisecond, 20*time.Second
	}
	d := most
	if n := failures - 1; n < 10 {
		d = min(first<<max(n, 0), most)
	}
	return (d/2 + rand.N(d/2)) / haste
}

// haste divides every wait before another attempt; only tests have any.
var haste time.Duration = 1

// maxRetryAfter bounds what a store may ask for with Retry-After.
const maxRetryAfter = time.Minute

// sleep waits, or returns why ctx ended.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// reader reads one object. It implements source.Reader.
type reader struct {
	s    *Source
	path string
	size int64

	mu      sync.Mutex
	it      Item  // what every answer must be of; a version is learnt from the first
	changed error // an answer was of something else
}

// reader makes a reader of an item that has bytes.
func (s *Source) reader(path string, it *Item) (*reader, error) {
	switch {
	case it.Archived != "":
		return nil, &source.Error{Path: path, Class: source.ErrArchived, Detail: "its storage class is " + source.Show(it.Archived)}
	case isWeak(it.ETag) && it.Version == "":
		return nil, &source.Error{Path: path, Detail: "the store gives it neither a version nor an ETag to pin it by: it could change unseen while it is read"}
	}
	return &reader{s: s, path: path, size: it.Size, it: *it}, nil
}

// Size implements [source.Reader].
func (r *reader) Size() uint64 { return uint64(r.size) }

// Close implements [source.Reader].
func (r *reader) Close() error { return nil }

// Unchanged implements [source.Reader]. Every range was pinned to the same
// object, so there is nothing to ask.
func (r *reader) Unchanged(context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.changed
}

// Range implements [source.Reader]. The pieces are as long as buf, but for the
// last.
func (r *reader) Range(ctx context.Context, off, n uint64, buf []byte, use func(p []byte)) error {
	if size := uint64(r.size); off > size || n > size-off {
		return &source.Error{Path: r.path, Class: source.ErrChanged, Detail: fmt.Sprintf("it has %d bytes, too few for %d at %d", size, n, off)}
	}
	a := answers{r: r, off: int64(off), end: int64(off + n)}
	for a.off < a.end {
		p := buf[:min(int64(len(buf)), a.end-a.off)]
		if err := a.fill(ctx, p); err != nil {
			a.close()
			return err
		}
		use(p)
	}
	return a.close()
}

// pinned is what to ask for.
func (r *reader) pinned() Item {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.it
}

// check holds an answer to what was asked for.
func (r *reader) check(got Item) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	why := ""
	known := false // is the same by something that changes with the bytes
	switch {
	case got.Key != "" && got.Key != r.it.Key:
		why = "the answer is about another object"
	case got.Size != r.size:
		why = fmt.Sprintf("it has %d bytes and was listed with %d", got.Size, r.size)
	case got.Version != "" && r.it.Version != "" && got.Version != r.it.Version:
		why = "it was replaced: its version is another"
	case got.ETag != "" && r.it.ETag != "" && !sameETag(got.ETag, r.it.ETag):
		why = "it was replaced: its ETag is another"
	default:
		known = got.Version != "" && r.it.Version != "" && got.Version != nullVersion || !isWeak(got.ETag) && !isWeak(r.it.ETag)
	}
	if why == "" && !known {
		why = "the answer does not say which version it is of"
	}
	if why != "" {
		return &source.Error{Path: r.path, Class: source.ErrChanged, Detail: why}
	}
	if r.it.Version == "" {
		r.it.Version = got.Version
	}
	return nil
}

// failed notes and returns why a read ended.
func (r *reader) failed(ctx context.Context, err error) error {
	err = r.s.failed(ctx, r.path, err)
	if errors.Is(err, source.ErrChanged) {
		r.mu.Lock()
		if r.changed == nil {
			r.changed = err
		}
		r.mu.Unlock()
	}
	return err
}

// answers reads the bytes from off to end of an object, through as many answers
// as it takes: where one breaks off, the next is asked to go on.
type answers struct {
	r        *reader
	off, end int64
	body     io.ReadCloser // nil: none under way
	cut      uint64        // of the pace, when body's request began
	late     error         // came with the last bytes that were read
	failures int           // answers that broke since safe
	safe     int64         // off when failures was last 0
}

// fill reads the next len(p) bytes.
func (a *answers) fill(ctx context.Context, p []byte) error {
	for len(p) > 0 {
		if a.body == nil {
			if err := a.open(ctx); err != nil {
				return a.r.failed(ctx, err)
			}
		}
		a.late = nil
		k, err := a.body.Read(p)
		p, a.off = p[k:], a.off+int64(k)
		if a.off-a.safe >= minProgress || a.off == a.end {
			a.failures, a.safe = 0, a.off
		}
		switch {
		case err == nil:
		case err == io.EOF && a.off == a.end:
		case err == io.EOF:
			err = io.ErrUnexpectedEOF
			fallthrough
		default:
			if len(p) == 0 {
				a.late = err // the next call, if there is one, goes on from here
				break
			}
			if err := a.broke(ctx, &source.Error{Class: source.ErrUnreachable, Err: err}); err != nil {
				return a.r.failed(ctx, err)
			}
		}
	}
	return nil
}

// open asks for the bytes that are missing, until there is an answer or it is
// time to give up.
func (a *answers) open(ctx context.Context) error {
	s := a.r.s
	for {
		cut, err := s.pace.begin(ctx)
		if err != nil {
			return err
		}
		a.cut = cut
		body, got, err := s.st.Read(ctx, a.r.pinned(), a.off, a.end-a.off)
		if err == nil {
			a.body = body
			if err = a.r.check(got); err == nil {
				return nil
			}
		}
		if err := a.broke(ctx, err); err != nil {
			return err
		}
	}
}

// broke ends the answer under way, if any, and waits before the next attempt.
// What another attempt cannot cure is returned.
func (a *answers) broke(ctx context.Context, err error) error {
	s := a.r.s
	if a.body != nil {
		a.body.Close()
		a.body = nil
	}
	var busy *Busy
	isBusy := errors.As(err, &busy)
	if isBusy {
		s.pace.busy(a.cut)
	}
	s.pace.end()
	if ctx.Err() != nil || !errors.Is(err, source.ErrUnreachable) {
		return err
	}
	if a.failures++; a.failures == maxAttempts {
		e := *asError(err)
		if e.Detail != "" {
			e.Detail += "; "
		}
		e.Detail += fmt.Sprintf("gave up after %d attempts", maxAttempts)
		return &e
	}
	d := Backoff(a.failures, isBusy)
	if isBusy {
		d = max(d, min(busy.After, maxRetryAfter)/haste)
	}
	return s.wait(ctx, d)
}

// close ends the last answer. One that holds more than was asked for is not the
// object that was listed.
func (a *answers) close() error {
	if a.body == nil {
		return nil
	}
	var more [1]byte
	var k int
	err := io.EOF
	if a.off == a.end {
		// To its end, and not only to the last byte: there the connection can be
		// used again, and a store's checksum of the whole is compared.
		k, err = a.body.Read(more[:])
		if a.late != nil {
			err = a.late
		}
	}
	a.body.Close()
	a.body = nil
	a.r.s.pace.good()
	a.r.s.pace.end()
	switch {
	case k > 0:
		err = &source.Error{Class: source.ErrChanged, Detail: "the answer is longer than what was asked for"}
	case err == nil || err == io.EOF:
		return nil
	}
	return a.r.failed(context.Background(), asUnreachable(err))
}

// asUnreachable gives an error of a body its class, if it has none.
func asUnreachable(err error) error {
	if e := (*source.Error)(nil); errors.As(err, &e) {
		return err
	}
	return &source.Error{Class: source.ErrUnreachable, Err: err}
}
