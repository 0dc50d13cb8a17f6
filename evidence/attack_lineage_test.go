package evidence

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/statement"
)

// One ancestor is left out of the evidence, whichever.
func TestAttackAncestorLeftOut(t *testing.T) {
	f := newFamily(t, "left out")
	good := f.whole()
	want(t, Verify(good, f.policy(), Options{}), Verified)
	for name, entry := range map[string]*Entry{"raw data": f.rawAt, "labels": f.labelsAt, "the collection": f.allAt, "the model": f.modelAt} {
		t.Run(name, func(t *testing.T) {
			g := without(good, entry.Index)
			if entry == f.modelAt {
				g.Attachments = nil
			}
			if len(g.Entries) != len(good.Entries)-1 {
				t.Fatal("a test that changes nothing")
			}
			v := Verify(g, f.policy(), Options{})
			want(t, v, Tampered, CheckLineage)
			if v.Result(CheckNotTainted) == Passed {
				t.Errorf("%s", v)
			}
		})
	}
	// What stands beside the lineage is not missed: nobody said it is all there.
	want(t, Verify(without(good, f.evaluated.Index), f.policy(), Options{}), Verified)

	// Of a collection itself, a member.
	claim := Claim{Entry: f.allAt.Index, Name: "scans/all", Version: "1", Fingerprint: f.all.Fingerprint, Lineage: true}
	all := must(Collect(f, f.checkpoint(), claim, nil, f.rawAt.Index, f.labelsAt.Index))
	want(t, Verify(all, f.policy(), Options{}), Verified)
	want(t, Verify(without(all, f.rawAt.Index), f.policy(), Options{}), Tampered, CheckLineage, CheckMembers)
}

// The withdrawal of an ancestor is left out of the evidence.
func TestAttackAncestorsWithdrawalLeftOut(t *testing.T) {
	f := newFamily(t, "withdrawn ancestor")
	w := f.withdraw(f.member, f.rawRef(), statement.TargetContents, "")
	f.stamp(f.member, testData(t, 77), "scans/later", "1")
	good := f.whole()
	v := Verify(good, f.policy(), Options{})
	want(t, v, Tainted, CheckNotTainted)
	if !strings.Contains(v.String(), "scans/small@1 (run, entry 6), made of scans/model@1 (run, entry 5), made of scans/all@1 (collection, entry 4), made of scans/raw@1: entry 10 by mara withdrew scans/raw@1 (effect no-new-use): a wrong label") {
		t.Errorf("%s", v)
	}
	for _, s := range v.Story {
		if (s.Taint != "") != (s.Bound && s.Depth < 3) || (s.Withdrawn != "") != (s.Bound && s.Name == "scans/raw") {
			t.Errorf("%+v", s)
		}
	}
	g := *good
	g.Control = slices.DeleteFunc(slices.Clone(good.Control), func(leaf []byte) bool { return must(ParseEntry(leaf)).Index == w.Index })
	if len(g.Control) != len(good.Control)-1 {
		t.Fatal("a test that changes nothing")
	}
	want(t, Verify(&g, f.policy(), Options{}), Tampered, CheckControl)

	// Of the name alone: a mistake, and no taint.
	other := newFamily(t, "mistaken ancestor")
	other.withdraw(other.member, other.rawRef(), statement.TargetBinding, "")
	other.withdraw(other.member, other.rawRef(), statement.TargetLocation, "s3://bucket/raw")
	want(t, Verify(other.whole(), other.policy(), Options{}), Verified)
}

