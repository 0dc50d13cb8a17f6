package contracts_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/contracts"
	"github.com/stele-ml/stele/internal/draft"
)

// read returns a ready contract in its canonical form.
func read(t *testing.T, name string) []byte {
	t.Helper()
	yaml, _, err := contracts.Read(name)
	if err != nil {
		t.Fatal(err)
	}
	d, err := draft.Read(yaml)
	if err != nil {
		t.Fatal(err)
	}
	return d.Document
}

func compile(t *testing.T, document []byte) *contract.Contract {
	t.Helper()
	c, err := contract.Compile(document)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestOwnTests(t *testing.T) {
	for _, name := range contracts.Names() {
		t.Run(name, func(t *testing.T) {
			c := compile(t, read(t, name))
			if c.ID() != name+"@1" {
				t.Errorf("it is %s", c.ID())
			}
			for _, w := range c.Warnings() {
				t.Errorf("warning %s: %s: %s", w.Code, w.Path, w.Message)
			}
			results, err := c.RunTests()
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range results {
				if !r.OK {
					t.Errorf("%s: %s", r.Name, r.Message)
				}
				for _, v := range r.Results {
					if !v.OK && v.Error == "" && v.Message == "" {
						t.Errorf("%s: %s refuses without a word", r.Name, v.Rule)
					}
				}
			}
		})
	}
}

// What the README says of editing: a value that the tests name, replaced in the
// whole file, leaves them as they were.
func TestOwnTestsWithOtherParams(t *testing.T) {
	for _, x := range []struct{ contract, from, to string }{
		{"held-out-data", "bench/test", "fraud/test"},
		{"metrics-floor", "bench/test", "fraud/test"},
		{"metrics-floor", "auc", "f1-score"},
		{"inputs-clean", "raw/", "landing/"},
		{"wrapped-runs", "https://git.example/fraud/train.git", "https://forge.example/x.git"},
		{"wrapped-runs", "ci", "build-bot"},
	} {
		yaml, _, err := contracts.Read(x.contract)
		if err != nil {
			t.Fatal(err)
		}
		edited := regexp.MustCompile(`\b`+regexp.QuoteMeta(x.from)).ReplaceAllLiteralString(string(yaml), x.to)
		d, err := draft.Read([]byte(edited))
		if err != nil {
			t.Fatal(err)
		}
		results, err := compile(t, d.Document).RunTests()
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if !r.OK {
				t.Errorf("%s with %s: %s: %s", x.contract, x.to, r.Name, r.Message)
			}
		}
	}
}

// Whoever weakens a contract hears of it from its own tests: a copy in which a rule
// always holds, or a condition or an alternative is left out of a rule or of a
// variable, at whatever depth, passes them no more.
func TestOwnTestsFindWhatIsMissing(t *testing.T) {
	for _, name := range contracts.Names() {
		t.Run(name, func(t *testing.T) {
			document := read(t, name)
			doc := compile(t, document).Document()
			try := func(part string, i int, whole, weak string) {
				// Without a commit there is no repository either, and remotes is a list.
				if commit := `r.code.commit`; name == "wrapped-runs" && weak != "true" && strings.Contains(whole, commit) && !strings.Contains(weak, commit) {
					return
				}
				c, err := contract.Compile(with(t, document, part, i, weak))
				if err != nil {
					return // it is no expression any more
				}
				results, err := c.RunTests()
				if err != nil {
					t.Fatal(err)
				}
				if !slices.ContainsFunc(results, func(r contract.TestResult) bool { return !r.OK }) {
					t.Errorf("no test needs %s[%d] to be more than\n%s", part, i, weak)
				}
			}
			for i, v := range doc.Variables {
				for _, weak := range weakened(v.Expression) {
					try("variables", i, v.Expression, weak)
				}
			}
			for i, v := range doc.Validations {
				for _, weak := range append(weakened(v.Expression), "true") {
					try("validations", i, v.Expression, weak)
				}
			}
		})
	}
}

// weakened returns an expression without each of the operands of its && and ||,
// but for those that a param switches on: the tests have params as they are.
func weakened(expression string) (list []string) {
	for at := range expression {
		for _, op := range []string{"&&", "||"} {
			if !strings.HasPrefix(expression[at:], op) {
				continue
			}
			from, to := operand(expression, at, -1), operand(expression, at+len(op)-1, 1)
			if left := expression[from:at]; !strings.Contains(left, "params.") {
				list = append(list, expression[:from]+expression[at+len(op):])
			}
			if right := expression[at+len(op) : to]; !strings.Contains(right, "params.") {
				list = append(list, expression[:at]+expression[to:])
			}
		}
	}
	return list
}

// operand returns where the operand of an operator ends, in a direction: at
// another operator, a comma or the parenthesis that both are in.
func operand(expression string, at, step int) int {
	depth := 0
	quoted := false
	for at += step; at >= 0 && at < len(expression); at += step {
		switch c := expression[at]; {
		case c == '"':
			quoted = !quoted
		case quoted:
		case strings.IndexByte("([{", c) >= 0:
			depth += step
		case strings.IndexByte(")]}", c) >= 0:
			depth -= step
		case depth == 0 && strings.IndexByte("&|,?:", c) >= 0:
			depth = -1
		}
		if depth < 0 {
			break
		}
	}
	if step < 0 {
		return at + 1
	}
	return at
}

// with returns the document with another expression for a rule or a variable.
func with(t *testing.T, document []byte, part string, i int, expression string) []byte {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(document, &doc); err != nil {
		t.Fatal(err)
	}
	doc["spec"].(map[string]any)[part].([]any)[i].(map[string]any)["expression"] = expression
	text, err := json.Marshal(doc)
	if err != nil {
		t.Fatal(err)
	}
	d, err := draft.Read(text) // makes it canonical again
	if err != nil {
		t.Fatal(err)
	}
	return d.Document
}

// Each contract has a page that begins with its name and names its rules and
// params, and a line in the index.
func TestPages(t *testing.T) {
	index, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	names := contracts.Names()
	if len(names) != 12 || !slices.IsSorted(names) {
		t.Errorf("there are %q", names)
	}
	for _, name := range names {
		_, page, err := contracts.Read(name)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(string(page), "# "+name+"\n") {
			t.Errorf("the page of %s begins %.40q", name, page)
		}
		for _, heading := range []string{"## Rules\n", "## What it does not see\n"} {
			if !strings.Contains(string(page), heading) {
				t.Errorf("the page of %s has no %q", name, heading)
			}
		}
		doc := compile(t, read(t, name)).Document()
		for _, v := range doc.Validations {
			if !strings.Contains(string(page), "| `"+v.ID+"` |") {
				t.Errorf("the page of %s does not name its rule %s", name, v.ID)
			}
		}
		for _, p := range doc.Params {
			if !strings.Contains(string(page), "| `"+p.Name+"` |") {
				t.Errorf("the page of %s does not name its param %s", name, p.Name)
			}
		}
		line := fmt.Sprintf("| [%s](%s.md) | %s |", name, name, doc.Description)
		if !strings.Contains(string(index), line) {
			t.Errorf("README.md has no line %q", line)
		}
	}
	pages, err := fs.Glob(os.DirFS("."), "*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range pages {
		if name := strings.TrimSuffix(page, ".md"); name != "README" && !slices.Contains(names, name) {
			t.Errorf("%s is a page of no contract", page)
		}
	}
}

func TestReadOfWhatIsNotThere(t *testing.T) {
	for _, name := range []string{"", "README", "licence.yaml", "../go", "no-such", `a\b`} {
		if _, _, err := contracts.Read(name); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Read(%q): %v", name, err)
		}
	}
}
