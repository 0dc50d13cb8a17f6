package trace_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/internal/trace"
	"github.com/stele-ml/stele/statement"
)

var updateTraces = flag.Bool("update-traces", false, "write the golden files of traces")

// order is what is asked for: how far, and as of which entry.
type order struct {
	trace.Reach
	at int // -1: now
}

// traced is a trace of a ledger in memory, as --json has it and as a person
// sees it; times, which are in the person's zone, are left out. It begins at the
// artifacts NAME@VERSION, or at what the run in an entry made.
func traced(t *testing.T, l *ledgertest.Ledger, arg string, with ...func(*order)) (*jsonv1.Trace, string) {
	t.Helper()
	o := &order{trace.Reach{Up: true, Down: true}, -1}
	for _, f := range with {
		f(o)
	}
	now, err := account.Open(l.View())
	if err != nil {
		t.Fatal(err)
	}
	then := now
	if o.at >= 0 {
		v, err := now.AsOf(uint64(o.at) + 1)
		if err == nil {
			then, err = account.Open(v)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	tr, err := trace.Of(then, startAt(t, then, arg), o.Reach)
	if err == nil {
		err = now.Prove(trace.Entries(tr))
	}
	if err == nil && o.at >= 0 {
		err = trace.Since(now, tr)
	}
	if err != nil {
		t.Fatal(err)
	}
	return tr, moment.ReplaceAllString(printed(tr, o.Reach), "TIME")
}

func startAt(t *testing.T, b *account.Book, arg string) (from trace.Start) {
	t.Helper()
	if entry, err := strconv.ParseUint(arg, 10, 64); err == nil {
		e, st, err := b.Statement(entry)
		if err != nil {
			t.Fatal(err)
		}
		from.Run = &account.Said{Entry: e, Statement: st}
		for _, o := range st.Run.Outputs {
			from.Artifacts = append(from.Artifacts, o.Ref)
		}
		return from
	}
	for id := range strings.FieldsSeq(arg) {
		name, version, err := statement.ParseNameVersion(id)
		if err != nil {
			t.Fatal(err)
		}
		at, err := b.ByName(name, version)
		if err != nil {
			t.Fatal(err)
		}
		from.Artifacts = append(from.Artifacts, at.Ref())
	}
	return from
}

func printed(tr *jsonv1.Trace, reach trace.Reach) string {
	var out bytes.Buffer
	trace.Print(aTerminal(&out), tr, reach)
	return out.String()
}

func aTerminal(out *bytes.Buffer) *terminal.Terminal {
	return terminal.New(strings.NewReader(""), out, out, func(string) string { return "" })
}

var moment = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d\d:\d\d`)

func all(o *order)  { o.All = true }
func up(o *order)   { o.Down = false }
func down(o *order) { o.Up = false }

func nodeOf(t *testing.T, tr *jsonv1.Trace, id string) *jsonv1.TraceNode {
	t.Helper()
	for i := range tr.Nodes {
		if tr.Nodes[i].ID == id {
			return &tr.Nodes[i]
		}
	}
	t.Fatalf("%s is not in the trace", id)
	return nil
}

// story is a ledger with one of everything that a trace tells.
func story(t *testing.T) *ledgertest.Ledger {
	l := ledgertest.New(t)
	bob, eve := l.Person("bob"), l.Person("eve")
	raw := l.Stamped(l.Ada, "clinic/raw", "1", "raw one")
	more := l.Stamped(l.Ada, "clinic/raw", "2", "raw two")
	both := l.Collected(l.Ada, "clinic/both", "1", raw, more)
	clean := l.Stamped(bob, "clinic/clean", "1", "clean", both)
	test := l.Stamped(bob, "clinic/test", "1", "test")
	commit := &statement.Code{Remote: "https://git.example/team/train", Commit: strings.Repeat("9f8e7d6c5b", 4), Dirty: true}
	model := l.Made("clinic/model", "1", "model")
	l.Put(l.Run(bob, []statement.Ref{clean}, []statement.Output{model}, func(r *statement.Run) { r.Code = commit }))
	report := l.Ran(bob, "clinic/report", "1", "report", model.Ref, test)
	l.Evaluated(bob, model.Ref, "accuracy", "0.943", test)
	l.Released(l.Ada, model.Ref, "production")
	l.Put(l.Import(bob, model.Ref, test))
	l.Put(l.Run(eve, []statement.Ref{report}, []statement.Output{ledgertest.Old(clean)}))
	l.Withdrawn(l.Ada, raw, statement.TargetContents, statement.EffectStop)
	return l
}

func TestTraceGolden(t *testing.T) {
	l := story(t)
	for name, show := range map[string]func() string{
		"model": func() string { _, text := traced(t, l, "clinic/model@1"); return text },
		"raw":   func() string { _, text := traced(t, l, "clinic/raw@1", down); return text },
		"then": func() string {
			_, text := traced(t, l, "clinic/model@1", up, func(o *order) { o.at = 12 })
			return text
		},
		"model.dot": func() string {
			tr, _ := traced(t, l, "clinic/model@1")
			return moment.ReplaceAllString(dotted(t, tr), "TIME")
		},
	} {
		path := filepath.Join("testdata", name+".golden")
		got := show()
		if *updateTraces {
			if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(got), 0o644)); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
		}
	}
}

func dotted(t *testing.T, tr *jsonv1.Trace) string {
	t.Helper()
	text := trace.Dot(tr, func(at jsonv1.Time) string { return aTerminal(new(bytes.Buffer)).TimeText(string(at)) })
	checkDot(t, text)
	return text
}

// A statement of a graph: a default, a node or an edge, with attributes whose
// strings hold no quote that is not escaped.
var dotLine = func() *regexp.Regexp {
	const str = `"(?:[^"\\]|\\[\\"n])*"`
	const value = `(?:[a-zA-Z0-9]+|` + str + `)`
	const attributes = `\[(?:[a-z]+=` + value + `(?:, )?)+\]`
	return regexp.MustCompile(`^  (?:rankdir=LR|(?:node|edge|` + str + `(?: -> ` + str + `)?) ` + attributes + `);$`)
}()

// checkDot reads a graph line by line, and with Graphviz where it is.
func checkDot(t *testing.T, text string) {
	t.Helper()
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if lines[0] != "digraph lineage {" || lines[len(lines)-1] != "}" {
		t.Fatalf("no graph:\n%s", text)
	}
	for _, l := range lines[1 : len(lines)-1] {
		if !dotLine.MatchString(l) {
			t.Errorf("not one statement: %s", l)
		}
	}
	if dot, err := exec.LookPath("dot"); err == nil {
		c := exec.Command(dot, "-Tsvg", "-o", os.DevNull)
		c.Stdin = strings.NewReader(text)
		if out, err := c.CombinedOutput(); err != nil {
			t.Errorf("dot: %v: %s", err, out)
		}
	}
}

// Somebody else's run says that my model was made of withdrawn data. Otherwise
// anybody could taint what is in production.
func TestAttackerClaimsWithdrawnDataForMyModel(t *testing.T) {
	l := ledgertest.New(t)
	bob, mallory := l.Person("bob"), l.Person("mallory")
	good := l.Stamped(bob, "good", "1", "good")
	model := l.Ran(bob, "model", "1", "model", good)
	bad := l.Stamped(mallory, "bad", "1", "bad")
	l.Put(l.Run(mallory, []statement.Ref{bad}, []statement.Output{ledgertest.Old(model)}))
	l.Withdrawn(mallory, bad, statement.TargetContents, statement.EffectStop)

	tr, text := traced(t, l, "model@1")
	if n := nodeOf(t, tr, "model@1"); n.Standing != "good" || n.Taint != nil {
		t.Errorf("the model is %s", n.Standing)
	}
	for _, want := range []string{"not counted: run 00000000 by mallory, entry 6", "claimed by mallory, who did not stamp it", "of bad@1"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing:\n%s", want, text)
		}
	}
	for _, n := range tr.Nodes {
		if n.ID == "bad@1" {
			t.Error("a claim that does not count was walked")
		}
	}
	_, text = traced(t, l, "bad@1", down)
	if want := "not counted: model@1, run 00000000 by mallory, entry 6"; !strings.Contains(text, want) || strings.Contains(text, "TAINTED") {
		t.Errorf("want %q and no taint:\n%s", want, text)
	}
	dotted(t, tr)
}

// A thousand claims that do not count do not push away what does.
func TestAttackerClaimsAThousandTimes(t *testing.T) {
	l := ledgertest.New(t)
	bob, mallory := l.Person("bob"), l.Person("mallory")
	good := l.Stamped(bob, "good", "1", "good")
	model := l.Ran(bob, "model", "1", "model", good)
	var runs []*statement.Envelope
	for range 1000 {
		runs = append(runs, l.Run(mallory, []statement.Ref{good}, []statement.Output{ledgertest.Old(model)}))
	}
	l.Put(runs...)
	_, text := traced(t, l, "model@1")
	if n := strings.Count(text, "\n"); n > 40 {
		t.Errorf("%d lines", n)
	}
	for _, want := range []string{"└── good@1", "… 997 more that do not count; --all shows them"} {
		if !strings.Contains(strings.ReplaceAll(text, "├", "└"), want) {
			t.Errorf("%q is missing:\n%s", want, text)
		}
	}
}

// A late run over old stamps makes an artifact its own ancestor.
func TestAttackerMakesACycle(t *testing.T) {
	l := ledgertest.New(t)
	a := l.Stamped(l.Ada, "a", "1", "a")
	b := l.Ran(l.Ada, "b", "1", "b", a)
	c := l.Ran(l.Ada, "c", "1", "c", b)
	l.Put(l.Run(l.Ada, []statement.Ref{c}, []statement.Output{ledgertest.Old(a)}))
	l.Put(l.Run(l.Ada, []statement.Ref{b}, []statement.Output{ledgertest.Old(a)}))
	for _, order := range []func(*order){up, down, all} {
		tr, text := traced(t, l, "c@1", order)
		if len(tr.Nodes) != 3 {
			t.Errorf("%d nodes, want 3", len(tr.Nodes))
		}
		if !strings.Contains(text, "see above") {
			t.Errorf("nothing is referred to:\n%s", text)
		}
	}
	l.Withdrawn(l.Ada, b, statement.TargetContents, statement.EffectStop)
	tr, _ := traced(t, l, "a@1")
	if n := nodeOf(t, tr, "a@1"); n.Taint == nil {
		t.Error("a@1 is made of b@1, too, and is not tainted")
	}
}

// The withdrawn bytes are stamped again under another name: every name is
// shown, and what was made of the copy is tainted.
func TestAttackerCopiesTaintedBytes(t *testing.T) {
	l := ledgertest.New(t)
	mallory := l.Person("mallory")
	raw := l.Stamped(l.Ada, "raw", "1", "raw")
	l.Ran(l.Ada, "model", "1", "model", raw)
	copied := l.Stamped(mallory, "fresh", "1", "model")
	l.Ran(mallory, "tuned", "1", "tuned", copied)
	l.Withdrawn(l.Ada, raw, statement.TargetContents, statement.EffectStop)
	tr, text := traced(t, l, "model@1 "+copied.String())
	if len(tr.Roots) != 2 || !strings.Contains(text, "together\n") {
		t.Errorf("roots %v:\n%s", tr.Roots, text)
	}
	for _, id := range []string{"model@1", "fresh@1", "tuned@1"} {
		if n := nodeOf(t, tr, id); n.Taint == nil {
			t.Errorf("%s is not tainted", id)
		}
	}
}

// What was in the past known to be good is told as it was, with what became of it.
func TestTraceAt(t *testing.T) {
	l := ledgertest.New(t)
	raw := l.Stamped(l.Ada, "raw", "1", "raw")
	l.Ran(l.Ada, "model", "1", "model", raw)
	l.Withdrawn(l.Ada, raw, statement.TargetContents, statement.EffectAdvise)
	for id, want := range map[string]string{
		"raw@1":   "since then   withdrawn in entry 3 by ada (advise): a test",
		"model@1": "since then   tainted by raw@1, withdrawn in entry 3 by ada (advise): a test",
	} {
		tr, text := traced(t, l, id, func(o *order) { o.at = 2 })
		if n := nodeOf(t, tr, id); n.Standing != "good" {
			t.Errorf("%s was %s", id, n.Standing)
		}
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing:\n%s", want, text)
		}
		if tr.AsOf.Size != 3 {
			t.Errorf("as of %d entries, want 3", tr.AsOf.Size)
		}
	}
}

// Five thousand models of one dataset, one of them in production and one
// withdrawn: what matters is shown, the rest counted.
func TestTraceOfFiveThousand(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes seconds, and nothing in it happens at once")
	}
	const n = 5000
	l := ledgertest.New(t)
	raw := l.Stamped(l.Ada, "raw", "1", "raw")
	var runs []*statement.Envelope
	for i := range n {
		v := fmt.Sprint(i)
		runs = append(runs, l.Run(l.Ada, []statement.Ref{raw}, []statement.Output{l.Made("model", v, "model "+v)}))
	}
	for part := range slices.Chunk(runs, 1000) {
		l.Put(part...)
	}
	l.Released(l.Ada, l.Ref("model", "4321", "model 4321"), "production")
	l.Withdrawn(l.Ada, l.Ref("model", "1234", "model 1234"), statement.TargetContents, statement.EffectStop)
	check := func(most int, wants ...string) {
		t.Helper()
		_, text := traced(t, l, "raw@1")
		if lines := strings.Count(text, "\n"); lines > most {
			t.Errorf("%d lines, want at most %d", lines, most)
		}
		for _, want := range wants {
			if !strings.Contains(text, want) {
				t.Errorf("%q is missing:\n%s", want, text)
			}
		}
	}
	check(60, "5,000 artifacts: 5,000 models; 1 withdrawn, 1 in a stage", "├── model@1234  WITHDRAWN, stop", "├── model@4321  in production",
		"model@4321: in production", "… 4,992 more models; --all shows them")
	l.Withdrawn(l.Ada, raw, statement.TargetContents, statement.EffectNoNewUse)
	check(60, "1 withdrawn, 4,999 tainted, 1 in a stage", "├── model@1234  WITHDRAWN, stop  TAINTED, no-new-use", "├── model@4321  TAINTED, no-new-use  in production",
		"model@4321: TAINTED, no-new-use, in production", "… 4,992 more models, all tainted; --all shows them")
	tr, text := traced(t, l, "raw@1", all)
	if lines := strings.Count(text, "\n"); lines < n || len(tr.Nodes) != n+1 {
		t.Errorf("--all: %d lines, %d nodes", lines, len(tr.Nodes))
	}
}

// A chain of a thousand generations, at whose end the data is withdrawn.
func TestTraceOfAThousandGenerations(t *testing.T) {
	l := ledgertest.New(t)
	raw := l.Stamped(l.Ada, "raw", "1", "raw")
	at := raw
	var runs []*statement.Envelope
	for i := range 1000 {
		out := l.Made("step", fmt.Sprint(i), fmt.Sprint("step ", i))
		runs = append(runs, l.Run(l.Ada, []statement.Ref{at}, []statement.Output{out}))
		at = out.Ref
	}
	l.Put(runs...)
	l.Withdrawn(l.Ada, raw, statement.TargetContents, statement.EffectStop)
	_, text := traced(t, l, "step@999", up)
	if lines := strings.Count(text, "\n"); lines > 100 {
		t.Errorf("%d lines", lines)
	}
	for _, want := range []string{"raw@1, 1,000 steps up, withdrawn in entry 1002", "… 995 steps …", "999 tainted", "… made of 1 model, 1 tainted"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing:\n%s", want, text)
		}
	}
	_, text = traced(t, l, "step@999", up, all)
	if !strings.Contains(text, "raw@1  WITHDRAWN, stop") {
		t.Error("--all does not reach the end")
	}
	tr, _ := traced(t, l, "step@999", func(o *order) { o.Depth = 3 })
	if len(tr.Nodes) != 4 || !tr.Cut || tr.Counts.Up.Artifacts != 1000 {
		t.Errorf("--depth 3: %d nodes, cut %v, %d counted", len(tr.Nodes), tr.Cut, tr.Counts.Up.Artifacts)
	}
}

// A run that made two artifacts; one that failed and made none.
func TestTraceOfARun(t *testing.T) {
	l := ledgertest.New(t)
	raw := l.Stamped(l.Ada, "raw", "1", "raw")
	two := l.Put(l.Run(l.Ada, []statement.Ref{raw}, []statement.Output{l.Made("model", "1", "model"), l.Made("report", "1", "report")}))
	one := uint64(1)
	failed := l.Put(l.Run(l.Ada, []statement.Ref{raw}, nil, func(r *statement.Run) { r.Failed, r.Exit = true, &one }))
	tr, text := traced(t, l, fmt.Sprint(two))
	if len(tr.Roots) != 2 || len(tr.Runs) == 0 || tr.Runs[0].Entry != two {
		t.Errorf("roots %v:\n%s", tr.Roots, text)
	}
	tr, text = traced(t, l, fmt.Sprint(failed))
	if len(tr.Roots) != 0 || len(tr.Nodes) != 1 || *tr.Nodes[0].Up != 1 {
		t.Errorf("roots %v, nodes %v", tr.Roots, tr.Nodes)
	}
	for _, want := range []string{"it FAILED, and made nothing", "exit status  1", "└── raw@1"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing:\n%s", want, text)
		}
	}
	dotted(t, tr)
}

// An entry was changed in the store, where opening the ledger does not look.
func TestAttackerEditsAnEntryBehindATrace(t *testing.T) {
	l := ledgertest.New(t)
	raw := l.Stamped(l.Ada, "raw", "1", "raw")
	l.Ran(l.Ada, "model", "1", "model", raw)
	for i := range 300 { // more than one tile
		l.Stamped(l.Ada, "other", fmt.Sprint(i), fmt.Sprint("other ", i))
	}
	traced(t, l, "model@1") // all is well
	leaf, err := l.View().Leaf(1)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := l.DB.NewIter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	changed := false
	for rows.First(); rows.Valid(); rows.Next() {
		if bytes.Equal(rows.Value(), leaf) {
			forged := bytes.Replace(leaf, []byte(`"dataset"`), []byte(`"private"`), 1)
			forged[len("stele entry v1\n")+8+7] ^= 1 // its time
			if err := l.DB.Set(bytes.Clone(rows.Key()), forged, nil); err != nil {
				t.Fatal(err)
			}
			changed = true
			break
		}
	}
	if !changed {
		t.Fatal("the entry is nowhere in the store")
	}
	r, err := account.Open(l.View())
	if err != nil {
		t.Fatal(err)
	}
	tr := &jsonv1.Trace{Nodes: []jsonv1.TraceNode{{Entry: 2}, {Entry: 1}}}
	if err := r.Prove(trace.Entries(tr)); !errors.Is(err, evidence.ErrTampered) {
		t.Errorf("the forged entry passes: %v", err)
	}
}

// raw is what may not reach a terminal as it is; of bytes that are no UTF-8, the
// replacement character is what is left.
var raw = regexp.MustCompile("[\x1b\u202e\r\x08\ufffd]")

// Reasons, handles, metrics and names come from others.
func TestAttackerWritesInATrace(t *testing.T) {
	for _, evil := range []string{
		"\x1b[2J\x1b[31mfine\x1b[0m", "a\n├── forged@1  in production", "\u202eevil", `"]; evil [label="x`, `x\`, `\N \G \E \l`, "&lt;b&gt;", "a\r\x08b", "\x9b2J",
	} {
		zero := 0
		entry := uint64(3)
		bad := &jsonv1.Taint{Effect: evil, Causes: []jsonv1.TaintCause{{Name: evil, Version: evil, Entry: 3, Effect: evil, Reason: evil, Handle: evil, At: evil, Next: evil, Steps: 2,
			Path: []jsonv1.TaintStep{{Name: "a", Version: "1", Entry: &entry, Way: evil}, {Name: evil, Version: evil, Entry: &entry, Way: evil}, {Name: evil, Version: evil}}}}}
		n := jsonv1.TraceNode{
			ID: "a@1", Kind: evil, Signer: jsonv1.Signer{Handle: evil}, Standing: "compromised", Origin: account.OriginRecorded, Taint: bad, Up: &zero, Down: &zero,
			Withdrawn:   []jsonv1.TraceWithdrawal{{Target: evil, Effect: evil, Reason: evil, Handle: evil}},
			Stages:      []jsonv1.TraceStage{{Stage: evil}},
			Evaluations: []jsonv1.TraceEvaluation{{Signer: jsonv1.Signer{Handle: evil}, Standing: evil, Metrics: map[string]string{evil: evil}, Datasets: []string{evil}}},
			Fingerprint: evil,
		}
		inner := n
		inner.ID, inner.Up = evil, &[]int{1}[0]
		tr := &jsonv1.Trace{Roots: []string{"a@1"}, Nodes: []jsonv1.TraceNode{n, inner}, Edges: []jsonv1.TraceEdge{
			{Output: "a@1", Input: evil, Way: "run", Run: "00000000", Counts: true, Signer: jsonv1.Signer{Handle: evil}},
			{Output: "a@1", Input: evil, Way: evil, Entry: 1, Why: evil, Signer: jsonv1.Signer{Handle: evil}},
			{Output: evil, Input: "a@1", Way: evil, Counts: true, Signer: jsonv1.Signer{Handle: evil}},
		}, Runs: []jsonv1.TraceRun{{Run: "00000000", Observation: evil, Commit: evil + "123456789012", Signer: jsonv1.Signer{Handle: evil}}},
			Since: []jsonv1.TraceSince{{ID: "a@1", What: evil}}, Missing: []jsonv1.TraceMissing{{ID: evil + "2"}}}
		text := printed(tr, trace.Reach{Up: true, Down: true})
		if raw.MatchString(text) {
			t.Errorf("%q reaches the terminal", evil)
		}
		for _, l := range strings.Split(text, "\n") {
			if strings.HasPrefix(l, "├── forged@1") {
				t.Errorf("%q makes a line of its own:\n%s", evil, text)
			}
		}
		if dot := dotted(t, tr); raw.MatchString(dot) {
			t.Errorf("%q reaches the graph", evil)
		}
	}
}
