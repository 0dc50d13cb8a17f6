package ledger_test

import (
	"strings"
	"testing"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/statement"
)

func TestGenesisIsFirstAndOnly(t *testing.T) {
	b := emptyBench(t)
	b.m.Ledger = statement.LedgerID{1}
	b.refused(b.m.Stamp(b.ada, b.m.Ref("data", "1", "x")), ledger.RuleWhoMay, ledger.ClassRefused, "genesis")
	_, vkey := ledgertest.LogKey("1")
	env := b.m.Genesis(b.ada, vkey)
	if r := b.must(env); r.Index != 0 {
		t.Fatalf("%+v", r)
	}
	b.m.Ledger = b.l.View().ID()
	b.refused(b.m.Genesis(b.ada, vkey), ledger.RuleWhoMay, ledger.ClassRefused, "has its genesis")
	if r := b.must(env); !r.Existed || r.Index != 0 {
		t.Fatalf("the same genesis again: %+v", r)
	}
	if got := b.l.View().Algorithm(); got != fingerprint.SHA256 {
		t.Fatal(got)
	}
	b.sound()
}

func TestRetryGetsTheFirstReceipt(t *testing.T) {
	b := newBench(t)
	env := b.m.Stamp(b.ada, b.m.Ref("data", "1", "x"))
	first := b.must(env)
	b.must(b.m.Stamp(b.ada, b.m.Ref("data", "2", "y")))
	again := b.must(env)
	first.Existed = true
	if again != first {
		t.Fatalf("%+v, first %+v", again, first)
	}
	// A withdrawal's id is looked up, a stamp's is not.
	w := b.m.Withdraw(b.ada, b.m.Ref("data", "1", "x"), statement.TargetBinding, 1)
	b.must(w)
	if r := b.must(w); !r.Existed || r.Index != 3 {
		t.Fatalf("%+v", r)
	}
	// Within one block, too.
	env = b.m.Stamp(b.ada, b.m.Ref("data", "3", "z"))
	receipts, errs := b.admitAll(env, env)
	if errs[0] != nil || errs[1] != nil || receipts[0].Existed || !receipts[1].Existed || receipts[0].Index != receipts[1].Index {
		t.Fatalf("%+v %v", receipts, errs)
	}
	b.sound()
}

// TestTwinSignature: a signature that a third party made of another, or a
// second one by the signer, is no second entry.
func TestTwinSignature(t *testing.T) {
	b := newBench(t)
	env := b.m.Stamp(b.ada, b.m.Ref("data", "1", "x"))
	b.must(env)
	twin := *env
	twin.Signature = append([]byte(nil), env.Signature...)
	twin.Signature[len(twin.Signature)-1] ^= 1
	b.refused(&twin, ledger.RuleSignature, ledger.ClassUntrusted)
	twin.Signature = env.Signature
	if r := b.must(&twin); !r.Existed {
		t.Fatalf("%+v", r)
	}
}

