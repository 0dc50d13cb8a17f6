package evidence

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"

	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/mod/sumdb/note"
)

// KeyType is the signature type byte of a signed-note verifier key.
// Source: c2sp.org/signed-note, "Signature types".
type KeyType byte

const (
	// LogKeyType is a plain Ed25519 note signature: a log's own.
	LogKeyType KeyType = 0x01

	// WitnessKeyType is Ed25519 cosignature/v1: a witness's, with a time.
	// Source: c2sp.org/tlog-cosignature.
	WitnessKeyType KeyType = 0x04
)

// MaxOrigin is the longest origin, and the longest name of a key, in bytes.
// It is the longest that every C2SP cosignature can carry.
const MaxOrigin = 255

// VKey is a verifier key of a log or a witness: "<name>+<key id>+<base64>".
// It is comparable; the zero VKey is no key.
// Source: c2sp.org/signed-note, "Verifier keys".
type VKey struct {
	Name   string   // the key's name; for a log it is the origin
	Type   KeyType  // LogKeyType or WitnessKeyType
	Public [32]byte // the Ed25519 public key, RFC 8032
}

// ParseVKey parses a verifier key. A key of a type other than LogKeyType and
// WitnessKeyType, a key id that does not fit, or any other encoding of the
// same key is an ErrFormat.
func ParseVKey(s string) (VKey, error) {
	name, rest, _ := strings.Cut(s, "+")
	id, b64, ok := strings.Cut(rest, "+")
	raw, err := base64.StdEncoding.DecodeString(b64)
	if !ok || err != nil || len(id) != 8 || len(raw) == 0 || CheckOrigin(name) != nil {
		return VKey{}, fmt.Errorf("verifier key %.80q: %w: want <name>+<8 hex digits>+<base64>", s, ErrFormat)
	}
	k := VKey{Name: name, Type: KeyType(raw[0])}
	if k.Type != LogKeyType && k.Type != WitnessKeyType {
		return VKey{}, fmt.Errorf("verifier key %.80q: %w: signature type 0x%02x is not supported (0x01 for logs and 0x04 for witnesses are)", s, ErrFormat, raw[0])
	}
	if len(raw) != 1+ed25519.PublicKeySize {
		return VKey{}, fmt.Errorf("verifier key %.80q: %w: an Ed25519 key has 32 bytes, this one %d", s, ErrFormat, len(raw)-1)
	}
	copy(k.Public[:], raw[1:])
	if k.String() != s {
		return VKey{}, fmt.Errorf("verifier key %.80q: %w: it would be written %s", s, ErrFormat, k)
	}
	return k, nil
}

// CheckOrigin reports whether s can name a log: 1 to MaxOrigin bytes of valid
// UTF-8 without spaces, control characters or "+".
// Source: c2sp.org/signed-note, "Format".
func CheckOrigin(s string) error {
	bad := func(r rune) bool { return r == '+' || unicode.IsSpace(r) || unicode.IsControl(r) }
	if s == "" || len(s) > MaxOrigin || !utf8.ValidString(s) || strings.IndexFunc(s, bad) >= 0 {
		return fmt.Errorf("origin %.80q: %w: want 1 to %d bytes of UTF-8 without spaces, control characters or \"+\"", s, ErrFormat, MaxOrigin)
	}
	return nil
}

// ID returns the key id that a signature line by this key carries:
// SHA-256(name ‖ "\n" ‖ type ‖ public key), its first four bytes.
func (k VKey) ID() uint32 {
	h := sha256.New()
	h.Write([]byte(k.Name))
	h.Write([]byte{'\n', byte(k.Type)})
	h.Write(k.Public[:])
	return binary.BigEndian.Uint32(h.Sum(nil))
}

// String returns the one text form of the key.
func (k VKey) String() string {
	raw := append([]byte{byte(k.Type)}, k.Public[:]...)
	return k.Name + "+" + fmt.Sprintf("%08x", k.ID()) + "+" + base64.StdEncoding.EncodeToString(raw)
}

// Short names the key in a sentence: "<name> (<key id>)".
func (k VKey) Short() string { return fmt.Sprintf("%s (%08x)", k.Name, k.ID()) }

