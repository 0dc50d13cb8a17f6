package audit

import (
	"context"
	"io/fs"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/source"
)

// object is a made-up file: its contents follow from its path and size.
type object struct {
	path    string
	size    uint64
	altered map[uint64]bool // chunks that are not what they were
}

// pattern repeats after a prime number of bytes, more than a chunk has: so no
// two chunks of a file are the same.
var pattern = noise(1_048_583, 0)

func (o object) contents(off, n uint64) []byte {
	b := make([]byte, n)
	at := off + 1009*uint64(o.path[len(o.path)-1])
	for rest := b; len(rest) > 0; {
		k := copy(rest, pattern[at%uint64(len(pattern)):])
		rest, at = rest[k:], at+uint64(k)
	}
	for i := range o.altered {
		if at := i * chunk; at >= off && at < off+n {
			b[at-off] ^= 1 // one bit of the chunk
		}
	}
	return b
}

// file is what a manifest says of an object as it was.
func (o object) file(a fingerprint.Algorithm) fingerprint.File {
	o.altered = nil
	f := fingerprint.File{Path: o.path, Size: o.size}
	if o.size <= chunk {
		f.Digest = a.Sum(o.contents(0, o.size))
		return f
	}
	for i := range fingerprint.ChunkCount(o.size) {
		f.Chunks = append(f.Chunks, a.Sum(o.contents(i*chunk, uint64(fingerprint.ChunkLen(o.size, i)))))
	}
	f.Digest = a.FileDigest(f.Size, f.Chunks)
	return f
}

func filesOf(a fingerprint.Algorithm, objects []object) []fingerprint.File {
	files := make([]fingerprint.File, len(objects))
	for i, o := range objects {
		files[i] = o.file(a)
	}
	return files
}

// memory is a source of made-up files, in path order, with places for a test to
// step in.
type memory struct {
	objects []object
	sizes   bool // the listing tells sizes
	single  bool
	marks   bool // Mark tells them

	listErr error
	listed  func(path string)
	onFetch func(path string) error
	onRange func(path string, off uint64) error
	onCheck func(path string) error
	size    func(o object) uint64 // its size when it is opened

	opened, closed, looked, fetched atomic.Int64
}

func (m *memory) Single() bool { return m.single }
func (m *memory) Close() error { return nil }

func (m *memory) object(o object) source.Object {
	s := source.Object{Path: o.path, Size: source.UnknownSize, Pin: o}
	if m.sizes {
		s.Size = int64(o.size)
	}
	return s
}

func (m *memory) List(ctx context.Context, skip source.Skip, emit func(source.Object) error) error {
	for _, o := range m.objects {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if m.listed != nil {
			m.listed(o.path)
		}
		if !m.single && skip(o.path, false) {
			continue
		}
		if err := emit(m.object(o)); err != nil {
			return err
		}
	}
	return m.listErr
}

func (m *memory) Lookup(_ context.Context, path string) (source.Object, error) {
	m.looked.Add(1)
	for _, o := range m.objects {
		if o.path == path {
			return m.object(o), nil
		}
	}
	return source.Object{}, &source.Error{Path: path, Err: fs.ErrNotExist}
}

func (m *memory) now(o source.Object) object {
	is := o.Pin.(object)
	if m.size != nil {
		is.size = m.size(is)
	}
	return is
}

func (m *memory) Fetch(_ context.Context, o source.Object, buf []byte) (source.Fetched, error) {
	m.fetched.Add(1)
	if m.onFetch != nil {
		if err := m.onFetch(o.Path); err != nil {
			return source.Fetched{}, err
		}
	}
	is := m.now(o)
	if is.size > uint64(len(buf)) {
		m.opened.Add(1)
		return source.Fetched{Reader: &memoryReader{m: m, o: is}}, nil
	}
	return source.Fetched{N: copy(buf, is.contents(0, is.size))}, nil
}

func (m *memory) Mark(_ context.Context, o source.Object) (source.Mark, error) {
	if !m.marks {
		return source.Mark{}, nil
	}
	return source.Mark{Size: int64(m.now(o).size), MTime: 1, CTime: 1}, nil
}

type memoryReader struct {
	m    *memory
	o    object
	once sync.Once
}

func (r *memoryReader) Size() uint64 { return r.o.size }
func (r *memoryReader) Close() error { r.once.Do(func() { r.m.closed.Add(1) }); return nil }

func (r *memoryReader) Range(_ context.Context, off, n uint64, buf []byte, use func([]byte)) error {
	if r.m.onRange != nil {
		if err := r.m.onRange(r.o.path, off); err != nil {
			return err
		}
	}
	for n > 0 {
		k := min(n, uint64(len(buf)))
		use(buf[:copy(buf, r.o.contents(off, k))])
		off, n = off+k, n-k
	}
	return nil
}

func (r *memoryReader) Unchanged(context.Context) error {
	if r.m.onCheck != nil {
		return r.m.onCheck(r.o.path)
	}
	return nil
}

// checkClosed holds an audit to closing what it opened.
func (m *memory) checkClosed(t *testing.T) {
	t.Helper()
	if o, c := m.opened.Load(), m.closed.Load(); o != c {
		t.Errorf("%d readers opened, %d closed", o, c)
	}
}

// remote is a memory behind a network.
type remote struct{ *memory }

func (remote) Requests() int     { return 11 }
func (remote) RangeSize() uint64 { return 8 * chunk }