// A reinstatement of a withdrawn ancestor is made up.
func TestAttackReinstatementInvented(t *testing.T) {
	f := newFamily(t, "invented")
	w := f.withdraw(f.admin, f.rawRef(), statement.TargetContents, "")
	want(t, Verify(f.whole(), f.policy(), Options{}), Tainted, CheckNotTainted)
	mallory := testSigner(t, "mallory")
	forged := func(by statement.Signer, signed *testLedger) *Entry {
		return &Entry{Index: f.size, Time: f.now + 1000, ControlCount: f.control.Count(), ControlRoot: f.control.Root(),
			Envelope: signed.sign(by, about(f.rawRef(), statement.Statement{Kind: statement.KindReinstatement,
				Reinstatement: &statement.Reinstatement{Withdrawal: w.Index, Reason: "it was right", After: w.Index}}))}
	}
	// Put among the control entries, where the log has none.
	g := f.whole()
	g.Control = append(g.Control, forged(f.admin, f.testLedger).Leaf())
	want(t, Verify(g, f.policy(), Options{}), Tampered, CheckControl)

	// In the log itself, by an operator who lets anybody say so.
	for name, by := range map[string]statement.Signer{"by somebody else": f.member, "by nobody who is registered": mallory} {
		t.Run(name, func(t *testing.T) {
			l := *f.testLedger
			l.leaves, l.listed = slices.Clone(l.leaves), slices.Clone(l.listed)
			e := forged(by, &l)
			l.put(e)
			l.listed = append(l.listed, e.Index)
			h := *f
			h.testLedger = &l
			want(t, Verify(h.whole(), l.policy(), Options{}), Untrusted, CheckControl)
		})
	}
	f.reinstate(f.admin, f.rawRef(), w.Index)
	v := Verify(f.whole(), f.policy(), Options{})
	want(t, v, Verified)
	if last := v.Story[len(v.Story)-1]; last.Says != fmt.Sprintf("the withdrawal in entry %d is ended: it was right", w.Index) {
		t.Errorf("%+v", v.Story)
	}
}

// An ancestor's entry is replaced by another that binds the same name.
func TestAttackAncestorReplaced(t *testing.T) {
	f := newFamily(t, "replaced")
	good := f.whole()
	// From another ledger of the same people and keys.
	other := newLedger(t, "replaced")
	other.stamp(other.member, testData(t, 66), "scans/raw", "1")
	other.stamp(other.member, testData(t, 67), "scans/x", "1")
	g := *good
	g.Entries = slices.Clone(good.Entries)
	g.Entries[0] = Proven{other.leaves[2], must(ProveInclusion(other.size, 2, other))}
	want(t, Verify(&g, f.policy(), Options{}), Tampered, CheckIncluded, CheckLineage)
	g.Entries[0].Proof = good.Entries[0].Proof
	want(t, Verify(&g, f.policy(), Options{}), Tampered, CheckIncluded, CheckLineage)
	// One that binds it to the very same bytes.
	other = newLedger(t, "replaced by the same")
	other.stamp(other.member, f.raw, "scans/raw", "1")
	g.Entries[0] = Proven{other.leaves[2], good.Entries[0].Proof}
	want(t, Verify(&g, f.policy(), Options{}), Tampered, CheckIncluded, CheckSignature, CheckStanding, CheckClaim)

	// By an operator who let the name be bound once more.
	again := f.stamp(f.member, testData(t, 66), "scans/raw", "1")
	twice := f.collect(f.claim(), append(f.entries(), again.Index)...)
	want(t, Verify(twice, f.policy(), Options{}), Tampered, CheckLineage)
	v := Verify(without(twice, f.rawAt.Index), f.policy(), Options{})
	want(t, v, Tampered, CheckLineage)
	if !strings.Contains(v.String(), "entry 10 binds that to "+testData(t, 66).fp.String()) {
		t.Errorf("%s", v)
	}
}

