// Package stage is what is in the stages of a ledger: each artifact with all that is
// known of it and of its release, as it was known at a moment, and what is known now.
package stage

import (
	"slices"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// Few is how many artifacts of a stage are told at length; more are a table.
const Few = 6

// broad is how many times as many artifacts as a table shows are walked from what is
// wrong on the ledger, before each is asked what it was made of instead.
const broad = 4

// Question is what is asked about stages.
type Question struct {
	Now, Then *account.Book // one and the same where nobody asks about the past
	Asked     string        // the moment of Then, as it was asked for; empty: nobody did
	Whole     bool          // all that is known is told of every artifact
	One       bool          // one stage is asked about: if it has few artifacts, likewise
}

// Status is what was in the stages then, and what is known of it now. Unless all is
// told, artifacts against which nothing is known have only what a table shows. Every
// entry behind it is proved to be under the newest checkpoint.
func (q *Question) Status(stages []string) ([]jsonv1.Status, error) {
	in := make([][]account.Placed, len(stages))
	var refs []statement.Ref
	for i, stage := range stages {
		var err error
		if in[i], err = q.Then.Released(stage); err != nil {
			return nil, err
		}
		for _, p := range in[i] {
			refs = append(refs, p.Ref)
		}
	}
	plain, err := q.plainOnes(refs)
	if err != nil {
		return nil, err
	}
	table := !q.Whole && !(q.One && len(refs) <= Few)
	for _, b := range slices.Compact([]*account.Book{q.Then, q.Now}) {
		if err := judgeBut(b, plain, refs, table); err != nil {
			return nil, err
		}
	}
	list := make([]jsonv1.Status, len(stages))
	behind := map[uint64]bool{} // the entries that are told of
	for i, stage := range stages {
		s := &list[i]
		*s = jsonv1.Status{
			Stage: stage, At: jsonv1.StatusAt{Asked: q.Asked, Size: q.Then.Size(), Time: jsonv1.At(q.Then.Time()), Origin: q.Then.Origin()},
			Artifacts: make([]jsonv1.StageMember, len(in[i])),
		}
		for k := range in[i] {
			p, member := &in[i][k], q.member
			if table && plain[p.Ref.String()] {
				member = q.plainMember
			}
			if s.Artifacts[k], err = member(stage, p); err != nil {
				return nil, err
			}
			behind[p.Entry] = true
			if entry := s.Artifacts[k].Entry; entry != 0 {
				behind[entry] = true
			}
		}
	}
	// All are under the checkpoint that is trusted, which is the one of now.
	return list, q.Now.Prove(behind)
}

// plainOnes are those artifacts, by name@version, against which nothing was known
// then, and is now. It is empty where so much is wrong on the ledger that it is
// quicker to judge each.
func (q *Question) plainOnes(refs []statement.Ref) (map[string]bool, error) {
	if len(refs) <= Few {
		return nil, nil
	}
	limit := broad * len(refs)
	was, err := q.Then.Words(limit)
	if err != nil || was.Cut {
		return nil, err
	}
	is := was
	if q.Now != q.Then {
		if is, err = q.Now.Words(limit); err != nil || is.Cut {
			return nil, err
		}
	}
	plain := map[string]bool{}
	for _, ref := range refs {
		before, err := was.On(ref)
		if err != nil {
			return nil, err
		}
		after, err := is.On(ref)
		if err != nil {
			return nil, err
		}
		if before == (lineage.Against{}) && after == (lineage.Against{}) {
			plain[ref.String()] = true
		}
	}
	return plain, nil
}

// judgeBut judges artifacts together, but for those of which it is known that
// there is nothing against them; in a table nobody asks about these again.
func judgeBut(b *account.Book, plain map[string]bool, refs []statement.Ref, table bool) error {
	var rest []statement.Ref
	for _, ref := range refs {
		if !plain[ref.String()] {
			rest = append(rest, ref)
		}
	}
	if err := b.JudgeAll(rest); err != nil {
		return err
	}
	for _, ref := range refs {
		if table || !plain[ref.String()] {
			continue
		}
		_, of, err := b.Artifact(ref)
		if err != nil {
			return err
		}
		b.Judged(&lineage.Judgement{Artifact: of})
	}
	return nil
}

// plainMember is what a table tells of an artifact against which nothing is known.
func (q *Question) plainMember(stage string, p *account.Placed) (m jsonv1.StageMember, err error) {
	decisions, err := q.Then.Decisions(p.Ref)
	if err != nil {
		return m, err
	}
	releaser := q.Then.Standing(p.Release)
	m = jsonv1.StageMember{
		Name: p.Ref.Name, Version: p.Ref.Version, Release: p.Entry, Since: jsonv1.At(p.Release.Time), ReleasedBy: q.Then.Signer(p.Release),
		Releaser: releaser.State, Approvals: q.Then.DecisionsJSON(decisions, stage), Standing: lineage.Good,
	}
	if !releaser.OK {
		m.Why = append(m.Why, "who released it had no standing for it: "+releaser.Detail)
	}
	if q.Asked != "" {
		m.Now = &jsonv1.StageNow{Standing: lineage.Good}
		m.Now.Releaser, m.Now.Since = q.releaserNow(p, m.Releaser)
	}
	return m, nil
}

// releaserNow is the standing of whoever released an artifact, and what is known
// of it now that was not then.
func (q *Question) releaserNow(p *account.Placed, then string) (state string, since []string) {
	s := q.Now.Standing(p.Release)
	if !s.OK && s.State != then {
		since = append(since, "who released it has no standing for it now: "+s.Detail)
	}
	return s.State, since
}
