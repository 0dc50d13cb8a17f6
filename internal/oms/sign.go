package oms

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/strictjson"
)

// Model is what is to be signed.
type Model struct {
	Name    string   // the base name of its folder or file
	Files   []Found  // with Want.Hash SHA256, in path order
	Ignored []string // paths that are left out, relative to the model
	// Linked says that files were reached through symbolic links.
	Linked bool
}

// Signer signs bytes: ECDSA in DER, with the hash of its key's curve.
type Signer interface {
	Sign(message []byte) (der []byte, err error)
}

// NewStatement is the statement over a model: whole files, SHA-256, sorted by
// name. A model without files, or with more than fit, is refused.
func NewStatement(m Model) (*Statement, error) {
	switch {
	case len(m.Files) == 0:
		return nil, malformed("a model without files cannot be signed")
	case len(m.Files) > MaxResources:
		return nil, fmt.Errorf("%w: %d files, a model signature lists at most %d", ErrLimit, len(m.Files), MaxResources)
	case len(m.Ignored) > MaxIgnoredWritten:
		return nil, fmt.Errorf("%w: %d paths would be left out, at most %d are written", ErrLimit, len(m.Ignored), MaxIgnoredWritten)
	case m.Name == "" || len(m.Name) > maxSubject:
		return nil, malformed("a model's name has 1 to %d bytes", maxSubject)
	}
	st := &Statement{PredicateType: PredicateType, Name: m.Name, Hash: SHA256, AllowSymlinks: m.Linked, files: map[string]*signed{}}
	st.Ignored = slices.Clone(m.Ignored)
	slices.Sort(st.Ignored)
	for _, p := range st.Ignored {
		if err := fingerprint.CheckPath(p); err != nil {
			return nil, malformed("left out: %w", err)
		}
	}
	root := sha256.New()
	for _, f := range m.Files {
		if len(f.Digests) != 1 || len(f.Digests[0]) != SHA256.Size() {
			return nil, malformed("%s was not hashed as a whole", quote(f.Path))
		}
		st.Resources = append(st.Resources, Resource{Path: f.Path, Digest: f.Digests[0]})
	}
	slices.SortFunc(st.Resources, func(a, b Resource) int { return compareText(a.Path, b.Path) })
	for _, r := range st.Resources {
		root.Write(r.Digest)
	}
	root.Sum(st.Root[:0])
	if err := st.index(); err != nil {
		return nil, err
	}
	return st, nil
}

// Sign writes a signature file over a statement: a Sigstore bundle v0.3 with the
// key's hint, one line. It is read back and checked before it is returned, so
// that a signer which signs something else is found out here.
func Sign(st *Statement, key *PublicKey, s Signer) ([]byte, error) {
	payload, err := st.marshal()
	if err != nil {
		return nil, err
	}
	sig, err := s.Sign(pae(payload))
	if err != nil {
		return nil, fmt.Errorf("model signature: %w", err)
	}
	data, err := strictjson.Marshal(wireBundle{
		MediaType: mediaType,
		Material:  wireMaterial{PublicKey: wireHint{key.Hint()}, TlogEntries: []struct{}{}},
		Envelope:  wireEnvelope{Payload: payload, PayloadType: payloadType, Signatures: []wireSignature{{Sig: sig}}},
	})
	if err != nil {
		return nil, fmt.Errorf("model signature: %w", err)
	}
	data = append(data, '\n')
	back, err := Parse(data)
	if err == nil {
		_, err = back.VerifyKey(key)
	}
	if err != nil {
		return nil, fmt.Errorf("model signature: %w", err)
	}
	return data, nil
}

// wireBundle is in the order in which it is written: protojson has none.
type wireBundle struct {
	MediaType string       `json:"mediaType"`
	Material  wireMaterial `json:"verificationMaterial"`
	Envelope  wireEnvelope `json:"dsseEnvelope"`
}

type wireMaterial struct {
	PublicKey   wireHint   `json:"publicKey"`
	TlogEntries []struct{} `json:"tlogEntries"` // none, and said so: some readers ask for it
}

type wireHint struct {
	Hint string `json:"hint"`
}

type wireEnvelope struct {
	Payload     []byte          `json:"payload"`
	PayloadType string          `json:"payloadType"`
	Signatures  []wireSignature `json:"signatures"`
}

type wireSignature struct {
	Sig   []byte `json:"sig"`
	KeyID string `json:"keyid"`
}
