//go:build unix

package source_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stele-ml/stele/internal/source"
)

// TestTrail: what was put in the place of something for a while is found, though
// all files be what they were.
func TestTrail(t *testing.T) {
	none := func(string, bool) bool { return false }
	for _, c := range []struct {
		name string
		open string // below the working folder
		do   func(at func(string) string) error
		path string // of the difference; empty: none
	}{
		{"nothing", "data", func(func(string) string) error { return nil }, ""},
		{"a file beside it", "data", func(at func(string) string) error { return os.WriteFile(at("beside"), nil, 0o644) }, ""},
		{"a file in a hidden folder", "data", func(at func(string) string) error { return os.WriteFile(at("data/hidden/x"), nil, 0o644) }, ""},
		{"a file that came and went", "data", func(at func(string) string) error {
			return errors.Join(os.WriteFile(at("data/sub/x"), nil, 0o644), os.Remove(at("data/sub/x")))
		}, "sub/"},
		{"the folder renamed and back", "data", func(at func(string) string) error {
			return errors.Join(os.Rename(at("data"), at("away")), os.Rename(at("away"), at("data")))
		}, "/"},
		{"a folder in it renamed and back", "data", func(at func(string) string) error {
			return errors.Join(os.Rename(at("data/sub"), at("away")), os.Rename(at("away"), at("data/sub")))
		}, "/"},
		{"another folder in its place", "data", func(at func(string) string) error {
			return errors.Join(os.Rename(at("data/sub"), at("away")), os.CopyFS(at("data/sub"), os.DirFS(at("away"))))
		}, "/"},
		{"a folder more", "data", func(at func(string) string) error { return os.Mkdir(at("data/more"), 0o755) }, "/"},
		{"a link turned and back", "now", func(at func(string) string) error {
			return errors.Join(os.Remove(at("now")), os.Symlink("other", at("now")), os.Remove(at("now")), os.Symlink("data", at("now")))
		}, "now"},
		{"a link that leads elsewhere", "now", func(at func(string) string) error {
			return errors.Join(os.Remove(at("now")), os.Symlink("other", at("now")))
		}, "/"},
		{"a link on the way", "up/data", func(at func(string) string) error {
			return errors.Join(os.Remove(at("up")), os.Symlink("elsewhere/..", at("up")))
		}, "up"},
		{"a link in it", "data", func(at func(string) string) error {
			return errors.Join(os.Remove(at("data/link")), os.Symlink("./sub", at("data/link")))
		}, "/"},
		{"a single file", "data/sub/a", func(at func(string) string) error { return os.WriteFile(at("data/sub/b"), nil, 0o644) }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			at := func(name string) string { return filepath.Join(dir, name) }
			for _, d := range []string{"data/sub", "data/hidden", "other", "elsewhere"} {
				if err := os.MkdirAll(at(d), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			for link, to := range map[string]string{"now": "data", "up": ".", "data/link": "sub"} {
				if err := os.Symlink(to, at(link)); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(at("data/sub/a"), []byte("a"), 0o644); err != nil {
				t.Fatal(err)
			}
			hides := func(path string, folder bool) bool { return folder && path == "hidden" }
			before, err := source.TrailOf(at(c.open), hides)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.do(at); err != nil {
				t.Fatal(err)
			}
			after, err := source.TrailOf(at(c.open), hides)
			if err != nil {
				t.Fatal(err)
			}
			path, what := before.Difference(after)
			if want := c.path; want == "" && path != "" || want != "" && !strings.HasSuffix(path, want) {
				t.Errorf("the difference is %q, which %s; want %q", path, what, want)
			}
			if (path == "") != (what == "") {
				t.Errorf("%q, %q", path, what)
			}
		})
	}
	if _, err := source.TrailOf(filepath.Join(t.TempDir(), "nowhere"), none); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	loop := filepath.Join(t.TempDir(), "loop")
	if err := os.Symlink("loop", loop); err != nil {
		t.Fatal(err)
	}
	if _, err := source.TrailOf(loop, none); err == nil {
		t.Error("a loop has a trail")
	}
}
