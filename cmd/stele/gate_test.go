package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/report"
	"github.com/stele-ml/stele/statement"
)

// gateRoom is a ledger in memory and somebody who trusts its log.
type gateRoom struct {
	*ledgertest.Ledger
	dir string // the ledger's folder: manifests alone
	a   *app
	out bytes.Buffer
}

func newGateRoom(tb testing.TB) *gateRoom {
	tb.Helper()
	top := tb.TempDir()
	g := &gateRoom{Ledger: ledgertest.New(tb), dir: filepath.Join(top, ".stele")}
	g.a = newApp(strings.NewReader(""), &g.out, &g.out, func(string) string { return "" })
	g.a.dirs = home.Dirs{Config: filepath.Join(top, "config"), State: filepath.Join(top, "state")}
	_, vkey := ledgertest.LogKey("1")
	if err := g.a.dirs.PinTrust(ledgertest.Origin, []byte(evidence.NewPolicy(vkey, "").String()), false); err != nil {
		tb.Fatal(err)
	}
	return g
}

// gate is a gate before an artifact, by rex where with does not say otherwise.
func (r *gateRoom) gate(tb testing.TB, ref statement.Ref, with ...func(*gateOrder)) *gated {
	tb.Helper()
	o := &gateOrder{name: ref.Name, version: ref.Version, stage: "production", by: "rex"}
	for _, f := range with {
		f(o)
	}
	g := newGated(r.a, o)
	now, err := newReading(r.View())
	if err != nil {
		tb.Fatal(err)
	}
	if err := g.judge(context.Background(), now, r.dir, nil); err != nil {
		tb.Fatal(err)
	}
	g.conclude()
	return g
}

// check is the check of an id.
func (g *gated) check(tb testing.TB, id string) report.Check {
	tb.Helper()
	for _, c := range g.checks {
		if c.ID == id {
			return c.Check
		}
	}
	tb.Fatalf("there is no check %s", id)
	return report.Check{}
}

func byNobody(o *gateOrder) { o.by = "" }

func asks(name string) func(*gateOrder) {
	return func(o *gateOrder) { o.required = append(o.required, name) }
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
	r := newGateRoom(t)
	bob := r.Person("bob", statement.RoleApprover)
	r.Person("rex", statement.RoleReleaser)
	fiveContracts(r.Ledger)
	model := largeLineage(r.Ledger, 300)
	r.Approved(bob, model, "production")
	g := r.gate(t, model)
	if g.out.Verdict != "passed" || g.out.Exit != exitHolds || g.out.Cost == 0 {
		t.Fatalf("%s, %d, cost %d: %+v", g.out.Verdict, g.out.Exit, g.out.Cost, g.out.Checks)
	}
	if c := g.check(t, "lineage/recorded"); c.Message != "all in the log: 301 entries about 300 artifacts" {
		t.Error(c.Message)
	}
	ids := map[string]bool{}
	for _, c := range g.out.Checks {
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
		r := newGateRoom(t)
		rex := r.Person("rex", statement.RoleReleaser)
		raw := r.Stamped(r.Ada, "raw", "1", "raw")
		entry := r.View().Size() - 1
		model := r.Ran(r.Ada, "model", "1", "model", raw)
		r.Released(rex, raw, "production")
		released := r.Released(rex, model, "staging")
		if what == "a release" {
			entry = released
		}
		if g := r.gate(t, model); g.out.Exit != exitHolds {
			t.Fatalf("%+v", g.out.Checks)
		}
		r.Forge(t, entry)
		g := r.gate(t, model)
		if c := g.check(t, "lineage/recorded"); c.Outcome != report.Failed || g.out.Exit != exitTampered || g.out.Verdict != "tampered" {
			t.Errorf("%s: %+v, %d", what, c, g.out.Exit)
		}
	}
}

