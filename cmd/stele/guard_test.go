package main

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	sumnote "golang.org/x/mod/sumdb/note"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/guard"
	"github.com/stele-ml/stele/internal/process"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// served is what a guard that was run in this process would have become.
type served struct {
	*process.Command
	output string
	status int
}

// variable is what the command would have found in its environment.
func (s *served) variable(name string) (value string) {
	for _, kv := range s.Env {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			value = v
		}
	}
	return value
}

// guarded runs a guard in this process, which becomes nothing; with changes what
// it finds, before it begins.
func (p *person) guarded(with func(*app), args ...string) *served {
	p.t.Helper()
	s := new(served)
	var out bytes.Buffer
	a := newApp(new(bytes.Buffer), &out, &out, p.getenv)
	a.become = func(_ context.Context, c process.Command) error { s.Command = &c; return nil }
	if with != nil {
		with(a)
	}
	s.status = a.run(p.t.Context(), append([]string{"guard", "--ledger", filepath.Join(p.dir, ".stele"), "--stage", "production"}, args...))
	s.output = out.String()
	return s
}

// refused asserts that nothing was started, and why.
func (s *served) refused(t *testing.T, why string) {
	t.Helper()
	switch {
	case s.Command != nil:
		t.Errorf("%v was started: %s", s.Args, s.output)
	case s.status != exitOurs:
		t.Errorf("status %d, want %d: %s", s.status, exitOurs, s.output)
	case !strings.Contains(s.output, why):
		t.Errorf("it does not say %q: %s", why, s.output)
	}
}

// starts asserts that the command was started.
func (s *served) starts(t *testing.T) bool {
	t.Helper()
	if s.Command == nil || s.status != 0 {
		t.Errorf("it was not started, status %d: %s", s.status, s.output)
		return false
	}
	return true
}

// newServing is somebody with a model in production.
func newServing(t *testing.T) *person {
	t.Helper()
	p := newPerson(t)
	p.must("init", "--handle", "ada", "-q")
	p.write("data.csv", "1,2,3")
	p.write("model/config.json", "{}")
	p.write("model/net.bin", strings.Repeat("weights ", 200_000)) // more than a chunk
	p.must("stamp", "data.csv", "--as", "fraud/data@1", "-q")
	p.must("stamp", "model", "--as", "fraud/model@1", "--kind", "model", "--from", "fraud/data@1", "-q")
	p.must("release", "fraud/model@1", "--stage", "production", "--yes", "-q")
	return p
}

func (p *person) at(name string) string { return filepath.Join(p.dir, name) }

