package contract

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

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

func TestSmoke(t *testing.T) {
	for _, e := range []string{
		`subject.name == "example"`,
		`ledger.approvers(subject).size() >= 2`,
		`ledger.ancestors(subject).all(a, a.standing == "good")`,
		`statement.stage == "production" && statement.kind == "release"`,
		`ledger.approvers(subject).join(", ") == "bob, carol"`,
		`entry.time - subject.time < duration("720h")`,
		`params.x`, `subject.nme == "x"`, `ledger.approvrs(subject).size() > 1`, `aprovers(subject)`, `subjct.name == ""`,
		`ledger.approvers("x").size() > 1`,
		`subject.annotations.exists(k, k == "x")`, `stele.Artifact{name: "x"}.name == "x"`, `[].size() == 0`, `[1, "a"].size() == 2`,
		`type(1) == int`, `subject.annotations == {}`, `subject.name.matches(subject.version)`, `true && subject.listed`,
		`timestamp("2026-01-01T00:00:00Z").getHours("America/New_York") == 1`,
		`signer.handle == "releaser"`, `subject == subject`, `ledger.allAuthors(subject) == ["maker"]`,
	} {
		c, err := Compile(spec{rule: e}.document(t))
		if err != nil {
			fmt.Println("##", e, "\n", err)
			continue
		}
		v, err := Evaluate([]InForce{{Contract: c}}, c.Document().Tests[0].Given.Input())
		fmt.Printf("%s\n    %+v %v\n", e, v.Results, err)
	}
	_ = strings.Join
}
