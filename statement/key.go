package statement

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/pem"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/stele-ml/stele/internal/strictjson"
)

// The algorithms of a registered key. The algorithm decides how a signature is
// read; an envelope does not name one.
const (
	AlgorithmP256    = "ecdsa-p256"
	AlgorithmEd25519 = "ed25519"
	AlgorithmSSH     = "ssh"
)

// PublicKey is a key that a ledger can register. It is immutable and safe for
// concurrent use.
type PublicKey struct {
	algorithm string
	bytes     []byte
	id        KeyID
	material  [32]byte

	p256    *ecdsa.PublicKey  // AlgorithmP256
	ed25519 ed25519.PublicKey // AlgorithmEd25519
	ssh     *sshKey           // AlgorithmSSH
}

// The DER of a SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7) up to the key
// itself: fixed, since the algorithm and the length are.
var (
	// SEQUENCE { SEQUENCE { id-ecPublicKey, secp256r1 }, BIT STRING (66 bytes) }, RFC 5480.
	spkiP256 = []byte("\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00")
	// SEQUENCE { SEQUENCE { id-Ed25519 }, BIT STRING (33 bytes) }, RFC 8410.
	spkiEd25519 = []byte("\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00")
)

// NewPublicKey reads the canonical bytes of a key: the DER of the
// SubjectPublicKeyInfo for ecdsa-p256 (uncompressed point) and ed25519, the SSH
// wire encoding (RFC 4253 section 6.6) for ssh.
func NewPublicKey(algorithm string, public []byte) (*PublicKey, error) {
	k := &PublicKey{algorithm: algorithm, bytes: bytes.Clone(public)}
	var err error
	switch algorithm {
	case AlgorithmP256:
		point, ok := bytes.CutPrefix(k.bytes, spkiP256)
		if !ok {
			return nil, malformed("ecdsa-p256 key: want the DER of a SubjectPublicKeyInfo with an uncompressed P-256 point")
		}
		k.p256, k.material, err = parseP256Point(point)
	case AlgorithmEd25519:
		point, ok := bytes.CutPrefix(k.bytes, spkiEd25519)
		if !ok {
			return nil, malformed("ed25519 key: want the DER of a SubjectPublicKeyInfo of RFC 8410")
		}
		k.ed25519, k.material, err = parseEd25519Point(point)
	case AlgorithmSSH:
		k.ssh, k.material, err = parseSSHKey(k.bytes)
	default:
		err = malformed("key algorithm %s: want ecdsa-p256, ed25519 or ssh", quote(algorithm))
	}
	if err != nil {
		return nil, err
	}
	h := sha256.New()
	h.Write([]byte("stele key v1\n" + algorithm + "\n"))
	h.Write(public)
	h.Sum(k.id[:0])
	return k, nil
}

// ParsePublicKey reads a key from the text of a file: a PEM block "PUBLIC KEY",
// or one line of OpenSSH's authorized_keys without options; a comment is left
// out.
func ParsePublicKey(text []byte) (*PublicKey, error) {
	if len(text) > MaxPublicKey {
		return nil, malformed("public key: %d bytes, at most %d are allowed", len(text), MaxPublicKey)
	}
	trimmed := bytes.TrimSpace(text)
	if !bytes.HasPrefix(trimmed, []byte("-----BEGIN ")) {
		return parseAuthorizedKey(trimmed)
	}
	block, rest := pem.Decode(trimmed)
	switch {
	case block == nil:
		return nil, malformed("public key: damaged PEM")
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		return nil, refuse(ErrFormat, "give the public key; the private one stays where it is", "this is a private key")
	case block.Type != "PUBLIC KEY" || len(block.Headers) > 0:
		return nil, malformed("public key: PEM block %s, want PUBLIC KEY", quote(block.Type))
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, malformed("public key: something follows the PEM block")
	}
	if bytes.HasPrefix(block.Bytes, spkiEd25519) {
		return NewPublicKey(AlgorithmEd25519, block.Bytes)
	}
	return NewPublicKey(AlgorithmP256, block.Bytes)
}

func parseAuthorizedKey(line []byte) (*PublicKey, error) {
	if bytes.ContainsAny(line, "\r\n") {
		return nil, malformed("public key: want one line of authorized_keys, found several")
	}
	key, _, options, _, err := ssh.ParseAuthorizedKey(line)
	if err != nil {
		return nil, malformed("public key: neither PEM nor a line of authorized_keys")
	}
	if len(options) > 0 {
		return nil, malformed("public key: a line of authorized_keys with options is not accepted")
	}
	return NewPublicKey(AlgorithmSSH, key.Marshal())
}

// Algorithm returns "ecdsa-p256", "ed25519" or "ssh".
func (k *PublicKey) Algorithm() string { return k.algorithm }

