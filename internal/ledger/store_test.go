package ledger_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/mod/sumdb/note"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/statement"
)

func key(fam byte, n uint64) []byte { return binary.BigEndian.AppendUint64([]byte{fam}, n) }

func (b *bench) get(key []byte) []byte {
	b.t.Helper()
	v, closer, err := b.db.Get(key)
	if err != nil {
		b.t.Fatalf("%x: %v", key, err)
	}
	defer closer.Close()
	return bytes.Clone(v)
}

func (b *bench) set(key, value []byte) {
	b.t.Helper()
	if err := b.db.Set(key, value, pebble.NoSync); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) del(key []byte) {
	b.t.Helper()
	if err := b.db.Delete(key, pebble.NoSync); err != nil {
		b.t.Fatal(err)
	}
}

// withStamps is a ledger of n stamps, ten to a block.
func withStamps(t *testing.T, n int) *bench {
	t.Helper()
	b := newBench(t)
	envs := b.m.Stamps(b.ada, "data", n)
	for len(envs) > 0 {
		k := min(10, len(envs))
		if _, errs := b.admitAll(envs[:k]...); errors.Join(errs...) != nil {
			t.Fatal(errs)
		}
		envs = envs[k:]
	}
	return b
}

// copy returns a bench whose store holds what that of b holds.
func (b *bench) copy(t *testing.T) *bench {
	t.Helper()
	other := emptyBench(t)
	it, err := b.db.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		other.set(it.Key(), it.Value())
	}
	if err := errors.Join(it.Error(), other.reopen()); err != nil {
		t.Fatal(err)
	}
	return other
}

// resign makes a checkpoint over whatever entries the store has, with the log's
// own key: the attacker is the operator.
func (b *bench) resign(size uint64) {
	b.t.Helper()
	var hashes []hash
	for i := range size {
		hashes = append(hashes, evidence.LeafHash(b.get(key('e', i))))
	}
	s, _ := ledgertest.LogKey("1")
	signed, err := evidence.SignCheckpoint(evidence.Checkpoint{Origin: ledgertest.Origin, Size: size, Root: rootOf(hashes)}, []note.Signer{s}...)
	if err != nil {
		b.t.Fatal(err)
	}
	b.set(key('c', size), signed)
}

