package source_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stele-ml/stele/internal/source"
)

func TestLinked(t *testing.T) {
	write := func(name string) {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	link := func(target, name string) {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, name); err != nil {
			t.Skipf("no symbolic links here: %v", err)
		}
	}
	linked := func(root string) []string {
		s, err := source.OpenLocal(root, source.LocalOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		var found []string
		if err := s.List(t.Context(), nil, func(o source.Object) error {
			if s.Linked(o) {
				found = append(found, o.Path)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return found
	}

	dir := t.TempDir()
	write(filepath.Join(dir, "tree/plain"))
	write(filepath.Join(dir, "tree/folder/plain"))
	link("plain", filepath.Join(dir, "tree/link"))
	link("folder", filepath.Join(dir, "tree/other"))
	link("tree", filepath.Join(dir, "way"))
	for _, root := range []string{"tree", "way"} {
		if got, want := linked(filepath.Join(dir, root)), []string{"link", "other/plain"}; !slices.Equal(got, want) {
			t.Errorf("%s: %q are linked, want %q", root, got, want)
		}
	}
	if got := linked(filepath.Join(dir, "tree/link")); got != nil {
		t.Errorf("a link that was named is linked: %q", got)
	}

	repo := filepath.Join(dir, "models--a--b")
	write(filepath.Join(repo, "blobs/1234"))
	link("../../blobs/1234", filepath.Join(repo, "snapshots/abcd/model.bin"))
	link("model.bin", filepath.Join(repo, "snapshots/abcd/again.bin"))
	if got := linked(filepath.Join(repo, "snapshots/abcd")); got != nil {
		t.Errorf("of a cache that keeps its files so, %q are linked", got)
	}
}
