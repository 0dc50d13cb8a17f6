package trace

import (
	"fmt"
	"strings"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/terminal"
)

// Dot is a trace as a graph for Graphviz (https://graphviz.org/doc/info/lang.html):
// artifacts as boxes, runs as ellipses, arrows from what was used to what was
// made of it. What does not count is dotted. Times are written by clock.
func Dot(t *jsonv1.Trace, clock func(jsonv1.Time) string) string {
	var b strings.Builder
	b.WriteString("digraph lineage {\n  rankdir=LR;\n  node [shape=box, style=\"filled,rounded\", fillcolor=white, fontname=\"sans-serif\"];\n  edge [fontname=\"sans-serif\"];\n")
	known := map[string]bool{}
	for i := range t.Nodes {
		dotNode(&b, &t.Nodes[i], clock)
		known[t.Nodes[i].ID] = true
	}
	for _, m := range t.Missing {
		if !known[m.ID] {
			known[m.ID] = true
			fmt.Fprintf(&b, "  %s [label=%s, color=red];\n", dotText(m.ID), dotText(m.ID, "NOT ON THIS LEDGER"))
		}
	}
	runs := map[string]*jsonv1.TraceRun{}
	for i := range t.Runs {
		r := &t.Runs[i]
		runs[r.Run] = r
		text := []string{runText(r, r.Run), "entry " + fmt.Sprint(r.Entry) + " by " + account.SignerText(r.Signer)}
		fmt.Fprintf(&b, "  %s [shape=ellipse, label=%s];\n", dotText("run "+r.Run), dotText(text...))
	}
	drawn := map[string]bool{}
	line := func(from, to, label string, e *jsonv1.TraceEdge) {
		attributes := "label=" + dotText(label)
		if e.Fallen != "" {
			attributes = "style=dashed, label=" + dotText(strings.TrimSpace(label+" "+"said without standing"), e.Fallen)
		}
		if !e.Counts {
			attributes = "style=dotted, label=" + dotText(strings.TrimSpace(label+" "+"not counted"), e.Why)
		}
		text := fmt.Sprintf("  %s -> %s [%s];\n", dotText(from), dotText(to), attributes)
		if !drawn[text] {
			drawn[text] = true
			b.WriteString(text)
		}
	}
	for i := range t.Edges {
		e := &t.Edges[i]
		for _, id := range []string{e.Input, e.Output} { // of what is not walked
			if !known[id] {
				known[id] = true
				fmt.Fprintf(&b, "  %s [label=%s, style=dashed];\n", dotText(id), dotText(id))
			}
		}
		if e.Run == "" {
			line(e.Input, e.Output, e.Way, e)
			continue
		}
		run := "run " + e.Run
		line(e.Input, run, "", &jsonv1.TraceEdge{Counts: true})
		line(run, e.Output, "", e)
	}
	if len(t.Roots) == 0 {
		for _, input := range t.Runs[0].Inputs {
			if known[input] {
				line(input, "run "+t.Runs[0].Run, "", &jsonv1.TraceEdge{Counts: true})
			}
		}
	}
	b.WriteString("}\n")
	return b.String()
}

func dotNode(b *strings.Builder, n *jsonv1.TraceNode, clock func(jsonv1.Time) string) {
	lines := []string{n.ID}
	var words []string
	for _, m := range append(marksOf(n), stagesOf(n)...) {
		words = append(words, m.Text)
	}
	if len(words) > 0 {
		lines = append(lines, strings.Join(words, ", "))
	}
	lines = append(lines, fmt.Sprintf("%s by %s, entry %d", n.Kind, account.SignerText(n.Signer), n.Entry), clock(n.Time))
	if n.Fallen != nil {
		lines = append(lines, fallenText(n.Fallen.Causes[0]))
	}
	for _, w := range toldWithdrawals(n.Withdrawn) {
		lines = append(lines, withdrawalText(w))
	}
	if n.Origin != account.OriginRecorded {
		lines = append(lines, "no recorded origin")
	}
	colour := map[bool]string{true: "mistyrose", false: "white"}[n.Taint != nil]
	if n.Fallen != nil {
		colour = "plum"
	} else if len(n.Withdrawn) > 0 {
		colour = "salmon"
	} else if n.Taint == nil && len(n.Stages) > 0 {
		colour = "palegreen"
	}
	fmt.Fprintf(b, "  %s [label=%s, fillcolor=%s%s];\n", dotText(n.ID), dotText(lines...), colour, map[bool]string{true: ", penwidth=2"}[n.Up != nil && *n.Up == 0 || n.Down != nil && *n.Down == 0])
}

// dotText quotes lines of text as one string of the graph: what is in them is
// harmless in a terminal, and can neither end the string nor, as a backslash or
// an ampersand, mean anything else to Graphviz.
func dotText(lines ...string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i, l := range lines {
		if i > 0 {
			b.WriteString(`\n`)
		}
		b.WriteString(strings.NewReplacer(`\`, `\\`, `"`, `\"`, `&`, `&amp;`).Replace(terminal.Clean(l)))
	}
	b.WriteByte('"')
	return b.String()
}
