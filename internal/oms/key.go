package oms

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	_ "crypto/sha512" // SHA-384 and SHA-512
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/stele-ml/stele/internal/keyfile"
)

// PublicKey is a key that signs models: ECDSA on P-256, P-384 or P-521. The
// curve decides the hash.
type PublicKey struct {
	key  *ecdsa.PublicKey
	hash crypto.Hash
	der  []byte // of its SubjectPublicKeyInfo (RFC 5280, section 4.1.2.7)
}

// ParsePublicKey reads a PEM block "PUBLIC KEY", or its DER.
func ParsePublicKey(text []byte) (*PublicKey, error) {
	key, err := keyfile.ParsePublic(text)
	var wrong *keyfile.WrongKindError
	switch {
	case errors.As(err, &wrong) && wrong.Type == "CERTIFICATE":
		return nil, &refusal{err, "give it with --certificate-chain"}
	case err != nil:
		return nil, err
	}
	return newPublicKey(key)
}

func newPublicKey(key any) (*PublicKey, error) {
	k, ok := key.(*ecdsa.PublicKey)
	if !ok {
		return nil, fmt.Errorf("public key: %w: models are signed with ECDSA keys on P-256, P-384 or P-521", ErrUnsupported)
	}
	p := &PublicKey{key: k}
	switch k.Curve {
	case elliptic.P256():
		p.hash = crypto.SHA256
	case elliptic.P384():
		p.hash = crypto.SHA384
	case elliptic.P521():
		p.hash = crypto.SHA512
	default:
		return nil, fmt.Errorf("public key: %w: models are signed with ECDSA keys on P-256, P-384 or P-521", ErrUnsupported)
	}
	var err error
	if p.der, err = x509.MarshalPKIXPublicKey(k); err != nil {
		return nil, fmt.Errorf("public key: %w", err)
	}
	return p, nil
}

// PEM is the key as other tools write it, and as a hint hashes it.
func (k *PublicKey) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: k.der})
}

// ID is the SHA-256 of the DER of the key's SubjectPublicKeyInfo.
func (k *PublicKey) ID() [32]byte { return sha256.Sum256(k.der) }

// Hint is what a signature says of its key: the SHA-256 of the PEM text, in
// hexadecimal digits.
func (k *PublicKey) Hint() string {
	sum := sha256.Sum256(k.PEM())
	return hex.EncodeToString(sum[:])
}

// Algorithm names the curve and the hash, for people.
func (k *PublicKey) Algorithm() string {
	return "ECDSA " + k.key.Params().Name + " with " + k.hash.String()
}

// verify checks a signature in DER over a message. Of the two signatures that
// exist for each, both are good: other people's tools do not choose.
func (k *PublicKey) verify(hash crypto.Hash, message, signature []byte) bool {
	h := hash.New()
	h.Write(message)
	return ecdsa.VerifyASN1(k.key, h.Sum(nil), signature)
}

// pae is the pre-authentication encoding of DSSE v1: "DSSEv1" SP LEN(type) SP
// type SP LEN(body) SP body.
func pae(payload []byte) []byte {
	return fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(payloadType), payloadType, len(payload), payload)
}

// oldPAE is what version 0.2.0 of the reference implementation signed in its
// place, always with SHA-256: another first word, and the payload as Python
// writes bytes.
func oldPAE(payload []byte) []byte {
	head := "DSSEV1 " + strconv.Itoa(len(payloadType)) + " " + payloadType + " " + strconv.Itoa(len(payload)) + " "
	return append([]byte(head), pythonBytes(payload)...)
}

// pythonBytes is repr(bytes) of Python 3: each sequence of bytes has one, and no
// two have the same.
func pythonBytes(p []byte) []byte {
	quote := byte('\'')
	if bytes.IndexByte(p, '\'') >= 0 && bytes.IndexByte(p, '"') < 0 {
		quote = '"'
	}
	out := []byte{'b', quote}
	for _, c := range p {
		switch {
		case c == quote || c == '\\':
			out = append(out, '\\', c)
		case c == '\t':
			out = append(out, `\t`...)
		case c == '\n':
			out = append(out, `\n`...)
		case c == '\r':
			out = append(out, `\r`...)
		case c < ' ' || c >= 0x7f:
			out = fmt.Appendf(out, `\x%02x`, c)
		default:
			out = append(out, c)
		}
	}
	return append(out, quote)
}

