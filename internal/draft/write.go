package draft

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/stele-ml/stele/internal/strictjson"
)

// order is in which members are written where they meet; those that are not here
// follow, sorted.
var order = []string{
	"apiVersion",
	"stamp", "run", "evaluate", "approve", "reject", "release", "leave", "withdraw", "reinstate", "announce", "audit",
	"import", "propose", "compromised", "pass", "put", "lift", "register", "retire",
	"kind", "metadata", "spec",
	"id", "name", "version", "description",
	"engine", "match", "params", "variables", "validations", "gate", "tests",
	"statements", "names", "stages", "kinds", "actions",
	"expression", "message", "messageExpression", "hint",
	"time", "people", "history", "approvers", "given", "expect", "statement",
	"subject", "stage", "inputs", "outputs",
}

// maxFlow is the longest value that is written on one line in brackets.
const maxFlow = 100

// Write writes a document, which is canonical JSON, as YAML that people like to
// read. Read gives the same document again; where that cannot be reached it is
// an error.
func Write(document []byte) ([]byte, error) {
	for _, blocks := range []bool{true, false} {
		text, err := write(document, blocks)
		if err != nil {
			return nil, err
		}
		if again, err := Read(text); err == nil && bytes.Equal(again.Document, document) {
			return text, nil
		}
	}
	return nil, &Error{Message: "the document cannot be written as YAML"}
}

// write writes texts of several lines as blocks, or all of them in quotes.
func write(document []byte, blocks bool) ([]byte, error) {
	root, err := nodeOf(strictjson.Raw(document), "", 0, blocks)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(root); err != nil {
		return nil, &Error{Message: err.Error()}
	}
	if err := e.Close(); err != nil {
		return nil, &Error{Message: err.Error()}
	}
	return b.Bytes(), nil
}

func nodeOf(raw strictjson.Raw, name string, depth int, blocks bool) (*yaml.Node, error) {
	if depth > MaxDepth || len(raw) == 0 {
		return nil, &Error{Message: fmt.Sprintf("nested deeper than %d, or empty", MaxDepth)}
	}
	switch raw[0] {
	case '{':
		var members map[string]strictjson.Raw
		if err := strictjson.UnmarshalPart(raw, &members); err != nil {
			return nil, &Error{Message: err.Error()}
		}
		n := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
		if inFlow(name, raw) {
			n.Style = yaml.FlowStyle
		}
		names := make([]string, 0, len(members))
		for name := range members {
			names = append(names, name)
		}
		slices.SortFunc(names, func(a, b string) int {
			if x, y := rank(a), rank(b); x != y {
				return x - y
			}
			return strings.Compare(a, b)
		})
		for _, name := range names {
			value, err := nodeOf(members[name], name, depth+1, blocks)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, textNode(name, false), value)
		}
		return n, nil
	case '[':
		var items []strictjson.Raw
		if err := strictjson.UnmarshalPart(raw, &items); err != nil {
			return nil, &Error{Message: err.Error()}
		}
		n := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		if !slices.ContainsFunc(items, func(r strictjson.Raw) bool { return r[0] == '{' || r[0] == '[' }) && len(raw) <= maxFlow {
			n.Style = yaml.FlowStyle
		}
		for _, item := range items {
			value, err := nodeOf(item, "item of "+name, depth+1, blocks)
			if err != nil {
				return nil, err
			}
			n.Content = append(n.Content, value)
		}
		return n, nil
	case '"':
		var s string
		if err := strictjson.UnmarshalPart(raw, &s); err != nil {
			return nil, &Error{Message: err.Error()}
		}
		return textNode(s, blocks), nil
	case 't', 'f':
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: string(raw)}, nil
	}
	number := string(raw)
	if strings.ContainsAny(number, "eE") {
		f, err := strconv.ParseFloat(number, 64)
		if err != nil {
			return nil, &Error{Message: err.Error()}
		}
		number = strconv.FormatFloat(f, 'f', -1, 64)
	}
	tag := "!!int"
	if strings.Contains(number, ".") {
		tag = "!!float"
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: number}, nil
}

// inFlow reports whether an object is written on one line: what tests are made
// of, where it is short.
func inFlow(name string, raw []byte) bool {
	switch name {
	case "item of history", "given", "expect", "statement", "people":
		return len(raw) <= maxFlow && !bytes.Contains(raw, []byte(`\n`))
	}
	return false
}

func rank(name string) int {
	if i := slices.Index(order, name); i >= 0 {
		return i
	}
	return len(order)
}

// textNode writes a text plainly where it stays a text, as a block where it has
// several lines, and else in quotes.
func textNode(s string, blocks bool) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	switch {
	case strings.Contains(s, "\n") && blocks:
		n.Style = yaml.LiteralStyle
	case strings.Contains(s, "\n"), strings.ContainsAny(s, "\r\u0085\u2028\u2029"):
		n.Style = yaml.DoubleQuotedStyle
	default:
		if _, err := scalar(&yaml.Node{Kind: yaml.ScalarNode, Value: s}, false); err != nil {
			n.Style = yaml.DoubleQuotedStyle
		}
	}
	return n
}
