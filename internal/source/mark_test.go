package source_test

import (
	"context"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/sourcetest"
)

func TestSame(t *testing.T) {
	disk := source.Mark{Size: 5, MTime: 1, CTime: 2, Inode: 3, Device: 4}
	both := source.Mark{Size: 5, Version: "v", ETag: "e"}
	change := func(m source.Mark, f func(m *source.Mark)) source.Mark { f(&m); return m }
	for _, c := range []struct {
		name   string
		a, b   source.Mark
		strong source.Strength
	}{
		{"nothing", source.Mark{}, source.Mark{}, source.Unsure},
		{"a size alone", source.Mark{Size: 5}, source.Mark{Size: 5}, source.Unsure},
		{"a disk", disk, disk, source.ByMTime},
		{"another size", disk, change(disk, func(m *source.Mark) { m.Size++ }), source.Unsure},
		{"another modification time", disk, change(disk, func(m *source.Mark) { m.MTime++ }), source.Unsure},
		{"another change time", disk, change(disk, func(m *source.Mark) { m.CTime++ }), source.Unsure},
		{"another inode", disk, change(disk, func(m *source.Mark) { m.Inode++ }), source.Unsure},
		{"another device", disk, change(disk, func(m *source.Mark) { m.Device++ }), source.Unsure},
		{"no change times", change(disk, func(m *source.Mark) { m.CTime = 0 }), change(disk, func(m *source.Mark) { m.CTime = 0 }), source.Unsure},
		{"a disk and a bucket", disk, both, source.Unsure},
		{"a version", both, both, source.ByVersion},
		{"another version, the same ETag", both, change(both, func(m *source.Mark) { m.Version = "w" }), source.Unsure},
		{"a version of which only one is known", both, change(both, func(m *source.Mark) { m.Version = "" }), source.ByETag},
		{"another ETag", change(both, func(m *source.Mark) { m.Version = "" }), source.Mark{Size: 5, ETag: "f"}, source.Unsure},
		{"the same version, another size", both, change(both, func(m *source.Mark) { m.Size = 6 }), source.Unsure},
	} {
		if got := c.a.Same(c.b); got != c.strong {
			t.Errorf("%s: %d, want %d", c.name, got, c.strong)
		}
		if got := c.b.Same(c.a); got != c.strong {
			t.Errorf("%s, the other way round: %d, want %d", c.name, got, c.strong)
		}
	}
}

