package remote_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/remote"
	"github.com/stele-ml/stele/internal/wire"
	"github.com/stele-ml/stele/statement"
)

// victim is a ledger that somebody lies about.
type victim struct {
	*ledgertest.Ledger
	bob, rel            statement.Signer
	data, model         statement.Ref
	withdrawn, approval uint64
	registered, put     uint64
}

func newVictim(t *testing.T) *victim {
	t.Helper()
	l := ledgertest.New(t)
	v := &victim{Ledger: l}
	v.registered = l.View().Size()
	v.bob = l.Person("bob")
	v.rel = l.Person("rel", statement.RoleApprover, statement.RoleReleaser)
	v.put = l.Contract(ledgertest.Rule("prod@1", "statements: [release]", `ledger.approvers(subject).exists(a, a == "rel")`))
	v.data = l.Stamped(v.bob, "team/data", "1", "data")
	v.withdrawn = l.Withdrawn(v.bob, l.Stamped(v.bob, "team/bad", "1", "bad"), statement.TargetContents, statement.EffectStop)
	v.model = l.Ran(v.bob, "team/model", "1", "model", v.data)
	v.approval = l.Approved(v.rel, v.model, "production")
	l.Released(v.rel, v.model, "production")
	l.Stamped(v.bob, "team/data", "2", "data 2", v.data)
	return v
}

func wantTampered(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, evidence.ErrTampered) {
		t.Errorf("got %v, want tampered", err)
	}
}

// lies opens a ledger over a server that changes its answers from then on.
func lies(t *testing.T, l *ledgertest.Ledger, change func(*wire.ReadAnswer)) *remote.Ledger {
	t.Helper()
	s := serve(l)
	r := open(t, s, l.View())
	s.change = func(_ []wire.ReadOp, a *wire.ReadAnswer) { change(a) }
	return r
}

