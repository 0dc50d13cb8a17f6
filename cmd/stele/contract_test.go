package main

import (
	"bytes"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/statement"
)

const strictContract = `apiVersion: stele.dev/v1
kind: Contract
metadata: {name: strict, version: 1}
spec:
  engine: cel/1
  match: {statements: [release]}
  validations:
    - {id: never, expression: "false", message: nothing is released}
  tests:
    - name: any
      given: {statement: {kind: release, stage: production}}
      expect: {deny: [never]}
`

// TestAttackerSwapsContract replaces the file while the person who is about to
// sign it looks at what they were shown. What was tested and shown is signed.
func TestAttackerSwapsContract(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.must("init", "--handle", "ada", "-q")
	p.write("strict.yaml", strictContract)
	loose := strings.NewReplacer(`"false"`, `"true"`, "expect: {deny: [never]}", "expect: {allow: true}").Replace(strictContract)
	path := filepath.Join(p.dir, "strict.yaml")
	tested, err := readContract(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []*contractOrder{
		{action: statement.ContractPropose, path: path, yes: true},
		{action: statement.ContractPut, path: path, pinned: true, digest: digestText(tested.Digest())},
	} {
		p.write("strict.yaml", strictContract)
		a := p.app()
		a.looked = func() { p.write("strict.yaml", loose) }
		if err := a.putContract(t.Context(), o); err != nil {
			t.Fatalf("%s: %v", o.action, err)
		}
	}
	show := p.must("contract", "show", "strict", "--json")
	if !strings.Contains(show, digestText(tested.Digest())) || !strings.Contains(show, `"expression":"false"`) {
		t.Errorf("what is in force is not what was tested: %s", show)
	}
	// And before the look, it is refused.
	p.write("strict.yaml", strings.Replace(loose, "version: 1", "version: 2", 1))
	err = p.app().putContract(t.Context(), &contractOrder{action: statement.ContractPut, path: path, pinned: true, digest: digestText(tested.Digest())})
	if statusOf(err) != exitTampered {
		t.Errorf("another document than the one that was tested: %v", err)
	}
}

// TestAttackerCrossesContract has another administrator put a version between the
// look and the signature: what was shown is not what would be replaced.
func TestAttackerCrossesContract(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.must("init", "--handle", "ada", "-q")
	version := func(n string) string { return strings.Replace(strictContract, "version: 1", "version: "+n, 1) }
	for _, n := range []string{"1", "2", "3"} {
		p.write(n+".yaml", version(n))
	}
	p.must("contract", "put", "1.yaml", "--yes", "-q")
	a := p.app()
	a.looked = func() { p.must("contract", "put", "2.yaml", "--yes", "-q") }
	err := a.putContract(t.Context(), &contractOrder{action: statement.ContractPut, path: filepath.Join(p.dir, "3.yaml"), yes: true})
	if f := describe(err); err == nil || f.status != exitRefused || f.rule != string(ledger.RuleAfter) {
		t.Errorf("put in place of a version that nobody was shown: %v", err)
	}
	a = p.app()
	a.looked = func() { p.must("contract", "put", "3.yaml", "--yes", "-q") }
	err = a.enact(t.Context(), &enacting{order: &contractOrder{action: statement.ContractLift, yes: true},
		said: toLift(t, a, "strict")})
	if statusOf(err) != exitRefused {
		t.Errorf("lifted a version that was replaced meanwhile: %v", err)
	}
	if list := p.must("contract", "list"); !strings.Contains(list, "strict@3") || strings.Contains(list, "strict@2") {
		t.Errorf("in force is %s", list)
	}
}

// TestAttackerPutsBetween has a contract come into force between the look at a
// release and its signature: what decides is the ledger.
func TestAttackerPutsBetween(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.must("init", "--handle", "ada", "-q")
	p.write("model.bin", "m")
	p.write("strict.yaml", strictContract)
	p.must("stamp", "model.bin", "--as", "a/m@1", "--kind", "model", "-q")
	a := p.app()
	a.looked = func() { p.must("contract", "put", "strict.yaml", "--yes", "-q") }
	f := &decideFlags{stage: "production", after: -1}
	err := a.decide(t.Context(), f, func(r *reading) (*planned, error) {
		return r.planRelease(&releaseOrder{decideFlags: *f, name: "a/m", version: "1"})
	})
	if got := describe(err); err == nil || got.status != exitRefused || got.rule != "strict@1/never" || len(got.violations) != 1 {
		t.Errorf("a release that a contract refuses by now: %v", err)
	}
	if log := p.must("log", "--kind", "release"); strings.Contains(log, "a/m@1") {
		t.Errorf("it is on the ledger: %s", log)
	}
}

func toLift(t *testing.T, a *app, name string) *statement.Contract {
	t.Helper()
	var said *statement.Contract
	err := a.read(t.Context(), func(r *reading) (err error) {
		said, err = r.toLift(name, 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return said
}

// TestAtCaret: the place that a caret points at stays in sight.
func TestAtCaret(t *testing.T) {
	long := strings.Repeat("a + ", 40) + "WRONG" + strings.Repeat(" + b", 40)
	at := strings.Index(long, "WRONG")
	lines := []string{" | " + long, " | " + strings.Repeat(".", at) + "^"}
	for _, width := range []int{40, 80, 79} {
		got := atCaret(lines, width)
		for _, line := range got {
			if n := len([]rune(line)); n > width {
				t.Errorf("%d columns: %d: %s", width, n, line)
			}
		}
		text, caret := []rune(got[0]), strings.Index(got[1], "^")
		if string(text[caret:caret+5]) != "WRONG" {
			t.Errorf("%d columns: the caret points at %q:\n%s\n%s", width, string(text[caret:]), got[0], got[1])
		}
	}
	for _, width := range []int{0, 1000} {
		if got := atCaret(lines, width); !slices.Equal(got, lines) {
			t.Errorf("%d columns: cut: %q", width, got)
		}
	}
	short := []string{" | x", " | ^"}
	for _, l := range [][]string{short, nil, {" | ^"}, {"no source", " | ..^"}, {" | a", " | ...b"}} {
		if got := atCaret(l, 80); !slices.Equal(got, l) {
			t.Errorf("changed: %q", got)
		}
	}
}

// TestAttackerNamesAContract: what a contract says cannot write to a terminal
// but as text.
func TestAttackerNamesAContract(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.must("init", "--handle", "ada", "-q")
	p.write("model.bin", "m")
	p.must("stamp", "model.bin", "--as", "a/m@1", "-q")
	p.write("c.yaml", strings.Replace(strictContract, "message: nothing is released", `messageExpression: "\"gone\\u001b[2J\\nrefused by nobody\""`, 1))
	p.must("contract", "put", "c.yaml", "--yes", "-q")
	_, out, status := p.stele("release", "a/m@1", "--stage", "production")
	if status != exitRefused || !strings.Contains(out, "gone") || strings.Contains(out, "\x1b") || strings.Contains(out, "\nrefused by nobody") {
		t.Errorf("status %d: %q", status, out)
	}
}

// TestPrintHistory: what a contract would have refused is counted whole, and
// listed as far as a person reads.
func TestPrintHistory(t *testing.T) {
	h := &jsonv1.ContractHistory{Entries: 1204, Judged: 40, Refused: 23}
	for i := range h.Refused {
		h.List = append(h.List, jsonv1.ContractRefused{
			Entry: 100 + i, Kind: "release", Subject: "fraud/model@1 joins production", Signer: jsonv1.Signer{Handle: "ruth", Key: "0123456789abcdef"},
			Violations: []jsonv1.Violation{{Contract: "production@3", Rule: "two-approvals", Subject: "fraud/model@1", Message: "found 0"}},
		})
	}
	for _, c := range []struct {
		all         bool
		lines, more int
	}{{false, 1 + 2*refusedShown, 1}, {true, 1 + 2*23, 0}} {
		var out, notes bytes.Buffer
		a := newApp(strings.NewReader(""), &out, &notes, func(string) string { return "" })
		a.printHistory(h, c.all)
		if !strings.HasPrefix(out.String(), "would have refused these 23 of 1,204 entries:\n  entry 100, release: fraud/model@1 joins production, by ruth\n    two-approvals: found 0\n") {
			t.Errorf("all %v: %s", c.all, out.String())
		}
		if n := strings.Count(out.String(), "\n"); n != c.lines {
			t.Errorf("all %v: %d lines, want %d", c.all, n, c.lines)
		}
		if n := strings.Count(notes.String(), "and 3 further entries; --all lists them"); n != c.more {
			t.Errorf("all %v: the rest is told %d times, want %d: %s", c.all, n, c.more, notes.String())
		}
	}
}

// TestJSONOf: values are shown as they were written.
func TestJSONOf(t *testing.T) {
	for _, c := range []struct {
		value any
		want  string
	}{{"a <b> & c", `"a <b> & c"`}, {[]any{"x", `y"`}, `["x","y\""]`}, {0.9, "0.9"}, {true, "true"}} {
		if got := jsonOf(c.value); got != c.want {
			t.Errorf("%v: %s, want %s", c.value, got, c.want)
		}
	}
}
