package ledger_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/statement"
)

// audited is a ledger with an artifact of ada's and an audit of it that bob
// announced, who may write other names only.
type audited struct {
	*bench
	bob       statement.Signer
	ref       statement.Ref
	announced *evidence.Entry
	cp        evidence.Checkpoint // the first over it
}

func newAudited(t *testing.T) *audited {
	t.Helper()
	a := &audited{bench: newBench(t), bob: ledgertest.Ed25519("bob")}
	a.must(a.m.Register(a.ada, a.bob.PublicKey(), "bob", 0, []string{"bob/*"}, statement.RoleMember)) // 1
	a.ref = a.m.Ref("data", "1", "x")
	a.must(a.m.Stamp(a.ada, a.ref)) // 2
	a.announced, a.cp = a.announce(a.bob, "nonce")
	return a
}

// announce admits an announcement, in a block with another entry after it.
func (a *audited) announce(by statement.Signer, nonce string) (*evidence.Entry, evidence.Checkpoint) {
	a.t.Helper()
	receipts, errs := a.admitAll(a.m.Announce(by, a.ref, nonce), a.m.Stamp(a.ada, a.m.Ref("after", nonce, nonce)))
	if err := errors.Join(errs...); err != nil {
		a.t.Fatal(err)
	}
	v := a.l.View()
	e, err := v.Entry(receipts[0].Index)
	if err != nil {
		a.t.Fatal(err)
	}
	cp, err := v.CheckpointOver(e.Index)
	if err != nil || cp.Size != e.Index+2 {
		a.t.Fatal(cp, err)
	}
	return e, cp
}

func (a *audited) result(more ...func(*statement.AuditResult)) *statement.Envelope {
	return a.m.Result(a.bob, a.ref, a.announced, a.cp, "nonce", more...)
}

// refusedWell is refused, with a hint.
func (a *audited) refusedWell(env *statement.Envelope, rule ledger.Rule, class ledger.Class, words ...string) {
	a.t.Helper()
	if r := a.refused(env, rule, class, words...); r.Hint == "" || strings.Contains(r.Message+r.Hint, "\n") {
		a.t.Errorf("%q [%q]", r.Message, r.Hint)
	}
}

func TestAudit(t *testing.T) {
	a := newAudited(t)
	env := a.result()
	before := a.l.View()
	receipt := a.must(env)
	if again := a.must(env); !again.Existed || again.Index != receipt.Index {
		t.Fatalf("a retry: %+v", again)
	}
	a.announce(a.ada, "second") // stays open
	// The same contents under another name are the same contents.
	same := a.m.Ref("bob/copy", "1", "x")
	a.must(a.m.Stamp(a.bob, same))
	third := a.must(a.m.Announce(a.ada, same, "third"))
	v := a.l.View()
	list := collect(t, v.Audits(a.ref))
	if len(list) != 3 || list[0].Announced.Index != a.announced.Index || list[2].Announced.Index != third.Index ||
		list[0].Result == nil || list[0].Result.Index != receipt.Index || list[1].Result != nil || list[2].Result != nil {
		t.Fatalf("%+v", list)
	}
	if n := list[0].Announced.Statement.Audit.Announcement; n == nil || n.Chunks != 919 || n.Altered.String() != "0.005" {
		t.Fatalf("%+v", n)
	}
	if r := list[0].Result.Statement.Audit.Result; r == nil || r.Outcome != statement.OutcomeHeld {
		t.Fatalf("%+v", r)
	}
	if list := collect(t, v.Audits(a.m.Ref("after", "nonce", "nonce"))); len(list) != 0 {
		t.Fatalf("of another artifact: %+v", list)
	}
	// As it was before: announced, and open.
	if list := collect(t, before.Audits(a.ref)); len(list) != 1 || list[0].Result != nil {
		t.Fatalf("%+v", list)
	}
	if _, err := v.Audit(2); !errors.Is(err, ledger.ErrNotFound) {
		t.Fatal(err)
	}
	if _, err := v.Audit(receipt.Index); !errors.Is(err, ledger.ErrNotFound) {
		t.Fatal(err)
	}
	if got := collect(t, v.ByKind(statement.KindAudit)); !slices.Equal(got, []uint64{a.announced.Index, receipt.Index, third.Index - 3, third.Index}) {
		t.Fatal(got)
	}
	// An audit changes nothing about the artifact: a withdrawal need not have
	// seen it, and nobody makes one stale by announcing audits.
	last, ok, err := v.LastOn(a.ref.Fingerprint)
	if err != nil || !ok || last != third.Index-1 {
		t.Fatal(last, ok, err)
	}
	a.must(a.m.Withdraw(a.ada, a.ref, statement.TargetContents, last))
	a.sound()
	if err := a.reopen(); err != nil {
		t.Fatal(err)
	}
	if list := collect(t, a.l.View().Audits(a.ref)); len(list) != 3 || list[0].Result == nil {
		t.Fatalf("%+v", list)
	}
}