func TestRefusals(t *testing.T) {
	b := newBench(t)
	bob, eve := ledgertest.Ed25519("bob"), ledgertest.P256("eve")
	b.must(b.m.Register(b.ada, bob.PublicKey(), "bob", 0, []string{"bob/*"}, statement.RoleMember)) // 1
	x := b.m.Ref("data", "1", "x")
	b.must(b.m.Stamp(b.ada, x)) // 2
	bobs := b.m.Ref("bob/data", "1", "y")
	b.must(b.m.Stamp(bob, bobs)) // 3
	same := b.m.Ref("bob/copy", "1", "x")
	b.must(b.m.Stamp(bob, same)) // 4: bob stamps ada's bytes
	b.must(b.m.Stamp(b.ada, b.m.Ref("data", "late", "late")))
	other := &ledgertest.Maker{Ledger: statement.LedgerID{1}}
	blake := &ledgertest.Maker{Ledger: b.m.Ledger, Hash: fingerprint.BLAKE3}
	blake.Skip(1 << 32)
	from := func(refs ...statement.Ref) func(*statement.Stamp) {
		return func(s *statement.Stamp) { s.From = refs }
	}
	three := uint64(3)
	one := uint64(1)
	far := uint64(1000)
	basis := func(entry *uint64) func(*statement.Stamp) {
		return func(s *statement.Stamp) { s.Basis = statement.Basis{Version: 7, Entry: entry} }
	}
	for _, c := range []struct {
		name  string
		env   *statement.Envelope
		rule  ledger.Rule
		class ledger.Class
		entry *uint64
		words string
	}{
		{"unknown key", b.m.Stamp(eve, b.m.Ref("data", "2", "z")), ledger.RuleStanding, ledger.ClassUntrusted, nil, "not registered"},
		{"outside his names", b.m.Stamp(bob, b.m.Ref("data", "2", "z")), ledger.RuleWhoMay, ledger.ClassRefused, nil, "data"},
		{"a member registers", b.m.Register(bob, eve.PublicKey(), "eve", 0, []string{"*"}, statement.RoleMember), ledger.RuleWhoMay, ledger.ClassRefused, nil, ""},
		{"one key twice", b.m.Register(b.ada, bob.PublicKey(), "robert", 0, []string{"*"}, statement.RoleMember), ledger.RuleIdentity, ledger.ClassRefused, nil, "bob"},
		{"the last administrator", b.m.Retire(b.ada, b.ada.PublicKey(), "ada"), ledger.RuleIdentity, ledger.ClassRefused, nil, "administrator"},
		{"another ledger", other.Stamp(b.ada, other.Ref("data", "2", "z")), ledger.RuleLedger, ledger.ClassRefused, nil, "ledger"},
		{"another hash", blake.Stamp(b.ada, blake.Ref("data", "2", "z")), ledger.RuleLedger, ledger.ClassRefused, nil, "blake3"},
		{"from nothing", b.m.Stamp(b.ada, b.m.Ref("data", "2", "z"), from(b.m.Ref("none", "1", "x"))), ledger.RuleReferences, ledger.ClassNotFound, nil, "none@1"},
		{"from other bytes", b.m.Stamp(b.ada, b.m.Ref("data", "2", "z"), from(b.m.Ref("bob/data", "1", "x"))), ledger.RuleReferences, ledger.ClassRefused, &three, bobs.Fingerprint.String()},
		{"since nothing", b.m.Stamp(b.ada, b.m.Ref("data", "2", "z"), func(s *statement.Stamp) { r := b.m.Ref("data", "0", "x"); s.Since = &r }), ledger.RuleReferences, ledger.ClassNotFound, nil, "data@0"},
		{"basis in the future", b.m.Stamp(b.ada, b.m.Ref("data", "2", "z"), basis(&far)), ledger.RuleReferences, ledger.ClassNotFound, nil, "1000"},
		{"basis is no stamp", b.m.Stamp(b.ada, b.m.Ref("data", "2", "z"), basis(&one)), ledger.RuleReferences, ledger.ClassRefused, &one, "identity"},
		{"the same again", b.m.Stamp(b.ada, x), ledger.RuleNameBound, ledger.ClassRefused, ptr(2), "already"},
		{"other bytes", b.m.Stamp(b.ada, b.m.Ref("data", "1", "z")), ledger.RuleNameBound, ledger.ClassRefused, ptr(2), x.Fingerprint.String()},
		{"withdraw nothing", b.m.Withdraw(b.ada, b.m.Ref("none", "1", "x"), statement.TargetContents, 2), ledger.RuleReferences, ledger.ClassNotFound, nil, "none@1"},
		{"withdraw other bytes", b.m.Withdraw(b.ada, b.m.Ref("data", "1", "z"), statement.TargetContents, 2), ledger.RuleReferences, ledger.ClassRefused, ptr(2), "data@1"},
		{"withdraw another's contents", b.m.Withdraw(bob, same, statement.TargetContents, 4), ledger.RuleWhoMay, ledger.ClassRefused, ptr(2), "ada"},
		{"withdraw after too little", b.m.Withdraw(b.ada, x, statement.TargetContents, 2), ledger.RuleAfter, ledger.ClassStale, ptr(4), "4"},
		{"reinstate a stamp", b.m.Reinstate(b.ada, x, 2, 4), ledger.RuleReferences, ledger.ClassRefused, ptr(2), "stamp"},
		{"reinstate the future", b.m.Reinstate(b.ada, x, 1000, 1000), ledger.RuleReferences, ledger.ClassNotFound, nil, "1000"},
		{"a log key from another", b.m.Rotate(b.ada, "2", "3"), ledger.RuleLogKey, ledger.ClassRefused, nil, ""},
		{"a member rotates", b.m.Rotate(bob, "1", "2"), ledger.RuleWhoMay, ledger.ClassRefused, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.t = t
			r := b.refused(c.env, c.rule, c.class, c.words)
			if (r.Entry == nil) != (c.entry == nil) || r.Entry != nil && *r.Entry != *c.entry {
				t.Fatalf("entry %v, want %v", deref(r.Entry), deref(c.entry))
			}
			if strings.Contains(r.Message, "\n") {
				t.Fatalf("more than one line: %q", r.Message)
			}
		})
	}
	b.t = t
	b.sound()
}

