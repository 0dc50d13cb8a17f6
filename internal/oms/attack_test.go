package oms_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stele-ml/stele/internal/oms"
)

// An attacker who may sign leaves out what they altered: the files are told, and
// that they are there. Nothing hides everything.
func TestAttackWideIgnorePaths(t *testing.T) {
	s := newSigner(t, elliptic.P256())
	with := func(paths string) string {
		return payload(`{"method":"files","hash_type":"sha256","allow_symlinks":false,"ignore_paths":[`+paths+`]}`, listed{"README.md", "1"})
	}
	dir := write(t, map[string]string{"README.md": "1", "weights/model.bin": "evil", "code.py": "evil"})
	r := compare(t, s.verified(t, with(`"weights","code.py"`)), dir, oms.VerifyOptions{})
	want := []oms.Ignored{{Path: "code.py", Here: true}, {Path: "weights", Here: true, Folder: true}}
	if !r.Same() || r.Files != 1 || !slices.Equal(r.Ignored, want) {
		t.Errorf("%s%+v", changes(r), r.Ignored)
	}
	for _, all := range []string{`"."`, `""`, `"/"`, `"./"`, `"./weights"`} {
		s.refused(t, with(all), "ignore_paths")
	}
	// What looks like a pattern is a name.
	r = compare(t, s.verified(t, with(`"*","**","weights/*","[a-z]*"`)), dir, oms.VerifyOptions{})
	if changes(r) != "added code.py\nadded weights/model.bin\n" {
		t.Error(changes(r))
	}
	s.refused(t, with(`"x"`+strings.Repeat(`,"x"`, oms.MaxIgnored)), "ignore_paths")
}

// A file that is listed is checked, whatever is left out.
func TestAttackListedAndIgnored(t *testing.T) {
	s := newSigner(t, elliptic.P256())
	st := s.verified(t, payload(`{"method":"files","hash_type":"sha256","allow_symlinks":false,"ignore_paths":["w","a"]}`, listed{"a", "1"}, listed{"w/b", "2"}, listed{".gitignore", "3"}))
	dir := write(t, map[string]string{"a": "9", "w/b": "9", ".gitignore": "9"})
	if r := compare(t, st, dir, oms.VerifyOptions{}); changes(r) != "modified .gitignore\nmodified a\nmodified w/b\n" {
		t.Error(changes(r))
	}
}

// The root is right for other names too: the names are compared all the same.
func TestAttackNamesSwapped(t *testing.T) {
	s := newSigner(t, elliptic.P256())
	st := s.verified(t, payload("", listed{"a", "1"}, listed{"b", "2"}))
	if r := compare(t, st, write(t, map[string]string{"a": "2", "b": "1"}), oms.VerifyOptions{}); changes(r) != "modified a\nmodified b\n" {
		t.Error(changes(r))
	}
}

// A list with other names has the same root, and is another statement: the
// signature over the first does not fit it.
func TestAttackRootOfOtherNames(t *testing.T) {
	s := newSigner(t, elliptic.P256())
	one, two := payload("", listed{"a", "1"}, listed{"b", "2"}), payload("", listed{"x", "1"}, listed{"y", "2"})
	if s.verified(t, one).Root != s.verified(t, two).Root {
		t.Fatal("the root binds names after all")
	}
	data := s.bundle(t, one, func(b map[string]any) { envelopeOf(b)["payload"] = base64.StdEncoding.EncodeToString([]byte(two)) })
	if _, err := parse(t, data).VerifyKey(s.public(t)); !errors.Is(err, oms.ErrSignature) {
		t.Errorf("the payload was exchanged: %v", err)
	}
	if r := compare(t, s.verified(t, two), write(t, map[string]string{"a": "1", "b": "2"}), oms.VerifyOptions{}); changes(r) != "added a\nadded b\nremoved x\nremoved y\n" {
		t.Error(changes(r))
	}
}

