package provenance_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/provenance"
)

func vector(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func publicKey(t testing.TB, text []byte) *provenance.PublicKey {
	t.Helper()
	k, err := provenance.ParsePublicKey(text)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func sum(text string) fingerprint.Digest { return sha256.Sum256([]byte(text)) }

func file(path, contents string) provenance.File {
	return provenance.File{Path: path, SHA256: sum(contents)}
}

// Envelopes that openssl signed, by each kind of key.
func TestVectors(t *testing.T) {
	model, data := "the model\n", "the data\n"
	for _, c := range []struct {
		file, key, algorithm, predicate, builder string
		dependencies                             int
		about, notAbout                          []provenance.File
	}{
		{"p256.json", "p256.pub.pem", "ECDSA P-256 with SHA-256", provenance.ProvenanceV1, "https://example.com/builder", 2,
			[]provenance.File{file("net.bin", model)}, []provenance.File{file("model.bin", data)}},
		{"p384.json", "p384.pub.pem", "ECDSA P-384 with SHA-384", provenance.ProvenanceV02, "https://example.com/old-builder", 1,
			[]provenance.File{file("config.json", data), file("weights/model.bin", model)}, []provenance.File{file("config.json", model), file("weights/model.bin", data)}},
		{"ed25519.json", "ed25519.pub.pem", "Ed25519", "https://example.com/review/v1", "", 0,
			[]provenance.File{file("x", model)}, []provenance.File{file("x", data)}},
		{"rsa-pkcs1.json", "rsa.pub.pem", "RSA of 2048 bits", provenance.ProvenanceV1, "https://example.com/builder", 2,
			[]provenance.File{file("model.bin", model)}, []provenance.File{file("model.bin", model), file("more", data)}},
		{"rsa-pss.json", "rsa.pub.pem", "RSA of 2048 bits", provenance.ProvenanceV1, "https://example.com/builder", 2,
			[]provenance.File{file("model.bin", model)}, []provenance.File{file("model.bin", "")}},
	} {
		t.Run(c.file, func(t *testing.T) {
			e, err := provenance.Parse(vector(t, c.file))
			if err != nil {
				t.Fatal(err)
			}
			key := publicKey(t, vector(t, c.key))
			if key.Algorithm() != c.algorithm {
				t.Errorf("the key is %s", key.Algorithm())
			}
			st, err := e.Verify(key)
			if err != nil {
				t.Fatal(err)
			}
			if st.PredicateType != c.predicate || st.Builder != c.builder || len(st.Dependencies) != c.dependencies {
				t.Errorf("%+v", st)
			}
			if wrong := st.About(c.about); wrong != nil {
				t.Errorf("it is not about %+v: %+v", c.about, wrong)
			}
			if wrong := st.About(c.notAbout); wrong == nil {
				t.Errorf("it is about %+v", c.notAbout)
			}
			for _, other := range []string{"p256.pub.pem", "p384.pub.pem", "ed25519.pub.pem", "rsa.pub.pem"} {
				if other == c.key {
					continue
				}
				if _, err := e.Verify(publicKey(t, vector(t, other))); !errors.Is(err, provenance.ErrSignature) {
					t.Errorf("with %s: %v", other, err)
				}
			}
		})
	}
}

// signer makes envelopes as an attacker with a key of their own would: over
// anything.
type signer struct{ key ed25519.PrivateKey }

func newSigner() *signer { return &signer{ed25519.NewKeyFromSeed(make([]byte, 32))} }

func (s *signer) public(t testing.TB) *provenance.PublicKey {
	der, err := x509.MarshalPKIXPublicKey(s.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return publicKey(t, der)
}

func (s *signer) sign(payload string) []byte {
	return ed25519.Sign(s.key, fmt.Appendf(nil, "DSSEv1 28 application/vnd.in-toto+json %d %s", len(payload), payload))
}

func (s *signer) envelope(payload string) string {
	return envelope(payload, s.sign(payload))
}

func envelope(payload string, signatures ...[]byte) string {
	var list []string
	for _, sig := range signatures {
		list = append(list, fmt.Sprintf(`{"keyid":"","sig":"%s"}`, base64.StdEncoding.EncodeToString(sig)))
	}
	return fmt.Sprintf(`{"payload":"%s","payloadType":"application/vnd.in-toto+json","signatures":[%s]}`,
		base64.StdEncoding.EncodeToString([]byte(payload)), strings.Join(list, ","))
}

func (s *signer) statement(t *testing.T, payload string) *provenance.Statement {
	t.Helper()
	e, err := provenance.Parse([]byte(s.envelope(payload)))
	if err != nil {
		t.Fatal(err)
	}
	st, err := e.Verify(s.public(t))
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// subject is a subject's JSON.
func subject(name, contents string) string {
	return fmt.Sprintf(`{"name":%q,"digest":{"sha256":"%s"}}`, name, sum(contents))
}

func v1(subjects, dependencies string) string {
	return fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v1","subject":[%s],"predicateType":"https://slsa.dev/provenance/v1",`+
		`"predicate":{"buildDefinition":{"resolvedDependencies":[%s]},"runDetails":{"builder":{"id":"https://example.com/b"}}}}`, subjects, dependencies)
}

// A good signature over a statement about something else.
func TestAttackStatementAboutAnotherArtifact(t *testing.T) {
	s := newSigner()
	st := s.statement(t, v1(subject("model.bin", "other"), ""))
	if wrong := st.About([]provenance.File{file("model.bin", "mine")}); !slices.Equal(wrong, []provenance.Mismatch{{Path: "model.bin", Listed: true}}) {
		t.Errorf("%+v", wrong)
	}
	// Of a tree every file has to be listed, under its own name.
	st = s.statement(t, v1(subject("a", "1")+","+subject("b", "2")+","+subject("beside", "3"), ""))
	for _, c := range []struct {
		files []provenance.File
		wrong []provenance.Mismatch
	}{
		{[]provenance.File{file("a", "1"), file("b", "2")}, nil},
		{[]provenance.File{file("a", "2"), file("b", "1")}, []provenance.Mismatch{{"a", true}, {"b", true}}},
		{[]provenance.File{file("a", "1"), file("b", "2"), file("code.py", "evil")}, []provenance.Mismatch{{"code.py", false}}},
		{[]provenance.File{file("a", "1"), file("c", "2")}, []provenance.Mismatch{{"c", false}}},
	} {
		if wrong := st.About(c.files); !slices.Equal(wrong, c.wrong) {
			t.Errorf("%+v: %+v, want %+v", c.files, wrong, c.wrong)
		}
	}
	fp := fingerprint.Fingerprint{Algorithm: fingerprint.SHA256, Sum: sum("x")}
	if st.Names(fp) {
		t.Error("it names a fingerprint")
	}
	st = s.statement(t, v1(fmt.Sprintf(`{"name":"a@1","digest":{"stele-sha256":"%s"}}`, fp.Sum), ""))
	if !st.Names(fp) || st.Names(fingerprint.Fingerprint{Algorithm: fingerprint.BLAKE3, Sum: fp.Sum}) {
		t.Errorf("%+v", st.Subjects)
	}
	// A subject without a SHA-256 is about nothing.
	st = s.statement(t, v1(`{"name":"model.bin","digest":{"md5":"00"}}`, ""))
	if st.About([]provenance.File{file("model.bin", "mine")}) == nil {
		t.Error("a subject without a digest is about a file")
	}
}

// Whatever a builder claims that it used is read as its claim, and no more.
func TestAttackClaimedInputs(t *testing.T) {
	s := newSigner()
	st := s.statement(t, v1(subject("m", "1"), subject("private.csv", "never seen")+`,{"uri":"git+https://x","digest":{"gitCommit":"00"}}`))
	if len(st.Dependencies) != 2 || st.Dependencies[0].SHA256 != sum("never seen").String() || st.Dependencies[1].SHA256 != "" || !st.Dependencies[1].Fingerprint.IsZero() {
		t.Errorf("%+v", st.Dependencies)
	}
}

// Of several signatures, the given key's has to be good.
func TestAttackSeveralSignatures(t *testing.T) {
	s := newSigner()
	p := v1(subject("m", "1"), "")
	junk := bytes.Repeat([]byte{1}, 64)
	for name, c := range map[string]struct {
		text string
		good bool
	}{
		"the second is good": {envelope(p, junk, s.sign(p)), true},
		"none is":            {envelope(p, junk, junk), false},
		"over another":       {envelope(p, s.sign(v1(subject("m", "2"), ""))), false},
	} {
		e, err := provenance.Parse([]byte(c.text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := e.Verify(s.public(t)); (err == nil) != c.good {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAttackEnvelope(t *testing.T) {
	s := newSigner()
	p := v1(subject("m", "1"), "")
	good := s.envelope(p)
	if _, err := provenance.Parse([]byte("\n " + good + "\n")); err != nil {
		t.Errorf("white space around: %v", err)
	}
	for _, c := range []struct{ name, text, why string }{
		{"empty", "", "invalid"},
		{"trailing data", good + "x", "invalid"},
		{"two lines", good + "\n" + good + "\n", "2 envelopes"},
		{"a name twice", strings.Replace(good, `{"payload"`, `{"payload":"AAAA","payload"`, 1), "twice"},
		{"another type", strings.Replace(good, "vnd.in-toto", "vnd.other", 1), "payload type"},
		{"no signature", envelope(p), "0 signatures"},
		{"too many signatures", envelope(p, slices.Repeat([][]byte{{1}}, provenance.MaxSignatures+1)...), "17 signatures"},
		{"an empty signature", envelope(p, nil), "base64"},
		{"a huge signature", envelope(p, make([]byte, 5000)), "5000 bytes"},
		{"no payload", strings.Replace(good, `"payload":"`, `"payload":"","x":"`, 1), "base64"},
		{"bad base64", strings.Replace(good, `"payload":"`, `"payload":"=`, 1), "base64"},
		{"a line break in base64", strings.Replace(good, `"payload":"`, `"payload":"\n`, 1), "base64"},
		{"a huge file", strings.Repeat(" ", provenance.MaxFile+1), "at most"},
		{"nested too deep", strings.Repeat("[", 1000), "deeper"},
		{"a list", "[]", "json"},
	} {
		if _, err := provenance.Parse([]byte(c.text)); !errors.Is(err, provenance.ErrFormat) || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v, want %q", c.name, err, c.why)
		}
	}
	bundle := `{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json","dsseEnvelope":` + good + `}`
	if _, err := provenance.Parse([]byte(bundle)); !errors.Is(err, provenance.ErrUnsupported) {
		t.Errorf("a bundle: %v", err)
	}
	many := strings.Repeat("{},", provenance.MaxSubjects) + "{}"
	for _, c := range []struct{ name, payload, why string }{
		{"not JSON", "hello", "invalid"},
		{"trailing data", p + "{}", "invalid"},
		{"a name twice", strings.Replace(p, `"subject":`, `"subject":[],"subject":`, 1), "twice"},
		{"another statement", strings.Replace(p, "Statement/v1", "Statement/v9", 1), "_type"},
		{"no subject", v1("", ""), "0 subjects"},
		{"too many subjects", v1(many, ""), "subjects"},
		{"a subject twice", v1(subject("a", "1")+","+subject("a", "2"), ""), "listed twice"},
		{"a bad digest", v1(`{"name":"a","digest":{"sha256":"00"}}`, ""), "sha256"},
		{"an upper-case digest", v1(`{"name":"a","digest":{"sha256":"`+strings.ToUpper(sum("1").String())+`"}}`, ""), "sha256"},
		{"a bad fingerprint", v1(`{"name":"a","digest":{"stele-sha256":"00"}}`, ""), "subject"},
		{"two fingerprints", v1(fmt.Sprintf(`{"name":"a","digest":{"stele-sha256":"%[1]s","stele-blake3":"%[1]s"}}`, sum("1")), ""), "two hashes"},
		{"no builder", strings.Replace(p, "https://example.com/b", "", 1), "builder"},
		{"no predicate", strings.Replace(p, `"predicate":`, `"other":`, 1), "predicate"},
		{"another shape", strings.Replace(p, `"buildDefinition":{`, `"buildDefinition":[],"x":{`, 1), "predicate"},
		{"no predicate type", strings.Replace(p, `"https://slsa.dev/provenance/v1"`, `""`, 1), "predicateType"},
		{"a bad dependency", v1(subject("a", "1"), `{"digest":{"sha256":"zz"}}`), "dependency"},
	} {
		e, err := provenance.Parse([]byte(s.envelope(c.payload)))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if _, err := e.Verify(s.public(t)); !errors.Is(err, provenance.ErrFormat) || !strings.Contains(err.Error(), c.why) {
			t.Errorf("%s: %v, want %q", c.name, err, c.why)
		}
	}
}

func TestPublicKeys(t *testing.T) {
	encode := func(key any) []byte {
		der, err := x509.MarshalPKIXPublicKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skipf("no RSA key of 1024 bits can be made here: %v", err)
	}
	odd, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := vector(t, "p256.pub.pem")
	for name, text := range map[string][]byte{
		"RSA of 1024 bits": encode(&small.PublicKey), "P-224": encode(&odd.PublicKey), "nothing": nil, "text": []byte("key"),
		"two keys": append(slices.Clone(good), good...), "a private key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}),
		"a long file": make([]byte, 1<<20), "another block": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}),
	} {
		if _, err := provenance.ParsePublicKey(text); err == nil {
			t.Errorf("%s is taken for a public key", name)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, name := range []string{"p256.json", "p384.json", "ed25519.json", "rsa-pss.json"} {
		f.Add(vector(f, name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := provenance.Parse(data)
		if err != nil {
			if !errors.Is(err, provenance.ErrFormat) && !errors.Is(err, provenance.ErrUnsupported) {
				t.Errorf("%v is of no class", err)
			}
			return
		}
		if e.Signatures == 0 {
			t.Error("no signatures")
		}
	})
}

func FuzzStatement(f *testing.F) {
	f.Add(v1(subject("a", "1")+","+subject("b", "2"), subject("c", "3")))
	f.Add(`{"_type":"https://in-toto.io/Statement/v0.1","subject":[{"name":"a","digest":{"stele-blake3":"00"}}],"predicateType":"https://slsa.dev/provenance/v0.2","predicate":{"builder":{"id":"x"}}}`)
	s := newSigner()
	key := s.public(f)
	f.Fuzz(func(t *testing.T, payload string) {
		if payload == "" || len(payload) > provenance.MaxFile/2 {
			return
		}
		e, err := provenance.Parse([]byte(s.envelope(payload)))
		if err != nil {
			t.Fatal(err)
		}
		st, err := e.Verify(key)
		if err != nil {
			if !errors.Is(err, provenance.ErrFormat) {
				t.Errorf("%v is of no class", err)
			}
			return
		}
		if len(st.Subjects) == 0 {
			t.Error("no subjects")
		}
		if (st.PredicateType == provenance.ProvenanceV1 || st.PredicateType == provenance.ProvenanceV02) != (st.Builder != "") {
			t.Errorf("%+v", st)
		}
	})
}
