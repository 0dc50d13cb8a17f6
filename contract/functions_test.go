package contract

import (
	"slices"
	"strings"
	"testing"
)

// history is what the functions are asked about. Entries are numbered from 1, and
// an audit makes two.
var history = []given{
	0: {"stamp": "data@1", "kind": "dataset", "by": "alice", "age": "40d", "annotations": given{"licence": "mit"}, "ignore": []string{"*.tmp", "*.bak"}},
	1: {"stamp": "extra@1", "kind": "dataset", "by": "bob", "age": "30d", "basis": given{"mtime": 400, "read": 600, "entry": 1}},
	2: {"run": given{"inputs": []string{"data@1", "extra@1"}, "outputs": []string{"example@1"}, "kind": "model", "image": "trainer",
		"code": given{"remote": "https://example.com/code.git", "commit": strings.Repeat("ab", 20), "dirty": true}}, "by": "carol", "age": "20d"},
	3:  {"stamp": "copy@1", "same": "data@1", "by": "dave", "age": "10d"},
	4:  {"evaluate": "example@1", "metrics": given{"auc": 0.93, "f1": 0.5}, "datasets": []string{"extra@1"}, "by": "erin"},
	5:  {"approve": "example@1", "stage": "production", "by": "frank"},
	6:  {"approve": "example@1", "stage": "production", "by": "frank", "key": "second"},
	7:  {"approve": "example@1", "stage": "production", "by": "grace"},
	8:  {"approve": "example@1", "stage": "canary", "by": "heidi"},
	9:  {"reject": "example@1", "stage": "production", "by": "ivan", "reason": "too slow"},
	10: {"release": "example@1", "stage": "canary", "by": "judy"},
	11: {"audit": "data@1", "outcome": "held", "by": "kim", "age": "5d"}, // and 13
	12: {"audit": "extra@1", "chunks": 3, "outcome": "held", "by": "kim"},
	13: {"withdraw": "copy@1", "target": "binding", "effect": "advise", "reason": "a second name", "by": "dave"},
	14: {"stamp": "both@1", "members": []string{"data@1", "copy@1"}, "by": "alice"},
	15: {"stamp": "mixed@1", "members": []string{"data@1", "extra@1"}, "by": "alice"},
	16: {"stamp": "lost@1", "kind": "dataset", "by": "mallory"},
	17: {"stamp": "from-lost@1", "kind": "model", "from": []string{"lost@1"}, "by": "alice"},
	18: {"stamp": "bad@1", "kind": "dataset", "by": "alice"},
	19: {"stamp": "from-bad@1", "kind": "model", "from": []string{"bad@1"}, "by": "alice"},
	20: {"withdraw": "bad@1", "effect": "stop", "reason": "poisoned", "by": "alice"},
	21: {"compromised": "mallory", "since": 19},
	22: {"stamp": "all@1", "members": []string{"both@1", "extra@1"}, "by": "alice"},
	23: {"propose": "example@2", "by": "olivia"},
	24: {"stamp": "wrapped@1", "kind": "model", "members": []string{"example@1"}, "by": "peggy"},
	25: {"stamp": "wrapped@2", "kind": "model", "same": "wrapped@1", "by": "olivia"},
	26: {"announce": "data@1", "by": "kim"},
}

// onRelease is a release of example@1 after that history.
var onRelease = given{"history": history, "people": given{"root": []string{"administrator", "approver"}},
	"statement": given{"kind": "release", "subject": "example@1", "stage": "production", "replaces": []string{}, "reason": "it is better", "by": "judy"}}

