package ledger

import (
	"encoding/binary"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
)

// Tile returns the first width hashes of a tile, as c2sp.org/tlog-tiles serves
// it: width 1 to 256, each hash 32 bytes. A tile that the view's size does not
// fill so far is ErrNotFound.
func (v *View) Tile(level int, n uint64, width int) ([]byte, error) {
	if level < 0 || level > 63 || width < 1 || width > TileWidth {
		return nil, fmt.Errorf("tile %d/%d of width %d: %w", level, n, width, ErrNotFound)
	}
	// level ≥ 8 asks for more than 2^62 entries.
	if level >= tileLevels || n > evidence.MaxSize/TileWidth || n*TileWidth+uint64(width) > v.n>>(level*tileHeight) {
		return nil, fmt.Errorf("tile %d/%d of width %d: %w: the ledger has %d entries", level, n, width, ErrNotFound, v.n)
	}
	if n == tileNumber(v.s.tree.size, level) {
		if row := v.s.tree.rows[level]; len(row) >= width {
			return joinHashes(row[:width]), nil
		}
		return nil, damaged("the unfinished tile %d/%d", level, n)
	}
	data, ok, err := v.l.store.get(tileKey(level, n))
	if err != nil {
		return nil, err
	}
	if !ok || len(data) != TileWidth*tlog.HashSize {
		return nil, damaged("tile %d/%d has %d bytes", level, n, len(data))
	}
	return data[:width*tlog.HashSize], nil
}

// Bundle returns the first width entries of a bundle of 256, as
// c2sp.org/tlog-tiles serves it: u16 length ‖ leaf for each.
func (v *View) Bundle(n uint64, width int) ([]byte, error) {
	if width < 1 || width > TileWidth || n > evidence.MaxSize/TileWidth || n*TileWidth+uint64(width) > v.n {
		return nil, fmt.Errorf("entry bundle %d of width %d: %w: the ledger has %d entries", n, width, ErrNotFound, v.n)
	}
	leaves, size := make([][]byte, 0, width), 0
	for _, leaf := range v.leaves(n*TileWidth, n*TileWidth+uint64(width)) {
		if leaf.err != nil {
			return nil, leaf.err
		}
		leaves, size = append(leaves, leaf.value), size+2+len(leaf.value)
	}
	b := make([]byte, 0, size) // to let it grow would copy all of it several times
	for _, leaf := range leaves {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(leaf))), leaf...)
	}
	return b, nil
}

// HashReader returns a reader of the tree's hashes, for golang.org/x/mod's
// proofs over trees up to the view's size. A Reader that is one itself is it.
func (v *View) HashReader() tlog.HashReader {
	if r, ok := v.l.store.Reader.(tlog.HashReader); ok {
		return r
	}
	return tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		hashes := make([]tlog.Hash, len(indexes))
		var last tileRead
		for i, index := range indexes {
			var err error
			if hashes[i], err = v.subtree(index, &last); err != nil {
				return nil, err
			}
		}
		return hashes, nil
	})
}

// tileRead is a tile that was read for a proof, which asks for several of its hashes
// one after another.
type tileRead struct {
	tile tlog.Tile
	data []byte
}

// subtree returns the hash with tlog's number index.
func (v *View) subtree(index int64, last *tileRead) (tlog.Hash, error) {
	if level, n := tlog.SplitStoredHashIndex(index); uint64(n+1)<<level > v.n {
		return tlog.Hash{}, fmt.Errorf("the hash %d of level %d: %w: the ledger has %d entries", n, level, ErrNotFound, v.n)
	}
	if h, ok := v.l.subtrees.get(index); ok {
		return h, nil
	}
	h, err := v.inTile(index, last)
	if err != nil {
		return tlog.Hash{}, err
	}
	v.l.subtrees.put(index, h)
	return h, nil
}

// inTile makes that hash from those of its tile.
func (v *View) inTile(index int64, last *tileRead) (tlog.Hash, error) {
	t := tlog.TileForIndex(tileHeight, index)
	if uint64(t.N) == tileNumber(v.s.tree.size, t.L) {
		// Most that are asked for: the last entries' are in the tiles at the edge.
		if row := v.s.tree.rows[t.L]; len(row) >= t.W {
			level, n := tlog.SplitStoredHashIndex(index)
			level -= t.L * tileHeight
			first := int(n<<level) % TileWidth
			return perfect(row[first : first+1<<level]), nil
		}
	}
	if last.tile.L != t.L || last.tile.N != t.N || len(last.data) < t.W*tlog.HashSize {
		whole := t
		if uint64(t.N+1)*TileWidth <= v.n>>(t.L*tileHeight) {
			whole.W = TileWidth
		}
		data, err := v.Tile(whole.L, uint64(whole.N), whole.W)
		if err != nil {
			return tlog.Hash{}, err
		}
		*last = tileRead{whole, data}
	}
	h, err := tlog.HashFromTile(last.tile, last.data, index)
	if err != nil {
		return tlog.Hash{}, fmt.Errorf("tile %d/%d: %w", t.L, t.N, err)
	}
	return h, nil
}

// Inclusion returns the proof that an entry is in the tree of the view's size.
func (v *View) Inclusion(index uint64) (tlog.RecordProof, error) {
	return evidence.ProveInclusion(v.n, index, v.HashReader())
}

// Consistency returns the proof that the tree of an earlier size is the
// beginning of the view's.
func (v *View) Consistency(from uint64) (tlog.TreeProof, error) {
	return evidence.ProveConsistency(from, v.n, v.HashReader())
}
