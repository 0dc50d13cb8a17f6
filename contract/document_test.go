package contract_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/internal/draft"
	"github.com/stele-ml/stele/internal/strictjson"
	"github.com/stele-ml/stele/statement"
)

var update = flag.Bool("update", false, "write what came out into testdata")

func readFile(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func read(t testing.TB, yaml string) *draft.Draft {
	t.Helper()
	d, err := draft.Read([]byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// problems are told as a command tells them: with the draft's lines.
func problems(d *draft.Draft, err error) (lines []string) {
	var ce *contract.CompileError
	if !errors.As(err, &ce) {
		return []string{fmt.Sprint(err)}
	}
	for _, p := range ce.Problems {
		line, _ := d.Place(p.Path, p.Line, p.Column)
		text := fmt.Sprintf("%d: %s%s", line, p.Place(), p.Message)
		if p.Hint != "" {
			text += " (" + p.Hint + ")"
		}
		lines = append(lines, strings.ReplaceAll(text, "\n", " "))
	}
	return lines
}

func TestDocument(t *testing.T) {
	d, err := contract.ParseDocument(read(t, readFile(t, "testdata/base.yaml")).Document)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprintf("%s %d %q %s %v %v %v %v", d.Name, d.Version, d.Description, d.Engine, d.Match, d.Params, d.Variables, d.Gate)
	const want = `production 3 "for tests" cel/1 {[release approval] [fraud/*] [production] [model] [join approve]} ` +
		`[{floor 0.9} {licences [mit apache-2.0]} {needed 2} {strict true}] [{approvers ledger.approvers(subject)}] [contents]`
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := fmt.Sprintf("%q", d.Validations), `[{"two" "variables.approvers.size() >= params.needed" "two people have to approve" "" "ask another"} {"named" "subject.name != \"\"" "" "\"a name\"" ""}]`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if len(d.Tests) != 2 || d.Tests[0].Name != "refused" || !d.Tests[0].Expect.Allow || d.Tests[1].Expect.Deny[0] != "two" {
		t.Errorf("%+v", d.Tests)
	}
	types := fmt.Sprintf("%T %T %T %T", d.Params[0].Value, d.Params[1].Value, d.Params[2].Value, d.Params[3].Value)
	if types != "float64 []string int64 bool" {
		t.Error(types)
	}
}

// TestRefused holds the parser to testdata/refused.txt.
func TestRefused(t *testing.T) {
	const name = "testdata/refused.txt"
	base := readFile(t, "testdata/base.yaml")
	head, rest, _ := strings.Cut(readFile(t, name), "\n# ")
	out := head
	for block := range strings.SplitSeq(rest, "\n# ") {
		title, body, _ := strings.Cut(block, "\n")
		var from, to, want []string
		for line := range strings.Lines(body) {
			line = strings.TrimSuffix(line, "\n")
			switch {
			case strings.HasPrefix(line, "- "):
				from = append(from, line[2:])
			case strings.HasPrefix(line, "+ "):
				to = append(to, line[2:])
			case strings.HasPrefix(line, "!"):
				want = append(want, strings.TrimPrefix(line[1:], " "))
			}
		}
		t.Run(title, func(t *testing.T) {
			i := strings.Index(base, strings.Join(from, "\n"))
			if i < 0 || len(from) == 0 {
				t.Fatalf("%q is not in the base", from)
			}
			indent := i - (strings.LastIndexByte(base[:i], '\n') + 1)
			if rest := strings.TrimLeft(base[i-indent:i], " -"); rest != "" {
				indent -= len(rest)
			}
			text := base[:i] + strings.Join(to, "\n"+strings.Repeat(" ", indent)) + base[i+len(strings.Join(from, "\n")):]
			d := read(t, text)
			_, err := contract.ParseDocument(d.Document)
			var got []string
			if err != nil {
				got = problems(d, err)
			}
			if *update {
				want = got
			}
			if strings.Join(got, "\n") != strings.Join(want, "\n") {
				t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			out += "\n# " + title + "\n"
			for _, lines := range []struct {
				sign string
				list []string
			}{{"- ", from}, {"+ ", to}, {"! ", got}} {
				for _, l := range lines.list {
					out += lines.sign + l + "\n"
				}
			}
		})
	}
	if *update {
		if err := os.WriteFile(name, []byte(out), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestNotCanonical: a document has one spelling.
func TestNotCanonical(t *testing.T) {
	d := read(t, readFile(t, "testdata/base.yaml")).Document
	if _, err := contract.ParseDocument(d); err != nil {
		t.Fatal(err)
	}
	for name, other := range map[string][]byte{
		"a space":        append([]byte(" "), d...),
		"a line feed":    append(bytes.Clone(d), '\n'),
		"twice":          bytes.Replace(d, []byte(`"kind":"Contract"`), []byte(`"kind":"Contract","kind":"Contract"`), 1),
		"order":          bytes.Replace(d, []byte(`"kind":"Contract","metadata"`), []byte(`"metadata":{},"kind":"Contract","metadata"`), 1),
		"an escape":      bytes.Replace(d, []byte(`"Contract"`), []byte(`"Contr\u0061ct"`), 1),
		"a number":       bytes.Replace(d, []byte(`0.9`), []byte(`0.90`), 1),
		"an exponent":    bytes.Replace(d, []byte(`"needed":2`), []byte(`"needed":2e0`), 1),
		"minus zero":     bytes.Replace(d, []byte(`"needed":2`), []byte(`"needed":-0`), 1),
		"null":           bytes.Replace(d, []byte(`"needed":2`), []byte(`"needed":null`), 1),
		"a large number": bytes.Replace(d, []byte(`"needed":2`), []byte(`"needed":9007199254740992`), 1),
		"cut off":        d[:len(d)-1],
		"nothing":        {},
		"large":          bytes.Replace(d, []byte(`for tests`), bytes.Repeat([]byte("x"), contract.MaxDocument), 1),
		"deep":           bytes.Replace(d, []byte(`"needed":2`), []byte(`"needed":[[[[[[[[[[[[[2]]]]]]]]]]]]]`), 1),
		"a list":         []byte(`[]`),
	} {
		if _, err := contract.ParseDocument(other); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

// TestManyProblems: however much is wrong, the answer has an end.
func TestManyProblems(t *testing.T) {
	var b strings.Builder
	b.WriteString(`{"apiVersion":"stele.dev/v1"`)
	for i := range 1000 {
		fmt.Fprintf(&b, `,"x%03d":1`, i)
	}
	b.WriteString("}")
	var ce *contract.CompileError
	if _, err := contract.ParseDocument([]byte(b.String())); !errors.As(err, &ce) || len(ce.Problems) != 50 {
		t.Errorf("%v", err)
	}
}

// TestNoValidations: a version that ends what the one before it demanded.
func TestNoValidations(t *testing.T) {
	const head = `{"apiVersion":"stele.dev/v1","kind":"Contract","metadata":{"name":"x","version":1},"spec":{"engine":"cel/1","match":{"statements":["release"]}`
	c, err := contract.Compile([]byte(head + `,"validations":[]}}`))
	if err != nil {
		t.Fatal(err)
	}
	if results, err := c.RunTests(); err != nil || len(results) != 0 || len(c.Warnings()) != 0 {
		t.Error(results, err, c.Warnings())
	}
	for _, rest := range []string{`}}`, `,"tests":[],"validations":[]}}`, `,"tests":[{"expect":{"allow":true},"given":{"statement":{}},"name":"x"}],"validations":[]}}`} {
		if _, err := contract.Compile([]byte(head + rest)); err == nil {
			t.Errorf("%s is accepted", rest)
		}
	}
}

// TestPage: the examples of docs/formats/contract.md are contracts whose tests
// pass.
func TestPage(t *testing.T) {
	page := readFile(t, "../docs/formats/contract.md")
	blocks := strings.Split(page, "```yaml\n")
	if len(blocks) < 3 {
		t.Fatal("no examples")
	}
	example, _, _ := strings.Cut(blocks[1], "```")
	more, _, _ := strings.Cut(blocks[2], "```")
	for line := range strings.Lines(more) {
		example += "    " + line
	}
	c, err := contract.Compile(read(t, example).Document)
	if err != nil {
		t.Fatal(err)
	}
	results, err := c.RunTests()
	if err != nil || len(results) != 3 {
		t.Fatal(len(results), err)
	}
	for _, r := range results {
		if !r.OK {
			t.Error(r.Failure())
		}
	}
	if w := c.Warnings(); len(w) != 0 {
		t.Errorf("%+v", w)
	}
}

// A name that looks like another is none: names are ASCII.
func TestAttackLookAlikeNames(t *testing.T) {
	m := contract.Match{Statements: []statement.Kind{statement.KindRelease}, Names: []string{"fraud/*"}}
	for _, name := range []string{"frаud/x", "fraud∕x", "FRAUD/x", "fraud／x", "ﬀraud/x", "fraud/x\u200b"} {
		if statement.CheckName(name) == nil {
			t.Errorf("%q is a name", name)
		}
		for _, p := range m.Names {
			if statement.MatchName(p, name) && statement.CheckName(name) == nil {
				t.Errorf("%q matches", name)
			}
		}
	}
}

func FuzzParseDocument(f *testing.F) {
	f.Add(read(f, readFile(f, "testdata/base.yaml")).Document)
	f.Add([]byte(`{"apiVersion":"stele.dev/v1","kind":"Contract","metadata":{"name":"x","version":1},"spec":{"engine":"cel/1","match":{"statements":["release"]},"validations":[]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := contract.ParseDocument(data)
		if canonical, cerr := strictjson.Canonical(data); cerr == nil && !bytes.Equal(canonical, data) {
			if err == nil {
				t.Fatalf("%q is accepted, which is not canonical", data)
			}
			d, err = contract.ParseDocument(canonical)
		}
		if err != nil {
			var ce *contract.CompileError
			if !errors.As(err, &ce) || len(ce.Problems) == 0 {
				t.Fatalf("%T: %v", err, err)
			}
			return
		}
		if len(d.Match.Statements) == 0 || d.Version == 0 || (len(d.Validations) > 0) != (len(d.Tests) > 0) {
			t.Fatalf("%+v", d)
		}
		for _, test := range d.Tests {
			in := test.Given.Input()
			if in == nil || in.Statement == nil || in.State == nil || in.Entry == 0 {
				t.Fatalf("%q: %+v", test.Name, in)
			}
			if _, err := d.Match.Subjects(in.Statement, in.State); err != nil {
				t.Fatal(err)
			}
		}
	})
}
