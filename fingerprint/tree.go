package fingerprint

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
)

// treeDomain begins what is hashed for a tree's fingerprint.
const treeDomain = "stele fingerprint v1\n"

// The first byte of what is hashed for a leaf and for a node, in the manifest
// tree as in the chunk tree: RFC 6962, section 2.1.
const (
	leafByte = 0
	nodeByte = 1
)

// Summary is what a tree's fingerprint is made of.
type Summary struct {
	Files uint64 // leaves
	Bytes uint64 // the sum of their sizes
	Root  Digest
}

// Fingerprint returns H("stele fingerprint v1\n" ‖ u64be(files) ‖ u64be(bytes) ‖
// root). It panics if a is not valid.
func (s Summary) Fingerprint(a Algorithm) Fingerprint {
	var buf [len(treeDomain) + 16 + len(s.Root)]byte
	b := append(buf[:0], treeDomain...)
	b = binary.BigEndian.AppendUint64(b, s.Files)
	b = binary.BigEndian.AppendUint64(b, s.Bytes)
	b = append(b, s.Root[:]...)
	return Fingerprint{a, a.Sum(b)}
}

// Tree computes a fingerprint from files in the order of their paths, in memory
// of O(log n).
type Tree struct {
	algorithm Algorithm
	nodes     searchTree
	bytes     uint64
	last      string
	leaf      []byte // scratch
}

// NewTree returns an empty tree. It panics if a is not valid.
func NewTree(a Algorithm) *Tree {
	mustBeValid(a)
	return &Tree{algorithm: a, nodes: searchTree{algorithm: a}}
}

// Add appends a file, whose path must be greater than the last one's
// (ErrOrder). Chunks may be missing; where they are given they must match the
// digest (ErrMismatch). After an error the tree is as it was.
func (t *Tree) Add(f File) error {
	if err := f.check(t.algorithm); err != nil {
		return err
	}
	return t.add(&f, false)
}

// add is Add for a file whose size and chunks are known to be right. Where
// watched, the proof's steps are collected for this leaf.
func (t *Tree) add(f *File, watched bool) error {
	if err := CheckPath(f.Path); err != nil {
		return err
	}
	if err := checkOrder(t.nodes.count, t.last, f.Path); err != nil {
		return err
	}
	if f.Size > math.MaxUint64-t.bytes {
		return fmt.Errorf("file %s: %w: more than 2^64-1 bytes in all", quote(f.Path), ErrFormat)
	}
	t.leaf = appendLeaf(t.leaf[:0], f.Path, f.Size, &f.Digest)
	t.nodes.add(t.algorithm.Sum(t.leaf), f.Path, watched)
	t.bytes += f.Size
	t.last = f.Path
	return nil
}

// Summary returns the summary of the files added so far. The root of none is
// H(""). It has no error today.
func (t *Tree) Summary() (Summary, error) { return t.summary(), nil }

func (t *Tree) summary() Summary {
	return Summary{Files: t.nodes.count, Bytes: t.bytes, Root: t.nodes.root()}
}

// checkOrder reports why path cannot follow last, the one of count paths before.
func checkOrder(count uint64, last, path string) error {
	if count == 0 || last < path {
		return nil
	}
	if last == path {
		return fmt.Errorf("path %s: %w: it occurs twice", quote(path), ErrOrder)
	}
	return fmt.Errorf("path %s: %w: it follows %s", quote(path), ErrOrder, quote(last))
}

// appendLeaf appends 0x00 ‖ uvarint(len(path)) ‖ path ‖ uvarint(size) ‖ digest.
func appendLeaf(b []byte, path string, size uint64, digest *Digest) []byte {
	return append(binary.AppendUvarint(appendText(append(b, leafByte), path), size), digest[:]...)
}

// appendText appends uvarint(len(s)) ‖ s.
func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// searchTree has the shape of RFC 6962, section 2.1, and nodes that name the
// first key of their right side. It keeps one complete subtree for each set bit
// of count.
type searchTree struct {
	algorithm Algorithm
	count     uint64
	stack     [64]subtree // by height
	buf       []byte      // scratch
	watch     *watch
}

type subtree struct {
	hash  Digest
	first string // key of its first leaf
}

// watch collects the steps of a proof for one leaf, from the leaf up.
type watch struct {
	height int // of the subtree on the stack that holds the leaf; -1: none
	steps  []step
}

