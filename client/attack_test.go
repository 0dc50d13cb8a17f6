package client_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stele-ml/stele/client"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/wire"
	"github.com/stele-ml/stele/statement"
)

// resigned is a checkpoint of a log that its own key signs, whatever it says.
func resigned(t *testing.T, size uint64, root [32]byte) string {
	t.Helper()
	s, _ := ledgertest.LogKey("1")
	signed, err := evidence.SignCheckpoint(evidence.Checkpoint{Origin: ledgertest.Origin, Size: size, Root: root}, s)
	if err != nil {
		t.Fatal(err)
	}
	return string(signed)
}

// A server that has the log's own key, and lies in its receipts.
func TestAttackLyingReceipt(t *testing.T) {
	type lie struct {
		name string
		bend func(w *world, env *statement.Envelope, r *wire.Receipt)
		want error
	}
	for _, c := range []lie{
		{"a wrong proof", func(w *world, _ *statement.Envelope, r *wire.Receipt) { r.Inclusion[0] = make([]byte, 32) }, evidence.ErrTampered},
		{"no proof", func(w *world, _ *statement.Envelope, r *wire.Receipt) { r.Inclusion = [][]byte{} }, evidence.ErrTampered},
		{"another index", func(w *world, _ *statement.Envelope, r *wire.Receipt) { r.Index-- }, evidence.ErrTampered},
		{"another time", func(w *world, _ *statement.Envelope, r *wire.Receipt) { r.Time++ }, evidence.ErrTampered},
		{"another envelope's receipt", func(w *world, _ *statement.Envelope, r *wire.Receipt) {
			other := w.stamp("other")
			w.l.Put(other)
			*r = *w.receipt(other, false)
		}, evidence.ErrTampered},
		{"an entry that is not in the log", func(w *world, _ *statement.Envelope, r *wire.Receipt) {
			e, _ := evidence.ParseEntry(r.Leaf)
			e.Time++
			r.Time, r.Leaf = e.Time, e.Leaf()
		}, evidence.ErrTampered},
		{"a signature that is not ours", func(w *world, env *statement.Envelope, r *wire.Receipt) {
			e, _ := evidence.ParseEntry(r.Leaf)
			forged := *e.Envelope
			forged.Signature = bytes.Repeat([]byte{1}, len(forged.Signature))
			e.Envelope, r.Existed = &forged, true
			r.Leaf = e.Leaf()
			r.Inclusion, r.Index = nil, 2
		}, evidence.ErrTampered},
		{"a checkpoint of nobody", func(w *world, _ *statement.Envelope, r *wire.Receipt) {
			r.Checkpoint = strings.Replace(r.Checkpoint, "— ", "— x", 1)
		}, evidence.ErrUntrusted},
		{"a checkpoint that was changed", func(w *world, _ *statement.Envelope, r *wire.Receipt) {
			lines := strings.SplitAfter(r.Checkpoint, "\n")
			lines[1] = "4\n" // of another size, under the same signature
			r.Checkpoint = strings.Join(lines, "")
		}, evidence.ErrTampered},
		{"a fork with the entry in it", func(w *world, env *statement.Envelope, r *wire.Receipt) {
			// Another history of as many entries, signed by the log: the entry alone.
			e, _ := evidence.ParseEntry(r.Leaf)
			genesis := sha256.Sum256([]byte("another genesis, and another entry 1"))
			leaf := evidence.LeafHash(e.Leaf())
			root := sha256.Sum256(append(append([]byte{1}, genesis[:]...), leaf[:]...))
			r.Inclusion = [][]byte{genesis[:]}
			r.Checkpoint = resigned(t, 3, root)
		}, evidence.ErrFork},
		{"a fork of as many entries as are seen", func(w *world, env *statement.Envelope, r *wire.Receipt) {
			e, _ := evidence.ParseEntry(r.Leaf)
			e.Index, e.ControlCount = 1, 1
			genesis := sha256.Sum256([]byte("another genesis"))
			leaf := evidence.LeafHash(e.Leaf())
			r.Index, r.Leaf, r.Inclusion = 1, e.Leaf(), [][]byte{genesis[:]}
			r.Checkpoint = resigned(t, 2, sha256.Sum256(append(append([]byte{1}, genesis[:]...), leaf[:]...)))
		}, evidence.ErrFork},
		{"not even a receipt", func(w *world, _ *statement.Envelope, r *wire.Receipt) { *r = wire.Receipt{} }, evidence.ErrTampered},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			w.l.Put(w.stamp("first"))
			l := w.follow(t, w.client(t, w), nil)
			before, signed := l.Checkpoint()
			w.bend = func(env *statement.Envelope, r *wire.Receipt) { c.bend(w, env, r) }
			receipt, err := l.Submit(t.Context(), w.stamp("mine"), client.SubmitOptions{Key: w.l.Ada.PublicKey()})
			if receipt != nil || !errors.Is(err, c.want) {
				t.Fatalf("receipt %v, error %v; want %v", receipt, err, c.want)
			}
			if errors.Is(err, client.ErrUnreachable) {
				t.Errorf("a lie counts as a server that is away: %v", err)
			}
			if after, _ := l.Checkpoint(); after != before {
				t.Errorf("the log went on from %d to %d", before.Size, after.Size)
			}
			if c.want == evidence.ErrFork {
				var h *evidence.HistoryError
				if !errors.As(err, &h) || !bytes.Equal(h.Old, signed) || len(h.New) == 0 {
					t.Errorf("both checkpoints are not kept: %v", err)
				}
			}
		})
	}
}