func TestLiarAtReading(t *testing.T) {
	approvals := func(v *victim, r *remote.Ledger) error {
		for _, err := range r.View().About(v.model.Fingerprint, statement.KindApproval) {
			if err != nil {
				return err
			}
		}
		return nil
	}
	name := func(v *victim, r *remote.Ledger) error {
		_, err := r.View().ByName("team/model", "1")
		return err
	}
	leaf := func(v *victim, r *remote.Ledger) error {
		_, err := r.View().Leaf(v.approval)
		return err
	}
	// entry changes an entry in an answer.
	entry := func(f func(*wire.ReadEntry)) func(*victim, *wire.ReadAnswer) {
		return func(_ *victim, a *wire.ReadAnswer) {
			for i := range a.Entries {
				f(&a.Entries[i])
			}
		}
	}
	invented := func(key, value []byte) func(*victim, *wire.ReadAnswer) {
		return func(_ *victim, a *wire.ReadAnswer) {
			o := &a.Answers[0]
			o.Pairs = append(o.Pairs, wire.ReadPair{Key: key, Value: value})
			slices.SortFunc(o.Pairs, func(x, y wire.ReadPair) int { return bytes.Compare(x.Key, y.Key) })
		}
	}
	for _, c := range []struct {
		name string
		lie  func(*victim, *wire.ReadAnswer)
		ask  func(*victim, *remote.Ledger) error
	}{
		{"another proof", func(_ *victim, a *wire.ReadAnswer) {
			for i := wire.ReadHash - 1; i < len(a.Hashes); i += wire.ReadHash {
				a.Hashes[i] ^= 1
			}
		}, leaf},
		{"no proof", func(_ *victim, a *wire.ReadAnswer) { a.Hashes = nil }, leaf},
		{"a changed byte of an entry", entry(func(e *wire.ReadEntry) { e.Leaf[len(e.Leaf)-1] ^= 1 }), leaf},
		{"a truncated entry", entry(func(e *wire.ReadEntry) { e.Leaf = e.Leaf[:len(e.Leaf)-1] }), leaf},
		{"an empty entry", entry(func(e *wire.ReadEntry) { e.Leaf = nil }), leaf},
		{"another entry's bytes", func(v *victim, a *wire.ReadAnswer) {
			other, err := v.View().Leaf(v.approval - 1)
			if err != nil {
				t.Fatal(err)
			}
			a.Entries[0].Leaf = other
		}, leaf},
		{"another entry", entry(func(e *wire.ReadEntry) { e.Index-- }), leaf},
		{"no entry", func(_ *victim, a *wire.ReadAnswer) { a.Entries, a.Answers[0].Pairs = nil, nil }, leaf},
		{"no answer", func(_ *victim, a *wire.ReadAnswer) { a.Answers = nil }, leaf},
		{"an older size", func(_ *victim, a *wire.ReadAnswer) { a.Size-- }, leaf},
		{"a newer size", func(_ *victim, a *wire.ReadAnswer) { a.Size++ }, leaf},
		{"an answer to another read", func(_ *victim, a *wire.ReadAnswer) {
			a.Answers[0].Op.Get = ledger.KeyOfEntry(1)
			a.Answers[0].Pairs = nil
		}, leaf},
		{"a name that no entry binds", func(_ *victim, a *wire.ReadAnswer) {
			a.Answers[0].Pairs[0].Value[20] ^= 1 // of the fingerprint
		}, name},
		{"a name that another entry binds", func(_ *victim, a *wire.ReadAnswer) { a.Answers[0].Pairs[0].Value[7]-- }, name},
		{"an index without its entry", func(_ *victim, a *wire.ReadAnswer) { a.Entries = nil }, name},
		{"an index past the size", func(_ *victim, a *wire.ReadAnswer) { a.Answers[0].Pairs[0].Value[7] = 200 }, name},
		{"an index that leads nowhere", func(_ *victim, a *wire.ReadAnswer) { a.Answers[0].Pairs[0].Value = []byte("x") }, name},
		{"an approval of another stage", func(_ *victim, a *wire.ReadAnswer) { a.Answers[0].Pairs[0].Value = []byte("staging") }, approvals},
		{"a pair that was not asked for", invented([]byte("o"), nil), approvals},
		{"pairs out of order", func(_ *victim, a *wire.ReadAnswer) {
			o := &a.Answers[0]
			o.Pairs = append(o.Pairs, o.Pairs[0])
		}, approvals},
		{"more, without end", func(_ *victim, a *wire.ReadAnswer) {
			a.Answers[0].Pairs, a.Answers[0].More = nil, true
		}, approvals},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := newVictim(t)
			r := lies(t, v.Ledger, func(a *wire.ReadAnswer) { c.lie(v, a) })
			if err := c.ask(v, r); !errors.Is(err, evidence.ErrTampered) {
				t.Fatalf("got %v, want tampered", err)
			}
			// Who lied once is not asked again.
			if _, err := r.View().Leaf(0); !errors.Is(err, evidence.ErrTampered) {
				t.Errorf("after it: %v", err)
			}
		})
	}
}

// TestLiarInventsAnApproval: an index row that names a true entry, which says
// something else.
func TestLiarInventsAnApproval(t *testing.T) {
	v := newVictim(t)
	s := serve(v.Ledger)
	r := open(t, s, v.View())
	if _, err := r.View().Leaf(v.approval); err != nil { // the entry is known, and says what it says
		t.Fatal(err)
	}
	s.change = func(_ []wire.ReadOp, a *wire.ReadAnswer) {
		for i := range a.Answers {
			o := &a.Answers[i]
			if len(o.Op.Lower) == 0 || len(o.Pairs) > 0 {
				continue
			}
			key := binary.BigEndian.AppendUint64(bytes.Clone(o.Op.Lower), v.approval)
			o.Pairs = []wire.ReadPair{{Key: key, Value: []byte("production")}}
		}
	}
	for _, err := range r.View().About(v.data.Fingerprint, statement.KindApproval) {
		wantTampered(t, err)
		return
	}
	t.Error("no approval, and no error")
}

