package ledger_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/statement"
)

// bulky is a contract whose document is nearly as long as one may be.
func bulky(id string) string {
	texts := make([]string, 47)
	for i := range texts {
		texts[i] = fmt.Sprintf("%q", strings.Repeat("x", 1020))
	}
	return strings.Replace(releasesNeed(id, "true"), "  validations:", "  params: {bulk: ["+strings.Join(texts, ", ")+"]}\n  validations:", 1)
}

// TestAttackFilledWithContracts: every evidence file carries all contracts, so
// that whoever may put them could make evidence longer than anybody reads. They
// are refused before, evidence of a ledger that is full of them is made and read,
// and one that a thief filled is free again once his key is declared compromised.
func TestAttackFilledWithContracts(t *testing.T) {
	if testing.Short() {
		t.Skip("it puts 16 MiB of contracts in")
	}
	t.Parallel()
	l := newTeam(t)
	thief := l.Person("eve", statement.RoleAdministrator)
	model := l.Stamped(l.ci, "model", "1", "m")
	l.Contract(releasesNeed("production@1", twoApprovals))
	fill := bulky("filler@1")
	size := len(ledgertest.Document(fill))
	if size < statement.MaxContract*95/100 {
		t.Fatalf("%d bytes are not nearly as long as a contract may be", size)
	}
	from := l.View().Size()
	var block []*statement.Envelope
	for room := ledger.MaxContractBytes - len(ledgertest.Document(releasesNeed("production@1", twoApprovals))); room >= size; room -= size {
		if block = append(block, l.ProposeContract(thief, fill)); len(block) == 100 || room < 2*size {
			l.Put(block...)
			block = nil
		}
	}
	full := func(env *statement.Envelope) {
		t.Helper()
		_, errs := l.Try(env)
		var r *ledger.Refusal
		if !errors.As(errs[0], &r) || r.Rule != ledger.RuleLimits || !strings.Contains(r.Message, "at most 16777216 may") {
			t.Errorf("%v", errs[0])
		}
	}
	full(l.ProposeContract(thief, fill))
	full(l.PutContract(l.Ada, bulky("other@1")))
	// Whoever has to end a rule can.
	l.Put(l.LiftContract(l.Ada, releasesNeed("production@1", twoApprovals)))

	v := l.View()
	bound, err := v.ByName(model.Name, model.Version)
	if err != nil {
		t.Fatal(err)
	}
	file, err := v.Evidence(evidence.Claim{Entry: bound.Entry, Name: bound.Name, Version: bound.Version, Fingerprint: bound.Fingerprint}, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := file.Marshal()
	if err != nil || len(text) > evidence.MaxFile/2 {
		t.Fatalf("evidence of %d bytes: %v", len(text), err)
	}
	if _, err := evidence.Parse(text); err != nil {
		t.Fatal(err)
	}

	l.Put(l.Compromised(thief, thief.PublicKey(), "eve", from))
	l.Contract(bulky("other@1"))
}
