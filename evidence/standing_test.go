package evidence

import (
	"errors"
	"testing"

	"github.com/stele-ml/stele/statement"
)

func verdictOn(t *testing.T, l *testLedger, e *Entry, d *data, name string) *Verdict {
	t.Helper()
	return Verify(l.prove(l.checkpoint(), e, d, name, "1"), l.policy(), Options{})
}

// A stamp by a key that was retired, that had expired, or that was not yet
// registered; the ledger admitted it all the same.
func TestAttackWithoutStanding(t *testing.T) {
	d, d2 := testData(t, 1), testData(t, 2)
	t.Run("retired", func(t *testing.T) {
		l := newLedger(t, "retired")
		before := l.stamp(l.member, d, "scans/a", "1")
		l.identity(l.admin, statement.Identity{Action: statement.ActionRetire, Handle: "mara", KeyID: l.member.PublicKey().ID()})
		after := l.stamp(l.member, d2, "scans/b", "1")
		want(t, verdictOn(t, l, before, d, "scans/a"), Verified)
		want(t, verdictOn(t, l, after, d2, "scans/b"), Untrusted, CheckStanding)

		// Back-dated: its time is from before the retirement, its index is not.
		e := &Entry{Index: l.size, Time: before.Time, ControlCount: l.control.Count(), ControlRoot: l.control.Root(),
			Envelope: l.sign(l.member, testData(t, 3).stamping("scans/c", "1"))}
		l.put(e)
		want(t, verdictOn(t, l, e, testData(t, 3), "scans/c"), Untrusted, CheckStanding, CheckTime)
	})
	t.Run("expired", func(t *testing.T) {
		l := newLedger(t, "expired")
		s := testSigner(t, "temp")
		l.identity(l.admin, statement.Identity{Action: statement.ActionRegister, Handle: "temp", Key: s.PublicKey(),
			Roles: []string{statement.RoleMember}, Names: []string{"*"}, Expires: l.now + 3000})
		before := l.stamp(s, d, "scans/a", "1")
		l.now += 5000
		after := l.stamp(s, d2, "scans/b", "1")
		want(t, verdictOn(t, l, before, d, "scans/a"), Verified)
		want(t, verdictOn(t, l, after, d2, "scans/b"), Untrusted, CheckStanding)
	})
	t.Run("registered later", func(t *testing.T) {
		l := newLedger(t, "later")
		s := testSigner(t, "late")
		e := l.stamp(s, d, "scans/a", "1")
		want(t, verdictOn(t, l, e, d, "scans/a"), Untrusted, CheckSignature, CheckStanding)
		l.register("late", s, "*")
		want(t, verdictOn(t, l, e, d, "scans/a"), Untrusted, CheckStanding)
	})
	t.Run("a name it may not write", func(t *testing.T) {
		l := newLedger(t, "names")
		e := l.stamp(l.member, d, "models/a", "1")
		want(t, verdictOn(t, l, e, d, "models/a"), Untrusted, CheckStanding)
	})
	t.Run("the recovery key", func(t *testing.T) {
		l := newLedger(t, "recover")
		e := l.stamp(testSigner(t, "recover recovery"), d, "scans/a", "1")
		want(t, verdictOn(t, l, e, d, "scans/a"), Untrusted, CheckStanding)
	})
	t.Run("a twin signature", func(t *testing.T) {
		// Another signature over the same statement, by another key, under
		// the first one's key id.
		l := newLedger(t, "twin")
		env := l.sign(l.member, d.stamping("scans/a", "1"))
		env.Signature = l.sign(l.admin, must(statement.Parse(env.Payload))).Signature
		want(t, verdictOn(t, l, l.append(env, false), d, "scans/a"), Tampered, CheckSignature)
	})
}

