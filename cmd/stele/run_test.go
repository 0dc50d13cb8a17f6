//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/durable"
	"github.com/stele-ml/stele/internal/hint"
	"github.com/stele-ml/stele/internal/pending"
	"github.com/stele-ml/stele/internal/place"
	"github.com/stele-ml/stele/internal/source"
)

// newRunner is a person with a ledger that has lab/data@1 on it, in data.
func newRunner(t *testing.T) *person {
	p := newPerson(t)
	p.must("init", "--handle", "ada", "--recovery-out", "recovery.pem")
	p.write("data/a.csv", "1,2,3\n")
	p.must("stamp", "data", "--as", "lab/data@1")
	return p
}

// underway is a `stele run` that a test talks to.
type underway struct {
	*exec.Cmd
	p   *person
	out bytes.Buffer
	log string // where its standard error goes
}

// said is what it has said on standard error so far.
func (u *underway) said() string {
	u.p.t.Helper()
	text, err := os.ReadFile(u.log)
	if err != nil {
		u.p.t.Fatal(err)
	}
	return string(text)
}

// run starts a run of a shell's script.
func (p *person) run(script string, flags ...string) *underway {
	p.t.Helper()
	u := &underway{Cmd: p.command(append(append([]string{"run"}, flags...), "--", "sh", "-c", script)...), p: p}
	log, err := os.CreateTemp(p.t.TempDir(), "stderr")
	if err != nil {
		p.t.Fatal(err)
	}
	defer log.Close()
	u.Stdout, u.Stderr, u.log = &u.out, log, log.Name()
	if err := u.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = u.Process.Kill() })
	return u
}

// ends waits for the end, which must be with that status.
func (u *underway) ends(status int) {
	u.p.t.Helper()
	err := u.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		u.p.t.Fatal(err)
	}
	if got := u.ProcessState.ExitCode(); got != status {
		u.p.t.Fatalf("exit status %d, want %d\n%s", got, status, u.said())
	}
}

// await waits until a file of the working folder is there.
func (p *person) await(name string) {
	p.t.Helper()
	p.until(name+" is there", func() bool { _, err := os.Stat(filepath.Join(p.dir, name)); return err == nil })
}

func (p *person) until(what string, ok func() bool) {
	p.t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			p.t.Fatalf("%s: not after %v", what, patience)
		}
	}
}

// noted is the id of the only run that notes are kept of, and one of its files.
func (p *person) noted(file string) (id string, ok bool) {
	list, _ := filepath.Glob(filepath.Join(p.state(), "runs", "*", file))
	if len(list) != 1 {
		return "", false
	}
	return filepath.Base(filepath.Dir(list[0])), true
}

// recordedRun is a run as the ledger has it.
func (p *person) recordedRun(id string) jsonv1.Run {
	p.t.Helper()
	var r jsonv1.Run
	if err := json.Unmarshal([]byte(p.must("record", "run", "--resume", id, "--json")), &r); err != nil {
		p.t.Fatal(err)
	}
	return r
}

var beginsLine = regexp.MustCompile(`(?m)^run ([0-9a-f]{32}) begins$`)

// TestKilledRun kills a run at random moments, from its start to its receipt.
// Whatever the moment, both outputs are on the ledger by one entry, or nothing
// is, and asking says which; the ledger is whole, and the same command again
// makes what is missing.
func TestKilledRun(t *testing.T) {
	t.Parallel()
	p := newRunner(t)
	command := func(round int) []string {
		return []string{"run", "--input", "lab/data@1=data",
			"--output", fmt.Sprintf("lab/net@%d=net", round), "--output", fmt.Sprintf("lab/log@%d=log", round),
			"--", "sh", "-c", fmt.Sprintf("cat data/a.csv >net; echo %d >>net; echo %d >log", round, round)}
	}
	began := time.Now()
	p.must(command(1000)...)
	usual := time.Since(began)
	rng := rand.New(rand.NewPCG(11, 12))
	const rounds = 16
	killed, recorded, resumed, cut := 0, 0, 0, 0
	for round := range rounds {
		var stderr bytes.Buffer
		cmd := p.command(command(round)...)
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(rng.Int64N(int64(usual)*6/5)), func() { _ = cmd.Process.Kill() })
		if cmd.Wait() != nil {
			killed++
		}
		timer.Stop()
		p.must("fsck")
		if m := beginsLine.FindStringSubmatch(stderr.String()); m != nil {
			_, errs, status := p.stele("record", "run", "--resume", m[1])
			switch {
			case status == exitNotFound && strings.Contains(errs, "nothing of it is on the ledger"):
				cut++
			case status != 0:
				t.Errorf("round %d: resumed with status %d: %s", round, status, errs)
			case !strings.Contains(stderr.String(), "recorded the run"):
				resumed++
			}
		}
		// All or nothing.
		_, _, net := p.stele("show", fmt.Sprintf("lab/net@%d", round))
		_, _, log := p.stele("show", fmt.Sprintf("lab/log@%d", round))
		switch {
		case net != log:
			t.Fatalf("round %d: one output is there and the other is not", round)
		case net == 0:
			recorded++
			p.must("verify", fmt.Sprintf("lab/net@%d", round), "net")
			if _, errs, status := p.stele(command(round)...); status != exitOurs || !strings.Contains(errs, "recorded already") {
				t.Errorf("round %d, asked again: exit status %d: %s", round, status, errs)
			}
		default:
			p.until("the killed run's command has ended", func() bool { // it goes on when stele is killed, and writes the same files
				_, _, status := p.stele(command(round)...)
				return status == 0
			})
		}
	}
	p.must("fsck")
	t.Logf("%d of %d were killed; %d were recorded, %d by asking again; %d were cut off", killed, rounds, recorded, resumed, cut)
}

