package terminal

import (
	"strconv"
	"strings"
)

const (
	// branch is how many columns a level of a tree takes.
	branch = 4
	// pipedLevels is how many levels are drawn where there is no width to keep
	// to: a chain of thousands would be lines and nothing else.
	pipedLevels = 64
	// deep is how many columns stand for the levels that are not drawn.
	deep = 2 * branch
	// leastRoom is how many columns a node has, however deep it stands.
	leastRoom = 16
)

// A Node is a node of a tree. All its texts are untrusted: they are cleaned.
type Node struct {
	Text   string
	Style  Style
	Trim   Trim   // where to cut the text if the line does not fit
	Marks  []Cell // words after the text that are never cut
	Detail string // shown dimly after them where it fits, else below
	Notes  []Cell // below, each on lines of its own

	Children []*Node
}

// Tree writes a tree to standard output. On a terminal every line is fitted to
// the width: a text gives way to its marks, details and notes go on below
// themselves, and of levels too deep to be drawn the nearest are, after how many
// there are besides.
func (t *Terminal) Tree(root *Node) {
	p := treePrinter{t: t, width: t.Width(), levels: pipedLevels, tee: "├── ", corner: "└── ", bar: "│   ", side: "│ "}
	if !t.unicode {
		p.tee, p.corner, p.bar, p.side = "|-- ", "`-- ", "|   ", "| "
	}
	if p.width > 0 {
		p.levels = p.width / 2 / branch
	}
	p.node(root, nil, "", "")
	t.print(p.b.String())
}

// treePrinter is one tree being written.
type treePrinter struct {
	t                      *Terminal
	b                      strings.Builder
	width                  int // 0: a pipe, where nothing is cut
	levels                 int // how many are drawn at most
	tee, corner, bar, side string
}

// node writes a node. The levels are those above it, each what its branch looks
// like below the node's own line; first and rest are the branch to the node
// itself, on its line and below.
func (p *treePrinter) node(n *Node, levels []string, first, rest string) {
	lead := p.lead(levels)
	notes := append(p.line(n, lead+first), n.Notes...)
	if first != "" { // not the root
		levels = append(levels, rest)
		lead = p.lead(levels)
	}
	below := lead + "  "
	if len(n.Children) > 0 {
		below = lead + p.side
	}
	for _, note := range notes {
		p.note(note, below)
	}
	for i, child := range n.Children {
		if p.b.Len() > 32<<10 {
			p.t.print(p.b.String())
			p.b.Reset()
			if p.t.WriteErr() != nil {
				return
			}
		}
		if i == len(n.Children)-1 {
			p.node(child, levels, p.corner, "    ")
		} else {
			p.node(child, levels, p.tee, p.bar)
		}
	}
}

// lead draws the levels above a line: the nearest, where they are too many.
func (p *treePrinter) lead(levels []string) string {
	hidden := len(levels) - p.levels
	if hidden <= 0 {
		return strings.Join(levels, "")
	}
	hidden += deep / branch
	return pad(p.t.ellipsis()+strconv.Itoa(hidden), deep, false) + strings.Join(levels[hidden:], "")
}

// line writes a node's own line, and returns what did not fit.
func (p *treePrinter) line(n *Node, lead string) (notes []Cell) {
	text, detail := Clean(n.Text), Clean(n.Detail)
	marks, used := "", 0
	for _, m := range n.Marks {
		clean := Clean(m.Text)
		marks += gap + p.t.out.paint(m.Style, clean)
		used += len(gap) + Columns(clean)
	}
	room := 0
	if p.width > 0 {
		room = max(p.width-Columns(lead), leastRoom)
		if used+leastRoom > room { // a narrow terminal
			marks, used, notes = "", 0, append(notes, n.Marks...)
		}
		text = fit(text, room-used, n.Trim, p.t.ellipsis())
	}
	used += Columns(text)
	p.b.WriteString(p.t.out.paint(Dim, lead) + p.t.out.paint(n.Style, text) + marks)
	switch {
	case detail == "":
	case room == 0 || used+len(gap)+Columns(detail) <= room:
		p.b.WriteString(gap + p.t.out.paint(Dim, detail))
	default:
		notes = append(notes, Cell{Text: n.Detail, Style: Dim})
	}
	p.b.WriteByte('\n')
	return notes
}

// note writes a text below a node, over as many lines as it needs. A word that
// is longer than a line is cut: the lines of the tree would break.
func (p *treePrinter) note(note Cell, lead string) {
	if note.Text == "" {
		return
	}
	lines := []string{Clean(note.Text)}
	if p.width > 0 {
		room := max(p.width-Columns(lead), leastRoom)
		lines = wrap(lines[0], room)
		for i, l := range lines {
			lines[i] = fit(l, room, TrimMiddle, p.t.ellipsis())
		}
	}
	for _, l := range lines {
		p.b.WriteString(p.t.out.paint(Dim, lead) + p.t.out.paint(note.Style, l) + "\n")
	}
}
