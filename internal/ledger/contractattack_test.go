package ledger_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/statement"
)

// TestAttackReleaseRacingAWithdrawal: a release and a withdrawal of what it was
// made of reach the ledger in one block. Whichever is first decides: the ledger
// never admits the release after the withdrawal, however close they come.
func TestAttackReleaseRacingAWithdrawal(t *testing.T) {
	for _, effect := range []string{statement.EffectAdvise, statement.EffectNoNewUse} {
		for _, releaseFirst := range []bool{true, false} {
			l := newTeam(t)
			data := l.Stamped(l.bob, "data", "1", "d")
			model := l.Ran(l.ci, "model", "1", "m", data)
			l.Contract(releasesNeed("clean@1", `ledger.ancestors(subject).all(a, ledger.withdrawals(a).size() == 0)`))
			release := l.Release(l.rel, model, prod, l.Saw(&statement.Release{Stage: prod}, model))
			withdrawal := l.Sign(l.bob, &statement.Statement{Kind: statement.KindWithdrawal, Subject: []statement.Subject{data.Subject()},
				Withdrawal: &statement.Withdrawal{Target: statement.TargetContents, Effect: effect, Reason: "a test", After: l.Saw(&statement.Withdrawal{}, data)}})
			block := []*statement.Envelope{withdrawal, release}
			if releaseFirst {
				block = []*statement.Envelope{release, withdrawal}
			}
			_, errs := l.Try(block...)
			var refusal *ledger.Refusal
			switch {
			case releaseFirst && (errs[0] != nil || errs[1] != nil):
				t.Errorf("%s, the release first: %v", effect, errs)
			case !releaseFirst && (errs[0] != nil || !errors.As(errs[1], &refusal)):
				t.Errorf("%s, the withdrawal first: %v", effect, errs)
			case !releaseFirst && effect == statement.EffectAdvise && refusal.Rule != ledger.RuleContract:
				t.Errorf("an advice keeps nothing out by itself: %s: %v", refusal.Rule, refusal)
			}
			// An operator who turns them round afterwards is found out: fsck replays.
			soundLedger(t, l.Ledger)
		}
	}
}

// TestAttackLaterInTheBlock: an entry counts on one that stands after it in the
// same block.
func TestAttackLaterInTheBlock(t *testing.T) {
	l := newTeam(t)
	model := l.Stamped(l.ci, "model", "1", "m")
	l.Contract(releasesNeed("approved@1", `ledger.approvers(subject).size() >= 1`))
	saw := l.Saw(&statement.Approval{Stage: prod}, model)
	approval := l.Approve(l.ann, model, prod, saw)
	before, after := l.Release(l.rel, model, prod, saw), l.Release(l.rel, model, prod, l.View().Size())
	_, errs := l.Try(before, approval, after)
	var refusal *ledger.Refusal
	if !errors.As(errs[0], &refusal) || refusal.Rule != ledger.RuleContract {
		t.Fatalf("the release before its approval: %v", errs[0])
	}
	if errs[1] != nil || errs[2] != nil {
		t.Fatalf("the approval, and the release after it: %v, %v", errs[1], errs[2])
	}
	soundLedger(t, l.Ledger)
}

// TestContractInTheSameBlock: a contract is in force from the next entry on, and
// a lift ends it from the next one on, within one block.
func TestContractInTheSameBlock(t *testing.T) {
	l := newTeam(t)
	no := ledgertest.Rule("no-stamps@1", "statements: [stamp]", "false")
	stamp := func(version string) *statement.Envelope { return l.Stamp(l.bob, l.Ref("data", version, version)) }
	_, errs := l.Try(stamp("1"), l.PutContract(l.Ada, no), stamp("2"), l.LiftContract(l.Ada, no), stamp("3"), l.PutContract(l.Ada, no))
	for i, want := range []bool{true, true, false, true, true, false} {
		if (errs[i] == nil) != want {
			t.Errorf("%d: %v", i, errs[i])
		}
	}
	var refusal *ledger.Refusal
	if !errors.As(errs[5], &refusal) || refusal.Rule != ledger.RuleNameBound {
		t.Errorf("put again after it was lifted: %v", errs[5])
	}
	soundLedger(t, l.Ledger)
}

