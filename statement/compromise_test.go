package statement

import (
	"testing"
)

// The key itself declares at once, as long as an administrator is left.
func TestKeyDeclaresItself(t *testing.T) {
	p := newPlay(t, "alice")
	p.does("alice", register("bob", RoleMember))
	p.next = 20
	at := p.does("bob", compromised("bob", 7))
	p.stands("bob", 6, StateGood)
	p.stands("bob", 7, StateCompromised)
	p.refused(ErrStanding, "bob", testStamp("a", "1"))
	if s := p.r.Standing(id("bob"), 8, 0); s.Entry != at {
		t.Errorf("declared in %d, got %+v", at, s)
	}
	_, m, _ := p.r.Key(id("bob"))
	if m.Since == nil || *m.Since != 7 || m.Declared != at {
		t.Errorf("bob is %+v", m)
	}
}

func TestTwoAdministratorsDeclare(t *testing.T) {
	p := newPlay(t, "alice", "bob", "carol")
	p.does("alice", register("dave", RoleMember))
	p.does("bob", compromised("dave", 2))
	p.stands("dave", 9, StateGood) // one of three is not enough
	p.refused(ErrRule, "bob", compromised("dave", 2))
	p.does("bob", compromised("dave", 3)) // another entry is another declaration
	p.does("alice", compromised("dave", 1))
	p.stands("dave", 9, StateGood)
	at := p.does("carol", compromised("dave", 3))
	p.stands("dave", 2, StateGood)
	p.stands("dave", 3, StateCompromised)
	if s := p.r.Standing(id("dave"), 9, 0); s.Entry != at {
		t.Errorf("in effect since the last declaration, %d: got %+v", at, s)
	}
	p.refused(ErrRule, "alice", compromised("dave", 3))
	p.refused(ErrRule, "alice", compromised("dave", 4))
	p.does("alice", compromised("dave", 2)) // an earlier entry: with bob's of before
	p.stands("dave", 2, StateCompromised)
	p.refused(ErrRule, "alice", compromised("dave", p.next+1))
	p.refused(ErrRule, "alice", compromised("mallory", 1))
	misnamed := compromised("dave", 1)
	misnamed.Identity.Handle = "bob"
	p.refused(ErrRule, "carol", misnamed)
}

// Two keys of one person are one voice.
func TestOnePersonIsOneVoice(t *testing.T) {
	p := newPlay(t, "alice", "bob")
	p.does("alice", register("alice2", RoleAdministrator))
	p.does("alice", register("carol", RoleMember))
	p.does("alice", compromised("carol", 3))
	p.refused(ErrRule, "alice2", compromised("carol", 3))
	p.stands("carol", 9, StateGood)
	p.does("recovery", compromised("carol", 3)) // the recovery key is a voice
	p.stands("carol", 9, StateCompromised)
}

// Where there is one administrator beside the accused, that one is enough.
func TestOnlyAdministratorDeclares(t *testing.T) {
	p := newPlay(t, "alice")
	p.does("alice", register("bob", RoleMember))
	p.does("alice", compromised("bob", 1))
	p.stands("bob", 9, StateCompromised)

	p = newPlay(t, "alice", "bob")
	p.does("alice", compromised("bob", 1))
	p.stands("bob", 1, StateCompromised)
	p.stands("bob", 0, StateGood)
}

// A declaration by one who turns out to count for nothing is not counted.
func TestVoidVoicesAreNotCounted(t *testing.T) {
	p := newPlay(t, "alice", "bob", "carol")
	p.does("alice", register("dave", RoleMember))
	p.does("bob", compromised("dave", 1))
	p.does("alice", compromised("bob", 2))
	p.does("carol", compromised("bob", 2))
	p.stands("bob", 2, StateCompromised)
	p.does("carol", register("erin", RoleAdministrator))
	p.does("carol", compromised("dave", 1))
	p.stands("dave", 9, StateGood) // bob's voice came at entry 2
	p.does("erin", compromised("dave", 1))
	p.stands("dave", 9, StateCompromised)

	// One who was retired since still counts.
	p = newPlay(t, "alice", "bob", "carol")
	p.does("alice", register("dave", RoleMember))
	p.does("bob", compromised("dave", 1))
	p.does("alice", retire("bob"))
	p.does("carol", compromised("dave", 1))
	p.stands("dave", 9, StateCompromised)
}