// Whose name is not known: what looks at the signer is undecided, and closes.
func TestGateWithoutASigner(t *testing.T) {
	r := newGateRoom(t)
	r.Person("rex", statement.RoleReleaser)
	mia := r.Person("mia")
	model := r.Stamped(mia, "model", "1", "model")
	r.Contract(ledgertest.Rule("others@1", "statements: [release]", `signer.handle != "mia"`, "hint: ask rex"))
	g := r.gate(t, model, byNobody)
	c := g.check(t, "contract/others/rule")
	if c.Outcome != report.NotMade || !c.Required || g.out.Exit != exitNotFound || g.out.Verdict != "undecided" || g.out.By != nil {
		t.Errorf("%+v, %d", c, g.out.Exit)
	}
	if !strings.Contains(c.Hint, "--by") {
		t.Errorf("hint: %s", c.Hint)
	}
	if g := r.gate(t, model); g.out.Exit != exitHolds {
		t.Errorf("by rex: %+v", g.out.Checks)
	}
	// Whoever may not release, may not: a rule of the ledger's own.
	g = r.gate(t, model, func(o *gateOrder) { o.by = "mia" })
	if c := g.check(t, "rules/who-may"); c.Outcome != report.Failed || g.out.Exit != exitRefused {
		t.Errorf("%+v, %d", c, g.out.Exit)
	}
	if c := g.check(t, "contract/others/rule"); c.Outcome != report.Failed || c.Hint != "ask rex" {
		t.Errorf("%+v", c)
	}
}

// An approver with two keys is one person to a gate, too.
func TestAttackerApprovesTwiceBeforeAGate(t *testing.T) {
	r := newGateRoom(t)
	r.Person("rex", statement.RoleReleaser)
	bob := r.Person("bob", statement.RoleApprover)
	second := ledgertest.P256("bob 2")
	r.Put(r.Register(r.Ada, second.PublicKey(), "bob", 0, []string{"*"}, statement.RoleApprover))
	model := r.Stamped(r.Ada, "model", "1", "model")
	r.Contract(ledgertest.Rule("two@1", "statements: [release]", `ledger.approvers(subject).size() >= 2`))
	r.Approved(bob, model, "production")
	r.Approved(second, model, "production")
	g := r.gate(t, model)
	if g.out.Exit != exitRefused {
		t.Errorf("two keys of one person are two approvals: %+v", g.out.Checks)
	}
	if c := g.check(t, "approvals/given"); strings.Count(c.Message, "bob") != 1 {
		t.Errorf("%s", c.Message)
	}
	if r.gate(t, model, func(o *gateOrder) { o.stage = "staging" }).check(t, "approvals/given").Outcome != report.NotMade {
		t.Error("an approval for production counts for staging")
	}
}

// A rule that always errs refuses at the gate as it does at the ledger.
func TestGateOfARuleThatErrs(t *testing.T) {
	r := newGateRoom(t)
	r.Person("rex", statement.RoleReleaser)
	model := r.Stamped(r.Ada, "model", "1", "model")
	r.Contract(ledgertest.Rule("errs@1", "statements: [release]", `ledger.artifact("no/such@1").files > 0`))
	g := r.gate(t, model)
	if c := g.check(t, "contract/errs/rule"); c.Outcome != report.Failed || g.out.Exit != exitRefused || !strings.Contains(c.Message, "could not be evaluated") {
		t.Errorf("%+v, %d", c, g.out.Exit)
	}
}

