package ledger_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

const prod = "production"

// judged is what is known of name@version as of a view.
func judged(t *testing.T, v *ledger.View, ref statement.Ref) *lineage.Judgement {
	t.Helper()
	x, err := v.Lineage()
	if err != nil {
		t.Fatal(err)
	}
	a, err := x.Artifact(ref.Name, ref.Version)
	if err != nil {
		t.Fatal(err)
	}
	j, err := lineage.Judge(x, a)
	if err != nil {
		t.Fatal(err)
	}
	return j
}

// taintIn returns what taints name@version as of a view.
func taintIn(t *testing.T, v *ledger.View, ref statement.Ref) *lineage.Taint {
	t.Helper()
	return judged(t, v, ref).Taint
}

// poisoned is withdrawn data of bob's.
func (l *team) poisoned() statement.Ref {
	l.T.Helper()
	ref := l.Stamped(l.bob, "poison", "1", "poison")
	l.Withdrawn(l.bob, ref, statement.TargetContents, statement.EffectStop)
	return ref
}

// cannotRelease expects that a release is refused because of a withdrawal.
func (l *team) cannotRelease(t *testing.T, ref statement.Ref, message, hint string) {
	t.Helper()
	env := l.Release(l.rel, ref, prod, l.Saw(&statement.Release{Stage: prod}, ref))
	wantRefusal(t, l.Ledger, env, ledger.RuleWithdrawn, ledger.ClassRefused, message, hint)
}

// TestAttackSomebodyElsesRun: mallory says in a run that withdrawn data went
// into ci's model. It is told as her claim, and carries nothing.
func TestAttackSomebodyElsesRun(t *testing.T) {
	l := newTeam(t)
	model := l.Ran(l.ci, "model", "1", "m", l.Stamped(l.bob, "data", "1", "d"))
	poison := l.poisoned()
	claim := l.Put(l.Run(l.mallory, []statement.Ref{poison}, []statement.Output{ledgertest.Old(model)}))
	if taint := taintIn(t, l.View(), model); taint != nil {
		t.Fatalf("mallory tainted it: %v", taint.Causes[0].Path())
	}
	x, _ := l.View().Lineage()
	a, _ := x.Artifact("model", "1")
	origins, err := x.Origins(a)
	if err != nil || len(origins) != 2 {
		t.Fatal(origins, err)
	}
	if o := origins[1]; o.Entry != claim || o.Counts || o.Why != "claimed by mallory, who did not stamp it" {
		t.Fatalf("%+v", o)
	}
	l.Released(l.rel, model, prod)
	entries, cut, err := l.View().LineageEntries(model, 0)
	if err != nil || cut || slices.Contains(entries, claim) || len(entries) != 2 {
		t.Fatal(entries, cut, err)
	}
	soundLedger(t, l.Ledger)
}

// TestAttackLaterStampOfTheSameBytes: mallory stamps ci's model once more, from
// withdrawn data.
func TestAttackLaterStampOfTheSameBytes(t *testing.T) {
	l := newTeam(t)
	model := l.Ran(l.ci, "model", "1", "m", l.Stamped(l.bob, "data", "1", "d"))
	mine := l.Stamped(l.mallory, "mallory/model", "1", "m", l.poisoned())
	if taint := taintIn(t, l.View(), model); taint != nil {
		t.Fatal("mallory tainted it")
	}
	if taint := taintIn(t, l.View(), mine); taint == nil {
		t.Fatal("her own name is not tainted")
	}
	l.Released(l.rel, model, prod)
	l.cannotRelease(t, mine, "mallory/model@1 is tainted: it was made of poison@1, withdrawn since entry 9 (stop), by bob: a test",
		"stele trace mallory/model@1 shows the way; make it again without poison@1")
}

// TestAttackNewNameForTaintedBytes: a tainted model is released under another
// name, stamped by its maker, by a colleague, or as the output of a run with
// clean inputs.
func TestAttackNewNameForTaintedBytes(t *testing.T) {
	l := newTeam(t)
	clean := l.Stamped(l.bob, "clean", "1", "c")
	l.Ran(l.ci, "model", "1", "m", l.poisoned())
	const words = " is tainted: it was made of poison@1, withdrawn since entry 8 (stop), by bob: a test"
	for _, ref := range []statement.Ref{
		l.Stamped(l.ci, "renamed", "1", "m"),
		l.Stamped(l.mallory, "hers", "1", "m"),
		l.Stamped(l.mallory, "derived", "1", "m", clean),
		l.Ran(l.mallory, "ran", "1", "m", clean),
		l.Ran(l.mallory, "deep", "1", "x", l.Stamped(l.bob, "between", "1", "m")),
	} {
		l.cannotRelease(t, ref, ref.String()+words, "stele trace "+ref.String()+" shows the way; make it again without poison@1")
	}
	soundLedger(t, l.Ledger)
}

