package oms

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
)

// The kinds of change that a comparison tells, beside those of package
// fingerprint.
const (
	// Linked: a file stands behind a symbolic link, and the signer said that there
	// were none.
	Linked = "linked"
)

// Change is one difference between a model and what was signed.
type Change struct {
	Path   string
	Change string // fingerprint.Modified, Added or Removed, or Linked
	// Ranges are the shards of a modified file that differ, merged, and what is
	// beyond the signed end; none where whole files were signed.
	Ranges []fingerprint.Range
}

// Ignored is a path that was left out of a comparison.
type Ignored struct {
	Path   string
	Here   bool // something stands there
	Folder bool // a folder, with all in it
	Rule   bool // the format leaves it out, and not the signer
}

// Result is how a model compares with what was signed. It is as signed if there
// are no Changes.
type Result struct {
	Files   uint64 // listed, found and the same
	Bytes   uint64 // of those
	Changes []Change
	Ignored []Ignored // sorted by path
	Links   uint64    // files behind symbolic links
	// Empty are files of no bytes, which a list of shards cannot hold: whether
	// they belong to the model is not known.
	Empty []string
	// Renamed is the name under which a model that is one file was signed, where
	// that is another. It is no change: the name is where somebody put it.
	Renamed string
	// Found is every file that was read, in path order, where
	// VerifyOptions.Tree was given.
	Found []Found
}

// Same reports whether the model is what was signed.
func (r *Result) Same() bool { return len(r.Changes) == 0 }

// VerifyOptions are choices about a comparison.
type VerifyOptions struct {
	Signature   string // path of the signature file itself in the model, which it never lists; or empty
	FollowLinks bool   // take what symbolic links lead to, also where the signer said that there are none
	Workers     int
	MaxRead     uint64
	Progress    *scan.Progress
	// Tree has the files that its rules leave fingerprinted, in the same reading.
	Tree *TreeOptions
}

// TreeOptions are of the fingerprint that is made beside a comparison.
type TreeOptions struct {
	Algorithm fingerprint.Algorithm
	Hides     source.Skip // always the same way
}

// Verify reads a model and compares it with what was signed: each file by its
// name. A file that is not listed, and not left out, is a change.
func (st *Statement) Verify(ctx context.Context, src source.Source, o VerifyOptions) (*Result, error) {
	here := map[string]bool{} // what the signer's own paths left out: whether it is a folder
	found, err := Read(ctx, src, ReadOptions{
		Skip: func(path string, folder bool) bool {
			return st.leavesOut(path, folder, o.Signature) && (o.Tree == nil || o.Tree.Hides(path, folder))
		},
		Hidden:  func(path string, folder bool) { here[path] = folder },
		Want:    func(path string) Want { return st.want(path, src.Single(), &o) },
		Workers: o.Workers, MaxRead: o.MaxRead, Progress: o.Progress,
	})
	if err != nil {
		return nil, err
	}
	c := st.compare(src.Single(), &o)
	for _, f := range found {
		c.take(&f)
	}
	r := c.end()
	st.tellIgnored(r, here, found)
	if o.Signature != "" { // it was looked at
		r.Ignored = slices.DeleteFunc(r.Ignored, func(i Ignored) bool { return i.Path == o.Signature })
	}
	if o.Tree != nil {
		r.Found = found
	}
	return r, nil
}

// leavesOut reports whether a path is none of what is compared.
func (st *Statement) leavesOut(path string, folder bool, signature string) bool {
	if folder {
		return st.ignores(path) && !st.below(path)
	}
	return st.files[path] == nil && (path == signature || st.ignores(path))
}

// want is what has to be known of a file.
func (st *Statement) want(path string, single bool, o *VerifyOptions) Want {
	var w Want
	switch {
	case st.listed(path, single) != nil:
		w.Hash, w.ShardSize = st.Hash, st.ShardSize
	case st.ShardSize > 0:
		w.Size = true
	}
	if o.Tree != nil && !o.Tree.Hides(path, false) {
		w.Tree = o.Tree.Algorithm
	}
	return w
}

// listed is what was signed of a file: where the model is one file, of that
// file, whatever its name.
func (st *Statement) listed(path string, single bool) *signed {
	if f := st.files[path]; f != nil || !single || len(st.paths) != 1 {
		return f
	}
	return st.files[st.paths[0]]
}

// comparison goes through the files of a model.
type comparison struct {
	st     *Statement
	o      *VerifyOptions
	single bool
	met    map[string]bool
	result Result
}

