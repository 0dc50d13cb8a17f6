package source_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/sourcetest"
)

// place is a folder of a test. It reaches paths of any length.
type place struct {
	dir  string
	root *os.Root
	open func(string, source.LocalOptions) (*source.Local, error)
}

func newPlace(t *testing.T, open func(string, source.LocalOptions) (*source.Local, error)) *place {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	// The test's own RemoveAll may not know paths as long as these.
	t.Cleanup(func() { root.RemoveAll("."); root.Close() })
	return &place{dir, root, open}
}

func (p *place) Put(t *testing.T, path string, data []byte) {
	t.Helper()
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		if err := p.root.MkdirAll(path[:i], 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.root.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

func (p *place) Delete(t *testing.T, path string) {
	t.Helper()
	if err := p.root.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func (p *place) Holds(path string) bool {
	switch runtime.GOOS {
	case "windows":
		return !strings.ContainsAny(path, "\"\n") && path != "Case" && strings.TrimRight(path, ". ") == path
	case "darwin":
		return path != "Case" && path != "e\u0301" && len(path) < 900
	}
	return true
}

func (p *place) Open(t *testing.T, single string) source.Source {
	t.Helper()
	s, err := p.open(filepath.Join(p.dir, filepath.FromSlash(single)), source.LocalOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (p *place) link(t *testing.T, target, path string) {
	t.Helper()
	full := filepath.Join(p.dir, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(full), 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(target, full); err != nil {
		t.Skip(err) // Windows without the right to make links
	}
}

// eachDisk runs a test with every way of reading a disk.
func eachDisk(t *testing.T, test func(t *testing.T, p *place)) {
	for name, open := range source.Disks {
		t.Run(name, func(t *testing.T) { test(t, newPlace(t, open)) })
	}
}

func TestSuite(t *testing.T) {
	for name, open := range source.Disks {
		t.Run(name, func(t *testing.T) {
			sourcetest.Run(t, func(t *testing.T) sourcetest.Store { return newPlace(t, open) })
		})
	}
}

// read lists and reads everything, and returns path = contents.
func read(s source.Source) (map[string]string, error) {
	got := make(map[string]string)
	buf := make([]byte, 1<<16)
	err := s.List(context.Background(), nil, func(o source.Object) error {
		f, err := s.Fetch(context.Background(), o, buf)
		got[o.Path] = string(buf[:f.N])
		return err
	})
	return got, err
}

func TestLinks(t *testing.T) {
	for _, c := range []struct {
		name    string
		make    func(t *testing.T, p *place)
		root    string
		outside bool // follow links that leave the tree
		want    map[string]string
		class   error  // of the error, or nil
		says    string // that the error names
	}{
		{name: "to a file inside", make: func(t *testing.T, p *place) {
			p.Put(t, "d/x", []byte("1"))
			p.link(t, "d/x", "y")
			p.link(t, filepath.Join(p.dir, "d", "x"), "z") // absolute, yet inside
		}, want: map[string]string{"d/x": "1", "y": "1", "z": "1"}},
		{name: "to a folder inside", make: func(t *testing.T, p *place) {
			p.Put(t, "d/e/x", []byte("1"))
			p.link(t, "../d", "a/l")
			p.Put(t, "a/l-", []byte("2")) // '-' sorts before the slash that l has as a folder
		}, want: map[string]string{"d/e/x": "1", "a/l/e/x": "1", "a/l-": "2"}},
		{name: "link to a link", make: func(t *testing.T, p *place) {
			p.Put(t, "x", []byte("1"))
			p.link(t, "x", "y")
			p.link(t, "y", "z")
		}, want: map[string]string{"x": "1", "y": "1", "z": "1"}},
		{name: "link in a linked folder", make: func(t *testing.T, p *place) {
			p.Put(t, "d/x", []byte("1"))
			p.link(t, "x", "d/y")
			p.link(t, "d", "l")
		}, want: map[string]string{"d/x": "1", "d/y": "1", "l/x": "1", "l/y": "1"}},
		{name: "leaves", root: "in", make: func(t *testing.T, p *place) {
			p.Put(t, "out/secret", []byte("1"))
			p.link(t, "../../out/secret", "in/d/l")
		}, class: source.ErrLink, says: "d/l: symbolic link cannot be followed: it leaves the folder, to "},
		{name: "leaves to a folder whose name begins alike", root: "in", make: func(t *testing.T, p *place) {
			p.Put(t, "in/x", nil)
			p.Put(t, "in2/x", []byte("1"))
			p.link(t, "../in2", "in/l")
		}, class: source.ErrLink, says: "l: "},
		{name: "leaves, asked for", root: "in", outside: true, make: func(t *testing.T, p *place) {
			p.Put(t, "out/d/x", []byte("1"))
			p.link(t, "../out/d", "in/l")
			p.link(t, "../out/d/x", "in/m")
		}, want: map[string]string{"l/x": "1", "m": "1"}},
		{name: "leads nowhere", make: func(t *testing.T, p *place) {
			p.link(t, "missing", "l")
		}, class: source.ErrLink, says: "it leads to missing"},
		{name: "leads to itself", make: func(t *testing.T, p *place) {
			p.link(t, "l", "l")
		}, class: source.ErrLink, says: "l: "},
		{name: "loops to the folder it is in", make: func(t *testing.T, p *place) {
			p.Put(t, "d/x", nil)
			p.link(t, ".", "d/l")
		}, class: source.ErrLink, says: "d/l: symbolic link cannot be followed: it loops"},
		{name: "loops to the root", make: func(t *testing.T, p *place) {
			p.link(t, "../..", "d/e/l")
		}, class: source.ErrLink, says: "it loops"},
		{name: "loops above the root", root: "in", outside: true, make: func(t *testing.T, p *place) {
			p.link(t, "..", "in/l")
		}, class: source.ErrLink, says: "it loops"},
		{name: "two folders that hold each other", make: func(t *testing.T, p *place) {
			p.link(t, "../b", "a/l")
			p.link(t, "../a", "b/l")
		}, class: source.ErrLink, says: "a/l/l: symbolic link cannot be followed: it loops"},
		{name: "the tree that doubles at every level", make: func(t *testing.T, p *place) {
			for i := range 30 {
				p.link(t, filepath.Join("..", string(rune('a'+i+1))), string(rune('a'+i))+"/1")
				p.link(t, filepath.Join("..", string(rune('a'+i+1))), string(rune('a'+i))+"/2")
			}
			p.Put(t, string(rune('a'+30))+"/x", nil)
		}, class: source.ErrLink, says: "too many links"},
		{name: "root is a link", root: "l", make: func(t *testing.T, p *place) {
			p.Put(t, "d/x", []byte("1"))
			p.link(t, "d", "l")
		}, want: map[string]string{"x": "1"}},
		{name: "single root is a link", root: "l.bin", make: func(t *testing.T, p *place) {
			p.Put(t, "d/x", []byte("1"))
			p.link(t, "d/x", "l.bin")
		}, want: map[string]string{"l.bin": "1"}},
		{name: "Hugging Face snapshot", root: "hub/models--o--n/snapshots/r1", make: func(t *testing.T, p *place) {
			p.Put(t, "hub/models--o--n/blobs/aa", []byte("weights"))
			p.link(t, "../../blobs/aa", "hub/models--o--n/snapshots/r1/model.safetensors")
			p.link(t, "../../../blobs/aa", "hub/models--o--n/snapshots/r1/sub/x")
		}, want: map[string]string{"model.safetensors": "weights", "sub/x": "weights"}},
		{name: "folder of a Hugging Face snapshot", root: "hub/datasets--o--n/snapshots/r1/sub", make: func(t *testing.T, p *place) {
			p.Put(t, "hub/datasets--o--n/blobs/aa", []byte("rows"))
			p.link(t, "../../../blobs/aa", "hub/datasets--o--n/snapshots/r1/sub/x")
		}, want: map[string]string{"x": "rows"}},
		{name: "Hugging Face link into another repository", root: "hub/models--o--n/snapshots/r1", make: func(t *testing.T, p *place) {
			p.Put(t, "hub/models--o--other/blobs/aa", []byte("weights"))
			p.link(t, "../../../models--o--other/blobs/aa", "hub/models--o--n/snapshots/r1/x")
		}, class: source.ErrLink, says: "it leaves the folder"},
		{name: "Hugging Face link beside the blobs", root: "hub/models--o--n/snapshots/r1", make: func(t *testing.T, p *place) {
			p.Put(t, "hub/models--o--n/refs/main", []byte("r1"))
			p.link(t, "../../refs/main", "hub/models--o--n/snapshots/r1/x")
		}, class: source.ErrLink, says: "it leaves the folder"},
		{name: "snapshots of something else", root: "backup/snapshots/r1", make: func(t *testing.T, p *place) {
			p.Put(t, "backup/blobs/aa", nil)
			p.link(t, "../../blobs/aa", "backup/snapshots/r1/x")
		}, class: source.ErrLink, says: "it leaves the folder"},
	} {
		t.Run(c.name, func(t *testing.T) {
			eachDisk(t, func(t *testing.T, p *place) {
				c.make(t, p)
				s, err := p.open(filepath.Join(p.dir, filepath.FromSlash(c.root)), source.LocalOptions{FollowOutside: c.outside})
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				got, err := read(s)
				if c.class != nil {
					if !errors.Is(err, c.class) || !strings.Contains(err.Error(), c.says) {
						t.Errorf("error %v, want %v with %q", err, c.class, c.says)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if len(got) != len(c.want) {
					t.Errorf("got %v, want %v", got, c.want)
				}
				for path, data := range c.want {
					if got[path] != data {
						t.Errorf("%s = %q, want %q", path, got[path], data)
					}
				}
				sourcetest.Paths(t, s, nil) // sorted, checked below
				last := ""
				for _, path := range sourcetest.Paths(t, s, nil) {
					if path <= last {
						t.Errorf("%q comes after %q", path, last)
					}
					last = path
				}
			})
		})
	}
}

func TestOpenLocal(t *testing.T) {
	dir := t.TempDir()
	if _, err := source.OpenLocal(filepath.Join(dir, "missing"), source.LocalOptions{}); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing root: %v", err)
	}
	if _, err := source.OpenLocal(os.DevNull, source.LocalOptions{}); runtime.GOOS != "windows" && !errors.Is(err, source.ErrIrregular) {
		t.Errorf("device as root: %v", err)
	}
}

// TestErrorComesInTurn: what is wrong with a later path is not reported in
// place of an earlier file, and not at all where it is left out.
func TestErrorComesInTurn(t *testing.T) {
	eachDisk(t, func(t *testing.T, p *place) {
		p.Put(t, "a", nil)
		p.Put(t, "c", nil)
		p.link(t, "missing", "b")
		s := p.Open(t, "").(*source.Local)
		defer s.Close()
		got, err := read(s)
		if !errors.Is(err, source.ErrLink) || len(got) != 1 {
			t.Errorf("read %v, %v; want a alone, then the link's error", got, err)
		}
		if got := sourcetest.Paths(t, s, func(path string, _ bool) bool { return path == "b" }); len(got) != 2 {
			t.Errorf("with the link left out: %q", got)
		}
	})
}

// TestLookupThroughLinks: what is looked up is what would be listed.
func TestLookupThroughLinks(t *testing.T) {
	eachDisk(t, func(t *testing.T, p *place) {
		p.Put(t, "in/d/x", []byte("1"))
		p.Put(t, "out/x", []byte("2"))
		p.link(t, "d", "in/inside")
		p.link(t, "../out", "in/outside")
		p.link(t, "missing", "in/nowhere")
		s := p.Open(t, "in")
		defer s.Close()
		o, err := s.Lookup(context.Background(), "inside/x")
		if err != nil || o.Path != "inside/x" {
			t.Fatalf("Lookup = %v, %v", o, err)
		}
		buf := make([]byte, 10)
		if got, err := s.Fetch(context.Background(), o, buf); err != nil || string(buf[:got.N]) != "1" {
			t.Errorf("Fetch = %q, %v", buf[:got.N], err)
		}
		for path, want := range map[string]error{
			"outside/x": source.ErrLink, "nowhere": source.ErrLink, "../out/x": source.ErrName, "d/x/y": fs.ErrNotExist, "inside": fs.ErrNotExist,
		} {
			if _, err := s.Lookup(context.Background(), path); !errors.Is(err, want) {
				t.Errorf("Lookup(%s) = %v, want %v", path, err, want)
			}
		}
	})
}
