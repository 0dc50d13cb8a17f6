package contracttest

// Rules are expressions of type bool that between them ask everything there is
// to ask of a statement and a ledger.
var Rules = []string{
	// the statement, its signer, the entry
	`statement.kind == "release" && statement.stage == "production" || statement.kind != "release"`,
	`statement.action in ["join", "approve", ""]`,
	`statement.replaces.all(r, r.fingerprint != subject.fingerprint)`,
	`statement.inputs.all(i, i.standing == "good" && i.known)`,
	`statement.outputs.size() <= 1 || statement.observation == "wrapped"`,
	`!statement.failed && statement.exit == 0`,
	`statement.metrics.size() == 0 || statement.metrics["auc"] >= params.floor`,
	`"auc" in statement.metrics ? statement.metrics["auc"] > 1 : true`,
	`statement.datasets.exists(d, d.kind == "dataset")`,
	`statement.code.commit.startsWith("0123") && statement.code.remote != ""`,
	`has(statement.code.remote)`,
	`statement.finished > statement.started`,
	`signer.handle != "mallory" && "approver" in signer.roles`,
	`entry.index > 45 && entry.time > timestamp("2020-01-01T00:00:00Z")`,
	`entry.time.getFullYear() == 2023 || entry.time.getSeconds() > 20`,

	// the artifact
	`subject.kind == "model"`,
	`subject.name.startsWith("fraud/") && !subject.name.matches("^frauds")`,
	`subject.files == 1 && subject.bytes >= 1000`,
	`subject.annotations["licence"] in params.licences`,
	`"licence" in subject.annotations && subject.annotations["licence"] == "mit"`,
	`subject.ignore.all(r, r in params.ignore) && !subject.listed`,
	`subject.basis.unread == 0`,
	`subject.basis.read * 10 >= subject.bytes`,
	`subject.entry >= 0 && subject.entry < entry.index`,
	`entry.index - subject.entry < 10`,
	`entry.time - subject.time < duration("30s")`,
	`subject.signer != signer.handle`,
	`subject.from.all(f, f.kind == "dataset")`,
	`subject.members.all(m, m.basis.read > 0)`,
	`subject.since == "" || ledger.has(subject.since) && !subject.since.startsWith("fraud")`,
	`subject.depth == 0 && subject.standing in ["good", "unknown"]`,

	// the ledger
	`ledger.has("data/a@1") || ledger.has("test@1")`,
	`ledger.artifact("data/a@1").kind == "dataset"`,
	`ledger.stamps(subject).size() == 1`,
	`ledger.inputs(subject).size() > 0`,
	`ledger.inputs(subject).all(i, i.entry < subject.entry)`,
	`ledger.ancestors(subject).size() >= 1`,
	`ledger.ancestors(subject).all(a, a.known || ledger.inputs(a).size() == 0)`,
	`ledger.ancestors(subject).all(a, a.depth < 2)`,
	`ledger.ancestors(subject).exists(a, a.standing == "withdrawn")`,
	`ledger.ancestors(subject).filter(a, a.kind == "dataset").exists_one(a, a.depth == 1)`,
	`ledger.standing(subject) == "good" && ledger.known(subject)`,
	`ledger.runs(subject).all(r, r.observation == "wrapped" && !r.failed && !r.code.dirty)`,
	`ledger.runs(subject).exists(r, r.handle == "ada" && r.finished <= entry.time)`,
	`!(signer.handle in ledger.authors(subject))`,
	`ledger.allAuthors(subject).size() < 3`,
	`ledger.approvals(subject, "production").all(a, a.decision == "approve")`,
	`ledger.approvers(subject, "production").size() >= params.needed`,
	`ledger.approvers(subject).filter(p, !(p in ledger.authors(subject))).size() >= 1`,
	`ledger.rejecters(subject, "staging").size() == 0`,
	`ledger.evaluations(subject).exists(e, "auc" in e.metrics && e.metrics["auc"] >= params.floor)`,
	`ledger.evaluations(subject).all(e, e.datasets.all(d, !(d.fingerprint in variables.contents)))`,
	`ledger.releases(subject).exists(r, r.action == "leave" || r.stage == "staging")`,
	`ledger.inStage("production").all(r, r.artifact.standing == "good")`,
	`ledger.inStage("production", subject.name).all(r, r.artifact.fingerprint != subject.fingerprint)`,
	`ledger.inStage(statement.stage).exists(r, r.handle == signer.handle)`,
	`ledger.withdrawals(subject).all(w, w.effect == "advise")`,
	`ledger.audits(subject).exists(a, a.outcome == "held" && a.conclusive && a.altered <= 0.005)`,
	`entry.time - ledger.lastRead(subject) < duration("1h")`,
	`!ledger.wasRead(subject) || ledger.announcements(subject).size() > 0`,
	`sets.contains(ledger.people("approver"), ["ada", "bob", "mallory"])`,
	`variables.old.size() == 0`,
}