// A run names an input with another fingerprint than it was stamped with, and
// the operator let it.
func TestAttackInputsFingerprint(t *testing.T) {
	f := newFamily(t, "input")
	wrong := f.rawRef()
	wrong.Fingerprint = f.labels.fp
	out := testData(t, 8)
	e := f.run(f.member, []statement.Ref{wrong}, out.output("scans/odd", "1"))
	claim := Claim{Entry: e.Index, Name: "scans/odd", Version: "1", Fingerprint: out.fp, Lineage: true}
	want(t, Verify(must(Collect(f, f.checkpoint(), claim, nil, f.rawAt.Index)), f.policy(), Options{}), Tampered, CheckLineage)

	// Made of what was stamped only afterwards.
	late := testData(t, 9)
	out = testData(t, 10)
	e = f.run(f.member, []statement.Ref{late.ref("scans/late", "1")}, out.output("scans/early", "1"))
	bound := f.stamp(f.member, late, "scans/late", "1")
	claim = Claim{Entry: e.Index, Name: "scans/early", Version: "1", Fingerprint: out.fp, Lineage: true}
	want(t, Verify(must(Collect(f, f.checkpoint(), claim, nil, bound.Index)), f.policy(), Options{}), Tampered, CheckLineage)
}

// Whoever stamped an ancestor turns out to have lost the key.
func TestAttackAncestorsSigner(t *testing.T) {
	f := newFamily(t, "signer")
	thief := testSigner(t, "signer thief")
	f.register("theo", thief, "scans/*")
	data := testData(t, 30)
	at := f.stamp(thief, data, "scans/theirs", "1")
	model := testData(t, 31)
	run := f.run(f.member, []statement.Ref{data.ref("scans/theirs", "1"), f.rawRef()}, model.output("scans/model", "2"))
	claim := Claim{Entry: run.Index, Name: "scans/model", Version: "2", Fingerprint: model.fp, Lineage: true}
	verdict := func() *Verdict {
		return Verify(must(Collect(f, f.checkpoint(), claim, nil, at.Index, f.rawAt.Index)), f.policy(), Options{})
	}
	want(t, verdict(), Verified)
	f.identity(f.admin, statement.Identity{Action: statement.ActionCompromised, Handle: "theo", KeyID: thief.PublicKey().ID(), Since: at.Index})
	v := verdict()
	want(t, v, Untrusted, CheckStanding)
	if v.Exit() != 6 || v.Story[2].Standing != statement.StateCompromised {
		t.Errorf("%+v", v.Story)
	}
}

// Evidence is made without its lineage, for a model that has something to hide.
func TestAttackLineageDisowned(t *testing.T) {
	f := newFamily(t, "disowned")
	f.withdraw(f.member, f.rawRef(), statement.TargetContents, "")
	claim := f.claim()
	claim.Lineage = false
	alone := must(Collect(f, f.checkpoint(), claim, nil))
	want(t, Verify(alone, f.policy(), Options{}), Unknown, CheckLineage)
	// The stamp alone is asked for: nothing is said to be clean.
	v := Verify(alone, f.policy(), Options{StampOnly: true})
	want(t, v, Verified)
	if v.Result(CheckLineage) != NotMade || v.Result(CheckNotTainted) != NotMade {
		t.Errorf("%s", v)
	}
	// What is in the file counts, whatever the file claims to hold.
	all := must(Collect(f, f.checkpoint(), claim, nil, f.entries()...))
	want(t, Verify(all, f.policy(), Options{}), Tainted, CheckNotTainted)
	// The run's own inputs are in its entry: their withdrawal cannot be hidden.
	f.withdraw(f.member, f.modelRef(), statement.TargetContents, "")
	want(t, Verify(alone, f.policy(), Options{}), Unknown, CheckLineage) // of before the withdrawal
	alone = must(Collect(f, f.checkpoint(), claim, nil))
	want(t, Verify(alone, f.policy(), Options{}), Tainted, CheckLineage, CheckNotTainted)
	want(t, Verify(alone, f.policy(), Options{StampOnly: true}), Tainted, CheckNotTainted)
}