// Verified is a signature that was checked: who made it, and what it says.
type Verified struct {
	Method    Method
	Key       *PublicKey
	Subject   string // of the certificate; empty for a bare key
	Statement *Statement
	// Notes are what a person should know beside: a hint of another key, log
	// entries that nobody looked at.
	Notes []string
}

// VerifyKey checks the signature with a public key that the caller trusts. What
// the file says of its key is not believed, only compared.
//
// ErrOtherKey: another key made it, as far as the file says, or it says nothing.
// ErrSignature: it says that this key did, and it did not sign that.
func (s *Signature) VerifyKey(key *PublicKey) (*Verified, error) {
	if s.Method != ByKey {
		return nil, &refusal{fmt.Errorf("%w: it is signed with a certificate, and not with a bare key", ErrOtherKey),
			"give the certificates that you trust with --certificate-chain"}
	}
	v := &Verified{Method: ByKey, Key: key}
	says, note := s.compareHint(key)
	if err := s.signed(v, key); err != nil {
		if says == hintSame || !errors.Is(err, ErrSignature) {
			return nil, err
		}
		return nil, &refusal{fmt.Errorf("%w: it does not verify with it%s", ErrOtherKey, note), "give the public key of whoever signed the model"}
	}
	if note != "" && says != hintNone {
		v.Notes = append(v.Notes, "it verifies with the given key"+note)
	}
	if s.oldKey != nil && !same(s.oldKey, key.PEM()) && !same(s.oldKey, key.der) {
		v.Notes = append(v.Notes, "it carries another key than the one it verifies with, in an old form")
	}
	s.note(v)
	return v, nil
}

// What a file says of its key.
type hint int

const (
	hintNone hint = iota
	hintSame
	hintOther
)

// compareHint says whether a file names a key as its signer's, and in words how.
func (s *Signature) compareHint(key *PublicKey) (hint, string) {
	der := key.ID()
	switch strings.ToLower(s.Hint) {
	case "":
		return hintNone, ", and does not say which key made it"
	case key.Hint():
		return hintSame, ""
	case hex.EncodeToString(der[:]):
		return hintSame, ", and its hint is of the key's DER: other tools, which hash the PEM text, may refuse it"
	}
	return hintOther, ", and names another: " + quote(s.Hint)
}

// note adds what the file carries that was not looked at.
func (s *Signature) note(v *Verified) {
	id := v.Key.ID()
	if k := strings.ToLower(s.KeyID); k != "" && k != v.Key.Hint() && k != hex.EncodeToString(id[:]) {
		v.Notes = append(v.Notes, "its envelope names a key that is not the one it verifies with, or names it in a way that is not known here: "+quote(s.KeyID))
	}
	if s.LogEntries > 0 || s.Timestamps > 0 {
		v.Notes = append(v.Notes, fmt.Sprintf("it carries %d log entries and %d timestamps, which are not checked", s.LogEntries, s.Timestamps))
	}
}

// signed checks the signature with a key, and reads what is signed.
func (s *Signature) signed(v *Verified, key *PublicKey) (err error) {
	old := false
	if !key.verify(key.hash, pae(s.payload), s.signature) {
		if old = key.verify(crypto.SHA256, oldPAE(s.payload), s.signature); !old {
			return fmt.Errorf("%w: what is signed, or the signature, was altered", ErrSignature)
		}
	}
	if v.Statement, err = parseStatement(s.payload); err != nil {
		return err
	}
	if old && v.Statement.PredicateType != PredicateTypeDigests {
		return fmt.Errorf("%w: it is over what only version 0.2.0 signed", ErrSignature)
	}
	return nil
}
