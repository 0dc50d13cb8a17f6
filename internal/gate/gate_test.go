package gate_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/gate"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/report"
	"github.com/stele-ml/stele/statement"
)

// room is a ledger in memory and somebody who trusts its log.
type room struct {
	*ledgertest.Ledger
	policy *evidence.Policy
	now    time.Time // of this machine's clock
}

func newRoom(tb testing.TB) *room {
	tb.Helper()
	_, vkey := ledgertest.LogKey("1")
	return &room{Ledger: ledgertest.New(tb), policy: evidence.NewPolicy(vkey, "")}
}

// asked is what is asked of a gate, and what comes with it.
type asked struct {
	gate.Question
	by        string
	found     gate.Found
	contents  *evidence.Contents
	maxAge    time.Duration
	manifests gate.Manifests
	seen      func(*evidence.Verdict) // changes what was verified; nil: nobody does
}

// judged is a gate, and what came of it.
type judged struct {
	*gate.Gate
	verdict *gate.Verdict
}

// gate is a gate before an artifact, by rex where with does not say otherwise.
func (r *room) gate(tb testing.TB, ref statement.Ref, with ...func(*asked)) judged {
	tb.Helper()
	a := &asked{Question: gate.Question{Name: ref.Name, Version: ref.Version, Stage: "production", Now: r.now.UnixMilli()}, by: "rex", manifests: none{}}
	for _, f := range with {
		f(a)
	}
	b, err := account.Open(r.View())
	if err != nil {
		tb.Fatal(err)
	}
	if a.by != "" {
		a.By, _ = gate.Person(b, a.by, a.Now)
	}
	at, err := b.ByName(ref.Name, ref.Version)
	if err != nil {
		tb.Fatal(err)
	}
	a.Aged = a.Aged || a.maxAge > 0
	g := gate.New(&a.Question)
	err = g.Judge(b, at, a.found, func(beside []uint64) (*evidence.Verdict, bool, error) {
		f, err := b.Evidence(evidence.Claim{Entry: at.Entry, Name: at.Name, Version: at.Version, Fingerprint: at.Fingerprint}, nil, beside...)
		if err != nil {
			return nil, false, err
		}
		v := evidence.Verify(f, r.policy, evidence.Options{
			Now: a.Now, MaxAge: a.maxAge.Milliseconds(), Name: at.Name, Version: at.Version, StampOnly: true, Contents: a.contents,
		})
		if a.seen != nil {
			a.seen(v)
		}
		return v, r.policy != nil, nil
	})
	if err == nil {
		err = g.Files(tb.Context(), a.manifests)
	}
	if err != nil {
		tb.Fatal(err)
	}
	return judged{g, g.Verdict()}
}

// check is the check of an id.
func (g judged) check(tb testing.TB, id string) report.Check {
	tb.Helper()
	for _, c := range g.Checks {
		if c.ID == id {
			return c.Check
		}
	}
	tb.Fatalf("there is no check %s", id)
	return report.Check{}
}

func by(handle string) func(*asked) { return func(a *asked) { a.by = handle } }

func asks(name string) func(*asked) {
	return func(a *asked) { a.Demands = append(a.Demands, name) }
}

// none are no manifests at all.
type none struct{}

func (none) Has(fingerprint.Fingerprint) bool { return false }
func (none) Each(context.Context, fingerprint.Fingerprint, func(fingerprint.File)) error {
	return fs.ErrNotExist
}

// largeLineage puts a model on a ledger that was made of n artifacts and itself,
// by runs one after another: no shape has more entries or is deeper.
func largeLineage(l *ledgertest.Ledger, n int) statement.Ref {
	at := l.Stamped(l.Ada, "raw", "0", "raw")
	var runs []*statement.Envelope
	for i := range n - 1 {
		out := l.Made("step", fmt.Sprint(i), fmt.Sprint("step ", i))
		runs = append(runs, l.Run(l.Ada, []statement.Ref{at}, []statement.Output{out}))
		at = out.Ref
	}
	l.Put(runs...)
	return at
}

