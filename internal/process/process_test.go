//go:build unix

package process

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestMain makes this test binary double as the two programs that tests need:
// one that runs another through a Keeper, and a command that tells what reaches
// it.
func TestMain(m *testing.M) {
	switch os.Getenv("PROCESS_TEST") {
	case "":
		if len(ignored) > 0 {
			os.Exit(heard())
		}
		os.Exit(m.Run())
	case "wrap":
		wrap()
	case "tell":
		tell()
	case "replace":
		replace()
	}
}

// heard runs the tests once more as a process that ignores nothing, and returns its
// status. Under nohup, or as a shell's job in the background, some signals are
// ignored here, and would be by all that is started here; what is caught is not
// inherited.
func heard() int {
	for _, s := range ignored {
		signal.Notify(make(chan os.Signal, 1), s)
	}
	cmd := exec.Command(os.Args[0], os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return cmd.ProcessState.ExitCode()
}

// replace becomes the command that its arguments name, as a program that has
// caught signals until then.
func replace() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, unix.SIGTERM)
	defer stop()
	path, err := Find(os.Args[1])
	if err == nil {
		err = Replace(ctx, Command{Path: path, Args: os.Args[1:], Env: With(os.Environ(), "PROCESS_TEST", "")})
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(125)
}

// wrap runs the command that its arguments name, and says how it ended on
// standard error.
func wrap() {
	k := Keep(func(s os.Signal) { fmt.Fprintf(os.Stderr, "told %v\n", s) })
	path, err := Find(os.Args[1])
	if err == nil {
		var r Result
		if r, err = k.Run(context.Background(), Command{Path: path, Args: os.Args[1:], Env: With(os.Environ(), "PROCESS_TEST", os.Getenv("THEN"))}); err == nil {
			_ = json.NewEncoder(os.Stderr).Encode(r)
			if os.Getenv("LINGER") != "" {
				_, _ = io.Copy(io.Discard, os.Stdin)
			}
			k.Release()
			os.Exit(r.Status)
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(125)
}

// tell catches the signals that are relayed, but the one to stop, and prints
// them. It ends with 7 at
// SIGUSR2, and at the end of its input.
func tell() {
	c := make(chan os.Signal, 64)
	// Not SIGTSTP: the runtime, once asked for it, would not stop for it again.
	signal.Notify(c, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2, unix.SIGXCPU, unix.SIGCONT)
	fmt.Println("ready", os.Getpid())
	for s := range c {
		fmt.Println("got", unix.SignalName(s.(unix.Signal)))
		if s == unix.SIGUSR2 {
			os.Exit(7)
		}
	}
}

// wrapped is a process that runs a command through a Keeper.
func wrapped(then string, args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), "PROCESS_TEST=wrap", "THEN="+then)
	return cmd
}

func result(t *testing.T, stderr *bytes.Buffer) Result {
	t.Helper()
	var r Result
	if err := json.Unmarshal(stderr.Bytes(), &r); err != nil {
		t.Fatalf("%v: %s", err, stderr)
	}
	return r
}

func TestStatus(t *testing.T) {
	for _, c := range []struct {
		script string
		status int
		signal string
	}{
		{"exit 0", 0, ""},
		{"exit 3", 3, ""},
		{"exit 255", 255, ""},
		{"kill -TERM $$", 143, "SIGTERM"},
		{"kill -KILL $$", 137, "SIGKILL"},
		{"exit 125", 125, ""},
	} {
		cmd := wrapped("", "sh", "-c", c.script)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		_ = cmd.Run()
		if got := cmd.ProcessState.ExitCode(); got != c.status {
			t.Errorf("%s: exit status %d, want %d", c.script, got, c.status)
		}
		r := result(t, &stderr)
		if r.Status != c.status || r.Signal != c.signal {
			t.Errorf("%s: %d %q, want %d %q", c.script, r.Status, r.Signal, c.status, c.signal)
		}
		if r.Started.IsZero() || r.Finished.Before(r.Started) {
			t.Errorf("%s: from %v to %v", c.script, r.Started, r.Finished)
		}
	}
}

