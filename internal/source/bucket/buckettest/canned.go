package buckettest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/bucket"
)

// Canned is a store whose answers a test writes by hand: what its stand-in on
// loopback does not do (be busy, refuse anybody), and what no server should.
type Canned struct {
	// Open is a store whose every request that matters is answered by answer.
	Open func(t *testing.T, answer http.HandlerFunc) bucket.Store
	// Object is what is read: of Size bytes.
	Object bucket.Item
	// Right are the headers, in pairs, that a right answer to a read has besides
	// those of its length and range.
	Right []string
	// Range is what the error of an answer with another range says.
	Range string
	// Secret is in no error.
	Secret string
}

// Size is how many bytes the object of canned answers has.
const Size = 100

// Say answers with a status, a body, and headers in pairs.
func Say(status int, body string, headers ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		for i := 0; i < len(headers); i += 2 {
			w.Header().Set(headers[i], headers[i+1])
		}
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// Abort ends the connection without an answer.
func Abort(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// Reply is a right answer to a read of n bytes at off, as far as headers go; the
// pairs of edit change it, an empty value takes a header away.
func (c Canned) Reply(off, n int, edit ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		for i := 0; i < len(c.Right); i += 2 {
			h.Set(c.Right[i], c.Right[i+1])
		}
		h.Set("Content-Length", fmt.Sprint(n))
		status := http.StatusOK
		if n < Size {
			h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", off, off+n-1, Size))
			status = http.StatusPartialContent
		}
		for i := 0; i < len(edit); i += 2 {
			if h.Set(edit[i], edit[i+1]); edit[i+1] == "" {
				h.Del(edit[i])
			}
		}
		w.WriteHeader(status)
		w.Write(make([]byte, n))
	}
}

// clean reports whether an error is fit to be shown: one line, and no secret.
func (c Canned) clean(err error) bool {
	return !strings.Contains(err.Error(), "\n") && (c.Secret == "" || !strings.Contains(err.Error(), c.Secret))
}

// Asks holds a read of it, in whole and in part, to be one request, which right
// judges by the range that it should ask for. With the headers of more the answer
// is of want.
func (c Canned) Asks(t *testing.T, it, want bucket.Item, more []string, right func(r *http.Request, ranged string) bool) {
	t.Helper()
	for _, part := range []struct {
		off, n int64
		ranged string
	}{{0, Size, ""}, {0, Size - 1, "bytes=0-98"}, {Size - 1, 1, "bytes=99-99"}} {
		var asked []*http.Request
		st := c.Open(t, func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r)
			c.Reply(int(part.off), int(part.n), more...)(w, r)
		})
		r, got, err := st.Read(context.Background(), it, part.off, part.n)
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(r); err != nil || int64(len(b)) != part.n || got != want {
			t.Errorf("Read = %d bytes of %+v, %v", len(b), got, err)
		}
		r.Close()
		if len(asked) != 1 {
			t.Fatalf("%d requests", len(asked))
		}
		if q := asked[0]; q.Method != "GET" || !right(q, part.ranged) {
			t.Errorf("asked %s %s with %v", q.Method, q.URL, q.Header)
		}
	}
}

// An Answer is one to a read that nothing may be used of.
type Answer struct {
	Name string
	N    int64 // how many bytes were asked for
	Say  http.HandlerFunc
	Want error  // its class, or nil for none
	Text string // in what the error says
}

// Answers gives wrong answers to reads: those of every store, and own.
func (c Canned) Answers(t *testing.T, own []Answer) {
	const whole, part = Size, 10
	for _, a := range append([]Answer{
		{"all for a range", part, c.Reply(0, Size), source.ErrChanged, c.Range},
		{"a range for all", whole, c.Reply(0, 10), source.ErrChanged, c.Range},
		{"another range", part, c.Reply(1, 10), source.ErrChanged, c.Range},
		{"a longer range", part, c.Reply(0, 11), source.ErrChanged, c.Range},
		{"another size", part, c.Reply(0, 10, "Content-Range", "bytes 0-9/101"), source.ErrChanged, c.Range},
		{"a bad request", whole, Say(400, "not XML\nat all"), nil, "400 Bad"},
	}, own...) {
		t.Run(a.Name, func(t *testing.T) {
			var n atomic.Int32
			st := c.Open(t, func(w http.ResponseWriter, r *http.Request) {
				n.Add(1)
				a.Say(w, r)
			})
			r, _, err := st.Read(context.Background(), c.Object, 0, a.N)
			if err == nil {
				r.Close()
				t.Fatal("the answer is used")
			}
			e := (*source.Error)(nil)
			if !errors.As(err, &e) || e.Path != c.Object.Key || a.Want != nil && !errors.Is(err, a.Want) || !strings.Contains(err.Error(), a.Text) || !c.clean(err) {
				t.Errorf("Read = %v, want %v saying %q", err, a.Want, a.Text)
			}
			if a.Want == nil && e != nil && e.Class != nil {
				t.Errorf("Read = %v of a class", err)
			}
			if n.Load() != 1 {
				t.Errorf("%d requests for one read", n.Load())
			}
		})
	}
}