// What gate says is what the ledger does, for whatever is wrong.
func TestGateAgreesWithTheLedger(t *testing.T) {
	type world struct {
		*gateRoom
		bob, rex   statement.Signer
		raw, model statement.Ref
	}
	for _, c := range []struct {
		name string
		do   func(*world)
		exit int
		id   string // a check that closes it
	}{
		{"all is well", func(*world) {}, exitHolds, ""},
		{"advised against", func(w *world) { w.Withdrawn(w.Ada, w.raw, statement.TargetContents, statement.EffectAdvise) }, exitHolds, ""},
		{"tainted", func(w *world) { w.Withdrawn(w.Ada, w.raw, statement.TargetContents, statement.EffectNoNewUse) }, exitRefused, "lineage/not-tainted"},
		{"withdrawn", func(w *world) { w.Withdrawn(w.Ada, w.model, statement.TargetContents, statement.EffectStop) }, exitRefused, "lineage/not-withdrawn"},
		{"a mistaken name", func(w *world) { w.Withdrawn(w.Ada, w.model, statement.TargetBinding, statement.EffectStop) }, exitRefused, "lineage/not-withdrawn"},
		{"fallen", func(w *world) {
			key := ledgertest.Ed25519("mia")
			w.Put(w.Compromised(w.Ada, key.PublicKey(), "mia", 1))
		}, exitUntrusted, "lineage/trusted"},
		{"a contract", func(w *world) {
			w.Contract(ledgertest.Rule("none@1", "statements: [release]", `subject.kind == "code"`))
		}, exitRefused, "contract/none/rule"},
		{"a contract about another stage", func(w *world) {
			w.Contract(ledgertest.Rule("none@1", "statements: [release], stages: [staging]", `subject.kind == "code"`))
			w.Released(w.rex, w.raw, "production")
		}, exitHolds, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &world{gateRoom: newGateRoom(t)}
			w.bob, w.rex = w.Person("bob", statement.RoleApprover), w.Person("rex", statement.RoleReleaser)
			mia := w.Person("mia")
			w.raw = w.Stamped(mia, "raw", "1", "raw")
			w.model = w.Ran(mia, "model", "1", "model", w.raw)
			c.do(w)
			g := w.gate(t, w.model)
			if g.out.Exit != c.exit {
				t.Errorf("ends with %d, want %d: %+v", g.out.Exit, c.exit, g.out.Checks)
			}
			if c.id != "" {
				if check := g.check(t, c.id); check.Holds() || check.Message == "" {
					t.Errorf("%+v", check)
				}
			}
			after, err := w.View().After(g.signed)
			if err != nil {
				t.Fatal(err)
			}
			_, errs := w.Try(w.Release(w.rex, w.model, "production", after))
			if (errs[0] == nil) != (c.exit == exitHolds) {
				t.Errorf("the gate ends with %d, the ledger says: %v", g.out.Exit, errs[0])
			}
			if c.exit != exitHolds {
				return
			}
			// It is there now: said, and no refusal.
			g = w.gate(t, w.model)
			if g.out.Exit != exitHolds || g.out.Released == nil || *g.out.Released != w.View().Size()-1 {
				t.Errorf("in the stage: %d, %v", g.out.Exit, g.out.Released)
			}
			if g.out.Headline != "model@1 may stay in production" {
				t.Error(g.out.Headline)
			}
		})
	}
}

// What a gate demands that no program can make closes it.
func TestGateDemands(t *testing.T) {
	r := newGateRoom(t)
	r.Person("rex", statement.RoleReleaser)
	model := r.Stamped(r.Ada, "model", "1", "model")
	for _, name := range gateChecks {
		if name == gateWithdrawnFiles {
			continue // nothing is withdrawn
		}
		g := r.gate(t, model, asks(name))
		if g.out.Exit != exitNotFound {
			t.Errorf("%s is asked for and cannot be made, and the gate ends with %d", name, g.out.Exit)
		}
	}
	if g := r.gate(t, model, asks(gateWithdrawnFiles)); g.out.Exit != exitHolds {
		t.Errorf("nothing is withdrawn: %+v", g.out.Checks)
	}
	if g := r.gate(t, model); g.out.Exit != exitHolds {
		t.Error("what nobody asks for closes the gate")
	}
	yaml := strings.Replace(ledgertest.Rule("asks@1", "statements: [release]", `subject.name != ""`), "  validations:", "  gate: ["+strings.Join(gateChecks, ", ")+"]\n  validations:", 1)
	r.Contract(yaml)
	g := r.gate(t, model)
	if c := g.check(t, "contents/fingerprint"); c.Holds() || c.Contract != "asks@1" || g.out.Exit != exitNotFound || !strings.Contains(c.Message, "asks@1 asks for it") {
		t.Errorf("%+v, %d", c, g.out.Exit)
	}
	for _, id := range []string{"freshness/checkpoint", "files/separate", "files/not-withdrawn"} {
		if c := g.check(t, id); !c.Required || c.Contract != "asks@1" {
			t.Errorf("a contract asks for it: %+v", c)
		}
	}
}

