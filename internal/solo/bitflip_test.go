package solo

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"strings"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stele-ml/stele/internal/durable"
	"github.com/stele-ml/stele/statement"
)

// files lists a directory's files, those below it included.
func files(t *testing.T, fsys vfs.FS, dir string) (list []string) {
	t.Helper()
	names, err := fsys.List(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		full := path.Join(dir, name)
		fi, err := fsys.Stat(full)
		if err != nil {
			t.Fatal(err)
		}
		if fi.IsDir() {
			list = append(list, files(t, fsys, full)...)
		} else if fi.Size() > 0 {
			list = append(list, full)
		}
	}
	return list
}

// TestFlippedBit flips one bit in every file of a ledger, at sampled places.
// Either opening or fsck finds it, or everything is proven to be as it was:
// never is anything silently wrong.
func TestFlippedBit(t *testing.T) {
	samples := 12
	if os.Getenv("STELE_TEST_LONG") != "" {
		samples = 200
	}
	disk := vfs.NewMem()
	if err := disk.MkdirAll("/home", 0o755); err != nil {
		t.Fatal(err)
	}
	h := homeIn(t, "/home", disk)
	e := h.create()
	for i := range 40 {
		h.submit(e, h.stamp(i))
	}
	a, err := e.Shelf().Put([]byte("details of something"))
	if err != nil {
		t.Fatal(err)
	}
	closed(t, e)
	e = h.open() // writes a table of what was in the log, and begins another log
	for i := 40; i < 60; i++ {
		h.submit(e, h.stamp(i))
	}
	want, err := e.View().LatestCheckpoint()
	if err != nil {
		t.Fatal(err)
	}
	closed(t, e)

	rng := rand.New(rand.NewPCG(1, 2))
	outcomes := map[string]int{}
	for _, name := range files(t, disk, "/home") {
		if strings.HasSuffix(name, "/"+fileLock) {
			continue
		}
		data, err := durable.ReadFile(disk, name, 1<<30)
		if err != nil {
			t.Fatal(err)
		}
		for i := range samples {
			// Both ends, and places between.
			at := rng.IntN(len(data))
			switch i {
			case 0:
				at = 0
			case 1:
				at = len(data) - 1
			}
			outcome := flip(t, h, disk, name, data, at, byte(1)<<rng.IntN(8), string(want), a)
			outcomes[outcome]++
		}
	}
	t.Log(outcomes)
	if outcomes["found"] == 0 {
		t.Fatal("no flipped bit was ever found")
	}
}

func flip(t *testing.T, h *home, disk *vfs.MemFS, name string, data []byte, at int, bit byte, want string, a statement.Attachment) string {
	t.Helper()
	mem := vfs.NewMem()
	if ok, err := vfs.Clone(disk, mem, "/home", "/home"); err != nil || !ok {
		t.Fatal(err)
	}
	bad := append([]byte(nil), data...)
	bad[at] ^= bit
	if err := durable.WriteFile(mem, name, bad); err != nil {
		t.Fatal(err)
	}
	o := h.opts
	o.FS, o.StateFS = mem, mem
	what := fmt.Sprintf("%s, byte %d, bit %#x", name, at, bit)

	r, err := Fsck(t.Context(), o, FsckOptions{})
	found := err != nil || !r.OK() || r.Guard != nil
	if !found && string(r.Checkpoint) != want {
		t.Fatalf("%s: fsck finds nothing, and the checkpoint is another", what)
	}
	// Opening for writing, and going on, must not make it worse.
	e, err := Open(t.Context(), o)
	if err != nil {
		return "found"
	}
	defer e.Close()
	for i := range 60 {
		v := fmt.Sprint(i)
		bound, err := e.View().ByName("data", v)
		if err != nil {
			if !found {
				t.Fatalf("%s: fsck found nothing, and data@%s: %v", what, v, err)
			}
			return "found"
		}
		if bound.Fingerprint != h.m.Fingerprint("contents "+v) {
			t.Fatalf("%s: data@%s is silently %s", what, v, bound.Fingerprint)
		}
	}
	if _, err := e.Shelf().Get(a); err != nil && !found {
		t.Fatalf("%s: fsck found nothing, and the attachment: %v", what, err)
	}
	if found {
		return "found"
	}
	return "proven intact"
}

// TestFullDisk fills a real disk, where one can be mounted.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := mountSmall(dir, 6<<20); err != nil {
		t.Skipf("no disk can be mounted here (TestDiskFull does the same in memory): %v", err)
	}
	defer unmount(dir)
	h := homeIn(t, dir, nil)
	e := h.create()
	filler := dir + "/filler"
	acked := 0
	var failed error
	for i := range 2000 {
		if i == 10 {
			fill(t, filler)
		}
		p, err := e.Submit(t.Context(), h.stamp(i))
		if err != nil {
			failed = err
			break
		}
		acked = int(p.Index)
	}
	if !errors.Is(failed, ErrOutcomeUnknown) || !errors.Is(failed, syscall.ENOSPC) {
		t.Fatalf("on a full disk: %v", failed)
	}
	e.Close()
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	e = h.open()
	if size := e.View().Size(); size < uint64(acked)+1 {
		t.Fatalf("%d entries, %d were acknowledged", size, acked)
	}
	h.submit(e, h.stamp(5000))
	closed(t, e)
	h.sound()
}

// fill writes until there is no room.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 4096)
	for {
		if _, err := f.Write(block); err != nil {
			var p *fs.PathError
			if !errors.As(err, &p) {
				t.Fatal(err)
			}
			return
		}
	}
}