// Unpinned holds a store to never reading an item that nothing would pin.
func (c Canned) Unpinned(t *testing.T, items ...bucket.Item) {
	t.Helper()
	st := c.Open(t, c.Reply(0, Size))
	for _, it := range items {
		if r, _, err := st.Read(context.Background(), it, 0, Size); err == nil {
			r.Close()
			t.Errorf("%+v is read", it)
		}
	}
}

// Busy holds a store that is busy to saying so to a reader at once, with the
// time that it asks for; others are further answers of a busy store.
func (c Canned) Busy(t *testing.T, busy func(status int, headers ...string) http.HandlerFunc, others ...http.HandlerFunc) {
	t.Helper()
	type reply struct {
		answer http.HandlerFunc
		want   time.Duration
	}
	replies := []reply{
		{busy(429, "Retry-After", "3"), 3 * time.Second},
		{busy(503), 0},
		{busy(503, "Retry-After", "soon"), 0},
	}
	for _, o := range others {
		replies = append(replies, reply{o, 0})
	}
	for _, a := range replies {
		st := c.Open(t, a.answer)
		_, _, err := st.Read(context.Background(), c.Object, 0, Size)
		var busy *bucket.Busy
		if !errors.Is(err, source.ErrUnreachable) || !errors.As(err, &busy) || busy.After != a.want {
			t.Errorf("Read = %v, want ErrUnreachable with Busy after %v", err, a.want)
		}
	}
}

// Broken holds a store to leaving a body that breaks off to its caller: an SDK
// may open an object again by itself, and read on whatever comes then.
func (c Canned) Broken(t *testing.T) {
	t.Helper()
	var n atomic.Int32
	st := c.Open(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) == 1 {
			c.Reply(0, Size)(short{w, 40}, r)
			return
		}
		c.Reply(40, Size-40)(w, r)
	})
	r, _, err := st.Read(context.Background(), c.Object, 0, Size)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if len(b) != 40 || !errors.Is(err, io.ErrUnexpectedEOF) || n.Load() != 1 {
		t.Errorf("read %d bytes in %d requests, %v; want 40 in one and io.ErrUnexpectedEOF", len(b), n.Load(), err)
	}
}

// short is an answer that ends early.
type short struct {
	http.ResponseWriter
	n int
}

func (s short) Write(p []byte) (int, error) { return s.ResponseWriter.Write(p[:min(len(p), s.n)]) }

// A Failure is what may pass.
type Failure struct {
	Name string
	Say  http.HandlerFunc
	Only string // what asks, where the answer is right for others: List
}

// Retries holds a store to trying again, in a listing, a lookup and a write, what
// may pass: attempts times. What page lists is want.
func (c Canned) Retries(t *testing.T, attempts int32, page http.HandlerFunc, want bucket.Item, failures []Failure) {
	for _, f := range append([]Failure{{Name: "reset", Say: Abort}}, failures...) {
		t.Run(f.Name, func(t *testing.T) {
			var n atomic.Int32
			st := c.Open(t, func(w http.ResponseWriter, r *http.Request) {
				if n.Add(1) < 3 {
					f.Say(w, r)
					return
				}
				page(w, r)
			})
			if got := List(t, st, "", ""); len(got) != 1 || got[0] != want {
				t.Errorf("listed %+v, want %+v", got, want)
			}
			for what, ask := range asks(st) {
				if f.Only != "" && f.Only != what {
					continue
				}
				n.Store(-1000)
				if err := ask(context.Background()); !errors.Is(err, source.ErrUnreachable) {
					t.Errorf("%s = %v, want ErrUnreachable", what, err)
				}
				// A connection that breaks before it answers anything is tried
				// again by net/http besides.
				if got := n.Load() + 1000; got != attempts && (f.Name != "reset" || got > 2*attempts) {
					t.Errorf("%s was tried %d times, want %d", what, got, attempts)
				}
			}
		})
	}
}

