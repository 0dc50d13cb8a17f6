package scan

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/hint"
	"github.com/stele-ml/stele/internal/source"
)

// onDisk scans a folder by a clock and says what it would write down.
func onDisk(t *testing.T, dir string, clock func() time.Time, before []hint.Hint) (Result, map[string]hint.Hint, *counted) {
	t.Helper()
	src, err := source.OpenLocal(dir, source.LocalOptions{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	c := &counted{Source: src}
	opts := Options{Algorithm: fingerprint.SHA256}
	if before != nil {
		opts.Hints = hintsOf(before, nil)
	}
	all := make(map[string]hint.Hint)
	opts.Kept = func(f fingerprint.File, m source.Mark, entry uint64) error {
		all[f.Path] = hint.Hint{File: f, Mark: m, Entry: max(entry, 7)}
		return nil
	}
	res, err := Run(context.Background(), c, opts, nil)
	if err != nil {
		t.Fatal(err)
	}
	return res, all, c
}

func inOrder(m map[string]hint.Hint, paths ...string) (all []hint.Hint) {
	for _, p := range paths {
		all = append(all, m[p])
	}
	return all
}

// TestAttackMetadata: whoever changes a file and sets its size and modification
// time back is found, and so is a change within two seconds.
func TestAttackMetadata(t *testing.T) {
	dir := t.TempDir()
	names := []string{"changed", "fresh", "large", "replaced", "same"}
	old := time.Now().Add(-24 * time.Hour).Truncate(time.Second)
	setBack := func(name string) {
		t.Helper()
		if err := os.Chtimes(filepath.Join(dir, name), old, old); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range names {
		put(t, dir, name, "contents")
	}
	sparse(t, filepath.Join(dir, "large"), 3*chunk, 1)
	for _, name := range names {
		setBack(name)
	}
	// Just written: nothing can be known again, and nothing is taken over.
	_, fresh, _ := onDisk(t, dir, nil, nil)
	for name, h := range fresh {
		if h.Mark != (source.Mark{}) {
			t.Errorf("%s was just written, and is marked %+v", name, h.Mark)
		}
	}
	first, was, _ := onDisk(t, dir, later, nil)
	if res, _, c := onDisk(t, dir, later, inOrder(was, names...)); res.Fingerprint != first.Fingerprint || c.bytes.Load() != 0 ||
		res.Basis.MTime != res.Summary.Bytes || *res.Basis.Entry != 7 {
		t.Errorf("nothing changed, but %d bytes were read: %+v", c.bytes.Load(), res.Basis)
	}
	// By a clock at which the change is not two seconds old, it is read.
	if res, _, c := onDisk(t, dir, nil, inOrder(was, names...)); res.Basis.MTime != 0 || c.bytes.Load() != int64(res.Summary.Bytes) {
		t.Errorf("taken over from within two seconds: %+v", res.Basis)
	}
	if res, _, _ := onDisk(t, dir, later, inOrder(fresh, names...)); res.Basis.MTime != 0 {
		t.Errorf("taken over without marks: %+v", res.Basis)
	}

	settle(t, dir, was["same"].Mark.CTime)
	put(t, dir, "changed", "CONTENTS")
	put(t, dir, "new", "CONTENTS")
	setBack("changed")
	setBack("new")
	if err := os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "replaced")); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(filepath.Join(dir, "large"), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("y"), 1); err != nil {
		t.Fatal(err)
	}
	f.Close()
	setBack("large")
	res, now, c := onDisk(t, dir, later, inOrder(was, names...))
	for _, name := range names {
		read := name == "changed" || name == "replaced" || name == "large"
		if (c.of(name) > 0) != read {
			t.Errorf("%s was read: %v", name, !read)
		}
		if (now[name].File.Digest != was[name].File.Digest) != read {
			t.Errorf("%s has another digest: %v", name, !read)
		}
	}
	if res.Basis.MTime != 16 || res.Basis.Read != 16+3*chunk {
		t.Errorf("basis %+v", res.Basis)
	}
	if want, _, _ := onDisk(t, dir, later, nil); res.Fingerprint != want.Fingerprint {
		t.Error("the fingerprint is not that of the bytes")
	}
}

// settle waits until the file system's clock has moved past a change time, by
// asking it.
func settle(t *testing.T, dir string, ctime int64) {
	t.Helper()
	name := filepath.Join(dir, ".tick")
	defer os.Remove(name)
	for now := ctime; now <= ctime; {
		if err := os.WriteFile(name, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		now = info.ModTime().UnixNano()
	}
}
