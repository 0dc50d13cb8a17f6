package solo

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/durable"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/statement"
)

func TestClock(t *testing.T) {
	h := newHome(t)
	e := h.create()
	submit := func() error {
		_, err := e.Submit(t.Context(), h.m.Stamp(h.ada, h.m.Ref("clock", h.m.Nonce().String(), "x")))
		return err
	}
	h.clock.pass(time.Hour)
	if err := submit(); err != nil {
		t.Fatal(err)
	}
	// A little back: the last entry's time is taken.
	h.clock.set(-30*time.Second, 0)
	if err := submit(); err != nil {
		t.Fatal(err)
	}
	v := e.View()
	first, _ := v.Entry(1)
	second, _ := v.Entry(2)
	if second.Time != first.Time {
		t.Fatalf("times %d, then %d", first.Time, second.Time)
	}
	for _, jump := range []time.Duration{61 * time.Second, -61 * time.Second, 24 * 365 * time.Hour} {
		h.clock.set(jump, 0)
		if err := submit(); !errors.Is(err, ErrClock) {
			t.Fatalf("a jump of %s: %v", jump, err)
		}
		// Set right, it is right.
		h.clock.set(-jump, 0)
		if err := submit(); err != nil {
			t.Fatalf("after a jump of %s was undone: %v", jump, err)
		}
	}
	// A machine that wakes up: its monotonic clock stood still. Opening again
	// is the way on.
	h.clock.set(2*time.Hour, 0)
	if err := submit(); !errors.Is(err, ErrClock) {
		t.Fatal(err)
	}
	closed(t, e)
	e = h.open()
	if err := submit(); err != nil {
		t.Fatal(err)
	}
	closed(t, e)
	// Behind the last entry, at the start.
	h.clock.set(-61*time.Second, 0)
	e = h.open()
	if err := submit(); !errors.Is(err, ErrClock) {
		t.Fatal(err)
	}
	closed(t, e)
	h.sound()
}

