package ledger_test

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/statement"
)

const twoApprovals = `ledger.approvers(subject).size() >= 2`

// releasesNeed is a contract about releases into production.
func releasesNeed(id, expression string, more ...string) string {
	return ledgertest.Rule(id, "statements: [release], stages: [production], actions: [join]", expression, more...)
}

// ruledOut expects that contracts refuse a statement, and returns the refusal.
func ruledOut(t *testing.T, l *ledgertest.Ledger, env *statement.Envelope, rules ...string) *ledger.Refusal {
	t.Helper()
	r := refusalOf(t, l, env)
	var got []string
	for _, v := range r.Violations {
		got = append(got, v.Contract+"/"+v.Rule)
	}
	if r.Rule != ledger.RuleContract || r.Class != ledger.ClassRefused || !slices.Equal(got, rules) {
		t.Fatalf("refused by %s (%s) %v: %s, want %v", r.Rule, r.Class, got, r.Message, rules)
	}
	return r
}

func TestContractRefusesAndAdmits(t *testing.T) {
	l := newTeam(t)
	second := l.Person("second", statement.RoleApprover)
	model := l.Ran(l.ci, "model", "1", "m", l.Stamped(l.bob, "data", "1", "d"))
	at := l.Contract(releasesNeed("production@1", twoApprovals,
		`messageExpression: '"production needs 2 approvals, found " + string(ledger.approvers(subject).size()) + " (" + ledger.approvers(subject).join(", ") + ")"'`, "hint: ask another reviewer"))
	l.Approved(l.ann, model, prod)
	release := func() *statement.Envelope {
		return l.Release(l.rel, model, prod, l.Saw(&statement.Release{Stage: prod}, model))
	}
	r := ruledOut(t, l.Ledger, release(), "production@1/rule")
	if r.Message != "production@1 / rule: production needs 2 approvals, found 1 (ann)" || r.Hint != "ask another reviewer" || r.Entry == nil || *r.Entry != at ||
		r.Cost == 0 || r.Violations[0].Cost == 0 || r.Violations[0].Subject != "model@1" || r.Violations[0].Entry != at {
		t.Errorf("%+v", r)
	}
	// What it is not about passes by.
	l.Put(l.Release(l.rel, model, "staging", l.Saw(&statement.Release{Stage: "staging"}, model)))
	l.Approved(second, model, prod)
	receipts, errs := l.Try(release())
	if errs[0] != nil || receipts[0].Cost == 0 {
		t.Fatal(receipts, errs)
	}
	// Nor does leaving a stage ask it.
	l.Left(l.rel, model, prod)
	soundLedger(t, l.Ledger)
}

// changed is a contract in another form than its author's YAML.
func changed(yaml string, replace ...string) string {
	again := strings.NewReplacer(replace...).Replace(yaml)
	if again == yaml {
		panic("nothing was changed")
	}
	return again
}