// TestLiarLeavesOutControlEntries: a withdrawal, an identity, a contract, the last
// of them, or all.
func TestLiarLeavesOutControlEntries(t *testing.T) {
	v := newVictim(t)
	for name, index := range map[string]uint64{"a withdrawal": v.withdrawn, "an identity": v.registered, "a contract": v.put} {
		t.Run(name, func(t *testing.T) {
			s := serve(v.Ledger)
			s.change = func(_ []wire.ReadOp, a *wire.ReadAnswer) {
				for i := range a.Answers {
					a.Answers[i].Pairs = slices.DeleteFunc(a.Answers[i].Pairs, func(p wire.ReadPair) bool {
						return p.Key[0] == 'x' && binary.BigEndian.Uint64(p.Value) == index
					})
				}
				a.Entries = slices.DeleteFunc(a.Entries, func(e wire.ReadEntry) bool { return e.Index == index })
			}
			_, err := remote.Open(t.Context(), s, signed(t, v.View()))
			wantTampered(t, err)
		})
	}
	t.Run("the rest of them", func(t *testing.T) {
		s := serve(v.Ledger)
		s.change = func(_ []wire.ReadOp, a *wire.ReadAnswer) {
			for i := range a.Answers {
				if o := &a.Answers[i]; len(o.Pairs) > 2 && o.Pairs[0].Key[0] == 'x' {
					o.Pairs, o.More = o.Pairs[:2], false
				}
			}
		}
		_, err := remote.Open(t.Context(), s, signed(t, v.View()))
		wantTampered(t, err)
	})
	t.Run("the last entry", func(t *testing.T) {
		l := ledgertest.New(t)
		bob := l.Person("bob")
		bad := l.Stamped(bob, "team/bad", "1", "bad")
		last := l.Withdrawn(bob, bad, statement.TargetContents, statement.EffectStop)
		s := serve(l)
		s.change = func(_ []wire.ReadOp, a *wire.ReadAnswer) {
			for i := range a.Answers {
				a.Answers[i].Pairs = slices.DeleteFunc(a.Answers[i].Pairs, func(p wire.ReadPair) bool {
					return p.Key[0] == 'x' && binary.BigEndian.Uint64(p.Value) == last
				})
			}
		}
		_, err := remote.Open(t.Context(), s, signed(t, l.View()))
		wantTampered(t, err)
	})
}

// TestLiarLeavesOutOfAKind: control entries are known once a ledger is open, so
// that no other list can be without them.
func TestLiarLeavesOutOfAKind(t *testing.T) {
	v := newVictim(t)
	drop := func(fam byte, index uint64) func(*wire.ReadAnswer) {
		return func(a *wire.ReadAnswer) {
			for i := range a.Answers {
				a.Answers[i].Pairs = slices.DeleteFunc(a.Answers[i].Pairs, func(p wire.ReadPair) bool {
					return p.Key[0] == fam && binary.BigEndian.Uint64(p.Key[len(p.Key)-8:]) == index
				})
			}
		}
	}
	bad := v.Ref("team/bad", "1", "bad")
	t.Run("by kind", func(t *testing.T) {
		r := lies(t, v.Ledger, drop('k', v.withdrawn))
		wantLast(t, r.View().ByKind(statement.KindWithdrawal))
	})
	t.Run("by signer", func(t *testing.T) {
		r := lies(t, v.Ledger, drop('s', v.withdrawn))
		wantLast(t, r.View().BySigner(v.bob.PublicKey().ID()))
	})
	t.Run("by contents", func(t *testing.T) {
		r := lies(t, v.Ledger, drop('f', v.withdrawn))
		wantLast(t, r.View().ByFingerprint(bad.Fingerprint))
	})
	t.Run("the last one", func(t *testing.T) {
		r := lies(t, v.Ledger, func(a *wire.ReadAnswer) {
			for i := range a.Answers {
				if a.Answers[i].Op.Last {
					a.Answers[i].Pairs = nil
				}
			}
		})
		_, _, err := r.View().LastOn(bad.Fingerprint)
		wantTampered(t, err)
	})
}

// wantLast goes through a sequence, which must end in an error of tampering.
func wantLast(t *testing.T, seq func(func(uint64, error) bool)) {
	t.Helper()
	var last error
	for _, err := range seq {
		last = err
	}
	wantTampered(t, last)
}

