package ledger_test

import (
	"bytes"
	"testing"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/statement"
)

// ciBench is a ledger with an issuer for fraud/*, of stamps, runs and evaluations.
type ciBench struct {
	*bench
	issuer statement.Signer
	job    statement.Signer // no ledger knows it
}

func newCI(t *testing.T) *ciBench {
	t.Helper()
	b := &ciBench{bench: newBench(t), issuer: ledgertest.P256("issuer"), job: ledgertest.P256("job")}
	b.must(b.issues(b.issuer, "ci", "fraud/*"))
	return b
}

func (b *ciBench) issues(key statement.Signer, handle string, names ...string) *statement.Envelope {
	return b.m.Sign(b.ada, &statement.Statement{Kind: statement.KindIdentity, Identity: &statement.Identity{
		Action: statement.ActionRegister, Key: key.PublicKey(), Handle: handle, Roles: []string{statement.RoleIssuer}, Names: names,
		Kinds: []statement.Kind{statement.KindEvaluation, statement.KindRun, statement.KindStamp}}})
}

// by is the job's key with a delegation for all that the issuer may, for a minute
// from the next block on.
func (b *ciBench) by(change ...func(*statement.DelegationClaims)) statement.Signer {
	return b.through(b.issuer, change...)
}

func (b *ciBench) through(issuer statement.Signer, change ...func(*statement.DelegationClaims)) statement.Signer {
	b.t.Helper()
	claims := statement.DelegationClaims{
		Ledger: b.l.View().ID(), Key: b.job.PublicKey(), Subject: "repo:acme/fraud@refs/heads/main", Names: []string{"fraud/*"},
		Kinds:     []statement.Kind{statement.KindEvaluation, statement.KindRun, statement.KindStamp},
		NotBefore: b.now, NotAfter: b.now + 60_000,
	}
	for _, c := range change {
		c(&claims)
	}
	d, err := statement.NewDelegation(claims, issuer)
	if err != nil {
		b.t.Fatal(err)
	}
	s, err := statement.NewDelegated(b.job, d)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func TestDelegatedStamp(t *testing.T) {
	b := newCI(t)
	env := b.m.Stamp(b.by(), b.m.Ref("fraud/train", "1", "one"))
	r := b.must(env)
	if again := b.must(env); !again.Existed || again.Index != r.Index {
		t.Errorf("sent again: %+v", again)
	}
	v := b.l.View()
	for who, key := range map[string]statement.KeyID{"the issuer": b.issuer.PublicKey().ID(), "the job": b.job.PublicKey().ID()} {
		found := 0
		for index, err := range v.BySigner(key) {
			if err != nil {
				t.Fatal(err)
			}
			if index == r.Index {
				found++
			}
		}
		if found != 1 {
			t.Errorf("by %s, entry %d is found %d times", who, r.Index, found)
		}
	}
	facts, err := v.Lineage()
	if err != nil {
		t.Fatal(err)
	}
	a, err := facts.Artifact("fraud/train", "1")
	if err != nil || a.Handle != "ci" || a.Signer != b.issuer.PublicKey().ID() || !a.Standing.OK {
		t.Errorf("%+v, %v", a, err)
	}
	// The issuer takes back what was stamped through it; another issuer does not.
	b.must(b.issues(ledgertest.P256("other"), "other", "*"))
	ref := b.m.Ref("fraud/train", "1", "one")
	b.refused(b.m.Withdraw(ledgertest.P256("other"), ref, statement.TargetContents, r.Index), ledger.RuleWhoMay, ledger.ClassRefused, "other", "ci")
	b.must(b.m.Withdraw(b.issuer, ref, statement.TargetContents, r.Index))
	b.sound()
	if err := b.reopen(); err != nil {
		t.Fatal(err)
	}
}

// A second envelope with the same payload by the same key is the same statement,
// whatever delegation it carries: it gets the first one's receipt, and changes
// nothing.
func TestSameStatementThroughAnotherDelegation(t *testing.T) {
	b := newCI(t)
	first := b.m.Stamp(b.by(), b.m.Ref("fraud/train", "1", "one"))
	r := b.must(first)
	later := statement.DelegationOf(b.by(func(c *statement.DelegationClaims) { c.Subject = "repo:acme/fraud@refs/heads/other" }))
	second := *first
	second.Delegation = later.Encode()
	if again := b.must(&second); !again.Existed || again.Index != r.Index || again.ID != r.ID {
		t.Errorf("through another delegation: %+v, first %+v", again, r)
	}
	e, err := b.l.View().Entry(r.Index)
	if err != nil || !bytes.Equal(e.Envelope.Delegation, first.Delegation) {
		t.Errorf("the entry changed: %v", err)
	}
	// One that is no delegation by the issuer it names gets nothing.
	b.must(b.issues(ledgertest.P256("other"), "other", "*"))
	forged := *first
	forged.Delegation = bytes.Clone(later.Encode())
	id := ledgertest.P256("other").PublicKey().ID()
	copy(forged.Delegation[1:], id[:])
	b.refused(&forged, ledger.RuleSignature, ledger.ClassUntrusted)
}

func TestAttackDelegations(t *testing.T) {
	type claims = statement.DelegationClaims
	for _, test := range []struct {
		name  string
		env   func(*ciBench) *statement.Envelope
		rule  ledger.Rule
		class ledger.Class
		words string
	}{
		{"used late", func(b *ciBench) *statement.Envelope {
			s := b.by()
			b.now += 60_000
			return b.m.Stamp(s, b.m.Ref("fraud/a", "1", "a"))
		}, ledger.RuleStanding, ledger.ClassUntrusted, "valid until"},
		{"used early", func(b *ciBench) *statement.Envelope {
			return b.m.Stamp(b.by(func(c *claims) { c.NotBefore += 30_000 }), b.m.Ref("fraud/a", "1", "a"))
		}, ledger.RuleStanding, ledger.ClassUntrusted, "only from"},
		{"another name of its issuer's", func(b *ciBench) *statement.Envelope {
			return b.m.Stamp(b.by(func(c *claims) { c.Names = []string{"fraud/models/*"} }), b.m.Ref("fraud/a", "1", "a"))
		}, ledger.RuleWhoMay, ledger.ClassRefused, "fraud/models/*"},
		{"a name that its issuer has not", func(b *ciBench) *statement.Envelope {
			return b.m.Stamp(b.by(func(c *claims) { c.Names = []string{"*"} }), b.m.Ref("vision/a", "1", "a"))
		}, ledger.RuleWhoMay, ledger.ClassRefused, "fraud/*"},
		{"another kind", func(b *ciBench) *statement.Envelope {
			return b.m.Stamp(b.by(func(c *claims) { c.Kinds = []statement.Kind{statement.KindRun} }), b.m.Ref("fraud/a", "1", "a"))
		}, ledger.RuleWhoMay, ledger.ClassRefused, "not for a stamp"},
		{"another ledger's delegation", func(b *ciBench) *statement.Envelope {
			return b.m.Stamp(b.by(func(c *claims) { c.Ledger = statement.LedgerID{1} }), b.m.Ref("fraud/a", "1", "a"))
		}, ledger.RuleWhoMay, ledger.ClassRefused, "for ledger 01"},
		{"replayed from another ledger", func(b *ciBench) *statement.Envelope {
			other := &ledgertest.Maker{Ledger: statement.LedgerID{1}}
			return other.Stamp(b.by(func(c *claims) { c.Ledger = statement.LedgerID{1} }), other.Ref("fraud/a", "1", "a"))
		}, ledger.RuleLedger, ledger.ClassRefused, "this is"},
		{"by somebody who is no issuer", func(b *ciBench) *statement.Envelope {
			return b.m.Stamp(b.through(b.ada), b.m.Ref("fraud/a", "1", "a"))
		}, ledger.RuleWhoMay, ledger.ClassRefused, "issues no delegations"},
		{"by a stranger", func(b *ciBench) *statement.Envelope {
			return b.m.Stamp(b.through(ledgertest.P256("mallory")), b.m.Ref("fraud/a", "1", "a"))
		}, ledger.RuleStanding, ledger.ClassUntrusted, "not registered"},
		{"with a stranger's signature in its issuer's name", func(b *ciBench) *statement.Envelope {
			env := b.m.Stamp(b.through(ledgertest.P256("mallory")), b.m.Ref("fraud/a", "1", "a"))
			id := b.issuer.PublicKey().ID()
			copy(env.Delegation[1:], id[:])
			return env
		}, ledger.RuleSignature, ledger.ClassUntrusted, "not signed by its issuer"},
		{"stolen: another key signs", func(b *ciBench) *statement.Envelope {
			env := b.m.Stamp(ledgertest.P256("mallory"), b.m.Ref("fraud/a", "1", "a"))
			env.Delegation = statement.DelegationOf(b.by()).Encode()
			env.KeyID = b.job.PublicKey().ID()
			return env
		}, ledger.RuleSignature, ledger.ClassUntrusted, ""},
		{"stolen: another key signs in its own name", func(b *ciBench) *statement.Envelope {
			env := b.m.Stamp(ledgertest.P256("mallory"), b.m.Ref("fraud/a", "1", "a"))
			env.Delegation = statement.DelegationOf(b.by()).Encode()
			return env
		}, ledger.RuleShape, ledger.ClassMalformed, ""},
		{"left out", func(b *ciBench) *statement.Envelope {
			env := b.m.Stamp(b.by(), b.m.Ref("fraud/a", "1", "a"))
			env.Delegation = nil
			return env
		}, ledger.RuleStanding, ledger.ClassUntrusted, "not registered"},
		{"too long", func(b *ciBench) *statement.Envelope {
			env := b.m.Stamp(b.by(), b.m.Ref("fraud/a", "1", "a"))
			env.Delegation = make([]byte, statement.MaxDelegation+1)
			return env
		}, ledger.RuleLimits, ledger.ClassMalformed, ""},
		{"for a key that is registered", func(b *ciBench) *statement.Envelope {
			b.job = ledgertest.P256("bob")
			b.must(b.m.Register(b.ada, b.job.PublicKey(), "bob", 0, []string{"*"}, statement.RoleMember))
			return b.m.Stamp(b.by(), b.m.Ref("fraud/a", "1", "a"))
		}, ledger.RuleWhoMay, ledger.ClassRefused, "a key of bob"},
		{"for the log's key", func(b *ciBench) *statement.Envelope {
			s, err := statement.NewEd25519(ledgertest.LogPrivateKey("1"))
			if err != nil {
				b.t.Fatal(err)
			}
			b.job = s
			return b.m.Stamp(b.by(), b.m.Ref("fraud/a", "1", "a"))
		}, ledger.RuleWhoMay, ledger.ClassRefused, "a key of the log"},
		{"an identity", func(b *ciBench) *statement.Envelope {
			return b.m.Register(b.by(), ledgertest.P256("mallory").PublicKey(), "mallory", 0, nil, statement.RoleAdministrator)
		}, ledger.RuleWhoMay, ledger.ClassRefused, "cannot be signed through a delegation"},
		{"that its issuer is compromised, by a job", func(b *ciBench) *statement.Envelope {
			return b.m.Compromised(b.by(), b.issuer.PublicKey(), "ci", 1)
		}, ledger.RuleWhoMay, ledger.ClassRefused, "cannot be signed through a delegation"},
		{"after its issuer was retired", func(b *ciBench) *statement.Envelope {
			s := b.by()
			b.must(b.m.Retire(b.ada, b.issuer.PublicKey(), "ci"))
			return b.m.Stamp(s, b.m.Ref("fraud/a", "1", "a"))
		}, ledger.RuleStanding, ledger.ClassUntrusted, "retired"},
		{"after its issuer was declared compromised", func(b *ciBench) *statement.Envelope {
			s := b.by()
			b.must(b.m.Compromised(b.ada, b.issuer.PublicKey(), "ci", b.l.View().Size()))
			return b.m.Stamp(s, b.m.Ref("fraud/a", "1", "a"))
		}, ledger.RuleStanding, ledger.ClassUntrusted, "compromised"},
		{"after its issuer expired", func(b *ciBench) *statement.Envelope {
			short := ledgertest.P256("short")
			st := &statement.Statement{Kind: statement.KindIdentity, Identity: &statement.Identity{Action: statement.ActionRegister, Key: short.PublicKey(),
				Handle: "short", Roles: []string{statement.RoleIssuer}, Names: []string{"*"}, Kinds: []statement.Kind{statement.KindStamp}, Expires: b.now + 5000}}
			b.must(b.m.Sign(b.ada, st))
			s := b.through(short)
			b.now += 5000
			return b.m.Stamp(s, b.m.Ref("fraud/a", "1", "a"))
		}, ledger.RuleStanding, ledger.ClassUntrusted, "expired"},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newCI(t)
			env := test.env(b)
			b.refused(env, test.rule, test.class, test.words)
			b.tried(env, test.rule)
		})
	}
}