// asks are what a store tries again by itself.
func asks(st bucket.Store) map[string]func(ctx context.Context) error {
	return map[string]func(ctx context.Context) error{
		"List": func(ctx context.Context) error { return st.List(ctx, "p", "", nil) },
		"Head": func(ctx context.Context) error { _, err := st.Head(ctx, "k"); return err },
		"Put":  func(ctx context.Context) error { return st.Put(ctx, "k", strings.NewReader("x"), 1) },
	}
}

// A Refusal is what will not pass.
type Refusal struct {
	Say  http.HandlerFunc
	Want error
}

// Refusals holds a store to asking once for what will not pass.
func (c Canned) Refusals(t *testing.T, refusals []Refusal) {
	t.Helper()
	for _, f := range refusals {
		var n atomic.Int32
		st := c.Open(t, func(w http.ResponseWriter, r *http.Request) {
			n.Add(1)
			f.Say(w, r)
		})
		for what, ask := range asks(st) {
			if err := ask(context.Background()); !errors.Is(err, f.Want) || !strings.Contains(err.Error(), "the store answers 40") || !c.clean(err) {
				t.Errorf("%s = %v, want %v", what, err, f.Want)
			}
		}
		if n.Load() != 3 {
			t.Errorf("%d requests, want 3", n.Load())
		}
	}
}

// Unusable holds a store to never using a listing that leaves out what an object
// is pinned by, or that is none.
func (c Canned) Unusable(t *testing.T, listings ...http.HandlerFunc) {
	t.Helper()
	for i, answer := range listings {
		st := c.Open(t, answer)
		if err := st.List(context.Background(), "", "", func([]bucket.Item) error { return nil }); err == nil {
			t.Errorf("listing %d is used", i)
		}
	}
}

// Unreachable holds a store that nobody answers for to an error within bounded
// attempts, without secret, and to ending at once with its context.
func (c Canned) Unreachable(t *testing.T, st bucket.Store, secret string) {
	t.Helper()
	every := asks(st)
	every["Read"] = func(ctx context.Context) error { _, _, err := st.Read(ctx, c.Object, 0, Size); return err }
	for what, ask := range every {
		if err := ask(context.Background()); !errors.Is(err, source.ErrUnreachable) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s = %v, want ErrUnreachable without %q", what, err, secret)
		}
	}
	why := errors.New("the user went away")
	ctx, stop := context.WithCancelCause(context.Background())
	stop(why)
	for what, ask := range every {
		if err := ask(ctx); err != why {
			t.Errorf("%s = %v, want the cause", what, err)
		}
	}
}

// Strays: no request goes where a store sends it, for it would carry
// credentials. The error of a listing holds says. lookups are redirected too.
func (c Canned) Strays(t *testing.T, says string, lookups bool) {
	var strayed atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		strayed.Add(1)
		t.Errorf("another host was told %q, from %q", r.URL, r.Referer())
	}))
	t.Cleanup(other.Close)
	for _, code := range []int{302, 307, 308} {
		st := c.Open(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", other.URL+r.URL.Path)
			w.WriteHeader(code)
		})
		err := st.List(t.Context(), "", "", func([]bucket.Item) error { return nil })
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%d: List: %v", code, err)
		}
		if _, err := st.Head(t.Context(), "k"); err == nil && lookups {
			t.Errorf("%d: there is an object", code)
		}
		if _, _, err := st.Read(t.Context(), c.Object, 0, Size); err == nil {
			t.Errorf("%d: it was read", code)
		}
		if err := st.Put(t.Context(), "k", strings.NewReader("x"), 1); err == nil {
			t.Errorf("%d: it was stored", code)
		}
	}
	if n := strayed.Load(); n > 0 {
		t.Errorf("%d requests went to another host", n)
	}
}
