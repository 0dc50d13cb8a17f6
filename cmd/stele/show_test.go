package main

import (
	"bytes"
	"encoding/json"
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
