package ledger_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// TestAttackOwnKeyCompromised: who made one link on the way declares his own key
// compromised, so that the taint behind it is gone. It is not, and what was made
// of his work is not trusted any more; as of before he said so it was tainted.
func TestAttackOwnKeyCompromised(t *testing.T) {
	l := newTeam(t)
	raw := l.Stamped(l.bob, "raw", "1", "r")     // 6
	clean := l.Ran(l.ci, "clean", "1", "c", raw) // 7
	model := l.Ran(l.bob, "model", "1", "m", clean)
	copied := l.Stamped(l.mallory, "copy", "1", "m")
	renamed := l.Stamped(l.bob, "renamed", "1", "c") // a colleague's copy of the link itself
	l.Released(l.rel, model, prod)
	l.Withdrawn(l.bob, raw, statement.TargetContents, statement.EffectStop)
	before := l.View()
	said := l.Put(l.Compromised(l.ci, l.ci.PublicKey(), "ci", 7))
	for ref, want := range map[statement.Ref]string{
		raw: lineage.Withdrawn, clean: lineage.Untrusted, model: lineage.Untrusted, copied: lineage.Untrusted, renamed: lineage.Tainted,
	} {
		if j := judged(t, l.View(), ref); j.Word() != want || ref != raw && j.Taint == nil {
			t.Errorf("%s is %s, want %s", ref, j.Word(), want)
		}
		if j := judged(t, before, ref); ref != raw && j.Word() != lineage.Tainted {
			t.Errorf("%s was %s", ref, j.Word())
		}
		entries, _, err := l.View().LineageEntries(ref, 0)
		if err != nil || ref != raw && !slices.Contains(entries, 7) {
			t.Errorf("%s: %d, %v", ref, entries, err)
		}
	}
	detail := fmt.Sprintf("which counts for nothing: a key of ci is compromised since entry 7, as entry %d declares", said)
	l.Left(l.rel, model, prod)
	for _, ref := range []statement.Ref{model, copied} {
		wantRefusal(t, l.Ledger, l.Release(l.rel, ref, prod, l.Saw(&statement.Release{Stage: prod}, ref)), ledger.RuleStanding, ledger.ClassUntrusted,
			ref.String()+" was made of clean@1, stamped in entry 7, "+detail,
			"stele trace "+ref.String()+" shows the way; stamp clean@1 under a new version, with a key in good standing, and make it again from that")
	}
	l.cannotRelease(t, renamed, "renamed@1 is tainted: it was made of raw@1, withdrawn since entry 12 (stop), by bob: a test",
		"stele trace renamed@1 shows the way; make it again without raw@1")
	// Made again as the hint has it, once the data is back.
	w := control(t, l).Withdrawals(raw)[0].Entry
	l.Reinstated(l.bob, raw, w)
	l.Released(l.rel, l.Ran(l.bob, "model", "2", "m2", renamed), prod)
	soundLedger(t, l.Ledger)
}

// TestAttackThiefOfARegistrar: what was registered by a stolen key is void, and
// what it stamped fallen.
func TestAttackThiefOfARegistrar(t *testing.T) {
	l := newTeam(t)
	boss := l.Person("boss", statement.RoleAdministrator, statement.RoleMember)
	chief := l.Person("chief", statement.RoleAdministrator)
	since := l.View().Size()
	eve := ledgertest.Ed25519("eve")
	l.Put(l.Register(boss, eve.PublicKey(), "eve", 0, []string{"*"}, statement.RoleMember))
	model := l.Ran(l.bob, "model", "1", "m", l.Stamped(eve, "data", "1", "d"))
	l.Put(l.Compromised(l.Ada, boss.PublicKey(), "boss", since))
	if j := judged(t, l.View(), model); j.Word() != lineage.Good {
		t.Fatalf("one of two administrators said so: %s", j.Word())
	}
	l.Put(l.Compromised(chief, boss.PublicKey(), "boss", since))
	j := judged(t, l.View(), model)
	if j.Word() != lineage.Untrusted || j.Fallen[0].Artifact.Standing.State != statement.StateVoid || j.Fallen[0].Distance() != 1 {
		t.Fatal(j.Word(), j.Fallen)
	}
}

// TestRetiredAndExpiredKeys void nothing that they said before.
func TestRetiredAndExpiredKeys(t *testing.T) {
	l := newTeam(t)
	model := l.Ran(l.bob, "model", "1", "m", l.Ran(l.ci, "clean", "1", "c", l.Stamped(l.mallory, "data", "1", "d")))
	l.Put(l.Retire(l.Ada, l.ci.PublicKey(), "ci"))
	l.Put(l.Compromised(l.mallory, l.mallory.PublicKey(), "mallory", l.View().Size()))
	if j := judged(t, l.View(), model); j.Word() != lineage.Good {
		t.Fatal(j.Word())
	}
	l.Released(l.rel, model, prod)
}

// TestAttackThiefsLaterEntries: whoever has ci's key can neither taint nor fell
// what stood before: by late runs, by the same bytes under another name of ci's.
func TestAttackThiefsLaterEntries(t *testing.T) {
	l := newTeam(t)
	poison := l.poisoned()
	model := l.Ran(l.ci, "model", "1", "m")
	other := l.Ran(l.bob, "other", "1", "o", model)
	since := l.View().Size()
	l.Put(l.Run(l.ci, []statement.Ref{poison}, []statement.Output{ledgertest.Old(model), ledgertest.Old(other)}))
	l.Stamped(l.ci, "again", "1", "m", poison)
	if judged(t, l.View(), other).Word() != lineage.Tainted {
		t.Fatal("ci says that his model is poisoned")
	}
	l.Put(l.Compromised(l.ci, l.ci.PublicKey(), "ci", since))
	for _, ref := range []statement.Ref{model, other} {
		if j := judged(t, l.View(), ref); j.Word() != lineage.Good {
			t.Fatalf("%s is %s", ref, j.Word())
		}
		l.Released(l.rel, ref, prod)
	}
	// Whoever copies what the thief stamped, stands; what he said of it stays, until
	// an administrator says that his name was a mistake.
	bad := l.Stamped(l.mallory, "copy", "1", "m")
	if j := judged(t, l.View(), bad); j.Word() != lineage.Tainted {
		t.Fatal(j.Word())
	}
	l.Withdrawn(l.Ada, l.Ref("again", "1", "m"), statement.TargetBinding, statement.EffectAdvise)
	l.Released(l.rel, bad, prod)
	soundLedger(t, l.Ledger)
}

// TestReleaseOfACollection: it goes with its members, by name and by contents.
func TestReleaseOfACollection(t *testing.T) {
	l := newTeam(t)
	day := l.Stamped(l.bob, "day", "1", "x")
	year := l.Collected(l.bob, "year", "1", l.Collected(l.bob, "month", "1", day))
	at := l.Withdrawn(l.bob, day, statement.TargetBinding, statement.EffectNoNewUse)
	l.cannotRelease(t, year, fmt.Sprintf("day@1, a member of year@1, is withdrawn as a mistake since entry %d (no-new-use), by bob: a test", at),
		"release another version, or have the withdrawal ended: stele reinstate")
	l.Reinstated(l.bob, day, at)
	l.Withdrawn(l.bob, day, statement.TargetBinding, statement.EffectAdvise)
	l.Released(l.rel, year, prod)
}
