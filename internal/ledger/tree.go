package ledger

import (
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
)

// The C2SP tile geometry: 256 hashes, so 8 levels of the tree, a tile.
const (
	TileWidth  = 256
	tileHeight = 8
	tileLevels = 8 // 2^62 entries need no more
)

// tree is the right edge of the Merkle tree: all that appending needs, so that
// it reads nothing. It is a value; a copy shares the rows, which are only ever
// appended to, and at most one of the copies may go on growing.
type tree struct {
	size  uint64
	peaks [64]tlog.Hash           // peaks[k], if bit k of size is set: the root of that perfect subtree
	rows  [tileLevels][]tlog.Hash // the unfinished tile of each level
}

// append adds a leaf's hash. It calls full for each tile that the leaf fills;
// the hashes are not changed afterwards.
func (t *tree) append(leaf tlog.Hash, full func(level int, n uint64, hashes []tlog.Hash)) {
	h, k := leaf, 0
	for {
		if k%tileHeight == 0 {
			t.push(k/tileHeight, t.size>>k, h, full)
		}
		if t.size>>k&1 == 0 {
			break
		}
		h = tlog.NodeHash(t.peaks[k], h) // SHA-256(0x01 ‖ left ‖ right): RFC 6962 section 2.1
		k++
	}
	t.peaks[k] = h
	t.size++
}

// push adds the hash with that number on a tile level.
func (t *tree) push(level int, number uint64, h tlog.Hash, full func(int, uint64, []tlog.Hash)) {
	if level >= tileLevels {
		return
	}
	row := t.rows[level]
	if row == nil {
		row = make([]tlog.Hash, 0, TileWidth)
	}
	row = append(row, h)
	if len(row) == TileWidth {
		full(level, number/TileWidth, row)
		row = nil
	}
	t.rows[level] = row
}

// root returns the tree's root, the hash of nothing for no leaves.
func (t *tree) root() tlog.Hash {
	if t.size == 0 {
		return evidence.EmptyRoot
	}
	k := bits.TrailingZeros64(t.size)
	h := t.peaks[k]
	for rest := t.size >> (k + 1) << (k + 1); rest != 0; rest &= rest - 1 {
		h = tlog.NodeHash(t.peaks[bits.TrailingZeros64(rest)], h)
	}
	return h
}

// partial returns how many hashes the unfinished tile of a level has in a tree
// of that size.
func partial(size uint64, level int) int {
	return int(size >> (level * tileHeight) % TileWidth)
}

// tileNumber returns the number of the unfinished tile of a level.
func tileNumber(size uint64, level int) uint64 {
	return size >> (level * tileHeight) / TileWidth
}

// restore makes the right edge of a tree of that size from its unfinished
// tiles.
func restore(size uint64, row func(level int, n uint64, width int) ([]tlog.Hash, error)) (tree, error) {
	t := tree{size: size}
	for level := range tileLevels {
		width := partial(size, level)
		if width == 0 {
			continue
		}
		hashes, err := row(level, tileNumber(size, level), width)
		if err != nil {
			return tree{}, err
		}
		t.rows[level] = append(make([]tlog.Hash, 0, TileWidth), hashes...)
		// The peaks within this tile are the perfect subtrees of its hashes.
		for bit := range tileHeight {
			if width>>bit&1 == 0 {
				continue
			}
			start := width >> (bit + 1) << (bit + 1)
			t.peaks[level*tileHeight+bit] = perfect(hashes[start : start+1<<bit])
		}
	}
	return t, nil
}

// perfect returns the root of a perfect tree over the hashes; there are a
// power of two of them.
func perfect(hashes []tlog.Hash) tlog.Hash {
	if len(hashes) == 1 {
		return hashes[0]
	}
	half := len(hashes) / 2
	return tlog.NodeHash(perfect(hashes[:half]), perfect(hashes[half:]))
}

func joinHashes(hashes []tlog.Hash) []byte {
	b := make([]byte, 0, len(hashes)*tlog.HashSize)
	for i := range hashes {
		b = append(b, hashes[i][:]...)
	}
	return b
}