// What a compromised key signed since counts for nothing: stamps, and the
// withdrawals and reinstatements that would have changed a verdict.
func TestAttackCompromisedKey(t *testing.T) {
	d, d2 := testData(t, 1), testData(t, 2)
	ref := d.ref("scans/a", "1")
	compromise := func(l *testLedger, s statement.Signer, handle string, since uint64) {
		l.identity(l.admin, statement.Identity{Action: statement.ActionCompromised, Handle: handle, KeyID: s.PublicKey().ID(), Since: since})
	}
	t.Run("stamps", func(t *testing.T) {
		l := newLedger(t, "compromised")
		before := l.stamp(l.member, d, "scans/a", "1")
		after := l.stamp(l.member, d2, "scans/b", "1")
		want(t, verdictOn(t, l, after, d2, "scans/b"), Verified)
		compromise(l, l.member, "mara", after.Index)
		want(t, verdictOn(t, l, before, d, "scans/a"), Verified)
		want(t, verdictOn(t, l, after, d2, "scans/b"), Untrusted, CheckStanding)
	})
	t.Run("a withdrawal by the thief", func(t *testing.T) {
		l := newLedger(t, "thief")
		e := l.stamp(l.admin, d, "scans/a", "1")
		w := l.withdraw(l.member, ref, statement.TargetContents, "")
		want(t, verdictOn(t, l, e, d, "scans/a"), Withdrawn, CheckNotWithdrawn)
		compromise(l, l.member, "mara", w.Index)
		v := verdictOn(t, l, e, d, "scans/a")
		want(t, v, Verified)
		if len(v.Withdrawals) != 1 || v.Withdrawals[0].Void == "" || v.Withdrawals[0].Stands() {
			t.Fatalf("%+v", v.Withdrawals)
		}
	})
	t.Run("a reinstatement by the thief", func(t *testing.T) {
		l := newLedger(t, "thief 2")
		e := l.stamp(l.admin, d, "scans/a", "1")
		w := l.withdraw(l.admin, ref, statement.TargetContents, "")
		second := testSigner(t, "second key") // ada's, and stolen
		l.register("ada", second, "scans/*")
		r := l.reinstate(second, ref, w.Index)
		want(t, verdictOn(t, l, e, d, "scans/a"), Verified)
		compromise(l, second, "ada", r.Index)
		want(t, verdictOn(t, l, e, d, "scans/a"), Withdrawn, CheckNotWithdrawn)
	})
	t.Run("a key that the thief registered", func(t *testing.T) {
		l := newLedger(t, "thief 3")
		second, third := testSigner(t, "second admin"), testSigner(t, "third")
		l.identity(l.admin, statement.Identity{Action: statement.ActionRegister, Handle: "bo", Key: second.PublicKey(), Roles: []string{statement.RoleAdministrator, statement.RoleMember}, Names: []string{"*"}})
		r := l.identity(second, statement.Identity{Action: statement.ActionRegister, Handle: "cy", Key: third.PublicKey(), Roles: []string{statement.RoleMember}, Names: []string{"*"}})
		e := l.stamp(third, d, "scans/a", "1")
		want(t, verdictOn(t, l, e, d, "scans/a"), Verified)
		compromise(l, second, "bo", r.Index)
		want(t, verdictOn(t, l, e, d, "scans/a"), Untrusted, CheckStanding)
	})
	t.Run("a change of the log's key stands", func(t *testing.T) {
		l := newLedger(t, "thief 4")
		second := testSigner(t, "second admin")
		l.identity(l.admin, statement.Identity{Action: statement.ActionRegister, Handle: "bo", Key: second.PublicKey(), Roles: []string{statement.RoleAdministrator}})
		e := l.stamp(l.member, d, "scans/a", "1")
		pinned := l.policy()
		next, key := logKey(t, l.origin, "thief 4 second")
		r := l.say(second, l.rotation(next, key))
		l.log, l.logKey = next, key
		compromise(l, second, "bo", r.Index)
		v := Verify(l.prove(l.checkpoint(), e, d, "scans/a", "1"), pinned, Options{})
		want(t, v, Verified)
	})
}

