package witness

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/durable"
)

// flaky is a disk that fails, or that a crash is taken of, at its nth write.
type flaky struct {
	mem    *vfs.MemFS
	n      int
	fail   bool // from then on every write fails
	keep   int  // percent of what is not synced that a crash leaves
	killed *vfs.MemFS
}

func (f *flaky) String() string { return "flaky" }

func (f *flaky) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() != errorfs.OpIsWrite {
		return nil
	}
	f.n--
	if f.n == 0 {
		f.killed = f.mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: f.keep, RNG: rand.New(rand.NewPCG(1, uint64(f.keep)))})
	}
	if f.n <= 0 && f.fail {
		return errors.New("the disk failed")
	}
	return nil
}

// TestCrashBetweenStoreAndAnswer: whatever write a crash or a failing disk
// meets, of one size the world never sees two roots cosigned.
func TestCrashBetweenStoreAndAnswer(t *testing.T) {
	right, wrong := newLog(t, "log.example/a", 1, "true", 9), newLog(t, "log.example/a", 1, "true", 5)
	for i := range 4 {
		wrong.add(fmt.Sprintf("forged %d", i))
	}
	crashed := 0
	for _, first := range []int{0, 5} { // nothing cosigned yet; five entries are
		for _, failing := range []bool{false, true} {
			for _, keep := range []int{0, 50, 100} {
				for n := 1; n <= 24; n++ {
					name := fmt.Sprintf("from %d, failing %v, keep %d, write %d", first, failing, keep, n)
					mem, c := vfs.NewCrashableMem(), newClock()
					makeKey(t, mem)
					disk := &flaky{mem: mem, n: -1, fail: false, keep: keep}
					w, err := Open(Options{FS: errorfs.Wrap(mem, disk), Dir: "/w", Logs: []evidence.VKey{right.vkey}, Now: c.Now})
					if err != nil {
						t.Fatal(err)
					}
					if first > 0 {
						mustAdd(t, w, right.request(0, first))
					}
					disk.n, disk.fail = n, failing
					seen := map[string]bool{} // roots cosigned at 7 entries, as the world sees it
					note := func(a Answer, root string) {
						if a.Status == OK {
							seen[root] = true
						}
					}
					a := w.Add(right.request(first, 7))
					if failing || disk.killed == nil {
						note(a, "right") // the process lived on: the answer went out
					}
					if failing && a.Status == OK && disk.killed != nil {
						t.Fatalf("%s: answered though a write failed", name)
					}
					if failing { // the same process goes on, and its disk is well again
						disk.fail = false
						note(w.Add(wrong.request(first, 7)), "wrong")
						disk.killed = mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: keep, RNG: rand.New(rand.NewPCG(2, uint64(n)))})
					}
					if disk.killed == nil {
						if a.Status != OK {
							t.Fatalf("%s: %+v", name, a)
						}
						break // no write that late
					}
					crashed++
					again, err := Open(Options{FS: disk.killed, Dir: "/w", Logs: []evidence.VKey{right.vkey}, Now: c.Now})
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					note(again.Add(wrong.request(first, 7)), "wrong")
					note(again.Add(right.request(first, 7)), "right")
					if seen["right"] && seen["wrong"] {
						t.Fatalf("%s: two checkpoints of 7 entries were cosigned", name)
					}
					if len(seen) == 0 && again.logs["log.example/a"].record.Size != 7 {
						t.Fatalf("%s: the witness cosigns nothing any more", name)
					}
				}
			}
		}
	}
	if crashed < 20 {
		t.Fatalf("only %d crashes", crashed)
	}
}

// TestAttackerRestoresTheState: a directory put back from a copy is noticed as
// soon as a log shows what was cosigned since, and the witness stops for good.
func TestAttackerRestoresTheState(t *testing.T) {
	l, other := newLog(t, "log.example/a", 1, "true", 9), newLog(t, "log.example/b", 2, "b", 9)
	fork := newLog(t, "log.example/a", 1, "true", 5)
	for i := range 4 {
		fork.add(fmt.Sprintf("forged %d", i))
	}
	w, mem, c := start(t, l, other)
	mustAdd(t, w, l.request(0, 5))
	copied := mem.CrashClone(vfs.CrashCloneCfg{})
	line := mustAdd(t, w, l.request(5, 7))

	w = open(t, copied, c, l.vkey, other.vkey)
	r := fork.request(5, 9)
	r.Checkpoint = l.signed(7)
	r = Request{Old: 7, Checkpoint: append(l.signed(7), line...)}
	if a := w.Add(r); a.Status != Failed || strings.Contains(a.Reason, "Unix") {
		t.Fatalf("%+v", a)
	}
	for _, r := range []Request{fork.request(5, 9), l.request(5, 7), other.request(0, 9)} {
		if a := w.Add(r); a.Status != Failed {
			t.Fatalf("it goes on: %+v", a)
		}
	}
	w.Close()
	_, err := Open(Options{FS: copied, Dir: "/w", Logs: []evidence.VKey{l.vkey}, Now: c.Now})
	var h interface{ Hint() string }
	if !errors.Is(err, ErrRestored) || !errors.As(err, &h) || h.Hint() == "" {
		t.Fatal(err)
	}
	if _, err := CreateKey(copied, "/w", "again", bytes.NewReader(make([]byte, 32))); !errors.Is(err, ErrKeys) {
		t.Fatal(err)
	}
}

