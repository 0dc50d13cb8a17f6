package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// settings are a section with one of each kind.
type settings struct {
	name  Text
	on    Switch
	count Number
	long  Length
	word  Word
	list  *List
}

func section() (*settings, *Section) {
	v := &settings{
		name: "standard", count: 7, long: Length(time.Minute), word: Word{Value: "a", Words: []string{"a", "b"}},
		list: NewList(func(s string) error {
			if s == "bad" {
				return errors.New("bad")
			}
			return nil
		}, "one"),
	}
	s := &Section{Name: "serve"}
	s.Add("name", &v.name, "")
	s.Add("on", &v.on, "")
	s.Add("count", &v.count, "")
	s.Add("long-time", &v.long, "")
	s.Add("word", &v.word, "")
	s.Add("list", v.list, "")
	return v, s
}

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "stele.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func none(string) bool { return false }

func env(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

func (v *settings) text() string {
	return fmt.Sprintf("%s %v %d %s %s %q", v.name, v.on, v.count, time.Duration(v.long), v.word.Value, v.list.Items())
}

// TestPrecedence: flag before environment before file before what holds by itself.
func TestPrecedence(t *testing.T) {
	file := write(t, "serve:\n  name: file\n  on: true\n  count: 1\n  long-time: 1s\n  word: b\n  list: [x, \"y z\"]\n")
	v, s := section()
	if _, err := s.Load("", env(nil), none); err != nil || v.text() != `standard false 7 1m0s a ["one"]` {
		t.Errorf("nothing said: %s, %v", v.text(), err)
	}
	v, s = section()
	if _, err := s.Load(file, env(nil), none); err != nil || v.text() != `file true 1 1s b ["x" "y z"]` {
		t.Errorf("the file: %s, %v", v.text(), err)
	}
	v, s = section()
	v.name, v.count = "flag", 3
	from, err := s.Load(file, env(map[string]string{"STELE_SERVE_COUNT": "2", "STELE_SERVE_LONG_TIME": "2s", "STELE_SERVE_LIST": "p  q"}),
		func(name string) bool { return name == "name" || name == "count" })
	if err != nil || v.text() != `flag true 3 2s b ["p" "q"]` {
		t.Errorf("all: %s, %v", v.text(), err)
	}
	if from["name"] != "--name" || from["long-time"] != "$STELE_SERVE_LONG_TIME" || from["word"] != file+" line 6" {
		t.Errorf("from %v", from)
	}
}

// TestListFlag: the first takes the place of what holds by itself, others are added.
func TestListFlag(t *testing.T) {
	v, _ := section()
	for _, text := range []string{"p", "q"} {
		if err := v.list.Set(text); err != nil {
			t.Fatal(err)
		}
	}
	if got := v.list.String(); got != "p q" {
		t.Errorf("%q", got)
	}
}

// TestRefused: what nobody knows, what stands twice, what is no value; with its line.
func TestRefused(t *testing.T) {
	for _, c := range []struct{ file, want string }{
		{"serve:\n  nmae: x\n", `line 2: serve has no setting "nmae"`},
		{"serve:\n  Name: x\n", `line 2: serve has no setting "Name"`},
		{"server:\n  name: x\n", `line 1: there is no section "server"`},
		{"name: x\n", `line 1: there is no section "name"`},
		{"serve:\n  name: x\n  on: true\n  name: y\n", `line 4: "name" stands there twice`},
		{"serve: {name: x}\nserve: {name: y}\n", `line 2: "serve" stands there twice`},
		{"serve:\n  name: [x]\n", "line 2: name: one value is wanted"},
		{"serve:\n  name: {x: y}\n", "line 2: name: one value is wanted"},
		{"serve:\n  name:\n", "line 2: name: a value is missing"},
		{"serve:\n  on: yes\n", `line 2: on: "yes" is neither`},
		{"serve:\n  count: -1\n", "line 2: count:"},
		{"serve:\n  count: 1e3\n", "line 2: count:"},
		{"serve:\n  count: 99999999999\n", "line 2: count:"},
		{"serve:\n  long-time: 5\n", "line 2: long-time:"},
		{"serve:\n  word: c\n", "line 2: word:"},
		{"serve:\n  list: [bad]\n", "line 2: list: bad"},
		{"serve:\n  list: [[x]]\n", "line 2: list: one value"},
		{"serve:\n  list: [\"\"]\n", "line 2: list: an item is empty"},
		{"serve:\n  name: &a x\n", "anchors"},
		{"serve:\n  name: !!binary eA==\n", "tags are not taken"},
		{"x: &a {name: y}\nserve:\n  <<: *a\n", "there is no section"},
		{"- serve\n", "names and values are wanted"},
		{"serve: x\n", "names and values are wanted"},
		{"serve:\n  name: x\n---\nserve:\n  name: y\n", "more than one document"},
		{"serve:\n\tname: x\n", "stele.yaml"},
		{strings.Repeat("#", MaxFile+1), "more than"},
	} {
		_, s := section()
		_, err := s.Load(write(t, c.file), env(nil), none)
		var e *Error
		if err == nil || !errors.As(err, &e) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.60q: %v, want %q", c.file, err, c.want)
		}
	}
	_, s := section()
	if _, err := s.Load("", env(map[string]string{"STELE_SERVE_ON": "1"}), none); err == nil || !strings.Contains(err.Error(), "$STELE_SERVE_ON") {
		t.Errorf("a wrong variable: %v", err)
	}
	for _, good := range []string{"", "# nothing\n", "serve:\n", "mirror:\n  anything: [1]\n"} {
		v, s := section()
		if _, err := s.Load(write(t, good), env(nil), none); err != nil || v.name != "standard" {
			t.Errorf("%q: %v", good, err)
		}
	}
}

// FuzzFile: no file makes it panic.
func FuzzFile(f *testing.F) {
	f.Add([]byte("serve:\n  name: x\n  list: [a, b]\n"))
	f.Add([]byte("serve: &a\n  name: *a\n"))
	f.Add([]byte("? [x]\n: y\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		nodes, err := parse("f", data)
		if err != nil {
			return
		}
		for _, n := range nodes {
			_, _ = members("f", n)
		}
	})
}