// TestLiarLeavesOutWhatWasSeen: an approval can be left out of a list, which is why
// a verdict over a server says that its operator attests it; not by a server that
// showed it before, nor by one that shows it later.
func TestLiarLeavesOutWhatWasSeen(t *testing.T) {
	v := newVictim(t)
	drop := func(a *wire.ReadAnswer) {
		for i := range a.Answers {
			a.Answers[i].Pairs = slices.DeleteFunc(a.Answers[i].Pairs, func(p wire.ReadPair) bool { return p.Key[0] == 'o' })
		}
	}
	count := func(r *remote.Ledger) (n int, err error) {
		for _, err := range r.View().About(v.model.Fingerprint, statement.KindApproval) {
			if err != nil {
				return n, err
			}
			n++
		}
		return n, nil
	}
	never := lies(t, v.Ledger, func(a *wire.ReadAnswer) {
		drop(a)
		a.Entries = slices.DeleteFunc(a.Entries, func(e wire.ReadEntry) bool { return e.Index == v.approval })
	})
	if n, err := count(never); n != 0 || err != nil {
		t.Errorf("%d approvals, %v: docs/formats/remote-reads.md says what cannot be seen", n, err)
	}
	// Shown later, it was left out before.
	_, err := never.View().Leaf(v.approval)
	if err == nil {
		_, err = never.View().Leaf(0)
	}
	wantTampered(t, err)

	before := serve(v.Ledger)
	r := open(t, before, v.View())
	if _, err := r.View().Leaf(v.approval); err != nil {
		t.Fatal(err)
	}
	before.change = func(_ []wire.ReadOp, a *wire.ReadAnswer) { drop(a) }
	_, err = count(r)
	wantTampered(t, err)

	// Nor at a later size.
	before.change = nil
	if r = open(t, before, v.View()); r.Requests() != 1 {
		t.Fatal("more was read than it takes to open the ledger")
	}
	if n, err := count(r); n != 1 || err != nil {
		t.Fatalf("%d approvals: %v", n, err)
	}
	v.Stamped(v.bob, "team/data", "3", "data 3")
	later, err := r.At(t.Context(), signed(t, v.View()))
	if err != nil {
		t.Fatal(err)
	}
	before.change = func(_ []wire.ReadOp, a *wire.ReadAnswer) { drop(a) }
	_, err = count(later)
	wantTampered(t, err)
}

// TestLiarWithAnotherHistory: the answers are those of a fork, of another ledger,
// of what the log was before.
func TestLiarWithAnotherHistory(t *testing.T) {
	v := newVictim(t)
	fork := newVictim(t)
	fork.Stamped(fork.bob, "team/fork", "1", "fork")
	v.Stamped(v.bob, "team/true", "1", "true")
	for _, l := range []*victim{fork, v} {
		l.Stamped(l.bob, "team/both", "1", "both")
	}
	if fork.View().Size() != v.View().Size() {
		t.Fatal("the fork is of another size")
	}
	for name, from := range map[string]*ledgertest.Ledger{"a fork": fork.Ledger, "another ledger": grown(t, 1, 30)} {
		t.Run(name, func(t *testing.T) {
			_, err := remote.Open(t.Context(), serve(from), signed(t, v.View()))
			wantTampered(t, err)
		})
		t.Run(name+", once it is open", func(t *testing.T) {
			s := serve(v.Ledger)
			r := open(t, s, v.View())
			s.view = from.View
			_, err := r.View().Leaf(v.View().Size() - 2)
			wantTampered(t, err)
		})
	}
	t.Run("an older state", func(t *testing.T) {
		past := newVictim(t)
		_, err := remote.Open(t.Context(), serve(past.Ledger), signed(t, v.View()))
		if err == nil {
			t.Error("opened")
		}
	})
	t.Run("a checkpoint that the log never was at", func(t *testing.T) {
		cp, _, err := evidence.ReadCheckpoint(signed(t, v.View()))
		if err != nil {
			t.Fatal(err)
		}
		cp.Root[0] ^= 1
		key, _ := ledgertest.LogKey("1")
		forged, err := evidence.SignCheckpoint(cp, []note.Signer{key}...)
		if err != nil {
			t.Fatal(err)
		}
		_, err = remote.Open(t.Context(), serve(v.Ledger), forged)
		wantTampered(t, err)
	})
}

