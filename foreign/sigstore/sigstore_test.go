package sigstore

import (
	"bufio"
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	provenance "github.com/in-toto/attestation/go/predicates/provenance/v1"
	intoto "github.com/in-toto/attestation/go/v1"
	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/signature"
	"google.golang.org/protobuf/encoding/protojson"
)

// world is a ledger with a model on it that a run made, and what was exported.
type world struct {
	t             *testing.T
	dir, stele    string
	model, sig    string // the model's folder; its signature
	public        string // the public key that signed
	runs          string // .intoto.jsonl
	key           *ecdsa.PublicKey
	keyText       []byte
	bundle, first []byte // the signature file; the first line of runs
}

func (w *world) run(args ...string) {
	w.t.Helper()
	cmd := exec.CommandContext(w.t.Context(), w.stele, args...)
	cmd.Dir = w.dir
	cmd.Env = append(os.Environ(), "STELE_CONFIG="+filepath.Join(w.dir, "config"), "STELE_STATE="+filepath.Join(w.dir, "state"), "STELE_LEDGER=", "STELE_KEY=", "STELE_TRUST=")
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("stele %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

func (w *world) read(name string) []byte {
	w.t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		w.t.Fatal(err)
	}
	return data
}

// newWorld builds the program, as people have it, and exports with it.
func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, dir: dir, stele: filepath.Join(dir, "stele.exe"), model: filepath.Join(dir, "net"),
		sig: filepath.Join(dir, "model.sig"), public: filepath.Join(dir, "key.pem"), runs: filepath.Join(dir, "runs.intoto.jsonl")}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", w.stele, "./cmd/stele")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	// Names that sort in one way as paths and in another as text, one that the
	// format leaves out, one that the stamp's rules hide.
	for name, data := range map[string]string{
		"data/a.csv": "1,2\n", "net/a/b": "weights", "net/a.txt": "text", "net/config.json": "{}", "net/.gitattributes": "*.bin", "net/.DS_Store": "?",
		"net/\u00e9.bin": strings.Repeat("large", 400_000),
	} {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	w.run("init", "--handle", "ada")
	w.run("stamp", "data", "--as", "lab/data@1", "-y")
	w.run("record", "run", "--input", "lab/data@1=data", "--output", "lab/net@1=net")
	w.run("export", "oms", "lab/net@1", "net", "-o", "model.sig", "--public-key", "key.pem")
	w.run("export", "intoto", "lab/net@1", "-o", "runs.intoto.jsonl")
	w.bundle, w.keyText = w.read(w.sig), w.read(w.public)
	block, _ := pem.Decode(w.keyText)
	if block == nil {
		t.Fatalf("no PEM:\n%s", w.keyText)
	}
	key, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	w.key = key.(*ecdsa.PublicKey)
	lines := bufio.NewScanner(bytes.NewReader(w.read(w.runs)))
	lines.Buffer(nil, 1<<20)
	if !lines.Scan() {
		t.Fatal("no run was exported")
	}
	w.first = bytes.Clone(lines.Bytes())
	return w
}

// sigstoreVerifies has sigstore-go check a signature file with a public key, and
// that its subject has the digest that is wanted.
func sigstoreVerifies(data []byte, key *ecdsa.PublicKey, hint string, subject []byte) error {
	b := new(bundle.Bundle)
	if err := b.UnmarshalJSON(data); err != nil {
		return err
	}
	v, err := signature.LoadECDSAVerifier(key, crypto.SHA256)
	if err != nil {
		return err
	}
	material := root.NewTrustedPublicKeyMaterialFromMapping(map[string]*root.ExpiringKey{
		hint: root.NewExpiringKey(v, time.Time{}, time.Time{}),
	})
	verifier, err := verify.NewVerifier(material, verify.WithNoObserverTimestamps())
	if err != nil {
		return err
	}
	_, err = verifier.Verify(b, verify.NewPolicy(verify.WithArtifactDigest("sha256", subject), verify.WithKey()))
	return err
}

func TestExportsAreReadByOthers(t *testing.T) {
	w := newWorld(t)
	sum := sha256.Sum256(w.keyText)
	hint := hex.EncodeToString(sum[:])
	t.Run("sigstore-go verifies model.sig", func(t *testing.T) { checkSigstore(t, w, hint) })
	t.Run("in-toto parses what is signed", func(t *testing.T) { checkStatement(t, w) })
	t.Run("in-toto parses the provenance", func(t *testing.T) { checkProvenance(t, w) })
	t.Run("DSSE verifies the provenance", func(t *testing.T) { checkDSSE(t, w) })
	t.Run("model_signing verifies the model", func(t *testing.T) { checkPython(t, w) })
}

// payloadOf is what the signature file has signed.
func payloadOf(t *testing.T, w *world) []byte {
	t.Helper()
	b := new(bundle.Bundle)
	if err := b.UnmarshalJSON(w.bundle); err != nil {
		t.Fatal(err)
	}
	return b.GetDsseEnvelope().GetPayload()
}