// TestContractsAreHeldToTheirOwnRules: what may be put, proposed and lifted, and
// in which words the rest is refused.
func TestContractsAreHeldToTheirOwnRules(t *testing.T) {
	l := newTeam(t)
	good := releasesNeed("production@3", twoApprovals)
	for name, yaml := range map[string]string{
		"an expression that does not compile": releasesNeed("production@3", "ledger.aprovers(subject).size() >= 2"),
		"one that is no condition":            releasesNeed("production@3", "ledger.approvers(subject)"),
		"another engine":                      changed(good, "engine: cel/1", "engine: cel/2"),
		"a member that nobody knows":          changed(good, "engine: cel/1", "engine: cel/1\n  mode: warn"),
		"no tests":                            good[:strings.Index(good, "  tests:")],
		"a test that fails":                   changed(good, "{statement: {kind: log-key}}, expect: {applies: false}", "{approvers: [bob], statement: {kind: release}}, expect: {allow: true}"),
		"statements of no kind":               changed(good, "statements: [release]", "statements: []"),
	} {
		for _, env := range []*statement.Envelope{l.PutContract(l.Ada, yaml), l.ProposeContract(l.Ada, yaml)} {
			r := refusalOf(t, l.Ledger, env)
			if r.Rule != ledger.RuleDocument || r.Class != ledger.ClassRefused || !strings.HasPrefix(r.Message, "contract production@3: ") || r.Hint == "" ||
				strings.Contains(r.Message+r.Hint, "\n") {
				t.Errorf("%s: %s (%s): %s [%s]", name, r.Rule, r.Class, r.Message, r.Hint)
			}
		}
	}
	var problems *contract.CompileError
	if r := refusalOf(t, l.Ledger, l.PutContract(l.Ada, releasesNeed("production@3", "ledger.aprovers(subject).size() >= 2"))); !errors.As(r, &problems) {
		t.Errorf("the places are not told: %v", r)
	}
	// Nor does it come before the rules that are before it, however early it was
	// read: the first that is broken refuses everywhere.
	bad := releasesNeed("production@3", "nonsense")
	elsewhere := l.PutContract(l.Ada, bad)
	st, err := statement.Parse(elsewhere.Payload)
	if err != nil {
		t.Fatal(err)
	}
	st.Ledger[0] ^= 1
	if r := refusalOf(t, l.Ledger, l.Sign(l.Ada, st)); r.Rule != ledger.RuleLedger {
		t.Errorf("for another ledger: %s: %v", r.Rule, r)
	}
	if r := refusalOf(t, l.Ledger, l.PutContract(l.bob, bad)); r.Rule != ledger.RuleWhoMay {
		t.Errorf("by a member: %s: %v", r.Rule, r)
	}
	if n := l.Laws(); n != 0 {
		t.Errorf("%d documents are kept, of which none was admitted", n)
	}

	at := l.Contract(good)
	next := releasesNeed("production@4", twoApprovals)
	wantRefusal(t, l.Ledger, l.PutContract(l.bob, next), ledger.RuleWhoMay, ledger.ClassRefused,
		"contracts are put, proposed and lifted by administrators; bob is none", "ask an administrator")
	const nextVersion = "give the document the next version"
	wantRefusal(t, l.Ledger, l.PutContract(l.Ada, good), ledger.RuleNameBound, ledger.ClassRefused,
		fmt.Sprintf("contract production@3 was put in entry %d", at), nextVersion)
	r := refusalOf(t, l.Ledger, l.PutContract(l.Ada, releasesNeed("production@3", "true")))
	if r.Rule != ledger.RuleNameBound || !strings.HasPrefix(r.Message, fmt.Sprintf("contract production@3 is another document since entry %d", at)) || *r.Entry != at {
		t.Errorf("%s: %v", r.Rule, r)
	}
	for _, env := range []*statement.Envelope{l.PutContract(l.Ada, releasesNeed("production@2", "true")), l.ProposeContract(l.Ada, releasesNeed("production@2", "true"))} {
		wantRefusal(t, l.Ledger, env, ledger.RuleNameBound, ledger.ClassRefused,
			fmt.Sprintf("contract production@2: the ledger has version 3 since entry %d", at), nextVersion)
	}
	const list = "stele contract list shows what is in force"
	wantRefusal(t, l.Ledger, l.LiftContract(l.Ada, next), ledger.RuleInForce, ledger.ClassRefused, "contract production@4 is not in force", list)
	l.Put(l.ProposeContract(l.Ada, next))
	wantRefusal(t, l.Ledger, l.LiftContract(l.Ada, next), ledger.RuleInForce, ledger.ClassRefused, "contract production@4 is not in force", list)
	l.Contract(next)
	wantRefusal(t, l.Ledger, l.LiftContract(l.Ada, good), ledger.RuleInForce, ledger.ClassRefused, "contract production@3 is not in force", list)
	lifted := l.Put(l.LiftContract(l.Ada, next))
	wantRefusal(t, l.Ledger, l.LiftContract(l.Ada, next), ledger.RuleInForce, ledger.ClassRefused,
		fmt.Sprintf("contract production@4 is not in force: entry %d lifted it", lifted), list)
	soundLedger(t, l.Ledger)
}

