package scan

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"sync"
	"sync/atomic"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/hint"
	"github.com/stele-ml/stele/internal/shard"
	"github.com/stele-ml/stele/internal/source"
)

const (
	// batchSize is how many files travel together from the listing to the
	// workers and on. Several workers read from one batch.
	batchSize = 64
	// window is how many batches may be between the listing and emit.
	window = 64
	// maxHeld bounds the chunk digests of finished files that wait for an
	// earlier file: 64 MiB of them, from 2 TiB of data.
	maxHeld = 1 << 21
)

// errStopped ends the listing and the workers after an error or at the end.
var errStopped = errors.New("scan stopped")

// batch is some consecutive files.
type batch struct {
	objects []source.Object
	hints   []*hint.Hint // in the same places; nil where there is none
	found   []found      // results, in the same places
	held    int          // chunk digests in the hints
	next    atomic.Int32 // the first file that no worker has taken
	left    atomic.Int32 // how many are not finished
	done    chan struct{}
}

// found is what a scan found out of one file.
type found struct {
	file    fingerprint.File
	err     error
	mark    source.Mark     // of the file when its bytes were read
	how     source.Strength // how sure it is without reading; source.Unsure: it was read
	entry   uint64          // that last read it; 0: this scan
	resumed uint64          // bytes that an interrupted run of this scan read
}

func newBatch() *batch {
	return &batch{objects: make([]source.Object, 0, batchSize), done: make(chan struct{})}
}

// reader is the state of one scan. Its goroutines are the listing, the workers
// and, the caller's own, the emitter.
type reader struct {
	ctx   context.Context
	src   source.Source
	opts  Options
	notes notebook
	spent atomic.Uint64 // bytes read, where there is a bound

	partChunks uint64 // how many chunks of a large file are read at once

	stopped atomic.Bool
	idle    atomic.Int32 // workers that wait

	ordered chan *batch   // to the emitter; closed at the listing's end
	listErr error         // what the listing ended with, set before that
	listing shard.Listing // of a shard, set before that

	mu     sync.Mutex
	work   *sync.Cond // there is something to take, or it is over
	room   *sync.Cond // the window has room, or it is over
	open   []*batch   // with files that no worker has taken, in order
	large  []*large   // with parts that no worker has taken, in order
	head   *batch     // what the emitter waits for
	flying int        // batches in the window
	held   int        // chunk digests in it
}

// read passes every file of a source to emit, in order.
func read(ctx context.Context, src source.Source, opts Options, skip source.Skip, emit func(*found) error) (shard.Listing, error) {
	r := &reader{ctx: ctx, src: src, opts: opts, partChunks: 1, ordered: make(chan *batch, window)}
	if remote, ok := src.(source.Remote); ok {
		r.partChunks = max(1, remote.RangeSize()/fingerprint.ChunkSize)
	}
	r.notes.begin(&opts)
	r.work, r.room = sync.NewCond(&r.mu), sync.NewCond(&r.mu)
	var wg sync.WaitGroup
	defer func() {
		r.stop()
		wg.Wait()
		for _, l := range r.large {
			l.abandon()
		}
	}()
	defer context.AfterFunc(ctx, r.stop)()
	wg.Go(func() { r.list(skip) })
	for range opts.Workers {
		wg.Go(func() { newWorker(r).run() })
	}
	if err := r.emitAll(emit); err != nil {
		return shard.Listing{}, err
	}
	return r.listing, nil
}

// stop ends everything; it may be called at any time.
func (r *reader) stop() {
	r.stopped.Store(true)
	r.mu.Lock()
	r.work.Broadcast()
	r.room.Broadcast()
	r.mu.Unlock()
}

