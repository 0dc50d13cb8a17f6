package audit

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func TestPercent(t *testing.T) {
	for p, want := range map[float64]string{
		0: "0%", 1: "more than 99.999999999%", 0.5: "50.0%", 0.99: "99.0%", 0.990017: "99.00%", 0.950092: "95.0%",
		0.999: "99.90%", 0.99901: "99.901%", 0.99999: "99.9990%", 0.9999999999999: "99.999999999%",
		0.0000876: "0.0087%", 0.005: "0.50%", 1e-13: "less than 0.000000001%", 0.29: "29.0%",
	} {
		if got := percent(p); got != want {
			t.Errorf("%v: %s, want %s", p, got, want)
		}
	}
	// It never says more than holds.
	for p := 1e-9; p < 1; p += 1e-4 + p/100 {
		got, err := strconv.ParseFloat(strings.TrimSuffix(percent(p), "%"), 64)
		if err != nil || got/100 > p*(1+1e-9) || got >= 100 || math.Abs(got/100-p) > 0.1*min(p, 1-p)+0.001 {
			t.Errorf("%v is %s", p, percent(p))
		}
	}
}

func TestSentences(t *testing.T) {
	p := &Plan{Draws: 919, Files: 3, Bytes: 10 << 40, Chunks: 10 << 20, ToRead: 918, BytesToRead: 918 << 20}
	for got, want := range map[string]string{
		p.WillRead(): "918 of 10,485,760 chunks, 918 MiB of 10.0 TiB",
		p.WasRead(Result{ChunksRead: 900, BytesRead: 900 << 20}): "900 of 10,485,760 chunks, 900 MiB of 10.0 TiB",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	want := []string{
		"if 0.5% of the bytes lie in altered chunks, 919 draws meet one of them with a probability of 99.00%",
		"a single altered chunk of 1.0 MiB is met with 0.0087%",
		"the names and sizes of all stamped files are compared, whatever is drawn",
		"0.5% of the rows is not 0.5% of the bytes: a changed byte alters its whole chunk, so scattered rows alter far more, and short rows that lie together less",
	}
	if got := p.Odds(5_000_000); !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}

	all := &Plan{Draws: 919, Bytes: 12, Chunks: 3, All: true, ToRead: 3, BytesToRead: 12}
	if got := all.WillRead(); got != "all 3 chunks, 12 B" {
		t.Error(got)
	}
	if got := all.WasRead(Result{ChunksRead: 3, BytesRead: 12}); got != "all 3 chunks, 12 B" {
		t.Error(got)
	}
	if got := all.WasRead(Result{ChunksRead: 2, BytesRead: 8}); got != "2 of 3 chunks, 8 B of 12 B" {
		t.Error(got)
	}
	if got := all.Odds(1); len(got) != 1 || !strings.Contains(got[0], "every chunk is read") {
		t.Error(got)
	}
	if got := (&Plan{Bytes: 7, Chunks: 1, All: true}).WillRead(); got != "the only chunk, 7 B" {
		t.Error(got)
	}
	if got := (&Plan{Bytes: 7, Chunks: 5, Draws: 1}).Odds(500_000_000); got[0] != "if 50% of the bytes lie in altered chunks, a single draw meets one of them with a probability of 50.0%" || len(got) != 3 {
		t.Error(got)
	}
	if p := all.Detection(1e-18); p != 1 {
		t.Errorf("an altered byte of a plan that reads all is found with %v", p)
	}
	if got := (&Plan{All: true}).Odds(1); len(got) != 1 || !strings.Contains(got[0], "no bytes") {
		t.Error(got)
	}
}

func TestFindingsInWords(t *testing.T) {
	for _, c := range []struct {
		r              Result
		names, differs string
	}{
		{Result{ChunksRead: 7}, "none missing, added or of another size", ""},
		{Result{Renamed: 1}, "1 renamed", ""},
		{Result{Removed: 1, Added: 2000, Resized: 3}, "1 missing, 2,000 added, 3 of another size", "1 file missing, 2,000 files more than stamped, 3 files of another size"},
		{Result{Modified: 2, ChunksAltered: 3, ChunksRead: 919}, "none missing, added or of another size", "3 of 919 chunks read altered, in 2 files"},
	} {
		if names, differs := c.r.Names(), c.r.Differs(); names != c.names || differs != c.differs || (differs == "") != c.r.Held() {
			t.Errorf("%+v: %q and %q", c.r, names, differs)
		}
	}
}