func ptr(n uint64) *uint64 { return &n }

func deref(p *uint64) any {
	if p == nil {
		return "none"
	}
	return *p
}

func TestOneRefusalSpoilsNobody(t *testing.T) {
	b := newBench(t)
	eve := ledgertest.Ed25519("eve")
	receipts, errs := b.admitAll(
		b.m.Stamp(b.ada, b.m.Ref("data", "1", "x")),
		b.m.Stamp(eve, b.m.Ref("data", "2", "x")),
		b.m.Stamp(b.ada, b.m.Ref("data", "1", "y")), // the first's name, other bytes
		b.m.Stamp(b.ada, b.m.Ref("data", "3", "z"), func(s *statement.Stamp) { s.From = []statement.Ref{b.m.Ref("data", "1", "x")} }),
	)
	if errs[0] != nil || errs[1] == nil || errs[2] == nil || errs[3] != nil {
		t.Fatal(errs)
	}
	if receipts[0].Index != 1 || receipts[3].Index != 2 {
		t.Fatalf("%+v", receipts)
	}
	b.sound()
}

func TestWithdrawAndReinstate(t *testing.T) {
	b := newBench(t)
	bob := ledgertest.Ed25519("bob")
	b.must(b.m.Register(b.ada, bob.PublicKey(), "bob", 0, []string{"*"}, statement.RoleMember))
	ref := b.m.Ref("data", "1", "x")
	b.must(b.m.Stamp(bob, ref)) // 2
	w := b.must(b.m.Withdraw(bob, ref, statement.TargetContents, 2))
	if control, _ := b.l.View().Control(); len(control.Withdrawals(ref)) != 1 || !control.Withdrawals(ref)[0].Stands() {
		t.Fatal("the withdrawal does not stand")
	}
	// Two who do not see each other cannot cross.
	b.refused(b.m.Withdraw(b.ada, ref, statement.TargetBinding, 2), ledger.RuleAfter, ledger.ClassStale, "3")
	carol := ledgertest.Ed25519("carol")
	b.must(b.m.Register(b.ada, carol.PublicKey(), "carol", 0, []string{"*"}, statement.RoleMember))
	b.refused(b.m.Reinstate(carol, ref, w.Index, w.Index), ledger.RuleWhoMay, ledger.ClassRefused, "bob")
	end := b.must(b.m.Reinstate(bob, ref, w.Index, w.Index))
	b.refused(b.m.Reinstate(b.ada, ref, w.Index, end.Index), ledger.RuleReferences, ledger.ClassRefused, "ended")
	// An administrator may, for anybody's.
	again := b.must(b.m.Withdraw(b.ada, ref, statement.TargetLocation, end.Index))
	b.must(b.m.Reinstate(b.ada, ref, again.Index, again.Index))
	// What is withdrawn may be stamped from: that is for contracts to say.
	b.must(b.m.Stamp(b.ada, b.m.Ref("derived", "1", "d"), func(s *statement.Stamp) { s.From = []statement.Ref{ref} }))
	b.sound()
	if err := b.reopen(); err != nil {
		t.Fatal(err)
	}
	control, _ := b.l.View().Control()
	for _, w := range control.Withdrawals(ref) {
		if w.Stands() {
			t.Fatalf("%+v stands", w)
		}
	}
}

