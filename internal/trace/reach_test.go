package trace_test

import (
	"slices"
	"testing"

	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/trace"
	"github.com/stele-ml/stele/statement"
)

// TestReached: a withdrawal reaches what was made of the contents under whatever name,
// by the shortest way, and nothing that somebody merely claims.
func TestReached(t *testing.T) {
	l := ledgertest.New(t)
	mallory := l.Person("mallory")
	raw := l.Stamped(l.Ada, "raw", "1", "raw")
	l.Stamped(l.Ada, "copy", "1", "raw")
	clean := l.Stamped(l.Ada, "clean", "1", "clean", raw)
	model := l.Ran(l.Ada, "model", "1", "model", clean, raw)
	l.Ran(l.Ada, "tuned", "1", "tuned", model)
	other := l.Stamped(l.Ada, "other", "1", "other")
	l.Put(l.Run(mallory, []statement.Ref{raw}, []statement.Output{ledgertest.Old(other)}))
	l.Released(l.Ada, model, "production")
	b, err := account.Open(l.View())
	if err != nil {
		t.Fatal(err)
	}
	got, err := trace.Reached(b, raw.Fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	names := slices.Sorted(slices.Values(got.Names))
	if !slices.Equal(names, []string{"copy@1", "raw@1"}) || got.Downstream != 3 || got.Cut || got.Signers["ada"] != 3 || len(got.Artifacts) != 5 {
		t.Errorf("%+v", got)
	}
	if len(got.Stages) != 1 || got.Stages[0].Stage != "production" || !slices.Equal(got.Stages[0].Artifacts, []string{"model@1"}) {
		t.Errorf("%+v", got.Stages)
	}
	way := map[string][]string{}
	for _, x := range got.Artifacts {
		for _, s := range x.Path {
			way[x.Name] = append(way[x.Name], s.Name+" "+s.Way)
		}
	}
	for name, want := range map[string][]string{
		"raw": {"raw "}, "clean": {"clean from", "raw "}, "model": {"model run", "raw "}, "tuned": {"tuned run", "model run", "raw "}, "other": nil,
	} {
		if !slices.Equal(way[name], want) {
			t.Errorf("%s is reached by %v, want %v", name, way[name], want)
		}
	}
}