// TestAttackRuleThatAlwaysErrs: what cannot be evaluated refuses, and says so; the
// other rules are asked all the same.
func TestAttackRuleThatAlwaysErrs(t *testing.T) {
	l := newTeam(t)
	model := l.Stamped(l.ci, "model", "1", "m")
	l.Contract(releasesNeed("a@1", `subject.annotations["licence"] == "mit"`))
	l.Contract(releasesNeed("b@1", `1 / (subject.files - subject.files) == 1`))
	l.Contract(releasesNeed("c@1", `ledger.artifact("nothing@1").name == ""`))
	l.Contract(releasesNeed("d@1", `false`))
	l.Contract(releasesNeed("e@1", `true`))
	env := l.Release(l.rel, model, prod, l.Saw(&statement.Release{Stage: prod}, model))
	r := ruledOut(t, l.Ledger, env, "a@1/rule", "b@1/rule", "c@1/rule", "d@1/rule")
	for i, v := range r.Violations {
		if (v.Error != "") != (i < 3) || v.Message == "" || strings.Contains(v.Message+v.Error, "\n") {
			t.Errorf("%+v", v)
		}
	}
	if !strings.HasPrefix(r.Message, "a@1 / rule: ") || !strings.HasSuffix(r.Message, " (and 3 other rules)") {
		t.Error(r.Message)
	}
}

// TestAttackRunawayRule: a rule that would go on and on is stopped by its cost,
// which is counted and the same everywhere, and so are those after it.
func TestAttackRunawayRule(t *testing.T) {
	l := newTeam(t)
	var inputs []statement.Ref
	for i := range 100 {
		inputs = append(inputs, l.Ref("data", fmt.Sprint(i), fmt.Sprint(i)))
	}
	var block []*statement.Envelope
	for _, ref := range inputs {
		block = append(block, l.Stamp(l.bob, ref))
	}
	l.Put(block...)
	model := l.Ran(l.ci, "model", "1", "m", inputs[:99]...)
	// Ten thousand pairs, for each of which everything is walked again.
	l.Contract(releasesNeed("runaway@1",
		`ledger.inputs(subject).all(a, ledger.inputs(subject).all(b, ledger.ancestors(subject).size() + ledger.stamps(a).size() + ledger.stamps(b).size() > 0))`))
	l.Contract(releasesNeed("z@1", `true`))
	env := l.Release(l.rel, model, prod, l.Saw(&statement.Release{Stage: prod}, model))
	r := ruledOut(t, l.Ledger, env, "runaway@1/rule", "z@1/rule")
	if r.Cost == 0 || r.Violations[0].Error == "" || r.Violations[1].Error == "" {
		t.Errorf("%+v", r)
	}
}

// lockout is a contract that refuses every statement that may be governed.
func lockout(id string) string {
	return ledgertest.Rule(id, "statements: [stamp, run, evaluation, approval, release, withdrawal, reinstatement, audit, import, identity, contract]", "false")
}

