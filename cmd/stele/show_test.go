package main

import (
	"bytes"
	"encoding/json"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/statement"
)

// shown is what `stele show` prints of a ledger in memory, for a person and in
// --json.
func shown(t *testing.T, l *ledgertest.Ledger, what string) (text string, item jsonv1.Entry) {
	t.Helper()
	r, err := newReading(l.View())
	if err != nil {
		t.Fatal(err)
	}
	at, err := r.find(what)
	if err != nil {
		t.Fatal(err)
	}
	print := func(asJSON bool) string {
		var out bytes.Buffer
		a := newApp(strings.NewReader(""), &out, &out, func(string) string { return "" })
		a.json = asJSON
		if err := a.show(t.Context(), r, at); err != nil {
			t.Fatalf("show %s: %v", what, err)
		}
		return out.String()
	}
	dec := json.NewDecoder(strings.NewReader(print(true)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&item); err != nil {
		t.Fatal(err)
	}
	return print(false), item
}

// TestShowEverything: all that there is about one artifact, and each entry of it.
func TestShowEverything(t *testing.T) {
	l := ledgertest.New(t)
	bob := l.Person("bob", statement.RoleMember, statement.RoleApprover)
	raw := l.Stamped(l.Ada, "raw", "1", "raw")
	other := l.Stamped(l.Ada, "other", "1", "other")
	model := l.Ran(l.Ada, "model", "1", "model", raw)
	l.Put(l.Import(bob, model, other))
	l.Put(l.Run(bob, []statement.Ref{other}, []statement.Output{ledgertest.Old(model)}))
	measured := l.Evaluated(bob, model, "auc", "0.987", other)
	approved := l.Approved(bob, model, "production")
	rejected := l.Rejected(bob, model, "production")
	released := l.Released(l.Ada, model, "production")
	l.Ran(l.Ada, "tuned", "1", "tuned", model)
	l.Ran(l.Ada, "scores", "1", "scores", l.Ran(l.Ada, "tuned", "2", "tuned 2", model))
	withdrawn := l.Withdrawn(l.Ada, raw, statement.TargetContents, statement.EffectStop)

	text, item := shown(t, l, "model@1")
	for _, want := range []string{
		"standing     TAINTED", "TAINTED      raw@1, withdrawn in entry", "origin       run ", "from raw@1",
		"claim        a foreign statement, imported in entry 5 by bob, from other@1; does not count: ",
		"claim        run ", "by bob: wrapped, exit 0", "does not count: claimed by bob, who did not stamp it",
		"is in        production", "approved     for production by bob", "decided again in entry", "rejected     for production by bob",
		"joined production", "imported     in-toto, signed by the key ", "used for     2 artifacts in one step, 3 in all", "auc     0.987  other@1",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing:\n%s", want, text)
		}
	}
	about := item.About
	switch {
	case about == nil:
		t.Fatal("--json says nothing about it")
	case about.Standing != "tainted" || about.Taint == nil || about.Taint.Causes[0].Entry != withdrawn || about.Taint.Effect != statement.EffectStop:
		t.Errorf("standing %s, taint %+v", about.Standing, about.Taint)
	case about.Origin != "recorded" || len(about.Origins) != 3:
		t.Errorf("origin %s: %+v", about.Origin, about.Origins)
	case len(about.Evaluations) != 1 || about.Evaluations[0].Entry != measured:
		t.Errorf("evaluations %+v", about.Evaluations)
	case len(about.Approvals) != 2 || about.Approvals[0].Entry != approved || about.Approvals[0].Superseded == nil || *about.Approvals[0].Superseded != rejected:
		t.Errorf("approvals %+v", about.Approvals)
	case len(about.Releases) != 1 || len(about.Stages) != 1 || about.Stages[0].Entry != released:
		t.Errorf("releases %+v, stages %+v", about.Releases, about.Stages)
	case len(about.Imports) != 1 || about.Imports[0].Inputs[0] != "other@1":
		t.Errorf("imports %+v", about.Imports)
	case about.Uses.Direct != 2 || about.Uses.All != 3 || about.Uses.Kinds[statement.ArtifactModel]+about.Uses.Kinds[statement.ArtifactDataset] != 3:
		t.Errorf("uses %+v", about.Uses)
	}

	// Every entry shows, in both forms.
	for i := range l.View().Size() {
		text, item := shown(t, l, strconv.FormatUint(i, 10))
		if item.Entry != i || !strings.Contains(text, item.Kind) {
			t.Errorf("entry %d: %+v\n%s", i, item, text)
		}
	}
	// What somebody else says that a dataset was used for, is told apart.
	if text, item := shown(t, l, "other@1"); item.About.Uses.Claims != 2 || item.About.Uses.All != 0 || !strings.Contains(text, "claimed by   2 artifacts besides") {
		t.Errorf("%+v\n%s", item.About.Uses, text)
	}
}

