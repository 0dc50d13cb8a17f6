package collection

import (
	"strings"

	"github.com/stele-ml/stele/fingerprint"
)

// Trees makes the fingerprint of each part from all the files of a place,
// in path order, and keeps count of those that lie in none.
type Trees struct {
	parts     []Part
	algorithm fingerprint.Algorithm
	trees     []*fingerprint.Tree // nil until the part's first file
	Outside   fingerprint.Summary // files and bytes that lie in no part; nothing else is set
}

// NewTrees begins with no file.
func NewTrees(a fingerprint.Algorithm, parts []Part) *Trees {
	return &Trees{parts: parts, algorithm: a, trees: make([]*fingerprint.Tree, len(parts))}
}

// Add takes the next file, in path order.
func (t *Trees) Add(f fingerprint.File) error {
	i, ok := Within(t.parts, f.Path)
	if !ok {
		t.Outside.Files++
		t.Outside.Bytes += f.Size
		return nil
	}
	if t.trees[i] == nil {
		t.trees[i] = fingerprint.NewTree(t.algorithm)
	}
	f.Path = strings.TrimPrefix(f.Path, t.parts[i].Key())
	return t.trees[i].Add(f)
}

// Found is what lies below a part's prefix.
func (t *Trees) Found(i int) (fingerprint.Summary, error) {
	if t.trees[i] == nil {
		t.trees[i] = fingerprint.NewTree(t.algorithm)
	}
	return t.trees[i].Summary()
}

// Contents puts together what was found below each prefix: the fingerprint
// that the collection would have of it.
func (n *Node) Contents(t *Trees) (fingerprint.Member, error) {
	found := fingerprint.Member{}
	if len(n.Members) == 0 {
		s, err := t.Found(n.First)
		return fingerprint.Member{Fingerprint: s.Fingerprint(t.algorithm), Files: s.Files, Bytes: s.Bytes}, err
	}
	var members []fingerprint.Member
	for i, m := range n.Members {
		inner, err := m.Contents(t)
		if err != nil {
			return found, err
		}
		inner.Prefix = n.Stamp.Members[i].Prefix
		members = append(members, inner)
		found.Files += inner.Files
		found.Bytes += inner.Bytes
	}
	var err error
	found.Fingerprint, err = fingerprint.Collection(t.algorithm, members)
	return found, err
}
