package monitor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/statement"
)

// source shows a ledger, and what an attacker makes of it.
type source struct {
	l          *ledgertest.Ledger
	checkpoint func(signed []byte) ([]byte, error)
	bundle     func(n uint64, data []byte) []byte
	asked      int // bundles
}

func (s *source) Checkpoint(context.Context) ([]byte, error) {
	signed, err := s.l.View().LatestCheckpoint()
	if err == nil && s.checkpoint != nil {
		return s.checkpoint(signed)
	}
	return signed, err
}

func (s *source) Bundle(_ context.Context, n uint64, width int) ([]byte, error) {
	s.asked++
	data, err := s.l.View().Bundle(n, width)
	if err == nil && s.bundle != nil {
		data = s.bundle(n, data)
	}
	return data, err
}

// watching is a monitor and what it reported.
type watching struct {
	t      *testing.T
	o      Options
	s      *source
	m      *Monitor
	now    time.Time
	events []*Event
}

func watch(t *testing.T, l *ledgertest.Ledger, set func(*Options)) *watching {
	t.Helper()
	_, vkey := ledgertest.LogKey("1")
	w := &watching{t: t, s: &source{l: l}, now: time.UnixMilli(l.Now)}
	w.o = Options{
		Source: w.s, Policy: func(string) (*evidence.Policy, error) { return evidence.NewPolicy(vkey, ""), nil },
		Now: func() time.Time { return w.now }, Report: func(e *Event) { w.events = append(w.events, e) },
	}
	if set != nil {
		set(&w.o)
	}
	var err error
	if w.m, err = New(w.o, &State{}); err != nil {
		t.Fatal(err)
	}
	return w
}

// again is another process that goes on from the state's file.
func (w *watching) again() {
	w.t.Helper()
	data, err := w.m.State().Marshal()
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := ParseState(data)
	if err != nil {
		w.t.Fatal(err)
	}
	if w.m, err = New(w.o, s); err != nil {
		w.t.Fatal(err)
	}
}

// look looks once and returns the types of what was reported.
func (w *watching) look(want error) string {
	w.t.Helper()
	w.events = nil
	if err := w.m.Look(w.t.Context()); !errors.Is(err, want) {
		w.t.Fatalf("%v, want %v", err, want)
	}
	var types []string
	for _, e := range w.events {
		types = append(types, string(e.Type))
	}
	return strings.Join(types, " ")
}

func (w *watching) expect(what, want string, err error) {
	w.t.Helper()
	if got := w.look(err); got != want {
		w.t.Fatalf("%s: %q, want %q", what, got, want)
	}
}

func TestReports(t *testing.T) {
	l := ledgertest.New(t)
	bob := l.Person("bob")
	eve := l.Person("eve")
	w := watch(t, l, func(o *Options) {
		o.Watch = Watch{Handles: []string{"bob"}, Keys: []statement.KeyID{eve.PublicKey().ID()}, Patterns: []string{"fraud/*"}}
	})
	w.expect("first", "started", nil)
	w.expect("nothing new", "", nil)
	carol := l.Person("carol")
	l.Stamped(carol, "other/data", "1", "1")
	w.expect("a key is registered; a stamp that nobody watches", "identity", nil)
	l.Stamped(bob, "other/data", "2", "2")
	l.Stamped(eve, "other/data", "3", "3")
	ref := l.Stamped(carol, "fraud/data", "1", "4")
	w.expect("keys and names", "key key name", nil)
	if got := fmt.Sprint(w.events[0].Matched, w.events[0].Handle, w.events[2].Matched); got != "[bob]bob[fraud/*]" {
		t.Fatal(got)
	}
	w.again()
	l.Withdrawn(carol, ref, statement.TargetContents, statement.EffectNoNewUse)
	w.expect("withdrawn", "withdrawal", nil)
	l.Contract(ledgertest.Rule("never@1", "statements: [stamp]", "true"))
	w.expect("put", "contract", nil)
}

