package main

import (
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/internal/trace"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

func hexOf(sum [32]byte) string { return hex.EncodeToString(sum[:]) }

// originPairs say what an artifact was made of, as far as somebody said so;
// without what the stamp in an entry says, which is told already.
func originPairs(c *account.Account, told uint64) []terminal.Pair {
	if len(c.Origins) == 0 {
		return []terminal.Pair{{Key: "origin", Value: "none recorded: what it was made of is not known", Style: terminal.Caution}}
	}
	var pairs []terminal.Pair
	switch said := slices.ContainsFunc(c.Origins, func(o lineage.Origin) bool { return o.Counts }); {
	case lineage.Known(c.Origins):
	case said:
		pairs = append(pairs, terminal.Pair{Key: "origin", Value: "said only by keys without standing: that carries taint, and makes nothing known", Style: terminal.Caution})
	default:
		pairs = append(pairs, terminal.Pair{Key: "origin", Value: "none recorded that counts: what it was made of is not known", Style: terminal.Caution})
	}
	for i := range c.Origins {
		o := &c.Origins[i]
		if o.Entry == told && o.Counts && o.Fallen == "" && o.Way != lineage.WayRun {
			continue
		}
		p := terminal.Pair{Key: "origin", Value: originText(o, c.Ref)}
		if o.Fallen != "" {
			p = terminal.Pair{Key: "said", Value: p.Value + "; without standing: " + o.Fallen, Style: terminal.Dim}
		}
		if !o.Counts {
			p = terminal.Pair{Key: "claim", Value: p.Value + "; does not count: " + o.Why, Style: terminal.Dim}
		}
		pairs = append(pairs, p)
	}
	return pairs
}

// originInputs is how many inputs of one origin a person is shown.
const originInputs = 8

// originText says what an origin says, in one line.
func originText(o *lineage.Origin, of statement.Ref) string {
	text := ""
	switch o.Way {
	case lineage.WayRun:
		text = fmt.Sprintf("run %s, entry %d by %s: %s, %s%s", o.RunID, o.Entry, o.Handle, o.Run.Observation, exitText(o.Run), orNothing(", took ", took(o.Run)))
		if o.Run.Code != nil {
			text += ", code " + codeText(o.Run.Code)
		}
		if len(o.Inputs) == 0 {
			text += ", without inputs"
		}
	case lineage.WayCollection:
		return fmt.Sprintf("a collection of %s, entry %d by %s", terminal.Plural(uint64(len(o.Inputs)), "artifact"), o.Entry, o.Handle)
	case lineage.WayImport:
		text = fmt.Sprintf("a foreign statement, imported in entry %d by %s", o.Entry, o.Handle)
	default:
		text = fmt.Sprintf("derived, as the stamp in entry %d by %s says", o.Entry, o.Handle)
	}
	if o.Of != of {
		text += ", of the same bytes as " + o.Of.String()
	}
	if len(o.Inputs) > 0 {
		text += ", from " + refsText(o.Inputs, originInputs)
	}
	return text
}

// took is how long a run took, as its signer's machine says; empty where nobody
// said when it began.
func took(run *statement.Run) string {
	switch {
	case run.Finished > run.Started: // in milliseconds
	case run.Observation == statement.ObservationReported:
		return ""
	default:
		return "less than 1 ms"
	}
	return terminal.Duration(time.Duration(run.Finished-run.Started) * time.Millisecond)
}

// codeText names the code of a run.
func codeText(c *statement.Code) string {
	text := c.Commit[:min(len(c.Commit), 12)]
	if c.Dirty {
		text += " with uncommitted changes"
	}
	return text
}

// taintPairs say whether an artifact is tainted, and how.
func taintPairs(c *account.Account) []terminal.Pair {
	switch {
	case c.Judged.Taint != nil:
		return taintedPairs("TAINTED", account.TaintJSON(c.Judged.Taint))
	case c.Judged.Unknown:
		return []terminal.Pair{{Key: "taint", Value: "not known: more was recorded of what it was made of than is walked", Style: terminal.Caution}}
	case !lineage.Known(c.Origins):
		return []terminal.Pair{{Key: "taint", Value: "none known, and its origin is not recorded"}}
	}
	return []terminal.Pair{{Key: "taint", Value: "none known"}}
}

// againstPairs tell what is wrong with an artifact beside its taint and its own
// withdrawals: stamps that count for nothing, members that are withdrawn.
func againstPairs(c *account.Account) []terminal.Pair {
	var pairs []terminal.Pair
	key := "against it"
	for _, line := range c.Against() {
		pairs = append(pairs, terminal.Pair{Key: key, Value: line, Style: terminal.Bad})
		key = " "
	}
	return pairs
}

// untaintedPairs are taintPairs of what has no taint: else it is told already.
func untaintedPairs(c *account.Account) []terminal.Pair {
	if c.Judged.Taint != nil {
		return nil
	}
	return taintPairs(c)
}

// taintedPairs are the causes of a taint, each with its path below it.
func taintedPairs(key string, t *jsonv1.Taint) []terminal.Pair {
	var pairs []terminal.Pair
	for _, line := range trace.TaintLines(t) {
		pairs = append(pairs, terminal.Pair{Key: key, Value: line, Style: terminal.Bad})
		key = " "
	}
	return pairs
}

// decisionPairs list approvals and rejections: of one stage, or of all where it
// is empty.
func (r *reading) decisionPairs(list []account.Decision, stage string) []terminal.Pair {
	var pairs []terminal.Pair
	for i := range list {
		d := &list[i]
		p := d.Statement.Approval
		if stage != "" && p.Stage != stage {
			continue
		}
		pair := terminal.Pair{Key: decisionWord(p.Decision), Value: fmt.Sprintf("for %s by %s, entry %d", p.Stage, r.Signer(d.Entry).Handle, d.Index)}
		pair.Value += orNothing(": ", p.Reason)
		switch s := r.Standing(d.Entry); {
		case !s.OK:
			pair.Value, pair.Style = pair.Value+"; counts for nothing: "+s.Detail, terminal.Dim
		case d.Superseded != nil:
			pair.Value, pair.Style = fmt.Sprintf("%s; decided again in entry %d", pair.Value, *d.Superseded), terminal.Dim
		case p.Decision == statement.DecisionReject:
			pair.Style = terminal.Bad
		}
		pairs = append(pairs, pair)
	}
	return pairs
}

// releasePairs tell how an artifact came into stages and left them.
func (a *app) releasePairs(r *reading, c *account.Account) []terminal.Pair {
	var pairs []terminal.Pair
	for _, s := range c.Releases {
		p := s.Statement.Release
		text := fmt.Sprintf("%s, entry %d by %s: ", a.term.Time(s.Time), s.Index, r.Signer(s.Entry).Handle)
		switch {
		case s.Statement.Subject[0].Name != c.Ref.String():
			text += fmt.Sprintf("left %s, replaced by %s", p.Stage, s.Statement.Subject[0].Name)
		case p.Action == statement.ActionLeave:
			text += "left " + p.Stage
		default:
			text += "joined " + p.Stage
			if len(p.Replaces) > 0 {
				text += ", replacing " + refsText(p.Replaces, originInputs)
			}
		}
		text += orNothing(": ", p.Reason)
		pair := terminal.Pair{Key: "released", Value: text}
		if st := r.Standing(s.Entry); !st.OK {
			pair.Value, pair.Style = text+"; signed without standing: "+st.Detail, terminal.Bad
		}
		pairs = append(pairs, pair)
	}
	return pairs
}

// stagePairs say where an artifact is released now.
func stagePairs(c *account.Account) []terminal.Pair {
	var stages []string
	for _, s := range c.Stages {
		stages = append(stages, s.Name)
	}
	if len(stages) == 0 {
		return nil
	}
	return []terminal.Pair{{Key: "is in", Value: strings.Join(stages, ", "), Style: terminal.Accent}}
}

// importPairs list what foreign keys claim.
func (r *reading) importPairs(c *account.Account) []terminal.Pair {
	var pairs []terminal.Pair
	for _, s := range c.Imports {
		m := s.Statement.Import
		who := "the key " + hexOf(m.Key.SHA256)[:12]
		if m.Key.Subject != "" {
			who = m.Key.Subject + " (" + who + ")"
		}
		text := fmt.Sprintf("%s, signed by %s, entry %d by %s", m.Format, who, s.Index, r.Signer(s.Entry).Handle)
		if n := len(m.Ignored); n > 0 {
			text += fmt.Sprintf(", leaves out %s: %s", terminal.Plural(uint64(n), "path"), terminal.Some(m.Ignored, originInputs))
		}
		pair := terminal.Pair{Key: "imported", Value: text}
		if st := r.Standing(s.Entry); !st.OK {
			pair.Value, pair.Style = text+"; imported without standing: "+st.Detail, terminal.Dim
		}
		pairs = append(pairs, pair)
	}
	return pairs
}

// usesPairs count what was made of an artifact.
func usesPairs(u jsonv1.Uses) []terminal.Pair {
	var pairs []terminal.Pair
	if u.All > 0 {
		text := fmt.Sprintf("%s in one step", terminal.Plural(u.Direct, "artifact"))
		all := terminal.Count(u.All)
		if u.Cut {
			all = "more than " + all
		}
		if u.All > u.Direct || u.Cut {
			text += fmt.Sprintf(", %s in all", all)
		}
		pairs = append(pairs, terminal.Pair{Key: "used for", Value: text + " (" + account.KindsText(u.Kinds) + "); `stele trace --down` shows them"})
	}
	if u.Claims > 0 {
		pairs = append(pairs, terminal.Pair{Key: "claimed by", Value: terminal.Plural(u.Claims, "artifact") + " besides, which does not count", Style: terminal.Dim})
	}
	return pairs
}

// printEvaluations is the table of what was measured.
func (a *app) printEvaluations(r *reading, list []account.Said) {
	var rows [][]terminal.Cell
	for _, s := range list {
		m := s.Statement.Evaluation
		who := terminal.Cell{Text: r.Signer(s.Entry).Handle}
		if st := r.Standing(s.Entry); !st.OK {
			who = terminal.Cell{Text: who.Text + " (" + st.State + ")", Style: terminal.Bad}
		}
		for i, name := range sortedKeys(m.Metrics) {
			if i > 0 {
				rows = append(rows, terminal.Row(name, string(m.Metrics[name])))
				continue
			}
			rows = append(rows, terminal.Row(name, string(m.Metrics[name]), refsText(m.Datasets, 1), entryText(s.Index), who))
		}
	}
	if len(rows) > 0 {
		a.term.Printf("\n")
		a.term.Table([]terminal.Column{{Title: "METRIC", Trim: terminal.TrimMiddle}, {Title: "VALUE", Right: true}, {Title: "MEASURED ON", Trim: terminal.TrimMiddle},
			{Title: "ENTRY", Right: true}, {Title: "BY"}}, rows)
	}
}
