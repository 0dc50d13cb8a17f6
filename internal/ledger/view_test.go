package ledger_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/statement"
)

type hash = tlog.Hash

// rootOf computes a root the slow way: RFC 6962 section 2.1.
func rootOf(h []hash) hash {
	switch len(h) {
	case 0:
		return evidence.EmptyRoot
	case 1:
		return h[0]
	}
	k := 1
	for k*2 < len(h) {
		k *= 2
	}
	return tlog.NodeHash(rootOf(h[:k]), rootOf(h[k:]))
}

func collect[T any](t *testing.T, seq iter.Seq2[T, error]) (list []T) {
	t.Helper()
	for v, err := range seq {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, v)
	}
	return list
}

// TestTilesAndBundles: every tile and bundle of every published size, and no
// other, holds the hashes and entries it should.
func TestTilesAndBundles(t *testing.T) {
	b := withStamps(t, 530)
	v := b.l.View()
	var hashes []hash
	var bundle [][]byte
	for leaf := range collectLeaves(t, v) {
		hashes = append(hashes, evidence.LeafHash(leaf))
		bundle = append(bundle, append(binary.BigEndian.AppendUint16(nil, uint16(len(leaf))), leaf...))
	}
	for _, cp := range collect(t, v.Checkpoints(0)) {
		old, err := v.At(cp.Size)
		if err != nil {
			t.Fatal(err)
		}
		root, err := old.Root()
		if err != nil || root != rootOf(hashes[:cp.Size]) {
			t.Fatalf("root at %d: %v", cp.Size, err)
		}
		n, w := cp.Size/256, int(cp.Size%256)
		if w > 0 {
			tile, err := old.Tile(0, n, w)
			if err != nil || !bytes.Equal(tile, join(hashes[n*256:cp.Size])) {
				t.Fatalf("partial tile of size %d: %v", cp.Size, err)
			}
			entries, err := old.Bundle(n, w)
			if err != nil || !bytes.Equal(entries, bytes.Join(bundle[n*256:cp.Size], nil)) {
				t.Fatalf("partial bundle of size %d: %v", cp.Size, err)
			}
			// The newer view serves the same partial.
			again, err := v.Tile(0, n, w)
			if err != nil || !bytes.Equal(again, tile) {
				t.Fatalf("partial tile of size %d, later: %v", cp.Size, err)
			}
		}
		for _, beyond := range []struct {
			level int
			n     uint64
			w     int
		}{{0, n, w + 1}, {0, n + 1, 1}, {1, 0, int(n) + 1}, {2, 0, 1}, {63, 0, 1}, {0, 1 << 62, 1}, {0, 0, 0}, {0, 0, 257}, {-1, 0, 1}} {
			if _, err := old.Tile(beyond.level, beyond.n, beyond.w); !errors.Is(err, ledger.ErrNotFound) {
				t.Fatalf("tile %+v at size %d: %v", beyond, cp.Size, err)
			}
		}
		if _, err := old.Bundle(n, w+1); !errors.Is(err, ledger.ErrNotFound) {
			t.Fatalf("bundle beyond size %d: %v", cp.Size, err)
		}
	}
	var roots []hash
	for n := range 2 {
		roots = append(roots, rootOf(hashes[n*256:n*256+256]))
	}
	if tile, err := v.Tile(1, 0, 2); err != nil || !bytes.Equal(tile, join(roots)) {
		t.Fatalf("tile 1/0: %v", err)
	}
}

func collectLeaves(t *testing.T, v *ledger.View) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for leaf, err := range v.Leaves(0, v.Size()) {
			if err != nil {
				t.Fatal(err)
			}
			if !yield(leaf) {
				return
			}
		}
	}
}

func join(hashes []hash) (b []byte) {
	for _, h := range hashes {
		b = append(b, h[:]...)
	}
	return b
}

// TestProofs makes proofs in views of several sizes, the larger first: hashes that
// one of them left behind must be the other's, too.
func TestProofs(t *testing.T) {
	b := withStamps(t, 300)
	for _, size := range []uint64{300, 299, 257, 256, 255, 17, 1} {
		v, err := b.l.View().AsOf(size)
		if err != nil {
			t.Fatal(err)
		}
		provesItself(t, v)
		beyond := []int64{tlog.StoredHashIndex(0, int64(size))}
		if _, err := v.HashReader().ReadHashes(beyond); !errors.Is(err, ledger.ErrNotFound) {
			t.Fatalf("a hash beyond %d entries: %v", size, err)
		}
	}
}

