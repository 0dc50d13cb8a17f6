package evidence

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"

	formatsproof "github.com/transparency-dev/formats/proof"
	merkleproof "github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/tlog"
)

func b64(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// testTree is an RFC 6962 tree in memory.
type testTree struct {
	size   uint64
	hashes []tlog.Hash
}

func (t *testTree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = t.hashes[x]
	}
	return out, nil
}

func (t *testTree) add(leaf []byte) {
	h, err := tlog.StoredHashes(int64(t.size), leaf, t)
	if err != nil {
		panic(err)
	}
	t.hashes = append(t.hashes, h...)
	t.size++
}

func (t *testTree) root(size uint64) tlog.Hash {
	h, err := tlog.TreeHash(int64(size), t)
	if err != nil {
		panic(err)
	}
	return h
}

func growTree(n int) *testTree {
	t := new(testTree)
	for i := range n {
		t.add(fmt.Appendf(nil, "leaf %d", i))
	}
	return t
}

func raw(hashes []tlog.Hash) [][]byte {
	out := make([][]byte, len(hashes))
	for i, h := range hashes {
		out[i] = bytes.Clone(h[:])
	}
	return out
}

func TestAccumulator(t *testing.T) {
	tree := new(testTree)
	var a accumulator
	for i := range 130 {
		if got, want := a.root(), tree.root(uint64(i)); got != want {
			t.Fatalf("root of %d leaves: %v, want %v", i, got, want)
		}
		leaf := fmt.Appendf(nil, "leaf %d", i)
		tree.add(leaf)
		a.add(LeafHash(leaf))
	}
}

func TestProofsSecondImplementation(t *testing.T) {
	const n = 70
	tree := growTree(n)
	for size := uint64(1); size <= n; size++ {
		c := Checkpoint{Origin: "a", Size: size, Root: tree.root(size)}
		for index := uint64(0); index < size; index++ {
			leaf := LeafHash(fmt.Appendf(nil, "leaf %d", index))
			p, err := ProveInclusion(size, index, tree)
			if err != nil {
				t.Fatal(err)
			}
			if err := CheckInclusion(c, index, leaf, p); err != nil {
				t.Fatal(err)
			}
			if err := merkleproof.VerifyInclusion(rfc6962.DefaultHasher, index, size, leaf[:], raw(p), c.Root[:]); err != nil {
				t.Fatalf("their verifier, %d of %d: %v", index, size, err)
			}
		}
		for old := uint64(0); old <= size; old++ {
			o := Checkpoint{Origin: "a", Size: old, Root: tree.root(old)}
			p, err := ProveConsistency(old, size, tree)
			if err != nil {
				t.Fatal(err)
			}
			if err := CheckConsistency(o, c, p); err != nil {
				t.Fatal(err)
			}
			if err := merkleproof.VerifyConsistency(rfc6962.DefaultHasher, old, size, raw(p), o.Root[:], c.Root[:]); err != nil {
				t.Fatalf("their verifier, %d to %d: %v", old, size, err)
			}
		}
	}
}

