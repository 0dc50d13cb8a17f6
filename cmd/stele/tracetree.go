package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/terminal"
)

// What a person sees of a lineage, unless --all.
const (
	traceDepth   = 6  // generations
	traceFurther = 6  // and so many more towards what is withdrawn
	traceWidth   = 8  // of what stands below one artifact; twice as many that are withdrawn or tainted
	traceBudget  = 64 // in each direction
	traceClaims  = 3  // that do not count, below one artifact
)

// treeMaker draws one direction of a trace. An artifact is unfolded once, where
// it stands nearest to a root; elsewhere it is referred to.
type treeMaker struct {
	a     *app
	t     *jsonv1.Trace
	down  bool
	all   bool
	depth int

	nodes  map[string]*jsonv1.TraceNode
	runs   map[string]*jsonv1.TraceRun
	said   map[string][]*origin // upwards by output, downwards by input
	absent map[string]bool

	budget int
	shown  map[string]*sprout // where each artifact is unfolded
	lines  map[*sprout]int    // the place of each in the drawing
}

// origin is what one entry says: output was made of inputs.
type origin struct {
	jsonv1.TraceEdge
	inputs []string
}

// sprout is a line of the tree with what hangs below it.
type sprout struct {
	id    string // of an artifact; empty: a remark
	steps int
	again bool // the artifact is unfolded elsewhere
	node  terminal.Node
	kids  []*sprout
}

// bad reports whether an artifact is never folded away silently.
func bad(n *jsonv1.TraceNode) bool {
	return n != nil && (len(n.Withdrawn) > 0 || n.Taint != nil)
}

func (a *app) treeOf(t *jsonv1.Trace, o *traceOrder, down bool) *treeMaker {
	m := &treeMaker{
		a: a, t: t, down: down, all: o.all, depth: o.depth, budget: traceBudget,
		nodes: map[string]*jsonv1.TraceNode{}, runs: map[string]*jsonv1.TraceRun{}, said: map[string][]*origin{},
		absent: map[string]bool{}, shown: map[string]*sprout{}, lines: map[*sprout]int{},
	}
	if m.depth == 0 && !m.all {
		m.depth = traceDepth
	}
	for i := range t.Nodes {
		m.nodes[t.Nodes[i].ID] = &t.Nodes[i]
	}
	for i := range t.Runs {
		m.runs[t.Runs[i].Run] = &t.Runs[i]
	}
	for _, missing := range t.Missing {
		m.absent[missing.ID] = true
	}
	for _, e := range t.Edges {
		at := e.Output
		if down {
			at = e.Input
		}
		list := m.said[at]
		if !down && len(list) > 0 && list[len(list)-1].Entry == e.Entry && list[len(list)-1].Way == e.Way {
			list[len(list)-1].inputs = append(list[len(list)-1].inputs, e.Input)
			continue
		}
		m.said[at] = append(list, &origin{e, []string{e.Input}})
	}
	return m
}

// draw makes the trees of some roots.
func (m *treeMaker) draw(roots []*sprout) []*terminal.Node {
	queue := slices.Clone(roots)
	for i := 0; i < len(queue); i++ {
		queue = append(queue, m.unfold(queue[i])...)
	}
	for _, r := range roots {
		m.number(r)
	}
	trees := make([]*terminal.Node, len(roots))
	for i, r := range roots {
		trees[i] = m.finish(r)
	}
	return trees
}

// unfold hangs below a line what belongs there, and returns it.
func (m *treeMaker) unfold(s *sprout) []*sprout {
	if s.id == "" {
		return s.kids
	}
	if m.shown[s.id] != nil {
		s.again, s.node.Notes = true, nil
		return nil
	}
	m.shown[s.id] = s
	if m.down {
		m.unfoldDown(s)
	} else {
		m.unfoldUp(s)
	}
	return s.kids
}

