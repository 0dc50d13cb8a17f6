package evidence

import (
	"errors"
	"testing"

	"github.com/stele-ml/stele/statement"
)

// admitAnyway appends a control entry that the fold refuses, and goes on as if
// it did not: a ledger that does not keep its own rules.
func (l *testLedger) admitAnyway(env *statement.Envelope) *Entry {
	l.t.Helper()
	l.now += 1000
	e := &Entry{Index: l.size, Time: l.now, ControlCount: l.control.Count(), ControlRoot: l.control.Root(), Envelope: env}
	if err := l.control.Add(e); !errors.Is(err, ErrUntrusted) {
		l.t.Fatalf("the fold says %v", err)
	}
	if e.ControlCount != l.control.Count() || e.ControlRoot != l.control.Root() {
		l.t.Fatal("it was folded in")
	}
	l.put(e)
	l.control.tree.add(e.LeafHash())
	l.control.last = e
	l.listed = append(l.listed, e.Index)
	return e
}

// A withdrawal is ended by who made it or by an administrator, once; what an
// operator admits beside that, no verifier takes.
func TestAttackReinstatementByAStranger(t *testing.T) {
	d, d2 := testData(t, 1), testData(t, 2)
	ref, other := d.ref("scans/a", "1"), d2.ref("scans/b", "1")
	for name, attack := range map[string]func(l *testLedger, eve statement.Signer, w *Entry) (statement.Signer, statement.Ref, uint64){
		"by a stranger": func(l *testLedger, eve statement.Signer, w *Entry) (statement.Signer, statement.Ref, uint64) {
			return eve, ref, w.Index
		},
		"of a stamp": func(l *testLedger, _ statement.Signer, w *Entry) (statement.Signer, statement.Ref, uint64) {
			return l.admin, ref, w.Index - 1
		},
		"of a registration": func(l *testLedger, _ statement.Signer, w *Entry) (statement.Signer, statement.Ref, uint64) {
			return l.admin, ref, w.Index + 1
		},
		"of another artifact's": func(l *testLedger, _ statement.Signer, w *Entry) (statement.Signer, statement.Ref, uint64) {
			return l.admin, other, w.Index
		},
		"of one that was ended": func(l *testLedger, _ statement.Signer, w *Entry) (statement.Signer, statement.Ref, uint64) {
			l.reinstate(l.member, ref, w.Index)
			return l.admin, ref, w.Index
		},
		"of one that counts for nothing": func(l *testLedger, _ statement.Signer, w *Entry) (statement.Signer, statement.Ref, uint64) {
			l.identity(l.admin, statement.Identity{Action: statement.ActionCompromised, Handle: "mara", KeyID: l.member.PublicKey().ID(), Since: w.Index})
			return l.admin, ref, w.Index
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLedger(t, "reinstatement")
			eve := testSigner(t, "eve")
			l.register("eve", eve, "*")
			l.stamp(l.member, d2, "scans/b", "1")
			e := l.stamp(l.member, d, "scans/a", "1")
			w := l.withdraw(l.member, ref, statement.TargetContents, "")
			l.register("zoe", testSigner(t, "zoe"), "*")
			signer, of, withdrawal := attack(l, eve, w)
			l.admitAnyway(l.sign(signer, &statement.Statement{
				Kind: statement.KindReinstatement, Subject: []statement.Subject{of.Subject()},
				Reinstatement: &statement.Reinstatement{Withdrawal: withdrawal, Reason: "it was right", After: l.size - 1},
			}))
			l.stamp(l.member, testData(t, 3), "scans/c", "1")
			want(t, Verify(l.prove(l.checkpoint(), e, d, "scans/a", "1"), l.policy(), Options{}), Untrusted, CheckControl)
		})
	}
	l := newLedger(t, "reinstatement")
	e := l.stamp(l.member, d, "scans/a", "1")
	for _, s := range []statement.Signer{l.member, l.admin} {
		w := l.withdraw(l.member, ref, statement.TargetContents, "")
		l.reinstate(s, ref, w.Index)
	}
	want(t, verdictOn(t, l, e, d, "scans/a"), Verified)
}