func TestAttackWrongRoot(t *testing.T) {
	s := newSigner(t, elliptic.P256())
	good := payload("", listed{"a", "1"}, listed{"b", "2"})
	sum := sha256.Sum256([]byte("1"))
	other := sha256.Sum256([]byte("9"))
	s.refused(t, strings.Replace(good, hex.EncodeToString(sum[:]), hex.EncodeToString(other[:]), 1), "subject's digest")
}

func TestAttackResourceTwice(t *testing.T) {
	s := newSigner(t, elliptic.P256())
	s.refused(t, payload("", listed{"a", "1"}, listed{"a", "2"}), "twice")
	s.refused(t, payload("", listed{"a", "1"}, listed{"b", "2"}, listed{"a", "1"}), "twice")
	shards := `{"method":"shards","hash_type":"sha256","allow_symlinks":false,"shard_size":2}`
	s.refused(t, payload(shards, listed{"a:0:2", "12"}, listed{"a:0:2", "12"}), "twice")
	digests := `{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"a","digest":{"sha256":"%[1]s"}},{"name":"a","digest":{"sha256":"%[1]s"}}],"predicateType":"https://model_signing/Digests/v0.1","predicate":{}}`
	s.refused(t, fmt.Sprintf(digests, strings.Repeat("0", 64)), "twice")
}

func TestAttackShards(t *testing.T) {
	s := newSigner(t, elliptic.P256())
	with := func(list ...string) string {
		var l []listed
		for _, name := range list {
			l = append(l, listed{name, "?"})
		}
		return payload(`{"method":"shards","hash_type":"sha256","allow_symlinks":false,"shard_size":10}`, l...)
	}
	for _, c := range []struct {
		why  string
		list []string
	}{
		{"overlap", []string{"a:0:10", "a:5:15"}},
		{"overlap", []string{"a:0:10", "a:0:9"}},
		{"gap from byte 10 to 20", []string{"a:0:10", "a:20:30"}},
		{"gap from byte 0 to 10", []string{"a:10:20"}},
		{"shard_size is 10", []string{"a:0:11"}},
		{"shard_size is 10", []string{"a:0:5", "a:5:10"}},
		{"START:END", []string{"a:0:0"}},
		{"START:END", []string{"a:10:0"}},
		{"START:END", []string{"a"}},
		{"START:END", []string{"a:0"}},
		{"START:END", []string{"a:00:10"}},
		{"START:END", []string{"a:0:+9"}},
		{"START:END", []string{"a:-1:9"}},
		{"START:END", []string{"a:0:99999999999999999999"}},
		{"empty", []string{":0:10"}},
		{"..", []string{"../a:0:10"}},
	} {
		s.refused(t, with(c.list...), c.why)
	}
	// In any order, with colons in the name.
	if st := s.verified(t, with("a:b:10:15", "a:b:0:10")); !slices.Equal(st.Paths(), []string{"a:b"}) {
		t.Errorf("%q", st.Paths())
	}
}

// Shards beyond the file's end, and a file beyond its shards.
func TestAttackShardsBeyondTheFile(t *testing.T) {
	s := newSigner(t, elliptic.P256())
	st := s.verified(t, payload(`{"method":"shards","hash_type":"sha256","allow_symlinks":false,"shard_size":2}`, listed{"a:0:2", "12"}, listed{"a:2:4", "34"}))
	for contents, want := range map[string]string{
		"1234": "", "12": "modified a 2-4\n", "12345": "modified a 4-5\n", "123456789": "modified a 4-9\n", "": "modified a 0-4\n", "12xx": "modified a 2-4\n", "xx34": "modified a 0-2\n",
		"123": "modified a 2-4\n",
	} {
		if r := compare(t, st, write(t, map[string]string{"a": contents}), oms.VerifyOptions{}); changes(r) != want {
			t.Errorf("%q: %q, want %q", contents, changes(r), want)
		}
	}
}