// TestAttacksOnTheStore: whoever can write the database, but not sign, is
// found out by opening or by fsck; whoever can sign too is found out by fsck,
// and by everybody who kept a checkpoint.
func TestAttacksOnTheStore(t *testing.T) {
	const size = 301 // one full tile and a bit
	sound := withStamps(t, size-1)
	sound.sound()
	forge := func(leaf []byte, index uint64) []byte {
		e, err := evidence.ParseEntry(leaf)
		if err != nil {
			panic(err)
		}
		e.Index = index
		return e.Leaf()
	}
	for _, c := range []struct {
		name   string
		attack func(b *bench)
		words  string
	}{
		{"edit an entry's time", func(b *bench) {
			leaf := b.get(key('e', 7))
			leaf[30] ^= 1
			b.set(key('e', 7), leaf)
		}, "entry 7"},
		{"edit an entry's payload", func(b *bench) {
			leaf := b.get(key('e', 299))
			b.set(key('e', 299), bytes.Replace(leaf, []byte(`"files":1`), []byte(`"files":2`), 1))
		}, ""},
		{"edit an entry and sign again", func(b *bench) {
			leaf := b.get(key('e', 299))
			b.set(key('e', 299), bytes.Replace(leaf, []byte(`"files":1`), []byte(`"files":2`), 1))
			b.resign(size)
		}, "entry 299"},
		{"reorder two entries", func(b *bench) {
			x, y := b.get(key('e', 290)), b.get(key('e', 291))
			b.set(key('e', 290), y)
			b.set(key('e', 291), x)
		}, ""},
		{"reorder two entries, indexes put right, and sign again", func(b *bench) {
			x, y := b.get(key('e', 292)), b.get(key('e', 293))
			b.set(key('e', 292), forge(y, 292))
			b.set(key('e', 293), forge(x, 293))
			b.resign(size)
		}, ""},
		{"drop an entry", func(b *bench) { b.del(key('e', 100)) }, "entry 100"},
		{"drop an entry and close the gap", func(b *bench) {
			for i := uint64(100); i < size-1; i++ {
				b.set(key('e', i), forge(b.get(key('e', i+1)), i))
			}
			b.del(key('e', size-1))
			b.del(key('c', size))
			b.resign(size - 1)
		}, ""},
		{"insert an entry", func(b *bench) {
			b.set(key('e', size), forge(b.get(key('e', 5)), size))
		}, ""},
		{"insert an entry and sign for it", func(b *bench) {
			b.set(key('e', size), forge(b.get(key('e', 5)), size))
			b.resign(size + 1)
		}, "entry 301"},
		{"cut the tail, leave the checkpoint", func(b *bench) { b.del(key('e', size-1)) }, ""},
		{"cut the last checkpoint, leave the tail", func(b *bench) { b.del(key('c', size)) }, ""},
		{"drop a checkpoint in the middle", func(b *bench) { b.del(key('c', 101)) }, ""},
		{"exchange two checkpoints", func(b *bench) {
			x, y := b.get(key('c', 101)), b.get(key('c', 111))
			b.set(key('c', 101), y)
			b.set(key('c', 111), x)
		}, "checkpoint"},
		{"a checkpoint by another key", func(b *bench) {
			signed := b.get(key('c', size))
			cp, _, err := evidence.ReadCheckpoint(signed)
			if err != nil {
				panic(err)
			}
			s, _ := ledgertest.LogKey("2")
			signed, err = evidence.SignCheckpoint(cp, s)
			if err != nil {
				panic(err)
			}
			b.set(key('c', size), signed)
		}, "checkpoint of size 301"},
		{"edit a full tile", func(b *bench) {
			k := append([]byte{'t', 0}, make([]byte, 8)...)
			tile := b.get(k)
			tile[77] ^= 1
			b.set(k, tile)
		}, "index"},
		{"edit an unfinished tile", func(b *bench) {
			k := append([]byte{'t', 1}, make([]byte, 8)...)
			tile := b.get(k)
			tile[3] ^= 1
			b.set(k, tile)
		}, ""},
		{"bind a name to other bytes", func(b *bench) {
			k := []byte("ndata\x005")
			v := b.get(k)
			v[20] ^= 1
			b.set(k, v)
		}, "data"},
		{"unbind a name", func(b *bench) { b.del([]byte("ndata\x005")) }, "data"},
		{"hide a version", func(b *bench) { b.del(append(append([]byte("vdata\x00"), key(0, 9)[1:]...), "8"...)) }, "data"},
		{"an extra name", func(b *bench) { b.set([]byte("nother\x001"), b.get([]byte("ndata\x005"))) }, "other"},
		{"forget a statement", func(b *bench) {
			e, err := b.l.View().Entry(50)
			if err != nil {
				panic(err)
			}
			id := e.Envelope.ID()
			b.del(append([]byte{'i'}, id[:]...))
		}, "lacks"},
		{"leave a control entry out", func(b *bench) { b.del(key('x', 0)) }, ""},
		{"a key of no family", func(b *bench) { b.set([]byte("zebra"), nil) }, "zebra"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := sound.copy(t)
			c.attack(b)
			openErr := b.reopen()
			if openErr != nil && !errors.Is(openErr, ledger.ErrDamaged) {
				t.Fatalf("opening: %v", openErr)
			}
			problems := b.fsck()
			if len(problems) == 0 {
				t.Fatal("fsck found nothing")
			}
			if all := strings.Join(problems, "\n"); !strings.Contains(all, c.words) {
				t.Fatalf("fsck does not name %q: %s", c.words, all)
			}
		})
	}
}

// TestAttackLastWithdrawalUnindexed: whoever can write the database hides the
// withdrawal that is its last entry from the index: no entry after it says that
// it is there.
func TestAttackLastWithdrawalUnindexed(t *testing.T) {
	b := newBench(t)
	ref := b.m.Ref("data", "1", "x")
	b.must(b.m.Stamp(b.ada, ref))
	b.must(b.m.Withdraw(b.ada, ref, statement.TargetContents, 1))
	b.del(key('x', 1))
	if err := b.reopen(); !errors.Is(err, ledger.ErrDamaged) {
		t.Fatalf("opening: %v", err)
	}
}

// TestAttackNameIndexAtAdmission: an index that lies about a name gets no
// reference into the log that a replay would refuse.
func TestAttackNameIndexAtAdmission(t *testing.T) {
	b := newBench(t)
	b.must(b.m.Stamp(b.ada, b.m.Ref("data", "1", "x")))
	b.must(b.m.Stamp(b.ada, b.m.Ref("data", "2", "y")))
	b.set([]byte("ndata\x001"), append(b.get([]byte("ndata\x001"))[:8], b.get([]byte("ndata\x002"))[8:]...))
	size := b.l.View().Size()
	lie := b.m.Ref("data", "1", "y")
	_, errs := b.admitAll(b.m.Stamp(b.ada, b.m.Ref("derived", "1", "d"), func(s *statement.Stamp) { s.From = []statement.Ref{lie} }))
	if !errors.Is(errs[0], ledger.ErrDamaged) || b.l.View().Size() != size {
		t.Fatalf("admitted: %v", errs[0])
	}
}

