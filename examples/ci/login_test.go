package ci

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// A program in the place of stele, which takes down how it is called and does as it
// is told.
const playsStele = `#!/bin/sh
printf '%s\n' "$@" >>"$PLAY/called"
[ "$1" != login ] || [ ! -e "$PLAY/refuses" ] || { echo "error: no rule takes this token" >&2; exit 4; }
for a in "$@"; do
  case $a in --output=*.pem) echo key >"${a#--output=}" ;; esac
done
`

// TestActionLogsIn has jobs log in, or not, with and without a gate.
func TestActionLogsIn(t *testing.T) {
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		t.Skipf("the steps are run on Linux and macOS, not on %s", runtime.GOOS)
	}
	if _, err := exec.LookPath("bash"); err != nil {
		t.Skip("no bash here")
	}
	const address = "https://ledger.example"
	for name, c := range map[string]struct {
		inputs  map[string]string
		refuses bool
		failed  bool
		called  string // words of the call, between spaces
		env     string
	}{
		"logs in": {map[string]string{"audience": address, "ledger": address, "trust": "ci/stele.policy"}, false, false,
			"login --audience=" + address, "STELE_LEDGER=" + address + "\nSTELE_TRUST=ci/stele.policy\n"},
		"narrower":                    {map[string]string{"audience": address, "names": "fraud/*\n\nshared/x\n"}, false, false, "--names=fraud/* --names=shared/x", "STELE_AUDIENCE=" + address},
		"is refused":                  {map[string]string{"audience": address}, true, true, "login", ""},
		"is refused before a gate":    {map[string]string{"audience": address, "artifact": "a@1", "stage": "production"}, true, true, "login", ""},
		"and asks a gate":             {map[string]string{"audience": address, "artifact": "a@1", "stage": "production"}, false, false, "gate --stage=production", "STELE_KEY="},
		"neither":                     {nil, false, true, "", ""},
		"a stage without an artifact": {map[string]string{"audience": address, "stage": "production"}, false, true, "login", ""},
		"a variable of its own":       {map[string]string{"audience": address, "ledger": address + "\nPATH=/evil"}, false, true, "login", ""},
	} {
		t.Run(name, func(t *testing.T) {
			play := t.TempDir()
			program := filepath.Join(play, "stele")
			if err := os.WriteFile(program, []byte(playsStele), 0o755); err != nil {
				t.Fatal(err)
			}
			if c.refuses {
				if err := os.WriteFile(filepath.Join(play, "refuses"), nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			j := &job{t: t, action: readAction(t), dir: t.TempDir(), env: []string{"PATH=" + os.Getenv("PATH"), "PLAY=" + play},
				uploads: func(step, map[string]string) error { return nil }, program: program, inputs: map[string]string{"upload": "none"}}
			for name, v := range c.inputs {
				j.inputs[name] = v
			}
			failed := j.run()
			called, _ := os.ReadFile(filepath.Join(play, "called")) // none where nothing was called
			env, _ := os.ReadFile(filepath.Join(j.temp, "env"))
			if failed != c.failed || !strings.Contains(strings.ReplaceAll(string(called), "\n", " "), c.called) || !strings.Contains(string(env), c.env) {
				t.Errorf("failed %t\ncalled:\n%senvironment:\n%s%s", failed, called, env, &j.log)
			}
			if strings.Contains(string(env), "PATH=/evil") {
				t.Errorf("an input set a variable:\n%s", env)
			}
			if (c.called == "") != (len(called) == 0) {
				t.Errorf("called:\n%s", called)
			}
			key := j.outputs["login.key"]
			if _, err := os.Stat(key); (err == nil) != (c.inputs["audience"] != "" && !c.refuses && !strings.Contains(c.inputs["ledger"], "\n")) {
				t.Errorf("the key is at %q: %v", key, err)
			}
		})
	}
}
