package fingerprint

import (
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
)

// pathProofDomain begins a path proof.
const pathProofDomain = "stele path proof v1\n"

// MaxPathProof is the most bytes that a path proof may have, more than 64 steps
// with the longest paths need.
const MaxPathProof = 300_000

// PathProof shows that a tree holds a file of some name, size and digest, or
// that it holds none of that name: docs/formats/path-proof.md. It proves
// nothing until Verify has returned no error.
type PathProof struct {
	algorithm Algorithm
	path      string
	files     uint64
	bytes     uint64
	steps     []step // from the root down
	leaf      File   // that the search ends at; none if files is 0
}

// PathResult is what a path proof shows.
type PathResult struct {
	// Present says whether the tree holds the path.
	Present bool
	// Index is the file's place in the order of paths, from 0, if present.
	Index uint64
	// File has the path, size and digest, if present. Its chunks are not
	// proven by this and so are nil.
	File File
}

// ProvePath makes the proof for path from the files of a tree in the order of
// their paths, in one pass and memory of O(log n). Errors are those of files
// and of [Tree.Add], and ErrPath for a path that no tree may hold.
func ProvePath(a Algorithm, files iter.Seq2[File, error], path string) (*PathProof, error) {
	if err := CheckPath(path); err != nil {
		return nil, fmt.Errorf("prove path: %w", err)
	}
	p := &PathProof{algorithm: a, path: path}
	t := NewTree(a)
	t.nodes.watch = &watch{height: -1}
	for f, err := range files {
		if err == nil {
			err = f.check(a)
		}
		// The search ends at the greatest path that is not greater than the
		// one in question, or at the first.
		watched := t.nodes.count == 0 || f.Path <= path
		if err == nil {
			err = t.add(&f, watched)
		}
		if err != nil {
			return nil, fmt.Errorf("prove path %s: %w", quote(path), err)
		}
		if watched {
			p.leaf = File{Path: f.Path, Size: f.Size, Digest: f.Digest}
		}
	}
	s := t.summary()
	p.files, p.bytes = s.Files, s.Bytes
	p.steps = t.nodes.watch.steps
	slices.Reverse(p.steps)
	return p, nil
}

// Path returns the path in question.
func (p *PathProof) Path() string { return p.path }

// Disclosed returns the paths of other files that the proof discloses, in order.
func (p *PathProof) Disclosed() []string {
	var out []string
	for i := range p.steps {
		out = append(out, p.steps[i].split)
	}
	if p.files > 0 {
		out = append(out, p.leaf.Path)
	}
	slices.Sort(out)
	return slices.DeleteFunc(slices.Compact(out), func(s string) bool { return s == p.path })
}

// Verify checks the proof against a fingerprint known from elsewhere and says
// what it shows. A proof that does not hold is ErrMismatch, and no result.
func (p *PathProof) Verify(fp Fingerprint) (PathResult, error) {
	r, err := p.verify(fp)
	if err != nil {
		return PathResult{}, fmt.Errorf("path proof for %s: %w", quote(p.path), err)
	}
	return r, nil
}

func (p *PathProof) verify(fp Fingerprint) (PathResult, error) {
	if !p.algorithm.Valid() {
		return PathResult{}, fmt.Errorf("%w: %v", ErrFormat, p.algorithm)
	}
	if p.algorithm != fp.Algorithm {
		return PathResult{}, fmt.Errorf("its hash %v %w %v", p.algorithm, ErrMismatch, fp)
	}
	index, err := p.search()
	if err != nil {
		return PathResult{}, err
	}
	if got := (Summary{p.files, p.bytes, p.root()}).Fingerprint(p.algorithm); got != fp {
		return PathResult{}, fmt.Errorf("the fingerprint it leads to %w: %v, not %v", ErrMismatch, got, fp)
	}
	if p.files == 0 || p.leaf.Path != p.path {
		return PathResult{}, nil
	}
	return PathResult{Present: true, Index: index, File: p.leaf}, nil
}