// step is one node on the way down: its split, and the hash of the side not
// taken.
type step struct {
	split string
	other Digest
}

// join returns the node over two neighbours,
// H(0x01 ‖ left ‖ right ‖ uvarint(len(split)) ‖ split).
func (t *searchTree) join(left, right *Digest, split string) Digest {
	b := append(t.buf[:0], nodeByte)
	b = append(b, left[:]...)
	b = append(b, right[:]...)
	t.buf = appendText(b, split)
	return t.algorithm.Sum(t.buf)
}

// add appends a leaf. If it is watched, it takes the place of the one watched
// before.
func (t *searchTree) add(leaf Digest, key string, watched bool) {
	if watched {
		t.watch.steps = t.watch.steps[:0]
		t.watch.height = -1
	}
	cur := subtree{leaf, key}
	h := 0
	for ; t.count&(1<<h) != 0; h++ {
		left := &t.stack[h]
		watched = t.step(watched, h, left, &cur)
		cur = subtree{t.join(&left.hash, &cur.hash, cur.first), left.first}
		left.first = "" // let it be collected
	}
	t.stack[h] = cur
	t.count++
	if watched {
		t.watch.height = h
	}
}

// step notes the node over left, on the stack at height h, and right, if one of
// them holds the watched leaf. It reports whether one does.
func (t *searchTree) step(inRight bool, h int, left, right *subtree) bool {
	switch {
	case inRight:
		t.watch.steps = append(t.watch.steps, step{right.first, left.hash})
	case t.watch != nil && t.watch.height == h:
		t.watch.steps = append(t.watch.steps, step{right.first, right.hash})
	default:
		return false
	}
	return true
}

// root folds the subtrees, the smallest first. It completes the watched steps,
// and leaves all else as it is.
func (t *searchTree) root() Digest {
	if t.count == 0 {
		return t.algorithm.Sum(nil)
	}
	left := t.count
	h := bits.TrailingZeros64(left)
	cur := t.stack[h]
	watched := t.watch != nil && t.watch.height == h
	for left &= left - 1; left != 0; left &= left - 1 {
		h = bits.TrailingZeros64(left)
		watched = t.step(watched, h, &t.stack[h], &cur)
		cur = subtree{t.join(&t.stack[h].hash, &cur.hash, cur.first), t.stack[h].first}
	}
	return cur.hash
}

// splitPoint returns the greatest power of two smaller than n, where RFC 6962
// cuts a tree of n > 1 leaves.
func splitPoint(n uint64) uint64 { return 1 << (bits.Len64(n-1) - 1) }

// chunkTree computes the RFC 6962 tree over chunk digests. It keeps one
// complete subtree for each set bit of count.
type chunkTree struct {
	algorithm Algorithm
	count     uint64
	stack     [29]Digest // by height: MaxFileSize is 2^28 chunks
}

func (a Algorithm) chunkLeaf(chunk *Digest) Digest {
	var b [1 + len(chunk)]byte
	b[0] = leafByte
	copy(b[1:], chunk[:])
	return a.Sum(b[:])
}

func (a Algorithm) chunkNode(left, right *Digest) Digest {
	var b [1 + len(left) + len(right)]byte
	b[0] = nodeByte
	copy(b[1:], left[:])
	copy(b[1+len(left):], right[:])
	return a.Sum(b[:])
}

func (t *chunkTree) add(chunk *Digest) {
	cur := t.algorithm.chunkLeaf(chunk)
	h := 0
	for ; t.count&(1<<h) != 0; h++ {
		cur = t.algorithm.chunkNode(&t.stack[h], &cur)
	}
	t.stack[h] = cur
	t.count++
}

// root folds the subtrees of at least one chunk.
func (t *chunkTree) root() Digest {
	left := t.count
	cur := t.stack[bits.TrailingZeros64(left)]
	for left &= left - 1; left != 0; left &= left - 1 {
		cur = t.algorithm.chunkNode(&t.stack[bits.TrailingZeros64(left)], &cur)
	}
	return cur
}

func (a Algorithm) chunkRoot(chunks []Digest) Digest {
	t := chunkTree{algorithm: a}
	for i := range chunks {
		t.add(&chunks[i])
	}
	return t.root()
}

func mustBeValid(a Algorithm) {
	if !a.Valid() {
		panic("fingerprint: " + a.String())
	}
}

// sharedPrefix returns how many bytes two paths have in common at their start.
func sharedPrefix(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}
