package fingerprint

import (
	"encoding/binary"
	"fmt"
	"math"
	"strings"
)

// collectionDomain begins a collection's document, and what is hashed for its
// fingerprint.
const collectionDomain = "stele collection v1\n"

// MaxMembers is the most members that one collection may have. Collections
// nest.
const MaxMembers = 100_000

// Member is an artifact in a collection: a tree, a single file, or another
// collection.
type Member struct {
	// Prefix is where the member's paths lie; see [CheckPath]. It has no '/' at
	// its end, and at most MaxPath-1 bytes.
	Prefix string
	// Fingerprint is the member's, under the collection's algorithm.
	Fingerprint Fingerprint
	// Files and Bytes are those of the member's own stamp. The collection binds
	// them as they are claimed here.
	Files, Bytes uint64
}

// Collection returns the fingerprint of members, which must be sorted by prefix
// followed by '/' (ErrOrder), none inside another (ErrOrder), all under a and at
// least one (ErrFormat): docs/formats/collection.md.
func Collection(a Algorithm, members []Member) (Fingerprint, error) {
	fp, err := collection(a, members)
	if err != nil {
		return Fingerprint{}, fmt.Errorf("collection: %w", err)
	}
	return fp, nil
}

func collection(a Algorithm, members []Member) (Fingerprint, error) {
	mustBeValid(a)
	if len(members) == 0 || len(members) > MaxMembers {
		return Fingerprint{}, fmt.Errorf("%w: %d members, where 1 to %d are allowed", ErrFormat, len(members), MaxMembers)
	}
	t := searchTree{algorithm: a}
	var files, bytes uint64
	var last string
	var leaf []byte
	for i := range members {
		m := &members[i]
		key := m.Prefix + "/"
		if err := m.check(a, key, last); err != nil {
			return Fingerprint{}, err
		}
		if m.Files > math.MaxUint64-files || m.Bytes > math.MaxUint64-bytes {
			return Fingerprint{}, fmt.Errorf("member %s: %w: more than 2^64-1 files or bytes in all", quote(m.Prefix), ErrFormat)
		}
		files += m.Files
		bytes += m.Bytes
		leaf = m.append(append(leaf[:0], leafByte), key)
		t.add(a.Sum(leaf), key, false)
		last = key
	}
	b := binary.BigEndian.AppendUint64([]byte(collectionDomain), uint64(len(members)))
	b = binary.BigEndian.AppendUint64(b, files)
	b = binary.BigEndian.AppendUint64(b, bytes)
	root := t.root()
	return Fingerprint{a, a.Sum(append(b, root[:]...))}, nil
}

// check reports why a member cannot follow the one whose key is last.
func (m *Member) check(a Algorithm, key, last string) error {
	switch {
	case len(key) > MaxPath:
		return pathError(m.Prefix, fmt.Sprintf("as a prefix it has %d bytes, more than %d", len(m.Prefix), MaxPath-1))
	case m.Fingerprint.Algorithm != a:
		return fmt.Errorf("member %s: %w: %v in a collection under %v", quote(m.Prefix), ErrFormat, m.Fingerprint, a)
	// Whatever begins with a key stands right behind it, so that the one
	// before is all there is to look at.
	case last != "" && strings.HasPrefix(key, last):
		return fmt.Errorf("member %s: %w: it lies in the member before", quote(m.Prefix), ErrOrder)
	case key < last:
		return fmt.Errorf("member %s: %w: it follows %s", quote(m.Prefix), ErrOrder, quote(strings.TrimSuffix(last, "/")))
	}
	return CheckPath(m.Prefix)
}

// append appends text(name) ‖ uvarint(files) ‖ uvarint(bytes) ‖ fingerprint.
func (m *Member) append(b []byte, name string) []byte {
	b = appendText(b, name)
	b = binary.AppendUvarint(b, m.Files)
	b = binary.AppendUvarint(b, m.Bytes)
	return append(b, m.Fingerprint.Sum[:]...)
}

// MarshalCollection returns the only document that lists these members. Errors
// are those of [Collection].
func MarshalCollection(a Algorithm, members []Member) ([]byte, error) {
	if _, err := Collection(a, members); err != nil {
		return nil, err
	}
	b := append([]byte(collectionDomain), byte(a))
	b = binary.BigEndian.AppendUint64(b, uint64(len(members)))
	for i := range members {
		b = members[i].append(b, members[i].Prefix)
	}
	return b, nil
}

// ParseCollection reads a document and nothing else, and returns its members
// and its fingerprint. Where want is not zero, the fingerprint must be that
// (ErrMismatch). Other errors are ErrFormat, ErrTruncated, ErrOrder and ErrPath.
// Nothing of data is kept.
func ParseCollection(data []byte, want Fingerprint) ([]Member, Fingerprint, error) {
	d := decoder{what: "collection", data: data}
	d.domain(collectionDomain)
	a := d.algorithm()
	n := d.u64()
	if n > MaxMembers {
		d.fail(ErrFormat, fmt.Sprintf("%d members, more than %d", n, MaxMembers))
	}
	var members []Member
	for i := uint64(0); i < n && d.err == nil; i++ {
		var m Member
		m.Prefix = d.path()
		m.Files = d.uvarint()
		m.Bytes = d.uvarint()
		m.Fingerprint = Fingerprint{a, d.digest()}
		members = append(members, m)
	}
	if err := d.end(); err != nil {
		return nil, Fingerprint{}, err
	}
	fp, err := Collection(a, members)
	if err != nil {
		return nil, Fingerprint{}, err
	}
	if !want.IsZero() && fp != want {
		return nil, Fingerprint{}, fmt.Errorf("collection: its fingerprint %v %w %v", fp, ErrMismatch, want)
	}
	return members, fp, nil
}
