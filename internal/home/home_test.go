package home

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
)

func env(m map[string]string) func(string) string {
	return func(k string) string { return m[k] }
}

func TestFindPrefersTheEnvironment(t *testing.T) {
	dir := t.TempDir()
	d, err := Find(env(map[string]string{"STELE_CONFIG": filepath.Join(dir, "c"), "STELE_STATE": filepath.Join(dir, "s")}))
	if err != nil {
		t.Fatal(err)
	}
	if d.Config != filepath.Join(dir, "c") || d.State != filepath.Join(dir, "s") {
		t.Fatalf("got %+v", d)
	}
}

func TestFindXDGState(t *testing.T) {
	if runtime.GOOS == "windows" || runtime.GOOS == "darwin" {
		t.Skip("XDG is for other systems")
	}
	dir := t.TempDir()
	d, err := Find(env(map[string]string{"STELE_CONFIG": dir, "XDG_STATE_HOME": dir}))
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(dir, "stele"); d.State != want {
		t.Fatalf("state %q, want %q", d.State, want)
	}
}

func TestSecretsAreNeverOverwrittenNorReadableByOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys", "k.pem")
	if err := WriteSecret(path, []byte("one")); err != nil {
		t.Fatal(err)
	}
	if err := WriteSecret(path, []byte("two")); !errors.Is(err, os.ErrExist) {
		t.Fatalf("second write: %v", err)
	}
	if got, err := ReadSecret(path); err != nil || string(got) != "one" {
		t.Fatalf("%q, %v", got, err)
	}
	if runtime.GOOS == "windows" {
		return
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSecret(path); !errors.Is(err, ErrPermissions) {
		t.Fatalf("a key others may read was read: %v", err)
	}
}

func TestKeyNamesCannotLeaveTheDirectory(t *testing.T) {
	d := Dirs{Config: t.TempDir()}
	for _, bad := range []string{"", "../x", "a/b", "A", "a.b", `a\b`} {
		if p, err := d.KeyPath(bad); err == nil {
			t.Errorf("%q gave %q", bad, p)
		}
	}
}

func TestPinnedTrustIsNotReplacedQuietly(t *testing.T) {
	d := Dirs{Config: t.TempDir()}
	if err := d.PinTrust("o", []byte("a"), false); err != nil {
		t.Fatal(err)
	}
	if err := d.PinTrust("o", []byte("a"), false); err != nil {
		t.Fatalf("the same again: %v", err)
	}
	if err := d.PinTrust("o", []byte("b"), false); !errors.Is(err, ErrPinned) {
		t.Fatalf("another: %v", err)
	}
	if got, _ := d.Trust("o"); string(got) != "a" {
		t.Fatalf("pinned %q", got)
	}
	if err := d.PinTrust("o", []byte("b"), true); err != nil {
		t.Fatal(err)
	}
	if got, _ := d.Trust("o"); string(got) != "b" {
		t.Fatalf("pinned %q", got)
	}
}
