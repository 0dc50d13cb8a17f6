//go:build unix

package process

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// replaced is a process that becomes a command.
func replaced(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "PROCESS_TEST=replace", "THEN=")
	return cmd
}

// TestReplace: the command has the process's id, streams, status and end.
func TestReplace(t *testing.T) {
	cmd := replaced("sh", "-c", `echo $$; cat; echo aside >&2; exit 7`)
	cmd.Stdin = strings.NewReader("from standard input\n")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	_ = cmd.Run()
	if got := cmd.ProcessState.ExitCode(); got != 7 {
		t.Errorf("status %d: %s", got, &errs)
	}
	if want := strconv.Itoa(cmd.ProcessState.Pid()) + "\nfrom standard input\n"; out.String() != want || errs.String() != "aside\n" {
		t.Errorf("%q and %q, want %q", &out, &errs, want)
	}
	cmd = replaced("sh", "-c", `kill -TERM $$`)
	_ = cmd.Run()
	if st, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || st.Signal() != syscall.SIGTERM {
		t.Errorf("it ended by %v, not by the signal", cmd.ProcessState)
	}
	// A script without a first line is the shell's, as execvp has it.
	script := filepath.Join(t.TempDir(), "bare")
	if err := os.WriteFile(script, []byte("exit $1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd = replaced(script, "9")
	if _ = cmd.Run(); cmd.ProcessState.ExitCode() != 9 {
		t.Errorf("a bare script: %v", cmd.ProcessState)
	}
}

// TestReplaceSignals: signals do to the command what they would have done without
// the process that it replaces, and what was ignored stays so.
func TestReplaceSignals(t *testing.T) {
	show := []string{"sh", "-c", `grep -E '^Sig(Cgt|Ign|Blk)' /proc/self/status`}
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("there is no /proc here to ask which signals are ignored")
	}
	for _, with := range [][]string{{}, {"nohup"}} {
		direct := exec.Command("env", append(slices.Clone(with), show...)...)
		want, err := direct.Output()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("env", slices.Concat([]string{"PROCESS_TEST=replace"}, with, []string{os.Args[0]}, show)...)
		got, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%v: the command has\n%s, and without the process it had\n%s", with, got, want)
		}
	}
}

func TestReplaceDoesNotStart(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("text"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		path string
		want error
	}{
		{filepath.Join(dir, "nothing"), ErrNotFound},
		{plain, ErrNotExecutable},
		{dir, ErrNotExecutable},
	} {
		if err := Replace(t.Context(), Command{Path: c.path, Args: []string{c.path}}); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.path, err, c.want)
		}
	}
	// Whoever was told to stop before is not replaced.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Replace(ctx, Command{Path: "/bin/sh", Args: []string{"sh", "-c", "exit 3"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}
