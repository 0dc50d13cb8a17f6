package draft

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stele-ml/stele/internal/strictjson"
)

const example = `# two people, please
apiVersion: stele.dev/v1
kind: Contract
metadata: {name: production, version: 3}
spec:
  match: {statements: [release]}
  params:
    minAUC: 0.90
    licences: [mit, 'apache-2.0', "x\ty"]
    on call: true
  validations:
    - id: two
      expression: |-
        ledger.approvers(subject)
          .size() >= 2
      messageExpression: >-
        "production needs 2 approvals, found "
        + string(1)
      hint: 'ask ''bob'' for it'
`

func TestRead(t *testing.T) {
	d, err := Read([]byte(example))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"apiVersion":"stele.dev/v1","kind":"Contract","metadata":{"name":"production","version":3},"spec":{"match":{"statements":["release"]},` +
		`"params":{"licences":["mit","apache-2.0","x\ty"],"minAUC":0.9,"on call":true},"validations":[{"expression":"ledger.approvers(subject)\n  .size() >= 2",` +
		`"hint":"ask 'bob' for it","id":"two","messageExpression":"\"production needs 2 approvals, found \" + string(1)"}]}}`
	if string(d.Document) != want {
		t.Errorf("got  %s\nwant %s", d.Document, want)
	}
	for path, line := range map[string]int{
		"": 2, "apiVersion": 2, "metadata.version": 4, "spec": 6, "spec.params.minAUC": 8, `spec.params["on call"]`: 10, "spec.params.licences[2]": 9,
		"spec.validations[0].expression": 13, "spec.validations[0].hint": 19,
		// What is not there is told by what it is not in.
		"spec.validations[0].message": 12, "spec.validations[7].message": 12, "spec.params.licences[9]": 9, `spec.params["off ]call"].x`: 8, "nonsense": 2, "]": 2, `["`: 2,
	} {
		if got := d.Line(path); got != line {
			t.Errorf("%s: line %d, want %d", path, got, line)
		}
	}
	for _, c := range []struct {
		path         string
		line, column int
		want         string
	}{
		{"spec.validations[0].expression", 1, 1, "14:9"},
		{"spec.validations[0].expression", 1, 8, "14:16"},
		{"spec.validations[0].expression", 2, 4, "15:12"},
		{"spec.validations[0].expression", 9, 1, "13:19"}, // past the end
		{"spec.validations[0].expression", 0, 0, "13:19"},
		{"spec.validations[0].messageExpression", 1, 1, "17:9"},
		{"spec.validations[0].messageExpression", 1, 40, "18:9"},
		{"spec.validations[0].messageExpression", 1, 42, "18:11"},
		{"spec.validations[0].messageExpression", 2, 1, "16:26"},
		{"spec.validations[0].hint", 1, 1, "19:14"},
		{"spec.validations[0].hint", 1, 5, "19:18"},
		{"spec.validations[0].hint", 1, 6, "19:20"},
		{"spec.validations[0].hint", 1, 12, "19:27"},
		{"spec.params.licences[0]", 1, 2, "9:17"},
		{"spec.params.licences[2]", 1, 2, "9:37"},
		{"spec.params.licences[2]", 1, 3, "9:39"},
		{"spec.params.licences[2]", 1, 30, "9:35"},
		{"spec.validations[0].none", 1, 1, "12:7"},
		{"spec.params", 1, 1, "8:5"},
	} {
		if line, column := d.Place(c.path, c.line, c.column); fmt.Sprintf("%d:%d", line, column) != c.want {
			t.Errorf("%s %d:%d: %d:%d, want %s", c.path, c.line, c.column, line, column, c.want)
		}
	}
}

