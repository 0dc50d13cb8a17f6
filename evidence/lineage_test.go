package evidence

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/statement"
)

// stampOf is what an entry stamps the data with.
func (d *data) stampOf(kind string) *statement.Stamp {
	return &statement.Stamp{Kind: kind, Files: d.sum.Files, Bytes: d.sum.Bytes, Basis: statement.Basis{Read: d.sum.Bytes}}
}

func (d *data) output(name, version string) statement.Output {
	return statement.Output{Ref: d.ref(name, version), Stamp: d.stampOf(statement.ArtifactModel)}
}

// before is an output that was stamped before.
func before(ref statement.Ref) statement.Output { return statement.Output{Ref: ref} }

// running is the statement that a run made outputs of inputs.
func running(inputs []statement.Ref, outputs ...statement.Output) *statement.Statement {
	exit := uint64(0)
	byName := func(a, b statement.Ref) int { return strings.Compare(a.String(), b.String()) }
	inputs = slices.SortedFunc(slices.Values(inputs), byName)
	outputs = slices.SortedFunc(slices.Values(outputs), func(a, b statement.Output) int { return byName(a.Ref, b.Ref) })
	return &statement.Statement{Kind: statement.KindRun, Run: &statement.Run{
		Observation: statement.ObservationWrapped, Exit: &exit, Inputs: inputs, Outputs: outputs, Started: 1789990000000, Finished: 1789990060000,
	}}
}

func (l *testLedger) run(s statement.Signer, inputs []statement.Ref, outputs ...statement.Output) *Entry {
	l.t.Helper()
	return l.say(s, running(inputs, outputs...))
}

// about is a statement about one artifact.
func about(ref statement.Ref, st statement.Statement) *statement.Statement {
	st.Subject = []statement.Subject{ref.Subject()}
	return &st
}

func (l *testLedger) approve(by statement.Signer, ref statement.Ref, decision, reason string) *Entry {
	l.t.Helper()
	return l.say(by, about(ref, statement.Statement{Kind: statement.KindApproval,
		Approval: &statement.Approval{Stage: "production", Decision: decision, Reason: reason, After: l.size - 1}}))
}

// family is a ledger with a lineage: raw and labels make up a collection, of
// which a run made a model, of which another made a smaller one, which was
// evaluated, approved and released.
type family struct {
	*testLedger
	raw, labels, model, small        *data
	rawAt, labelsAt, allAt, modelAt  *Entry
	smallAt, evaluated, approved, in *Entry
	all                              statement.Ref
	modelDoc                         []byte
}

func newFamily(t testing.TB, label string) *family {
	t.Helper()
	l := newLedger(t, label)
	f := &family{testLedger: l, raw: testData(t, 1), labels: testData(t, 2), model: testData(t, 3), small: testData(t, 4)}
	f.rawAt = l.stamp(l.member, f.raw, "scans/raw", "1")
	f.labelsAt = l.stamp(l.member, f.labels, "scans/labels", "1")
	st, ref := collecting("scans/all", "1", f.labels.member("labels", "scans/labels", "1"), f.raw.member("raw", "scans/raw", "1"))
	f.allAt, f.all = l.say(l.member, st), ref
	details := statement.Details{Salt: sha256.Sum256([]byte("salt")), Command: []string{"python", "train.py"}, Parameters: map[string]string{"rate": "0.1"}}
	f.modelDoc = must(details.Marshal())
	run := running([]statement.Ref{ref}, f.model.output("scans/model", "1"))
	at := statement.AttachmentOf(f.modelDoc)
	run.Run.Details = &at
	run.Run.Code = &statement.Code{Remote: "https://git.example/scans.git", Commit: "1f6a0e3c52f0d8a44a1f4cf30c7b7a86f5e0ad11"}
	f.modelAt = l.say(l.member, run)
	f.smallAt = l.run(l.member, []statement.Ref{f.modelRef()}, f.small.output("scans/small", "1"))
	f.evaluated = l.say(l.member, about(f.smallRef(), statement.Statement{Kind: statement.KindEvaluation,
		Evaluation: &statement.Evaluation{Metrics: map[string]statement.Decimal{"accuracy": "0.97"}, Datasets: []statement.Ref{f.labelsRef()}}}))
	f.approved = l.approve(l.admin, f.smallRef(), statement.DecisionApprove, "")
	f.in = l.say(l.admin, about(f.smallRef(), statement.Statement{Kind: statement.KindRelease,
		Release: &statement.Release{Stage: "production", Action: statement.ActionJoin, After: l.size - 1}}))
	return f
}

