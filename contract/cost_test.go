package contract

import "testing"

// The prices of the engine cel/1. They never change: who replays a ledger has to
// come to the same costs. If this fails after an update of cel-go, the update
// needs a new engine, or the prices have to be put back.
func TestPrices(t *testing.T) {
	for rule, want := range map[string]uint64{
		`subject.listed`:                                 2,
		`!subject.listed`:                                3,
		`subject.name == "example"`:                      3,
		`subject.name == "example" && subject.listed`:    5,
		`subject.listed || subject.name == "example"`:    5,
		`subject.name.size() > 2`:                        5,
		`subject.name.contains("amp")`:                   3,
		`subject.name.matches("amp")`:                    130,
		`[1, 2, 3].exists(x, x == 3)`:                    19,
		`[1, 2, 3].filter(x, x > 1).size() == 2`:         35,
		`subject.files + 1 > 1`:                          4,
		`string(subject.files) == "1"`:                   5,
		`timestamp("2026-01-01T00:00:00Z") < entry.time`: 3,
		`subject.annotations.size() == 0`:                4,
		`subject.from.size() == 0`:                       4,
		`ledger.has("data@1")`:                           102,
		`ledger.artifact("data@1").listed`:               104,
		`ledger.stamps(subject).size() == 1`:             205,
		`ledger.inputs(subject).size() == 2`:             405,
		`ledger.ancestors(subject).size() == 2`:          377,
		`ledger.standing(subject) == "good"`:             376,
		`subject.standing == "good"`:                     375,
		`ledger.known(subject)`:                          203,
		`ledger.runs(subject).size() == 1`:               205,
		`ledger.authors(subject).size() == 1`:            405,
		`ledger.allAuthors(subject).size() == 3`:         1071,
		`ledger.approvals(subject).size() == 4`:          605,
		`ledger.approvers(subject).size() == 2`:          605,
		`ledger.evaluations(subject).size() == 1`:        205,
		`ledger.releases(subject).size() == 1`:           205,
		`ledger.inStage("canary").size() == 1`:           304,
		`ledger.inStage("canary", "example").size() > 0`: 304,
		`ledger.withdrawals(subject).size() == 0`:        15,
		`ledger.audits(subject).size() == 0`:             105,
		`ledger.announcements(subject).size() == 0`:      105,
		`ledger.wasRead(subject)`:                        303,
		`ledger.lastRead(subject) < entry.time`:          306,
		`ledger.people("releaser").size() == 1`:          114,
		`ledger.approvers(subject).join(", ") != ""`:     608,
		`sets.contains(["a"], ["a"])`:                    1,
	} {
		r := spec{rule: rule, given: onRelease}.result(t)
		if r.Error != "" || r.Cost-priceRule != want {
			t.Errorf("%s costs %d, not %d (%s)", rule, r.Cost-priceRule, want, r.Error)
		}
	}
}

// What is estimated is at least what it costs, on a ledger no larger than that
// of the estimate.
func TestEstimates(t *testing.T) {
	for _, rule := range []string{
		`subject.name.matches("amp") || subject.listed`,
		`ledger.ancestors(subject).all(a, a.standing == "good" && a.kind == "dataset")`,
		`ledger.ancestors(subject).filter(a, a.kind == "dataset").map(a, a.name).join(", ") != ""`,
		`ledger.allAuthors(subject).all(p, !(p in ledger.approvers(subject)))`,
		`ledger.evaluations(subject).exists(e, e.metrics["auc"] > 0.5 && e.datasets.all(d, d.name != ""))`,
		`ledger.lastRead(subject) < entry.time`,
		`ledger.stamps(subject) == ledger.stamps(subject) && sets.contains(ledger.approvers(subject), ledger.approvers(subject))`,
	} {
		c := spec{rule: rule, given: onRelease}.compiled(t)
		base, err := frozen()
		if err != nil {
			t.Fatal(err)
		}
		checked, issues := base.Compile(rule)
		if issues.Err() != nil {
			t.Fatal(issues.Err())
		}
		worst, err := estimate(base, checked, nil)
		if err != nil {
			t.Fatal(err)
		}
		if r := judged(t, nil, c).Results[0]; r.Error != "" || r.Cost-priceRule > worst || worst > MaxEstimate {
			t.Errorf("%s costs %d, estimated %d at worst (%s)", rule, r.Cost-priceRule, worst, r.Error)
		}
	}
}

// What ordinary rules do has a bound.
func TestBoundedEstimates(t *testing.T) {
	for _, rule := range []string{
		`subject.annotations["x"].size() > 1 && (subject.annotations["x"] + subject.name).startsWith("a")`,
		`ledger.evaluations(subject)[0].metrics["auc"] > 0.5 && ledger.evaluations(subject)[0].datasets[0].name.size() > 1`,
		`ledger.evaluations(subject).map(e, e.datasets).all(l, l.all(d, d.name.contains("x")))`,
		`ledger.ancestors(subject).map(a, a.name + "@" + a.version).filter(n, n.matches("^a")).join(", ").size() > 1`,
		`{"a": subject.name, "b": subject.version}[subject.kind].endsWith("x")`,
		`(subject.listed ? subject.name : string(subject.files)).size() > 1 && [subject.name, "x"][0] == "x"`,
		`variables.names[0].size() > 1 && variables.name.size() > 1 && variables.names.join("").contains(variables.name)`,
		`string(entry.time).size() > 1 && string(1.5) == string(duration("1s")) && string(true) == "true" && string(subject.name) == "x"`,
		`params.list[0].size() > 1 && params.list.map(l, l + "!").exists(l, l == params.text) && params.text.contains("x")`,
		`(subject.from + subject.members).all(a, a.annotations["x"] in params.list) && subject in subject.from`,
		`statement.inputs == statement.outputs && subject.annotations == subject.from[0].annotations`,
		`subject.from.exists_one(a, a.since.size() > 0) && b"abc" + b"d" != b"x" && b"a" < b"b"`,
		`ledger.runs(subject).all(r, r.code.remote.startsWith("https://") && r.image.contains("@") && r.inputs.size() < 10)`,
	} {
		spec{params: given{"list": []string{"a", "b"}, "text": "x"}, variables: []string{"names", `ledger.ancestors(subject).map(a, a.name)`, "name", `subject.name + "x"`}, rule: rule}.compiled(t)
	}
}
