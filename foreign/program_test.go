package foreign

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The program itself, as people have it: stele init, stele stamp, stele serve,
// and Tessera's fsck at the address that serve prints.
func TestFsckAgreesWithTheProgram(t *testing.T) {
	program(t, "fsck")
	dir := t.TempDir()
	stele := filepath.Join(dir, "stele.exe")
	if out, err := exec.Command("go", "build", "-o", stele, "../cmd/stele").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	env := append(os.Environ(), "STELE_CONFIG="+filepath.Join(dir, "config"), "STELE_STATE="+filepath.Join(dir, "state"))
	command := func(args ...string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), stele, args...)
		cmd.Dir, cmd.Env = dir, env
		return cmd
	}
	run := func(args ...string) {
		t.Helper()
		if out, err := command(args...).CombinedOutput(); err != nil {
			t.Fatalf("stele %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "data"), []byte("some data\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run("init", "--handle", "ada")
	run("stamp", "data", "--as", "lab/data@1")
	run("trust", "export", "-o", "policy")
	policy, err := os.ReadFile(filepath.Join(dir, "policy"))
	if err != nil {
		t.Fatal(err)
	}
	vkey := regexp.MustCompile(`(?m)^log (\S+)`).FindSubmatch(policy)
	if vkey == nil {
		t.Fatalf("no log key in the trust file:\n%s", policy)
	}
	serve := command("serve", "--listen", "127.0.0.1:0")
	stdout, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	url := regexp.MustCompile(`http://\S+`).FindString(line)
	out := fsck(t, &testLedger{vkey: string(vkey[1])}, url+"/")
	if !strings.Contains(out, success+"2 ") {
		t.Errorf("fsck does not vouch for what stele serves at %q", url)
	}
	if err := serve.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := serve.Wait(); err != nil {
		t.Errorf("stele serve, interrupted: %v", err)
	}
}
