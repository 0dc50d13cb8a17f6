package statement

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"

	"golang.org/x/crypto/ssh"
)

// GenerateP256 makes a private key from rand. The same bytes make the same key.
func GenerateP256(rand io.Reader) (*ecdsa.PrivateKey, error) {
	// Candidates that are zero or not below the group's order are thrown away, as
	// in FIPS 186-5 appendix A.2.2; one in 2³² is.
	for range 64 {
		var scalar [32]byte
		if _, err := io.ReadFull(rand, scalar[:]); err != nil {
			return nil, fmt.Errorf("read random key: %w", err)
		}
		if key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar[:]); err == nil {
			return key, nil
		}
	}
	return nil, errors.New("read random key: the source is not random")
}

// GenerateEd25519 makes a private key from rand. The same bytes make the same
// key.
func GenerateEd25519(rand io.Reader) (ed25519.PrivateKey, error) {
	var seed [ed25519.SeedSize]byte
	if _, err := io.ReadFull(rand, seed[:]); err != nil {
		return nil, fmt.Errorf("read random key: %w", err)
	}
	return ed25519.NewKeyFromSeed(seed[:]), nil
}

// ErrPassphrase is matched by errors.Is when a private key is encrypted and the
// passphrase is missing or wrong.
var ErrPassphrase = errors.New("passphrase")

// maxPrivateKey bounds a private key file, in bytes: an RSA key of 8192 bits is
// about 6,500.
const maxPrivateKey = 16 << 10

// ParsePrivateKey reads a private key: PKCS #8 PEM, unencrypted, of a P-256 or
// Ed25519 key, or OpenSSH's own format, whose key then signs as SSHSIG. After a key
// in PKCS #8 its delegation may follow (see [Delegation.PEM]), which the Signer's
// envelopes then carry.
// Rand is for its signatures (see [NewP256] and [NewSSH]); it may be nil.
// Passphrase is called when the key is encrypted; nil means there is nobody to
// ask, which is ErrPassphrase, as a wrong one is.
func ParsePrivateKey(text []byte, rand io.Reader, passphrase func() ([]byte, error)) (Signer, error) {
	if len(text) > maxPrivateKey {
		return nil, malformed("private key: %d bytes, at most %d are allowed", len(text), maxPrivateKey)
	}
	block, rest := pem.Decode(text)
	if block == nil {
		return nil, malformed("private key: no PEM block")
	}
	rest = bytes.TrimSpace(rest)
	if len(rest) > 0 && block.Type != "PRIVATE KEY" {
		return nil, malformed("private key: something follows the PEM block")
	}
	switch block.Type {
	case "PRIVATE KEY":
		s, err := parsePKCS8(block.Bytes, rand)
		if err != nil {
			return nil, err
		}
		return withDelegation(s, rest)
	case "OPENSSH PRIVATE KEY":
		return parseOpenSSH(text, rand, passphrase)
	case "EC PRIVATE KEY", "RSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY":
		return nil, refuse(ErrFormat, "convert it with: openssl pkcs8 -topk8 -nocrypt -in OLD -out NEW",
			"private key: PEM block %s is not accepted", quote(block.Type))
	case "PUBLIC KEY":
		return nil, malformed("private key: this is a public key")
	}
	return nil, malformed("private key: PEM block %s is not accepted", quote(block.Type))
}

func parsePKCS8(der []byte, rand io.Reader) (Signer, error) {
	key, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		return nil, malformed("private key: %w", err)
	}
	switch key := key.(type) {
	case *ecdsa.PrivateKey:
		return NewP256(key, rand)
	case ed25519.PrivateKey:
		return NewEd25519(key)
	}
	return nil, malformed("private key: %T is not accepted, want P-256 or Ed25519", key)
}

func parseOpenSSH(text []byte, rand io.Reader, passphrase func() ([]byte, error)) (Signer, error) {
	key, err := ssh.ParseRawPrivateKey(text)
	if missing := (*ssh.PassphraseMissingError)(nil); errors.As(err, &missing) {
		if passphrase == nil {
			return nil, refuse(ErrPassphrase, "add the key to ssh-agent, or run in a terminal", "private key: it is encrypted and there is no passphrase")
		}
		secret, askErr := passphrase()
		if askErr != nil {
			return nil, fmt.Errorf("private key: %w: %w", ErrPassphrase, askErr)
		}
		key, err = ssh.ParseRawPrivateKeyWithPassphrase(text, secret)
		if errors.Is(err, x509.IncorrectPasswordError) {
			return nil, refuse(ErrPassphrase, "", "private key: wrong passphrase")
		}
	}
	if err != nil {
		return nil, refuse(ErrFormat, "a key in a security key or in another program is used through ssh-agent", "private key: %v", err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		return nil, malformed("private key: %w", err)
	}
	return NewSSH(signer, rand)
}

// MarshalPrivateKey returns the PKCS #8 PEM of an *ecdsa.PrivateKey on P-256 or an
// ed25519.PrivateKey. It holds a secret.
func MarshalPrivateKey(key crypto.Signer) ([]byte, error) {
	switch k := key.(type) {
	case *ecdsa.PrivateKey:
		if k.Curve != elliptic.P256() {
			return nil, malformed("private key: another curve than P-256")
		}
	case ed25519.PrivateKey:
	default:
		return nil, malformed("private key: %T is not accepted, want P-256 or Ed25519", key)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("marshal private key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
