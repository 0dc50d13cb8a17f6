package audit

import (
	"context"
	"errors"
	"hash"
	"io/fs"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
)

// piece is how many bytes of a chunk are read at once: few enough that they are
// still in the core's own cache when they are hashed.
const piece = 128 << 10

// worker does jobs, one after another.
type worker struct {
	ctx       context.Context
	src       source.Source
	algorithm fingerprint.Algorithm
	progress  *scan.Progress

	buf  []byte // for a whole small file, or a piece of a larger one; it grows as needed
	hash hash.Hash
}

func (w *worker) run(jobs <-chan *job) {
	for {
		select {
		case j := <-jobs:
			if j == nil {
				return
			}
			w.job(j)
		case <-w.ctx.Done():
			return
		}
	}
}

// job does the tasks of a job, up to the first that fails.
func (w *worker) job(j *job) {
	defer close(j.done)
	for i := range j.tasks {
		t := &j.tasks[i]
		if t.err = w.task(t); t.err != nil {
			return
		}
	}
}

func (w *worker) task(t *task) error {
	if t.lookup {
		o, err := w.src.Lookup(w.ctx, t.object.Path)
		if errors.Is(err, fs.ErrNotExist) {
			t.fate = vanished
			return nil
		}
		if err != nil {
			return err
		}
		t.object = o
		if o.Size >= 0 {
			t.sized(uint64(o.Size))
		}
	}
	switch {
	case t.read && (t.fate == unknown || t.fate == stays):
		return w.read(t)
	case t.fate == unknown:
		n, err := w.size(t.object)
		t.sized(n)
		return err
	case t.fate == appeared && t.object.Size < 0:
		var err error
		t.size, err = w.size(t.object)
		return err
	}
	return nil
}

// sized notes the present size.
func (t *task) sized(n uint64) {
	if t.size, t.fate = n, stays; n != t.want {
		t.fate = resized
	}
}

// size finds a size that the listing did not tell.
func (w *worker) size(o source.Object) (uint64, error) {
	m, err := w.src.Mark(w.ctx, o)
	if err != nil || m != (source.Mark{}) {
		return uint64(m.Size), err
	}
	// It changed a moment ago; opening it tells even so.
	got, err := w.src.Fetch(w.ctx, o, nil)
	if err != nil || got.Reader == nil {
		return 0, err
	}
	return got.Reader.Size(), got.Reader.Close()
}

// read compares a chunk.
func (w *worker) read(t *task) (err error) {
	small := t.want <= fingerprint.ChunkSize
	var whole []byte
	if small {
		whole = w.buffer(int(t.want))
	}
	got, err := w.src.Fetch(w.ctx, t.object, whole)
	if err != nil {
		return err
	}
	size := uint64(got.N)
	if r := got.Reader; r != nil {
		defer func() {
			if e := r.Close(); err == nil {
				err = e
			}
		}()
		size = r.Size()
	}
	if size != t.want {
		if t.fate == stays { // as the listing said
			return &source.Error{Path: t.path(), Class: source.ErrChanged, Detail: "its size is not what it was"}
		}
		t.sized(size)
		return nil
	}
	var sum fingerprint.Digest
	if small {
		sum = w.algorithm.Sum(whole)
	} else if sum, err = w.chunk(got.Reader, t.chunk); err != nil {
		return err
	}
	t.sized(size)
	t.differs = sum != t.digest
	w.progress.BytesDone.Add(t.chunk.Len())
	return nil
}

// chunk hashes a chunk of a large file, which did not change meanwhile.
func (w *worker) chunk(r source.Reader, c fingerprint.Range) (sum fingerprint.Digest, err error) {
	if w.hash == nil {
		w.hash = w.algorithm.New()
	}
	w.hash.Reset()
	if err := r.Range(w.ctx, c.Start, c.Len(), w.buffer(piece), func(p []byte) { w.hash.Write(p) }); err != nil {
		return sum, err
	}
	w.hash.Sum(sum[:0])
	return sum, r.Unchanged(w.ctx)
}

// buffer returns n bytes to read into.
func (w *worker) buffer(n int) []byte {
	if n > len(w.buf) {
		w.buf = make([]byte, max(n, piece))
	}
	return w.buf[:n]
}
