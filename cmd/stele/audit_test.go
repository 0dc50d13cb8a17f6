package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/home"
)

// stopper ends a command as soon as it has said something.
type stopper struct {
	said bytes.Buffer
	at   string
	stop func()
}

func (s *stopper) Write(p []byte) (int, error) {
	n, err := s.said.Write(p)
	if strings.Contains(s.said.String(), s.at) {
		s.stop()
	}
	return n, err
}

// inProcess runs a command without a process of its own, until it has said stop
// on standard error.
func (p *person) inProcess(stop string, args ...string) (stdout, stderr string, status int) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	errs := &stopper{at: stop, stop: cancel}
	var out bytes.Buffer
	status = run(ctx, append(args, "--ledger", filepath.Join(p.dir, ".stele")), new(bytes.Buffer), &out, errs, p.getenv)
	return out.String(), errs.said.String(), status
}

func (p *person) audits() []jsonv1.AnnouncedAudit {
	p.t.Helper()
	dec := json.NewDecoder(strings.NewReader(p.must("audit", "--list", "--json")))
	var list []jsonv1.AnnouncedAudit
	for {
		var item jsonv1.AnnouncedAudit
		err := dec.Decode(&item)
		if err == io.EOF {
			return list
		}
		if err != nil {
			p.t.Fatal(err)
		}
		list = append(list, item)
	}
}

// TestInterruptedAudit announces audits and stops before they end. They are
// shown as never ended; whoever announced them goes on with the same seed, by
// --resume or by the same command again, and cannot begin a second one instead.
func TestInterruptedAudit(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.must("init", "--handle", "ada", "-q")
	data := filepath.Join(p.dir, "data")
	p.write("data/a", strings.Repeat("a", 3<<20))
	p.must("stamp", "data", "--as", "lab/a@1", "-q")

	odds := []string{"--altered", "0.3", "--confidence", "0.5"}
	announce := append([]string{"audit", "lab/a@1", data, "--announce"}, odds...)
	_, errs, status := p.inProcess("announced in entry 2", announce...)
	if status != exitError || !strings.Contains(errs, "stele audit --resume 2") {
		t.Fatalf("exit status %d, want %d:\n%s", status, exitError, errs)
	}
	if list := p.audits(); len(list) != 1 || list[0].Outcome != "open" || list[0].Result != nil {
		t.Fatalf("not shown as open: %+v", list)
	}
	if shown := p.must("show", "lab/a@1"); !strings.Contains(shown, "never ended") {
		t.Errorf("show does not say that the audit never ended:\n%s", shown)
	}
	if _, errs, status := p.stele("audit", "--check", "2"); status != exitError || !strings.Contains(errs, "has not ended") {
		t.Errorf("an open audit was checked: exit status %d\n%s", status, errs)
	}

	// A copy elsewhere is not what was announced.
	if _, errs, status := p.stele("audit", "--resume", "2", t.TempDir()); status != exitUsage || !strings.Contains(errs, "announced of") {
		t.Fatalf("--resume of another place: %d, %s", status, errs)
	}
	p.must("audit", "--resume", "2", "-q")
	list := p.audits()
	if list[0].Outcome != "held" || list[0].Result == nil || *list[0].Result != 3 {
		t.Fatalf("after --resume: %+v", list)
	}
	p.must("audit", "--check", "2", data, "-q")

	// The same command again goes on with what it announced, also where what was
	// announced was altered meanwhile: the first draw counts.
	if _, errs, status := p.inProcess("announced in entry 4", announce...); status != exitError {
		t.Fatalf("exit status %d\n%s", status, errs)
	}
	p.write("data/a", strings.Repeat("b", 3<<20))
	if _, errs, status := p.stele(announce...); status != exitTampered || !strings.Contains(errs, "entry 4 announced") {
		t.Fatalf("exit status %d\n%s", status, errs)
	}
	if list := p.audits(); len(list) != 2 || list[1].Outcome != "altered" {
		t.Fatalf("after the same command again: %+v", list)
	}

	// Without the nonce nobody ends it.
	if _, errs, status := p.inProcess("announced in entry 6", announce...); status != exitError {
		t.Fatalf("exit status %d\n%s", status, errs)
	}
	kept, err := filepath.Glob(filepath.Join(p.state(), "ledgers", "*", "audits", "*"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("nonces kept: %v, %v", kept, err)
	}
	if info, err := os.Stat(kept[0]); err != nil || info.Mode().Perm()&0o077 != 0 {
		t.Errorf("others may read the nonce: %v, %v", info.Mode(), err)
	}
	if err := os.Remove(kept[0]); err != nil {
		t.Fatal(err)
	}
	if _, errs, status := p.stele("audit", "--resume", "6"); status != exitNotFound {
		t.Fatalf("exit status %d\n%s", status, errs)
	}
	if list := p.audits(); list[2].Outcome != "open" {
		t.Fatalf("ended without its nonce: %+v", list[2])
	}
}

// TestAttackerAnnouncesTooFewDraws: one who would rather find nothing announces
// the usual odds, and one draw. Whatever comes of it is told for what it is.
func TestAttackerAnnouncesTooFewDraws(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.must("init", "--handle", "mallory", "-q")
	p.write("data/a", strings.Repeat("a", 30<<20))
	p.must("stamp", "data", "--as", "lab/a@1", "-q")

	a := newApp(new(bytes.Buffer), io.Discard, io.Discard, p.getenv)
	dirs, err := home.Find(p.getenv)
	if err != nil {
		t.Fatal(err)
	}
	a.livesIn(dirs)
	a.ledgerFlag = filepath.Join(p.dir, ".stele")
	o := auditOrder{name: "lab/a", version: "1", place: filepath.Join(p.dir, "data"), draws: 1}
	if o.altered, o.confidence, _, err = parseOdds(usualAltered, usualConfidence); err != nil {
		t.Fatal(err)
	}
	if err := a.announceAudit(context.Background(), &o); err != nil {
		t.Fatal(err)
	}

	list := p.audits()
	if len(list) != 1 || list[0].Outcome != "held" || list[0].Chunks != 1 || list[0].ChunksDue != 919 {
		t.Fatalf("%+v", list)
	}
	for _, args := range [][]string{{"audit", "--list"}, {"show", "lab/a@1"}} {
		if out := p.must(args...); !strings.Contains(out, "held (too few draws)") {
			t.Errorf("%v does not say that the odds are not those:\n%s", args, out)
		}
	}
	if out := p.must("show", "2"); !strings.Contains(out, "1 chunk, and that takes 919") {
		t.Errorf("show does not say how many it takes:\n%s", out)
	}
	for _, place := range [][]string{nil, {o.place}} {
		if _, errs, status := p.stele(append([]string{"audit", "--check", "2"}, place...)...); status != exitTampered || !strings.Contains(errs, "take 919") {
			t.Errorf("exit status %d, want %d:\n%s", status, exitTampered, errs)
		}
	}
}

// state is the person's state directory.
func (p *person) state() string {
	for _, e := range p.env {
		if v, ok := strings.CutPrefix(e, "STELE_STATE="); ok {
			return v
		}
	}
	p.t.Fatal("no state directory")
	return ""
}