// tried holds a dry run to what admission says, where there is a delegation to try.
func (b *ciBench) tried(env *statement.Envelope, rule ledger.Rule) {
	b.t.Helper()
	d, err := env.Delegated()
	if err != nil || d == nil || rule == ledger.RuleSignature || rule == ledger.RuleLimits {
		return
	}
	st, err := statement.Parse(env.Payload)
	if err != nil {
		b.t.Fatal(err)
	}
	trial, err := b.l.View().Try(st, contract.Signer{Key: d.Issuer, Delegation: d, Known: true}, b.now)
	if err != nil {
		b.t.Fatal(err)
	}
	if len(trial.Refusals) == 0 || rule != ledger.RuleLedger && trial.Refusals[0].Rule != rule {
		b.t.Errorf("admission refuses by %s, a dry run says %v", rule, trial.Refusals)
	}
}

// What was signed through an issuer that turns out to be compromised counts for
// nothing from that entry on, and what was signed before stays.
func TestIssuerCompromised(t *testing.T) {
	b := newCI(t)
	before := b.must(b.m.Stamp(b.by(), b.m.Ref("fraud/a", "1", "a")))
	after := b.must(b.m.Stamp(b.by(), b.m.Ref("fraud/b", "1", "b")))
	b.must(b.m.Compromised(b.ada, b.issuer.PublicKey(), "ci", after.Index))
	facts, err := b.l.View().Lineage()
	if err != nil {
		t.Fatal(err)
	}
	for name, state := range map[string]string{"fraud/a": statement.StateGood, "fraud/b": statement.StateCompromised} {
		if a, err := facts.Artifact(name, "1"); err != nil || a.Standing.State != state {
			t.Errorf("%s: %+v, %v; want %s", name, a.Standing, err, state)
		}
	}
	rel := b.m.Sign(b.ada, &statement.Statement{Kind: statement.KindRelease, Subject: []statement.Subject{b.m.Ref("fraud/b", "1", "b").Subject()},
		Release: &statement.Release{Action: statement.ActionJoin, Stage: "production", Reason: "a test", After: after.Index}})
	b.refused(rel, ledger.RuleStanding, ledger.ClassUntrusted, "compromised")
	if before.Index >= after.Index {
		t.Fatal("nothing came before")
	}
}