// TestAttackWithdrawnName: whoever made a tainted model withdraws its name as a
// mistake, so that a colleague's copy of it is clean.
func TestAttackWithdrawnName(t *testing.T) {
	l := newTeam(t)
	model := l.Ran(l.mallory, "model", "1", "m", l.poisoned())
	copied := l.Stamped(l.ci, "copy", "1", "m")
	l.Withdrawn(l.mallory, model, statement.TargetBinding, statement.EffectAdvise)
	if taintIn(t, l.View(), copied) == nil {
		t.Fatal("she washed it")
	}
	// An administrator may say so.
	end := l.Withdrawn(l.Ada, model, statement.TargetBinding, statement.EffectAdvise)
	if taintIn(t, l.View(), copied) != nil || taintIn(t, l.View(), model) == nil {
		t.Fatal("an administrator says that the name was a mistake")
	}
	l.Reinstated(l.Ada, model, end)
	if taintIn(t, l.View(), copied) == nil {
		t.Fatal("the mistake was none")
	}
}

// TestAttackStaleReleaseCrossingAWithdrawal: the release was signed before the
// withdrawal of the model, or of its data, and arrives after it; also in the
// same block.
func TestAttackStaleReleaseCrossingAWithdrawal(t *testing.T) {
	for _, block := range []string{"a later block", "the same block"} {
		t.Run(block, func(t *testing.T) {
			l := newTeam(t)
			data := l.Stamped(l.bob, "data", "1", "d")      // 6
			model := l.Ran(l.ci, "model", "1", "m", data)   // 7
			second := l.Ran(l.ci, "second", "1", "s", data) // 8
			after := func(ref statement.Ref) uint64 { return l.Saw(&statement.Release{Stage: prod}, ref) }
			release, release2 := l.Release(l.rel, model, prod, after(model)), l.Release(l.rel, second, prod, after(second))
			envs := []*statement.Envelope{
				l.Withdraw(l.ci, model, statement.TargetContents, 7), // 9
				l.Withdraw(l.bob, data, statement.TargetContents, 6), // 10
				release, release2,
			}
			var errs []error
			if block == "the same block" {
				_, errs = l.Try(envs...)
			} else {
				_, errs = l.Try(envs[:2]...)
				_, more := l.Try(envs[2:]...)
				errs = append(errs, more...)
			}
			if errs[0] != nil || errs[1] != nil {
				t.Fatal(errs)
			}
			for i, want := range []struct {
				rule    ledger.Rule
				class   ledger.Class
				message string
				entry   uint64
			}{
				{ledger.RuleAfter, ledger.ClassStale, "the last entry on model@1 and its place in production is 9; the statement was made after entry 7", 9},
				{ledger.RuleWithdrawn, ledger.ClassRefused, "second@1 is tainted: it was made of data@1, withdrawn since entry 10 (no-new-use), by bob: a test", 10},
			} {
				var r *ledger.Refusal
				if !errors.As(errs[2+i], &r) || r.Rule != want.rule || r.Class != want.class || r.Message != want.message || r.Entry == nil || *r.Entry != want.entry {
					t.Fatalf("%v, want %s", errs[2+i], want.message)
				}
			}
			soundLedger(t, l.Ledger)
		})
	}
}