func TestFunctions(t *testing.T) {
	for _, rule := range []string{
		// What is given.
		`statement.kind == "release" && statement.action == "join" && statement.stage == "production" && statement.reason == "it is better"`,
		`statement.observation == "" && !statement.failed && statement.inputs.size() == 0 && statement.metrics.size() == 0`,
		`!has(statement.code) && statement.code.commit == "" && !has(statement.identity) && statement.contract.rules == 0 && !has(statement.audit)`,
		`statement.started == timestamp(0)`,
		`subject.name == "example" && subject.version == "1" && subject.kind == "model" && subject.entry == 3 && subject.signer == "carol"`,
		`subject.fingerprint.startsWith("stele-sha256:") && subject.files == 1 && subject.bytes == 1000 && !subject.listed && subject.since == ""`,
		`subject.key.size() == 64 && subject.basis.read == 1000 && subject.basis.unread == 0 && subject.basis.entry == -1`,
		`subject.depth == 0 && subject.known && subject.standing == "good"`,
		`entry.index == 30 && entry.time == timestamp("2026-01-01T00:00:00Z")`,
		`entry.time - subject.time == duration("480h") && entry.index - subject.entry == 27`,
		`signer.handle == "judy" && "releaser" in signer.roles && signer.key.size() == 64`,
		`!has(subject.annotations.licence) && !("licence" in subject.annotations)`,

		// artifact, has, stamps
		`ledger.artifact("data@1").annotations["licence"] == "mit" && ledger.artifact("data@1").annotations.licence == "mit"`,
		`ledger.artifact("data@1").ignore.size() == 2 && ledger.artifact("data@1").ignore.exists(i, i.endsWith(".tmp"))`,
		`ledger.has("data@1") && !ledger.has("data@2") && !ledger.has("nothing@1")`,
		`ledger.stamps(ledger.artifact("data@1")).map(a, a.name) == ["data", "copy"]`,
		`ledger.artifact("extra@1").basis.unread == 400 && ledger.artifact("extra@1").basis.mtime == 400 && ledger.artifact("extra@1").basis.entry == 1`,
		`ledger.artifact("both@1").members.map(m, m.name) == ["copy", "data"] || ledger.artifact("both@1").members.map(m, m.name) == ["data", "copy"]`,
		`ledger.artifact("data@1") == ledger.inputs(subject)[0] && ledger.artifact("data@1") != ledger.artifact("copy@1")`,
		`ledger.artifact("data@1").fingerprint == ledger.artifact("copy@1").fingerprint`,
		`ledger.artifact("data@1") in ledger.ancestors(subject)`,

		`ledger.members(ledger.artifact("both@1")).size() == 2 && ledger.members(ledger.artifact("all@1")).map(m, m.name) == ["both", "extra", "copy", "data"] && ledger.members(subject).size() == 0`,

		// inputs, ancestors, standing, known, runs
		`ledger.inputs(subject).map(a, a.name) == ["data", "extra"] && ledger.inputs(ledger.artifact("data@1")).size() == 0`,
		`ledger.ancestors(subject).map(a, a.name) == ["data", "extra"]`,
		`ledger.ancestors(subject).all(a, a.standing == "good" && a.depth == 1 && !a.known)`,
		`ledger.standing(subject) == "good" && ledger.standing(ledger.artifact("copy@1")) == "withdrawn"`,
		`ledger.standing(ledger.artifact("bad@1")) == "withdrawn" && ledger.standing(ledger.artifact("from-bad@1")) == "tainted"`,
		`ledger.standing(ledger.artifact("lost@1")) == "untrusted" && ledger.standing(ledger.artifact("from-lost@1")) == "untrusted"`,
		`ledger.ancestors(ledger.artifact("from-bad@1"))[0].standing == "withdrawn" && ledger.artifact("from-bad@1").standing == "tainted"`,
		`ledger.known(subject) && !ledger.known(ledger.artifact("data@1")) && ledger.known(ledger.artifact("from-lost@1"))`,
		`ledger.runs(subject).size() == 1 && ledger.runs(subject)[0].observation == "wrapped" && ledger.runs(subject)[0].handle == "carol"`,
		`ledger.runs(subject).all(r, r.id.size() == 32 && r.entry == 3 && !r.failed && r.exit == 0 && r.inputs.size() == 2 && r.outputs[0] == subject)`,
		`ledger.runs(subject)[0].code.dirty && ledger.runs(subject)[0].code.remote == "https://example.com/code.git" && ledger.runs(subject)[0].code.commit.size() == 40`,
		`ledger.runs(subject)[0].image.contains("sha256:") && ledger.runs(subject)[0].started <= ledger.runs(subject)[0].finished`,

		// authors, allAuthors
		`ledger.authors(subject) == ["carol"] && ledger.authors(ledger.artifact("data@1")) == ["alice"]`,
		`ledger.authors(ledger.artifact("copy@1")) == ["alice", "dave"]`,
		`ledger.allAuthors(subject) == ["carol", "alice", "bob"]`,
		// Of a collection whoever made its members did, also in a copy of it.
		`ledger.authors(ledger.artifact("mixed@1")) == ["alice", "bob"] && ledger.authors(ledger.artifact("all@1")) == ["alice", "bob", "dave"]`,
		`ledger.authors(ledger.artifact("wrapped@1")) == ["peggy", "carol"] && ledger.authors(ledger.artifact("wrapped@2")) == ["peggy", "olivia", "carol"]`,

		// approvals, approvers, rejecters
		`ledger.approvers(subject) == ["frank", "grace"] && ledger.approvers(subject, "canary") == ["heidi"] && ledger.approvers(subject, "x").size() == 0`,
		`ledger.rejecters(subject) == ["ivan"] && ledger.rejecters(subject, "canary").size() == 0`,
		`ledger.approvals(subject).size() == 4 && ledger.approvals(subject).all(a, a.stage == "production" && a.key.size() == 64)`,
		`ledger.approvals(subject).exists(a, a.decision == "reject" && a.reason == "too slow" && a.handle == "ivan" && a.entry == 10)`,
		`ledger.approvals(subject)[0].key != ledger.approvals(subject)[1].key && ledger.approvals(subject)[0].handle == ledger.approvals(subject)[1].handle`,
		`ledger.approvers(ledger.artifact("copy@1")).size() == 0`,
		`ledger.approvers(subject).join(" and ") == "frank and grace" && join(ledger.approvers(subject), "") == "frankgrace"`,

		// evaluations, releases, inStage, withdrawals
		`ledger.evaluations(subject).size() == 1 && ledger.evaluations(subject)[0].metrics["auc"] >= 0.9 && ledger.evaluations(subject)[0].metrics.auc < 1`,
		`ledger.evaluations(subject).exists(e, "auc" in e.metrics && e.metrics["auc"] > 0 && e.datasets.all(d, d.name == "extra") && e.handle == "erin")`,
		`ledger.releases(subject).size() == 1 && ledger.releases(subject)[0].stage == "canary" && ledger.releases(subject)[0].action == "join"`,
		`ledger.inStage("canary").map(r, r.artifact.name) == ["example"] && ledger.inStage("canary")[0].artifact == subject && ledger.inStage("production").size() == 0`,
		`ledger.inStage("canary", "example")[0].artifact == subject && ledger.inStage("canary", "data").size() == 0 && ledger.inStage("canary", "").size() == 0 && ledger.inStage("production", "example").size() == 0`,
		`ledger.inStage("canary", "example").all(r, r.handle == "judy" && r.action == "join" && r.stage == "canary" && r.entry == 11 && r.time <= entry.time && r.key.size() == 64 && r.reason == "")`,
		`ledger.withdrawals(ledger.artifact("copy@1")).exists(w, w.target == "binding" && w.effect == "advise" && w.reason == "a second name" && w.handle == "dave")`,
		`ledger.withdrawals(subject).size() == 0 && ledger.withdrawals(ledger.artifact("data@1")).size() == 0`,

		// audits, lastRead
		`ledger.audits(ledger.artifact("data@1")).size() == 1 && ledger.audits(ledger.artifact("copy@1")).size() == 1`,
		`ledger.audits(ledger.artifact("data@1")).all(a, a.conclusive && a.outcome == "held" && a.entry == 13 && a.announced == 12 && a.handle == "kim")`,
		`ledger.audits(ledger.artifact("data@1")).all(a, a.altered == 0.005 && a.confidence == 0.99 && a.chunks == 919 && a.chunksRead == 919)`,
		`ledger.audits(ledger.artifact("extra@1")).size() == 1 && !ledger.audits(ledger.artifact("extra@1"))[0].conclusive`,
		`ledger.announcements(ledger.artifact("data@1")).map(a, a.entry) == [29] && ledger.announcements(ledger.artifact("copy@1")).size() == 1 && ledger.announcements(ledger.artifact("extra@1")).size() == 0`,
		`ledger.announcements(ledger.artifact("data@1")).all(a, a.handle == "kim" && a.altered == 0.005 && a.confidence == 0.99 && a.outcome == "" && !a.conclusive && a.time < entry.time)`,
		`ledger.lastRead(subject) == subject.time && ledger.wasRead(subject)`,
		`!ledger.wasRead(ledger.artifact("extra@1")) && !ledger.wasRead(ledger.artifact("mixed@1")) && !ledger.wasRead(ledger.artifact("lost@1"))`,
		`ledger.lastRead(ledger.artifact("data@1")) == ledger.audits(ledger.artifact("data@1"))[0].announcedTime`,
		`ledger.lastRead(ledger.artifact("copy@1")) == ledger.lastRead(ledger.artifact("data@1"))`,
		`ledger.lastRead(ledger.artifact("both@1")) == ledger.lastRead(ledger.artifact("data@1"))`,

		// people, proposals
		`ledger.people("releaser") == ["judy"] && ledger.people("administrator") == ["olivia", "root"] || ledger.people("administrator") == ["root"]`,

		// CEL's own
		`sets.contains(ledger.approvers(subject), ["grace"]) && !sets.intersects(ledger.approvers(subject), ledger.allAuthors(subject)) && sets.equivalent(["a", "b"], ["b", "a"])`,
		`subject.name.matches("^ex[a-z]+$") && matches(subject.name, "ample")`,
		`ledger.approvers(subject).filter(p, p != "frank") == ["grace"] && [1, 2, 3].exists_one(x, x > 2) && ([1] + [2]).size() == 2`,
		`timestamp("2026-03-01T12:00:00Z").getFullYear() == 2026 && timestamp("2026-03-01T12:00:00+02:00").getHours() == 10`,
		`entry.time.getDayOfWeek() == 4 && entry.time.getMonth() == 0 && duration("90m").getMinutes() == 90`,
		`1 < 1.5 && 2u > 1.5 && string(1.5) == "1.5" && int("7") == 7 && double("0.5") == 0.5`,
		// What is no number is not less, not more and not equal.
		`!(double("NaN") < 1.0) && !(double("NaN") >= 1.0) && double("NaN") != double("NaN")`,
	} {
		if r := (spec{rule: rule, given: onRelease}).result(t); !r.OK {
			t.Errorf("%s\n%+v", rule, r)
		}
	}
}