// fiveContracts are as many as the bar has in force.
func fiveContracts(l *ledgertest.Ledger) {
	const about = `statements: [release], stages: [production]`
	for name, expression := range map[string]string{
		"approved":  `ledger.approvers(subject).size() >= 1`,
		"others":    `!ledger.approvers(subject).exists(a, a in ledger.allAuthors(subject) && a != "ada")`,
		"clean":     `ledger.ancestors(subject).all(a, a.standing == "good")`,
		"known":     `ledger.known(subject)`,
		"separated": `signer.handle == "rex"`,
	} {
		l.Contract(ledgertest.Rule(name+"@1", about, expression))
	}
}

func TestGateOfALargeLineage(t *testing.T) {
	r := newRoom(t)
	bob := r.Person("bob", statement.RoleApprover)
	r.Person("rex", statement.RoleReleaser)
	fiveContracts(r.Ledger)
	model := largeLineage(r.Ledger, 300)
	r.Approved(bob, model, "production")
	g := r.gate(t, model)
	if g.verdict.Class != gate.Passed || g.verdict.Cost == 0 {
		t.Fatalf("%s, cost %d: %+v", g.verdict.Class, g.verdict.Cost, g.Checks)
	}
	if c := g.check(t, "lineage/recorded"); c.Message != "all in the log: 301 entries about 300 artifacts" {
		t.Error(c.Message)
	}
	ids := map[string]bool{}
	for _, c := range g.Checks {
		if ids[c.ID] {
			t.Errorf("two checks are %s", c.ID)
		}
		ids[c.ID] = true
	}
	if len(ids) < 25 {
		t.Errorf("only %d checks", len(ids))
	}
}

// Whoever edits an entry in the store that a decision rests on, and leaves the rest
// as it is, is found by the log's tree.
func TestAttackerEditsAnAncestorBeforeAGate(t *testing.T) {
	for _, what := range []string{"an ancestor", "a release"} {
		r := newRoom(t)
		rex := r.Person("rex", statement.RoleReleaser)
		raw := r.Stamped(r.Ada, "raw", "1", "raw")
		entry := r.View().Size() - 1
		model := r.Ran(r.Ada, "model", "1", "model", raw)
		r.Released(rex, raw, "production")
		released := r.Released(rex, model, "staging")
		if what == "a release" {
			entry = released
		}
		if g := r.gate(t, model); g.verdict.Class != gate.Passed {
			t.Fatalf("%+v", g.Checks)
		}
		r.Forge(t, entry)
		g := r.gate(t, model)
		if c := g.check(t, "lineage/recorded"); c.Outcome != report.Failed || g.verdict.Class != gate.Tampered {
			t.Errorf("%s: %+v, %s", what, c, g.verdict.Class)
		}
	}
}

// Whose name is not known: what looks at the signer is undecided, and closes.
func TestGateWithoutASigner(t *testing.T) {
	r := newRoom(t)
	r.Person("rex", statement.RoleReleaser)
	mia := r.Person("mia")
	model := r.Stamped(mia, "model", "1", "model")
	r.Contract(ledgertest.Rule("others@1", "statements: [release]", `signer.handle != "mia"`, "hint: ask rex"))
	g := r.gate(t, model, by(""))
	c := g.check(t, "contract/others/rule")
	if c.Outcome != report.NotMade || !c.Required || g.verdict.Class != gate.Undecided {
		t.Errorf("%+v, %s", c, g.verdict.Class)
	}
	if !strings.Contains(c.Hint, "--by") {
		t.Errorf("hint: %s", c.Hint)
	}
	if g := r.gate(t, model); g.verdict.Class != gate.Passed {
		t.Errorf("by rex: %+v", g.Checks)
	}
	// Whoever may not release, may not: a rule of the ledger's own.
	g = r.gate(t, model, by("mia"))
	if c := g.check(t, "rules/who-may"); c.Outcome != report.Failed || g.verdict.Class != gate.Refused {
		t.Errorf("%+v, %s", c, g.verdict.Class)
	}
	if c := g.check(t, "contract/others/rule"); c.Outcome != report.Failed || c.Hint != "ask rex" {
		t.Errorf("%+v", c)
	}
}

