package oms

import (
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"strings"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/stele-ml/stele/internal/strictjson"
)

// Method is how a signature's key is known.
type Method string

// The methods that can be checked here.
const (
	ByKey         Method = "key"         // a bare public key
	ByCertificate Method = "certificate" // a chain of X.509 certificates
)

// mediaTypes are the bundles that are read, as Sigstore's specification names
// them. The last is the one that is written.
var mediaTypes = []string{
	"application/vnd.dev.sigstore.bundle+json;version=0.1",
	"application/vnd.dev.sigstore.bundle+json;version=0.2",
	"application/vnd.dev.sigstore.bundle+json;version=0.3",
	mediaType,
}

const mediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// Signature is a signature file that was read and not yet checked: everything in
// it is whatever somebody wrote.
type Signature struct {
	MediaType string
	Method    Method
	Hint      string              // ByKey: which key it is said to be; proves nothing
	KeyID     string              // the same, in the envelope
	Chain     []*x509.Certificate // ByCertificate: the leaf first
	// LogEntries and Timestamps are how many of each it carries. They are not
	// checked here: they belong to a method that is not.
	LogEntries, Timestamps int

	oldKey    []byte // of bundles before v1.1.0: the key itself
	payload   []byte
	signature []byte
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrFormat, fmt.Errorf(format, args...))
}

// Parse reads a signature file: a Sigstore bundle v0.1 to v0.3 in JSON, with an
// in-toto statement in a DSSE envelope that has exactly one signature. It checks
// everything but the signature and what is signed. A bundle by a short-lived
// certificate of Sigstore's is ErrUnsupported.
func Parse(data []byte) (*Signature, error) {
	s := new(Signature)
	data, err := s.modern(data)
	if err != nil {
		return nil, err
	}
	b := new(protobundle.Bundle)
	if err := (protojson.UnmarshalOptions{RecursionLimit: maxBundleDepth}).Unmarshal(data, b); err != nil {
		return nil, malformed("Sigstore bundle: %s", explain(err))
	}
	if !slices.Contains(mediaTypes, b.MediaType) {
		return nil, malformed("media type %s, want %s", quote(b.MediaType), mediaType)
	}
	s.MediaType = b.MediaType
	if err := s.envelope(b); err != nil {
		return nil, err
	}
	return s, s.material(b.VerificationMaterial)
}

// explain is what protojson says, which puts a space of one kind or another
// before it lest anybody rely on its words.
func explain(err error) string {
	text := strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\u00a0", " "), "proto: ")
	return strings.TrimSpace(text)
}

// modern checks that a file is JSON that nobody can read otherwise, and makes a
// bundle by a key, as versions before v1.1.0 of the reference implementation
// wrote it, one of today: the schema has no place for the key itself.
func (s *Signature) modern(data []byte) ([]byte, error) {
	var top struct {
		Material struct {
			PublicKey map[string]strictjson.Raw `json:"publicKey"`
		} `json:"verificationMaterial"`
	}
	if err := strictjson.UnmarshalForeign(data, &top, MaxFile, maxBundleDepth); err != nil {
		return nil, malformed("%w", err)
	}
	key := top.Material.PublicKey
	if key == nil || key["rawBytes"] == nil {
		return data, nil
	}
	for name := range key {
		if name != "rawBytes" && name != "keyDetails" && name != "hint" {
			return nil, malformed("publicKey: unknown member %s", quote(name))
		}
	}
	if err := strictjson.UnmarshalForeign(key["rawBytes"], &s.oldKey, maxHint*2, 1); err != nil {
		return nil, malformed("publicKey: rawBytes: %w", err)
	}
	hint := strictjson.Raw(`""`)
	if given := key["hint"]; given != nil {
		hint = given
	}
	return withPublicKey(data, hint)
}

