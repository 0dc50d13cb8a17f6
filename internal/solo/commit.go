package solo

import (
	"context"
	"fmt"

	"golang.org/x/mod/sumdb/note"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/statement"
)

// MaxGroup is the most waiting writers that one commit takes.
const MaxGroup = 1024

// run is the committer: the one goroutine that writes.
func (e *Engine) run() {
	defer close(e.done)
	for {
		group, closing := e.take()
		if len(group) == 0 {
			if closing {
				return
			}
			<-e.wake
			continue
		}
		e.commit(group)
	}
}

// take removes the longest waiting from the queue.
func (e *Engine) take() (group []*waiter, closing bool) {
	e.queueMu.Lock()
	defer e.queueMu.Unlock()
	n := min(len(e.queue), MaxGroup)
	if n == 0 {
		return nil, e.closing
	}
	group = e.queue[:n:n]
	if e.queue = e.queue[n:]; len(e.queue) == 0 {
		e.queue = nil
	}
	return group, e.closing
}

// putBack returns those to the head of the queue for whom there was no room.
func (e *Engine) putBack(group []*waiter) {
	e.queueMu.Lock()
	defer e.queueMu.Unlock()
	e.queue = append(group[:len(group):len(group)], e.queue...)
	e.signal()
}

func (w *waiter) fail(err error) { w.done <- outcome{err: err} }

// admitted is a waiter whose statement is in the block, or in the log already.
type admitted struct {
	w       *waiter
	receipt ledger.Receipt
}

// commit takes a group through one block. Whoever is refused is told at once
// and costs nobody else anything.
func (e *Engine) commit(group []*waiter) {
	if err := e.db.disk.err(); err != nil {
		for _, w := range group {
			w.fail(fmt.Errorf("%w: %w", ErrFailed, err))
		}
		return
	}
	b, err := e.begin()
	if err != nil {
		for _, w := range group {
			w.fail(err)
		}
		return
	}
	in := e.admit(b, group)
	if b.Len() == 0 {
		b.Drop()
		e.acknowledge(in, e.ledger.View())
		return
	}
	view, err := e.write(b)
	if err != nil {
		for _, a := range in {
			a.w.fail(&outcomeUnknown{err})
		}
		return
	}
	e.acknowledge(in, view)
}

func (e *Engine) begin() (*ledger.Block, error) {
	now, err := e.time.next(e.ledger.View().Time())
	if err != nil {
		return nil, err
	}
	return e.ledger.Begin(now)
}

// admit admits the group one after another and returns those that are in.
func (e *Engine) admit(b *ledger.Block, group []*waiter) []admitted {
	in := make([]admitted, 0, len(group))
	for i, w := range group {
		if err := w.ctx.Err(); err != nil {
			w.fail(err)
			continue
		}
		// After a rotation its two keys sign; the rest waits for the next.
		if b.Full() || len(b.LogKeys()) > 1 {
			e.putBack(group[i:])
			break
		}
		if err := e.holdsNextKey(w.cand); err != nil {
			w.fail(err)
			continue
		}
		r, err := b.Admit(w.cand)
		if err != nil {
			w.fail(err)
			continue
		}
		in = append(in, admitted{w, r})
	}
	return in
}

// holdsNextKey: a rotation to a key that is not here would be the ledger's
// last commit.
func (e *Engine) holdsNextKey(c *ledger.Candidate) error {
	st := c.Statement()
	if st.Kind != statement.KindLogKey {
		return nil
	}
	next, err := evidence.ParseVKey(st.LogKey.Next)
	if err == nil && e.logKey(next) != nil {
		return nil
	}
	if v := e.ledger.View(); err == nil {
		if control, err := v.Control(); err == nil {
			for _, k := range control.LogKeys() {
				if k.Key == next {
					return nil // a retry; the ledger decides
				}
			}
		}
	}
	return &ledger.Refusal{
		Rule: ledger.RuleLogKey, Class: ledger.ClassRefused,
		Message: fmt.Sprintf("the private key of %.120s is not held here", st.LogKey.Next),
		Hint:    "rotate on the machine that writes the ledger",
	}
}

func (e *Engine) logKey(k evidence.VKey) *LogKey {
	e.keysMu.Lock()
	defer e.keysMu.Unlock()
	return e.keys[k]
}

// write makes a block durable: database, guard, then visible.
func (e *Engine) write(b *ledger.Block) (*ledger.View, error) {
	e.keysMu.Lock()
	signed, err := signBlock(b, e.keys)
	e.keysMu.Unlock()
	if err == nil {
		err = b.Write(signed)
	}
	if err == nil {
		err = e.setGuard(signed)
	}
	var view *ledger.View
	if err == nil {
		view, err = b.Publish()
	}
	if err != nil {
		e.db.disk.fail(err)
		return nil, err
	}
	e.growth.tell()
	return view, nil
}

// setGuard moves the guard on, unless the ledger was contradicted meanwhile:
// then the guard holds what contradicts it.
func (e *Engine) setGuard(signed []byte) error {
	e.guardMu.Lock()
	defer e.guardMu.Unlock()
	if err := e.db.disk.err(); err != nil {
		return err
	}
	return e.guard.set(signed)
}

// signBlock signs the checkpoint over a block with the keys that must.
func signBlock(b *ledger.Block, keys map[evidence.VKey]*LogKey) ([]byte, error) {
	var signers []note.Signer
	for _, vkey := range b.LogKeys() {
		k := keys[vkey]
		if k == nil {
			return nil, fmt.Errorf("%w: %s", ErrNoLogKey, vkey.Short())
		}
		signers = append(signers, k.signer)
	}
	size, root := b.Root()
	return evidence.SignCheckpoint(evidence.Checkpoint{Origin: b.Origin(), Size: size, Root: root}, signers...)
}

// acknowledge tells those that are in.
func (e *Engine) acknowledge(in []admitted, view *ledger.View) {
	signed, err := view.LatestCheckpoint()
	for _, a := range in {
		if err != nil {
			a.w.fail(err)
			continue
		}
		a.w.done <- outcome{proof: &Proof{Receipt: a.receipt, Checkpoint: signed, View: view}}
	}
}

// RotateLogKey gives the log a new key: it is generated and stored, then an
// administrator's statement names it, signed by both keys. From the next
// checkpoint on it signs alone. A rotation that was cut short at any point is
// finished when the ledger is opened, or taken up by the next RotateLogKey.
func (e *Engine) RotateLogKey(ctx context.Context, admin statement.Signer) (*Proof, error) {
	if e.opts.ReadOnly {
		return nil, ErrReadOnly
	}
	e.rotate.Lock()
	defer e.rotate.Unlock()
	current, next, err := e.nextLogKey()
	if err != nil {
		return nil, fmt.Errorf("rotate log key: %w", err)
	}
	env, err := e.signRotation(admin, current, next)
	if err != nil {
		return nil, fmt.Errorf("rotate log key: %w", err)
	}
	proof, err := e.Submit(ctx, env)
	if err != nil {
		return nil, err
	}
	e.keysMu.Lock()
	defer e.keysMu.Unlock()
	if err := e.promote(next); err != nil {
		// The ledger has rotated; opening it promotes the key.
		e.db.disk.fail(err)
		return nil, &outcomeUnknown{err}
	}
	return proof, nil
}
