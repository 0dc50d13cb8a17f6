package keyfile

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"
)

func TestParsePublic(t *testing.T) {
	public, _, err := ed25519.GenerateKey(strings.NewReader(strings.Repeat("chance", 20)))
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, data []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data})
	}
	good := block("PUBLIC KEY", der)
	for name, text := range map[string][]byte{"PEM": good, "DER": der, "PEM and a blank line": append(slices.Clone(good), "\n \n"...)} {
		if key, err := ParsePublic(text); err != nil || !public.Equal(key) {
			t.Errorf("%s: %v, %v", name, key, err)
		}
	}
	for name, c := range map[string]struct {
		text []byte
		hint string // a part of it; "" means that there is none
	}{
		"nothing":                   {nil, ""},
		"text":                      {[]byte("hello"), ""},
		"two keys":                  {append(slices.Clone(good), good...), ""},
		"DER and a byte":            {append(slices.Clone(der), 0), ""},
		"a damaged one":             {block("PUBLIC KEY", der[1:]), ""},
		"another block":             {block("OPENSSH CERTIFICATE", der), ""},
		"a file that is too long":   {append(slices.Clone(good), strings.Repeat("\n", MaxFile)...), ""},
		"a private key":             {block("PRIVATE KEY", der), "-pubout"},
		"a private key of its kind": {block("EC PRIVATE KEY", der), "-pubout"},
		"a certificate":             {block("CERTIFICATE", der), "openssl x509"},
	} {
		key, err := ParsePublic(c.text)
		if err == nil {
			t.Errorf("%s is taken for %v", name, key)
			continue
		}
		var wrong *WrongKindError
		if errors.As(err, &wrong) != (c.hint != "") || wrong != nil && !strings.Contains(wrong.Hint(), c.hint) {
			t.Errorf("%s: %v, %+v", name, err, wrong)
		}
	}
}
