package ledger

import (
	"context"
	"fmt"

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
	if err := follows(from, kept.Size); err != nil {
		return err
	}
	var leaves [][]byte
	for leaf, err := range v.Leaves(from, kept.Size) {
		if err != nil {
			return err
		}
		leaves = append(leaves, leaf)
	}
	s, err := r.dst.PrepareReplay(from, leaves, []SizedCheckpoint{kept})
	if err != nil {
		return err
	}
	return r.dst.Replay(s)
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
