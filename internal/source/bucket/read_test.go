package bucket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stele-ml/stele/internal/source"
)

// data in which every place is recognisable.
func data(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%07x\n", i)
	}
	return b.String()[:n]
}

// broken is a body that ends with an error after n bytes.
func broken(s string, n int, err error) io.ReadCloser {
	return io.NopCloser(io.MultiReader(strings.NewReader(s[:n]), failing{err}))
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// fetched opens key in m and fetches it into a buffer of that many bytes.
func fetched(t *testing.T, m *memory, key string, buffer int) (source.Fetched, []byte, *[]time.Duration, error) {
	t.Helper()
	s, waits := opened(t, m, "", Options{})
	o, err := s.Lookup(context.Background(), key)
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, buffer)
	got, err := s.Fetch(context.Background(), o, buf)
	return got, buf[:got.N], waits, err
}

func TestReadGoesOnWhereItBroke(t *testing.T) {
	whole := data(1_000_000)
	r := rand.New(rand.NewPCG(3, 4))
	causes := []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, nil}
	for range 200 {
		m := newMemory()
		m.put("k", whole)
		breaks := 0
		m.onRead = func(nth int, it Item, off, n int64) (io.ReadCloser, Item, error, bool) {
			if nth >= 5 {
				return nil, Item{}, nil, false
			}
			breaks++
			cause := causes[r.IntN(len(causes))]
			if cause == nil { // no answer at all
				return nil, Item{}, &source.Error{Class: source.ErrUnreachable, Err: syscall.ECONNREFUSED}, true
			}
			return broken(whole[off:off+n], r.IntN(int(n)), cause), m.objects[0].Item, nil, true
		}
		off, n := uint64(0), uint64(len(whole))
		if r.IntN(2) == 0 {
			off = uint64(r.IntN(len(whole)))
			n = 1 + uint64(r.IntN(len(whole)-int(off)))
		}
		f, _, _, err := fetched(t, m, "k", 10)
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		buf := make([]byte, 1+r.IntN(200_000))
		err = f.Reader.Range(context.Background(), off, n, buf, func(p []byte) {
			if len(p) != len(buf) && uint64(got.Len()+len(p)) != n {
				t.Errorf("a piece of %d bytes in a buffer of %d that is not the last", len(p), len(buf))
			}
			got.Write(p)
		})
		if err != nil || got.String() != whole[off:off+n] || f.Reader.Unchanged(context.Background()) != nil {
			t.Fatalf("Range(%d, %d) gave %d bytes, %v, after %d breaks: %v", off, n, got.Len(), err, breaks, m.reads)
		}
		f, small, _, err := fetched(t, m, "k", len(whole)+r.IntN(2))
		if err != nil || string(small) != whole || f.Mark != m.objects[0].Mark() {
			t.Fatalf("Fetch gave %d bytes, %v", len(small), err)
		}
	}
}

func TestReadAsksOnlyForWhatIsMissing(t *testing.T) {
	whole := data(300_000)
	m := newMemory()
	m.put("k", whole)
	m.onRead = func(nth int, it Item, off, n int64) (io.ReadCloser, Item, error, bool) {
		if nth < 2 {
			return broken(whole[off:off+n], 100_000, io.ErrUnexpectedEOF), m.objects[0].Item, nil, true
		}
		return nil, Item{}, nil, false
	}
	_, got, waits, err := fetched(t, m, "k", len(whole))
	if want := []string{"k 0+300000", "k 100000+200000", "k 200000+100000"}; err != nil || string(got) != whole || !slices.Equal(m.reads, want) {
		t.Errorf("read %q, want %q: %d bytes, %v", m.reads, want, len(got), err)
	}
	// Both answers brought something: the second wait is not longer.
	if len(*waits) != 2 || max((*waits)[0], (*waits)[1]) > 100*time.Millisecond {
		t.Errorf("waited %v", *waits)
	}
}

