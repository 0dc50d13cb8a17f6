package ledger

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stele-ml/stele/evidence"
)

// Stretch is a row of commits that another copy of a ledger has made, on their
// way into this one: PrepareReplay makes it, Replay takes it in.
type Stretch struct {
	from    uint64
	entries []*evidence.Entry
	cands   []*Candidate
	kept    []keptCheckpoint
}

// keptCheckpoint is the checkpoint at the end of a commit.
type keptCheckpoint struct {
	SizedCheckpoint
	cp     evidence.Checkpoint
	signer evidence.VKey // whose signature on it was checked beforehand, or zero
}

// Size returns the ledger's size after the stretch.
func (s *Stretch) Size() uint64 { return s.from + uint64(len(s.entries)) }

// PrepareReplay takes the leaves of the entries from that index on, and the
// checkpoints at whose sizes their commits end, the last at the end of the
// leaves. It parses them all and checks the signatures, on all cores, as far as
// the keys are known by now; Replay checks the others. It needs no block and may
// run beside the writer. Whatever is wrong with them is an ErrDamaged.
func (l *Ledger) PrepareReplay(from uint64, leaves [][]byte, kept []SizedCheckpoint) (*Stretch, error) {
	s := &Stretch{
		from:    from,
		entries: make([]*evidence.Entry, len(leaves)),
		cands:   make([]*Candidate, len(leaves)),
		kept:    make([]keptCheckpoint, len(kept)),
	}
	end := from
	for _, k := range kept {
		if err := follows(end, k.Size); err != nil {
			return nil, err
		}
		end = k.Size
	}
	if end != s.Size() {
		return nil, damaged("the entries %d to %d come with checkpoints up to size %d", from, s.Size(), end)
	}
	var signer evidence.VKey
	if control := l.state.Load().control; control != nil {
		signer = currentLogKey(control)
	}
	return s, onAllCores(len(leaves)+len(kept), func(i int) error {
		if i < len(leaves) {
			return s.prepareEntry(l, i, leaves[i])
		}
		return s.prepareCheckpoint(i-len(leaves), kept[i-len(leaves)], signer)
	})
}

// follows: a commit may end at size where the one before it ended at from.
func follows(from, size uint64) error {
	switch {
	case size <= from:
		return damaged("a checkpoint of size %d after one of size %d", size, from)
	case size-from > MaxBlock:
		return damaged("the checkpoints of sizes %d and %d are more than %d entries apart: one is missing", from, size, MaxBlock)
	}
	return nil
}

func (s *Stretch) prepareEntry(l *Ledger, i int, leaf []byte) (err error) {
	index := s.from + uint64(i)
	if s.entries[i], err = parseEntry(index, leaf); err != nil {
		return err
	}
	if s.cands[i], err = l.Prepare(s.entries[i].Envelope); err != nil {
		return damaged("entry %d: %w", index, err)
	}
	return nil
}

func (s *Stretch) prepareCheckpoint(i int, kept SizedCheckpoint, signer evidence.VKey) error {
	cp, _, err := evidence.ReadCheckpoint(kept.Signed)
	if err != nil {
		return damaged("the checkpoint of size %d: %w", kept.Size, err)
	}
	s.kept[i] = keptCheckpoint{SizedCheckpoint: kept, cp: cp}
	// If it is another's by then, Replay looks again.
	if signer != (evidence.VKey{}) {
		if _, _, err := evidence.OpenCheckpoint(kept.Signed, evidence.Verifiers(signer)); err == nil {
			s.kept[i].signer = signer
		}
	}
	return nil
}

// onAllCores calls do for 0 to n-1 and returns the error of the lowest that
// failed.
func onAllCores(n int, do func(i int) error) error {
	errs := make([]error, n)
	workers := min(runtime.GOMAXPROCS(0), n)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				errs[i] = do(i)
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// Replay takes a stretch, which begins at the ledger's size, through the rules:
// commit by commit, each of which must come out with the root that its
// checkpoint signs, by the keys that the log had then. What does not follow is an
// ErrDamaged, which says at which entry or checkpoint; the commits before it are
// in the ledger, nothing of its own is. It is the writer's.
func (l *Ledger) Replay(s *Stretch) error {
	if size := l.View().Size(); size != s.from {
		return fmt.Errorf("replay from entry %d: the ledger has %d", s.from, size)
	}
	at := s.from
	for _, kept := range s.kept {
		if err := l.replayCommit(s, at, kept); err != nil {
			return err
		}
		at = kept.Size
	}
	return nil
}

func (l *Ledger) replayCommit(s *Stretch, from uint64, kept keptCheckpoint) error {
	entries, cands := s.entries[from-s.from:kept.Size-s.from], s.cands[from-s.from:kept.Size-s.from]
	b, err := l.Begin(entries[0].Time)
	if err != nil {
		if unusable := l.Writable(); unusable != nil {
			return unusable
		}
		return damaged("entry %d: %w", from, err)
	}
	defer b.Drop() // nothing, once it is committed
	for i, c := range cands {
		if err := b.replay(entries[i], c); err != nil {
			return err
		}
	}
	if _, root := b.Root(); kept.cp.Root != root || kept.cp.Size != kept.Size || kept.cp.Origin != b.Origin() {
		return damaged("the checkpoint kept for size %d signs %s %d %v; the entries give %s %v",
			kept.Size, kept.cp.Origin, kept.cp.Size, kept.cp.Root, b.Origin(), root)
	}
	for _, key := range b.LogKeys() {
		if key == kept.signer {
			continue
		}
		if _, _, err := evidence.OpenCheckpoint(kept.Signed, evidence.Verifiers(key)); err != nil {
			return damaged("the checkpoint of size %d: %w", kept.Size, err)
		}
	}
	return b.Commit(kept.Signed)
}

// replay takes one entry through the rules: it must come out as it is stored.
func (b *Block) replay(e *evidence.Entry, c *Candidate) error {
	switch {
	case e.Time != b.time:
		return damaged("entry %d is of time %d, its commit of %d", e.Index, e.Time, b.time)
	case b.Full():
		return damaged("entry %d is in a commit of more than %d bytes", e.Index, MaxBlockBytes)
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

// Sync makes durable what was committed with Options.NoSync, all of it: after a
// crash without it, the commits that are there are the first of those, whole.
func (l *Ledger) Sync() (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the database gave up: %v", p)
		}
	}()
	if err := l.db.LogData(nil, pebble.Sync); err != nil {
		return err
	}
	if l.opts.Failed != nil {
		return l.opts.Failed()
	}
	return nil
}