func (m *treeMaker) unfoldUp(s *sprout) {
	n := m.nodes[s.id]
	var counting, claims []*origin
	for _, o := range m.said[s.id] {
		if o.Counts {
			counting = append(counting, o)
		} else {
			claims = append(claims, o)
		}
	}
	switch {
	case n == nil:
		return
	case n.Origin == originNone:
		s.note(terminal.Dim, "no recorded origin")
	case n.Origin == originNotCounted:
		s.note(terminal.Caution, "no recorded origin that counts")
	}
	if cut := m.tooDeep(s, counting); cut != "" {
		s.note(terminal.Dim, cut)
	} else if len(counting) == 1 {
		s.note(terminal.Plain, m.originText(counting[0], n.Entry))
		s.kids = m.kids(counting[0].inputs, s.steps+1)
	} else {
		for _, o := range counting {
			at := &sprout{steps: s.steps, node: terminal.Node{Text: m.originText(o, n.Entry)}}
			at.kids = m.kids(o.inputs, s.steps+1)
			s.kids = append(s.kids, at)
		}
	}
	m.claims(s, claims, func(o *origin) *sprout {
		text := "not counted: " + m.claimText(o) + ", entry " + terminal.Count(o.Entry)
		return remark(terminal.Caution, text, o.Why, "of "+some(o.inputs, 4))
	})
}

func (m *treeMaker) unfoldDown(s *sprout) {
	var counting, claims []*origin
	for _, o := range m.said[s.id] {
		if o.Counts {
			counting = append(counting, o)
		} else {
			claims = append(claims, o)
		}
	}
	if cut := m.tooDeep(s, counting); cut != "" {
		s.note(terminal.Dim, cut)
	} else {
		how := map[string]*origin{}
		var outputs []string
		for _, o := range counting {
			if how[o.Output] == nil {
				how[o.Output] = o
				outputs = append(outputs, o.Output)
			}
		}
		s.kids = m.kids(outputs, s.steps+1)
		for _, k := range s.kids {
			if o := how[k.id]; o != nil && m.nodes[k.id] != nil {
				k.note(terminal.Plain, m.originText(o, m.nodes[k.id].Entry))
			}
		}
	}
	m.claims(s, claims, func(o *origin) *sprout {
		text := "not counted: " + o.Output + ", " + m.claimText(o) + ", entry " + terminal.Count(o.Entry)
		return remark(terminal.Caution, text, o.Why)
	})
}

// tooDeep says what is left out below a line that is too far away from the
// roots; it is empty for one that is not. Towards what is withdrawn the tree
// goes further.
func (m *treeMaker) tooDeep(s *sprout, counting []*origin) string {
	limit := m.depth
	if limit == 0 {
		return ""
	}
	n := m.nodes[s.id]
	if !m.down && n.Taint != nil && m.depth == traceDepth {
		limit += traceFurther
	}
	if s.steps < limit {
		return ""
	}
	set := map[string]bool{}
	for _, o := range counting {
		if m.down {
			set[o.Output] = true
			continue
		}
		for _, input := range o.inputs {
			set[input] = true
		}
	}
	word := "made of"
	if m.down {
		word = "used in"
	}
	if len(set) == 0 {
		return "" // nothing is there
	}
	return fmt.Sprintf("… %s %s; --depth and --all show more", word, terminal.Plural(uint64(len(set)), "artifact"))
}

// kids are the artifacts below a line: what is withdrawn first, then what is
// tainted, what is in a stage, the rest; those that do not fit are counted.
func (m *treeMaker) kids(ids []string, steps int) (list []*sprout) {
	ids = slices.Clone(ids)
	slices.SortStableFunc(ids, func(a, b string) int { return cmp.Compare(m.rank(a), m.rank(b)) })
	most := len(ids)
	if !m.all {
		marked := 0
		for _, id := range ids {
			if bad(m.nodes[id]) {
				marked++
			}
		}
		most = min(max(traceWidth, min(marked, 2*traceWidth)), max(m.budget, 1))
		if most == len(ids)-1 {
			most++ // a line that counts one is no shorter
		}
		most = min(most, len(ids))
	}
	m.budget -= most
	for _, id := range ids[:most] {
		list = append(list, &sprout{id: id, steps: steps})
	}
	if rest := ids[most:]; len(rest) > 0 {
		list = append(list, m.folded(rest))
	}
	return list
}

func (m *treeMaker) rank(id string) int {
	n := m.nodes[id]
	switch {
	case n == nil:
		return 0 // missing
	case len(n.Withdrawn) > 0:
		return 1
	case n.Taint != nil:
		return 2
	case n.Standing != "good":
		return 3
	case len(n.Stages) > 0:
		return 4
	}
	return 5
}

