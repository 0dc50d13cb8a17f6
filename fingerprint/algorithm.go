package fingerprint

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strings"
)

// Algorithm is the hash H of a fingerprint. A ledger is made with one and takes
// no other. The zero value is no algorithm. The numbers are those of the binary
// formats.
type Algorithm uint8

const (
	// SHA256 is SHA-256, FIPS 180-4.
	SHA256 Algorithm = 1
	// BLAKE3 is BLAKE3 in its hash mode with 32 bytes of output.
	BLAKE3 Algorithm = 2
)

// ParseAlgorithm reads "sha256" or "blake3".
func ParseAlgorithm(s string) (Algorithm, error) {
	switch s {
	case "sha256":
		return SHA256, nil
	case "blake3":
		return BLAKE3, nil
	}
	return 0, fmt.Errorf("hash %s: %w: want sha256 or blake3", quote(s), ErrFormat)
}

// String returns "sha256" or "blake3".
func (a Algorithm) String() string {
	switch a {
	case SHA256:
		return "sha256"
	case BLAKE3:
		return "blake3"
	}
	return fmt.Sprintf("invalid hash %d", uint8(a))
}

// Valid reports whether a is SHA256 or BLAKE3.
func (a Algorithm) Valid() bool { return a == SHA256 || a == BLAKE3 }

// Sum returns H(p). It starts no goroutine and allocates nothing, but for a
// scratch buffer of 16 KiB when the pool of them is empty. It panics if a is not
// valid.
func (a Algorithm) Sum(p []byte) Digest {
	switch a {
	case SHA256:
		return sha256.Sum256(p)
	case BLAKE3:
		return blake3Sum(p)
	}
	panic("fingerprint: " + a.String())
}

// New returns a hash that computes H of what is written to it. Its Write
// returns no error and starts no goroutine. It panics if a is not valid.
func (a Algorithm) New() hash.Hash {
	switch a {
	case SHA256:
		return sha256.New()
	case BLAKE3:
		return new(blake3Hasher)
	}
	panic("fingerprint: " + a.String())
}

// Digest is the 32-byte output of an [Algorithm].
type Digest [32]byte

// String returns 64 lower-case hexadecimal digits.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// IsZero reports whether all bytes of d are zero.
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText returns what String does.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText is [ParseDigest].
func (d *Digest) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDigest(string(text))
	return err
}

// ParseDigest reads exactly 64 lower-case hexadecimal digits; anything else is
// ErrFormat.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	if len(s) != 2*len(d) || strings.ToLower(s) != s {
		return Digest{}, fmt.Errorf("digest %s: %w: want 64 lower-case hexadecimal digits", quote(s), ErrFormat)
	}
	if _, err := hex.Decode(d[:], []byte(s)); err != nil {
		return Digest{}, fmt.Errorf("digest %s: %w: want 64 lower-case hexadecimal digits", quote(s), ErrFormat)
	}
	return d, nil
}

// Fingerprint stands for exactly these names and bytes. It is comparable; its
// zero value stands for nothing.
type Fingerprint struct {
	Algorithm Algorithm
	Sum       Digest
}

// keyPrefix begins the key of a fingerprint in an in-toto DigestSet and so its
// text.
const keyPrefix = "stele-"

// Key returns the fingerprint's key in an in-toto DigestSet, "stele-sha256" or
// "stele-blake3".
func (f Fingerprint) Key() string { return keyPrefix + f.Algorithm.String() }

// String returns Key, a colon and 64 lower-case hexadecimal digits.
func (f Fingerprint) String() string { return f.Key() + ":" + f.Sum.String() }

// IsZero reports whether f is the zero value, which stands for nothing.
func (f Fingerprint) IsZero() bool { return f == Fingerprint{} }

// MarshalText returns what String does; a fingerprint without a valid algorithm
// has no text and is ErrFormat.
func (f Fingerprint) MarshalText() ([]byte, error) {
	if !f.Algorithm.Valid() {
		return nil, fmt.Errorf("fingerprint: %w: %v", ErrFormat, f.Algorithm)
	}
	return []byte(f.String()), nil
}

// UnmarshalText is [Parse].
func (f *Fingerprint) UnmarshalText(text []byte) (err error) {
	*f, err = Parse(string(text))
	return err
}

// Parse reads what [Fingerprint.String] writes and nothing else; anything else
// is ErrFormat.
func Parse(text string) (Fingerprint, error) {
	key, digits, ok := strings.Cut(text, ":")
	name, ours := strings.CutPrefix(key, keyPrefix)
	a, err := ParseAlgorithm(name)
	if !ok || !ours || err != nil {
		return Fingerprint{}, fmt.Errorf("fingerprint %s: %w: want stele-sha256:<hex> or stele-blake3:<hex>", quote(text), ErrFormat)
	}
	d, err := ParseDigest(digits)
	if err != nil {
		return Fingerprint{}, fmt.Errorf("fingerprint %s: %w", quote(text), err)
	}
	return Fingerprint{a, d}, nil
}
