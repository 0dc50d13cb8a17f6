package main

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/statement"
)

// app is the command in this process, for what a person does in the middle of it.
func (p *person) app(args ...string) *app {
	p.t.Helper()
	var out bytes.Buffer
	a := newApp(new(bytes.Buffer), &out, &out, p.getenv)
	// Any command reads the flags and finds the person's home.
	if status := a.run(context.Background(), append([]string{"list", "--ledger", filepath.Join(p.dir, ".stele")}, args...)); status != exitHolds {
		p.t.Fatalf("list: status %d: %s", status, out.String())
	}
	return a
}

// TestAttackerCrosses has somebody else write to the ledger between the look at
// it and the signature. What was not seen is not signed over.
func TestAttackerCrosses(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.must("init", "--handle", "ada", "-q")
	p.write("data.csv", "1,2,3")
	p.write("1.bin", "1")
	p.write("2.bin", "2")
	p.must("stamp", "data.csv", "--as", "fraud/data@1", "-q")
	p.must("stamp", "1.bin", "--as", "fraud/model@1", "--kind", "model", "--from", "fraud/data@1", "-q")
	p.must("stamp", "2.bin", "--as", "fraud/model@2", "--kind", "model", "--from", "fraud/data@1", "-q")
	for _, c := range []struct {
		name  string
		plan  func(r *reading, f *decideFlags) (*planned, error)
		cross []string
		undo  [][]string
	}{
		{
			name: "two approvals",
			plan: func(r *reading, f *decideFlags) (*planned, error) {
				return r.planApproval("fraud/model", "1", statement.DecisionApprove, f)
			},
			cross: []string{"approve", "fraud/model@1", "--stage", "production", "--reject", "--reason", "drifts", "-q"},
		},
		{
			name: "a release and a withdrawal",
			plan: func(r *reading, f *decideFlags) (*planned, error) {
				return r.planRelease(&releaseOrder{decideFlags: *f, name: "fraud/model", version: "1"})
			},
			cross: []string{"withdraw", "fraud/model@1", "--effect", "advise", "--reason", "drifts", "-q"},
			undo:  [][]string{{"reinstate", "fraud/model@1", "--reason", "no", "-q"}},
		},
		{
			name: "a release and another of that name",
			plan: func(r *reading, f *decideFlags) (*planned, error) {
				return r.planRelease(&releaseOrder{decideFlags: *f, name: "fraud/model", version: "1"})
			},
			cross: []string{"release", "fraud/model@2", "--stage", "production", "-q"},
		},
		{
			name: "an approval and a withdrawal of what it was made of",
			plan: func(r *reading, f *decideFlags) (*planned, error) {
				return r.planApproval("fraud/model", "2", statement.DecisionApprove, f)
			},
			cross: []string{"withdraw", "fraud/data@1", "--effect", "advise", "--reason", "labels in doubt", "-q"},
			undo:  [][]string{{"reinstate", "fraud/data@1", "--reason", "no", "-q"}},
		},
	} {
		f := &decideFlags{stage: "production", after: -1}
		a := p.app()
		before := p.must("log", "-n", "0", "--json")
		a.looked = func() { p.must(c.cross...) }
		err := a.decide(t.Context(), f, func(r *reading) (*planned, error) { return c.plan(r, f) })
		if got := describe(err); err == nil || got.status != exitRefused || got.rule != string(ledger.RuleAfter) || !strings.Contains(got.message, "somebody was faster") {
			t.Errorf("%s: %v", c.name, err)
		}
		after := p.must("log", "-n", "0", "--json")
		if n := strings.Count(after, "\n") - strings.Count(before, "\n"); n != 1 {
			t.Errorf("%s: %d entries were written, want the other person's alone", c.name, n)
		}
		for _, undo := range c.undo {
			p.must(undo...)
		}
	}
}

// TestNothingChanged: what comes to the ledger about something else does not
// stand in the way.
func TestNothingChanged(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.must("init", "--handle", "ada", "-q")
	p.write("1.bin", "1")
	p.write("2.bin", "2")
	p.must("stamp", "1.bin", "--as", "fraud/model@1", "--kind", "model", "-q")
	p.must("stamp", "2.bin", "--as", "other/model@1", "--kind", "model", "-q")
	f := &decideFlags{stage: "production", after: -1}
	a := p.app()
	a.looked = func() { p.must("withdraw", "other/model@1", "--reason", "x", "-q") }
	err := a.decide(t.Context(), f, func(r *reading) (*planned, error) {
		return r.planRelease(&releaseOrder{decideFlags: *f, name: "fraud/model", version: "1"})
	})
	if err != nil {
		t.Error(err)
	}
}

