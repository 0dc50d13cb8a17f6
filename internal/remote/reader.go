package remote

import (
	"bytes"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/wire"
)

var (
	_ ledger.Reader   = (*reader)(nil)
	_ ledger.Expecter = (*reader)(nil)
	_ tlog.HashReader = (*reader)(nil)
)

// readAhead is how many pairs a page asks for at least: to ask once more takes
// longer than to send them.
const readAhead = 32

// hint is a lookup that is under way.
type hint struct {
	id     int
	key    string
	lookup wire.Lookup
}

// Expect implements ledger.Expecter. Nothing is asked before something is missing:
// then all that the outermost lookup reads is asked for besides.
func (r *reader) Expect(l ledger.Lookup) (done func()) {
	w := wire.Lookup{
		Kind: string(l.Kind), Name: l.Name, Version: l.Version, Stage: l.Stage, Entry: l.Entry, Statement: l.Statement, Time: uint64(l.Time),
	}
	for _, k := range l.Kinds {
		w.Kinds = append(w.Kinds, string(k))
	}
	var none = l.Key
	clear(none[:])
	if l.Key != none {
		w.Key = l.Key.String()
	}
	h := hint{key: fmt.Sprintf("%q", []any{w.Kind, w.Name, w.Version, w.Stage, w.Entry, w.Kinds, w.Statement, w.Key, w.Time}), lookup: w}
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.hints); n > 0 {
		h.id = r.hints[n-1].id + 1
	}
	r.hints = append(r.hints, h)
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.hints = slices.DeleteFunc(r.hints, func(o hint) bool { return o.id == h.id })
	}
}

// trace is how much of a lookup was answered.
type trace struct {
	skip  uint64 // reads of it
	ended bool
}

// untraced returns the outermost lookup of which not all was asked for so far. One
// that did not fit into its answers is gone on with, where the same kind of lookup
// is under way: a walk asks for the lineage of one artifact after another, and the
// first one's has them all.
func (r *reader) untraced() *hint {
	for i := range r.hints {
		h := &r.hints[i]
		if r.traced[h.key].ended {
			continue
		}
		if u := r.unfinished; u != nil && u.lookup.Kind == h.lookup.Kind {
			return u
		}
		return h
	}
	return nil
}

// ask makes reads, and takes in what comes back: at least the first of them is
// known after it.
func (r *reader) ask(ops ...wire.ReadOp) error {
	if r.failed != nil {
		return r.failed
	}
	if err := r.ctx.Err(); err != nil {
		return err
	}
	var a *wire.ReadAnswer
	var err error
	r.requests++
	if h := r.untraced(); h != nil {
		t := r.traced[h.key]
		a, err = r.server.Trace(r.ctx, &wire.TraceRequest{Size: r.cp.Size, Index: ledger.IndexVersion, Lookup: h.lookup, Skip: t.skip, Ops: ops})
		if err == nil {
			// What comes after it must be more than nothing, or it has ended.
			more := max(len(a.Answers)-len(ops), 0)
			t.skip += uint64(more)
			t.ended = !a.Cut || more == 0 || t.skip > wire.MaxSkipped
			r.traced[h.key] = t
			if r.unfinished = nil; !t.ended {
				r.unfinished = &hint{key: h.key, lookup: h.lookup}
			}
		}
	} else {
		a, err = r.server.Read(r.ctx, &wire.ReadRequest{Size: r.cp.Size, Index: ledger.IndexVersion, Ops: ops})
	}
	if err != nil {
		return err
	}
	return r.fail(r.accept(ops, a))
}

// errUnanswered says that a read was answered, and is as unknown as before.
func errUnanswered(op wire.ReadOp) error {
	return tampered("no answer to a read of %q", append(bytes.Clone(op.Get), op.Lower...))
}

// Get implements ledger.Reader.
func (r *reader) Get(key []byte) (value []byte, ok bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed != nil {
		return nil, false, r.failed
	}
	if level, n, is := ledger.TileKey(key); is {
		return r.tile(level, n)
	}
	if len(key) == 0 || key[0] == 'm' { // a store's own words are nobody else's
		return nil, false, nil
	}
	if value, ok, known := r.value(key); known {
		return value, ok, nil
	}
	op := wire.ReadOp{Get: key}
	if err := r.ask(op); err != nil {
		return nil, false, err
	}
	value, ok, known := r.value(key)
	if !known {
		return nil, false, r.fail(errUnanswered(op))
	}
	return value, ok, nil
}