// TestStreams: the command has the very files of this process, also those
// beyond the standard ones.
func TestStreams(t *testing.T) {
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	cmd := wrapped("", "sh", "-c", "cat; echo aside >&3; echo error >&2")
	cmd.Stdin = bytes.NewReader(big)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	third, err := os.Create(filepath.Join(t.TempDir(), "third"))
	if err != nil {
		t.Fatal(err)
	}
	defer third.Close()
	cmd.ExtraFiles = []*os.File{third}
	if err := cmd.Run(); err != nil {
		t.Fatalf("%v: %s", err, &stderr)
	}
	if !bytes.Equal(stdout.Bytes(), big) {
		t.Errorf("%d bytes came out of %d", stdout.Len(), len(big))
	}
	if !strings.HasPrefix(stderr.String(), "error\n") {
		t.Errorf("standard error: %s", &stderr)
	}
	if text, err := os.ReadFile(third.Name()); err != nil || string(text) != "aside\n" {
		t.Errorf("the third file: %q, %v", text, err)
	}
}

func TestDoesNotStart(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	k := Keep(func(os.Signal) {})
	defer k.Release()
	for _, c := range []struct {
		name string
		want error
	}{
		{"no-such-program-anywhere", ErrNotFound},
		{filepath.Join(dir, "nothing"), ErrNotFound},
		{write("plain", "text", 0o644), ErrNotExecutable},
		{dir, ErrNotExecutable},
		{write("astray", "#!/no/such/interpreter\n", 0o755), ErrNotFound},
	} {
		path, err := Find(c.name)
		if err == nil {
			_, err = k.Run(t.Context(), Command{Path: path, Args: []string{c.name}})
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	// A script without a first line is the shell's, as execvp has it.
	script := write("bare", "exit $1\n", 0o755)
	if r, err := k.Run(t.Context(), Command{Path: script, Args: []string{script, "9"}}); err != nil || r.Status != 9 {
		t.Errorf("a bare script: %d, %v", r.Status, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := k.Run(ctx, Command{Path: script, Args: []string{script, "9"}}); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}

// talk starts a wrapped command that tells what reaches it.
type talk struct {
	t      *testing.T
	cmd    *exec.Cmd
	lines  *bufio.Scanner
	stderr bytes.Buffer
	child  int
}

func newTalk(t *testing.T, with func(*exec.Cmd)) *talk {
	t.Helper()
	k := &talk{t: t, cmd: wrapped("tell", os.Args[0])}
	out, err := k.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	k.cmd.Stderr = &k.stderr
	if with != nil {
		with(k.cmd)
	}
	if err := k.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = k.cmd.Process.Kill() })
	k.lines = bufio.NewScanner(out)
	if _, err := fmt.Sscanf(k.line(), "ready %d", &k.child); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Kill(k.child, unix.SIGKILL) })
	return k
}

func (k *talk) line() string {
	k.t.Helper()
	if !k.lines.Scan() {
		k.t.Fatalf("the command says nothing more: %v\n%s", k.lines.Err(), &k.stderr)
	}
	return k.lines.Text()
}

func (k *talk) wants(line string) {
	k.t.Helper()
	if got := k.line(); got != line {
		k.t.Errorf("the command says %q, want %q", got, line)
	}
}

// TestRelay: what is sent to this process alone reaches the command, and this
// process lives until the command has ended.
func TestRelay(t *testing.T) {
	k := newTalk(t, nil)
	for _, s := range []unix.Signal{unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGQUIT, unix.SIGUSR1, unix.SIGXCPU, unix.SIGCONT, unix.SIGINT} {
		if err := k.cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		k.wants("got " + unix.SignalName(s))
	}
	if err := k.cmd.Process.Signal(unix.SIGUSR2); err != nil {
		t.Fatal(err)
	}
	k.wants("got SIGUSR2")
	_ = k.cmd.Wait()
	if r := result(t, &k.stderr); r.Status != 7 || r.Signal != "" {
		t.Errorf("%+v", r)
	}
}