// An approver with two keys is one person to a gate, too.
func TestAttackerApprovesTwiceBeforeAGate(t *testing.T) {
	r := newRoom(t)
	r.Person("rex", statement.RoleReleaser)
	bob := r.Person("bob", statement.RoleApprover)
	second := ledgertest.P256("bob 2")
	r.Put(r.Register(r.Ada, second.PublicKey(), "bob", 0, []string{"*"}, statement.RoleApprover))
	model := r.Stamped(r.Ada, "model", "1", "model")
	r.Contract(ledgertest.Rule("two@1", "statements: [release]", `ledger.approvers(subject).size() >= 2`))
	r.Approved(bob, model, "production")
	r.Approved(second, model, "production")
	g := r.gate(t, model)
	if g.verdict.Class != gate.Refused {
		t.Errorf("two keys of one person are two approvals: %+v", g.Checks)
	}
	if c := g.check(t, "approvals/given"); strings.Count(c.Message, "bob") != 1 {
		t.Errorf("%s", c.Message)
	}
	if r.gate(t, model, func(a *asked) { a.Stage = "staging" }).check(t, "approvals/given").Outcome != report.NotMade {
		t.Error("an approval for production counts for staging")
	}
}

// A rule that always errs refuses at the gate as it does at the ledger.
func TestGateOfARuleThatErrs(t *testing.T) {
	r := newRoom(t)
	r.Person("rex", statement.RoleReleaser)
	model := r.Stamped(r.Ada, "model", "1", "model")
	r.Contract(ledgertest.Rule("errs@1", "statements: [release]", `ledger.artifact("no/such@1").files > 0`))
	g := r.gate(t, model)
	if c := g.check(t, "contract/errs/rule"); c.Outcome != report.Failed || g.verdict.Class != gate.Refused || !strings.Contains(c.Message, "could not be evaluated") {
		t.Errorf("%+v, %s", c, g.verdict.Class)
	}
}

// What gate says is what the ledger does, for whatever is wrong.
func TestGateAgreesWithTheLedger(t *testing.T) {
	type world struct {
		*room
		bob, rex   statement.Signer
		raw, model statement.Ref
	}
	for _, c := range []struct {
		name  string
		do    func(*world)
		class gate.Class
		id    string // a check that closes it
	}{
		{"all is well", func(*world) {}, gate.Passed, ""},
		{"advised against", func(w *world) { w.Withdrawn(w.Ada, w.raw, statement.TargetContents, statement.EffectAdvise) }, gate.Passed, ""},
		{"tainted", func(w *world) { w.Withdrawn(w.Ada, w.raw, statement.TargetContents, statement.EffectNoNewUse) }, gate.Refused, "lineage/not-tainted"},
		{"withdrawn", func(w *world) { w.Withdrawn(w.Ada, w.model, statement.TargetContents, statement.EffectStop) }, gate.Refused, "lineage/not-withdrawn"},
		{"a mistaken name", func(w *world) { w.Withdrawn(w.Ada, w.model, statement.TargetBinding, statement.EffectStop) }, gate.Refused, "lineage/not-withdrawn"},
		{"fallen", func(w *world) {
			key := ledgertest.Ed25519("mia")
			w.Put(w.Compromised(w.Ada, key.PublicKey(), "mia", 1))
		}, gate.Untrusted, "lineage/trusted"},
		{"a contract", func(w *world) {
			w.Contract(ledgertest.Rule("none@1", "statements: [release]", `subject.kind == "code"`))
		}, gate.Refused, "contract/none/rule"},
		{"a contract about another stage", func(w *world) {
			w.Contract(ledgertest.Rule("none@1", "statements: [release], stages: [staging]", `subject.kind == "code"`))
			w.Released(w.rex, w.raw, "production")
		}, gate.Passed, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &world{room: newRoom(t)}
			w.bob, w.rex = w.Person("bob", statement.RoleApprover), w.Person("rex", statement.RoleReleaser)
			mia := w.Person("mia")
			w.raw = w.Stamped(mia, "raw", "1", "raw")
			w.model = w.Ran(mia, "model", "1", "model", w.raw)
			c.do(w)
			g := w.gate(t, w.model)
			if g.verdict.Class != c.class {
				t.Errorf("ends with %s, want %s: %+v", g.verdict.Class, c.class, g.Checks)
			}
			if c.id != "" {
				if check := g.check(t, c.id); check.Holds() || check.Message == "" {
					t.Errorf("%+v", check)
				}
			}
			after, err := w.View().After(g.Release)
			if err != nil {
				t.Fatal(err)
			}
			_, errs := w.Try(w.Release(w.rex, w.model, "production", after))
			if (errs[0] == nil) != (c.class == gate.Passed) {
				t.Errorf("the gate ends with %s, the ledger says: %v", g.verdict.Class, errs[0])
			}
			if c.class != gate.Passed {
				return
			}
			// It is there now: said, and no refusal.
			g = w.gate(t, w.model)
			if g.verdict.Class != gate.Passed || g.Released == nil || *g.Released != w.View().Size()-1 {
				t.Errorf("in the stage: %s, %v", g.verdict.Class, g.Released)
			}
			if g.verdict.Headline != "model@1 may stay in production" {
				t.Error(g.verdict.Headline)
			}
		})
	}
}

