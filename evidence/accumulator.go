package evidence

import (
	"slices"

	"golang.org/x/mod/sumdb/tlog"
)

// accumulator computes the RFC 6962 root of a growing tree from the hashes of
// its leaves, keeping only the roots of its perfect subtrees.
type accumulator struct {
	n     uint64
	roots []tlog.Hash // one for each bit set in n, the largest subtree first
}

func (a *accumulator) add(leaf tlog.Hash) {
	// Adding a leaf to n of them completes a subtree for each trailing one
	// bit of n, as a carry does in binary addition.
	for n := a.n; n&1 == 1; n >>= 1 {
		top := len(a.roots) - 1
		leaf = tlog.NodeHash(a.roots[top], leaf)
		a.roots = a.roots[:top]
	}
	a.roots = append(a.roots, leaf)
	a.n++
}

func (a *accumulator) root() tlog.Hash {
	if a.n == 0 {
		return EmptyRoot
	}
	h := a.roots[len(a.roots)-1]
	for i := len(a.roots) - 2; i >= 0; i-- {
		h = tlog.NodeHash(a.roots[i], h)
	}
	return h
}

func (a *accumulator) clone() accumulator {
	return accumulator{a.n, slices.Clone(a.roots)}
}
