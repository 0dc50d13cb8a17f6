package contract_test

import (
	"slices"
	"testing"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/internal/draft"
)

// TestWords: what a rule looks at is found through its variables, and through
// theirs.
func TestWords(t *testing.T) {
	d := &contract.Document{
		Variables: []contract.Variable{
			{Name: "size", Expression: "subject.bytes"},
			{Name: "large", Expression: "variables.size > 10"},
			{Name: "other", Expression: "subject.ignore.size()"},
		},
		Validations: []contract.Validation{
			{ID: "direct", Expression: `statement.observation == "wrapped"`},
			{ID: "deep", Expression: "!variables.large"},
		},
	}
	for _, c := range []struct {
		rule string
		has  []string
		not  []string
	}{
		{"direct", []string{"observation"}, []string{"bytes", "subject"}},
		{"deep", []string{"large", "size", "bytes"}, []string{"ignore"}},
	} {
		words := d.Words(c.rule)
		for _, w := range c.has {
			if !words[w] {
				t.Errorf("%s: %s was not found", c.rule, w)
			}
		}
		for _, w := range c.not {
			if words[w] {
				t.Errorf("%s: %s was found", c.rule, w)
			}
		}
	}
}

func TestDiff(t *testing.T) {
	read := func(text string) []byte {
		t.Helper()
		d, err := draft.Read([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return d.Document
	}
	old := read(`{apiVersion: stele.dev/v1, kind: Contract, metadata: {name: a, version: 1}, spec: {engine: cel/1,
match: {statements: [release], names: [x]}, params: {p: 1, m: true}, variables: [{name: v, expression: "1"}, {name: w, expression: "2"}],
validations: [{id: one, expression: "true", message: "no"}, {id: two, expression: "false", message: "no"}], gate: [contents],
tests: [{name: try, given: {statement: {kind: release}}, expect: {deny: [two]}}]}}`)
	now := read(`{apiVersion: stele.dev/v1, kind: Contract, metadata: {name: a, version: 2, description: d}, spec: {engine: cel/1,
match: {statements: [release], stages: [s]}, params: {p: 2, k: [a]}, variables: [{name: w, expression: "2"}, {name: v, expression: "1"}],
validations: [{id: three, expression: "true", message: "no"}, {id: two, expression: "true", message: "no", hint: h}],
tests: [{name: try, given: {statement: {kind: release}}, expect: {allow: true}}]}}`)
	got, err := contract.Diff(old, now)
	if err != nil {
		t.Fatal(err)
	}
	want := []contract.Change{
		{What: "version", Change: "modified", Old: "1", New: "2"},
		{What: "description", Change: "added", New: "d"},
		{What: "match", Name: "names", Change: "removed", Old: `["x"]`},
		{What: "match", Name: "stages", Change: "added", New: `["s"]`},
		{What: "param", Name: "k", Change: "added", New: `["a"]`},
		{What: "param", Name: "m", Change: "removed", Old: "true"},
		{What: "param", Name: "p", Change: "modified", Old: "1", New: "2"},
		{What: "variable", Change: "moved", Old: "v, w", New: "w, v"},
		{What: "rule", Name: "one", Change: "removed", Old: "true"},
		{What: "rule", Name: "three", Change: "added", New: "true"},
		{What: "rule", Name: "two", Part: "expression", Change: "modified", Old: "false", New: "true"},
		{What: "rule", Name: "two", Part: "hint", Change: "added", New: "h"},
		{What: "gate", Change: "removed", Old: `["contents"]`},
		{What: "test", Name: "try", Part: "expect", Change: "modified", Old: `{"deny":["two"]}`, New: `{"allow":true}`},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if same, err := contract.Diff(old, old); err != nil || len(same) != 0 {
		t.Errorf("the same document differs: %v %+v", err, same)
	}
}
