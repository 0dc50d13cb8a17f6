package statement

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// play is a ledger's control entries as a test tells them.
type play struct {
	t      *testing.T
	r      *Roster
	next   uint64
	timeMS int64
}

// newPlay begins a ledger; each administrator has an Ed25519 key of its name.
func newPlay(t *testing.T, administrators ...string) *play {
	t.Helper()
	g := testGenesis()
	g.Genesis.Administrators = nil
	for _, a := range administrators {
		g.Genesis.Administrators = append(g.Genesis.Administrators, Administrator{a, ed(a).PublicKey()})
	}
	r, err := NewRoster(1000, ed(administrators[0]).PublicKey().ID(), g)
	if err != nil {
		t.Fatal(err)
	}
	return &play{t: t, r: r, next: 1, timeMS: 2000}
}

func id(name string) KeyID { return ed(name).PublicKey().ID() }

// handleOf strips the digits that tell one person's keys apart: alice2 is alice's.
func handleOf(name string) string { return strings.TrimRight(name, "0123456789") }

func register(name string, roles ...string) *Statement {
	return testRegister(handleOf(name), ed(name).PublicKey(), roles, []string{"*"})
}

func retire(name string) *Statement {
	return &Statement{Kind: KindIdentity, Ledger: testLedger, Nonce: testNonce("retire " + name),
		Identity: &Identity{Action: ActionRetire, Handle: handleOf(name), KeyID: id(name)}}
}

func compromised(name string, since uint64) *Statement {
	return &Statement{Kind: KindIdentity, Ledger: testLedger, Nonce: testNonce("compromised " + name),
		Identity: &Identity{Action: ActionCompromised, Handle: handleOf(name), KeyID: id(name), Since: since}}
}

func logKey() *Statement { return testLogKey(edKey("log"), edKey("log 2")) }

// does folds an entry in, and returns its index.
func (p *play) does(signer string, st *Statement) uint64 {
	p.t.Helper()
	index := p.next
	if err := p.r.Apply(index, p.timeMS, id(signer), st); err != nil {
		p.t.Fatalf("entry %d by %s: %v", index, signer, err)
	}
	p.next++
	return index
}

// refused demands the class of error, and that nothing changed.
func (p *play) refused(class error, signer string, st *Statement) {
	p.t.Helper()
	before := p.r.Clone()
	check := p.r.Check(p.next, p.timeMS, id(signer), st)
	if !errors.Is(check, class) {
		p.t.Errorf("entry %d by %s: got %v, want %v", p.next, signer, check, class)
	}
	if err := p.r.Apply(p.next, p.timeMS, id(signer), st); fmt.Sprint(err) != fmt.Sprint(check) {
		p.t.Errorf("Check says %v, Apply %v", check, err)
	}
	if !reflect.DeepEqual(p.r, before) {
		p.t.Errorf("entry %d by %s was refused and changed the roster", p.next, signer)
	}
}

// stands demands the state of a key at an entry.
func (p *play) stands(name string, entry uint64, want string) {
	p.t.Helper()
	s := p.r.Standing(id(name), entry, p.timeMS)
	if s.State != want || s.OK != (want == StateGood) || s.Detail == "" {
		p.t.Errorf("%s at entry %d: %+v, want %s", name, entry, s, want)
	}
}

func TestRosterBegins(t *testing.T) {
	p := newPlay(t, "alice", "bob")
	p.stands("alice", 0, StateGood)
	p.stands("bob", 9, StateGood)
	p.stands("recovery", 1, StateGood)
	p.stands("mallory", 1, StateUnknown)
	if _, err := NewRoster(0, id("mallory"), testGenesis()); !errors.Is(err, ErrStanding) {
		t.Errorf("a genesis signed by somebody else: %v", err)
	}
	if _, err := NewRoster(0, id("recovery"), testGenesis()); !errors.Is(err, ErrStanding) {
		t.Errorf("a genesis signed by the recovery key: %v", err)
	}
	if _, err := NewRoster(0, id("alice"), testStamp("a", "1")); !errors.Is(err, ErrRule) {
		t.Errorf("a stamp for a genesis: %v", err)
	}
	p.refused(ErrRule, "alice", testGenesis())
	key, m, ok := p.r.Key(id("bob"))
	if !ok || !key.Equal(ed("bob").PublicKey()) || m.Handle != "bob" || !slices.Equal(m.Roles, []string{RoleAdministrator, RoleApprover, RoleMember, RoleReleaser}) {
		t.Errorf("bob is %+v", m)
	}
	if _, _, ok := p.r.Key(id("mallory")); ok {
		t.Error("mallory is registered")
	}
	if got := p.r.LogKeys(); len(got) != 1 || got[0].VKey != p.r.LogKey() || p.r.LogKey() != p.r.Genesis().LogKey {
		t.Errorf("log keys %v", got)
	}
}

