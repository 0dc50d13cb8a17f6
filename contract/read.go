package contract

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stele-ml/stele/internal/strictjson"
	"github.com/stele-ml/stele/statement"
)

// maxProblems is how many problems a document is told: beyond that its author
// has enough to do.
const maxProblems = 50

// reader collects what is wrong with a document while it is read.
type reader struct {
	problems []Problem
	untested bool // tests are left out
}

func (r *reader) problem(path, hint, format string, args ...any) {
	if len(r.problems) < maxProblems {
		r.problems = append(r.problems, Problem{Path: path, Message: fmt.Sprintf(format, args...), Hint: hint})
	}
}

// err returns what was collected, or nil.
func (r *reader) err() error {
	if len(r.problems) == 0 {
		return nil
	}
	return &CompileError{Problems: r.problems}
}

// node is a value of the document. One that is not there has no bytes, reads as
// the zero of everything and is no problem: whoever needs it says so.
type node struct {
	r    *reader
	path string
	raw  strictjson.Raw
}

func (n node) there() bool { return len(n.raw) > 0 }

func (n node) problem(format string, args ...any) { n.r.problem(n.path, "", format, args...) }

func (n node) hint(hint, format string, args ...any) { n.r.problem(n.path, hint, format, args...) }

// is reports whether the value is there and begins like one of a JSON type; one
// of another type is a problem.
func (n node) is(what, first string) bool {
	if !n.there() {
		return false
	}
	if strings.IndexByte(first, n.raw[0]) >= 0 {
		return true
	}
	found := "a number"
	switch n.raw[0] {
	case '"':
		found = "text"
	case '{':
		found = "an object"
	case '[':
		found = "a list"
	case 't', 'f':
		found = string(n.raw)
	}
	hint := ""
	if first == `"` {
		hint = "put it in quotes"
	}
	n.hint(hint, "want %s, found %s", what, found)
	return false
}

// decode reads the value into v, whose type has been looked at.
func (n node) decode(v any) bool {
	if err := strictjson.UnmarshalPart(n.raw, v); err != nil {
		n.problem("%v", err)
		return false
	}
	return true
}

func (n node) text() (s string) {
	if n.is("text", `"`) {
		n.decode(&s)
	}
	return s
}

// line reads one line of text for people.
func (n node) line(max int) string {
	s := n.text()
	if n.there() && n.raw[0] == '"' {
		n.check(checkText(s, max))
	}
	return s
}

// checkText is statement.CheckText of a text whose path is said.
func checkText(s string, max int) error {
	if err := statement.CheckText("", s, max); err != nil {
		return errors.New(strings.TrimPrefix(plain(err), ": "))
	}
	return nil
}

// check makes a problem of an error.
func (n node) check(err error) bool {
	if err != nil {
		n.problem("%s", plain(err))
	}
	return err == nil
}

// plain is the text of an error without its class, which a list of problems says
// once.
func plain(err error) string {
	return strings.TrimPrefix(err.Error(), statement.ErrFormat.Error()+": ")
}

func (n node) boolean() (b bool) {
	if n.is("true or false", "tf") {
		n.decode(&b)
	}
	return b
}

// count reads a whole number from least to most.
func (n node) count(least, most uint64) uint64 {
	if !n.is("a number", "-0123456789") {
		return 0
	}
	v, err := strconv.ParseUint(string(n.raw), 10, 64)
	if err != nil || v < least || v > most {
		n.problem("%s, want a whole number from %d to %d", n.raw, least, most)
		return 0
	}
	return v
}

// list reads a list of 1 to max values.
func (n node) list(max int) []node {
	var raws []strictjson.Raw
	if !n.is("a list", "[") || !n.decode(&raws) {
		return nil
	}
	switch {
	case len(raws) == 0:
		n.hint("leave it out instead", "an empty list")
	case len(raws) > max:
		n.problem("%d values, at most %d are allowed", len(raws), max)
		return nil
	}
	nodes := make([]node, len(raws))
	for i, raw := range raws {
		nodes[i] = node{n.r, fmt.Sprintf("%s[%d]", n.path, i), raw}
	}
	return nodes
}