// TestLargeLog: from bundle to bundle, in several looks and processes.
func TestLargeLog(t *testing.T) {
	l := ledgertest.New(t)
	w := watch(t, l, func(o *Options) { o.Watch.Patterns = []string{"many/7"}; o.All = true })
	for round := range 6 {
		l.Put(l.Stamps(l.Ada, fmt.Sprintf("round%d", round), 150)...)
		w.look(nil)
		w.again()
		if w.m.at.checkpoint.Size != l.View().Size() {
			t.Fatal(w.m.at.checkpoint)
		}
		before := w.s.asked
		w.expect("nothing new", "", nil)
		if w.s.asked != before {
			t.Fatal("it reads again what it knows")
		}
	}
}

// TestLogShowsTwoHistories and its like: what a lying log does.
func TestLogShowsTwoHistories(t *testing.T) {
	l, other := ledgertest.New(t), ledgertest.New(t)
	l.Stamped(l.Ada, "a", "1", "true")
	other.Stamped(other.Ada, "a", "1", "false")
	other.Stamped(other.Ada, "a", "2", "false")
	w := watch(t, l, nil)
	w.look(nil)
	before := string(w.m.at.signed)
	w.s.l = other
	w.expect("another history", "fork", evidence.ErrFork)
	if e := w.events[0]; string(e.Old) != before || len(e.New) == 0 || string(e.New) == before {
		t.Fatalf("%+v", e)
	}
	w.again()
	w.s.l = l
	w.expect("its own goes on", "", nil)
}

