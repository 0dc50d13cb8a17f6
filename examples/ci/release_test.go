// Package ci tests what runs in other people's pipelines: the action at the
// root of the repository and the script beside this file, by running them.
package ci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
)

const root = "../.."

// tooSlow says why these tests are left out of this run, if they are.
var tooSlow string

// A published release is what ./release made for this machine, behind TLS on
// loopback, as a mirror would have it.
type published struct {
	url, certificates string            // of the server, and the file that says whom to trust
	version, archive  string            // the archive's name
	sum               string            // its SHA-256
	files             map[string][]byte // by path, as /v1.2.3/SHA256SUMS
	program           string            // what is in the archive, for the tests' own use
}

// shared is the release and the site of all tests: linking takes a while.
var shared struct {
	once sync.Once
	dir  string
	*published
	*site
	err error
}

func TestMain(m *testing.M) {
	status := m.Run()
	if shared.dir != "" {
		os.RemoveAll(shared.dir)
	}
	os.Exit(status)
}

// before returns a release, and a site that uses it.
func before(t *testing.T) (*published, *site) {
	t.Helper()
	if testing.Short() {
		t.Skip("it links the program")
	}
	if tooSlow != "" {
		t.Skip(tooSlow)
	}
	for _, program := range []string{"bash", "curl", "tar", "git"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("no %s here", program)
		}
	}
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		t.Skipf("the steps are run on Linux and macOS, not on %s", runtime.GOOS)
	}
	shared.once.Do(func() {
		if shared.dir, shared.err = os.MkdirTemp("", "stele-ci-"); shared.err != nil {
			return
		}
		if shared.published, shared.err = publish(filepath.Join(shared.dir, "dist")); shared.err == nil {
			shared.site, shared.err = shared.build(filepath.Join(shared.dir, "site"))
		}
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.published, shared.site
}

// publish builds a release into a folder, and serves it.
func publish(dist string) (*published, error) {
	build := exec.Command("go", "run", "./internal/release", "-version", "1.2.3", "-only", runtime.GOOS+"/"+runtime.GOARCH, "-allow-dirty", "-o", dist)
	build.Dir = root
	build.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("./release: %w\n%s", err, out)
	}
	sums, err := os.ReadFile(filepath.Join(dist, "SHA256SUMS"))
	if err != nil {
		return nil, err
	}
	p := &published{files: map[string][]byte{}}
	fields := strings.Fields(string(sums))
	if len(fields) != 2 {
		return nil, fmt.Errorf("SHA256SUMS of one archive: %q", sums)
	}
	p.sum, p.archive = fields[0], fields[1]
	p.version = strings.Split(p.archive, "_")[1] // 1.2.3, or 1.2.3-dirty
	archive, err := os.ReadFile(filepath.Join(dist, p.archive))
	if err != nil {
		return nil, err
	}
	p.files["/v"+p.version+"/SHA256SUMS"] = sums
	p.files["/v"+p.version+"/"+p.archive] = archive
	program, err := unpack(archive)
	if err != nil {
		return nil, err
	}
	p.program = filepath.Join(dist, "stele")
	if err := os.WriteFile(p.program, program, 0o755); err != nil {
		return nil, err
	}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, ok := p.files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(data)
	}))
	p.url = server.URL // until the process ends
	p.certificates = filepath.Join(dist, "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	return p, os.WriteFile(p.certificates, block, 0o644)
}

// unpack returns the program in an archive.
func unpack(archive []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return nil, err
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err != nil {
			return nil, fmt.Errorf("no program in the archive: %w", err)
		}
		if filepath.Base(h.Name) == "stele" {
			return io.ReadAll(r)
		}
	}
}

