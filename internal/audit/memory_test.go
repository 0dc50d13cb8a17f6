package audit

import (
	"context"
	"io/fs"
	"sync/atomic"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/sourcetest"
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

func (o object) made() sourcetest.Made {
	return sourcetest.Made{Path: o.path, Size: o.size, Contents: o.contents}
}

// file is what a manifest says of an object as it was.
func (o object) file(a fingerprint.Algorithm) fingerprint.File {
	o.altered = nil
	return o.made().File(a)
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

	sourcetest.Readers
	looked, fetched atomic.Int64
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
		return source.Fetched{Reader: m.Readers.Open(is.made(), sourcetest.Steps{Range: m.onRange, Check: m.onCheck})}, nil
	}
	return source.Fetched{N: copy(buf, is.contents(0, is.size))}, nil
}

func (m *memory) Mark(_ context.Context, o source.Object) (source.Mark, error) {
	if !m.marks {
		return source.Mark{}, nil
	}
	return source.Mark{Size: int64(m.now(o).size), MTime: 1, CTime: 1}, nil
}

// remote is a memory behind a network.
type remote struct{ *memory }

func (remote) Requests() int     { return 11 }
func (remote) RangeSize() uint64 { return 8 * chunk }
