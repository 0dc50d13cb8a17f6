package client_test

import (
	"bytes"
	"context"
	rand2 "crypto/rand"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stele-ml/stele/client"
	"github.com/stele-ml/stele/client/clienttest"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/wire"
	"github.com/stele-ml/stele/statement"
)

func TestSubmit(t *testing.T) {
	w := newWorld(t)
	l := w.follow(t, w.client(t, w), nil)
	env := w.stamp("a")
	r, err := l.Submit(t.Context(), env, client.SubmitOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if r.Existed || r.ID != env.ID() || r.Entry.Index != 1 {
		t.Errorf("receipt %+v", r)
	}
	if at, _ := l.Checkpoint(); at.Size != 2 {
		t.Errorf("the log is at %d after the receipt", at.Size)
	}
	again, err := l.Submit(t.Context(), env, client.SubmitOptions{})
	if err != nil || !again.Existed || again.Entry.Index != r.Entry.Index {
		t.Errorf("again: %+v, %v", again, err)
	}
	e, err := l.Entry(t.Context(), 1)
	if err != nil || e.Envelope.ID() != env.ID() {
		t.Errorf("entry 1: %v", err)
	}
}

func TestRefusalIsNotRetried(t *testing.T) {
	w := newWorld(t)
	asked := 0
	w.lie = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodPost {
			asked++
		}
		return false
	}
	l := w.follow(t, w.client(t, w), nil)
	if _, err := l.Submit(t.Context(), w.stamp("a"), client.SubmitOptions{}); err != nil {
		t.Fatal(err)
	}
	asked = 0
	_, err := l.Submit(t.Context(), w.l.Stamp(w.l.Ada, w.l.Ref("team/a", "1", "other")), client.SubmitOptions{})
	var refused *client.Error
	if !errors.Is(err, client.ErrRefused) || errors.Is(err, client.ErrUnreachable) || !errors.As(err, &refused) || refused.Problem.Rule == "" {
		t.Errorf("error %v, want a refusal with its rule", err)
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
}

// Every fault, on every request, at any of the first attempts: what is acknowledged
// is there, and nothing is there twice.
func TestSubmitThroughEveryFault(t *testing.T) {
	for _, fault := range clienttest.Faults {
		t.Run(fault.String(), func(t *testing.T) {
			w := newWorld(t)
			var mu sync.Mutex
			failed := map[string]int{} // by what is asked
			p := &clienttest.Proxy{Next: w, Choose: func(r *http.Request) clienttest.Fault {
				mu.Lock()
				defer mu.Unlock()
				if key := r.Method + r.URL.Path; failed[key] < 2 {
					failed[key]++
					return fault
				}
				delete(failed, r.Method+r.URL.Path)
				return clienttest.None
			}}
			l := w.follow(t, w.client(t, p), nil)
			for _, name := range []string{"a", "b", "c"} {
				env := w.stamp(name)
				r, err := l.Submit(t.Context(), env, client.SubmitOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if e, err := l.Entry(t.Context(), r.Entry.Index); err != nil || e.Envelope.ID() != env.ID() {
					t.Errorf("entry %d: %v", r.Entry.Index, err)
				}
			}
			if w.l.View().Size() != 4 {
				t.Errorf("%d entries, want genesis and three", w.l.View().Size())
			}
			if p.Count(fault) == 0 {
				t.Error("no fault was made")
			}
		})
	}
}

// Many clients at once over a network that fails at random.
func TestManyClientsOverABadNetwork(t *testing.T) {
	w := newWorld(t)
	r := rand.New(rand.NewPCG(1, 2))
	var mu sync.Mutex
	p := &clienttest.Proxy{Next: w, Choose: func(*http.Request) clienttest.Fault {
		mu.Lock()
		defer mu.Unlock()
		if r.IntN(3) > 0 {
			return clienttest.None
		}
		return clienttest.Faults[r.IntN(len(clienttest.Faults))]
	}}
	c := w.client(t, p, func(o *client.Options) { o.Attempts = 60 })
	l := w.follow(t, c, nil)
	const people, each = 6, 8
	envs := w.l.Stamps(w.l.Ada, "team/many", people*each)
	acknowledged := make([]uint64, len(envs))
	var wg sync.WaitGroup
	for n := range people {
		wg.Go(func() {
			for i := n; i < len(envs); i += people {
				r, err := l.Submit(context.Background(), envs[i], client.SubmitOptions{})
				if err != nil {
					t.Errorf("envelope %d: %v", i, err)
					return
				}
				acknowledged[i] = r.Entry.Index
			}
		})
	}
	wg.Wait()
	if size := w.l.View().Size(); size != people*each+1 {
		t.Errorf("%d entries, want each once", size)
	}
	for i, index := range acknowledged {
		if e, err := w.l.View().Entry(index); err != nil || e.Envelope.ID() != envs[i].ID() {
			t.Errorf("envelope %d is not entry %d: %v", i, index, err)
		}
	}
}

func TestLeaves(t *testing.T) {
	w := newWorld(t)
	w.l.Put(w.l.Stamps(w.l.Ada, "team/x", 700)...)
	l := w.follow(t, w.client(t, w), nil)
	for _, c := range []struct{ from, to, want uint64 }{{0, 701, 701}, {255, 257, 2}, {600, 9999, 101}, {5, 5, 0}, {9999, 10000, 0}} {
		n := c.from
		for leaf, err := range l.Leaves(t.Context(), c.from, c.to) {
			if err != nil {
				t.Fatal(err)
			}
			if e, err := leaf.Entry(); err != nil || e.Index != n {
				t.Fatalf("entry %d: %v", n, err)
			}
			n++
		}
		if n-c.from != c.want {
			t.Errorf("%d to %d: %d leaves, want %d", c.from, c.to, n-c.from, c.want)
		}
	}
	if _, err := l.Entry(t.Context(), 701); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("entry 701: %v", err)
	}
}

func TestFollowARotatedKey(t *testing.T) {
	w := newWorld(t)
	c := w.client(t, w)
	_, past := w.follow(t, c, nil).Checkpoint()
	w.put(w.l.Rotate(w.l.Ada, "1", "2"), "1", "2")
	w.put(w.stamp("after"), "2")
	l := w.follow(t, c, past)
	if at, _ := l.Checkpoint(); at.Size != 3 {
		t.Errorf("the log is at %d", at.Size)
	}
	// A key that nothing leads to stays untrusted.
	_, err := c.Follow(t.Context(), w.policy("3"), evidence.Remembered{})
	if !errors.Is(err, evidence.ErrUntrusted) {
		t.Errorf("another key: %v", err)
	}
	// A server that leaves the rotation out shows nothing.
	w.lie = func(rw http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/v1/read" {
			return false
		}
		reply(rw, &wire.ReadAnswer{Size: 3, Answers: []wire.OpAnswer{{}}, Entries: []wire.ReadEntry{}})
		return true
	}
	if _, err := c.Follow(t.Context(), w.policy("1"), evidence.Remembered{}); !errors.Is(err, evidence.ErrUntrusted) {
		t.Errorf("without the rotation: %v", err)
	}
}