// emitAll waits for the batches in order.
func (r *reader) emitAll(emit func(*found) error) error {
	for {
		var b *batch
		select {
		case b = <-r.ordered:
		case <-r.ctx.Done():
			return context.Cause(r.ctx)
		}
		if b == nil {
			return r.cause(r.listErr)
		}
		r.mu.Lock()
		r.head = b
		r.work.Broadcast()
		r.mu.Unlock()
		select {
		case <-b.done:
		case <-r.ctx.Done():
			return context.Cause(r.ctx)
		}
		held := b.held
		for i := range b.found {
			f := &b.found[i]
			if f.err != nil {
				return r.cause(f.err)
			}
			if f.how == source.Unsure {
				held += len(f.file.Chunks)
			}
			if err := emit(f); err != nil {
				return err
			}
		}
		r.mu.Lock()
		r.flying--
		r.held -= held
		r.room.Signal()
		r.mu.Unlock()
	}
}

// cause returns why everything was stopped in place of an error that merely
// comes of it.
func (r *reader) cause(err error) error {
	if r.ctx.Err() != nil && (errors.Is(err, errStopped) || errors.Is(err, r.ctx.Err())) {
		return context.Cause(r.ctx)
	}
	return err
}

// list fills batches.
func (r *reader) list(skip source.Skip) {
	defer close(r.ordered)
	in := newIntake(&r.opts)
	defer in.close()
	b := newBatch()
	err := objects(r.ctx, r.src, &r.opts, skip, func(o source.Object) error {
		h, ours, err := in.take(o.Path)
		if err != nil || !ours {
			return err
		}
		b.add(o, h)
		// Workers that wait get what there is.
		if n := len(b.objects); n == batchSize || n >= batchSize/8 && r.idle.Load() > 0 || b.held > maxHeld/window {
			if !r.hand(b) {
				return errStopped
			}
			b = newBatch()
		}
		return nil
	})
	if len(b.objects) > 0 && !r.hand(b) && err == nil {
		err = errStopped
	}
	if err == nil {
		err = in.end()
	}
	if in.listed != nil {
		r.listing = in.listed.Listing()
	}
	r.listErr = err
}

func (b *batch) add(o source.Object, h *hint.Hint) {
	b.objects = append(b.objects, o)
	if h != nil {
		for len(b.hints) < len(b.objects)-1 {
			b.hints = append(b.hints, nil)
		}
		b.hints = append(b.hints, h)
		b.held += len(h.File.Chunks)
	}
}

// hint returns the hint on a file, or nil.
func (b *batch) hint(i int) *hint.Hint {
	if i < len(b.hints) {
		return b.hints[i]
	}
	return nil
}

// hand gives a batch to the workers, once the window has room, and its place in
// the order to the emitter.
func (r *reader) hand(b *batch) bool {
	b.found = make([]found, len(b.objects))
	b.left.Store(int32(len(b.objects)))
	r.mu.Lock()
	defer r.mu.Unlock()
	full := func() bool {
		return r.flying == window || r.flying > 0 && b.held > 0 && r.held+b.held > maxHeld
	}
	for full() && !r.stopped.Load() {
		r.room.Wait()
	}
	if r.stopped.Load() {
		return false
	}
	r.flying++
	r.held += b.held
	r.open = append(r.open, b)
	r.ordered <- b // has room: it holds as many as the window
	r.work.Broadcast()
	return true
}

// take returns what a worker should do next: a part of a large file, so that
// the file is finished before others are begun, or files of a batch. Both are
// nil when it is over.
func (r *reader) take() (*batch, *large) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for {
		if r.stopped.Load() {
			return nil, nil
		}
		for len(r.large) > 0 {
			if l := r.large[0]; l.more() {
				return nil, l
			}
			r.large = r.large[1:]
		}
		for len(r.open) > 0 {
			b := r.open[0]
			if int(b.next.Load()) >= len(b.objects) {
				r.open = r.open[1:]
				continue
			}
			if r.held > maxHeld && b != r.head {
				break // until the emitter has come nearer
			}
			return b, nil
		}
		r.idle.Add(1)
		r.work.Wait()
		r.idle.Add(-1)
	}
}

