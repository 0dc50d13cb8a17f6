package contract

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stele-ml/stele/internal/strictjson"
)

// given is the short form of a fixture.
type given = map[string]any

// spec is what a test changes of a contract on releases.
type spec struct {
	match     given
	params    given
	variables []string // name, expression, name, expression, …
	rule      string   // the expression of its one validation
	message   string   // its messageExpression, or empty
	given     given
}

// document returns the canonical form of a contract with one rule.
func (s spec) document(t testing.TB) []byte {
	t.Helper()
	rule := given{"id": "rule", "expression": s.rule}
	if s.message == "" {
		rule["message"] = "it does not hold"
	} else {
		rule["messageExpression"] = s.message
	}
	if s.given == nil {
		s.given = given{"statement": given{"kind": "release", "stage": "production"}, "approvers": []string{"bob", "carol"}}
	}
	if s.match == nil {
		s.match = given{"statements": []string{"release"}}
	}
	body := given{
		"engine": Engine, "match": s.match, "validations": []given{rule},
		"tests": []given{{"name": "a test", "given": s.given, "expect": given{"allow": true}}},
	}
	if s.params != nil {
		body["params"] = s.params
	}
	if len(s.variables) > 0 {
		var list []given
		for i := 0; i < len(s.variables); i += 2 {
			list = append(list, given{"name": s.variables[i], "expression": s.variables[i+1]})
		}
		body["variables"] = list
	}
	return canonical(t, given{"apiVersion": "stele.dev/v1", "kind": "Contract", "metadata": given{"name": "example", "version": 1}, "spec": body})
}

func canonical(t testing.TB, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	c, err := strictjson.Canonical(raw)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// compiled compiles a contract that has to compile.
func (s spec) compiled(t testing.TB) *Contract {
	t.Helper()
	c, err := Compile(s.document(t))
	if err != nil {
		t.Fatalf("%s\n%v", s.rule, err)
	}
	return c
}

// result evaluates the rule with its fixture.
func (s spec) result(t testing.TB) RuleResult {
	t.Helper()
	c := s.compiled(t)
	v, err := Evaluate([]InForce{{Contract: c}}, c.Document().Tests[0].Given.Input())
	if err != nil {
		t.Fatal(err)
	}
	if len(v.Results) != 1 {
		t.Fatalf("%d results: %v", len(v.Results), v.Results)
	}
	return v.Results[0]
}

// problems returns what is wrong with a contract that must not compile.
func (s spec) problems(t testing.TB) []Problem {
	t.Helper()
	_, err := Compile(s.document(t))
	var ce *CompileError
	if !errors.As(err, &ce) {
		t.Fatalf("%s\ncompiled, or failed otherwise: %v", s.rule, err)
	}
	return ce.Problems
}

// A long expression that is wrong all over is told a few things, and shown where.
func TestLongExpressions(t *testing.T) {
	for name, rule := range map[string]string{
		"unknown names":     strings.Repeat("subjct.nme || a || b || c || d || e || f || g || ", 100) + "subjct",
		"unknown functions": strings.Repeat("ledger.frob(subject) || ", 300) + "subjct",
		"no syntax":         strings.Repeat("( && ", 1500),
		"words":             strings.Repeat("a b ", 2000),
		"a quote":           strings.Repeat("'", 7001),
		"loops":             "subject.from" + strings.Repeat(".filter(x, x.listed)", 60) + ".size() > 0",
	} {
		t.Run(name, func(t *testing.T) {
			problems := spec{rule: rule}.problems(t)
			if len(problems) > maxOfExpression {
				t.Errorf("%d problems", len(problems))
			}
			for _, p := range problems {
				for _, line := range strings.Split(p.Message, "\n")[1:] {
					if n := utf8.RuneCountInString(line); n > 80 {
						t.Errorf("a line of %d characters: %s", n, line)
					}
				}
			}
		})
	}
	p := spec{rule: strings.Repeat("subject.listed || ", 20) + "subject.nme" + strings.Repeat(" || subject.listed", 20)}.problems(t)[0]
	want := "undefined field 'nme'\n" +
		" | …listed || subject.listed || subject.nme || subject.listed || subject.l…\n" +
		" | ....................................^"
	if p.Message != want || p.Column != 368 {
		t.Errorf("column %d\n%s\nwant\n%s", p.Column, p.Message, want)
	}
}