// TestAttackTwoPeopleCrossing: two releases that do not see each other. Of A
// and B that replace the same, the first wins, in one block or two.
func TestAttackTwoPeopleCrossing(t *testing.T) {
	for _, block := range []string{"a later block", "the same block"} {
		t.Run(block, func(t *testing.T) {
			l := newTeam(t)
			old := l.Ran(l.ci, "model", "1", "1")
			a, b := l.Ran(l.ci, "model", "2", "2"), l.Ran(l.ci, "model", "3", "3")
			l.Released(l.rel, old, prod) // 9
			first := l.Release(l.rel, a, prod, l.Saw(&statement.Release{Stage: prod}, a), old)
			other := l.Release(l.rel, b, prod, l.Saw(&statement.Release{Stage: prod}, b), old)
			var errs []error
			if block == "the same block" {
				_, errs = l.Try(first, other)
			} else {
				l.Put(first)
				_, errs = l.Try(other)
			}
			var r *ledger.Refusal
			if !errors.As(errs[len(errs)-1], &r) || r.Rule != ledger.RuleAfter || r.Class != ledger.ClassStale || *r.Entry != 10 {
				t.Fatal(errs)
			}
			// Having looked, she is told what became of what she would replace.
			again := l.Release(l.rel, b, prod, l.Saw(&statement.Release{Stage: prod, Replaces: []statement.Ref{old}}, b), old)
			wantRefusal(t, l.Ledger, again, ledger.RuleStage, ledger.ClassRefused, "model@1 is not in production", "stele status --stage production lists what is")
			l.Released(l.rel, b, prod, a)
			in, err := l.View().InStage(prod)
			if err != nil || len(in) != 1 || in[0].Ref != b {
				t.Fatal(in, err)
			}
			soundLedger(t, l.Ledger)
		})
	}
}

// TestAttackReplayedRelease: A, B, A, B: an old envelope is the old receipt, and
// a new one needs to have seen the last.
func TestAttackReplayedRelease(t *testing.T) {
	l := newTeam(t)
	a, b := l.Ran(l.ci, "model", "1", "1"), l.Ran(l.ci, "model", "2", "2")
	first := l.Release(l.rel, a, prod, l.Saw(&statement.Release{Stage: prod}, a))
	at := l.Put(first)
	l.Released(l.rel, b, prod, a)
	if receipts, errs := l.Try(first); errs[0] != nil || !receipts[0].Existed || receipts[0].Index != at {
		t.Fatal(receipts, errs)
	}
	l.Released(l.rel, a, prod, b)
	last := l.Released(l.rel, b, prod, a)
	in, err := l.View().InStage(prod)
	if err != nil || len(in) != 1 || in[0] != (ledger.Placed{Ref: b, Entry: last}) {
		t.Fatal(in, err)
	}
	if n := len(collect(t, l.View().StageHistory(prod, "model"))); n != 7 {
		t.Fatalf("%d changes", n)
	}
}

// TestAttackReleaseOfWhatWasTakenBack: contents, name, ancestor; each until it is
// reinstated. An advice lets it pass.
func TestAttackReleaseOfWhatWasTakenBack(t *testing.T) {
	l := newTeam(t)
	raw := l.Stamped(l.bob, "raw", "1", "raw")
	data := l.Collected(l.bob, "data", "1", raw)
	model := l.Ran(l.ci, "model", "1", "m", data)
	copied := l.Stamped(l.mallory, "copy", "1", "m")
	for _, c := range []struct {
		ref            statement.Ref
		target, effect string
		message        string
	}{
		{model, "contents", "stop", "model@1 is withdrawn since entry %d (stop), by ada: a test"},
		{copied, "contents", "no-new-use", "model@1 is withdrawn since entry %d (no-new-use), by ada: a test"},
		{model, "binding", "no-new-use", "model@1 is withdrawn as a mistake since entry %d (no-new-use), by ada: a test"},
		{copied, "binding", "stop", ""},
		{model, "contents", "advise", ""},
		{raw, "contents", "no-new-use", "model@1 is tainted: it was made of raw@1, withdrawn since entry %d (no-new-use), by ada: a test"},
		{raw, "contents", "advise", ""},
		{raw, "binding", "stop", ""},
		{data, "contents", "stop", "model@1 is tainted: it was made of data@1, withdrawn since entry %d (stop), by ada: a test"},
	} {
		t.Run(c.ref.String()+" "+c.target+" "+c.effect, func(t *testing.T) {
			w := l.Withdrawn(l.Ada, c.ref, c.target, c.effect)
			env := l.Release(l.rel, model, prod, l.Saw(&statement.Release{Stage: prod}, model))
			if c.message == "" {
				l.Put(env)
			} else {
				r := refusalOf(t, l.Ledger, env)
				if want := fmt.Sprintf(c.message, w); r.Message != want || r.Rule != ledger.RuleWithdrawn || *r.Entry != w || r.Hint == "" {
					t.Fatalf("%s: %s [%s], want %s", r.Rule, r.Message, r.Hint, want)
				}
			}
			l.Reinstated(l.Ada, c.ref, w)
			if c.message != "" {
				l.Released(l.rel, model, prod)
			}
			// Whatever became of it, it may leave.
			l.Withdrawn(l.Ada, model, "contents", "stop")
			l.Left(l.rel, model, prod)
			for _, w := range control(t, l).Withdrawals(model) {
				if w.Stands() {
					l.Reinstated(l.Ada, model, w.Entry)
				}
			}
		})
	}
	soundLedger(t, l.Ledger)
}

