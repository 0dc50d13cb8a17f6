package main

import (
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/memory"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

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

// trusting checks the ledger's newest checkpoint against the pinned log key and
// what this person saw of the log before, and remembers it. Where the policy asks
// for a quorum of witnesses, what is read must be as of a checkpoint that reached
// it: see cosigned, which makes such a reading.
func (a *app) trusting(r *reading) error {
	policy, err := a.trustingNewest(r)
	if err != nil || policy.Quorum == evidence.QuorumNone || a.newest {
		return err
	}
	return a.trustingCosigned(r, policy)
}

// trustingNewest is trusting for who writes: the log's own signature counts, and
// that the log goes on from what was seen. What was just written is not cosigned
// so far, and what is decided on must be what the log will decide on.
func (a *app) trustingNewest(r *reading) (*evidence.Policy, error) {
	policy, err := a.trustedLog(r.Origin())
	if err != nil {
		return nil, err
	}
	if err := a.waitable(policy); err != nil {
		return nil, err
	}
	if err := a.memory.Follow(a.shown(r), policy); err != nil {
		return nil, err
	}
	return policy, nil
}

// shown is the ledger of a reading, as it is shown now.
func (a *app) shown(r *reading) memory.Shown {
	return memory.Shown{
		Book: r.newestReading().Book, Primary: a.mirrorOf[r.ID()],
		Later: func(signed []byte) (*ledger.View, error) { return a.laterThan(r, signed) },
	}
}

// laterThan asks the server of a reading for the ledger as of a later checkpoint; nil if
// there is none that must have it.
func (a *app) laterThan(r *reading, signed []byte) (*ledger.View, error) {
	if a.mirrorOf[r.ID()] != "" {
		return nil, nil
	}
	a.servers.mu.Lock()
	defer a.servers.mu.Unlock()
	for _, c := range a.servers.open {
		if c.ledger == nil || c.ledger.View().ID() != r.ID() {
			continue
		}
		l, err := a.openRemote(c.ctx, c.client, signed, r.ID())
		if err != nil {
			return nil, err
		}
		return l.View(), nil
	}
	return nil, nil
}

// saw remembers a checkpoint that was acknowledged to this person.
func (a *app) saw(id statement.LedgerID, checkpoint []byte) {
	if err := a.memory.Forward(id, checkpoint); err != nil {
		a.term.Warnf("the checkpoint was not remembered: %v", err)
	}
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
	signed, err := a.memory.Cosigned(a.shown(r), r.Book, policy)
	if err != nil {
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
