package statement

import (
	"cmp"
	"slices"

	"github.com/stele-ml/stele/fingerprint"
)

// wireMember is an in-toto subject with where it lies and what its stamp says.
type wireMember struct {
	Prefix string     `json:"prefix"`
	Name   string     `json:"name"`
	Digest wireDigest `json:"digest"`
	Files  uint64     `json:"files"`
	Bytes  uint64     `json:"bytes"`
}

func decodeMembers(list []wireMember) ([]CollectionMember, error) {
	if len(list) > MaxMembers {
		return nil, malformed("stamp: %d members, at most %d are allowed", len(list), MaxMembers)
	}
	var members []CollectionMember
	for _, w := range list {
		ref, err := wireRef{w.Name, w.Digest}.ref()
		if err != nil {
			return nil, err
		}
		members = append(members, CollectionMember{w.Prefix, ref, w.Files, w.Bytes})
	}
	return members, nil
}

// wireMembers returns them in the order of a collection's.
func wireMembers(members []CollectionMember) []wireMember {
	var list []wireMember
	for _, m := range sortedMembers(members) {
		list = append(list, wireMember{m.Prefix, m.Ref.String(), digestOf(m.Ref.Fingerprint), m.Files, m.Bytes})
	}
	return list
}

func sortedMembers(members []CollectionMember) []CollectionMember {
	return slices.SortedFunc(slices.Values(members), func(a, b CollectionMember) int { return cmp.Compare(a.Prefix+"/", b.Prefix+"/") })
}

// Collection returns the fingerprint of a collection of the members, in any
// order, and the sums of their files and bytes: what a stamp of it says. It is
// an ErrFormat if they make none: [fingerprint.Collection].
func Collection(a fingerprint.Algorithm, members []CollectionMember) (fp fingerprint.Fingerprint, files, bytes uint64, err error) {
	if len(members) > MaxMembers {
		return fp, 0, 0, refuse(ErrFormat, "stamp collections of them, and collect those",
			"stamp: %d members, at most %d are allowed", len(members), MaxMembers)
	}
	var list []fingerprint.Member
	for _, m := range sortedMembers(members) {
		list = append(list, fingerprint.Member{Prefix: m.Prefix, Fingerprint: m.Ref.Fingerprint, Files: m.Files, Bytes: m.Bytes})
		files += m.Files
		bytes += m.Bytes
	}
	if fp, err = fingerprint.Collection(a, list); err != nil {
		return fp, 0, 0, malformed("stamp: %w", err)
	}
	return fp, files, bytes, nil
}

// checkMembers holds a collection to what its members make of it: the statement
// alone shows that the fingerprint is theirs.
func (s *Stamp) checkMembers(self Ref) error {
	for _, m := range s.Members {
		if err := CheckText("stamp: prefix", m.Prefix, MaxPrefix); err != nil {
			return err
		}
		if err := m.Ref.check(); err != nil {
			return err
		}
		if m.Ref.is(self) {
			return malformed("stamp: %s is a member of itself", self)
		}
		for _, n := range []uint64{m.Files, m.Bytes} {
			if err := checkInteger("stamp: member "+m.Ref.String(), n, 0); err != nil {
				return err
			}
		}
	}
	fp, files, bytes, err := Collection(self.Fingerprint.Algorithm, s.Members)
	switch {
	case err != nil:
		return err
	case fp != self.Fingerprint:
		return malformed("stamp: %s is %s, its members' collection %s", self, self.Fingerprint, fp)
	case files != s.Files || bytes != s.Bytes:
		return malformed("stamp: %d files, %d bytes; the members have %d files, %d bytes", s.Files, s.Bytes, files, bytes)
	case len(s.Ignore) > 0 || s.Listed:
		return malformed("stamp: a collection has no ignore rules and no list of files")
	}
	return nil
}

// check demands that every file is accounted for once.
func (c *Changes) check(s *Stamp) error {
	if s.Since == nil {
		return malformed("stamp: changes since no earlier version")
	}
	for _, n := range []uint64{c.Same, c.Modified, c.Added, c.Removed, c.Moved} {
		if err := checkInteger("stamp: changes", n, 0); err != nil {
			return err
		}
	}
	if now := c.Same + c.Modified + c.Added + c.Moved; now != s.Files {
		return malformed("stamp: the changes account for %d files of %d", now, s.Files)
	}
	return nil
}