// withPublicKey puts {"hint":hint} in the place of a bundle's publicKey.
func withPublicKey(data []byte, hint strictjson.Raw) ([]byte, error) {
	bundle, material := map[string]strictjson.Raw{}, map[string]strictjson.Raw{}
	if err := strictjson.UnmarshalForeign(data, &bundle, MaxFile, maxBundleDepth); err != nil {
		return nil, malformed("%w", err)
	}
	if err := strictjson.UnmarshalForeign(bundle["verificationMaterial"], &material, MaxFile, maxBundleDepth); err != nil {
		return nil, malformed("verificationMaterial: %w", err)
	}
	material["publicKey"] = strictjson.Raw(`{"hint":` + string(hint) + `}`)
	var err error
	if bundle["verificationMaterial"], err = strictjson.Marshal(material); err != nil {
		return nil, malformed("%w", err)
	}
	if data, err = strictjson.Marshal(bundle); err != nil {
		return nil, malformed("%w", err)
	}
	return data, nil
}

// envelope takes what is signed, and the signature.
func (s *Signature) envelope(b *protobundle.Bundle) error {
	e := b.GetDsseEnvelope()
	switch {
	case e == nil:
		return malformed("there is no dsseEnvelope")
	case e.PayloadType != payloadType:
		return malformed("payload type %s, want %s", quote(e.PayloadType), payloadType)
	case len(e.Payload) == 0:
		return malformed("the payload is empty")
	case len(e.Signatures) != 1:
		return malformed("%d signatures, want exactly one", len(e.Signatures))
	}
	sig := e.Signatures[0]
	switch {
	case len(sig.GetSig()) == 0 || len(sig.GetSig()) > maxSignature:
		return malformed("a signature of %d bytes, 1 to %d are possible", len(sig.GetSig()), maxSignature)
	case len(sig.GetKeyid()) > maxHint:
		return malformed("a keyid of %d bytes, at most %d are read", len(sig.GetKeyid()), maxHint)
	}
	s.payload, s.signature, s.KeyID = e.Payload, sig.GetSig(), sig.GetKeyid()
	return nil
}

// material takes what is said of the key.
func (s *Signature) material(m *protobundle.VerificationMaterial) error {
	s.LogEntries = len(m.GetTlogEntries())
	s.Timestamps = len(m.GetTimestampVerificationData().GetRfc3161Timestamps())
	switch c := m.GetContent().(type) {
	case *protobundle.VerificationMaterial_PublicKey:
		s.Method, s.Hint = ByKey, c.PublicKey.GetHint()
		if len(s.Hint) > maxHint {
			return malformed("a hint of %d bytes, at most %d are read", len(s.Hint), maxHint)
		}
		return nil
	case *protobundle.VerificationMaterial_X509CertificateChain:
		s.Method = ByCertificate
		return s.chain(c)
	case *protobundle.VerificationMaterial_Certificate:
		return &refusal{fmt.Errorf("%w: it is signed by Sigstore's method, with a short-lived certificate and a log entry", ErrUnsupported),
			"check it with a Sigstore client (`model_signing verify sigstore`, cosign); here only keys and certificate chains are checked"}
	}
	return malformed("verificationMaterial has neither publicKey nor x509CertificateChain")
}

func (s *Signature) chain(c *protobundle.VerificationMaterial_X509CertificateChain) error {
	list := c.X509CertificateChain.GetCertificates()
	if len(list) == 0 || len(list) > MaxChain {
		return malformed("%d certificates, 1 to %d are read", len(list), MaxChain)
	}
	for i, raw := range list {
		if len(raw.GetRawBytes()) > MaxCertificate {
			return malformed("certificate %d has %d bytes, at most %d are read", i+1, len(raw.GetRawBytes()), MaxCertificate)
		}
		cert, err := x509.ParseCertificate(raw.GetRawBytes())
		if err != nil {
			return malformed("certificate %d: %w", i+1, err)
		}
		s.Chain = append(s.Chain, cert)
	}
	return nil
}

// quote makes foreign text fit for a message.
func quote(text string) string {
	const longest = 120
	if len(text) > longest {
		return fmt.Sprintf("%+q…", text[:longest])
	}
	return fmt.Sprintf("%+q", text)
}

// sortedNames are the names of a set, in order.
func sortedNames[V any](set map[string]V) []string { return slices.Sorted(maps.Keys(set)) }
