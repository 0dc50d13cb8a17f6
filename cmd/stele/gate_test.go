package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/statement"
)

// gateRoom is a ledger in memory and somebody who trusts its log.
type gateRoom struct {
	*ledgertest.Ledger
	dir string // the ledger's folder: manifests alone
	a   *app
	out bytes.Buffer
}

func newGateRoom(tb testing.TB) *gateRoom {
	tb.Helper()
	top := tb.TempDir()
	g := &gateRoom{Ledger: ledgertest.New(tb), dir: filepath.Join(top, ".stele")}
	g.a = newApp(strings.NewReader(""), &g.out, &g.out, func(string) string { return "" })
	g.a.livesIn(home.Dirs{Config: filepath.Join(top, "config"), State: filepath.Join(top, "state")})
	_, vkey := ledgertest.LogKey("1")
	if err := g.a.dirs.PinTrust(ledgertest.Origin, []byte(evidence.NewPolicy(vkey, "").String()), false); err != nil {
		tb.Fatal(err)
	}
	return g
}

// gate is a gate before an artifact, by rex where with does not say otherwise.
func (r *gateRoom) gate(tb testing.TB, ref statement.Ref, with ...func(*gateOrder)) *gated {
	tb.Helper()
	o := &gateOrder{name: ref.Name, version: ref.Version, stage: "production", by: "rex"}
	for _, f := range with {
		f(o)
	}
	g := newGated(r.a, o)
	now, err := newReading(r.View())
	if err != nil {
		tb.Fatal(err)
	}
	if err := g.judge(context.Background(), now, r.dir, nil); err != nil {
		tb.Fatal(err)
	}
	g.conclude()
	return g
}

func TestGateLocation(t *testing.T) {
	root := t.TempDir()
	t.Chdir(root)
	for path, want := range map[string]string{
		"": "", "models/net": "models/net", "./models": "models", ".": "", "..": "", "/etc": "", "s3://bucket/models": "", root + "/a b": "a b", "../x": "",
	} {
		if got := belowHere(path, ""); got != want {
			t.Errorf("%q is at %q, want %q", path, got, want)
		}
	}
	t.Chdir(t.TempDir())
	if got := belowHere(filepath.Join(root, "m"), root); got != "m" {
		t.Errorf("below the repository: %q", got)
	}
	if got := belowHere("m", root); got != "" {
		t.Errorf("outside of the repository: %q", got)
	}
}

// Text that somebody put on the ledger is no command to what runs the job.
func TestAttackerWritesCommandsInAReason(t *testing.T) {
	r := newGateRoom(t)
	r.Person("rex", statement.RoleReleaser)
	bob := r.Person("bob", statement.RoleApprover)
	model := r.Stamped(r.Ada, "model", "1", "model")
	r.Approved(bob, model, "production")
	evil := "::error::x ##[add-mask]y ##vso[task.setvariable variable=PATH]z \x1b[31m"
	r.Contract(ledgertest.Rule("evil@1", "statements: [release]", `subject.name == ""`, `messageExpression: '"::set-output name=x::y ##[error]z ##vso[task.x]"'`))
	g := r.gate(t, model)
	g.Checks[0].Message = evil
	for _, all := range []bool{false, true} {
		g.o.all = all
		r.out.Reset()
		g.print()
		for line := range strings.Lines(r.out.String()) {
			if strings.HasPrefix(strings.TrimSpace(line), "::") || strings.Contains(line, "##") || strings.ContainsRune(line, '\x1b') {
				t.Errorf("a command in %q", line)
			}
		}
	}
	// On GitHub the text stands between commands that turn commands off.
	summary := filepath.Join(t.TempDir(), "summary")
	g.a.getenv = func(name string) string { return map[string]string{"GITHUB_STEP_SUMMARY": summary}[name] }
	if err := os.WriteFile(summary, []byte("before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	g.o.formats.format = formatGitHub
	r.out.Reset()
	if err := g.tell(nil); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(r.out.String(), "\n"), "\n")
	token, ok := strings.CutPrefix(lines[0], "::stop-commands::")
	end := slices.Index(lines, "::"+token+"::")
	if !ok || len(token) < 32 || end < 5 {
		t.Fatalf("%q, and its end is line %d", lines[0], end)
	}
	for _, line := range lines[end+1:] {
		if !strings.HasPrefix(line, "::error title=stele gate") && !strings.HasPrefix(line, "::notice title=stele gate::") && !strings.HasPrefix(line, "::warning title=stele gate") {
			t.Errorf("%q", line)
		}
	}
	written, err := os.ReadFile(summary)
	if err != nil || !strings.HasPrefix(string(written), "before\n### ❌ model@") {
		t.Errorf("the summary: %.60q, %v", written, err)
	}
}

// --json and --format json are the same object, and have what their type has.
func TestGateJSON(t *testing.T) {
	r := newGateRoom(t)
	r.Person("rex", statement.RoleReleaser)
	model := r.Stamped(r.Ada, "model", "1", "model")
	g := r.gate(t, model)
	g.o.formats.format = formatJSON
	r.out.Reset()
	if err := g.tell(nil); err != nil {
		t.Fatal(err)
	}
	first := r.out.String()
	g.a.json, g.o.formats.format = true, formatText
	r.out.Reset()
	if err := g.tell(nil); err != nil {
		t.Fatal(err)
	}
	if r.out.String() != first || !json.Valid([]byte(first)) || strings.Count(first, "\n") != 1 {
		t.Errorf("%s\n%s", first, r.out.String())
	}
}