func checkSigstore(t *testing.T, w *world, hint string) {
	st := new(intoto.Statement)
	if err := protojson.Unmarshal(payloadOf(t, w), st); err != nil {
		t.Fatal(err)
	}
	subject, err := hex.DecodeString(st.GetSubject()[0].GetDigest()["sha256"])
	if err != nil {
		t.Fatal(err)
	}
	if err := sigstoreVerifies(w.bundle, w.key, hint, subject); err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	damaged := func(old, new string) []byte {
		if !bytes.Contains(w.bundle, []byte(old)) {
			t.Fatalf("no %s in the bundle", old)
		}
		return bytes.Replace(w.bundle, []byte(old), []byte(new), 1)
	}
	payload := base64.StdEncoding.EncodeToString(payloadOf(t, w))
	changed := base64.StdEncoding.EncodeToString(bytes.Replace(payloadOf(t, w), []byte("config.json"), []byte("config.jso_"), 1))
	for name, err := range map[string]error{
		"another key":       sigstoreVerifies(w.bundle, &other.PublicKey, hint, subject),
		"another hint":      sigstoreVerifies(w.bundle, w.key, strings.Repeat("0", 64), subject),
		"another subject":   sigstoreVerifies(w.bundle, w.key, hint, make([]byte, 32)),
		"another payload":   sigstoreVerifies(damaged(payload, changed), w.key, hint, subject),
		"another type":      sigstoreVerifies(damaged("application/vnd.in-toto+json", "application/vnd.in-toto+jsom"), w.key, hint, subject),
		"another signature": sigstoreVerifies(damaged(`"sig":"ME`, `"sig":"MF`), w.key, hint, subject),
		"cut short":         sigstoreVerifies(w.bundle[:len(w.bundle)/2], w.key, hint, subject),
	} {
		if err == nil {
			t.Errorf("%s: sigstore-go verifies it all the same", name)
		}
	}
}

func checkStatement(t *testing.T, w *world) {
	st := new(intoto.Statement)
	if err := protojson.Unmarshal(payloadOf(t, w), st); err != nil {
		t.Fatal(err)
	}
	if err := st.Validate(); err != nil {
		t.Fatal(err)
	}
	if got := st.GetPredicateType(); got != "https://model_signing/signature/v1.0" || len(st.GetSubject()) != 1 || st.GetSubject()[0].GetName() != "net" {
		t.Errorf("%s about %v", got, st.GetSubject())
	}
	// The predicate, as the specification's own words have it.
	predicate := st.GetPredicate().AsMap()
	var names []string
	digests := sha256.New()
	for _, r := range predicate["resources"].([]any) {
		r := r.(map[string]any)
		names = append(names, r["name"].(string))
		digest, err := hex.DecodeString(r["digest"].(string))
		if err != nil || r["algorithm"] != "sha256" || len(r) != 3 {
			t.Errorf("%v: %v", r, err)
		}
		file, err := os.ReadFile(filepath.Join(w.model, r["name"].(string)))
		if sum := sha256.Sum256(file); err != nil || !bytes.Equal(sum[:], digest) {
			t.Errorf("%s: %v, another digest", r["name"], err)
		}
		digests.Write(digest)
	}
	if want := "a.txt a/b config.json \u00e9.bin"; strings.Join(names, " ") != want {
		t.Errorf("signed are %q, want %q", names, want)
	}
	if root := hex.EncodeToString(digests.Sum(nil)); st.GetSubject()[0].GetDigest()["sha256"] != root {
		t.Errorf("the root is %v, want %s", st.GetSubject()[0].GetDigest(), root)
	}
	serialization := predicate["serialization"].(map[string]any)
	ignored := serialization["ignore_paths"].([]any)
	if len(predicate) != 2 || len(serialization) != 4 || serialization["method"] != "files" || serialization["hash_type"] != "sha256" || serialization["allow_symlinks"] != false || len(ignored) != 5 {
		t.Errorf("%v", predicate)
	}
}

// provenanceOf parses a statement and its predicate by their own schemas, which
// have no place for a field that they do not know.
func provenanceOf(payload []byte) (*intoto.Statement, *provenance.Provenance, error) {
	st, p := new(intoto.Statement), new(provenance.Provenance)
	if err := protojson.Unmarshal(payload, st); err != nil {
		return nil, nil, err
	}
	if err := st.Validate(); err != nil {
		return nil, nil, err
	}
	predicate, err := protojson.Marshal(st.GetPredicate())
	if err != nil {
		return nil, nil, err
	}
	if err := protojson.Unmarshal(predicate, p); err != nil {
		return nil, nil, err
	}
	return st, p, p.Validate()
}