// marksAt opens a folder at a moment and marks its files, without reading and
// with it.
func marksAt(t *testing.T, p *place, when func() time.Time) map[string]source.Mark {
	t.Helper()
	s, err := p.open(p.dir, source.LocalOptions{Clock: when})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	marks := make(map[string]source.Mark)
	for _, o := range sourcetest.List(t, s, nil) {
		m, err := s.Mark(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		for _, buf := range []int{0, 1 << 16} { // as a large file, and as a small one
			got, err := s.Fetch(context.Background(), o, make([]byte, buf))
			if err != nil {
				t.Fatal(err)
			}
			if got.Reader != nil {
				got.Reader.Close()
			}
			if got.Mark != m {
				t.Errorf("%s: marked %+v when read, %+v without", o.Path, got.Mark, m)
			}
		}
		if found, err := s.Lookup(context.Background(), o.Path); err != nil {
			t.Error(err)
		} else if again, err := s.Mark(context.Background(), found); err != nil || again != m {
			t.Errorf("%s: looked up it is marked %+v, %v", o.Path, again, err)
		}
		marks[o.Path] = m
	}
	return marks
}

// tick waits until the clock of the file system has moved on, by asking it.
func tick(t *testing.T, dir string) {
	t.Helper()
	name := filepath.Join(dir, ".tick")
	defer os.Remove(name)
	var first time.Time
	for {
		if err := os.WriteFile(name, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if first.IsZero() {
			first = info.ModTime()
		} else if info.ModTime().After(first) {
			return
		}
	}
}

func TestLocalMarks(t *testing.T) {
	if runtime.GOOS == "plan9" || runtime.GOOS == "js" || runtime.GOOS == "wasip1" {
		t.Skip("no change times")
	}
	later := func() time.Time { return time.Now().Add(time.Hour) }
	eachDisk(t, func(t *testing.T, p *place) {
		old := time.Now().Add(-24 * time.Hour).Truncate(time.Second)
		for _, path := range []string{"a", "d/restored", "d/replaced", "d/touched", "d/e/same", "empty"} {
			data := []byte("contents")
			if path == "empty" {
				data = nil
			}
			p.Put(t, path, data)
			if err := os.Chtimes(filepath.Join(p.dir, filepath.FromSlash(path)), old, old); err != nil {
				t.Fatal(err)
			}
		}
		// They changed within the last two seconds, whatever their
		// modification times say: so their change times do.
		for path, m := range marksAt(t, p, nil) {
			if m != (source.Mark{}) {
				t.Errorf("%s has just changed, and is marked %+v", path, m)
			}
		}
		// A clock that is behind the disk's.
		for path, m := range marksAt(t, p, func() time.Time { return time.Now().Add(-time.Hour) }) {
			if m != (source.Mark{}) {
				t.Errorf("%s changed in the future, and is marked %+v", path, m)
			}
		}
		was := marksAt(t, p, later)
		for path, m := range was {
			if m.MTime != old.UnixNano() || m.CTime < time.Now().Add(-time.Hour).UnixNano() || m.Inode == 0 || m.Same(m) != source.ByMTime {
				t.Errorf("%s is marked %+v", path, m)
			}
		}
		for path, m := range marksAt(t, p, later) {
			if was[path].Same(m) != source.ByMTime {
				t.Errorf("%s is not known again: %+v, %+v", path, was[path], m)
			}
		}

		tick(t, p.dir)
		p.Put(t, "d/restored", []byte("CONTENTS"))
		p.Put(t, "d/new", []byte("CONTENTS"))
		at := func(path string) string { return filepath.Join(p.dir, filepath.FromSlash(path)) }
		for _, path := range []string{"d/restored", "d/new"} {
			if err := os.Chtimes(at(path), old, old); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Rename(at("d/new"), at("d/replaced")); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(at("d/touched"), old, old); err != nil {
			t.Fatal(err)
		}
		for path, m := range marksAt(t, p, later) {
			want := source.Unsure
			if path == "a" || path == "d/e/same" || path == "empty" {
				want = source.ByMTime
			}
			if got := was[path].Same(m); got != want {
				t.Errorf("%s: %d, want %d: %+v, %+v", path, got, want, was[path], m)
			}
			if m.MTime != old.UnixNano() {
				t.Errorf("%s: its modification time was not set back", path)
			}
		}
		// A modification time ahead of the clock, of an old change.
		ahead := time.Now().Add(2 * time.Hour)
		if err := os.Chtimes(at("a"), ahead, ahead); err != nil {
			t.Fatal(err)
		}
		if m := marksAt(t, p, later)["a"]; m != (source.Mark{}) {
			t.Errorf("a modification time in the future is marked %+v", m)
		}
	})
}

// TestMarkOfLinks: a link is marked as what it leads to, and one that took a
// file's place is ErrChanged.
func TestMarkOfLinks(t *testing.T) {
	later := func() time.Time { return time.Now().Add(time.Hour) }
	eachDisk(t, func(t *testing.T, p *place) {
		p.Put(t, "d/x", []byte("contents"))
		p.link(t, "d/x", "l")
		p.link(t, "d", "m")
		marks := marksAt(t, p, later)
		if m := marks["d/x"]; m == (source.Mark{}) || marks["l"] != m || marks["m/x"] != m {
			t.Errorf("%+v", marks)
		}
	})
}