func TestWhoMay(t *testing.T) {
	p := newPlay(t, "alice")
	withNames := func(name string, names []string, roles ...string) *Statement {
		return testRegister(name, ed(name).PublicKey(), roles, names)
	}
	p.does("alice", withNames("member", []string{"fraud/*", "raw"}, RoleMember))
	p.does("alice", withNames("nameless", nil, RoleMember))
	p.does("alice", withNames("raw", []string{"raw/*"}, RoleMember))
	p.does("alice", withNames("approver", []string{"*"}, RoleApprover, RoleReleaser))
	p.does("alice", withNames("admin", []string{"fraud/*"}, RoleAdministrator))
	stamp := func(name string) *Statement { return testStamp(name, "1") }
	runOf := func(outputs ...string) *Statement {
		st := testBareRun()
		for _, name := range outputs {
			st.Run.Outputs = append(st.Run.Outputs, Output{testRef(name, "1"), testStamp(name, "1").Stamp})
		}
		return st
	}
	stampedBefore := func(st *Statement) *Statement {
		for i := range st.Run.Outputs {
			st.Run.Outputs[i].Stamp = nil
		}
		return st
	}
	tests := []struct {
		who  string
		st   *Statement
		want error
	}{
		{"alice", stamp("anything/at/all"), nil},
		{"member", stamp("fraud/train"), nil},
		{"member", stamp("raw"), nil},
		{"member", stamp("raw2"), ErrNotAllowed},
		{"member", stamp("fraud"), ErrNotAllowed},
		{"member", stamp("other"), ErrNotAllowed},
		{"nameless", stamp("fraud/train"), ErrNotAllowed},
		{"approver", stamp("fraud/train"), ErrNotAllowed},
		{"admin", stamp("fraud/train"), nil},
		{"admin", stamp("raw"), ErrNotAllowed},
		{"recovery", stamp("fraud/train"), ErrNotAllowed},
		{"mallory", stamp("fraud/train"), ErrStanding},
		{"member", testWithdrawal(), nil},
		{"nameless", testReinstatement(), nil},
		{"approver", testWithdrawal(), ErrNotAllowed},
		{"recovery", testWithdrawal(), ErrNotAllowed},
		{"alice", testApproval(DecisionApprove), nil},
		{"alice", testRelease(), nil},
		{"approver", testApproval(DecisionApprove), nil},
		{"approver", testApproval(DecisionReject), nil},
		{"approver", testRelease(), nil},
		{"member", testApproval(DecisionApprove), ErrNotAllowed},
		{"member", testApproval(DecisionReject), ErrNotAllowed},
		{"member", testRelease(), ErrNotAllowed},
		{"admin", testApproval(DecisionApprove), ErrNotAllowed},
		{"admin", testLeave(), ErrNotAllowed},
		{"recovery", testApproval(DecisionReject), ErrNotAllowed},
		{"recovery", testRelease(), ErrNotAllowed},
		{"mallory", testApproval(DecisionApprove), ErrStanding},
		{"member", testRun(), nil},
		{"admin", testRun(), nil},
		{"nameless", testRun(), ErrNotAllowed},
		{"approver", testRun(), ErrNotAllowed},
		{"recovery", testRun(), ErrNotAllowed},
		{"mallory", testRun(), ErrStanding},
		{"raw", testRun(), ErrNotAllowed},
		{"raw", runOf("raw/cards", "fraud/model"), ErrNotAllowed},
		{"raw", runOf("raw/cards"), nil},
		{"nameless", runOf("raw/cards"), ErrNotAllowed},
		{"nameless", stampedBefore(runOf("raw/cards")), nil},
		{"nameless", testFailedRun(), nil},
		{"approver", testFailedRun(), ErrNotAllowed},
		{"nameless", testEvaluation(), nil},
		{"admin", testEvaluation(), nil},
		{"approver", testEvaluation(), ErrNotAllowed},
		{"recovery", testEvaluation(), ErrNotAllowed},
		{"nameless", testImportOMS(), nil},
		{"nameless", testImportInToto(), nil},
		{"approver", testImportOMS(), ErrNotAllowed},
		{"recovery", testImportInToto(), ErrNotAllowed},
		{"admin", register("x", RoleMember), nil},
		{"recovery", register("x", RoleMember), nil},
		{"member", register("x", RoleMember), ErrNotAllowed},
		{"member", retire("member"), ErrNotAllowed},
		{"member", compromised("alice", 1), ErrNotAllowed},
		{"member", compromised("member", 1), nil},
		{"approver", register("x", RoleMember), ErrNotAllowed},
		{"admin", logKey(), nil},
		{"member", logKey(), ErrNotAllowed},
		{"recovery", logKey(), ErrNotAllowed},
	}
	for _, test := range tests {
		what := fmt.Sprint(test.who, " ", test.st.Kind, " ", test.st.Subject)
		if err := p.r.May(id(test.who), test.st, p.timeMS); !errors.Is(err, test.want) {
			t.Errorf("May: %s: got %v, want %v", what, err, test.want)
		}
		if err := p.r.Check(p.next, p.timeMS, id(test.who), test.st); !errors.Is(err, test.want) {
			t.Errorf("Check: %s: got %v, want %v", what, err, test.want)
		}
	}
	if err := p.r.May(id("alice"), testGenesis(), 0); err != nil {
		t.Errorf("the genesis by its administrator: %v", err)
	}
	for _, who := range []string{"admin", "recovery"} {
		if err := p.r.May(id(who), testGenesis(), 0); !errors.Is(err, ErrNotAllowed) {
			t.Errorf("the genesis by %s: %v", who, err)
		}
	}
	if err := p.r.May(id("alice"), &Statement{Kind: "decisions"}, 0); !errors.Is(err, ErrNotAllowed) {
		t.Errorf("an unknown kind: %v", err)
	}
	if err := p.r.May(id("alice"), &Statement{Kind: KindStamp, Stamp: testStamp("a", "1").Stamp}, 0); err == nil {
		t.Error("a stamp of nothing")
	}
}