// The statuses come in the order of the manual.
func TestGateOrder(t *testing.T) {
	for _, c := range []struct{ want, a, b int }{
		{exitTampered, exitUntrusted, exitTampered}, {exitUntrusted, exitRefused, exitUntrusted}, {exitRefused, exitNotFound, exitRefused},
		{exitNotFound, exitUnreachable, exitNotFound}, {exitTampered, exitRefused, exitTampered}, {exitUnreachable, exitError, exitUnreachable},
		{exitError, 99, 99},
	} {
		g := &gated{o: new(gateOrder)}
		for _, status := range []int{c.a, c.b} {
			g.add(status, report.Check{Outcome: report.Failed, Required: true})
		}
		if got := g.conclude(); got != c.want {
			t.Errorf("%d and %d end with %d, want %d", c.a, c.b, got, c.want)
		}
	}
	g := &gated{o: new(gateOrder)}
	g.add(exitTampered, report.Check{Outcome: report.Warning})
	g.add(exitTampered, report.Check{Outcome: report.NotMade})
	if g.conclude() != exitHolds {
		t.Error("a warning closes the gate")
	}
}

// An age that was asked for must be shown.
func TestGateFreshness(t *testing.T) {
	for _, c := range []struct {
		found   evidence.Result
		asked   time.Duration
		outcome report.Outcome
		exit    int
	}{
		{evidence.Passed, time.Hour, report.Passed, exitHolds},
		{evidence.Failed, time.Hour, report.Failed, exitUntrusted},
		{evidence.NotMade, time.Hour, report.NotMade, exitNotFound},
		{evidence.NotMade, 0, report.NotMade, exitHolds},
	} {
		g := &gated{o: &gateOrder{maxAge: c.asked}}
		g.checkFresh(&evidence.Verdict{Checks: []evidence.Check{{Name: evidence.CheckFresh, OK: c.found, Detail: "cosigned"}}})
		if got := g.conclude(); got != c.exit || g.checks[0].Outcome != c.outcome {
			t.Errorf("%v with %v: %s, ends with %d", c.found, c.asked, g.checks[0].Outcome, got)
		}
	}
	g := &gated{o: &gateOrder{}, demand: map[string]string{gateFresh: "production@1"}}
	g.checkFresh(&evidence.Verdict{Checks: []evidence.Check{{Name: evidence.CheckFresh}}})
	if c := g.checks[0]; g.conclude() != exitNotFound || !strings.Contains(c.Hint, "--max-age") {
		t.Errorf("a contract asks, and nobody says how old: %+v", c)
	}
}

func TestGateLocation(t *testing.T) {
	root := t.TempDir()
	t.Chdir(root)
	for path, want := range map[string]string{
		"": "", "models/net": "models/net", "./models": "models", ".": "", "..": "", "/etc": "", "s3://bucket/models": "", root + "/a b": "a b", "../x": "",
	} {
		if got := belowHere(path, ""); got != want {
			t.Errorf("%q is at %q, want %q", path, got, want)
		}
	}
	t.Chdir(t.TempDir())
	if got := belowHere(filepath.Join(root, "m"), root); got != "m" {
		t.Errorf("below the repository: %q", got)
	}
	if got := belowHere("m", root); got != "" {
		t.Errorf("outside of the repository: %q", got)
	}
}

