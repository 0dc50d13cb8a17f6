package remote

import (
	"slices"
	"sort"
	"strings"
)

// row is a pair of the index that follows from an entry which was verified.
type row struct {
	key   string
	value []byte
	index uint64 // of the entry
}

// table is rows by their keys, in order: sorted blocks, none of them empty.
type table struct {
	blocks [][]row
	bytes  int
}

// maxBlock is how many rows a block has before it becomes two.
const maxBlock = 256

// at returns where a key is, or would be put.
func (t *table) at(key string) (block, pos int, found bool) {
	if len(t.blocks) == 0 {
		return 0, 0, false
	}
	block = max(0, sort.Search(len(t.blocks), func(i int) bool { return t.blocks[i][0].key > key })-1)
	pos, found = slices.BinarySearchFunc(t.blocks[block], key, func(r row, k string) int { return strings.Compare(r.key, k) })
	return block, pos, found
}

func (t *table) get(key string) (row, bool) {
	block, pos, ok := t.at(key)
	if !ok {
		return row{}, false
	}
	return t.blocks[block][pos], true
}

// put adds a row, or replaces that of the same key.
func (t *table) put(r row) {
	block, pos, ok := t.at(r.key)
	switch {
	case ok:
		t.blocks[block][pos] = r
		return
	case len(t.blocks) == 0:
		t.blocks = [][]row{{r}}
	default:
		b := slices.Insert(t.blocks[block], pos, r)
		t.blocks[block] = b
		if len(b) > maxBlock {
			t.blocks[block] = slices.Clip(b[:len(b)/2])
			t.blocks = slices.Insert(t.blocks, block+1, slices.Clone(b[len(b)/2:]))
		}
	}
	t.bytes += len(r.key) + len(r.value)
}

// up calls fn for each row with a key in [lower, upper), in order, until it
// returns false.
func (t *table) up(lower, upper string, fn func(row) bool) {
	block, pos, _ := t.at(lower)
	for ; block < len(t.blocks); block, pos = block+1, 0 {
		for _, r := range t.blocks[block][pos:] {
			if r.key >= upper || !fn(r) {
				return
			}
		}
	}
}

// last returns the row of the greatest key in [lower, upper) that is of an entry
// below size.
func (t *table) last(lower, upper string, size uint64) (row, bool) {
	block, pos, _ := t.at(upper)
	for ; block >= 0 && block < len(t.blocks); block-- {
		for pos--; pos >= 0; pos-- {
			r := t.blocks[block][pos]
			if r.key < lower {
				return row{}, false
			}
			if r.index < size {
				return r, true
			}
		}
		if block > 0 {
			pos = len(t.blocks[block-1])
		}
	}
	return row{}, false
}

// spans are ranges of keys of which everything is known: sorted, none touching
// another.
type spans []span

// span is the keys from lower to before upper.
type span struct{ lower, upper string }

// around returns the span that a key is in.
func (s spans) around(key string) (span, bool) {
	i := sort.Search(len(s), func(i int) bool { return s[i].upper > key })
	if i < len(s) && s[i].lower <= key {
		return s[i], true
	}
	return span{}, false
}

// before returns the span that has the keys just before one.
func (s spans) before(key string) (span, bool) {
	i := sort.Search(len(s), func(i int) bool { return s[i].upper >= key })
	if i < len(s) && s[i].lower < key {
		return s[i], true
	}
	return span{}, false
}

// add takes in a range.
func (s *spans) add(lower, upper string) {
	if lower >= upper {
		return
	}
	list := *s
	from := sort.Search(len(list), func(i int) bool { return list[i].upper >= lower })
	to := from
	for to < len(list) && list[to].lower <= upper {
		lower, upper = min(lower, list[to].lower), max(upper, list[to].upper)
		to++
	}
	*s = slices.Replace(list, from, to, span{lower, upper})
}
