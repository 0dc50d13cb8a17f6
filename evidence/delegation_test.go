package evidence

import (
	"bytes"
	"testing"

	"github.com/stele-ml/stele/statement"
)

// ciLedger is a ledger with an issuer for scans/*.
type ciLedger struct {
	*testLedger
	issuer statement.Signer
}

func newCILedger(t *testing.T, label string) *ciLedger {
	l := &ciLedger{newLedger(t, label), testSigner(t, label+" issuer")}
	l.identity(l.admin, statement.Identity{Action: statement.ActionRegister, Handle: "ci", Key: l.issuer.PublicKey(),
		Roles: []string{statement.RoleIssuer}, Names: []string{"scans/*"}, Kinds: []statement.Kind{statement.KindRun, statement.KindStamp}})
	return l
}

func (l *ciLedger) by(issuer statement.Signer, change ...func(*statement.DelegationClaims)) statement.Signer {
	l.t.Helper()
	job := testSigner(l.t, "a job")
	claims := statement.DelegationClaims{
		Ledger: l.id, Key: job.PublicKey(), Subject: "repo:acme/scans@refs/heads/main", Names: []string{"scans/*"},
		Kinds: []statement.Kind{statement.KindStamp}, NotBefore: l.now, NotAfter: l.now + 60_000,
	}
	for _, c := range change {
		c(&claims)
	}
	s, err := statement.NewDelegated(job, must(statement.NewDelegation(claims, issuer)))
	if err != nil {
		l.t.Fatal(err)
	}
	return s
}

// Evidence of what a job stamped names its issuer and whom that signed for, offline.
func TestDelegatedEvidence(t *testing.T) {
	l := newCILedger(t, "ci")
	d := testData(t, 1)
	e := l.stamp(l.by(l.issuer), d, "scans/a", "1")
	v := verdictOn(t, l.testLedger, e, d, "scans/a")
	want(t, v, Verified)
	if v.Stamp.Handle != "ci" || v.Stamp.Signer != l.issuer.PublicKey().ID() || v.Stamp.Delegate != "repo:acme/scans@refs/heads/main" {
		t.Errorf("stamped by %+v", v.Stamp)
	}
	l.identity(l.admin, statement.Identity{Action: statement.ActionRetire, Handle: "ci", KeyID: l.issuer.PublicKey().ID()})
	want(t, verdictOn(t, l.testLedger, e, d, "scans/a"), Verified)
	l.identity(l.admin, statement.Identity{Action: statement.ActionCompromised, Handle: "ci", KeyID: l.issuer.PublicKey().ID(), Since: e.Index})
	want(t, verdictOn(t, l.testLedger, e, d, "scans/a"), Untrusted, CheckStanding)
}

// The operator of a log lets in what no ledger would: the file shows it.
func TestAttackDelegationAdmittedAllTheSame(t *testing.T) {
	type claims = statement.DelegationClaims
	d := testData(t, 1)
	for name, test := range map[string]struct {
		by      func(*ciLedger) statement.Signer
		name    string
		outcome Outcome
		checks  []string
	}{
		"late": {func(l *ciLedger) statement.Signer {
			s := l.by(l.issuer)
			l.now += 60_000
			return s
		}, "scans/a", Untrusted, []string{CheckStanding}},
		"early": {func(l *ciLedger) statement.Signer {
			return l.by(l.issuer, func(c *claims) { c.NotBefore += 30_000 })
		}, "scans/a", Untrusted, []string{CheckStanding}},
		"another name": {func(l *ciLedger) statement.Signer {
			return l.by(l.issuer, func(c *claims) { c.Names = []string{"*"} })
		}, "models/a", Untrusted, []string{CheckStanding}},
		"another kind": {func(l *ciLedger) statement.Signer {
			return l.by(l.issuer, func(c *claims) { c.Kinds = []statement.Kind{statement.KindRun} })
		}, "scans/a", Untrusted, []string{CheckStanding}},
		"another ledger": {func(l *ciLedger) statement.Signer {
			return l.by(l.issuer, func(c *claims) { c.Ledger = statement.LedgerID{1} })
		}, "scans/a", Untrusted, []string{CheckStanding}},
		"no issuer": {func(l *ciLedger) statement.Signer { return l.by(l.admin) }, "scans/a", Untrusted, []string{CheckStanding}},
		"a retired issuer": {func(l *ciLedger) statement.Signer {
			s := l.by(l.issuer)
			l.identity(l.admin, statement.Identity{Action: statement.ActionRetire, Handle: "ci", KeyID: l.issuer.PublicKey().ID()})
			return s
		}, "scans/a", Untrusted, []string{CheckStanding}},
		"a registered key": {func(l *ciLedger) statement.Signer {
			l.register("job", testSigner(t, "a job"), "*")
			return l.by(l.issuer)
		}, "scans/a", Untrusted, []string{CheckStanding}},
		"a stranger": {func(l *ciLedger) statement.Signer { return l.by(testSigner(t, "mallory")) }, "scans/a", Untrusted, []string{CheckSignature, CheckStanding}},
	} {
		t.Run(name, func(t *testing.T) {
			l := newCILedger(t, "ci "+name)
			e := l.stamp(test.by(l), d, test.name, "1")
			want(t, verdictOn(t, l.testLedger, e, d, test.name), test.outcome, test.checks...)
		})
	}
	t.Run("a forged delegation", func(t *testing.T) {
		l := newCILedger(t, "ci forged")
		env := l.sign(l.by(testSigner(t, "mallory")), d.stamping("scans/a", "1"))
		id := l.issuer.PublicKey().ID()
		env.Delegation = bytes.Clone(env.Delegation)
		copy(env.Delegation[1:], id[:])
		e := l.append(env, false)
		want(t, verdictOn(t, l.testLedger, e, d, "scans/a"), Tampered, CheckSignature)
	})
}

// No control entry is delegated, whatever the log says.
func TestAttackDelegatedControlEntry(t *testing.T) {
	l := newCILedger(t, "ci control")
	d := testData(t, 1)
	e := l.stamp(l.by(l.issuer), d, "scans/a", "1")
	w := l.sign(l.by(l.issuer), &statement.Statement{Kind: statement.KindWithdrawal, Subject: []statement.Subject{d.ref("scans/a", "1").Subject()},
		Withdrawal: &statement.Withdrawal{Target: statement.TargetContents, Effect: statement.EffectStop, Reason: "a test", After: e.Index}})
	at := &Entry{Index: l.size, Time: l.now, ControlCount: l.control.Count(), ControlRoot: l.control.Root(), Envelope: w}
	if err := l.control.Clone().Add(at); err == nil {
		t.Fatal("a withdrawal through a delegation is folded in")
	}
}