// What a gate demands that no program can make closes it.
func TestGateDemands(t *testing.T) {
	r := newRoom(t)
	r.Person("rex", statement.RoleReleaser)
	model := r.Stamped(r.Ada, "model", "1", "model")
	for _, name := range gate.Demands {
		if name == contract.GateWithdrawnFiles {
			continue // nothing is withdrawn
		}
		g := r.gate(t, model, asks(name))
		if g.verdict.Class != gate.Undecided {
			t.Errorf("%s is asked for and cannot be made, and the gate ends with %s", name, g.verdict.Class)
		}
	}
	if g := r.gate(t, model, asks(contract.GateWithdrawnFiles)); g.verdict.Class != gate.Passed {
		t.Errorf("nothing is withdrawn: %+v", g.Checks)
	}
	if g := r.gate(t, model); g.verdict.Class != gate.Passed {
		t.Error("what nobody asks for closes the gate")
	}
	yaml := strings.Replace(ledgertest.Rule("asks@1", "statements: [release]", `subject.name != ""`), "  validations:", "  gate: ["+strings.Join(gate.Demands, ", ")+"]\n  validations:", 1)
	r.Contract(yaml)
	g := r.gate(t, model)
	if c := g.check(t, "contents/fingerprint"); c.Holds() || c.Contract != "asks@1" || g.verdict.Class != gate.Undecided || !strings.Contains(c.Message, "asks@1 asks for it") {
		t.Errorf("%+v, %s", c, g.verdict.Class)
	}
	for _, id := range []string{"freshness/checkpoint", "files/separate", "files/not-withdrawn"} {
		if c := g.check(t, id); !c.Required || c.Contract != "asks@1" {
			t.Errorf("a contract asks for it: %+v", c)
		}
	}
}

// The classes come in the order of the manual.
func TestGateOrder(t *testing.T) {
	for _, c := range []struct{ want, a, b gate.Class }{
		{gate.Tampered, gate.Untrusted, gate.Tampered}, {gate.Untrusted, gate.Refused, gate.Untrusted}, {gate.Refused, gate.Undecided, gate.Refused},
		{gate.Undecided, gate.Unreachable, gate.Undecided}, {gate.Tampered, gate.Refused, gate.Tampered}, {gate.Unreachable, gate.Error, gate.Unreachable},
		{gate.Error, "usage", "usage"}, {gate.Error, gate.Passed, gate.Passed}, {gate.Error, "", gate.Refused},
	} {
		g := gate.New(new(gate.Question))
		for _, class := range []gate.Class{c.a, c.b} {
			g.Checks = append(g.Checks, gate.Check{Class: class, Check: report.Check{Outcome: report.Failed, Required: true}})
		}
		if got := g.Verdict().Class; got != c.want {
			t.Errorf("%s and %s end with %s, want %s", c.a, c.b, got, c.want)
		}
	}
	g := gate.New(new(gate.Question))
	for _, o := range []report.Outcome{report.Warning, report.NotMade} {
		g.Checks = append(g.Checks, gate.Check{Class: gate.Tampered, Check: report.Check{Outcome: o}})
	}
	if g.Verdict().Class != gate.Passed {
		t.Error("a warning closes the gate")
	}
}