// Two jobs of one issuer are one person: what one of them says of what the other
// stamped counts, and neither is somebody else to a contract.
func TestTwoJobsAreOnePerson(t *testing.T) {
	b := newCI(t)
	one := b.by()
	b.must(b.m.Stamp(one, b.m.Ref("fraud/data", "1", "data")))
	b.must(b.m.Stamp(one, b.m.Ref("fraud/model", "1", "model")))
	b.job = ledgertest.P256("job two")
	run := &statement.Statement{Kind: statement.KindRun, Run: &statement.Run{
		Inputs: []statement.Ref{b.m.Ref("fraud/data", "1", "data")}, Outputs: []statement.Output{{Ref: b.m.Ref("fraud/model", "1", "model")}},
		Observation: statement.ObservationReported, Started: b.now, Finished: b.now}}
	r := b.must(b.m.Sign(b.by(), run))
	facts, err := b.l.View().Lineage()
	if err != nil {
		t.Fatal(err)
	}
	a, err := facts.Artifact("fraud/model", "1")
	if err != nil {
		t.Fatal(err)
	}
	origins, err := facts.Origins(a)
	if err != nil || len(origins) != 1 || origins[0].Entry != r.Index || !origins[0].Counts {
		t.Errorf("%+v, %v", origins, err)
	}
}

// What contracts see of a job is its issuer: one who must not judge its own work does
// not do it by another job.
func TestContractsSeeTheIssuer(t *testing.T) {
	b := newCI(t)
	rule := ledgertest.Rule("separation@1", "statements: [evaluation]", `!(signer.handle in ledger.authors(subject)) && signer.roles == ["issuer"]`)
	b.must(b.m.PutContract(b.ada, rule))
	ref := b.m.Ref("fraud/a", "1", "a")
	b.must(b.m.Stamp(b.by(), ref))
	b.job = ledgertest.P256("job two")
	evaluation := func() *statement.Envelope {
		return b.m.Sign(b.by(), &statement.Statement{Kind: statement.KindEvaluation, Subject: []statement.Subject{ref.Subject()},
			Evaluation: &statement.Evaluation{Datasets: []statement.Ref{ref}, Metrics: map[string]statement.Decimal{"auc": "0.9"}}})
	}
	b.refused(evaluation(), ledger.RuleContract, ledger.ClassRefused, "separation@1")

	ref = b.m.Ref("fraud/b", "1", "b")
	b.must(b.m.Stamp(b.ada, ref))
	b.must(evaluation())
}
