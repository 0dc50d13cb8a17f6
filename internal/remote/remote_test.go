package remote_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/remote"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// TestEveryAnswerIsThatOfTheStore: whatever a view is asked, over a server it
// answers the same, in whatever order it is asked, at its own size and at earlier
// ones, while the log goes on.
func TestEveryAnswerIsThatOfTheStore(t *testing.T) {
	seeds := uint64(3)
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			l := grown(t, seed, 60)
			v := l.View()
			s := serve(l)
			r := open(t, s, v)
			// What comes later is none of this checkpoint's.
			bob := ledgertest.Ed25519("bob")
			for i := range 5 {
				l.Stamped(bob, "team/later", fmt.Sprint(i), fmt.Sprint("later", i))
			}
			compare(t, v, r.View(), seed)
			past, err := v.AsOf(v.Size() / 2)
			if err != nil {
				t.Fatal(err)
			}
			remotely, err := r.View().AsOf(v.Size() / 2)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, past, remotely, seed)
			later, err := r.At(t.Context(), signed(t, l.View()))
			if err != nil {
				t.Fatal(err)
			}
			compare(t, l.View(), later.View(), seed+100)
			if _, err := r.Begin(l.Now + 1000); !errors.Is(err, ledger.ErrReadOnly) {
				t.Errorf("Begin: %v", err)
			}
		})
	}
}

func compare(t *testing.T, local, over *ledger.View, seed uint64) {
	t.Helper()
	what := contentsOf(t, local)
	want := everything(local, what, rand.New(rand.NewPCG(seed, 7)))
	got := everything(over, what, rand.New(rand.NewPCG(seed, 7)))
	if len(want) != len(got) {
		t.Fatalf("%d answers, want %d", len(got), len(want))
	}
	for i := range want {
		if want[i] != got[i] {
			g, w := strings.Split(got[i], "\n"), strings.Split(want[i], "\n")
			for j := range min(len(g), len(w)) {
				if g[j] != w[j] {
					t.Fatalf("answer %d:\n%s\nwant:\n%s", i, g[j], w[j])
				}
			}
			t.Fatalf("answer %d has %d lines, want %d", i, len(g), len(w))
		}
	}
}

// lineageOf makes a ledger with a model that n artifacts went into, in some
// ninety chains, and returns it.
func lineageOf(t testing.TB, n int) (*ledgertest.Ledger, statement.Ref) {
	t.Helper()
	l := ledgertest.New(t)
	ci := l.Person("ci")
	var ends []statement.Ref
	for i := 0; i < n; {
		var block []*statement.Envelope
		var from []statement.Ref
		for j := 0; j <= n/90 && i < n-1; j++ {
			ref := l.Ref(fmt.Sprintf("data/n%d", j), fmt.Sprint(i), fmt.Sprint("contents", i))
			inputs := from
			block = append(block, l.Stamp(ci, ref, func(s *statement.Stamp) { s.From = inputs }))
			from = []statement.Ref{ref}
			i++
		}
		if len(block) == 0 {
			break
		}
		l.Put(block...)
		ends = append(ends, from[0])
	}
	return l, l.Ran(ci, "model", "1", "the model", ends...)
}

// TestALineageTooLargeForOneAnswer: the next answer goes on where the one before
// ended.
func TestALineageTooLargeForOneAnswer(t *testing.T) {
	if testing.Short() {
		t.Skip("it reads 8,000 entries, one after another")
	}
	const n = 8_000
	l, model := lineageOf(t, n)
	s := serve(l)
	r := open(t, s, l.View())
	x, err := r.View().Lineage()
	if err != nil {
		t.Fatal(err)
	}
	a, err := x.Artifact(model.Name, model.Version)
	if err != nil {
		t.Fatal(err)
	}
	if g, err := lineage.Up(x, a, 0); err != nil || len(g.Nodes) != n {
		t.Fatalf("%d artifacts: %v", len(g.Nodes), err)
	}
	t.Logf("%d requests, %d bytes, %d entries", s.requests(), s.bytes, s.entries)
	if s.requests() > 6 || s.entries > n+n/2 {
		t.Errorf("%d requests for %d entries", s.requests(), s.entries)
	}
}

// TestALineageIsAHandfulOfRequests: not one for each artifact.
func TestALineageIsAHandfulOfRequests(t *testing.T) {
	l, model := lineageOf(t, 1000)
	s := serve(l)
	r := open(t, s, l.View())
	opened := s.requests()
	v := r.View()
	x, err := v.Lineage()
	if err != nil {
		t.Fatal(err)
	}
	a, err := x.Artifact(model.Name, model.Version)
	if err != nil {
		t.Fatal(err)
	}
	g, err := lineage.Up(x, a, 0)
	if err != nil || len(g.Nodes) != 1000 {
		t.Fatalf("%d artifacts: %v", len(g.Nodes), err)
	}
	for _, n := range g.Nodes {
		for _, kind := range []statement.Kind{statement.KindEvaluation, statement.KindApproval, statement.KindRelease} {
			for _, err := range v.About(n.Ref.Fingerprint, kind) {
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		if _, err := v.Inclusion(n.Entry); err != nil {
			t.Fatal(err)
		}
	}
	if opened != 1 || s.requests() > 5 {
		t.Errorf("%d requests to open, %d in all", opened, s.requests())
	}
	t.Logf("%d requests, %d bytes, %d entries", s.requests(), s.bytes, s.entries)
}

// TestManyAtOnce: a view is asked from many goroutines, each of which gets the
// answers of the store.
func TestManyAtOnce(t *testing.T) {
	l := grown(t, 5, 30)
	what := contentsOf(t, l.View())
	want := everything(l.View(), what, rand.New(rand.NewPCG(2, 2)))
	v := open(t, serve(l), l.View()).View()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for i, got := range everything(v, what, rand.New(rand.NewPCG(2, 2))) {
				if got != want[i] {
					t.Errorf("answer %d is another", i)
					return
				}
			}
		})
	}
	wg.Wait()
}

// TestForgetting: what was forgotten because there was too much of it is read
// again, and the answers are the same.
func TestForgetting(t *testing.T) {
	defer remote.SetMaxMemory(20_000)()
	l := grown(t, 6, 40)
	compare(t, l.View(), open(t, serve(l), l.View()).View(), 3)

	large := ledgertest.New(t)
	large.Put(large.Stamps(large.Person("bob"), "team/x", 1500)...)
	v, r := large.View(), open(t, serve(large), large.View()).View()
	for i := range uint64(60) {
		index := i * 379 % v.Size()
		want, err := v.Inclusion(index)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := r.Inclusion(index); err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("the proof of %d: %v", index, err)
		}
		if _, err := r.Leaf(index); err != nil {
			t.Fatal(err)
		}
	}
}
