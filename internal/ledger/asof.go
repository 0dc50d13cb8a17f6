package ledger

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrRead says that a read is none that a store answers to others.
var ErrRead = errors.New("no such read")

// maxPassed is how many pairs of entries after a view one page passes over: a
// reader that is as far behind as that asks as of a newer size.
const maxPassed = 1 << 16

// Reader returns a Reader of what the view is made of, for others: pairs of
// entries past the view's size are left out, tiles are as wide as that size fills
// them, and a store's own words are not among it. A range is within one family.
func (v *View) Reader() Reader { return asOf{v} }

// asOf is a store as of a view.
type asOf struct{ v *View }

// Get implements Reader.
func (r asOf) Get(key []byte) ([]byte, bool, error) {
	if len(key) == 0 {
		return nil, false, fmt.Errorf("%w: an empty key", ErrRead)
	}
	switch key[0] {
	case famMeta:
		return nil, false, nil
	case famTile:
		return r.tile(key)
	}
	from := r.v.l.store
	if key[0] == famEntry || key[0] == famCheckpoint {
		from = r.v.l.source
	}
	value, ok, err := from.Get(key)
	if err != nil || !ok {
		return nil, false, err
	}
	in, err := r.covers(Pair{key, value})
	if err != nil || !in {
		return nil, false, err
	}
	return value, true, nil
}

// tile returns a tile, as wide as it is.
func (r asOf) tile(key []byte) ([]byte, bool, error) {
	if len(key) != 1+1+8 {
		return nil, false, fmt.Errorf("%w: the key %q", ErrRead, clip(key))
	}
	level, n := int(key[1]), binary.BigEndian.Uint64(key[2:])
	width := TileWidthAt(r.v.n, level, n)
	if width == 0 {
		return nil, false, nil
	}
	data, err := r.v.Tile(level, n, width)
	return data, err == nil, err
}

// TileWidthAt returns how many hashes of a tile a log of that size fills.
func TileWidthAt(size uint64, level int, n uint64) int {
	if level < 0 || level >= tileLevels || n > size/TileWidth {
		return 0
	}
	have := size >> (level * tileHeight)
	if have <= n*TileWidth {
		return 0
	}
	return int(min(have-n*TileWidth, TileWidth))
}

// covers reports whether a pair is of the view.
func (r asOf) covers(p Pair) (bool, error) {
	switch p.Key[0] {
	case famEntry:
		index, err := lastU64(p.Key, []byte{famEntry})
		return index < r.v.n, err
	case famCheckpoint:
		size, err := lastU64(p.Key, []byte{famCheckpoint})
		return size <= r.v.n, err
	}
	index, err := Leads(p)
	return index < r.v.n, err
}

// bounds checks a range, and brings it down to what the view can have.
func (r asOf) bounds(lower, upper []byte) (reads, []byte, error) {
	if len(lower) == 0 || len(upper) == 0 || bytes.Compare(upper, after(lower[:1])) > 0 ||
		lower[0] == famMeta || lower[0] == famTile {
		return reads{}, nil, fmt.Errorf("%w: from %q to %q", ErrRead, clip(lower), clip(upper))
	}
	least := func(bound []byte) []byte {
		if bytes.Compare(bound, upper) < 0 {
			return bound
		}
		return upper
	}
	switch lower[0] {
	case famEntry:
		return r.v.l.source, least(entryKey(r.v.n)), nil
	case famCheckpoint:
		return r.v.l.source, least(checkpointKey(r.v.n + 1)), nil
	}
	return r.v.l.store, upper, nil
}

// Page implements Reader.
func (r asOf) Page(lower, upper []byte, limit int) (pairs []Pair, more bool, err error) {
	from, upper, err := r.bounds(lower, upper)
	if err != nil {
		return nil, false, err
	}
	for passed := 0; bytes.Compare(lower, upper) < 0; {
		list, rest, err := from.Page(lower, upper, limit-len(pairs))
		if err != nil {
			return nil, false, err
		}
		for _, p := range list {
			in, err := r.covers(p)
			if err != nil {
				return nil, false, err
			}
			if in {
				pairs = append(pairs, p)
			} else if passed++; passed > maxPassed {
				return nil, false, fmt.Errorf("%w: size %d is too far back for it", ErrRead, r.v.n)
			}
		}
		switch {
		case !rest:
			return pairs, false, nil
		case len(pairs) >= limit:
			return pairs, true, nil
		}
		lower = append(bytes.Clone(list[len(list)-1].Key), 0)
	}
	return pairs, false, nil
}

// Last implements Reader.
func (r asOf) Last(lower, upper []byte) (p Pair, ok bool, err error) {
	from, upper, err := r.bounds(lower, upper)
	for passed := 0; err == nil && bytes.Compare(lower, upper) < 0; passed++ {
		if p, ok, err = from.Last(lower, upper); err != nil || !ok {
			return Pair{}, false, err
		}
		if passed > maxPassed {
			return Pair{}, false, fmt.Errorf("%w: size %d is too far back for it", ErrRead, r.v.n)
		}
		in, err := r.covers(p)
		if err != nil || in {
			return p, err == nil, err
		}
		upper = p.Key
	}
	return Pair{}, false, err
}
