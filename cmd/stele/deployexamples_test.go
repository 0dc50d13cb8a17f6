package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// The examples of examples/deploy are followed from an empty machine: nothing but what
// they say themselves is made first.

// deployed runs a command line of an example in an empty folder, with its variables
// and nothing else.
func deployed(t *testing.T, env []string, argv ...string) string {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = t.TempDir(), append([]string{"PATH=" + os.Getenv("PATH")}, env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%q: %v: %s", argv, err, out)
	}
	return string(out)
}

// TestTheLedgerInKubernetes runs what the pod runs, on an empty volume.
func TestTheLedgerInKubernetes(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../examples/deploy/kubernetes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for _, volume := range []string{"data", "tls", "config"} {
		if err := os.Mkdir(filepath.Join(root, volume), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	here := strings.NewReplacer("/data", root+"/data", "/tls/", root+"/tls/", "/etc/stele", root+"/config")
	type container struct {
		Command []string
		Env     []struct{ Name, Value string }
	}
	var pod struct {
		Init    []container `yaml:"initContainers"`
		Serving []container `yaml:"containers"`
	}
	for d := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var object struct {
			Kind string
			Data map[string]string
			Spec struct {
				Template struct{ Spec yaml.Node }
			}
		}
		if d.Decode(&object) != nil {
			break
		}
		for name, content := range object.Data {
			if err := os.WriteFile(filepath.Join(root, "config", name), []byte(here.Replace(content)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if object.Kind == "StatefulSet" {
			if err := object.Spec.Template.Spec.Decode(&pod); err != nil {
				t.Fatal(err)
			}
		}
	}
	if len(pod.Init) != 1 || len(pod.Serving) != 1 {
		t.Fatalf("%+v", pod)
	}
	first, server := pod.Init[0], pod.Serving[0]
	run := func(command []string, more ...string) string {
		t.Helper()
		var env, argv []string
		for _, v := range first.Env {
			env = append(env, v.Name+"="+here.Replace(v.Value))
		}
		for _, arg := range command {
			argv = append(argv, here.Replace(arg))
		}
		return deployed(t, env, append(argv, more...)...)
	}
	run(first.Command)
	run(first.Command) // the pod is started again
	if _, err := os.Stat(filepath.Join(root, "data", "recovery.pem")); err != nil {
		t.Error(err)
	}
	if out := run(server.Command, "--print-config"); !strings.Contains(out, "tls-cert: "+root+"/tls/tls.crt") {
		t.Errorf("it serves with:\n%s", out)
	}
	run([]string{"stele", "token", "new", "ci", "--scopes", "entries,submit"})
}

// TestTheLedgerUnderSystemd runs what the unit runs, with no file but those that it
// says are needed.
func TestTheLedgerUnderSystemd(t *testing.T) {
	t.Parallel()
	unit := readUnit(t, "../../examples/deploy/stele.service")
	root := t.TempDir()
	here := strings.NewReplacer("/usr/local/bin/", "", "/var/lib/stele", root, "/etc/stele", root+"/etc", "${CREDENTIALS_DIRECTORY}", root+"/credentials")
	if err := os.Mkdir(filepath.Join(root, "ledger"), 0o700); err != nil {
		t.Fatal(err)
	}
	var env []string
	for _, line := range unit["Service.Environment"] {
		env = append(env, strings.Fields(here.Replace(line))...)
	}
	deployed(t, env, "stele", "init", filepath.Join(root, "ledger"))
	out := deployed(t, env, append(strings.Fields(here.Replace(unit["Service.ExecStart"][0])), "--print-config")...)
	if !strings.Contains(out, "tls-key: "+root+"/credentials/tls.key") {
		t.Errorf("it serves with:\n%s", out)
	}
	deployed(t, env, "stele", "token", "new", "ci", "--scopes", "entries,submit", "--ledger", filepath.Join(root, "ledger", ".stele"))
}