// TestAttackLockout: a contract refuses everything that anybody does, also what
// would end it. The recovery key lifts it, and nothing that this key signs is
// held to contracts; nor is the declaration that a key is compromised.
func TestAttackLockout(t *testing.T) {
	l := newTeam(t)
	recovery := ledgertest.Ed25519("recovery")
	all := lockout("everything@1")
	l.Contract(all)
	model := l.Ref("model", "1", "m")
	ruledOut(t, l.Ledger, l.Stamp(l.ci, model), "everything@1/rule")
	ruledOut(t, l.Ledger, l.LiftContract(l.Ada, all), "everything@1/rule")
	ruledOut(t, l.Ledger, l.PutContract(l.Ada, ledgertest.Rule("everything@2", "statements: [audit]", "true")), "everything@1/rule")
	ruledOut(t, l.Ledger, l.Register(l.Ada, ledgertest.Ed25519("new").PublicKey(), "new", 0, nil, statement.RoleMember), "everything@1/rule")
	// The way out.
	l.Put(l.Compromised(l.mallory, l.mallory.PublicKey(), "mallory", 5))
	l.Put(l.Register(recovery, ledgertest.Ed25519("bea").PublicKey(), "bea", 0, nil, statement.RoleAdministrator))
	if r := refusalOf(t, l.Ledger, l.PutContract(recovery, ledgertest.Rule("mine@1", "statements: [stamp]", "false"))); r.Rule != ledger.RuleWhoMay {
		t.Errorf("the recovery key puts a contract: %s: %v", r.Rule, r)
	}
	l.Put(l.LiftContract(recovery, all))
	l.Put(l.Stamp(l.ci, model))
	if list, err := l.View().Contracts(); err != nil || len(list) != 0 {
		t.Errorf("in force: %v, %v", list, err)
	}
	soundLedger(t, l.Ledger)
}

// TestAttackLoosening: the thief of an administrator's key puts a version that
// refuses nothing, or lifts the contract. Until his key is known to be lost, that
// holds; from then on, the version before it refuses again, and nobody had to put
// it back.
func TestAttackLoosening(t *testing.T) {
	for name, attack := range map[string]func(l *team, thief statement.Signer, tight string) *statement.Envelope{
		"an empty version": func(l *team, thief statement.Signer, _ string) *statement.Envelope {
			return l.PutContract(thief, releasesNeed("production@2", "true"))
		},
		"a lift": func(l *team, thief statement.Signer, tight string) *statement.Envelope {
			return l.LiftContract(thief, tight)
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newTeam(t)
			thief := l.Person("eve", statement.RoleAdministrator)
			model, other := l.Stamped(l.ci, "model", "1", "m"), l.Stamped(l.ci, "model", "2", "n")
			tight := releasesNeed("production@1", twoApprovals)
			l.Contract(tight)
			release := func(ref statement.Ref) *statement.Envelope {
				return l.Release(l.rel, ref, prod, l.Saw(&statement.Release{Stage: prod}, ref))
			}
			ruledOut(t, l.Ledger, release(model), "production@1/rule")
			at := l.Put(attack(l, thief, tight))
			l.Put(release(model)) // it was not known
			// In one block: the declaration, and a release that counts on the thief.
			_, errs := l.Try(l.Compromised(thief, thief.PublicKey(), "eve", at), release(other))
			var r *ledger.Refusal
			if errs[0] != nil || !errors.As(errs[1], &r) || r.Violations[0].Contract != "production@1" {
				t.Fatalf("%v", errs)
			}
			if list, err := l.View().Contracts(); err != nil || list[0].ID() != "production@1" {
				t.Fatalf("in force: %v, %v", list, err)
			}
			soundLedger(t, l.Ledger)
		})
	}
}

// TestAttackSelfLift: an administrator is not let lift a contract of his own, and
// declares his own key compromised since he put it.
func TestAttackSelfLift(t *testing.T) {
	l := newTeam(t)
	eve := l.Person("eve", statement.RoleAdministrator)
	rule := releasesNeed("production@1", twoApprovals)
	at := l.Put(l.PutContract(eve, rule))
	l.Contract(ledgertest.Rule("no-lifts@1", "statements: [contract], actions: [lift]", "false"))
	ruledOut(t, l.Ledger, l.LiftContract(eve, rule), "no-lifts@1/rule")
	l.Put(l.Compromised(eve, eve.PublicKey(), "eve", at))
	model := l.Stamped(l.ci, "model", "1", "m")
	ruledOut(t, l.Ledger, l.Release(l.rel, model, prod, l.Saw(&statement.Release{Stage: prod}, model)), "production@1/rule")
	soundLedger(t, l.Ledger)
}