func TestReadGivesUp(t *testing.T) {
	whole := data(300_000)
	for name, m := range map[string]*memory{
		"no answer": {onRead: func(int, Item, int64, int64) (io.ReadCloser, Item, error, bool) {
			return nil, Item{}, &source.Error{Class: source.ErrUnreachable, Err: syscall.ECONNREFUSED}, true
		}},
		"a byte at a time": {onRead: func(_ int, it Item, off, n int64) (io.ReadCloser, Item, error, bool) {
			return broken(whole[off:off+n], 1, syscall.ECONNREFUSED), it, nil, true
		}},
	} {
		m.put("k", whole)
		_, _, waits, err := fetched(t, m, "k", len(whole))
		var e *source.Error
		if !errors.As(err, &e) || e.Class != source.ErrUnreachable || e.Path != "k" || !errors.Is(err, syscall.ECONNREFUSED) || e.Hint() == "" {
			t.Errorf("%s: %v", name, err)
		}
		if !strings.Contains(err.Error(), fmt.Sprintf("gave up after %d attempts", maxAttempts)) || len(m.reads) != maxAttempts || len(*waits) != maxAttempts-1 {
			t.Errorf("%s: %v, after %d attempts and %v", name, err, len(m.reads), *waits)
		}
	}
}

func TestRefusalsAreFinal(t *testing.T) {
	for _, class := range []error{source.ErrDenied, source.ErrArchived, source.ErrChanged, nil} {
		m := newMemory("k")
		m.onRead = func(int, Item, int64, int64) (io.ReadCloser, Item, error, bool) {
			return nil, Item{}, &source.Error{Path: "the key", Class: class, Detail: "for a reason"}, true
		}
		_, _, _, err := fetched(t, m, "k", 100)
		var e *source.Error
		if !errors.As(err, &e) || e.Class != class || e.Path != "k" || e.Detail != "for a reason" || len(m.reads) != 1 {
			t.Errorf("%v: %v after %d attempts", class, err, len(m.reads))
		}
	}
	m := newMemory("k")
	m.objects[0].Archived = "DEEP FREEZE"
	if _, _, _, err := fetched(t, m, "k", 100); !errors.Is(err, source.ErrArchived) || !strings.Contains(err.Error(), "DEEP FREEZE") || len(m.reads) != 0 {
		t.Errorf("archived: %v after %d attempts", err, len(m.reads))
	}
	m = newMemory("k")
	m.objects[0].ETag = ""
	if _, _, _, err := fetched(t, m, "k", 100); err == nil || !strings.Contains(err.Error(), "neither a version nor an ETag") || len(m.reads) != 0 {
		t.Errorf("without identity: %v after %d attempts", err, len(m.reads))
	}
}

func TestEmptyObjectsAreNotAskedFor(t *testing.T) {
	m := newMemory()
	m.put("k", "")
	got, _, _, err := fetched(t, m, "k", 0)
	if err != nil || got.N != 0 || got.Reader != nil || got.Mark != m.objects[0].Mark() || len(m.reads) != 0 {
		t.Errorf("%+v, %v after %d requests", got, err, len(m.reads))
	}
}

