package statement

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
)

type wireStamp struct {
	wireCommon
	wireStampBody
}

// wireStampBody is what a stamp says, on its own or among a run's outputs.
type wireStampBody struct {
	Kind        string            `json:"kind"`
	Files       uint64            `json:"files"`
	Bytes       uint64            `json:"bytes"`
	Ignore      []string          `json:"ignore"`
	Listed      bool              `json:"listed,omitzero"`
	Basis       Basis             `json:"basis"`
	Members     []wireMember      `json:"members,omitzero"`
	From        []wireRef         `json:"from,omitzero"`
	Since       *wireRef          `json:"since,omitzero"`
	Changes     *Changes          `json:"changes,omitzero"`
	Annotations map[string]string `json:"annotations,omitzero"`
	Details     *wireAttachment   `json:"details,omitzero"`
}

type wireAttachment struct {
	SHA256 string `json:"sha256"`
	Size   uint64 `json:"size"`
}

// AttachmentOf returns the digest and size that bind a document.
func AttachmentOf(document []byte) Attachment {
	return Attachment{SHA256: sha256.Sum256(document), Size: uint64(len(document))}
}

func (a *Attachment) wire() *wireAttachment {
	if a == nil {
		return nil
	}
	return &wireAttachment{hex.EncodeToString(a.SHA256[:]), a.Size}
}

func (w *wireAttachment) attachment() (*Attachment, error) {
	if w == nil {
		return nil, nil
	}
	a := &Attachment{Size: w.Size}
	return a, decodeHex(a.SHA256[:], "attachment", w.SHA256)
}

func (a *Attachment) check() error {
	if a == nil {
		return nil
	}
	return checkInteger("attachment size", a.Size, 1)
}

func (w *wireStamp) decode(st *Statement) error {
	s, err := w.stamp()
	if err != nil {
		return err
	}
	st.setCommon(w.wireCommon)
	st.Stamp = s
	return nil
}

func (w *wireStampBody) stamp() (*Stamp, error) {
	s := &Stamp{Kind: w.Kind, Files: w.Files, Bytes: w.Bytes, Ignore: w.Ignore, Listed: w.Listed, Basis: w.Basis,
		Changes: w.Changes, Annotations: w.Annotations}
	var err error
	if s.From, err = parseRefs("stamp: from", w.From, MaxReferences); err != nil {
		return nil, err
	}
	if w.Since != nil {
		ref, err := w.Since.ref()
		if err != nil {
			return nil, err
		}
		s.Since = &ref
	}
	if s.Members, err = decodeMembers(w.Members); err != nil {
		return nil, err
	}
	s.Details, err = w.Details.attachment()
	return s, err
}

func (s *Stamp) subject(*Statement) []Subject { return nil }

func (s *Stamp) check(st *Statement) error {
	self, err := st.Ref()
	if err != nil {
		return err
	}
	return s.checkOf(self)
}

// checkOf checks the stamp of that artifact, whichever statement holds it.
func (s *Stamp) checkOf(self Ref) error {
	if err := oneOf("stamp: kind", s.Kind, ArtifactDataset, ArtifactModel, ArtifactCode, ArtifactOther); err != nil {
		return err
	}
	if err := checkInteger("stamp: files", s.Files, 0); err != nil {
		return err
	}
	if err := checkInteger("stamp: bytes", s.Bytes, 0); err != nil {
		return err
	}
	if len(s.Ignore) > MaxIgnoreRules {
		return malformed("stamp: %d ignore rules, at most %d are allowed", len(s.Ignore), MaxIgnoreRules)
	}
	for _, rule := range s.Ignore {
		if err := CheckText("stamp: ignore rule", rule, MaxIgnoreRule); err != nil {
			return err
		}
	}
	if s.Listed && len(s.Ignore) > 0 {
		return malformed("stamp: the files of a list are under no ignore rules")
	}
	if err := s.Basis.check(s.Bytes, len(s.Members) > 0); err != nil {
		return err
	}
	if len(s.Members) > 0 {
		if err := s.checkMembers(self); err != nil {
			return err
		}
	}
	if s.Changes != nil {
		if err := s.Changes.check(s); err != nil {
			return err
		}
	}
	if err := s.checkReferences(self); err != nil {
		return err
	}
	if err := s.checkAnnotations(); err != nil {
		return err
	}
	return s.Details.check()
}