// A witness whose key is registered on the ledger is no witness.
func TestAttackWitnessIsMember(t *testing.T) {
	l := newLedger(t, "insider")
	d := testData(t, 1)
	key := testKey("insider")
	s, err := statement.NewEd25519(key)
	if err != nil {
		t.Fatal(err)
	}
	l.register("insider", s, "*")
	e := l.stamp(s, d, "scans/a", "1")
	w, k := witnessKey(t, "w.example", "insider", l.now/1000)
	p := l.policy()
	p.Witnesses, p.Quorum = []PolicyWitness{{Name: "w", Key: k}}, "w"
	want(t, Verify(l.prove(l.checkpoint(w), e, d, "scans/a", "1"), p, Options{}), Untrusted, CheckWitnesses)
}

func TestRemembered(t *testing.T) {
	l := newLedger(t, "remember")
	for i := range 6 {
		l.stamp(l.member, testData(t, byte(i)), "scans/"+string(rune('a'+i)), "1")
	}
	trust := l.policy()
	first := l.checkpointAt(3, l.log)
	next := l.checkpoint()
	proof := must(ProveConsistency(3, l.size, l))

	r, err := Remembered{}.Advance(first, nil, trust)
	if err != nil {
		t.Fatal(err)
	}
	if r, err = r.Advance(first, nil, trust); err != nil {
		t.Fatalf("the same again: %v", err)
	}
	ahead, err := r.Advance(next, proof, trust)
	if err != nil || string(ahead.Signed) != string(next) {
		t.Fatal(err)
	}

	fork := newLedger(t, "remember")
	for i := range 6 {
		fork.stamp(fork.member, testData(t, byte(i+100)), "scans/"+string(rune('a'+i)), "1")
	}
	other := newLedger(t, "other")
	wrong := must(ProveConsistency(3, l.size, l))
	wrong[0][0] ^= 1
	flipped := []byte(string(next))
	flipped[len(flipped)-6] ^= 1
	w, k := witnessKey(t, "w.example", "w", 1)
	witnessed := l.policy()
	witnessed.Witnesses, witnessed.Quorum = []PolicyWitness{{Name: "w", Key: k}}, "w"
	cases := map[string]struct {
		from  Remembered
		next  []byte
		proof bool
		trust *Policy
		class error
	}{
		"rollback":            {ahead, first, false, trust, ErrRollback},
		"another root":        {ahead, fork.checkpoint(), false, trust, ErrFork},
		"no proof":            {r, next, false, trust, ErrFork},
		"a fork that grew":    {r, fork.checkpoint(), true, trust, ErrFork},
		"a stranger's log":    {r, other.checkpoint(), true, trust, ErrUntrusted},
		"a flipped signature": {r, flipped, true, trust, ErrTampered},
		"no quorum":           {r, next, true, witnessed, ErrUntrusted},
		"garbage":             {r, []byte("x"), true, trust, ErrFormat},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			p := proof
			if !c.proof {
				p = nil
			}
			kept, err := c.from.Advance(c.next, p, c.trust)
			if !errors.Is(err, c.class) {
				t.Fatalf("got %v, want %v", err, c.class)
			}
			if string(kept.Signed) != string(c.from.Signed) {
				t.Fatal("it was remembered")
			}
			var h *HistoryError
			if (c.class == ErrFork || c.class == ErrRollback) != errors.As(err, &h) {
				t.Fatalf("%T", err)
			}
			if h != nil && (!errors.Is(err, ErrUntrusted) || string(h.Old) != string(c.from.Signed) || string(h.New) != string(c.next) || h.Hint() == "") {
				t.Fatalf("%+v", h)
			}
		})
	}
	if _, err := r.Advance(next, wrong, trust); !errors.Is(err, ErrFork) {
		t.Fatalf("a wrong proof: %v", err)
	}
	if _, err := r.Advance(l.checkpoint(w), proof, witnessed); err != nil {
		t.Fatal(err)
	}
}
