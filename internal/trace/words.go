package trace

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// The words in which a trace is told: in a tree, above it, and in a graph.

// marksOf are the words after an artifact's name: what is wrong with it.
func marksOf(n *jsonv1.TraceNode) (marks []terminal.Cell) {
	add := func(style terminal.Style, text string) {
		marks = append(marks, terminal.Cell{Text: text, Style: style})
	}
	if f := n.Fallen; f != nil && f.Causes[0].Steps == 0 {
		add(terminal.Bad, "SIGNER "+strings.ToUpper(f.Causes[0].State))
	} else if f != nil {
		add(terminal.Bad, "NOT TRUSTED")
	}
	contents, name, member := "", false, ""
	for _, w := range n.Withdrawn {
		switch {
		case w.Of != "":
			member = lineage.Stronger(member, w.Effect)
		case w.Target == statement.TargetContents:
			contents = lineage.Stronger(contents, w.Effect)
		default:
			name = true
		}
	}
	if contents != "" {
		add(terminal.Bad, "WITHDRAWN, "+contents)
	}
	if name {
		add(terminal.Caution, "NAME WITHDRAWN")
	}
	if member != "" {
		add(terminal.Bad, "A MEMBER WITHDRAWN, "+member)
	}
	if n.Taint != nil && !byMembers(n) {
		add(terminal.Bad, "TAINTED, "+n.Taint.Effect)
	}
	if n.Standing == lineage.Unknown {
		add(terminal.Caution, "TAINT NOT KNOWN")
	}
	return marks
}

// byMembers reports whether what taints an artifact are its own members.
func byMembers(n *jsonv1.TraceNode) bool {
	return n.Taint.More == 0 && !slices.ContainsFunc(n.Taint.Causes, func(c jsonv1.TaintCause) bool { return !ofMember(n, c.Entry) })
}

func ofMember(n *jsonv1.TraceNode, withdrawal uint64) bool {
	return slices.ContainsFunc(n.Withdrawn, func(w jsonv1.TraceWithdrawal) bool { return w.Of != "" && w.Entry == withdrawal })
}

// toldWithdrawals are the withdrawals of an artifact and its members that nothing
// else tells of: what taints it is told with its path.
func toldWithdrawals(all []jsonv1.TraceWithdrawal) (list []jsonv1.TraceWithdrawal) {
	for _, w := range all {
		if w.Of == "" || w.Target != statement.TargetContents {
			list = append(list, w)
		}
	}
	return list
}

// stagesOf are the stages that an artifact is in, after its other marks.
func stagesOf(n *jsonv1.TraceNode) (marks []terminal.Cell) {
	const most = 3
	for i, s := range n.Stages {
		if i == most {
			return append(marks, terminal.Cell{Text: fmt.Sprintf("and in %d more stages", len(n.Stages)-i), Style: terminal.Accent})
		}
		marks = append(marks, terminal.Cell{Text: "in " + s.Stage, Style: terminal.Accent})
	}
	return marks
}

// withdrawalText says who withdrew something, and why.
func withdrawalText(w jsonv1.TraceWithdrawal) string {
	text := account.WithdrawalText(&lineage.Withdrawal{Entry: w.Entry, Target: w.Target, Effect: w.Effect, Reason: w.Reason, Handle: w.Handle})
	if w.Of != "" {
		return "its member " + w.Of + ", " + text
	}
	return text
}

// WithdrawalLines tell of the withdrawals of an artifact and its members, but for
// those that a taint tells of with its path.
func WithdrawalLines(all []jsonv1.TraceWithdrawal) (lines []string) {
	for _, w := range toldWithdrawals(all) {
		lines = append(lines, withdrawalText(w))
	}
	return lines
}

// placeText says of a place that was withdrawn why it no longer holds an
// artifact.
func placeText(w jsonv1.TraceWithdrawal) string {
	return fmt.Sprintf("%s, withdrawn in entry %d by %s: %s", w.Location, w.Entry, w.Handle, account.Short(w.Reason))
}

// TaintLines say why an artifact is tainted, and how: each cause in a line, its
// path in the next.
func TaintLines(t *jsonv1.Taint) []string {
	var lines []string
	for _, c := range t.Causes {
		lines = append(lines, causeText(c), pathText(c.Path, false))
	}
	if t.More > 0 {
		lines = append(lines, fmt.Sprintf("and %d more withdrawals reach it", t.More))
	}
	return lines
}

