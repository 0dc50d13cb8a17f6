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
// parts are some consecutive chunks each and, before them, where the plain
// SHA-256 is asked for, the whole file once more: that hash cannot be shared
// out.
type large struct {
	batch  *batch
	index  int // its place in the batch
	r      source.Reader
	mark   source.Mark
	chunks []fingerprint.Digest
	plain  *fingerprint.Digest // nil unless asked for

	per   uint64 // chunks in a part
	parts int64
	have  []bool // parts that an interrupted run has read; nil if there is no journal
	next  atomic.Int64
	left  atomic.Int64 // parts that are not finished
	bad   atomic.Bool  // err is set

	resumed uint64         // bytes that an interrupted run has read
	groups  []atomic.Int32 // parts to come of each group of chunks that is noted together; nil if none is

	mu    sync.Mutex
	err   error // of the lowest part that failed
	errAt int64
}

func (w *worker) newLarge(b *batch, i int, got source.Fetched) *large {
	n := fingerprint.ChunkCount(got.Reader.Size())
	l := &large{batch: b, index: i, r: got.Reader, mark: got.Mark, chunks: make([]fingerprint.Digest, n), per: w.partChunks}
	if w.opts.PlainSHA256 {
		l.plain = new(fingerprint.Digest)
	}
	l.parts = l.firstPart() + int64((n+l.per-1)/l.per)
	if w.notes.j != nil {
		l.have = make([]bool, l.parts)
		w.notes.follow(l)
	}
	left := l.parts
	for i := range l.have {
		if !l.have[i] {
			continue
		}
		left--
		if i := int64(i); i >= l.firstPart() {
			from, to := l.span(i)
			l.resumed += min(to*fingerprint.ChunkSize, l.r.Size()) - from*fingerprint.ChunkSize
		}
	}
	l.left.Store(left)
	w.opts.Progress.BytesDone.Add(l.resumed)
	w.opts.Progress.BytesTaken.Add(l.resumed)
	return l
}

func (l *large) path() string { return l.batch.objects[l.index].Path }

// firstPart is the first part that is of chunks.
func (l *large) firstPart() int64 {
	if l.plain != nil {
		return 1
	}
	return 0
}

// span is the chunks of a part, from the first to the one after the last.
func (l *large) span(part int64) (from, to uint64) {
	from = uint64(part-l.firstPart()) * l.per
	return from, min(from+l.per, uint64(len(l.chunks)))
}

func (l *large) more() bool { return l.next.Load() < l.parts }

// abandon closes a file of which not all parts were read; one whose parts were
// is closed by whoever finishes the last.
func (l *large) abandon() {
	if l.left.Load() > 0 {
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

// share lets the other workers take parts of a large file too, and reports
// whether there are any.
func (w *worker) share(l *large) bool {
	if l.left.Load() == 0 { // an interrupted run has read them all
		w.mu.Lock()
		w.held += len(l.chunks)
		w.mu.Unlock()
		w.end(l)
		return false
	}
	r := w.reader
	r.mu.Lock()
	r.held += len(l.chunks)
	r.large = append(r.large, l)
	r.work.Broadcast()
	r.mu.Unlock()
	return true
}

// parts reads parts of a large file until all are taken. Whoever finishes the
// last one finishes the file.
func (w *worker) parts(l *large) {
	for !w.stopped.Load() {
		i := l.next.Add(1) - 1
		if i >= l.parts {
			return
		}
		if l.have != nil && l.have[i] {
			continue
		}
		// After an error the rest is taken but not read.
		if !l.bad.Load() {
			if err := w.part(l, i); err != nil {
				l.fail(i, err)
			} else if !l.bad.Load() { // which may have cut the plain hash short
				w.notePart(l, i)
			}
		}
		if l.left.Add(-1) == 0 {
			w.end(l)
		}
	}
}

func (w *worker) part(l *large, i int64) error {
	if i < l.firstPart() {
		return w.plain(l)
	}
	size := l.r.Size()
	at, to := l.span(i)
	off := at * fingerprint.ChunkSize
	n := min(to*fingerprint.ChunkSize, size) - off
	if err := w.spend(n); err != nil {
		return err
	}
	left := fingerprint.ChunkLen(size, at) // bytes of chunk at that have not come
	over := 0
	w.hash.Reset()
	err := l.r.Range(w.ctx, off, n, w.buf[:piece], func(p []byte) {
		for len(p) > 0 && at < to {
			k := min(len(p), left)
			w.hash.Write(p[:k])
			p, left = p[k:], left-k
			if left == 0 {
				w.hash.Sum(l.chunks[at][:0])
				w.opts.Progress.BytesDone.Add(uint64(fingerprint.ChunkLen(size, at)))
				w.hash.Reset()
				at++
				left = fingerprint.ChunkLen(size, at)
			}
		}
		over += len(p)
	})
	w.notes.count(n)
	if err == nil && (at < to || over > 0) {
		err = &source.Error{Path: l.path(), Detail: "a range gave more or fewer bytes than were asked for"}
	}
	return err
}

// plain hashes the whole file from its beginning to its end.
func (w *worker) plain(l *large) error {
	h := sha256.New()
	size := l.r.Size()
	for i := l.firstPart(); i < l.parts; i++ {
		if w.stopped.Load() {
			return errStopped
		}
		if l.bad.Load() {
			return nil // nobody will use it
		}
		from, to := l.span(i)
		off := from * fingerprint.ChunkSize
		n := min(to*fingerprint.ChunkSize, size) - off
		if err := w.spend(n); err != nil {
			return err
		}
		if err := l.r.Range(w.ctx, off, n, w.buf[:piece], func(p []byte) { h.Write(p) }); err != nil {
			return err
		}
	}
	h.Sum(l.plain[:0])
	return nil
}

// end checks that a large file is what it was, and passes it on.
func (w *worker) end(l *large) {
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
		w.finish(l.batch, l.index, found{err: err})
		return
	}
	w.opts.Progress.FilesDone.Add(1)
	w.finish(l.batch, l.index, found{mark: l.mark, resumed: l.resumed, file: fingerprint.File{
		Path:   l.path(),
		Size:   size,
		Digest: w.opts.Algorithm.FileDigest(size, l.chunks),
		Chunks: l.chunks,
		SHA256: l.plain,
	}})
}
