package provenance

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	_ "crypto/sha512" // SHA-384 and SHA-512
	"crypto/x509"
	"fmt"

	"github.com/stele-ml/stele/internal/keyfile"
)

// PublicKey is a key that builders sign with: ECDSA on P-256, P-384 or P-521
// (SHA-256, SHA-384, SHA-512), Ed25519, or RSA of at least 2048 bits (SHA-256;
// PSS or PKCS #1 v1.5, whichever the builder used).
type PublicKey struct {
	key any
	der []byte // of its SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7)
}

// The sizes of RSA keys that are accepted, in bits.
const minRSA, maxRSA = 2048, 8192

// ParsePublicKey reads a PEM block "PUBLIC KEY", or its DER.
func ParsePublicKey(text []byte) (*PublicKey, error) {
	key, err := keyfile.ParsePublic(text)
	if err != nil {
		return nil, err
	}
	switch k := key.(type) {
	case ed25519.PublicKey:
	case *ecdsa.PublicKey:
		if ecdsaHash(k) == 0 {
			return nil, fmt.Errorf("public key: %w: of ECDSA, P-256, P-384 and P-521", ErrUnsupported)
		}
	case *rsa.PublicKey:
		if n := k.N.BitLen(); n < minRSA || n > maxRSA {
			return nil, fmt.Errorf("public key: %w: RSA of %d bits, %d to %d are accepted", ErrUnsupported, n, minRSA, maxRSA)
		}
	default:
		return nil, fmt.Errorf("public key: %w: ECDSA, Ed25519 and RSA are", ErrUnsupported)
	}
	p := &PublicKey{key: key}
	if p.der, err = x509.MarshalPKIXPublicKey(key); err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	return p, nil
}

// ID is the SHA-256 of the DER of the key's SubjectPublicKeyInfo.
func (k *PublicKey) ID() [32]byte { return sha256.Sum256(k.der) }

// Algorithm names the kind of key, for people.
func (k *PublicKey) Algorithm() string {
	switch key := k.key.(type) {
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Params().Name + " with " + ecdsaHash(key).String()
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA of %d bits", key.N.BitLen())
	}
	return "Ed25519"
}

func ecdsaHash(k *ecdsa.PublicKey) crypto.Hash {
	switch k.Curve {
	case elliptic.P256():
		return crypto.SHA256
	case elliptic.P384():
		return crypto.SHA384
	case elliptic.P521():
		return crypto.SHA512
	}
	return 0
}

// verify checks a signature over a message.
func (k *PublicKey) verify(message, signature []byte) bool {
	switch key := k.key.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(key, message, signature)
	case *ecdsa.PublicKey:
		h := ecdsaHash(key).New()
		h.Write(message)
		return ecdsa.VerifyASN1(key, h.Sum(nil), signature)
	case *rsa.PublicKey:
		sum := sha256.Sum256(message)
		return rsa.VerifyPSS(key, crypto.SHA256, sum[:], signature, nil) == nil ||
			rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) == nil
	}
	return false
}
