package provenance

import (
	"slices"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/strictjson"
)

// Thing is something with digests: a subject, or what subjects were made of.
type Thing struct {
	Name string // may be empty
	URI  string // may be empty
	// SHA256 is the plain one of its bytes, lower-case hexadecimal digits; empty
	// where it has none.
	SHA256 string
	// Fingerprint is Stele's own, where it has one; else the zero value.
	Fingerprint fingerprint.Fingerprint
}

// Statement is what a key signed. Whatever it says is a claim.
type Statement struct {
	PredicateType string
	Subjects      []Thing
	Builder       string  // of SLSA provenance; else empty
	Dependencies  []Thing // of SLSA provenance: materials, resolved dependencies
}

type wireThing struct {
	Name   string            `json:"name"`
	URI    string            `json:"uri"`
	Digest map[string]string `json:"digest"`
}

// parseStatement reads what is signed.
func parseStatement(payload []byte) (*Statement, error) {
	var w struct {
		Type          string         `json:"_type"`
		PredicateType string         `json:"predicateType"`
		Subject       []wireThing    `json:"subject"`
		Predicate     strictjson.Raw `json:"predicate"`
	}
	if err := strictjson.UnmarshalForeign(payload, &w, MaxFile, maxDepth); err != nil {
		return nil, malformed("statement: %w", err)
	}
	switch {
	case w.Type != StatementV1 && w.Type != StatementV01:
		return nil, malformed("statement: _type %s, want %s or %s", quote(w.Type), StatementV1, StatementV01)
	case w.PredicateType == "" || len(w.PredicateType) > maxName:
		return nil, malformed("statement: a predicateType of %d bytes, 1 to %d are possible", len(w.PredicateType), maxName)
	case len(w.Subject) == 0 || len(w.Subject) > MaxSubjects:
		return nil, malformed("statement: %d subjects, 1 to %d are read", len(w.Subject), MaxSubjects)
	}
	st := &Statement{PredicateType: w.PredicateType}
	names := map[string]bool{}
	for _, s := range w.Subject {
		t, err := s.thing("subject")
		if err != nil {
			return nil, err
		}
		if t.Name != "" && names[t.Name] {
			return nil, malformed("subject %s is listed twice", quote(t.Name))
		}
		names[t.Name] = true
		st.Subjects = append(st.Subjects, t)
	}
	var err error
	switch st.PredicateType {
	case ProvenanceV1:
		err = st.readV1(w.Predicate)
	case ProvenanceV02:
		err = st.readV02(w.Predicate)
	}
	if err != nil {
		return nil, err
	}
	return st, nil
}

// thing reads the digests that are known here. The others are whatever their
// names mean.
func (w *wireThing) thing(what string) (t Thing, err error) {
	switch {
	case len(w.Name) > maxName || len(w.URI) > maxName:
		return t, malformed("%s: a name or URI of more than %d bytes", what, maxName)
	case len(w.Digest) > MaxDigests:
		return t, malformed("%s %s: %d digests, at most %d are read", what, quote(w.Name), len(w.Digest), MaxDigests)
	}
	t = Thing{Name: w.Name, URI: w.URI}
	for _, algorithm := range []fingerprint.Algorithm{fingerprint.SHA256, fingerprint.BLAKE3} {
		key := fingerprint.Fingerprint{Algorithm: algorithm}.Key()
		text, ok := w.Digest[key]
		if !ok {
			continue
		}
		if !t.Fingerprint.IsZero() {
			return t, malformed("%s %s: fingerprints under two hashes", what, quote(w.Name))
		}
		if t.Fingerprint, err = fingerprint.Parse(key + ":" + text); err != nil {
			return t, malformed("%s %s: %w", what, quote(w.Name), err)
		}
	}
	if text, ok := w.Digest[digestSHA256]; ok {
		if _, err := fingerprint.ParseDigest(text); err != nil {
			return t, malformed("%s %s: sha256: %w", what, quote(w.Name), err)
		}
		t.SHA256 = text
	}
	return t, nil
}

// readV1 takes the builder and the resolved dependencies (SLSA provenance v1).
func (st *Statement) readV1(predicate strictjson.Raw) error {
	var p struct {
		Definition struct {
			Dependencies []wireThing `json:"resolvedDependencies"`
		} `json:"buildDefinition"`
		Details struct {
			Builder struct {
				ID string `json:"id"`
			} `json:"builder"`
		} `json:"runDetails"`
	}
	if err := decode(predicate, &p); err != nil {
		return err
	}
	return st.provenance(p.Details.Builder.ID, p.Definition.Dependencies)
}

// readV02 takes the builder and the materials (SLSA provenance v0.2).
func (st *Statement) readV02(predicate strictjson.Raw) error {
	var p struct {
		Builder struct {
			ID string `json:"id"`
		} `json:"builder"`
		Materials []wireThing `json:"materials"`
	}
	if err := decode(predicate, &p); err != nil {
		return err
	}
	return st.provenance(p.Builder.ID, p.Materials)
}

func decode(predicate strictjson.Raw, v any) error {
	if predicate == nil {
		return malformed("there is no predicate")
	}
	if err := strictjson.UnmarshalForeign(predicate, v, MaxFile, maxDepth); err != nil {
		return malformed("predicate: %w", err)
	}
	return nil
}

func (st *Statement) provenance(builder string, list []wireThing) error {
	switch {
	case builder == "" || len(builder) > maxName:
		return malformed("provenance: a builder's id of %d bytes, 1 to %d are possible", len(builder), maxName)
	case len(list) > MaxDependencies:
		return malformed("provenance: %d dependencies, at most %d are read", len(list), MaxDependencies)
	}
	st.Builder = builder
	for i := range list {
		t, err := list[i].thing("dependency")
		if err != nil {
			return err
		}
		st.Dependencies = append(st.Dependencies, t)
	}
	return nil
}

// File is a file of an artifact, with the plain SHA-256 of its bytes.
type File struct {
	Path   string
	SHA256 fingerprint.Digest
}

// Mismatch is why a statement is not about a file.
type Mismatch struct {
	Path   string
	Listed bool // under that name it has another digest
}

// Names reports whether a subject is the artifact by its fingerprint.
func (st *Statement) Names(fp fingerprint.Fingerprint) bool {
	return slices.ContainsFunc(st.Subjects, func(t Thing) bool { return t.Fingerprint == fp })
}

// About compares the subjects with an artifact's files, all of which have to be
// there: a single file by its digest, whatever it is called; the files of a tree
// by name and digest. Subjects beside them are other things. Without a mismatch
// it is about the artifact.
func (st *Statement) About(files []File) []Mismatch {
	if len(files) == 1 {
		if slices.ContainsFunc(st.Subjects, func(t Thing) bool { return t.SHA256 == files[0].SHA256.String() }) {
			return nil
		}
	}
	subjects := map[string]string{}
	for _, t := range st.Subjects {
		subjects[t.Name] = t.SHA256
	}
	var wrong []Mismatch
	for _, f := range files {
		digest, listed := subjects[f.Path]
		if !listed || digest != f.SHA256.String() {
			wrong = append(wrong, Mismatch{Path: f.Path, Listed: listed})
		}
	}
	return wrong
}
