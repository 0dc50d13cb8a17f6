// Package ci tests what runs in other people's pipelines: the action at the
// root of the repository and the script beside this file, by running them.
package ci

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

const root = "../.."

// tooSlow says why these tests are left out of this run, if they are.
var tooSlow string

// A published release is what ./release made for this machine, behind TLS on
// loopback, as a mirror would have it. A test may put something else in place
// of a file.
type published struct {
	url, certificates string            // of the server, and the file that says whom to trust
	version, archive  string            // the archive's name
	sum               string            // its SHA-256
	files             map[string][]byte // by path, as /v1.2.3/SHA256SUMS
	program           string            // what is in the archive, for the tests' own use
}

// publish builds a release once for all tests.
func publish(t *testing.T) *published {
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
	dist := t.TempDir()
	build := exec.Command("go", "run", "./internal/release", "-version", "1.2.3", "-only", runtime.GOOS+"/"+runtime.GOARCH, "-allow-dirty", "-o", dist)
	build.Dir = root
	build.Env = append(os.Environ(), "GOFLAGS=", "GOWORK=off")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("./release: %v\n%s", err, out)
	}
	sums, err := os.ReadFile(filepath.Join(dist, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	p := &published{files: map[string][]byte{}}
	fields := strings.Fields(string(sums))
	if len(fields) != 2 {
		t.Fatalf("SHA256SUMS of one archive: %q", sums)
	}
	p.sum, p.archive = fields[0], fields[1]
	p.version = strings.Split(p.archive, "_")[1] // 1.2.3, or 1.2.3-dirty
	archive, err := os.ReadFile(filepath.Join(dist, p.archive))
	if err != nil {
		t.Fatal(err)
	}
	p.files["/v"+p.version+"/SHA256SUMS"] = sums
	p.files["/v"+p.version+"/"+p.archive] = archive
	p.program = filepath.Join(dist, "stele")
	if err := os.WriteFile(p.program, unpack(t, archive), 0o755); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		data, ok := p.files[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(data)
	}))
	t.Cleanup(server.Close)
	p.url = server.URL
	p.certificates = filepath.Join(dist, "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(p.certificates, block, 0o644); err != nil {
		t.Fatal(err)
	}
	return p
}

// unpack returns the program in an archive.
func unpack(t *testing.T, archive []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err != nil {
			t.Fatalf("no program in the archive: %v", err)
		}
		if filepath.Base(h.Name) == "stele" {
			data, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			return data
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
	ledger, trust, models string
	env                   []string // of a machine with nothing of anybody's on it
}

// build makes the ledger with somebody's keys, and leaves these behind.
func (p *published) build(t *testing.T) *site {
	t.Helper()
	s := &site{dir: t.TempDir(), good: "fraud/net@2", withdrawn: "fraud/net@1"}
	s.ledger, s.trust, s.models = filepath.Join(s.dir, ".stele"), filepath.Join(s.dir, "stele.policy"), filepath.Join(s.dir, "models")
	owner := t.TempDir()
	env := bare(owner)
	stele := func(args ...string) {
		t.Helper()
		c := exec.Command(p.program, args...)
		c.Dir, c.Env = s.dir, env
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("stele %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	for name, text := range map[string]string{"1": "old weights", "2": "new weights"} {
		if err := os.MkdirAll(filepath.Join(s.models, name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(s.models, name, "weights.bin"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stele("init", "--handle", "ada", "--recovery-out", filepath.Join(owner, "recovery"))
	for _, v := range []string{"1", "2"} {
		stele("stamp", filepath.Join("models", v), "--as", "fraud/net@"+v, "--kind", "model")
		stele("approve", "fraud/net@"+v, "--stage", "production")
	}
	stele("withdraw", s.withdrawn, "--reason", "labels in doubt", "--yes")
	stele("trust", "export", "-o", "stele.policy")
	s.env = bare(t.TempDir())
	return s
}

// bare is the environment of somebody whose home is dir, and empty but for what
// is needed to run programs.
func bare(dir string) []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "TMPDIR=" + dir, "LC_ALL=C", "TZ=UTC",
		"STELE_CONFIG=" + filepath.Join(dir, "config"), "STELE_STATE=" + filepath.Join(dir, "state"),
	}
}
