package contract

import (
	"fmt"
	"testing"
)

// fiveContracts are ordinary rules for a release, three in each contract.
func fiveContracts(t testing.TB) []InForce {
	rules := [][2]string{
		{`ledger.approvers(subject).size() >= params.least`, `"needs " + string(params.least) + " approvals, found " + string(ledger.approvers(subject).size())`},
		{`!ledger.approvers(subject).exists(p, p in ledger.authors(subject))`, ``},
		{`variables.ancestors.all(a, a.standing == "good" && a.known || a.kind == "dataset")`, ``},
	}
	var list []InForce
	for i := range 5 {
		var validations []given
		for k, r := range rules {
			v := given{"id": fmt.Sprintf("rule-%d", k), "expression": r[0]}
			if v["messageExpression"] = r[1]; r[1] == "" {
				delete(v, "messageExpression")
				v["message"] = "it does not hold"
			}
			validations = append(validations, v)
		}
		doc := canonical(t, given{
			"apiVersion": "stele.dev/v1", "kind": "Contract", "metadata": given{"name": fmt.Sprintf("contract-%d", i), "version": 1},
			"spec": given{
				"engine": Engine, "match": given{"statements": []string{"release"}, "stages": []string{"production"}},
				"params": given{"least": 2}, "variables": []given{{"name": "ancestors", "expression": "ledger.ancestors(subject)"}},
				"validations": validations,
				"tests": []given{{"name": "it passes", "expect": given{"allow": true},
					"given": given{"statement": given{"kind": "release", "stage": "production"}, "approvers": []string{"bob", "carol"}}}},
			},
		})
		c, err := Compile(doc)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, InForce{Contract: c, Entry: uint64(i)})
	}
	return list
}

// BenchmarkEvaluate is five contracts of three rules each on a release.
func BenchmarkEvaluate(b *testing.B) {
	contracts := fiveContracts(b)
	in := contracts[0].Document().Tests[0].Given.Input()
	b.ReportAllocs()
	var v *Verdict
	for b.Loop() {
		var err error
		if v, err = Evaluate(contracts, in); err != nil {
			b.Fatal(err)
		}
	}
	if len(v.Refused()) > 0 {
		b.Fatal(v.Refused())
	}
	b.ReportMetric(float64(v.Cost), "cost")
}

// BenchmarkCompile is one contract of three rules, its tests not run.
func BenchmarkCompile(b *testing.B) {
	doc := spec{rule: `ledger.ancestors(subject).all(a, a.standing == "good")`}.document(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Compile(doc); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkUnit shows what a unit of cost buys at worst: each is a rule that
// spends nearly all there is, or as much as it can.
func BenchmarkUnit(b *testing.B) {
	var data []given
	for i := range 200 {
		data = append(data, given{"stamp": fmt.Sprintf("data-%d@1", i), "kind": "dataset", "by": "alice"})
	}
	for _, x := range []struct{ name, variable, rule string }{
		{"loops", `ledger.ancestors(subject)`, `variables.v.all(a, variables.v.all(b, a.name != b.version && a.depth < 5))`},
		{"equality", `ledger.ancestors(subject)`, `variables.v.all(a, [variables.v, variables.v, variables.v] == [variables.v, variables.v, variables.v])`},
		{"regexp", `ledger.ancestors(subject)`, `variables.v.all(a, !(variables.long).matches("(a?){20}(b?){20}x"))`},
		{"errors", `ledger.ancestors(subject)`, `variables.v.all(a, variables.v.all(b, int(a.name) == 1 || true == b.known || !b.known))`},
		{"timestamps", `ledger.ancestors(subject)`, `variables.v.all(a, variables.v.all(b, timestamp("2026-01-01T00:00:00Z") < timestamp(b.version + "026-01-01T00:00:00Z") || a.depth >= 0))`},
		{"strings", `ledger.ancestors(subject).map(a, a.fingerprint).join("") + ledger.ancestors(subject).map(a, a.fingerprint).join("")`,
			`ledger.ancestors(subject).all(a, (variables.v + a.name + variables.v + a.name).size() > 3)`},
		{"literals", `ledger.ancestors(subject)`, `variables.v.all(a, variables.v.all(b, [a.name, "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q"].size() > 2))`},
		{"filter", `ledger.ancestors(subject)`, `variables.v.all(a, variables.v.filter(b, b.name != a.name).size() > 2)`},
		{"approvals", `ledger.ancestors(subject)`, `variables.v.all(a, ledger.approvers(a, "x").size() == 0)`},
		{"inputs", `ledger.ancestors(subject)`, `variables.v.all(a, ledger.inputs(a).size() <= 60)`},
		{"artifact", `ledger.ancestors(subject)`, `variables.v.all(a, variables.v.all(b, ledger.has(b.name + "@" + b.version)))`},
		{"concat", `ledger.ancestors(subject) + ledger.ancestors(subject) + ledger.ancestors(subject)`, `(variables.v + variables.v + variables.v + variables.v + variables.v + variables.v + variables.v + variables.v + variables.v + variables.v + variables.v).all(a, a.name != "")`},
	} {
		b.Run(x.name, func(b *testing.B) {
			var inputs []string
			for i := range 200 {
				inputs = append(inputs, fmt.Sprintf("data-%d@1", i))
			}
			var stamps []given
			stamps = append(stamps, data...)
			for i := range 3 {
				stamps = append(stamps, given{"stamp": fmt.Sprintf("all-%d@1", i), "kind": "dataset", "by": "alice", "from": inputs[i*60 : i*60+60]})
			}
			stamps = append(stamps, given{"stamp": "example@1", "kind": "model", "by": "alice", "from": []string{"all-0@1", "all-1@1", "all-2@1"}})
			c := spec{variables: []string{"v", x.variable, "long", `ledger.ancestors(subject).map(a, "aaaaaaaaaabbbbbbbbbbaaaaaaaaaabbbbbbbbbb").join("")`}, rule: x.rule, given: given{
				"history":   stamps,
				"statement": given{"kind": "release", "subject": "example@1", "stage": "production", "by": "dave"},
			}}.compiled(b)
			in := c.Document().Tests[0].Given.Input()
			var v *Verdict
			for b.Loop() {
				var err error
				if v, err = Evaluate([]InForce{{Contract: c}}, in); err != nil {
					b.Fatal(err)
				}
			}
			if v.Results[0].Error != "" {
				b.Log(v.Results[0].Error)
			}
			b.ReportMetric(float64(v.Cost), "cost")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(v.Cost), "ns/unit")
		})
	}
}
