package main

import (
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/statement"
)

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