// Verifier returns the verifier of the key's signatures on notes. A
// WitnessKeyType verifier checks cosignatures, a LogKeyType one plain notes.
func (k VKey) Verifier() note.Verifier { return verifier{k, k.ID()} }

// Verifiers returns those keys, for note.Open and OpenCheckpoint.
func Verifiers(keys ...VKey) note.Verifiers {
	list := make([]note.Verifier, len(keys))
	for i, k := range keys {
		list[i] = k.Verifier()
	}
	return note.VerifierList(list...)
}

type verifier struct {
	key VKey
	id  uint32
}

func (v verifier) Name() string    { return v.key.Name }
func (v verifier) KeyHash() uint32 { return v.id }

func (v verifier) Verify(msg, sig []byte) bool {
	if v.key.Type == WitnessKeyType {
		seconds, raw, ok := splitCosignature(sig)
		return ok && ed25519.Verify(v.key.Public[:], cosigned(seconds, msg), raw)
	}
	return len(sig) == ed25519.SignatureSize && ed25519.Verify(v.key.Public[:], msg, sig)
}

// timestampSize is the length of the time before a cosignature, in bytes.
const timestampSize = 8

// splitCosignature takes a timestamped_signature apart: big-endian Unix
// seconds of at most 2^63-1, then the Ed25519 signature.
func splitCosignature(sig []byte) (seconds int64, raw []byte, ok bool) {
	if len(sig) != timestampSize+ed25519.SignatureSize || sig[0]&0x80 != 0 {
		return 0, nil, false
	}
	return int64(binary.BigEndian.Uint64(sig)), sig[timestampSize:], true
}

// cosigned is the message of cosignature/v1 over the text of a checkpoint.
func cosigned(seconds int64, text []byte) []byte {
	m := make([]byte, 0, 48+len(text))
	m = append(m, "cosignature/v1\ntime "...)
	m = strconv.AppendInt(m, seconds, 10)
	m = append(m, '\n')
	return append(m, text...)
}

// NewSigner returns a signer of notes with an Ed25519 key under a name: a log
// key. Its VKey is what others pin.
func NewSigner(name string, key ed25519.PrivateKey) (note.Signer, VKey, error) {
	return newSigner(name, key, LogKeyType, 0)
}

// NewCosigner returns a signer of cosignature/v1 with an Ed25519 key under a
// name: a witness key. Every signature it makes carries the time given, in
// Unix seconds; make one for each checkpoint.
func NewCosigner(name string, key ed25519.PrivateKey, seconds int64) (note.Signer, VKey, error) {
	if seconds < 0 {
		return nil, VKey{}, fmt.Errorf("cosigner %s: %w: time %d is before 1970", name, ErrFormat, seconds)
	}
	return newSigner(name, key, WitnessKeyType, seconds)
}

func newSigner(name string, key ed25519.PrivateKey, t KeyType, seconds int64) (note.Signer, VKey, error) {
	if err := CheckOrigin(name); err != nil {
		return nil, VKey{}, err
	}
	if len(key) != ed25519.PrivateKeySize {
		return nil, VKey{}, fmt.Errorf("signer %s: %w: an Ed25519 private key has %d bytes, this one %d", name, ErrFormat, ed25519.PrivateKeySize, len(key))
	}
	k := VKey{Name: name, Type: t}
	copy(k.Public[:], key[ed25519.SeedSize:])
	return signer{k, k.ID(), key, seconds}, k, nil
}

type signer struct {
	key     VKey
	id      uint32
	private ed25519.PrivateKey
	seconds int64
}

func (s signer) Name() string    { return s.key.Name }
func (s signer) KeyHash() uint32 { return s.id }

func (s signer) Sign(msg []byte) ([]byte, error) {
	if s.key.Type == WitnessKeyType {
		sig := binary.BigEndian.AppendUint64(nil, uint64(s.seconds))
		return append(sig, ed25519.Sign(s.private, cosigned(s.seconds, msg))...), nil
	}
	return ed25519.Sign(s.private, msg), nil
}
