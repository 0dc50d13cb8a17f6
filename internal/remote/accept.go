package remote

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/wire"
)

// accept takes in an answer: nothing of it is known before it was verified. Asked
// is what was asked for.
func (r *reader) accept(asked []wire.ReadOp, a *wire.ReadAnswer) error {
	if err := a.Check(); err != nil {
		return tampered("%w", err)
	}
	if a.Size != r.cp.Size {
		return tampered("an answer as of size %d, not %d", a.Size, r.cp.Size)
	}
	if len(asked) > 0 && len(a.Answers) == 0 {
		return errUnanswered(asked[0])
	}
	for i := range min(len(asked), len(a.Answers)) {
		if !a.Answers[i].Op.Same(asked[i]) {
			return tampered("an answer to another read")
		}
	}
	if r.known != nil && r.memory.crowded() {
		r.memory, r.covered = newMemory(), nil
		clear(r.offered)
		clear(r.traced)
		r.unfinished = nil
	}
	if r.known == nil && r.memory.crowded() {
		return fmt.Errorf("the ledger has more than %d bytes of control entries, as its server says", maxMemory)
	}
	nodes := newNodes(r.memory.nodes, a.Hashes)
	for _, e := range a.Entries {
		if err := r.acceptEntry(e, nodes); err != nil {
			return err
		}
	}
	for i := range a.Answers {
		if err := r.acceptAnswer(&a.Answers[i], nodes); err != nil {
			return err
		}
	}
	return nil
}

// nodes are an answer's nodes of the tree on top of those that are known. Those
// that led from an entry to the root are known from then on: another would not
// have led there.
type nodes struct {
	known map[int64]tlog.Hash
	given map[int64]tlog.Hash
	used  map[int64]tlog.Hash // since the last proof
}

func newNodes(known map[int64]tlog.Hash, hashes []byte) *nodes {
	n := &nodes{known: known, given: make(map[int64]tlog.Hash, len(hashes)/wire.ReadHash), used: map[int64]tlog.Hash{}}
	for ; len(hashes) >= wire.ReadHash; hashes = hashes[wire.ReadHash:] {
		n.given[int64(binary.BigEndian.Uint64(hashes))] = tlog.Hash(hashes[8:])
	}
	return n
}

// ReadHashes implements tlog.HashReader.
func (n *nodes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	list := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		h, ok := n.known[index]
		if !ok {
			if h, ok = n.given[index]; !ok {
				return nil, fmt.Errorf("the hash %d of the tree is missing", index)
			}
			n.used[index] = h
		}
		list[i] = h
	}
	return list, nil
}

// proved makes known what was used.
func (n *nodes) proved() {
	maps.Copy(n.known, n.used)
	clear(n.used)
}

// acceptEntry verifies an entry: it is in the tree, at its place; and by whom it is
// signed, where that is known by now.
func (r *reader) acceptEntry(w wire.ReadEntry, n *nodes) error {
	if old, ok := r.memory.leaves[w.Index]; ok {
		if !bytes.Equal(old, w.Leaf) {
			return tampered("entry %d is another than before", w.Index)
		}
		if w.Index < r.cp.Size {
			return nil
		}
	}
	if w.Index >= r.cp.Size {
		return tampered("entry %d as of size %d", w.Index, r.cp.Size)
	}
	clear(n.used)
	proof, err := evidence.ProveInclusion(r.cp.Size, w.Index, n)
	if err != nil {
		return tampered("%w", err)
	}
	hash := evidence.LeafHash(w.Leaf)
	if err := evidence.CheckInclusion(r.cp, w.Index, hash, proof); err != nil {
		return tampered("%w", err)
	}
	n.proved()
	n.known[tlog.StoredHashIndex(0, int64(w.Index))] = hash

	e, err := evidence.ParseEntry(w.Leaf)
	if err != nil {
		return tampered("entry %d: %w", w.Index, err)
	}
	if e.Index != w.Index {
		return tampered("entry %d says that it is entry %d", w.Index, e.Index)
	}
	if r.known == nil {
		r.memory.unsigned = append(r.memory.unsigned, e)
	} else if err := r.known.check(e); err != nil {
		return err
	}
	if err := r.addRows(e); err != nil {
		return err
	}
	r.memory.leaves[w.Index] = w.Leaf
	r.memory.bytes += len(w.Leaf)
	return nil
}

// addRows adds what the index must have of an entry. What was answered before
// without it was a lie.
func (r *reader) addRows(e *evidence.Entry) error {
	st, err := e.Statement()
	if err != nil {
		return nil // of a newer program: the control entries say so
	}
	for _, p := range ledger.Rows(e, st) {
		old, ok := r.memory.rows.get(string(p.Key))
		switch _, seen := r.covered.around(string(p.Key)); {
		case ok && (old.index != e.Index || !bytes.Equal(old.value, p.Value)):
			return tampered("the entries %d and %d say two things where the ledger has one", old.index, e.Index)
		case !ok && seen:
			return leftOut(e.Index)
		}
		r.memory.rows.put(row{string(p.Key), p.Value, e.Index})
	}
	return nil
}

func leftOut(index uint64) error {
	return tampered("a list that leaves out entry %d, which belongs into it", index)
}