// What a compromised key did from then on counts for nothing, and what those did
// whom it registered, and so on; what it did before stays.
func TestVoidIsTransitive(t *testing.T) {
	p := newPlay(t, "root", "alice", "bob")
	p.does("alice", register("early", RoleAdministrator)) // 1
	p.does("early", register("friend", RoleMember))       // 2
	stolen := p.next                                      // 3
	p.does("alice", register("thief", RoleAdministrator)) // 3
	p.does("thief", register("gang", RoleAdministrator))  // 4
	p.does("gang", register("mule", RoleMember))          // 5
	p.does("gang", retire("friend"))                      // 6
	p.does("thief", retire("bob"))                        // 7
	p.stands("friend", 8, StateRetired)
	p.stands("bob", 8, StateRetired)
	p.does("root", compromised("alice", stolen))  // 8
	p.does("early", compromised("alice", stolen)) // 9
	for _, name := range []string{"thief", "gang", "mule"} {
		p.stands(name, 20, StateVoid)
		p.refused(ErrStanding, name, testStamp("a", "1"))
	}
	for _, name := range []string{"early", "friend", "bob", "root"} {
		p.stands(name, 20, StateGood)
	}
	p.stands("alice", stolen-1, StateGood)
	p.stands("alice", stolen, StateCompromised)
	p.refused(ErrRule, "root", retire("thief"))
	p.refused(ErrRule, "root", compromised("thief", 3))
	// A void key stays taken: its holder makes a new one.
	p.refused(ErrRule, "root", register("mule", RoleMember))
	_, m, _ := p.r.Key(id("gang"))
	if !m.Void || m.By != id("thief") {
		t.Errorf("gang is %+v", m)
	}
}

// A declaration in effect is never undone, even if who made it falls later.
func TestCompromiseIsMonotone(t *testing.T) {
	p := newPlay(t, "alice", "bob", "carol", "dave")
	p.does("alice", register("erin", RoleMember)) // 1
	p.does("bob", compromised("erin", 1))         // 2
	p.does("carol", compromised("erin", 1))       // 3
	p.stands("erin", 9, StateCompromised)
	p.does("bob", compromised("bob", 1))
	p.does("carol", compromised("carol", 1))
	p.stands("erin", 9, StateCompromised)
}

// Someone has the only administrator's key and uses it well: further
// administrators, everybody else retired. The recovery key alone ends it.
func TestThiefOfTheOnlyAdministrator(t *testing.T) {
	p := newPlay(t, "alice")
	p.does("alice", register("bob", RoleMember)) // 1
	stolen := p.next
	p.does("alice", register("mallory", RoleAdministrator)) // 2
	p.does("mallory", register("mallet", RoleAdministrator))
	p.does("mallory", retire("alice"))
	p.does("mallet", retire("bob"))
	// The thief cannot get rid of the recovery key: all his keys go back to one.
	p.refused(ErrNotAllowed, "mallory", retire("recovery"))
	p.does("mallory", compromised("recovery", 1))
	p.does("mallet", compromised("recovery", 1))
	p.stands("recovery", p.next, StateGood)

	p.does("recovery", compromised("alice", stolen))
	p.stands("mallory", 3, StateVoid)
	p.stands("mallet", 4, StateVoid)
	p.stands("bob", 9, StateGood)
	p.stands("alice", stolen-1, StateGood)
	p.does("recovery", register("alice2", RoleAdministrator))
	p.does("alice2", register("carol", RoleMember))
	p.refused(ErrRule, "alice2", retire("alice2"))
}

// The recovery key is one voice among several administrators, not more.
func TestRecoveryKeyIsOneVoice(t *testing.T) {
	p := newPlay(t, "alice", "bob", "carol")
	p.does("recovery", compromised("alice", 1))
	p.stands("alice", 9, StateGood)
	p.does("bob", compromised("alice", 1))
	p.stands("alice", 9, StateCompromised)
}

// It can be declared compromised itself: by itself, or by two administrators who
// do not owe their keys to one another.
func TestRecoveryKeyIsCompromised(t *testing.T) {
	p := newPlay(t, "alice", "bob")
	p.does("alice", register("alicia", RoleAdministrator)) // 1
	p.does("recovery", register("eve", RoleMember))        // 2
	p.does("alice", compromised("recovery", 2))
	p.does("alicia", compromised("recovery", 2))
	p.stands("recovery", 9, StateGood)
	p.does("bob", compromised("recovery", 2))
	p.stands("recovery", 9, StateCompromised)
	p.stands("eve", 9, StateVoid)

	p = newPlay(t, "alice")
	p.does("alice", compromised("recovery", 1)) // one is never enough for this one
	p.stands("recovery", 9, StateGood)
	p.does("recovery", compromised("recovery", 1))
	p.stands("recovery", 9, StateCompromised)

	p = newPlay(t, "alice")
	p.does("recovery", retire("recovery"))
	p.refused(ErrStanding, "recovery", register("eve", RoleMember))
}
