package terminal

import "strings"

// A Pair is one line of a receipt.
type Pair struct {
	Key   string
	Value string // untrusted: it is cleaned
	Style Style
}

// KeyValues writes a receipt: keys in one column, values in the next. A value
// too long for the line starts a line of its own and is never cut: what
// stands in a receipt is there to be copied. Pairs without a value are left
// out.
func (t *Terminal) KeyValues(pairs []Pair) {
	const indent = "  "
	keys := 0
	for _, p := range pairs {
		if p.Value != "" {
			keys = max(keys, Columns(Clean(p.Key)))
		}
	}
	width := t.Width()
	var b strings.Builder
	for _, p := range pairs {
		if p.Value == "" {
			continue
		}
		key, value := Clean(p.Key), Clean(p.Value)
		room := 0
		if width > 0 {
			room = width - len(indent) - keys - len(gap)
		}
		switch lines := wrap(value, room); {
		case room > 0 && widest(lines) > room: // one long word, such as a fingerprint, or more
			b.WriteString(indent + t.out.paint(Dim, key))
			for _, line := range wrap(value, width-2*len(indent)) {
				// A fingerprint has 77 columns: on 80, it just fits.
				before := min(2*len(indent), max(width-1-Columns(line), 0))
				b.WriteString("\n" + strings.Repeat(" ", before))
				b.WriteString(t.out.paint(p.Style, line))
			}
		default:
			b.WriteString(indent + t.out.paint(Dim, pad(key, keys, false)))
			for i, line := range lines {
				if i > 0 {
					b.WriteString("\n" + indent + strings.Repeat(" ", keys))
				}
				b.WriteString(gap + t.out.paint(p.Style, line))
			}
		}
		b.WriteByte('\n')
	}
	t.print(b.String())
}

func widest(lines []string) int {
	w := 0
	for _, l := range lines {
		w = max(w, Columns(l))
	}
	return w
}

// An Outcome is how a check went.
type Outcome uint8

// The outcomes. A check that was not made is neither: it says what nobody
// looked at.
const (
	NotMade Outcome = iota
	Passed
	Failed
	Warned // it does not hold, and that is for people to weigh
)

// A Check is one line of a verdict.
type Check struct {
	Name    string
	Outcome Outcome
	Detail  string // untrusted: it is cleaned
}

// Checks writes a verdict's checks, each with a mark, its name and what was
// found; a long detail goes on below itself.
func (t *Terminal) Checks(checks []Check) {
	names := 0
	for _, c := range checks {
		names = max(names, Columns(Clean(c.Name)))
	}
	var b strings.Builder
	for _, c := range checks {
		mark, style := "–", Dim
		switch {
		case c.Outcome == Passed:
			mark, style = "✓", Good
		case c.Outcome == Failed:
			mark, style = "✗", Bad
		case c.Outcome == Warned:
			mark, style = "!", Caution
		}
		if !t.unicode {
			mark = map[Outcome]string{Passed: "+", Failed: "x", Warned: "!", NotMade: "-"}[c.Outcome]
		}
		b.WriteString("  " + t.out.paint(style, mark) + " " + pad(Clean(c.Name), names, false))
		detail := Clean(c.Detail)
		switch {
		case c.Outcome == Failed:
			detail = strings.TrimSuffix("FAILED: "+detail, ": ")
		case c.Outcome == Warned:
			detail = strings.TrimSuffix("warning: "+detail, ": ")
		case c.Outcome == NotMade:
			detail = strings.TrimSuffix("not made: "+detail, ": ")
		}
		room, left := 0, len("  ")+1+len(" ")+names+len(gap)
		if w := t.Width(); w > 0 {
			room = max(w-left, minWidth/2)
		}
		if detail != "" {
			for i, line := range wrap(detail, room) {
				if i > 0 {
					b.WriteString("\n" + strings.Repeat(" ", left-len(gap)))
				}
				lineStyle := Plain
				if c.Outcome != Passed {
					lineStyle = style
				}
				b.WriteString(gap + t.out.paint(lineStyle, line))
			}
		}
		b.WriteByte('\n')
	}
	t.print(b.String())
}
