package collection_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/collection"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/sourcetest"
	"github.com/stele-ml/stele/statement"
)

// folderStore is a folder for the suite of sources, seen as a collection.
type folderStore struct {
	root  *os.Root
	parts []collection.Part
}

func (s folderStore) Put(t *testing.T, path string, data []byte) {
	t.Helper()
	if i := strings.LastIndexByte(path, '/'); i > 0 {
		if err := s.root.MkdirAll(path[:i], 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.root.WriteFile(path, data, 0o666); err != nil {
		t.Fatal(err)
	}
}

func (s folderStore) Delete(t *testing.T, path string) {
	t.Helper()
	if err := s.root.Remove(path); err != nil {
		t.Fatal(err)
	}
}

func (s folderStore) Holds(string) bool { return true }

func (s folderStore) Open(t *testing.T, single string) source.Source {
	t.Helper()
	src, err := source.OpenLocal(filepath.Join(s.root.Name(), filepath.FromSlash(single)), source.LocalOptions{})
	if err != nil {
		t.Fatal(err)
	}
	whole, _, err := collection.SourceOf(src, s.parts, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { whole.Close() })
	return whole
}

// TestPartsAreASource holds a place that is seen as a collection to the words of
// every source, where no rule hides anything.
func TestPartsAreASource(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("the suite's names are not all names on this system's disks; package source runs it there")
	}
	sourcetest.Run(t, func(t *testing.T) sourcetest.Store {
		root, err := os.OpenRoot(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { root.RemoveAll("."); root.Close() })
		return folderStore{root, []collection.Part{{Stamp: &statement.Stamp{}}}}
	})
}

// TestRulesOfParts: below each prefix hold that member's rules and no others.
func TestRulesOfParts(t *testing.T) {
	t.Parallel()
	stamped := func(prefix string, ignore ...string) collection.Part {
		return collection.Part{Prefix: prefix, Stamp: &statement.Stamp{Ignore: ignore}}
	}
	// In the order of their keys: '-' is less than '/'.
	parts := []collection.Part{stamped("a-b", "x"), stamped("a", "*.tmp", "/top"), stamped("deep/er/c"), stamped("deep/er/d", ".git/")}
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	s := folderStore{root, parts}
	for _, path := range []string{
		"a/1", "a/x", "a/y.tmp", "a/sub/z.tmp", "a/top", "a/sub/top", "a/.git/config",
		"a-b/1", "a-b/x", "a-b/y.tmp", "a-b/sub/x/deep",
		"a-", "a.tmp", "ab/1", "deep/1", "deep/er/1", "deep/er/c/.DS_Store", "deep/er/d/.git/config", "deep/er/.git/config", "deep/er/d.tmp",
		".stele/db/1", "x",
	} {
		s.Put(t, path, []byte(path))
	}
	src := s.Open(t, "").(*collection.Source)
	got := sourcetest.Paths(t, src, nil)
	want := []string{
		"a-", "a-b/1", "a-b/y.tmp", "a.tmp", "a/.git/config", "a/1", "a/sub/top", "a/x", "ab/1",
		"deep/1", "deep/er/1", "deep/er/c/.DS_Store", "deep/er/d.tmp", "x",
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed\n%v\nwant\n%v", got, want)
	}
	hidden := []string{".stele/", "a-b/sub/x/", "a-b/x", "a/sub/z.tmp", "a/top", "a/y.tmp", "deep/er/.git/", "deep/er/d/.git/"}
	if slices.Sort(src.Hidden); !slices.Equal(src.Hidden, hidden) || src.HiddenCount != uint64(len(hidden)) {
		t.Errorf("hidden %d:\n%v\nwant\n%v", src.HiddenCount, src.Hidden, hidden)
	}

	// The same files make the members' own fingerprints, read one by one.
	trees := collection.NewTrees(fingerprint.SHA256, parts)
	if _, err := scan.Run(context.Background(), src, scan.Options{Algorithm: fingerprint.SHA256, UseExact: true}, trees.Add); err != nil {
		t.Fatal(err)
	}
	for i, p := range parts {
		opts := scan.Options{Algorithm: fingerprint.SHA256, UseExact: true, Exact: p.Stamp.Ignore}
		alone, err := scan.Local(context.Background(), filepath.Join(root.Name(), filepath.FromSlash(p.Prefix)), opts, nil)
		if err != nil {
			t.Fatal(err)
		}
		if found, err := trees.Found(i); err != nil || found != alone.Summary {
			t.Errorf("%s: %+v, %v; alone it is %+v", p.Prefix, found, err, alone.Summary)
		}
	}
	if trees.Outside.Files != 7 {
		t.Errorf("%d files outside, want 7", trees.Outside.Files)
	}
}

// stamps are what a made-up ledger has, by name.
type stamps map[string]*statement.Stamp

func (s stamps) find(_ statement.Ref, m statement.CollectionMember) (ledger.Binding, *statement.Stamp, error) {
	st, ok := s[m.Ref.Name]
	if !ok {
		return ledger.Binding{}, nil, errors.New("no " + m.Ref.Name)
	}
	return ledger.Binding{Name: m.Ref.Name, Version: "1", Fingerprint: m.Ref.Fingerprint}, st, nil
}

func member(prefix, name string) statement.CollectionMember {
	return statement.CollectionMember{Prefix: prefix, Ref: statement.Ref{Name: name, Version: "1", Fingerprint: fingerprint.Fingerprint{Sum: fingerprint.Digest{name[0]}}}}
}

// A collection of a tree and of a collection unfolds into its trees, in order.
func TestUnfold(t *testing.T) {
	t.Parallel()
	s := stamps{
		"x": {Files: 1}, "y": {Files: 2}, "z": {Files: 4},
		"inner": {Members: []statement.CollectionMember{member("p", "y"), member("q", "z")}},
	}
	top := &statement.Stamp{Members: []statement.CollectionMember{member("a", "x"), member("b", "inner")}}
	n, err := collection.Unfold(ledger.Binding{Name: "top", Version: "1"}, top, s.find)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := range n.Parts {
		got = append(got, fmt.Sprintf("%s=%s", n.Parts[i].Key(), n.Parts[i].Ref.Name))
	}
	if text := strings.Join(got, " "); text != "a/=x b/p/=y b/q/=z" || n.Members[1].First != 1 || len(n.Members[1].Parts) != 2 {
		t.Errorf("%s; %+v", text, n.Members[1])
	}
	alone, err := collection.Unfold(ledger.Binding{Name: "x"}, s["x"], nil)
	if err != nil || len(alone.Parts) != 1 || alone.Parts[0].Key() != "" {
		t.Errorf("a tree of files: %+v, %v", alone, err)
	}
	delete(s, "z")
	if _, err := collection.Unfold(ledger.Binding{}, top, s.find); err == nil || err.Error() != "no z" {
		t.Errorf("a member that is nowhere: %v", err)
	}
}

// Members without end, by a stamp that holds itself or by very many, are not read.
func TestAttackerNestsWithoutEnd(t *testing.T) {
	t.Parallel()
	loop := stamps{"loop": {Members: []statement.CollectionMember{member("a", "loop")}}}
	if _, err := collection.Unfold(ledger.Binding{}, loop["loop"], loop.find); err == nil || !strings.Contains(err.Error(), "nested more than") {
		t.Errorf("a loop: %v", err)
	}
	wide := stamps{"leaf": {}}
	level := "leaf"
	for i := range 3 {
		var list []statement.CollectionMember
		for k := range 100 {
			list = append(list, member(fmt.Sprint("m", k), level))
		}
		level = fmt.Sprint("level", i)
		wide[level] = &statement.Stamp{Members: list}
	}
	_, err := collection.Unfold(ledger.Binding{}, wide[level], wide.find)
	var hinted interface{ Hint() string }
	if err == nil || !errors.As(err, &hinted) || hinted.Hint() == "" {
		t.Errorf("a million parts: %v", err)
	}
}

func TestDiffering(t *testing.T) {
	t.Parallel()
	part := func(prefix string, d byte, files uint64) collection.Part {
		return collection.Part{Prefix: prefix, Ref: statement.Ref{Fingerprint: fingerprint.Fingerprint{Sum: fingerprint.Digest{d}}}, Stamp: &statement.Stamp{Files: files}}
	}
	left, right, same := collection.Differing(
		[]collection.Part{part("a", 1, 3), part("b", 2, 5), part("c", 3, 7)},
		[]collection.Part{part("a", 1, 3), part("b", 9, 5), part("d", 3, 7)})
	prefixes := func(parts []collection.Part) (text string) {
		for _, p := range parts {
			text += p.Prefix
		}
		return text
	}
	if prefixes(left) != "bc" || prefixes(right) != "bd" || same != 3 {
		t.Errorf("%s, %s, %d the same", prefixes(left), prefixes(right), same)
	}
}