// TestAttackWorstOfManyCauses: a stop is hidden behind more advices than a taint
// names.
func TestAttackWorstOfManyCauses(t *testing.T) {
	l := newTeam(t)
	ref := l.poisoned()
	for i := range 2 * lineage.MaxCauses {
		ref = l.Stamped(l.bob, "layer", fmt.Sprint(i), fmt.Sprint("layer", i), ref)
		l.Withdrawn(l.bob, ref, statement.TargetContents, statement.EffectAdvise)
	}
	model := l.Ran(l.ci, "model", "1", "m", ref)
	l.cannotRelease(t, model, "model@1 is tainted: it was made of poison@1, withdrawn since entry 7 (stop), by bob: a test",
		"stele trace model@1 shows the way; make it again without poison@1")
}

// TestAttackCycle: late runs over old stamps make a model its own ancestor.
func TestAttackCycle(t *testing.T) {
	l := newTeam(t)
	a := l.Stamped(l.ci, "a", "1", "a")
	b := l.Ran(l.ci, "b", "1", "b", a)
	l.Put(l.Run(l.ci, []statement.Ref{b}, []statement.Output{ledgertest.Old(a)}))
	if taintIn(t, l.View(), a) != nil || taintIn(t, l.View(), b) != nil {
		t.Fatal("nothing is withdrawn")
	}
	l.Released(l.rel, b, prod)
	l.Left(l.rel, b, prod)
	// Contents do not taint themselves; they are withdrawn.
	l.Withdrawn(l.ci, a, statement.TargetContents, statement.EffectStop)
	if taintIn(t, l.View(), a) != nil || taintIn(t, l.View(), b) == nil {
		t.Fatal("a is withdrawn, b is tainted")
	}
	x, _ := l.View().Lineage()
	for _, ref := range []statement.Ref{a, b} {
		node, _ := x.Artifact(ref.Name, ref.Version)
		up, err := lineage.Up(x, node, 0)
		down, err2 := lineage.Down(x, node, 0)
		if err != nil || err2 != nil || len(up.Nodes) != 2 || len(down.Nodes) != 2 {
			t.Fatal(up, down, err, err2)
		}
	}
	soundLedger(t, l.Ledger)
}

// TestAttackStolenKey: what a stolen key stamped since it was stolen is not
// released, whatever it was made of; nor does it taint, or wash, anything.
func TestAttackStolenKey(t *testing.T) {
	l := newTeam(t)
	data := l.Stamped(l.bob, "data", "1", "d")
	good := l.Ran(l.ci, "model", "1", "m", data)
	since := l.View().Size()
	bad := l.Ran(l.ci, "model", "2", "n", data)
	l.Stamped(l.ci, "again", "1", "m", l.poisoned())
	l.Put(l.Compromised(l.Ada, l.ci.PublicKey(), "ci", since))
	env := l.Release(l.rel, bad, prod, l.Saw(&statement.Release{Stage: prod}, bad))
	wantRefusal(t, l.Ledger, env, ledger.RuleStanding, ledger.ClassUntrusted,
		"model@2 was stamped in entry 8, which counts for nothing: a key of ci is compromised since entry 8, as entry 12 declares",
		"stamp it under a new version, with a key in good standing")
	if taintIn(t, l.View(), good) != nil {
		t.Fatal("the thief tainted it")
	}
	l.Released(l.rel, good, prod)
	x, _ := l.View().Lineage()
	a, _ := x.Artifact("model", "2")
	origins, err := x.Origins(a)
	if err != nil || lineage.Known(origins) || len(origins) != 1 {
		t.Fatal(origins, err)
	}
}

