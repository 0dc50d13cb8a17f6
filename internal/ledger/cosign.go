package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"github.com/stele-ml/stele/evidence"
)

// metaCosigned is the size of the newest checkpoint that was published because
// a quorum of witnesses had cosigned it. It only ever grows.
const metaCosigned = "cosigned"

// cosigning orders those who store cosignatures.
type cosigning struct{ mu sync.Mutex }

// Cosign adds cosignatures to a stored checkpoint: signed is that checkpoint
// with the lines of witnesses, which are checked with their keys, as
// evidence.MergeCosignatures does. It returns the checkpoint as it is now
// stored, synced.
//
// With reached a quorum was reached, by the caller's policy: Cosigned returns
// that checkpoint from now on, unless it returned a larger one already.
//
// Cosign may be called beside the writer and holds it up no longer than it takes
// to exchange a pointer. The error is evidence's, or ErrNotFound where no such
// checkpoint was published; after any other it is unknown what was stored.
func (l *Ledger) Cosign(signed []byte, reached bool, witnesses ...evidence.VKey) ([]byte, error) {
	cp, _, err := evidence.ReadCheckpoint(signed)
	if err != nil {
		return nil, fmt.Errorf("cosign: %w", err)
	}
	l.cosigning.mu.Lock()
	defer l.cosigning.mu.Unlock()
	v := l.View()
	kept, err := v.Checkpoint(cp.Size)
	if err != nil {
		return nil, fmt.Errorf("cosign: %w", err)
	}
	merged, err := evidence.MergeCosignatures(kept, signed, witnesses...)
	if err != nil {
		return nil, fmt.Errorf("cosign: %w", err)
	}
	before, err := v.cosignedSize()
	if err != nil {
		return nil, fmt.Errorf("cosign: %w", err)
	}
	changed, reached := !bytes.Equal(kept, merged), reached && cp.Size > before
	if !changed && !reached {
		return merged, nil
	}
	batch := l.db.NewBatch() // which copies what it is given and cannot fail
	if changed {
		_ = batch.Set(checkpointKey(cp.Size), merged, nil)
	}
	if reached {
		_ = batch.Set(metaKey(metaCosigned), u64value(cp.Size), nil)
	}
	if err := l.apply(batch); err != nil {
		return nil, fmt.Errorf("cosign size %d: %w", cp.Size, err)
	}
	l.showCosigned(cp.Size, merged)
	return merged, nil
}

// showCosigned gives a checkpoint to the views of the newest size, if it is of
// that.
func (l *Ledger) showCosigned(size uint64, signed []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.state.Load(); s.tree.size == size {
		next := *s
		next.checkpoint = signed
		l.state.Store(&next)
	}
}

// Cosigned returns the newest checkpoint, up to the view's size, that was
// published because a quorum of the witnesses of that time had cosigned it. It is
// ErrNotFound if none was, so far. Whoever reads it judges it by a policy of
// their own.
func (v *View) Cosigned() ([]byte, error) {
	size, err := v.cosignedSize()
	if err != nil {
		return nil, err
	}
	if size == 0 || size > v.n {
		return nil, fmt.Errorf("cosigned checkpoint: %w: no quorum of witnesses was reached so far", ErrNotFound)
	}
	return v.Checkpoint(size)
}

func (v *View) cosignedSize() (uint64, error) {
	value, ok, err := v.l.store.get(metaKey(metaCosigned))
	if err != nil || !ok {
		return 0, err
	}
	return parseU64(value)
}

// Newest goes back through the signed checkpoints from the view's size and
// returns the first for which right is true; it looks at no more than limit of
// them. It is ErrNotFound if there is none. An error of right ends the search.
func (v *View) Newest(limit int, right func(signed []byte) (bool, error)) ([]byte, error) {
	below := v.n + 1
	for range limit {
		p, ok, err := v.l.source.last([]byte{famCheckpoint}, checkpointKey(below))
		if err != nil {
			return nil, err
		}
		if !ok {
			break
		}
		if below, err = lastU64(p.Key, []byte{famCheckpoint}); err != nil {
			return nil, err
		}
		switch yes, err := right(p.Value); {
		case err != nil:
			return nil, err
		case yes:
			return p.Value, nil
		}
	}
	return nil, fmt.Errorf("checkpoint: %w", ErrNotFound)
}

// checkCosigned: what the store says of cosigned checkpoints is of one that it
// has.
func checkCosigned(s reads, report *Report) error {
	value, ok, err := s.get(metaKey(metaCosigned))
	if err != nil || !ok {
		return err
	}
	size, err := parseU64(value)
	if err == nil {
		_, ok, err = s.get(checkpointKey(size))
	}
	switch {
	case errors.Is(err, ErrDamaged):
		report.problem("the size of the newest cosigned checkpoint: %v", err)
	case err != nil:
		return err
	case !ok:
		report.problem("the newest cosigned checkpoint is said to be of size %d, and there is none of that size", size)
	}
	return nil
}