// TestStops: told to stop, this process and the command both do, and both go on.
func TestStops(t *testing.T) {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		t.Skip("whether a process has stopped is seen in /proc")
	}
	k := newTalk(t, func(c *exec.Cmd) { c.SysProcAttr = &unix.SysProcAttr{Setpgid: true} })
	if err := k.cmd.Process.Signal(unix.SIGTSTP); err != nil {
		t.Fatal(err)
	}
	for _, pid := range []int{k.cmd.Process.Pid, k.child} {
		await(t, fmt.Sprintf("process %d stops", pid), func() bool { return state(pid) == "T" })
	}
	if err := k.cmd.Process.Signal(unix.SIGCONT); err != nil {
		t.Fatal(err)
	}
	k.wants("got SIGCONT")
	_ = k.cmd.Process.Signal(unix.SIGUSR2)
	k.wants("got SIGUSR2")
	_ = k.cmd.Wait()
}

// state is how /proc names the state of a process.
func state(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, after, _ := strings.Cut(string(text), ") ")
	first, _, _ := strings.Cut(after, " ")
	return first
}

// await waits until ok holds, and not for ever.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("%s: no", what)
		}
		runtime.Gosched()
	}
}

// TestTerminal: what is typed on a terminal goes to the command once, by the
// terminal itself, and does not end this process.
func TestTerminal(t *testing.T) {
	master, slave := pty(t)
	k := newTalk(t, func(c *exec.Cmd) {
		c.Stdin = slave
		c.SysProcAttr = &unix.SysProcAttr{Setsid: true, Setctty: true, Ctty: 0}
	})
	for _, typed := range []struct{ key, signal string }{{"\x03", "SIGINT"}, {"\x1c", "SIGQUIT"}, {"\x03", "SIGINT"}} {
		if _, err := master.WriteString(typed.key); err != nil {
			t.Fatal(err)
		}
		k.wants("got " + typed.signal)
		// Passed on as well, it would come before this one.
		if err := k.cmd.Process.Signal(unix.SIGUSR1); err != nil {
			t.Fatal(err)
		}
		k.wants("got SIGUSR1")
	}
	if err := k.cmd.Process.Signal(unix.SIGTERM); err != nil {
		t.Fatal(err)
	}
	k.wants("got SIGTERM")
	_ = k.cmd.Process.Signal(unix.SIGUSR2)
	k.wants("got SIGUSR2")
	_ = k.cmd.Wait()
}

func pty(t *testing.T) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no terminal can be made: %v", err)
	}
	t.Cleanup(func() { master.Close() })
	name := ptyName(t, master)
	if slave, err = os.OpenFile(name, os.O_RDWR|unix.O_NOCTTY, 0); err != nil {
		t.Skipf("no terminal can be made: %v", err)
	}
	t.Cleanup(func() { slave.Close() })
	return master, slave
}

// TestIgnored: what whoever started us had it ignore, the command ignores too.
func TestIgnored(t *testing.T) {
	cmd := wrapped("", "sh", "-c", "kill -INT $$; kill -HUP $$; echo alive")
	cmd.Path, cmd.Args = "/bin/sh", append([]string{"sh", "-c", `trap "" INT HUP; exec "$@"`, "sh"}, cmd.Args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil || stdout.String() != "alive\n" {
		t.Errorf("%v, %q, %s", err, &stdout, &stderr)
	}
}

// TestAfterwards: once the command has ended, a signal is told and ends nothing.
func TestAfterwards(t *testing.T) {
	cmd := wrapped("", "true")
	cmd.Env = append(cmd.Env, "LINGER=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	lines.Scan() // the result
	for _, s := range []unix.Signal{unix.SIGUSR1, unix.SIGINT, unix.SIGTERM} {
		if err := cmd.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
		if s == unix.SIGUSR1 {
			continue // asks for no end, so it is told to nobody
		}
		lines.Scan()
		if want := "told " + s.String(); lines.Text() != want {
			t.Errorf("%q, want %q", lines.Text(), want)
		}
	}
	in.Close()
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
}

func TestWith(t *testing.T) {
	got := With([]string{"A=1", "STELE_RUN=old", "B=2", "STELE_RUNS=x", "STELE_RUN=older"}, "STELE_RUN", "new")
	if want := "A=1 B=2 STELE_RUNS=x STELE_RUN=new"; strings.Join(got, " ") != want {
		t.Errorf("%q, want %q", got, want)
	}
}