// Retirement and expiry hold from then on; what was signed before stays good.
func TestRetirementAndExpiryDoNotReachBack(t *testing.T) {
	p := newPlay(t, "alice")
	p.does("alice", register("bob", RoleMember))
	expiring := register("carol", RoleMember)
	expiring.Identity.Expires = 5000
	p.does("alice", expiring)
	p.stands("bob", 1, StateUnknown) // its own registration is not its doing
	p.stands("bob", 2, StateGood)
	p.next = 10
	at := p.does("alice", retire("bob"))
	p.stands("bob", at-1, StateGood)
	p.stands("bob", at+1, StateRetired)
	p.refused(ErrStanding, "bob", testStamp("a", "1"))
	p.refused(ErrRule, "alice", retire("bob"))
	p.refused(ErrRule, "alice", register("bob", RoleMember))

	p.timeMS = 4999
	p.stands("carol", 11, StateGood)
	p.timeMS = 5000
	p.stands("carol", 11, StateExpired)
	p.refused(ErrStanding, "carol", testStamp("a", "1"))
	if err := p.r.May(id("carol"), testStamp("a", "1"), 5000); !errors.Is(err, ErrStanding) {
		t.Errorf("an expired key may: %v", err)
	}
	if s := p.r.Standing(id("carol"), 3, 4000); !s.OK {
		t.Errorf("what carol signed before: %+v", s)
	}
	late := register("dave", RoleMember)
	late.Identity.Expires = 5000
	p.refused(ErrRule, "alice", late)
	_, m, _ := p.r.Key(id("bob"))
	if m.Retired == nil || *m.Retired != at || m.By != id("alice") || m.Entry != 1 {
		t.Errorf("bob is %+v", m)
	}
}

func TestLastAdministratorStays(t *testing.T) {
	p := newPlay(t, "alice")
	p.refused(ErrRule, "alice", retire("alice"))
	p.refused(ErrRule, "recovery", retire("alice"))
	p.refused(ErrRule, "alice", compromised("alice", 1))
	p.does("alice", register("bob", RoleMember))
	p.refused(ErrRule, "alice", retire("alice")) // a member is no administrator
	expiring := register("carol", RoleAdministrator)
	expiring.Identity.Expires = 3000
	p.does("alice", expiring)
	p.timeMS = 3000
	p.refused(ErrRule, "alice", retire("alice")) // nor is one that has expired
	p.does("alice", register("dave", RoleAdministrator))
	p.does("dave", retire("alice"))
	p.refused(ErrRule, "dave", retire("dave"))

	// Nor may a declaration void the last one: bob was registered by alice.
	p = newPlay(t, "alice")
	p.does("alice", register("bob", RoleAdministrator))
	p.refused(ErrRule, "alice", compromised("alice", 1))
	p.does("alice", register("carol", RoleMember))
	p.does("alice", compromised("alice", 2)) // this leaves bob
	p.stands("bob", 9, StateGood)
	p.stands("carol", 9, StateVoid)
}

