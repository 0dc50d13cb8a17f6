package ledger

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
)

// ErrReadOnly says that a ledger was opened over a Reader: it is not written to
// from here.
var ErrReadOnly = errors.New("this ledger is read only")

// Over opens the ledger that a Reader reads, as of a signed checkpoint that the
// caller has verified. Views of it work as those of a database; Begin refuses
// with ErrReadOnly.
//
// The Reader's tiles at the right edge must lead to the checkpoint's root, and
// its control entries, all of them, to what the last leaf says of those before
// it: otherwise it is an evidence.ErrTampered. The rest is for the Reader to
// check. Tiles are asked for as wide as that size fills them, also at level 0.
func Over(r Reader, signed []byte) (*Ledger, error) {
	cp, _, err := evidence.ReadCheckpoint(signed)
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	if cp.Size == 0 {
		return nil, fmt.Errorf("open ledger: %w: the checkpoint of %s covers no entry", ErrNotFound, cp.Origin)
	}
	l := &Ledger{indexed: true, unusable: ErrReadOnly, laws: new(laws), keys: new(sync.Map), store: reads{r}}
	l.source = l.store
	s := &state{checkpoint: signed, root: cp.Root, origin: cp.Origin}
	if s.tree, err = restore(cp.Size, l.edge); err == nil && s.tree.root() != cp.Root {
		err = damaged("the tiles' root is %v; the checkpoint of size %d signs %v", s.tree.root(), cp.Size, cp.Root)
	}
	if err == nil {
		l.state.Store(s)
		err = l.loadControl(s)
	}
	if errors.Is(err, ErrDamaged) {
		err = fmt.Errorf("%w: %w", evidence.ErrTampered, err)
	}
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	return l, nil
}

// edge reads an unfinished tile.
func (l *Ledger) edge(level int, n uint64, width int) ([]tlog.Hash, error) {
	data, ok, err := l.store.get(tileKey(level, n))
	if err != nil {
		return nil, err
	}
	if !ok || len(data) != width*tlog.HashSize {
		return nil, damaged("tile %d/%d has %d bytes, not %d hashes", level, n, len(data), width)
	}
	hashes := make([]tlog.Hash, width)
	for i := range hashes {
		hashes[i] = tlog.Hash(data[i*tlog.HashSize:])
	}
	return hashes, nil
}
