package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stele-ml/stele/internal/source"
)

// memory is a store of a test's making, which can list and answer as no store
// should. That real stores are read as they are is tested beside each of them.
type memory struct {
	page      int // objects a page; 0: all in one
	early     int // how many objects below from it lists as well
	unordered bool
	listErr   error
	headErr   error
	// listed, if set, is what a listing gives, whatever there is.
	listed []Item
	// onRead answers in the store's place, if it is set and says so.
	onRead func(nth int, it Item, off, n int64) (body io.ReadCloser, got Item, err error, done bool)

	mu      sync.Mutex
	objects []object // in order of their keys
	froms   []string // of each listing
	pages   int
	reads   []string // "key off+n" each
	closed  bool
}

type object struct {
	Item
	data []byte
}

func newMemory(keys ...string) *memory {
	m := new(memory)
	for _, k := range keys {
		m.put(k, "at "+k)
	}
	return m
}

func (m *memory) put(key, data string) {
	o := object{Item{Key: key, Size: int64(len(data)), ETag: fmt.Sprintf(`"%08x"`, crc32.ChecksumIEEE([]byte(data)))}, []byte(data)}
	if strings.HasSuffix(key, "/") && data == "at "+key {
		o.Size, o.data = 0, nil
	}
	i, found := slices.BinarySearchFunc(m.objects, key, func(o object, k string) int { return strings.Compare(o.Key, k) })
	if found {
		m.objects[i] = o
	} else {
		m.objects = slices.Insert(m.objects, i, o)
	}
}

func (m *memory) List(ctx context.Context, prefix, from string, page func([]Item) error) error {
	m.mu.Lock()
	m.froms = append(m.froms, from)
	m.mu.Unlock()
	if m.listErr != nil {
		return m.listErr
	}
	var items []Item
	for _, o := range m.objects {
		if strings.HasPrefix(o.Key, prefix) && o.Key >= from {
			items = append(items, o.Item)
		}
	}
	if m.early > 0 && from != "" {
		var below []Item
		for _, o := range m.objects {
			if strings.HasPrefix(o.Key, prefix) && o.Key < from {
				below = append(below, o.Item)
			}
		}
		items = append(below[max(0, len(below)-m.early):], items...)
	}
	if m.listed != nil {
		items = m.listed
	}
	size := m.page
	if size == 0 {
		size = len(items) + 1
	}
	for p := range slices.Chunk(items, size) {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		m.mu.Lock()
		m.pages++
		m.mu.Unlock()
		if err := page(slices.Clone(p)); err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) Head(_ context.Context, key string) (Item, error) {
	if m.headErr != nil {
		return Item{}, m.headErr
	}
	for _, o := range m.objects {
		if o.Key == key {
			return o.Item, nil
		}
	}
	return Item{}, &source.Error{Path: key, Err: fs.ErrNotExist}
}

func (m *memory) Read(_ context.Context, it Item, off, n int64) (io.ReadCloser, Item, error) {
	m.mu.Lock()
	nth := len(m.reads)
	m.reads = append(m.reads, fmt.Sprintf("%s %d+%d", it.Key, off, n))
	m.mu.Unlock()
	if m.onRead != nil {
		if body, got, err, done := m.onRead(nth, it, off, n); done {
			return body, got, err
		}
	}
	for _, o := range m.objects {
		if o.Key == it.Key {
			return io.NopCloser(bytes.NewReader(o.data[off : off+n])), o.Item, nil
		}
	}
	return nil, Item{}, &source.Error{Path: it.Key, Class: source.ErrChanged, Detail: "it vanished"}
}

func (m *memory) Put(context.Context, string, io.ReadSeeker, int64) error {
	return errors.New("not here")
}
func (m *memory) Ordered() bool         { return !m.unordered }
func (m *memory) URL(key string) string { return "mem://b/" + key }
func (m *memory) Close() error          { m.closed = true; return nil }

// opened opens a store and does not wait between attempts, but notes how long it
// would have.
func opened(t *testing.T, m *memory, key string, o Options) (*Source, *[]time.Duration) {
	t.Helper()
	s, err := Open(context.Background(), m, key, o)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	waits := new([]time.Duration)
	s.wait = func(ctx context.Context, d time.Duration) error {
		mu.Lock()
		defer mu.Unlock()
		*waits = append(*waits, d)
		return context.Cause(ctx)
	}
	return s, waits
}

// list is what List emits, and its error.
func list(s *Source, skip source.Skip) (paths []string, err error) {
	err = s.List(context.Background(), skip, func(o source.Object) error {
		paths = append(paths, o.Path)
		return nil
	})
	return paths, err
}