// acceptAnswer verifies what a read found, and takes it in.
func (r *reader) acceptAnswer(o *wire.OpAnswer, n *nodes) error {
	key := o.Op.Get
	if len(key) == 0 {
		key = o.Op.Lower
	}
	switch key[0] {
	case 'e':
		return r.acceptEntries(o)
	case 't':
		return r.acceptTile(o)
	}
	found := make(map[string]bool, len(o.Pairs))
	for _, p := range o.Pairs {
		found[string(p.Key)] = true
		err := error(nil)
		if size, ok := ledger.CheckpointKey(p.Key); ok {
			err = r.acceptCheckpoint(p, size, n)
		} else {
			err = r.acceptRow(ledger.Pair{Key: p.Key, Value: p.Value})
		}
		if err != nil {
			return err
		}
	}
	// What is known to be there, and was not found, was left out.
	lower, upper := extent(o)
	var err error
	r.memory.rows.up(lower, upper, func(w row) bool {
		if w.index < r.cp.Size && !found[w.key] {
			err = leftOut(w.index)
		}
		return err == nil
	})
	if err == nil {
		r.covered.add(lower, upper)
	}
	return err
}

// extent returns of which keys an answer says everything.
func extent(o *wire.OpAnswer) (lower, upper string) {
	switch {
	case len(o.Op.Get) > 0:
		return string(o.Op.Get), string(o.Op.Get) + "\x00"
	case o.Op.Last && len(o.Pairs) > 0:
		return string(o.Pairs[0].Key), string(o.Op.Upper)
	case o.More:
		return string(o.Op.Lower), string(o.Pairs[len(o.Pairs)-1].Key) + "\x00"
	}
	return string(o.Op.Lower), string(o.Op.Upper)
}

// acceptRow verifies a pair of the index: it follows from the entry that it leads
// to.
func (r *reader) acceptRow(p ledger.Pair) error {
	if w, ok := r.memory.rows.get(string(p.Key)); ok {
		if w.index >= r.cp.Size || !bytes.Equal(w.value, p.Value) {
			return tampered("an index that leads to what entry %d does not say", w.index)
		}
		return nil
	}
	index, err := ledger.Leads(p)
	if err != nil {
		return tampered("an index that leads nowhere")
	}
	leaf, ok := r.memory.leaves[index]
	if !ok || index >= r.cp.Size {
		return tampered("an index that leads to entry %d, without that", index)
	}
	e, err := evidence.ParseEntry(leaf)
	if err != nil {
		return tampered("entry %d: %w", index, err)
	}
	st, err := e.Statement()
	if err != nil {
		// Over says what a newer program's control entry means, and nothing else
		// of such a ledger can be read.
		if p.Key[0] == 'x' {
			r.memory.rows.put(row{string(p.Key), p.Value, index})
			return nil
		}
		return fmt.Errorf("%w: entry %d: %w", ledger.ErrRules, index, err)
	}
	if !ledger.Follows(p, e, st) {
		return tampered("an index that leads to what entry %d does not say", index)
	}
	r.memory.rows.put(row{string(p.Key), p.Value, index})
	return nil
}

// acceptEntries holds a list of entries to what there must be: every one.
func (r *reader) acceptEntries(o *wire.OpAnswer) error {
	if len(o.Op.Get) > 0 {
		index, ok := ledger.EntryKey(o.Op.Get)
		switch {
		case !ok || index >= r.cp.Size:
			if len(o.Pairs) > 0 {
				return tampered("an entry that there is none of")
			}
		case len(o.Pairs) == 0, r.memory.leaves[index] == nil:
			return tampered("entry %d is missing", index)
		}
		return nil
	}
	from, to := r.entries(o.Op.Lower, o.Op.Upper)
	if o.Op.Last && from < to {
		from = to - 1
	}
	for _, p := range o.Pairs {
		index, ok := ledger.EntryKey(p.Key)
		if !ok || index != from || from >= to || r.memory.leaves[index] == nil {
			return tampered("entry %d is missing", from)
		}
		from++
	}
	if from < to && !o.More {
		return tampered("entry %d is missing", from)
	}
	return nil
}

// acceptTile keeps a tile until it is verified.
func (r *reader) acceptTile(o *wire.OpAnswer) error {
	level, n, ok := ledger.TileKey(o.Op.Get)
	if !ok {
		return tampered("a list of tiles")
	}
	t := r.wide(level, n)
	if len(o.Pairs) == 0 {
		if t.W > 0 {
			return tampered("tile %d/%d is missing", level, n)
		}
		return nil
	}
	if data := o.Pairs[0].Value; t.W == 0 || len(data) != t.W*tlog.HashSize {
		return tampered("tile %d/%d has %d bytes, not %d hashes", level, n, len(data), t.W)
	}
	if len(r.offered) >= maxOffered {
		clear(r.offered)
	}
	r.offered[t] = o.Pairs[0].Value
	return nil
}

// maxOffered is how many tiles wait to be verified.
const maxOffered = 4096

// acceptCheckpoint verifies a checkpoint: it is of a tree that this one begins
// with, and signed by the key that was the log's.
func (r *reader) acceptCheckpoint(p wire.ReadPair, size uint64, n *nodes) error {
	cp, _, err := evidence.ReadCheckpoint(p.Value)
	if err != nil {
		return tampered("the checkpoint of size %d: %w", size, err)
	}
	if r.known == nil || size == 0 || size > r.cp.Size || cp.Size != size {
		return tampered("a checkpoint of size %d as of size %d", cp.Size, r.cp.Size)
	}
	clear(n.used)
	var proof tlog.TreeProof
	if size < r.cp.Size {
		if proof, err = evidence.ProveConsistency(size, r.cp.Size, n); err != nil {
			return tampered("%w", err)
		}
	}
	if err := evidence.CheckConsistency(cp, r.cp, proof); err != nil {
		return tampered("%w", err)
	}
	n.proved()
	key, _ := r.known.control.LogKey(size)
	if _, _, err := evidence.OpenCheckpoint(p.Value, evidence.Verifiers(key)); err != nil {
		return tampered("the checkpoint of size %d: %w", size, err)
	}
	r.memory.rows.put(row{string(p.Key), p.Value, size - 1})
	return nil
}