// Text that somebody put on the ledger is no command to what runs the job.
func TestAttackerWritesCommandsInAReason(t *testing.T) {
	r := newGateRoom(t)
	r.Person("rex", statement.RoleReleaser)
	bob := r.Person("bob", statement.RoleApprover)
	model := r.Stamped(r.Ada, "model", "1", "model")
	r.Approved(bob, model, "production")
	evil := "::error::x ##[add-mask]y ##vso[task.setvariable variable=PATH]z \x1b[31m"
	r.Contract(ledgertest.Rule("evil@1", "statements: [release]", `subject.name == ""`, `messageExpression: '"::set-output name=x::y ##[error]z ##vso[task.x]"'`))
	g := r.gate(t, model)
	g.checks[0].Message = evil
	for _, all := range []bool{false, true} {
		g.o.all = all
		r.out.Reset()
		g.print()
		for line := range strings.Lines(r.out.String()) {
			if strings.HasPrefix(strings.TrimSpace(line), "::") || strings.Contains(line, "##") || strings.ContainsRune(line, '\x1b') {
				t.Errorf("a command in %q", line)
			}
		}
	}
	// On GitHub the text stands between commands that turn commands off.
	summary := filepath.Join(t.TempDir(), "summary")
	g.a.getenv = func(name string) string { return map[string]string{"GITHUB_STEP_SUMMARY": summary}[name] }
	if err := os.WriteFile(summary, []byte("before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g.o.formats.format = formatGitHub
	r.out.Reset()
	if err := g.tell(nil); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(r.out.String(), "\n"), "\n")
	token, ok := strings.CutPrefix(lines[0], "::stop-commands::")
	end := slices.Index(lines, "::"+token+"::")
	if !ok || len(token) < 32 || end < 5 {
		t.Fatalf("%q, and its end is line %d", lines[0], end)
	}
	for _, line := range lines[end+1:] {
		if !strings.HasPrefix(line, "::error title=stele gate") && !strings.HasPrefix(line, "::notice title=stele gate::") && !strings.HasPrefix(line, "::warning title=stele gate") {
			t.Errorf("%q", line)
		}
	}
	written, err := os.ReadFile(summary)
	if err != nil || !strings.HasPrefix(string(written), "before\n### ❌ model@") {
		t.Errorf("the summary: %.60q, %v", written, err)
	}
}

// --json and --format json are the same object, and have what their type has.
func TestGateJSON(t *testing.T) {
	r := newGateRoom(t)
	r.Person("rex", statement.RoleReleaser)
	model := r.Stamped(r.Ada, "model", "1", "model")
	g := r.gate(t, model)
	g.o.formats.format = formatJSON
	r.out.Reset()
	if err := g.tell(nil); err != nil {
		t.Fatal(err)
	}
	first := r.out.String()
	g.a.json, g.o.formats.format = true, formatText
	r.out.Reset()
	if err := g.tell(nil); err != nil {
		t.Fatal(err)
	}
	if r.out.String() != first || !json.Valid([]byte(first)) || strings.Count(first, "\n") != 1 {
		t.Errorf("%s\n%s", first, r.out.String())
	}
}

// BenchmarkGate is a gate before a model with a lineage of 1,000 artifacts, five
// contracts in force, in process: every round begins with a reading of its own,
// with nothing judged and no walk made.
func BenchmarkGate(b *testing.B) {
	r := newGateRoom(b)
	bob := r.Person("bob", statement.RoleApprover)
	r.Person("rex", statement.RoleReleaser)
	fiveContracts(r.Ledger)
	model := largeLineage(r.Ledger, 1000)
	r.Approved(bob, model, "production")
	for b.Loop() {
		if g := r.gate(b, model); g.out.Exit != exitHolds {
			b.Fatalf("%+v", g.out.Checks)
		}
	}
}

// Whoever shows an old copy of the ledger, from which a withdrawal is missing, is
// found by the witnesses' clocks.
func TestAttackerShowsAGateAnOldLedger(t *testing.T) {
	r := newGateRoom(t)
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
	policy := fmt.Sprintf("log %s\nwitness w %s\nquorum w\n", vkey, wkey)
	if err := r.a.dirs.PinTrust(ledgertest.Origin, []byte(policy), true); err != nil {
		t.Fatal(err)
	}
	for _, at := range []struct {
		after, maxAge time.Duration
		exit          int
	}{{time.Hour, 24 * time.Hour, exitHolds}, {48 * time.Hour, 24 * time.Hour, exitUntrusted}, {48 * time.Hour, 0, exitHolds}} {
		r.a.now = func() time.Time { return time.Unix(seconds, 0).Add(at.after) }
		g := r.gate(t, model, func(o *gateOrder) { o.maxAge = at.maxAge })
		if g.out.Exit != at.exit {
			t.Errorf("%v old, at most %v: ends with %d, want %d: %+v", at.after, at.maxAge, g.out.Exit, at.exit, g.check(t, "freshness/checkpoint"))
		}
		if c := g.check(t, "ledger/witnesses"); c.Outcome != report.Passed {
			t.Errorf("%+v", c)
		}
	}
}