func (f *family) rawRef() statement.Ref    { return f.raw.ref("scans/raw", "1") }
func (f *family) labelsRef() statement.Ref { return f.labels.ref("scans/labels", "1") }
func (f *family) modelRef() statement.Ref  { return f.model.ref("scans/model", "1") }
func (f *family) smallRef() statement.Ref  { return f.small.ref("scans/small", "1") }

// claim is that of the small model with its lineage.
func (f *family) claim() Claim {
	return Claim{Entry: f.smallAt.Index, Name: "scans/small", Version: "1", Fingerprint: f.small.fp, Lineage: true}
}

// entries are those of the lineage, and those beside it.
func (f *family) entries() []uint64 {
	return []uint64{f.rawAt.Index, f.labelsAt.Index, f.allAt.Index, f.modelAt.Index, f.evaluated.Index, f.approved.Index, f.in.Index}
}

func (f *family) collect(claim Claim, further ...uint64) *File {
	f.t.Helper()
	file, err := Collect(f, f.checkpoint(), claim, [][]byte{f.modelDoc}, further...)
	if err != nil {
		f.t.Fatal(err)
	}
	return file
}

// whole is the evidence of the whole lineage.
func (f *family) whole() *File {
	f.t.Helper()
	return f.collect(f.claim(), f.entries()...)
}

// of makes a path claim one about an ancestor.
func of(ref statement.Ref, p PathClaim) PathClaim {
	p.Of = ref.String()
	return p
}

// without leaves an entry out.
func without(f *File, entry uint64) *File {
	g := *f
	g.Entries = slices.DeleteFunc(slices.Clone(f.Entries), func(p Proven) bool { return must(ParseEntry(p.Leaf)).Index == entry })
	return &g
}

// sampleLineage is evidence of a lineage with one of everything.
func sampleLineage(t testing.TB) (*family, *File) {
	t.Helper()
	f := newFamily(t, "lineage")
	claim := f.claim()
	claim.Absent = []string{"patients.csv", "raw/part-09.csv"}
	claim.Paths = []PathClaim{of(f.rawRef(), f.raw.path(t, "part-03.csv", true)), f.small.path(t, "part-00.csv", true)}
	for _, path := range claim.Absent {
		claim.Paths = append(claim.Paths, f.small.path(t, path, false), of(f.modelRef(), f.model.path(t, path, false)),
			of(f.rawRef(), f.raw.path(t, path, false)), of(f.labelsRef(), f.labels.path(t, path, false)))
	}
	// Of raw/part-09.csv, the collection has it in the member raw.
	claim.Paths = append(claim.Paths, of(f.rawRef(), f.raw.path(t, "part-09.csv", false)))
	r := f.raw.byteRange(t, "part-03.csv", 3, 9)
	r.Of = "scans/raw@1"
	claim.Ranges = []RangeClaim{r}
	return f, f.collect(claim, f.entries()...)
}

