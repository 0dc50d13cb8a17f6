package evidence

import (
	"strings"
	"testing"

	"github.com/stele-ml/stele/statement"
)

// evidenceOf is evidence of an artifact with its lineage, of everything that the
// ledger has but control entries.
func (f *family) evidenceOf(at *Entry, d *data, name string) *Verdict {
	f.t.Helper()
	claim := Claim{Entry: at.Index, Name: name, Version: "1", Fingerprint: d.fp, Lineage: true}
	var further []uint64
	for i := range f.size {
		e := must(ParseEntry(must(f.Leaf(i))))
		if st := must(e.Statement()); len(st.Stamps()) > 0 || st.Run != nil {
			further = append(further, i)
		}
	}
	return Verify(must(Collect(f, f.checkpoint(), claim, nil, further...)), f.policy(), Options{})
}

func (l *testLedger) compromised(by, key statement.Signer, handle string, since uint64) {
	l.t.Helper()
	l.identity(by, statement.Identity{Action: statement.ActionCompromised, Handle: handle, KeyID: key.PublicKey().ID(), Since: since})
}

// Who made one link on the way declares his own key compromised, so that nothing
// behind it counts: what was made of it is not trusted, and still tainted.
func TestAttackOwnKeyCompromised(t *testing.T) {
	f := newFamily(t, "own key")
	trainer := testSigner(t, "trainer")
	f.register("trainer", trainer, "scans/*")
	clean, model := testData(t, 31), testData(t, 32)
	cleanAt := f.run(trainer, []statement.Ref{f.rawRef()}, clean.output("scans/clean", "1"))
	modelAt := f.run(f.member, []statement.Ref{clean.ref("scans/clean", "1")}, model.output("scans/new", "1"))
	f.withdraw(f.admin, f.rawRef(), statement.TargetContents, "")
	want(t, f.evidenceOf(modelAt, model, "scans/new"), Tainted, CheckNotTainted)
	f.compromised(trainer, trainer, "trainer", cleanAt.Index)
	v := f.evidenceOf(modelAt, model, "scans/new")
	want(t, v, Untrusted, CheckStanding, CheckNotTainted)
	if !strings.Contains(v.String(), "; scans/new@1 (run, entry ") || !v.Story[0].Untrusted || v.Story[0].Standing != statement.StateGood {
		t.Errorf("%s\n%+v", v, v.Story[0])
	}
	want(t, f.evidenceOf(cleanAt, clean, "scans/clean"), Untrusted, CheckStanding, CheckNotTainted)
}

// Somebody else's copy of what a fallen key stamped stands, and keeps the taint;
// the entry that says it is in the evidence and fells nothing.
func TestCopiesOfWhatFell(t *testing.T) {
	f := newFamily(t, "copies")
	trainer := testSigner(t, "copies trainer")
	f.register("trainer", trainer, "scans/*")
	clean, model := testData(t, 31), testData(t, 32)
	cleanAt := f.run(trainer, []statement.Ref{f.rawRef()}, clean.output("scans/clean", "1"))
	copyAt := f.stamp(f.member, clean, "scans/copy", "1")
	modelAt := f.run(f.member, []statement.Ref{clean.ref("scans/copy", "1")}, model.output("scans/new", "1"))
	f.compromised(trainer, trainer, "trainer", cleanAt.Index)
	v := f.evidenceOf(copyAt, clean, "scans/copy")
	want(t, v, Verified)
	if v.Result(CheckNotTainted) != NotMade || !v.Story[0].Unknown || v.Story[0].Untrusted {
		t.Errorf("what a fallen key says makes an origin known: %s", v)
	}
	want(t, f.evidenceOf(modelAt, model, "scans/new"), Verified)
	f.withdraw(f.admin, f.rawRef(), statement.TargetContents, "")
	want(t, f.evidenceOf(copyAt, clean, "scans/copy"), Tainted, CheckNotTainted)
	want(t, f.evidenceOf(modelAt, model, "scans/new"), Tainted, CheckNotTainted)
	f.withdraw(f.admin, clean.ref("scans/clean", "1"), statement.TargetBinding, "")
	v = f.evidenceOf(copyAt, clean, "scans/copy")
	want(t, v, Untrusted, CheckStanding) // what does not count is beside it, and spoils it
	claim := Claim{Entry: copyAt.Index, Name: "scans/copy", Version: "1", Fingerprint: clean.fp, Lineage: true}
	want(t, Verify(must(Collect(f, f.checkpoint(), claim, nil)), f.policy(), Options{}), Verified)
}