func TestAttackSecondSignature(t *testing.T) {
	s := newSigner(t, elliptic.P256())
	for _, n := range []int{0, 2} {
		data := s.bundle(t, payload("", listed{"a", "1"}), func(b map[string]any) {
			sig := signatureOf(b)
			envelopeOf(b)["signatures"] = slices.Repeat([]any{sig}, n)
		})
		if _, err := oms.Parse(data); !errors.Is(err, oms.ErrFormat) || !strings.Contains(err.Error(), "exactly one") {
			t.Errorf("%d signatures: %v", n, err)
		}
	}
}

// What a file says of its key is no proof, and is told where it is not true.
func TestAttackKeyIDNamesAnotherKey(t *testing.T) {
	s, other := newSigner(t, elliptic.P256()), newSigner(t, elliptic.P256())
	good := payload("", listed{"a", "1"})
	der := s.public(t).ID()
	for _, c := range []struct {
		name, hint, keyid string
		notes             int
	}{
		{"right", s.public(t).Hint(), "", 0},
		{"none", "", "", 0},
		{"of the DER", hex.EncodeToString(der[:]), "", 1},
		{"another's hint", other.public(t).Hint(), "", 1},
		{"another's keyid", s.public(t).Hint(), other.public(t).Hint(), 1},
		{"its own keyid", s.public(t).Hint(), s.public(t).Hint(), 0},
		{"both another's", other.public(t).Hint(), "mallory\x1b[31m", 2},
	} {
		data := s.bundle(t, good, func(b map[string]any) {
			materialOf(b)["publicKey"] = map[string]any{"hint": c.hint}
			signatureOf(b)["keyid"] = c.keyid
		})
		v, err := parse(t, data).VerifyKey(s.public(t))
		if err != nil || len(v.Notes) != c.notes {
			t.Errorf("%s: %v, notes %q", c.name, err, v.Notes)
			continue
		}
		for _, n := range v.Notes {
			if strings.ContainsRune(n, '\x1b') {
				t.Errorf("%s: %q", c.name, n)
			}
		}
		// The key whose name it bears did not sign it.
		if _, err := parse(t, data).VerifyKey(other.public(t)); err == nil {
			t.Errorf("%s: it verifies with a key that did not sign", c.name)
		}
	}
	// Altered, with the right hint: that is no other key.
	data := s.bundle(t, good, func(b map[string]any) {
		envelopeOf(b)["payload"] = base64.StdEncoding.EncodeToString([]byte(strings.Replace(good, "model", "nodel", 1)))
	})
	if _, err := parse(t, data).VerifyKey(s.public(t)); !errors.Is(err, oms.ErrSignature) || errors.Is(err, oms.ErrOtherKey) {
		t.Errorf("altered: %v", err)
	}
}