func TestLineage(t *testing.T) {
	f, file := sampleLineage(t)
	data := must(file.Marshal())
	v := VerifyBytes(data, f.policy(), Options{Contents: &Contents{Fingerprint: f.small.fp, Files: f.small.sum.Files, Bytes: f.small.sum.Bytes}})
	want(t, v, Verified)
	for _, name := range []string{CheckLineage, CheckNotTainted, CheckPathPresent, CheckPathAbsent, CheckAbsentFromAll, CheckRange, CheckContents, CheckAttachments} {
		if v.Result(name) != Passed {
			t.Errorf("%s: %s", name, v.Result(name))
		}
	}
	for _, text := range []string{
		"105 bytes, by the run in entry 6",
		"all that scans/small@1 was made of is here, as the entries say: 4 artifacts",
		"none of the 4 artifacts that scans/small@1 was made of is withdrawn",
		`"part-03.csv" is among the files of scans/raw@1`,
		`"patients.csv" is in no artifact here: 4 have files`,
		`"raw/part-09.csv" is in no artifact here: 4 have files`,
	} {
		if !strings.Contains(v.String(), text) {
			t.Errorf("%q is not in the verdict:\n%s", text, v)
		}
	}

	var told []string
	for _, s := range v.Story {
		told = append(told, fmt.Sprintf("%d %s@%s %d %s %s %s: %s %v", s.Depth, s.Name, s.Version, s.Entry, s.Kind, s.Handle, s.Standing, s.Says, s.Inputs))
	}
	wanted := []string{
		"0 scans/small@1 6 run mara good: model, 5 files, 105 B, by a wrapped run [scans/model@1]",
		"0 scans/small@1 7 evaluation mara good: accuracy 0.97, on scans/labels@1 []",
		"0 scans/small@1 8 approval ada good: approved for production []",
		"0 scans/small@1 9 release ada good: joined production []",
		"1 scans/model@1 5 run mara good: model, 5 files, 105 B, by a wrapped run, code 1f6a0e3c52f0 [scans/all@1]",
		"2 scans/all@1 4 stamp mara good: dataset, 10 files, 210 B, a collection of 2 artifacts [scans/labels@1 scans/raw@1]",
		"3 scans/labels@1 3 stamp mara good: dataset, 5 files, 105 B []",
		"3 scans/raw@1 2 stamp mara good: dataset, 5 files, 105 B []",
	}
	if !slices.Equal(told, wanted) {
		t.Errorf("the story is\n%s\nwant\n%s", strings.Join(told, "\n"), strings.Join(wanted, "\n"))
	}
	if run := v.Story[4]; !slices.Equal(run.Command, []string{"python", "train.py"}) || run.Parameters["rate"] != "0.1" {
		t.Errorf("the details of the run: %+v", run)
	}
	b := must(json.Marshal(v))
	if !strings.Contains(string(b), `"story":[{"entry":6,"time":`) || !strings.Contains(string(b), `"of":"scans/raw@1"`) {
		t.Errorf("%s", b)
	}
	if again := must(Parse(data)); !bytes.Equal(must(again.Marshal()), data) {
		t.Error("written differently")
	}
}

