package ledger_test

import (
	"errors"
	"slices"
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

var _ = errors.Is
var _ = contract.Engine