func TestOneWriter(t *testing.T) {
	h := newHome(t)
	h.opts.Command = "stele stamp rows"
	e := h.create()
	_, err := h.tryOpen()
	var l *LockedError
	if !errors.Is(err, ErrLocked) || !errors.As(err, &l) {
		t.Fatal(err)
	}
	if l.Holder.PID != os.Getpid() || l.Holder.Command != "stele stamp rows" || l.Holder.Since == 0 {
		t.Fatalf("%+v", l.Holder)
	}
	for _, words := range []string{"stele stamp rows", "locked by process"} {
		if !strings.Contains(err.Error(), words) {
			t.Fatalf("it does not say %q: %v", words, err)
		}
	}
	if _, err := Fsck(t.Context(), h.opts, FsckOptions{}); !errors.Is(err, ErrLocked) {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	patient := h.opts
	patient.Wait = time.Hour
	if _, err := Open(ctx, patient); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	// One that waits gets it when the holder ends.
	opened := make(chan error)
	go func() {
		e, err := Open(t.Context(), patient)
		if err == nil {
			err = e.Close()
		}
		opened <- err
	}()
	closed(t, e)
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
}

func TestNoLedger(t *testing.T) {
	h := newHome(t)
	if _, err := h.tryOpen(); !errors.Is(err, ErrNoLedger) {
		t.Fatal(err)
	}
	if _, err := ReadInfo(h.opts.Dir); !errors.Is(err, ErrNoLedger) {
		t.Fatal(err)
	}
	closed(t, h.create())
	if _, err := h.tryCreate(); !errors.Is(err, ErrExists) {
		t.Fatal(err)
	}
	info, err := ReadInfo(h.opts.Dir)
	if err != nil || info.Origin != ledgertest.Origin || info.ID != h.m.Ledger {
		t.Fatalf("%+v %v", info, err)
	}
	if text, err := os.ReadFile(filepath.Join(h.opts.Dir, fileIgnore)); err != nil || string(text) != "*\n" {
		t.Fatalf("%q %v", text, err)
	}
	// A directory that is somebody's is not taken.
	other := h.opts
	other.Dir = filepath.Join(t.TempDir(), "theirs")
	if err := os.MkdirAll(filepath.Join(other.Dir, "db"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := Create(t.Context(), other, h.m.Genesis(h.ada, testKey("1").VKey()), testKey("1")); !errors.Is(err, ErrExists) {
		t.Fatal(err)
	}
	// ledger.json that names another ledger.
	info.ID[0] ^= 1
	if err := os.WriteFile(filepath.Join(h.opts.Dir, fileInfo), info.text(), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := h.tryOpen(); !errors.Is(err, ledger.ErrDamaged) {
		t.Fatal(err)
	}
	for _, text := range []string{"", "{}", `{"stele":"ledger/v2","id":"` + h.m.Ledger.String() + `","origin":"x"}`, `{"stele":"ledger/v1"} x`} {
		if err := os.WriteFile(filepath.Join(h.opts.Dir, fileInfo), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := h.tryOpen(); err == nil {
			t.Fatalf("opened with %q", text)
		}
	}
}

func TestGenesisByAnotherLogKey(t *testing.T) {
	h := newHome(t)
	env := h.m.Genesis(h.ada, testKey("2").VKey())
	if _, err := Create(t.Context(), h.opts, env, testKey("1")); !errors.Is(err, ErrNoLogKey) {
		t.Fatal(err)
	}
	// Nothing keeps the right one from being made there.
	closed(t, h.create())
}

func TestLogKeyRotation(t *testing.T) {
	h := newHome(t)
	e := h.create()
	h.submit(e, h.stamp(1))
	p, err := e.RotateLogKey(t.Context(), h.ada)
	if err != nil {
		t.Fatal(err)
	}
	control, err := e.View().Control()
	if err != nil {
		t.Fatal(err)
	}
	next, _ := control.LogKey(evidence.MaxSize)
	old := testKey("1").VKey()
	if next == old {
		t.Fatal("the key is the old one")
	}
	// The rotation is signed by both, what follows by the new one alone.
	for _, key := range []evidence.VKey{old, next} {
		if _, _, err := evidence.OpenCheckpoint(p.Checkpoint, evidence.Verifiers(key)); err != nil {
			t.Fatal(err)
		}
	}
	p = h.submit(e, h.stamp(2))
	if _, _, err := evidence.OpenCheckpoint(p.Checkpoint, evidence.Verifiers(old)); err == nil {
		t.Fatal("the old key signs on")
	}
	if _, _, err := evidence.OpenCheckpoint(p.Checkpoint, evidence.Verifiers(next)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(h.statePath(nextKeyFile)); !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	// A member is no administrator, and a key that is not here is no next key.
	bob := ledgertest.P256("bob")
	h.submit(e, h.m.Register(h.ada, bob.PublicKey(), "bob", 0, []string{"*"}, statement.RoleMember))
	var r *ledger.Refusal
	if _, err := e.RotateLogKey(t.Context(), bob); !errors.As(err, &r) || r.Rule != ledger.RuleWhoMay {
		t.Fatal(err)
	}
	if _, err := e.Submit(t.Context(), h.m.Rotate(h.ada, "1", "2")); !errors.As(err, &r) || r.Rule != ledger.RuleLogKey {
		t.Fatal(err)
	}
	// The refused rotation left a key behind; the next takes it up.
	left, err := os.ReadFile(h.statePath(nextKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	closed(t, e)
	e = h.open()
	if _, err := e.RotateLogKey(t.Context(), h.ada); err != nil {
		t.Fatal(err)
	}
	now, err := os.ReadFile(h.statePath(logKeyFile))
	if err != nil || string(now) != string(left) {
		t.Fatalf("%q %v", now, err)
	}
	closed(t, e)
	h.sound()
	// Without the key the ledger can be read, and not written.
	if err := os.Remove(h.statePath(logKeyFile)); err != nil {
		t.Fatal(err)
	}
	if _, err := h.tryOpen(); !errors.Is(err, ErrNoLogKey) {
		t.Fatal(err)
	}
	h.opts.ReadOnly = true
	e = h.open()
	if _, err := e.Submit(t.Context(), h.stamp(3)); !errors.Is(err, ErrReadOnly) {
		t.Fatal(err)
	}
	closed(t, e)
}

// TestRotationCutShort: the key of the ledger decides, whatever files a crash
// left.
func TestRotationCutShort(t *testing.T) {
	h := newHome(t)
	e := h.create()
	if _, err := e.RotateLogKey(t.Context(), h.ada); err != nil {
		t.Fatal(err)
	}
	closed(t, e)
	current, err := os.ReadFile(h.statePath(logKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	write := func(name string, text []byte) {
		t.Helper()
		if err := durable.WriteFile(durable.Private(), h.statePath(name), text); err != nil {
			t.Fatal(err)
		}
	}
	for name, leave := range map[string]func(){
		"before the promotion":          func() { write(logKeyFile, testKey("1").text()); write(nextKeyFile, current) },
		"in the middle of it":           func() { write(nextKeyFile, current) },
		"with a next one not submitted": func() { write(nextKeyFile, testKey("3").text()) },
	} {
		t.Run(name, func(t *testing.T) {
			h.t = t
			leave()
			e := h.open()
			h.submit(e, h.m.Stamp(h.ada, h.m.Ref("cut", h.m.Nonce().String(), "x")))
			closed(t, e)
			text, err := os.ReadFile(h.statePath(logKeyFile))
			if err != nil || string(text) != string(current) {
				t.Fatalf("%q %v", text, err)
			}
		})
	}
}

func TestLogKeyFile(t *testing.T) {
	k := testKey("1")
	again, err := parseLogKey(k.text())
	if err != nil || again.VKey() != k.VKey() {
		t.Fatal(err)
	}
	text := string(k.text())
	for _, bad := range []string{"", "\n", text + "x", strings.TrimSuffix(text, "\n"), " " + text, strings.Replace(text, "+", "+ ", 1), text[:len(text)-5] + "\n", strings.Replace(text, ledgertest.Origin, "other", 1)} {
		if _, err := parseLogKey([]byte(bad)); err == nil {
			t.Fatalf("parsed %q", bad)
		}
	}
}

func TestReadOnly(t *testing.T) {
	h := newHome(t)
	e := h.create()
	h.submit(e, h.stamp(1))
	closed(t, e)
	before := tree(t, h.opts.Dir)
	h.opts.ReadOnly = true
	e = h.open()
	if !e.Guarded() || e.View().Size() != 2 {
		t.Fatal("not what was written")
	}
	if _, err := e.RotateLogKey(t.Context(), h.ada); !errors.Is(err, ErrReadOnly) {
		t.Fatal(err)
	}
	closed(t, e)
	if after := tree(t, h.opts.Dir); after != before {
		t.Fatalf("reading changed the directory:\n%s\n%s", before, after)
	}
	// A copy that nobody ever locked.
	if err := os.Remove(filepath.Join(h.opts.Dir, fileLock)); err != nil {
		t.Fatal(err)
	}
	closed(t, h.open())
}

// tree lists a directory's files with their sizes.
func tree(t *testing.T, dir string) string {
	var s strings.Builder
	err := filepath.Walk(dir, func(path string, fi os.FileInfo, err error) error {
		// Readers name themselves in the lock.
		if err == nil && !fi.IsDir() && fi.Name() != fileLock {
			s.WriteString(path + " " + fi.ModTime().String() + "\n")
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s.String()
}

// TestGivingUp: a writer who stops waiting is told whether it was too late.
func TestGivingUp(t *testing.T) {
	h := newHome(t)
	e := h.create()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	env := h.stamp(1)
	if p, err := e.Submit(ctx, env); err == nil {
		t.Fatalf("%+v", p)
	} else if !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	h.submit(e, env)
	closed(t, e)
	if _, err := e.Submit(t.Context(), h.stamp(2)); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	if _, err := e.View().Entry(0); !errors.Is(err, ledger.ErrClosed) {
		t.Fatal(err)
	}
	h.sound()
}

func TestShelf(t *testing.T) {
	h := newHome(t)
	e := h.create()
	s := e.Shelf()
	a, err := s.Put([]byte("details"))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := s.Put([]byte("details")); err != nil || again != a {
		t.Fatal(again, err)
	}
	if data, err := s.Get(a); err != nil || string(data) != "details" {
		t.Fatalf("%q %v", data, err)
	}
	name := s.path(a.SHA256)
	if err := os.WriteFile(name, []byte("Details"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(a); !errors.Is(err, ErrTampered) {
		t.Fatal(err)
	}
	closed(t, e)
	if r, err := Fsck(t.Context(), h.opts, FsckOptions{}); err != nil || r.OK() || r.Attachments != 1 {
		t.Fatalf("%+v %v", r, err)
	}
	// Put mends what was damaged; what is erased is withheld.
	if _, err := s.Put([]byte("details")); err != nil {
		t.Fatal(err)
	}
	h.sound()
	if err := s.Erase(a.SHA256); err != nil {
		t.Fatal(err)
	}
	if err := s.Erase(a.SHA256); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Get(a); !errors.Is(err, ErrWithheld) {
		t.Fatal(err)
	}
	if _, err := s.Put(make([]byte, MaxAttachment+1)); err == nil {
		t.Fatal("an attachment beyond the limit")
	}
	h.sound()
}

func TestPrivateKeysNeverInTheLedger(t *testing.T) {
	h := newHome(t)
	e := h.create()
	h.submit(e, h.stamp(1))
	closed(t, e)
	secret := strings.TrimSpace(string(testKey("1").text()))
	secret = secret[strings.LastIndexByte(secret, '+')+1:]
	err := filepath.Walk(h.opts.Dir, func(path string, fi os.FileInfo, err error) error {
		if err != nil || fi.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		if strings.Contains(string(data), secret) || strings.Contains(string(data), string(testKey("1").private.Seed())) {
			t.Errorf("%s holds the log's private key", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