// words reads a list of texts, each once, which each pass the check.
func (n node) words(max int, check func(string) error) []string {
	var words []string
	for _, item := range n.list(max) {
		word := item.text()
		switch {
		case len(item.raw) > 0 && item.raw[0] != '"': // said already
		case slices.Contains(words, word):
			item.problem("%s twice", quoted(word))
		case item.check(check(word)):
			words = append(words, word)
		}
	}
	return words
}

// oneOf makes a check of a closed list of words.
func oneOf(words ...string) func(string) error {
	return func(word string) error {
		if slices.Contains(words, word) {
			return nil
		}
		if near := nearest(word, words); near != "" {
			return fmt.Errorf("%s: did you mean %s?", quoted(word), near)
		}
		return fmt.Errorf("%s: want %s", quoted(word), either(words))
	}
}

// either lists words as a sentence does.
func either(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}

// member is a name in an object and its value.
type member struct {
	name string
	node
}

// members reads an object whose names are the author's, in the order of their
// bytes.
func (n node) members(max int) []member {
	var raws map[string]strictjson.Raw
	if !n.is("an object", "{") || !n.decode(&raws) {
		return nil
	}
	switch {
	case len(raws) == 0:
		n.hint("leave it out instead", "an empty object")
	case len(raws) > max:
		n.problem("%d members, at most %d are allowed", len(raws), max)
		return nil
	}
	list := make([]member, 0, len(raws))
	for name, raw := range raws {
		list = append(list, member{name, node{n.r, joinPath(n.path, name), raw}})
	}
	slices.SortFunc(list, func(a, b member) int { return strings.Compare(a.name, b.name) })
	return list
}

// fields is an object whose members are known.
type fields struct {
	node
	members map[string]strictjson.Raw
}

// object reads an object that may have the members named, and no others.
func (n node) object(known ...string) fields {
	o := fields{node: n}
	if !n.is("an object", "{") || !n.decode(&o.members) {
		return o
	}
	for _, name := range sortedNames(o.members) {
		if slices.Contains(known, name) {
			continue
		}
		hint := ""
		if near := nearest(name, known); near != "" {
			hint = "did you mean " + near + "?"
		} else {
			hint = "it may have " + either(sortedWords(known))
		}
		n.r.problem(joinPath(n.path, name), hint, "unknown member %s", quoted(name))
	}
	return o
}

// get returns a member, which may not be there.
func (o fields) get(name string) node {
	return node{o.r, joinPath(o.path, name), o.members[name]}
}

// has reports whether the member is there.
func (o fields) has(name string) bool { return o.get(name).there() }

// need returns a member; that it is missing is a problem.
func (o fields) need(name string) node {
	n := o.get(name)
	if !n.there() && o.members != nil {
		o.problem("%s is missing", name)
	}
	return n
}

// joinPath adds a member's name to a path: spec.params.minAUC, or, where it is no
// plain word, annotations["a/b"].
func joinPath(path, name string) string {
	switch {
	case !isPlain(name):
		return path + "[" + strconv.Quote(name) + "]"
	case path == "":
		return name
	}
	return path + "." + name
}

// isPlain reports whether a name needs no quotes in a path.
func isPlain(name string) bool {
	for i := range len(name) {
		c := name[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || i > 0 && (c == '-' || '0' <= c && c <= '9')) {
			return false
		}
	}
	return name != ""
}

func sortedNames(m map[string]strictjson.Raw) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func sortedWords(words []string) []string {
	words = slices.Clone(words)
	slices.Sort(words)
	return words
}

// quoted makes the author's text fit for one line of a terminal.
func quoted(s string) string {
	const longest = 60
	if len(s) > longest {
		return fmt.Sprintf("%+q…", s[:longest])
	}
	return fmt.Sprintf("%+q", s)
}