// The members' stamps are in the evidence of a collection's lineage: they are
// checked as on a ledger.
func TestMembersOffline(t *testing.T) {
	f := newFamily(t, "members")
	days := testData(t, 9)
	f.stamp(f.member, days, "scans/day", "9")
	st, ref := collecting("scans/more", "1", days.member("day", "scans/day", "9"),
		statement.CollectionMember{Prefix: "old", Ref: f.all, Files: 10, Bytes: 210})
	at := f.say(f.member, st)
	claim := Claim{Entry: at.Index, Name: "scans/more", Version: "1", Fingerprint: ref.Fingerprint, Lineage: true}
	further := append(f.entries()[:3], at.Index-1)
	collect := func() *File { return must(Collect(f, f.checkpoint(), claim, nil, further...)) }
	v := Verify(collect(), f.policy(), Options{})
	want(t, v, Verified)
	if v.Result(CheckMembers) != Passed || !strings.Contains(v.String(), "4 members: stamped as the collection says") {
		t.Errorf("%s", v)
	}
	claim.Paths = []PathClaim{of(days.ref("scans/day", "9"), days.path(t, "part-01.csv", true))}
	want(t, Verify(collect(), f.policy(), Options{}), Verified)
	claim.Absent = []string{"old/raw/part-09.csv"}
	for _, m := range []struct {
		d   *data
		ref statement.Ref
	}{{days, days.ref("scans/day", "9")}, {f.raw, f.rawRef()}, {f.labels, f.labelsRef()}} {
		claim.Paths = append(claim.Paths, of(m.ref, m.d.path(t, "old/raw/part-09.csv", false)))
	}
	claim.Paths = append(claim.Paths, of(f.rawRef(), f.raw.path(t, "raw/part-09.csv", false)))
	want(t, Verify(collect(), f.policy(), Options{}), Tampered, CheckAbsentFromAll)
	claim.Paths = append(claim.Paths, of(f.rawRef(), f.raw.path(t, "part-09.csv", false)))
	v = Verify(collect(), f.policy(), Options{})
	want(t, v, Verified)

	bare := claim
	bare.Lineage, bare.Absent, bare.Paths = false, nil, nil
	want(t, Verify(must(Collect(f, f.checkpoint(), bare, nil)), f.policy(), Options{}), Unknown, CheckLineage)
	v = Verify(must(Collect(f, f.checkpoint(), bare, nil)), f.policy(), Options{StampOnly: true})
	want(t, v, Verified)
	if v.Result(CheckMembers) != NotMade {
		t.Errorf("%s", v)
	}

	// The name of a member's member was a mistake.
	f.withdraw(f.member, f.rawRef(), statement.TargetBinding, "")
	v = Verify(collect(), f.policy(), Options{})
	want(t, v, Withdrawn, CheckMembers)
	// Its contents: one deep it is a member's, two deep it taints.
	f.withdraw(f.member, f.rawRef(), statement.TargetContents, "")
	want(t, Verify(collect(), f.policy(), Options{}), Withdrawn, CheckNotTainted, CheckMembers)
}

// What is recorded of bytes under another name, or only later, counts as on the
// ledger, and what does not count is told with why.
func TestLineageOfLateRuns(t *testing.T) {
	f := newFamily(t, "late")
	mallory := testSigner(t, "late mallory")
	f.register("mallory", mallory, "scans/*")
	bare := testData(t, 8)
	stamped := f.stamp(f.member, bare, "scans/bare", "1")
	claim := Claim{Entry: stamped.Index, Name: "scans/bare", Version: "1", Fingerprint: bare.fp, Lineage: true}
	verdict := func(further ...uint64) *Verdict {
		return Verify(must(Collect(f, f.checkpoint(), claim, nil, further...)), f.policy(), Options{})
	}
	v := verdict()
	want(t, v, Verified)
	if v.Result(CheckLineage) != Passed || v.Result(CheckNotTainted) != NotMade || !strings.Contains(v.String(), "unknown, and not clean") {
		t.Errorf("no origin: %s", v)
	}

	// Somebody else claims that it was made of withdrawn data: told, and for nothing.
	f.withdraw(f.admin, f.rawRef(), statement.TargetContents, "")
	claimed := f.run(mallory, []statement.Ref{f.rawRef()}, before(bare.ref("scans/bare", "1")))
	v = verdict(claimed.Index)
	want(t, v, Verified)
	if last := v.Story[len(v.Story)-1]; last.Discounted != "claimed by mallory, who did not stamp it" || last.Entry != claimed.Index {
		t.Errorf("%+v", v.Story)
	}
	// Whoever stamped it says so: it counts, and what it names must be there.
	said := f.run(f.member, []statement.Ref{f.rawRef()}, before(bare.ref("scans/bare", "1")))
	want(t, verdict(said.Index), Tampered, CheckLineage, CheckNotTainted)
	v = verdict(said.Index, f.rawAt.Index)
	want(t, v, Tainted, CheckNotTainted)
	if v.Exit() != 4 || v.Taint.Effect() != statement.EffectNoNewUse {
		t.Errorf("%d %+v", v.Exit(), v.Taint)
	}

	// The same bytes under another name, bound later: the origin follows them.
	clean := f.stamp(mallory, bare, "scans/clean", "1")
	claim = Claim{Entry: clean.Index, Name: "scans/clean", Version: "1", Fingerprint: bare.fp, Lineage: true}
	v = verdict(stamped.Index, said.Index, f.rawAt.Index)
	want(t, v, Tainted, CheckNotTainted)
	var told []string
	for _, s := range v.Story {
		told = append(told, fmt.Sprintf("%s@%s %d %s %s %v", s.Name, s.Version, s.Entry, s.Kind, s.Of, s.Inputs))
	}
	wanted := fmt.Sprintf("[scans/clean@1 %d stamp  [] scans/clean@1 %d run scans/bare@1 [scans/raw@1] scans/raw@1 2 stamp  [] scans/raw@1 %d withdrawal  []]",
		clean.Index, said.Index, claimed.Index-1)
	if fmt.Sprint(told) != wanted {
		t.Errorf("the story of a copy is\n%s\nwant\n%s", told, wanted)
	}
}