// TestAttackNonceGrinding: whoever could choose the nonce when he knows the
// checkpoint would try nonces until the seed draws chunks he likes.
func TestAttackNonceGrinding(t *testing.T) {
	a := newAudited(t)
	for _, nonce := range []string{"another", "and another", "nonce "} {
		a.refusedWell(a.m.Result(a.bob, a.ref, a.announced, a.cp, nonce), ledger.RuleAudit, ledger.ClassRefused, "nonce")
	}
	// Nor is another seed taken for the right nonce.
	a.refusedWell(a.result(func(r *statement.AuditResult) { r.Seed = [32]byte{1} }), ledger.RuleAudit, ledger.ClassRefused, "seed")
	a.must(a.result())
	a.sound()
}

// TestAttackLaterCheckpoint: whoever could wait for a checkpoint he likes would
// have as many seeds as there are checkpoints.
func TestAttackLaterCheckpoint(t *testing.T) {
	a := newAudited(t)
	a.must(a.m.Stamp(a.ada, a.m.Ref("data", "2", "y")))
	later, err := a.l.View().CheckpointOver(a.announced.Index + 2)
	if err != nil || later.Size != a.cp.Size+1 {
		t.Fatal(later, err)
	}
	root := later.Root
	for name, cp := range map[string]evidence.Checkpoint{
		"a later one":               later,
		"the first, another root":   {Size: a.cp.Size, Root: root},
		"one that was never signed": {Size: a.announced.Index + 1, Root: root},
		"one that is yet to come":   {Size: later.Size + 100, Root: root},
	} {
		t.Run(name, func(t *testing.T) {
			a.t = t
			a.refusedWell(a.m.Result(a.bob, a.ref, a.announced, cp, "nonce"), ledger.RuleAudit, ledger.ClassRefused, "first checkpoint")
		})
	}
	a.t = t
	a.must(a.result())
	a.sound()
}

// TestAttackSomebodyElseEndsAnAudit: an audit is ended by who announced it, and
// not by somebody who would rather have it end well; administrators are no
// exception.
func TestAttackSomebodyElseEndsAnAudit(t *testing.T) {
	a := newAudited(t)
	carol := ledgertest.Ed25519("carol")
	a.must(a.m.Register(a.ada, carol.PublicKey(), "carol", 0, []string{"*"}, statement.RoleMember))
	for _, by := range []statement.Signer{carol, a.ada} {
		a.refusedWell(a.m.Result(by, a.ref, a.announced, a.cp, "nonce"), ledger.RuleWhoMay, ledger.ClassRefused, "bob")
	}
	// Another key of bob's will do, while it is good.
	second := ledgertest.P256("bob's second")
	a.must(a.m.Register(a.ada, second.PublicKey(), "bob", 0, nil, statement.RoleMember))
	a.must(a.m.Retire(a.ada, a.bob.PublicKey(), "bob"))
	a.refused(a.result(), ledger.RuleStanding, ledger.ClassUntrusted, "retired")
	a.must(a.m.Result(second, a.ref, a.announced, a.cp, "nonce"))
	a.sound()
}

// TestAttackSecondResult: what was found is not unsaid by another result.
func TestAttackSecondResult(t *testing.T) {
	a := newAudited(t)
	altered := func(r *statement.AuditResult) { r.Outcome, r.ChunksDiffering = statement.OutcomeAltered, 1 }
	first := a.must(a.result(altered))
	a.refusedWell(a.result(), ledger.RuleAudit, ledger.ClassRefused, "ended by entry 5")
	// Within one block, too.
	announced, cp := a.announce(a.bob, "second")
	_, errs := a.admitAll(a.m.Result(a.bob, a.ref, announced, cp, "second", altered), a.m.Result(a.bob, a.ref, announced, cp, "second"))
	var r *ledger.Refusal
	if errs[0] != nil || !errors.As(errs[1], &r) || r.Rule != ledger.RuleAudit {
		t.Fatal(errs)
	}
	got := collect(t, a.l.View().Audits(a.ref))
	if got[0].Result.Index != first.Index || got[1].Result.Statement.Audit.Result.Outcome != statement.OutcomeAltered {
		t.Fatalf("%+v", got)
	}
	a.sound()
}

