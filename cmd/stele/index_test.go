package main

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stele-ml/stele/internal/solo"
)

// TestAttackNameIndex: whoever can write the database, but not sign, makes the
// index say that a name is bound to other bytes. To stamp these is not told to
// be the same as before, and nothing can be derived from them by that name.
func TestAttackNameIndex(t *testing.T) {
	p := newPerson(t)
	p.must("init", "--handle", "ada")
	for _, name := range []string{"good", "bad"} {
		if err := os.WriteFile(filepath.Join(p.dir, name), []byte(name), 0o644); err != nil {
			t.Fatal(err)
		}
		p.must("stamp", name, "--as", "lab/"+name+"@1")
	}
	db, err := pebble.Open(filepath.Join(p.dir, ".stele", "db"), solo.DatabaseOptions())
	if err != nil {
		t.Fatal(err)
	}
	get := func(key string) []byte {
		value, closer, err := db.Get([]byte(key))
		if err != nil {
			t.Fatal(err)
		}
		defer closer.Close()
		return bytes.Clone(value)
	}
	good, bad := get("nlab/good\x001"), get("nlab/bad\x001")
	if err := db.Set([]byte("nlab/good\x001"), slices.Concat(good[:8], bad[8:]), pebble.Sync); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"stamp", "bad", "--as", "lab/good@1"},
		{"stamp", "good", "--as", "lab/made@1", "--from", "lab/good@1"},
		{"verify", "lab/good@1", "bad"},
	} {
		if out, errs, status := p.stele(args...); status != exitTampered || strings.Contains(out, "stamped") && strings.Contains(out, "same bytes") {
			t.Errorf("stele %v: status %d\n%s%s", args, status, out, errs)
		}
	}
}