func TestSize(t *testing.T) {
	for n, text := range map[uint64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 3893: "3.8 KiB", 1<<20 - 1: "1.0 MiB", 300 << 30: "300 GiB", 1<<64 - 1: "16.0 EiB"} {
		if got := size(n); got != text {
			t.Errorf("%d: %s, want %s", n, got, text)
		}
	}
}

// A cycle, which late runs over old stamps can make, ends like any lineage.
func TestAttackCycle(t *testing.T) {
	l := newLedger(t, "cycle")
	a, b := testData(t, 1), testData(t, 2)
	aAt := l.stamp(l.member, a, "scans/a", "1")
	bAt := l.stamp(l.member, b, "scans/b", "1")
	ra, rb := a.ref("scans/a", "1"), b.ref("scans/b", "1")
	one := l.run(l.member, []statement.Ref{ra}, before(rb))
	two := l.run(l.member, []statement.Ref{rb}, before(ra))
	claim := Claim{Entry: aAt.Index, Name: "scans/a", Version: "1", Fingerprint: a.fp, Lineage: true, Absent: []string{"x"},
		Paths: []PathClaim{a.path(t, "x", false), of(rb, b.path(t, "x", false))}}
	verdict := func() *Verdict {
		return Verify(must(Collect(l, l.checkpoint(), claim, nil, bAt.Index, one.Index, two.Index)), l.policy(), Options{})
	}
	v := verdict()
	want(t, v, Verified)
	if len(v.Story) != 4 {
		t.Errorf("%+v", v.Story)
	}
	l.withdraw(l.member, rb, statement.TargetContents, "")
	v = verdict()
	want(t, v, Tainted, CheckNotTainted)
	if v.Story[0].Taint == "" || v.Story[0].Withdrawn != "" {
		t.Errorf("%+v", v.Story[0])
	}
	if b := v.Story[len(v.Story)-2]; b.Entry != one.Index {
		t.Errorf("%+v", v.Story)
	}
	claim = Claim{Entry: bAt.Index, Name: "scans/b", Version: "1", Fingerprint: b.fp, Lineage: true}
	v = Verify(must(Collect(l, l.checkpoint(), claim, nil, aAt.Index, one.Index, two.Index)), l.policy(), Options{})
	want(t, v, Withdrawn, CheckNotWithdrawn) // and not tainted by itself
}

