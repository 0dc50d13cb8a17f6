package ledger

import (
	"errors"
	"fmt"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// hash returns the algorithm of a statement's fingerprints, and whose it is;
// zero for one without.
func (c *Candidate) hash() (what string, a fingerprint.Algorithm) {
	of := func(ref statement.Ref) (string, fingerprint.Algorithm) {
		return ref.String(), ref.Fingerprint.Algorithm
	}
	run := c.st.Run
	switch {
	case run == nil && c.ref.Name != "":
		return of(c.ref)
	case run == nil:
		return "", 0
	case len(run.Outputs) > 0:
		return of(run.Outputs[0].Ref)
	case len(run.Inputs) > 0:
		return of(run.Inputs[0])
	case run.Code != nil && run.Code.Tree != nil:
		return "the code", run.Code.Tree.Algorithm
	}
	return "", 0
}

// seenRun needs no lookup beside that of the run's id, which a run has once and
// for ever.
func (b *Block) seenRun(c *Candidate) (Receipt, bool, error) {
	c.run, c.mine = nil, nil
	index, ok := b.moves.runs[c.st.Nonce]
	if !ok {
		var err error
		if index, ok, err = b.baseView().run(c.st.Nonce); err != nil || !ok {
			return Receipt{}, false, err
		}
	}
	c.run = &index
	e, err := b.entry(index)
	if err != nil || e.Envelope.ID() != c.id {
		return Receipt{}, false, err
	}
	return Receipt{Index: index, Time: e.Time, ID: c.id, Existed: true}, true, nil
}

// checkRun: inputs are on the ledger as they are named, and so are the outputs
// that another entry stamped before.
func (b *Block) checkRun(c *Candidate) error {
	if err := b.checkAll("input", c.st.Run.Inputs); err != nil {
		return err
	}
	for _, o := range c.st.Run.Outputs {
		if o.Stamp != nil {
			if err := b.checkStamp(o.Stamp); err != nil {
				return err
			}
			continue
		}
		bound, _, err := b.checkBound("output", o.Ref)
		if err != nil {
			return err
		}
		e, err := b.entry(bound.Entry)
		if err != nil {
			return err
		}
		if b.sameHandle(c.by, e.Envelope.By()) {
			c.mine = append(c.mine, o.Ref.Fingerprint)
		}
	}
	return nil
}

// sameHandle reports whether two registered keys are of one person.
func (b *Block) sameHandle(x, y statement.KeyID) bool {
	_, mx, okx := b.control.Roster().Key(x)
	_, my, oky := b.control.Roster().Key(y)
	return okx && oky && mx.Handle == my.Handle
}

// checkRunNames: a run's id is its own, and so are the names that it binds.
func (b *Block) checkRunNames(c *Candidate) error {
	if c.run != nil {
		return refuse(RuleNameBound, ClassRefused, "the run id %s is that of entry %d", c.st.Nonce, *c.run).
			at(*c.run).hint("every run has an id of its own; name an earlier one as the attempt that this one goes on from")
	}
	for _, o := range c.stamps {
		bound, ok, err := b.binding(o.Ref.Name, o.Ref.Version)
		if err != nil {
			return err
		}
		if ok {
			return nameBound(o.Ref, &bound)
		}
	}
	return nil
}

// nameBound refuses to bind a name again.
func nameBound(ref statement.Ref, bound *Binding) *Refusal {
	if bound.Fingerprint == ref.Fingerprint {
		return refuse(RuleNameBound, ClassRefused, "%s is on this ledger already, with these contents: entry %d", ref, bound.Entry).
			at(bound.Entry)
	}
	return refuse(RuleNameBound, ClassRefused, "%s is %s since entry %d; it cannot become %s", ref, bound.Fingerprint, bound.Entry, ref.Fingerprint).
		at(bound.Entry).hint("stamp the new contents under a new version")
}

// checkAfter: the author of a withdrawal or reinstatement, of an approval or a
// release, saw the last entry on what it is about.
func (b *Block) checkAfter(c *Candidate) error {
	var saw uint64
	where := ""
	switch st := c.st; {
	case st.Withdrawal != nil:
		saw = st.Withdrawal.After
	case st.Reinstatement != nil:
		saw = st.Reinstatement.After
	case st.Approval != nil:
		saw, where = st.Approval.After, " and its place in "+st.Approval.Stage
	case st.Release != nil:
		saw, where = st.Release.After, " and its place in "+st.Release.Stage
	default:
		return nil
	}
	last, err := lastSeen(b, c.st)
	if errors.Is(err, ErrNotFound) {
		err = damaged("%s is bound and in no entry", c.ref.Fingerprint)
	}
	if err != nil {
		return err
	}
	if last != saw {
		return refuse(RuleAfter, ClassStale, "the last entry on %s%s is %d; the statement was made after entry %d", c.ref, where, last, saw).
			at(last).hint("look at entry %d, then sign again", last)
	}
	return nil
}

// checkRelease: what joins a stage is not in it, what leaves it is; and nothing
// that was taken back joins one.
func (b *Block) checkRelease(c *Candidate) error {
	r := c.st.Release
	if r == nil {
		return nil
	}
	if err := b.checkStage(c.ref, r); err != nil || r.Action == statement.ActionLeave {
		return err
	}
	against, err := b.unclean(c)
	if err != nil || len(against) == 0 {
		return err
	}
	return against[0]
}

// checkStage: what moves is where the release says that it is.
func (b *Block) checkStage(ref statement.Ref, r *statement.Release) error {
	at, in, err := b.placedAt(r.Stage, ref)
	switch {
	case err != nil:
		return err
	case r.Action == statement.ActionLeave && !in:
		return b.notIn(r.Stage, ref)
	case r.Action == statement.ActionLeave:
		return nil
	case in:
		return refuse(RuleStage, ClassRefused, "%s is in %s already: entry %d", ref, r.Stage, at).at(at)
	}
	for _, old := range r.Replaces {
		_, in, err := b.placedAt(r.Stage, old)
		if err != nil {
			return err
		}
		if !in {
			return b.notIn(r.Stage, old)
		}
	}
	return nil
}

func (b *Block) notIn(stage string, ref statement.Ref) *Refusal {
	return refuse(RuleStage, ClassRefused, "%s is not in %s", ref, stage).hint("stele status --stage %s lists what is", stage)
}

// lineage returns what a candidate is admitted over: the record as it is now,
// of which nothing is read twice for one candidate.
func (b *Block) lineage(c *Candidate) *facts {
	if c.facts == nil {
		c.facts = newFacts(b, b.control)
	}
	return c.facts
}

// unclean returns what is against an artifact that is to join a stage. It counts,
// and so does everything that it was made of; and neither its name nor its
// contents are withdrawn, nor those of a member, nor the contents of anything
// that it was made of. An advice is for people to weigh.
func (b *Block) unclean(c *Candidate) (against []*Refusal, err error) {
	f := b.lineage(c)
	a, err := f.Artifact(c.ref.Name, c.ref.Version)
	if err != nil {
		return nil, err
	}
	j, err := lineage.Judge(f, a)
	if err != nil {
		return nil, err
	}
	if len(j.Fallen) > 0 {
		against = append(against, fallen(c.ref, &j.Fallen[0]))
	}
	for _, w := range a.Withdrawals {
		if forbids(w.Effect) {
			against = append(against, withdrawn(c.ref.String(), &w))
		}
	}
	for _, m := range j.Members {
		if forbids(m.Withdrawal.Effect) {
			against = append(against, withdrawn(fmt.Sprintf("%s, a member of %s,", m.At(), c.ref), &m.Withdrawal))
		}
	}
	if j.Taint != nil && forbids(j.Taint.Effect()) {
		w := j.Taint.Worst().Withdrawal
		against = append(against, refuse(RuleWithdrawn, ClassRefused, "%s is tainted: it was made of %s, withdrawn since entry %d (%s), by %s: %s",
			c.ref, w.Ref, w.Entry, w.Effect, w.Handle, w.Reason).
			at(w.Entry).hint("stele trace %s shows the way; make it again without %s", c.ref, w.Ref))
	}
	if j.Unknown {
		against = append(against, refuse(RuleWithdrawn, ClassRefused, "%s was made of more than %d artifacts, or in more than %d ways; whether any of them is withdrawn is not looked up", c.ref, lineage.MaxWalk, lineage.MaxSteps).
			hint("stamp what it was made of as fewer, larger artifacts"))
	}
	return against, nil
}

// fallen refuses what a key stamped whose entry counts for nothing, or what was
// made of that.
func fallen(ref statement.Ref, f *lineage.Fall) *Refusal {
	a := f.Artifact
	if f.Distance() == 0 {
		return refuse(RuleStanding, ClassUntrusted, "%s was stamped in entry %d, which counts for nothing: %s", ref, a.Entry, a.Standing.Detail).
			at(a.Entry).hint("stamp it under a new version, with a key in good standing")
	}
	return refuse(RuleStanding, ClassUntrusted, "%s was made of %s, stamped in entry %d, which counts for nothing: %s", ref, a.Ref, a.Entry, a.Standing.Detail).
		at(a.Entry).hint("stele trace %s shows the way; stamp %s under a new version, with a key in good standing, and make it again from that", ref, a.Ref)
}

// withdrawn refuses what was taken back.
func withdrawn(subject string, w *lineage.Withdrawal) *Refusal {
	what := "is withdrawn"
	if w.Target == statement.TargetBinding {
		what = "is withdrawn as a mistake"
	}
	return refuse(RuleWithdrawn, ClassRefused, "%s %s since entry %d (%s), by %s: %s", subject, what, w.Entry, w.Effect, w.Handle, w.Reason).
		at(w.Entry).hint("release another version, or have the withdrawal ended: stele reinstate")
}

// forbids reports whether an effect keeps an artifact out of a stage.
func forbids(effect string) bool {
	return lineage.Stronger(effect, statement.EffectAdvise) != statement.EffectAdvise
}