// TestContractsOfAView: a view has those that were in force at its size.
func TestContractsOfAView(t *testing.T) {
	l := newTeam(t)
	one, two := releasesNeed("z@1", "true"), releasesNeed("a@1", "true")
	first := l.Contract(one)
	second := l.Contract(two)
	third := l.Contract(releasesNeed("z@2", "false"))
	fourth := l.Put(l.LiftContract(l.Ada, two))
	for size, want := range map[uint64]string{first: "", first + 1: "z@1", second + 1: "a@1 z@1", third + 1: "a@1 z@2", fourth + 1: "z@2"} {
		v, err := l.View().AsOf(size)
		if err != nil {
			t.Fatal(err)
		}
		list, err := v.Contracts()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range list {
			got = append(got, c.ID())
			if e, err := v.Entry(c.Entry); err != nil || e.Index != c.Entry {
				t.Fatal(err)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("at size %d: %v, want %s", size, got, want)
		}
	}
	// Opened again, the ledger finds the same.
	again, err := ledger.Open(l.DB, ledger.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if list, err := again.View().Contracts(); err != nil || len(list) != 1 || list[0].ID() != "z@2" || list[0].Entry != third {
		t.Errorf("%v, %v", list, err)
	}
}

// TestContractsAreReadWhileOneIsPut: views are asked while the writer goes on.
func TestContractsAreReadWhileOneIsPut(t *testing.T) {
	l := newTeam(t)
	var wg sync.WaitGroup
	done := make(chan struct{})
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				v := l.View()
				list, err := v.Contracts()
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := v.Try(&statement.Statement{Kind: statement.KindStamp, Subject: []statement.Subject{l.Ref("x", "1", "x").Subject()},
					Stamp: &statement.Stamp{Kind: "dataset", Files: 1, Bytes: 7, Basis: statement.Basis{Read: 7}}}, contract.Signer{}, 0); err != nil {
					t.Error(err)
					return
				}
				if len(list) > 1 {
					t.Errorf("%d in force", len(list))
					return
				}
			}
		})
	}
	for i := range 20 {
		l.Contract(ledgertest.Rule(fmt.Sprintf("p@%d", i+1), "statements: [stamp]", `subject.name != ""`))
		l.Stamped(l.bob, "data", fmt.Sprint(i), fmt.Sprint(i))
	}
	close(done)
	wg.Wait()
}

// TestTooManyContracts: a new name is refused once there are as many as may be,
// and a new version of one that is there is not.
func TestTooManyContracts(t *testing.T) {
	l := newTeam(t)
	var block []*statement.Envelope
	for i := range ledger.MaxContracts {
		block = append(block, l.PutContract(l.Ada, releasesNeed(fmt.Sprintf("p%03d@1", i), "true")))
	}
	l.Put(block...)
	r := refusalOf(t, l.Ledger, l.PutContract(l.Ada, releasesNeed("one-more@1", "true")))
	if r.Rule != ledger.RuleLimits || r.Message != "256 contracts are in force; at most 256 may be" {
		t.Errorf("%s: %v", r.Rule, r)
	}
	l.Put(l.ProposeContract(l.Ada, releasesNeed("one-more@1", "true")))
	l.Contract(releasesNeed("p007@2", "true"))
	l.Put(l.LiftContract(l.Ada, releasesNeed("p008@1", "true")))
	l.Contract(releasesNeed("one-more@1", "true"))
	if n := l.Laws(); n > 2*ledger.MaxContracts {
		t.Errorf("%d documents are kept", n)
	}
}

