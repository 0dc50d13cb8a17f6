package trace_test

import (
	"strings"
	"testing"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
)

// TestTraceOfACopy: what was said of the same bytes under another name is told
// with that name: to withdraw it may be the only remedy.
func TestTraceOfACopy(t *testing.T) {
	l := ledgertest.New(t)
	ci, mallory := l.Person("ci"), l.Person("mallory")
	data := l.Stamped(l.Ada, "data", "1", "data")
	l.Ran(ci, "m", "1", "model", data)
	poison := l.Stamped(mallory, "mallory/poison", "1", "poison")
	l.Stamped(mallory, "mallory/m", "1", "model", poison)
	l.Stamped(l.Ada, "prod/m", "1", "model")
	l.Stamped(mallory, "mallory/late", "1", "model", data)
	tr, text := traced(t, l, "prod/m@1", up)
	for _, want := range []string{
		"made by run ", "by ci, of the same bytes as m@1",
		"derived from 1 artifact; entry 6 by mallory, of the same bytes as mallory/m@1",
		"not counted: from by mallory, entry 8", "of the same bytes as mallory/late@1",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing:\n%s", want, text)
		}
	}
	of := map[string]string{}
	for _, e := range tr.Edges {
		of[e.Input+" "+e.Way+" "+e.Signer.Handle] += e.Of + " "
	}
	for key, want := range map[string]string{"data@1 run ci": "m@1 ", "mallory/poison@1 from mallory": "mallory/m@1 ", "data@1 from mallory": "mallory/late@1 "} {
		if of[key] != want {
			t.Errorf("%s: said of %q, want %q", key, of[key], want)
		}
	}

	// Of what carries the name itself nothing is said twice; downwards too.
	if _, text := traced(t, l, "m@1", up); strings.Contains(text, "of the same bytes as m@1") {
		t.Error(text)
	}
	tr, text = traced(t, l, "data@1", down)
	if !strings.Contains(text, "of the same bytes as m@1") {
		t.Error(text)
	}
	edge := func(output string) *jsonv1.TraceEdge {
		for i := range tr.Edges {
			if tr.Edges[i].Output == output && tr.Edges[i].Counts {
				return &tr.Edges[i]
			}
		}
		t.Fatalf("nothing says what %s was made of", output)
		return nil
	}
	if e := edge("prod/m@1"); e.Of != "m@1" {
		t.Errorf("%+v", e)
	}
	if e := edge("m@1"); e.Of != "" {
		t.Errorf("%+v", e)
	}
}
