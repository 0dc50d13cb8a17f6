package contract

import (
	"errors"
	"slices"

	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// Match says what a contract is about. An empty list is any, but for Statements,
// which has at least one.
type Match struct {
	Statements []statement.Kind // a stamp is every artifact newly stamped, by a run too
	Names      []string         // patterns, see statement.MatchName
	Stages     []string         // only approvals and releases have one
	Kinds      []string         // of the artifact's stamp
	Actions    []string         // of releases, approvals, identity and contract statements
}

// governed are the kinds of statement that a contract can be about.
var governed = []statement.Kind{
	statement.KindStamp, statement.KindRun, statement.KindEvaluation, statement.KindApproval, statement.KindRelease,
	statement.KindWithdrawal, statement.KindReinstatement, statement.KindAudit, statement.KindImport,
	statement.KindIdentity, statement.KindContract, statement.KindLogKey,
}

// actions are what statements of a kind do, where there are several things. That
// a key is compromised is governed by nobody.
var actions = map[statement.Kind][]string{
	statement.KindApproval: {statement.DecisionApprove, statement.DecisionReject},
	statement.KindRelease:  {statement.ActionJoin, statement.ActionLeave},
	statement.KindIdentity: {statement.ActionRegister, statement.ActionRetire},
	statement.KindContract: {statement.ContractPut, statement.ContractPropose, statement.ContractLift},
}

// staged reports whether statements of a kind name a stage.
func staged(k statement.Kind) bool { return k == statement.KindApproval || k == statement.KindRelease }

// onArtifacts reports whether statements of a kind are about artifacts.
func onArtifacts(k statement.Kind) bool {
	switch k {
	case statement.KindIdentity, statement.KindContract, statement.KindLogKey:
		return false
	}
	return true
}

// readMatch reads what a contract is about. A list with which nothing at all
// could match is refused: the contract would look as if it protected something.
func readMatch(n node) (m Match) {
	o := n.object("statements", "names", "stages", "kinds", "actions")
	kinds := make([]string, len(governed))
	for i, k := range governed {
		kinds[i] = string(k)
	}
	for _, k := range o.need("statements").words(len(governed), oneOf(kinds...)) {
		m.Statements = append(m.Statements, statement.Kind(k))
	}
	m.Names = o.get("names").words(MaxMatch, statement.CheckPattern)
	m.Stages = o.get("stages").words(MaxMatch, statement.CheckStage)
	m.Kinds = o.get("kinds").words(MaxMatch, oneOf(
		statement.ArtifactDataset, statement.ArtifactModel, statement.ArtifactCode, statement.ArtifactOther))
	var possible []string
	for _, k := range m.Statements {
		possible = append(possible, actions[k]...)
	}
	if len(m.Statements) == 0 || len(m.Statements) < len(o.get("statements").items(len(governed))) {
		return m // what could be done with them is not known
	}
	if n := o.get("actions"); n.there() && len(possible) > 0 {
		m.Actions = n.words(MaxMatch, oneOf(possible...))
	}
	for _, dead := range []struct {
		list  string
		alive func(statement.Kind) bool
		why   string
	}{
		{"stages", staged, "only approval and release statements name a stage"},
		{"kinds", onArtifacts, "identity, contract and log-key statements are about no artifact"},
		{"names", func(k statement.Kind) bool { return k != statement.KindLogKey }, "a log-key statement is about no name"},
		{"actions", func(k statement.Kind) bool { return actions[k] != nil },
			"only release, approval, identity and contract statements have an action"},
	} {
		if n := o.get(dead.list); n.there() && !slices.ContainsFunc(m.Statements, dead.alive) {
			n.hint("leave it out", "nothing can match: %s", dead.why)
		}
	}
	return m
}

// Subject is what a contract is evaluated for: an artifact of a statement, or
// nothing, where the statement is about none.
type Subject struct {
	Ref statement.Ref // zero: none

	// Artifact is what the ledger has under the name, if it is these contents;
	// nil if the statement stamps it, or it is not there.
	Artifact *lineage.Artifact

	// Stamp is what the statement stamps it with, or else the artifact's stamp;
	// nil if there is neither.
	Stamp *statement.Stamp
}

// Subjects returns what the contract is to be evaluated for, in the order in
// which the statement names it; none where it is not about the statement. The
// facts are those before the statement. The error says that they could not be
// read.
func (m *Match) Subjects(st *statement.Statement, f lineage.Facts) ([]Subject, error) {
	if !m.about(st) {
		return nil, nil
	}
	var subjects []Subject
	for _, o := range m.outputs(st) {
		if !m.named(o.Ref.Name) {
			continue
		}
		s := Subject{Ref: o.Ref, Stamp: o.Stamp}
		if o.Stamp == nil {
			a, err := f.Artifact(o.Ref.Name, o.Ref.Version)
			switch {
			case errors.Is(err, lineage.ErrNotFound):
			case err != nil:
				return nil, err
			case a.Ref == o.Ref:
				s.Artifact, s.Stamp = a, a.Stamp
			}
		}
		// What is not there has no kind that could let it pass.
		if len(m.Kinds) > 0 && s.Stamp != nil && !slices.Contains(m.Kinds, s.Stamp.Kind) {
			continue
		}
		subjects = append(subjects, s)
	}
	if len(subjects) == 0 && m.bare(st) {
		return []Subject{{}}, nil
	}
	return subjects, nil
}

// about reports whether a statement is of a kind, stage and action that match:
// all that can be told without its artifacts.
func (m *Match) about(st *statement.Statement) bool {
	stampedByRun := st.Kind == statement.KindRun && slices.Contains(m.Statements, statement.KindStamp)
	if !slices.Contains(m.Statements, st.Kind) && !stampedByRun {
		return false
	}
	stage, action := "", ""
	switch {
	case st.Approval != nil:
		stage, action = st.Approval.Stage, st.Approval.Decision
	case st.Release != nil:
		stage, action = st.Release.Stage, st.Release.Action
	case st.Identity != nil:
		action = st.Identity.Action
	case st.Contract != nil:
		action = st.Contract.Action
	}
	return (len(m.Stages) == 0 || slices.Contains(m.Stages, stage)) && (len(m.Actions) == 0 || slices.Contains(m.Actions, action))
}

func (m *Match) named(name string) bool {
	return len(m.Names) == 0 || slices.ContainsFunc(m.Names, func(p string) bool { return statement.MatchName(p, name) })
}

// outputs returns the artifacts that the statement is about, as far as a match
// on its kind is.
func (m *Match) outputs(st *statement.Statement) []statement.Output {
	switch {
	case st.Run != nil && slices.Contains(m.Statements, statement.KindRun):
		return st.Run.Outputs
	case st.Run != nil, st.Stamp != nil:
		return st.Stamps()
	case !onArtifacts(st.Kind):
		return nil
	}
	ref, err := st.Ref()
	if err != nil {
		return nil // it has not passed statement.Parse, or is a genesis
	}
	return []statement.Output{{Ref: ref}}
}

// bare reports whether a statement that is about no artifact matches as such.
func (m *Match) bare(st *statement.Statement) bool {
	if len(m.Kinds) > 0 {
		return false
	}
	switch {
	case st.Run != nil:
		return len(st.Run.Outputs) == 0 && len(m.Names) == 0 && slices.Contains(m.Statements, statement.KindRun)
	case st.Identity != nil:
		return m.named(st.Identity.Handle)
	case st.Contract != nil:
		return m.named(st.Contract.Name)
	}
	return st.LogKey != nil && len(m.Names) == 0
}
