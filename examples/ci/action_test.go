package ci

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// An action is action.yml, as far as this repository uses its words. Another
// word is an error of the test.
type action struct {
	Name, Description, Author string
	Branding                  struct{ Icon, Color string }
	Inputs                    map[string]struct {
		Description string
		Required    bool
		Default     string
	}
	Outputs map[string]struct{ Description, Value string }
	Runs    struct {
		Using string
		Steps []step
	}
}

type step struct {
	Name, ID, If, Shell, Run, Uses string
	ContinueOnError                bool `yaml:"continue-on-error"`
	Env, With                      map[string]string
}

func readAction(t *testing.T) *action {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "action.yml"))
	if err != nil {
		t.Fatal(err)
	}
	var a action
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&a); err != nil {
		t.Fatal(err)
	}
	return &a
}

var (
	expression = regexp.MustCompile(`\$\{\{\s*(.*?)\s*\}\}`)
	pinned     = regexp.MustCompile(`^[a-z-]+/[a-z-]+(/[a-z-]+)?@[0-9a-f]{40}$`)
)

// What an input says can nowhere become a script, and other people's actions are
// named by their commits.
func TestActionIsPinnedAndInjectsNothing(t *testing.T) {
	a := readAction(t)
	if a.Runs.Using != "composite" || a.Name == "" || len(a.Description) == 0 {
		t.Errorf("%q using %q", a.Name, a.Runs.Using)
	}
	used := map[string]bool{}
	ids := map[string]bool{}
	for _, s := range a.Runs.Steps {
		values := []string{s.If}
		for _, v := range s.Env {
			values = append(values, v)
		}
		for _, v := range s.With {
			values = append(values, v)
		}
		for _, v := range values {
			for _, m := range regexp.MustCompile(`inputs\.([a-z-]+)`).FindAllStringSubmatch(v, -1) {
				used[m[1]] = true
			}
			for _, m := range regexp.MustCompile(`steps\.([a-z-]+)\.`).FindAllStringSubmatch(v, -1) {
				if !ids[m[1]] {
					t.Errorf("%s: speaks of the step %s, which is not before it", s.Name, m[1])
				}
			}
		}
		ids[s.ID] = true
		switch {
		case s.Uses != "":
			if !pinned.MatchString(s.Uses) {
				t.Errorf("%s: %s is not named by a commit", s.Name, s.Uses)
			}
			if !s.ContinueOnError {
				t.Errorf("%s: an upload that fails would hide the verdict", s.Name)
			}
		case s.Shell != "bash":
			t.Errorf("%s: shell %q", s.Name, s.Shell)
		case !strings.HasPrefix(s.Run, "set -euo pipefail\n"):
			t.Errorf("%s: does not stop at an error", s.Name)
		case strings.Contains(s.Run, "${{"):
			t.Errorf("%s: an expression within a script", s.Name)
		}
		for name, v := range s.Env {
			if m := expression.FindString(v); m != v {
				t.Errorf("%s: %s: %q is more than an expression", s.Name, name, v)
			}
		}
	}
	for name, in := range a.Inputs {
		if in.Description == "" || !used[name] {
			t.Errorf("input %s: described %t, used %t", name, in.Description != "", used[name])
		}
	}
	for name := range used {
		if _, ok := a.Inputs[name]; !ok {
			t.Errorf("there is no input %s", name)
		}
	}
	if last := a.Runs.Steps[len(a.Runs.Steps)-1]; last.If != "${{ always() }}" || last.ContinueOnError {
		t.Error("the last step, which decides, is not always made")
	}
}

// The pipelines to copy are YAML, give the action what it takes, name other
// people's actions by their commits, and put nothing of anybody's into a script.
func TestPipelinesToCopy(t *testing.T) {
	a := readAction(t)
	for _, name := range []string{"github-workflow.yml", "github-train.yml", ".gitlab-ci.yml"} {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var p struct {
			Jobs map[string]struct{ Steps []step }
			Gate struct {
				Script    []string
				Artifacts struct {
					When    string
					Reports struct{ Junit string }
				}
			}
		}
		if err := yaml.Unmarshal(text, &p); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if name == ".gitlab-ci.yml" {
			if len(p.Gate.Script) != 1 || !strings.HasPrefix(p.Gate.Script[0], "sh ci/gate.sh ") || p.Gate.Artifacts.When != "always" || p.Gate.Artifacts.Reports.Junit != "stele-gate.xml" {
				t.Errorf("%s: %+v", name, p.Gate)
			}
			continue
		}
		gated := false
		for _, j := range p.Jobs {
			for _, s := range j.Steps {
				if strings.Contains(s.Run, "${{") {
					t.Errorf("%s: an expression within a script: %s", name, s.Run)
				}
				if !strings.HasPrefix(s.Uses, "stele-ml/stele@") {
					if s.Uses != "" && !pinned.MatchString(s.Uses) {
						t.Errorf("%s: %s is not named by a commit", name, s.Uses)
					}
					continue
				}
				gated = true
				for in := range s.With {
					if _, ok := a.Inputs[in]; !ok {
						t.Errorf("%s: the action has no input %s", name, in)
					}
				}
				for in, want := range a.Inputs {
					if _, ok := s.With[in]; want.Required && !ok {
						t.Errorf("%s: the action needs the input %s", name, in)
					}
				}
			}
		}
		if !gated {
			t.Errorf("%s: the gate is not asked", name)
		}
	}
}

