package trace

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/lineage"
)

// What a person sees of a lineage, unless --all. The way from a root to what
// taints it goes on beyond all but the last of these.
const (
	mostDepth  = 6  // generations
	mostWidth  = 8  // below a root; half as many in each generation after it, and at least
	leastWidth = 2  //
	mostBudget = 40 // artifacts in each direction, after which none is unfolded
	mostClaims = 3  // that do not count, below one artifact
	mostAgain  = 2  // that stand elsewhere, below one artifact
	mostWay    = 24 // generations on the way to what taints a root
)

// treeMaker draws one direction of a trace. An artifact is unfolded once, where
// it stands nearest to a root; elsewhere it is referred to.
type treeMaker struct {
	t     *jsonv1.Trace
	clock func(jsonv1.Time) string
	down  bool
	all   bool
	depth int // generations
	given int // --depth, or 0

	nodes  map[string]*jsonv1.TraceNode
	runs   map[string]*jsonv1.TraceRun
	said   map[string][]*origin // upwards by output, downwards by input
	absent map[string]bool

	budget int
	way    map[string]bool    // from a root to what taints it
	met    map[string]bool    // it has a line
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
	return n != nil && (n.Fallen != nil || len(n.Withdrawn) > 0 || n.Taint != nil)
}

func treeOf(t *jsonv1.Trace, o Reach, down bool, clock func(jsonv1.Time) string) *treeMaker {
	m := &treeMaker{
		t: t, clock: clock, down: down, all: o.All, depth: o.Depth, given: o.Depth, budget: mostBudget,
		nodes: map[string]*jsonv1.TraceNode{}, runs: map[string]*jsonv1.TraceRun{}, said: map[string][]*origin{},
		absent: map[string]bool{}, way: map[string]bool{}, met: map[string]bool{}, shown: map[string]*sprout{}, lines: map[*sprout]int{},
	}
	if m.depth == 0 {
		m.depth = mostDepth
	}
	for i := range t.Nodes {
		m.nodes[t.Nodes[i].ID] = &t.Nodes[i]
	}
	for i := range t.Runs {
		m.runs[t.Runs[i].Run] = &t.Runs[i]
	}
	for _, id := range t.Roots {
		n := m.nodes[id]
		if n.Taint != nil && !down {
			m.onWay(n.Taint.Causes[0].Path)
		}
		if n.Fallen != nil && !down {
			m.onWay(n.Fallen.Causes[0].Path)
		}
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

func (m *treeMaker) onWay(path []jsonv1.TaintStep) {
	for _, s := range path {
		m.way[s.Name+"@"+s.Version] = true
	}
}

// draw makes the trees of some roots.
func (m *treeMaker) draw(roots []*sprout) []*terminal.Node {
	queue := slices.Clone(roots)
	for _, r := range roots {
		m.met[r.id] = true
	}
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
	case n.Origin == account.OriginNone && s.steps == 0:
		s.note(terminal.Dim, "no recorded origin")
	case n.Origin == account.OriginNotCounted && len(counting) == 0:
		s.note(terminal.Caution, "no recorded origin that counts")
	case n.Origin == account.OriginNotCounted:
		s.note(terminal.Caution, "its origin is said only by keys without standing: that carries taint, and makes nothing known")
	}
	if n.Origin == account.OriginRecorded && len(m.said[s.id]) == 0 {
		s.note(terminal.Dim, "… made of more, beyond --depth")
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
		text := "not counted: " + m.claimText(o) + ", entry " + strconv.FormatUint(o.Entry, 10)
		return remark(terminal.Caution, text, append(claimNotes(o), "of "+terminal.Some(o.inputs, 4))...)
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
		text := "not counted: " + o.Output + ", " + m.claimText(o) + ", entry " + strconv.FormatUint(o.Entry, 10)
		return remark(terminal.Caution, text, claimNotes(o)...)
	})
}

// claimNotes say why an origin does not count, and of which name it was said.
func claimNotes(o *origin) []string {
	notes := []string{o.Why}
	if o.Of != "" {
		notes = append(notes, "of the same bytes as "+o.Of)
	}
	return notes
}

// tooDeep says what is left out below an artifact that is too far away from the
// roots, or comes after too many others; it is empty for one that is unfolded.
func (m *treeMaker) tooDeep(s *sprout, counting []*origin) string {
	switch {
	case m.all, s.steps == 0:
		return ""
	case m.way[s.id] && s.steps < mostWay && m.given == 0:
		return ""
	case s.steps < m.depth && m.budget > 0:
		return ""
	}
	var ids []string
	for _, o := range counting {
		if m.down {
			ids = append(ids, o.Output)
		} else {
			ids = append(ids, o.inputs...)
		}
	}
	slices.Sort(ids)
	if ids = slices.Compact(ids); len(ids) == 0 {
		return ""
	}
	text, _ := m.counted(ids, "")
	if m.down {
		return "… used in " + text
	}
	return "… made of " + text
}

