package oms

import (
	"context"
	"fmt"
	"hash"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
)

const (
	// piece is how many bytes are read and hashed at once.
	piece = 1 << 20
	// aheadRanges is how many ranges of one object are fetched at once while its
	// hash, which takes them one after the other, is behind.
	aheadRanges = 4
)

// Want is what to find out of a file. The zero Want is nothing: it is not opened.
type Want struct {
	Hash      Hash                  // of the whole file, or of each shard; empty: none
	ShardSize uint64                // in bytes; 0: the whole file
	Tree      fingerprint.Algorithm // for its place in a fingerprint; 0: none
	Size      bool                  // how long it is, at least
}

// Found is a file of a model.
type Found struct {
	Path    string
	Size    uint64             // in bytes, where anything was wanted
	Digests [][]byte           // by Want.Hash: one, or one of each shard; of an empty file none in shards
	Tree    fingerprint.Digest // by Want.Tree
	Linked  bool               // reached through a symbolic link
}

// ReadOptions are choices about a reading.
type ReadOptions struct {
	// Skip decides what is left out, always the same way; nil: nothing. Hidden, if
	// not nil, is called once with each path that it left out.
	Skip     source.Skip
	Hidden   func(path string, folder bool)
	Want     func(path string) Want
	Workers  int            // files, or shards, at once; 0: as many as the source asks for, or one for each core
	MaxRead  uint64         // bytes; 0: no bound. More is *scan.TooMuchError
	Progress *scan.Progress // or nil
}

