package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stele-ml/stele/client"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/statement"
)

// submitSigned puts a signed envelope on the ledger. Another process that has
// the ledger open is waited for: hours of work may hang on it.
func (a *app) submitSigned(ctx context.Context, dir string, env *statement.Envelope) (*solo.Proof, error) {
	for again := 0; ; again++ {
		proof, err := a.submitOnce(ctx, dir, env)
		// A server of this machine that ended meanwhile leaves the directory to us.
		gone := errors.Is(err, client.ErrUnreachable) && !isAddress(dir) && runningServer(dir) == ""
		if !gone || again == maxGone {
			return proof, err
		}
	}
}

// maxGone is how often a server may end while it is given a run.
const maxGone = 3

func (a *app) submitOnce(ctx context.Context, dir string, env *statement.Envelope) (*solo.Proof, error) {
	e, err := a.engineAt(ctx, dir, false)
	for waited := time.Duration(0); errors.Is(err, solo.ErrLocked) && waited < maxBusy; {
		if waited == 0 {
			a.term.Notef("another process has the ledger open; waiting for it")
		}
		began := time.Now()
		e, err = a.engineAt(ctx, dir, false) // which waits some seconds
		waited += max(time.Since(began), time.Second)
	}
	if err != nil {
		return nil, err
	}
	defer a.close(e)
	r, err := newReading(e.View())
	if err != nil {
		return nil, err
	}
	policy, err := a.trustingNewest(r)
	if err != nil {
		return nil, err
	}
	proof, err := e.Submit(ctx, env)
	if err == nil {
		a.saw(r.ID(), proof.Checkpoint)
		a.witnessedHere(ctx, e, policy, proof)
	}
	return proof, err
}

// maxBusy is how long a ledger that another process has open is waited for.
const maxBusy = 2 * time.Minute

// notSubmitted says what can be done about a signed run that the ledger does not
// have, or may not have.
func (w *running) notSubmitted(env *statement.Envelope, err error) error {
	var refusal *ledger.Refusal
	if errors.As(err, &refusal) && refusal.Rule == ledger.RuleContract {
		// What rules refuse now they may admit later: the run stays signed and kept.
		again := "`stele record run --resume " + w.id.String() + "` asks again"
		f := failf(exitRefused, "the run %s is refused: %w", w.id, err)
		return f.withHint("nothing is lost: the outputs are where they are, and the signed run is kept. Once the rule holds, or its contract has changed, " + again)
	}
	if errors.As(err, &refusal) {
		w.notes.Refused()
		w.notes.Kept = w.wrapped() // who told of it can tell again
		return fmt.Errorf("the run %s is refused: %w", w.id, err)
	}
	if w.app.spool && errors.Is(err, client.ErrUnreachable) {
		kept, err := w.app.heldBack(w.ledger, env, err)
		w.notes.Done = kept // push goes on with it, and not --resume
		return err
	}
	f := failf(statusOf(err), "the run %s is signed, kept in %s, and not acknowledged: %w", w.id, w.notes.Folder, err).withPath(w.notes.Folder)
	return f.withHint("nothing is lost: `stele record run --resume " + w.id.String() + "` submits it again, which is safe")
}