// dump returns every key and value.
func (b *bench) dump() string {
	b.t.Helper()
	it, err := b.db.NewIter(nil)
	if err != nil {
		b.t.Fatal(err)
	}
	defer it.Close()
	var s strings.Builder
	for ok := it.First(); ok; ok = it.Next() {
		fmt.Fprintf(&s, "%q %q\n", it.Key(), it.Value())
	}
	return s.String()
}

// TestRebuild: everything but entries and checkpoints is written again, to the
// byte, whatever became of it.
func TestRebuild(t *testing.T) {
	b := newBench(t)
	story(t, b)
	want := b.dump()
	wreck := func(name string, f func()) {
		t.Run(name, func(t *testing.T) {
			b.t = t
			f()
			if err := ledger.Rebuild(t.Context(), b.db, nil); err != nil {
				t.Fatal(err)
			}
			if got := b.dump(); got != want {
				t.Fatal("the rebuilt store differs")
			}
			if err := b.reopen(); err != nil {
				t.Fatal(err)
			}
			if err := b.l.Writable(); err != nil {
				t.Fatal(err)
			}
			b.sound()
		})
	}
	wreck("nothing is wrong", func() {})
	wreck("no index at all", func() {
		for _, fam := range "afiklnoprstuvx" {
			if err := b.db.DeleteRange([]byte{byte(fam)}, []byte{byte(fam) + 1}, pebble.NoSync); err != nil {
				t.Fatal(err)
			}
		}
		b.del([]byte("mindex"))
		// The log opens all the same, for reading.
		if err := b.reopen(); err != nil {
			t.Fatal(err)
		}
		if err := b.l.Writable(); !errors.Is(err, ledger.ErrIndex) {
			t.Fatal(err)
		}
		if _, err := b.l.Begin(b.now + 1000); !errors.Is(err, ledger.ErrIndex) {
			t.Fatal(err)
		}
		for e, err := range b.l.View().Entries(0, b.l.View().Size()) {
			if err != nil || e == nil {
				t.Fatal(err)
			}
		}
	})
	wreck("an older version, with other keys", func() {
		b.set([]byte("mindex"), []byte("1"))
		b.set([]byte("nstray\x001"), []byte("?"))
		b.set([]byte("t\x00........"), []byte("?"))
	})
	wreck("a rebuild that was cut short", func() {
		b.set([]byte("mindex"), []byte("building"))
		b.del([]byte("ndata\x001"))
	})
}

// TestOlderIndex: a store as the program before lineage wrote it is read, is
// neither written to nor asked what its index does not have, and says what to
// do.
func TestOlderIndex(t *testing.T) {
	b := newBench(t)
	story(t, b)
	ref := b.m.Ref("model", "1", "m")
	for _, fam := range "lopu" {
		if err := b.db.DeleteRange([]byte{byte(fam)}, []byte{byte(fam) + 1}, pebble.NoSync); err != nil {
			t.Fatal(err)
		}
	}
	b.set([]byte("mindex"), []byte("1"))
	if err := b.reopen(); err != nil {
		t.Fatal(err)
	}
	const words = "the ledger's index must be rebuilt (stele fsck --rebuild)"
	v := b.l.View()
	asked := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, ledger.ErrIndex) || err.Error() != words {
			t.Fatalf("%s: %v", what, err)
		}
	}
	last := func(seq func(func(error) bool)) (err error) {
		seq(func(e error) bool { err = e; return true })
		return err
	}
	asked("writing", b.l.Writable())
	_, err := v.Lineage()
	asked("lineage", err)
	_, _, err = v.LineageEntries(ref, 0)
	asked("lineage entries", err)
	_, err = v.InStage("production")
	asked("in stage", err)
	_, err = v.Run(statement.Nonce{1})
	asked("run", err)
	_, err = v.Latest("model")
	asked("latest", err)
	_, err = v.After(&statement.Statement{Kind: statement.KindWithdrawal, Withdrawal: &statement.Withdrawal{}, Subject: []statement.Subject{ref.Subject()}})
	asked("after", err)
	asked("stages", last(func(yield func(error) bool) {
		v.Stages()(func(_ string, err error) bool { return yield(err) })
	}))
	asked("history", last(func(yield func(error) bool) {
		v.StageHistory("production", "")(func(_ ledger.StageChange, err error) bool { return yield(err) })
	}))
	asked("about", last(func(yield func(error) bool) {
		v.About(ref.Fingerprint, statement.KindRelease)(func(_ uint64, err error) bool { return yield(err) })
	}))
	asked("names", last(func(yield func(error) bool) {
		v.Names("")(func(_ string, err error) bool { return yield(err) })
	}))
	asked("versions", last(func(yield func(error) bool) {
		v.Versions("model")(func(_ ledger.Binding, err error) bool { return yield(err) })
	}))
	if bound, err := v.ByName("model", "1"); err != nil || bound.Fingerprint != ref.Fingerprint {
		t.Fatal(bound, err)
	}
	if err := ledger.Rebuild(t.Context(), b.db, nil); err != nil {
		t.Fatal(err)
	}
	if err := b.reopen(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.l.View().InStage("production"); err != nil {
		t.Fatal(err)
	}
	b.sound()
}

