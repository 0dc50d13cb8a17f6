package ledger

import (
	"encoding/binary"
	"fmt"
	"iter"
	"sort"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/statement"
)

// View is the ledger as of one committed size. It is safe for concurrent use,
// holds no resource and needs no closing; after the ledger was closed its
// methods fail with ErrClosed. What is not there is ErrNotFound, what is there
// and cannot be right is ErrDamaged.
type View struct {
	l *Ledger
	s *state // of the size, or later: the source of unfinished tiles
	n uint64 // the size
}

// View returns the ledger as of its last commit.
func (l *Ledger) View() *View {
	s := l.state.Load()
	return &View{l: l, s: s, n: s.tree.size}
}

// At returns the ledger as it was at an earlier size. The size must be that of
// a checkpoint.
func (v *View) At(size uint64) (*View, error) {
	if size == v.n {
		return v, nil
	}
	if _, err := v.Checkpoint(size); err != nil {
		return nil, err
	}
	return &View{l: v.l, s: v.s, n: size}, nil
}

// AsOf returns the ledger as it was at any earlier size: what was known then.
// Unlike At it asks for no checkpoint, so LatestCheckpoint of the view it
// returns may be an ErrNotFound.
func (v *View) AsOf(size uint64) (*View, error) {
	if size > v.n {
		return nil, fmt.Errorf("size %d: %w: the ledger has %d entries", size, ErrNotFound, v.n)
	}
	return &View{l: v.l, s: v.s, n: size}, nil
}

// Size returns the number of entries.
func (v *View) Size() uint64 { return v.n }

// ID returns the ledger's id; zero for a ledger without entries.
func (v *View) ID() statement.LedgerID { return v.s.id }

// Origin returns the ledger's origin; empty for a ledger without entries.
func (v *View) Origin() string { return v.s.origin }

// Algorithm returns the hash of the ledger's fingerprints; zero for a ledger
// without entries, or of rules that this program does not know.
func (v *View) Algorithm() fingerprint.Algorithm {
	if v.s.genesis == nil {
		return 0
	}
	return v.s.genesis.Hash
}

// Root returns the tree's root.
func (v *View) Root() (tlog.Hash, error) {
	if v.n == v.s.tree.size {
		return v.s.root, nil
	}
	h, err := tlog.TreeHash(int64(v.n), v.HashReader())
	if err != nil {
		return tlog.Hash{}, fmt.Errorf("root at size %d: %w", v.n, err)
	}
	return h, nil
}

// Leaf returns the bytes of an entry, the log's leaf.
func (v *View) Leaf(index uint64) ([]byte, error) {
	if index >= v.n {
		return nil, fmt.Errorf("entry %d: %w: the ledger has %d", index, ErrNotFound, v.n)
	}
	leaf, ok, err := v.l.source.get(entryKey(index))
	if err == nil && !ok {
		err = damaged("entry %d is missing", index)
	}
	return leaf, err
}

// Entry returns an entry.
func (v *View) Entry(index uint64) (*evidence.Entry, error) {
	leaf, err := v.Leaf(index)
	if err != nil {
		return nil, err
	}
	return parseEntry(index, leaf)
}

func parseEntry(index uint64, leaf []byte) (*evidence.Entry, error) {
	e, err := evidence.ParseEntry(leaf)
	if err != nil {
		return nil, damaged("entry %d: %w", index, err)
	}
	if e.Index != index {
		return nil, damaged("entry %d says that it is entry %d", index, e.Index)
	}
	return e, nil
}

// Leaves goes through the leaves of the entries from (inclusive) to
// (exclusive), as far as they exist. The last pair may be an error.
func (v *View) Leaves(from, to uint64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, leaf := range v.leaves(from, to) {
			if !yield(leaf.value, leaf.err) {
				return
			}
		}
	}
}

type result struct {
	value []byte
	err   error
}

// leaves goes through the leaves in order; the last result may be an error.
func (v *View) leaves(from, to uint64) iter.Seq2[uint64, result] {
	return func(yield func(uint64, result) bool) {
		next := from
		to := min(to, v.n)
		if next >= to {
			return
		}
		stopped := false
		err := v.l.source.scan(entryKey(from), entryKey(to), func(key, value []byte) bool {
			i, err := lastU64(key, []byte{famEntry})
			if err == nil && i != next {
				err = damaged("entry %d is missing", next)
			}
			if err != nil {
				yield(next, result{err: err})
				stopped = true
				return false
			}
			next++
			stopped = !yield(i, result{value: value})
			return !stopped
		})
		if err == nil && !stopped && next != to {
			err = damaged("entry %d is missing", next)
		}
		if err != nil {
			yield(next, result{err: err})
		}
	}
}

