package solo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/statement"
)

// Engine is an open ledger. Its methods may be called concurrently.
type Engine struct {
	opts    Options
	info    Info
	lock    io.Closer
	db      *database
	stateFS vfs.FS
	ledger  *ledger.Ledger
	shelf   *Shelf

	// The committer's: only run uses it once it is started.
	time timekeeper

	guardMu sync.Mutex // guards the guard once run is started
	guard   *guard

	growth      growth
	cosigning   sync.RWMutex // held, shared, while cosignatures are stored
	cosignEnded bool

	keysMu sync.Mutex // guards keys
	keys   map[evidence.VKey]*LogKey
	rotate sync.Mutex // held for the length of a rotation

	queueMu sync.Mutex // guards queue and closing
	queue   []*waiter
	closing bool
	wake    chan struct{} // one buffered: the queue is not empty, or closing
	done    chan struct{} // closed when run has ended

	closeOnce sync.Once
	closeErr  error
}

func newEngine(o Options, info Info) *Engine {
	return &Engine{
		opts: o, info: info, stateFS: o.StateFS,
		shelf: &Shelf{o.FS, o.Dir},
		time:  timekeeper{clock: o.Clock},
		keys:  map[evidence.VKey]*LogKey{},
		wake:  make(chan struct{}, 1),
		done:  make(chan struct{}),
	}
}

// Info returns which ledger this is.
func (e *Engine) Info() Info { return e.info }

// View returns the ledger as of the last acknowledged commit.
func (e *Engine) View() *ledger.View { return e.ledger.View() }

// Shelf returns the ledger's attachments and manifests.
func (e *Engine) Shelf() *Shelf { return e.shelf }

// Guarded reports whether the ledger was compared with a guard: always, but
// for one opened for reading that has none.
func (e *Engine) Guarded() bool { return e.guard != nil }

// Healthy returns nil, or why the ledger can take no further statement until it is
// opened again: a failed write, or a fork.
func (e *Engine) Healthy() error { return e.db.disk.err() }

// Proof is an acknowledgement: the statement is in the log, under a signed
// checkpoint, and both are on the disk.
type Proof struct {
	ledger.Receipt
	Checkpoint []byte // signed, of the view's size
	View       *ledger.View
}

// Inclusion returns the proof that the entry is in the checkpoint's tree.
func (p *Proof) Inclusion() (tlog.RecordProof, error) { return p.View.Inclusion(p.Index) }

// waiter is one Submit.
type waiter struct {
	ctx  context.Context
	cand *ledger.Candidate
	done chan outcome // one buffered
}

type outcome struct {
	proof *Proof
	err   error
}

// Submit puts an envelope into the ledger and returns when it is there for
// good. The error is a *ledger.Refusal if the ledger does not take it, and an
// ErrOutcomeUnknown if a write failed, or if ctx ended, after the envelope was
// handed on. To submit the same envelope again is always safe: if it is in the
// log, its first receipt comes back with Existed set.
func (e *Engine) Submit(ctx context.Context, env *statement.Envelope) (*Proof, error) {
	if e.opts.ReadOnly {
		return nil, ErrReadOnly
	}
	if err := e.db.disk.err(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFailed, err)
	}
	cand, err := e.ledger.Prepare(env)
	if err != nil {
		return nil, err
	}
	return e.submit(ctx, cand)
}

// SubmitVerifiedUnsafe is Submit without checking the signature, for envelopes
// whose signatures the caller checked before: a replay of another copy's
// entries. Whoever calls it vouches for them.
func (e *Engine) SubmitVerifiedUnsafe(ctx context.Context, env *statement.Envelope) (*Proof, error) {
	if e.opts.ReadOnly {
		return nil, ErrReadOnly
	}
	cand, err := e.ledger.PrepareVerifiedUnsafe(env)
	if err != nil {
		return nil, err
	}
	return e.submit(ctx, cand)
}

func (e *Engine) submit(ctx context.Context, cand *ledger.Candidate) (*Proof, error) {
	w := &waiter{ctx: ctx, cand: cand, done: make(chan outcome, 1)}
	if err := e.enqueue(w); err != nil {
		return nil, err
	}
	select {
	case o := <-w.done:
		return o.proof, o.err
	case <-ctx.Done():
		if e.withdraw(w) {
			return nil, ctx.Err()
		}
		return nil, &outcomeUnknown{ctx.Err()}
	case <-e.db.disk.failed:
		// The committer may be stuck in the database, or have just answered.
		select {
		case o := <-w.done:
			return o.proof, o.err
		default:
			return nil, &outcomeUnknown{e.db.disk.err()}
		}
	}
}

func (e *Engine) enqueue(w *waiter) error {
	e.queueMu.Lock()
	defer e.queueMu.Unlock()
	if e.closing {
		return ErrClosed
	}
	e.queue = append(e.queue, w)
	e.signal()
	return nil
}

// signal wakes the committer. queueMu is held.
func (e *Engine) signal() {
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// withdraw takes a waiter back out of the queue; false if it was taken.
func (e *Engine) withdraw(w *waiter) bool {
	e.queueMu.Lock()
	defer e.queueMu.Unlock()
	for i, other := range e.queue {
		if other == w {
			e.queue = append(e.queue[:i], e.queue[i+1:]...)
			return true
		}
	}
	return false
}

// Close commits what waits, then closes everything and gives the lock back.
func (e *Engine) Close() error {
	e.closeOnce.Do(func() {
		if !e.opts.ReadOnly {
			e.queueMu.Lock()
			e.closing = true
			e.signal()
			e.queueMu.Unlock()
			select {
			case <-e.done:
			case <-e.db.disk.failed: // run may be stuck in the database
			}
		}
		e.endCosigning()
		e.closeErr = errors.Join(e.release(), e.lock.Close())
	})
	return e.closeErr
}

// release closes what openLocked opened.
func (e *Engine) release() error {
	var err error
	if e.ledger != nil {
		e.ledger.Close()
	}
	if e.guard != nil {
		err = e.guard.close()
	}
	if e.db != nil {
		err = errors.Join(err, e.db.Close())
	}
	return err
}
