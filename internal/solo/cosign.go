package solo

import (
	"errors"
	"fmt"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
)

// growth tells those who wait that the ledger has grown.
type growth struct {
	mu      sync.Mutex
	waiting map[chan struct{}]bool
}

// Grown returns a channel that receives when the ledger has grown since the last
// time it was received from, and a function that ends that.
func (e *Engine) Grown() (grown <-chan struct{}, stop func()) {
	c := make(chan struct{}, 1)
	e.growth.mu.Lock()
	defer e.growth.mu.Unlock()
	if e.growth.waiting == nil {
		e.growth.waiting = map[chan struct{}]bool{}
	}
	e.growth.waiting[c] = true
	return c, func() {
		e.growth.mu.Lock()
		defer e.growth.mu.Unlock()
		delete(e.growth.waiting, c)
	}
}

func (g *growth) tell() {
	g.mu.Lock()
	defer g.mu.Unlock()
	for c := range g.waiting {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// Failed says why nothing is written any more, if that is so: a failed write, or a
// checkpoint that contradicts the log. Only opening the ledger again ends it.
func (e *Engine) Failed() error { return e.db.disk.err() }

// Checkpoint returns the newest signed checkpoint.
func (e *Engine) Checkpoint() ([]byte, error) { return e.View().LatestCheckpoint() }

// Consistency returns the proof that the tree of size to begins with that of
// size from; the ledger has both.
func (e *Engine) Consistency(from, to uint64) (tlog.TreeProof, error) {
	v, err := e.View().AsOf(to)
	if err != nil {
		return nil, err
	}
	return v.Consistency(from)
}

// Cosigned returns the newest checkpoint that was published because a quorum of
// witnesses had cosigned it; ledger.ErrNotFound if none was so far.
func (e *Engine) Cosigned() ([]byte, error) { return e.View().Cosigned() }

// Judge applies a policy to a signed checkpoint of this ledger: see
// evidence.Control.Judge.
func (e *Engine) Judge(p *evidence.Policy, signed []byte) (*evidence.Opened, error) {
	control, err := e.View().Control()
	if err != nil {
		return nil, err
	}
	return control.Judge(p, signed)
}

// Cosign keeps cosignatures of a checkpoint of this ledger: see
// ledger.Ledger.Cosign. Commits do not wait for it.
func (e *Engine) Cosign(signed []byte, reached bool, witnesses ...evidence.VKey) ([]byte, error) {
	if e.opts.ReadOnly {
		return nil, ErrReadOnly
	}
	e.cosigning.RLock() // Close waits for it
	defer e.cosigning.RUnlock()
	if e.cosignEnded {
		return nil, ErrClosed
	}
	if err := e.db.disk.err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFailed, err)
	}
	kept, err := e.ledger.Cosign(signed, reached, witnesses...)
	for _, class := range []error{evidence.ErrFormat, evidence.ErrTampered, evidence.ErrFork, ledger.ErrNotFound} {
		if err == nil || errors.Is(err, class) {
			return kept, err
		}
	}
	e.db.disk.fail(err)
	return nil, err
}

// endCosigning refuses later cosignatures, after those under way.
func (e *Engine) endCosigning() {
	e.cosigning.Lock()
	defer e.cosigning.Unlock()
	e.cosignEnded = true
}

// Contradict shows the engine a signed checkpoint of its own log that somebody
// else has. If the log's key of that size signed it and the ledger does not
// contain it, the log has two histories, or this is not the newest copy of it:
// the engine takes no further statement, the checkpoint becomes the guard, so
// that the ledger opens for writing no more, and the error is an
// evidence.ErrFork and a *GuardError. A
// checkpoint that the ledger contains is no error; one that the log's key did
// not sign is an evidence.ErrUntrusted and stops nothing: anybody can make one.
func (e *Engine) Contradict(signed []byte) error {
	v := e.View()
	control, err := v.Control()
	if err != nil {
		return err
	}
	cp, _, err := evidence.ReadCheckpoint(signed)
	if err != nil {
		return err
	}
	// Of the keys that the log had, the one of that size: a thief of an old one
	// stops nobody.
	key, ok := control.LogKey(cp.Size)
	if !ok || cp.Origin != v.Origin() {
		return fmt.Errorf("checkpoint of %s: %w: not of the log %s", cp.Origin, evidence.ErrUntrusted, v.Origin())
	}
	if _, _, err := evidence.OpenCheckpoint(signed, evidence.Verifiers(key)); err != nil {
		return err
	}
	theirs, err := evidence.OnlySigned(signed, key)
	if err != nil {
		return err
	}
	ours, err := logSigned(v)
	if err != nil {
		return err
	}
	conflict := e.compareGuard(v, theirs, ours)
	var g *GuardError
	if !errors.As(conflict, &g) {
		return conflict
	}
	conflict = fmt.Errorf("%w: %w", evidence.ErrFork, conflict)
	if e.opts.ReadOnly {
		return conflict
	}
	e.db.disk.fail(conflict)
	// What the committer writes from here on fails before the guard.
	e.guardMu.Lock()
	defer e.guardMu.Unlock()
	if err := e.guard.set(theirs); err != nil {
		return errors.Join(conflict, err)
	}
	return conflict
}

// logSigned is the view's checkpoint with the signatures of the log alone: what
// the guard keeps, whatever witnesses have signed since.
func logSigned(v *ledger.View) ([]byte, error) {
	signed, err := v.LatestCheckpoint()
	if err != nil {
		return nil, err
	}
	control, err := v.Control()
	if errors.Is(err, ledger.ErrRules) { // of a newer program: it is only read here
		return signed, nil
	}
	if err != nil {
		return nil, err
	}
	var keys []evidence.VKey
	for _, k := range control.LogKeys() {
		keys = append(keys, k.Key)
	}
	return evidence.OnlySigned(signed, keys...)
}