// A server with the log's key that shows another history, or less of it, to who
// comes again.
func TestAttackHistory(t *testing.T) {
	w := newWorld(t)
	w.l.Put(w.stamp("a"))
	w.l.Put(w.stamp("b"))
	c := w.client(t, w)
	_, past := w.follow(t, c, nil).Checkpoint()
	other := newWorld(t) // the same origin and log key
	for _, name := range []string{"x", "y", "z", "longer"} {
		other.l.Put(other.stamp(name))
	}
	for _, s := range []struct {
		name string
		lie  string // the checkpoint
		from *world // whose tiles
		want error
	}{
		{"older", string(mustCheckpoint(t, w, 2)), w, evidence.ErrRollback},
		{"as long, another root", resigned(t, 3, [32]byte{1}), w, evidence.ErrFork},
		{"longer, another history", string(other.checkpoint()), other, evidence.ErrFork},
		{"longer, and nothing that leads to it", resigned(t, 9, [32]byte{1}), w, client.ErrUnreachable},
		{"longer, with tiles that lead elsewhere", resigned(t, 5, [32]byte{1}), other, evidence.ErrFork},
	} {
		t.Run(s.name, func(t *testing.T) {
			w.lie = func(rw http.ResponseWriter, r *http.Request) bool {
				if r.URL.Path == "/checkpoint" {
					_, _ = io.WriteString(rw, s.lie)
					return true
				}
				s.from.mux.ServeHTTP(rw, r)
				return true
			}
			_, err := c.Follow(t.Context(), w.policy("1"), evidence.Remembered{Signed: past})
			if !errors.Is(err, s.want) {
				t.Fatalf("error %v, want %v", err, s.want)
			}
			var h *evidence.HistoryError
			if errors.As(err, &h) && (!bytes.Equal(h.Old, past) || string(h.New) != s.lie) {
				t.Error("both checkpoints are not kept")
			}
		})
	}
}

func mustCheckpoint(t *testing.T, w *world, size uint64) []byte {
	t.Helper()
	cp, err := w.l.View().Checkpoint(size)
	if err != nil {
		t.Fatal(err)
	}
	return cp
}

func TestAttackAnotherLedger(t *testing.T) {
	w := newWorld(t)
	_, err := w.client(t, w).Follow(t.Context(), w.policy("another"), evidence.Remembered{})
	if !errors.Is(err, evidence.ErrUntrusted) {
		t.Errorf("error %v", err)
	}
}

func TestAttackWrongEntries(t *testing.T) {
	w := newWorld(t)
	w.l.Put(w.stamp("a"), w.stamp("b"))
	for _, change := range []func([]byte) []byte{
		func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		func(b []byte) []byte { return b[:len(b)-1] },
		func(b []byte) []byte { b[0] = 0xff; return b },
		func([]byte) []byte { return nil },
	} {
		w.lie = func(rw http.ResponseWriter, r *http.Request) bool {
			if !strings.HasPrefix(r.URL.Path, "/tile/entries/") {
				return false
			}
			rec := httptest.NewRecorder()
			r.Header.Del("Accept-Encoding")
			w.mux.ServeHTTP(rec, r)
			_, _ = rw.Write(change(rec.Body.Bytes()))
			return true
		}
		l := w.follow(t, w.client(t, w), nil)
		if _, err := l.Entry(t.Context(), 2); !errors.Is(err, evidence.ErrTampered) {
			t.Errorf("error %v, want tampered", err)
		}
	}
}