// A gate that came to nothing is never open, and is undecided only about what it
// found.
func TestGateBreaks(t *testing.T) {
	r := newRoom(t)
	r.Person("rex", statement.RoleReleaser)
	model := r.Stamped(r.Ada, "model", "1", "model")
	for _, c := range []struct{ class, before, after gate.Class }{
		{gate.NotFound, gate.NotFound, gate.Undecided}, {gate.Unreachable, gate.Unreachable, gate.Unreachable}, {gate.Error, gate.Error, gate.Error},
	} {
		g := gate.New(&gate.Question{Name: "model", Version: "1", Stage: "production"})
		g.Break(c.class, "the wire is cut", "mend it", nil)
		if v := g.Verdict(); v.Class != c.before || !v.Broken || v.Headline != "whether model@1 may join production is not known" {
			t.Errorf("%s, before the artifact was found: %+v", c.class, v)
		}
		j := r.gate(t, model)
		j.Break(c.class, "the wire is cut", "mend it", nil)
		if v := j.Verdict(); v.Class != c.after || !v.Broken {
			t.Errorf("%s, then: %+v", c.class, v)
		}
	}
}

// An age that was asked for must be shown.
func TestGateFreshness(t *testing.T) {
	r := newRoom(t)
	r.Person("rex", statement.RoleReleaser)
	model := r.Stamped(r.Ada, "model", "1", "model")
	const id = "freshness/checkpoint"
	for _, c := range []struct {
		found   evidence.Result
		asked   time.Duration
		outcome report.Outcome
		class   gate.Class
	}{
		{evidence.Passed, time.Hour, report.Passed, gate.Passed},
		{evidence.Failed, time.Hour, report.Failed, gate.Untrusted},
		{evidence.NotMade, time.Hour, report.NotMade, gate.Undecided},
		{evidence.NotMade, 0, report.NotMade, gate.Passed},
	} {
		g := r.gate(t, model, func(a *asked) {
			a.Aged = c.asked > 0
			a.seen = func(v *evidence.Verdict) {
				for i := range v.Checks {
					if v.Checks[i].Name == evidence.CheckFresh {
						v.Checks[i].OK = c.found
					}
				}
			}
		})
		if got := g.check(t, id); g.verdict.Class != c.class || got.Outcome != c.outcome {
			t.Errorf("%v with %v: %s, ends with %s", c.found, c.asked, got.Outcome, g.verdict.Class)
		}
	}
	g := r.gate(t, model, asks(contract.GateFresh))
	if c := g.check(t, id); g.verdict.Class != gate.Undecided || !strings.Contains(c.Hint, "--max-age") {
		t.Errorf("it is asked for, and nobody says how old: %+v", c)
	}
}

// What was read is told, and closes the gate where it is not what was stamped.
func TestGateContents(t *testing.T) {
	r := newRoom(t)
	r.Person("rex", statement.RoleReleaser)
	model := r.Stamped(r.Ada, "model", "1", "model")
	reads := func(c evidence.Contents, found gate.Found) judged {
		return r.gate(t, model, asks(contract.GateContents), func(a *asked) { a.Path, a.contents, a.found = "m", &c, found })
	}
	whole := evidence.Contents{Fingerprint: model.Fingerprint, Files: 1, Bytes: 7}
	g := reads(whole, gate.Found{Hidden: 2})
	if c := g.check(t, "contents/fingerprint"); c.Outcome != report.Passed || c.Message != "m: 7 B in 1 file, every byte as stamped" {
		t.Errorf("%+v", c)
	}
	if c := g.check(t, "contents/left-out"); c.Outcome != report.Warning || g.verdict.Class != gate.Passed || !strings.Contains(c.Message, "2 paths in m") {
		t.Errorf("%+v", c)
	}
	whole.Fingerprint = r.Fingerprint("another")
	g = reads(whole, gate.Found{Changes: "1 modified (0 the same): net (modified)"})
	if c := g.check(t, "contents/fingerprint"); c.Message != "m is not what was stamped: 1 modified (0 the same): net (modified)" || g.verdict.Class != gate.Tampered {
		t.Errorf("%s: %+v", g.verdict.Class, c)
	}
	if g = r.gate(t, model, asks(contract.GateContents)); g.verdict.Class != gate.Undecided || g.check(t, "contents/fingerprint").Hint != "give the PATH of the data" {
		t.Errorf("nothing was read, and the gate is %s", g.verdict.Class)
	}
}