// A good file is stripped of its lineage: of all of it, or of what lies further
// back alone, with the flag left or taken out.
func TestAttackLineageStripped(t *testing.T) {
	f := newFamily(t, "stripped")
	good := f.whole()
	want(t, Verify(good, f.policy(), Options{}), Verified)
	strip := func(entries ...*Entry) *File {
		g := good
		for _, e := range entries {
			g = without(g, e.Index)
		}
		if len(g.Entries) != len(good.Entries)-len(entries) {
			t.Fatal("a test that changes nothing")
		}
		g.Attachments = nil
		g.Claim.Lineage = false
		return g
	}
	for name, entries := range map[string][]*Entry{
		"of all of it":                 {f.rawAt, f.labelsAt, f.allAt, f.modelAt, f.evaluated, f.approved, f.in},
		"of all but the nearest":       {f.rawAt, f.labelsAt, f.allAt},
		"of the data at the beginning": {f.rawAt},
		"of what is in the middle":     {f.allAt},
	} {
		t.Run(name, func(t *testing.T) {
			g := strip(entries...)
			v := VerifyBytes(must(g.Marshal()), f.policy(), Options{})
			want(t, v, Unknown, CheckLineage)
			if v.Exit() != 5 || v.Result(CheckNotTainted) != NotMade {
				t.Errorf("%d %s", v.Exit(), v)
			}
			v = Verify(g, f.policy(), Options{StampOnly: true})
			want(t, v, Verified)
			if v.Result(CheckLineage) != NotMade || v.Result(CheckNotTainted) != NotMade {
				t.Errorf("%s", v)
			}
			// The flag is put back: then what is missing was left out.
			g.Claim.Lineage = true
			want(t, Verify(g, f.policy(), Options{StampOnly: true}), Tampered, CheckLineage)
		})
	}
	// What names nothing loses nothing.
	claim := Claim{Entry: f.rawAt.Index, Name: "scans/raw", Version: "1", Fingerprint: f.raw.fp}
	want(t, Verify(must(Collect(f, f.checkpoint(), claim, nil)), f.policy(), Options{}), Verified)
}

// A proof about one artifact is passed off as one about another.
func TestAttackPathOfAnother(t *testing.T) {
	f := newFamily(t, "path of another")
	mallory := testData(t, 50)
	stranger := f.stamp(f.member, mallory, "scans/stranger", "1")
	file := func(paths ...PathClaim) *File {
		claim := f.claim()
		claim.Paths = paths
		return f.collect(claim, append(f.entries(), stranger.Index)...)
	}
	want(t, Verify(file(of(f.rawRef(), f.raw.path(t, "part-03.csv", true))), f.policy(), Options{}), Verified)
	for name, p := range map[string]PathClaim{
		"of another ancestor":             of(f.labelsRef(), f.raw.path(t, "part-03.csv", true)),
		"of the claim's own":              f.raw.path(t, "part-03.csv", true),
		"of what it was not made of":      of(mallory.ref("scans/stranger", "1"), mallory.path(t, "part-03.csv", true)),
		"of what is not in the file":      of(mallory.ref("scans/nowhere", "1"), mallory.path(t, "part-03.csv", true)),
		"of a collection":                 of(f.all, f.raw.path(t, "part-03.csv", true)),
		"its own bytes for an ancestor's": of(f.rawRef(), f.small.path(t, "part-03.csv", true)),
	} {
		t.Run(name, func(t *testing.T) {
			want(t, Verify(file(p), f.policy(), Options{}), Tampered, CheckPathPresent)
		})
	}
	// Of an ancestor that a run by somebody else made up.
	other := testSigner(t, "path of another, mallory")
	f.register("mallory", other, "scans/*")
	claimed := f.run(other, []statement.Ref{mallory.ref("scans/stranger", "1")}, before(f.smallRef()))
	claim := f.claim()
	claim.Paths = []PathClaim{of(mallory.ref("scans/stranger", "1"), mallory.path(t, "part-03.csv", true))}
	want(t, Verify(f.collect(claim, append(f.entries(), stranger.Index, claimed.Index)...), f.policy(), Options{}), Tampered, CheckPathPresent)

	r := f.raw.byteRange(t, "part-03.csv", 3, 9) // of the claim's own file of that name
	claim = f.claim()
	claim.Paths, claim.Ranges = []PathClaim{f.small.path(t, "part-03.csv", true)}, []RangeClaim{r}
	want(t, Verify(f.collect(claim, f.entries()...), f.policy(), Options{}), Tampered, CheckRange)
}