// check demands that every byte is accounted for once: all of a collection's by
// its members' stamps, none of any other artifact's.
func (b Basis) check(total uint64, collection bool) error {
	known := b.Version + b.ETag + b.MTime
	for _, n := range []uint64{b.Read, b.Version, b.ETag, b.MTime, b.Claimed, b.Stamped} {
		if err := checkInteger("stamp: basis", n, 0); err != nil {
			return err
		}
	}
	if sum := b.Read + known + b.Claimed + b.Stamped; sum != total {
		return malformed("stamp: the basis accounts for %d bytes of %d", sum, total)
	}
	switch {
	case collection && b.Stamped != total:
		return malformed("stamp: %d bytes of a collection are its members', of %d", b.Stamped, total)
	case !collection && b.Stamped != 0:
		return malformed("stamp: %d bytes are of members, and it is no collection", b.Stamped)
	}
	if (known > 0) != (b.Entry != nil) {
		return malformed("stamp: the basis names an earlier entry exactly where bytes were taken over from it")
	}
	if b.Entry != nil {
		return checkInteger("stamp: basis entry", *b.Entry, 1)
	}
	return nil
}

func (s *Stamp) checkReferences(self Ref) error {
	if len(s.From) > MaxReferences {
		return refuse(ErrFormat, "stamp a collection of them and derive from that",
			"stamp: from %d artifacts, at most %d are allowed", len(s.From), MaxReferences)
	}
	refs := slices.Clone(s.From)
	if s.Since != nil {
		refs = append(refs, *s.Since)
	}
	seen := make(map[string]bool, len(s.From))
	for i, ref := range refs {
		if err := ref.check(); err != nil {
			return err
		}
		name := ref.String()
		switch {
		case ref.is(self):
			return malformed("stamp: %s refers to itself", name)
		case ref.Fingerprint.Algorithm != self.Fingerprint.Algorithm:
			return malformed("stamp: %s has a fingerprint of another hash", name)
		case i < len(s.From) && seen[name]:
			return malformed("stamp: from %s twice", name)
		}
		seen[name] = true
	}
	return nil
}

func (s *Stamp) checkAnnotations() error {
	if len(s.Annotations) > MaxAnnotations {
		return malformed("stamp: %d annotations, at most %d are allowed", len(s.Annotations), MaxAnnotations)
	}
	for key, value := range s.Annotations {
		// Lower case alone: no two keys can differ only in case.
		if len(key) > MaxAnnotationKey || !isWord(key, "._/-", false) {
			return malformed("stamp: annotation key %s: want a-z 0-9 . _ / - beginning with a letter or digit, at most %d bytes", quote(key), MaxAnnotationKey)
		}
		if err := CheckText("stamp: annotation "+key, value, MaxAnnotationValue); err != nil {
			return err
		}
	}
	return nil
}

func (s *Stamp) wire(st *Statement) any { return wireStamp{st.common(), s.body()} }

func (s *Stamp) body() wireStampBody {
	w := wireStampBody{
		Kind:    s.Kind,
		Files:   s.Files,
		Bytes:   s.Bytes,
		Ignore:  s.Ignore,
		Listed:  s.Listed,
		Basis:   s.Basis,
		Members: wireMembers(s.Members),
		From:    wireRefs(s.From),
		Changes: s.Changes,
		Details: s.Details.wire(),
	}
	if len(s.Annotations) > 0 {
		w.Annotations = s.Annotations
	}
	if s.Since != nil {
		since := wireOf(*s.Since)
		w.Since = &since
	}
	return w
}