// TestAttackerSwapsBeforeTheStart changes a model's files when they have been
// verified and the server has not been started. Where they are only checked, it
// is not started; where they were copied, it is given what was verified.
func TestAttackerSwapsBeforeTheStart(t *testing.T) {
	t.Parallel()
	p := newServing(t)
	good, err := os.ReadFile(p.at("model/net.bin"))
	if err != nil {
		t.Fatal(err)
	}
	evil := bytes.ToUpper(good)
	check := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	net := p.at("model/net.bin")
	for _, attack := range []struct {
		name string
		do   func()
		undo func()
		why  string
	}{
		{"other bytes in the file", func() { check(os.WriteFile(net, evil, 0o644)) }, nil, "changed after it was verified: 1 modified"},
		{"other bytes, the old times", func() {
			info, err := os.Stat(net)
			check(err)
			check(os.WriteFile(net, evil, 0o644))
			check(os.Chtimes(net, info.ModTime(), info.ModTime()))
		}, nil, "changed after it was verified: 1 modified"},
		{"another file of that name", func() {
			check(os.WriteFile(p.at("evil.bin"), evil, 0o644))
			check(os.Rename(p.at("evil.bin"), net))
		}, nil, "changed after it was verified: 1 modified"},
		{"another file and the same bytes", func() {
			check(os.WriteFile(p.at("twin.bin"), good, 0o644))
			check(os.Rename(p.at("twin.bin"), net))
		}, nil, "net.bin was touched"},
		{"a file besides", func() { p.write("model/evil.py", "import os") }, func() { check(os.Remove(p.at("model/evil.py"))) }, "1 added"},
		{"a file that is gone", func() { check(os.Remove(p.at("model/config.json"))) }, func() { p.write("model/config.json", "{}") }, "1 removed"},
		{"a link in the place of a file", func() {
			check(os.WriteFile(p.at("elsewhere.bin"), good, 0o644))
			check(os.Remove(net))
			check(os.Symlink(p.at("elsewhere.bin"), net))
		}, func() { check(os.Remove(net)) }, "changed after it was verified"},
		{"another folder", func() {
			check(os.Rename(p.at("model"), p.at("away")))
			p.write("model/net.bin", string(evil))
			p.write("model/config.json", "{}")
		}, func() { check(os.RemoveAll(p.at("model"))); check(os.Rename(p.at("away"), p.at("model"))) }, "changed after it was verified"},
		{"a link in the place of the folder", func() {
			check(os.Rename(p.at("model"), p.at("away")))
			check(os.Symlink(p.at("away"), p.at("model")))
		}, func() { check(os.Remove(p.at("model"))); check(os.Rename(p.at("away"), p.at("model"))) }, "changed after it was verified"},
		{"nothing is there any more", func() { check(os.Rename(p.at("model"), p.at("away"))) }, func() { check(os.Rename(p.at("away"), p.at("model"))) }, "it is gone"},
	} {
		restore := func() {
			t.Helper()
			if attack.undo != nil {
				attack.undo()
			}
			check(os.WriteFile(net, good, 0o644))
		}
		for _, how := range []string{checkFull, checkAudit} {
			s := p.guarded(func(a *app) { a.looked = attack.do }, "fraud/model@1", p.at("model"), "--check", how, "--", "sh", "-c", "exit 3")
			if s.refused(t, attack.why); t.Failed() {
				t.Fatalf("%s, --check %s", attack.name, how)
			}
			restore()
		}
		s := p.guarded(func(a *app) { a.looked = attack.do }, "fraud/model@1", p.at("model"), "--pin", "copy="+p.at("kept"), "--", "sh", "{}")
		if s.starts(t) {
			if want := p.at("kept/fraud/model@1"); s.Args[1] != want || s.variable(modelPathVariable) != want {
				t.Errorf("%s: it is given %v and %s, want %s", attack.name, s.Args, s.variable(modelPathVariable), want)
			}
			got, err := os.ReadFile(filepath.Join(s.Args[1], "net.bin"))
			check(err)
			list, err := os.ReadDir(s.Args[1])
			check(err)
			if !bytes.Equal(got, good) || len(list) != 2 {
				t.Errorf("%s: the copy is not what was verified", attack.name)
			}
		}
		restore()
	}
	if s := p.guarded(nil, "fraud/model@1", p.at("model"), "--", "sh", "{}"); s.starts(t) && s.Args[1] != p.at("model") {
		t.Errorf("it is given %v", s.Args)
	}
}

// TestAttackerServesWhatWasTakenBack has something written to the ledger while
// the files are read.
func TestAttackerServesWhatWasTakenBack(t *testing.T) {
	t.Parallel()
	p := newServing(t)
	for _, c := range []struct {
		name      string
		meanwhile []string
		why       string
		undo      []string
	}{
		{"withdrawn", []string{"withdraw", "fraud/model@1", "--effect", "stop", "--reason", "it leaks", "--yes", "-q"}, "(stop): it leaks",
			[]string{"reinstate", "fraud/model@1", "--reason", "no", "-q"}},
		{"tainted", []string{"withdraw", "fraud/data@1", "--effect", "stop", "--reason", "no consent", "--yes", "-q"}, "(stop): no consent",
			[]string{"reinstate", "fraud/data@1", "--reason", "no", "-q"}},
		{"left", []string{"release", "fraud/model@1", "--stage", "production", "--leave", "--yes", "-q"}, "is not in production",
			[]string{"release", "fraud/model@1", "--stage", "production", "--yes", "-q"}},
	} {
		for _, with := range [][]string{{"--check", "full"}, {"--pin", "copy=" + p.at("kept")}, {"--pin", "copy"}} {
			args := append(append([]string{"fraud/model@1", p.at("model")}, with...), "--", "sh", "-c", "exit 3")
			s := p.guarded(func(a *app) { a.looked = func() { p.must(c.meanwhile...) } }, args...)
			if s.refused(t, c.why); t.Failed() {
				t.Fatalf("%s, %v", c.name, with)
			}
			p.must(c.undo...)
		}
	}
	if s := p.guarded(nil, "fraud/model@1", p.at("model"), "--", "sh"); s.starts(t) && s.variable(releaseVariable) != "21" {
		t.Errorf("it is told of entry %s", s.variable(releaseVariable))
	}
}

