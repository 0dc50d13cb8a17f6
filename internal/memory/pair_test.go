package memory_test

import (
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/memory"
)

// TestAttackerShowsAnotherHistoryEachTime: the pairs that a client keeps are bounded,
// the first of them stays, and a flood of old copies does not keep a fork out.
func TestAttackerShowsAnotherHistoryEachTime(t *testing.T) {
	const origin = "log.example/a"
	signer, _, err := evidence.NewSigner(origin, ed25519.NewKeyFromSeed(ledgertest.Seed("log")))
	if err != nil {
		t.Fatal(err)
	}
	witness, _, err := evidence.NewCosigner("w.example", ed25519.NewKeyFromSeed(ledgertest.Seed("w")), 1_800_000_000)
	if err != nil {
		t.Fatal(err)
	}
	checkpoint := func(size uint64, root byte) evidence.Checkpoint {
		return evidence.Checkpoint{Origin: origin, Size: size, Root: tlog.Hash{root}}
	}
	signed := func(cp evidence.Checkpoint) []byte {
		t.Helper()
		text, err := evidence.SignCheckpoint(cp, signer)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	prefix := t.TempDir() + string(filepath.Separator)
	old := signed(checkpoint(100, 1))
	count := func(pattern string) int {
		t.Helper()
		list, err := filepath.Glob(prefix + pattern)
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	for size := uint64(1); size <= memory.MaxPairs; size++ {
		if _, err := memory.KeepPair(prefix, old, signed(checkpoint(size, 2))); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := memory.KeepPair(prefix, old, signed(checkpoint(99, 2))); !errors.Is(err, memory.ErrManyPairs) {
		t.Errorf("one rollback too many: %v", err)
	}
	first, err := memory.KeepPair(prefix, old, signed(checkpoint(100, 3)))
	if err != nil {
		t.Fatalf("a fork after many rollbacks: %v", err)
	}
	text, err := os.ReadFile(first)
	if err != nil || string(text) != string(old)+"\n"+string(signed(checkpoint(100, 3))) {
		t.Errorf("%q %v", text, err)
	}
	// The same two again, one of them with a cosignature by now.
	more, err := evidence.SignCheckpoint(checkpoint(100, 3), signer, witness)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := memory.KeepPair(prefix, old, more); err != nil || again != first {
		t.Errorf("the same two: %s %v", again, err)
	}
	for root := range byte(memory.MaxPairs + 5) {
		_, err := memory.KeepPair(prefix, old, signed(checkpoint(200, root)))
		if late := int(root) >= memory.MaxPairs-1; late != errors.Is(err, memory.ErrManyPairs) {
			t.Errorf("fork %d: %v", root+2, err)
		}
	}
	if back, forks := count("rollback-*"), count("conflict-*"); back != memory.MaxPairs || forks != memory.MaxPairs {
		t.Errorf("%d and %d files", back, forks)
	}
	if now, err := os.ReadFile(first); err != nil || string(now) != string(text) {
		t.Error("the first did not stay")
	}
	// What is no checkpoint is kept all the same, and apart from others.
	a, err := memory.KeepPair(t.TempDir()+string(filepath.Separator), []byte("x"), []byte("y"))
	if err != nil || filepath.Base(a)[:9] != "conflict-" {
		t.Errorf("%s %v", a, err)
	}
}
