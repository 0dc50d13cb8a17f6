package foreign

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/transparency-dev/formats/log"
	fproof "github.com/transparency-dev/formats/proof"
	"github.com/transparency-dev/merkle/compact"
	"github.com/transparency-dev/merkle/proof"
	"github.com/transparency-dev/merkle/rfc6962"
	"golang.org/x/mod/sumdb/note"

	"github.com/stele-ml/stele/evidence"
)

func get(t *testing.T, url string) []byte {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	b, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v", url, r.Status, err)
	}
	return b
}

// fetchCheckpoint has transparency-dev/formats open the served checkpoint.
func fetchCheckpoint(t *testing.T, url string, v note.Verifier) *log.Checkpoint {
	t.Helper()
	c, rest, n, err := log.ParseCheckpoint(get(t, url+"checkpoint"), v.Name(), v)
	if err != nil {
		t.Fatal(err)
	}
	if len(rest) != 0 || len(n.Sigs) != 1 {
		t.Errorf("checkpoint with %d bytes of extensions and %d signatures", len(rest), len(n.Sigs))
	}
	return c
}

// fetchEntries reads every entry from the served bundles.
func fetchEntries(t *testing.T, url string, size uint64) [][]byte {
	t.Helper()
	var entries [][]byte
	for n := uint64(0); n*256 < size; n++ {
		path := fmt.Sprintf("tile/entries/%03d", n)
		if w := min(size-n*256, 256); w < 256 {
			path += fmt.Sprintf(".p/%d", w)
		}
		for b := get(t, url+path); len(b) > 0; {
			if len(b) < 2 || len(b) < 2+int(binary.BigEndian.Uint16(b)) {
				t.Fatalf("%s: a bundle is cut", path)
			}
			n := 2 + int(binary.BigEndian.Uint16(b))
			entries = append(entries, b[2:n])
			b = b[n:]
		}
	}
	if uint64(len(entries)) != size {
		t.Fatalf("%d entries of %d", len(entries), size)
	}
	return entries
}

// transparency-dev's libraries rebuild the tree from the served entries, and
// arrive at the signed root, at the served hashes, and at our proofs.
func TestOtherLibrariesAgree(t *testing.T) {
	l := newLedger(t)
	l.fill(t, 300)
	url := serve(t, l.log(), nil)
	v, err := note.NewVerifier(l.vkey)
	if err != nil {
		t.Fatal(err)
	}
	checkpoint := fetchCheckpoint(t, url, v)
	entries := fetchEntries(t, url, checkpoint.Size)

	// The root, and with it every root on the way there.
	tree := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
	roots := [][]byte{rfc6962.DefaultHasher.EmptyRoot()}
	var hashes []byte
	for _, e := range entries {
		leaf := rfc6962.DefaultHasher.HashLeaf(e)
		hashes = append(hashes, leaf...)
		if err := tree.Append(leaf, nil); err != nil {
			t.Fatal(err)
		}
		root, err := tree.GetRootHash(nil)
		if err != nil {
			t.Fatal(err)
		}
		roots = append(roots, root)
	}
	if !bytes.Equal(roots[checkpoint.Size], checkpoint.Hash) {
		t.Fatalf("the entries have the root %x, the checkpoint signs %x", roots[checkpoint.Size], checkpoint.Hash)
	}
	if tile := get(t, url+"tile/0/000"); !bytes.Equal(tile, hashes[:8192]) {
		t.Error("tile 0/000 is not the hashes of the first 256 entries")
	}
	if tile := get(t, fmt.Sprintf("%stile/0/001.p/%d", url, checkpoint.Size-256)); !bytes.Equal(tile, hashes[8192:]) {
		t.Error("tile 0/001 is not the hashes of the rest")
	}
	if tile := get(t, url+"tile/1/000.p/1"); !bytes.Equal(tile, roots[256]) {
		t.Error("tile 1/000 is not the root of the first 256 entries")
	}

	// The checkpoint as a second encoder writes it.
	ours := evidence.Checkpoint{Origin: origin, Size: checkpoint.Size, Root: [32]byte(checkpoint.Hash)}
	if got, want := ours.Text(), checkpoint.Marshal(); string(got) != string(want) {
		t.Errorf("checkpoint text %q, formats writes %q", got, want)
	}

	// Our proofs, by somebody else's verifier: every leaf, every earlier size.
	view := l.engine.View()
	for i, e := range entries {
		inclusion, err := view.Inclusion(uint64(i))
		if err != nil {
			t.Fatal(err)
		}
		var path [][]byte
		for _, h := range inclusion {
			path = append(path, h[:])
		}
		leaf := rfc6962.DefaultHasher.HashLeaf(e)
		if err := proof.VerifyInclusion(rfc6962.DefaultHasher, uint64(i), checkpoint.Size, leaf, path, checkpoint.Hash); err != nil {
			t.Errorf("inclusion of entry %d: %v", i, err)
		}
		if i == 0 {
			continue
		}
		consistency, err := view.Consistency(uint64(i))
		if err != nil {
			t.Fatal(err)
		}
		path = nil
		for _, h := range consistency {
			path = append(path, h[:])
		}
		if err := proof.VerifyConsistency(rfc6962.DefaultHasher, uint64(i), checkpoint.Size, path, roots[i], checkpoint.Hash); err != nil {
			t.Errorf("consistency from size %d: %v", i, err)
		}
	}
}

