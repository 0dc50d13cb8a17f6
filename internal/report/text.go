package report

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxText is the most bytes of one message or hint that a report carries; what is
// longer ends with an ellipsis. GitHub cuts annotations at 4 KiB; nobody reads
// as much.
const MaxText = 4096

// clean makes foreign text fit for any report: valid UTF-8, on one line
// without spaces around it, of MaxText bytes at most. Control characters and those that are invisible or
// reorder what is read are shown by their numbers.
func clean(text string) string {
	text = strings.TrimSpace(text)
	if plain(text) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		var shown string
		switch {
		case r == utf8.RuneError && n == 1:
			shown = fmt.Sprintf(`\x%02x`, text[i])
		case r == '\n':
			shown = `\n`
		case r == '\t':
			shown = `\t`
		case r == '\r':
			shown = `\r`
		case r < 0x80 && unicode.IsControl(r):
			shown = fmt.Sprintf(`\x%02x`, r)
		case r != ' ' && !unicode.IsGraphic(r), unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp), noncharacter(r):
			shown = escaped(r)
		default:
			shown = text[i : i+n]
		}
		if b.Len()+len(shown) > MaxText-len("…") {
			return b.String() + "…"
		}
		b.WriteString(shown)
		i += n
	}
	return b.String()
}

// plain reports whether text is short, and printable ASCII throughout.
func plain(text string) bool {
	if len(text) > MaxText-len("…") {
		return false
	}
	for i := range len(text) {
		if text[i] < ' ' || text[i] > '~' {
			return false
		}
	}
	return true
}

// noncharacter reports whether Unicode has set a code point aside: XML 1.0
// forbids the last two of the first plane, and discourages the others.
func noncharacter(r rune) bool { return r&0xfffe == 0xfffe || r >= 0xfdd0 && r <= 0xfdef }

func escaped(r rune) string {
	if r > 0xffff {
		return fmt.Sprintf(`\U%08x`, r)
	}
	return fmt.Sprintf(`\u%04x`, r)
}

// said is a check's message and its hint, a line each.
func said(c *Check) string {
	text := message(c)
	if c.Hint != "" {
		text += "\nhint: " + clean(c.Hint)
	}
	return text
}

// message is a check's message; where it has none, its title: readers take no
// empty ones.
func message(c *Check) string {
	if text := clean(c.Message); text != "" {
		return text
	}
	return titled(c)
}

// titled is a check's title; of a contract's rule, these two.
func titled(c *Check) string {
	text := clean(c.Title)
	if c.Contract != "" && c.Rule != "" {
		text = clean(c.Contract + " / " + c.Rule)
	}
	if text == "" {
		return "a check"
	}
	return text
}
