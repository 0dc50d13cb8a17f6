// Package shard shares one scan out among several machines: each scans its part
// of the paths and writes a shard file, and the parts are merged into the files
// that one scan would have given.
package shard

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"

	"github.com/stele-ml/stele/fingerprint"
)

// MaxCount is the most shards that a scan may be shared out among. All shard
// files are open at once when they are merged.
const MaxCount = 4096

// ErrParts: shard files that are not the parts of one scan, or not all of them.
var ErrParts = errors.New("not the parts of one scan")

// Part is one of Count shards, Index of them from 0. The zero Part is no shard.
type Part struct{ Index, Count uint32 }

// Valid reports whether there is such a part.
func (p Part) Valid() bool { return p.Index < p.Count && p.Count <= MaxCount }

// String writes a part as people count: "1/16" is the first of 16.
func (p Part) String() string { return fmt.Sprintf("%d/%d", p.Index+1, p.Count) }

// Holds reports whether a path belongs to the part: the first 8 bytes of its
// SHA-256, big-endian, leave the remainder Index when divided by Count.
func (p Part) Holds(path string) bool {
	sum := sha256.Sum256([]byte(path))
	return binary.BigEndian.Uint64(sum[:])%uint64(p.Count) == uint64(p.Index)
}

// Listing is what a scan listed, before its part was chosen. Two listings are
// the same exactly if their paths are.
type Listing struct {
	Files  uint64
	Digest fingerprint.Digest
}

// listingDomain begins what is hashed for a Listing's digest.
const listingDomain = "stele listing v1\n"

// Lister makes a Listing: the SHA-256 of its domain and, for each path in
// order, uvarint(length) ‖ path.
type Lister struct {
	files uint64
	hash  hash.Hash
	buf   []byte
}

// NewLister returns a Lister that has seen nothing.
func NewLister() *Lister {
	l := &Lister{hash: sha256.New()}
	l.hash.Write([]byte(listingDomain))
	return l
}

// Add takes the next path, in the order of the listing.
func (l *Lister) Add(path string) {
	l.buf = append(binary.AppendUvarint(l.buf[:0], uint64(len(path))), path...)
	l.hash.Write(l.buf)
	l.files++
}

// Listing returns what the paths so far come to.
func (l *Lister) Listing() Listing {
	return Listing{l.files, fingerprint.Digest(l.hash.Sum(nil))}
}