// TestAttackRunIDTwice: within one block, by two people; the second is told, and
// the first's own retry is not.
func TestAttackRunIDTwice(t *testing.T) {
	l := newTeam(t)
	id := statement.Nonce{7}
	zero := uint64(0)
	run := func(by statement.Signer, out string) *statement.Envelope {
		return l.Sign(by, &statement.Statement{Kind: statement.KindRun, Nonce: id, Run: &statement.Run{
			Observation: statement.ObservationReported, Exit: &zero, Started: 1, Finished: 2, Outputs: []statement.Output{l.Made(out, "1", out)}}})
	}
	first := run(l.ci, "model")
	receipts, errs := l.Try(first, run(l.mallory, "other"), first)
	var r *ledger.Refusal
	if errs[0] != nil || errs[2] != nil || !receipts[2].Existed || !errors.As(errs[1], &r) || r.Rule != ledger.RuleNameBound || *r.Entry != receipts[0].Index {
		t.Fatal(receipts, errs)
	}
	if _, err := l.View().ByName("other", "1"); !errors.Is(err, ledger.ErrNotFound) {
		t.Fatal(err)
	}
}

// TestAttackNameTakenInTheSameBlock: two runs stamp one name; the second is
// refused as a whole, also what else it would have stamped.
func TestAttackNameTakenInTheSameBlock(t *testing.T) {
	l := newTeam(t)
	_, errs := l.Try(
		l.Run(l.ci, nil, []statement.Output{l.Made("model", "1", "m")}),
		l.Run(l.mallory, nil, []statement.Output{l.Made("model", "1", "x"), l.Made("zoo", "1", "z")}),
		l.Stamp(l.mallory, l.Ref("model", "1", "y")),
		l.Run(l.bob, []statement.Ref{l.Ref("model", "1", "m")}, []statement.Output{l.Made("next", "1", "n")}),
		l.Run(l.bob, []statement.Ref{l.Ref("model", "1", "x")}, nil),
	)
	if errs[0] != nil || errs[1] == nil || errs[2] == nil || errs[3] != nil || errs[4] == nil {
		t.Fatal(errs)
	}
	if _, err := l.View().ByName("zoo", "1"); !errors.Is(err, ledger.ErrNotFound) {
		t.Fatal(err)
	}
	soundLedger(t, l.Ledger)
}

// TestOneBlock: a whole story in one block, each statement seeing those before.
func TestOneBlock(t *testing.T) {
	l := newTeam(t)
	base := l.View().Size()
	data, model := l.Ref("data", "1", "d"), l.Made("model", "1", "m")
	next := l.Made("model", "2", "n")
	refs := func(r ...statement.Ref) []statement.Ref { return r }
	steps := []struct {
		env  *statement.Envelope
		rule ledger.Rule // empty: admitted
	}{
		{l.Stamp(l.bob, data), ""},                                   // 0
		{l.Run(l.ci, refs(data), []statement.Output{model}), ""},     // 1
		{l.Evaluate(l.bob, model.Ref, "auc", "0.91", data), ""},      // 2
		{l.Approve(l.ann, model.Ref, prod, base+1), "after"},         // has not seen the evaluation
		{l.Approve(l.ann, model.Ref, prod, base+2), ""},              // 3
		{l.Release(l.rel, model.Ref, prod, base+2), "after"},         // has not seen the approval
		{l.Release(l.rel, model.Ref, prod, base+3), ""},              // 4
		{l.Release(l.rel, model.Ref, prod, base+4), "stage"},         // is there already
		{l.Run(l.ci, refs(model.Ref), []statement.Output{next}), ""}, // 5
		{l.Release(l.rel, next.Ref, prod, base+4, model.Ref), "after"},
		{l.Run(l.ci, refs(data), []statement.Output{ledgertest.Old(model.Ref)}), ""}, // 6: an entry on model
		{l.Leave(l.rel, model.Ref, prod, base+4), "after"},
		{l.Leave(l.rel, model.Ref, prod, base+6), ""}, // 7
		{l.Release(l.rel, next.Ref, prod, base+7, model.Ref), "stage"},
		{l.Withdraw(l.bob, data, statement.TargetContents, base), ""}, // 8
		{l.Release(l.rel, next.Ref, prod, base+7), "withdrawn"},
		{l.Reinstate(l.bob, data, base+8, base+8), ""}, // 9
		{l.Release(l.rel, next.Ref, prod, base+7), ""}, // 10
		{l.Reject(l.ann, next.Ref, prod, base+7), "after"},
		{l.Reject(l.ann, next.Ref, prod, base+10), ""}, // 11
	}
	var envs []*statement.Envelope
	for _, s := range steps {
		envs = append(envs, s.env)
	}
	_, errs := l.Try(envs...)
	for i, s := range steps {
		var r *ledger.Refusal
		if s.rule == "" && errs[i] != nil || s.rule != "" && (!errors.As(errs[i], &r) || r.Rule != s.rule) {
			t.Fatalf("step %d: %v, want %q", i, errs[i], s.rule)
		}
	}
	if l.View().Size() != base+12 {
		t.Fatal(l.View().Size())
	}
	soundLedger(t, l.Ledger)
}

