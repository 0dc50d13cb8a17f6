package contract_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// given reads what a test would be given, in a contract about releases.
func given(t testing.TB, yaml string) *contract.Input {
	t.Helper()
	return givenOf(t, "statements: [release, approval]\n    stages: [production]", yaml)
}

func givenOf(t testing.TB, match, yaml string) *contract.Input {
	t.Helper()
	const head = `
apiVersion: stele.dev/v1
kind: Contract
metadata: {name: x, version: 1}
spec:
  engine: cel/1
  match:
    %s
  validations: [{id: x, expression: "true", message: x}]
  tests:
    - name: x
      expect: {allow: true}
      given:
%s`
	text := fmt.Sprintf(head, match, "        "+strings.ReplaceAll(strings.TrimSpace(yaml), "\n", "\n        ")+"\n")
	draft := read(t, text)
	d, err := contract.ParseDocument(draft.Document)
	if err != nil {
		t.Fatal(strings.Join(problems(draft, err), "\n"))
	}
	return d.Tests[0].Given.Input()
}

// TestFixtures holds what tests are given to testdata/fixtures/*.txt.
func TestFixtures(t *testing.T) {
	files, err := filepath.Glob("testdata/fixtures/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("no fixtures", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text := readFile(t, file)
			about, rest, _ := strings.Cut(text, "\n\n")
			history, want, _ := strings.Cut(rest, "----\n")
			got := follows(t, given(t, history))
			if *update {
				if err := os.WriteFile(file, []byte(about+"\n\n"+history+"----\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("%s\ngot:\n%s\nwant:\n%s", about, got, want)
			}
		})
	}
}

