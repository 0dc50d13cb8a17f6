package statement

import (
	"unicode/utf8"
)

// CheckText checks one line of free text that is shown to people: valid UTF-8
// of at most max bytes, not empty, without control characters (C0, DEL, C1),
// line and paragraph separators, characters that turn the direction of writing,
// and characters that show as nothing at all. Such characters can make a
// terminal show something else than was signed. Joiners inside words and emoji
// (U+200C, U+200D) are let through.
func CheckText(what, text string, max int) error {
	switch {
	case text == "":
		return malformed("%s: empty", what)
	case len(text) > max:
		return malformed("%s: %d bytes, at most %d are allowed", what, len(text), max)
	case !utf8.ValidString(text):
		return malformed("%s: not valid UTF-8", what)
	}
	for _, r := range text {
		if misleads(r) {
			return malformed("%s: the character %U is not allowed", what, r)
		}
	}
	return nil
}

// misleads reports whether r can make text look like other text.
func misleads(r rune) bool {
	switch {
	case r < 0x20, 0x7f <= r && r <= 0x9f: // C0, DEL, C1
	case r == 0x061c, r == 0x200e, r == 0x200f: // direction marks
	case 0x202a <= r && r <= 0x202e, 0x2066 <= r && r <= 0x2069: // embeddings, overrides, isolates
	case r == 0x2028, r == 0x2029: // line and paragraph separator
	case r == 0x00ad, r == 0x200b, 0x2060 <= r && r <= 0x2064, r == 0xfeff: // shown as nothing
	case 0x206a <= r && r <= 0x206f, 0xfff9 <= r && r <= 0xfffb: // deprecated format characters, annotations
	case 0xe0000 <= r && r <= 0xe007f: // tags
	default:
		return false
	}
	return true
}
