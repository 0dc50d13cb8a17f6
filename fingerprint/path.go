package fingerprint

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxPath is the most bytes that a path may have.
const MaxPath = 4096

// CheckPath reports, as ErrPath, why p cannot be a file's path in a tree: it
// must be valid UTF-8 of 1 to MaxPath bytes without NUL, relative, with '/'
// between segments, none of which is empty, "." or "..". Nothing is normalised:
// paths are compared byte by byte.
func CheckPath(p string) error {
	var why string
	switch {
	case p == "":
		why = "it is empty"
	case len(p) > MaxPath:
		why = fmt.Sprintf("it has %d bytes, more than %d", len(p), MaxPath)
	case !utf8.ValidString(p):
		why = "it is not valid UTF-8"
	case strings.IndexByte(p, 0) >= 0:
		why = "it contains a NUL"
	case p[0] == '/':
		why = "it is absolute"
	default:
		return checkSegments(p)
	}
	return pathError(p, why)
}

func checkSegments(p string) error {
	for rest, more := p, true; more; {
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		switch segment {
		case "":
			return pathError(p, "it has an empty segment")
		case ".", "..":
			return pathError(p, "it has a segment "+segment)
		}
	}
	return nil
}

func pathError(p, why string) error {
	return fmt.Errorf("path %s: %w: %s", quote(p), ErrPath, why)
}

// maxQuoted bounds how much of a foreign string an error repeats.
const maxQuoted = 256

// quote makes a foreign string fit to be printed.
func quote(s string) string {
	if len(s) > maxQuoted {
		return strconv.Quote(s[:maxQuoted]) + "…"
	}
	return strconv.Quote(s)
}
