package main

import (
	"bufio"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// TestDemo tells the story once: it ends with 0, in seconds, shows what it
// promises in order, leaves everything below its folder, and what it says to
// try next works.
func TestDemo(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	began := time.Now()
	story := p.must("demo", "demo")
	t.Logf("told in %v", time.Since(began).Round(10*time.Millisecond))
	rest := strings.Join(strings.Fields(story), " ") // lines are folded
	for _, want := range []string{
		"stele init", "made a ledger in", "stele stamp training --as clinic/wdbc@2026-11-01", "stamped clinic/wdbc@2026-11-01",
		"stele verify clinic/wdbc@2026-11-01 training", "is verified", "flower.png", "TAMPERED", "modified", "images/flower.png",
		"stele stamp training", "once and for ever", "stele prove", "present", "absent", "stele trust export",
		"stele verify --checks --evidence evidence.json", "is verified", "path absent", "TAMPERED",
		"stele run --input clinic/wdbc@2026-10-01", "recorded the run", "91 parameters in 4 tensors",
		"stele run --input clinic/wdbc@2026-11-01=training", "TAMPERED", "exit status 125",
		"stele run --input clinic/wdbc@2026-11-01=training", "455 to train on, 114 held out", "recorded the run",
		"stele demo-evaluate", "auc=0.99", "stele record evaluation",
		"stele contract new two-approvals", "wrote two-approvals.yaml", "stele contract put", "two-approvals@1 is put in force",
		"stele approve", "--key bea", "stele release", "refused by two-approvals@1 / enough-approvals", "production needs 2 approvals", "found 1 (bea)", "exit status 4",
		"stele approve", "signed by dan", "stele release", "signed by cleo",
		"stele status", "clinic/net@2", "good", "stele trace", "clinic/train@2026-11-01", "clinic/wdbc@2026-11-01",
		"stele prove clinic/net@2", "stele verify --evidence net.json", "is verified", "joined production",
		"--dry-run", "clinic/net@2", "nothing was withdrawn", "stele withdraw", "withdrawn", "stele status", "tainted", "exit status 4",
		"stele gate clinic/net@2", "may not stay in production", "not tainted", "every byte as stamped", "two-approvals@1 / enough-approvals", "exit status 4",
		"stele rollback", "clinic/net@1 joins production", "stele status", "clinic/net@1", "good", "stele fsck",
	} {
		_, after, ok := strings.Cut(rest, want)
		if !ok {
			t.Fatalf("the story does not say %q where it should:\n%s", want, story)
		}
		rest = after
	}
	if strings.Contains(story, "\x1b") {
		t.Error("colours where there is no terminal")
	}
	told, _, _ := strings.Cut(story, "export STELE_CONFIG")
	for _, line := range strings.Split(told, "\n") {
		if utf8.RuneCountInString(line) > 80 && strings.Contains(strings.TrimSpace(line), " ") {
			t.Errorf("does not fit 80 columns: %s", line)
		}
	}
	// The person's own keys and trust are untouched.
	for _, env := range p.env {
		if dir, ok := strings.CutPrefix(env, "STELE_CONFIG="); ok {
			if _, err := os.Stat(dir); err == nil {
				t.Errorf("%s was made", dir)
			}
		}
	}
	// What it says to try next.
	p.dir = filepath.Join(p.dir, "demo", "clinic")
	for _, name := range []string{"STELE_CONFIG", "STELE_STATE"} {
		_, after, ok := strings.Cut(story, name+"=")
		if !ok {
			t.Fatalf("the story does not say what to set %s to", name)
		}
		p.env = append(p.env, name+"="+strings.Trim(strings.Fields(after)[0], "'"))
	}
	_, commands, _ := strings.Cut(story, "export STELE_CONFIG")
	tried := 0
	for _, line := range strings.Split(commands, "\n") {
		args, ok := strings.CutPrefix(strings.TrimSpace(line), "stele ")
		if !ok {
			continue
		}
		tried++
		p.must(unquoted(args)...)
	}
	if tried < 3 {
		t.Errorf("only %d commands to try", tried)
	}
	// A folder that holds something is not written to.
	if _, _, status := p.stele("demo", ".."); status == 0 {
		t.Error("the demo ran in a folder that was not empty")
	}
}

// TestDemoInterrupted: half a story leaves nothing behind, as it says, and can be begun
// again in its folder.
func TestDemoInterrupted(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("no process is sent an interrupt here")
	}
	p := newPerson(t)
	cmd := p.command("demo", "demo")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.Contains(lines.Text(), "stamped ") {
	}
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Error(err)
	}
	for lines.Scan() {
		if strings.Contains(lines.Text(), "exit status -") {
			t.Error(lines.Text())
		}
	}
	if err := cmd.Wait(); cmd.ProcessState.ExitCode() != exitError {
		t.Errorf("it ended with %v", err)
	}
	if left, err := os.ReadDir(p.at("demo")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// unquoted splits a command line with single quotes.
func unquoted(line string) (args []string) {
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			args = append(args, part)
		} else {
			args = append(args, strings.Fields(part)...)
		}
	}
	return args
}
