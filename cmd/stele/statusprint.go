package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/stage"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/internal/trace"
	"github.com/stele-ml/stele/statement"
)

// printStatus tells what is in each stage.
func (a *app) printStatus(o *statusOrder, list []jsonv1.Status) {
	if len(list) == 0 {
		a.term.Notef("nothing was ever released on this ledger")
		return
	}
	at := list[0].At
	when := fmt.Sprintf("now: as of entry %s, %s", entryText(at.Size-1), a.timeOf(at.Time))
	switch {
	case o.moment != 0:
		when = fmt.Sprintf("at %s: as of entry %s, %s", a.term.Time(o.moment), entryText(at.Size-1), a.timeOf(at.Time))
	case o.at != "":
		when = fmt.Sprintf("after entry %s, %s", entryText(at.Size-1), a.timeOf(at.Time))
	}
	a.term.Printf("%s\n", when)
	a.term.Printf("of %s, as the ledger claims\n", at.Origin)
	for i := range list {
		s := &list[i]
		a.term.Heading(s.Stage)
		switch {
		case len(s.Artifacts) == 0:
			a.term.Printf("  nothing is in it\n")
		case o.stage != "" && len(s.Artifacts) <= stage.Few:
			for k := range s.Artifacts {
				a.printMember(o, s.Stage, &s.Artifacts[k], a.momentOf(o, s))
			}
		default:
			a.printStageTable(o, s)
		}
	}
}

// momentOf is what a length of time in a stage runs to: the time that was asked
// for, or now.
func (a *app) momentOf(o *statusOrder, s *jsonv1.Status) int64 {
	switch {
	case o.moment != 0:
		return o.moment
	case o.at != "":
		return milli(s.At.Time)
	}
	return a.now().UnixMilli()
}

// milli is a time of --json in Unix milliseconds; 0 for none.
func milli(t jsonv1.Time) int64 {
	at, err := time.Parse(time.RFC3339Nano, string(t))
	if err != nil {
		return 0
	}
	return at.UnixMilli()
}

// printMember tells all of an artifact in a stage.
func (a *app) printMember(o *statusOrder, stage string, m *jsonv1.StageMember, moment int64) {
	a.term.Printf("%s\n", a.term.Style(terminal.Accent, m.Name+"@"+m.Version))
	since := a.timeOf(m.Since)
	if d := time.Duration(moment-milli(m.Since)) * time.Millisecond; d >= time.Second {
		since += ", " + terminal.Duration(d) + map[bool]string{true: " before", false: " ago"}[o.at != ""]
	}
	pairs := []terminal.Pair{
		{Key: "since", Value: since},
		{Key: "released", Value: fmt.Sprintf("entry %s by %s", terminal.Count(m.Release), signedBy(m.ReleasedBy)) + orNothing(": ", m.Reason)},
		{Key: "replaced", Value: terminal.Some(m.Replaced, originInputs)},
		{Key: "artifact", Value: fmt.Sprintf("%s, %s in %s", m.Kind, terminal.Bytes(m.Bytes), terminal.Plural(m.Files, "file"))},
		{Key: "fingerprint", Value: m.Fingerprint},
		{Key: "stamped", Value: fmt.Sprintf("%s, entry %s by %s", a.timeOf(m.Stamped), entryText(m.Entry), signedBy(m.Signer))},
	}
	pairs = append(pairs, approvalPairs(stage, m.Approvals, m.Signer.Handle)...)
	pairs = append(pairs, terminal.Pair{Key: "standing", Value: memberStanding(m), Style: standingStyle(memberStanding(m))})
	for _, why := range troublesOf(m) {
		pairs = append(pairs, terminal.Pair{Key: " ", Value: why, Style: terminal.Bad})
	}
	switch {
	case m.Taint != nil:
	case m.Standing == standingUnknown:
		pairs = append(pairs, terminal.Pair{Key: "taint", Value: "not known: its lineage is too large to be walked", Style: terminal.Caution})
	case m.Origin != account.OriginRecorded:
		pairs = append(pairs, terminal.Pair{Key: "taint", Value: "none known, and its origin is not recorded", Style: terminal.Caution})
	default:
		pairs = append(pairs, terminal.Pair{Key: "taint", Value: "none known"})
	}
	a.term.KeyValues(append(pairs, a.sincePairs(m)...))
}

// memberStanding is one word on an artifact in a stage: its own, or its
// releaser's, where that is worse.
func memberStanding(m *jsonv1.StageMember) string {
	if m.Releaser != standingGood {
		return "released by a key without standing: " + m.Releaser
	}
	return m.Standing
}

