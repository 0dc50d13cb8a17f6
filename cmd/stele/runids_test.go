package main

import (
	"strings"
	"testing"

	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/statement"
)

// called records a run with an id of its own.
func called(t *testing.T, l *ledgertest.Ledger, id string, outputs ...statement.Output) uint64 {
	t.Helper()
	n, err := statement.ParseNonce(id)
	if err != nil {
		t.Fatal(err)
	}
	exit := uint64(0)
	if len(outputs) == 0 {
		exit = 3
	}
	return l.Put(l.Sign(l.Ada, &statement.Statement{Kind: statement.KindRun, Nonce: n, Run: &statement.Run{
		Observation: statement.ObservationWrapped, Failed: exit != 0, Exit: &exit, Outputs: outputs, Started: 1, Finished: 2}}))
}

// TestRunsThatBegin: the beginning of a run's id finds it, unless something else
// is called just so, or another run begins so, too.
func TestRunsThatBegin(t *testing.T) {
	l := ledgertest.New(t)
	named := l.View().Size()
	l.Stamped(l.Ada, "facade00", "1", "a name that looks like hex")
	facade := called(t, l, "facade00000000000000000000000001", l.Made("m", "1", "m"))
	alone := called(t, l, "c0ffee000000000000000000000000aa")
	called(t, l, "abcdef00000000000000000000000001")
	second := called(t, l, "abcdef00100000000000000000000001")
	digits := called(t, l, "20261122000000000000000000000001")
	r, err := newReading(l.View())
	if err != nil {
		t.Fatal(err)
	}
	for what, want := range map[string]struct {
		show, trace uint64
		fails       string // of both, in the words of show
		status      int
	}{
		"c0ffee0000":                       {show: alone, trace: alone},
		"c0ffee00":                         {show: alone, trace: alone},
		"c0ffee000000000000000000000000aa": {show: alone, trace: alone},
		"facade00":                         {show: facade, trace: named},
		"facade000":                        {show: facade, trace: facade},
		"20261122":                         {show: digits, trace: digits},
		"00000003":                         {show: 3, trace: 3}, // an entry, if there is one
		"abcdef001":                        {show: second, trace: second},
		"abcdef00":                         {fails: "abcdef00 may be several runs: abcdef00000000000000000000000001 (entry", status: exitUsage},
		"deadbeef":                         {fails: "deadbeef", status: exitNotFound},
		"99999999":                         {fails: "99999999", status: exitNotFound},
		"c0ffee000000000000000000000000ab": {fails: "no run c0ffee000000000000000000000000ab", status: exitNotFound},
	} {
		if err := checkWhat(what); err != nil {
			t.Errorf("show %s: %v", what, err)
		}
		at, showErr := r.find(what)
		w, err := parseWanted(what)
		if err != nil {
			t.Fatal(err)
		}
		f, traceErr := r.lookUp(w)
		if want.fails != "" {
			for _, err := range []error{showErr, traceErr} {
				if err == nil || statusOf(err) != want.status || !strings.Contains(err.Error(), want.fails) {
					t.Errorf("%s: %v (%d)", what, err, statusOf(err))
				}
			}
			continue
		}
		if showErr != nil || at.entry != want.show {
			t.Errorf("show %s: entry %d, %v; want %d", what, at.entry, showErr, want.show)
		}
		if traceErr != nil {
			t.Errorf("trace %s: %v", what, traceErr)
			continue
		}
		entry := uint64(0)
		if f.run != nil {
			entry = f.run.Index
		} else {
			entry = f.bindings[0].Entry
		}
		if entry != want.trace {
			t.Errorf("trace %s: entry %d, want %d", what, entry, want.trace)
		}
	}
	for _, what := range []string{"c0ffee0", "C0FFEE00", "c0ffee0g", "c0ffee000000000000000000000000aa0"} { // too short, or no id
		if err := checkWhat(what); statusOf(err) != exitUsage {
			t.Errorf("%s: %v", what, err)
		}
	}
}