func (st *Statement) compare(single bool, o *VerifyOptions) *comparison {
	return &comparison{st: st, o: o, single: single, met: map[string]bool{}}
}

func (c *comparison) change(path, change string, ranges []fingerprint.Range) {
	c.result.Changes = append(c.result.Changes, Change{path, change, ranges})
}

// take compares a file.
func (c *comparison) take(f *Found) {
	if c.st.leavesOut(f.Path, false, c.o.Signature) {
		return // read for its fingerprint alone
	}
	if f.Linked {
		c.result.Links++
	}
	signed := c.st.listed(f.Path, c.single)
	switch {
	case signed == nil && c.st.ShardSize > 0 && f.Size == 0:
		c.result.Empty = append(c.result.Empty, f.Path)
		return
	case signed == nil:
		c.change(f.Path, fingerprint.Added, nil)
		return
	}
	name := f.Path
	if c.st.files[name] == nil { // one file, under another name
		name = c.st.paths[0]
		if name != "." {
			c.result.Renamed = name
		}
	}
	c.met[name] = true
	switch {
	case f.Linked && !c.st.AllowSymlinks && !c.o.FollowLinks:
		c.change(f.Path, Linked, nil)
	case !slices.EqualFunc(f.Digests, signed.digests, same):
		c.change(f.Path, fingerprint.Modified, c.st.differing(signed, f))
	default:
		c.result.Files++
		c.result.Bytes += f.Size
	}
}

// end adds the files that are missing.
func (c *comparison) end() *Result {
	for _, path := range c.st.paths {
		if !c.met[path] {
			c.change(path, fingerprint.Removed, nil)
		}
	}
	slices.SortFunc(c.result.Changes, func(a, b Change) int { return compareText(a.Path, b.Path) })
	return &c.result
}

func compareText(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// differing are the ranges of a file in shards that are not what was signed.
func (st *Statement) differing(s *signed, f *Found) []fingerprint.Range {
	if st.ShardSize == 0 {
		return nil
	}
	var list []fingerprint.Range
	add := func(start, end uint64) {
		if n := len(list); n > 0 && list[n-1].End == start {
			list[n-1].End = end
			return
		}
		list = append(list, fingerprint.Range{Start: start, End: end})
	}
	for i := range max(len(s.digests), len(f.Digests)) {
		if i < len(s.digests) && i < len(f.Digests) && same(s.digests[i], f.Digests[i]) {
			continue
		}
		start := uint64(i) * st.ShardSize
		add(start, min(start+st.ShardSize, max(s.size, f.Size)))
	}
	return list
}

// tellIgnored says what was left out, and what of it is there: what the listing
// skipped, and what was read for its fingerprint alone. A file that is listed is
// never left out.
func (st *Statement) tellIgnored(r *Result, here map[string]bool, found []Found) {
	isIgnored := func(path string) bool {
		_, is := slices.BinarySearch(st.Ignored, path)
		return is || slices.Contains(leftOut, path)
	}
	for _, f := range found {
		for p := f.Path; ; {
			if isIgnored(p) {
				here[p] = p != f.Path
			}
			i := strings.LastIndexByte(p, '/')
			if i < 0 {
				break
			}
			p = p[:i]
		}
	}
	tell := func(path string, rule bool) {
		folder, is := here[path]
		if st.files[path] == nil && (is || !rule) {
			r.Ignored = append(r.Ignored, Ignored{Path: path, Here: is, Folder: folder, Rule: rule})
		}
	}
	for _, path := range st.Ignored {
		tell(path, false)
	}
	for _, path := range leftOut {
		if _, is := slices.BinarySearch(st.Ignored, path); !is {
			tell(path, true)
		}
	}
	slices.SortFunc(r.Ignored, func(a, b Ignored) int { return compareText(a.Path, b.Path) })
}

// Compare compares files whose plain digests are known already with what was
// signed, which has to be whole files under that hash: ErrUnsupported. Files go
// in path order; single says that they are one file.
func (st *Statement) Compare(h Hash, files []Found, single bool) (*Result, error) {
	if st.ShardSize > 0 || st.Hash != h {
		return nil, unsupportedDigests(st, h)
	}
	c := st.compare(single, new(VerifyOptions))
	for _, f := range files {
		c.take(&f)
	}
	r := c.end()
	st.tellIgnored(r, map[string]bool{}, files)
	return r, nil
}

func unsupportedDigests(st *Statement, h Hash) error {
	what := string(st.Hash)
	if st.ShardSize > 0 {
		what += " of shards"
	}
	return fmt.Errorf("%w: it lists %s, and of the files %s is known", ErrUnsupported, what, h)
}