// TestFirstLook is held against what its owner saw of the log elsewhere.
func TestFirstLook(t *testing.T) {
	l := ledgertest.New(t)
	l.Put(l.Stamps(l.Ada, "s", 5)...)
	then, err := l.View().LatestCheckpoint()
	if err != nil {
		t.Fatal(err)
	}
	cp, _, err := evidence.ReadCheckpoint(then)
	if err != nil {
		t.Fatal(err)
	}
	l.Put(l.Stamps(l.Ada, "more", 5)...)
	log, _ := ledgertest.LogKey("1")
	signed := func(size uint64, root tlog.Hash) []byte {
		out, err := evidence.SignCheckpoint(evidence.Checkpoint{Origin: cp.Origin, Size: size, Root: root}, log)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	for name, test := range map[string]struct {
		seen []byte
		want string
		err  error
	}{
		"nothing":         {nil, "started", nil},
		"a beginning":     {then, "started", nil},
		"more":            {signed(99, tlog.Hash{1}), "started", nil},
		"another history": {signed(cp.Size, tlog.Hash{1}), "fork", evidence.ErrFork},
	} {
		w := watch(t, l, func(o *Options) { o.Seen = func(string) ([]byte, error) { return test.seen, nil } })
		w.expect(name, test.want, test.err)
		if told := strings.Contains(w.events[0].Message, "you have seen 99 entries"); told != (name == "more") {
			t.Errorf("%s: %s", name, w.events[0].Message)
		}
		if test.err != nil {
			w.again()
			w.expect(name+", again", test.want, test.err) // its state is still a first look's
		}
	}
}

func TestLogGoesBack(t *testing.T) {
	l := ledgertest.New(t)
	old, _ := l.View().LatestCheckpoint()
	l.Stamped(l.Ada, "a", "1", "1")
	w := watch(t, l, nil)
	w.look(nil)
	w.s.checkpoint = func([]byte) ([]byte, error) { return old, nil }
	w.expect("older", "rollback", evidence.ErrRollback)
}

func TestLogOfAnotherKey(t *testing.T) {
	l := ledgertest.New(t)
	_, stranger := ledgertest.LogKey("another")
	w := watch(t, l, func(o *Options) {
		o.Policy = func(string) (*evidence.Policy, error) { return evidence.NewPolicy(stranger, ""), nil }
	})
	w.expect("not pinned", "untrusted", evidence.ErrUntrusted)
	if w.m.State().Checkpoint != "" {
		t.Fatal("it moved on")
	}
	w.o.Policy = func(string) (*evidence.Policy, error) { return nil, nil }
	w.again()
	w.expect("no policy", "untrusted", evidence.ErrUntrusted)
}

func TestLogWithoutQuorum(t *testing.T) {
	l := ledgertest.New(t)
	_, vkey := ledgertest.LogKey("1")
	p := evidence.NewPolicy(vkey, "")
	_, witness, err := evidence.NewCosigner("w", ledgertest.LogPrivateKey("w"), 0)
	if err != nil {
		t.Fatal(err)
	}
	p.Witnesses, p.Quorum = []evidence.PolicyWitness{{Name: "w", Key: witness}}, "w"
	w := watch(t, l, func(o *Options) {
		o.Policy = func(string) (*evidence.Policy, error) { return p, nil }
		o.MaxAge = time.Hour
	})
	w.expect("not cosigned", "untrusted", evidence.ErrUntrusted)
	cosign := func(at time.Time) func([]byte) ([]byte, error) {
		return func(signed []byte) ([]byte, error) {
			cp, _, err := evidence.ReadCheckpoint(signed)
			if err != nil {
				return nil, err
			}
			log, _ := ledgertest.LogKey("1")
			signer, _, err := evidence.NewCosigner("w", ledgertest.LogPrivateKey("w"), at.Unix())
			if err != nil {
				return nil, err
			}
			return evidence.SignCheckpoint(cp, log, signer)
		}
	}
	w.s.checkpoint = cosign(w.now)
	w.expect("cosigned", "started", nil)
	w.now = w.now.Add(2 * time.Hour)
	w.expect("frozen", "still", ErrStill)
	w.again()
	w.expect("told once", "", ErrStill)
	w.s.checkpoint = cosign(w.now)
	w.expect("fresh again", "moves", nil)
}

// TestEntriesAreNotThoseSigned: a log that serves other entries than it signed,
// and entries that should never have been admitted.
func TestEntriesAreNotThoseSigned(t *testing.T) {
	flip := func(n uint64, data []byte) []byte {
		data = slices.Clone(data)
		data[len(data)-1] ^= 1
		return data
	}
	l := ledgertest.New(t)
	w := watch(t, l, nil)
	w.s.bundle = flip
	w.expect("first look", "tampered", evidence.ErrTampered)
	w.s.bundle = nil
	w.look(nil)
	l.Stamped(l.Ada, "a", "1", "1")
	w.s.bundle = flip
	w.expect("later", "fork", evidence.ErrFork)
	for name, data := range map[string][]byte{"nothing": {}, "half": {0, 9, 1}, "short": {0, 0}} {
		w.s.bundle = func(uint64, []byte) []byte { return data }
		if got := w.look(evidence.ErrFormat); got != "untrusted" {
			t.Fatal(name, got)
		}
	}
	w.s.bundle = nil
	w.expect("honest", "", nil)
}

func TestUnreachable(t *testing.T) {
	l := ledgertest.New(t)
	w := watch(t, l, func(o *Options) { o.Patience = 10 * time.Minute })
	w.look(nil)
	w.s.checkpoint = func([]byte) ([]byte, error) { return nil, fmt.Errorf("%w: no route", ErrUnreachable) }
	w.expect("a moment", "", ErrUnreachable)
	w.now = w.now.Add(11 * time.Minute)
	w.expect("long", "unreachable", ErrUnreachable)
	w.again()
	w.now = w.now.Add(time.Hour)
	w.expect("told once", "", ErrUnreachable)
	w.s.checkpoint = nil
	w.expect("back", "reachable", nil)
}

// TestDenied: who is not let in is told that at once, and not that nobody is there.
func TestDenied(t *testing.T) {
	l := ledgertest.New(t)
	status := http.StatusOK
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if status != http.StatusOK {
			w.WriteHeader(status)
			return
		}
		data, err := l.View().LatestCheckpoint()
		if r.URL.Path != "/checkpoint" {
			data, err = l.View().Bundle(0, int(l.View().Size()))
		}
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(data)
	}))
	defer s.Close()
	w := watch(t, l, func(o *Options) { o.Source, o.Patience = &HTTP{URL: s.URL}, time.Hour })
	w.expect("let in", "started", nil)
	for _, status = range []int{http.StatusUnauthorized, http.StatusForbidden} {
		w.expect("denied", "denied", ErrDenied)
		w.again()
		w.expect("told once", "", ErrDenied)
		status = http.StatusOK
		w.expect("let in again", "reachable", nil)
	}
}