// fallenText says what fell, and why: of the artifact itself, or of one that it
// was made of.
func fallenText(c jsonv1.FallenCause) string {
	return account.FallenText(c.Name+"@"+c.Version, c.Steps, c.Entry, c.Detail)
}

// causeText says what taints an artifact.
func causeText(c jsonv1.TaintCause) string {
	return account.CauseText(c.At, c.Steps, &lineage.Withdrawal{Entry: c.Entry, Target: statement.TargetContents, Effect: c.Effect, Reason: c.Reason, Handle: c.Handle})
}

// pathText tells a path, leaving out the middle of a long one.
func pathText(path []jsonv1.TaintStep, all bool) string {
	steps := make([]lineage.Step, len(path))
	for i, s := range path {
		steps[i] = lineage.Step{Ref: statement.Ref{Name: s.Name, Version: s.Version}, Way: s.Way}
		if s.Entry != nil {
			steps[i].Entry = *s.Entry
		}
	}
	return account.PathText(steps, all)
}

// evaluationText says what was measured.
func evaluationText(e jsonv1.TraceEvaluation) string {
	const most = 4
	var parts []string
	for i, name := range slices.Sorted(maps.Keys(e.Metrics)) {
		if i == most {
			parts = append(parts, fmt.Sprintf("%d more", len(e.Metrics)-i))
			break
		}
		parts = append(parts, name+" "+e.Metrics[name])
	}
	text := fmt.Sprintf("%s on %s, says %s in entry %d", strings.Join(parts, ", "), terminal.Some(e.Datasets, 2), account.SignerText(e.Signer), e.Entry)
	if e.Standing != "good" {
		text += " (signer " + e.Standing + ": it counts for nothing)"
	}
	return text
}

// originText says how an artifact, stamped by that entry, was made.
func (m *treeMaker) originText(o *origin, stamped uint64) string {
	text := ""
	switch o.Way {
	case lineage.WayRun:
		text = "made by " + runText(m.runs[o.Run], o.Run)
	case lineage.WayFrom:
		text = "derived from " + m.these(o)
	case lineage.WayCollection:
		text = "a collection of " + m.these(o)
		if m.down {
			text = "a collection with it"
		}
	default:
		text = o.Way
	}
	if o.Entry != stamped || o.Fallen != "" {
		text += fmt.Sprintf("; entry %s by %s", strconv.FormatUint(o.Entry, 10), account.SignerText(o.Signer))
	}
	if o.Of != "" {
		text += ", of the same bytes as " + o.Of
	}
	return text
}

// these are the inputs of an origin: what stands below it, or, downwards, what
// stands above.
func (m *treeMaker) these(o *origin) string {
	if m.down {
		return "it"
	}
	return terminal.Plural(uint64(len(o.inputs)), "artifact")
}

// claimText says who claims what, in a few words.
func (m *treeMaker) claimText(o *origin) string {
	switch o.Way {
	case lineage.WayRun:
		return "run " + account.ShortRun(o.Run) + " by " + account.SignerText(o.Signer)
	case lineage.WayImport:
		return "import by " + account.SignerText(o.Signer)
	}
	return o.Way + " by " + account.SignerText(o.Signer)
}

// runText tells a run in one line.
func runText(r *jsonv1.TraceRun, id string) string {
	text := "run " + account.ShortRun(id)
	if r == nil {
		return text
	}
	text += ", " + r.Observation
	if r.Exit != nil {
		text += fmt.Sprintf(", exit %d", *r.Exit)
	} else if r.Failed {
		text += ", failed"
	}
	if r.Commit != "" {
		text += ", code " + r.Commit[:12]
		if r.Dirty {
			text += " (dirty)"
		}
	}
	return text
}

// marksText says how many of some artifacts are withdrawn, tainted or in a stage.
func marksText(c jsonv1.TraceCount) string {
	var parts []string
	for _, p := range []struct {
		n    uint64
		word string
	}{{c.Untrusted, "not trusted"}, {c.Withdrawn, "withdrawn"}, {c.Tainted, "tainted"}, {c.Staged, "in a stage"}} {
		switch {
		case p.n == 0:
		case p.n == c.Artifacts && p.n > 1:
			parts = append(parts, "all "+p.word)
		default:
			parts = append(parts, terminal.Count(p.n)+" "+p.word)
		}
	}
	return strings.Join(parts, ", ")
}
