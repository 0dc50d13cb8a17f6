package ledger_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/statement"
)

// try admits one envelope and expects a refusal.
func refusalOf(t *testing.T, l *ledgertest.Ledger, env *statement.Envelope) *ledger.Refusal {
	t.Helper()
	size := l.View().Size()
	_, errs := l.Try(env)
	var r *ledger.Refusal
	if !errors.As(errs[0], &r) {
		t.Fatalf("want a refusal, got %v", errs[0])
	}
	if l.View().Size() != size {
		t.Fatal("a refusal left a trace")
	}
	return r
}

// wantRefusal expects a refusal by a rule, in exactly these words.
func wantRefusal(t *testing.T, l *ledgertest.Ledger, env *statement.Envelope, rule ledger.Rule, class ledger.Class, message, hint string) {
	t.Helper()
	r := refusalOf(t, l, env)
	if r.Rule != rule || r.Class != class || r.Message != message || r.Hint != hint {
		t.Fatalf("got  %s (%s): %s [%s]\nwant %s (%s): %s [%s]", r.Rule, r.Class, r.Message, r.Hint, rule, class, message, hint)
	}
	if strings.Contains(r.Message+r.Hint, "\n") {
		t.Fatal("more than one line")
	}
}

func soundLedger(t *testing.T, l *ledgertest.Ledger) {
	t.Helper()
	report, err := ledger.Check(t.Context(), l.DB, nil)
	if err != nil || !report.OK() {
		t.Fatal(report, err)
	}
}

// team is a ledger with people of every role.
type team struct {
	*ledgertest.Ledger
	ci, bob, ann, rel, mallory statement.Signer
}

func newTeam(t *testing.T) *team {
	t.Helper()
	l := ledgertest.New(t)
	return &team{
		Ledger:  l,
		ci:      l.Person("ci"),                          // 1
		bob:     l.Person("bob"),                         // 2
		ann:     l.Person("ann", statement.RoleApprover), // 3
		rel:     l.Person("rel", statement.RoleReleaser), // 4
		mallory: l.Person("mallory"),                     // 5
	}
}

func TestRunStampsItsOutputs(t *testing.T) {
	l := newTeam(t)
	data := l.Stamped(l.bob, "data", "1", "d")
	out := []statement.Output{
		l.Made("model", "1", "m"), l.Made("model", "1-small", "s"), l.Made("report", "1", "r"), ledgertest.Old(data),
	}
	env := l.Run(l.ci, nil, out)
	index := l.Put(env)
	v := l.View()
	for _, o := range out[:3] {
		b, err := v.ByName(o.Ref.Name, o.Ref.Version)
		if err != nil || b.Entry != index || b.Fingerprint != o.Ref.Fingerprint {
			t.Fatal(b, err)
		}
		first, ok, err := v.FirstOn(o.Ref.Fingerprint)
		last, _, _ := v.LastOn(o.Ref.Fingerprint)
		if err != nil || !ok || first != index || last != index {
			t.Fatal(first, last, ok, err)
		}
	}
	var versions []string
	for _, b := range collect(t, v.Versions("model")) {
		versions = append(versions, b.Version)
	}
	if strings.Join(versions, " ") != "1 1-small" {
		t.Fatal(versions)
	}
	if latest, err := v.Latest("model"); err != nil || latest.Version != "1-small" {
		t.Fatal(latest, err)
	}
	st, err := statement.Parse(env.Payload)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := v.Run(st.Nonce); err != nil || got != index {
		t.Fatal(got, err)
	}
	if _, err := v.Run(statement.Nonce{9}); !errors.Is(err, ledger.ErrNotFound) {
		t.Fatal(err)
	}
	// What another entry stamped is found as such, and does not belong to it.
	if got := collect(t, v.About(data.Fingerprint, statement.KindRun)); len(got) != 1 || got[0] != index {
		t.Fatal(got)
	}
	if last, _, _ := v.LastOn(data.Fingerprint); last == index {
		t.Fatal("a stranger's run is an entry on bob's data")
	}
	// Its signer is the stamper of what it stamped.
	wantRefusal(t, l.Ledger, l.Withdraw(l.mallory, out[0].Ref, statement.TargetBinding, index),
		ledger.RuleWhoMay, ledger.ClassRefused, "mallory may not: only who stamped model@1, in entry 7 (ci), or an administrator", "")
	l.Withdrawn(l.ci, out[0].Ref, statement.TargetContents, statement.EffectStop)
	// The same again is the first receipt, in whatever later block.
	if receipts, errs := l.Try(env); errs[0] != nil || !receipts[0].Existed || receipts[0].Index != index {
		t.Fatal(receipts, errs)
	}
	// Others build on what a run stamped, as on a stamp.
	l.Stamped(l.bob, "derived", "1", "x", out[1].Ref)
	l.Collected(l.bob, "both", "1", out[1].Ref, out[2].Ref)
	basis := index
	l.Put(l.Stamp(l.bob, l.Ref("again", "1", "y"), func(s *statement.Stamp) {
		s.Since, s.Basis = &out[1].Ref, statement.Basis{Version: 7, Entry: &basis}
	}))
	soundLedger(t, l.Ledger)
}

