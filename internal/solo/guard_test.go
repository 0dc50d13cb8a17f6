package solo

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/durable"
)

// statePath returns a file of the ledger's state.
func (h *home) statePath(name string) string {
	return filepath.Join(h.opts.State, h.m.Ledger.String(), name)
}

func copyTree(t *testing.T, from, to string) {
	t.Helper()
	if err := os.RemoveAll(to); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		t.Fatal(err)
	}
	// CopyFS gives everybody leave to read.
	err := filepath.WalkDir(to, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			err = os.Chmod(path, 0o600)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestGuardVector holds the format page's example.
func TestGuardVector(t *testing.T) {
	note, err := os.ReadFile("testdata/guard.note")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := evidence.ReadCheckpoint(note); err != nil {
		t.Fatal(err)
	}
	var slot [guardSlot]byte
	if err := encodeSlot(&slot, 42, note); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile("testdata/guard.slot.hex")
	if err != nil {
		t.Fatal(err)
	}
	raw, err := hex.DecodeString(strings.Join(strings.Fields(string(want)), ""))
	if err != nil {
		t.Fatal(err)
	}
	head, sum := raw[:len(raw)-32], raw[len(raw)-32:]
	if !bytes.HasPrefix(slot[:], head) || len(bytes.Trim(slot[len(head):guardSummed], "\x00")) != 0 || !bytes.Equal(slot[guardSummed:], sum) {
		t.Fatalf("%x … %x", slot[:len(head)], slot[guardSummed:])
	}
	sequence, checkpoint, ok := decodeSlot(slot[:])
	if !ok || sequence != 42 || !bytes.Equal(checkpoint, note) {
		t.Fatal(sequence, string(checkpoint), ok)
	}
}

// TestGuardSlots: whatever a crash leaves of one slot, the other counts.
func TestGuardSlots(t *testing.T) {
	mem := vfs.NewMem()
	if err := createGuard(mem, "guard", []byte("one")); err != nil {
		t.Fatal(err)
	}
	g, text, err := openGuard(mem, "guard")
	if err != nil || string(text) != "one" {
		t.Fatal(string(text), err)
	}
	for _, next := range []string{"two", "three", "four"} {
		if err := g.set([]byte(next)); err != nil {
			t.Fatal(err)
		}
		if _, text, err := readGuard(mem, "guard"); err != nil || string(text) != next {
			t.Fatal(string(text), err)
		}
	}
	if err := g.set(make([]byte, maxGuardNote+1)); err == nil {
		t.Fatal("a checkpoint that does not fit")
	}
	data, err := durable.ReadFile(mem, "guard", guardSize)
	if err != nil {
		t.Fatal(err)
	}
	// The newest is of sequence 4, in slot 0.
	for pos := range guardSlot {
		torn := bytes.Clone(data)
		torn[pos] ^= 0x10
		if _, text, err := decodeGuard(torn); err != nil || string(text) != "three" {
			t.Fatalf("bit at %d: %q %v", pos, text, err)
		}
		torn[guardSlot+pos] ^= 0x10
		if _, _, err := decodeGuard(torn); !errors.Is(err, errGuardDamaged) {
			t.Fatalf("both slots at %d: %v", pos, err)
		}
	}
	// A slot in the other's place does not count.
	swapped := append(bytes.Clone(data[guardSlot:]), data[:guardSlot]...)
	if _, _, err := decodeGuard(swapped); !errors.Is(err, errGuardDamaged) {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, guardSlot, guardSize - 1} {
		if _, _, err := decodeGuard(data[:n]); !errors.Is(err, errGuardDamaged) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
}

func FuzzGuard(f *testing.F) {
	var slot [guardSlot]byte
	_ = encodeSlot(&slot, 1, []byte("a checkpoint"))
	f.Add(append(make([]byte, guardSlot), slot[:]...))
	f.Fuzz(func(t *testing.T, data []byte) {
		sequence, checkpoint, err := decodeGuard(data)
		if err != nil {
			return
		}
		var again [guardSlot]byte
		if err := encodeSlot(&again, sequence, checkpoint); err != nil {
			t.Fatal(err)
		}
		at := int(sequence%2) * guardSlot
		if !bytes.Equal(data[at:at+guardSlot], again[:]) {
			t.Fatal("two encodings of one guard")
		}
	})
}

// TestRestoreAnOldDatabase: the attacker puts back an older copy.
func TestRestoreAnOldDatabase(t *testing.T) {
	h := newHome(t)
	e := h.create()
	h.submit(e, h.stamp(1))
	closed(t, e)
	old := filepath.Join(t.TempDir(), "old")
	copyTree(t, h.opts.Dir, old)
	e = h.open()
	h.submit(e, h.stamp(2))
	closed(t, e)

	copyTree(t, old, h.opts.Dir)
	_, err := h.tryOpen()
	var g *GuardError
	if !errors.Is(err, ErrBehindGuard) || !errors.As(err, &g) {
		t.Fatal(err)
	}
	if g.Guard.Size != 3 || g.Database.Size != 2 || len(g.GuardSigned) == 0 || len(g.DatabaseSigned) == 0 {
		t.Fatalf("%+v", g)
	}
	// Neither for reading, nor by adopting.
	ro := h.opts
	ro.ReadOnly = true
	if _, err := Open(t.Context(), ro); !errors.Is(err, ErrBehindGuard) {
		t.Fatal(err)
	}
	adopt := h.opts
	adopt.Adopt = true
	if _, err := Open(t.Context(), adopt); !errors.Is(err, ErrBehindGuard) {
		t.Fatal(err)
	}
	r, err := Fsck(t.Context(), h.opts, FsckOptions{})
	if err != nil || !errors.Is(r.Guard, ErrBehindGuard) || r.Guarded {
		t.Fatalf("%+v %v", r, err)
	}
}

// TestTwoHistories: the attacker writes another tail on an old copy, with the
// log's own key, on a machine without the guard.
func TestTwoHistories(t *testing.T) {
	for _, more := range []int{1, 2} { // as long as the first history, and longer
		h := newHome(t)
		e := h.create()
		h.submit(e, h.stamp(1))
		closed(t, e)
		other := filepath.Join(t.TempDir(), "other")
		copyTree(t, filepath.Dir(h.opts.Dir), other)
		e = h.open()
		h.submit(e, h.stamp(2))
		closed(t, e)

		fork := *h
		fork.opts.Dir, fork.opts.State = filepath.Join(other, ".stele"), filepath.Join(other, "state")
		e = fork.open()
		for i := range more {
			fork.submit(e, fork.stamp(10+i))
		}
		closed(t, e)
		fork.sound() // by itself there is nothing wrong with it

		copyTree(t, fork.opts.Dir, h.opts.Dir)
		_, err := h.tryOpen()
		var g *GuardError
		if !errors.Is(err, ErrBesideGuard) || !errors.As(err, &g) || g.Guard.Root == g.Database.Root {
			t.Fatal(err)
		}
		// The two signed checkpoints prove that the log showed two histories.
		for _, signed := range [][]byte{g.GuardSigned, g.DatabaseSigned} {
			if _, _, err := evidence.OpenCheckpoint(signed, evidence.Verifiers(testKey("1").VKey())); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestMissingGuard(t *testing.T) {
	for name, wreck := range map[string]func(string) error{
		"missing":   os.Remove,
		"damaged":   func(name string) error { return os.WriteFile(name, make([]byte, guardSize), 0o600) },
		"truncated": func(name string) error { return os.Truncate(name, 100) },
	} {
		t.Run(name, func(t *testing.T) {
			h := newHome(t)
			e := h.create()
			h.submit(e, h.stamp(1))
			closed(t, e)
			if err := wreck(h.statePath(fileGuard)); err != nil {
				t.Fatal(err)
			}
			_, err := h.tryOpen()
			var hint interface{ Hint() string }
			if !errors.Is(err, ErrNoGuard) || !errors.As(err, &hint) || !strings.Contains(hint.Hint(), "--adopt") {
				t.Fatal(err)
			}
			// Reading needs none, and says that there was none.
			h.opts.ReadOnly = true
			e = h.open()
			if e.Guarded() {
				t.Fatal("guarded")
			}
			closed(t, e)
			h.opts.ReadOnly = false
			h.opts.Adopt = true
			e = h.open()
			h.submit(e, h.stamp(2))
			closed(t, e)
			h.opts.Adopt = false
			closed(t, h.open())
			h.sound()
		})
	}
}

// TestGuardOfAnotherLog: the guard's file was exchanged.
func TestGuardOfAnotherLog(t *testing.T) {
	h := newHome(t)
	e := h.create()
	closed(t, e)
	signed, err := evidence.SignCheckpoint(evidence.Checkpoint{Origin: "stele.example/other", Size: 1, Root: evidence.EmptyRoot}, testKey("1").Signer())
	if err != nil {
		t.Fatal(err)
	}
	if err := createGuard(durable.Private(), h.statePath(fileGuard), signed); err != nil {
		t.Fatal(err)
	}
	if _, err := h.tryOpen(); !errors.Is(err, ErrBesideGuard) {
		t.Fatal(err)
	}
	// One that the log never signed.
	cp, err := os.ReadFile(filepath.Join(h.opts.Dir, fileInfo))
	if err != nil || len(cp) == 0 {
		t.Fatal(err)
	}
	h.opts.ReadOnly = true
	if err := os.Remove(h.statePath(fileGuard)); err != nil {
		t.Fatal(err)
	}
	e = h.open()
	have, _, err := evidence.ReadCheckpoint(must(e.View().LatestCheckpoint()))
	if err != nil {
		t.Fatal(err)
	}
	closed(t, e)
	h.opts.ReadOnly = false
	if signed, err = evidence.SignCheckpoint(have, testKey("2").Signer()); err != nil {
		t.Fatal(err)
	}
	if err := createGuard(durable.Private(), h.statePath(fileGuard), signed); err != nil {
		t.Fatal(err)
	}
	if _, err := h.tryOpen(); !errors.Is(err, evidence.ErrUntrusted) {
		t.Fatal(err)
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func TestFilesOthersCanRead(t *testing.T) {
	if filepath.Separator != '/' {
		t.Skip("mode bits say nothing here")
	}
	h := newHome(t)
	e := h.create()
	closed(t, e)
	for _, name := range []string{fileGuard, logKeyFile} {
		path := h.statePath(name)
		if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o600 {
			t.Fatalf("%s: %v %v", name, fi.Mode(), err)
		}
		if err := os.Chmod(path, 0o644); err != nil {
			t.Fatal(err)
		}
		var p *durable.PermError
		if _, err := h.tryOpen(); !errors.As(err, &p) || p.Name != path {
			t.Fatalf("%s: %v", name, err)
		}
		if err := os.Chmod(path, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	closed(t, h.open())
}