// A job runs the action's steps on this machine, as a runner would.
type job struct {
	t       *testing.T
	action  *action
	inputs  map[string]string
	env     []string
	dir     string // the workspace
	temp    string
	uploads func(s step, with map[string]string) error // what other people's actions do

	installs bool   // the first step is run, too; else there is
	program  string // a stele already

	outputs, outcomes map[string]string // by "step.output", by step
	failed            bool
	log               bytes.Buffer
}

// value fills in the expressions of a text.
func (j *job) value(text string) string {
	return expression.ReplaceAllStringFunc(text, func(e string) string {
		return j.term(expression.FindStringSubmatch(e)[1])
	})
}

// term is the value of one term of an expression.
func (j *job) term(e string) string {
	if text, ok := strings.CutPrefix(e, "'"); ok {
		return strings.TrimSuffix(text, "'")
	}
	if e == "github.action_path" {
		path, err := filepath.Abs(root)
		if err != nil {
			j.t.Fatal(err)
		}
		return path
	}
	if name, ok := strings.CutPrefix(e, "inputs."); ok {
		in, known := j.action.Inputs[name]
		if !known {
			j.t.Fatalf("no input %s", name)
		}
		if v, given := j.inputs[name]; given {
			return v
		}
		return in.Default
	}
	if name, ok := strings.CutPrefix(e, "steps."); ok {
		if id, ok := strings.CutSuffix(name, ".outcome"); ok {
			return j.outcomes[id]
		}
		id, output, ok := strings.Cut(name, ".outputs.")
		if ok {
			return j.outputs[id+"."+output]
		}
	}
	j.t.Fatalf("an expression that this test does not know: %s", e)
	return ""
}

// holds decides a step's condition: terms with && between them.
func (j *job) holds(condition string) bool {
	if condition == "" {
		return !j.failed
	}
	m := expression.FindStringSubmatch(condition)
	if m == nil || m[0] != condition {
		j.t.Fatalf("if: %s", condition)
	}
	status := false // whether the condition says what happens after a failure
	for _, term := range strings.Split(m[1], " && ") {
		switch contains := regexp.MustCompile(`^contains\((.*), (.*)\)$`).FindStringSubmatch(term); {
		case term == "always()", term == "!cancelled()":
			status = true
		case contains != nil:
			if !strings.Contains(j.term(contains[1]), j.term(contains[2])) {
				return false
			}
		case strings.Contains(term, " == "):
			if a, b, _ := strings.Cut(term, " == "); j.term(a) != j.term(b) {
				return false
			}
		case strings.Contains(term, " != "):
			if a, b, _ := strings.Cut(term, " != "); j.term(a) == j.term(b) {
				return false
			}
		default:
			j.t.Fatalf("a condition that this test does not know: %s", term)
		}
	}
	return status || !j.failed
}

// run runs every step, and reports whether the job failed.
func (j *job) run() bool {
	j.t.Helper()
	j.outputs, j.outcomes = map[string]string{}, map[string]string{}
	j.temp = j.t.TempDir()
	for i, s := range j.action.Runs.Steps {
		if i == 0 && !j.installs {
			j.outputs[s.ID+".stele"] = j.program
			continue
		}
		if !j.holds(s.If) {
			j.outcomes[s.ID] = "skipped"
			continue
		}
		err := j.step(s)
		j.outcomes[s.ID] = "success"
		if err != nil {
			j.outcomes[s.ID] = "failure"
			j.failed = j.failed || !s.ContinueOnError
		}
	}
	return j.failed
}

func (j *job) step(s step) error {
	if s.Uses != "" {
		with := map[string]string{}
		for name, v := range s.With {
			with[name] = j.value(v)
		}
		return j.uploads(s, with)
	}
	file := func(name, text string) string {
		path := filepath.Join(j.temp, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			j.t.Fatal(err)
		}
		return path
	}
	script := file("step.sh", s.Run)
	output := file("output", "")
	system := map[string]string{"linux": "Linux", "darwin": "macOS"}[runtime.GOOS]
	processor := map[string]string{"amd64": "X64", "arm64": "ARM64"}[runtime.GOARCH]
	c := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", script) // as GitHub runs `shell: bash`
	c.Dir = j.dir
	c.Env = append(slices.Clone(j.env), "CI=true", "GITHUB_ACTIONS=true", "RUNNER_OS="+system, "RUNNER_ARCH="+processor, "RUNNER_TEMP="+j.temp,
		"GITHUB_OUTPUT="+output, "GITHUB_ENV="+filepath.Join(j.temp, "env"), "GITHUB_PATH="+filepath.Join(j.temp, "path"), "GITHUB_STEP_SUMMARY="+filepath.Join(j.temp, "summary.md"))
	for name, v := range s.Env {
		c.Env = append(c.Env, name+"="+j.value(v))
	}
	c.Stdout, c.Stderr = &j.log, &j.log
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		j.t.Fatal(err)
	}
	text, rerr := os.ReadFile(output)
	if rerr != nil {
		j.t.Fatal(rerr)
	}
	for line := range strings.Lines(string(text)) {
		name, v, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
		if !ok {
			j.t.Errorf("%s: output %q", s.Name, line)
		}
		j.outputs[s.ID+"."+name] = v
	}
	return err
}
