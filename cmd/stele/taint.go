package main

import (
	"fmt"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// artifactOf is an artifact with what is known of it.
func (r *reading) artifactOf(ref statement.Ref) (*ledger.Lineage, *lineage.Artifact, error) {
	made, err := r.lineage()
	if err != nil {
		return nil, nil, err
	}
	of, err := made.Artifact(ref.Name, ref.Version)
	return made, of, err
}

// judgementOn is what is against an artifact, as far as the ledger knows.
func (r *reading) judgementOn(ref statement.Ref) (*lineage.Judgement, error) {
	made, of, err := r.artifactOf(ref)
	if err != nil {
		return nil, err
	}
	if j := r.judged[ref.String()]; j != nil && j.Artifact == of {
		return j, nil
	}
	return lineage.Judge(made, of)
}

// judgeAll judges artifacts before they are asked about one by one: what they
// share is walked once. Where that is too much for one walk, each has its own.
func (r *reading) judgeAll(refs []statement.Ref) error {
	list := make([]*lineage.Artifact, len(refs))
	var made *ledger.Lineage
	for i, ref := range refs {
		var err error
		if made, list[i], err = r.artifactOf(ref); err != nil {
			return err
		}
	}
	r.judged = map[string]*lineage.Judgement{}
	if len(list) < 2 {
		return nil
	}
	all, err := lineage.JudgeAll(made, list)
	if err != nil {
		return err
	}
	for id, j := range all {
		if !j.Unknown {
			r.judged[id] = j
		}
	}
	return nil
}

// allWords are what is against all artifacts of the ledger that are not good. It
// is found from what is wrong downwards: that is little, and artifacts are many.
type allWords struct {
	against map[string]lineage.Against // by name@version
	cut     bool                       // there is more than was walked: each is judged on its own
}

// allWords judges the whole ledger, walking from what is wrong to at most limit
// artifacts at a time; 0: to as many as a lineage may have.
func (r *reading) allWords(limit int) (all *allWords, err error) {
	all = new(allWords)
	made, err := r.lineage()
	if err != nil {
		return nil, err
	}
	bad, err := r.allWrong(made)
	if err != nil {
		return nil, err
	}
	all.against, all.cut, err = lineage.AllAgainst(made, bad, limit)
	return all, err
}

// allWrong are the artifacts that withdrawals in force are about, and those that
// keys stamped which have no standing for it.
func (r *reading) allWrong(made *ledger.Lineage) (bad []*lineage.Artifact, err error) {
	for _, w := range r.control.AllWithdrawals() {
		if !w.Stands() || w.Target == statement.TargetLocation {
			continue
		}
		bindings, err := made.Bindings(w.Ref.Fingerprint)
		if err != nil {
			return nil, err
		}
		bad = append(bad, bindings...)
	}
	for _, m := range r.control.Roster().Members() {
		if !m.Void && m.Since == nil {
			continue
		}
		for i, err := range r.BySigner(m.Key.ID()) {
			if err != nil {
				return nil, err
			}
			e, st, err := r.statement(i)
			if err != nil {
				return nil, err
			}
			if r.standingOf(e).OK {
				continue
			}
			for _, s := range st.Stamps() {
				of, err := made.Artifact(s.Ref.Name, s.Ref.Version)
				if err != nil {
					return nil, err
				}
				bad = append(bad, of)
			}
		}
	}
	return bad, nil
}

// on is what is against an artifact.
func (all *allWords) on(r *reading, ref statement.Ref) (lineage.Against, error) {
	if !all.cut {
		return all.against[ref.String()], nil
	}
	j, err := r.judgementOn(ref)
	if err != nil {
		return lineage.Against{}, err
	}
	return j.Against(), nil
}

// taintLines say why an artifact is tainted, and how: each cause in a line, its
// path in the next.
func taintLines(t *jsonv1.Taint) []string {
	var lines []string
	for _, c := range t.Causes {
		lines = append(lines, causeText(c), pathText(c.Path, false))
	}
	if t.More > 0 {
		lines = append(lines, fmt.Sprintf("and %d more withdrawals reach it", t.More))
	}
	return lines
}

// worstText tells the strongest cause of a taint.
func worstText(t *lineage.Taint) string {
	w := t.Worst()
	return causeText(jsonv1.TaintCause{At: w.At().String(), Steps: w.Distance(), Entry: w.Withdrawal.Entry, Effect: w.Withdrawal.Effect,
		Reason: w.Withdrawal.Reason, Handle: w.Withdrawal.Handle})
}

// fallLines say which stamps count for nothing, of an artifact and of what it was
// made of, and how they are reached.
func fallLines(j *lineage.Judgement) []string {
	var lines []string
	for i := range j.Fallen {
		f := &j.Fallen[i]
		lines = append(lines, fallText(f))
		if f.Distance() > 0 {
			lines = append(lines, pathText(stepsJSON(f.Path()), false))
		}
	}
	if j.MoreFallen {
		lines = append(lines, "and others")
	}
	return lines
}

// fallText says what fell, and why.
func fallText(f *lineage.Fall) string { return fallenText(fallenCause(f)) }

// memberLines say which members of a collection are withdrawn.
func memberLines(j *lineage.Judgement) []string {
	var lines []string
	for i := range j.Members {
		lines = append(lines, memberText(&j.Members[i]))
	}
	return lines
}

func memberText(c *lineage.Cause) string {
	w := c.Withdrawal
	return fmt.Sprintf("%s, a member, ", c.At()) + withdrawalText(jsonv1.TraceWithdrawal{Entry: w.Entry, Target: w.Target, Effect: w.Effect, Reason: w.Reason, Handle: w.Handle})
}

// stepsJSON is a path in --json.
func stepsJSON(path []lineage.Step) []jsonv1.TaintStep {
	var list []jsonv1.TaintStep
	for _, s := range path {
		step := jsonv1.TaintStep{Name: s.Ref.Name, Version: s.Ref.Version, Way: s.Way}
		if s.Way != "" {
			step.Entry = &s.Entry
		}
		list = append(list, step)
	}
	return list
}