// TestAttackTwoKeysOfOneApprover: approvals are of people.
func TestAttackTwoKeysOfOneApprover(t *testing.T) {
	l := newTeam(t)
	second := ledgertest.P256("ann's laptop")
	l.Put(l.Register(l.Ada, second.PublicKey(), "ann", 0, nil, statement.RoleApprover))
	model := l.Stamped(l.ci, "model", "1", "m")
	l.Contract(releasesNeed("production@1", twoApprovals))
	l.Approved(l.ann, model, prod)
	l.Approved(second, model, prod)
	release := func() *statement.Envelope {
		return l.Release(l.rel, model, prod, l.Saw(&statement.Release{Stage: prod}, model))
	}
	ruledOut(t, l.Ledger, release(), "production@1/rule")
	ben := l.Person("ben", statement.RoleApprover)
	l.Approved(ben, model, prod)
	// A last word by another key of the same person counts for all of them.
	l.Rejected(second, model, prod)
	ruledOut(t, l.Ledger, release(), "production@1/rule")
	l.Approved(l.ann, model, prod)
	l.Put(release())
}

// TestAttackApprovingOnesOwn: who trained it, stamped it or stamped what it was
// made of, approves it with another key.
func TestAttackApprovingOnesOwn(t *testing.T) {
	l := newTeam(t)
	other := ledgertest.Ed25519("ci's other")
	l.Put(l.Register(l.Ada, other.PublicKey(), "ci", 0, nil, statement.RoleApprover))
	l.Put(l.Register(l.Ada, ledgertest.Ed25519("bob's other").PublicKey(), "bob", 0, nil, statement.RoleApprover))
	data := l.Stamped(l.bob, "data", "1", "d")
	model := l.Ran(l.ci, "model", "1", "m", data)
	l.Contract(releasesNeed("apart@1", `ledger.approvers(subject).size() > 0 && ledger.approvers(subject).all(p, !(p in ledger.allAuthors(subject)))`))
	release := func() *statement.Envelope {
		return l.Release(l.rel, model, prod, l.Saw(&statement.Release{Stage: prod}, model))
	}
	l.Approved(other, model, prod)
	ruledOut(t, l.Ledger, release(), "apart@1/rule")
	l.Rejected(other, model, prod)
	l.Approved(ledgertest.Ed25519("bob's other"), model, prod)
	ruledOut(t, l.Ledger, release(), "apart@1/rule")
	l.Rejected(ledgertest.Ed25519("bob's other"), model, prod)
	l.Approved(l.ann, model, prod)
	l.Put(release())
}

// TestAttackStampedByARun: what a stamp would be refused for, a run that stamps
// the same is refused for, each of its outputs.
func TestAttackStampedByARun(t *testing.T) {
	l := newTeam(t)
	l.Contract(ledgertest.Rule("licence@1", "statements: [stamp], kinds: [model]", `"licence" in subject.annotations`))
	out, fine := l.Made("model", "1", "m"), l.Made("model", "2", "n")
	fine.Stamp.Annotations = map[string]string{"licence": "mit"}
	ruledOut(t, l.Ledger, l.Stamp(l.ci, out.Ref, func(s *statement.Stamp) { s.Kind = statement.ArtifactModel }), "licence@1/rule")
	r := ruledOut(t, l.Ledger, l.Run(l.ci, nil, []statement.Output{out, fine}), "licence@1/rule")
	if r.Violations[0].Subject != "model@1" {
		t.Errorf("%+v", r.Violations)
	}
	l.Put(l.Run(l.ci, nil, []statement.Output{fine}))
	l.Put(l.Stamp(l.ci, l.Ref("data", "1", "d"))) // of another kind
	// What is on the ledger already is not stamped by the run that names it.
	l.Put(l.Run(l.ci, nil, []statement.Output{ledgertest.Old(fine.Ref)}))
}