// held takes the ledger's lock, as a process does that has it open and is no
// server (that one would be given the run), until the returned function ends it.
func (p *person) held() (free func()) {
	p.t.Helper()
	name := filepath.Join(p.dir, ".stele", "lock")
	if _, err := os.Stat(name); err != nil {
		p.t.Fatal(err)
	}
	var lock io.Closer
	p.until("nobody has the ledger open", func() bool {
		var err error
		lock, err = durable.Lock(vfs.Default, name, durable.Holder{PID: os.Getpid(), Command: "a test"}, false)
		return err == nil
	})
	free = sync.OnceFunc(func() { _ = lock.Close() })
	p.t.Cleanup(free)
	return free
}

// waiting is the beginning of a command that waits until the test says go, or
// has gone with its folder.
const waiting = "echo >started; while test -e started && ! test -e go; do sleep 0.01; done; "

// TestKilledBeforeAcknowledged kills a run that is signed, and that the ledger
// does not have: another process has it open. The signed run is kept, and is
// submitted when asked for.
func TestKilledBeforeAcknowledged(t *testing.T) {
	t.Parallel()
	p := newRunner(t)
	u := p.run(waiting+"echo trained >net", "--input", "lab/data@1=data", "--output", "lab/net@1=net")
	p.await("started")
	free := p.held()
	p.write("go", "")
	var id string
	p.until("the run is signed", func() (ok bool) { id, ok = p.noted(pending.EnvelopeFile); return ok })
	_ = u.Process.Kill()
	_ = u.Wait()
	if u.out.Len() > 0 {
		t.Errorf("standard output: %s", &u.out)
	}
	free()
	if _, errs, status := p.stele("show", "lab/net@1"); status != exitNotFound {
		t.Fatalf("it is there: %s", errs)
	}
	_, errs, status := p.stele("show", id)
	if status != exitNotFound || !strings.Contains(errs, "signed and kept here") || !strings.Contains(errs, "--resume "+id) {
		t.Errorf("show: exit status %d: %s", status, errs)
	}
	if r := p.recordedRun(id); r.Run != id || r.Existed || len(r.Outputs) != 1 {
		t.Errorf("%+v", r)
	}
	if r := p.recordedRun(id); !r.Existed {
		t.Errorf("asked again: %+v", r)
	}
	p.must("verify", "lab/net@1", "net")
	p.must("show", id)
	p.must("fsck")
	p.noNotes()
}

// noNotes sees to it that no run has notes any more.
func (p *person) noNotes() {
	p.t.Helper()
	if list, _ := os.ReadDir(filepath.Join(p.state(), "runs")); len(list) > 0 {
		p.t.Errorf("notes are left: %v", list)
	}
}

