package home

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"testing"
)

// TestNonce: a nonce is found again by its hash, and nothing else is.
func TestNonce(t *testing.T) {
	d := Dirs{State: t.TempDir()}
	const place = "s3://bucket/a \"b\"\nc"
	n, err := d.KeepNonce("ledger", place, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	sha := sha256.Sum256(n.Value[:])
	again, err := d.Nonce("ledger", sha)
	if err != nil || *again != *n || again.Place != place {
		t.Errorf("%+v, %v; want %+v", again, err, n)
	}
	for ledger, hash := range map[string][32]byte{"another": sha, "ledger": {}} {
		if _, err := d.Nonce(ledger, hash); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s, %x: %v", ledger, hash, err)
		}
	}
	if _, err := d.KeepNonce("ledger", place, bytes.NewReader(n.Value[:])); !errors.Is(err, fs.ErrExist) {
		t.Errorf("it is kept twice: %v", err)
	}
	good, err := os.ReadFile(n.Path)
	if err != nil {
		t.Fatal(err)
	}
	other := bytes.Clone(good)
	other[len(nonceForm)+1] ^= 1
	for _, text := range []string{string(other), "", "another form\n", string(good[:40]), nonceForm + "\n00\n\"x\"\n"} {
		if err := os.WriteFile(n.Path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := d.Nonce("ledger", sha); !errors.Is(err, ErrNonce) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
	if err := os.WriteFile(n.Path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if runtime.GOOS == "windows" {
		return // it has no such mode bits
	}
	if err := os.Chmod(n.Path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Nonce("ledger", sha); !errors.Is(err, ErrPermissions) {
		t.Errorf("others may read it: %v", err)
	}
}
