package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Limits of a configuration file.
const (
	// MaxFile is the longest file, in bytes.
	MaxFile = 256 << 10
	// MaxItems is how many items a list may have.
	MaxItems = 1024
)

// Sections are the commands that the file may configure.
var Sections = []string{"serve", "mirror"}

// Value is what a setting is set to: text in, as a flag is given. It is what flags
// packages call a value.
type Value interface {
	String() string
	Set(string) error
	Type() string
}

// Setting is one thing that can be set.
type Setting struct {
	Name  string // of the flag: "tls-cert"
	Value Value
	Usage string // for --help
	list  *List  // if it is one
}

// Section is what one command can be told.
type Section struct {
	Name     string
	Settings []Setting
}

// Error is what is wrong with a setting, and where.
type Error struct {
	Where string // "stele.yaml line 4", "$STELE_SERVE_LISTEN"
	Err   error
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %v", e.Where, e.Err) }

// Unwrap returns what is wrong.
func (e *Error) Unwrap() error { return e.Err }

// Add adds a setting. Lists are given as *List.
func (s *Section) Add(name string, v Value, usage string) {
	list, _ := v.(*List)
	s.Settings = append(s.Settings, Setting{Name: name, Value: v, Usage: usage, list: list})
}

// Variable is a setting's name in the environment.
func (s *Section) Variable(name string) string {
	return "STELE_" + strings.ToUpper(s.Name) + "_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
}

// Load sets what flags did not: from the environment, and else from the file at path,
// unless that is empty. given reports whether a flag was given. It returns where each
// setting that is not the default was set.
func (s *Section) Load(path string, getenv func(string) string, given func(name string) bool) (map[string]string, error) {
	from := make(map[string]string)
	file := map[string]*yaml.Node{}
	if path != "" {
		var err error
		if file, err = s.read(path); err != nil {
			return nil, err
		}
	}
	for _, x := range s.Settings {
		variable := s.Variable(x.Name)
		text, node := getenv(variable), file[x.Name]
		var where string
		var err error
		switch {
		case given(x.Name):
			where = "--" + x.Name
		case text != "":
			where, err = "$"+variable, x.setText(text)
		case node != nil:
			where, err = fmt.Sprintf("%s line %d", path, node.Line), x.setNode(node)
		default:
			continue
		}
		if err != nil {
			return nil, &Error{where, fmt.Errorf("%s: %w", x.Name, err)}
		}
		from[x.Name] = where
	}
	return from, nil
}

// setText sets from the environment: a list's items stand between spaces.
func (x Setting) setText(text string) error {
	if x.list == nil {
		return x.Value.Set(text)
	}
	return x.list.replace(strings.Fields(text))
}

func (x Setting) setNode(n *yaml.Node) error {
	if x.list != nil && n.Kind == yaml.SequenceNode {
		var items []string
		for _, item := range n.Content {
			text, err := scalar(item)
			if err != nil {
				return err
			}
			items = append(items, text)
		}
		return x.list.replace(items)
	}
	text, err := scalar(n)
	if err != nil {
		return err
	}
	if x.list != nil {
		return x.list.replace([]string{text})
	}
	return x.Value.Set(text)
}

// scalar is the text of a single value, as it stands in the file.
func scalar(n *yaml.Node) (string, error) {
	switch {
	case n.Kind == yaml.AliasNode || n.Anchor != "":
		return "", errors.New("anchors and aliases are not taken")
	case n.Kind != yaml.ScalarNode:
		return "", errors.New("one value is wanted here")
	case n.Tag == "!!null":
		return "", errors.New("a value is missing")
	case n.Style&yaml.TaggedStyle != 0:
		return "", errors.New("tags are not taken")
	}
	return n.Value, nil
}

// read returns the nodes of the section, by name, of a file.
func (s *Section) read(path string) (map[string]*yaml.Node, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, MaxFile+1))
	if err != nil {
		return nil, err
	}
	sections, err := parse(path, data)
	if err != nil {
		return nil, err
	}
	for name, n := range sections {
		if !slices.Contains(Sections, name) {
			return nil, at(path, n, "there is no section %q; there are %s", name, strings.Join(Sections, ", "))
		}
	}
	n := sections[s.Name]
	if n == nil || n.Tag == "!!null" {
		return map[string]*yaml.Node{}, nil
	}
	settings, err := members(path, n)
	if err != nil {
		return nil, err
	}
	for name, n := range settings {
		if !slices.ContainsFunc(s.Settings, func(x Setting) bool { return x.Name == name }) {
			return nil, at(path, n, "%s has no setting %q", s.Name, name)
		}
	}
	return settings, nil
}

func at(path string, n *yaml.Node, format string, args ...any) error {
	return &Error{fmt.Sprintf("%s line %d", path, n.Line), fmt.Errorf(format, args...)}
}

// parse reads a file's one document: sections by name.
func parse(path string, data []byte) (map[string]*yaml.Node, error) {
	if len(data) > MaxFile {
		return nil, &Error{path, fmt.Errorf("more than %d bytes", MaxFile)}
	}
	d := yaml.NewDecoder(bytes.NewReader(data))
	var doc, more yaml.Node
	if err := d.Decode(&doc); errors.Is(err, io.EOF) {
		return map[string]*yaml.Node{}, nil
	} else if err != nil {
		return nil, &Error{path, err}
	}
	if err := d.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, &Error{path, errors.New("it holds more than one document")}
	}
	return members(path, doc.Content[0])
}

// members are what a mapping holds, each name once.
func members(path string, n *yaml.Node) (map[string]*yaml.Node, error) {
	if n.Kind != yaml.MappingNode {
		return nil, at(path, n, "names and values are wanted here")
	}
	out := make(map[string]*yaml.Node, len(n.Content)/2)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, err := scalar(n.Content[i])
		if err != nil {
			return nil, at(path, n.Content[i], "%w", err)
		}
		if out[key] != nil {
			return nil, at(path, n.Content[i], "%q stands there twice", key)
		}
		value := n.Content[i+1]
		value.Line = n.Content[i].Line // where its name stands is where one looks
		out[key] = value
	}
	return out, nil
}

// Print writes the section as a file that says all that holds now, with where it was
// set.
func (s *Section) Print(w io.Writer, from map[string]string) error {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s:\n", s.Name)
	for _, x := range s.Settings {
		text := quote(x.Value.String())
		switch x.Value.(type) {
		case *Switch, *Number:
			text = x.Value.String() // which is taken as it stands
		}
		if x.list != nil {
			items := make([]string, len(x.list.items))
			for i, item := range x.list.items {
				items[i] = quote(item)
			}
			text = "[" + strings.Join(items, ", ") + "]"
		}
		where := from[x.Name]
		if where == "" {
			where = "default"
		}
		line := "  " + x.Name + ": " + text
		if text == `""` { // not set: what a file cannot say
			line = "  # " + x.Name + ":"
		}
		fmt.Fprintf(&b, "%s # %s\n", line, where)
	}
	_, err := w.Write(b.Bytes())
	return err
}

// quote writes a text so that it is the same text again when it is read.
func quote(text string) string {
	out, err := yaml.Marshal(text)
	if err != nil || strings.Count(string(out), "\n") != 1 || strings.HasPrefix(string(out), "|") {
		return fmt.Sprintf("%q", text)
	}
	if text == "" {
		return `""`
	}
	plain := strings.TrimSuffix(string(out), "\n")
	if strings.ContainsAny(plain, ",[]{}#") && plain == text { // within a list they end it
		return fmt.Sprintf("%q", text)
	}
	return plain
}