// kids are the artifacts below a line: what is withdrawn first, then what is
// tainted, what is in a stage, the rest; those that do not fit are counted. Of
// several that have a line elsewhere there is one line.
func (m *treeMaker) kids(ids []string, steps int) (list []*sprout) {
	var fresh, elsewhere []string
	for _, id := range ids {
		if m.met[id] {
			elsewhere = append(elsewhere, id)
		} else {
			fresh = append(fresh, id)
		}
	}
	for _, l := range [][]string{fresh, elsewhere} {
		slices.SortStableFunc(l, func(a, b string) int { return cmp.Compare(m.rank(a), m.rank(b)) })
	}
	most := m.room(fresh, steps)
	m.budget -= most
	for _, id := range fresh[:most] {
		m.met[id] = true
		list = append(list, &sprout{id: id, steps: steps})
	}
	if len(elsewhere) > mostAgain && !m.all {
		text, style := m.counted(elsewhere, "")
		list = append(list, remark(style, "see elsewhere: "+text))
	} else {
		for _, id := range elsewhere {
			list = append(list, &sprout{id: id, steps: steps})
		}
	}
	if rest := fresh[most:]; len(rest) > 0 {
		text, style := m.counted(rest, " more")
		list = append(list, remark(style, "… "+text+"; --all shows them"))
	}
	return list
}

// room is how many of some artifacts, the first ones, have a line each.
func (m *treeMaker) room(ids []string, steps int) int {
	if m.all {
		return len(ids)
	}
	most := max(mostWidth>>(steps-1), leastWidth)
	if most >= len(ids)-1 { // a line that counts one is no shorter
		return len(ids)
	}
	return most
}

func (m *treeMaker) rank(id string) int {
	n := m.nodes[id]
	switch {
	case n == nil, m.way[id]:
		return 0
	case len(n.Withdrawn) > 0, n.Fallen != nil && n.Fallen.Causes[0].Steps == 0:
		return 1
	case bad(n) && len(n.Stages) > 0:
		return 2
	case bad(n):
		return 3
	case n.Standing != "good":
		return 4
	case len(n.Stages) > 0:
		return 5
	}
	return 6
}

// counted counts artifacts that have no line: "214 more datasets, 3 tainted".
func (m *treeMaker) counted(ids []string, more string) (text string, style terminal.Style) {
	c := jsonv1.TraceCount{Kinds: map[string]uint64{}}
	for _, id := range ids {
		n := m.nodes[id]
		if n == nil {
			c.Kinds["artifact"]++
			continue
		}
		c.Kinds[n.Kind]++
		switch n.Standing {
		case lineage.Untrusted:
			c.Untrusted++
		case lineage.Withdrawn:
			c.Withdrawn++
		case lineage.Tainted:
			c.Tainted++
		}
		if len(n.Stages) > 0 {
			c.Staged++
		}
	}
	c.Artifacts = uint64(len(ids))
	text, style = account.KindsText(c.Kinds), terminal.Dim
	if len(c.Kinds) > 1 {
		text = terminal.Count(c.Artifacts) + more + ": " + text
	} else {
		text = strings.Replace(text, " ", more+" ", 1)
	}
	if marks := marksText(c); marks != "" {
		text += ", " + marks
	}
	if c.Untrusted+c.Withdrawn+c.Tainted > 0 {
		style = terminal.Bad
	}
	return text, style
}

// claims hangs what does not count below a line: a few, for anybody may claim.
func (m *treeMaker) claims(s *sprout, list []*origin, show func(*origin) *sprout) {
	most := len(list)
	if !m.all && most > mostClaims+1 {
		most = mostClaims
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
	s.node.Detail = fmt.Sprintf("%s by %s, %s, entry %d", n.Kind, account.SignerText(n.Signer), m.clock(n.Time), n.Entry)
	if !m.down && n.Origin == account.OriginNone {
		s.node.Marks = append(s.node.Marks, terminal.Cell{Text: "no recorded origin", Style: terminal.Dim})
	}
	var notes []terminal.Cell
	if n.Fallen != nil && (n.Fallen.Causes[0].Steps == 0 || m.shown[n.Fallen.Causes[0].Next] == nil) {
		notes = append(notes, terminal.Cell{Text: fallenText(n.Fallen.Causes[0]), Style: terminal.Bad})
	}
	for _, w := range toldWithdrawals(n.Withdrawn) {
		notes = append(notes, terminal.Cell{Text: withdrawalText(w), Style: terminal.Bad})
	}
	if n.Taint != nil && m.shown[n.Taint.Causes[0].Next] == nil { // else it can be followed
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