// Entries goes through the entries from (inclusive) to (exclusive), as far as
// they exist. The last pair may be an error.
func (v *View) Entries(from, to uint64) iter.Seq2[*evidence.Entry, error] {
	return func(yield func(*evidence.Entry, error) bool) {
		for i, leaf := range v.leaves(from, to) {
			if leaf.err != nil {
				yield(nil, leaf.err)
				return
			}
			e, err := parseEntry(i, leaf.value)
			if !yield(e, err) || err != nil {
				return
			}
		}
	}
}

// Checkpoint returns the signed checkpoint of a size that was published.
func (v *View) Checkpoint(size uint64) ([]byte, error) {
	if size > v.n {
		return nil, fmt.Errorf("checkpoint of size %d: %w: the ledger has %d entries", size, ErrNotFound, v.n)
	}
	c, ok, err := v.l.source.get(checkpointKey(size))
	if err == nil && !ok {
		err = fmt.Errorf("checkpoint of size %d: %w", size, ErrNotFound)
	}
	return c, err
}

// LatestCheckpoint returns the signed checkpoint of the view's size.
func (v *View) LatestCheckpoint() ([]byte, error) {
	if v.n == v.s.tree.size && v.s.checkpoint != nil {
		return append([]byte(nil), v.s.checkpoint...), nil
	}
	return v.Checkpoint(v.n)
}

// Checkpoints goes through the sizes that were published, from that size on,
// with their signed checkpoints. The last pair may be an error, with size 0.
func (v *View) Checkpoints(from uint64) iter.Seq2[SizedCheckpoint, error] {
	return func(yield func(SizedCheckpoint, error) bool) {
		if from > v.n {
			return
		}
		err := v.l.source.scan(checkpointKey(from), checkpointKey(v.n+1), func(key, value []byte) bool {
			size, err := lastU64(key, []byte{famCheckpoint})
			return yield(SizedCheckpoint{size, value}, err) && err == nil
		})
		if err != nil {
			yield(SizedCheckpoint{}, err)
		}
	}
}

// SizedCheckpoint is a signed checkpoint and its size.
type SizedCheckpoint struct {
	Size   uint64
	Signed []byte
}

// header reads the time of an entry without parsing the rest.
func (v *View) time(index uint64) (int64, error) {
	leaf, err := v.Leaf(index)
	if err != nil {
		return 0, err
	}
	if len(leaf) < leafTime+8 {
		return 0, damaged("entry %d has %d bytes", index, len(leaf))
	}
	return int64(binary.BigEndian.Uint64(leaf[leafTime:])), nil
}

// leafTime is where a leaf has its time: after the domain and the index.
const leafTime = len("stele entry v1\n") + 8

// AtTime returns the ledger's size at a time, in Unix milliseconds: how many
// entries were admitted then or before.
func (v *View) AtTime(ms int64) (size uint64, err error) {
	n := sort.Search(int(v.n), func(i int) bool {
		t, e := v.time(uint64(i))
		if e != nil {
			err = e
		}
		return t > ms
	})
	return uint64(n), err
}

// Time returns the time of the last entry, in Unix milliseconds; 0 for a
// ledger without entries.
func (v *View) Time() int64 {
	if v.n == v.s.tree.size {
		return v.s.time
	}
	t, _ := v.time(v.n - 1)
	return t
}

// next returns the first entry after a view that is not of the newest size.
func (v *View) next() (*evidence.Entry, error) {
	newest := &View{l: v.l, s: v.s, n: v.s.tree.size}
	return newest.Entry(v.n)
}

// Control returns what the view's control entries add up to. It is shared:
// read it, never Add to it.
func (v *View) Control() (*evidence.Control, error) {
	if v.s.control == nil {
		return nil, ErrRules
	}
	if v.n == v.s.tree.size {
		return v.s.control, nil
	}
	// The entry after the view says how many control entries are before it.
	if next, err := v.next(); err != nil {
		return nil, err
	} else if next.ControlCount == v.s.control.Count() {
		return v.s.control, nil
	}
	c := evidence.NewControl()
	for e, err := range v.ControlEntries() {
		if err == nil {
			err = c.Add(e)
		}
		if err != nil {
			return nil, fmt.Errorf("control entries up to size %d: %w", v.n, err)
		}
	}
	return c, nil
}