// TestKilledWhileRunning: asked meanwhile, a run is under way; killed, nothing
// of it is recorded, and that is said.
func TestKilledWhileRunning(t *testing.T) {
	t.Parallel()
	p := newRunner(t)
	u := p.run(waiting+"echo trained >net", "--input", "lab/data@1=data", "--output", "lab/net@1=net", "--param", "x=1")
	p.await("started")
	id, ok := p.noted(pending.NoteFile)
	if !ok {
		t.Fatal("no notes are kept")
	}
	for _, ask := range [][]string{{"show", id}, {"record", "run", "--resume", id}} {
		if _, errs, status := p.stele(ask...); status != exitNotFound || !strings.Contains(errs, "still under way") {
			t.Errorf("%v: exit status %d: %s", ask, status, errs)
		}
	}
	_ = u.Process.Kill()
	p.write("go", "") // or the command goes on for ever
	_ = u.Wait()
	for _, ask := range [][]string{{"show", id}, {"record", "run", "--resume", id}} {
		if _, errs, status := p.stele(ask...); status != exitNotFound || !strings.Contains(errs, "cut off before its command") || !strings.Contains(errs, "nothing of it is on the ledger") {
			t.Errorf("%v: exit status %d: %s", ask, status, errs)
		}
	}
	// What had become of it could not be noted: its room had been given free.
	if err := os.Remove(filepath.Join(p.state(), "runs", id, pending.ReserveFile)); err != nil {
		t.Fatal(err)
	}
	if _, errs, status := p.stele("show", id); status != exitNotFound || strings.Contains(errs, "before its command") || !strings.Contains(errs, "could not be noted") {
		t.Errorf("exit status %d: %s", status, errs)
	}
	p.must("fsck")
}

// TestRunSignals: what is sent to stele alone is the command's; how that ends is
// recorded.
func TestRunSignals(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		script string // after it has said that it is ready
		signal syscall.Signal
		status int
		bound  bool
	}{
		{"TERM, not caught", "while :; do sleep 0.01; done", syscall.SIGTERM, 143, false},
		{"INT, not caught", "while :; do sleep 0.01; done", syscall.SIGINT, 130, false},
		{"HUP, not caught", "while :; do sleep 0.01; done", syscall.SIGHUP, 129, false},
		{"USR1, not caught", "while :; do sleep 0.01; done", syscall.SIGUSR1, 138, false},
		{"TERM, saved in time", "while :; do sleep 0.01; done", syscall.SIGTERM, 0, true},
		{"USR1, saved in time", "while :; do sleep 0.01; done", syscall.SIGUSR1, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if signal.Ignored(c.signal) {
				t.Skipf("%s is ignored here (nohup?), and what is started here ignores it, too", c.signal)
			}
			p := newRunner(t)
			script := "echo >started; " + c.script
			if c.bound {
				script = "trap 'echo saved >net; exit 0' TERM USR1; " + script
			}
			u := p.run(script, "--input", "lab/data@1=data", "--output", "lab/net@1=net", "--receipt", "r.json")
			p.await("started")
			if err := u.Process.Signal(c.signal); err != nil {
				t.Fatal(err)
			}
			u.ends(c.status)
			text, err := os.ReadFile(filepath.Join(p.dir, "r.json"))
			var r jsonv1.Run
			if err == nil {
				err = json.Unmarshal(text, &r)
			}
			if err != nil {
				t.Fatalf("%v\n%s", err, u.said())
			}
			if r.Failed == c.bound || *r.Exit != uint64(c.status) || (len(r.Outputs) == 1) != c.bound {
				t.Errorf("%+v", r)
			}
			if s := u.said(); strings.Contains(s, "interrupted") {
				t.Errorf("%s", s)
			}
			p.noNotes()
		})
	}
}

// TestRunIsRecordedThroughSignals: once it is signed, no signal keeps a run from
// being recorded.
func TestRunIsRecordedThroughSignals(t *testing.T) {
	t.Parallel()
	p := newRunner(t)
	u := p.run(waiting+"echo trained >net", "--input", "lab/data@1=data", "--output", "lab/net@1=net")
	p.await("started")
	free := p.held()
	p.write("go", "")
	p.until("the run is signed", func() bool { _, ok := p.noted(pending.EnvelopeFile); return ok })
	for _, s := range []syscall.Signal{syscall.SIGINT, syscall.SIGINT, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP} {
		if err := u.Process.Signal(s); err != nil {
			t.Fatal(err)
		}
	}
	free()
	u.ends(0)
	p.must("verify", "lab/net@1", "net")
	p.noNotes()
}

