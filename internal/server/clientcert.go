package server

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// MaxCertRules is how many rules for client certificates there may be.
const MaxCertRules = 1024

// CertRule gives scopes to those whose certificate, by the CA of the configuration,
// has a name.
type CertRule struct {
	field  string // dns, uri, email, cn or spki
	value  string // exact, or with one star: "*.ci.example", "spiffe://ci.example/*"
	scopes Scope
}

// ErrCertRule says that a text is no rule.
var ErrCertRule = errors.New("no rule for a client certificate")

// ParseCertRule reads FIELD:VALUE=SCOPES, for example "dns:*.ci.example=entries,submit".
// FIELD is dns, uri, email (of the subject's alternative names), cn (the common name)
// or spki (the SHA-256 of the public key's info, in hexadecimal). A dns value may
// begin with "*.", for one label; a uri may end with "/*".
func ParseCertRule(text string) (CertRule, error) {
	at := strings.LastIndexByte(text, '=')
	if at < 0 {
		return CertRule{}, fmt.Errorf("%w: %.120q; FIELD:VALUE=SCOPES is wanted", ErrCertRule, text)
	}
	scopes, err := ParseScopes(text[at+1:])
	if err != nil {
		return CertRule{}, fmt.Errorf("%w: %w", ErrCertRule, err)
	}
	field, value, _ := strings.Cut(text[:at], ":")
	r := CertRule{field: field, value: value, scopes: scopes}
	plain := value
	switch field {
	case "dns":
		r.value = strings.ToLower(value)
		plain = strings.TrimPrefix(value, "*.")
	case "uri":
		if strings.HasSuffix(value, "/*") {
			plain = strings.TrimSuffix(value, "*")
		}
	case "email", "cn":
	case "spki":
		if sum, err := hex.DecodeString(value); err != nil || len(sum) != sha256.Size || strings.ToLower(value) != value {
			return CertRule{}, fmt.Errorf("%w: spki is 64 small hexadecimal digits, not %.80q", ErrCertRule, value)
		}
	default:
		return CertRule{}, fmt.Errorf("%w: %.40q; use dns, uri, email, cn or spki", ErrCertRule, field)
	}
	if plain == "" || strings.Contains(plain, "*") {
		return CertRule{}, fmt.Errorf("%w: %.120q is no value for %s", ErrCertRule, value, field)
	}
	return r, nil
}

// String is what ParseCertRule reads.
func (r CertRule) String() string { return r.field + ":" + r.value + "=" + r.scopes.String() }

// match returns what in a certificate the rule is about, as a name for logs.
func (r CertRule) match(c *x509.Certificate) (string, bool) {
	var have []string
	switch r.field {
	case "dns":
		for _, name := range c.DNSNames {
			have = append(have, strings.ToLower(name))
		}
	case "uri":
		for _, u := range c.URIs {
			have = append(have, u.String())
		}
	case "email":
		have = c.EmailAddresses
	case "cn":
		have = []string{c.Subject.CommonName}
	case "spki":
		sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
		have = []string{hex.EncodeToString(sum[:])}
	}
	for _, value := range have {
		if r.fits(value) {
			return r.field + ":" + value, true
		}
	}
	return "", false
}

func (r CertRule) fits(value string) bool {
	if tail, ok := strings.CutPrefix(r.value, "*."); ok && r.field == "dns" {
		label, rest, _ := strings.Cut(value, ".")
		return label != "" && label != "*" && rest == tail // a certificate for "*.ci.example" is no machine's
	}
	if head, ok := strings.CutSuffix(r.value, "/*"); ok && r.field == "uri" {
		rest, ok := strings.CutPrefix(value, head+"/")
		return ok && rest != "" && !strings.Contains(rest, "..")
	}
	return value == r.value
}

// ofCertificate returns who a verified certificate stands for: the first name that a
// rule is about, and the scopes of all rules that match.
func ofCertificate(rules []CertRule, c *x509.Certificate) Identity {
	var who Identity
	for _, r := range rules {
		if name, ok := r.match(c); ok {
			if who.Name == "" {
				who.Name = name
			}
			who.Scopes |= r.scopes
		}
	}
	if who.Name == "" {
		sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
		who.Name = "spki:" + hex.EncodeToString(sum[:])
	}
	return who
}
