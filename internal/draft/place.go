package draft

import (
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Line returns the line, from 1, on which the part of the document stands that
// a path names: spec.validations[1].expression. Of a part that is not there it
// is the line of the nearest one around it.
func (d *Draft) Line(path string) int {
	n, _ := d.place(path)
	return n.Line
}

// place returns the node of a path, or of the nearest around it.
func (d *Draft) place(path string) (n *yaml.Node, exact bool) {
	exact = true
	for {
		if n, ok := d.places[path]; ok {
			return n, exact
		}
		path, exact = above(path), false
	}
}

// above cuts the last part off a path; the whole document's is empty.
func above(path string) string {
	if inside, ok := strings.CutSuffix(path, `"]`); ok { // a name in quotes
		if i := strings.LastIndex(inside, `["`); i >= 0 {
			return path[:i]
		}
	}
	return path[:max(strings.LastIndexAny(path, ".["), 0)]
}

// Place returns line and column, from 1, of a place within a text of the
// document: of the path's value, whose own lines and columns, in characters,
// count from 1 too. It is the value's own place where line is 0, or where that
// cannot be told.
func (d *Draft) Place(path string, line, column int) (int, int) {
	n, exact := d.place(path)
	if !exact || n.Kind != yaml.ScalarNode || line < 1 || column < 1 {
		return n.Line, n.Column
	}
	switch {
	case n.Style&yaml.LiteralStyle != 0:
		// The text begins on the line after the bar, less what it is indented by.
		if i := n.Line + line - 1; i < len(d.lines) {
			return i + 1, d.indent(n) + column
		}
	case n.Style&yaml.FoldedStyle != 0:
		if l, c, ok := d.folded(n, line, column); ok {
			return l, c
		}
	case line == 1 && n.Line <= len(d.lines):
		if c, ok := within(d.lines[n.Line-1], n, column); ok {
			return n.Line, c
		}
	}
	return n.Line, n.Column
}

// indent is what the lines of a block are indented by: as much as the first that
// is not empty, less the spaces that the text itself begins with.
func (d *Draft) indent(n *yaml.Node) int {
	value := strings.TrimLeft(n.Value, "\n")
	own := len(value) - len(strings.TrimLeft(value, " "))
	for _, line := range d.lines[n.Line:] {
		if text := strings.TrimLeft(line, " "); text != "" {
			return max(len(line)-len(text)-own, 0)
		}
	}
	return 0
}

// folded finds a place in a block whose line breaks are spaces: those blocks
// whose lines are plain.
func (d *Draft) folded(n *yaml.Node, line, column int) (int, int, bool) {
	if line != 1 {
		return 0, 0, false
	}
	indent := d.indent(n)
	rest, offset := n.Value, column-1 // of the value, from the line here on
	for i := n.Line; i < len(d.lines); i++ {
		here := d.lines[i]
		if len(here) <= indent || here[indent] == ' ' || strings.TrimSpace(here[:indent]) != "" {
			return 0, 0, false
		}
		here = strings.TrimRight(here[indent:], " ")
		if i > n.Line {
			space, ok := strings.CutPrefix(rest, " ")
			if !ok {
				return 0, 0, false
			}
			rest, offset = space, offset-1
		}
		var ok bool
		if rest, ok = strings.CutPrefix(rest, here); !ok {
			return 0, 0, false
		}
		length := utf8.RuneCountInString(here)
		if offset <= length {
			return i + 1, indent + max(offset, 0) + 1, true
		}
		offset -= length
	}
	return 0, 0, false
}

// within finds the column of a character of a value that stands on one line.
func within(line string, n *yaml.Node, column int) (int, bool) {
	runes := []rune(line)
	i := n.Column - 1
	if i < 0 || i >= len(runes) {
		return 0, false
	}
	quoted := n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0
	if quoted {
		i++
	}
	value := []rune(n.Value)
	for k := 0; ; k++ {
		if k == column-1 {
			return i + 1, true
		}
		switch {
		case k >= len(value) || i >= len(runes):
			return 0, false
		case runes[i] == value[k] && !(quoted && runes[i] == '\\' && n.Style&yaml.DoubleQuotedStyle != 0) && !(runes[i] == '\'' && n.Style&yaml.SingleQuotedStyle != 0):
			i++
		case n.Style&yaml.SingleQuotedStyle != 0 && runes[i] == '\'': // twice is one
			i += 2
		case n.Style&yaml.DoubleQuotedStyle != 0 && runes[i] == '\\' && i+1 < len(runes):
			length, ok := map[rune]int{'x': 4, 'u': 6, 'U': 10}[runes[i+1]]
			if !ok {
				length = 2
			}
			i += length
		default:
			return 0, false // it goes over several lines
		}
	}
}