// Where one verifier accepts an altered proof, so does the other: none.
func TestAttackAlteredProofs(t *testing.T) {
	tree := growTree(40)
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 3000 {
		size := 2 + rnd.Uint64N(38)
		c := Checkpoint{Origin: "a", Size: size, Root: tree.root(size)}
		index := rnd.Uint64N(size)
		leaf := LeafHash(fmt.Appendf(nil, "leaf %d", index))
		p, err := ProveInclusion(size, index, tree)
		if err != nil {
			t.Fatal(err)
		}
		switch rnd.IntN(5) {
		case 0:
			p[rnd.IntN(len(p))][rnd.IntN(32)] ^= 1 << rnd.IntN(8)
		case 1:
			p = p[1:]
		case 2:
			p = append(p, leaf)
		case 3:
			index = (index + 1) % size
		case 4:
			leaf[0] ^= 1
		}
		ours := CheckInclusion(c, index, leaf, p)
		theirs := merkleproof.VerifyInclusion(rfc6962.DefaultHasher, index, size, leaf[:], raw(p), c.Root[:])
		if !errors.Is(ours, ErrTampered) || theirs == nil {
			t.Fatalf("an altered proof: ours %v, theirs %v", ours, theirs)
		}

		old := 1 + rnd.Uint64N(size-1)
		o := Checkpoint{Origin: "a", Size: old, Root: tree.root(old)}
		q, err := ProveConsistency(old, size, tree)
		if err != nil {
			t.Fatal(err)
		}
		switch rnd.IntN(4) {
		case 0:
			q[rnd.IntN(len(q))][rnd.IntN(32)] ^= 1 << rnd.IntN(8)
		case 1:
			q = q[1:]
		case 2:
			q = append(q, leaf)
		case 3:
			o.Root[5] ^= 1
		}
		ours = CheckConsistency(o, c, q)
		theirs = merkleproof.VerifyConsistency(rfc6962.DefaultHasher, old, size, raw(q), o.Root[:], c.Root[:])
		if !errors.Is(ours, ErrTampered) || theirs == nil {
			t.Fatalf("an altered consistency proof: ours %v, theirs %v", ours, theirs)
		}
	}
}

func TestProofLimits(t *testing.T) {
	tree := growTree(4)
	c := Checkpoint{Origin: "a", Size: 4, Root: tree.root(4)}
	if _, err := ProveInclusion(4, 4, tree); !errors.Is(err, ErrFormat) {
		t.Errorf("an index past the end: %v", err)
	}
	if _, err := ProveConsistency(5, 4, tree); !errors.Is(err, ErrFormat) {
		t.Errorf("backwards: %v", err)
	}
	if err := CheckInclusion(c, 4, tlog.Hash{}, nil); !errors.Is(err, ErrTampered) {
		t.Errorf("an index past the end: %v", err)
	}
	if err := CheckInclusion(c, 0, tlog.Hash{}, make(tlog.RecordProof, MaxProof+1)); !errors.Is(err, ErrTampered) {
		t.Errorf("a long proof: %v", err)
	}
	if err := CheckConsistency(c, Checkpoint{Origin: "b", Size: 4, Root: c.Root}, nil); !errors.Is(err, ErrTampered) {
		t.Errorf("two logs: %v", err)
	}
}

func testTLogProof(t testing.TB, extra []byte) (*TLogProof, *Policy, tlog.Hash) {
	t.Helper()
	tree := growTree(13)
	signer, key := logKey(t, "example.com/ledger", "log")
	cosigner, w := witnessKey(t, "w1.example", "w1", 1700000000)
	signed, err := SignCheckpoint(Checkpoint{Origin: "example.com/ledger", Size: 13, Root: tree.root(13)}, signer, cosigner)
	if err != nil {
		t.Fatal(err)
	}
	hashes, err := ProveInclusion(13, 5, tree)
	if err != nil {
		t.Fatal(err)
	}
	policy := NewPolicy(key, "")
	policy.Witnesses = []PolicyWitness{{Name: "w", Key: w}}
	policy.Quorum = "w"
	return &TLogProof{Extra: extra, Index: 5, Hashes: hashes, Checkpoint: signed}, policy, LeafHash([]byte("leaf 5"))
}