// A server that says it has no such entry does not make the log be without it.
func TestAttackEntryThatIsWithheld(t *testing.T) {
	w := newWorld(t)
	w.l.Put(w.stamp("a"), w.stamp("b"))
	l := w.follow(t, w.client(t, w), nil)
	for _, withheld := range []string{"/tile/entries/", "/tile/0/"} {
		w.lie = func(rw http.ResponseWriter, r *http.Request) bool {
			if !strings.HasPrefix(r.URL.Path, withheld) {
				return false
			}
			rw.WriteHeader(http.StatusNotFound)
			return true
		}
		if _, err := l.Entry(t.Context(), 1); !errors.Is(err, client.ErrUnreachable) || errors.Is(err, client.ErrNotFound) {
			t.Errorf("without %s: %v", withheld, err)
		}
	}
}

// A token is sent to the host that it is for, and to no other.
func TestAttackRedirectForTheToken(t *testing.T) {
	var got atomic.Int32
	thief := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { got.Add(1) }))
	defer thief.Close()
	w := newWorld(t)
	for _, status := range []int{301, 302, 303, 307, 308} {
		w.lie = func(rw http.ResponseWriter, r *http.Request) bool {
			http.Redirect(rw, r, thief.URL+"/take?secret=1", status)
			return true
		}
		c := w.client(t, w, func(o *client.Options) { o.Token = "secret-token" })
		_, err := c.Submit(t.Context(), w.stamp(fmt.Sprint("a", status)), client.SubmitOptions{})
		if !errors.Is(err, client.ErrAnswer) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%d: %v", status, err)
		}
	}
	if got.Load() != 0 {
		t.Errorf("the redirect was followed %d times", got.Load())
	}
	if len(w.seen) != 5 || w.seen[0] != "Bearer secret-token" {
		t.Errorf("the server itself saw %q", w.seen)
	}
}

// Bodies without an end, that come a byte at a time, or out of a kilobyte of gzip.
func TestAttackBodies(t *testing.T) {
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	for range 64 {
		_, _ = z.Write(make([]byte, 1<<20))
	}
	z.Close()
	for _, c := range []struct {
		name  string
		serve http.HandlerFunc
		want  error
		slow  bool
	}{
		{"endless", func(w http.ResponseWriter, r *http.Request) {
			for _, err := w.Write(make([]byte, 4096)); err == nil; _, err = w.Write(make([]byte, 4096)) {
			}
		}, client.ErrAnswer, false},
		{"a gzip bomb", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			_, _ = w.Write(bomb.Bytes())
		}, client.ErrAnswer, false},
		{"endless, as a problem", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", wire.ProblemType)
			w.WriteHeader(400)
			for _, err := w.Write(bytes.Repeat([]byte(" "), 4096)); err == nil; _, err = w.Write(bytes.Repeat([]byte(" "), 4096)) {
			}
		}, client.ErrAnswer, false},
		{"never", func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, client.ErrUnreachable, true},
		{"a byte at a time", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write([]byte{' '}); err != nil {
					return
				}
				_ = http.NewResponseController(w).Flush()
				select {
				case <-r.Context().Done():
				case <-time.After(time.Millisecond):
				}
			}
		}, client.ErrUnreachable, true},
		{"a huge header", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Large", strings.Repeat("x", 1<<20))
		}, client.ErrUnreachable, false},
		{"a login page", func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "<html>Sign in</html>") }, client.ErrAnswer, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			cl := w.client(t, c.serve, func(o *client.Options) {
				o.Attempts = 2
				if c.slow { // nothing but the time ends it
					o.Timeout = 100 * time.Millisecond
				}
			})
			_, err := cl.Ledger(t.Context())
			if !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
		})
	}
}

// Problem documents that say something else than the status of their answer.
func TestAttackProblemThatContradictsItsStatus(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		p      *wire.Problem
		want   error
		tries  int
	}{
		{"success in a problem", 200, wire.NewProblem(200, wire.CodeRefused, "x"), client.ErrAnswer, 1},
		{"a refusal that is a fault", 503, wire.NewProblem(503, wire.CodeRefused, "x"), client.ErrUnreachable, 3},
		{"a fault that is a refusal", 403, wire.NewProblem(403, wire.CodeUnavailable, "x"), client.ErrAccess, 1},
		{"another status inside", 404, wire.NewProblem(403, wire.CodeRefused, "x"), client.ErrNotFound, 1},
		{"not cosigned, and not written", 403, wire.NewProblem(403, wire.CodeNotCosigned, "x"), client.ErrAccess, 1},
		{"a code that nobody knows", 418, wire.NewProblem(418, "teapot", "x"), client.ErrAnswer, 1},
		{"an honest refusal", 422, wire.NewProblem(422, wire.CodeRefused, "x"), client.ErrRefused, 1},
		{"an honest fault", 500, wire.NewProblem(500, wire.CodeOutcomeUnknown, "x"), client.ErrUnreachable, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			asked := 0
			w.lie = func(rw http.ResponseWriter, r *http.Request) bool {
				asked++
				body, _ := c.p.Marshal()
				rw.Header().Set("Content-Type", wire.ProblemType)
				rw.WriteHeader(c.status)
				_, _ = rw.Write(body)
				return true
			}
			cl := w.client(t, w, func(o *client.Options) { o.Attempts = 3 })
			_, err := cl.Submit(t.Context(), w.stamp("a"), client.SubmitOptions{})
			if !errors.Is(err, c.want) || asked != c.tries {
				t.Errorf("%d requests, error %v; want %d and %v", asked, err, c.tries, c.want)
			}
			for _, class := range []error{client.ErrRefused, client.ErrUnreachable, client.ErrAccess, client.ErrNotCosigned} {
				if class != c.want && errors.Is(err, class) {
					t.Errorf("the error is %v besides", class)
				}
			}
		})
	}
}