func TestRejections(t *testing.T) {
	f := newFamily(t, "rejections")
	approver := testSigner(t, "rejections approver")
	at := f.say(f.admin, &statement.Statement{Kind: statement.KindIdentity, Identity: &statement.Identity{
		Action: statement.ActionRegister, Handle: "rita", Key: approver.PublicKey(), Roles: []string{statement.RoleApprover}}})
	no := f.approve(approver, f.smallRef(), statement.DecisionReject, "it is unfair")
	list := f.control.Rejections(f.smallRef(), "production")
	if len(list) != 1 || list[0].Entry != no.Index || list[0].Reason != "it is unfair" || list[0].Handle != "rita" || list[0].Void != "" {
		t.Fatalf("%+v", list)
	}
	if n := len(f.control.Rejections(f.small.ref("scans/copy", "2"), "")); n != 1 {
		t.Errorf("%d rejections of the same bytes", n)
	}
	if n := len(f.control.Rejections(f.smallRef(), "canary")) + len(f.control.Rejections(f.modelRef(), "")); n != 0 {
		t.Errorf("%d rejections of others", n)
	}
	was := f.control.Clone()
	v := Verify(f.whole(), f.policy(), Options{})
	want(t, v, Verified)
	if last := v.Story[4]; last.Says != "rejected for production: it is unfair" || last.Handle != "rita" {
		t.Errorf("%+v", v.Story)
	}
	f.identity(f.admin, statement.Identity{Action: statement.ActionCompromised, Handle: "rita", KeyID: approver.PublicKey().ID(), Since: at.Index + 1})
	if list := f.control.Rejections(f.smallRef(), ""); len(list) != 1 || !strings.Contains(list[0].Void, "compromised") {
		t.Errorf("%+v", list)
	}
	if list := was.Rejections(f.smallRef(), ""); len(list) != 1 || list[0].Void != "" {
		t.Errorf("the clone changed: %+v", list)
	}
	v = Verify(f.whole(), f.policy(), Options{})
	want(t, v, Verified)
	if v.Story[4].Standing != statement.StateCompromised {
		t.Errorf("%+v", v.Story[4])
	}
}

// Members of a claim that have one spelling have no other.
func TestClaimHasOneEncoding(t *testing.T) {
	f := newFamily(t, "spelling")
	claim := f.claim()
	claim.Absent = []string{"a", "b"}
	claim.Paths = []PathClaim{f.small.path(t, "part-00.csv", true), of(f.rawRef(), f.raw.path(t, "part-03.csv", true))}
	good := f.collect(claim, f.entries()...)
	data := must(good.Marshal())
	if _, err := Parse(data); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string][2]string{
		"no lineage, written":    {`,"lineage":true,"absent":["a","b"]`, `,"lineage":false`},
		"no absent path":         {`,"absent":["a","b"]`, `,"absent":[]`},
		"absent out of order":    {`["a","b"]`, `["b","a"]`},
		"absent twice":           {`["a","b"]`, `["a","a"]`},
		"absent, and no lineage": {`,"lineage":true`, ``},
		"of nothing":             {`{"path":"part-00.csv"`, `{"of":"","path":"part-00.csv"`},
		"of the claim's own":     {`{"path":"part-00.csv"`, `{"of":"scans/small@1","path":"part-00.csv"`},
		"of what is no name":     {`"of":"scans/raw@1"`, `"of":"Scans/raw@1"`},
	} {
		t.Run(name, func(t *testing.T) {
			b := bytes.Replace(data, []byte(c[0]), []byte(c[1]), 1)
			if bytes.Equal(b, data) {
				t.Fatal("a test that changes nothing")
			}
			if _, err := Parse(resummed(b)); !errors.Is(err, ErrFormat) {
				t.Errorf("%v", err)
			}
		})
	}
	for name, change := range map[string]func(c *Claim){
		"of an ancestor, and no lineage": func(c *Claim) { c.Lineage, c.Absent = false, nil },
		"artifacts out of order":         func(c *Claim) { slices.Reverse(c.Paths) },
		"too many absent paths": func(c *Claim) {
			c.Absent = nil
			for i := range MaxAbsent + 1 {
				c.Absent = append(c.Absent, fmt.Sprintf("%06d", i))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := must(Parse(data))
			change(&g.Claim)
			if _, err := g.Marshal(); !errors.Is(err, ErrFormat) {
				t.Errorf("%v", err)
			}
			want(t, Verify(g, f.policy(), Options{}), Tampered, CheckFormat)
		})
	}
}

