package ledger_test

import (
	"testing"

	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/statement"
)

func TestStampAndFindIt(t *testing.T) {
	b := newBench(t)
	ref := b.m.Ref("fraud/data", "2025-11", "rows")
	env := b.m.Stamp(b.ada, ref)
	r := b.must(env)
	if r.Index != 1 || r.Existed || r.ID != env.ID() {
		t.Fatalf("receipt %+v", r)
	}
	v := b.l.View()
	bound, err := v.ByName("fraud/data", "2025-11")
	if err != nil || bound.Entry != 1 || bound.Fingerprint != ref.Fingerprint {
		t.Fatalf("%+v, %v", bound, err)
	}
	b.sound()
	if err := b.reopen(); err != nil {
		t.Fatal(err)
	}
	if b.l.View().Size() != 2 {
		t.Fatal("size after reopening")
	}
}

var _ = ledgertest.Origin
var _ = statement.Rules
var _ ledger.Rule