func TestKeysThatLostTheirStanding(t *testing.T) {
	b := newBench(t)
	retired, expired, stolen := ledgertest.Ed25519("retired"), ledgertest.Ed25519("expired"), ledgertest.Ed25519("stolen")
	b.must(b.m.Register(b.ada, retired.PublicKey(), "r", 0, []string{"*"}, statement.RoleMember))
	b.must(b.m.Register(b.ada, expired.PublicKey(), "e", b.now+5000, []string{"*"}, statement.RoleMember))
	b.must(b.m.Register(b.ada, stolen.PublicKey(), "s", 0, []string{"*"}, statement.RoleMember))
	before := b.m.Stamp(stolen, b.m.Ref("s", "1", "x"))
	b.must(before)
	b.must(b.m.Stamp(expired, b.m.Ref("e", "1", "y")))
	b.must(b.m.Retire(b.ada, retired.PublicKey(), "r"))
	b.refused(b.m.Stamp(retired, b.m.Ref("r", "1", "z")), ledger.RuleStanding, ledger.ClassUntrusted, "retired")
	b.now += 10_000
	b.refused(b.m.Stamp(expired, b.m.Ref("e", "2", "z")), ledger.RuleStanding, ledger.ClassUntrusted, "a key of e expired at 20")
	b.must(b.m.Compromised(b.ada, stolen.PublicKey(), "s", 4))
	b.refused(b.m.Stamp(stolen, b.m.Ref("s", "2", "z")), ledger.RuleStanding, ledger.ClassUntrusted, "compromised")
	// What was admitted stays; a retry finds it.
	if r := b.must(before); !r.Existed {
		t.Fatalf("%+v", r)
	}
	b.sound()
}

func TestBackDating(t *testing.T) {
	b := newBench(t)
	if _, err := b.l.Begin(b.now - 1); err == nil {
		t.Fatal("a block before the last entry's time")
	}
	if _, err := b.l.Begin(-1); err == nil {
		t.Fatal("a block before 1970")
	}
	block, err := b.l.Begin(b.now)
	if err != nil {
		t.Fatal(err)
	}
	block.Drop()
}

func TestLogKeyRotation(t *testing.T) {
	b := newBench(t)
	block, err := b.l.Begin(b.now)
	if err != nil {
		t.Fatal(err)
	}
	c, err := b.l.Prepare(b.m.Rotate(b.ada, "1", "2"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := block.Admit(c); err != nil {
		t.Fatal(err)
	}
	if n := len(block.LogKeys()); n != 2 {
		t.Fatalf("%d keys sign the rotation", n)
	}
	if err := block.Commit(signBlock(t, block, "1", "2")); err != nil {
		t.Fatal(err)
	}
	b.must(b.m.Stamp(b.ada, b.m.Ref("data", "1", "x")))
	b.refused(b.m.Rotate(b.ada, "2", "1"), ledger.RuleLogKey, ledger.ClassRefused) // used before
	b.refused(b.m.Register(b.ada, ed25519Of("1"), "log", 0, []string{"*"}, statement.RoleMember), ledger.RuleIdentity, ledger.ClassRefused)
	b.sound()
}

// ed25519Of is a log key dressed up as an identity's.
func ed25519Of(name string) *statement.PublicKey {
	s, err := statement.NewEd25519(ledgertest.LogPrivateKey(name))
	if err != nil {
		panic(err)
	}
	return s.PublicKey()
}
