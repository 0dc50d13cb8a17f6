package ledger

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
)

// Op is one read of a store: of the key Get, or of the keys from Lower to before
// Upper: a page of at most Limit, or the last alone where Limit is zero.
type Op struct {
	Get          []byte
	Lower, Upper []byte
	Limit        int
}

// Touched is a read with what it found: a value's pair, a page's, the last one,
// or none.
type Touched struct {
	Op
	Pairs []Pair
	More  bool
}

// Answer is what somebody who does not have the store needs to read as a view
// does, and to check it: reads with what they found, the entries that this leads
// to, and the nodes of the tree that prove these entries, and the checkpoints
// among the pairs, in the tree of the view's size.
type Answer struct {
	Size    uint64
	Touched []Touched // those that were asked for, in their order, and then those of the lookup
	Cut     bool      // the lookup makes more reads than these
	Leaves  map[uint64][]byte
	Nodes   map[int64]tlog.Hash // by the numbers of stored hashes, as tlog has them
}

// AnswerLimits bound an answer. Where one is reached, the reads that remain are
// left out; the first is always answered.
type AnswerLimits struct {
	Ops   int // reads
	Bytes int // of leaves, keys and values; a page is cut short by it
	Skip  int // reads of the lookup that are made and left out: they were answered before
}

// Answer makes reads of the view, and with a lookup those that it makes, for
// somebody else. An ErrRead is a read that nobody may make; what the lookup names
// and the ledger does not have is no error.
func (v *View) Answer(ops []Op, lookup *Lookup, limits AnswerLimits) (*Answer, error) {
	if err := v.l.checkIndex(); err != nil {
		return nil, err
	}
	rec := &recorder{from: v.Reader(), limits: limits, leaves: map[uint64][]byte{}, seen: map[string]int{}}
	for i, op := range ops {
		err := rec.do(op)
		if errors.Is(err, errEnough) && i > 0 {
			break
		}
		if err != nil {
			return nil, err
		}
	}
	if lookup != nil {
		rec.skip = limits.Skip
		if err := v.touch(rec, *lookup); err != nil {
			return nil, err
		}
	}
	a := &Answer{Size: v.n, Touched: rec.list, Cut: rec.cut, Leaves: rec.leaves, Nodes: map[int64]tlog.Hash{}}
	return a, v.prove(a)
}

