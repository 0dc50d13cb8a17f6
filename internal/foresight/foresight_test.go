package foresight

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/draft"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/statement"
)

// TestSeenBy: a rule refuses beforehand only if nothing that is not known yet can
// change its mind.
func TestSeenBy(t *testing.T) {
	d, err := draft.Read([]byte(`{apiVersion: stele.dev/v1, kind: Contract, metadata: {name: a, version: 1}, spec: {engine: cel/1, match: {statements: [run]},
variables: [{name: large, expression: subject.bytes > 10}],
validations: [
{id: observed, expression: 'statement.observation == "wrapped"', message: "no"},
{id: inputs, expression: 'statement.inputs.all(i, ledger.standing(i) == "good")', message: "no"},
{id: named, expression: 'subject.name.startsWith("lab/")', message: "no"},
{id: clean, expression: 'ledger.standing(subject) == "good"', message: "no"},
{id: small, expression: '!variables.large', message: "no"},
{id: ended, expression: '!statement.failed', message: "no"},
{id: code, expression: '!statement.code.dirty', message: "no"}],
tests: [{name: try, given: {statement: {kind: run}}, expect: {allow: true}}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	c, err := contract.Compile(d.Document)
	if err != nil {
		t.Fatal(err)
	}
	inForce := []contract.InForce{{Contract: c, Entry: 7}}
	unknown := &Unknown{Words: slices.Concat(Unread, Unended), New: true}
	for rule, want := range map[string]bool{"observed": false, "inputs": false, "named": false, "clean": true, "small": true, "ended": true, "code": false} {
		if got := unknown.seenBy(inForce, contract.RuleResult{Contract: "a@1", Entry: 7, Rule: rule}); got != want {
			t.Errorf("%s looks at what is not known: %v, want %v", rule, got, want)
		}
	}
	if !(&Unknown{Words: Code}).seenBy(inForce, contract.RuleResult{Contract: "a@1", Entry: 7, Rule: "code"}) {
		t.Error("the code is not known, and nobody noticed")
	}
	if !unknown.seenBy(inForce, contract.RuleResult{Contract: "b@1", Entry: 7, Rule: "observed"}) {
		t.Error("a rule that is not found is taken for certain")
	}
}

func open(t *testing.T, l *ledgertest.Ledger) *account.Book {
	t.Helper()
	b, err := account.Open(l.View())
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ada is who puts contracts, as rules see her.
func ada(l *ledgertest.Ledger) contract.Signer {
	return contract.Signer{Handle: "ada", Key: l.Ada.PublicKey().ID(), Roles: []string{statement.RoleAdministrator}, Known: true}
}

// TestAsk: what is said before is what the ledger says then.
func TestAsk(t *testing.T) {
	l := ledgertest.New(t)
	bobs := l.Person("bob", statement.RoleReleaser)
	model := l.Stamped(l.Ada, "model", "1", "model")
	release := &statement.Statement{Kind: statement.KindRelease, Subject: []statement.Subject{model.Subject()}, Ledger: l.View().ID(),
		Release: &statement.Release{Stage: "production", Action: statement.ActionJoin, After: l.View().Size() - 1}}
	ask := func(by contract.Signer) Answer {
		t.Helper()
		b := open(t, l)
		a, err := Ask(b, release, by, b.Time())
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	if a := ask(ada(l)); a.Refusal != nil || a.Asked != nil || a.Undecided != nil {
		t.Errorf("no contract is in force: %+v", a)
	}
	l.Contract(ledgertest.Rule("four-eyes@1", "statements: [release]", `signer.handle != "ada"`))
	l.Contract(ledgertest.Rule("else@1", "statements: [stamp]", `false`))
	a := ask(ada(l))
	var r *ledger.Refusal
	if !errors.As(a.Refusal, &r) || len(r.Violations) != 1 || r.Violations[0].Contract != "four-eyes@1" || !slices.Equal(a.Asked, []string{"four-eyes@1"}) {
		t.Errorf("%+v", a)
	}
	bob := contract.Signer{Handle: "bob", Key: bobs.PublicKey().ID(), Roles: []string{statement.RoleReleaser}, Known: true}
	if a := ask(bob); a.Refusal != nil || len(a.Asked) != 1 {
		t.Errorf("%+v", a)
	}
	if a := ask(contract.Signer{}); len(a.Undecided) != 1 || !slices.Equal(Rules(a.Undecided), []string{"four-eyes@1/rule"}) {
		t.Errorf("nobody is known: %+v", a)
	}
}

// TestForesee: a rule that looks at what is not known yet refuses nothing
// beforehand, and admits nothing.
func TestForesee(t *testing.T) {
	l := ledgertest.New(t)
	l.Contract(ledgertest.Rule("named@1", "statements: [stamp]", `subject.name.startsWith("lab/")`))
	l.Contract(ledgertest.Rule("small@1", "statements: [stamp]", `subject.bytes < 1000`))
	l.Contract(ledgertest.Rule("large@1", "statements: [stamp]", `subject.bytes > 1000`))
	foresee := func(name string, unknown Unknown) *Foreseen {
		t.Helper()
		b := open(t, l)
		draft := &statement.Statement{Kind: statement.KindStamp, Subject: []statement.Subject{l.Ref(name, "1", "made up").Subject()}, Ledger: b.ID(),
			Stamp: &statement.Stamp{Kind: statement.ArtifactDataset, Files: 1, Bytes: 7, Basis: statement.Basis{Read: 7}}}
		f, err := Foresee(b, draft, ada(l), b.Time(), unknown)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	f := foresee("lab/raw", Unknown{Words: Unread, New: true})
	if f.Refusal != nil || !slices.Equal(Rules(f.Perhaps), []string{"large@1/rule"}) || !slices.Equal(Rules(f.Later), []string{"small@1/rule"}) || !slices.Equal(f.Asked, []string{"named@1"}) {
		t.Errorf("%+v", f)
	}
	f = foresee("raw", Unknown{Words: Unread, New: true})
	var r *ledger.Refusal
	if !errors.As(f.Refusal, &r) || len(r.Violations) != 1 || r.Violations[0].Contract != "named@1" {
		t.Errorf("%+v", f)
	}
	// Where all of it is known, all of it is decided.
	if f = foresee("lab/raw", Unknown{}); !errors.As(f.Refusal, &r) || r.Violations[0].Contract != "large@1" || len(f.Perhaps)+len(f.Later) > 0 {
		t.Errorf("%+v", f)
	}
}

// TestLocksOut: a contract about contracts is warned of if no administrator could
// ever end it, and whoever is refused by one learns who can.
func TestLocksOut(t *testing.T) {
	for _, c := range []struct {
		name, expression string
		second           bool // there is another administrator
		locks            string
	}{
		{"nobody", `signer.handle == "nobody"`, false, "its only administrator could neither lift guard@1 nor put its next version"},
		{"nobody of two", `signer.handle == "nobody"`, true, "none of its 2 administrators could lift guard@1 or put its next version"},
		{"the other one", `signer.handle == "bob"`, true, ""},
		{"another than who put it, of one", `signer.handle != "ada"`, false, "its only administrator"},
		{"two proposals", `ledger.proposals(statement.contract).exists(p, p.handle != signer.handle)`, true, ""},
		{"two proposals, of one", `ledger.proposals(statement.contract).exists(p, p.handle != signer.handle)`, false, "its only administrator"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l := ledgertest.New(t)
			if c.second {
				l.Person("bob", statement.RoleAdministrator)
			}
			yaml := ledgertest.Rule("guard@1", "statements: [contract]", c.expression)
			d, err := draft.Read([]byte(yaml))
			if err != nil {
				t.Fatal(err)
			}
			compiled, err := contract.Compile(d.Document)
			if err != nil {
				t.Fatal(err)
			}
			b := open(t, l)
			w, err := LocksOut(b, compiled, b.Time())
			if err != nil || (w == nil) != (c.locks == "") || w != nil && (!strings.Contains(w.Message, c.locks) || !strings.Contains(w.Hint, "stele contract lift guard --key RECOVERY")) {
				t.Errorf("%+v, %v; want %q", w, err, c.locks)
			}
			// Then, when it is in force.
			l.Contract(yaml)
			b = open(t, l)
			lift := &statement.Statement{Kind: statement.KindContract, Ledger: b.ID(),
				Contract: &statement.Contract{Action: statement.ContractLift, Name: "guard", Version: 1, Digest: compiled.Digest(), Reason: "it is in the way"}}
			a, err := Ask(b, lift, ada(l), b.Time())
			if err != nil || a.Refusal == nil {
				t.Fatalf("ada may lift it: %+v, %v", a, err)
			}
			hint, err := WayBack(b, a.Refusal, b.Time())
			if err != nil || (hint == "") != (c.locks == "") {
				t.Errorf("the way back is %q, %v", hint, err)
			}
		})
	}
	l := ledgertest.New(t)
	b := open(t, l)
	if hint, err := WayBack(b, errors.New("the wire is cut"), b.Time()); hint != "" || err != nil {
		t.Errorf("%q, %v", hint, err)
	}
}