func TestAddresses(t *testing.T) {
	for _, c := range []struct {
		address string
		ok      bool
	}{
		{"https://ledger.example", true},
		{"https://ledger.example:8443/team/", true},
		{"http://127.0.0.1:1", true},
		{"http://[::1]:1", true},
		{"http://localhost", true},
		{"unix:///run/stele.sock", true},
		{"http://ledger.example", false},
		{"http://127.0.0.1.example.com", false},
		{"http://localhost.example.com", false},
		{"https://user:secret@ledger.example", false},
		{"https://ledger.example?token=secret", false},
		{"https://ledger.example#x", false},
		{"https://", false},
		{"ftp://ledger.example", false},
		{"unix://host/path", false},
		{"ledger.example", false},
		{"https://secret@%zz", false},
	} {
		_, err := client.New(client.Options{URL: c.address})
		if (err == nil) != c.ok {
			t.Errorf("%s: %v", c.address, err)
		}
		if err != nil && strings.Contains(strings.ReplaceAll(err.Error(), "token=secret", ""), "secret@") {
			t.Errorf("%s: the error shows a secret: %v", c.address, err)
		}
	}
	for _, token := range []string{"a b", "a\nb", "é", strings.Repeat("a", 5000)} {
		if _, err := client.New(client.Options{URL: "https://a.example", Token: token}); err == nil {
			t.Errorf("the token %.10q was taken", token)
		}
	}
}

// A statement that was signed once more is one statement: its first receipt is taken
// where that signature can be checked, and is no lie where it cannot.
func TestSignedOnceMore(t *testing.T) {
	w := newWorld(t)
	key, err := statement.GenerateP256(rand2.Reader)
	if err != nil {
		t.Fatal(err)
	}
	bob, err := statement.NewP256(key, rand2.Reader)
	if err != nil {
		t.Fatal(err)
	}
	w.l.Put(w.l.Register(w.l.Ada, bob.PublicKey(), "bob", 0, []string{"*"}, statement.RoleMember))
	first := w.l.Stamp(bob, w.l.Ref("team/a", "1", "a"))
	w.l.Put(first)
	st, err := statement.Parse(first.Payload)
	if err != nil {
		t.Fatal(err)
	}
	again, err := statement.Sign(st, bob)
	if err != nil {
		t.Fatal(err)
	}
	if again.ID() != first.ID() || bytes.Equal(again.Signature, first.Signature) {
		t.Fatal("it is not the same statement under another signature")
	}
	l := w.follow(t, w.client(t, w), nil)
	if r, err := l.Submit(t.Context(), again, client.SubmitOptions{}); r != nil || !errors.Is(err, client.ErrTwin) || errors.Is(err, evidence.ErrTampered) {
		t.Errorf("without the key: %v, %v", r, err)
	}
	if r, err := l.Submit(t.Context(), again, client.SubmitOptions{Key: bob.PublicKey()}); err != nil || !r.Existed || r.Entry.Index != 2 {
		t.Errorf("with the key: %+v, %v", r, err)
	}
}
