package evidence

import (
	"slices"
	"strings"
	"testing"

	"github.com/stele-ml/stele/statement"
)

// release says that an artifact joins a stage or leaves it.
func (l *testLedger) release(by statement.Signer, ref statement.Ref, stage, action string, replaces ...statement.Ref) *Entry {
	return l.say(by, about(ref, statement.Statement{Kind: statement.KindRelease,
		Release: &statement.Release{Stage: stage, Action: action, Replaces: replaces, After: l.size - 1}}))
}

// TestReleased: whoever asks about a stage learns whether the file has a release
// to it, and nothing that ended it.
func TestReleased(t *testing.T) {
	f := newFamily(t, "released")
	model, small := f.modelRef(), f.smallRef()
	ask := func(g *File, stage string) *Verdict {
		t.Helper()
		return Verify(g, f.policy(), Options{Stage: stage})
	}
	with := func(entries ...*Entry) *File {
		t.Helper()
		further := slices.DeleteFunc(f.entries(), func(i uint64) bool { return i == f.in.Index })
		for _, e := range entries {
			further = append(further, e.Index)
		}
		return f.collect(f.claim(), further...)
	}

	v := ask(with(), "production")
	want(t, v, Unknown, CheckReleased)
	if v.Release != nil {
		t.Errorf("%+v", v.Release)
	}
	// Whoever does not ask has no such check.
	v = ask(with(), "")
	want(t, v, Verified)
	for _, c := range v.Checks {
		if c.Name == CheckReleased {
			t.Errorf("%+v", c)
		}
	}

	staged := f.release(f.admin, small, "staging", statement.ActionJoin)
	other := f.release(f.admin, model, "production", statement.ActionJoin)
	want(t, ask(with(staged, other), "production"), Unknown, CheckReleased)
	want(t, ask(with(staged, other), "staging"), Verified)

	joined := f.release(f.admin, small, "production", statement.ActionJoin, model)
	v = ask(with(staged, other, joined), "production")
	want(t, v, Verified)
	if r := v.Release; r == nil || r.Entry != joined.Index || r.Stage != "production" || r.Time != joined.Time || r.Handle == "" {
		t.Errorf("%+v", v.Release)
	}

	left := f.release(f.admin, small, "production", statement.ActionLeave)
	v = ask(with(joined, left), "production")
	want(t, v, Unknown, CheckReleased)
	if v.Release != nil || !strings.Contains(v.String(), "took scans/small@1 out of production") {
		t.Errorf("%s", v)
	}
	// Who hands the file on can leave that out: it is no control entry, and the
	// check says what it rests on.
	v = ask(with(joined), "production")
	want(t, v, Verified)
	if !strings.Contains(v.String(), "whether it has left since, only the ledger tells") {
		t.Errorf("%s", v)
	}

	again := f.release(f.admin, small, "production", statement.ActionJoin)
	v = ask(with(joined, left, again), "production")
	want(t, v, Verified)
	if v.Release == nil || v.Release.Entry != again.Index {
		t.Errorf("%+v", v.Release)
	}
	replaced := f.release(f.admin, model, "production", statement.ActionJoin, small)
	want(t, ask(with(joined, left, again, replaced), "production"), Unknown, CheckReleased)
	want(t, ask(with(joined, left, again, replaced), "staging"), Unknown, CheckReleased)
	want(t, ask(with(staged, replaced), "staging"), Verified)
}

// TestAttackerReleases: a release whose signer may not release, or has no
// standing, or that was not admitted, is none.
func TestAttackerReleases(t *testing.T) {
	f := newFamily(t, "forged release")
	forged := f.release(f.member, f.smallRef(), "production", statement.ActionJoin) // a member without the role
	g := f.collect(f.claim(), append(f.entries(), forged.Index)...)
	v := Verify(g, f.policy(), Options{Stage: "production"})
	want(t, v, Untrusted, CheckStanding)

	f = newFamily(t, "release of another name")
	joined := f.release(f.admin, f.smallRef(), "production", statement.ActionJoin)
	g = f.collect(f.claim(), append(f.entries(), joined.Index)...)
	want(t, Verify(g, f.policy(), Options{Stage: "production"}), Verified)
	g.Entries = append([]Proven(nil), g.Entries...)
	last := len(g.Entries) - 1
	g.Entries[last].Leaf = append([]byte(nil), g.Entries[last].Leaf...)
	g.Entries[last].Leaf[len(g.Entries[last].Leaf)-1] ^= 1 // of the signature
	if v := Verify(g, f.policy(), Options{Stage: "production"}); v.Verdict == Verified {
		t.Errorf("%s", v)
	}
}
