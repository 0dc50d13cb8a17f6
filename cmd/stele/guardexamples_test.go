package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stele-ml/stele/internal/draft"
)

// The examples of examples/serving are read by the tools that they are for, where
// these are here, and their command lines are run.

// deployment is as much of Kubernetes' apps/v1 Deployment as the example has:
// what is written in another way, or in another place, is an error.
type deployment struct {
	APIVersion, Kind string
	Metadata         struct{ Name string }
	Spec             struct {
		Replicas int
		Selector struct{ MatchLabels map[string]string }
		Template struct {
			Metadata struct{ Labels map[string]string }
			Spec     podSpec
		}
	}
}

type podSpec struct {
	AutomountServiceAccountToken bool
	SecurityContext              struct {
		RunAsNonRoot   bool
		RunAsUser      int
		SeccompProfile struct{ Type string }
	}
	InitContainers, Containers []container
	Volumes                    []struct {
		Name                  string
		PersistentVolumeClaim *struct {
			ClaimName string
			ReadOnly  bool
		}
		ConfigMap *struct{ Name string }
		EmptyDir  *struct{ SizeLimit string }
	}
}

type container struct {
	Name, Image     string
	Command, Args   []string
	Env             []struct{ Name, Value string }
	SecurityContext struct {
		AllowPrivilegeEscalation, ReadOnlyRootFilesystem bool
		Capabilities                                     struct{ Drop []string }
	}
	Resources    struct{ Requests map[string]string }
	VolumeMounts []struct {
		Name, MountPath string
		ReadOnly        bool
	}
}

// mount is where a container finds a volume, and whether it may only read it.
func (c *container) mount(name string) (path string, readOnly bool) {
	for _, m := range c.VolumeMounts {
		if m.Name == name {
			return m.MountPath, m.ReadOnly
		}
	}
	return "", false
}

func readDeployment(t *testing.T) (d deployment, asJSON []byte) {
	t.Helper()
	text, err := os.ReadFile("../../examples/serving/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := draft.Read(text)
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(strings.NewReader(string(doc.Document)))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&d); err != nil {
		t.Fatal(err)
	}
	return d, doc.Document
}

// newExample is somebody whose model is served in the examples.
func newExample(t *testing.T) *person {
	t.Helper()
	p := newPerson(t)
	p.must("init", "--handle", "ada", "-q")
	p.write("models/fraud/net.bin", "weights")
	p.must("stamp", "models/fraud", "--as", "fraud/model@3", "--kind", "model", "-q")
	p.must("release", "fraud/model@3", "--stage", "production", "--yes", "-q")
	p.must("prove", "fraud/model@3", "--stage", "production", "-o", "evidence.json", "-q")
	p.must("trust", "export", "-o", "ledger.policy")
	return p
}

// inFolders puts folders below dir in the place of a container's mounts.
func inFolders(dir string, c *container) func(string) string {
	var mounts []string
	for _, m := range c.VolumeMounts {
		mounts = append(mounts, regexp.QuoteMeta(m.MountPath))
	}
	at := regexp.MustCompile("(^|[=>])(" + strings.Join(mounts, "|") + ")(/|$)")
	return func(text string) string { return at.ReplaceAllString(text, "${1}"+dir+"${2}${3}") }
}

