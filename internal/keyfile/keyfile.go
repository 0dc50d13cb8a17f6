// Package keyfile reads a public key as other people's tools write one to a
// file: the SubjectPublicKeyInfo of RFC 5280, section 4.1.2.7, in DER or in a
// PEM block. Which keys are good for what is the caller's to say.
package keyfile

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
)

// MaxFile bounds a file with a public key, in bytes: RSA of 8192 bits has 1.5 KB
// in PEM.
const MaxFile = 16 << 10

// A WrongKindError says that a file holds something else that people keep in
// PEM, and what to do.
type WrongKindError struct {
	Type string // of the PEM block: a private key's, or CERTIFICATE
}

func (e *WrongKindError) Error() string {
	if e.private() {
		return "public key: this is a private key"
	}
	return "public key: this is a certificate"
}

func (e *WrongKindError) private() bool { return strings.HasSuffix(e.Type, "PRIVATE KEY") }

// Hint says what a person can do about it.
func (e *WrongKindError) Hint() string {
	if e.private() {
		return "give the public key: `openssl pkey -in FILE -pubout`"
	}
	return "give its public key: `openssl x509 -in FILE -noout -pubkey`"
}

// ParsePublic reads a PEM block "PUBLIC KEY", or its DER, with nothing after it:
// an *ecdsa.PublicKey, an ed25519.PublicKey, an *rsa.PublicKey, or another that
// [x509.ParsePKIXPublicKey] knows. A private key or a certificate is a
// [*WrongKindError].
func ParsePublic(text []byte) (crypto.PublicKey, error) {
	if len(text) > MaxFile {
		return nil, fmt.Errorf("public key: %d bytes, at most %d are read", len(text), MaxFile)
	}
	der := text
	if block, rest := pem.Decode(text); block != nil {
		switch {
		case strings.HasSuffix(block.Type, "PRIVATE KEY"), block.Type == "CERTIFICATE":
			return nil, &WrongKindError{block.Type}
		case block.Type != "PUBLIC KEY":
			return nil, fmt.Errorf("public key: PEM block %+.60q, want PUBLIC KEY", block.Type)
		case len(bytes.TrimSpace(rest)) > 0:
			return nil, errors.New("public key: something follows the PEM block")
		}
		der = block.Bytes
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, errors.New("public key: neither PEM nor DER of a public key")
	}
	return key, nil
}
