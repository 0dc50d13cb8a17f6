package terminal

import (
	"fmt"
	"strings"
	"testing"
)

// chain is a tree without branches.
func chain(n int) *Node {
	root := &Node{Text: "node 0"}
	at := root
	for i := 1; i < n; i++ {
		next := &Node{Text: fmt.Sprintf("node %d", i), Notes: []Cell{{Text: fmt.Sprintf("note %d", i)}}}
		at.Children, at = []*Node{next}, next
	}
	return root
}

// A lineage of a thousand generations fits the terminal: the nearest levels are
// drawn, after how many there are besides.
func TestTreeDeep(t *testing.T) {
	for _, width := range []int{0, 40, 80, 132} {
		for _, unicode := range []bool{true, false} {
			term, b := screen(width, false)
			term.unicode = unicode
			term.Tree(chain(1000))
			lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
			if want := 1000 + 999; len(lines) != want {
				t.Fatalf("width %d: %d lines, want %d", width, len(lines), want)
			}
			most := width
			if width == 0 {
				most = pipedLevels*branch + 40
			}
			for _, l := range lines {
				if Columns(l) > most {
					t.Fatalf("width %d: %d columns: %s", width, Columns(l), l)
				}
			}
			last := lines[len(lines)-2]
			levels := 998 // above the last branch
			drawn := most / 2 / branch
			if width == 0 {
				drawn = pipedLevels
			}
			if want := fmt.Sprint(levels - drawn + deep/branch); !strings.Contains(last, want) || !strings.HasSuffix(last, "node 999") {
				t.Errorf("width %d: %q, want it to say %s levels", width, last, want)
			}
		}
	}
}

// Nothing of a node can make a line of its own, or break the lines of the tree.
func TestAttackerNamesANode(t *testing.T) {
	long := strings.Repeat("x", 300)
	evil := "a\n├── forged@1\r\x1b[2K\u202e"
	root := &Node{Text: evil, Marks: []Cell{{Text: evil}}, Detail: evil, Notes: []Cell{{Text: evil}, {Text: ""}}, Children: []*Node{
		{Text: long, Trim: TrimMiddle, Marks: []Cell{{Text: "WITHDRAWN"}}, Detail: long, Notes: []Cell{{Text: "reason " + long}}},
	}}
	for _, width := range []int{0, 40, 80} {
		term, b := screen(width, false)
		term.Tree(root)
		first := b.String()
		for _, l := range strings.Split(strings.TrimSuffix(first, "\n"), "\n") {
			switch {
			case width > 0 && Columns(l) > width:
				t.Errorf("width %d: %d columns: %s", width, Columns(l), l)
			case strings.HasPrefix(l, "├── forged"), strings.ContainsAny(l, "\r\x1b\u202e"):
				t.Errorf("width %d: a line of the attacker's: %q", width, l)
			case strings.HasSuffix(l, " "):
				t.Errorf("width %d: spaces at the end of %q", width, l)
			}
		}
		if !strings.Contains(first, "WITHDRAWN") {
			t.Errorf("width %d: a long name pushed the mark away:\n%s", width, first)
		}
		b.Reset()
		term.Tree(root)
		if b.String() != first {
			t.Errorf("width %d: printing a tree changed it", width)
		}
	}
}

// A sentence with a word in it that is longer than a line is wrapped around it.
func TestKeyValuesWrapAroundALongWord(t *testing.T) {
	term, b := screen(80, false)
	word := strings.Repeat("x", 78)
	sentence := "some words before it, which are many enough to take a line of their own, and " + word + " and some after it"
	term.KeyValues([]Pair{{Key: "reason", Value: sentence}, {Key: "by", Value: word}})
	for _, l := range strings.Split(b.String(), "\n") {
		if l != strings.TrimRight(l, " ") {
			t.Errorf("spaces at the end: %q", l)
		}
		if Columns(l) > 80 {
			t.Errorf("%d columns: %s", Columns(l), l)
		}
	}
	if got := strings.Join(strings.Fields(b.String()), " "); got != "reason "+sentence+" by "+word {
		t.Errorf("not all of it: %s", got)
	}
}
