package trace

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/terminal"
)

// mostHeads is how many of several artifacts that were named are told in full.
const mostHeads = 5

// printer writes a trace on a terminal.
type printer struct {
	term *terminal.Terminal
}

// Print writes a trace for a person: what was named, what became of it, how much
// there is, then the trees.
func Print(term *terminal.Terminal, t *jsonv1.Trace, o Reach) {
	p := printer{term}
	summary := p.summary(t, o)
	nodes := map[string]*jsonv1.TraceNode{}
	for i := range t.Nodes {
		nodes[t.Nodes[i].ID] = &t.Nodes[i]
	}
	for i, id := range t.Roots {
		if i == mostHeads && !o.All && len(t.Roots) > mostHeads+1 {
			p.term.Printf("… and %s more\n", terminal.Count(uint64(len(t.Roots)-i)))
			break
		}
		pairs := p.headOf(t, nodes[id], o)
		if len(t.Roots) == 1 {
			pairs, summary = append(pairs, summary...), nil
		}
		p.term.KeyValues(pairs)
	}
	switch {
	case len(t.Roots) == 0:
		p.printRun(&t.Runs[0], summary)
	case summary != nil:
		p.term.Printf("together\n")
		p.term.KeyValues(summary)
	}
	if t.Unknown {
		p.term.Warnf("more is recorded than is walked: what is not known to be tainted may be")
	}
	if o.Up || len(t.Roots) == 0 {
		p.printTrees("Made of", treeOf(t, o, false, p.timeOf), "%s has no recorded origin: what it was made of is unknown.")
	}
	if o.Down && len(t.Roots) > 0 {
		p.printTrees("Used in", treeOf(t, o, true, p.timeOf), "Nothing on this ledger says that it was made of %s.")
	}
}

// timeOf writes a time in the person's zone.
func (p printer) timeOf(t jsonv1.Time) string { return p.term.TimeText(string(t)) }

// printTrees draws one direction; of an artifact where nothing is recorded, not
// even a claim that does not count, it says so.
func (p printer) printTrees(title string, m *treeMaker, nothing string) {
	var roots []*sprout
	var bare []string
	for _, id := range m.t.Roots {
		if len(m.said[id]) == 0 {
			bare = append(bare, id)
			continue
		}
		roots = append(roots, &sprout{id: id})
	}
	defer func() {
		for _, id := range bare {
			p.term.Printf("\n"+nothing+"\n", id)
		}
	}()
	if len(roots) == 0 && len(m.t.Roots) > 0 {
		return
	}
	p.term.Heading(title)
	if len(roots) == 0 { // a run without outputs
		run := &m.t.Runs[0]
		s := &sprout{node: terminal.Node{Text: "run " + run.Run, Style: terminal.Bold}}
		s.kids = m.kids(run.Inputs, 1)
		if len(run.Inputs) == 0 {
			s.note(terminal.Dim, "no inputs are recorded")
		}
		roots = append(roots, s)
	}
	for _, tree := range m.draw(roots) {
		p.term.Tree(tree)
	}
}

// headOf is what is to be known of an artifact that was named. It writes the
// name itself.
func (p printer) headOf(t *jsonv1.Trace, n *jsonv1.TraceNode, o Reach) (pairs []terminal.Pair) {
	p.term.Printf("%s\n", p.term.Style(terminal.Bold, n.ID))
	add := func(style terminal.Style, key, value string) {
		pairs = append(pairs, terminal.Pair{Key: key, Value: value, Style: style})
	}
	add(terminal.Plain, "artifact", fmt.Sprintf("%s, %s in %s", n.Kind, terminal.Bytes(n.Bytes), terminal.Plural(n.Files, "file")))
	marks := marksOf(n)
	if len(marks) == 0 {
		add(terminal.Good, "standing", "good")
	}
	for _, m := range marks {
		add(m.Style, "standing", m.Text)
	}
	if f := n.Fallen; f != nil {
		for i, c := range f.Causes {
			if i == 3 && !o.All {
				add(terminal.Plain, "and", terminal.Plural(uint64(len(f.Causes)-i), "more")+map[bool]string{true: " or more"}[f.More]+"; --all and --json name them")
				break
			}
			add(terminal.Bad, "not trusted", fallenText(c))
			if len(c.Path) > 2 {
				add(terminal.Plain, "path", pathText(c.Path, o.All))
			}
		}
	}
	for _, w := range toldWithdrawals(n.Withdrawn) {
		add(terminal.Plain, "withdrawn", strings.TrimPrefix(withdrawalText(w), "withdrawn "))
	}
	if n.Taint != nil {
		for i, c := range n.Taint.Causes {
			if i == 3 && !o.All {
				add(terminal.Plain, "and by", terminal.Plural(uint64(len(n.Taint.Causes)-i+n.Taint.More), "more withdrawal")+"; --all and --json name them")
				break
			}
			add(terminal.Plain, "tainted by", causeText(c))
			if len(c.Path) > 2 {
				add(terminal.Plain, "path", pathText(c.Path, o.All))
			}
		}
	}
	for _, s := range n.Stages {
		add(terminal.Accent, "in stage", fmt.Sprintf("%s since %s, entry %d", s.Stage, p.timeOf(s.Time), s.Entry))
	}
	for i, e := range n.Evaluations {
		if i == mostHeads && !o.All {
			add(terminal.Dim, "and", terminal.Plural(uint64(len(n.Evaluations)-i), "more evaluation"))
			break
		}
		add(terminal.Plain, "evaluated", evaluationText(e))
	}
	for i, w := range n.Places {
		if i == mostHeads && !o.All {
			add(terminal.Dim, "and", terminal.Plural(uint64(len(n.Places)-i), "more withdrawn place"))
			break
		}
		add(terminal.Caution, "not at", placeText(w))
	}
	add(terminal.Plain, "stamped", fmt.Sprintf("by %s at %s, entry %d", account.SignerText(n.Signer), p.timeOf(n.Time), n.Entry))
	add(terminal.Plain, "fingerprint", n.Fingerprint)
	for _, s := range t.Since {
		if s.ID == n.ID {
			add(terminal.Bad, "since then", s.What)
		}
	}
	return pairs
}