// TestServingInKubernetes runs what the init container would run, each volume a
// folder here, and looks at what the server would read.
func TestServingInKubernetes(t *testing.T) {
	t.Parallel()
	d, _ := readDeployment(t)
	pod := d.Spec.Template.Spec
	if d.APIVersion != "apps/v1" || d.Kind != "Deployment" || !maps.Equal(d.Spec.Selector.MatchLabels, d.Spec.Template.Metadata.Labels) ||
		len(pod.InitContainers) != 1 || len(pod.Containers) != 1 || !pod.SecurityContext.RunAsNonRoot || pod.SecurityContext.RunAsUser == 0 {
		t.Fatalf("%+v", d)
	}
	guard, server := pod.InitContainers[0], pod.Containers[0]
	volumes := map[string]bool{}
	for _, v := range pod.Volumes {
		volumes[v.Name] = true
	}
	for _, c := range []container{guard, server} {
		for _, m := range c.VolumeMounts {
			if !volumes[m.Name] {
				t.Errorf("%s mounts %s, which is no volume", c.Name, m.Name)
			}
		}
		if s := c.SecurityContext; s.AllowPrivilegeEscalation || !s.ReadOnlyRootFilesystem || !slices.Equal(s.Capabilities.Drop, []string{"ALL"}) {
			t.Errorf("%s: %+v", c.Name, s)
		}
	}
	at, readOnly := server.mount("pinned")
	written, _ := guard.mount("pinned")
	if at == "" || at != written || !readOnly || len(server.VolumeMounts) != 1 {
		t.Errorf("the server reads %q, read-only %v; the guard writes %q", at, readOnly, written)
	}

	p := newExample(t)
	for _, name := range []string{"evidence.json", "ledger.policy"} {
		folder := map[string]string{"evidence.json": "evidence", "ledger.policy": "trust"}[name]
		if err := os.MkdirAll(p.at(folder), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(p.at(name), filepath.Join(p.at(folder), name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"pinned", "state"} {
		if err := os.Mkdir(p.at(name), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	here := inFolders(p.dir, &guard)
	cmd := exec.Command(guard.Command[0])
	for _, arg := range guard.Args {
		cmd.Args = append(cmd.Args, here(arg))
	}
	cmd.Dir = t.TempDir() // no ledger in sight
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	for _, v := range guard.Env {
		cmd.Env = append(cmd.Env, v.Name+"="+here(v.Value))
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	model := here(server.Args[slices.Index(server.Args, "--model")+1])
	if data, err := os.ReadFile(filepath.Join(model, "net.bin")); err != nil || string(data) != "weights" {
		t.Errorf("the server reads %q, %v", data, err)
	}
	served, err := os.ReadFile(here(server.Args[slices.Index(server.Args, "--served")+1]))
	if err != nil || !strings.Contains(string(served), "STELE_MODEL=fraud/model@3\n") || !strings.Contains(string(served), "STELE_RELEASE_ENTRY=2\n") {
		t.Errorf("for its logs: %q, %v", served, err)
	}
	// Altered, the pod does not start.
	p.write("models/fraud/net.bin", "Weights")
	again := exec.Command(cmd.Path, cmd.Args[1:]...)
	again.Dir, again.Env = cmd.Dir, cmd.Env
	if out, _ := again.CombinedOutput(); again.ProcessState.ExitCode() != exitOurs {
		t.Errorf("status %d: %s", again.ProcessState.ExitCode(), out)
	}
}

// TestKubectlReadsTheExample: kubectl, which knows the types, keeps every value.
func TestKubectlReadsTheExample(t *testing.T) {
	t.Parallel()
	d, asJSON := readDeployment(t)
	kubectl, err := exec.LookPath("kubectl")
	if err != nil {
		t.Skip("kubectl is not here")
	}
	var ours, theirs any
	// It prints what it has changed only.
	const other = "registry.example.com/other:1"
	server := d.Spec.Template.Spec.Containers[0]
	if err := json.Unmarshal([]byte(strings.Replace(string(asJSON), server.Image, other, 1)), &ours); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(kubectl, "set", "image", "--local", "-f", "../../examples/serving/deployment.yaml", server.Name+"="+other, "-o", "json")
	cmd.Env = append(os.Environ(), "KUBECONFIG="+os.DevNull)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := json.Unmarshal(out, &theirs); err != nil {
		t.Fatal(err)
	}
	if lost := lostIn(ours, theirs, ""); len(lost) > 0 {
		t.Errorf("kubectl does not know %v", lost)
	}
}

// lostIn are the paths of what one JSON value has and another has not.
func lostIn(a, b any, path string) (lost []string) {
	switch a := a.(type) {
	case map[string]any:
		other, _ := b.(map[string]any)
		for name, v := range a {
			lost = append(lost, lostIn(v, other[name], path+"."+name)...)
		}
	case []any:
		other, _ := b.([]any)
		for i, v := range a {
			var w any
			if i < len(other) {
				w = other[i]
			}
			lost = append(lost, lostIn(v, w, fmt.Sprintf("%s[%d]", path, i))...)
		}
	default:
		if a != b {
			lost = append(lost, path)
		}
	}
	return lost
}

// readUnit is a service's settings, by section and key.
func readUnit(t *testing.T, path string) map[string][]string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	unit, section := map[string][]string{}, ""
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch key, value, ok := strings.Cut(line, "="); {
		case line == "", line[0] == '#':
		case line[0] == '[':
			section = strings.Trim(line, "[]")
		case !ok || section == "":
			t.Fatalf("not a setting: %s", line)
		default:
			unit[section+"."+key] = append(unit[section+"."+key], value)
		}
	}
	return unit
}

// TestServingUnderSystemd runs what the service would run.
func TestServingUnderSystemd(t *testing.T) {
	t.Parallel()
	unit := readUnit(t, "../../examples/serving/fraud-scorer.service")
	start := unit["Service.ExecStart"]
	if len(start) != 1 || !slices.Equal(unit["Service.RestartPreventExitStatus"], []string{"125"}) || !slices.Equal(unit["Service.RuntimeDirectoryMode"], []string{"0700"}) {
		t.Fatalf("%v", unit)
	}
	p := newExample(t)
	if err := os.Mkdir(p.at("run"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.at("fraud-scorer"), []byte("#!/bin/sh\necho \"$@\"; cat \"$2/net.bin\"; echo; echo $STELE_RELEASE_ENTRY\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	here := strings.NewReplacer(
		"/usr/local/bin/stele", "stele", "/usr/local/bin/fraud-scorer", p.at("fraud-scorer"), "/srv/models", p.at("models"),
		"/var/lib/fraud-evidence", p.dir, "/run/fraud-scorer", p.at("run"), "/etc/stele", p.at("etc"), "/var/lib/fraud-scorer", p.at("var"))
	args := strings.Fields(here.Replace(start[0]))
	env := []string{"PATH=" + os.Getenv("PATH")}
	env = append(env, strings.Fields(here.Replace(unit["Service.Environment"][0]))...)
	run := func(args ...string) (string, int) {
		t.Helper()
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir, cmd.Env = t.TempDir(), env
		out, _ := cmd.Output()
		return string(out), cmd.ProcessState.ExitCode()
	}
	if out, status := run(args...); status != exitOurs || out != "" {
		t.Errorf("before anybody is trusted: status %d: %s", status, out)
	}
	if out, status := run("stele", "trust", "add", p.at("ledger.policy")); status != 0 {
		t.Fatalf("status %d: %s", status, out)
	}
	want := fmt.Sprintf("--model %s/models/fraud/model@3 --port 8080\nweights\n2\n", p.at("run"))
	if out, status := run(args...); status != 0 || out != want {
		t.Errorf("status %d, %q; want %q", status, out, want)
	}
	p.write("models/fraud/net.bin", "Weights")
	if out, status := run(args...); status != exitOurs || out != "" {
		t.Errorf("altered: status %d: %s", status, out)
	}
}

// TestSystemdReadsTheExample: systemd knows every setting, and has nothing to say.
func TestSystemdReadsTheExample(t *testing.T) {
	t.Parallel()
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not here")
	}
	text, err := os.ReadFile("../../examples/serving/fraud-scorer.service")
	if err != nil {
		t.Fatal(err)
	}
	// The programs that it starts are not here; this one is.
	here := strings.NewReplacer("/usr/local/bin/stele", os.Args[0], "/usr/local/bin/fraud-scorer", os.Args[0]).Replace(string(text))
	unit := filepath.Join(t.TempDir(), "fraud-scorer.service")
	if err := os.WriteFile(unit, []byte(here), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(analyze, "verify", "--man=no", unit).CombinedOutput(); err != nil || strings.Contains(string(out), unit) {
		t.Errorf("%v: %s", err, out)
	}
}