// TestAttackAnswerOfAnotherObject: the store, or who stands before it, answers
// with what was not asked for. Nothing of it is used.
func TestAttackAnswerOfAnotherObject(t *testing.T) {
	base := Item{Key: "k", Size: 8, ETag: `"e"`, Version: "v1"}
	for _, c := range []struct {
		name   string
		change func(listed, got *Item)
		body   string
		want   string // in the error; empty: all is well
	}{
		{"the same", func(_, got *Item) {}, "12345678", ""},
		{"without quotes", func(_, got *Item) { got.ETag = "e" }, "12345678", ""},
		{"the ETag alone", func(_, got *Item) { got.Version = "" }, "12345678", ""},
		{"the version alone", func(_, got *Item) { got.ETag = "" }, "12345678", ""},
		{"another key", func(_, got *Item) { got.Key = "l" }, "12345678", "about another object"},
		{"another size", func(_, got *Item) { got.Size = 9 }, "12345678", "it has 9 bytes and was listed with 8"},
		{"another version", func(_, got *Item) { got.Version = "v2" }, "12345678", "its version is another"},
		{"another ETag", func(_, got *Item) { got.ETag = `"f"` }, "12345678", "its ETag is another"},
		{"neither", func(_, got *Item) { got.ETag, got.Version = "", "" }, "12345678", "does not say which version"},
		{"null again", func(listed, got *Item) { listed.Version, got.Version, got.ETag = "null", "null", "" }, "12345678", "does not say which version"},
		{"null, then a version", func(listed, got *Item) { listed.Version = "null" }, "12345678", "its version is another"},
		{"longer", func(_, got *Item) {}, "123456789", "longer than what was asked for"},
	} {
		listed, got := base, base
		c.change(&listed, &got)
		m := &memory{objects: []object{{listed, []byte("12345678")}}}
		m.onRead = func(int, Item, int64, int64) (io.ReadCloser, Item, error, bool) {
			return io.NopCloser(strings.NewReader(c.body)), got, nil, true
		}
		f, small, _, err := fetched(t, m, "k", 8)
		if c.want == "" {
			if err != nil || string(small) != "12345678" {
				t.Errorf("%s: %q, %v", c.name, small, err)
			}
			continue
		}
		if !errors.Is(err, source.ErrChanged) || !strings.Contains(err.Error(), c.want) || f.N != 0 {
			t.Errorf("%s: %+v, %v; want ErrChanged: %s", c.name, f, err, c.want)
		}
		f, _, _, err = fetched(t, m, "k", 4)
		if err != nil {
			t.Fatal(err)
		}
		err = f.Reader.Range(context.Background(), 0, 8, make([]byte, 8), func(p []byte) {
			if c.name != "longer" {
				t.Errorf("%s: %q was used", c.name, p)
			}
		})
		if !errors.Is(err, source.ErrChanged) || !errors.Is(f.Reader.Unchanged(context.Background()), source.ErrChanged) {
			t.Errorf("%s: Range: %v, Unchanged: %v", c.name, err, f.Reader.Unchanged(context.Background()))
		}
	}
}

// TestAttackReplaceBetweenRanges: the listing told no version, and the object is
// replaced by one with the same ETag while it is read.
func TestAttackReplaceBetweenRanges(t *testing.T) {
	whole := data(100)
	m := newMemory()
	m.put("k", whole)
	m.onRead = func(nth int, it Item, off, n int64) (io.ReadCloser, Item, error, bool) {
		if want := []string{"", "v1", "v1"}[nth]; it.Version != want {
			t.Errorf("request %d was for version %q, want %q", nth, it.Version, want)
		}
		it.Version = []string{"v1", "v1", "v2"}[nth]
		return io.NopCloser(strings.NewReader(whole[off : off+n])), it, nil, true
	}
	f, _, _, err := fetched(t, m, "k", 0)
	if err != nil {
		t.Fatal(err)
	}
	read := func(off uint64) error {
		return f.Reader.Range(context.Background(), off, 10, make([]byte, 10), func([]byte) {})
	}
	if err := read(0); err != nil {
		t.Fatal(err)
	}
	if err := read(10); err != nil {
		t.Fatal(err)
	}
	if err := f.Reader.Unchanged(context.Background()); err != nil {
		t.Error(err)
	}
	if err := read(20); !errors.Is(err, source.ErrChanged) {
		t.Errorf("a range of another version: %v", err)
	}
	if err := f.Reader.Unchanged(context.Background()); !errors.Is(err, source.ErrChanged) {
		t.Errorf("Unchanged after it: %v", err)
	}
	for _, c := range [][2]uint64{{101, 0}, {100, 1}, {0, 101}, {1 << 63, 1 << 63}} {
		if err := f.Reader.Range(context.Background(), c[0], c[1], make([]byte, 10), func([]byte) {}); !errors.Is(err, source.ErrChanged) {
			t.Errorf("Range(%d, %d) = %v", c[0], c[1], err)
		}
	}
}

