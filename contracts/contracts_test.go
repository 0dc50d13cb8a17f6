package contracts_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
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

// Whoever weakens a rule hears of it from the contract's own tests: a copy in
// which a rule always holds, or a part of a rule that is an alternative or a
// condition is left out, passes them no more.
func TestOwnTestsFindWhatIsMissing(t *testing.T) {
	for _, name := range contracts.Names() {
		t.Run(name, func(t *testing.T) {
			document := read(t, name)
			for i, v := range compile(t, document).Document().Validations {
				for _, weak := range weakened(v.Expression) {
					c, err := contract.Compile(withRule(t, document, i, weak))
					if err != nil {
						continue // it is no expression any more
					}
					results, err := c.RunTests()
					if err != nil {
						t.Fatal(err)
					}
					if !slices.ContainsFunc(results, func(r contract.TestResult) bool { return !r.OK }) {
						t.Errorf("no test needs %s to be more than\n%s", v.ID, weak)
					}
				}
			}
		})
	}
}

// weakened returns an expression without each of the parts that && or || join at
// its top, and "true".
func weakened(expression string) []string {
	list := []string{"true"}
	for _, op := range []string{"&&", "||"} {
		parts := split(expression, op)
		if len(parts) < 2 {
			continue
		}
		for i, part := range parts {
			if strings.HasPrefix(strings.TrimSpace(part), "params.") {
				continue // a switch: the tests have it as it is
			}
			list = append(list, strings.Join(slices.Delete(slices.Clone(parts), i, i+1), op))
		}
		break
	}
	return list
}

// split splits an expression at an operator outside of parentheses and quotes. An
// expression of both operators is split at ||, which binds less.
func split(expression, op string) (parts []string) {
	if op == "&&" && len(split(expression, "||")) > 1 {
		return nil
	}
	depth, from := 0, 0
	quoted := false
	for i := 0; i < len(expression); i++ {
		switch c := expression[i]; {
		case c == '"':
			quoted = !quoted
		case quoted:
		case strings.IndexByte("([{", c) >= 0:
			depth++
		case strings.IndexByte(")]}", c) >= 0:
			depth--
		case depth == 0 && strings.HasPrefix(expression[i:], op):
			parts = append(parts, expression[from:i])
			from = i + len(op)
		}
	}
	return append(parts, expression[from:])
}

// withRule returns the document with another expression for a rule.
func withRule(t *testing.T, document []byte, rule int, expression string) []byte {
	t.Helper()
	var doc map[string]any
	if err := json.Unmarshal(document, &doc); err != nil {
		t.Fatal(err)
	}
	doc["spec"].(map[string]any)["validations"].([]any)[rule].(map[string]any)["expression"] = expression
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
