package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stele-ml/stele/internal/manifest"
)

// person is somebody with a home and a working folder of their own.
type person struct {
	t   *testing.T
	dir string // the working folder
	env []string
}

func newPerson(t *testing.T) *person {
	t.Helper()
	p := &person{t: t, dir: t.TempDir()}
	p.env = []string{"PATH=" + os.Getenv("PATH"), "TZ=UTC"}
	for name, value := range homeOf(t.TempDir()) {
		p.env = append(p.env, name+"="+value)
	}
	return p
}

// getenv is os.Getenv for what runs in this process as that person.
func (p *person) getenv(name string) string {
	for _, e := range p.env {
		if v, ok := strings.CutPrefix(e, name+"="); ok {
			return v
		}
	}
	return ""
}

func (p *person) command(args ...string) *exec.Cmd {
	cmd := exec.Command("stele", args...)
	cmd.Dir, cmd.Env = p.dir, p.env
	return cmd
}

// stele runs the command to its end.
func (p *person) stele(args ...string) (stdout, stderr string, status int) {
	p.t.Helper()
	var out, errs bytes.Buffer
	cmd := p.command(args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatalf("stele %s: %v", strings.Join(args, " "), err)
	}
	if s := errs.String(); strings.Contains(s, "goroutine ") || strings.Contains(s, "panic:") {
		p.t.Fatalf("stele %s panicked:\n%s", strings.Join(args, " "), s)
	}
	return out.String(), errs.String(), cmd.ProcessState.ExitCode()
}

// must runs the command, which must hold.
func (p *person) must(args ...string) string {
	p.t.Helper()
	out, errs, status := p.stele(args...)
	if status != 0 {
		p.t.Fatalf("stele %s: exit status %d\n%s%s", strings.Join(args, " "), status, out, errs)
	}
	return out
}

func (p *person) write(name, text string) {
	p.t.Helper()
	name = filepath.Join(p.dir, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
		p.t.Fatal(err)
	}
}

// TestKilledStamp kills a stamping process at random moments. What it had
// acknowledged is there, the ledger is whole, and the same command again gives
// the name to the same bytes, whether or not the first had got through.
func TestKilledStamp(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.must("init", "--recovery-out", "recovery.pem")
	p.write("data/a.csv", "1,2,3\n")
	began := time.Now()
	p.must("stamp", "data", "--as", "lab/warm@1", "--json")
	usual := time.Since(began)
	rng := rand.New(rand.NewPCG(1, 2))
	const rounds = 14
	acknowledged, killed := 0, 0
	for round := range rounds {
		p.write("data/a.csv", fmt.Sprintf("1,2,%d\n", round))
		name := fmt.Sprintf("lab/data@%d", round)
		var out bytes.Buffer
		cmd := p.command("stamp", "data", "--as", name, "--json")
		cmd.Stdout = &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(rng.Int64N(int64(usual)*5/4)), func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		timer.Stop()
		if err != nil {
			killed++
		}
		if json.Valid(out.Bytes()) && out.Len() > 0 { // the receipt was out
			acknowledged++
			p.must("show", name)
		}
		p.must("fsck")
		p.must("stamp", "data", "--as", name)
		p.must("verify", name, "data")
	}
	p.must("fsck")
	if list := strings.Count(p.must("list", "lab/data", "--json"), "\n"); list != rounds {
		t.Errorf("%d names are bound, want %d", list, rounds)
	}
	t.Logf("%d of %d were killed, %d were acknowledged first", killed, rounds, acknowledged)
}

// TestKilledInit kills a process that makes a ledger. The next init makes it
// or says that it is there; nothing in between remains.
func TestKilledInit(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	rng := rand.New(rand.NewPCG(3, 4))
	began := time.Now()
	p.write("warm/x", "")
	p.must("init", "warm", "--recovery-out", "warm.pem")
	usual := time.Since(began)
	for round := range 6 {
		dir := fmt.Sprintf("ledger%d", round)
		p.write(dir+"/data", "x")
		cmd := p.command("init", dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(rng.Int64N(int64(usual)*5/4)), func() { _ = cmd.Process.Kill() })
		err := cmd.Wait()
		timer.Stop()
		if _, errs, status := p.stele("init", dir); status != 0 && !strings.Contains(errs, "is a ledger already") {
			t.Errorf("init again after %v: exit status %d: %s", err, status, errs)
		}
		p.must("stamp", dir+"/data", "--as", "lab/data@1", "--ledger", dir)
		p.must("fsck", "--ledger", dir)
	}
}

