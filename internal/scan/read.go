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
	files   []fingerprint.File // results, in the same places
	errs    []error
	next    atomic.Int32 // the first file that no worker has taken
	left    atomic.Int32 // how many are not finished
	done    chan struct{}
}

func newBatch() *batch {
	return &batch{objects: make([]source.Object, 0, batchSize), done: make(chan struct{})}
}

// reader is the state of one scan. Its goroutines are the listing, the workers
// and, the caller's own, the emitter.
type reader struct {
	ctx  context.Context
	src  source.Source
	opts Options

	stopped atomic.Bool
	idle    atomic.Int32 // workers that wait

	ordered chan *batch // to the emitter; closed at the listing's end
	listErr error       // what the listing ended with, set before that

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
func read(ctx context.Context, src source.Source, opts Options, skip source.Skip, emit func(fingerprint.File) error) error {
	r := &reader{ctx: ctx, src: src, opts: opts, ordered: make(chan *batch, window)}
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
	return r.emitAll(emit)
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
func (r *reader) emitAll(emit func(fingerprint.File) error) error {
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
		held := 0
		for i := range b.files {
			if b.errs[i] != nil {
				return r.cause(b.errs[i])
			}
			held += len(b.files[i].Chunks)
			if err := emit(b.files[i]); err != nil {
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
	b := newBatch()
	err := r.src.List(r.ctx, skip, func(o source.Object) error {
		b.objects = append(b.objects, o)
		// Workers that wait get what there is.
		if n := len(b.objects); n == batchSize || n >= batchSize/8 && r.idle.Load() > 0 {
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
	r.listErr = err
}

// hand gives a batch to the workers, once the window has room, and its place in
// the order to the emitter.
func (r *reader) hand(b *batch) bool {
	b.files = make([]fingerprint.File, len(b.objects))
	b.errs = make([]error, len(b.objects))
	b.left.Store(int32(len(b.objects)))
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.flying == window && !r.stopped.Load() {
		r.room.Wait()
	}
	if r.stopped.Load() {
		return false
	}
	r.flying++
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
func (b *batch) finish(i int, f fingerprint.File, err error) {
	b.files[i], b.errs[i] = f, err
	if b.left.Add(-1) == 0 {
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
	got, err := w.src.Fetch(w.ctx, o, w.buf)
	if err != nil {
		b.finish(i, fingerprint.File{}, err)
		return false
	}
	if rd := got.Reader; rd != nil {
		if size := rd.Size(); size > fingerprint.MaxFileSize {
			rd.Close()
			err := &source.Error{Path: o.Path, Detail: fmt.Sprintf("it has %d bytes, more than %d", size, uint64(fingerprint.MaxFileSize))}
			b.finish(i, fingerprint.File{}, err)
			return false
		}
		w.share(newLarge(b, i, rd, w.opts))
		return true
	}
	data := w.buf[:got.N]
	f := fingerprint.File{Path: o.Path, Size: uint64(got.N), Digest: w.opts.Algorithm.Sum(data)}
	if w.opts.PlainSHA256 {
		sum := fingerprint.Digest(sha256.Sum256(data))
		f.SHA256 = &sum
	}
	w.opts.Progress.FilesDone.Add(1)
	w.opts.Progress.BytesDone.Add(f.Size)
	b.finish(i, f, nil)
	return false
}