// TestClockJumps: a clock that was set back neither hides that nobody answers nor that
// the log stands still.
func TestClockJumps(t *testing.T) {
	l := ledgertest.New(t)
	w := watch(t, l, func(o *Options) { o.Patience, o.MaxAge = 10*time.Minute, time.Hour })
	w.expect("first", "started", nil)
	right := w.now
	w.now = right.Add(-48 * time.Hour)
	w.expect("how old it is cannot be told", "still", ErrStill)
	w.now = right
	w.expect("right", "moves", nil)
	w.s.checkpoint = func([]byte) ([]byte, error) { return nil, ErrUnreachable }
	w.now = right.Add(-48 * time.Hour)
	w.expect("set back", "", ErrUnreachable)
	w.again()
	w.now = w.now.Add(11 * time.Minute)
	w.expect("not two days later", "unreachable", ErrUnreachable)
	w.s.checkpoint, w.now = nil, right
	w.expect("right again", "reachable", nil)
}

// TestAttackerEditsTheState: a state that is not of its own checkpoint is
// refused.
func TestAttackerEditsTheState(t *testing.T) {
	l := ledgertest.New(t)
	l.Person("bob")
	l.Stamped(l.Ada, "a", "1", "1")
	w := watch(t, l, nil)
	w.look(nil)
	for name, edit := range map[string]func(*State){
		"a hash":          func(s *State) { s.Tree[0][0] ^= 1 },
		"a missing hash":  func(s *State) { s.Tree = s.Tree[1:] },
		"a short hash":    func(s *State) { s.Tree[0] = s.Tree[0][1:] },
		"control entries": func(s *State) { s.Control = s.Control[:1] },
		"last entry":      func(s *State) { s.Last = s.Control[0] },
		"checkpoint":      func(s *State) { s.Checkpoint = strings.Replace(s.Checkpoint, "\n3\n", "\n2\n", 1) },
		"version":         func(s *State) { s.Stele = "monitor/v9" },
	} {
		data, err := w.m.State().Marshal()
		if err != nil {
			t.Fatal(err)
		}
		s, err := ParseState(data)
		if err != nil {
			t.Fatal(err)
		}
		edit(s)
		version := s.Stele
		if data, err = s.Marshal(); err != nil {
			t.Fatal(err)
		}
		data = bytes.Replace(data, []byte(stateVersion), []byte(version), 1)
		if _, err := ParseState(data); err == nil {
			t.Error(name)
		}
	}
}

func TestHTTP(t *testing.T) {
	l := ledgertest.New(t)
	l.Put(l.Stamps(l.Ada, "s", 300)...)
	var paths []string
	partGone := false
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.Path)
		v := l.View()
		var data []byte
		var err error
		switch r.URL.Path {
		case "/log/checkpoint":
			data, err = v.LatestCheckpoint()
		case "/log/tile/entries/000":
			data, err = v.Bundle(0, 256)
		case "/log/tile/entries/001.p/45":
			if partGone {
				http.NotFound(w, r)
				return
			}
			data, err = v.Bundle(1, 45)
		case "/log/tile/entries/001":
			data, err = v.Bundle(1, int(v.Size()-256))
		default:
			http.NotFound(w, r)
			return
		}
		if err != nil {
			t.Error(err)
		}
		_, _ = w.Write(data)
	}))
	defer s.Close()
	for _, gone := range []bool{false, true} {
		partGone = gone
		w := watch(t, l, func(o *Options) { o.Source = &HTTP{URL: s.URL + "/log"} })
		w.expect("over http", "started", nil)
	}
	if got := fmt.Sprint(bundlePath(1234067)); got != "[tile entries x001 x234 067]" {
		t.Fatal(got)
	}
	s.Close()
	w := watch(t, l, func(o *Options) { o.Source = &HTTP{URL: s.URL + "/log"} })
	w.look(ErrUnreachable)
	w = watch(t, l, func(o *Options) { o.Source = &HTTP{URL: "file:///etc/passwd"} })
	if err := w.m.Look(t.Context()); err == nil {
		t.Fatal("a file was read")
	}
}

// FuzzState: whatever a state's file has, it is refused or is itself.
func FuzzState(f *testing.F) {
	f.Add([]byte(`{"stele":"monitor/v1","reached":7}` + "\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		s, err := ParseState(data)
		if err != nil {
			return
		}
		again, err := s.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseState(again); err != nil {
			t.Fatal(err)
		}
	})
}