// TestRunGivenUp: a first signal while outputs are read is a question, a second
// one an answer. Nothing is recorded then.
func TestRunGivenUp(t *testing.T) {
	t.Parallel()
	p := newRunner(t)
	// More than can be read before the test has said so: it has no blocks.
	u := p.run("truncate -s 1T net && echo >ended", "--input", "lab/data@1=data", "--output", "lab/net@1=net")
	p.await("ended")
	p.until("its outputs are read", func() bool {
		id, ok := p.noted(pending.NoteFile)
		text, _ := os.ReadFile(filepath.Join(p.state(), "runs", id, pending.NoteFile))
		return ok && strings.Contains(string(text), `"finish"`)
	})
	if u.ProcessState != nil {
		t.Fatal("it has ended")
	}
	for range 2 {
		if err := u.Process.Signal(syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		p.until("the first is told", func() bool { return strings.Contains(u.said(), "once more gives that up") })
	}
	u.ends(exitOurs)
	id, _ := p.noted(pending.NoteFile)
	if s := u.said(); !strings.Contains(s, "given up: the run is not recorded") || !strings.Contains(s, "--resume "+id) {
		t.Errorf("%s", s)
	}
	if _, errs, status := p.stele("show", id); status != exitNotFound || !strings.Contains(errs, "is not recorded: given up") || !strings.Contains(errs, "goes on from there") {
		t.Errorf("exit status %d: %s", status, errs)
	}
}

// TestRunStreams: much goes in and comes out as it is, and a broken pipe of
// standard error loses no record.
func TestRunStreams(t *testing.T) {
	t.Parallel()
	p := newRunner(t)
	in := make([]byte, 32<<20)
	rng := rand.NewChaCha8([32]byte{1})
	_, _ = rng.Read(in)
	var out bytes.Buffer
	cmd := p.command("run", "--input", "lab/data@1=data", "--output", "lab/copy@1=copy", "-q", "--", "tee", "copy")
	cmd.Stdin, cmd.Stdout = bytes.NewReader(in), &out
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out.Bytes(), in) {
		t.Errorf("%d bytes came out of %d", out.Len(), len(in))
	}
	p.must("verify", "lab/copy@1", "copy")

	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd = p.command("run", "--input", "lab/data@1=data", "--output", "lab/net@1=net", "--", "sh", "-c", waiting+"echo trained >net")
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	p.await("started")
	r.Close() // who read what stele says has gone away
	p.write("go", "")
	if err := cmd.Wait(); err != nil {
		t.Error(err)
	}
	p.must("verify", "lab/net@1", "net")
}

// TestOldNotes: notes of runs that came to nothing are dropped in time; what is
// signed is kept.
func TestOldNotes(t *testing.T) {
	t.Parallel()
	p := newRunner(t)
	if _, _, status := p.stele("run", "--output", "lab/net@1=net", "--", "true"); status != exitOurs {
		t.Fatalf("exit status %d", status)
	}
	id, ok := p.noted(pending.NoteFile)
	if !ok {
		t.Fatal("no notes")
	}
	if _, errs, _ := p.stele("show", id); !strings.Contains(errs, "is not recorded: the command wrote no net") {
		t.Errorf("%s", errs)
	}
	dir := filepath.Join(p.state(), "runs", id)
	long := time.Now().Add(-pending.KeepFor - time.Hour)
	if err := os.Chtimes(dir, long, long); err != nil {
		t.Fatal(err)
	}
	p.must("run", "--output", "lab/net@1=net", "--", "sh", "-c", "echo >net")
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("they are kept: %v", err)
	}
}

// TestAttackerRewritesMarks: the command changes its input, and what stele noted
// to know it again by; it may write to that as its user may.
func TestAttackerRewritesMarks(t *testing.T) {
	t.Parallel()
	p := newRunner(t)
	u := p.run(waiting+"cat data/a.csv >net", "--input", "lab/data@1=data", "--output", "lab/net@1=net")
	p.await("started")
	id, ok := p.noted(pending.NoteFile)
	if !ok {
		t.Fatal("no notes are kept")
	}
	p.write("data/a.csv", "9,9,9\n") // as long
	at, err := place.Parse(filepath.Join(p.dir, "data"))
	if err != nil {
		t.Fatal(err)
	}
	data, err := at.Open(t.Context(), place.Options{EveryMark: true})
	if err != nil {
		t.Fatal(err)
	}
	defer data.Close()
	var forged bytes.Buffer
	marks := hint.NewMarksWriter(&forged)
	if err := data.List(t.Context(), nil, func(o source.Object) error {
		m, err := data.Mark(t.Context(), o)
		if err == nil {
			err = marks.Add(m, 0)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	kept := filepath.Join(p.state(), "runs", id, "input-0.marks")
	whole, err := os.ReadFile(kept)
	if err != nil {
		t.Fatal(err)
	}
	fp := fingerprint.Fingerprint{Algorithm: fingerprint.Algorithm(whole[len(whole)-65]), Sum: fingerprint.Digest(whole[len(whole)-64:])}
	if err := marks.Close(fp); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(kept, forged.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	p.write("go", "")
	u.ends(exitOurs)
	if s := u.said(); !strings.Contains(s, "tampered") && !strings.Contains(s, "changed while the command ran") {
		t.Errorf("%s", s)
	}
}