// TestAttackerSwapsTheLedger: the files are those of another ledger, which was in
// the place of this one while they were read.
func TestAttackerSwapsTheLedger(t *testing.T) {
	t.Parallel()
	stamped := statement.Ref{Name: "fraud/model", Version: "1", Fingerprint: fingerprint.Fingerprint{Algorithm: fingerprint.SHA256}}
	other := stamped.Fingerprint
	other.Sum[0]++
	for fp, want := range map[fingerprint.Fingerprint]int{stamped.Fingerprint: 0, other: exitTampered} {
		m := &guardModel{
			name: "fraud/model", version: "1", place: "model", subject: &subjectOf{fp: fp, stamp: new(statement.Stamp)},
			standing: &guard.Standing{Judged: &lineage.Judgement{Artifact: &lineage.Artifact{Ref: stamped}}},
		}
		v := &evidence.Verdict{Verdict: evidence.Verified, Checks: []evidence.Check{{Name: evidence.CheckContents, OK: evidence.Passed}}}
		err := new(guarding).holds(m, &judged{out: new(jsonv1.Verify), verdict: v})
		var f *failure
		if errors.As(err, &f) && f.status != want || (err == nil) != (want == 0) {
			t.Errorf("files held against %s: %v", fp, err)
		}
	}
}

