package remote_test

import (
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
