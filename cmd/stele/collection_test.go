package main

import (
	"context"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/sourcetest"
	"github.com/stele-ml/stele/statement"
)

// folderStore is a folder for the suite of sources, seen as a collection.
type folderStore struct {
	root  *os.Root
	parts []part
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
	whole, _, err := ofParts(src, s.parts, nil)
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
		return folderStore{root, []part{{stamp: &statement.Stamp{}}}}
	})
}

// TestRulesOfParts: below each prefix hold that member's rules and no others.
func TestRulesOfParts(t *testing.T) {
	t.Parallel()
	stamped := func(prefix string, ignore ...string) part {
		return part{prefix: prefix, stamp: &statement.Stamp{Ignore: ignore}}
	}
	// In the order of their keys: '-' is less than '/'.
	parts := []part{stamped("a-b", "x"), stamped("a", "*.tmp", "/top"), stamped("deep/er/c"), stamped("deep/er/d", ".git/")}
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
	src := s.Open(t, "").(*partsSource)
	got := sourcetest.Paths(t, src, nil)
	want := []string{
		"a-", "a-b/1", "a-b/y.tmp", "a.tmp", "a/.git/config", "a/1", "a/sub/top", "a/x", "ab/1",
		"deep/1", "deep/er/1", "deep/er/c/.DS_Store", "deep/er/d.tmp", "x",
	}
	if !slices.Equal(got, want) {
		t.Errorf("listed\n%v\nwant\n%v", got, want)
	}
	hidden := []string{".stele/", "a-b/sub/x/", "a-b/x", "a/sub/z.tmp", "a/top", "a/y.tmp", "deep/er/.git/", "deep/er/d/.git/"}
	if slices.Sort(src.hidden); !slices.Equal(src.hidden, hidden) || src.hiddenCount != uint64(len(hidden)) {
		t.Errorf("hidden %d:\n%v\nwant\n%v", src.hiddenCount, src.hidden, hidden)
	}

	// The same files make the members' own fingerprints, read one by one.
	trees := newPartTrees(fingerprint.SHA256, parts)
	if _, err := scan.Run(context.Background(), src, scan.Options{Algorithm: fingerprint.SHA256, UseExact: true}, trees.add); err != nil {
		t.Fatal(err)
	}
	for i, p := range parts {
		opts := scan.Options{Algorithm: fingerprint.SHA256, UseExact: true, Exact: p.stamp.Ignore}
		alone, err := scan.Local(context.Background(), filepath.Join(root.Name(), filepath.FromSlash(p.prefix)), opts, nil)
		if err != nil {
			t.Fatal(err)
		}
		if found, err := trees.found(i); err != nil || found != alone.Summary {
			t.Errorf("%s: %+v, %v; alone it is %+v", p.prefix, found, err, alone.Summary)
		}
	}
	if trees.outside.Files != 7 {
		t.Errorf("%d files outside, want 7", trees.outside.Files)
	}
}

// TestCollectionOrder: what makes no collection is told in a person's words.
func TestCollectionOrder(t *testing.T) {
	t.Parallel()
	member := func(prefix string) statement.CollectionMember { return statement.CollectionMember{Prefix: prefix} }
	var many []statement.CollectionMember
	for i := range statement.MaxMembers + 1 {
		many = append(many, member(fmt.Sprint("m", i)))
	}
	for _, c := range []struct {
		members []statement.CollectionMember
		err     string
	}{
		{nil, "at least one"},
		{many, "at most 100"},
		{[]statement.CollectionMember{member("a/b"), member("a-c"), member("a")}, "a/b lies within a"},
	} {
		if _, err := inOrder(c.members); err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%d members: %v, want an error with %q", len(c.members), err, c.err)
		}
	}
	sorted, err := inOrder([]statement.CollectionMember{member("a"), member("a-b")})
	if err != nil || sorted[0].Prefix != "a-b" {
		t.Errorf("%v, %v", sorted, err)
	}
	if _, err := inOrder(many[:statement.MaxMembers]); err != nil {
		t.Error(err)
	}
}

// listOf goes through files by path and digest.
func listOf(m map[string]byte) iter.Seq2[fingerprint.File, error] {
	return func(yield func(fingerprint.File, error) bool) {
		for _, path := range slices.Sorted(maps.Keys(m)) {
			if !yield(fingerprint.File{Path: path, Size: 10, Digest: fingerprint.Digest{m[path]}}, nil) {
				return
			}
		}
	}
}

// TestRetention compares what a later version accounts for with the plain
// definition, on many small trees.
func TestRetention(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 2))
	tree := func() map[string]byte {
		m := map[string]byte{}
		for range r.IntN(7) {
			m[string(rune('a'+r.IntN(8)))] = byte(r.IntN(2))
		}
		return m
	}
	for range 20_000 {
		stamped, later, now := tree(), tree(), tree()
		var want jsonv1.Counts
		var removed, added uint64
		for path, d := range stamped {
			is, here := now[path]
			_, listed := later[path]
			switch {
			case here && is == d:
				want.Same++
			case here:
				want.Modified++
			case listed:
				want.Removed++
			default:
				removed++
			}
		}
		for path, is := range now {
			if _, known := stamped[path]; known {
				continue
			}
			if d, listed := later[path]; listed && d == is {
				added++
			} else {
				want.Added++
			}
		}
		kept := retention{leavesOut: func(string) bool { return false }, out: &jsonv1.Diff{}}
		if err := kept.compare(listOf(stamped), listOf(later), listOf(now)); err != nil {
			t.Fatal(err)
		}
		changes := int(want.Modified + want.Removed + want.Added)
		if kept.out.Counts != want || kept.removed.Files != removed || kept.added.Files != added || kept.removed.Bytes != 10*removed ||
			len(kept.out.Changes) != changes || kept.out.Same != (changes == 0) {
			t.Fatalf("stamped %v, later %v, now %v: %+v removed %v added %v, want %+v removed %d added %d",
				stamped, later, now, kept.out.Counts, kept.removed, kept.added, want, removed, added)
		}
	}
}
