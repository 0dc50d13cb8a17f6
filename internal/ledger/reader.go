package ledger

import (
	"bytes"
	"encoding/binary"
)

// Pair is a key of a store with its value: docs/formats/store.md.
type Pair struct{ Key, Value []byte }

// Reader reads one store: the database on this machine, or a server's over the
// network. It is called from many goroutines at once. What was there stays, and
// is the same, so that two reads need no common moment; tiles alone grow. What a
// Reader returns is not changed by it later, and belongs to whoever asked.
//
// A View believes a Reader. One that reads what others keep checks what it is
// given, and fails with an error of its own where that cannot be right.
type Reader interface {
	// Get returns the value of a key; ok is false if there is none.
	Get(key []byte) (value []byte, ok bool, err error)

	// Page returns the first pairs whose keys are in [lower, upper), in the order
	// of their keys: as many as limit, or fewer where they are large. More says
	// that there may be others after them, and never stands after none.
	Page(lower, upper []byte, limit int) (pairs []Pair, more bool, err error)

	// Last returns the pair of the greatest key in [lower, upper); ok is false if
	// there is none.
	Last(lower, upper []byte) (p Pair, ok bool, err error)
}

// IndexVersion is the version of the index that this program reads and writes:
// of the families of keys that follow from the entries. A Reader's store must be
// of the same.
const IndexVersion = indexVersion

// reads is a Reader as a View uses it.
type reads struct{ Reader }

func (r reads) get(key []byte) (value []byte, ok bool, err error) { return r.Get(key) }

func (r reads) page(lower, upper []byte, limit int) (pairs []Pair, more bool, err error) {
	return r.Page(lower, upper, limit)
}

func (r reads) last(lower, upper []byte) (p Pair, ok bool, err error) { return r.Last(lower, upper) }

// Pages of a scan: the first is small, for callers who want one or two.
const (
	firstPage = 8
	lastPage  = 512
	pageBytes = 4 << 20
)

// scan calls fn for each key in [lower, upper), until it returns false. It
// reads in pages and holds nothing while fn runs, so fn may read too.
func (r reads) scan(lower, upper []byte, fn func(key, value []byte) bool) error {
	for page := firstPage; ; page = min(page*4, lastPage) {
		pairs, more, err := r.Page(lower, upper, page)
		if err != nil {
			return err
		}
		for _, p := range pairs {
			if !fn(p.Key, p.Value) {
				return nil
			}
		}
		if !more {
			return nil
		}
		lower = append(bytes.Clone(pairs[len(pairs)-1].Key), 0)
	}
}

// EntryKey returns which entry a key of the store is that of; ok is false for
// every other key.
func EntryKey(key []byte) (index uint64, ok bool) { return numbered(key, famEntry) }

// CheckpointKey returns of which size a key of the store has the checkpoint; ok is
// false for every other key.
func CheckpointKey(key []byte) (size uint64, ok bool) { return numbered(key, famCheckpoint) }

// TileKey returns which tile a key of the store is that of; ok is false for every
// other key.
func TileKey(key []byte) (level int, n uint64, ok bool) {
	if len(key) != 1+1+8 || key[0] != famTile {
		return 0, 0, false
	}
	return int(key[1]), binary.BigEndian.Uint64(key[2:]), true
}

func numbered(key []byte, fam byte) (uint64, bool) {
	n, err := lastU64(key, []byte{fam})
	return n, err == nil
}

// Keys of the store, for Readers of others' stores.

// KeyOfEntry returns the key of an entry.
func KeyOfEntry(index uint64) []byte { return entryKey(index) }

// KeyOfTile returns the key of a tile.
func KeyOfTile(level int, n uint64) []byte { return tileKey(level, n) }