func TestFunctionErrors(t *testing.T) {
	for rule, want := range map[string]string{
		`ledger.lastRead(ledger.artifact("extra@1")) < entry.time`: "nothing says that somebody in good standing ever read all bytes of extra@1",
		`ledger.lastRead(ledger.artifact("mixed@1")) < entry.time`: "nothing says that somebody in good standing ever read all bytes of mixed@1",
		`ledger.lastRead(ledger.artifact("lost@1")) < entry.time`:  "nothing says that somebody in good standing ever read all bytes of lost@1",
	} {
		if r := (spec{rule: rule, given: onRelease}).result(t); r.Error != want {
			t.Errorf("%s\n%+v\nwant %s", rule, r, want)
		}
	}
}

// Every kind of statement, and what a rule sees of it.
func TestStatements(t *testing.T) {
	for _, x := range []struct {
		name, rule string
		statement  given
	}{
		{"stamp", `subject.entry == -1 && subject.signer == "alice" && subject.time == entry.time && subject.from[0].name == "bad" && subject.kind == "model"`,
			given{"stamp": "new@1", "kind": "model", "from": []string{"bad@1"}, "by": "alice"}},
		{"stamp", `ledger.standing(subject) == "tainted" && ledger.ancestors(subject).map(a, a.name) == ["bad"] && ledger.known(subject) && statement.inputs[0].name == "bad"`,
			given{"stamp": "new@1", "kind": "model", "from": []string{"bad@1"}, "by": "alice"}},
		{"stamp", `ledger.has("new@1") && ledger.artifact("new@1") == subject && ledger.authors(subject) == ["alice", "dave", "zoe"]`,
			given{"stamp": "new@1", "same": "data@1", "by": "zoe"}},
		{"stamp", `subject.standing == "withdrawn" && ledger.withdrawals(subject).size() == 1 && ledger.stamps(subject).size() == 2`,
			given{"stamp": "new@1", "same": "bad@1", "by": "zoe"}},
		{"stamp", `subject.members.size() == 2 && statement.inputs.size() == 2 && subject.basis.stamped == 2000 && ledger.ancestors(subject).size() == 2`,
			given{"stamp": "new@1", "members": []string{"data@1", "extra@1"}, "by": "zoe"}},
		{"run", `statement.observation == "reported" && statement.inputs.map(i, i.name) == ["data"] && statement.outputs[0] == subject && ledger.runs(subject)[0].entry == entry.index`,
			given{"run": given{"inputs": []string{"data@1"}, "outputs": []string{"new@1"}, "observation": "reported"}, "by": "alice"}},
		{"run", `ledger.ancestors(subject).exists(a, a.standing == "withdrawn") && ledger.standing(subject) == "tainted"`,
			given{"run": given{"inputs": []string{"bad@1"}, "outputs": []string{"new@1"}}, "by": "alice"}},
		{"run", `statement.failed && statement.exit == 3 && subject.name == "" && subject.kind == "" && subject.files == 0 && !subject.listed`,
			given{"run": given{"inputs": []string{"data@1"}, "failed": true, "exit": 3}, "by": "alice"}},
		{"evaluation", `statement.metrics["auc"] > 0.8 && statement.datasets[0].name == "data" && subject.name == "example"`,
			given{"evaluate": "example@1", "metrics": given{"auc": 0.81}, "datasets": []string{"data@1"}, "by": "erin"}},
		{"approval", `statement.action == "approve" && statement.stage == "production" && !(signer.handle in ledger.allAuthors(subject))`,
			given{"approve": "example@1", "stage": "production", "by": "frank"}},
		{"release", `statement.action == "leave" && statement.stage == "canary"`, given{"leave": "example@1", "stage": "canary", "by": "judy"}},
		{"withdrawal", `statement.target == "contents" && statement.effect == "stop" && statement.reason == "poisoned"`,
			given{"withdraw": "data@1", "effect": "stop", "reason": "poisoned", "by": "alice"}},
		{"reinstatement", `subject.name == "bad" && statement.reason != ""`, given{"reinstate": "bad@1", "reason": "it was not", "by": "alice"}},
		{"audit", `statement.audit.outcome == "held" && statement.audit.conclusive && statement.audit.confidence > 0.9`, given{"audit": "data@1", "by": "kim"}},
		{"audit", `statement.audit.outcome == "" && statement.audit.altered == 0.005 && !statement.audit.conclusive`, given{"announce": "data@1", "by": "kim"}},
		{"import", `statement.format == "in-toto" && statement.inputs[0].name == "data" && statement.builder == "https://example.com/b"`,
			given{"import": "example@1", "inputs": []string{"data@1"}, "builder": "https://example.com/b", "by": "kim"}},
		{"identity", `statement.identity.handle == "peggy" && subject.name == "peggy" && statement.identity.roles == ["approver"] && statement.action == "register" && statement.identity.key.size() == 64`,
			given{"register": "peggy", "roles": []string{"approver"}, "by": "root"}},
		{"contract", `statement.contract.name == "example" && statement.contract.version == 2 && statement.contract.rules == 1 && statement.contract.action == "put" && subject.name == "example"`,
			given{"put": "example@2", "by": "root"}},
		{"contract", `ledger.proposals(statement.contract).map(p, p.handle) == ["olivia"] && ledger.proposals(statement.contract)[0].entry == 26 && statement.contract.digest.startsWith("sha256:")`,
			given{"put": "example@2", "by": "root"}},
		{"contract", `statement.action == "lift" && statement.contract.rules == 0`, given{"lift": "example@2", "by": "root"}},
		{"log-key", `subject.name == "" && !ledger.has("x@1")`, given{"kind": "log-key", "by": "root"}},
	} {
		r := spec{match: given{"statements": []string{x.name}}, rule: x.rule, given: given{"history": history, "statement": x.statement}}.result(t)
		if !r.OK {
			t.Errorf("%s %v\n%s\n%+v", x.name, x.statement, x.rule, r)
		}
	}
}

// Where the statement is about no artifact, no function answers as if it were.
func TestNoArtifact(t *testing.T) {
	for _, f := range functions {
		call := "ledger." + f.name + "(" + map[string]string{"stele.Artifact": "subject", "string": `"example@1"`, "stele.Contract": "statement.contract"}[f.takes[0].TypeName()]
		if len(f.takes) > 1 {
			call += `, "production"`
		}
		call += ")"
		if !slices.Contains([]string{"stele.Artifact"}, f.takes[0].TypeName()) {
			continue
		}
		r := spec{match: given{"statements": []string{"log-key"}}, rule: call + " == " + call, given: given{"statement": given{"kind": "log-key"}}}.result(t)
		if r.Error != "the statement is about no artifact" {
			t.Errorf("%s: %+v", call, r)
		}
	}
}