// TestAttackResultInTheSameBlock: before there is a checkpoint over the
// announcement there is no seed.
func TestAttackResultInTheSameBlock(t *testing.T) {
	a := newAudited(t)
	block, err := a.l.Begin(a.now + 1000)
	if err != nil {
		t.Fatal(err)
	}
	c, err := a.l.Prepare(a.m.Announce(a.bob, a.ref, "same"))
	if err != nil {
		t.Fatal(err)
	}
	receipt, err := block.Admit(c)
	if err != nil {
		t.Fatal(err)
	}
	// The engine itself is in league: it knows the size and root to come.
	size, root := block.Root()
	control, err := a.l.View().Control()
	if err != nil {
		t.Fatal(err)
	}
	e := &evidence.Entry{Index: receipt.Index, Time: receipt.Time, ControlCount: control.Count(), ControlRoot: control.Root(), Envelope: c.Envelope()}
	result, err := a.l.Prepare(a.m.Result(a.bob, a.ref, e, evidence.Checkpoint{Size: size, Root: root}, "same"))
	if err != nil {
		t.Fatal(err)
	}
	var r *ledger.Refusal
	if _, err := block.Admit(result); !errors.As(err, &r) || r.Rule != ledger.RuleAudit || r.Hint == "" || !strings.Contains(r.Message, "no checkpoint") {
		t.Fatal(err)
	}
	if err := block.Commit(signBlock(t, block, "1")); err != nil {
		t.Fatal(err)
	}
	// In the next block the same envelope is right.
	a.now += 1000
	if r := a.must(result.Envelope()); r.Existed {
		t.Fatal("it was admitted")
	}
	a.sound()
}

// TestAttackAuditIndex: whoever can write the database hides an audit, or shows
// another result for it.
func TestAttackAuditIndex(t *testing.T) {
	auditKey := func(a *audited, index uint64) []byte {
		fp := a.ref.Fingerprint
		return append(append([]byte{'a', byte(fp.Algorithm)}, fp.Sum[:]...), key(0, index)[1:]...)
	}
	for _, c := range []struct {
		name    string
		attack  func(a *audited, second uint64)
		damaged bool // when it is looked at, besides
	}{
		{"hide an announcement", func(a *audited, second uint64) { a.del(auditKey(a, second)) }, false},
		{"hide a result", func(a *audited, _ uint64) { a.del(key('r', a.announced.Index)) }, false},
		{"a result of nothing", func(a *audited, second uint64) { a.set(key('r', second), key(0, 2)[1:]) }, true},
		{"another audit's result", func(a *audited, second uint64) { a.set(key('r', second), a.get(key('r', a.announced.Index))) }, true},
		{"a result that is no number", func(a *audited, second uint64) { a.set(key('r', second), []byte("?")) }, true},
		{"an announcement that is a stamp", func(a *audited, _ uint64) { a.set(auditKey(a, 2), nil) }, true},
		{"an announcement of another's audit", func(a *audited, second uint64) {
			other, errs := a.admitAll(a.m.Announce(a.bob, a.m.Ref("after", "nonce", "nonce"), "other"))
			if errs[0] != nil {
				a.t.Fatal(errs)
			}
			a.set(auditKey(a, other[0].Index), nil)
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := newAudited(t)
			a.must(a.result())
			second, _ := a.announce(a.bob, "second")
			a.sound()
			c.attack(a, second.Index)
			var seen error
			for _, err := range a.l.View().Audits(a.ref) {
				seen = errors.Join(seen, err)
			}
			if (seen != nil) != c.damaged || c.damaged && !errors.Is(seen, ledger.ErrDamaged) {
				t.Fatalf("listing: %v", seen)
			}
			if len(a.fsck()) == 0 {
				t.Fatal("fsck found nothing")
			}
		})
	}
}