func TestSmallObjectsLearnTheirVersion(t *testing.T) {
	m := newMemory("k")
	m.onRead = func(_ int, it Item, off, n int64) (io.ReadCloser, Item, error, bool) {
		it.Version = "v7"
		return io.NopCloser(strings.NewReader("at k")), it, nil, true
	}
	if f, _, _, err := fetched(t, m, "k", 10); err != nil || f.Mark.Version != "v7" {
		t.Errorf("%+v, %v", f.Mark, err)
	}
}

func TestMark(t *testing.T) {
	if m := (&Item{Key: "k", Size: 3, ETag: "e", Version: "null"}).Mark(); m != (source.Mark{Size: 3, ETag: "e"}) {
		t.Errorf("%+v", m)
	}
	if m := (&Item{Key: "k", Size: 3, ETag: "e", Version: "v"}).Mark(); m != (source.Mark{Size: 3, ETag: "e", Version: "v"}) {
		t.Errorf("%+v", m)
	}
}

// TestAttackWeakETag: a store, or a proxy before it, that gives weak ETags could
// keep one while the bytes change. Nothing is read or known again by it.
func TestAttackWeakETag(t *testing.T) {
	const weak = `W/"5d41402abc4b2a76b9719d911017c592"`
	for _, version := range []string{"", nullVersion} {
		m := newMemory("k")
		m.objects[0].ETag, m.objects[0].Version = weak, version
		if mark := m.objects[0].Mark(); mark != (source.Mark{Size: m.objects[0].Size}) {
			t.Errorf("marked %+v", mark)
		}
		if _, got, _, err := fetched(t, m, "k", 10); err == nil {
			t.Errorf("version %q: read %q", version, got)
		}
	}
	m := newMemory("k")
	m.objects[0].ETag, m.objects[0].Version = weak, "v1"
	if f, _, _, err := fetched(t, m, "k", 10); err != nil || f.Mark.Version != "v1" || f.Mark.ETag != "" {
		t.Errorf("by its version: %+v, %v", f.Mark, err)
	}
}

