package terminal

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// Clean makes text safe to write to a terminal on one line. Control
// characters (C0, DEL, C1), bytes that are not UTF-8, line separators, and
// characters that are invisible or reorder what is read (bidirectional
// controls, zero-width spaces, fillers, tags) are shown as \n, \t, \xHH,
// \uHHHH or \UHHHHHHHH. Joiners and variation selectors stay between
// characters that are not ASCII, where writing systems and emoji need them.
//
// It is for reading, not for parsing back: a backslash stays as it is.
func Clean(text string) string {
	if plainASCII(text) {
		return text
	}
	var b strings.Builder
	b.Grow(len(text) + 16)
	prev := rune(-1) // the last rune kept as it was
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `\x%02x`, text[i])
			i, prev = i+1, -1
			continue
		}
		i += n
		if keep(r, prev, text[i:]) {
			b.WriteRune(r)
			prev = r
			continue
		}
		prev = -1
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
	}
	return b.String()
}

func plainASCII(text string) bool {
	for i := range len(text) {
		if text[i] < 0x20 || text[i] > 0x7e {
			return false
		}
	}
	return true
}

// keep reports whether a rune is written as it is, given the rune kept before
// it (-1: none) and the text after it.
func keep(r, prev rune, rest string) bool {
	const zwnj, zwj = 0x200c, 0x200d
	switch {
	case r < 0x20, r == 0x7f:
		return false
	case r < 0x7f:
		return true
	case r == zwj, r == zwnj:
		next, n := utf8.DecodeRuneInString(rest)
		return prev > 0x7f && n > 1 && next != zwj && next != zwnj && keep(next, r, rest[n:])
	case unicode.Is(unicode.Variation_Selector, r):
		return prev > 0x7f && !unicode.Is(unicode.Variation_Selector, prev)
	case unicode.Is(unicode.Prepended_Concatenation_Mark, r):
		return true // visible, though of category Cf
	case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point):
		return false
	case unicode.In(r, unicode.Mn, unicode.Me):
		return prev >= 0 // a mark with nothing to sit on would sit on our own text
	}
	return true
}

// Columns is the number of columns that clean text takes: two for East Asian
// wide characters and emoji, none for combining marks (UAX #11, #29).
func Columns(clean string) int {
	if plainASCII(clean) {
		return len(clean)
	}
	return uniseg.StringWidth(clean)
}

// cutEnd returns as much of the beginning of clean text as fits in width
// columns, and how many columns that is. Grapheme clusters are never split.
func cutEnd(clean string, width int) (string, int) {
	used, end, state := 0, 0, -1
	for rest := clean; rest != ""; {
		var cluster string
		var w int
		cluster, rest, w, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if used+w > width {
			break
		}
		used += w
		end += len(cluster)
	}
	return clean[:end], used
}

// cutStart is cutEnd for the end of the text.
func cutStart(clean string, width int) (string, int) {
	total := Columns(clean)
	state := -1
	rest := clean
	for rest != "" && total > width {
		var w int
		_, rest, w, state = uniseg.FirstGraphemeClusterInString(rest, state)
		total -= w
	}
	return rest, total
}

// A Trim says where a text that is too long for its column is cut.
type Trim uint8

// The places to cut.
const (
	TrimEnd    Trim = iota // words: the beginning matters
	TrimMiddle             // digests and names: both ends tell them apart
	TrimPath               // paths: the file's own name matters most, then the first folder
	TrimLate               // times: the beginning matters, and other columns give way before
)

// fit returns clean text cut to width columns.
func fit(clean string, width int, trim Trim, ellipsis string) string {
	if Columns(clean) <= width {
		return clean
	}
	room := width - Columns(ellipsis)
	if room < 1 {
		cut, _ := cutEnd(clean, width)
		return cut
	}
	switch trim {
	case TrimMiddle:
		head, used := cutEnd(clean, room-room/3)
		tail, _ := cutStart(clean, room-used)
		return head + ellipsis + tail
	case TrimPath:
		return fitPath(clean, width, ellipsis)
	}
	head, _ := cutEnd(clean, room)
	return head + ellipsis
}

// fitPath keeps the last element of a path, then the first, then as many of
// the folders before the last as there is room for.
func fitPath(clean string, width int, ellipsis string) string {
	parts := strings.Split(clean, "/")
	last := parts[len(parts)-1]
	if last == "" && len(parts) > 1 { // a folder
		last = parts[len(parts)-2] + "/"
		parts = parts[:len(parts)-1]
	}
	shortest := ellipsis + "/" + last
	if len(parts) < 2 || Columns(shortest) > width {
		return fit(last, width, TrimMiddle, ellipsis)
	}
	best := shortest
	if with := parts[0] + "/" + shortest; Columns(with) <= width {
		best = with
	}
	head, tail := strings.TrimSuffix(best, shortest), last
	for i := len(parts) - 2; i > 0; i-- {
		longer := parts[i] + "/" + tail
		if Columns(head+ellipsis+"/"+longer) > width {
			break
		}
		tail = longer
		best = head + ellipsis + "/" + tail
	}
	return best
}

// pad returns clean text followed, or with right preceded, by spaces up to
// width columns.
func pad(clean string, width int, right bool) string {
	n := width - Columns(clean)
	if n <= 0 {
		return clean
	}
	if right {
		return strings.Repeat(" ", n) + clean
	}
	return clean + strings.Repeat(" ", n)
}

// wrap breaks clean text at spaces into lines of at most width columns; a
// word that is longer has a line of its own and is not broken, so that it can
// be copied whole.
func wrap(clean string, width int) []string {
	if width <= 0 || Columns(clean) <= width {
		return []string{clean}
	}
	var lines []string
	line := ""
	for _, word := range strings.Fields(clean) {
		switch {
		case line == "":
			line = word
		case Columns(line)+1+Columns(word) <= width:
			line += " " + word
		default:
			lines = append(lines, line)
			line = word
		}
	}
	return append(lines, line)
}

// Digest shortens a digest or fingerprint for a sentence: its scheme, the
// first eight and the last four digits. Shorter text is returned as it is.
func Digest(text string) string {
	text = Clean(text)
	scheme, digits, ok := strings.Cut(text, ":")
	if ok {
		scheme += ":"
	} else {
		scheme, digits = "", text
	}
	if len(digits) <= 16 {
		return text
	}
	return scheme + digits[:8] + "…" + digits[len(digits)-4:]
}

// Digests as they stand in a sentence.
var (
	fingerprintText = regexp.MustCompile(`\b(stele-|)(sha256|sha256-tree|blake3|blake3-tree):[0-9a-f]{64}\b`)
	hexDigest       = regexp.MustCompile(`\b[0-9a-f]{64}\b`)
	base64Digest    = regexp.MustCompile(`\b[A-Za-z0-9+/]{43}=`)
)

// Brief shortens the digests in a sentence, for a person.
func Brief(text string) string {
	text = fingerprintText.ReplaceAllStringFunc(text, Digest)
	text = hexDigest.ReplaceAllStringFunc(text, func(d string) string { return d[:12] + "…" })
	return base64Digest.ReplaceAllStringFunc(text, func(d string) string { return d[:12] + "…" })
}