// TestLogSendsWhatWasCosigned: its own cosignatures that the memory covers, and
// false ones, stop no witness.
func TestLogSendsWhatWasCosigned(t *testing.T) {
	l := newLog(t, "log.example/a", 1, "true", 9)
	w, _, _ := start(t, l)
	line := mustAdd(t, w, l.request(0, 5))
	again := l.request(5, 5)
	again.Checkpoint = append(again.Checkpoint, line...)
	mustAdd(t, w, again)
	false5 := l.request(5, 9)
	false5.Checkpoint = append(false5.Checkpoint, line...) // over another text
	mustAdd(t, w, false5)
	if a := w.Add(again); a.Status != Conflict || a.Size != 9 {
		t.Fatalf("%+v", a)
	}
}

// TestAttackerEditsTheMemory: a record that is missing, cut, bent, or another
// log's keeps the witness from starting.
func TestAttackerEditsTheMemory(t *testing.T) {
	a, b := newLog(t, "log.example/a", 1, "a", 5), newLog(t, "log.example/b", 2, "b", 5)
	file := "/w/" + logsDir + "/" + OriginID("log.example/a")
	elsewhere := "/w/" + logsDir + "/" + OriginID("log.example/b")
	unsigned := func(fsys vfs.FS) error { return durable.WriteFile(fsys, file, a.signed(2)) }
	for name, edit := range map[string]func(fsys vfs.FS) error{
		"missing":  func(fsys vfs.FS) error { return fsys.Remove(file) },
		"empty":    func(fsys vfs.FS) error { return durable.WriteFile(fsys, file, nil) },
		"unsigned": unsigned,
		"another's": func(fsys vfs.FS) error {
			data, err := durable.ReadFile(fsys, elsewhere, evidence.MaxCheckpoint)
			if err != nil {
				return err
			}
			return durable.WriteFile(fsys, file, data)
		},
		"size": func(fsys vfs.FS) error {
			data, err := durable.ReadFile(fsys, file, evidence.MaxCheckpoint)
			if err != nil {
				return err
			}
			return durable.WriteFile(fsys, file, bytes.Replace(data, []byte("\n5\n"), []byte("\n4\n"), 1))
		},
		"known is cut":   func(fsys vfs.FS) error { return durable.WriteFile(fsys, "/w/"+knownFile, []byte("log.exam")) },
		"known is empty": func(fsys vfs.FS) error { return durable.WriteFile(fsys, "/w/"+knownFile, nil) },
		"known is gone, and a record": func(fsys vfs.FS) error {
			return errors.Join(fsys.Remove("/w/"+knownFile), fsys.Remove(file))
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, mem, c := start(t, a, b)
			mustAdd(t, w, a.request(0, 5))
			mustAdd(t, w, b.request(0, 5))
			w.Close()
			if err := edit(mem); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(Options{FS: mem, Dir: "/w", Logs: []evidence.VKey{a.vkey, b.vkey}, Now: c.Now}); !errors.Is(err, ErrState) {
				t.Fatal(err)
			}
		})
	}
}

// TestKeyAloneIsNoWitness: a key that was copied without its memory would cosign every log
// again from nothing.
func TestKeyAloneIsNoWitness(t *testing.T) {
	l := newLog(t, "log.example/a", 1, "a", 5)
	for _, cosigned := range []bool{false, true} {
		w, mem, c := start(t, l)
		if cosigned {
			mustAdd(t, w, l.request(0, 5))
		}
		w.Close()
		key, err := durable.ReadFile(mem, "/w/"+keyFile, maxKeyFile)
		if err != nil {
			t.Fatal(err)
		}
		elsewhere := vfs.NewCrashableMem()
		if err := errors.Join(elsewhere.MkdirAll("/w", durable.PrivateDir), durable.WriteFile(elsewhere, "/w/"+keyFile, key)); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(Options{FS: elsewhere, Dir: "/w", Logs: []evidence.VKey{l.vkey}, Now: c.Now}); !errors.Is(err, ErrState) {
			t.Fatal(err)
		}
	}
}