// TestRace: five processes give one name to five different contents at once.
// One of them gets it; the others are refused, and nothing is half-written.
func TestRace(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.must("init", "--recovery-out", "recovery.pem")
	const racers = 5
	cmds := make([]*exec.Cmd, racers)
	errs := make([]bytes.Buffer, racers)
	for i := range cmds {
		name := fmt.Sprintf("data%d", i)
		p.write(name+"/a.csv", name)
		cmds[i] = p.command("stamp", name, "--as", "lab/data@1")
		cmds[i].Stderr = &errs[i]
		if err := cmds[i].Start(); err != nil {
			t.Fatal(err)
		}
	}
	won := -1
	for i, cmd := range cmds {
		_ = cmd.Wait()
		switch status := cmd.ProcessState.ExitCode(); {
		case status == exitHolds && won < 0:
			won = i
		case status == exitHolds:
			t.Errorf("both %d and %d were given the name", won, i)
		case status == exitError && strings.Contains(errs[i].String(), "locked by"): // a busy machine
		case status != exitRefused:
			t.Errorf("%d: exit status %d: %s", i, status, &errs[i])
		}
	}
	if won < 0 {
		t.Fatal("nobody was given the name")
	}
	p.must("verify", "lab/data@1", fmt.Sprintf("data%d", won))
	p.must("fsck")
}

// TestAttackerFlipsBytesOfDatabase: a changed byte anywhere in the database is
// found by fsck, or changes nothing that anybody can be told; nothing panics.
func TestAttackerFlipsBytesOfDatabase(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.must("init", "--recovery-out", "recovery.pem")
	for i := range 4 {
		p.write("data/a.csv", fmt.Sprintf("1,2,%d\n", i))
		p.must("stamp", "data", "--as", fmt.Sprintf("lab/data@%d", i))
	}
	truth := p.must("log", "--json", "-n", "0") + p.must("list", "--json")
	db := filepath.Join(p.dir, ".stele", "db")
	files, err := os.ReadDir(db)
	if err != nil {
		t.Fatal(err)
	}
	kept := t.TempDir()
	if err := os.CopyFS(filepath.Join(kept, "db"), os.DirFS(db)); err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(5, 6))
	found, harmless := 0, 0
	for _, f := range files {
		whole, err := os.ReadFile(filepath.Join(kept, "db", f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if len(whole) == 0 {
			continue
		}
		for range 4 {
			at := rng.IntN(len(whole))
			damaged := bytes.Clone(whole)
			damaged[at] ^= 1 << rng.IntN(8)
			if err := os.RemoveAll(db); err != nil {
				t.Fatal(err)
			}
			if err := os.CopyFS(db, os.DirFS(filepath.Join(kept, "db"))); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(db, f.Name()), damaged, 0o644); err != nil {
				t.Fatal(err)
			}
			where := fmt.Sprintf("%s, byte %d", f.Name(), at)
			log, logErr, logStatus := p.stele("log", "--json", "-n", "0")
			list, _, listStatus := p.stele("list", "--json")
			_, fsckErr, fsck := p.stele("fsck")
			switch {
			case logStatus == 0 && listStatus == 0 && log+list != truth && fsck == 0:
				t.Errorf("%s: another history is shown, and fsck finds nothing", where)
			case fsck != 0:
				found++
				if fsckErr == "" {
					t.Errorf("%s: fsck ends with %d and says nothing", where, fsck)
				}
			case logStatus != 0 || listStatus != 0:
				t.Errorf("%s: fsck finds nothing, and log fails: %s", where, logErr)
			default:
				harmless++ // in a file, or a part of one, that nothing rests on
			}
		}
	}
	t.Logf("%d were found, %d changed nothing", found, harmless)
	if found == 0 {
		t.Error("no change was found at all")
	}
}

// TestAttackerFlipsBytesOfEvidence: no changed byte of an evidence file
// verifies.
func TestAttackerFlipsBytesOfEvidence(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.must("init", "--recovery-out", "recovery.pem")
	p.write("data/a.csv", "1,2,3\n")
	p.must("stamp", "data", "--as", "lab/data@1")
	p.must("prove", "lab/data@1", "--path", "a.csv", "--absent", "b.csv", "-o", "evidence.json")
	whole, err := os.ReadFile(filepath.Join(p.dir, "evidence.json"))
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(7, 8))
	for range 24 {
		at := rng.IntN(len(whole))
		damaged := bytes.Clone(whole)
		damaged[at] ^= 1 << rng.IntN(8)
		p.write("damaged.json", string(damaged))
		if out, errs, status := p.stele("verify", "--evidence", "damaged.json"); status != exitTampered {
			t.Errorf("byte %d, %q became %q: exit status %d\n%s%s", at, whole[at], damaged[at], status, out, errs)
		}
	}
}

// TestAttackerFlipsBytesOfManifest: no changed byte of a manifest passes. One
// that does not begin as a manifest is none, which is another error.
func TestAttackerFlipsBytesOfManifest(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.write("data/a.csv", "1,2,3\n")
	p.write("data/b.csv", strings.Repeat("4,5,6\n", 300_000))
	p.must("fingerprint", "data", "--manifest", "manifest")
	whole, err := os.ReadFile(filepath.Join(p.dir, "manifest"))
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(9, 10))
	for range 16 {
		at := rng.IntN(len(whole))
		damaged := bytes.Clone(whole)
		damaged[at] ^= 1 << rng.IntN(8)
		p.write("damaged", string(damaged))
		want := exitTampered
		if at < len(manifest.Magic) {
			want = exitError
		}
		if out, errs, status := p.stele("manifest", "verify", "damaged"); status != want {
			t.Errorf("byte %d: exit status %d\n%s%s", at, status, out, errs)
		}
	}
}