func control(t *testing.T, l *team) *evidence.Control {
	t.Helper()
	c, err := l.View().Control()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestStages(t *testing.T) {
	l := newTeam(t)
	type at struct {
		size uint64
		in   map[string][]string
	}
	var then []at
	note := func() {
		in := map[string][]string{}
		for _, stage := range collect(t, l.View().Stages()) {
			placed, err := l.View().InStage(stage)
			if err != nil {
				t.Fatal(err)
			}
			in[stage] = []string{}
			for _, p := range placed {
				in[stage] = append(in[stage], fmt.Sprintf("%s %d", p.Ref, p.Entry))
			}
		}
		then = append(then, at{l.View().Size(), in})
	}
	note()
	var models []statement.Ref
	for i := range 4 {
		models = append(models, l.Ran(l.ci, "model", fmt.Sprint(i), fmt.Sprint("m", i)))
	}
	other := l.Ran(l.ci, "another", "1", "x")
	note()
	l.Released(l.rel, models[0], prod) // 11
	l.Released(l.rel, models[1], prod)
	note()
	l.Released(l.rel, other, prod)
	l.Released(l.rel, models[2], prod, models[0], models[1])
	l.Released(l.rel, models[3], "canary") // 15
	note()
	l.Left(l.rel, models[3], "canary")
	l.Released(l.rel, models[0], prod) // 17
	note()
	want := []map[string][]string{
		{}, {},
		{prod: {"model@0 11", "model@1 12"}},
		{prod: {"another@1 13", "model@2 14"}, "canary": {"model@3 15"}},
		{prod: {"another@1 13", "model@2 14", "model@0 17"}, "canary": {}},
	}
	for i, th := range then {
		if fmt.Sprint(th.in) != fmt.Sprint(want[i]) {
			t.Fatalf("%d: %v, want %v", i, th.in, want[i])
		}
		v, err := l.View().AsOf(th.size)
		if err != nil {
			t.Fatal(err)
		}
		var stages []string
		for _, stage := range collect(t, v.Stages()) {
			stages = append(stages, stage)
			placed, err := v.InStage(stage)
			if err != nil {
				t.Fatal(err)
			}
			got := []string{}
			for _, p := range placed {
				got = append(got, fmt.Sprintf("%s %d", p.Ref, p.Entry))
			}
			if !slices.Equal(got, want[i][stage]) {
				t.Fatalf("as of %d in %s: %v, want %v", th.size, stage, got, want[i][stage])
			}
		}
		if len(stages) != len(want[i]) || !slices.IsSorted(stages) {
			t.Fatalf("as of %d: %v", th.size, stages)
		}
	}
	var history []string
	for _, c := range collect(t, l.View().StageHistory(prod, "")) {
		history = append(history, fmt.Sprintf("%d %s %s", c.Entry, c.Action, c.Ref))
	}
	wantHistory := []string{"11 join model@0", "12 join model@1", "13 join another@1", "14 leave model@0", "14 leave model@1", "14 join model@2", "17 join model@0"}
	if !slices.Equal(history, wantHistory) {
		t.Fatal(history)
	}
	history = nil
	for _, c := range collect(t, l.View().StageHistory(prod, "another")) {
		history = append(history, fmt.Sprintf("%d %s %s", c.Entry, c.Action, c.Ref))
	}
	if !slices.Equal(history, wantHistory[2:3]) {
		t.Fatal(history)
	}
	if in, err := l.View().InStage("none"); err != nil || len(in) != 0 {
		t.Fatal(in, err)
	}
	if _, err := l.View().AsOf(l.View().Size() + 1); !errors.Is(err, ledger.ErrNotFound) {
		t.Fatal(err)
	}
	soundLedger(t, l.Ledger)
}