// manifests are files by what they are of.
type manifests map[fingerprint.Fingerprint][]fingerprint.File

func (m manifests) Has(fp fingerprint.Fingerprint) bool { return m[fp] != nil }

var errWire = errors.New("the wire is cut")

func (m manifests) Each(_ context.Context, fp fingerprint.Fingerprint, do func(fingerprint.File)) error {
	list, ok := m[fp]
	if !ok {
		return fs.ErrNotExist
	}
	if list == nil {
		return errWire
	}
	for _, f := range list {
		do(f)
	}
	return nil
}

// file is a file whose contents follow from a word.
func file(path, word string, size uint64) fingerprint.File {
	return fingerprint.File{Path: path, Size: size, Digest: fingerprint.Digest(sha256.Sum256([]byte(word)))}
}

// What a model was evaluated on must not be what it was trained on; and no file of
// withdrawn contents is in it under another fingerprint.
func TestGateComparesFiles(t *testing.T) {
	r := newRoom(t)
	r.Person("rex", statement.RoleReleaser)
	train, test := r.Stamped(r.Ada, "train", "1", "train"), r.Stamped(r.Ada, "test", "1", "test")
	bad := r.Stamped(r.Ada, "bad", "1", "bad")
	model := r.Ran(r.Ada, "model", "1", "model", train)
	r.Evaluated(r.Ada, model, "auc", "0.9", test)
	r.Withdrawn(r.Ada, bad, statement.TargetContents, statement.EffectStop)
	all := manifests{
		train.Fingerprint: {file("a", "a", 100), file("empty", "", 0), file("leak", "x", 100)},
		test.Fingerprint:  {file("b", "b", 100), file("none", "", 0)},
		bad.Fingerprint:   {file("c", "c", 100)},
		model.Fingerprint: {file("net", "net", 100)},
	}
	const separate, withdrawn = "files/separate", "files/not-withdrawn"
	with := func(a *asked) { a.manifests = all }
	g := r.gate(t, model, with)
	if c := g.check(t, separate); c.Outcome != report.Passed || !strings.Contains(c.Message, "1 file below 64 B did not count") {
		t.Errorf("%+v", c)
	}
	if c := g.check(t, withdrawn); c.Outcome != report.Passed {
		t.Errorf("%+v", c)
	}
	// The same digest of another size is another file.
	all[test.Fingerprint] = append(all[test.Fingerprint], file("other", "x", 101))
	if c := r.gate(t, model, with).check(t, separate); c.Outcome != report.Passed {
		t.Errorf("%+v", c)
	}
	all[test.Fingerprint] = append(all[test.Fingerprint], file("leaked", "x", 100))
	all[bad.Fingerprint] = append(all[bad.Fingerprint], file("d", "net", 100))
	for id, demand := range map[string]string{separate: contract.GateSeparateFiles, withdrawn: contract.GateWithdrawnFiles} {
		if g := r.gate(t, model, with); g.check(t, id).Outcome != report.Warning || g.verdict.Class != gate.Passed {
			t.Errorf("nobody asks: %+v", g.check(t, id))
		}
		g := r.gate(t, model, with, asks(demand))
		if c := g.check(t, id); c.Outcome != report.Failed || g.verdict.Class != gate.Refused || !strings.HasPrefix(c.Message, "1 file is ") {
			t.Errorf("%s: %+v", g.verdict.Class, c)
		}
	}
	if c := r.gate(t, model, with).check(t, separate); !strings.Contains(c.Message, "leak of train@1, as in test@1") && !strings.Contains(c.Message, "leaked of test@1, as in train@1") {
		t.Error(c.Message)
	}
	delete(all, test.Fingerprint)
	g = r.gate(t, model, with, asks(contract.GateSeparateFiles))
	if c := g.check(t, separate); c.Outcome != report.NotMade || g.verdict.Class != gate.Undecided || c.Message != "the manifest of test@1 is not at hand" {
		t.Errorf("%s: %+v", g.verdict.Class, c)
	}
	// A manifest that cannot be read is an error, and no refusal.
	all[test.Fingerprint] = nil
	n := len(g.Checks)
	if err := g.Files(t.Context(), all); !errors.Is(err, errWire) {
		t.Errorf("%v", err)
	}
	for _, c := range g.Checks[n:] {
		if c.Outcome == "" {
			t.Errorf("a check without an outcome: %+v", c)
		}
	}
}