// Absence from everything is claimed, and proved of some ancestors alone.
func TestAttackAbsentFromSome(t *testing.T) {
	f := newFamily(t, "absent from some")
	const path = "raw/part-03.csv"
	claim := f.claim()
	claim.Absent = []string{path}
	all := []PathClaim{f.small.path(t, path, false), of(f.modelRef(), f.model.path(t, path, false)),
		of(f.rawRef(), f.raw.path(t, path, false)), of(f.labelsRef(), f.labels.path(t, path, false))}
	claim.Paths = all
	// The collection has it, as the member's part-03.csv.
	v := Verify(f.collect(claim, f.entries()...), f.policy(), Options{})
	want(t, v, Tampered, CheckAbsentFromAll)
	if !strings.Contains(v.String(), "no proof that it is absent from scans/all@1") {
		t.Errorf("%s", v)
	}
	claim.Paths = append(slices.Clone(all), of(f.rawRef(), f.raw.path(t, "part-03.csv", false)))
	want(t, Verify(f.collect(claim, f.entries()...), f.policy(), Options{}), Tampered, CheckPathAbsent, CheckAbsentFromAll)

	claim.Absent = []string{"patients.csv"}
	all = []PathClaim{f.small.path(t, "patients.csv", false), of(f.modelRef(), f.model.path(t, "patients.csv", false)),
		of(f.rawRef(), f.raw.path(t, "patients.csv", false)), of(f.labelsRef(), f.labels.path(t, "patients.csv", false))}
	claim.Paths = all
	want(t, Verify(f.collect(claim, f.entries()...), f.policy(), Options{}), Verified)
	for i := range all {
		claim.Paths = slices.Delete(slices.Clone(all), i, i+1)
		want(t, Verify(f.collect(claim, f.entries()...), f.policy(), Options{}), Tampered, CheckAbsentFromAll)
	}
	// Present in one of them: a proof of presence is none of absence.
	claim.Paths = all
	claim.Absent = []string{"part-03.csv"}
	claim.Paths = append(claim.Paths, of(f.rawRef(), f.raw.path(t, "part-03.csv", true)))
	want(t, Verify(f.collect(claim, f.entries()...), f.policy(), Options{}), Tampered, CheckAbsentFromAll)
}

// A rejection is left out of the evidence.
func TestAttackRejectionLeftOut(t *testing.T) {
	f := newFamily(t, "rejection left out")
	no := f.approve(f.admin, f.smallRef(), statement.DecisionReject, "it is unfair")
	f.approve(f.admin, f.smallRef(), statement.DecisionApprove, "")
	good := f.whole()
	want(t, Verify(good, f.policy(), Options{}), Verified)
	g := *good
	g.Control = slices.DeleteFunc(slices.Clone(good.Control), func(leaf []byte) bool { return must(ParseEntry(leaf)).Index == no.Index })
	want(t, Verify(&g, f.policy(), Options{}), Tampered, CheckControl)

	// By somebody who may not, in a log whose operator let it.
	forged := &Entry{Index: f.size, Time: f.now + 1000, ControlCount: f.control.Count(), ControlRoot: f.control.Root(),
		Envelope: f.sign(f.member, about(f.smallRef(), statement.Statement{Kind: statement.KindApproval,
			Approval: &statement.Approval{Stage: "production", Decision: statement.DecisionReject, Reason: "x", After: f.size - 1}}))}
	f.put(forged)
	f.listed = append(f.listed, forged.Index)
	want(t, Verify(f.whole(), f.policy(), Options{}), Untrusted, CheckControl)
}