// TestTry: a trial says what admission would, and more: every rule of the
// ledger's own, and the verdict of the contracts; and it writes nothing.
func TestTry(t *testing.T) {
	l := newTeam(t)
	data := l.Stamped(l.bob, "data", "1", "d")
	model := l.Ran(l.ci, "model", "1", "m", data)
	l.Contract(releasesNeed("production@1", twoApprovals))
	l.Contract(releasesNeed("signer@1", `signer.handle == "rel"`))
	l.Withdrawn(l.bob, data, statement.TargetContents, statement.EffectStop)
	l.Withdrawn(l.ci, model, statement.TargetBinding, statement.EffectStop)
	st := &statement.Statement{Kind: statement.KindRelease, Subject: []statement.Subject{model.Subject()},
		Release: &statement.Release{Stage: prod, Action: statement.ActionJoin}}
	size, root := l.View().Size(), rootAt(t, l.View())
	try := func(as contract.Signer) *ledger.Trial {
		t.Helper()
		v := l.View()
		trial, err := v.Try(st, as, l.Now)
		if err != nil {
			t.Fatal(err)
		}
		// With what was read before it is the same.
		made, err := v.Lineage()
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if again, err := made.Try(st, as, l.Now); err != nil || !reflect.DeepEqual(again, trial) {
				t.Errorf("with what was read: %+v, %v, want %+v", again, err, trial)
			}
		}
		return trial
	}
	words := func(trial *ledger.Trial) string {
		var list []string
		for _, r := range trial.Refusals {
			list = append(list, string(r.Rule))
		}
		if trial.Verdict == nil {
			return strings.Join(append(list, "no verdict"), " ")
		}
		for _, r := range trial.Verdict.Results {
			word := "ok"
			switch {
			case r.Undecided:
				word = "undecided"
			case !r.OK:
				word = "refused"
			}
			list = append(list, r.Contract+":"+word)
		}
		return strings.Join(list, " ")
	}
	rel := contract.Signer{Key: l.rel.PublicKey().ID(), Known: true}
	for as, want := range map[*contract.Signer]string{
		&rel: "withdrawn withdrawn production@1:refused signer@1:ok",
		{Key: l.ci.PublicKey().ID(), Known: true}: "who-may withdrawn withdrawn production@1:refused signer@1:refused",
		{}:            "withdrawn withdrawn production@1:refused signer@1:undecided",
		{Known: true}: "standing withdrawn withdrawn production@1:refused signer@1:refused",
	} {
		if got := words(try(*as)); got != want {
			t.Errorf("%+v: %s, want %s", as, got, want)
		}
	}
	// A stale author, where the statement says what he saw.
	st.Release.After = 3
	if got := words(try(rel)); got != "after withdrawn withdrawn production@1:refused signer@1:ok" {
		t.Errorf("stale: %s", got)
	}
	st.Release.After = 0
	// What is not on the ledger, and what is no statement.
	st.Subject = []statement.Subject{l.Ref("model", "9", "x").Subject()}
	if got := words(try(rel)); got != "references no verdict" {
		t.Errorf("not there: %s", got)
	}
	st.Release.Stage = "No Stage"
	if got := words(try(rel)); got != "shape no verdict" {
		t.Errorf("no statement: %s", got)
	}
	if st.Release.After != 0 || !st.Ledger.IsZero() || !st.Nonce.IsZero() {
		t.Errorf("the statement was changed: %+v %+v", st, st.Release)
	}
	// As of a size before the contracts and the withdrawals.
	st.Subject, st.Release.Stage = []statement.Subject{model.Subject()}, prod
	before, err := l.View().AsOf(size - 4)
	if err != nil {
		t.Fatal(err)
	}
	trial, err := before.Try(st, rel, 0)
	if err != nil || words(trial) != "" {
		t.Errorf("before: %s, %v", words(trial), err)
	}
	if l.View().Size() != size || rootAt(t, l.View()) != root {
		t.Error("a trial left a trace")
	}
	// The recovery key is not held to contracts.
	lift := &statement.Statement{Kind: statement.KindContract, Contract: &statement.Contract{Action: statement.ContractLift, Name: "production", Version: 1}}
	l.Contract(ledgertest.Rule("no-lifts@1", "statements: [contract]", "false"))
	lift.Contract.Digest = sha256.Sum256(ledgertest.Document(releasesNeed("production@1", twoApprovals)))
	for name, want := range map[string]string{"recovery": "", "ada": "no-lifts@1:refused"} {
		key := ledgertest.Ed25519(name).PublicKey().ID()
		if name == "ada" {
			key = l.Ada.PublicKey().ID()
		}
		trial, err := l.View().Try(lift, contract.Signer{Key: key, Known: true}, l.Now)
		if err != nil || words(trial) != want {
			t.Errorf("a lift by %s: %s, %v, want %s", name, words(trial), err, want)
		}
	}
}

func rootAt(t *testing.T, v *ledger.View) string {
	t.Helper()
	root, err := v.Root()
	if err != nil {
		t.Fatal(err)
	}
	return root.String()
}