func TestBusyStoreIsGivenTime(t *testing.T) {
	whole := data(100)
	m := newMemory()
	m.put("k", whole)
	asks := []time.Duration{0, 3 * time.Second, 10 * time.Hour}
	m.onRead = func(nth int, it Item, off, n int64) (io.ReadCloser, Item, error, bool) {
		if nth < len(asks) {
			return nil, Item{}, &source.Error{Class: source.ErrUnreachable, Err: &Busy{After: asks[nth]}}, true
		}
		return nil, Item{}, nil, false
	}
	_, got, waits, err := fetched(t, m, "k", 100)
	if err != nil || string(got) != whole {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if w := *waits; len(w) != 3 || w[0] < 250*time.Millisecond || w[1] != 3*time.Second || w[2] != maxRetryAfter {
		t.Errorf("waited %v", w)
	}
}

func TestBackoff(t *testing.T) {
	for _, busy := range []bool{false, true} {
		first, most := 100*time.Millisecond, 5*time.Second
		if busy {
			first, most = 500*time.Millisecond, 20*time.Second
		}
		for n := range 100 {
			want := most
			if n < 8 {
				want = min(first<<max(n-1, 0), most)
			}
			if d := Backoff(n, busy); d < want/2 || d > want {
				t.Errorf("Backoff(%d, %v) = %v, want up to %v", n, busy, d, want)
			}
		}
	}
}

func TestReadEndsWithTheContext(t *testing.T) {
	m := newMemory("k")
	m.onRead = func(int, Item, int64, int64) (io.ReadCloser, Item, error, bool) {
		return nil, Item{}, &source.Error{Class: source.ErrUnreachable}, true
	}
	s, err := Open(context.Background(), m, "", Options{})
	if err != nil {
		t.Fatal(err)
	}
	why := errors.New("the user went away")
	ctx, end := context.WithCancelCause(context.Background())
	s.wait = func(ctx context.Context, _ time.Duration) error {
		end(why)
		return sleep(ctx, time.Hour)
	}
	o, _ := s.Lookup(ctx, "k")
	if _, err := s.Fetch(ctx, o, make([]byte, 100)); err != why {
		t.Errorf("Fetch = %v, want the cause", err)
	}
}

func TestPace(t *testing.T) {
	ctx := context.Background()
	p := newPace(8)
	begin := func() uint64 {
		t.Helper()
		cuts, err := p.begin(ctx)
		if err != nil {
			t.Fatal(err)
		}
		return cuts
	}
	var began []uint64
	for range 8 {
		began = append(began, begin())
	}
	// All of them hear that the store is busy; that counts once.
	for _, b := range began {
		p.busy(b)
		p.end()
	}
	if p.limit != 4 {
		t.Errorf("limit %v after one refusal, want 4", p.limit)
	}
	p.busy(begin())
	p.end()
	if p.limit != 2 {
		t.Errorf("limit %v after the second, want 2", p.limit)
	}
	for range 5 {
		p.busy(begin())
		p.end()
	}
	if p.limit != 1 {
		t.Errorf("limit %v, want 1", p.limit)
	}
	for n := 0; p.limit < 8; n++ {
		p.good()
		if n > 64 {
			t.Fatalf("limit %v after %d good answers", p.limit, n)
		}
	}
	p.good()
	if p.limit != 8 {
		t.Errorf("limit %v, more than 8", p.limit)
	}
}

func TestPaceBounds(t *testing.T) {
	p := newPace(3)
	var mu sync.Mutex
	now, most := 0, 0
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if _, err := p.begin(context.Background()); err != nil {
				t.Error(err)
			}
			mu.Lock()
			now++
			most = max(most, now)
			mu.Unlock()
			mu.Lock()
			now--
			mu.Unlock()
			p.end()
		})
	}
	wg.Wait()
	if most > 3 || p.now != 0 {
		t.Errorf("%d at once, %d at the end", most, p.now)
	}
	// Who stops waiting passes the place on.
	ctx, end := context.WithCancelCause(context.Background())
	p = newPace(1)
	p.begin(ctx)
	left, stays := make(chan error), make(chan error)
	go func() { _, err := p.begin(ctx); left <- err }()
	go func() { _, err := p.begin(context.Background()); stays <- err }()
	why := errors.New("the user went away")
	end(why)
	if err := <-left; err != why {
		t.Errorf("begin = %v, want the cause", err)
	}
	p.end()
	if err := <-stays; err != nil {
		t.Error(err)
	}
}

// lastWords gives its last bytes and the error together, then the end.
type lastWords struct {
	io.Reader
	err error
}

func (l *lastWords) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if n == 0 && err == io.EOF {
		return 0, l.err
	}
	return n, err
}

// TestAttackerAltersBytesOfAnAnswer: the store's own checksum of the whole does
// not match, which its SDK says only at the end.
func TestAttackerAltersBytesOfAnAnswer(t *testing.T) {
	bad := errors.New("checksum of the whole does not match")
	for name, body := range map[string]io.ReadCloser{
		"behind the last bytes": io.NopCloser(&lastWords{strings.NewReader("other"), bad}),
		"with the last bytes":   io.NopCloser(iotest.DataErrReader(&lastWords{strings.NewReader("other"), bad})),
	} {
		m := newMemory()
		m.put("k", "right")
		m.onRead = func(_ int, it Item, _, _ int64) (io.ReadCloser, Item, error, bool) { return body, it, nil, true }
		if _, _, _, err := fetched(t, m, "k", 100); !errors.Is(err, bad) || !errors.Is(err, source.ErrUnreachable) {
			t.Errorf("%s: Fetch = %v", name, err)
		}
	}
}
