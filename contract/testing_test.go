package contract_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stele-ml/stele/contract"
)

// of makes a contract about releases of the rules and tests given.
func of(t testing.TB, match, spec string) *contract.Contract {
	t.Helper()
	d := read(t, fmt.Sprintf("apiVersion: stele.dev/v1\nkind: Contract\nmetadata: {name: x, version: 1}\nspec:\n  engine: cel/1\n  match: %s\n%s", match, spec))
	c, err := contract.Compile(d.Document)
	if err != nil {
		t.Fatal(strings.Join(problems(d, err), "\n"))
	}
	return c
}

func TestRunTests(t *testing.T) {
	c := of(t, "{statements: [release], stages: [production]}", `
  validations:
    - {id: two, expression: "ledger.approvers(subject).size() >= 2", messageExpression: '"found " + string(ledger.approvers(subject).size())'}
    - {id: read, expression: "ledger.lastRead(subject) <= entry.time", message: never read}
  tests:
    - {name: allowed, given: {statement: {}, approvers: [a, b]}, expect: {allow: true}}
    - {name: denied, given: {statement: {}, approvers: [a]}, expect: {deny: [two]}}
    - {name: elsewhere, given: {statement: {stage: staging}}, expect: {applies: false}}
    - {name: by an error, given: {history: [{stamp: m@1, basis: {claimed: 9}}, {approve: m@1, by: a}, {approve: m@1, by: b}], statement: {subject: m@1}}, expect: {deny: [read]}}
    - {name: not allowed, given: {statement: {}, approvers: [a]}, expect: {allow: true}}
    - {name: not denied, given: {statement: {}, approvers: [a, b]}, expect: {deny: [two, read]}}
    - {name: not refused by that one, given: {statement: {}}, expect: {deny: [read]}}
    - {name: not about it, given: {statement: {stage: staging}}, expect: {allow: true}}
    - {name: about it, given: {statement: {}, approvers: [a, b]}, expect: {applies: false}}
    - {name: the recovery key, given: {statement: {by: recovery}}, expect: {applies: false}}
`)
	results, err := c.RunTests()
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range results {
		got = append(got, fmt.Sprintf("%t %s", r.OK, r.Message))
		if (r.Cost == 0) != slices.Equal(r.Got, []string{"does not apply"}) {
			t.Errorf("%s cost %d", r.Name, r.Cost)
		}
		if (r.Failure() == "") != r.OK {
			t.Error(r.Failure())
		}
	}
	want := []string{
		"true ",
		"true ",
		"true ",
		"true read refuses because it could not be evaluated: ",
		"false want allow, got two; two: found 1",
		"false want read, two, got allow",
		"false want read, got two; two: found 0",
		"false want allow, got does not apply: the contract is not about that statement",
		"false want does not apply, got allow",
		"true ",
	}
	for i := range want {
		if i >= len(got) || !strings.HasPrefix(got[i], want[i]) || want[i] != got[i] && !strings.HasSuffix(want[i], ": ") {
			t.Errorf("got  %s\nwant %s", got[i], want[i])
		}
	}
	again, err := c.RunTests()
	if err != nil || fmt.Sprint(again) != fmt.Sprint(results) {
		t.Errorf("the second time: %v, %v", again, err)
	}
}

// TestAttackDearTests: tests are run by every replica, and cost no more together
// than one statement may.
func TestAttackDearTests(t *testing.T) {
	if testing.Short() {
		t.Skip("it computes as long as a contract's tests may")
	}
	const loop = `[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20]`
	tests := ""
	for i := range 64 {
		tests += fmt.Sprintf("    - {name: t%d, given: {statement: {}}, expect: {allow: true}}\n", i)
	}
	rules := ""
	for i := range 64 {
		rules += fmt.Sprintf("    - {id: r%d, message: x, expression: \"%s.all(x, %s.all(y, x + y > 0))\"}\n", i, loop, loop)
	}
	c := of(t, "{statements: [release]}", "  validations:\n"+rules+"  tests:\n"+tests)
	results, err := c.RunTests()
	var sum uint64
	for _, r := range results {
		sum += r.Cost
	}
	if err == nil || !strings.Contains(err.Error(), "cost more than") || len(results) == len(c.Document().Tests) {
		t.Errorf("%d of %d tests for %d: %v", len(results), len(c.Document().Tests), sum, err)
	}
}