// Every checkpoint that was ever signed is served still, and signs the root
// that the entries had then.
func TestEarlierCheckpointsAgree(t *testing.T) {
	l := newLedger(t)
	url := serve(t, l.log(), nil)
	v, err := note.NewVerifier(l.vkey)
	if err != nil {
		t.Fatal(err)
	}
	var signed []*log.Checkpoint
	for i := range 20 { // one commit each
		if _, err := l.stamp(t.Context(), fmt.Appendf(nil, "step %d", i)); err != nil {
			t.Fatal(err)
		}
		signed = append(signed, fetchCheckpoint(t, url, v))
	}
	entries := fetchEntries(t, url, signed[len(signed)-1].Size)
	for _, want := range signed {
		got, _, _, err := log.ParseCheckpoint(get(t, fmt.Sprintf("%scheckpoint/%d", url, want.Size)), origin, v)
		if err != nil {
			t.Fatal(err)
		}
		tree := (&compact.RangeFactory{Hash: rfc6962.DefaultHasher.HashChildren}).NewEmptyRange(0)
		for _, e := range entries[:want.Size] {
			if err := tree.Append(rfc6962.DefaultHasher.HashLeaf(e), nil); err != nil {
				t.Fatal(err)
			}
		}
		root, err := tree.GetRootHash(nil)
		if err != nil {
			t.Fatal(err)
		}
		if got.Size != want.Size || !bytes.Equal(got.Hash, want.Hash) || !bytes.Equal(got.Hash, root) {
			t.Errorf("size %d: served now %x, then %x, entries have %x", want.Size, got.Hash, want.Hash, root)
		}
	}
}

// A .tlog-proof of ours is read by formats' parser and holds, and it is what
// formats would have written.
func TestProofFileAgrees(t *testing.T) {
	l := newLedger(t)
	l.fill(t, 40)
	view := l.engine.View()
	note, err := view.LatestCheckpoint()
	if err != nil {
		t.Fatal(err)
	}
	const index = 17
	leaf, err := view.Leaf(index)
	if err != nil {
		t.Fatal(err)
	}
	inclusion, err := view.Inclusion(index)
	if err != nil {
		t.Fatal(err)
	}
	ours := (&evidence.TLogProof{Index: index, Hashes: inclusion, Checkpoint: note}).Marshal()
	var theirs fproof.TLogProof
	if err := theirs.Unmarshal(ours); err != nil {
		t.Fatalf("formats does not read it: %v\n%s", err, ours)
	}
	if again := theirs.Marshal(); !bytes.Equal(again, ours) {
		t.Errorf("we write\n%s\nformats writes\n%s", ours, again)
	}
	var path [][]byte
	for _, h := range theirs.Hashes {
		path = append(path, h[:])
	}
	signed, err := l.policy(t).Verify(theirs.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	if err := proof.VerifyInclusion(rfc6962.DefaultHasher, theirs.Index, signed.Checkpoint.Size, rfc6962.DefaultHasher.HashLeaf(leaf), path, signed.Checkpoint.Root[:]); err != nil {
		t.Error(err)
	}
}