// TestLiarWithCheckpoints: of another size, another root, by another key.
func TestLiarWithCheckpoints(t *testing.T) {
	v := newVictim(t)
	sign := func(f func(*evidence.Checkpoint), with string) func(*wire.ReadAnswer) {
		return func(a *wire.ReadAnswer) {
			for i := range a.Answers {
				for j := range a.Answers[i].Pairs {
					p := &a.Answers[i].Pairs[j]
					cp, _, err := evidence.ReadCheckpoint(p.Value)
					if err != nil {
						t.Fatal(err)
					}
					f(&cp)
					key, _ := ledgertest.LogKey(with)
					if p.Value, err = evidence.SignCheckpoint(cp, key); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}
	for name, lie := range map[string]func(*wire.ReadAnswer){
		"another root": sign(func(cp *evidence.Checkpoint) { cp.Root[3] ^= 1 }, "1"),
		"another size": sign(func(cp *evidence.Checkpoint) { cp.Size-- }, "1"),
		"another key":  sign(func(*evidence.Checkpoint) {}, "2"),
		"not a note":   func(a *wire.ReadAnswer) { a.Answers[0].Pairs[0].Value = []byte("x") },
	} {
		t.Run(name, func(t *testing.T) {
			r := lies(t, v.Ledger, lie)
			_, err := r.View().Checkpoint(3)
			wantTampered(t, err)
		})
	}
}

// TestLiarWithTiles: a hash in a full tile, and in its parent.
func TestLiarWithTiles(t *testing.T) {
	l := ledgertest.New(t)
	bob := l.Person("bob")
	l.Put(l.Stamps(bob, "team/x", 700)...)
	for name, lie := range map[string]func(*wire.ReadAnswer){
		"another hash":   func(a *wire.ReadAnswer) { a.Answers[0].Pairs[0].Value[40] ^= 1 },
		"a short tile":   func(a *wire.ReadAnswer) { a.Answers[0].Pairs[0].Value = a.Answers[0].Pairs[0].Value[:32] },
		"no tile":        func(a *wire.ReadAnswer) { a.Answers[0].Pairs = nil },
		"another's tile": func(a *wire.ReadAnswer) { a.Answers[0].Pairs[0].Value = bytes.Repeat([]byte{1}, 256*32) },
	} {
		t.Run(name, func(t *testing.T) {
			r := lies(t, l, lie)
			_, err := r.View().Tile(0, 1, 256)
			wantTampered(t, err)
		})
	}
	r := open(t, serve(l), l.View())
	want, err := l.View().Tile(0, 1, 256)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := r.View().Tile(0, 1, 256); err != nil || !bytes.Equal(got, want) {
		t.Errorf("the honest tile: %v", err)
	}
}

// TestLiarChangesAnything: whatever bit of whatever answer is another, every answer
// of the view is the true one, or an error.
func TestLiarChangesAnything(t *testing.T) {
	l := grown(t, 9, 25)
	what := contentsOf(t, l.View())
	want := everything(l.View(), what, rand.New(rand.NewPCG(1, 1)))
	seeds, caught := uint64(60), uint64(0)
	if testing.Short() {
		seeds = 9
	}
	for seed := range seeds {
		chance := rand.New(rand.NewPCG(seed, 5))
		s := serve(l)
		at := chance.IntN(12)
		s.change = func(_ []wire.ReadOp, a *wire.ReadAnswer) {
			if at--; at == 0 {
				flip(chance, a)
			}
		}
		r, err := remote.Open(t.Context(), s, signed(t, l.View()))
		if err != nil {
			wantTampered(t, err)
			caught++
			continue
		}
		for i, got := range everything(r.View(), what, rand.New(rand.NewPCG(1, 1))) {
			if got == want[i] {
				continue
			}
			g, w := strings.Split(got, "\n"), strings.Split(want[i], "\n")
			for j := range min(len(g), len(w)) {
				if g[j] == w[j] {
					continue
				}
				if !strings.Contains(g[j], "tampered") {
					t.Fatalf("seed %d: %s\nwant %s", seed, g[j], w[j])
				}
				caught++
				break
			}
			break
		}
	}
	if caught < seeds/3 {
		t.Errorf("only %d lies were found out", caught)
	}
}

// flip changes one bit of an answer.
func flip(chance *rand.Rand, a *wire.ReadAnswer) {
	var fields [][]byte
	for _, e := range a.Entries {
		fields = append(fields, e.Leaf)
	}
	for _, o := range a.Answers {
		for _, p := range o.Pairs {
			fields = append(fields, p.Key, p.Value)
		}
	}
	if len(a.Hashes) > 0 {
		fields = append(fields, a.Hashes)
	}
	fields = slices.DeleteFunc(fields, func(b []byte) bool { return len(b) == 0 })
	if len(fields) == 0 {
		a.Size ^= 1
		return
	}
	f := fields[chance.IntN(len(fields))]
	f[chance.IntN(len(f))] ^= 1 << chance.IntN(8)
}

// TestLogThatForgesASigner: the log itself, with its key, admits what nobody
// signed. It is in the tree, and is believed by nobody.
func TestLogThatForgesASigner(t *testing.T) {
	l := ledgertest.New(t)
	bob := l.Person("bob")
	env := l.Stamp(bob, l.Ref("team/data", "1", "data"))
	env.Signature[10] ^= 1
	block, err := l.Begin(l.Now + 1000)
	if err != nil {
		t.Fatal(err)
	}
	c, err := l.PrepareVerifiedUnsafe(env)
	if err == nil {
		_, err = block.Admit(c)
	}
	if err != nil {
		t.Fatal(err)
	}
	size, root := block.Root()
	key, _ := ledgertest.LogKey("1")
	cp, err := evidence.SignCheckpoint(evidence.Checkpoint{Origin: block.Origin(), Size: size, Root: root}, key)
	if err == nil {
		err = block.Commit(cp)
	}
	if err != nil {
		t.Fatal(err)
	}
	_, err = remote.Open(t.Context(), serve(l), signed(t, l.View()))
	wantTampered(t, err)
	if err != nil && !strings.Contains(err.Error(), "entry 2") {
		t.Errorf("it does not say which: %v", err)
	}
}

// TestServerThatBreaksOff: an error of asking is told as it is, and changes
// nothing.
func TestServerThatBreaksOff(t *testing.T) {
	v := newVictim(t)
	s := serve(v.Ledger)
	r := open(t, s, v.View())
	gone := errors.New("connection refused")
	s.fails = gone
	if _, err := r.View().Leaf(v.approval); !errors.Is(err, gone) || errors.Is(err, evidence.ErrTampered) {
		t.Errorf("while it is gone: %v", err)
	}
	s.fails = nil
	if _, err := r.View().Leaf(v.approval); err != nil {
		t.Errorf("once it is back: %v", err)
	}
}

// TestLedgerThatNeverEnds: whose ledger it is shows when all control entries are read,
// and who made it up can make up more of them for ever.
func TestLedgerThatNeverEnds(t *testing.T) {
	l := ledgertest.New(t)
	for i := range 600 { // more than one page of them
		l.Person(fmt.Sprintf("p%d", i))
	}
	open(t, untraced{serve(l)}, l.View())
	defer remote.SetMaxMemory(100_000)()
	_, err := remote.Open(t.Context(), untraced{serve(l)}, signed(t, l.View()))
	if err == nil || !strings.Contains(err.Error(), "control entries") {
		t.Errorf("error %v", err)
	}
}

// untraced is a server that answers what is asked for and nothing besides.
type untraced struct{ remote.Server }

func (s untraced) Trace(ctx context.Context, r *wire.TraceRequest) (*wire.ReadAnswer, error) {
	return s.Read(ctx, &wire.ReadRequest{Size: r.Size, Index: r.Index, Ops: r.Ops})
}
