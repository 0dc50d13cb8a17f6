package statement

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"fmt"
	"io"
	"slices"
)

// Signer holds a private key. Sign returns the one accepted encoding of a
// signature over message, which is the pre-authentication encoding of an
// envelope (see [PAE]).
type Signer interface {
	PublicKey() *PublicKey
	Sign(message []byte) ([]byte, error)
}

type p256Signer struct {
	key    *ecdsa.PrivateKey
	public *PublicKey
	rand   io.Reader
}

// NewP256 returns a Signer of ECDSA on P-256 with SHA-256: DER, low-S. A nil rand
// makes the signatures deterministic (RFC 6979), so that signing again gives the
// same bytes; with another the nonce is hedged with randomness.
func NewP256(key *ecdsa.PrivateKey, rand io.Reader) (Signer, error) {
	if key == nil || key.Curve != elliptic.P256() {
		return nil, malformed("ecdsa-p256 key: another curve")
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		return nil, malformed("ecdsa-p256 key: %w", err)
	}
	public, err := NewPublicKey(AlgorithmP256, append(slices.Clone(spkiP256), point...))
	if err != nil {
		return nil, err
	}
	return &p256Signer{key, public, rand}, nil
}

func (s *p256Signer) PublicKey() *PublicKey { return s.public }

func (s *p256Signer) Sign(message []byte) ([]byte, error) {
	digest := sha256.Sum256(message)
	der, err := s.key.Sign(s.rand, digest[:], crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("sign with ecdsa-p256: %w", err)
	}
	r, ss, err := parseP256Signature(der)
	if err != nil {
		return nil, err
	}
	return marshalP256Signature(r, lowS(ss)), nil
}

type ed25519Signer struct {
	key    ed25519.PrivateKey
	public *PublicKey
}

// NewEd25519 returns a Signer of Ed25519 (RFC 8032, PureEdDSA).
func NewEd25519(key ed25519.PrivateKey) (Signer, error) {
	if len(key) != ed25519.PrivateKeySize {
		return nil, malformed("ed25519 key: %d bytes, want %d", len(key), ed25519.PrivateKeySize)
	}
	public, err := NewPublicKey(AlgorithmEd25519, append(slices.Clone(spkiEd25519), key[32:]...))
	if err != nil {
		return nil, err
	}
	return &ed25519Signer{key, public}, nil
}

func (s *ed25519Signer) PublicKey() *PublicKey { return s.public }

func (s *ed25519Signer) Sign(message []byte) ([]byte, error) {
	return ed25519.Sign(s.key, message), nil
}
