package statement

import (
	"encoding/hex"
	"fmt"
	"io"
)

// LedgerID names a ledger: the RFC 6962 leaf hash of its leaf 0. Its text is 64
// lower-case hexadecimal digits.
type LedgerID [32]byte

// KeyID names a public key: SHA-256("stele key v1\n" ‖ algorithm ‖ "\n" ‖ public
// bytes). Its text is 64 lower-case hexadecimal digits.
type KeyID [32]byte

// ID names a statement: SHA-256("stele statement v1\n" ‖ key id ‖ payload type ‖
// payload). The signature is not part of it, so that a retry signed again is
// the same statement. Its text is 64 lower-case hexadecimal digits.
type ID [32]byte

// Nonce makes two statements that say the same different. Its text is 32
// lower-case hexadecimal digits. All zero is refused: it was forgotten.
type Nonce [16]byte

// NewNonce reads a nonce from rand.
func NewNonce(rand io.Reader) (Nonce, error) {
	var n Nonce
	if _, err := io.ReadFull(rand, n[:]); err != nil {
		return Nonce{}, fmt.Errorf("read random nonce: %w", err)
	}
	return n, nil
}

// ParseLedgerID reads 64 lower-case hexadecimal digits.
func ParseLedgerID(text string) (id LedgerID, err error) {
	return id, decodeHex(id[:], "ledger id", text)
}

// ParseKeyID reads 64 lower-case hexadecimal digits.
func ParseKeyID(text string) (id KeyID, err error) {
	return id, decodeHex(id[:], "key id", text)
}

// ParseID reads 64 lower-case hexadecimal digits.
func ParseID(text string) (id ID, err error) {
	return id, decodeHex(id[:], "statement id", text)
}

// ParseNonce reads 32 lower-case hexadecimal digits.
func ParseNonce(text string) (n Nonce, err error) {
	return n, decodeHex(n[:], "nonce", text)
}

func (id LedgerID) String() string { return hex.EncodeToString(id[:]) }
func (id KeyID) String() string    { return hex.EncodeToString(id[:]) }
func (id ID) String() string       { return hex.EncodeToString(id[:]) }
func (n Nonce) String() string     { return hex.EncodeToString(n[:]) }

// IsZero reports whether the id is unset.
func (id LedgerID) IsZero() bool { return id == LedgerID{} }

// IsZero reports whether the id is unset.
func (id KeyID) IsZero() bool { return id == KeyID{} }

// IsZero reports whether the id is unset.
func (id ID) IsZero() bool { return id == ID{} }

// IsZero reports whether the nonce is unset.
func (n Nonce) IsZero() bool { return n == Nonce{} }

// MarshalText writes lower-case hexadecimal digits.
func (id LedgerID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, id[:]), nil }

// UnmarshalText reads what MarshalText writes and nothing else.
func (id *LedgerID) UnmarshalText(text []byte) error {
	return decodeHex(id[:], "ledger id", string(text))
}

// MarshalText writes lower-case hexadecimal digits.
func (id KeyID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, id[:]), nil }

// UnmarshalText reads what MarshalText writes and nothing else.
func (id *KeyID) UnmarshalText(text []byte) error { return decodeHex(id[:], "key id", string(text)) }

// MarshalText writes lower-case hexadecimal digits.
func (id ID) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, id[:]), nil }

// UnmarshalText reads what MarshalText writes and nothing else.
func (id *ID) UnmarshalText(text []byte) error { return decodeHex(id[:], "statement id", string(text)) }

// MarshalText writes lower-case hexadecimal digits.
func (n Nonce) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, n[:]), nil }

// UnmarshalText reads what MarshalText writes and nothing else.
func (n *Nonce) UnmarshalText(text []byte) error { return decodeHex(n[:], "nonce", string(text)) }

// decodeHex fills dst from exactly 2*len(dst) lower-case digits.
func decodeHex(dst []byte, what, text string) error {
	if len(text) != 2*len(dst) || !isLowerHex(text) {
		return malformed("%s %s: want %d lower-case hexadecimal digits", what, quote(text), 2*len(dst))
	}
	for i := range dst {
		dst[i] = hexValue(text[2*i])<<4 | hexValue(text[2*i+1])
	}
	return nil
}

// hexValue returns what a lower-case digit stands for.
func hexValue(c byte) byte {
	if c >= 'a' {
		return c - 'a' + 10
	}
	return c - '0'
}

func isLowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// quote makes text from elsewhere fit for a terminal and for one line.
func quote(s string) string {
	const longest = 80
	if len(s) > longest {
		return fmt.Sprintf("%+q…", s[:longest])
	}
	return fmt.Sprintf("%+q", s)
}