// A lineage past all limits is refused, and does not stop the verifier: here
// runs with fifty outputs each, all of which the next takes in.
func TestAttackHugeLineage(t *testing.T) {
	if flipStride > 1 {
		t.Skip("too slow under the race detector")
	}
	l := newLedger(t, "huge")
	const wide = 50
	for _, c := range []struct {
		runs    int
		verdict Outcome
		failed  []string
	}{
		{200, Verified, nil},
		{MaxLineage/wide + 1, Tampered, []string{CheckLineage}},
	} {
		var inputs []statement.Ref
		var further []uint64
		n := 0
		for i := range c.runs {
			var outputs []statement.Output
			var next []statement.Ref
			for j := range wide {
				n++
				ref := statement.Ref{Name: "scans/huge", Version: fmt.Sprintf("%d-%d-%d", c.runs, i, j), Fingerprint: fake(n)}
				outputs = append(outputs, statement.Output{Ref: ref, Stamp: &statement.Stamp{Kind: statement.ArtifactOther, Files: 1}})
				next = append(next, ref)
			}
			further = append(further, l.run(l.member, inputs, outputs...).Index)
			inputs = next
		}
		claim := Claim{Entry: further[len(further)-1], Name: inputs[0].Name, Version: inputs[0].Version, Fingerprint: inputs[0].Fingerprint, Lineage: true}
		f := must(Collect(l, l.checkpoint(), claim, nil, further...))
		v := Verify(f, l.policy(), Options{})
		want(t, v, c.verdict, c.failed...)
		if c.verdict != Verified && v.Result(CheckNotTainted) != NotMade {
			t.Errorf("%s", v)
		}
	}
}

// Everything in the file has the same bytes, so that each entry would count for
// each artifact: it is refused before it costs anything.
func TestAttackManyCopies(t *testing.T) {
	if testing.Short() {
		t.Skip("it makes a lineage of 4,900 artifacts")
	}
	l := newLedger(t, "copies")
	const wide, runs = 49, 100
	d := testData(t, 1)
	var inputs []statement.Ref
	var further []uint64
	for i := range runs {
		var outputs []statement.Output
		var next []statement.Ref
		for j := range wide {
			o := d.output("scans/copy", fmt.Sprintf("%d-%d", i, j))
			outputs = append(outputs, o)
			next = append(next, o.Ref)
		}
		further = append(further, l.run(l.member, inputs, outputs...).Index)
		inputs = next
	}
	claim := Claim{Entry: further[runs-1], Name: inputs[0].Name, Version: inputs[0].Version, Fingerprint: d.fp, Lineage: true,
		Paths: []PathClaim{d.path(t, "part-03.csv", true)}}
	v := Verify(must(Collect(l, l.checkpoint(), claim, nil, further...)), l.policy(), Options{})
	want(t, v, Tampered, CheckLineage)
	if v.Result(CheckNotTainted) != NotMade || v.Result(CheckPathPresent) != Passed {
		t.Errorf("%s", v)
	}
	// A few copies are as good as any lineage.
	claim.Entry, claim.Version = further[2], "2-0"
	want(t, Verify(must(Collect(l, l.checkpoint(), claim, nil, further[:3]...)), l.policy(), Options{}), Verified)
}

// Nothing but a digest of the right length: no artifact's files.
func TestAttackPathOfACollectionItself(t *testing.T) {
	f := newFamily(t, "collection itself")
	claim := Claim{Entry: f.allAt.Index, Name: "scans/all", Version: "1", Fingerprint: f.all.Fingerprint, Lineage: true,
		Paths: []PathClaim{f.raw.path(t, "part-03.csv", true)}}
	want(t, Verify(must(Collect(f, f.checkpoint(), claim, nil, f.rawAt.Index, f.labelsAt.Index)), f.policy(), Options{}), Tampered, CheckPathPresent)
	if f.all.Fingerprint.Algorithm != fingerprint.SHA256 {
		t.Fatal("another hash")
	}
}