func TestWarnings(t *testing.T) {
	const quiet = `
  validations: [{id: r, expression: "ledger.approvers(subject, 'production').size() > 0", message: x}]
  tests:
    - {name: t, given: {statement: {}, approvers: [a]}, expect: {allow: true}}
    - {name: u, given: {statement: {}}, expect: {deny: [r]}}
`
	for name, c := range map[string]struct{ match, spec, want string }{
		"nothing":            {"{statements: [release], stages: [production]}", quiet, ""},
		"names and no stage": {"{statements: [release], names: [fraud/*]}", quiet, "other-names spec.match.names"},
		"names and stages":   {"{statements: [release], names: [fraud/*], stages: [production]}", quiet, ""},
		"kinds":              {"{statements: [release], kinds: [model]}", quiet, "other-kinds spec.match.kinds"},
		"a wide pattern":     {"{statements: [release], names: [fraud*], stages: [production]}", quiet, "wide-pattern spec.match.names[0]"},
		"every name":         {"{statements: [release], names: ['*']}", quiet, "any-pattern spec.match.names[0]"},
		"no stage in it": {"{statements: [release, stamp], stages: [production]}", quiet,
			"no-match spec.match.statements[1], untested-kind spec.match.statements[1]"},
		"no action in it": {"{statements: [release, withdrawal], actions: [join]}", quiet,
			"no-match spec.match.statements[1], untested-kind spec.match.statements[1]"},
		"no artifact in it": {"{statements: [release, identity], kinds: [model]}", quiet,
			"no-match spec.match.statements[1], other-kinds spec.match.kinds, untested-kind spec.match.statements[1]"},
		"no name in it": {"{statements: [release, log-key], names: [x], stages: [production]}", quiet,
			"no-match spec.match.statements[1], untested-kind spec.match.statements[1]"},
		"runs alone": {"{statements: [run]}", `
  validations: [{id: r, expression: "statement.observation == 'wrapped'", message: x}]
  tests:
    - {name: w, given: {statement: {}}, expect: {allow: true}}
    - {name: r, given: {statement: {observation: reported}}, expect: {deny: [r]}}
`, "stamped-alone spec.match.statements[0]"},
		"stamps alone": {"{statements: [stamp]}", `
  validations: [{id: r, expression: "statement.kind == 'stamp'", message: x}]
  tests:
    - {name: w, given: {statement: {}}, expect: {allow: true}}
    - {name: r, given: {statement: {run: {outputs: [x@1]}}}, expect: {deny: [r]}}
`, "stamped-by-run spec.match.statements[0]"},
		"stamps, of which only the subject counts": {"{statements: [stamp]}", `
  validations: [{id: r, expression: "subject.kind == 'model'", message: x}]
  tests:
    - {name: w, given: {statement: {stamp: m@1, kind: model}}, expect: {allow: true}}
    - {name: r, given: {statement: {stamp: m@1}}, expect: {deny: [r]}}
`, ""},
		"unused": {"{statements: [release]}", "  params: {a: 1, ab: 2}\n  variables: [{name: v, expression: params.ab}, {name: w, expression: '1'}]" +
			strings.ReplaceAll(quiet, `> 0"`, `> 0 || variables.v < 0"`), "unused spec.params.a, unused spec.variables[1]"},
		"never refuses": {"{statements: [release]}", `
  validations: [{id: r, expression: "true", message: x}]
  tests: [{name: t, given: {statement: {}}, expect: {allow: true}}]
`, "never-refuses spec.validations[0]"},
		"never holds": {"{statements: [release]}", `
  validations: [{id: r, expression: "false", message: x}]
  tests: [{name: t, given: {statement: {}}, expect: {deny: [r]}}]
`, "never-holds spec.validations[0], no-allow spec.tests"},
		"by an error": {"{statements: [release]}", `
  validations: [{id: r, expression: "ledger.artifact('a@1').name == 'a'", message: x}]
  tests:
    - {name: t, given: {statement: {}}, expect: {deny: [r]}}
    - {name: u, given: {history: [{stamp: a@1}], statement: {}}, expect: {allow: true}}
`, "refuses-by-err spec.validations[0]"},
		"nobody puts contracts": {"{statements: [contract]}", `
  validations: [{id: r, expression: "statement.action == 'propose'", message: x}]
  tests:
    - {name: t, given: {statement: {action: propose}}, expect: {allow: true}}
    - {name: u, given: {statement: {}}, expect: {deny: [r]}}
`, "locks-out spec.match.statements[0]"},
		"one person puts contracts": {"{statements: [contract]}", `
  validations: [{id: r, expression: "signer.handle == 'ada'", message: x}]
  tests:
    - {name: t, given: {statement: {by: ada}}, expect: {allow: true}}
    - {name: u, given: {statement: {by: bob}}, expect: {deny: [r]}}
`, ""},
		"nobody lifts": {"{statements: [contract], actions: [lift]}", `
  validations: [{id: r, expression: "ledger.people('administrator').size() > 99", message: x}]
  tests:
    - {name: t, given: {statement: {}}, expect: {deny: [r]}}
`, "locks-out spec.match.statements[0], never-holds spec.validations[0], no-allow spec.tests"},
		"two agree": {"{statements: [contract], actions: [put]}", `
  validations: [{id: r, expression: "ledger.proposals(statement.contract).exists(p, p.handle != signer.handle)", message: x}]
  tests:
    - {name: t, given: {history: [{propose: p@1, by: bob}], statement: {put: p@1}}, expect: {allow: true}}
    - {name: u, given: {statement: {put: p@1}}, expect: {deny: [r]}}
`, ""},
		"nobody registers": {"{statements: [identity]}", `
  validations: [{id: r, expression: "statement.action == 'retire'", message: x}]
  tests:
    - {name: t, given: {statement: {action: retire}}, expect: {allow: true}}
    - {name: u, given: {statement: {}}, expect: {deny: [r]}}
`, "locks-out spec.match.statements[0]"},
	} {
		t.Run(name, func(t *testing.T) {
			warnings := of(t, c.match, c.spec).Warnings()
			var got []string
			for _, w := range warnings {
				got = append(got, w.Code+" "+w.Path)
				if w.Message == "" || strings.Contains(w.Message, "%!") || strings.Contains(w.Hint, "%!") {
					t.Errorf("%+v", w)
				}
			}
			if strings.Join(got, ", ") != c.want {
				t.Errorf("got  %s\nwant %s", strings.Join(got, ", "), c.want)
			}
		})
	}
}