// Read goes through a model once and finds out of each file what is wanted. The
// files come back in path order. Memory is bounded by their number, whatever
// their sizes.
func Read(ctx context.Context, src source.Source, o ReadOptions) ([]Found, error) {
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
		if remote, ok := src.(source.Remote); ok {
			o.Workers = max(1, remote.Requests())
		}
	}
	if o.Progress == nil {
		o.Progress = new(scan.Progress)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r := &reading{src: src, o: &o, slots: make(chan struct{}, o.Workers), cancel: cancel}
	r.buffers.New = func() any { return new([piece]byte) }
	defer scan.CountAhead(ctx, src, o.Skip, o.Progress)()
	linked := func(source.Object) bool { return false }
	if s, ok := src.(interface{ Linked(source.Object) bool }); ok {
		linked = s.Linked
	}
	var found []*Found
	err := src.List(ctx, o.skip(), func(obj source.Object) error {
		if len(found) == MaxModelFiles {
			return fmt.Errorf("%w: the model has more than %d files", ErrLimit, MaxModelFiles)
		}
		f := &Found{Path: obj.Path, Linked: linked(obj)}
		found = append(found, f)
		want := o.Want(obj.Path)
		if want == (Want{}) {
			return nil
		}
		select {
		case r.slots <- struct{}{}:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		r.group.Go(func() {
			defer r.free()
			r.fail(r.file(ctx, obj, want, f))
		})
		return nil
	})
	r.group.Wait()
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	out := make([]Found, len(found))
	for i, f := range found {
		out[i] = *f
	}
	return out, nil
}

// skip is Skip, and tells Hidden.
func (o *ReadOptions) skip() source.Skip {
	if o.Skip == nil || o.Hidden == nil {
		return o.Skip
	}
	return func(path string, folder bool) bool {
		if !o.Skip(path, folder) {
			return false
		}
		o.Hidden(path, folder)
		return true
	}
}

// reading is the state of one Read.
type reading struct {
	src     source.Source
	o       *ReadOptions
	slots   chan struct{} // one for each goroutine that reads
	group   sync.WaitGroup
	buffers sync.Pool
	spent   atomic.Uint64
	cancel  context.CancelCauseFunc
}

func (r *reading) free() { <-r.slots }

// fail ends everything with an error; the first one counts.
func (r *reading) fail(err error) {
	if err != nil {
		r.cancel(err)
	}
}

// spend counts bytes before they are read.
func (r *reading) spend(n uint64) error {
	if spent := r.spent.Add(n); r.o.MaxRead > 0 && spent > r.o.MaxRead {
		return &scan.TooMuchError{Will: spent, Max: r.o.MaxRead}
	}
	return nil
}

// file reads one file.
func (r *reading) file(ctx context.Context, obj source.Object, want Want, f *Found) error {
	buf := r.buffers.Get().(*[piece]byte)
	defer r.buffers.Put(buf)
	got, err := r.src.Fetch(ctx, obj, buf[:])
	if err != nil {
		return err
	}
	if got.Reader != nil {
		return r.large(ctx, got.Reader, want, f, buf)
	}
	f.Size = uint64(got.N)
	if err := r.spend(f.Size); err != nil {
		return err
	}
	h := newHashing(want, f.Size)
	h.write(buf[:got.N])
	h.end(f)
	r.o.Progress.BytesDone.Add(f.Size)
	r.o.Progress.FilesDone.Add(1)
	return nil
}

// large reads a file that has more than a piece.
func (r *reading) large(ctx context.Context, reader source.Reader, want Want, f *Found, buf *[piece]byte) (err error) {
	defer func() {
		if cerr := reader.Close(); err == nil {
			err = cerr
		}
	}()
	f.Size = reader.Size()
	if want.Hash == "" && want.Tree == 0 {
		return nil // its size was all
	}
	if err := r.spend(f.Size); err != nil {
		return err
	}
	if want.ShardSize > 0 && want.Tree == 0 {
		err = r.shards(ctx, reader, want, f)
	} else {
		h := newHashing(want, f.Size)
		if err = r.inOrder(ctx, reader, f.Path, buf, h.write); err == nil {
			h.end(f)
		}
	}
	if err != nil {
		return err
	}
	r.o.Progress.FilesDone.Add(1)
	return reader.Unchanged(ctx)
}

// shards hashes the shards of a file, several at once where there are slots.
func (r *reading) shards(ctx context.Context, reader source.Reader, want Want, f *Found) error {
	n := (f.Size + want.ShardSize - 1) / want.ShardSize
	if n > MaxResources {
		return &source.Error{Path: f.Path, Err: fmt.Errorf("%w: %d shards, at most %d are read", ErrLimit, n, MaxResources)}
	}
	f.Digests = make([][]byte, n)
	var group sync.WaitGroup
	defer group.Wait()
	one := func(i uint64) error {
		buf := r.buffers.Get().(*[piece]byte)
		defer r.buffers.Put(buf)
		start := i * want.ShardSize
		h, length := want.Hash.New(), min(want.ShardSize, f.Size-start)
		var seen uint64
		err := reader.Range(ctx, start, length, buf[:], func(p []byte) {
			h.Write(p)
			seen += uint64(len(p))
			r.o.Progress.BytesDone.Add(uint64(len(p)))
		})
		if err == nil && seen != length {
			err = shortRange(f.Path)
		}
		f.Digests[i] = h.Sum(nil)
		return err
	}
	for i := range n {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		select {
		case r.slots <- struct{}{}:
			group.Go(func() {
				defer r.free()
				r.fail(one(i))
			})
		default:
			if err := one(i); err != nil {
				r.fail(err) // so that the others end
				return err
			}
		}
	}
	group.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

func shortRange(path string) error {
	return &source.Error{Path: path, Detail: "a range gave more or fewer bytes than were asked for"}
}

// inOrder passes a file on from its first byte to its last.
func (r *reading) inOrder(ctx context.Context, reader source.Reader, path string, buf *[piece]byte, use func([]byte)) error {
	size := reader.Size()
	var seen uint64
	take := func(p []byte) {
		use(p)
		seen += uint64(len(p))
		r.o.Progress.BytesDone.Add(uint64(len(p)))
	}
	var err error
	if remote, ok := r.src.(source.Remote); ok && remote.RangeSize() < size {
		err = r.ahead(ctx, reader, remote.RangeSize(), take)
	} else {
		err = reader.Range(ctx, 0, size, buf[:], take)
	}
	if err == nil && seen != size {
		err = shortRange(path)
	}
	return err
}

// ahead fetches some ranges at once, and passes them on in their order.
func (r *reading) ahead(ctx context.Context, reader source.Reader, step uint64, take func([]byte)) error {
	ctx, cancel := context.WithCancel(ctx)
	type fetched struct {
		data []byte
		err  error
	}
	size := reader.Size()
	queue := make(chan chan fetched, aheadRanges-1)
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	group.Go(func() {
		defer close(queue)
		for at := uint64(0); at < size; at += step {
			out := make(chan fetched, 1)
			select {
			case queue <- out:
			case <-ctx.Done():
				return
			}
			group.Go(func() {
				buf := make([]byte, piece)
				data := make([]byte, 0, min(step, size-at))
				err := reader.Range(ctx, at, min(step, size-at), buf, func(p []byte) { data = append(data, p...) })
				out <- fetched{data, err}
			})
		}
	})
	for out := range queue {
		got := <-out
		if got.err != nil {
			return got.err
		}
		take(got.data)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// hashing takes a file's bytes in order, for what is wanted of it.
type hashing struct {
	want  Want
	whole *segments // by Want.Hash, or nil
	tree  *segments // the chunks of a fingerprint, or nil
}

func newHashing(want Want, size uint64) *hashing {
	h := &hashing{want: want}
	if want.Hash != "" {
		h.whole = &segments{h: want.Hash.New(), size: want.ShardSize}
	}
	if want.Tree != 0 {
		h.tree = &segments{h: want.Tree.New(), size: fingerprint.ChunkSize}
		if size <= fingerprint.ChunkSize {
			h.tree.size = 0
		}
	}
	return h
}

// write hashes a piece, with both hashes at once where it is large.
func (h *hashing) write(p []byte) {
	const worthIt = 128 << 10
	if h.whole == nil || h.tree == nil || len(p) < worthIt {
		h.whole.write(p)
		h.tree.write(p)
		return
	}
	done := make(chan struct{})
	go func() {
		h.tree.write(p)
		close(done)
	}()
	h.whole.write(p)
	<-done
}

// end says what came of it.
func (h *hashing) end(f *Found) {
	if h.whole != nil {
		f.Digests = h.whole.end()
	}
	if h.tree == nil {
		return
	}
	chunks := h.tree.end()
	if f.Size <= fingerprint.ChunkSize {
		copy(f.Tree[:], chunks[0])
		return
	}
	list := make([]fingerprint.Digest, len(chunks))
	for i, c := range chunks {
		copy(list[i][:], c)
	}
	f.Tree = h.want.Tree.FileDigest(f.Size, list)
}

// segments hashes consecutive stretches of one size, of which the last may be
// shorter; size 0 is all in one.
type segments struct {
	h    hash.Hash
	size uint64 // in bytes
	in   uint64 // bytes of the stretch under way
	sums [][]byte
}

func (s *segments) write(p []byte) {
	if s == nil {
		return
	}
	for len(p) > 0 {
		n := len(p)
		if s.size > 0 {
			n = int(min(uint64(n), s.size-s.in))
		}
		s.h.Write(p[:n])
		p, s.in = p[n:], s.in+uint64(n)
		if s.size > 0 && s.in == s.size {
			s.cut()
		}
	}
}

func (s *segments) cut() {
	s.sums = append(s.sums, s.h.Sum(nil))
	s.h.Reset()
	s.in = 0
}

// end closes the last stretch: all of it, where it is all in one.
func (s *segments) end() [][]byte {
	if s.in > 0 || s.size == 0 {
		s.cut()
	}
	return s.sums
}
