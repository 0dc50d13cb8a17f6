package main

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/terminal"
)

// maxCosignedSearch is how many checkpoints are looked at, from the newest
// backwards, for one that reached the person's quorum: where it is another than
// that of whoever runs the ledger.
const maxCosignedSearch = 1 << 16

// readNewest are the verbs that write what has happened. They read the newest that
// the log has signed, so that a run finds the stamp of a moment ago, and a stamp
// that is repeated finds itself. All others, and what somebody decides on
// above all, are as of what the quorum has cosigned: an operator could show one
// person alone what is not.
var readNewest = map[string]bool{
	"stamp": true, "audit": true, "run": true, "record run": true, "record evaluation": true,
	"import oms": true, "import intoto": true,
}

// newestReading is the reading of the ledger's newest checkpoint, of which this
// one may be an earlier state.
func (r *reading) newestReading() *reading {
	if r.newest != nil {
		return r.newest
	}
	return r
}

// cosigned is the reading as of the newest checkpoint that reached the quorum of
// this person's policy: what an operator alone cannot have made up, or shown to
// them alone. Without such a policy, or such a checkpoint, it is r itself:
// whoever asks for trust says so (see trusting), and a verdict fails by name.
func (a *app) cosigned(r *reading) (*reading, error) {
	if a.newest {
		return r, nil
	}
	policy, _, err := a.policyFor(r.Origin())
	if err != nil || policy == nil || policy.Quorum == evidence.QuorumNone {
		return r, err
	}
	signed, err := cosignedBy(r, policy)
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return nil, err
	}
	if err := a.goesOn(r, policy, signed); err != nil {
		return nil, err
	}
	if signed == nil {
		return r, nil
	}
	cp, _, err := evidence.ReadCheckpoint(signed)
	if err != nil || cp.Size == r.Size() {
		return r, err
	}
	v, err := r.At(cp.Size)
	if err != nil {
		return nil, err
	}
	then, err := newReading(v)
	if err != nil {
		return nil, err
	}
	then.newest = r
	if n := r.Size() - cp.Size; !a.toldCosigned {
		a.toldCosigned = true
		a.term.Notef("this is the log as of its first %s, which the quorum of witnesses cosigned; not cosigned so far: %s",
			terminal.Plural(cp.Size, "entry", "entries"), terminal.Plural(n, "entry", "entries"))
	}
	return then, nil
}

// cosignedBy finds the newest checkpoint that reached a policy's quorum;
// ledger.ErrNotFound if there is none.
func cosignedBy(r *reading, policy *evidence.Policy) ([]byte, error) {
	reached := func(signed []byte) (bool, error) {
		o, err := r.Control.Judge(policy, signed)
		if errors.Is(err, evidence.ErrUntrusted) { // of a log key that the policy does not lead to
			return false, nil
		}
		return err == nil && o.Quorum, err
	}
	for _, likely := range []func() ([]byte, error){r.LatestCheckpoint, r.Cosigned} {
		signed, err := likely()
		if errors.Is(err, ledger.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if yes, err := reached(signed); yes || err != nil {
			return signed, err
		}
	}
	return r.Newest(maxCosignedSearch, reached)
}

// trustingCosigned makes a reading one as of a checkpoint that reached the policy's
// quorum.
func (a *app) trustingCosigned(r *reading, policy *evidence.Policy) error {
	then, err := a.cosigned(r)
	if err != nil {
		return err
	}
	signed, err := then.LatestCheckpoint()
	if err != nil {
		return err
	}
	o, err := r.Control.Judge(policy, signed)
	if err != nil {
		return err
	}
	if !o.Quorum {
		return failf(exitUntrusted, "no checkpoint of the log %s has reached the quorum %q of its witnesses so far: %w", r.Origin(), policy.Quorum, evidence.ErrUntrusted).
			withHint("`stele cosign` asks the witnesses now, on the machine that writes the ledger")
	}
	*r = *then
	return nil
}

// goesOn checks that what is cosigned now, if anything is, is of one history with
// the newest checkpoint, and not behind what this person read cosigned before; then
// it is remembered. Whoever keeps a ledger could otherwise take cosignatures away
// and with them hide what came last.
func (a *app) goesOn(r *reading, policy *evidence.Policy, signed []byte) error {
	var now evidence.Checkpoint
	if signed != nil {
		var err error
		if now, _, err = evidence.ReadCheckpoint(signed); err != nil {
			return err
		}
		if err := a.ofOneHistory(r.newestReading(), now, signed); err != nil {
			return err
		}
	}
	before, err := a.seenBefore(r.ID())
	if err != nil {
		return err
	}
	past := before.cosigned
	if len(past) > 0 {
		old, err := r.Control.Judge(policy, past)
		switch {
		case errors.Is(err, evidence.ErrUntrusted): // by another trust than today's
		case err != nil:
			return fmt.Errorf("the remembered checkpoint %s: %w", a.cosignedPath(r.ID()), err)
		case old.Quorum && old.Size > now.Size:
			if signed == nil {
				if signed, err = r.newestReading().LatestCheckpoint(); err != nil {
					return err
				}
			}
			a.keepConflict(r.ID(), past, signed)
			return &evidence.HistoryError{Kind: evidence.ErrRollback, Old: past, New: signed,
				Detail: fmt.Sprintf("the log %s went back: %d entries were cosigned when you last looked, and %d are now", old.Origin, old.Size, now.Size)}
		}
	}
	if signed == nil || bytes.Equal(past, signed) {
		return nil
	}
	return a.sawCosigned(r.ID(), now.Size, signed)
}

// ofOneHistory checks that the newest tree begins with that of a checkpoint.
func (a *app) ofOneHistory(newest *reading, older evidence.Checkpoint, signed []byte) error {
	now, err := newest.LatestCheckpoint()
	if err != nil {
		return err
	}
	cp, _, err := evidence.ReadCheckpoint(now)
	if err != nil {
		return err
	}
	proof, err := newest.Consistency(older.Size)
	if err != nil {
		return err
	}
	if err := evidence.CheckConsistency(older, cp, proof); err != nil {
		a.keepConflict(newest.ID(), signed, now)
		return &evidence.HistoryError{Kind: evidence.ErrFork, Old: signed, New: now,
			Detail: fmt.Sprintf("the log %s shows two histories: the %d entries that were cosigned are not the beginning of its %d", cp.Origin, older.Size, cp.Size)}
	}
	return nil
}