func provesItself(t *testing.T, v *ledger.View) {
	t.Helper()
	root, err := v.Root()
	if err != nil {
		t.Fatal(err)
	}
	cp := evidence.Checkpoint{Origin: v.Origin(), Size: v.Size(), Root: root}
	for i := uint64(0); i < v.Size(); i += 7 {
		leaf, err := v.Leaf(i)
		if err != nil {
			t.Fatal(err)
		}
		proof, err := v.Inclusion(i)
		if err != nil {
			t.Fatal(err)
		}
		if err := evidence.CheckInclusion(cp, i, evidence.LeafHash(leaf), proof); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range collect(t, v.Checkpoints(0)) {
		older, _, err := evidence.ReadCheckpoint(c.Signed)
		if err != nil {
			t.Fatal(err)
		}
		proof, err := v.Consistency(c.Size)
		if err != nil {
			t.Fatal(err)
		}
		if err := evidence.CheckConsistency(older, cp, proof); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLookups finds everything by everything, in views of the whole log and of
// a part of it.
func TestLookups(t *testing.T) {
	b := newBench(t)
	bob := ledgertest.Ed25519("bob")
	b.must(b.m.Register(b.ada, bob.PublicKey(), "bob", 0, []string{"*"}, statement.RoleMember)) // 1
	var half uint64
	for i := range 20 {
		by := b.ada
		if i%2 == 1 {
			by = bob
		}
		// Two names and four versions of each hold the same contents.
		b.must(b.m.Stamp(by, b.m.Ref(fmt.Sprintf("team-%d/data", i%3), fmt.Sprint(100-i), fmt.Sprint("contents ", i/2))))
		if i == 9 {
			half = b.l.View().Size()
		}
	}
	ref := b.m.Ref("team-0/data", "100", "contents 0")
	b.must(b.m.Withdraw(b.ada, ref, statement.TargetContents, 3))
	now := b.l.View()
	then, err := now.At(half)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := now.At(half - 100 + 1_000_000); !errors.Is(err, ledger.ErrNotFound) {
		t.Fatal(err)
	}
	for _, v := range []*ledger.View{now, then} {
		size := v.Size()
		byKind, bySigner, byFP := map[statement.Kind][]uint64{}, map[statement.KeyID][]uint64{}, map[string][]uint64{}
		versions := map[string][]string{}
		names := map[string]bool{}
		times := map[int64]uint64{}
		for e := range collectEntries(t, v) {
			st, err := e.Statement()
			if err != nil {
				t.Fatal(err)
			}
			byKind[st.Kind] = append(byKind[st.Kind], e.Index)
			bySigner[e.Envelope.KeyID] = append(bySigner[e.Envelope.KeyID], e.Index)
			times[e.Time] = e.Index + 1
			if index, ok, err := v.ByID(e.Envelope.ID()); err != nil || !ok || index != e.Index {
				t.Fatalf("by id: %d %t %v", index, ok, err)
			}
			if st.Stamp == nil && st.Withdrawal == nil {
				continue
			}
			ref, _ := statement.ParseRef(st.Subject[0])
			byFP[ref.Fingerprint.String()] = append(byFP[ref.Fingerprint.String()], e.Index)
			if st.Stamp != nil {
				versions[ref.Name] = append(versions[ref.Name], ref.Version)
				names[ref.Name] = true
				if bound, err := v.ByName(ref.Name, ref.Version); err != nil || bound.Entry != e.Index || bound.Ref() != ref {
					t.Fatalf("by name: %+v %v", bound, err)
				}
			}
		}
		for kind, want := range byKind {
			if got := collect(t, v.ByKind(kind)); !slices.Equal(got, want) {
				t.Fatalf("by kind %s: %v, want %v", kind, got, want)
			}
		}
		for id, want := range bySigner {
			if got := collect(t, v.BySigner(id)); !slices.Equal(got, want) {
				t.Fatalf("by signer: %v, want %v", got, want)
			}
		}
		for i := range 10 {
			fp := b.m.Fingerprint(fmt.Sprint("contents ", i))
			want := byFP[fp.String()]
			if got := collect(t, v.ByFingerprint(fp)); !slices.Equal(got, want) {
				t.Fatalf("by fingerprint: %v, want %v", got, want)
			}
			last, ok, err := v.LastOn(fp)
			first, ok2, err2 := v.FirstOn(fp)
			if err != nil || err2 != nil || ok != (len(want) > 0) || ok2 != ok || ok && (last != want[len(want)-1] || first != want[0]) {
				t.Fatalf("first %d and last %d on it, want %v", first, last, want)
			}
		}
		var wantNames []string
		for name, want := range versions {
			var got []string
			for _, bound := range collect(t, v.Versions(name)) {
				got = append(got, bound.Version)
			}
			if !slices.Equal(got, want) {
				t.Fatalf("versions of %s: %v, want %v", name, got, want)
			}
			latest, err := v.Latest(name)
			if err != nil || latest.Version != want[len(want)-1] {
				t.Fatalf("latest of %s: %+v %v", name, latest, err)
			}
			wantNames = append(wantNames, name)
		}
		slices.Sort(wantNames)
		if got := collect(t, v.Names("")); !slices.Equal(got, wantNames) {
			t.Fatalf("names: %v, want %v", got, wantNames)
		}
		if got := collect(t, v.Names("team-1")); !slices.Equal(got, []string{"team-1/data"}) {
			t.Fatalf("names: %v", got)
		}
		for ms, want := range times {
			if got, err := v.AtTime(ms); err != nil || got != want {
				t.Fatalf("size at %d: %d, want %d (%v)", ms, got, want, err)
			}
			if got, err := v.AtTime(ms - 1); err != nil || got >= want {
				t.Fatalf("size before %d: %d (%v)", ms, got, err)
			}
		}
		if got, err := v.AtTime(1 << 60); err != nil || got != size {
			t.Fatalf("size at the end of time: %d (%v)", got, err)
		}
		if control, err := v.Control(); err != nil || control.Count() != uint64(len(byKind[statement.KindGenesis])+len(byKind[statement.KindIdentity])+len(byKind[statement.KindWithdrawal])) {
			t.Fatalf("control: %v", err)
		}
		if _, err := v.Entry(size); !errors.Is(err, ledger.ErrNotFound) {
			t.Fatal(err)
		}
		if _, err := v.ByName("none", "1"); !errors.Is(err, ledger.ErrNotFound) {
			t.Fatal(err)
		}
		if _, err := v.Latest("none"); !errors.Is(err, ledger.ErrNotFound) {
			t.Fatal(err)
		}
		if _, err := v.Checkpoint(size + 1); !errors.Is(err, ledger.ErrNotFound) {
			t.Fatal(err)
		}
	}
	b.l.Close()
	if _, err := now.Entry(0); !errors.Is(err, ledger.ErrClosed) {
		t.Fatal(err)
	}
}

func collectEntries(t *testing.T, v *ledger.View) iter.Seq[*evidence.Entry] {
	return func(yield func(*evidence.Entry) bool) {
		for _, e := range collect(t, v.Entries(0, v.Size())) {
			if !yield(e) {
				return
			}
		}
	}
}

// TestViewsAreWhatTheyWere: a view does not change while the ledger grows.
func TestViewsAreWhatTheyWere(t *testing.T) {
	b := withStamps(t, 250)
	v := b.l.View()
	root, _ := v.Root()
	tile, err := v.Tile(0, 0, int(v.Size()))
	if err != nil {
		t.Fatal(err)
	}
	b.must(b.m.Stamp(b.ada, b.m.Ref("later", "1", "later")))
	for _, env := range b.m.Stamps(b.ada, "later-on", 20) {
		b.must(env)
	}
	if again, err := v.Tile(0, 0, int(v.Size())); err != nil || !bytes.Equal(again, tile) {
		t.Fatalf("the tile changed: %v", err)
	}
	if again, err := v.Root(); err != nil || again != root {
		t.Fatalf("the root changed: %v", err)
	}
	if _, err := v.ByName("later", "1"); !errors.Is(err, ledger.ErrNotFound) {
		t.Fatalf("it sees the future: %v", err)
	}
	if len(collect(t, v.Names("later"))) != 0 {
		t.Fatal("it sees the future's names")
	}
}
