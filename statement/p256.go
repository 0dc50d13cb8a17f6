package statement

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

var (
	p256N     = elliptic.P256().Params().N
	p256HalfN = new(big.Int).Rsh(p256N, 1)
)

// For every ECDSA signature (r, s) there is the twin (r, n-s). Only the one with
// s at most n/2 is accepted, so that a third party cannot make a second one.

// checkLowS checks 0 < r < n and 0 < s ≤ n/2.
func checkLowS(r, s *big.Int) error {
	switch {
	case r.Sign() <= 0 || r.Cmp(p256N) >= 0 || s.Sign() <= 0 || s.Cmp(p256N) >= 0:
		return refuse(ErrSignature, "", "the ECDSA signature is out of range")
	case s.Cmp(p256HalfN) > 0:
		return refuse(ErrSignature, "", "the ECDSA signature is the high-S twin of the one that is accepted")
	}
	return nil
}

// lowS returns the twin that is accepted.
func lowS(s *big.Int) *big.Int {
	if s.Cmp(p256HalfN) > 0 {
		return new(big.Int).Sub(p256N, s)
	}
	return s
}

// parseP256Signature reads the DER of SEQUENCE { INTEGER r, INTEGER s } (RFC 3279
// section 2.2.3). cryptobyte refuses lengths and integers that are not minimal.
func parseP256Signature(sig []byte) (r, s *big.Int, err error) {
	r, s = new(big.Int), new(big.Int)
	var inner cryptobyte.String
	input := cryptobyte.String(sig)
	if !input.ReadASN1(&inner, asn1.SEQUENCE) || !input.Empty() ||
		!inner.ReadASN1Integer(r) || !inner.ReadASN1Integer(s) || !inner.Empty() {
		return nil, nil, refuse(ErrSignature, "", "the ECDSA signature is not minimal DER")
	}
	return r, s, nil
}

func marshalP256Signature(r, s *big.Int) []byte {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(r)
		b.AddASN1BigInt(s)
	})
	return b.BytesOrPanic()
}

func verifyP256(key *ecdsa.PublicKey, message, sig []byte) error {
	r, s, err := parseP256Signature(sig)
	if err != nil {
		return err
	}
	if err := checkLowS(r, s); err != nil {
		return err
	}
	digest := sha256.Sum256(message)
	if !ecdsa.VerifyASN1(key, digest[:], sig) {
		return refuse(ErrSignature, "", "the ECDSA signature does not verify")
	}
	return nil
}
