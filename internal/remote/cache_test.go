package remote_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stele-ml/stele/internal/remote"
	"github.com/stele-ml/stele/internal/wire"
)

// TestControlEntriesAreSentOnce: with a folder, only new ones come; without a
// folder that can be used, all of them do.
func TestControlEntriesAreSentOnce(t *testing.T) {
	l := grown(t, 3, 40)
	dir := filepath.Join(t.TempDir(), "remote")
	reopen := func(dir string) (entries int) {
		t.Helper()
		s := serve(l)
		r, err := remote.OpenCached(t.Context(), s, signed(t, l.View()), dir)
		if err != nil {
			t.Fatal(err)
		}
		if s.requests() != 1 {
			t.Errorf("%d requests", s.requests())
		}
		want, err := l.View().Control()
		if err != nil {
			t.Fatal(err)
		}
		if c, err := r.View().Control(); err != nil || c.Root() != want.Root() {
			t.Errorf("another ledger: %v", err)
		}
		return s.entries
	}
	all := reopen(dir)
	if again := reopen(dir); again > 2 || all < 10 {
		t.Errorf("%d entries at first, %d then", all, again)
	}
	l.Person("eve")
	l.Person("mallory")
	if more := reopen(dir); more > 4 {
		t.Errorf("%d entries for two new ones", more)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if without := reopen(file); without < all {
		t.Errorf("%d entries without a folder", without)
	}
}

// TestCacheThatSomebodyChanged: whatever is in the file, the ledger is the
// server's, and the file is made good.
func TestCacheThatSomebodyChanged(t *testing.T) {
	l, other := grown(t, 3, 20), grown(t, 4, 20)
	dir := t.TempDir()
	name := filepath.Join(dir, "control")
	if _, err := remote.OpenCached(t.Context(), serve(other), signed(t, other.View()), dir); err != nil {
		t.Fatal(err)
	}
	foreign, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(name); err != nil {
		t.Fatal(err)
	}
	if _, err := remote.OpenCached(t.Context(), serve(l), signed(t, l.View()), dir); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(at int) []byte {
		b := slices.Clone(good)
		b[at] ^= 1
		return b
	}
	for what, data := range map[string][]byte{
		"another ledger's": foreign, "nothing": nil, "the mark alone": good[:23], "cut short": good[:len(good)-5], "another mark": changed(3),
		"a changed length": changed(26), "a changed entry": changed(400), "a changed signature": changed(len(good) - 3),
	} {
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := remote.OpenCached(t.Context(), serve(l), signed(t, l.View()), dir)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		want, err := l.View().Control()
		if err != nil {
			t.Fatal(err)
		}
		if c, err := r.View().Control(); err != nil || c.Root() != want.Root() {
			t.Errorf("%s: another ledger: %v", what, err)
		}
		if now, err := os.ReadFile(name); err != nil || !slices.Equal(now, good) {
			t.Errorf("%s: it was not made good: %v", what, err)
		}
	}
	// A file that a liar may rely on helps him nothing.
	s := serve(l)
	s.change = func(_ []wire.ReadOp, a *wire.ReadAnswer) {
		for i := range a.Entries {
			a.Entries[i].Leaf[len(a.Entries[i].Leaf)-1] ^= 1
		}
	}
	_, err = remote.OpenCached(t.Context(), s, signed(t, l.View()), dir)
	wantTampered(t, err)
}

// TestServerIsAway: a ledger is opened as it was when its server answered last, and
// what was not read then is not known.
func TestServerIsAway(t *testing.T) {
	l := grown(t, 3, 40)
	dir := t.TempDir()
	away := errors.New("nobody answers")
	if _, err := remote.OpenKept(t.Context(), dir, away); !errors.Is(err, remote.ErrNotKept) {
		t.Fatalf("of an empty folder: %v", err)
	}
	for _, next := range []string{"eve", "mallory"} { // with all control entries sent, and with none of them
		at := signed(t, l.View())
		if _, err := remote.OpenCached(t.Context(), serve(l), at, dir); err != nil {
			t.Fatal(err)
		}
		r, err := remote.OpenKept(t.Context(), dir, away)
		if err != nil {
			t.Fatal(err)
		}
		if got := signed(t, r.View()); !bytes.Equal(got, at) {
			t.Errorf("as of\n%s\nwant\n%s", got, at)
		}
		want, err := l.View().Control()
		if err != nil {
			t.Fatal(err)
		}
		if c, err := r.View().Control(); err != nil || c.Root() != want.Root() || r.View().ID() != l.View().ID() {
			t.Errorf("another ledger: %v", err)
		}
		if _, err := r.View().Latest("nobody's"); !errors.Is(err, away) {
			t.Errorf("a name that was not read: %v", err)
		}
		l.Person(next)
	}
}

// TestAttackerChangesWhatIsKept: what is in the files is no ledger's, or the ledger's.
func TestAttackerChangesWhatIsKept(t *testing.T) {
	l := grown(t, 3, 20)
	dir := t.TempDir()
	name := filepath.Join(dir, "opened")
	if _, err := remote.OpenCached(t.Context(), serve(l), signed(t, l.View()), dir); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	want, err := l.View().Control()
	if err != nil {
		t.Fatal(err)
	}
	refused := 0
	for at := 0; at < len(good); at += 1 + len(good)/500 {
		text := bytes.Clone(good)
		text[at] ^= 1
		if err := os.WriteFile(name, text, 0o600); err != nil {
			t.Fatal(err)
		}
		r, err := remote.OpenKept(t.Context(), dir, errors.New("away"))
		if err != nil {
			refused++
			continue
		}
		// A checkpoint's signature is its reader's to check, and rows are hints.
		if c, err := r.View().Control(); err != nil || c.Root() != want.Root() || r.View().Size() != l.View().Size() {
			t.Errorf("with byte %d changed it is another ledger: %v", at, err)
		}
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
	t.Logf("%d refused", refused)
}