// TestStoppedIsStopped: whatever became of the file that says why.
func TestStoppedIsStopped(t *testing.T) {
	l := newLog(t, "log.example/a", 1, "a", 5)
	w, mem, c := start(t, l)
	w.Close()
	for _, text := range []string{"", "\n", "because", strings.Repeat("x", maxStopped)} {
		if err := durable.WriteFile(mem, "/w/"+stoppedFile, []byte(text)); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(Options{FS: mem, Dir: "/w", Logs: []evidence.VKey{l.vkey}, Now: c.Now}); !errors.Is(err, ErrRestored) {
			t.Fatalf("%.20q: %v", text, err)
		}
	}
}

// TestTwoWitnessesOnOneMemory: the second is refused.
func TestTwoWitnessesOnOneMemory(t *testing.T) {
	dir, fsys, c := t.TempDir(), durable.Private(), newClock()
	if _, err := CreateKey(fsys, dir, "w", bytes.NewReader(bytes.Repeat([]byte{7}, 32))); err != nil {
		t.Fatal(err)
	}
	l := newLog(t, "log.example/a", 1, "a", 5)
	o := Options{FS: fsys, Dir: dir, Logs: []evidence.VKey{l.vkey}, Now: c.Now}
	w, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Open(o); !errors.Is(err, durable.ErrLocked) {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if w, err = Open(o); err != nil {
		t.Fatal(err)
	}
	w.Close()
	o.Dir = fsys.PathJoin(dir, "none")
	if _, err := Open(o); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

// probe looks at each write before it is done.
type probe struct{ look func() }

func (p *probe) String() string { return "probe" }

func (p *probe) MaybeError(op errorfs.Op) error {
	if op.Kind.ReadOrWrite() == errorfs.OpIsWrite && p.look != nil {
		p.look()
	}
	return nil
}

// TestStoredUnderTheLock: every write of a record happens under the lock under
// which the old size was compared.
func TestStoredUnderTheLock(t *testing.T) {
	l := newLog(t, "log.example/a", 1, "true", 9)
	mem, c, p := vfs.NewMem(), newClock(), new(probe)
	makeKey(t, mem)
	w, err := Open(Options{FS: errorfs.Wrap(mem, p), Dir: "/w", Logs: []evidence.VKey{l.vkey}, Now: c.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	writes := 0
	p.look = func() {
		writes++
		if mu := &w.logs["log.example/a"].mu; mu.TryLock() {
			mu.Unlock()
			t.Error("a write without the log's lock")
		}
	}
	mustAdd(t, w, l.request(0, 5))
	mustAdd(t, w, l.request(5, 9))
	if writes < 4 {
		t.Fatal(writes)
	}
}

// TestFailedWriteIsLookedAt: after a write of which nobody knows whether it was
// done, the witness goes on from what the disk has.
func TestFailedWriteIsLookedAt(t *testing.T) {
	l := newLog(t, "log.example/a", 1, "true", 9)
	done := 0
	for n := 1; n <= 8; n++ {
		mem, c := vfs.NewCrashableMem(), newClock()
		makeKey(t, mem)
		disk := &flaky{mem: mem, n: -1}
		w, err := Open(Options{FS: errorfs.Wrap(mem, disk), Dir: "/w", Logs: []evidence.VKey{l.vkey}, Now: c.Now})
		if err != nil {
			t.Fatal(err)
		}
		mustAdd(t, w, l.request(0, 5))
		disk.n, disk.fail = n, true
		if w.Add(l.request(5, 7)).Status == OK {
			break
		}
		if _, err := w.Latest(OriginID("log.example/a")); err == nil {
			t.Fatal("it shows what may not be on the disk")
		}
		if a := w.Add(l.request(5, 7)); a.Status == OK {
			t.Fatalf("%+v from a disk that fails", a)
		}
		disk.fail = false
		r, err := w.memory.read("log.example/a")
		if err != nil {
			t.Fatal(err)
		}
		if r.Size == 7 {
			done++
		}
		a := w.Add(l.request(5, 9))
		if (r.Size == 5) != (a.Status == OK) || r.Size == 7 && a.Size != 7 {
			t.Fatalf("write %d: the disk has %d, the answer is %+v", n, r.Size, a)
		}
	}
	if done == 0 {
		t.Fatal("no write was done whose success was not told")
	}
}