// TestAttackLookAlikeNames: a name that looks as if a pattern covered it, or as if
// it did not, is no name.
func TestAttackLookAlikeNames(t *testing.T) {
	l := newTeam(t)
	l.Contract(ledgertest.Rule("fraud@1", `statements: [stamp], names: ["fraud/*"]`, "false"))
	ruledOut(t, l.Ledger, l.Stamp(l.ci, l.Ref("fraud/model", "1", "m")), "fraud@1/rule")
	honest := l.Stamp(l.ci, l.Ref("froud/model", "1", "m"))
	for _, name := range []string{
		"fr\u0430ud/model",  // Cyrillic a
		"fraud\u2215model",  // division slash
		"fraud/\u200bmodel", // zero width space
		"\uff46raud/model",  // fullwidth f
		"fra\u0075\u0301d/model",
		"FRAUD/model", "fraud//model", "./fraud/model", "x/../fraud/model", "fraud/model ",
	} {
		env := *honest
		env.Payload = []byte(strings.Replace(string(honest.Payload), "froud/model", name, 1))
		var err error
		if env.Signature, err = l.ci.Sign(env.Message()); err != nil {
			t.Fatal(err)
		}
		if r := refusalOf(t, l.Ledger, &env); r.Rule != ledger.RuleShape {
			t.Errorf("%q: %s: %v", name, r.Rule, r)
		}
	}
}

// TestAttackMetricThatIsNoNumber: a metric reaches a rule as a number or not at
// all.
func TestAttackMetricThatIsNoNumber(t *testing.T) {
	l := newTeam(t)
	model, data := l.Stamped(l.ci, "model", "1", "m"), l.Stamped(l.bob, "data", "1", "d")
	l.Contract(releasesNeed("auc@1", `ledger.evaluations(subject).exists(e, "auc" in e.metrics && e.metrics["auc"] >= 0.9)`))
	honest := l.Evaluate(l.bob, model, "auc", "0.5", data)
	for _, value := range []string{
		`"NaN"`, `"nan"`, `"Infinity"`, `"+Inf"`, `"-0"`, `"1e400"`, `"1e1"`, `"0x1p9"`, `"high"`, `"0.90"`, `".9"`, `""`, `" 0.9"`, `"0,9"`, `"٠.٩"`,
		`0.9`, `1`, `true`, `null`, `["0.9"]`, `{"value":"0.9"}`, `"99999999999999999999999999999999999"`, `"0.1234567890123456"`,
	} {
		env := *honest
		env.Payload = []byte(strings.Replace(string(honest.Payload), `"0.5"`, value, 1))
		var err error
		if env.Signature, err = l.bob.Sign(env.Message()); err != nil {
			t.Fatal(err)
		}
		if r := refusalOf(t, l.Ledger, &env); r.Rule != ledger.RuleShape {
			t.Errorf("%s: %s: %v", value, r.Rule, r)
		}
	}
	l.Put(honest)
	release := func() *statement.Envelope {
		return l.Release(l.rel, model, prod, l.Saw(&statement.Release{Stage: prod}, model))
	}
	ruledOut(t, l.Ledger, release(), "auc@1/rule")
	l.Evaluated(l.bob, model, "auc", "0.900000000000001", data)
	l.Put(release())
}