// finish notes that one file of a batch is finished.
func (r *reader) finish(b *batch, i int, f found) {
	b.found[i] = f
	if b.left.Add(-1) == 0 {
		r.notes.files(b)
		close(b.done)
	}
}

// worker reads files, one at a time, or a part of a large one.
type worker struct {
	*reader
	buf  []byte    // for a whole file of at most one chunk, or a piece of a larger one
	hash hash.Hash // for a chunk in pieces
}

func newWorker(r *reader) *worker {
	return &worker{r, make([]byte, fingerprint.ChunkSize), r.opts.Algorithm.New()}
}

func (w *worker) run() {
	for {
		b, l := w.take()
		switch {
		case l != nil:
			w.parts(l)
		case b != nil:
			w.files(b)
		default:
			return
		}
	}
}

// files reads files of a batch until all are taken, or until there is a large
// one to help with.
func (w *worker) files(b *batch) {
	for !w.stopped.Load() {
		i := int(b.next.Add(1)) - 1
		if i >= len(b.objects) {
			return
		}
		if w.file(b, i) {
			return
		}
	}
}

// file reads one file, or, if it is large, shares it out and reports true.
func (w *worker) file(b *batch, i int) bool {
	o := b.objects[i]
	if f, ok := w.known(o, b.hint(i)); ok {
		w.opts.Progress.FilesDone.Add(1)
		w.opts.Progress.BytesDone.Add(f.file.Size)
		w.opts.Progress.BytesTaken.Add(f.file.Size)
		w.finish(b, i, f)
		return false
	}
	got, err := w.src.Fetch(w.ctx, o, w.buf)
	if err != nil {
		w.finish(b, i, found{err: err})
		return false
	}
	if rd := got.Reader; rd != nil {
		if size := rd.Size(); size > fingerprint.MaxFileSize {
			rd.Close()
			err := &source.Error{Path: o.Path, Detail: fmt.Sprintf("it has %d bytes, more than %d", size, uint64(fingerprint.MaxFileSize))}
			w.finish(b, i, found{err: err})
			return false
		}
		return w.share(w.newLarge(b, i, got))
	}
	data := w.buf[:got.N]
	f := fingerprint.File{Path: o.Path, Size: uint64(got.N), Digest: w.opts.Algorithm.Sum(data)}
	if w.opts.PlainSHA256 {
		sum := fingerprint.Digest(sha256.Sum256(data))
		f.SHA256 = &sum
	}
	if err := w.spend(f.Size); err != nil {
		w.finish(b, i, found{err: err})
		return false
	}
	w.notes.count(f.Size)
	w.opts.Progress.FilesDone.Add(1)
	w.opts.Progress.BytesDone.Add(f.Size)
	w.finish(b, i, found{file: f, mark: got.Mark})
	return false
}

// known finds out whether a file need not be read: whether it still is what an
// interrupted run of this scan read, or what the hint on it says. Whatever is
// wrong with it shows when it is read.
func (w *worker) known(o source.Object, h *hint.Hint) (f found, ok bool) {
	var past hint.Hint
	resumed := false
	if w.notes.past() {
		past, resumed = w.notes.j.File(o.Path)
	}
	if h == nil && !resumed {
		return f, false
	}
	now, err := w.src.Mark(w.ctx, o)
	if err != nil {
		return f, false
	}
	// What is passed on is the mark of when the bytes were read, not the one of
	// now: or what was known again by an ETag once would count as known by its
	// version from then on. When it was written is of now: a mark that was kept
	// does not have it.
	past.Mark.Modified = now.Modified
	if resumed && past.Mark.Same(now) != source.Unsure {
		return found{file: past.File, mark: past.Mark, resumed: past.File.Size}, true
	}
	if h == nil {
		return f, false
	}
	how := w.opts.same(h, now)
	mark := h.Mark
	mark.Modified = now.Modified
	return found{file: w.opts.takeOver(h), mark: mark, how: how, entry: h.Entry}, how != source.Unsure
}