// Texts are expressions of type string: what they come to is a message.
var Texts = []string{
	`join(ledger.ancestors(subject).map(a, a.name + "@" + a.version + " " + string(a.depth) + " " + a.standing), ", ")`,
	`join(ledger.authors(subject), " ") + " / " + join(ledger.allAuthors(subject), " ")`,
	`join(ledger.approvals(subject, "production").map(a, a.handle + " " + a.decision + " " + string(a.entry) + " " + string(a.time)), ", ")`,
	`join(ledger.approvers(subject, "production"), " ") + " not " + join(ledger.rejecters(subject, "production"), " ")`,
	`join(ledger.evaluations(subject).map(e, e.handle + " " + string("auc" in e.metrics ? e.metrics["auc"] : -1.0) + " " + string(e.datasets.size())), ", ")`,
	`join(ledger.inStage("production").map(r, r.artifact.name + "@" + r.artifact.version + " by " + r.handle + " " + string(r.entry)), ", ")`,
	`join(ledger.releases(subject).map(r, r.action + " " + r.stage + " " + string(r.entry)), ", ")`,
	`join(ledger.withdrawals(subject).map(w, w.target + " " + w.effect + " " + w.handle + " " + string(w.entry)), ", ")`,
	`join(ledger.audits(subject).map(a, a.outcome + " " + string(a.altered) + " " + string(a.confidence) + " " + string(a.chunks) + " " + string(a.chunksRead) + " " + string(a.announced)), ", ")`,
	`join(ledger.runs(subject).map(r, r.handle + " " + string(r.exit) + " " + r.code.commit + " " + string(r.finished)), ", ")`,
	`join(ledger.stamps(subject).map(s, s.name + "@" + s.version + " " + s.signer + " " + string(s.time)), ", ")`,
	`join(ledger.people("approver"), " ") + " " + join(ledger.people("administrator"), " ")`,
	`string(subject.entry) + " " + string(subject.time) + " " + subject.fingerprint + " " + subject.since + " " + string(subject.basis.unread)`,
	`string(ledger.lastRead(subject))`,
	`("team/owner" in subject.annotations ? subject.annotations["team/owner"] : "nobody") + ", " + (has(subject.annotations.licence) ? subject.annotations.licence : "unknown")`,
	`string(entry.index) + " " + string(entry.time) + " " + signer.handle + " " + join(signer.roles, " ")`,
	`statement.kind + " " + statement.action + " " + statement.stage + " " + statement.reason + " " + string(statement.exit) + " " + statement.image`,
	`string(double(subject.bytes) / 3.0) + " " + string(subject.bytes * 7 % 13)`,
}

// Contract is a contract about everything that is said of artifacts, with all of
// these as its rules, as JSON that is not canonical yet: what is refused shows
// what every expression comes to.
func Contract() Item {
	var validations []Item
	for i, e := range Rules {
		validations = append(validations, Item{"id": id("rule", i), "expression": e, "message": "it does not hold"})
	}
	return contract("rules", validations)
}

// TextContract is a contract of which every rule refuses, to show a text.
func TextContract() Item {
	var validations []Item
	for i, e := range Texts {
		validations = append(validations, Item{"id": id("text", i), "expression": "false", "messageExpression": e})
	}
	return contract("texts", validations)
}

func id(what string, i int) string {
	return what + "-" + string(rune('a'+i/26)) + string(rune('a'+i%26))
}

func contract(name string, validations []Item) Item {
	return Item{
		"apiVersion": "stele.dev/v1", "kind": "Contract", "metadata": Item{"name": name, "version": 1},
		"spec": Item{
			"engine": "cel/1",
			"match":  Item{"statements": []string{"stamp", "run", "evaluation", "approval", "release", "withdrawal", "reinstatement", "audit", "import"}},
			"params": Item{"floor": 0.5, "needed": 2, "licences": []string{"mit", "apache-2.0"}, "ignore": []string{"*.tmp"}},
			"variables": []Item{
				{"name": "ancestors", "expression": "ledger.ancestors(subject)"},
				{"name": "contents", "expression": "variables.ancestors.map(a, a.fingerprint)"},
				{"name": "old", "expression": `variables.ancestors.filter(a, entry.index - a.entry > 15)`},
			},
			"validations": validations,
			"tests":       []Item{{"name": "any", "given": Item{"statement": Item{}}, "expect": Item{"allow": true}}},
		},
	}
}