func runPayload(t *testing.T, w *world) []byte {
	t.Helper()
	var envelope dsse.Envelope
	if err := json.Unmarshal(w.first, &envelope); err != nil {
		t.Fatal(err)
	}
	payload, err := envelope.DecodeB64Payload()
	if err != nil {
		t.Fatal(err)
	}
	return payload
}

func checkProvenance(t *testing.T, w *world) {
	payload := runPayload(t, w)
	st, p, err := provenanceOf(payload)
	if err != nil {
		t.Fatal(err)
	}
	if st.GetPredicateType() != "https://slsa.dev/provenance/v1" || len(st.GetSubject()) != 1 || st.GetSubject()[0].GetName() != "lab/net@1" {
		t.Errorf("%s about %v", st.GetPredicateType(), st.GetSubject())
	}
	inputs := p.GetBuildDefinition().GetResolvedDependencies()
	if len(inputs) == 0 || inputs[0].GetName() != "lab/data@1" || inputs[0].GetDigest()["stele-sha256"] == "" {
		t.Errorf("made of %v", inputs)
	}
	if p.GetRunDetails().GetBuilder().GetId() == "" || p.GetRunDetails().GetMetadata().GetInvocationId() == "" || p.GetRunDetails().GetMetadata().GetStartedOn().AsTime().IsZero() {
		t.Errorf("%v", p.GetRunDetails())
	}
	for name, change := range map[string][2]string{
		"an unknown field":           {`"buildDefinition":{`, `"buildDefinition":{"lineage":1,`},
		"an unknown statement field": {`"_type":`, `"extra":1,"_type":`},
		"no subject":                 {`"subject":[`, `"subject":[],"x":[`},
		"another statement":          {`Statement/v1`, `Statement/v9`},
		"no build type":              {`"buildType":"https://stele.dev/run/v1"`, `"buildType":""`},
		"no builder":                 {`"builder":{`, `"builder":{"id":""},"x":{`},
	} {
		if !bytes.Contains(payload, []byte(change[0])) {
			t.Fatalf("no %s in\n%s", change[0], payload)
		}
		if _, _, err := provenanceOf(bytes.Replace(payload, []byte(change[0]), []byte(change[1]), 1)); err == nil {
			t.Errorf("%s: the in-toto library takes it all the same", name)
		}
	}
}

// dsseKey checks DSSE signatures as in-toto's tools do.
type dsseKey struct{ key *ecdsa.PublicKey }

func (k dsseKey) Verify(_ context.Context, data, sig []byte) error {
	v, err := signature.LoadECDSAVerifier(k.key, crypto.SHA256)
	if err != nil {
		return err
	}
	return v.VerifySignature(bytes.NewReader(sig), bytes.NewReader(data))
}
func (k dsseKey) KeyID() (string, error)   { return "", nil }
func (k dsseKey) Public() crypto.PublicKey { return k.key }

func checkDSSE(t *testing.T, w *world) {
	verifies := func(line []byte) error {
		var envelope dsse.Envelope
		if err := json.Unmarshal(line, &envelope); err != nil {
			return err
		}
		verifier, err := dsse.NewEnvelopeVerifier(dsseKey{w.key})
		if err != nil {
			return err
		}
		_, err = verifier.Verify(context.Background(), &envelope)
		return err
	}
	if err := verifies(w.first); err != nil {
		t.Fatal(err)
	}
	payload := runPayload(t, w)
	changed := bytes.Replace(payload, []byte("lab/data@1"), []byte("lab/data@2"), 1)
	damaged := bytes.Replace(w.first, []byte(base64.StdEncoding.EncodeToString(payload)), []byte(base64.StdEncoding.EncodeToString(changed)), 1)
	if bytes.Equal(damaged, w.first) {
		t.Fatal("nothing was damaged")
	}
	if verifies(damaged) == nil {
		t.Error("the DSSE library takes another payload all the same")
	}
}

// checkPython has the reference implementation verify the exported signature,
// where it is installed.
func checkPython(t *testing.T, w *world) {
	python := "python3"
	if runtime.GOOS == "windows" {
		python = "python"
	}
	if out, err := exec.Command(python, "-c", "import model_signing").CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		t.Skipf("not made: Python's model_signing is not here (%v: %s)", err, lines[len(lines)-1])
	}
	const program = `import sys, model_signing
model_signing.verifying.Config().use_elliptic_key_verifier(public_key=sys.argv[3]).verify(sys.argv[1], sys.argv[2])`
	verifies := func() error { return exec.Command(python, "-c", program, w.model, w.sig, w.public).Run() }
	if err := verifies(); err != nil {
		t.Errorf("model_signing refuses what was exported: %v", err)
	}
	if err := os.WriteFile(filepath.Join(w.model, "config.json"), []byte("{ }"), 0o644); err != nil {
		t.Fatal(err)
	}
	if verifies() == nil {
		t.Error("model_signing takes a changed model all the same")
	}
}