// folded counts the artifacts that are left out.
func (m *treeMaker) folded(ids []string) *sprout {
	kinds := map[string]uint64{}
	var withdrawn, tainted uint64
	for _, id := range ids {
		n := m.nodes[id]
		if n == nil {
			kinds["artifact"]++
			continue
		}
		kinds[n.Kind]++
		switch {
		case len(n.Withdrawn) > 0:
			withdrawn++
		case n.Taint != nil:
			tainted++
		}
	}
	text := "… " + terminal.Count(uint64(len(ids))) + " more: " + kindsText(kinds)
	if len(kinds) == 1 {
		text = "… " + strings.Replace(kindsText(kinds), " ", " more ", 1)
	}
	style := terminal.Dim
	if marks := marksText(withdrawn, tainted, uint64(len(ids))); marks != "" {
		text, style = text+"; "+marks, terminal.Bad
	}
	return remark(style, text+"; --all shows them")
}

// claims hangs what does not count below a line: a few, for anybody may claim.
func (m *treeMaker) claims(s *sprout, list []*origin, show func(*origin) *sprout) {
	most := len(list)
	if !m.all && most > traceClaims+1 {
		most = traceClaims
	}
	for _, o := range list[:most] {
		s.kids = append(s.kids, show(o))
	}
	if rest := len(list) - most; rest > 0 {
		s.kids = append(s.kids, remark(terminal.Dim, fmt.Sprintf("… %s more that do not count; --all shows them", terminal.Count(uint64(rest)))))
	}
}

// remark is a line that is no artifact.
func remark(style terminal.Style, text string, notes ...string) *sprout {
	s := &sprout{node: terminal.Node{Text: text, Style: style}}
	for _, n := range notes {
		s.note(terminal.Dim, n)
	}
	return s
}

func (s *sprout) note(style terminal.Style, text string) {
	s.node.Notes = append(s.node.Notes, terminal.Cell{Text: text, Style: style})
}

// number gives each line its place, so that a reference can say where to look.
func (m *treeMaker) number(s *sprout) {
	m.lines[s] = len(m.lines)
	for _, k := range s.kids {
		m.number(k)
	}
}

// finish makes the lines themselves.
func (m *treeMaker) finish(s *sprout) *terminal.Node {
	if s.id != "" {
		m.label(s)
	}
	for _, k := range s.kids {
		s.node.Children = append(s.node.Children, m.finish(k))
	}
	return &s.node
}

// label writes an artifact's line, and what is told of it below.
func (m *treeMaker) label(s *sprout) {
	n := m.nodes[s.id]
	s.node.Text, s.node.Trim = s.id, terminal.TrimMiddle
	if n == nil {
		text := "not walked"
		if m.absent[s.id] {
			text = "NOT ON THIS LEDGER"
		}
		s.node.Marks = []terminal.Cell{{Text: text, Style: terminal.Bad}}
		return
	}
	s.node.Marks = append(marksOf(n), stagesOf(n)...)
	switch {
	case s.again && m.lines[m.shown[s.id]] < m.lines[s]:
		s.node.Detail = "see above"
		return
	case s.again:
		s.node.Detail = "see below"
		return
	case s.steps == 0:
		s.node.Style = terminal.Bold
		return // the head says the rest
	}
	s.node.Detail = fmt.Sprintf("%s by %s, %s, entry %s", n.Kind, n.Signer.Handle, m.a.timeOf(n.Time), terminal.Count(n.Entry))
	var notes []terminal.Cell
	for _, w := range n.Withdrawn {
		notes = append(notes, terminal.Cell{Text: withdrawalText(w), Style: terminal.Bad})
	}
	if n.Taint != nil && !m.leads(s.id, n.Taint.Causes[0]) {
		notes = append(notes, terminal.Cell{Text: "by " + causeText(n.Taint.Causes[0]), Style: terminal.Bad})
	}
	for i, e := range n.Evaluations {
		if i == 2 && !m.all {
			notes = append(notes, terminal.Cell{Text: fmt.Sprintf("… and %s", terminal.Plural(uint64(len(n.Evaluations)-i), "more evaluation")), Style: terminal.Dim})
			break
		}
		notes = append(notes, terminal.Cell{Text: evaluationText(e), Style: terminal.Dim})
	}
	s.node.Notes = append(notes, s.node.Notes...)
}

// leads reports whether what taints an artifact can be followed in the drawing.
func (m *treeMaker) leads(id string, c jsonv1.TaintCause) bool {
	return slices.ContainsFunc(c.Path, func(s jsonv1.TaintStep) bool {
		step := s.Name + "@" + s.Version
		return step != id && m.shown[step] != nil
	})
}