// TestAttackerClaims: whoever says that my model was made of what is withdrawn
// taints neither it nor what is made of it.
func TestAttackerClaims(t *testing.T) {
	l := ledgertest.New(t)
	mallory := l.Person("mallory")
	bad := l.Stamped(mallory, "bad", "1", "bad")
	model := l.Stamped(l.Ada, "model", "1", "model")
	l.Put(l.Run(mallory, []statement.Ref{bad}, []statement.Output{ledgertest.Old(model)}))
	l.Stamped(mallory, "mine", "1", "model", bad)
	l.Put(l.Import(mallory, model, bad))
	l.Withdrawn(mallory, bad, statement.TargetContents, statement.EffectStop)
	r, err := newReading(l.View())
	if err != nil {
		t.Fatal(err)
	}
	all, err := r.Words(0)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"model": "good", "mine": "tainted", "bad": "withdrawn"} {
		b, err := r.binding(name, "1")
		if err != nil {
			t.Fatal(err)
		}
		c, err := r.Of(b)
		if err != nil {
			t.Fatal(err)
		}
		if against, err := all.On(b.Ref()); err != nil || against.Word() != want || c.Standing() != want {
			t.Errorf("%s: %+v in a list, %s on its own (%v), want %s", name, against, c.Standing(), err, want)
		}
	}
	// She cannot keep it out of production either.
	l.Released(l.Ada, model, "production")
}

// troubledLedger is a ledger with all kinds of origins, withdrawals, and for even
// seeds a key that was stolen; with its artifacts, of which about half were
// released to p or q when they were new.
func troubledLedger(t *testing.T, seed uint64) (*ledgertest.Ledger, []statement.Ref) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 0))
	l := ledgertest.New(t)
	roles := []string{statement.RoleApprover, statement.RoleMember, statement.RoleReleaser}
	people := []statement.Signer{l.Ada, l.Person("bob", roles...), l.Person("carol", roles...)}
	stolen := uint64(0)
	var refs []statement.Ref
	pick := func() statement.Ref { return refs[random.IntN(len(refs))] }
	for i := range 60 {
		if i == 25 {
			stolen = l.View().Size()
		}
		before := len(refs)
		by := people[random.IntN(len(people))]
		version := strconv.Itoa(i)
		contents := strconv.Itoa(random.IntN(40)) // some bytes under several names
		switch kind := random.IntN(10); {
		case kind < 3 || len(refs) < 3:
			refs = append(refs, l.Stamped(by, "data", version, contents))
		case kind < 5:
			refs = append(refs, l.Stamped(by, "derived", version, contents, pick()))
		case kind < 7:
			inputs := []statement.Ref{pick()}
			if more := pick(); more != inputs[0] {
				inputs = append(inputs, more)
			}
			refs = append(refs, l.Ran(by, "made", version, contents, inputs...))
		case kind == 7:
			refs = append(refs, l.Collected(by, "all", version, pick()))
		case kind == 8:
			if in, out := pick(), pick(); in.String() != out.String() { // a claim, a late run, a cycle
				l.Put(l.Run(by, []statement.Ref{in}, []statement.Output{ledgertest.Old(out)}))
			}
		default:
			target := []string{statement.TargetContents, statement.TargetContents, statement.TargetBinding}[random.IntN(3)]
			ref := pick()
			w := l.Withdrawn(l.Ada, ref, target, statement.EffectNoNewUse)
			if random.IntN(3) == 0 {
				l.Reinstated(l.Ada, ref, w)
			}
		}
		if len(refs) > before && random.IntN(2) == 0 {
			stage, ref := []string{"p", "q"}[random.IntN(2)], refs[before]
			l.Try(l.Release(by, ref, stage, l.Saw(&statement.Release{Stage: stage}, ref))) // refused, where it is tainted
			if random.IntN(4) == 0 {
				l.Rejected(people[random.IntN(len(people))], ref, stage)
			}
		}
	}
	if seed%2 == 0 {
		l.Put(l.Compromised(l.Ada, people[1].PublicKey(), "bob", stolen))
	}
	return l, refs
}

// TestListAgreesWithShow: what a list finds downwards from all that is withdrawn
// is what is found upwards from each artifact, in ledgers of all kinds of origins.
func TestListAgreesWithShow(t *testing.T) {
	count := map[string]int{}
	for seed := range uint64(20) {
		l, refs := troubledLedger(t, seed)
		r, err := newReading(l.View())
		if err != nil {
			t.Fatal(err)
		}
		all, err := r.Words(0)
		if err != nil {
			t.Fatal(err)
		}
		for _, ref := range refs {
			b, err := r.binding(ref.Name, ref.Version)
			if err != nil {
				t.Fatal(err)
			}
			c, err := r.Of(b)
			if err != nil {
				t.Fatal(err)
			}
			against, err := all.On(ref)
			if err != nil {
				t.Fatal(err)
			}
			word := against.Word()
			count[word]++
			if word != c.Standing() {
				t.Errorf("seed %d: %s: %s in a list, %s on its own", seed, ref, word, c.Standing())
			}
		}
	}
	for _, word := range []string{"good", "withdrawn", "tainted", "untrusted"} {
		if count[word] < 10 {
			t.Errorf("%d artifacts are %s: this tests little (%v)", count[word], word, count)
		}
	}
}