// The curve decides the hash: a signature with another hash is none.
func TestAttackWrongCurveAndHash(t *testing.T) {
	good := payload("", listed{"a", "1"})
	for _, curve := range []elliptic.Curve{elliptic.P384(), elliptic.P521()} {
		s := newSigner(t, curve)
		data := s.bundle(t, good, func(b map[string]any) {
			sum := sha256.Sum256(pae(good))
			sig, err := ecdsa.SignASN1(rand.Reader, s.key, sum[:])
			if err != nil {
				t.Fatal(err)
			}
			signatureOf(b)["sig"] = base64.StdEncoding.EncodeToString(sig)
		})
		if _, err := parse(t, data).VerifyKey(s.public(t)); !errors.Is(err, oms.ErrSignature) {
			t.Errorf("%s with SHA-256: %v", curve.Params().Name, err)
		}
	}
	// What version 0.2.0 signed counts for its own statements alone.
	s := newSigner(t, elliptic.P384())
	old := []byte("DSSEV1 28 application/vnd.in-toto+json " + fmt.Sprint(len(good)) + " b'" + good + "'")
	data := s.bundle(t, good, func(b map[string]any) {
		sum := sha256.Sum256(old)
		sig, err := ecdsa.SignASN1(rand.Reader, s.key, sum[:])
		if err != nil {
			t.Fatal(err)
		}
		signatureOf(b)["sig"] = base64.StdEncoding.EncodeToString(sig)
	})
	if _, err := parse(t, data).VerifyKey(s.public(t)); !errors.Is(err, oms.ErrSignature) {
		t.Errorf("the old encoding over a new statement: %v", err)
	}
	for name, key := range map[string]func() any{
		"P-224": func() any { k, _ := ecdsa.GenerateKey(elliptic.P224(), rand.Reader); return &k.PublicKey },
		"RSA":   func() any { k, _ := rsa.GenerateKey(rand.Reader, 2048); return &k.PublicKey },
	} {
		der, err := x509.MarshalPKIXPublicKey(key())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := oms.ParsePublicKey(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})); !errors.Is(err, oms.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// For each ECDSA signature there is a twin. Both are accepted, as by all who
// read this format, and the file's own bytes are what is recorded; any other
// spelling of one is refused.
func TestAttackMalleableSignature(t *testing.T) {
	s := newSigner(t, elliptic.P256())
	good := payload("", listed{"a", "1"})
	sig, err := s.Sign(pae(good))
	if err != nil {
		t.Fatal(err)
	}
	var rs struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(sig, &rs); err != nil {
		t.Fatal(err)
	}
	n := elliptic.P256().Params().N
	twin, _ := asn1.Marshal(struct{ R, S *big.Int }{rs.R, new(big.Int).Sub(n, rs.S)})
	past, _ := asn1.Marshal(struct{ R, S *big.Int }{rs.R, new(big.Int).Add(n, rs.S)})
	zero, _ := asn1.Marshal(struct{ R, S *big.Int }{new(big.Int), new(big.Int)})
	long := append([]byte{0x30, 0x81, sig[1]}, sig[2:]...)
	for _, c := range []struct {
		name string
		sig  []byte
		good bool
	}{
		{"as it was made", sig, true}, {"its twin", twin, true}, {"s past the order", past, false}, {"zero", zero, false},
		{"something after it", append(slices.Clone(sig), 0), false}, {"a length that is not minimal", long, false}, {"cut short", sig[:len(sig)-1], false},
	} {
		data := s.bundle(t, good, func(b map[string]any) { signatureOf(b)["sig"] = base64.StdEncoding.EncodeToString(c.sig) })
		if _, err := parse(t, data).VerifyKey(s.public(t)); (err == nil) != c.good {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestAttackPathsThatEscape(t *testing.T) {
	s := newSigner(t, elliptic.P256())
	for _, path := range []string{"../a", "/etc/passwd", "a/../../b", "a//b", "./a", "a/.", "a/", "", "..", ".", "a\x00b", strings.Repeat("a", 5000)} {
		s.refused(t, payload("", listed{path, "1"}, listed{"ok", "2"}), "resource")
	}
}

// A link in the place of a file, out of the model or within it, is not what was
// signed, unless the signer allowed links or whoever checks does.
func TestAttackSymbolicLinks(t *testing.T) {
	s := newSigner(t, elliptic.P256())
	list := []listed{{"a", "1"}, {"b", "1"}}
	none := s.verified(t, payload("", list...))
	allowed := s.verified(t, payload(`{"method":"files","hash_type":"sha256","allow_symlinks":true}`, list...))
	dir := write(t, map[string]string{"a": "1"})
	if err := os.Symlink("a", filepath.Join(dir, "b")); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
	if r := compare(t, none, dir, oms.VerifyOptions{}); changes(r) != "linked b\n" || r.Links != 1 {
		t.Error(changes(r))
	}
	if r := compare(t, none, dir, oms.VerifyOptions{FollowLinks: true}); !r.Same() || r.Links != 1 {
		t.Error(changes(r))
	}
	if r := compare(t, allowed, dir, oms.VerifyOptions{}); !r.Same() || r.Links != 1 {
		t.Error(changes(r))
	}
	// Out of the model it is an error whatever the signer allowed.
	outside := write(t, map[string]string{"secret": "1"})
	if err := os.Remove(filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(outside, "secret"), filepath.Join(dir, "b")); err != nil {
		t.Fatal(err)
	}
	if _, err := allowed.Verify(t.Context(), open(t, dir), oms.VerifyOptions{}); err == nil {
		t.Error("a link out of the model was followed")
	}
}

func TestAttackBundle(t *testing.T) {
	s := newSigner(t, elliptic.P256())
	good := payload("", listed{"a", "1"})
	edited := func(edit func(b map[string]any)) []byte { return s.bundle(t, good, edit) }
	replaced := func(old, new string) []byte {
		data := string(edited(nil))
		if !strings.Contains(data, old) {
			t.Fatalf("no %s", old)
		}
		return []byte(strings.Replace(data, old, new, 1))
	}
	for _, c := range []struct {
		name string
		data []byte
		why  string
	}{
		{"empty", nil, "invalid"},
		{"not JSON", []byte("model"), "invalid"},
		{"cut short", edited(nil)[:100], "invalid"},
		{"trailing data", append(edited(nil), "{}"...), "invalid"},
		{"a name twice", replaced(`{"dsseEnvelope"`, `{"dsseEnvelope":{},"dsseEnvelope"`), "twice"},
		{"a name twice, in its other spelling", replaced(`{"dsseEnvelope"`, `{"dsse_envelope":{},"dsseEnvelope"`), "Sigstore bundle"},
		{"a payload twice", replaced(`{"payload"`, `{"payload":"AAAA","payload"`), "twice"},
		{"an unknown member", replaced(`{"dsseEnvelope"`, `{"extra":1,"dsseEnvelope"`), "extra"},
		{"another media type", edited(func(b map[string]any) { b["mediaType"] = "application/json" }), "media type"},
		{"a later version", edited(func(b map[string]any) { b["mediaType"] = "application/vnd.dev.sigstore.bundle.v0.4+json" }), "media type"},
		{"another payload type", edited(func(b map[string]any) { envelopeOf(b)["payloadType"] = "application/octet-stream" }), "payload type"},
		{"no envelope", edited(func(b map[string]any) { delete(b, "dsseEnvelope") }), "dsseEnvelope"},
		{"a message signature", edited(func(b map[string]any) {
			delete(b, "dsseEnvelope")
			b["messageSignature"] = map[string]any{"signature": "AAAA"}
		}), "dsseEnvelope"},
		{"no material", edited(func(b map[string]any) { delete(b, "verificationMaterial") }), "verificationMaterial"},
		{"no key", edited(func(b map[string]any) { b["verificationMaterial"] = map[string]any{} }), "verificationMaterial"},
		{"two kinds of key", edited(func(b map[string]any) {
			materialOf(b)["x509CertificateChain"] = map[string]any{"certificates": []any{}}
		}), "Sigstore bundle"},
		{"no certificates", edited(func(b map[string]any) {
			b["verificationMaterial"] = map[string]any{"x509CertificateChain": map[string]any{}}
		}), "0 certificates"},
		{"no certificate", edited(func(b map[string]any) {
			b["verificationMaterial"] = map[string]any{"x509CertificateChain": map[string]any{"certificates": []any{map[string]any{"rawBytes": "AAAA"}}}}
		}), "certificate 1"},
		{"too many certificates", edited(func(b map[string]any) {
			b["verificationMaterial"] = map[string]any{"x509CertificateChain": map[string]any{"certificates": slices.Repeat([]any{map[string]any{}}, oms.MaxChain+1)}}
		}), "17 certificates"},
		{"a long hint", edited(func(b map[string]any) {
			materialOf(b)["publicKey"] = map[string]any{"hint": strings.Repeat("a", 2000)}
		}), "hint"},
		{"a long signature", edited(func(b map[string]any) { signatureOf(b)["sig"] = strings.Repeat("AAAA", 100) }), "300 bytes"},
		{"no payload", edited(func(b map[string]any) { envelopeOf(b)["payload"] = "" }), "empty"},
		{"an old key with more", edited(func(b map[string]any) {
			materialOf(b)["publicKey"] = map[string]any{"rawBytes": "AAAA", "extra": 1}
		}), "extra"},
		{"nested too deep", []byte(strings.Repeat("[", 1000) + strings.Repeat("]", 1000)), "nested deeper"},
		{"a huge file", make([]byte, oms.MaxFile+1), "at most"},
	} {
		if _, err := oms.Parse(c.data); !errors.Is(err, oms.ErrFormat) || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v, want %q", c.name, err, c.why)
		}
	}
	for _, c := range []struct{ name, payload, why string }{
		{"trailing data", good + "{}", "invalid"},
		{"a name twice", strings.Replace(good, `"predicate":`, `"predicate":{},"predicate":`, 1), "twice"},
		{"a name twice in a resource", strings.Replace(good, `"name":"a"`, `"name":"b","name":"a"`, 1), "twice"},
		{"two subjects", strings.Replace(good, `"subject":[`, `"subject":[{"name":"x","digest":{"sha256":"00"}},`, 1), "2 subjects"},
		{"invalid UTF-8", strings.Replace(good, `"name":"a"`, "\"name\":\"\xff\"", 1), "invalid"},
		{"deep", strings.Replace(good, `"name":"a"`, `"x":`+strings.Repeat("[", 40)+strings.Repeat("]", 40)+`,"name":"a"`, 1), "deeper"},
	} {
		_, err := parse(t, s.bundle(t, c.payload, nil)).VerifyKey(s.public(t))
		if !errors.Is(err, oms.ErrFormat) || !strings.Contains(err.Error(), c.why) {
			t.Errorf("payload, %s: %v, want %q", c.name, err, c.why)
		}
	}
}

// A good signature by Sigstore's method is not taken for one that was checked.
func TestAttackSigstoreMethod(t *testing.T) {
	s := newSigner(t, elliptic.P256())
	data := s.bundle(t, payload("", listed{"a", "1"}), func(b map[string]any) {
		b["verificationMaterial"] = map[string]any{"certificate": map[string]any{"rawBytes": "AAAA"}, "tlogEntries": []any{map[string]any{"logIndex": "1"}}}
	})
	_, err := oms.Parse(data)
	var hinted interface{ Hint() string }
	if !errors.Is(err, oms.ErrUnsupported) || !errors.As(err, &hinted) || hinted.Hint() == "" {
		t.Errorf("%v", err)
	}
	// Log entries beside a bare key are told, not checked.
	data = s.bundle(t, payload("", listed{"a", "1"}), func(b map[string]any) {
		materialOf(b)["tlogEntries"] = []any{map[string]any{"logIndex": "1"}}
	})
	if v, err := parse(t, data).VerifyKey(s.public(t)); err != nil || len(v.Notes) != 1 {
		t.Errorf("%v %+v", err, v)
	}
}

// authority issues certificates.
type authority struct {
	key  *signer
	cert *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	a := &authority{key: newSigner(t, elliptic.P256())}
	a.cert = issue(t, nil, a.key, &x509.Certificate{
		Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	})
	return a
}

// issue makes a certificate for a key, by an authority or by itself.
func issue(t *testing.T, by *authority, key *signer, template *x509.Certificate) *x509.Certificate {
	t.Helper()
	template.SerialNumber = big.NewInt(1)
	if template.NotBefore.IsZero() {
		template.NotBefore, template.NotAfter = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	}
	parent, signs := template, key.key
	if by != nil {
		parent, signs = by.cert, by.key.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.key.PublicKey, signs)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

func TestAttackCertificates(t *testing.T) {
	good, evil := newAuthority(t), newAuthority(t)
	at := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	signs := func(extra ...x509.ExtKeyUsage) *x509.Certificate {
		return &x509.Certificate{Subject: pkix.Name{CommonName: "signer"}, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: extra}
	}
	for _, c := range []struct {
		name     string
		by       *authority
		template *x509.Certificate
		why      string
	}{
		{"for code", good, signs(x509.ExtKeyUsageCodeSigning), ""},
		{"for anything", good, signs(), ""},
		{"for code, by its extended usage alone", good, &x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning}}, ""},
		{"a web server's", good, signs(x509.ExtKeyUsageServerAuth), "incompatible key usage"},
		{"that may not sign", good, &x509.Certificate{KeyUsage: x509.KeyUsageKeyEncipherment}, "not for signing"},
		{"that says nothing of its use", good, &x509.Certificate{}, "not for signing"},
		{"by somebody else", evil, signs(), "unknown authority"},
		{"by itself", nil, signs(), "unknown authority"},
		{"expired", good, &x509.Certificate{KeyUsage: x509.KeyUsageDigitalSignature, NotBefore: at.AddDate(-2, 0, 0), NotAfter: at.AddDate(-1, 0, 0)}, "valid from"},
		{"not yet valid", good, &x509.Certificate{KeyUsage: x509.KeyUsageDigitalSignature, NotBefore: at.AddDate(1, 0, 0), NotAfter: at.AddDate(2, 0, 0)}, "valid from"},
	} {
		key := newSigner(t, elliptic.P256())
		leaf := issue(t, c.by, key, c.template)
		data := key.bundle(t, payload("", listed{"a", "1"}), func(b map[string]any) {
			b["verificationMaterial"] = map[string]any{"x509CertificateChain": map[string]any{"certificates": []any{
				map[string]any{"rawBytes": leaf.Raw}, map[string]any{"rawBytes": evil.cert.Raw},
			}}}
		})
		_, err := parse(t, data).VerifyCertificate([]*x509.Certificate{good.cert}, at)
		switch {
		case c.why == "" && err != nil:
			t.Errorf("%s: %v", c.name, err)
		case c.why != "" && (!errors.Is(err, oms.ErrOtherKey) || !strings.Contains(err.Error(), c.why)):
			t.Errorf("%s: %v, want ErrOtherKey: %s", c.name, err, c.why)
		}
	}
	// A good certificate, and a signature by another key.
	key, other := newSigner(t, elliptic.P256()), newSigner(t, elliptic.P256())
	leaf := issue(t, good, key, signs())
	data := other.bundle(t, payload("", listed{"a", "1"}), func(b map[string]any) {
		b["verificationMaterial"] = map[string]any{"x509CertificateChain": map[string]any{"certificates": []any{map[string]any{"rawBytes": leaf.Raw}}}}
	})
	if _, err := parse(t, data).VerifyCertificate([]*x509.Certificate{good.cert}, at); !errors.Is(err, oms.ErrSignature) {
		t.Errorf("signed with another key: %v", err)
	}
	// The vector of a web server, made by openssl.
	s := parse(t, vector(t, "certificate-server.sig"))
	if _, err := s.VerifyCertificate(certificates(t, "root.pem"), s.Chain[0].NotBefore.Add(time.Hour)); !errors.Is(err, oms.ErrOtherKey) {
		t.Errorf("a web server's: %v", err)
	}
}

func TestPublicKeyFiles(t *testing.T) {
	p256 := vector(t, "p256.pub.pem")
	private, err := x509.MarshalECPrivateKey(newSigner(t, elliptic.P256()).key)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"a private key":    pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}),
		"a certificate":    vector(t, "root.pem"),
		"something more":   append(slices.Clone(p256), p256...),
		"no key":           []byte("hello"),
		"a long file":      make([]byte, 1<<20),
		"another block":    pem.EncodeToMemory(&pem.Block{Type: "X", Bytes: []byte("x")}),
		"nothing":          nil,
		"damaged contents": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")}),
	} {
		if _, err := oms.ParsePublicKey(text); err == nil {
			t.Errorf("%s is taken for a public key", name)
		}
	}
	for name, text := range map[string][]byte{"nothing": nil, "a key": p256, "text": []byte("hello"), "a damaged one": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})} {
		if _, err := oms.ParseCertificates(text); err == nil {
			t.Errorf("%s is taken for certificates", name)
		}
	}
}
