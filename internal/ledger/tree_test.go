package ledger

import (
	"encoding/binary"
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// reference keeps every stored hash, as golang.org/x/mod does.
type reference []tlog.Hash

func (r *reference) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, n := range indexes {
		out[i] = (*r)[n]
	}
	return out, nil
}

// TestTreeAgainstReference grows a tree past two full levels of tiles and
// compares roots, tiles and the right edge as it is restored.
func TestTreeAgainstReference(t *testing.T) {
	const size = 70_000 // 273 full tiles of level 0 and 112 hashes, 1 of level 1 and 17, level 2 has 1
	var (
		tr    tree
		ref   reference
		tiles = map[string][]tlog.Hash{}
	)
	full := func(level int, n uint64, hashes []tlog.Hash) { tiles[fmt.Sprint(level, "/", n)] = hashes }
	row := func(level int, n uint64, width int) ([]tlog.Hash, error) { return tr.rows[level][:width], nil }
	for n := range int64(size) {
		leaf := tlog.RecordHash(binary.BigEndian.AppendUint64(nil, uint64(n)))
		hashes, err := tlog.StoredHashesForRecordHash(n, leaf, &ref)
		if err != nil {
			t.Fatal(err)
		}
		ref = append(ref, hashes...)
		tr.append(leaf, full)
		if n > 600 && n%997 != 0 && (n+1)%256 != 0 && n+1 != size {
			continue
		}
		want, err := tlog.TreeHash(n+1, &ref)
		if err != nil {
			t.Fatal(err)
		}
		if got := tr.root(); got != want {
			t.Fatalf("root at size %d: %v, want %v", n+1, got, want)
		}
		again, err := restore(tr.size, row)
		if err != nil {
			t.Fatal(err)
		}
		if got := again.root(); got != want {
			t.Fatalf("restored root at size %d: %v, want %v", n+1, got, want)
		}
		again.append(leaf, func(int, uint64, []tlog.Hash) {})
	}
	for level, want := range []int{112, 17, 1, 0} {
		if got := len(tr.rows[level]); got != want {
			t.Fatalf("the unfinished tile of level %d has %d hashes, want %d", level, got, want)
		}
	}
	if len(tiles) != 273+1 {
		t.Fatalf("%d full tiles", len(tiles))
	}
	for name, hashes := range tiles {
		var level, n int
		if _, err := fmt.Sscanf(name, "%d/%d", &level, &n); err != nil {
			t.Fatal(name, err)
		}
		for i, h := range hashes {
			if want := ref[tlog.StoredHashIndex(8*level, int64(n*256+i))]; h != want {
				t.Fatalf("tile %s, hash %d", name, i)
			}
		}
	}
}
