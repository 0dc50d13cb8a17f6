package scan

import (
	"crypto/sha256"
	"sync"
	"sync/atomic"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/source"
)

// piece is how many bytes of a large file are read at once: few enough that
// they are still in the core's own cache when they are hashed.
const piece = 128 << 10

// large is a file of several chunks, which several workers read at once. Its
// parts are the chunks and, before them, where the plain SHA-256 is asked for,
// the whole file once more: that hash cannot be shared out.
type large struct {
	batch  *batch
	index  int // its place in the batch
	r      source.Reader
	chunks []fingerprint.Digest
	plain  *fingerprint.Digest // nil unless asked for

	parts int64
	next  atomic.Int64 // the first part that no worker has taken
	left  atomic.Int64 // parts that are not finished
	bad   atomic.Bool  // err is set

	mu    sync.Mutex
	err   error // of the lowest part that failed
	errAt int64
}

func newLarge(b *batch, i int, r source.Reader, opts Options) *large {
	n := fingerprint.ChunkCount(r.Size())
	l := &large{batch: b, index: i, r: r, chunks: make([]fingerprint.Digest, n), parts: int64(n)}
	if opts.PlainSHA256 {
		l.plain = new(fingerprint.Digest)
		l.parts++
	}
	l.left.Store(l.parts)
	return l
}

func (l *large) more() bool { return l.next.Load() < l.parts }

// abandon closes a file of which not all parts were taken; one whose parts were
// is closed by whoever finishes the last.
func (l *large) abandon() {
	if l.more() {
		l.r.Close()
	}
}

func (l *large) fail(part int64, err error) {
	l.mu.Lock()
	if l.err == nil || part < l.errAt {
		l.err, l.errAt = err, part
	}
	l.mu.Unlock()
	l.bad.Store(true)
}

// share lets the other workers take parts of a large file too.
func (r *reader) share(l *large) {
	r.mu.Lock()
	r.held += len(l.chunks)
	r.large = append(r.large, l)
	r.work.Broadcast()
	r.mu.Unlock()
}

// parts reads parts of a large file until all are taken. Whoever finishes the
// last one finishes the file.
func (w *worker) parts(l *large) {
	for !w.stopped.Load() {
		i := l.next.Add(1) - 1
		if i >= l.parts {
			return
		}
		// After an error the rest is taken but not read.
		if !l.bad.Load() {
			if err := w.part(l, i); err != nil {
				l.fail(i, err)
			}
		}
		if l.left.Add(-1) == 0 {
			w.finish(l)
		}
	}
}

func (w *worker) part(l *large, i int64) error {
	if l.plain != nil {
		if i--; i < 0 {
			return w.plain(l)
		}
	}
	n := uint64(fingerprint.ChunkLen(l.r.Size(), uint64(i)))
	w.hash.Reset()
	err := l.r.Range(w.ctx, uint64(i)*fingerprint.ChunkSize, n, w.buf[:piece], func(p []byte) { w.hash.Write(p) })
	w.hash.Sum(l.chunks[i][:0])
	w.opts.Progress.BytesDone.Add(n)
	return err
}

// plain hashes the whole file from its beginning to its end.
func (w *worker) plain(l *large) error {
	h := sha256.New()
	size := l.r.Size()
	for i := range uint64(len(l.chunks)) {
		if w.stopped.Load() || l.bad.Load() {
			return nil // nobody will use it
		}
		n := uint64(fingerprint.ChunkLen(size, i))
		if err := l.r.Range(w.ctx, i*fingerprint.ChunkSize, n, w.buf[:piece], func(p []byte) { h.Write(p) }); err != nil {
			return err
		}
	}
	h.Sum(l.plain[:0])
	return nil
}

// finish checks that a large file is what it was, and passes it on.
func (w *worker) finish(l *large) {
	err := l.err
	if err == nil && w.stopped.Load() {
		err = errStopped
	}
	if err == nil {
		err = l.r.Unchanged(w.ctx)
	}
	size := l.r.Size()
	if e := l.r.Close(); err == nil {
		err = e
	}
	if err != nil {
		l.batch.finish(l.index, fingerprint.File{}, err)
		return
	}
	w.opts.Progress.FilesDone.Add(1)
	l.batch.finish(l.index, fingerprint.File{
		Path:   l.batch.objects[l.index].Path,
		Size:   size,
		Digest: w.opts.Algorithm.FileDigest(size, l.chunks),
		Chunks: l.chunks,
		SHA256: l.plain,
	}, nil)
}