// TestRulesAboutRules: two administrators, and a waiting time in entries, are
// rules as others are. The contract that brings them is not held to them.
func TestRulesAboutRules(t *testing.T) {
	l := newTeam(t)
	bea := l.Person("bea", statement.RoleAdministrator)
	l.Contract(ledgertest.Rule("rules@1", "statements: [contract], actions: [put, lift]",
		`statement.action == "lift" ? false : ledger.proposals(statement.contract).exists(p, p.handle != signer.handle && entry.index - p.entry >= 2)`))
	rule := releasesNeed("production@1", twoApprovals)
	ruledOut(t, l.Ledger, l.PutContract(l.Ada, rule), "rules@1/rule")
	l.Put(l.ProposeContract(l.Ada, rule)) // one's own does not count
	l.Put(l.Stamp(l.ci, l.Ref("a", "1", "a")))
	l.Put(l.Stamp(l.ci, l.Ref("a", "2", "b")))
	ruledOut(t, l.Ledger, l.PutContract(l.Ada, rule), "rules@1/rule")
	l.Put(l.ProposeContract(bea, rule))
	ruledOut(t, l.Ledger, l.PutContract(l.Ada, rule), "rules@1/rule") // too soon
	l.Put(l.Stamp(l.ci, l.Ref("a", "3", "c")))
	// Another document under the same name was proposed by nobody.
	ruledOut(t, l.Ledger, l.PutContract(l.Ada, releasesNeed("production@1", "true")), "rules@1/rule")
	l.Contract(rule)
	ruledOut(t, l.Ledger, l.LiftContract(bea, rule), "rules@1/rule")
	// Who proposed it has fallen since: the word is gone, and the rule stays.
	l.Put(l.Compromised(bea, bea.PublicKey(), "bea", 6))
	if list, err := l.View().Contracts(); err != nil || len(list) != 2 {
		t.Errorf("in force: %v, %v", list, err)
	}
	soundLedger(t, l.Ledger)
}

// TestAttackAncestorUnindexed: whoever can write the database hides the name of a
// withdrawn ancestor from the index. A rule about ancestors does not find one less.
func TestAttackAncestorUnindexed(t *testing.T) {
	for name, hide := range map[string]func(b *bench){
		"gone":    func(b *bench) { b.del([]byte("ndata\x001")) },
		"another": func(b *bench) { b.set([]byte("ndata\x001"), b.get([]byte("nclean\x001"))) },
	} {
		b := newBench(t)
		data := b.m.Ref("data", "1", "d")
		model := b.m.Made("model", "1", "m")
		b.must(b.m.Stamp(b.ada, data))
		b.must(b.m.Stamp(b.ada, b.m.Ref("clean", "1", "c")))
		b.must(b.m.Run(b.ada, []statement.Ref{data}, []statement.Output{model}))
		b.must(b.m.PutContract(b.ada, ledgertest.Rule("clean@1", "statements: [approval]", `ledger.ancestors(subject).size() == 0`)))
		approval := b.m.Approve(b.ada, model.Ref, prod, 3)
		b.refused(approval, ledger.RuleContract, ledger.ClassRefused)
		hide(b)
		if err := b.reopen(); err != nil {
			t.Fatal(err)
		}
		if _, errs := b.admitAll(approval); !errors.Is(errs[0], ledger.ErrDamaged) {
			t.Errorf("%s: %v", name, errs[0])
		}
	}
}

// TestAttackStoreUnderARule: what the store cannot answer is an error, and not a
// refusal, which would be an answer.
func TestAttackStoreUnderARule(t *testing.T) {
	b := newBench(t)
	ref, next := b.m.Ref("model", "1", "m"), b.m.Ref("model", "2", "n")
	b.must(b.m.Stamp(b.ada, ref))
	b.must(b.m.Stamp(b.ada, next))
	b.must(b.m.Release(b.ada, ref, "canary", 1))
	b.must(b.m.PutContract(b.ada, releasesNeed("one@1", `ledger.inStage("canary").size() >= 1`)))
	other := b.m.Fingerprint("another")
	key := append([]byte("pcanary\x00model\x00"), 0, 0, 0, 0, 0, 0, 0, 3)
	b.set(append(key, '1'), append([]byte{1, byte(other.Algorithm)}, other.Sum[:]...))
	size := b.l.View().Size()
	_, errs := b.admitAll(b.m.Release(b.ada, next, prod, 2))
	var refusal *ledger.Refusal
	if !errors.Is(errs[0], ledger.ErrDamaged) || errors.As(errs[0], &refusal) || b.l.View().Size() != size {
		t.Fatalf("got %v", errs[0])
	}
}