// TestTenures: what a rollback may come to, by what happened in the stage.
func TestTenures(t *testing.T) {
	join, leave := statement.ActionJoin, statement.ActionLeave
	for _, c := range []struct {
		name    string
		changes string // "+1 -1/2": 1 joins; 1 leaves, replaced by 2
		want    string // versions, the oldest first; those inside with a *
	}{
		{"one", "+1", "1*"},
		{"replaced", "+1 -1/2 +2", "1 2*"},
		{"replaced twice", "+1 -1/2 +2 -2/3 +3", "1 2 3*"},
		{"rolled back", "+1 -1/2 +2 -2/3 +3 -3/2 +2", "1 2*"},
		{"rolled back twice", "+1 -1/2 +2 -2/3 +3 -3/2 +2 -2/1 +1", "1*"},
		{"forwards after a rollback", "+1 -1/2 +2 -2/1 +1 -1/3 +3", "1 3*"},
		{"A, B, A, B", "+1 -1/2 +2 -2/1 +1 -1/2 +2", "1 2*"},
		{"a canary", "+1 +2", "1* 2*"},
		{"a canary that left", "+1 +2 -2", "1*"},
		{"a canary that was promoted", "+1 +2 -1", "1 2*"},
		{"a canary that was promoted, then replaced", "+1 +2 -1 -2/3 +3", "1 2 3*"},
		{"taken out", "+1 -1/2 +2 -2", "1"},
		{"all taken out", "+1 -1", ""},
		{"taken out and put back", "+1 -1 +1", "1*"},
		{"back to one beside which others stayed", "+1 +2 -1/3 +3 -3/1 +1", "2* 1*"},
		{"left without ever having joined", "-1", ""},
	} {
		var changes []ledger.StageChange
		replaced := map[uint64]bool{}
		for i, word := range strings.Fields(c.changes) {
			version, by, _ := strings.Cut(word[1:], "/")
			change := ledger.StageChange{Entry: uint64(i), Ref: statement.Ref{Name: "m", Version: version}, Action: map[byte]string{'+': join, '-': leave}[word[0]]}
			changes = append(changes, change)
			replaced[change.Entry] = by != ""
		}
		list, all := tenures(changes, func(entry uint64, _ statement.Ref) bool { return replaced[entry] })
		var got []string
		for _, t := range list {
			got = append(got, t.ref.Version+map[bool]string{true: "*"}[t.inside])
		}
		if text := strings.Join(got, " "); text != c.want {
			t.Errorf("%s: %q, want %q", c.name, text, c.want)
		}
		for _, ref := range all {
			if !strings.Contains(c.changes, "+"+ref.Version) {
				t.Errorf("%s: %s never joined", c.name, ref.Version)
			}
		}
	}
}

// FuzzMetrics: whatever is taken from a file is a decimal of one spelling, and
// each name once.
func FuzzMetrics(f *testing.F) {
	for _, text := range []string{
		`{"auc": 0.98700, "loss": 1.2e-3}`, `{"a":1E5,"b":-0.0,"c":-0}`, `{"a":NaN}`, `{"a":[1]}`, `{"a":{"b":1}}`, `{}`, `[]`, `{"a":1}x`,
		`{"a":1,"a":2}`, `{"a":1e400}`, `{"a":1e-400}`, `{"a":123456789012345678}`, `{"a":0.1234567890123456789}`, "{\"a\xff\":1}",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		seen := map[string]bool{}
		_ = eachMetric("it", data, func(_, name, number string) error {
			d, err := decimalOf(number)
			if err != nil {
				return err
			}
			if again, err := statement.ParseDecimal(string(d)); err != nil || again != d {
				t.Errorf("%s of %s: %v", d, number, err)
			}
			if seen[name] {
				return errors.New("twice")
			}
			seen[name] = true
			return nil
		})
	})
}

// TestDecimalOf: numbers as programs write them.
func TestDecimalOf(t *testing.T) {
	for text, want := range map[string]statement.Decimal{
		"0.98700": "0.987", "1.2e-3": "0.0012", "1E5": "100000", "-0.0": "0", "0e9": "0", "12": "12", "-1.50": "-1.5",
		"0.1234567890123456789": "0.123456789012346", "0.30000000000000004": "0.3", "1e-20": "0.00000000000000000001",
		"": "", "NaN": "", "+1": "", "01": "", ".5": "", "5.": "", "0x10": "", "1_000": "", "1,5": "", "1e400": "", "1e-400": "", "1e40": "",
		"1e-40": "", "123456789012345678": "", "--1": "", "1e": "", "Infinity": "",
	} {
		got, err := decimalOf(text)
		if got != want || (err == nil) != (want != "") {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
}