// TestAttacksOnLineageIndex: whoever can write the database hides what was made
// of what, or puts something into a stage, and is found out by fsck.
func TestAttacksOnLineageIndex(t *testing.T) {
	for _, fam := range "lopu" {
		for _, attack := range []string{"hide", "add", "change"} {
			t.Run(string(fam)+" "+attack, func(t *testing.T) {
				b := newBench(t)
				story(t, b)
				it, err := b.db.NewIter(&pebble.IterOptions{LowerBound: []byte{byte(fam)}, UpperBound: []byte{byte(fam) + 1}})
				if err != nil {
					t.Fatal(err)
				}
				if !it.First() {
					t.Fatal("the story has none")
				}
				k, v := bytes.Clone(it.Key()), bytes.Clone(it.Value())
				if err := it.Close(); err != nil {
					t.Fatal(err)
				}
				switch attack {
				case "hide":
					b.del(k)
				case "add":
					k[len(k)-1] ^= 0x40
					b.set(k, v)
				case "change":
					b.set(k, append(v, 1))
				}
				if len(b.fsck()) == 0 {
					t.Fatal("fsck found nothing")
				}
			})
		}
	}
}

// TestAttackLyingLineageIndex: an index that lies gives damage, not a lineage
// that the entries do not have.
func TestAttackLyingLineageIndex(t *testing.T) {
	b := newBench(t)
	x, y := b.m.Ref("x", "1", "x"), b.m.Ref("y", "1", "y")
	b.must(b.m.Stamp(b.ada, x))
	b.must(b.m.Stamp(b.ada, y))
	prefix := func(fam byte, ref statement.Ref, more ...byte) []byte {
		return append(append([]byte{fam, byte(ref.Fingerprint.Algorithm)}, ref.Fingerprint.Sum[:]...), more...)
	}
	for _, c := range []struct {
		name       string
		key, value []byte
	}{
		{"a stamp of other contents", append(prefix('f', x), key(0, 2)[1:]...), []byte{3}},
		{"a run that is a stamp", append(prefix('o', x, 8), key(0, 2)[1:]...), nil},
		{"a name bound elsewhere", []byte("nx\x001"), b.get([]byte("ny\x001"))},
	} {
		t.Run(c.name, func(t *testing.T) {
			var old []byte
			if v, closer, err := b.db.Get(c.key); err == nil {
				old = bytes.Clone(v)
				closer.Close()
			}
			b.set(c.key, c.value)
			f, err := b.l.View().Lineage()
			if err != nil {
				t.Fatal(err)
			}
			a, err := f.Artifact("x", "1")
			if err == nil {
				_, err = f.Origins(a)
			}
			if !errors.Is(err, ledger.ErrDamaged) {
				t.Fatal(err)
			}
			if b.del(c.key); old != nil {
				b.set(c.key, old)
			}
		})
	}
}

func TestRebuildRefusesDamagedEntries(t *testing.T) {
	b := withStamps(t, 40)
	leaf := b.get(key('e', 7))
	leaf[30] ^= 1
	b.set(key('e', 7), leaf)
	if err := ledger.Rebuild(t.Context(), b.db, nil); !errors.Is(err, ledger.ErrDamaged) {
		t.Fatal(err)
	}
	if err := b.reopen(); !errors.Is(err, ledger.ErrDamaged) {
		t.Fatalf("opened: %v", err)
	}
}