// prove adds the nodes that prove what the answer has.
func (v *View) prove(a *Answer) error {
	nodes := &nodeReader{from: v, nodes: a.Nodes, tiles: map[tlog.Tile][]byte{}}
	for _, index := range slices.Sorted(maps.Keys(a.Leaves)) {
		if _, err := evidence.ProveInclusion(v.n, index, nodes); err != nil {
			return err
		}
	}
	for _, t := range a.Touched {
		for _, p := range t.Pairs {
			if p.Key[0] != famCheckpoint {
				continue
			}
			size, err := lastU64(p.Key, []byte{famCheckpoint})
			if err == nil && size < v.n {
				_, err = evidence.ProveConsistency(size, v.n, nodes)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// nodeReader reads nodes, and keeps those that it was asked for.
type nodeReader struct {
	from  *View
	nodes map[int64]tlog.Hash
	tiles map[tlog.Tile][]byte
}

// ReadHashes implements tlog.HashReader.
func (r *nodeReader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		h, ok := r.nodes[index]
		if !ok {
			var err error
			if h, err = r.read(index); err != nil {
				return nil, err
			}
			r.nodes[index] = h
		}
		hashes[i] = h
	}
	return hashes, nil
}

func (r *nodeReader) read(index int64) (tlog.Hash, error) {
	t := tlog.TileForIndex(tileHeight, index)
	t.W = TileWidthAt(r.from.n, t.L, uint64(t.N))
	data, ok := r.tiles[t]
	if !ok {
		var err error
		if data, err = r.from.Tile(t.L, uint64(t.N), t.W); err != nil {
			return tlog.Hash{}, err
		}
		r.tiles[t] = data
	}
	h, err := tlog.HashFromTile(t, data, index)
	if err != nil {
		return h, damaged("tile %d/%d: %w", t.L, t.N, err)
	}
	return h, nil
}

// errEnough ends a lookup whose answer is full.
var errEnough = errors.New("the answer is full")

// recorder makes reads and keeps what they found, with the entries that this
// leads to. It is for one goroutine.
type recorder struct {
	from   Reader
	limits AnswerLimits
	list   []Touched
	seen   map[string]int // into list
	passed map[string]bool
	leaves map[uint64][]byte
	bytes  int
	skip   int  // reads that are made and not kept
	cut    bool // a read was refused: the answer is full
}

// do makes a read that was asked for.
func (r *recorder) do(op Op) (err error) {
	switch {
	case len(op.Get) > 0 && op.Get[0] == famEntry:
		var value []byte
		var ok bool
		if value, ok, err = r.Get(op.Get); ok {
			err = r.keep(op, []Pair{{op.Get, value}}, false)
		} else if err == nil {
			err = r.keep(op, nil, false)
		}
	case len(op.Get) > 0:
		_, _, err = r.Get(op.Get)
	case op.Limit == 0:
		_, _, err = r.Last(op.Lower, op.Upper)
	default:
		_, _, err = r.Page(op.Lower, op.Upper, op.Limit)
	}
	return err
}

// Get implements Reader. An entry is kept among the leaves alone.
func (r *recorder) Get(key []byte) ([]byte, bool, error) {
	if index, err := lastU64(key, []byte{famEntry}); err == nil {
		leaf, err := r.leaf(index)
		return leaf, leaf != nil, err
	}
	op := Op{Get: key}
	t, ok := r.known(op)
	if !ok {
		if r.full() {
			return nil, false, errEnough
		}
		value, found, err := r.from.Get(key)
		if err != nil {
			return nil, false, err
		}
		if found {
			t.Pairs = []Pair{{key, value}}
		}
		if err := r.keep(op, t.Pairs, false); err != nil {
			return nil, false, err
		}
	}
	if len(t.Pairs) == 0 {
		return nil, false, nil
	}
	return t.Pairs[0].Value, true, nil
}

// leaf returns an entry, nil if there is none.
func (r *recorder) leaf(index uint64) ([]byte, error) {
	if leaf, ok := r.leaves[index]; ok {
		return leaf, nil
	}
	if r.full() {
		return nil, errEnough
	}
	leaf, ok, err := r.from.Get(entryKey(index))
	if err != nil || !ok || r.skip > 0 {
		return leaf, err
	}
	r.leaves[index] = leaf
	r.bytes += len(leaf)
	return leaf, nil
}

// Page implements Reader. A page ends early where the answer is full.
func (r *recorder) Page(lower, upper []byte, limit int) ([]Pair, bool, error) {
	op := Op{Lower: lower, Upper: upper, Limit: limit}
	if t, ok := r.known(op); ok {
		return t.Pairs, t.More, nil
	}
	if r.full() {
		return nil, false, errEnough
	}
	pairs, more, err := r.from.Page(lower, upper, limit)
	if err != nil {
		return nil, false, err
	}
	if r.skip > 0 {
		return pairs, more, r.keep(op, pairs, more)
	}
	for i, p := range pairs {
		err := r.target(p)
		if errors.Is(err, errEnough) && i > 0 {
			pairs, more = pairs[:i], true
			break
		}
		if err != nil {
			return nil, false, err
		}
	}
	if err := r.keep(op, pairs, more); err != nil {
		return nil, false, err
	}
	return pairs, more, nil
}

// Last implements Reader.
func (r *recorder) Last(lower, upper []byte) (Pair, bool, error) {
	op := Op{Lower: lower, Upper: upper}
	t, ok := r.known(op)
	if !ok {
		if r.full() {
			return Pair{}, false, errEnough
		}
		p, found, err := r.from.Last(lower, upper)
		if err != nil {
			return Pair{}, false, err
		}
		if found {
			t.Pairs = []Pair{p}
		}
		if err := r.keep(op, t.Pairs, false); err != nil {
			return Pair{}, false, err
		}
	}
	if len(t.Pairs) == 0 {
		return Pair{}, false, nil
	}
	return t.Pairs[0], true, nil
}

// full reports whether the answer takes no more: the first read always fits.
func (r *recorder) full() bool {
	full := len(r.list) >= r.limits.Ops || r.bytes >= r.limits.Bytes
	r.cut = r.cut || full
	return full
}

// target takes in the entry that a pair leads to.
func (r *recorder) target(p Pair) error {
	switch p.Key[0] {
	case famTile, famCheckpoint:
		return nil
	case famEntry:
		index, err := lastU64(p.Key, []byte{famEntry})
		if _, ok := r.leaves[index]; err == nil && !ok {
			if r.full() {
				return errEnough
			}
			r.leaves[index] = p.Value
			r.bytes += len(p.Value)
		}
		return err
	}
	index, err := Leads(p)
	if err != nil {
		return err
	}
	leaf, err := r.leaf(index)
	if err == nil && leaf == nil {
		err = damaged("the index leads to entry %d, which is missing", index)
	}
	return err
}

// known returns a read that was made.
func (r *recorder) known(op Op) (t Touched, ok bool) {
	at, ok := r.seen[op.key()]
	if ok {
		t = r.list[at]
	}
	return t, ok
}

// key tells an op from every other.
func (op Op) key() string {
	b := binary.AppendUvarint(nil, uint64(op.Limit))
	for _, part := range [][]byte{op.Get, op.Lower, op.Upper} {
		b = append(binary.AppendUvarint(b, uint64(len(part))), part...)
	}
	return string(b)
}

// keep takes in a read with what it found.
func (r *recorder) keep(op Op, pairs []Pair, more bool) error {
	if r.skip > 0 {
		// The view may make it again, and is not counted for it twice.
		key := op.key()
		if !r.passed[key] {
			if r.passed == nil {
				r.passed = map[string]bool{}
			}
			r.passed[key] = true
			r.skip--
		}
		return nil
	}
	for _, p := range pairs {
		if err := r.target(p); err != nil {
			return err
		}
		r.bytes += len(p.Key)
		if p.Key[0] != famEntry {
			r.bytes += len(p.Value)
		}
	}
	r.seen[op.key()] = len(r.list)
	r.list = append(r.list, Touched{op, pairs, more})
	return nil
}