// TestFailedRun: a failed run stamps nothing, and has its id all the same.
func TestFailedRun(t *testing.T) {
	l := newTeam(t)
	data := l.Stamped(l.bob, "data", "1", "d")
	one := uint64(1)
	env := l.Run(l.ci, []statement.Ref{data}, nil, func(r *statement.Run) { r.Failed, r.Exit = true, &one })
	index := l.Put(env)
	st, _ := statement.Parse(env.Payload)
	if got, err := l.View().Run(st.Nonce); err != nil || got != index {
		t.Fatal(got, err)
	}
	x, err := l.View().Lineage()
	if err != nil {
		t.Fatal(err)
	}
	a, err := x.Artifact("data", "1")
	if err != nil {
		t.Fatal(err)
	}
	if uses, err := x.Uses(a); err != nil || len(uses) != 0 {
		t.Fatal(uses, err)
	}
	l.Put(l.Run(l.ci, nil, nil)) // neither
	soundLedger(t, l.Ledger)
}

// TestLineageRefusals: what admission says, word for word.
func TestLineageRefusals(t *testing.T) {
	l := newTeam(t)
	limited := ledgertest.Ed25519("limited")
	l.Put(l.Register(l.Ada, limited.PublicKey(), "limited", 0, []string{"own/*"}, statement.RoleMember)) // 6
	data := l.Stamped(l.bob, "data", "1", "d")                                                           // 7
	run := l.Run(l.ci, []statement.Ref{data}, []statement.Output{l.Made("model", "1", "m")})
	l.Put(run) // 8
	model := l.Ref("model", "1", "m")
	other := l.Stamped(l.ci, "model", "2", "n") // 9
	l.Released(l.rel, model, "production")      // 10
	in := []statement.Ref{data}
	none := l.Ref("none", "1", "x")
	wrong := l.Ref("data", "1", "other")
	made := func(name, version, contents string) []statement.Output {
		return []statement.Output{l.Made(name, version, contents)}
	}
	for _, c := range []struct {
		name    string
		env     *statement.Envelope
		rule    ledger.Rule
		class   ledger.Class
		message string
		hint    string
	}{
		{"a run by a releaser", l.Run(l.rel, in, made("m", "1", "x")), ledger.RuleWhoMay, ledger.ClassRefused,
			"rel has roles [releaser]; of a run, the role is member", ""},
		{"a run outside the signer's name patterns", l.Run(limited, in, append(made("own/m", "1", "x"), made("theirs/m", "1", "y")...)), ledger.RuleWhoMay, ledger.ClassRefused,
			"limited may write the names [own/*], which do not cover theirs/m", "use a name it may write, or ask an administrator for a key that may"},
		{"an input that is not there", l.Run(l.ci, []statement.Ref{none}, made("m", "1", "x")), ledger.RuleReferences, ledger.ClassNotFound,
			"input: none@1 is not on this ledger", "stamp it first"},
		{"an input with other bytes", l.Run(l.ci, []statement.Ref{wrong}, made("m", "1", "x")), ledger.RuleReferences, ledger.ClassRefused,
			"input: data@1 is " + data.Fingerprint.String() + " since entry 7, not " + wrong.Fingerprint.String(), "name the fingerprint that was stamped, or another version"},
		{"an old output that is not there", l.Run(l.ci, in, []statement.Output{ledgertest.Old(none)}), ledger.RuleReferences, ledger.ClassNotFound,
			"output: none@1 is not on this ledger", "stamp it first"},
		{"an old output with other bytes", l.Run(l.ci, nil, []statement.Output{ledgertest.Old(wrong)}), ledger.RuleReferences, ledger.ClassRefused,
			"output: data@1 is " + data.Fingerprint.String() + " since entry 7, not " + wrong.Fingerprint.String(), "name the fingerprint that was stamped, or another version"},
		{"an output bound to other bytes", l.Run(l.ci, in, made("model", "2", "other")), ledger.RuleNameBound, ledger.ClassRefused,
			"model@2 is " + other.Fingerprint.String() + " since entry 9; it cannot become " + l.Fingerprint("other").String(), "stamp the new contents under a new version"},
		{"an output bound to the same bytes", l.Run(l.ci, in, made("model", "2", "n")), ledger.RuleNameBound, ledger.ClassRefused,
			"model@2 is on this ledger already, with these contents: entry 9", ""},
		{"a since that is not there", l.Run(l.ci, in, []statement.Output{{Ref: l.Ref("m", "1", "x"), Stamp: &statement.Stamp{Kind: "model", Since: &none}}}), ledger.RuleReferences, ledger.ClassNotFound,
			"since: none@1 is not on this ledger", "stamp it first"},
		{"a run id used twice", l.Sign(l.ci, &statement.Statement{Kind: statement.KindRun, Nonce: nonceOf(t, run), Run: runOf(t, l.Run(l.ci, nil, nil))}), ledger.RuleNameBound, ledger.ClassRefused,
			"the run id " + nonceOf(t, run).String() + " is that of entry 8", "every run has an id of its own; name an earlier one as the attempt that this one goes on from"},
		{"a run id used twice, by another", l.Sign(l.mallory, &statement.Statement{Kind: statement.KindRun, Nonce: nonceOf(t, run), Run: runOf(t, run)}), ledger.RuleNameBound, ledger.ClassRefused,
			"the run id " + nonceOf(t, run).String() + " is that of entry 8", "every run has an id of its own; name an earlier one as the attempt that this one goes on from"},
		{"an evaluation of nothing", l.Evaluate(l.bob, none, "auc", "0.9", data), ledger.RuleReferences, ledger.ClassNotFound,
			"evaluation: none@1 is not on this ledger", "stamp it first"},
		{"an evaluation on nothing", l.Evaluate(l.bob, model, "auc", "0.9", data, none), ledger.RuleReferences, ledger.ClassNotFound,
			"dataset: none@1 is not on this ledger", "stamp it first"},
		{"an evaluation by an approver", l.Evaluate(l.ann, model, "auc", "0.9", data), ledger.RuleWhoMay, ledger.ClassRefused,
			"ann has roles [approver]; of an evaluation, the role is member", ""},
		{"an import about nothing", l.Import(l.bob, none), ledger.RuleReferences, ledger.ClassNotFound,
			"import: none@1 is not on this ledger", "stamp it first"},
		{"an import of nothing", l.Import(l.bob, model, none), ledger.RuleReferences, ledger.ClassNotFound,
			"input: none@1 is not on this ledger", "stamp it first"},
		{"an approval by a member", l.Approve(l.bob, model, "production", 10), ledger.RuleWhoMay, ledger.ClassRefused,
			"bob has roles [member]; of an approval, the role is approver", ""},
		{"an approval of nothing", l.Approve(l.ann, none, "production", 10), ledger.RuleReferences, ledger.ClassNotFound,
			"approval: none@1 is not on this ledger", "stamp it first"},
		{"an approval that has not seen the release", l.Approve(l.ann, model, "production", 8), ledger.RuleAfter, ledger.ClassStale,
			"the last entry on model@1 and its place in production is 10; the statement was made after entry 8", "look at entry 10, then sign again"},
		{"a release by an approver", l.Release(l.ann, other, "production", 9), ledger.RuleWhoMay, ledger.ClassRefused,
			"ann has roles [approver]; of a release, the role is releaser", ""},
		{"a release of nothing", l.Release(l.rel, none, "production", 10), ledger.RuleReferences, ledger.ClassNotFound,
			"release: none@1 is not on this ledger", "stamp it first"},
		{"a release that replaces nothing", l.Release(l.rel, other, "production", 10, none), ledger.RuleReferences, ledger.ClassNotFound,
			"replaces: none@1 is not on this ledger", "stamp it first"},
		{"a release that has not seen the one before", l.Release(l.rel, other, "production", 9), ledger.RuleAfter, ledger.ClassStale,
			"the last entry on model@2 and its place in production is 10; the statement was made after entry 9", "look at entry 10, then sign again"},
		{"a release of what is there", l.Release(l.rel, model, "production", 10), ledger.RuleStage, ledger.ClassRefused,
			"model@1 is in production already: entry 10", ""},
		{"replaces what is not in the stage", l.Release(l.rel, other, "canary", 9, model), ledger.RuleStage, ledger.ClassRefused,
			"model@1 is not in canary", "stele status --stage canary lists what is"},
		{"leaves where it is not", l.Leave(l.rel, model, "canary", 8), ledger.RuleStage, ledger.ClassRefused,
			"model@1 is not in canary", "stele status --stage canary lists what is"},
		{"leaves where it never was", l.Leave(l.rel, other, "production", 10), ledger.RuleStage, ledger.ClassRefused,
			"model@2 is not in production", "stele status --stage production lists what is"},
	} {
		t.Run(c.name, func(t *testing.T) {
			l.T = t
			wantRefusal(t, l.Ledger, c.env, c.rule, c.class, c.message, c.hint)
		})
	}
	l.T = t
	blake := &ledgertest.Maker{Ledger: l.Maker.Ledger, Hash: 2}
	blake.Skip(1 << 32)
	for _, env := range []*statement.Envelope{
		blake.Run(l.ci, nil, []statement.Output{blake.Made("b", "1", "b")}),
		blake.Run(l.ci, []statement.Ref{blake.Ref("data", "1", "d")}, nil),
	} {
		if r := refusalOf(t, l.Ledger, env); r.Rule != ledger.RuleLedger {
			t.Fatal(r.Rule, r)
		}
	}
	soundLedger(t, l.Ledger)
}