// fake is a fingerprint of nothing that exists.
func fake(n int) fingerprint.Fingerprint {
	return fingerprint.Fingerprint{Algorithm: fingerprint.SHA256, Sum: fingerprint.Digest(sha256.Sum256(binary.BigEndian.AppendUint64(nil, uint64(n))))}
}

// What comes of it does not depend on how many cores check.
func TestVerifyOnAllCores(t *testing.T) {
	f, file := sampleLineage(t)
	flip := must(Parse(must(file.Marshal())))
	flip.Entries[3].Leaf[len(flip.Entries[3].Leaf)-1] ^= 1
	broken := must(Parse(must(file.Marshal())))
	broken.Entries[2].Leaf, broken.Entries[5].Leaf = []byte("x"), nil
	for _, g := range []*File{file, without(file, f.allAt.Index), flip, broken} {
		one := must(json.Marshal(Verify(g, f.policy(), Options{})))
		for range 3 {
			if all := must(json.Marshal(Verify(g, f.policy(), Options{Each: onAllCores}))); !bytes.Equal(one, all) {
				t.Errorf("on one core\n%s\non all\n%s", one, all)
			}
		}
	}
}

// Documents of every entry go along: details of runs, of what they made, of
// evaluations, and what was imported.
func TestLineageDocuments(t *testing.T) {
	f := newFamily(t, "documents")
	doc := func(what string) ([]byte, *statement.Attachment) {
		data := must((&statement.Details{Salt: sha256.Sum256([]byte(what)), Host: what}).Marshal())
		at := statement.AttachmentOf(data)
		return data, &at
	}
	runDoc, runAt := doc("run")
	outDoc, outAt := doc("output")
	evalDoc, evalAt := doc("evaluation")
	foreign := []byte(`{"a model signature":true}`)
	out := testData(t, 40).output("scans/documented", "1")
	out.Stamp.Details = outAt
	st := running([]statement.Ref{f.modelRef()}, out)
	st.Run.Details = runAt
	run := f.say(f.member, st)
	evaluated := f.say(f.member, about(out.Ref, statement.Statement{Kind: statement.KindEvaluation, Evaluation: &statement.Evaluation{
		Metrics: map[string]statement.Decimal{"auc": "0.5"}, Datasets: []statement.Ref{f.labelsRef()}, Details: evalAt}}))
	imported := f.say(f.member, about(out.Ref, statement.Statement{Kind: statement.KindImport, Import: &statement.Import{
		Format: statement.ImportOMS, PredicateType: "https://model_signing/signature/v1.0", Document: statement.AttachmentOf(foreign),
		Key: statement.ImportKey{Method: statement.ImportByKey, SHA256: [32]byte{1}}, Hash: "sha256", Resources: 3}}))
	claim := Claim{Entry: run.Index, Name: out.Ref.Name, Version: out.Ref.Version, Fingerprint: out.Ref.Fingerprint, Lineage: true}
	further := append(f.entries()[:4], evaluated.Index, imported.Index)
	all := [][]byte{runDoc, outDoc, evalDoc, foreign, f.modelDoc}
	verdict := func(documents ...[]byte) *Verdict {
		return Verify(must(Collect(f, f.checkpoint(), claim, documents, further...)), f.policy(), Options{})
	}
	v := verdict(all...)
	want(t, v, Verified)
	if !strings.Contains(v.String(), "attachments: 5 documents as the entries say\n") {
		t.Errorf("%s", v)
	}
	if s := v.Story[2]; s.Kind != statement.KindImport || !strings.HasPrefix(s.Says, "a model signature of 3 files, by the key sha256:01") {
		t.Errorf("%+v", s)
	}
	for i := range all {
		v := verdict(slices.Delete(slices.Clone(all), i, i+1)...)
		want(t, v, Verified)
		if !strings.Contains(v.String(), "attachments: 4 documents as the entries say; left out: 1\n") {
			t.Errorf("%s", v)
		}
	}
}
