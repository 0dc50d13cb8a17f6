package oms_test

import (
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
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/oms"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
)

// vectorFiles is the model of testdata/make.py.
func vectorFiles() map[string]string {
	return map[string]string{
		"config.json":     "{\"layers\": 2}\n",
		"empty.txt":       "",
		"weights/00.bin":  strings.Repeat("0123456789abcdef\n", 20),
		"weights/a:b.bin": "colons in a name are allowed\n",
		"weights.txt":     "sorted before weights/ by one rule and after it by another\n",
	}
}

// write makes a folder of these files.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	put(t, dir, files)
	return dir
}

func put(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, data := range files {
		name = filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func open(t *testing.T, dir string) *source.Local {
	t.Helper()
	src, err := source.OpenLocal(dir, source.LocalOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

func vector(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func publicKey(t *testing.T, name string) *oms.PublicKey {
	t.Helper()
	k, err := oms.ParsePublicKey(vector(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func parse(t *testing.T, data []byte) *oms.Signature {
	t.Helper()
	s, err := oms.Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// changes are a result's, one a line.
func changes(r *oms.Result) string {
	var b strings.Builder
	for _, c := range r.Changes {
		fmt.Fprintf(&b, "%s %s", c.Change, c.Path)
		for _, g := range c.Ranges {
			fmt.Fprintf(&b, " %d-%d", g.Start, g.End)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func compare(t *testing.T, st *oms.Statement, dir string, o oms.VerifyOptions) *oms.Result {
	t.Helper()
	r, err := st.Verify(t.Context(), open(t, dir), o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// Files made by Python, openssl and b3sum are read: three curves, three hashes,
// both methods, the forms of two old versions.
func TestVectors(t *testing.T) {
	for _, c := range []struct {
		file, key        string
		hash             oms.Hash
		shard            uint64
		files, resources int
		predicate        string
		ignored          []string
	}{
		{"p256.sig", "p256.pub.pem", oms.SHA256, 0, 5, 5, oms.PredicateType, oms.LeftOut()},
		{"p384.sig", "p384.pub.pem", oms.BLAKE2b, 100, 4, 7, oms.PredicateType, oms.LeftOut()},
		{"p521.sig", "p521.pub.pem", oms.BLAKE3, 0, 5, 5, oms.PredicateType, nil},
		{"old-v1.0.0.sig", "p256.pub.pem", oms.SHA256, 0, 5, 5, oms.PredicateType, oms.LeftOut()},
		{"old-v0.2.0.sig", "p384.pub.pem", oms.SHA256, 0, 5, 5, oms.PredicateTypeDigests, nil},
	} {
		t.Run(c.file, func(t *testing.T) {
			s := parse(t, vector(t, c.file))
			v, err := s.VerifyKey(publicKey(t, c.key))
			if err != nil {
				t.Fatal(err)
			}
			st := v.Statement
			if st.Hash != c.hash || st.ShardSize != c.shard || st.Files() != c.files || len(st.Resources) != c.resources || st.PredicateType != c.predicate ||
				!slices.Equal(st.Ignored, c.ignored) || v.Method != oms.ByKey || len(v.Notes) != 0 {
				t.Errorf("%+v %+v", v, st)
			}
			files := vectorFiles()
			dir := write(t, files)
			r := compare(t, st, dir, oms.VerifyOptions{})
			if !r.Same() || r.Files != uint64(c.files) {
				t.Errorf("%d files the same; %s", r.Files, changes(r))
			}
			if want := c.shard > 0; slices.Equal(r.Empty, []string{"empty.txt"}) != want {
				t.Errorf("empty: %q", r.Empty)
			}

			other := publicKey(t, map[bool]string{true: "p384.pub.pem", false: "p256.pub.pem"}[c.key == "p256.pub.pem"])
			if _, err := s.VerifyKey(other); !errors.Is(err, oms.ErrOtherKey) {
				t.Errorf("with another key: %v", err)
			}
			if _, err := s.VerifyCertificate(nil, time.Now()); !errors.Is(err, oms.ErrOtherKey) {
				t.Errorf("with certificates: %v", err)
			}

			files["config.json"] = "{\"layers\": 3}\n"
			files["weights/00.bin"] = files["weights/00.bin"][:150] + "?" + files["weights/00.bin"][151:] + "more"
			files["new.bin"] = "x"
			delete(files, "weights.txt")
			r = compare(t, st, write(t, files), oms.VerifyOptions{})
			want := "modified config.json\nadded new.bin\nmodified weights/00.bin\nremoved weights.txt\n"
			if c.shard > 0 {
				want = "modified config.json 0-14\nadded new.bin\nmodified weights/00.bin 100-200 300-344\nremoved weights.txt\n"
			}
			lines := strings.SplitAfter(want, "\n")
			slices.Sort(lines)
			got := strings.SplitAfter(changes(r), "\n")
			slices.Sort(got)
			if !slices.Equal(got, lines) {
				t.Errorf("changes:\n%swant:\n%s", changes(r), want)
			}
		})
	}
}

func certificates(t *testing.T, name string) []*x509.Certificate {
	t.Helper()
	list, err := oms.ParseCertificates(vector(t, name))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestCertificateVector(t *testing.T) {
	s := parse(t, vector(t, "certificate-signer.sig"))
	root := certificates(t, "root.pem")
	at := s.Chain[0].NotBefore.Add(time.Hour)
	v, err := s.VerifyCertificate(root, at)
	if err != nil {
		t.Fatal(err)
	}
	if v.Subject != "CN=signer,O=Example" || v.Method != oms.ByCertificate || v.Key.Algorithm() != "ECDSA P-256 with SHA-256" {
		t.Errorf("%+v", v)
	}
	if r := compare(t, v.Statement, write(t, vectorFiles()), oms.VerifyOptions{}); !r.Same() {
		t.Error(changes(r))
	}
	if _, err := s.VerifyKey(v.Key); !errors.Is(err, oms.ErrOtherKey) {
		t.Errorf("as a bare key: %v", err)
	}
	for name, moment := range map[string]time.Time{"before": s.Chain[0].NotBefore.Add(-time.Second), "after": s.Chain[0].NotAfter.Add(time.Second)} {
		_, err := s.VerifyCertificate(root, moment)
		var hinted interface{ Hint() string }
		if !errors.Is(err, oms.ErrOtherKey) || !errors.As(err, &hinted) || !strings.Contains(hinted.Hint(), "--certificates-at") {
			t.Errorf("%s its time: %v", name, err)
		}
	}
	if _, err := s.VerifyCertificate(nil, at); !errors.Is(err, oms.ErrOtherKey) {
		t.Errorf("without any root: %v", err)
	}
	// Any of the certificates that the file carries can be the one that is trusted.
	for i, c := range s.Chain {
		if _, err := s.VerifyCertificate([]*x509.Certificate{c}, at); err != nil {
			t.Errorf("trusting certificate %d of the chain alone: %v", i, err)
		}
	}
}

// signer makes signatures as an attacker with a key of their own would: over
// anything.
type signer struct {
	key *ecdsa.PrivateKey
}

func newSigner(t testing.TB, curve elliptic.Curve) *signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &signer{key}
}

func (s *signer) Sign(message []byte) ([]byte, error) {
	h := map[elliptic.Curve]crypto.Hash{elliptic.P256(): crypto.SHA256, elliptic.P384(): crypto.SHA384, elliptic.P521(): crypto.SHA512}[s.key.Curve]
	w := h.New()
	w.Write(message)
	return s.key.Sign(rand.Reader, w.Sum(nil), h)
}

func (s *signer) public(t testing.TB) *oms.PublicKey {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&s.key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	k, err := oms.ParsePublicKey(der)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func pae(payload string) []byte {
	return []byte("DSSEv1 28 application/vnd.in-toto+json " + fmt.Sprint(len(payload)) + " " + payload)
}

// bundle signs a payload and puts it into a bundle, for edit to spoil.
func (s *signer) bundle(t testing.TB, payload string, edit func(b map[string]any)) []byte {
	t.Helper()
	sig, err := s.Sign(pae(payload))
	if err != nil {
		t.Fatal(err)
	}
	b := map[string]any{
		"mediaType":            "application/vnd.dev.sigstore.bundle.v0.3+json",
		"verificationMaterial": map[string]any{"publicKey": map[string]any{"hint": s.public(t).Hint()}},
		"dsseEnvelope": map[string]any{
			"payload": base64.StdEncoding.EncodeToString([]byte(payload)), "payloadType": "application/vnd.in-toto+json",
			"signatures": []any{map[string]any{"sig": base64.StdEncoding.EncodeToString(sig), "keyid": ""}},
		},
	}
	if edit != nil {
		edit(b)
	}
	data, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func envelopeOf(b map[string]any) map[string]any { return b["dsseEnvelope"].(map[string]any) }
func materialOf(b map[string]any) map[string]any { return b["verificationMaterial"].(map[string]any) }
func signatureOf(b map[string]any) map[string]any {
	return envelopeOf(b)["signatures"].([]any)[0].(map[string]any)
}

// listed is a resource with a digest over the contents.
type listed struct{ name, contents string }

// payload is a statement over these resources, its root right for them.
func payload(serialization string, list ...listed) string {
	root := sha256.New()
	var resources []string
	for _, r := range list {
		sum := sha256.Sum256([]byte(r.contents))
		root.Write(sum[:])
		name, _ := json.Marshal(r.name)
		resources = append(resources, fmt.Sprintf(`{"name":%s,"digest":"%x","algorithm":"sha256"}`, name, sum))
	}
	if serialization == "" {
		serialization = `{"method":"files","hash_type":"sha256","allow_symlinks":false}`
	}
	return fmt.Sprintf(`{"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"model","digest":{"sha256":"%x"}}],`+
		`"predicateType":"https://model_signing/signature/v1.0","predicate":{"resources":[%s],"serialization":%s}}`,
		root.Sum(nil), strings.Join(resources, ","), serialization)
}

// verified is what a signer signed, as its own key checks it.
func (s *signer) verified(t *testing.T, payload string) *oms.Statement {
	t.Helper()
	v, err := parse(t, s.bundle(t, payload, nil)).VerifyKey(s.public(t))
	if err != nil {
		t.Fatal(err)
	}
	return v.Statement
}

// refused checks that a good signature over a payload is no model signature.
func (s *signer) refused(t *testing.T, payload, why string) {
	t.Helper()
	_, err := parse(t, s.bundle(t, payload, nil)).VerifyKey(s.public(t))
	if !errors.Is(err, oms.ErrFormat) || !strings.Contains(err.Error(), why) {
		t.Errorf("%v, want ErrFormat: %s", err, why)
	}
}

func read(t *testing.T, dir string, want oms.Want) []oms.Found {
	t.Helper()
	found, err := oms.Read(t.Context(), open(t, dir), oms.ReadOptions{Want: func(string) oms.Want { return want }})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestSignAndVerify(t *testing.T) {
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		t.Run(curve.Params().Name, func(t *testing.T) {
			dir := write(t, vectorFiles())
			st, err := oms.NewStatement(oms.Model{Name: "model", Files: read(t, dir, oms.Want{Hash: oms.SHA256}), Ignored: []string{"model.sig", ".git"}})
			if err != nil {
				t.Fatal(err)
			}
			s := newSigner(t, curve)
			data, err := oms.Sign(st, s.public(t), s)
			if err != nil {
				t.Fatal(err)
			}
			v, err := parse(t, data).VerifyKey(s.public(t))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(v.Statement.Ignored, []string{".git", "model.sig"}) || v.Statement.Root != st.Root || v.Statement.Name != "model" {
				t.Errorf("%+v", v.Statement)
			}
			if r := compare(t, v.Statement, dir, oms.VerifyOptions{}); !r.Same() {
				t.Error(changes(r))
			}
			if !slices.IsSortedFunc(v.Statement.Resources, func(a, b oms.Resource) int { return strings.Compare(a.Path, b.Path) }) {
				t.Error("the resources are not sorted by name")
			}
		})
	}
}

func TestSignRefuses(t *testing.T) {
	digest := [][]byte{make([]byte, 32)}
	many := make([]string, oms.MaxIgnoredWritten+1)
	for i := range many {
		many[i] = fmt.Sprintf("f%d", i)
	}
	for name, c := range map[string]struct {
		model oms.Model
		is    error
	}{
		"no files":           {oms.Model{Name: "m"}, oms.ErrFormat},
		"no name":            {oms.Model{Files: []oms.Found{{Path: "a", Digests: digest}}}, oms.ErrFormat},
		"no digest":          {oms.Model{Name: "m", Files: []oms.Found{{Path: "a"}}}, oms.ErrFormat},
		"a bad path":         {oms.Model{Name: "m", Files: []oms.Found{{Path: "../a", Digests: digest}}}, oms.ErrFormat},
		"a file twice":       {oms.Model{Name: "m", Files: []oms.Found{{Path: "a", Digests: digest}, {Path: "a", Digests: digest}}}, oms.ErrFormat},
		"too much left out":  {oms.Model{Name: "m", Files: []oms.Found{{Path: "a", Digests: digest}}, Ignored: many}, oms.ErrLimit},
		"all of it left out": {oms.Model{Name: "m", Files: []oms.Found{{Path: "a", Digests: digest}}, Ignored: []string{"."}}, oms.ErrFormat},
	} {
		if _, err := oms.NewStatement(c.model); !errors.Is(err, c.is) {
			t.Errorf("%s: %v, want %v", name, err, c.is)
		}
	}
	st, err := oms.NewStatement(oms.Model{Name: "m", Files: []oms.Found{{Path: "a", Digests: digest}}})
	if err != nil {
		t.Fatal(err)
	}
	a, b := newSigner(t, elliptic.P256()), newSigner(t, elliptic.P256())
	if _, err := oms.Sign(st, a.public(t), b); !errors.Is(err, oms.ErrSignature) {
		t.Errorf("signed with another key than was named: %v", err)
	}
}

// Read agrees with what scans and simple hashing find, whatever the size.
func TestRead(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", (3<<20)/16) + "the end"
	files := map[string]string{"a": "", "b": "x", "c/one": strings.Repeat("y", 1<<20), "c/more": strings.Repeat("z", 1<<20+1), "d": big}
	dir := write(t, files)
	for _, a := range []fingerprint.Algorithm{fingerprint.SHA256, fingerprint.BLAKE3} {
		want := map[string]fingerprint.Digest{}
		if _, err := scan.Local(t.Context(), dir, scan.Options{Algorithm: a}, func(f fingerprint.File) error {
			want[f.Path] = f.Digest
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		for _, shard := range []uint64{0, 1_000_000} {
			found := read(t, dir, oms.Want{Hash: oms.SHA256, ShardSize: shard, Tree: a})
			alone := read(t, dir, oms.Want{Hash: oms.SHA256, ShardSize: shard})
			var paths []string
			for i, f := range found {
				paths = append(paths, f.Path)
				if f.Tree != want[f.Path] {
					t.Errorf("%v: %s in the tree is %s, want %s", a, f.Path, f.Tree, want[f.Path])
				}
				if f.Size != uint64(len(files[f.Path])) {
					t.Errorf("%s has %d bytes", f.Path, f.Size)
				}
				var digests [][]byte
				for data := []byte(files[f.Path]); ; {
					n := len(data)
					if shard > 0 {
						n = min(n, int(shard))
					}
					if n > 0 || shard == 0 {
						sum := sha256.Sum256(data[:n])
						digests = append(digests, sum[:])
					}
					if data = data[n:]; len(data) == 0 {
						break
					}
				}
				for _, got := range [][][]byte{f.Digests, alone[i].Digests} {
					if !slices.EqualFunc(got, digests, bytes.Equal) {
						t.Errorf("%s in shards of %d: %x, want %x", f.Path, shard, got, digests)
					}
				}
			}
			if !slices.Equal(paths, []string{"a", "b", "c/more", "c/one", "d"}) {
				t.Errorf("%q", paths)
			}
		}
	}
	var progress scan.Progress
	if _, err := oms.Read(t.Context(), open(t, dir), oms.ReadOptions{
		Want: func(string) oms.Want { return oms.Want{Hash: oms.SHA256} }, Progress: &progress,
	}); err != nil || progress.BytesDone.Load() != uint64(1+1<<20+1<<20+1+len(big)) || progress.FilesDone.Load() != 5 {
		t.Errorf("%v, %d bytes, %d files", err, progress.BytesDone.Load(), progress.FilesDone.Load())
	}
	var much *scan.TooMuchError
	if _, err := oms.Read(t.Context(), open(t, dir), oms.ReadOptions{Want: func(string) oms.Want { return oms.Want{Hash: oms.SHA256} }, MaxRead: 1 << 20}); !errors.As(err, &much) {
		t.Errorf("more than may be read: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("told to stop")
	cancel(cause)
	if _, err := oms.Read(ctx, open(t, dir), oms.ReadOptions{Want: func(string) oms.Want { return oms.Want{Hash: oms.SHA256} }}); !errors.Is(err, cause) {
		t.Errorf("stopped: %v", err)
	}
}

func TestIgnored(t *testing.T) {
	s := newSigner(t, elliptic.P256())
	st := s.verified(t, payload(`{"method":"files","hash_type":"sha256","allow_symlinks":false,"ignore_paths":["cache","notes.txt","gone/","model.sig","/abs","../up","keep"]}`,
		listed{"a", "1"}, listed{"keep/b", "2"}))
	if !slices.Equal(st.Ignored, []string{"cache", "gone", "keep", "model.sig", "notes.txt"}) || !slices.Equal(st.Void, []string{"../up", "/abs"}) {
		t.Fatalf("%q %q", st.Ignored, st.Void)
	}
	dir := write(t, map[string]string{
		"a": "1", "keep/b": "2", "keep/other": "?", "cache/x": "?", "cache/y/z": "?", "notes.txt": "?", "model.sig": "?",
		".git/HEAD": "?", ".gitattributes": "?",
	})
	r := compare(t, st, dir, oms.VerifyOptions{})
	want := []oms.Ignored{
		{Path: ".git", Here: true, Folder: true, Rule: true}, {Path: ".gitattributes", Here: true, Rule: true},
		{Path: "cache", Here: true, Folder: true}, {Path: "gone"}, {Path: "keep", Here: true, Folder: true},
		{Path: "model.sig", Here: true}, {Path: "notes.txt", Here: true},
	}
	if !r.Same() || r.Files != 2 || !slices.Equal(r.Ignored, want) {
		t.Errorf("%s%+v", changes(r), r.Ignored)
	}
	// Only the exact paths, and what the format leaves out only at the top.
	put(t, dir, map[string]string{"sub/cache/x": "?", "notes.txt.bak": "?", "sub/.gitattributes": "?", "sub/model.sig": "?"})
	r = compare(t, st, dir, oms.VerifyOptions{})
	if want := "added notes.txt.bak\nadded sub/.gitattributes\nadded sub/cache/x\nadded sub/model.sig\n"; changes(r) != want {
		t.Errorf("changes:\n%swant:\n%s", changes(r), want)
	}
}

func TestSingleFile(t *testing.T) {
	s := newSigner(t, elliptic.P256())
	dir := write(t, map[string]string{"model.bin": "1", "copy.bin": "1", "other.bin": "2"})
	for _, c := range []struct{ listed, file, renamed, changes string }{
		{"model.bin", "model.bin", "", ""},
		{"model.bin", "copy.bin", "model.bin", ""},
		{".", "copy.bin", "", ""}, // as older versions of the reference implementation name it
		{"model.bin", "other.bin", "model.bin", "modified other.bin\n"},
	} {
		r := compare(t, s.verified(t, payload("", listed{c.listed, "1"})), filepath.Join(dir, c.file), oms.VerifyOptions{})
		if changes(r) != c.changes || r.Renamed != c.renamed {
			t.Errorf("%+v: %s, renamed from %q", c, changes(r), r.Renamed)
		}
	}
	if r := compare(t, s.verified(t, payload("", listed{".", "1"})), dir, oms.VerifyOptions{}); r.Same() {
		t.Error("a folder is one file")
	}
}

// The signature file is left out by its place and not by its name.
func TestSignatureInside(t *testing.T) {
	s := newSigner(t, elliptic.P256())
	st := s.verified(t, payload("", listed{"a", "1"}))
	dir := write(t, map[string]string{"a": "1", "sigs/model.sig": "?"})
	if r := compare(t, st, dir, oms.VerifyOptions{Signature: "sigs/model.sig"}); !r.Same() {
		t.Error(changes(r))
	}
	if r := compare(t, st, dir, oms.VerifyOptions{}); changes(r) != "added sigs/model.sig\n" {
		t.Error(changes(r))
	}
}

// The files are fingerprinted in the same reading, by rules of their own.
func TestVerifyWithTree(t *testing.T) {
	s := newSigner(t, elliptic.P256())
	files := map[string]string{"a": "1", "b/c": strings.Repeat("x", 2<<20), ".DS_Store": "?", "cache/x": "2"}
	dir := write(t, files)
	st := s.verified(t, payload(`{"method":"files","hash_type":"sha256","allow_symlinks":false,"ignore_paths":[".DS_Store","cache"]}`,
		listed{"a", "1"}, listed{"b/c", files["b/c"]}))
	hides := func(path string, _ bool) bool { return path == ".DS_Store" }
	r := compare(t, st, dir, oms.VerifyOptions{Tree: &oms.TreeOptions{Algorithm: fingerprint.SHA256, Hides: hides}})
	if !r.Same() || r.Files != 2 {
		t.Error(changes(r))
	}
	if want := []oms.Ignored{{Path: ".DS_Store", Here: true}, {Path: "cache", Here: true, Folder: true}}; !slices.Equal(r.Ignored, want) {
		t.Errorf("left out: %+v", r.Ignored) // though one of them was read
	}
	tree := fingerprint.NewTree(fingerprint.SHA256)
	for _, f := range r.Found {
		if !hides(f.Path, false) {
			if err := tree.Add(fingerprint.File{Path: f.Path, Size: f.Size, Digest: f.Tree}); err != nil {
				t.Fatal(err)
			}
		}
	}
	sum, err := tree.Summary()
	if err != nil {
		t.Fatal(err)
	}
	want, err := scan.Local(t.Context(), dir, scan.Options{Algorithm: fingerprint.SHA256, UseExact: true, Exact: []string{".DS_Store"}}, nil)
	if err != nil || sum.Fingerprint(fingerprint.SHA256) != want.Fingerprint {
		t.Errorf("%v: %s, want %s", err, sum.Fingerprint(fingerprint.SHA256), want.Fingerprint)
	}
}

func TestCompareKnownDigests(t *testing.T) {
	s := newSigner(t, elliptic.P256())
	st := s.verified(t, payload(`{"method":"files","hash_type":"sha256","allow_symlinks":false,"ignore_paths":["cache"]}`,
		listed{"a", "1"}, listed{"b", "2"}))
	file := func(name, contents string) oms.Found {
		sum := sha256.Sum256([]byte(contents))
		return oms.Found{Path: name, Digests: [][]byte{sum[:]}, Size: uint64(len(contents))}
	}
	r, err := st.Compare(oms.SHA256, []oms.Found{file("a", "1"), file("b", "2"), file("cache/x", "3")}, false)
	if err != nil || !r.Same() || !slices.Equal(r.Ignored, []oms.Ignored{{Path: "cache", Here: true, Folder: true}}) {
		t.Errorf("%v %+v", err, r)
	}
	r, err = st.Compare(oms.SHA256, []oms.Found{file("a", "9"), file("c", "2")}, false)
	if err != nil || changes(r) != "modified a\nremoved b\nadded c\n" {
		t.Errorf("%v %s", err, changes(r))
	}
	if _, err := st.Compare(oms.BLAKE3, nil, false); !errors.Is(err, oms.ErrUnsupported) {
		t.Errorf("another hash: %v", err)
	}
}

// A shard size as protobuf's Struct writes it, and others that are none.
func TestShardSize(t *testing.T) {
	s := newSigner(t, elliptic.P256())
	with := func(size string) string {
		return payload(`{"method":"shards","hash_type":"sha256","allow_symlinks":false,"shard_size":`+size+`}`, listed{"a:0:2", "12"})
	}
	for _, size := range []string{"2", "2.0", "2.000", "2e0", "20e-1"} {
		if st := s.verified(t, with(size)); st.ShardSize != 2 {
			t.Errorf("%s is %d", size, st.ShardSize)
		}
	}
	for _, size := range []string{"0", "-2", "2.5", "1e300", "281474976710657", `"2"`, "null", "true", "2.0000000000000000000000001"} {
		s.refused(t, with(size), "shard_size")
	}
}

func TestMembersAreThose(t *testing.T) {
	s := newSigner(t, elliptic.P256())
	good := payload("", listed{"a", "1"})
	edit := func(old, new string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("no %s in %s", old, good)
		}
		return strings.Replace(good, old, new, 1)
	}
	for _, c := range []struct{ payload, why string }{
		{edit(`"predicate":{`, `"predicate":{"lineage":[],`), `predicate: unknown member "lineage"`},
		{edit(`{"_type"`, `{"extra":1,"_type"`), `statement: unknown member "extra"`},
		{edit(`"method"`, `"else":1,"method"`), `serialization: unknown member "else"`},
		{edit(`Statement/v1`, `Statement/v0.1`), "_type"},
		{edit(`signature/v1.0`, `signature/v2.0`), "predicateType"},
		{edit(`,"allow_symlinks":false`, ``), "allow_symlinks"},
		{edit(`"method":"files"`, `"method":"tree"`), "method"},
		{edit(`"method":"files"`, `"method":"files","shard_size":5`), "shard_size"},
		{edit(`"hash_type":"sha256"`, `"hash_type":"md5"`), "hash_type"},
		{edit(`"hash_type":"sha256"`, `"hash_type":"blake3"`), "algorithm"},
		{edit(`"name":"model"`, `"name":""`), "subject"},
		{edit(`"digest":{`, `"digest":{"md5":"00",`), "subject's digest"},
		{edit(`,"serialization":{"method":"files","hash_type":"sha256","allow_symlinks":false}`, ``), "no serialization"},
		{payload(""), "0 resources"},
		{strings.Replace(good, `"digest":"6b86`, `"digest":"6B86`, 1), "lower-case"},
		{strings.Replace(good, `"digest":"6b86`, `"digest":"86`, 1), "lower-case"},
	} {
		s.refused(t, c.payload, c.why)
	}
	// The specification: others' members of a resource are passed over.
	if st := s.verified(t, edit(`{"name":"a"`, `{"annotations":{"x":1.5},"name":"a"`)); st.Files() != 1 {
		t.Error("members of a resource")
	}
}

// What one statement lists is reached only by its own paths.
func TestStatementLookups(t *testing.T) {
	st := newSigner(t, elliptic.P256())
	v := st.verified(t, payload("", listed{"b", "2"}, listed{"a/x", "1"}))
	if !slices.Equal(v.Paths(), []string{"a/x", "b"}) || hex.EncodeToString(v.Digest("b"))[:8] != "d4735e3a" || v.Digest("a") != nil {
		t.Errorf("%q %x", v.Paths(), v.Digest("b"))
	}
}