// The same key, in whatever wrapping, is registered once; log, recovery and
// identity keys are disjoint.
func TestAttackerRegistersOneKeyTwice(t *testing.T) {
	p := newPlay(t, "alice")
	p.does("alice", register("bob", RoleMember))
	p.does("alice", testRegister("eve", p256("eve").PublicKey(), []string{RoleMember}, nil))
	for name, key := range map[string]*PublicKey{
		"the same key":                         ed("bob").PublicKey(),
		"wrapped as an SSH key":                sshEd("bob").PublicKey(),
		"in a security key":                    skEd25519Key("bob", "ssh:"),
		"a P-256 key as an SSH key":            sshEC("eve").PublicKey(),
		"an administrator's key, wrapped":      sshEd("alice").PublicKey(),
		"the recovery key":                     ed("recovery").PublicKey(),
		"the recovery key, wrapped":            sshEd("recovery").PublicKey(),
		"the log's key":                        ed("log").PublicKey(),
		"the log's key, wrapped as an SSH key": sshEd("log").PublicKey(),
	} {
		st := testRegister("mallory", key, []string{RoleMember}, nil)
		if err := p.r.Check(p.next, p.timeMS, id("alice"), st); !errors.Is(err, ErrRule) {
			t.Errorf("%s: %v", name, err)
		}
		if !p.r.HasMaterial(key.Material()) {
			t.Errorf("%s: a witness could have this key", name)
		}
	}
	if p.r.HasMaterial(ed("mallory").PublicKey().Material()) {
		t.Error("a key that nobody registered is taken")
	}
	p.does("alice", retire("bob"))
	p.refused(ErrRule, "alice", testRegister("bob", sshEd("bob").PublicKey(), []string{RoleMember}, nil))
	p.refused(ErrRule, "alice", testRegister(RecoveryHandle, ed("x").PublicKey(), []string{RoleMember}, nil))
}

func TestLogKeyRotation(t *testing.T) {
	p := newPlay(t, "alice")
	at := p.does("alice", logKey())
	if keys := p.r.LogKeys(); len(keys) != 2 || keys[1].Entry != at || keys[1].VKey != vkey(testOrigin, edKey("log 2")) || p.r.LogKey() != keys[1].VKey {
		t.Errorf("log keys %v", keys)
	}
	p.refused(ErrRule, "alice", logKey())                                                                 // no longer the current one
	p.refused(ErrRule, "alice", testLogKey(edKey("log 2"), edKey("log")))                                 // a key of before
	p.refused(ErrRule, "alice", testLogKey(edKey("log 2"), edKey("alice")))                               // an administrator's
	p.refused(ErrRule, "alice", testRegister("bob", ed("log 2").PublicKey(), []string{RoleMember}, nil))  // and the other way round
	p.refused(ErrRule, "alice", testRegister("bob", sshEd("log").PublicKey(), []string{RoleMember}, nil)) // a key of before
	p.refused(ErrRule, "alice", testLogKey(edKey("log 2"), edKey("recovery")))
	unsigned := testLogKey(edKey("log 2"), edKey("log 3"))
	unsigned.LogKey.Signatures.Current = unsigned.LogKey.Signatures.Next
	p.refused(ErrSignature, "alice", unsigned)
	elsewhere := testLogKey(edKey("log 2"), edKey("log 3"))
	elsewhere.Ledger[0] ^= 1
	p.refused(ErrSignature, "alice", elsewhere)
	p.does("alice", testLogKey(edKey("log 2"), edKey("log 3")))
}

func TestEntriesComeInOrder(t *testing.T) {
	p := newPlay(t, "alice")
	p.next = 5
	p.does("alice", register("bob", RoleMember))
	for _, index := range []uint64{0, 4, 5} {
		if err := p.r.Check(index, p.timeMS, id("alice"), register("carol", RoleMember)); !errors.Is(err, ErrRule) {
			t.Errorf("entry %d after 5: %v", index, err)
		}
	}
}

// A clone and its original do not see each other's entries.
func TestClone(t *testing.T) {
	p := newPlay(t, "alice", "bob")
	p.does("alice", register("carol", RoleAdministrator))
	before := p.r.Clone()
	c := &play{t: t, r: p.r.Clone(), next: p.next, timeMS: p.timeMS}
	c.does("alice", register("dave", RoleMember))
	c.does("alice", retire("carol"))
	c.does("alice", logKey())
	c.does("alice", compromised("alice", 1))
	if !reflect.DeepEqual(p.r, before) {
		t.Error("an entry folded into the clone changed the original")
	}
	c.stands("carol", 9, StateVoid)
	p.stands("carol", 9, StateGood)
	p.stands("dave", 9, StateUnknown)
	p.does("bob", retire("carol"))
	p.stands("carol", 9, StateRetired)
}

func TestNouns(t *testing.T) {
	for kind, want := range map[Kind]string{KindStamp: "a stamp", KindApproval: "an approval", KindEvaluation: "an evaluation", KindLogKey: "a log-key", "": "a "} {
		if got := kind.Noun(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