// TestGuardCached: what an earlier full check by the same person read is not read
// again, unless it changed, or had changed a moment before that.
func TestGuardCached(t *testing.T) {
	t.Parallel()
	p := newServing(t)
	// The clock stands where the files were written: on a busy machine that may be
	// a while ago.
	written, err := os.Stat(p.at("model/net.bin"))
	if err != nil {
		t.Fatal(err)
	}
	in := func(d time.Duration) func(*app) {
		return func(a *app) { a.now = func() time.Time { return written.ModTime().Add(d) } }
	}
	model := []string{"fraud/model@1", p.at("model")}
	cached := append(slices.Clone(model), "--check", "cached", "--json", "--", "sh")
	guard := func(when time.Duration, args []string, want string) {
		t.Helper()
		if s := p.guarded(in(when), args...); s.starts(t) && !strings.Contains(s.output, want) {
			t.Errorf("it does not say %s: %s", want, s.output)
		}
	}
	guard(0, cached, `"there was no earlier`[1:])
	// The files had just been written: their times may not tell the next change.
	guard(0, cached, `"verdict":"verified"`)
	// A full check ten seconds later.
	guard(10*time.Second, append(slices.Clone(model), "--", "sh"), "every byte was read")
	guard(20*time.Second, cached, `"verdict":"sampled"`)
	guard(20*time.Second, cached, `"unread":1600002,"how":"1.5 MiB by the same size, times and inode as at the full check of `)
	// A check from the future is none.
	guard(0, cached, `"verdict":"verified"`)

	// The notes are of this place, and of this person.
	p.write("elsewhere/config.json", "{}")
	if err := os.Link(p.at("model/net.bin"), p.at("elsewhere/net.bin")); err != nil {
		t.Fatal(err)
	}
	guard(20*time.Second, []string{"fraud/model@1", p.at("elsewhere"), "--check", "cached", "--json", "--", "sh"}, `"verdict":"verified"`)

	// One byte, with the old size and modification time.
	info, err := os.Stat(p.at("model/net.bin"))
	if err != nil {
		t.Fatal(err)
	}
	p.write("model/net.bin", "Weights "+strings.Repeat("weights ", 199_999))
	if err := os.Chtimes(p.at("model/net.bin"), info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	p.guarded(in(30*time.Second), cached...).refused(t, "is not what was stamped")

	// Notes that somebody damaged are no notes.
	p.write("model/net.bin", strings.Repeat("weights ", 200_000))
	guard(40*time.Second, append(slices.Clone(model), "--", "sh"), "every byte was read")
	state := ""
	for _, e := range p.env {
		if dir, ok := strings.CutPrefix(e, "STELE_STATE="); ok {
			state = dir
		}
	}
	list, err := filepath.Glob(filepath.Join(state, "guard", "*", "*.marks"))
	if err != nil || len(list) == 0 {
		t.Fatalf("no notes: %v", err)
	}
	for _, name := range list {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		data[len(data)/2] ^= 1
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	guard(50*time.Second, cached, `"verdict":"verified"`)
}

// TestGuardStateCannotBeWritten: a container's home may be read-only. The check
// is made all the same, with the second look.
func TestGuardStateCannotBeWritten(t *testing.T) {
	t.Parallel()
	p := newServing(t)
	state := ""
	for _, e := range p.env {
		if dir, ok := strings.CutPrefix(e, "STELE_STATE="); ok {
			state = dir
		}
	}
	if err := os.WriteFile(filepath.Join(state, "guard"), nil, 0o600); err != nil { // where a folder would have to be
		t.Fatal(err)
	}
	p.guarded(nil, "fraud/model@1", p.at("model"), "--", "sh").starts(t)
	s := p.guarded(func(a *app) { a.looked = func() { p.write("model/config.json", "[]") } }, "fraud/model@1", p.at("model"), "--", "sh")
	s.refused(t, "changed after it was verified: 1 modified")
}

// TestGuardInterrupted: whoever was told to stop starts nothing.
func TestGuardInterrupted(t *testing.T) {
	t.Parallel()
	p := newServing(t)
	ctx, cancel := context.WithCancel(t.Context())
	a := p.app()
	a.looked = cancel
	a.become = func(ctx context.Context, c process.Command) error { t.Errorf("%v was started", c.Args); return nil }
	status := a.run(ctx, []string{"guard", "--ledger", p.at(".stele"), "--stage", "production", "fraud/model@1", p.at("model"), "--", "sh"})
	if status != exitOurs {
		t.Errorf("status %d", status)
	}
}

// TestAttackerShowsOldEvidence hides what came after it. How old it may be is
// bounded: by its witnesses, or where the trust file asks for none, by the last
// entry.
func TestAttackerShowsOldEvidence(t *testing.T) {
	t.Parallel()
	p := newServing(t)
	p.must("prove", "fraud/model@1", "--stage", "production", "-o", "e.json", "-q")
	in := func(d time.Duration) func(*app) {
		return func(a *app) { a.now = func() time.Time { return time.Now().Add(d) } }
	}
	offline := func(file string, more ...string) []string {
		return append(append([]string{"fraud/model@1", p.at("model"), "--evidence", p.at(file), "--max-age", "24h"}, more...), "--", "sh")
	}
	p.guarded(nil, offline("e.json", "--strict")...).starts(t)
	p.guarded(in(23*time.Hour), offline("e.json")...).starts(t)
	p.guarded(in(25*time.Hour), offline("e.json")...).refused(t, "what is known of the log is 25 h")
	p.guarded(in(-time.Hour), offline("e.json")...).refused(t, "still to come by this machine's clock")

	// With a witness it is the cosignature that counts.
	data, err := os.ReadFile(p.at("e.json"))
	if err != nil {
		t.Fatal(err)
	}
	f, err := evidence.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	cp, _, err := evidence.ReadCheckpoint(f.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	seen := time.Now()
	cosigner, key, err := evidence.NewCosigner("witness.example/w1", ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32)), seen.Unix())
	if err != nil {
		t.Fatal(err)
	}
	signed, err := sumnote.Sign(&sumnote.Note{Text: cp.Text()}, cosigner)
	if err != nil {
		t.Fatal(err)
	}
	_, line, _ := strings.Cut(string(signed), "\n\n")
	f.Checkpoint = append(f.Checkpoint, line...)
	if data, err = f.Marshal(); err != nil {
		t.Fatal(err)
	}
	p.write("witnessed.json", string(data))
	policy := strings.Replace(p.must("trust", "export"), "quorum none", "witness w1 "+key.String()+"\nquorum w1", 1)
	p.write("witnessed.policy", policy)
	trust := []string{"--trust", p.at("witnessed.policy")}
	p.guarded(in(23*time.Hour), offline("witnessed.json", trust...)...).starts(t)
	p.guarded(in(25*time.Hour), offline("witnessed.json", trust...)...).refused(t, "fresh: cosigned at ")
	p.guarded(nil, offline("e.json", trust...)...).refused(t, "witnesses")
}
