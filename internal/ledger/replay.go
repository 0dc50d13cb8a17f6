package ledger

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stele-ml/stele/evidence"
)

// replay takes the entries of a store through the state machine again, block
// by block as the kept checkpoints say, into another ledger.
type replay struct {
	src  *Ledger // only its entries and checkpoints are read
	size uint64  // entries that the last checkpoint covers
	dst  *Ledger

	checkpoints uint64
	progress    func(done, total uint64)
}

// newReplay prepares a replay of db's entries into dst.
func newReplay(db *pebble.DB, dst *Ledger, progress func(done, total uint64)) (*replay, error) {
	src := &Ledger{db: db}
	src.over(db)
	format, ok, err := src.store.get(metaKey(metaFormat))
	if err != nil {
		return nil, err
	}
	if !ok || string(format) != storeFormat {
		return nil, damaged("the store is of format %.40q; this program knows %q", format, storeFormat)
	}
	last, ok, err := src.store.last([]byte{famCheckpoint}, []byte{famCheckpoint + 1})
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, damaged("no checkpoint")
	}
	size, err := lastU64(last.Key, []byte{famCheckpoint})
	if err != nil {
		return nil, err
	}
	if progress == nil {
		progress = func(uint64, uint64) {}
	}
	return &replay{src: src, size: size, dst: dst, progress: progress}, nil
}

// run replays everything. An error says at which entry or checkpoint the store
// is not what it says; nothing after it was looked at.
func (r *replay) run(ctx context.Context) error {
	v := &View{l: r.src, n: r.size}
	for cp, err := range v.Checkpoints(0) {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := r.block(v, cp); err != nil {
			return err
		}
		r.checkpoints++
		r.progress(cp.Size, r.size)
	}
	stray, ok, err := r.src.store.last(entryKey(r.size), []byte{famEntry + 1})
	if err != nil {
		return err
	}
	if ok {
		return damaged("the key %x is past the last checkpoint, of size %d", stray.Key, r.size)
	}
	return nil
}

// block replays the entries that one checkpoint added.
func (r *replay) block(v *View, kept SizedCheckpoint) error {
	from := r.dst.View().Size()
	if kept.Size <= from {
		return damaged("a checkpoint of size %d after one of size %d", kept.Size, from)
	}
	if kept.Size-from > MaxBlock {
		return damaged("the checkpoints of sizes %d and %d are more than %d entries apart: one is missing", from, kept.Size, MaxBlock)
	}
	var leaves [][]byte
	for leaf, err := range v.Leaves(from, kept.Size) {
		if err != nil {
			return err
		}
		leaves = append(leaves, leaf)
	}
	cands, entries, err := r.prepare(from, leaves)
	if err != nil {
		return err
	}
	b, err := r.dst.Begin(entries[0].Time)
	if err != nil {
		return damaged("entry %d: %w", from, err)
	}
	for i, c := range cands {
		if err := r.admit(b, entries[i], c); err != nil {
			return err
		}
	}
	cp, _, err := evidence.ReadCheckpoint(kept.Signed)
	if err != nil {
		return damaged("the checkpoint of size %d: %w", kept.Size, err)
	}
	if _, root := b.Root(); cp.Root != root || cp.Size != kept.Size || cp.Origin != b.Origin() {
		return damaged("the checkpoint kept for size %d signs %s %d %v; the entries give %s %v",
			kept.Size, cp.Origin, cp.Size, cp.Root, b.Origin(), root)
	}
	for _, key := range b.LogKeys() {
		if _, _, err := evidence.OpenCheckpoint(kept.Signed, evidence.Verifiers(key)); err != nil {
			return damaged("the checkpoint of size %d: %w", kept.Size, err)
		}
	}
	return b.Commit(kept.Signed)
}

// prepare parses leaves and checks their signatures, on all cores.
func (r *replay) prepare(from uint64, leaves [][]byte) ([]*Candidate, []*evidence.Entry, error) {
	cands := make([]*Candidate, len(leaves))
	entries := make([]*evidence.Entry, len(leaves))
	errs := make([]error, len(leaves))
	one := func(i int) {
		if entries[i], errs[i] = parseEntry(from+uint64(i), leaves[i]); errs[i] != nil {
			return
		}
		var err error
		if cands[i], err = r.dst.Prepare(entries[i].Envelope); err != nil {
			errs[i] = damaged("entry %d: %w", from+uint64(i), err)
		}
	}
	workers := min(runtime.GOMAXPROCS(0), len(leaves))
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < len(leaves); i += workers {
				one(i)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, nil, err
		}
	}
	return cands, entries, nil
}

// admit takes one entry through the rules: it must come out as it is stored.
func (r *replay) admit(b *Block, e *evidence.Entry, c *Candidate) error {
	if e.Time != b.time {
		return damaged("entry %d is of time %d, its commit of %d", e.Index, e.Time, b.time)
	}
	receipt, err := b.Admit(c)
	var refusal *Refusal
	switch {
	case errors.As(err, &refusal):
		return damaged("entry %d breaks the rule %s: %w", e.Index, refusal.Rule, err)
	case err != nil:
		return err
	case receipt.Existed:
		return damaged("entry %d is entry %d again", e.Index, receipt.Index)
	}
	again := b.entries[len(b.entries)-1].entry
	if again.Index != e.Index || again.ControlCount != e.ControlCount || again.ControlRoot != e.ControlRoot {
		return damaged("entry %d says that %d control entries with root %v are before it; there are %d with %v",
			e.Index, e.ControlCount, e.ControlRoot, again.ControlCount, again.ControlRoot)
	}
	return nil
}

// replica returns an empty ledger over db that reads entries where they are.
func replica(db *pebble.DB, source reads, opts Options) *Ledger {
	l := &Ledger{db: db, opts: opts, indexed: true}
	l.over(db)
	l.source = source
	l.state.Store(&state{root: evidence.EmptyRoot, control: evidence.NewControl()})
	return l
}

// Rebuild writes everything again that follows from the entries, in a database
// that nobody else uses. It fails, with the index marked as unfinished, if the
// entries and checkpoints are not what they say. A rebuild that was cut short
// is begun again by the next.
func Rebuild(ctx context.Context, db *pebble.DB, progress func(done, total uint64)) error {
	dst := replica(db, reads{}, Options{NoSync: true, inPlace: true, derivedOnly: true})
	r, err := newReplay(db, dst, progress)
	if err != nil {
		return fmt.Errorf("rebuild: %w", err)
	}
	dst.source = r.src.store
	if err := db.Set(metaKey(metaIndex), []byte(indexBuilding), pebble.Sync); err != nil {
		return fmt.Errorf("rebuild: %w", err)
	}
	for i := range len(derived) {
		if err := db.DeleteRange([]byte{derived[i]}, []byte{derived[i] + 1}, pebble.NoSync); err != nil {
			return fmt.Errorf("rebuild: %w", err)
		}
	}
	if err := r.run(ctx); err != nil {
		return fmt.Errorf("rebuild: %w", err)
	}
	if err := db.Set(metaKey(metaIndex), []byte(indexVersion), pebble.Sync); err != nil {
		return fmt.Errorf("rebuild: %w", err)
	}
	return nil
}