// TestPlaceInBlocks: what a block is indented by is no part of its text.
func TestPlaceInBlocks(t *testing.T) {
	const x = "x" // what is looked for
	for _, text := range []string{
		"a: |-\n  y\n  x", "a: |2-\n    y\n   x", "a: |-\n\n  y\n   x", "b:\n- a: |\n     éé x\n", "a: >-\n  yy\n  zz x", "a: >2-\n  y\n  x",
		"a: 'it''s x'", "a: \"\\u00e9\\t\\x41 x\"", "a: éé x", "{a: x}", "a: \"\\\\ \\U0001F600 x\"",
	} {
		d, err := Read([]byte(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		path := "a"
		if strings.HasPrefix(text, "b:") {
			path = "b[0].a"
		}
		value := d.places[path].Value
		before, _, _ := strings.Cut(value, x)
		line := 1 + strings.Count(before, "\n")
		column := 1 + len([]rune(before[strings.LastIndexByte(before, '\n')+1:]))
		l, c := d.Place(path, line, column)
		at := []rune(d.lines[l-1])
		if c > len(at) || at[c-1] != 'x' || strings.Contains(string(at[:c-1]), x) && !strings.Contains(text, "x41") {
			t.Errorf("%q: %d:%d of %q is at %d:%d", text, line, column, value, l, c)
		}
	}
}

// TestJSON: a document is a draft of itself.
func TestJSON(t *testing.T) {
	d, err := Read([]byte(example))
	if err != nil {
		t.Fatal(err)
	}
	again, err := Read(d.Document)
	if err != nil || !bytes.Equal(again.Document, d.Document) {
		t.Errorf("%s, %v", again.Document, err)
	}
	if line, column := again.Place("metadata.version", 1, 1); line != 1 || column != 90 {
		t.Errorf("%d:%d", line, column)
	}
}

func TestReadRefuses(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"nothing":             {"", "nothing is in it"},
		"a comment alone":     {"# x\n", "nothing is in it"},
		"two documents":       {"a: 1\n---\nb: 2\n", "line 2: a second document"},
		"an anchor":           {"a: &x 1\n", "line 1: an anchor: &x"},
		"an alias":            {"b: 1\na: [&x 1, *x]\n", "line 2: an anchor: &x"},
		"an alias of none":    {"# *x\nb: 1 # *x\na: [1, *x]\n", "line 3: an alias: *x"},
		"a pattern":           {"a:\n  - *fraud\n", "line 2: an alias: *fraud"},
		"a merge":             {"a: {<<: {b: 1}}\n", "line 1: a merge key"},
		"a tag":               {"a: !!str 1\n", "line 1: a tag: !!str"},
		"a tag of one's own":  {"a: !secret x\n", "line 1: a tag: !secret"},
		"twice":               {"a: 1\nb: 2\na: 3\n", "line 3: a is there twice: it stands on line 1 already"},
		"twice, quoted":       {"a: {x: 1, \"x\": 2}\n", "line 1: x is there twice: it stands on line 1 already"},
		"a number as a name":  {"1: x\n", "line 1: the name of a member is a text"},
		"a list as a name":    {"? [a]\n: x\n", "line 1: the name of a member is a text"},
		"an empty value":      {"a:\n", "line 1: nothing stands here"},
		"null":                {"a: null\n", "line 1: nothing stands here"},
		"a tilde":             {"a: [~]\n", "line 1: nothing stands here"},
		"yes":                 {"a: yes\n", "line 1: yes is a truth value to some readers"},
		"NO":                  {"a: [NO]\n", "line 1: NO is a truth value to some readers"},
		"on as a name":        {"on: 1\n", "line 1: on is a truth value to some readers"},
		"True":                {"a: True\n", "line 1: True"},
		"octal":               {"a: 010\n", "line 1: the number 010"},
		"octal of YAML 1.2":   {"a: 0o10\n", "line 1: the number 0o10"},
		"hexadecimal":         {"a: 0x10\n", "line 1: the number 0x10"},
		"binary":              {"a: 0b10\n", "line 1: the number 0b10"},
		"underscores":         {"a: 1_000\n", "line 1: the number 1_000"},
		"a plus":              {"a: +1\n", "line 1: the number +1"},
		"a point in front":    {"a: .5\n", "line 1: the number .5"},
		"a point at the end":  {"a: 5.\n", "line 1: the number 5."},
		"not a number":        {"a: .nan\n", "line 1: the number .nan"},
		"infinity":            {"a: -.inf\n", "line 1: the number -.inf"},
		"too large":           {"a: 9007199254740992\n", "line 1: the number 9007199254740992, which is beyond ±9007199254740991"},
		"far too large":       {"a: 1e400\n", "line 1: 1e400 is a number to some readers"},
		"sexagesimal":         {"a: 12:30:45\n", "line 1: 12:30:45 is a number to some readers"},
		"too exact":           {"a: 0.123456789012345678\n", "line 1: the number 0.123456789012345678 has more than 17 digits"},
		"nearly nothing":      {"{\"a\": 1e-400}\n", "line 1: the number 1e-400 is too near to 0"},
		"an exponent":         {"a: 1e5\n", "line 1: the number 1e5"},
		"one in capitals":     {"a: 1E5\n", "line 1: the number 1E5"},
		"a negative one":      {"a: {b: 1e-7}\n", "line 1: the number 1e-7"},
		"as a version":        {"metadata: {version: 1e3}\n", "line 1: the number 1e3"},
		"with all that":       {"a: 1.5e+3\n", "line 1: the number 1.5e+3"},
		"minus nothing":       {"a: -0\n", "line 1: the number -0"},
		"and more of it":      {"a: -0.0\n", "line 1: the number -0.0"},
		"no YAML":             {"a: [1\nb: 2\n", "line 1: did not find expected ',' or ']'"},
		"a tab":               {"a:\n\tb: 1\n", "line 2: found character that cannot start any token"},
		"no UTF-8":            {"a: \xff\n", "line 1: not valid UTF-8"},
		"another line break":  {"a: x\u2028b: y\n", "line 1: a line break that is not one everywhere"},
		"a carriage return":   {"b: 1\na: x\ry: 1\n", "line 2: a line break that is not one everywhere"},
		"a directive":         {"%YAML 1.1\n---\na: 1\n", "line 1: a YAML directive"},
		"deep":                {strings.Repeat("[", MaxDepth+2) + strings.Repeat("]", MaxDepth+2), "line 1: nested deeper than 24"},
		"many":                {"[" + strings.Repeat("1,", MaxParts+1) + "]", "line 1: more than 25000 values"},
		"large":               {"a: " + strings.Repeat("x", MaxDraft), "262147 bytes, at most 262144 are allowed"},
		"a control character": {"a: \x01\n", "control characters are not allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read([]byte(c.text))
			var e *Error
			if !errors.As(err, &e) || err.Error() != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

// TestReads are things that look odd and mean one thing.
func TestReads(t *testing.T) {
	for text, want := range map[string]string{
		"a: 2026-03-01T00:00:00Z\n": `{"a":"2026-03-01T00:00:00Z"}`,
		"a: 1.50\n":                 `{"a":1.5}`,
		"a: 0.0\n":                  `{"a":0}`,
		"a: 0.0000001\n":            `{"a":1e-7}`,
		"{\"a\": [1e-7, 1e5]}\n":    `{"a":[1e-7,100000]}`,
		"a: 'yes'\n":                `{"a":"yes"}`,
		"---\na: \"010\"\n...\n":    `{"a":"010"}`,
		"a: {}\nb: []\nc: ''\n":     `{"a":{},"b":[],"c":""}`,
		"\xef\xbb\xbfa: 1\r\nb: |\r\n  x\r\n  y\r\n": `{"a":1,"b":"x\ny\n"}`,
		"- a\n- - b\n":     `["a",["b"]]`,
		"x":                `"x"`,
		"a: \"\\u2028\"\n": "{\"a\":\"\u2028\"}",
		"? a\n: 1\n":       `{"a":1}`,
		"z: 1\na: 2\n\u00e9: 3\n\"\U0001F600\": 4\n":    "{\"a\":2,\"z\":1,\"\u00e9\":3,\"\U0001F600\":4}",
		"a: >-\n  x\n  y\n\n  z\nb: |+\n  p\n\n":        `{"a":"x y\nz","b":"p\n\n"}`,
		"a: plain text\n  over two lines # a comment\n": `{"a":"plain text over two lines"}`,
	} {
		d, err := Read([]byte(text))
		if err != nil || string(d.Document) != want {
			t.Errorf("%q: %v, want %s", text, err, want)
			if d != nil {
				t.Errorf("got %s", d.Document)
			}
		}
	}
}

func TestWrite(t *testing.T) {
	d, err := Read([]byte(example))
	if err != nil {
		t.Fatal(err)
	}
	text, err := Write(d.Document)
	if err != nil {
		t.Fatal(err)
	}
	const want = `apiVersion: stele.dev/v1
kind: Contract
metadata:
  name: production
  version: 3
spec:
  match:
    statements: [release]
  params:
    licences: [mit, apache-2.0, "x\ty"]
    minAUC: 0.9
    on call: true
  validations:
    - id: two
      expression: |-
        ledger.approvers(subject)
          .size() >= 2
      messageExpression: '"production needs 2 approvals, found " + string(1)'
      hint: ask 'bob' for it
`
	if string(text) != want {
		t.Errorf("got:\n%s\nwant:\n%s", text, want)
	}
	for _, written := range []string{
		`{"a":" x\n  y \n\n"}`, `{"a":"\n x"}`, `{"a":"yes","no":["on","1","0x1","null","~","","-","1e5","2026-03-01","<<","*x","&y","!z","%","@","a: b","a #b"]}`,
		"{\"a\":\"\u2028\u0085 \u2029\\n\"}", `{"a":[],"b":{}}`, `{"a":1e-7,"d":5e-324,"e":-2.5e-9,"b":-0.5,"c":9007199254740991}`, `{"a":"\t\n\t"}`, `{"a":"x\n"}`, `{"a":"\u0001"}`, `["x"]`,
		`{"a":"` + strings.Repeat("long ", 100) + `"}`, "{\"a\":\"\ufeffx\"}", `{"history":[{"stamp":"a@1","by":"b"}]}`, `{"<<":{"a":1}}`, `{"":1}`,
	} {
		document, err := strictjson.Canonical([]byte(written))
		if err != nil {
			t.Fatal(err)
		}
		if text, err := Write(document); err != nil {
			t.Errorf("%s: %v", document, err)
		} else if d, err := Read(text); err != nil || !bytes.Equal(d.Document, document) {
			t.Errorf("%s is read as %v: %v", text, d, err)
		}
	}
}

// TestReadyContracts: those of contracts/ are drafts, and are shown as they are.
func TestReadyContracts(t *testing.T) {
	files, err := filepath.Glob("../../contracts/*.yaml")
	if err != nil || len(files) == 0 {
		t.Skip("no ready contracts")
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		d, err := Read(text)
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		if _, err := Write(d.Document); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(example))
	for _, s := range []string{"a: 1", "a: |\n  x\n", "a: >-\n x\n y\n", "- 'a''b'\n- \"\\x41\"\n", "{}", "a: [1, 2.5, -3e-7]", "? a\n: b", "a: b\n---\nc: d"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := Read(text)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		for path := range d.places {
			if l := d.Line(path); l < 1 || l > len(d.lines) {
				t.Fatalf("%s: line %d of %d", path, l, len(d.lines))
			}
			for _, p := range [][2]int{{0, 0}, {1, 1}, {1, 3}, {2, 1}, {1 << 30, 1 << 30}} {
				if l, c := d.Place(path, p[0], p[1]); l < 1 || l > len(d.lines) || c < 1 {
					t.Fatalf("%s: %d:%d", path, l, c)
				}
			}
		}
		// What was read is a draft of itself, and can be shown.
		again, err := Read(d.Document)
		if err == nil && !bytes.Equal(again.Document, d.Document) {
			t.Fatalf("%s becomes %s", d.Document, again.Document)
		}
		if shown, err := Write(d.Document); err == nil {
			if again, err := Read(shown); err != nil || !bytes.Equal(again.Document, d.Document) {
				t.Fatalf("%s is shown as %s: %v", d.Document, shown, err)
			}
		}
	})
}