// printRun writes what is to be known of a run that made nothing.
func (p printer) printRun(r *jsonv1.TraceRun, summary []terminal.Pair) {
	end := "it made nothing"
	if r.Failed {
		end = "it FAILED, and made nothing"
	}
	p.term.Printf("%s: %s\n", p.term.Style(terminal.Bold, "run "+r.Run), p.term.Style(terminal.Caution, end))
	pairs := []terminal.Pair{
		{Key: "recorded", Value: fmt.Sprintf("by %s at %s, entry %d (%s)", account.SignerText(r.Signer), p.timeOf(r.Time), r.Entry, r.Observation)},
		{Key: "ran", Value: fmt.Sprintf("from %s to %s, as the signer's machine says", p.timeOf(r.Started), p.timeOf(r.Finished))},
	}
	if r.Exit != nil {
		pairs = append(pairs, terminal.Pair{Key: "exit status", Value: fmt.Sprint(*r.Exit)})
	}
	pairs = append(pairs, terminal.Pair{Key: "attempt of", Value: r.AttemptOf})
	p.term.KeyValues(append(pairs, summary...))
}

// summary says how much there is in each direction, and as of when.
func (p printer) summary(t *jsonv1.Trace, o Reach) (pairs []terminal.Pair) {
	count := func(key string, c jsonv1.TraceCount) {
		text, style := "nothing that is recorded", terminal.Plain
		if c.Artifacts > 0 {
			text = terminal.Plural(c.Artifacts, "artifact") + ": " + account.KindsText(c.Kinds)
			if c.More {
				text = "more than " + text
			}
		}
		if marks := marksText(c); marks != "" {
			text += "; " + marks
		}
		if c.Untrusted+c.Withdrawn+c.Tainted > 0 {
			style = terminal.Bad
		}
		if c.NoOrigin > 0 {
			text += fmt.Sprintf("; %s without recorded origin", terminal.Count(c.NoOrigin))
		}
		pairs = append(pairs, terminal.Pair{Key: key, Value: text, Style: style})
	}
	if o.Up || len(t.Roots) == 0 {
		count("made of", t.Counts.Up)
	}
	if o.Down && len(t.Roots) > 0 {
		count("used in", t.Counts.Down)
	}
	if o.Down {
		pairs = append(pairs, reaches(t)...)
	}
	return append(pairs, terminal.Pair{
		Key: "as of", Value: fmt.Sprintf("%s of %s, the last at %s", terminal.Plural(t.AsOf.Size, "entry", "entries"), t.AsOf.Origin, p.timeOf(t.AsOf.Time)),
	})
}

// reaches tells which stages hold something that was made of what was named: what
// is tainted first.
func reaches(t *jsonv1.Trace) (pairs []terminal.Pair) {
	var staged []*jsonv1.TraceNode
	for i := range t.Nodes {
		if n := &t.Nodes[i]; n.Down != nil && *n.Down > 0 && len(n.Stages) > 0 {
			staged = append(staged, n)
		}
	}
	slices.SortStableFunc(staged, func(a, b *jsonv1.TraceNode) int { return cmp.Compare(worth(a), worth(b)) })
	for i, n := range staged {
		if i == mostHeads && len(staged) > mostHeads+1 {
			return append(pairs, terminal.Pair{Key: "and", Value: terminal.Plural(uint64(len(staged)-i), "more artifact") + " in stages; --json names them"})
		}
		var words []string
		for _, m := range append(marksOf(n), stagesOf(n)...) {
			words = append(words, m.Text)
		}
		style := terminal.Plain
		if bad(n) {
			style = terminal.Bad
		}
		pairs = append(pairs, terminal.Pair{Key: "reaches", Value: n.ID + ": " + strings.Join(words, ", "), Style: style})
	}
	return pairs
}

func worth(n *jsonv1.TraceNode) int {
	if bad(n) {
		return 0
	}
	return 1
}