func TestTLogProofSecondImplementation(t *testing.T) {
	for _, extra := range [][]byte{nil, []byte("the leaf"), make([]byte, MaxExtra)} {
		p, policy, leaf := testTLogProof(t, extra)
		data := p.Marshal()
		var theirs formatsproof.TLogProof
		if err := theirs.Unmarshal(data); err != nil {
			t.Fatalf("their reader: %v", err)
		}
		if !bytes.Equal(theirs.Marshal(), data) || theirs.Index != p.Index || !bytes.Equal(theirs.Checkpoint, p.Checkpoint) || !bytes.Equal(theirs.ExtraData, extra) {
			t.Fatalf("their writer writes\n%s\nours\n%s", theirs.Marshal(), data)
		}
		q, err := ParseTLogProof(data)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(p, q) {
			t.Fatalf("got %+v, want %+v", q, p)
		}
		if o, err := q.Verify(leaf, policy); err != nil || o.Size != 13 {
			t.Fatalf("%+v, %v", o, err)
		}
		if _, err := q.Verify(LeafHash([]byte("leaf 6")), policy); !errors.Is(err, ErrTampered) {
			t.Fatalf("another leaf: %v", err)
		}
		policy.Quorum = QuorumNone
		q.Index++
		if _, err := q.Verify(leaf, policy); !errors.Is(err, ErrTampered) {
			t.Fatalf("another index: %v", err)
		}
	}
}

func TestTLogProofVectors(t *testing.T) {
	var vectors []struct {
		Name  string `json:"name"`
		File  string `json:"file"`
		Index uint64 `json:"index"`
		Error bool   `json:"error"`
	}
	readVectors(t, "tlog-proof.json", &vectors)
	for _, v := range vectors {
		t.Run(v.Name, func(t *testing.T) {
			p, err := ParseTLogProof([]byte(v.File))
			if v.Error {
				if !errors.Is(err, ErrFormat) {
					t.Fatalf("got %v, want ErrFormat", err)
				}
				return
			}
			if err != nil || p.Index != v.Index {
				t.Fatalf("%+v, %v", p, err)
			}
		})
	}
}

// Each bit of a .tlog-proof without extra data counts.
func TestAttackFlippedTLogProof(t *testing.T) {
	p, policy, leaf := testTLogProof(t, nil)
	data := p.Marshal()
	for i := range data {
		for bit := range 8 {
			b := bytes.Clone(data)
			b[i] ^= 1 << bit
			q, err := ParseTLogProof(b)
			if err != nil {
				continue
			}
			if _, err := q.Verify(leaf, policy); err == nil {
				t.Fatalf("bit %d of byte %d (%q) flipped, and it verifies", bit, i, data[i])
			}
		}
	}
}

func FuzzParseTLogProof(f *testing.F) {
	for _, extra := range [][]byte{nil, []byte("extra")} {
		p, _, _ := testTLogProof(f, extra)
		f.Add(p.Marshal())
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := ParseTLogProof(data)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("an error without a class: %v", err)
			}
			return
		}
		if !bytes.Equal(p.Marshal(), data) {
			t.Fatalf("written again: %q", p.Marshal())
		}
	})
}

// A log that signs a size which nobody can count the nodes of: what reads it would
// never come to an end.
func TestAttackEndlessTree(t *testing.T) {
	zeros := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) { return make([]tlog.Hash, len(indexes)), nil })
	for _, size := range []uint64{MaxSize, MaxSize + 1, MaxSize + 2, 1<<63 - 1, 1 << 63, 1<<64 - 1} {
		c := Checkpoint{Origin: "a.example", Size: size}
		if _, err := ParseCheckpoint(c.Text()); (err == nil) != (size == MaxSize) {
			t.Errorf("a checkpoint of %d: %v", size, err)
		}
		_, err := ProveInclusion(size, size-1, zeros)
		_, cerr := ProveConsistency(5, size, zeros)
		if (err == nil) != (size == MaxSize) || (cerr == nil) != (size == MaxSize) {
			t.Errorf("proofs of %d: %v, %v", size, err, cerr)
		}
		if CheckInclusion(c, size-1, tlog.Hash{}, make([]tlog.Hash, 62)) == nil || CheckConsistency(Checkpoint{Origin: c.Origin, Size: 5}, c, make([]tlog.Hash, 62)) == nil {
			t.Errorf("zeros prove something of %d", size)
		}
		if size == MaxSize {
			if _, err := tlog.TreeHash(int64(size), zeros); err != nil {
				t.Error(err)
			}
		}
	}
}