// Bytes returns the canonical bytes; see [NewPublicKey].
func (k *PublicKey) Bytes() []byte { return bytes.Clone(k.bytes) }

// ID returns the key's id.
func (k *PublicKey) ID() KeyID { return k.id }

// Material returns what is the same for the same key whatever its wrapping: an
// Ed25519 key has one material as SubjectPublicKeyInfo, as an SSH key, in a
// security key and as a log's vkey (see [VKeyMaterial]).
func (k *PublicKey) Material() [32]byte { return k.material }

// Equal reports whether both are the same key in the same wrapping.
func (k *PublicKey) Equal(other *PublicKey) bool { return other != nil && k.id == other.id }

// Verify checks that sig is the one encoding of a signature by k over message.
// The error is ErrSignature.
func (k *PublicKey) Verify(message, sig []byte) error {
	switch k.algorithm {
	case AlgorithmP256:
		return verifyP256(k.p256, message, sig)
	case AlgorithmEd25519:
		// Cofactorless; Go demands a canonical S, and compares R as bytes.
		if len(sig) != ed25519.SignatureSize || !ed25519.Verify(k.ed25519, message, sig) {
			return refuse(ErrSignature, "", "the Ed25519 signature does not verify")
		}
		return nil
	default:
		return k.ssh.verify(k.bytes, message, sig)
	}
}

// PEM returns the PEM text of an ecdsa-p256 or ed25519 key, as openssl reads it,
// and nil for an ssh key.
func (k *PublicKey) PEM() []byte {
	if k.algorithm == AlgorithmSSH {
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: k.bytes})
}

// AuthorizedKey returns the line of an ssh key as OpenSSH writes it, without a
// comment and with a final newline, and "" for other keys.
func (k *PublicKey) AuthorizedKey() string {
	if k.algorithm != AlgorithmSSH {
		return ""
	}
	return k.ssh.kind + " " + base64.StdEncoding.EncodeToString(k.bytes) + "\n"
}

// Text returns what ParsePublicKey reads: PEM, or a line of authorized_keys.
func (k *PublicKey) Text() []byte {
	if k.algorithm == AlgorithmSSH {
		return []byte(k.AuthorizedKey())
	}
	return k.PEM()
}

// String returns the algorithm and the key's id, for people.
func (k *PublicKey) String() string { return k.algorithm + ":" + k.id.String() }

// wireKey is a key in JSON.
type wireKey struct {
	Algorithm string `json:"algorithm"`
	Public    string `json:"public"` // padded standard base64
}

func (k *PublicKey) wire() wireKey {
	return wireKey{k.algorithm, base64.StdEncoding.EncodeToString(k.bytes)}
}

func (w wireKey) key() (*PublicKey, error) {
	public, err := decodeBase64("public key", w.Public)
	if err != nil {
		return nil, err
	}
	return NewPublicKey(w.Algorithm, public)
}

// MarshalJSON writes {"algorithm":…,"public":base64}.
func (k *PublicKey) MarshalJSON() ([]byte, error) { return strictjson.Marshal(k.wire()) }

// UnmarshalJSON reads what MarshalJSON writes.
func (k *PublicKey) UnmarshalJSON(data []byte) error {
	var w wireKey
	if err := strictjson.Unmarshal(data, &w, 2*MaxPublicKey, 1); err != nil {
		return malformed("public key: %w", err)
	}
	parsed, err := w.key()
	if err != nil {
		return err
	}
	*k = *parsed
	return nil
}

// decodeBase64 reads padded standard base64 (RFC 4648 section 4) in its one
// spelling: no line breaks, which the decoder would skip, and no stray bits.
func decodeBase64(what, text string) ([]byte, error) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil || base64.StdEncoding.EncodeToString(b) != text {
		return nil, malformed("%s: want padded standard base64", what)
	}
	return b, nil
}

// materialOf hashes a bare public key: the uncompressed point, the Ed25519 key,
// the RSA key's SSH encoding.
func materialOf(kind string, public []byte) [32]byte {
	return sha256.Sum256(append([]byte("stele key material v1\n"+kind+"\n"), public...))
}

func parseP256Point(point []byte) (*ecdsa.PublicKey, [32]byte, error) {
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return nil, [32]byte{}, malformed("ecdsa-p256 key: not an uncompressed point of the curve")
	}
	return key, materialOf(AlgorithmP256, point), nil
}

func parseEd25519Point(point []byte) (ed25519.PublicKey, [32]byte, error) {
	if err := checkEd25519Point(point); err != nil {
		return nil, [32]byte{}, err
	}
	return ed25519.PublicKey(point), materialOf(AlgorithmEd25519, point), nil
}
