package evidence

import (
	"cmp"
	"fmt"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// paths checks what is claimed about the files behind the fingerprint.
func (c *verification) paths() {
	found := make(map[fileOf]fingerprint.File)
	gone := make(map[fileOf]bool)
	for _, p := range c.f.Claim.Paths {
		name := CheckPathAbsent
		if p.Present {
			name = CheckPathPresent
		}
		at, of := fileOf{p.Of, p.Path}, cmp.Or(p.Of, c.root.Ref.String())
		fp, err := c.filesOf(p.Of)
		var file fingerprint.File
		if err == nil {
			file, err = checkPath(fp, p)
		}
		detail := fmt.Sprintf("%+q is not among the files of %s", p.Path, of)
		switch {
		case err == nil && p.Present:
			found[at] = file
			detail = fmt.Sprintf("%+q is among the files of %s: %s, %s", p.Path, of, count(file.Size, "byte", "bytes"), fp.Algorithm.DigestText(file.Size, file.Digest))
		case err == nil:
			gone[at] = true
		}
		c.note(name, p.Of, p.Path, err, detail)
	}
	for _, r := range c.f.Claim.Ranges {
		file, ok := found[fileOf{r.Of, r.Path}]
		err := fmt.Errorf("%w: no proof that this file is there", ErrTampered)
		if ok {
			err = checkRange(c.root.Ref.Fingerprint.Algorithm, file, r)
		}
		c.note(CheckRange, r.Of, r.Path, err, fmt.Sprintf("%+q of %s: bytes %d to %d are those carried", r.Path, cmp.Or(r.Of, c.root.Ref.String()), r.Start, r.End))
	}
	for _, path := range c.f.Claim.Absent {
		c.absentFromAll(path, gone)
	}
}

// fileOf is a path among the files of an artifact, name@version; empty for the
// claim's own.
type fileOf struct{ of, path string }

// note adds a check about a file; it fails as tampered.
func (c *verification) note(name, of, path string, err error, detail string) {
	r := Passed
	if err != nil {
		r, detail = Failed, fmt.Sprintf("%+q: %v", path, err)
		c.worsen(Tampered)
	}
	c.Checks = append(c.Checks, Check{Name: name, OK: r, Detail: detail, Path: path, Of: of})
}

// filesOf returns the fingerprint of an artifact of the lineage.
func (c *verification) filesOf(of string) (fingerprint.Fingerprint, error) {
	if of == "" {
		return c.f.Claim.Fingerprint, nil
	}
	a := c.facts.bound[of]
	switch {
	case a == nil:
		return fingerprint.Fingerprint{}, fmt.Errorf("%w: %s is not in the file", ErrTampered, of)
	case c.graph.Node(a.Ref) == nil:
		return fingerprint.Fingerprint{}, fmt.Errorf("%w: %s was not made of %s, as far as the entries say", ErrTampered, c.root.Ref, of)
	case len(a.Stamp.Members) > 0:
		return fingerprint.Fingerprint{}, fmt.Errorf("%w: %s is a collection: its files are its members'", ErrTampered, of)
	}
	return a.Ref.Fingerprint, nil
}

// absentFromAll checks that the proofs show a path to be absent from every
// artifact of files in the lineage.
func (c *verification) absentFromAll(path string, gone map[fileOf]bool) {
	var missing []string
	files := 0
	for _, n := range c.graph.Nodes {
		if len(n.Stamp.Members) == 0 {
			files++
		}
		at, ok := c.fileAt(n.Artifact, path)
		if ok && !gone[at] {
			missing = append(missing, n.Ref.String())
		}
	}
	var err error
	if len(missing) > 0 {
		err = fmt.Errorf("%w: no proof that it is absent from %s", ErrTampered, some(missing))
	}
	c.note(CheckAbsentFromAll, "", path, err, fmt.Sprintf("%+q is in no artifact here: %s", path, count(files, "has files", "have files")))
}

// fileAt returns where a path of an artifact is a path among files: of a
// collection, in a member. It is false where a collection has no member that
// it could lie in, or one that is not in the file, which other checks find.
func (c *verification) fileAt(a *lineage.Artifact, path string) (at fileOf, ok bool) {
	for range c.facts.bound { // no deeper than that
		if len(a.Stamp.Members) == 0 {
			if a == c.root {
				return fileOf{"", path}, true
			}
			return fileOf{a.Ref.String(), path}, true
		}
		m, rest, ok := MemberAt(a.Stamp.Members, path)
		if !ok || c.facts.bound[m.Ref.String()] == nil {
			return fileOf{}, false
		}
		a, path = c.facts.bound[m.Ref.String()], rest
	}
	return fileOf{}, false
}

// MemberAt returns the member of a collection that a path lies in, and the path
// that it has there.
func MemberAt(members []statement.CollectionMember, path string) (m statement.CollectionMember, rest string, ok bool) {
	for _, m := range members {
		if n := len(m.Prefix); len(path) > n && path[n] == '/' && path[:n] == m.Prefix {
			return m, path[n+1:], true
		}
	}
	return m, "", false
}

func checkPath(fp fingerprint.Fingerprint, p PathClaim) (fingerprint.File, error) {
	var proof fingerprint.PathProof
	if err := proof.UnmarshalBinary(p.Proof); err != nil {
		return fingerprint.File{}, err
	}
	if proof.Path() != p.Path {
		return fingerprint.File{}, fmt.Errorf("%w: the proof is about %+q", ErrTampered, proof.Path())
	}
	r, err := proof.Verify(fp)
	if err != nil {
		return fingerprint.File{}, err
	}
	if r.Present != p.Present {
		return fingerprint.File{}, fmt.Errorf("%w: the proof shows the opposite", ErrTampered)
	}
	if r.Present && r.File.Path != p.Path {
		return fingerprint.File{}, fmt.Errorf("%w: the proof shows %+q", ErrTampered, r.File.Path)
	}
	return r.File, nil
}

func checkRange(a fingerprint.Algorithm, file fingerprint.File, r RangeClaim) error {
	var proof fingerprint.RangeProof
	if err := proof.UnmarshalBinary(r.Proof); err != nil {
		return err
	}
	if got := proof.Range(); got.Start != r.Start || got.End != r.End {
		return fmt.Errorf("%w: the proof is about bytes %d to %d", ErrTampered, got.Start, got.End)
	}
	return proof.Verify(a, file.Size, file.Digest, r.Data)
}