// value returns what is known of a key.
func (r *reader) value(key []byte) (value []byte, ok, known bool) {
	if index, is := ledger.EntryKey(key); is {
		leaf, ok := r.memory.leaves[index]
		return bytes.Clone(leaf), ok && index < r.cp.Size, ok || index >= r.cp.Size
	}
	if w, ok := r.memory.rows.get(string(key)); ok && w.index < r.cp.Size {
		return bytes.Clone(w.value), true, true
	}
	_, known = r.covered.around(string(key))
	return nil, false, known
}

// Page implements ledger.Reader.
func (r *reader) Page(lower, upper []byte, limit int) ([]ledger.Pair, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for asked := 0; ; asked++ {
		if r.failed != nil {
			return nil, false, r.failed
		}
		pairs, more, next := r.page(lower, upper, limit)
		if next == nil {
			return pairs, more, nil
		}
		op := wire.ReadOp{Lower: next, Upper: upper, Limit: min(max(limit, readAhead), wire.MaxReadPage)}
		// Each answer goes on where the one before ended, but for a lie.
		if asked > 2 {
			return nil, false, r.fail(errUnanswered(op))
		}
		if err := r.ask(op); err != nil {
			return nil, false, err
		}
	}
}

// page returns what is known of a page: a page, or else the first key that must be
// asked for.
func (r *reader) page(lower, upper []byte, limit int) (pairs []ledger.Pair, more bool, next []byte) {
	if isEntries(lower) {
		return r.pageOfEntries(lower, upper, limit)
	}
	from, to := string(lower), string(upper)
	for from < to {
		s, ok := r.covered.around(from)
		if !ok {
			if len(pairs) > 0 {
				return pairs, true, nil
			}
			return nil, false, []byte(from)
		}
		end := min(s.upper, to)
		r.memory.rows.up(from, end, func(w row) bool {
			if w.index >= r.cp.Size {
				return true
			}
			if len(pairs) == limit {
				more = true
				return false
			}
			pairs = append(pairs, ledger.Pair{Key: []byte(w.key), Value: bytes.Clone(w.value)})
			return true
		})
		if more {
			return pairs, true, nil
		}
		from = end
	}
	return pairs, false, nil
}

// pageOfEntries is page of entries, all of which there are.
func (r *reader) pageOfEntries(lower, upper []byte, limit int) (pairs []ledger.Pair, more bool, next []byte) {
	from, to := r.entries(lower, upper)
	for i := from; i < to; i++ {
		leaf, ok := r.memory.leaves[i]
		switch {
		case len(pairs) == limit, !ok && len(pairs) > 0:
			return pairs, true, nil
		case !ok:
			return nil, false, ledger.KeyOfEntry(i)
		}
		pairs = append(pairs, ledger.Pair{Key: ledger.KeyOfEntry(i), Value: bytes.Clone(leaf)})
	}
	return pairs, false, nil
}

// entries returns which entries have their keys in a range.
func (r *reader) entries(lower, upper []byte) (from, to uint64) {
	least := func(key []byte) uint64 {
		if !isEntries(key) {
			return r.cp.Size
		}
		exact := append(bytes.Clone(key), make([]byte, 9)...)[:9]
		index, _ := ledger.EntryKey(exact)
		if len(key) > len(exact) && index < r.cp.Size {
			index++
		}
		return min(index, r.cp.Size)
	}
	return least(lower), least(upper)
}

// Last implements ledger.Reader.
func (r *reader) Last(lower, upper []byte) (ledger.Pair, bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for asked := 0; ; asked++ {
		if r.failed != nil {
			return ledger.Pair{}, false, r.failed
		}
		p, ok, before := r.last(lower, upper)
		if before == nil {
			return p, ok, nil
		}
		op := wire.ReadOp{Lower: lower, Upper: before, Last: true}
		if asked > 2 {
			return ledger.Pair{}, false, r.fail(errUnanswered(op))
		}
		if err := r.ask(op); err != nil {
			return ledger.Pair{}, false, err
		}
	}
}