// BenchmarkGate is a gate before a model with a lineage of 1,000 artifacts, five
// contracts in force, in process: every round begins with a reading of its own,
// with nothing judged and no walk made.
func BenchmarkGate(b *testing.B) {
	r := newRoom(b)
	bob := r.Person("bob", statement.RoleApprover)
	r.Person("rex", statement.RoleReleaser)
	fiveContracts(r.Ledger)
	model := largeLineage(r.Ledger, 1000)
	r.Approved(bob, model, "production")
	for b.Loop() {
		if g := r.gate(b, model); g.verdict.Class != gate.Passed {
			b.Fatalf("%+v", g.Checks)
		}
	}
}

// Whoever shows an old copy of the ledger, from which a withdrawal is missing, is
// found by the witnesses' clocks.
func TestAttackerShowsAGateAnOldLedger(t *testing.T) {
	r := newRoom(t)
	r.Person("rex", statement.RoleReleaser)
	seconds := r.Now/1000 + 1
	witness, wkey, err := evidence.NewCosigner("witness.example", ledgertest.LogPrivateKey("witness"), seconds)
	if err != nil {
		t.Fatal(err)
	}
	// The last block of the copy, with the witness's cosignature.
	model := r.Ref("model", "1", "model")
	block, err := r.Begin(r.Now + 1000)
	if err != nil {
		t.Fatal(err)
	}
	c, err := r.Prepare(r.Stamp(r.Ada, model))
	if err == nil {
		_, err = block.Admit(c)
	}
	if err != nil {
		t.Fatal(err)
	}
	size, root := block.Root()
	log, vkey := ledgertest.LogKey("1")
	signed, err := evidence.SignCheckpoint(evidence.Checkpoint{Origin: block.Origin(), Size: size, Root: root}, log, witness)
	if err == nil {
		err = block.Commit(signed)
	}
	if err != nil {
		t.Fatal(err)
	}
	if r.policy, err = evidence.ParsePolicy([]byte(fmt.Sprintf("log %s\nwitness w %s\nquorum w\n", vkey, wkey))); err != nil {
		t.Fatal(err)
	}
	for _, at := range []struct {
		after, maxAge time.Duration
		class         gate.Class
	}{{time.Hour, 24 * time.Hour, gate.Passed}, {48 * time.Hour, 24 * time.Hour, gate.Untrusted}, {48 * time.Hour, 0, gate.Passed}} {
		r.now = time.Unix(seconds, 0).Add(at.after)
		g := r.gate(t, model, func(a *asked) { a.maxAge = at.maxAge })
		if g.verdict.Class != at.class {
			t.Errorf("%v old, at most %v: ends with %s, want %s: %+v", at.after, at.maxAge, g.verdict.Class, at.class, g.check(t, "freshness/checkpoint"))
		}
		if c := g.check(t, "ledger/witnesses"); c.Outcome != report.Passed {
			t.Errorf("%+v", c)
		}
	}
}
