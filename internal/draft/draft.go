package draft

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/stele-ml/stele/internal/strictjson"
)

// Limits of a draft.
const (
	// MaxDraft is the largest draft, in bytes. Comments and layout are not signed,
	// so it is more than the largest document.
	MaxDraft = 256 << 10
	// MaxDepth is how deep a draft may nest.
	MaxDepth = 24
	// MaxParts is how many values a draft may have: more than the largest document.
	MaxParts = 25_000
)

// Draft is a document and where its parts stand in the text that it was read
// from.
type Draft struct {
	Document []byte // canonical JSON (RFC 8785)

	json   bool                  // the text is JSON, and every reader takes it for the same
	lines  []string              // of the text, without their ends
	places map[string]*yaml.Node // by path
}

// Error is what is wrong with a draft, and where.
type Error struct {
	Line, Column int // from 1; 0: of the whole, of the whole line
	Message      string
	Hint         string // what to do, or empty
}

// Error returns the message with the line that it is about.
func (e *Error) Error() string {
	if e.Line == 0 {
		return e.Message
	}
	return fmt.Sprintf("line %d: %s", e.Line, e.Message)
}

func at(n *yaml.Node, hint, format string, args ...any) error {
	return &Error{Line: n.Line, Column: n.Column, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// Read reads a document that is written as YAML within the bounds of JSON, or as
// JSON: what two readers of YAML could understand differently is refused. Errors
// are *Error.
func Read(text []byte) (*Draft, error) {
	if len(text) > MaxDraft {
		return nil, &Error{Message: fmt.Sprintf("%d bytes, at most %d are allowed", len(text), MaxDraft)}
	}
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	d := &Draft{json: json.Valid(text), lines: strings.Split(string(text), "\n"), places: make(map[string]*yaml.Node)}
	if err := d.checkText(); err != nil {
		return nil, err
	}
	root, err := parse(text)
	if err != nil {
		return nil, d.dangling(err)
	}
	value, err := d.read(root, "", 0)
	if err != nil {
		return nil, err
	}
	data, err := strictjson.Marshal(value)
	if err == nil {
		d.Document, err = strictjson.Canonical(data)
	}
	if err != nil {
		return nil, &Error{Message: err.Error()}
	}
	return d, nil
}

// checkText refuses what readers of YAML 1.1 and 1.2 take for different things.
func (d *Draft) checkText() error {
	for i, line := range d.lines {
		switch {
		case !utf8.ValidString(line):
			return &Error{Line: i + 1, Message: "not valid UTF-8"}
		case strings.ContainsAny(line, "\r\u0085\u2028\u2029"):
			return &Error{Line: i + 1, Message: "a line break that is not one everywhere", Hint: "end lines with a plain line feed"}
		case strings.HasPrefix(line, "%"):
			return &Error{Line: i + 1, Message: "a YAML directive", Hint: "leave it out"}
		}
	}
	return nil
}

// parse returns the one document of a text.
func parse(text []byte) (*yaml.Node, error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	if err := decoder.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, &Error{Message: "nothing is in it"}
	} else if err != nil {
		return nil, syntax(err)
	}
	if err := decoder.Decode(&more); err == nil {
		return nil, at(&more, "one document a file", "a second document")
	} else if !errors.Is(err, io.EOF) {
		return nil, syntax(err)
	}
	return doc.Content[0], nil
}

var unknownAnchor = regexp.MustCompile(`^unknown anchor '(.*)' referenced$`)

// dangling finds the line of an alias of nothing, which the library does not say,
// and what it is in the words for any other alias.
func (d *Draft) dangling(err error) error {
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	m := unknownAnchor.FindStringSubmatch(e.Message)
	if m == nil {
		return err
	}
	e.Message, e.Hint = "an alias: *"+clip(m[1]), "write it out, or put it in quotes, if it is a text"
	alias := regexp.MustCompile(`(^|[\s\[{,])\*` + regexp.QuoteMeta(m[1]) + `($|[\s\]},])`)
	for i, line := range d.lines {
		if line, _, _ = strings.Cut(line, " #"); alias.MatchString(line) && !strings.HasPrefix(strings.TrimSpace(line), "#") {
			e.Line = i + 1
			break
		}
	}
	return e
}

var yamlLine = regexp.MustCompile(`^yaml: (?:line ([0-9]+): )?`)

// syntax says what the library says, without its prefix.
func syntax(err error) error {
	text := err.Error()
	m := yamlLine.FindStringSubmatch(text)
	if m == nil {
		return &Error{Message: text}
	}
	line, _ := strconv.Atoi(m[1])
	return &Error{Line: line, Message: strings.TrimSpace(strings.TrimPrefix(text, m[0]))}
}

// read returns the value of a node as JSON has it.
func (d *Draft) read(n *yaml.Node, path string, depth int) (any, error) {
	d.places[path] = n
	switch {
	case depth > MaxDepth:
		return nil, at(n, "", "nested deeper than %d", MaxDepth)
	case len(d.places) > MaxParts:
		return nil, at(n, "", "more than %d values", MaxParts)
	}
	if err := bare(n); err != nil {
		return nil, err
	}
	switch n.Kind {
	case yaml.MappingNode:
		return d.object(n, path, depth)
	case yaml.SequenceNode:
		list := make([]any, len(n.Content))
		for i, item := range n.Content {
			var err error
			if list[i], err = d.read(item, fmt.Sprintf("%s[%d]", path, i), depth+1); err != nil {
				return nil, err
			}
		}
		return list, nil
	case yaml.ScalarNode:
		return scalar(n, d.json)
	}
	return nil, at(n, "", "something that JSON does not have")
}

// bare refuses what YAML puts around a value.
func bare(n *yaml.Node) error {
	switch {
	case n.Kind == yaml.AliasNode:
		return at(n, "write it out", "an alias: *%s", clip(n.Value))
	case n.Anchor != "":
		return at(n, "write it out where it is needed", "an anchor: &%s", clip(n.Anchor))
	case n.Style&yaml.TaggedStyle != 0:
		return at(n, "leave it out; texts that look like something else go in quotes", "a tag: %s", clip(n.Tag))
	}
	return nil
}

func (d *Draft) object(n *yaml.Node, path string, depth int) (any, error) {
	object := make(map[string]any, len(n.Content)/2)
	lines := make(map[string]int, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.Tag == "!!merge" || key.Value == "<<" && key.Style == 0 {
			return nil, at(key, "write the members out", "a merge key")
		}
		text, err := memberName(key)
		if err != nil {
			return nil, err
		}
		if line, twice := lines[text]; twice {
			return nil, at(key, "", "%s is there twice: it stands on line %d already", clip(text), line)
		}
		lines[text] = key.Line
		if object[text], err = d.read(value, join(path, text), depth+1); err != nil {
			return nil, err
		}
	}
	return object, nil
}

func memberName(key *yaml.Node) (string, error) {
	if err := bare(key); err != nil {
		return "", err
	}
	if key.Kind == yaml.ScalarNode {
		name, err := scalar(key, false)
		if text, ok := name.(string); ok || err != nil {
			return text, err
		}
	}
	return "", at(key, "put it in quotes", "the name of a member is a text")
}

// numberToSome are plain texts that the library takes for texts: numbers beyond
// a double's, and those of base 60 in YAML 1.1.
var numberToSome = regexp.MustCompile(`^[-+]?[0-9][0-9_]*((:[0-5]?[0-9])+(\.[0-9_]*)?|(\.[0-9_]*)?([eE][-+]?[0-9]+)?)$`)

// jsonNumber is a number as JSON has it. A reader of YAML 1.1 takes one with an
// exponent for a text, where it has no point or its exponent no sign.
var jsonNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?$`)

// maxDigits is how many significant digits a number may have: as many as it takes
// to write any double.
const maxDigits = 17

// scalar returns the value of a scalar; exponents are for numbers in JSON.
func scalar(n *yaml.Node, exponents bool) (any, error) {
	if n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0 {
		return n.Value, nil
	}
	quote := "put it in quotes, if it is a text"
	switch n.ShortTag() {
	case "!!str", "!!timestamp":
		switch strings.ToLower(n.Value) {
		case "yes", "no", "on", "off", "y", "n":
			return nil, at(n, quote+"; else write true or false", "%s is a truth value to some readers", n.Value)
		}
		if numberToSome.MatchString(n.Value) {
			return nil, at(n, quote, "%s is a number to some readers", clip(n.Value))
		}
		return n.Value, nil
	case "!!bool":
		switch n.Value {
		case "true", "false":
			return n.Value == "true", nil
		}
		return nil, at(n, "write true or false; "+quote, "%s", n.Value)
	case "!!int", "!!float":
		if !jsonNumber.MatchString(n.Value) || !exponents && strings.ContainsAny(n.Value, "eE") {
			return nil, at(n, "write it in decimal digits; "+quote, "the number %s", clip(n.Value))
		}
		digits, _, _ := strings.Cut(strings.ToLower(n.Value), "e")
		digits = strings.Trim(strings.NewReplacer("-", "", ".", "").Replace(digits), "0")
		f, err := strconv.ParseFloat(n.Value, 64)
		switch {
		case err != nil, f > strictjson.MaxInteger, f < -strictjson.MaxInteger:
			return nil, at(n, quote, "the number %s, which is beyond ±%d", clip(n.Value), uint64(strictjson.MaxInteger))
		case len(digits) > maxDigits:
			return nil, at(n, quote, "the number %s has more than %d digits", clip(n.Value), maxDigits)
		case f == 0 && digits != "":
			return nil, at(n, quote, "the number %s is too near to 0", clip(n.Value))
		case f == 0 && n.Value[0] == '-':
			return nil, at(n, "write 0; "+quote, "the number %s", clip(n.Value))
		}
		return strictjson.Raw(n.Value), nil
	case "!!null":
		return nil, at(n, "leave the member out, or give it a value", "nothing stands here")
	}
	return nil, at(n, quote, "%s", clip(n.Value))
}

func clip(s string) string {
	const longest = 60
	if len(s) > longest {
		return fmt.Sprintf("%+q…", s[:longest])
	}
	return strings.Trim(fmt.Sprintf("%+q", s), `"`)
}

// join adds a member's name to a path, as package contract writes it.
func join(path, name string) string {
	plain := name != ""
	for i := range len(name) {
		c := name[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || c == '_' || i > 0 && (c == '-' || '0' <= c && c <= '9')) {
			plain = false
		}
	}
	switch {
	case !plain:
		return path + "[" + strconv.Quote(name) + "]"
	case path == "":
		return name
	}
	return path + "." + name
}