func TestAuditRefusals(t *testing.T) {
	a := newAudited(t)
	other := a.m.Ref("data", "2", "y")
	a.must(a.m.Stamp(a.ada, other))
	at := func(index uint64) *evidence.Entry { e := *a.announced; e.Index = index; return &e }
	for _, c := range []struct {
		name  string
		env   *statement.Envelope
		rule  ledger.Rule
		class ledger.Class
		words string
	}{
		{"of nothing", a.m.Announce(a.bob, a.m.Ref("none", "1", "x"), "n"), ledger.RuleReferences, ledger.ClassNotFound, "none@1"},
		{"of nothing, a result", a.m.Result(a.bob, a.m.Ref("none", "1", "x"), a.announced, a.cp, "nonce"), ledger.RuleReferences, ledger.ClassNotFound, "none@1"},
		{"of a stamp's entry", a.m.Result(a.bob, a.ref, at(2), a.cp, "nonce"), ledger.RuleReferences, ledger.ClassRefused, "stamp"},
		{"of the future", a.m.Result(a.bob, a.ref, at(100), evidence.Checkpoint{Size: 101}, "nonce"), ledger.RuleReferences, ledger.ClassNotFound, "100"},
		{"of another artifact", a.m.Result(a.bob, other, a.announced, a.cp, "nonce"), ledger.RuleReferences, ledger.ClassRefused, "data@2"},
		{"more chunks than announced", a.result(func(r *statement.AuditResult) { r.ChunksAsked, r.ChunksRead = 920, 920 }), ledger.RuleAudit, ledger.ClassRefused, "919"},
		{"held, with files left out", a.result(func(r *statement.AuditResult) { r.FilesCompared = 0 }), ledger.RuleAudit, ledger.ClassRefused, "compared"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a.t = t
			a.refusedWell(c.env, c.rule, c.class, c.words)
		})
	}
	a.t = t
	a.refusedWell(a.m.Announce(a.bob, a.m.Ref("data", "1", "z"), "n"), ledger.RuleReferences, ledger.ClassRefused, a.ref.Fingerprint.String())
	// Somebody who could not finish says what was read.
	a.must(a.result(func(r *statement.AuditResult) {
		r.Outcome, r.ChunksAsked, r.ChunksRead, r.FilesCompared = statement.OutcomeIncomplete, 919, 3, 0
	}))
	// A thief's announcement is nobody's to end.
	announced, cp := a.announce(a.bob, "stolen")
	second := ledgertest.P256("bob's second")
	a.must(a.m.Register(a.ada, second.PublicKey(), "bob", 0, nil, statement.RoleMember))
	a.must(a.m.Compromised(a.ada, a.bob.PublicKey(), "bob", announced.Index))
	a.refusedWell(a.m.Result(second, a.ref, announced, cp, "stolen"), ledger.RuleAudit, ledger.ClassRefused, "counts for nothing")
	a.sound()
}

func TestCollection(t *testing.T) {
	b := newBench(t)
	x, y := b.m.Ref("day", "1", "x"), b.m.Ref("day", "2", "y")
	b.must(b.m.Stamp(b.ada, x)) // 1
	// A member may be stamped in the same block.
	members := []statement.CollectionMember{b.m.Member("b", y), b.m.Member("a", x)}
	env := b.m.Collect(b.ada, "week", "1", members)
	_, errs := b.admitAll(b.m.Stamp(b.ada, y), env)
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	week, err := b.l.View().ByName("week", "1")
	if err != nil || week.Entry != 3 {
		t.Fatal(week, err)
	}
	// Collections nest.
	nested := b.m.Member("weeks/1", week.Ref())
	nested.Files, nested.Bytes = 2, 14
	b.must(b.m.Collect(b.ada, "year", "1", []statement.CollectionMember{nested}))

	with := func(change func(m *statement.CollectionMember)) []statement.CollectionMember {
		m := b.m.Member("a", x)
		change(&m)
		return []statement.CollectionMember{m, b.m.Member("b", y)}
	}
	since := func(changes *statement.Changes) func(*statement.Stamp) {
		return func(s *statement.Stamp) { r := week.Ref(); s.Since, s.Changes = &r, changes }
	}
	for _, c := range []struct {
		name  string
		env   *statement.Envelope
		class ledger.Class
		entry any
		words string
	}{
		{"a member that is not there", b.m.Collect(b.ada, "week", "2", with(func(m *statement.CollectionMember) { m.Ref = b.m.Ref("day", "9", "x") })), ledger.ClassNotFound, "none", "day@9"},
		{"a member's other bytes", b.m.Collect(b.ada, "week", "2", with(func(m *statement.CollectionMember) { m.Ref = b.m.Ref("day", "1", "z") })), ledger.ClassRefused, uint64(1), "day@1"},
		{"more files than stamped", b.m.Collect(b.ada, "week", "2", with(func(m *statement.CollectionMember) { m.Files = 2 })), ledger.ClassRefused, uint64(1), "2 files"},
		{"fewer bytes than stamped", b.m.Collect(b.ada, "week", "2", with(func(m *statement.CollectionMember) { m.Bytes = 6 })), ledger.ClassRefused, uint64(1), "6 bytes"},
		{"changes that forget files", b.m.Collect(b.ada, "week", "2", members[:1], since(&statement.Changes{Same: 1})), ledger.ClassRefused, uint64(3), "account for 1 files"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b.t = t
			r := b.refused(c.env, ledger.RuleReferences, c.class, c.words)
			if deref(r.Entry) != c.entry || r.Hint == "" {
				t.Fatalf("entry %v [%s]", deref(r.Entry), r.Hint)
			}
		})
	}
	b.t = t
	b.must(b.m.Collect(b.ada, "week", "2", members[:1], since(&statement.Changes{Same: 1, Removed: 1})))
	b.sound()
}
