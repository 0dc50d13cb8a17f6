package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// The size of the terminal that scripts look at.
const (
	screenWidth  = 80
	screenHeight = 24
)

// cmdScreen runs a command in a real terminal (tmux, a server of its own).
// Each line must fit; what the terminal then shows, scrolled-off lines
// included, becomes stdout, and the exit status $STATUS.
func cmdScreen(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) >= 1, "screen COMMAND [ARG…]")
	onScreen(ts, "", args)
}

// cmdTyping is cmdScreen with somebody at the keyboard: KEYS are typed once
// the command asks something: its last line ends in "]" or ":". KEYS are
// tmux's, separated by spaces, for example "y Enter".
func cmdTyping(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) >= 2, "typing KEYS COMMAND [ARG…]")
	onScreen(ts, args[0], args[1:])
}

func onScreen(ts *testscript.TestScript, keys string, args []string) {
	if _, err := exec.LookPath("tmux"); err != nil {
		ts.Fatalf("tmux is not here; guard the script with [!exec:tmux] skip")
	}
	dir, err := os.MkdirTemp("", "screen") // a socket's address has about 100 bytes
	ts.Check(err)
	socket := filepath.Join(dir, "s")
	tmux := func(args ...string) (string, error) {
		cmd := exec.Command("tmux", append([]string{"-u", "-S", socket, "-f", os.DevNull}, args...)...)
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "TERM=xterm-256color", "HOME=" + dir}
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	defer func() {
		_, _ = tmux("kill-server") // of this socket
		os.RemoveAll(dir)
	}()
	status := filepath.Join(dir, "status")
	script := "trap : INT\ncd " + shellQuoted(ts.MkAbs(".")) + "\n" // Ctrl-C is for the command, not for this shell
	for _, name := range []string{"HOME", "STELE_CONFIG", "STELE_STATE", "STELE_LEDGER", "STELE_KEY", "STELE_TRUST", "SSH_AUTH_SOCK", "NO_COLOR", "TZ", "PATH", "LANG"} {
		if v := ts.Getenv(name); v != "" {
			script += "export " + name + "=" + shellQuoted(v) + "\n"
		}
	}
	for _, a := range args {
		script += shellQuoted(a) + " "
	}
	script += "\necho $? >" + shellQuoted(status+".new") + "\nmv " + shellQuoted(status+".new") + " " + shellQuoted(status) + "\nexec sleep 1000\n"
	ts.Check(os.WriteFile(filepath.Join(dir, "run"), []byte(script), 0o600))
	if out, err := tmux("new-session", "-d", "-x", strconv.Itoa(screenWidth), "-y", strconv.Itoa(screenHeight), "sh "+shellQuoted(filepath.Join(dir, "run"))); err != nil {
		ts.Fatalf("tmux: %v: %s", err, out)
	}
	show := func(flags ...string) []string {
		out, err := tmux(append([]string{"capture-pane", "-p", "-S", "-"}, flags...)...)
		if err != nil {
			ts.Fatalf("tmux: %v: %s", err, out)
		}
		lines := strings.Split(strings.TrimRight(out, "\n"), "\n")
		for i := range lines {
			lines[i] = strings.TrimRight(lines[i], " ")
		}
		return lines
	}
	ended := func() bool { _, err := os.Stat(status); return err == nil }
	if keys != "" {
		poll(ts, "the command asks something", func() bool {
			lines := show()
			last := lines[len(lines)-1]
			return ended() || strings.HasSuffix(last, "]") || strings.HasSuffix(last, ":")
		})
		if !ended() {
			if out, err := tmux(append([]string{"send-keys"}, strings.Fields(keys)...)...); err != nil {
				ts.Fatalf("tmux: %v: %s", err, out)
			}
		}
	}
	poll(ts, args[0]+" ends", ended)
	code, err := os.ReadFile(status)
	ts.Check(err)
	ts.Setenv("STATUS", strings.TrimSpace(string(code)))
	// -J joins lines that the terminal wrapped: more lines without it mean
	// that something did not fit.
	lines, joined := show(), show("-J")
	text := strings.Join(lines, "\n") + "\n"
	_, err = ts.Stdout().Write([]byte(text))
	ts.Check(err)
	if len(lines) == len(joined) {
		return
	}
	for _, l := range joined {
		// A key, a digest or a path that is longer than the line stands on a
		// line of its own; it must stay whole, so that it can be copied.
		if len([]rune(l)) > screenWidth && strings.ContainsRune(strings.TrimSpace(l), ' ') {
			ts.Fatalf("a line of %s does not fit %d columns: %s", strings.Join(args, " "), screenWidth, l)
		}
	}
}

func shellQuoted(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