// follows writes down all that a state says.
func follows(t *testing.T, in *contract.Input) string {
	t.Helper()
	var b strings.Builder
	when := func(ms int64) string { return time.UnixMilli(ms).UTC().Format("01-02T15:04") }
	said := func(s *lineage.Said) string {
		ref, _ := s.Statement.Ref()
		stands := ""
		if !s.Standing.OK {
			stands = ", " + s.Standing.Detail
		}
		return fmt.Sprintf("%d %s %s by %s/%x%s", s.Entry, s.Statement.Kind, ref, s.Handle, s.Signer[:2], stands)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	st := in.Statement
	fmt.Fprintf(&b, "judged: entry %d, %s: %s", in.Entry, when(in.Time), st.Kind)
	if ref, err := st.Ref(); err == nil {
		fmt.Fprintf(&b, " of %s", ref)
	}
	fmt.Fprintf(&b, " by %s/%x %v %t\n", in.Signer.Handle, in.Signer.Key[:2], in.Signer.Roles, in.Signer.Known)
	for i := uint64(0); i < in.Entry; i++ {
		s, err := in.State.Said(i)
		if errors.Is(err, lineage.ErrNotFound) {
			continue
		}
		must(err)
		fmt.Fprintf(&b, "%s %s\n", when(s.Time), said(s))
		if err := statementAgain(s.Statement); err != nil {
			t.Error(err)
		}
		for _, o := range s.Statement.Stamps() {
			a, err := in.State.Artifact(o.Ref.Name, o.Ref.Version)
			must(err)
			fmt.Fprintf(&b, "  %s: %s, %d files, %d bytes, basis %+v\n", a.Ref, a.Stamp.Kind, a.Stamp.Files, a.Stamp.Bytes, a.Stamp.Basis.Read)
			if a.Entry != s.Entry || a.Time != s.Time || a.Handle != s.Handle || a.Signer != s.Signer || a.Standing != s.Standing {
				t.Errorf("%s is not as its entry", a.Ref)
			}
			origins, err := in.State.Origins(a)
			must(err)
			for _, o := range origins {
				fmt.Fprintf(&b, "    %d %s by %s: %t %s%s\n", o.Entry, o.Way, o.Handle, o.Counts, o.Why, o.Fallen)
			}
			j, err := lineage.Judge(in.State, a)
			must(err)
			fmt.Fprintf(&b, "    %s", j.Word())
			for _, w := range a.Withdrawals {
				fmt.Fprintf(&b, ", withdrawn by %d (%s, %s)", w.Entry, w.Target, w.Effect)
			}
			bindings, err := in.State.Bindings(a.Ref.Fingerprint)
			must(err)
			for _, other := range bindings {
				if other != a {
					fmt.Fprintf(&b, ", also %s", other.Ref)
				}
			}
			b.WriteString("\n")
			for _, kind := range []statement.Kind{statement.KindApproval, statement.KindEvaluation, statement.KindRelease, statement.KindAudit} {
				about, err := in.State.About(a.Ref.Fingerprint, kind)
				must(err)
				for _, s := range about {
					fmt.Fprintf(&b, "    about: %s\n", said(s))
				}
			}
		}
		if c := s.Statement.Contract; c != nil {
			for _, p := range in.State.Proposals(c.Digest) {
				fmt.Fprintf(&b, "  proposed by %s in %d\n", p.Handle, p.Entry)
			}
		}
	}
	for _, stage := range []string{"production", "staging"} {
		placed, err := in.State.InStage(stage, "")
		must(err)
		for _, p := range placed {
			fmt.Fprintf(&b, "in %s: %s by %d\n", stage, p.Ref, p.Entry)
		}
	}
	for _, role := range statement.FirstRoles() {
		fmt.Fprintf(&b, "%s: %v\n", role, in.State.People(role))
	}
	return b.String()
}

// statementAgain holds a statement of a fixture to the form of a ledger's.
func statementAgain(st *statement.Statement) error {
	payload, err := st.Marshal()
	if err == nil {
		_, err = statement.Parse(payload)
	}
	return err
}

// TestGivenKinds: every kind of statement can be tested, and meets its match.
func TestGivenKinds(t *testing.T) {
	for kind, c := range map[string]struct{ given, want string }{
		"stamp":         {"statement: {stamp: m@1, kind: model}", "m@1"},
		"run":           {"statement: {}", "example@1"},
		"evaluation":    {"{history: [{stamp: d@1}], statement: {metrics: {auc: 1}, datasets: [d@1]}}", "example@1"},
		"approval":      {"statement: {action: reject}", "example@1"},
		"release":       {"statement: {action: leave}", "example@1"},
		"withdrawal":    {"statement: {target: location, location: s3://x}", "example@1"},
		"reinstatement": {"{history: [{stamp: d@1}, {withdraw: d@1}], statement: {subject: d@1}}", "d@1"},
		"audit":         {"statement: {outcome: altered}", "example@1"},
		"import":        {"statement: {format: oms}", "example@1"},
		"identity":      {"statement: {register: dora, roles: [approver], expires: \"2027-01-01T00:00:00Z\"}", ""},
		"contract":      {"statement: {action: lift, subject: production@2}", ""},
		"log-key":       {"statement: {}", ""},
	} {
		t.Run(kind, func(t *testing.T) {
			in := givenOf(t, "statements: ["+kind+"]", c.given)
			if string(in.Statement.Kind) != kind {
				t.Fatalf("it is %s", in.Statement.Kind)
			}
			m := contract.Match{Statements: []statement.Kind{in.Statement.Kind}}
			subjects, err := m.Subjects(in.Statement, in.State)
			if err != nil || len(subjects) != 1 {
				t.Fatal(subjects, err)
			}
			got := ""
			if s := subjects[0]; s.Ref.Name != "" {
				got = s.Ref.String()
				if s.Stamp == nil {
					t.Error("no stamp")
				}
			}
			if got != c.want {
				t.Errorf("it is about %q, want %q", got, c.want)
			}
			if kind != "log-key" {
				if err := statementAgain(in.Statement); err != nil {
					t.Error(err)
				}
			}
		})
	}
}

func TestGivenRun(t *testing.T) {
	in := givenOf(t, "statements: [run]", `
history: [{stamp: d@1}, {stamp: old@1, kind: model}]
statement:
  run: {inputs: [d@1], outputs: [new@1, old@1], kind: other, code: {remote: "https://git.example/x", commit: `+strings.Repeat("ab", 20)+`, dirty: true},
    image: registry.example/train, annotations: {licence: mit}, ignore: ["*.tmp"], basis: {claimed: 7}}
  by: ci`)
	r := in.Statement.Run
	if len(r.Outputs) != 2 || r.Outputs[0].Stamp == nil || r.Outputs[1].Stamp != nil || r.Outputs[0].Stamp.Kind != "other" || r.Outputs[0].Stamp.Bytes != 7 ||
		r.Code == nil || !r.Code.Dirty || r.Image == nil || *r.Exit != 0 || r.Finished != in.Time || in.Signer.Handle != "ci" {
		t.Errorf("%+v", r)
	}
	for _, failed := range []string{"statement: {kind: run, failed: true}", "statement: {run: {failed: true, exit: 137}}", "statement: {run: {observation: reported}}"} {
		in := givenOf(t, "statements: [run]", failed)
		if len(in.Statement.Run.Outputs) != 0 {
			t.Errorf("%+v", in.Statement.Run)
		}
		m := contract.Match{Statements: []statement.Kind{statement.KindRun}}
		if subjects, err := m.Subjects(in.Statement, in.State); err != nil || len(subjects) != 1 || subjects[0].Ref.Name != "" {
			t.Error(subjects, err)
		}
		m.Names = []string{"*"}
		if subjects, err := m.Subjects(in.Statement, in.State); err != nil || len(subjects) != 0 {
			t.Error(subjects, err)
		}
	}
}

// unread is a state that cannot be read.
type unread struct{ contract.State }

func (unread) Artifact(string, string) (*lineage.Artifact, error) {
	return nil, errors.New("a broken disk")
}

func TestSubjects(t *testing.T) {
	const history = `
history:
  - {stamp: fraud/a@1, kind: model}
  - {stamp: fraud/b@1, kind: dataset}
  - {stamp: other@1, kind: model}
statement: `
	for name, c := range map[string]struct {
		match           contract.Match
		statement, want string
	}{
		"its own kind":          {contract.Match{Statements: []statement.Kind{"release"}}, "{release: other@1}", "other@1"},
		"another kind":          {contract.Match{Statements: []statement.Kind{"release"}}, "{approve: other@1}", ""},
		"its name":              {contract.Match{Statements: []statement.Kind{"release"}, Names: []string{"x", "fraud/*"}}, "{release: fraud/a@1}", "fraud/a@1"},
		"another name":          {contract.Match{Statements: []statement.Kind{"release"}, Names: []string{"fraud/*"}}, "{release: other@1}", ""},
		"its stage":             {contract.Match{Statements: []statement.Kind{"approval"}, Stages: []string{"staging"}}, "{approve: other@1, stage: staging}", "other@1"},
		"another stage":         {contract.Match{Statements: []statement.Kind{"approval"}, Stages: []string{"staging"}}, "{approve: other@1}", ""},
		"no stage":              {contract.Match{Statements: []statement.Kind{"approval", "withdrawal"}, Stages: []string{"staging"}}, "{withdraw: other@1}", ""},
		"its stamp's kind":      {contract.Match{Statements: []statement.Kind{"audit"}, Kinds: []string{"dataset"}}, "{audit: fraud/b@1}", "fraud/b@1"},
		"another stamp's kind":  {contract.Match{Statements: []statement.Kind{"audit"}, Kinds: []string{"dataset"}}, "{audit: other@1}", ""},
		"its action":            {contract.Match{Statements: []statement.Kind{"release"}, Actions: []string{"leave"}}, "{leave: other@1}", "other@1"},
		"another action":        {contract.Match{Statements: []statement.Kind{"release"}, Actions: []string{"leave"}}, "{release: other@1}", ""},
		"replaced, no subject":  {contract.Match{Statements: []statement.Kind{"release"}, Names: []string{"fraud/*"}}, "{release: other@1, replaces: [fraud/a@1]}", ""},
		"a stamp":               {contract.Match{Statements: []statement.Kind{"stamp"}}, "{stamp: new@1}", "new@1"},
		"stamped by a run":      {contract.Match{Statements: []statement.Kind{"stamp"}}, "{run: {outputs: [new@1, other@1, new@2]}}", "new@1 new@2"},
		"outputs of a run":      {contract.Match{Statements: []statement.Kind{"run"}}, "{run: {outputs: [new@1, other@1, new@2]}}", "new@1 new@2 other@1"},
		"both":                  {contract.Match{Statements: []statement.Kind{"stamp", "run"}}, "{run: {outputs: [new@1, other@1]}}", "new@1 other@1"},
		"of a run, by kind":     {contract.Match{Statements: []statement.Kind{"run"}, Kinds: []string{"model"}}, "{run: {outputs: [new@1, fraud/b@1, other@1], kind: code}}", "other@1"},
		"a stamp is no run":     {contract.Match{Statements: []statement.Kind{"run"}}, "{stamp: new@1}", ""},
		"a run without outputs": {contract.Match{Statements: []statement.Kind{"run"}}, "{run: {inputs: [other@1]}}", "@"},
		"of stamps alone":       {contract.Match{Statements: []statement.Kind{"stamp"}}, "{run: {inputs: [other@1]}}", ""},
		"without outputs, kind": {contract.Match{Statements: []statement.Kind{"run"}, Kinds: []string{"model"}}, "{run: {inputs: [other@1]}}", ""},
		"a handle":              {contract.Match{Statements: []statement.Kind{"identity"}, Names: []string{"ci-*"}}, "{register: ci-1}", "@"},
		"another handle":        {contract.Match{Statements: []statement.Kind{"identity"}, Names: []string{"ci-*"}}, "{register: eve}", ""},
		"an identity, by kind":  {contract.Match{Statements: []statement.Kind{"identity"}, Kinds: []string{"model"}}, "{register: eve}", ""},
		"a contract":            {contract.Match{Statements: []statement.Kind{"contract"}, Names: []string{"production"}, Actions: []string{"put", "lift"}}, "{lift: production@7}", "@"},
		"another contract":      {contract.Match{Statements: []statement.Kind{"contract"}, Names: []string{"production"}}, "{put: staging@7}", ""},
		"a log key":             {contract.Match{Statements: []statement.Kind{"log-key"}}, "{kind: log-key}", "@"},
		"a log key, by name":    {contract.Match{Statements: []statement.Kind{"log-key"}, Names: []string{"*"}}, "{kind: log-key}", ""},
	} {
		t.Run(name, func(t *testing.T) {
			in := given(t, history+c.statement)
			subjects, err := c.match.Subjects(in.Statement, in.State)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, s := range subjects {
				got = append(got, s.Ref.String())
				if _, err := in.State.Artifact(s.Ref.Name, s.Ref.Version); (err == nil) != (s.Artifact != nil) {
					t.Errorf("%s: %v, %v", s.Ref, s.Artifact, err)
				}
				if (s.Stamp == nil) != (s.Ref.Name == "") {
					t.Errorf("%s: the stamp is %v", s.Ref, s.Stamp)
				}
			}
			if strings.Join(got, " ") != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	// What cannot be read is an error; what is not there has no kind to be let off by.
	in := given(t, history+"{release: other@1}")
	m := contract.Match{Statements: []statement.Kind{"release"}, Kinds: []string{"dataset"}}
	if _, err := m.Subjects(in.Statement, unread{in.State}); err == nil || !strings.Contains(err.Error(), "broken disk") {
		t.Error(err)
	}
	elsewhere := given(t, "statement: {}")
	if subjects, err := m.Subjects(in.Statement, elsewhere.State); err != nil || len(subjects) != 1 || subjects[0].Stamp != nil {
		t.Error(subjects, err)
	}
}
