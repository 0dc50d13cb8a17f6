package pending_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/pending"
	"github.com/stele-ml/stele/statement"
)

// signed is a run that was signed, and its id.
func signed(t *testing.T) (statement.Nonce, *statement.Envelope) {
	t.Helper()
	l := ledgertest.New(t)
	raw := l.Stamped(l.Ada, "raw", "1", "raw")
	env := l.Run(l.Ada, []statement.Ref{raw}, []statement.Output{l.Made("model", "1", "model")})
	st, err := statement.Parse(env.Payload)
	if err != nil {
		t.Fatal(err)
	}
	return st.Nonce, env
}

func begun(t *testing.T, d pending.Dir, id statement.Nonce) *pending.Notes {
	t.Helper()
	n, err := d.Begin(id, pending.Note{Run: id.String(), Dir: "/lab", Begun: 1_000, Command: []string{"python", "train.py"}}, func(err error) { t.Errorf("not noted: %v", err) })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func found(t *testing.T, d pending.Dir, id statement.Nonce) *pending.Run {
	t.Helper()
	p, err := d.Find(id)
	if err != nil || p == nil {
		t.Fatalf("%v, %v", p, err)
	}
	return p
}

// What another process sees of a run, from its beginning to the ledger's word.
func TestARunFromBeginningToEnd(t *testing.T) {
	d := pending.Dir(t.TempDir())
	id, env := signed(t)
	if p, err := d.Find(id); p != nil || err != nil {
		t.Fatalf("before it began: %v, %v", p, err)
	}
	n := begun(t, d, id)
	if p := found(t, d, id); p.Dir != "/lab" || p.Folder != d.Of(id) || !p.Running || !p.Reserved || p.Status != nil || p.Envelope != nil {
		t.Errorf("while it runs: %+v", p)
	}
	n.Ended(5_000, 0)
	n.Note.Finish = &pending.Finish{Signer: "key"}
	n.Write()
	if p := found(t, d, id); p.Reserved || p.Status == nil || *p.Status != 0 || p.Ended != 5_000 || p.Finish == nil || !n.Finishable() || n.Signed() {
		t.Errorf("once its command has ended: %+v", p)
	}
	if err := n.Keep(env); err != nil {
		t.Fatal(err)
	}
	n.GaveUp(errors.New("the agent went away"))
	n.Close() // the process ends
	p := found(t, d, id)
	if p.Running || p.Envelope == nil || p.Why != "the agent went away" || !n.Signed() {
		t.Errorf("kept: %+v", p)
	}
	again, err := p.Resume(6_000, func(error) {})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Resume(6_001, func(error) {}); err == nil {
		t.Error("two finish it at once")
	}
	again.Done = true
	again.Close()
	if p, err := d.Find(id); p != nil || err != nil {
		t.Errorf("once the ledger has it: %v, %v", p, err)
	}
}

// Of a run whose command never started nothing stays; of one that the ledger
// refused, no envelope.
func TestWhatIsNotKept(t *testing.T) {
	d := pending.Dir(t.TempDir())
	id, env := signed(t)
	n := begun(t, d, id)
	mark := n.InputFile(3) + ".marks"
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n.Close()
	if _, err := os.Stat(n.Folder); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("never started: %v", err)
	}
	n = begun(t, d, id)
	if err := os.WriteFile(mark, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	n.Ended(2_000, 1)
	if err := n.Keep(env); err != nil {
		t.Fatal(err)
	}
	n.Refused()
	n.Close()
	if p := found(t, d, id); p.Envelope != nil || p.Finish != nil {
		t.Errorf("refused: %+v", p)
	}
	if _, err := os.Stat(mark); err == nil {
		t.Error("what an input is known by outlives the process")
	}
	var none *pending.Notes // of a run that is told
	none.Close()
	none.GaveUp(errors.New("x"))
	none.CannotFinish()
	if none.Finishable() || none.Signed() {
		t.Error("no notes are enough")
	}
}

// The command may write to the notes: it puts another run's envelope there, or what
// is no note, or very much.
func TestAttackerWritesToTheNotes(t *testing.T) {
	d := pending.Dir(t.TempDir())
	id, _ := signed(t)
	other := ledgertest.New(t)
	foreign := other.Run(other.Ada, nil, []statement.Output{other.Made("x", "1", "x"), other.Made("y", "1", "y")})
	if st, err := statement.Parse(foreign.Payload); err != nil || st.Nonce == id {
		t.Fatalf("it is not another's: %v", err)
	}
	n := begun(t, d, id)
	n.Ended(2_000, 0)
	if err := n.Keep(foreign); err != nil {
		t.Fatal(err)
	}
	n.Close()
	if _, err := d.Find(id); !errors.Is(err, evidence.ErrTampered) {
		t.Errorf("another's envelope: %v", err)
	}
	for name, text := range map[string]string{"no note": "{", "too much": strings.Repeat(" ", pending.MaxNote+1)} {
		if err := os.WriteFile(n.File(pending.NoteFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if p, err := d.Find(id); err == nil {
			t.Errorf("%s: %+v", name, p)
		}
	}
	if err := errors.Join(os.Remove(n.File(pending.NoteFile)), os.Mkdir(n.File(pending.NoteFile), 0o700)); err != nil {
		t.Fatal(err)
	}
	if p, err := d.Find(id); err == nil {
		t.Errorf("a folder: %+v", p)
	}
}

// A note that cannot be written is told of once.
func TestNotNotedIsToldOnce(t *testing.T) {
	d := pending.Dir(t.TempDir())
	id, _ := signed(t)
	n := begun(t, d, id)
	told := 0
	n.Warn = func(error) { told++ }
	n.Note.Why = strings.Repeat("x", pending.MaxNote)
	n.Note.Finish = &pending.Finish{}
	n.Write()
	n.Write()
	if told != 1 || n.Finishable() {
		t.Errorf("told %d times; enough to finish: %v", told, n.Finishable())
	}
	n.Close()
}

func TestThatBegins(t *testing.T) {
	d := pending.Dir(t.TempDir())
	if _, ok := pending.Dir(filepath.Join(string(d), "none")).ThatBegins("c0ffee00"); ok {
		t.Error("found where nothing is")
	}
	for _, name := range []string{"c0ffee000000000000000000000000aa", "abcdef00000000000000000000000001", "abcdef00000000000000000000000002", "c0ffee00-no-run"} {
		if err := os.Mkdir(filepath.Join(string(d), name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if id, ok := d.ThatBegins("c0ffee00"); !ok || id.String() != "c0ffee000000000000000000000000aa" {
		t.Error(id, ok)
	}
	for _, digits := range []string{"abcdef00", "deadbeef"} {
		if id, ok := d.ThatBegins(digits); ok {
			t.Error(digits, id)
		}
	}
}

// What was never recorded goes after KeepFor; what is signed, or still runs, stays.
func TestDropOld(t *testing.T) {
	for name, c := range map[string]struct {
		sign, run, stays bool
	}{"ended": {}, "signed": {sign: true, stays: true}, "running": {run: true, stays: true}} {
		d := pending.Dir(t.TempDir())
		id, env := signed(t)
		n := begun(t, d, id)
		n.Ended(2_000, 0)
		if c.sign {
			if err := n.Keep(env); err != nil {
				t.Fatal(err)
			}
		}
		if !c.run {
			n.Close()
		}
		d.DropOld(time.Now().Add(pending.KeepFor - time.Hour))
		found(t, d, id)
		d.DropOld(time.Now().Add(pending.KeepFor + time.Hour))
		if p, err := d.Find(id); err != nil || (p != nil) != c.stays {
			t.Errorf("%s: %v, %v", name, p, err)
		}
		n.Close()
	}
}

func TestTelling(t *testing.T) {
	one := 1
	n := pending.Note{Run: "r", Begun: 1_000, Inputs: []pending.Input{{What: "a@1"}}, Outputs: []pending.Output{{What: "m@1", Path: "/m", Kind: "model", Since: "m@0"}, {What: "d@1", Path: "/d", Kind: "dataset"}}}
	const begins = "stele record run --id r --input a@1 "
	if got, want := strings.Join(n.Telling(), " "), begins+"--output m@1=/m --kind m@1=model --since m@1=m@0 --output d@1=/d --started 1970-01-01T00:00:01Z"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	n.Status, n.Ended = &one, 500 // a clock that went back
	if got, want := strings.Join(n.Telling(), " "), begins+"--started 1970-01-01T00:00:01Z --finished 1970-01-01T00:00:01Z --exit 1"; got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if text, err := json.Marshal(n); err != nil || !strings.Contains(string(text), `"status":1`) {
		t.Errorf("%s, %v", text, err)
	}
}
