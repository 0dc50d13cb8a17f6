package main

import (
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// witnessed starts a witness of the person's log, and has the person trust the log
// with its quorum. It returns the path of the trust file.
func (p *person) witnessed() (trust string) {
	p.t.Helper()
	p.must("trust", "export", "-o", "plain.policy")
	plain, err := os.ReadFile(filepath.Join(p.dir, "plain.policy"))
	if err != nil {
		p.t.Fatal(err)
	}
	log := p.lineOf(string(plain), "log ")
	p.write("logs", log+"\n")
	vkey := strings.TrimSpace(p.must("witness", "--name", "w.example/1", "--state", "witness"))
	address := freeAddress(p.t)
	cmd := p.command("witness", "--state", "witness", "--logs", "logs", "--listen", address)
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	p.until("the witness answers", func() bool { status, _ := fetched(p.t, "http://"+address+"/"); return status != 0 })
	p.write("witnessed.policy", log+"\nwitness one "+vkey+" http://"+address+"\nquorum one\n")
	return filepath.Join(p.dir, "witnessed.policy")
}

// lineOf is the only line of a text that begins so.
func (p *person) lineOf(text, begins string) string {
	p.t.Helper()
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, begins) {
			return strings.TrimSpace(line)
		}
	}
	p.t.Fatalf("no %q in %s", begins, text)
	return ""
}

// exits waits for a process, and wants its status.
func (p *person) exits(cmd *exec.Cmd, want int) {
	p.t.Helper()
	var exit *exec.ExitError
	if err := cmd.Wait(); err != nil && !errors.As(err, &exit) || cmd.ProcessState.ExitCode() != want {
		p.t.Errorf("it ended with %d, want %d", cmd.ProcessState.ExitCode(), want)
	}
}

// pairs are the files of two checkpoints that the person has.
func (p *person) pairs() []string {
	p.t.Helper()
	var all []string
	for _, kind := range []string{"conflict", "rollback"} {
		list, err := filepath.Glob(filepath.Join(p.state(), "ledgers", "*", kind+"-*"))
		if err != nil {
			p.t.Fatal(err)
		}
		all = append(all, list...)
	}
	return all
}

// TestAWitnessShowsTheServersFork: a copy of the machine led the log elsewhere, and a
// witness cosigned that. The server here takes nothing more, goes on answering with
// what it has, ends with 6, and never starts again on that ledger; both checkpoints
// are kept, with the witness's word.
func TestAWitnessShowsTheServersFork(t *testing.T) {
	t.Parallel()
	ada := newPerson(t)
	ada.must("init", "--handle", "ada", "-q")
	origin, trust := ada.logOrigin(), ada.witnessed()
	eve := ada.twin()
	for name, p := range map[string]*person{"team/true@1": ada, "team/false@1": eve} {
		p.write("data.csv", name)
		p.must("stamp", "data.csv", "--as", name, "-q")
	}
	eve.must("--trust", trust, "cosign")
	address := freeAddress(t)
	served := ada.with("STELE_TRUST=" + trust)
	cmd := served.serves(address)
	ada.until("it is not ready", func() bool {
		status, body := fetched(t, "http://"+address+"/health/ready")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "two histories")
	})
	// Who writes is told; who reads is answered.
	ada.write("more.csv", "more")
	if _, errs, status := ada.stele("stamp", "more.csv", "--as", "team/more@1", "--ledger", "http://"+address); status == 0 || !strings.Contains(errs, "stopped") {
		t.Errorf("it takes a stamp: %d %s", status, errs)
	}
	for path, has := range map[string]string{"/v1/names": "team/true", "/health/live": "true"} {
		if status, got := fetched(t, "http://"+address+path); status != http.StatusOK || !strings.Contains(got, has) || strings.Contains(got, "team/false") {
			t.Errorf("%s: %d %s", path, status, got)
		}
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	ada.exits(cmd, exitUntrusted)
	pairs := ada.pairs()
	if len(pairs) != 1 {
		t.Fatalf("kept: %v", pairs)
	}
	text, err := os.ReadFile(pairs[0])
	if err != nil || strings.Count(string(text), origin+"\n") != 2 || !strings.Contains(string(text), "— w.example/1 ") {
		t.Errorf("kept: %s %v", text, err)
	}

	// Again, and without the witness.
	for _, args := range [][]string{{"serve", "--listen", "127.0.0.1:0"}, {"stamp", "more.csv", "--as", "team/more@1"}, {"cosign"}} {
		if _, errs, status := ada.stele(args...); status != exitUntrusted || !strings.Contains(errs, "successor") {
			t.Errorf("%v: %d %s", args, status, errs)
		}
	}
	if now := ada.pairs(); len(now) != 1 {
		t.Errorf("the same two are kept again: %v", now)
	}
}
