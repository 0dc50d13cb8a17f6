package oms

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"
)

// ParseCertificates reads the PEM blocks "CERTIFICATE" of a file: those that the
// caller trusts.
func ParseCertificates(text []byte) ([]*x509.Certificate, error) {
	if len(text) > MaxChain*2*MaxCertificate {
		return nil, fmt.Errorf("certificates: %d bytes, at most %d are read", len(text), MaxChain*2*MaxCertificate)
	}
	var list []*x509.Certificate
	for rest := text; ; {
		var block *pem.Block
		block, rest = pem.Decode(rest)
		switch {
		case block == nil && len(bytes.TrimSpace(rest)) > 0 && len(list) == 0:
			return nil, fmt.Errorf("certificates: not PEM")
		case block == nil && len(list) == 0:
			return nil, fmt.Errorf("certificates: the file has none")
		case block == nil:
			return list, nil
		case block.Type != "CERTIFICATE":
			return nil, fmt.Errorf("certificates: PEM block %s, want CERTIFICATE", quote(block.Type))
		case len(list) == MaxChain:
			return nil, fmt.Errorf("certificates: more than %d", MaxChain)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(list)+1, err)
		}
		list = append(list, c)
	}
}

// VerifyCertificate checks the signature with the key of the leaf certificate in
// the file, and that certificate against those that the caller trusts, as of a
// moment. Nothing in such a file proves when it was signed, so the caller has to
// choose: the specification asks for a certificate that is valid when it is
// checked. Whether it was revoked is not asked.
//
// The leaf has to be for signing: digitalSignature in its key usage or
// codeSigning in its extended key usage, as the reference implementation
// demands; and where it, or what is above it, has an extended key usage, that
// has to be codeSigning, or anything, so that a web server's is none.
//
// ErrOtherKey: no trusted certificate vouches for it. ErrSignature: it did not
// sign that.
func (s *Signature) VerifyCertificate(trusted []*x509.Certificate, at time.Time) (*Verified, error) {
	if s.Method != ByCertificate {
		return nil, &refusal{fmt.Errorf("%w: it is signed with a bare key, and carries no certificate", ErrOtherKey),
			"give the public key that you trust with --public-key"}
	}
	leaf := s.Chain[0]
	subject := quote(leaf.Subject.String())
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	for _, c := range trusted {
		roots.AddCert(c)
	}
	for _, c := range s.Chain[1:] {
		between.AddCert(c)
	}
	_, err := leaf.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: between, CurrentTime: at, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning},
	})
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		c := invalid.Cert
		return nil, &refusal{
			fmt.Errorf("%w: the certificate of %s is valid from %s to %s, and not at %s", ErrOtherKey,
				quote(c.Subject.String()), utc(c.NotBefore), utc(c.NotAfter), utc(at)),
			"if you know from elsewhere when it was signed, check it as of that time with --certificates-at",
		}
	case err != nil:
		return nil, fmt.Errorf("%w: the certificate of %s: %s", ErrOtherKey, subject, err)
	case leaf.KeyUsage&x509.KeyUsageDigitalSignature == 0 && !slices.Contains(leaf.ExtKeyUsage, x509.ExtKeyUsageCodeSigning):
		return nil, fmt.Errorf("%w: the certificate of %s is not for signing", ErrOtherKey, subject)
	}
	key, err := newPublicKey(leaf.PublicKey)
	if err != nil {
		return nil, err
	}
	v := &Verified{Method: ByCertificate, Key: key, Subject: leaf.Subject.String()}
	if err := s.signed(v, key); err != nil {
		return nil, err
	}
	s.note(v)
	return v, nil
}

func utc(t time.Time) string { return t.UTC().Format(time.RFC3339) }
