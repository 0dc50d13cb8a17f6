package scan

import (
	"context"
	"io/fs"
	"sync"
	"sync/atomic"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/sourcetest"
)

// memory is a source of made-up files, with places for a test to step in.
type memory struct {
	objects []memoryObject // in path order
	listErr error          // ends the listing
	onFetch func(path string) error
	onRange func(path string, off uint64) error
	onCheck func(path string) error
	listed  func(path string)
	marks   map[string]source.Mark // of those that have one, without their sizes

	sourcetest.Readers
	read   atomic.Uint64 // bytes
	ranges atomic.Int64  // calls of Range
	looked atomic.Int64  // calls of Lookup
}

type memoryObject struct {
	path string
	size int
}

// rows are what contents are put together from: row r has byte i ^ r at i.
var rows = func() (rows [256][256]byte) {
	for r := range rows {
		for i := range rows[r] {
			rows[r][i] = byte(i) ^ byte(r)
		}
	}
	return rows
}()

// contents are bytes that differ from file to file and from place to place.
func (o memoryObject) contents(off, n uint64) []byte {
	b := make([]byte, n)
	for rest := b; len(rest) > 0; {
		row := byte(off>>8) ^ byte(off>>16) ^ byte(len(o.path)) ^ o.path[len(o.path)-1]
		k := copy(rest, rows[row][off%256:])
		rest, off = rest[k:], off+uint64(k)
	}
	return b
}

func (o memoryObject) made() sourcetest.Made {
	return sourcetest.Made{Path: o.path, Size: uint64(o.size), Contents: o.contents}
}

// file is what a scan should make of it.
func (o memoryObject) file(a fingerprint.Algorithm) fingerprint.File { return o.made().File(a) }

func (m *memory) Single() bool { return false }
func (m *memory) Close() error { return nil }

func (m *memory) List(ctx context.Context, skip source.Skip, emit func(source.Object) error) error {
	for _, o := range m.objects {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if m.listed != nil {
			m.listed(o.path)
		}
		if skip != nil && skip(o.path, false) {
			continue
		}
		if err := emit(source.Object{Path: o.path, Size: source.UnknownSize, Pin: o}); err != nil {
			return err
		}
	}
	return m.listErr
}

func (m *memory) Lookup(_ context.Context, path string) (source.Object, error) {
	m.looked.Add(1)
	for _, o := range m.objects {
		if o.path == path {
			return source.Object{Path: o.path, Size: source.UnknownSize, Pin: o}, nil
		}
	}
	return source.Object{}, &source.Error{Path: path, Err: fs.ErrNotExist}
}

// remote is a memory behind a network.
type remote struct {
	*memory
	requests int
	size     uint64
}

func (r *remote) Requests() int     { return r.requests }
func (r *remote) RangeSize() uint64 { return r.size }

// measured is a memory that can tell how much there is.
type measured struct{ *memory }

func (m *measured) Measure(_ context.Context, skip source.Skip, add func(uint64)) error {
	for _, o := range m.objects {
		if !skip(o.path, false) {
			add(uint64(o.size))
		}
	}
	return m.listErr
}

func (m *memory) Fetch(_ context.Context, o source.Object, buf []byte) (source.Fetched, error) {
	mo := o.Pin.(memoryObject)
	if m.onFetch != nil {
		if err := m.onFetch(o.Path); err != nil {
			return source.Fetched{}, err
		}
	}
	if mo.size > len(buf) {
		return source.Fetched{Reader: m.Readers.Open(mo.made(), sourcetest.Steps{Range: m.onRange, Check: m.onCheck, Read: m.readRange}), Mark: m.mark(mo)}, nil
	}
	m.read.Add(uint64(mo.size))
	return source.Fetched{N: copy(buf, mo.contents(0, uint64(mo.size))), Mark: m.mark(mo)}, nil
}

func (m *memory) readRange(n uint64) {
	m.ranges.Add(1)
	m.read.Add(n)
}

func (m *memory) mark(o memoryObject) source.Mark {
	mark, ok := m.marks[o.path]
	if ok {
		mark.Size = int64(o.size)
	}
	return mark
}

func (m *memory) Mark(_ context.Context, o source.Object) (source.Mark, error) {
	return m.mark(o.Pin.(memoryObject)), nil
}

// meeting lets calls through once n of them are there at the same time.
type meeting struct {
	mu   sync.Mutex
	n    int
	full chan struct{}
}

func newMeeting(n int) *meeting { return &meeting{n: n, full: make(chan struct{})} }

func (m *meeting) come(ctx context.Context) {
	m.mu.Lock()
	if m.n--; m.n == 0 {
		close(m.full)
	}
	m.mu.Unlock()
	select {
	case <-m.full:
	case <-ctx.Done():
	}
}