// A server that asks for patience without end is given up, and one that is down is
// not asked for ever.
// TestProblemWithoutWords: what is told of an answer that says nothing is its status.
func TestProblemWithoutWords(t *testing.T) {
	for status, code := range map[int]wire.Code{503: wire.CodeUnavailable, 403: wire.CodeInternal, 404: ""} {
		body, err := wire.NewProblem(status, code, "").Marshal()
		if err != nil {
			t.Fatal(err)
		}
		cl := newWorld(t).client(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", wire.ProblemType)
			w.WriteHeader(status)
			_, _ = w.Write(body)
		}), func(o *client.Options) { o.Attempts = 1 })
		_, err = cl.Ledger(t.Context())
		if want := fmt.Sprintf("/v1/ledger answered %d %s", status, http.StatusText(status)); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%v, want …%s", err, want)
		}
	}
}

func TestRetriesEnd(t *testing.T) {
	for _, c := range []struct {
		name, after string
		tries       int
	}{{"none", "", 4}, {"soon", "1", 4}, {"in a week", "600000", 1}, {"beyond all numbers", "99999999999", 1}, {"a date long ago", "Mon, 02 Jan 2006 15:04:05 GMT", 4}, {"nonsense", "-5", 4}} {
		t.Run(c.name, func(t *testing.T) {
			asked, told := 0, 0
			var waits []time.Duration
			w := newWorld(t)
			w.lie = func(rw http.ResponseWriter, r *http.Request) bool {
				asked++
				rw.Header().Set("Retry-After", c.after)
				rw.WriteHeader(503)
				return true
			}
			cl := w.client(t, w, func(o *client.Options) {
				o.Attempts = 4
				o.Sleep = func(_ context.Context, d time.Duration) error { waits = append(waits, d); return nil }
				o.Retrying = func(time.Duration, error) { told++ }
			})
			_, err := cl.Ledger(t.Context())
			var gone *client.Unreachable
			if !errors.As(err, &gone) || gone.Attempts != c.tries || asked != c.tries || gone.Unknown || told != c.tries-1 {
				t.Errorf("%d requests, %v", asked, err)
			}
			for i, d := range waits {
				if c.after == "1" && d < time.Second || i > 0 && d < waits[i-1] || d > 20*time.Second {
					t.Errorf("waits %v", waits)
				}
			}
		})
	}
}

func TestCancelledWhileWaiting(t *testing.T) {
	w := newWorld(t)
	w.lie = func(rw http.ResponseWriter, r *http.Request) bool { rw.WriteHeader(503); return true }
	ctx, cancel := context.WithCancel(t.Context())
	cl := w.client(t, w, func(o *client.Options) {
		o.Sleep = func(ctx context.Context, _ time.Duration) error { cancel(); return ctx.Err() }
	})
	_, err := cl.Submit(ctx, w.stamp("a"), client.SubmitOptions{})
	var gone *client.Unreachable
	if !errors.Is(err, context.Canceled) || !errors.As(err, &gone) || !gone.Unknown {
		t.Errorf("error %v", err)
	}
}

// A certificate that nobody vouches for is not asked twice, and gets no token.
func TestAttackCertificate(t *testing.T) {
	var asked atomic.Int32
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	s.Config.ErrorLog = nil
	s.StartTLS()
	defer s.Close()
	c := dial(t, s.URL, func(o *client.Options) { o.Token = "secret" })
	_, err := c.Ledger(t.Context())
	var gone *client.Unreachable
	if !errors.As(err, &gone) || gone.Attempts != 1 || asked.Load() != 0 || !strings.Contains(gone.Hint(), "certificate") {
		t.Errorf("%d requests, %v", asked.Load(), err)
	}
}
