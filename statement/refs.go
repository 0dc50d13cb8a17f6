package statement

import (
	"cmp"
	"slices"

	"github.com/stele-ml/stele/fingerprint"
)

// wireRef is an artifact within a predicate: an in-toto subject, like the
// statement's own, but of one form, so that it needs no map.
type wireRef struct {
	Name   string     `json:"name"`
	Digest wireDigest `json:"digest"`
}

// wireDigest is the DigestSet of a fingerprint. Exactly one is not empty.
type wireDigest struct {
	SHA256 string `json:"stele-sha256,omitzero"`
	BLAKE3 string `json:"stele-blake3,omitzero"`
}

func digestOf(f fingerprint.Fingerprint) wireDigest {
	if f.Algorithm == fingerprint.BLAKE3 {
		return wireDigest{BLAKE3: f.Sum.String()}
	}
	return wireDigest{SHA256: f.Sum.String()}
}

// fingerprint reads the digest of that name.
func (d wireDigest) fingerprint(name string) (f fingerprint.Fingerprint, err error) {
	switch {
	case d.SHA256 != "" && d.BLAKE3 == "":
		f.Algorithm = fingerprint.SHA256
		return f, decodeHex(f.Sum[:], "fingerprint", d.SHA256)
	case d.BLAKE3 != "" && d.SHA256 == "":
		f.Algorithm = fingerprint.BLAKE3
		return f, decodeHex(f.Sum[:], "fingerprint", d.BLAKE3)
	}
	return f, malformed("%s: want one digest, %s or %s", quote(name), keyOf(fingerprint.SHA256), keyOf(fingerprint.BLAKE3))
}

func keyOf(a fingerprint.Algorithm) string { return fingerprint.Fingerprint{Algorithm: a}.Key() }

func wireOf(r Ref) wireRef { return wireRef{r.String(), digestOf(r.Fingerprint)} }

func (w wireRef) ref() (r Ref, err error) {
	if r.Name, r.Version, err = ParseNameVersion(w.Name); err != nil {
		return Ref{}, err
	}
	r.Fingerprint, err = w.Digest.fingerprint(w.Name)
	return r, err
}

// wireRefs returns the artifacts in the order of the wire, or nil.
func wireRefs(refs []Ref) []wireRef {
	if len(refs) == 0 {
		return nil
	}
	list := make([]wireRef, len(refs))
	for i, ref := range refs {
		list[i] = wireOf(ref)
	}
	slices.SortFunc(list, func(a, b wireRef) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// parseRefs reads a list of artifacts.
func parseRefs(what string, list []wireRef, max int) ([]Ref, error) {
	if len(list) == 0 {
		return nil, nil
	}
	if len(list) > max {
		return nil, malformed("%s: %d artifacts, at most %d are allowed", what, len(list), max)
	}
	refs := make([]Ref, len(list))
	for i, w := range list {
		var err error
		if refs[i], err = w.ref(); err != nil {
			return nil, err
		}
	}
	return refs, nil
}

// checkRefs checks a set of artifacts: each name and version once, all under
// the hash.
func checkRefs(what string, refs []Ref, max int, hash fingerprint.Algorithm) error {
	if len(refs) > max {
		return malformed("%s: %d artifacts, at most %d are allowed", what, len(refs), max)
	}
	seen := make(map[string]bool, len(refs))
	for _, ref := range refs {
		if err := ref.check(); err != nil {
			return err
		}
		name := ref.String()
		switch {
		case seen[name]:
			return malformed("%s: %s twice", what, name)
		case ref.Fingerprint.Algorithm != hash:
			return malformed("%s: %s has a fingerprint of another hash", what, name)
		}
		seen[name] = true
	}
	return nil
}