// search walks the splits down and returns the index of the leaf. It checks
// everything but the hashes.
func (p *PathProof) search() (index uint64, err error) {
	if p.files == 0 {
		if p.bytes != 0 {
			return 0, fmt.Errorf("%d bytes %w no files", p.bytes, ErrMismatch)
		}
		return 0, nil
	}
	// The subtree's paths are at least lo, once the search has gone right, and
	// less than hi, once it has gone left.
	var lo, hi string
	steps := p.steps
	for n := p.files; n > 1; steps = steps[1:] {
		if len(steps) == 0 {
			return 0, fmt.Errorf("%w: too few steps for %d files", ErrFormat, p.files)
		}
		split := steps[0].split
		if split <= lo || hi != "" && split >= hi {
			return 0, fmt.Errorf("the order of its splits %w a sorted tree: %s", ErrMismatch, quote(split))
		}
		if k := splitPoint(n); p.path < split {
			hi, n = split, k
		} else {
			lo, n = split, n-k
			index += k
		}
	}
	leaf := &p.leaf
	switch {
	case len(steps) != 0:
		return 0, fmt.Errorf("%w: too many steps for %d files", ErrFormat, p.files)
	// The leaf is the first of the last subtree entered to the right.
	case lo != "" && leaf.Path != lo, hi != "" && leaf.Path >= hi:
		return 0, fmt.Errorf("its leaf %s %w the splits of a sorted tree", quote(leaf.Path), ErrMismatch)
	case leaf.Size > p.bytes, p.files == 1 && leaf.Size != p.bytes:
		return 0, fmt.Errorf("a file of %d bytes %w %d bytes in %d files", leaf.Size, ErrMismatch, p.bytes, p.files)
	}
	return index, nil
}

// root computes the root from the leaf up. The steps are as many as search
// found.
func (p *PathProof) root() Digest {
	if p.files == 0 {
		return p.algorithm.Sum(nil)
	}
	t := searchTree{algorithm: p.algorithm}
	cur := p.algorithm.Sum(appendLeaf(nil, p.leaf.Path, p.leaf.Size, &p.leaf.Digest))
	for i := len(p.steps) - 1; i >= 0; i-- {
		if s := &p.steps[i]; p.path < s.split {
			cur = t.join(&cur, &s.other, s.split)
		} else {
			cur = t.join(&s.other, &cur, s.split)
		}
	}
	return cur
}

// MarshalBinary returns the proof's only encoding.
func (p *PathProof) MarshalBinary() ([]byte, error) {
	if !p.algorithm.Valid() {
		return nil, fmt.Errorf("path proof: %w: %v", ErrFormat, p.algorithm)
	}
	b := append([]byte(pathProofDomain), byte(p.algorithm))
	b = appendText(b, p.path)
	b = binary.BigEndian.AppendUint64(b, p.files)
	b = binary.BigEndian.AppendUint64(b, p.bytes)
	for i := range p.steps {
		b = appendText(b, p.steps[i].split)
		b = append(b, p.steps[i].other[:]...)
	}
	if p.files > 0 {
		// The leaf is written as it is hashed, without its first byte.
		b = append(b, appendLeaf(nil, p.leaf.Path, p.leaf.Size, &p.leaf.Digest)[1:]...)
	}
	return b, nil
}

// UnmarshalBinary reads what MarshalBinary writes and nothing else. It keeps
// nothing of data. Errors are ErrFormat and ErrTruncated. What it has read is
// not verified.
func (p *PathProof) UnmarshalBinary(data []byte) error {
	if len(data) > MaxPathProof {
		return fmt.Errorf("path proof: %w: %d bytes, more than %d", ErrFormat, len(data), MaxPathProof)
	}
	d := decoder{what: "path proof", data: data}
	d.domain(pathProofDomain)
	var q PathProof
	q.algorithm = d.algorithm()
	q.path = d.path()
	q.files = d.u64()
	q.bytes = d.u64()
	for n := q.files; n > 1 && d.err == nil; {
		s := step{d.path(), d.digest()}
		q.steps = append(q.steps, s)
		if k := splitPoint(n); q.path < s.split {
			n = k
		} else {
			n -= k
		}
	}
	if q.files > 0 {
		q.leaf = File{Path: d.path(), Size: d.size(), Digest: d.digest()}
	}
	if err := d.end(); err != nil {
		return err
	}
	*p = q
	return nil
}
