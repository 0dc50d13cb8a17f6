package client_test

import (
	"bytes"
	"errors"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"github.com/stele-ml/stele/client"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/statement"
)

// bender is a server whose answers are bent at random: bits flipped, cut off, those to
// another request, of another time, another ledger's.
type bender struct {
	mu    sync.Mutex
	r     *rand.Rand
	from  []http.Handler // the truth first
	heard map[string][]byte
}

func (b *bender) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r.Header.Del("Accept-Encoding")
	next := b.from[0]
	if b.r.IntN(20) == 0 {
		next = b.from[1+b.r.IntN(len(b.from)-1)]
	}
	rec := httptest.NewRecorder()
	next.ServeHTTP(rec, r)
	body := rec.Body.Bytes()
	b.heard[r.Method+r.URL.String()] = bytes.Clone(body)
	if len(body) > 0 {
		switch b.r.IntN(40) {
		case 0:
			body[b.r.IntN(len(body))] ^= 1 << b.r.IntN(8)
		case 1:
			body = body[:b.r.IntN(len(body))]
		case 2:
			body = append(body, body[b.r.IntN(len(body)):]...)
		case 3:
			keys := slices.Sorted(maps.Keys(b.heard))
			body = b.heard[keys[b.r.IntN(len(keys))]]
		case 4:
			i, j := b.r.IntN(len(body)), b.r.IntN(len(body))
			body[i], body[j] = body[j], body[i]
		}
	}
	maps.Copy(w.Header(), rec.Header())
	w.Header().Del("Content-Length")
	w.WriteHeader(rec.Code)
	_, _ = w.Write(body)
}

// Whatever a server answers, what the log returns is the truth, or an error of a class
// that says whose fault it is.
func TestAttackBentAnswers(t *testing.T) {
	w := newWorld(t)
	ref := w.l.Ref("team/a", "1", "a")
	mine := w.stamp("a")
	w.l.Put(mine)
	w.l.Put(w.l.Stamps(w.l.Ada, "team/x", 300)...)
	w.l.Withdrawn(w.l.Ada, ref, statement.TargetContents, statement.EffectStop)
	truth := w.l.View()
	control, err := truth.Control()
	if err != nil {
		t.Fatal(err)
	}
	fork := newWorld(t)
	fork.l.Put(fork.l.Stamps(fork.l.Ada, "team/y", 300)...)
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	good, bad := 0, 0
	for seed := range rounds {
		b := &bender{r: rand.New(rand.NewPCG(1, uint64(seed))), from: []http.Handler{w, fork}, heard: map[string][]byte{}}
		c := w.client(t, b, func(o *client.Options) { o.Attempts = 2 })
		judge := func(what string, err error) bool {
			if err == nil {
				good++
				return true
			}
			bad++
			for _, class := range []error{client.ErrUnreachable, client.ErrNotFound, client.ErrAnswer, client.ErrTwin, evidence.ErrTampered, evidence.ErrUntrusted} {
				if errors.Is(err, class) {
					return false
				}
			}
			t.Errorf("seed %d, %s: an error of no class: %v", seed, what, err)
			return false
		}
		l, err := c.Follow(t.Context(), w.policy("1"), evidence.Remembered{})
		if !judge("follow", err) {
			continue
		}
		if at, _ := l.Checkpoint(); at.Size != truth.Size() {
			continue // the fork's history is signed as well: nothing was seen before
		}
		for range 10 {
			i := b.r.Uint64N(truth.Size())
			leaf, _ := truth.Leaf(i)
			if e, err := l.Entry(t.Context(), i); judge("entry", err) && !bytes.Equal(e.Leaf(), leaf) {
				t.Errorf("seed %d: another entry %d", seed, i)
			}
			if p, err := l.Proof(t.Context(), i); judge("proof", err) {
				if _, err := p.Verify(evidence.LeafHash(leaf), w.policy("1")); err != nil {
					t.Errorf("seed %d: the proof of %d: %v", seed, i, err)
				}
			}
			if got, err := l.Control(t.Context()); judge("control", err) && (got.Count() != control.Count() || got.Root() != control.Root()) {
				t.Errorf("seed %d: other control entries", seed)
			}
			if f, err := l.Evidence(t.Context(), ref.Name, ref.Version); judge("evidence", err) {
				o := evidence.Verify(f, w.policy("1"), evidence.Options{Name: ref.Name, Version: ref.Version}).Verdict
				if o != evidence.Withdrawn && o != evidence.Tampered {
					t.Errorf("seed %d: %s, and it is withdrawn", seed, o)
				}
			}
			if r, err := l.Submit(t.Context(), mine, client.SubmitOptions{}); judge("submit", err) && (r.Entry.Index != 1 || !r.Existed) {
				t.Errorf("seed %d: receipt %+v", seed, r)
			}
			judge("advance", l.Advance(t.Context()))
		}
	}
	if good == 0 || bad == 0 {
		t.Errorf("%d answers were taken and %d refused: nothing was tried", good, bad)
	}
}
