package ledger

import (
	"testing"

	"golang.org/x/mod/sumdb/tlog"
)

// TestSubtreesGiveWayToAnother: two hashes for one place never stand for each other.
func TestSubtreesGiveWayToAnother(t *testing.T) {
	var s subtrees
	a, b := int64(7), int64(7+len(s))
	s.put(a, tlog.Hash{1})
	if _, ok := s.get(b); ok {
		t.Fatal("another's hash")
	}
	s.put(b, tlog.Hash{2})
	if _, ok := s.get(a); ok {
		t.Fatal("another's hash")
	}
	if h, ok := s.get(b); !ok || h != (tlog.Hash{2}) {
		t.Fatal(h, ok)
	}
}
