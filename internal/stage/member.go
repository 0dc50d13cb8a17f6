package stage

import (
	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/trace"
	"github.com/stele-ml/stele/statement"
)

// member is what is known of an artifact in a stage.
func (q *Question) member(stage string, p *account.Placed) (m jsonv1.StageMember, err error) {
	b, err := q.Then.Bound(p.Ref.Name, p.Ref.Version)
	if err != nil {
		return m, err
	}
	c, err := q.Then.Of(b)
	if err != nil {
		return m, err
	}
	releaser := q.Then.Standing(p.Release)
	m = jsonv1.StageMember{
		Name: c.Ref.Name, Version: c.Ref.Version, Fingerprint: c.Ref.Fingerprint.String(), Kind: c.Stamp.Kind, Files: c.Stamp.Files, Bytes: c.Stamp.Bytes,
		Entry: c.Artifact.Entry, Stamped: jsonv1.At(c.Time), Signer: q.Then.SignerAt(c.Artifact.Entry, c.Handle, c.Signer),
		Release: p.Entry, Since: jsonv1.At(p.Release.Time), ReleasedBy: q.Then.Signer(p.Release), Releaser: releaser.State, Reason: p.Statement.Release.Reason,
		Approvals: q.Then.DecisionsJSON(c.Decisions, stage), Standing: c.Standing(), Fallen: account.FallenJSON(c.Judged),
		Withdrawn: account.WithdrawalsJSON(c.Judged), Taint: account.TaintJSON(c.Judged.Taint),
		Origin: account.OriginWord(c.Origins),
	}
	if len(p.Statement.Release.Replaces) > 0 {
		m.Replaced = account.Names(p.Statement.Release.Replaces)
	}
	if !releaser.OK {
		m.Why = append(m.Why, "who released it had no standing for it: "+releaser.Detail)
	}
	m.Why = append(m.Why, account.FallLines(c.Judged)...)
	if q.Asked == "" {
		return m, nil
	}
	m.Now, err = q.sinceThen(&m, p, stage)
	return m, err
}

// sinceThen is what became of an artifact in a stage after the moment that was
// asked for.
func (q *Question) sinceThen(m *jsonv1.StageMember, p *account.Placed, stage string) (*jsonv1.StageNow, error) {
	out := &jsonv1.StageNow{InStage: true}
	for c, err := range q.Now.StageHistory(stage, p.Ref.Name) {
		if err != nil {
			return nil, err
		}
		if c.Entry < q.Then.Size() || c.Ref != p.Ref || c.Action != statement.ActionLeave {
			continue
		}
		e, st, err := q.Now.Statement(c.Entry)
		if err != nil {
			return nil, err
		}
		out.InStage = false
		out.Left = &jsonv1.StageLeft{Entry: e.Index, Time: jsonv1.At(e.Time), Signer: q.Now.Signer(e)}
		if by := st.Subject[0].Name; by != p.Ref.String() {
			out.Left.ReplacedBy = by
		}
		break
	}
	b, err := q.Now.Bound(p.Ref.Name, p.Ref.Version)
	if err != nil {
		return nil, err
	}
	c, err := q.Now.Of(b)
	if err != nil {
		return nil, err
	}
	var releaser []string
	out.Releaser, releaser = q.releaserNow(p, m.Releaser)
	out.Standing = c.Standing()
	out.Since = append(trace.Changed(&jsonv1.TraceNode{Fallen: m.Fallen, Withdrawn: m.Withdrawn, Taint: m.Taint}, c.Judged), releaser...)
	return out, nil
}