// troublesOf are what is wrong with an artifact in a stage, a line each.
func troublesOf(m *jsonv1.StageMember) []string {
	lines := slices.Clone(m.Why)
	lines = append(lines, trace.WithdrawalLines(m.Withdrawn)...)
	if m.Taint != nil {
		lines = append(lines, trace.TaintLines(m.Taint)...)
	}
	return lines
}

// approvalPairs list who decided on an artifact for the stage it is in.
func approvalPairs(stage string, list []jsonv1.Approval, stamper string) []terminal.Pair {
	var pairs []terminal.Pair
	approved := false
	for _, d := range list {
		if d.Superseded != nil {
			continue
		}
		who := d.Signer.Handle
		if who == stamper {
			who += ", who stamped it"
		}
		pair := terminal.Pair{Key: decisionWord(d.Decision), Value: fmt.Sprintf("by %s, entry %s", who, entryText(d.Entry)) + orNothing(": ", d.Reason)}
		switch {
		case d.Standing != standingGood:
			pair.Value, pair.Style = pair.Value+"; the key is "+d.Standing+", it counts for nothing", terminal.Dim
		case pair.Key == "rejected":
			pair.Style = terminal.Bad
		default:
			approved = true
		}
		pairs = append(pairs, pair)
	}
	if !approved {
		pairs = append(pairs, terminal.Pair{Key: "not approved", Value: "for " + stage})
	}
	return pairs
}

// lastRejections are those that stand, and that no approval came after.
func lastRejections(list []jsonv1.Approval) (last []jsonv1.Approval) {
	for _, d := range list {
		switch {
		case d.Superseded != nil || d.Standing != standingGood:
		case d.Decision == statement.DecisionReject:
			last = append(last, d)
		default:
			last = nil
		}
	}
	return last
}

// sincePairs tell what became of an artifact since the moment asked for.
func (a *app) sincePairs(m *jsonv1.StageMember) []terminal.Pair {
	if m.Now == nil {
		return nil
	}
	var pairs []terminal.Pair
	if l := m.Now.Left; l != nil {
		text := fmt.Sprintf("%s, entry %s by %s", a.timeOf(l.Time), entryText(l.Entry), l.Signer.Handle)
		if l.ReplacedBy != "" {
			text += ", replaced by " + l.ReplacedBy
		}
		pairs = append(pairs, terminal.Pair{Key: "until", Value: text})
	} else {
		pairs = append(pairs, terminal.Pair{Key: "until", Value: "now: it is still there"})
	}
	for _, what := range m.Now.Since {
		pairs = append(pairs, terminal.Pair{Key: "KNOWN NOW", Value: what, Style: terminal.Bad})
	}
	return pairs
}

// printStageTable tells a stage in a table, and below it what does not hold.
func (a *app) printStageTable(o *statusOrder, s *jsonv1.Status) {
	var rows [][]terminal.Cell
	for i := range s.Artifacts {
		m := &s.Artifacts[i]
		standing := memberStanding(m)
		if m.Releaser != standingGood {
			standing = "releaser " + m.Releaser
		}
		cell := terminal.Cell{Text: standing, Style: standingStyle(standing)}
		if m.Now != nil && standing == standingGood && len(m.Now.Since) > 0 {
			cell = terminal.Cell{Text: "good then", Style: terminal.Caution}
		}
		if len(lastRejections(m.Approvals)) > 0 {
			cell = terminal.Cell{Text: cell.Text + ", rejected", Style: terminal.Bad}
		}
		rows = append(rows, terminal.Row(m.Name+"@"+m.Version, a.timeOf(m.Since), m.ReleasedBy.Handle, terminal.Count(m.Release), cell))
	}
	a.term.Table([]terminal.Column{{Title: "NAME@VERSION", Trim: terminal.TrimMiddle}, {Title: "SINCE"}, {Title: "BY"}, {Title: "ENTRY", Right: true}, {Title: "STANDING"}}, rows)
	for i := range s.Artifacts {
		m := &s.Artifacts[i]
		lines := troublesOf(m)
		for _, d := range lastRejections(m.Approvals) {
			lines = append(lines, fmt.Sprintf("rejected for %s by %s, entry %s", s.Stage, d.Signer.Handle, entryText(d.Entry))+orNothing(": ", d.Reason))
		}
		if m.Now != nil {
			for _, what := range m.Now.Since {
				lines = append(lines, "known now: "+what)
			}
		}
		for k, line := range lines {
			if k == 0 {
				a.term.Printf("%s\n", a.term.Style(terminal.Bad, m.Name+"@"+m.Version))
			}
			a.term.Printf("  %s\n", line)
		}
	}
}