// last returns what is known of the last pair in a range, or else before which key
// must be asked.
func (r *reader) last(lower, upper []byte) (p ledger.Pair, ok bool, before []byte) {
	if isEntries(lower) {
		from, to := r.entries(lower, upper)
		if from >= to {
			return p, false, nil
		}
		leaf, ok := r.memory.leaves[to-1]
		if !ok {
			return p, false, upper
		}
		return ledger.Pair{Key: ledger.KeyOfEntry(to - 1), Value: bytes.Clone(leaf)}, true, nil
	}
	from, to := string(lower), string(upper)
	for from < to {
		s, ok := r.covered.before(to)
		if !ok {
			return p, false, []byte(to)
		}
		begin := max(s.lower, from)
		if w, ok := r.memory.rows.last(begin, to, r.cp.Size); ok {
			return ledger.Pair{Key: []byte(w.key), Value: bytes.Clone(w.value)}, true, nil
		}
		to = begin
	}
	return p, false, nil
}

// tile returns a tile, as wide as the size fills it.
func (r *reader) tile(level int, n uint64) ([]byte, bool, error) {
	width := ledger.TileWidthAt(r.cp.Size, level, n)
	if width == 0 {
		return nil, false, nil
	}
	indexes := make([]int64, width)
	for i := range indexes {
		indexes[i] = tlog.StoredHashIndex(level*tileHeight, int64(n)*ledger.TileWidth+int64(i))
	}
	hashes, err := r.readTiles(indexes)
	if err != nil {
		return nil, false, err
	}
	data := make([]byte, 0, len(hashes)*tlog.HashSize)
	for _, h := range hashes {
		data = append(data, h[:]...)
	}
	return data, true, nil
}

// ReadHashes implements tlog.HashReader: nodes that proved entries are known, and
// others are read from tiles.
func (r *reader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.failed != nil {
		return nil, r.failed
	}
	hashes := make([]tlog.Hash, len(indexes))
	var missing []int64
	for i, index := range indexes {
		h, ok := r.memory.nodes[index]
		if !ok {
			missing = append(missing, index)
		}
		hashes[i] = h
	}
	if len(missing) == 0 {
		return hashes, nil
	}
	read, err := r.readTiles(missing)
	if err != nil {
		return nil, err
	}
	for i, index := range indexes {
		if at := slices.Index(missing, index); at >= 0 {
			hashes[i] = read[at]
		}
	}
	return hashes, nil
}

// readTiles reads nodes from tiles, which it verifies.
func (r *reader) readTiles(indexes []int64) ([]tlog.Hash, error) {
	hashes, err := r.tiles.ReadHashes(indexes)
	var asked *askedError
	switch {
	case errors.As(err, &asked):
		return nil, asked.error
	case err != nil:
		return nil, r.fail(tampered("tiles that do not lead to the root %v at size %d", r.cp.Root, r.cp.Size))
	}
	return hashes, nil
}

// tileHeight is that of c2sp.org/tlog-tiles: eight levels of the tree.
const tileHeight = 8

// tileSource is where tiles are read that tlog verifies. Its reader's lock is held.
type tileSource struct{ r *reader }

// askedError is an error of asking, and not of what was answered.
type askedError struct{ error }

func (*tileSource) Height() int { return tileHeight }

// ReadTiles implements tlog.TileReader.
func (s *tileSource) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(tiles))
	for before := len(tiles) + 1; ; {
		// What is known may be forgotten while more is asked for.
		var ops []wire.ReadOp
		for i, t := range tiles {
			if data[i] == nil {
				data[i] = s.have(t)
			}
			if data[i] == nil {
				ops = append(ops, wire.ReadOp{Get: ledger.KeyOfTile(t.L, uint64(t.N))})
			}
		}
		switch {
		case len(ops) == 0:
			return data, nil
		case len(ops) == before:
			return nil, &askedError{s.r.fail(errUnanswered(ops[0]))}
		}
		before = len(ops)
		if err := s.r.ask(ops[:min(len(ops), wire.MaxReadOps)]...); err != nil {
			return nil, &askedError{err}
		}
	}
}

func (s *tileSource) have(t tlog.Tile) []byte {
	if data := s.r.memory.full[t]; data != nil {
		return data
	}
	return s.r.offered[t]
}

// SaveTiles implements tlog.TileReader: a full tile stays as it is.
func (s *tileSource) SaveTiles(tiles []tlog.Tile, data [][]byte) {
	for i, t := range tiles {
		if t.W == ledger.TileWidth {
			s.r.memory.full[t] = data[i]
			delete(s.r.offered, t)
		}
	}
}

// wide returns a tile, as wide as the size fills it.
func (r *reader) wide(level int, n uint64) tlog.Tile {
	return tlog.Tile{H: tileHeight, L: level, N: int64(n), W: ledger.TileWidthAt(r.cp.Size, level, n)}
}

func isEntries(key []byte) bool { return len(key) > 0 && key[0] == 'e' }
