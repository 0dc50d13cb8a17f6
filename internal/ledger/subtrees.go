package ledger

import (
	"sync/atomic"

	"golang.org/x/mod/sumdb/tlog"
)

// subtrees remembers hashes of whole subtrees of the log. Once its last leaf is
// committed a subtree never changes, whatever the size of the view that asks, so
// nothing is ever taken out but by another one in the same place. The proofs of
// entries that were committed together share most of their hashes, and each would
// otherwise be made from up to 128 hashes of a tile.
type subtrees [1 << 14]atomic.Pointer[subtree] // some 1 MB when full

type subtree struct {
	index int64 // tlog's number of a stored hash
	hash  tlog.Hash
}

func (s *subtrees) place(index int64) *atomic.Pointer[subtree] {
	return &s[uint64(index)%uint64(len(s))]
}

func (s *subtrees) get(index int64) (tlog.Hash, bool) {
	if t := s.place(index).Load(); t != nil && t.index == index {
		return t.hash, true
	}
	return tlog.Hash{}, false
}

func (s *subtrees) put(index int64, h tlog.Hash) {
	s.place(index).Store(&subtree{index, h})
}
