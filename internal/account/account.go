package account

import (
	"slices"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// Said is an entry with what it says.
type Said struct {
	*evidence.Entry
	Statement *statement.Statement
}

// Account is what a ledger has about an artifact beside its stamp.
type Account struct {
	*lineage.Artifact
	Bound     *evidence.Entry // the entry that stamps it
	Origins   []lineage.Origin
	Judged    *lineage.Judgement
	Decisions []Decision

	// What nothing depends on: see Fill.
	Evaluations []Said
	Releases    []Said // of it, and those that replaced it
	Imports     []Said
	Stages      []Stage // that it is in
}

// Stage is a stage that an artifact is in, and the release that put it there.
type Stage struct {
	Name  string
	Entry uint64
	Time  int64 // of the entry, Unix ms
}

// Decision is an approval or a rejection, and the entry by which the same person
// decided otherwise, or again.
type Decision struct {
	Said
	Superseded *uint64
}

// Counts reports whether the decision is its author's last word, and the
// author's word counts.
func (d *Decision) Counts(b *Book) bool { return d.Superseded == nil && b.Standing(d.Entry).OK }

// Of gathers what is known of an artifact: whether it holds, what it was made of,
// who decided on it.
func (b *Book) Of(at ledger.Binding) (*Account, error) {
	made, artifact, err := b.Artifact(at.Ref())
	if err != nil {
		return nil, err
	}
	c := &Account{Artifact: artifact}
	if c.Bound, err = b.Entry(at.Entry); err != nil {
		return nil, err
	}
	if c.Origins, err = made.Origins(artifact); err != nil {
		return nil, err
	}
	if c.Judged, err = b.Judgement(c.Ref); err != nil {
		return nil, err
	}
	c.Decisions, err = b.Decisions(c.Ref)
	return c, err
}

// Fill gathers the rest of what there is about an artifact.
func (c *Account) Fill(b *Book) (err error) {
	if c.Evaluations, err = b.Said(c.Ref, statement.KindEvaluation); err != nil {
		return err
	}
	if c.Releases, err = b.Said(c.Ref, statement.KindRelease); err != nil {
		return err
	}
	if c.Imports, err = b.Said(c.Ref, statement.KindImport); err != nil {
		return err
	}
	c.Stages, err = b.StagesOf(c.Ref)
	return err
}

// Standing is one word on the artifact, of lineage's.
func (c *Account) Standing() string { return c.Judged.Word() }

// Against is what is wrong with the artifact beside its own withdrawals and its
// taint, a line each.
func (c *Account) Against() []string { return append(FallLines(c.Judged), memberLines(c.Judged)...) }

// WithdrawnPlaces are the withdrawals in force of places of an artifact.
func (b *Book) WithdrawnPlaces(ref statement.Ref) []evidence.Withdrawal {
	var list []evidence.Withdrawal
	for _, d := range b.Control.Withdrawals(ref) {
		if d.Stands() && d.Target == statement.TargetLocation {
			list = append(list, d)
		}
	}
	return list
}

// Said are the entries of a kind about an artifact under its name, in order; of
// releases also those that replaced it.
func (b *Book) Said(ref statement.Ref, kind statement.Kind) (list []Said, err error) {
	for i, err := range b.About(ref.Fingerprint, kind) {
		if err != nil {
			return nil, err
		}
		e, st, err := b.Statement(i)
		if err != nil {
			return nil, err
		}
		about, err := st.Ref()
		if err != nil {
			return nil, err
		}
		if about == ref || st.Release != nil && slices.Contains(st.Release.Replaces, ref) {
			list = append(list, Said{e, st})
		}
	}
	return list, nil
}

// Decisions are the approvals and rejections of an artifact, in order. Who decides
// again on the same stage, decides for all that they said before.
func (b *Book) Decisions(ref statement.Ref) ([]Decision, error) {
	entries, err := b.Said(ref, statement.KindApproval)
	if err != nil {
		return nil, err
	}
	list := make([]Decision, len(entries))
	last := map[string]uint64{} // by handle and stage
	for i, s := range slices.Backward(entries) {
		list[i].Said = s
		who := b.Handle(s.Entry) + " " + s.Statement.Approval.Stage
		if later, ok := last[who]; ok {
			list[i].Superseded = &later
		} else if b.Standing(s.Entry).OK {
			last[who] = s.Index
		}
	}
	return list, nil
}
