package replica

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
)

// stretchEntries is how many entries are replayed, and made durable, at once; or
// one commit, where that has more. At most as many are held in memory four times:
// asked for, put together, prepared, replayed.
const stretchEntries = ledger.MaxBlock

// takeIn reads the entries up to size and replays them. Bundles are asked for in
// parallel, a bounded number ahead of what is being parsed, which is one stretch
// ahead of what is being replayed.
func (r *Replica) takeIn(ctx context.Context, size uint64) error {
	ctx, cancel := context.WithCancel(ctx)
	var all sync.WaitGroup
	defer all.Wait()
	defer cancel()

	var from uint64
	if v := r.mirror.View(); v != nil {
		from = v.Size()
	}
	bundles := make(chan chan fetched, r.opts.Parallel)
	all.Go(func() { r.fetch(ctx, &all, from, size, bundles) })
	prepared := make(chan ready)
	all.Go(func() {
		defer close(prepared)
		if err := r.prepare(ctx, from, size, bundles, prepared); err != nil {
			select {
			case prepared <- ready{err: err}:
			case <-ctx.Done():
			}
		}
	})
	for p := range prepared {
		if p.err != nil {
			return p.err
		}
		if err := r.mirror.TakeIn(p.stretch); err != nil {
			return err
		}
		v := r.mirror.View()
		// What goes on from what is shown is by the keys of the same log.
		if r.View() != nil {
			r.show(v)
		}
		r.opts.Progress(v.Size(), size)
	}
	return ctx.Err()
}

// fetched is a bundle's entries, or why there are none.
type fetched struct {
	leaves [][]byte
	err    error
}

// ready is a stretch to take in, or why there is none.
type ready struct {
	stretch *ledger.Stretch
	err     error
}

// fetch asks for the bundles that hold entries from to size, and hands on their
// answers in order, before they are there.
func (r *Replica) fetch(ctx context.Context, all *sync.WaitGroup, from, size uint64, bundles chan<- chan fetched) {
	defer close(bundles)
	for n := from / bundleWidth; n*bundleWidth < size; n++ {
		answer := make(chan fetched, 1)
		select {
		case bundles <- answer:
		case <-ctx.Done():
			return
		}
		all.Go(func() {
			leaves, err := r.from.bundle(ctx, n, int(min(size-n*bundleWidth, bundleWidth)))
			answer <- fetched{leaves, err}
		})
	}
}

// prepare puts bundles and the checkpoints at the ends of commits together to
// stretches.
func (r *Replica) prepare(ctx context.Context, from, size uint64, bundles <-chan chan fetched, prepared chan<- ready) error {
	history := &history{from: r.from, after: from, to: size}
	next := from - from%bundleWidth // the entry that the next bundle begins with
	var leaves [][]byte             // from the entry from on
	for from < size {
		kept, err := history.stretch(ctx, from)
		if err != nil {
			return err
		}
		if err := r.checkCosigned(kept); err != nil {
			return err
		}
		end := kept[len(kept)-1].Size
		for next < end {
			var b fetched
			select {
			case answer, ok := <-bundles:
				if !ok {
					return ctx.Err()
				}
				select {
				case b = <-answer:
				case <-ctx.Done():
					return ctx.Err()
				}
			case <-ctx.Done():
				return ctx.Err()
			}
			if b.err != nil {
				return b.err
			}
			skip := uint64(0) // what is here already, of the first bundle
			if next < from {
				skip = min(from-next, uint64(len(b.leaves)))
			}
			next += uint64(len(b.leaves))
			leaves = append(leaves, b.leaves[skip:]...)
		}
		n := end - from
		stretch, err := r.mirror.Prepare(from, leaves[:n:n], kept)
		if err != nil {
			return err
		}
		select {
		case prepared <- ready{stretch: stretch}:
		case <-ctx.Done():
			return ctx.Err()
		}
		leaves, from = append([][]byte(nil), leaves[n:]...), end
	}
	return nil
}

// blame says what an error of takeIn means: whether what is served is another
// history, or no history of anything that was signed.
func (r *Replica) blame(ctx context.Context, err error, target evidence.Checkpoint, signed []byte) error {
	if !errors.Is(err, ledger.ErrDamaged) && !errors.Is(err, evidence.ErrTampered) {
		return err
	}
	err = fmt.Errorf("%w: what %s serves does not follow: %w", evidence.ErrTampered, r.Primary(), err)
	have := r.mirror.View()
	if have == nil {
		return err
	}
	// Only what the log signed convicts it.
	if _, jerr := judge(have, r.policy, signed); jerr != nil {
		return err
	}
	ours, oerr := have.LatestCheckpoint()
	if oerr != nil {
		return errors.Join(err, oerr)
	}
	old, _, oerr := evidence.ReadCheckpoint(ours)
	if oerr != nil {
		return errors.Join(err, oerr)
	}
	t := &tiles{ctx: ctx, p: r.from}
	proof, perr := evidence.ProveConsistency(old.Size, target.Size, tlog.TileHashReader(tlog.Tree{N: int64(target.Size), Hash: target.Root}, t))
	switch {
	case t.err != nil:
		return fmt.Errorf("%w (its tiles cannot be read: %w)", err, t.err)
	case perr != nil:
		return fmt.Errorf("%w (nor do its tiles: %w)", err, perr)
	case evidence.CheckConsistency(old, target, proof) == nil:
		return err
	}
	// The tiles lead to the root that it signed, and not over ours.
	return &evidence.HistoryError{Kind: evidence.ErrFork, Old: ours, New: signed,
		Detail: fmt.Sprintf("the log %s shows two histories: its checkpoint of %d entries does not go on from the %d of this mirror", target.Origin, target.Size, old.Size)}
}

// checkCosigned: no cosignature by a witness that the policy names is a false one.
// Those by others are kept as they are, for who knows them.
func (r *Replica) checkCosigned(kept []ledger.SizedCheckpoint) error {
	if len(r.policy.Witnesses) == 0 {
		return nil
	}
	var witnesses []evidence.VKey
	for _, w := range r.policy.Witnesses {
		witnesses = append(witnesses, w.Key)
	}
	known := evidence.Verifiers(witnesses...)
	for _, k := range kept {
		_, _, err := evidence.OpenCheckpoint(k.Signed, known)
		if err != nil && !errors.Is(err, evidence.ErrUntrusted) {
			return fmt.Errorf("%w: the checkpoint of size %d: %w", evidence.ErrTampered, k.Size, err)
		}
	}
	return nil
}