// pack makes an archive of a program.
func pack(t *testing.T, folder string, program []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(z)
	err = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: folder + "/stele", Mode: 0o755, Size: int64(len(program))})
	if err == nil {
		_, err = w.Write(program)
	}
	if err := errors.Join(err, w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// A site is a ledger as a pipeline finds it: a copy of it, the files of two
// models, and the trust file in the repository. There are no keys.
type site struct {
	dir                   string
	good, withdrawn       string // name@version of the models
	unready, personal     string // of one that a contract refuses, and of one whose rule looks at the signer
	ledger, trust, models string
	env                   []string // of a machine with nothing of anybody's on it
}

// rules is a contract that the models of two names meet.
const rules = `
apiVersion: stele.dev/v1
kind: Contract
metadata: {name: production, version: 1}
spec:
  engine: cel/1
  match: {statements: [release], actions: [join], stages: [production], names: [ruled/net, signed/net]}
  validations:
    - id: one-approval
      expression: subject.name != "ruled/net" || ledger.approvers(subject).size() >= 1
      message: production needs an approval
    - id: somebody-else
      expression: subject.name != "signed/net" || signer.handle != "ada"
      message: ada does not release this
  tests:
    - name: nobody approved it
      given: {history: [{stamp: ruled/net@1, kind: model, by: maker}], statement: {kind: release, subject: ruled/net@1, stage: production}}
      expect: {deny: [one-approval]}
    - name: ada releases it
      given: {history: [{stamp: signed/net@1, kind: model, by: maker}], statement: {kind: release, subject: signed/net@1, stage: production, by: ada}}
      expect: {deny: [somebody-else]}
    - name: somebody else releases it
      given: {history: [{stamp: signed/net@1, kind: model, by: maker}], statement: {kind: release, subject: signed/net@1, stage: production, by: cleo}}
      expect: {allow: true}
`

// build makes the ledger with somebody's keys, and takes these away.
func (p *published) build(dir string) (*site, error) {
	s := &site{dir: dir, good: "fraud/net@2", withdrawn: "fraud/net@1", unready: "ruled/net@1", personal: "signed/net@1"}
	s.ledger, s.trust, s.models = filepath.Join(dir, ".stele"), filepath.Join(dir, "stele.policy"), filepath.Join(dir, "models")
	owner := dir + "-owner"
	defer os.RemoveAll(owner)
	for _, folder := range []string{owner, filepath.Join(s.models, "1"), filepath.Join(s.models, "2"), dir + "-runner"} {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return nil, err
		}
	}
	for version, text := range map[string]string{"1": "old weights", "2": "new weights"} {
		if err := os.WriteFile(filepath.Join(s.models, version, "weights.bin"), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(filepath.Join(owner, "rules.yaml"), []byte(rules), 0o644); err != nil {
		return nil, err
	}
	for _, args := range [][]string{
		{"init", "--handle", "ada", "--recovery-out", filepath.Join(owner, "recovery")},
		{"stamp", "models/1", "--as", s.withdrawn, "--kind", "model"},
		{"stamp", "models/2", "--as", s.good, "--kind", "model"},
		{"stamp", "models/2", "--as", s.unready, "--kind", "model"},
		{"stamp", "models/2", "--as", s.personal, "--kind", "model"},
		{"contract", "put", filepath.Join(owner, "rules.yaml"), "--yes"},
		{"approve", s.withdrawn, "--stage", "production"},
		{"approve", s.good, "--stage", "production"},
		{"withdraw", s.withdrawn, "--reason", "labels in doubt", "--yes"},
		{"trust", "export", "-o", "stele.policy"},
	} {
		c := exec.Command(p.program, args...)
		c.Dir, c.Env = dir, bare(owner)
		if out, err := c.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("stele %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	s.env = bare(dir + "-runner")
	return s, nil
}

// bare is the environment of somebody whose home is dir, and empty but for what
// is needed to run programs.
func bare(dir string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "LC_ALL=C", "TZ=UTC",
		"STELE_CONFIG=" + filepath.Join(dir, "config"), "STELE_STATE=" + filepath.Join(dir, "state"),
	}
}