// appendForged puts an entry of the attacker's making at the end of the log, and
// signs for it: the attacker is the operator.
func (b *bench) appendForged(env *statement.Envelope) uint64 {
	b.t.Helper()
	control, err := b.l.View().Control()
	if err != nil {
		b.t.Fatal(err)
	}
	at := b.l.View().Size()
	e := evidence.Entry{Index: at, Time: b.now + 1, ControlCount: control.Count(), ControlRoot: control.Root(), Envelope: env}
	b.set(key('e', at), e.Leaf())
	if st, err := e.Statement(); err == nil && st.Control() {
		b.set(key('x', control.Count()), key(0, at)[1:])
	}
	b.resign(at + 1)
	return at
}

// TestAttackOperatorPassesAContractBy: an operator admits what the contracts in
// force refuse, and signs for it. Whoever replays the log sees which entry it is.
func TestAttackOperatorPassesAContractBy(t *testing.T) {
	for name, attack := range map[string]func(b *bench) *statement.Envelope{
		"a stamp that is refused": func(b *bench) *statement.Envelope {
			b.must(b.m.PutContract(b.ada, ledgertest.Rule("none@1", "statements: [stamp]", "false")))
			return b.m.Stamp(b.ada, b.m.Ref("data", "1", "x"))
		},
		"a contract that does not compile": func(b *bench) *statement.Envelope {
			return b.m.PutContract(b.ada, ledgertest.Rule("none@1", "statements: [stamp]", "ledgr.size()"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			at := b.appendForged(attack(b))
			want := fmt.Sprintf("entry %d breaks the rule ", at)
			if p := strings.Join(b.fsck(), "\n"); !strings.Contains(p, want) {
				t.Errorf("fsck says %s", p)
			}
			if err := ledger.Rebuild(t.Context(), b.db, nil); !errors.Is(err, ledger.ErrDamaged) || !strings.Contains(err.Error(), want) {
				t.Errorf("a rebuild says %v", err)
			}
		})
	}
}

// TestEngineOfTheFuture: a contract in force whose rules only a newer program can
// evaluate lets nothing be admitted, and everything be read.
func TestEngineOfTheFuture(t *testing.T) {
	b := withStamps(t, 3)
	b.appendForged(b.m.PutContract(b.ada, strings.Replace(ledgertest.Rule("new@1", "statements: [stamp]", "true"), "cel/1", "cel/2", 1)))
	if err := b.reopen(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.l.Begin(b.now + 1000); !errors.Is(err, ledger.ErrRules) || !strings.Contains(err.Error(), `the contract new@1 in entry 4 is for the engine "cel/2"`) {
		t.Errorf("begin: %v", err)
	}
	v := b.l.View()
	if list, err := v.Contracts(); !errors.Is(err, ledger.ErrRules) {
		t.Errorf("%v, %v", list, err)
	}
	if c, err := v.Control(); err != nil || len(c.ContractsInForce()) != 1 {
		t.Errorf("%v", err)
	}
	if bound, err := v.ByName("data", "1"); err != nil || bound.Entry != 2 {
		t.Errorf("%v, %v", bound, err)
	}
}

// TestRulesOfTheFuture: a ledger with an entry of a kind that only a newer
// program knows can be read, and is not written to.
func TestRulesOfTheFuture(t *testing.T) {
	b := withStamps(t, 3)
	payload := []byte(`{"_type":"https://in-toto.io/Statement/v1","predicateType":"https://stele.dev/upgrade/v1","predicate":{"rules":2}}`)
	env := &statement.Envelope{PayloadType: statement.PayloadType, Payload: payload, KeyID: b.ada.PublicKey().ID()}
	var err error
	if env.Signature, err = b.ada.Sign(env.Message()); err != nil {
		t.Fatal(err)
	}
	control, err := b.l.View().Control()
	if err != nil {
		t.Fatal(err)
	}
	e := evidence.Entry{Index: 4, Time: b.now + 1, ControlCount: control.Count(), ControlRoot: control.Root(), Envelope: env}
	b.set(key('e', 4), e.Leaf())
	b.set(key('x', control.Count()), key(0, 4)[1:])
	b.resign(5)
	if err := b.reopen(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.l.Begin(b.now + 1000); !errors.Is(err, ledger.ErrRules) {
		t.Fatal(err)
	}
	v := b.l.View()
	if bound, err := v.ByName("data", "1"); err != nil || bound.Entry != 2 {
		t.Fatal(bound, err)
	}
	if v.ID() != b.m.Ledger || v.Origin() != ledgertest.Origin {
		t.Fatal(v.ID(), v.Origin())
	}
	if _, err := v.Inclusion(4); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Control(); !errors.Is(err, ledger.ErrRules) {
		t.Fatal(err)
	}
}
