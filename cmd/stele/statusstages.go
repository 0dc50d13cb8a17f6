package main

import (
	"slices"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// statusBroad is how many times as many artifacts as a table shows are walked from
// what is wrong on the ledger, before each is asked what it was made of instead.
const statusBroad = 4

// statusOf is what was in the stages then, and what is known of it now. The two
// readings are the same where nobody asked for the past.
func (a *app) statusOf(now, then *reading, stages []string, o *statusOrder) ([]jsonv1.Status, error) {
	in := make([][]account.Placed, len(stages))
	var refs []statement.Ref
	for i, stage := range stages {
		var err error
		if in[i], err = then.Released(stage); err != nil {
			return nil, err
		}
		for _, p := range in[i] {
			refs = append(refs, p.Ref)
		}
	}
	plain, err := plainOnes(now, then, refs)
	if err != nil {
		return nil, err
	}
	table := !a.json && (o.stage == "" || len(refs) > statusBlocks)
	for _, r := range slices.Compact([]*reading{then, now}) {
		if err := r.judgeBut(plain, refs, table); err != nil {
			return nil, err
		}
	}
	list := make([]jsonv1.Status, len(stages))
	behind := map[uint64]bool{} // the entries that are told of
	for i, stage := range stages {
		s := &list[i]
		*s = jsonv1.Status{
			Stage: stage, At: jsonv1.StatusAt{Asked: o.at, Size: then.Size(), Time: jsonv1.At(then.Time()), Origin: then.Origin()},
			Artifacts: make([]jsonv1.StageMember, len(in[i])),
		}
		for k, p := range in[i] {
			member := memberOf
			if table && plain[p.Ref.String()] {
				member = plainMember
			} else if b, err := then.binding(p.Ref.Name, p.Ref.Version); err == nil {
				behind[b.Entry] = true
			}
			if s.Artifacts[k], err = member(now, then, stage, p, o); err != nil {
				return nil, err
			}
			behind[p.Entry] = true
		}
	}
	// All are under the checkpoint that is trusted, which is the one of now.
	return list, now.Prove(behind)
}

// plainOnes are those artifacts, by name@version, against which nothing was known
// then, and is now. It is empty where so much is wrong on the ledger that it is
// quicker to judge each.
func plainOnes(now, then *reading, refs []statement.Ref) (map[string]bool, error) {
	if len(refs) <= statusBlocks {
		return nil, nil
	}
	limit := statusBroad * len(refs)
	was, err := then.Words(limit)
	if err != nil || was.Cut {
		return nil, err
	}
	is := was
	if now != then {
		if is, err = now.Words(limit); err != nil || is.Cut {
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
func (r *reading) judgeBut(plain map[string]bool, refs []statement.Ref, table bool) error {
	var rest []statement.Ref
	for _, ref := range refs {
		if !plain[ref.String()] {
			rest = append(rest, ref)
		}
	}
	if err := r.JudgeAll(rest); err != nil {
		return err
	}
	for _, ref := range refs {
		if table || !plain[ref.String()] {
			continue
		}
		_, of, err := r.Book.Artifact(ref)
		if err != nil {
			return err
		}
		r.Judged(&lineage.Judgement{Artifact: of})
	}
	return nil
}

// plainMember is what a table tells of an artifact against which nothing is known.
func plainMember(now, then *reading, stage string, p account.Placed, o *statusOrder) (m jsonv1.StageMember, err error) {
	decisions, err := then.Decisions(p.Ref)
	if err != nil {
		return m, err
	}
	releaser := then.Standing(p.Release)
	m = jsonv1.StageMember{
		Name: p.Ref.Name, Version: p.Ref.Version, Release: p.Entry, Since: jsonv1.At(p.Release.Time), ReleasedBy: then.Signer(p.Release),
		Releaser: releaser.State, Approvals: then.DecisionsJSON(decisions, stage), Standing: standingGood,
	}
	if !releaser.OK {
		m.Why = append(m.Why, "who released it had no standing for it: "+releaser.Detail)
	}
	if o.at != "" {
		m.Now = &jsonv1.StageNow{Standing: standingGood}
		m.Now.Releaser, m.Now.Since = now.releaserNow(p, m.Releaser)
	}
	return m, nil
}

// releaserNow is the standing of whoever released an artifact, and what is known
// of it now that was not then.
func (now *reading) releaserNow(p account.Placed, then string) (state string, since []string) {
	s := now.Standing(p.Release)
	if !s.OK && s.State != then {
		since = append(since, "who released it has no standing for it now: "+s.Detail)
	}
	return s.State, since
}