func nonceOf(t *testing.T, env *statement.Envelope) statement.Nonce {
	t.Helper()
	st, err := statement.Parse(env.Payload)
	if err != nil {
		t.Fatal(err)
	}
	return st.Nonce
}

func runOf(t *testing.T, env *statement.Envelope) *statement.Run {
	t.Helper()
	st, err := statement.Parse(env.Payload)
	if err != nil {
		t.Fatal(err)
	}
	return st.Run
}

// TestWhatAnAuthorMustHaveSeen: the After of an approval or a release follows
// what concerns it, and nothing that a stranger could spin on with.
func TestWhatAnAuthorMustHaveSeen(t *testing.T) {
	l := newTeam(t)
	data := l.Stamped(l.bob, "data", "1", "d")
	model := l.Ran(l.ci, "model", "1", "m", data)
	next := l.Ran(l.ci, "model", "2", "n", data)
	rival := l.Ran(l.ci, "rival", "1", "r", data)
	release := func(ref statement.Ref, stage string, replaces ...statement.Ref) uint64 {
		return l.Saw(&statement.Release{Stage: stage, Replaces: replaces}, ref)
	}
	type views struct{ withdrawal, approval, elsewhere, release, replacing uint64 }
	now := func() views {
		return views{
			l.Saw(&statement.Withdrawal{}, model), l.Saw(&statement.Approval{Stage: "production"}, model), l.Saw(&statement.Approval{Stage: "canary"}, model),
			release(model, "production"), release(model, "production", rival),
		}
	}
	was := now()
	step := func(what string, change func() uint64, want func(views, uint64) views) {
		t.Helper()
		index := change()
		if got := now(); got != want(was, index) {
			t.Fatalf("after %s in entry %d: %+v, want %+v", what, index, got, want(was, index))
		}
		was = now()
	}
	all := func(_ views, i uint64) views { return views{i, i, i, i, i} }
	same := func(v views, _ uint64) views { return v }
	step("an evaluation", func() uint64 { return l.Evaluated(l.bob, model, "auc", "0.9", data) }, all)
	step("a stamp of the same bytes", func() uint64 { return l.Put(l.Stamp(l.bob, l.Ref("copy", "1", "m"))) }, all)
	step("a run of its stamper's", func() uint64 { return l.Put(l.Run(l.ci, nil, []statement.Output{ledgertest.Old(model)})) }, all)
	step("a stranger's run over it", func() uint64 { return l.Put(l.Run(l.mallory, nil, []statement.Output{ledgertest.Old(model)})) }, same)
	step("a use of it", func() uint64 { return l.Put(l.Run(l.mallory, []statement.Ref{model}, nil)) }, same)
	step("an import", func() uint64 { return l.Put(l.Import(l.mallory, model, data)) }, same)
	step("an approval of another", func() uint64 { return l.Approved(l.ann, next, "production") }, same)
	step("an approval", func() uint64 { return l.Approved(l.ann, model, "production") },
		func(v views, i uint64) views { v.approval, v.release, v.replacing = i, i, i; return v })
	step("a rejection elsewhere", func() uint64 { return l.Rejected(l.ann, model, "canary") },
		func(v views, i uint64) views { v.elsewhere = i; return v })
	step("a release of another version", func() uint64 { return l.Released(l.rel, next, "production") },
		func(v views, i uint64) views { v.release, v.replacing = i, i; return v })
	step("a release of what it would replace", func() uint64 { return l.Released(l.rel, rival, "production") },
		func(v views, i uint64) views { v.replacing = i; return v })
	step("a release elsewhere", func() uint64 { return l.Released(l.rel, rival, "test") }, same)
	step("a withdrawal", func() uint64 { return l.Withdrawn(l.ci, model, statement.TargetBinding, statement.EffectAdvise) }, all)
	if got := l.Saw(&statement.Withdrawal{}, model); got != was.withdrawal {
		t.Fatal(got)
	}
	if after, err := l.View().After(&statement.Statement{Kind: statement.KindStamp, Stamp: &statement.Stamp{}}); err != nil || after != 0 {
		t.Fatal(after, err)
	}
	st := &statement.Statement{Kind: statement.KindWithdrawal, Withdrawal: &statement.Withdrawal{}, Subject: []statement.Subject{l.Ref("none", "1", "nothing").Subject()}}
	if _, err := l.View().After(st); !errors.Is(err, ledger.ErrNotFound) {
		t.Fatal(err)
	}
	soundLedger(t, l.Ledger)
}
