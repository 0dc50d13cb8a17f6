package scan

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/stele-ml/stele/internal/source"
)

// ErrRule: an ignore rule that cannot be one, or too many of them.
var ErrRule = errors.New("invalid ignore rule")

const (
	// IgnoreFile is the name of the file in an artifact's root that adds ignore
	// rules. It is itself fingerprinted; no rule hides it.
	IgnoreFile = ".steleignore"

	// MaxIgnoreFile is the most bytes that IgnoreFile may have.
	MaxIgnoreFile = 64 << 10
	// MaxRules is the most rules that may be in force: as many as a stamp binds.
	MaxRules = 256
	// MaxRule is the most bytes that one rule may have.
	MaxRule = 1024
	// MaxRulesBytes is the most bytes that all rules may have together. A stamp
	// binds them, and has to fit into an entry.
	MaxRulesBytes = 24 << 10
)

// defaultRules hide what tools leave beside the data and nobody means to stamp.
// None of them may hide code that could be run, such as __pycache__.
var defaultRules = []string{
	".git/",
	".stele",
	".stele/",
	".DS_Store",
	"Thumbs.db",
	".ipynb_checkpoints/",
	".cache/huggingface/",
}

// DefaultRules returns the rules that are in force unless negated.
func DefaultRules() []string { return append([]string(nil), defaultRules...) }

// ParseIgnoreFile reads the rules of an IgnoreFile, one a line as in a
// .gitignore: blank lines and those that begin with '#' are none, a carriage
// return before the line's end and spaces at the end that no '\' precedes do
// not count, nor does a byte order mark at the beginning.
func ParseIgnoreFile(data []byte) ([]string, error) {
	if len(data) > MaxIgnoreFile {
		return nil, fmt.Errorf("%s: %w: it has more than %d bytes", IgnoreFile, ErrRule, MaxIgnoreFile)
	}
	data = bytes.TrimPrefix(data, []byte("\uFEFF"))
	var rules []string
	for n, line := range strings.Split(string(data), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		line = trimSpaces(strings.TrimSuffix(line, "\r"))
		if line == "" {
			continue
		}
		if err := CheckRule(line); err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", IgnoreFile, n+1, err)
		}
		rules = append(rules, line)
	}
	return rules, nil
}

// trimSpaces removes the spaces at the end of a rule, but for one that a '\'
// makes part of it.
func trimSpaces(rule string) string {
	end := 0
	for i := 0; i < len(rule); i++ {
		if rule[i] == '\\' && i+1 < len(rule) {
			i++
		} else if rule[i] == ' ' {
			continue
		}
		end = i + 1
	}
	return rule[:end]
}

// CheckRule reports, as ErrRule, why text is not one ignore rule in the one form
// that a stamp holds: valid UTF-8 of 1 to MaxRule bytes, no line end, no NUL,
// no comment, no spaces at the end that do not count.
func CheckRule(text string) error {
	why := ""
	switch {
	case text == "":
		why = "it is empty"
	case len(text) > MaxRule:
		why = fmt.Sprintf("it has %d bytes, more than %d", len(text), MaxRule)
	case !utf8.ValidString(text):
		why = "it is not valid UTF-8"
	case strings.ContainsAny(text, "\x00\n"):
		why = "it contains a line end or a NUL"
	case strings.HasSuffix(text, "\r"):
		why = "it ends with a carriage return"
	case text[0] == '#':
		why = `it is a comment; write \# for a name that begins with '#'`
	case trimSpaces(text) != text:
		why = "it ends with spaces"
	default:
		return nil
	}
	return fmt.Errorf("%w %s: %s", ErrRule, source.Show(text), why)
}

// Rules are ignore rules ready to be asked. A later rule outweighs an earlier
// one.
type Rules struct {
	text  []string
	rules []rule
}

// CompileRules makes rules ready, in the order of their weight. Each must pass
// CheckRule, and all together the limits.
func CompileRules(text []string) (*Rules, error) {
	if len(text) > MaxRules {
		return nil, fmt.Errorf("%w: there are %d, more than %d", ErrRule, len(text), MaxRules)
	}
	r := &Rules{text: text}
	total := 0
	for _, t := range text {
		if err := CheckRule(t); err != nil {
			return nil, err
		}
		if total += len(t); total > MaxRulesBytes {
			return nil, fmt.Errorf("%w: together they have more than %d bytes", ErrRule, MaxRulesBytes)
		}
		r.rules = append(r.rules, compileRule(t))
	}
	return r, nil
}

// Text returns the rules as they were given to CompileRules.
func (r *Rules) Text() []string { return append([]string{}, r.text...) }

// Hides reports whether the rules leave out a file, or a folder, whose own
// folders they do not leave out. IgnoreFile in the root they never do.
func (r *Rules) Hides(path string, folder bool) bool {
	if path == IgnoreFile && !folder {
		return false
	}
	base := path[strings.LastIndexByte(path, '/')+1:]
	for i := len(r.rules) - 1; i >= 0; i-- {
		if r.rules[i].matches(path, base, folder) {
			return !r.rules[i].negated
		}
	}
	return false
}

// HidesWithin is Hides for a path of which nothing is known: it is hidden also
// where one of its folders is.
func (r *Rules) HidesWithin(path string, folder bool) bool {
	for i := range path {
		if path[i] == '/' && r.Hides(path[:i], true) {
			return true
		}
	}
	return r.Hides(path, folder)
}

// rule is one line of gitignore, taken apart as git does it (dir.c,
// parse_path_pattern): so that what people know of .gitignore holds here.
type rule struct {
	negated    bool
	folderOnly bool
	baseOnly   bool   // without a slash: matched against the last segment
	prefix     string // the beginning, without wildcards
	suffix     string // what follows a single '*' at the very beginning, if that is all
	isSuffix   bool
	rest       *glob // what follows prefix; nil if nothing does
	never      bool  // cannot match anything
}

func compileRule(text string) rule {
	var r rule
	if text[0] == '!' {
		r.negated, text = true, text[1:]
	}
	if strings.HasSuffix(text, "/") {
		r.folderOnly, text = true, text[:len(text)-1]
	}
	r.baseOnly = !strings.Contains(text, "/")
	text = strings.TrimPrefix(text, "/")
	if text == "" {
		r.never = true
		return r
	}
	if r.baseOnly && text[0] == '*' && plainLen(text[1:]) == len(text)-1 {
		r.isSuffix, r.suffix = true, text[1:]
		return r
	}
	n := plainLen(text)
	r.prefix = text[:n]
	if text = text[n:]; text != "" {
		r.rest = compileGlob(text, !r.baseOnly)
		r.never = r.rest == nil
	}
	return r
}

// plainLen returns how many bytes of a pattern come before its first wildcard.
func plainLen(text string) int {
	if i := strings.IndexAny(text, `*?[\`); i >= 0 {
		return i
	}
	return len(text)
}

func (r *rule) matches(path, base string, folder bool) bool {
	if r.never || r.folderOnly && !folder {
		return false
	}
	name := path
	if r.baseOnly {
		name = base
	}
	if r.isSuffix {
		return strings.HasSuffix(name, r.suffix)
	}
	rest, ok := strings.CutPrefix(name, r.prefix)
	if !ok {
		return false
	}
	if r.rest == nil {
		return rest == ""
	}
	return r.rest.match(rest)
}
