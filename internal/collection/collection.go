// Package collection is an artifact that is many: its members found, however deep,
// down to the trees of files that it is made of; and a place read as all of their
// stamps see it. An artifact that is no collection is one such tree, so that
// whoever reads or compares need not ask (docs/formats/collection.md).
package collection

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/manifest"
	"github.com/stele-ml/stele/statement"
)

// Limits of what a collection may unfold into.
const (
	MaxNesting = 16      // collections in collections
	MaxParts   = 100_000 // trees of files in all of them together
)

// Node is an artifact: a tree of files, or a collection of further nodes.
type Node struct {
	Prefix  string // folder below the root, with all prefixes above; empty for the root
	Binding ledger.Binding
	Stamp   *statement.Stamp
	Members []*Node // in the order of their keys; none for a tree of files
	Parts   []Part  // the trees of files in it, in the order of their keys; of a tree of files, itself
	First   int     // index of its first part among the root's
}

// Part is one stamped tree of files within an artifact: the artifact itself, a
// member of a collection, a member of a member that is a collection.
type Part struct {
	Prefix string // folder below the root; empty for an artifact that is no collection
	Ref    statement.Ref
	Stamp  *statement.Stamp
}

// Key is what all paths of the part begin with.
func (p *Part) Key() string {
	if p.Prefix == "" {
		return ""
	}
	return p.Prefix + "/"
}

// Find finds the stamp of a member of an artifact.
type Find func(of statement.Ref, m statement.CollectionMember) (ledger.Binding, *statement.Stamp, error)

// Unfold finds the stamps of all members of an artifact, however deep. A member
// is stamped before what it is a member of, so there is always an end. find may be
// nil for what is no collection.
func Unfold(b ledger.Binding, st *statement.Stamp, find Find) (*Node, error) {
	u := unfolder{find: find}
	return u.unfold("", b, st, 0)
}

type unfolder struct {
	find  Find
	count int // parts so far
}

func (u *unfolder) unfold(prefix string, b ledger.Binding, st *statement.Stamp, depth int) (*Node, error) {
	n := &Node{Prefix: prefix, Binding: b, Stamp: st, First: u.count}
	if len(st.Members) == 0 {
		if u.count++; u.count > MaxParts {
			return nil, tooManyError{}
		}
		n.Parts = []Part{{prefix, b.Ref(), st}}
		return n, nil
	}
	if depth == MaxNesting {
		return nil, fmt.Errorf("%s: collections are nested more than %d deep", prefix, MaxNesting)
	}
	for _, m := range st.Members {
		mb, mst, err := u.find(b.Ref(), m)
		if err != nil {
			return nil, err
		}
		inner := m.Prefix
		if prefix != "" {
			inner = prefix + "/" + m.Prefix
		}
		member, err := u.unfold(inner, mb, mst, depth+1)
		if err != nil {
			return nil, err
		}
		n.Members = append(n.Members, member)
		n.Parts = append(n.Parts, member.Parts...)
	}
	return n, nil
}

type tooManyError struct{}

func (tooManyError) Error() string {
	return fmt.Sprintf("a collection of more than %d artifacts is not read", MaxParts)
}

func (tooManyError) Hint() string {
	return "name one of the members, and go through them one by one"
}

// Within finds the part that a path lies in, by its key. Parts are sorted by
// their keys, and no key begins with another, so it is the last that is not
// greater than the path. A path of a folder ends in '/'.
func Within(parts []Part, path string) (index int, ok bool) {
	i, found := slices.BinarySearchFunc(parts, path, func(p Part, path string) int { return strings.Compare(p.Key(), path) })
	if !found {
		i--
	}
	return i, i >= 0 && strings.HasPrefix(path, parts[i].Key())
}

// above reports whether a folder, without its '/', holds parts.
func above(parts []Part, folder string) bool {
	i, _ := slices.BinarySearchFunc(parts, folder+"/", func(p Part, path string) int { return strings.Compare(p.Key(), path) })
	return i < len(parts) && strings.HasPrefix(parts[i].Key(), folder+"/")
}

// Open opens the manifest of a part.
type Open func(p *Part) (*manifest.File, error)

// Files goes through the files behind an artifact in path order, as its parts'
// manifests have them. One manifest is open at a time.
func Files(parts []Part, open Open) iter.Seq2[fingerprint.File, error] {
	return func(yield func(fingerprint.File, error) bool) {
		for i := range parts {
			if !filesOf(&parts[i], open, yield) {
				return
			}
		}
	}
}

func filesOf(p *Part, open Open, yield func(fingerprint.File, error) bool) bool {
	m, err := open(p)
	if err != nil {
		yield(fingerprint.File{}, err)
		return false
	}
	defer m.Close()
	for f, err := range m.All() {
		if err != nil {
			yield(fingerprint.File{}, err)
			return false
		}
		f.Path = p.Key() + f.Path
		if !yield(f, nil) {
			return false
		}
	}
	return true
}

// Check reads the manifests of all parts to their ends, so that what is told by
// them holds.
func Check(ctx context.Context, parts []Part, open Open) error {
	for _, err := range Files(parts, open) {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Differing are the parts of two artifacts without those that are the same under
// the same prefix; same is how many files these have.
func Differing(old, now []Part) (left, right []Part, same uint64) {
	was := map[string]fingerprint.Fingerprint{} // by prefix; what is left of it is gone
	for _, p := range old {
		was[p.Prefix] = p.Ref.Fingerprint
	}
	for _, p := range now {
		if fp, ok := was[p.Prefix]; ok && fp == p.Ref.Fingerprint {
			same += p.Stamp.Files
			delete(was, p.Prefix)
			continue
		}
		right = append(right, p)
	}
	for _, p := range old {
		if _, ok := was[p.Prefix]; ok {
			left = append(left, p)
		}
	}
	return left, right, same
}
