package manifest_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/manifest"
)

// made writes a manifest of small files, whose contents are their paths.
func made(t *testing.T, paths ...string) (path string, fp fingerprint.Fingerprint) {
	t.Helper()
	var b bytes.Buffer
	const a = fingerprint.SHA256
	w := fingerprint.NewWriter(&b, a, fingerprint.WriterOptions{})
	for _, p := range paths {
		if err := w.Add(fingerprint.File{Path: p, Size: uint64(len(p)), Digest: sha256.Sum256([]byte(p))}); err != nil {
			t.Fatal(err)
		}
	}
	sum, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	path = filepath.Join(t.TempDir(), "a.manifest")
	if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, sum.Fingerprint(a)
}

func opened(t *testing.T, path string) *manifest.File {
	t.Helper()
	m, err := manifest.Open(path, fingerprint.Fingerprint{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.Close() })
	return m
}

func TestFound(t *testing.T) {
	path, fp := made(t, "a", "b/c")
	m := &manifest.Found{Name: "mine", Path: path, Fingerprint: fp, Temporary: true}
	if err := m.Check(); err != nil {
		t.Fatal(err)
	}
	if list, err := m.Paths(); err != nil || !slices.Equal(list, []string{"a", "b/c"}) {
		t.Errorf("%q, %v", list, err)
	}
	m.Close()
	if _, err := os.Stat(path); err == nil {
		t.Error("what is temporary is left")
	}
}

// One byte is another, the end is gone, it is of another fingerprint, it is no
// manifest: each is told by its name, as damage. What is not there is no damage.
func TestAttackerAltersAManifest(t *testing.T) {
	path, fp := made(t, "a", "b/c")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other, _ := made(t, "a")
	for name, change := range map[string]func() []byte{
		"a byte":  func() []byte { return bytes.Replace(text, []byte("b/c"), []byte("b/d"), 1) },
		"the end": func() []byte { return text[:len(text)-1] },
		"another": func() []byte { b, _ := os.ReadFile(other); return b },
		"text":    func() []byte { return []byte("no manifest\n") },
		"nothing": func() []byte { return nil },
	} {
		if err := os.WriteFile(path, change(), 0o600); err != nil {
			t.Fatal(err)
		}
		err := (&manifest.Found{Name: "mine", Path: path, Fingerprint: fp}).Check()
		var told *manifest.Error
		if !errors.As(err, &told) || !told.Damaged() || told.Place() != "mine" || strings.Count(err.Error(), "manifest mine: ") != 1 {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := manifest.Open(path, fp); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("not there: %v", err)
	}
}

func TestIs(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	for text, want := range map[string][2]bool{
		manifest.Magic: {true, false}, manifest.Magic + "x": {true, false}, "stele mani": {false, true}, "": {false, false}, "stele shard v1\n": {false, false}, "stele manifest v2\n": {false, false},
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if whole, cut := manifest.Is(path); [2]bool{whole, cut} != want {
			t.Errorf("%q: %v, %v", text, whole, cut)
		}
	}
	if whole, cut := manifest.Is(t.TempDir()); whole || cut {
		t.Error("a folder")
	}
}

func TestJoin(t *testing.T) {
	x, _ := made(t, "a", "d", "e")
	y, _ := made(t, "b", "c", "f")
	none, _ := made(t)
	var got []string
	for f, err := range manifest.Join([]*manifest.File{opened(t, x), opened(t, none), opened(t, y)}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, f.Path)
	}
	if strings.Join(got, "") != "abcdef" {
		t.Errorf("%q", got)
	}
	z, _ := made(t, "a2", "d")
	var overlap *manifest.OverlapError
	var last error
	for _, err := range manifest.Join([]*manifest.File{opened(t, x), opened(t, z)}) {
		last = err
	}
	if !errors.As(last, &overlap) || overlap.Path != "d" || overlap.Manifests != [2]string{x, z} {
		t.Errorf("%v", last)
	}
}

func TestCursor(t *testing.T) {
	x, _ := made(t, "a", "c")
	c, err := manifest.NewCursor(opened(t, x).All())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	for _, step := range []struct {
		to   string
		want bool
	}{{"a", true}, {"b", false}, {"c", true}, {"d", false}} {
		if is, err := c.To(step.to); is != step.want || err != nil {
			t.Errorf("%s: %v, %v", step.to, is, err)
		}
	}
}

func TestWrite(t *testing.T) {
	x, _ := made(t, "a", "b\nc")
	var sums, again, lines bytes.Buffer
	m := opened(t, x)
	if err := errors.Join(m.WriteSums(&sums, fingerprint.SHA256), opened(t, x).Write(&again), opened(t, x).WriteJSONL(&lines)); err != nil {
		t.Fatal(err)
	}
	const want = `ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb  a` + "\n" + `\`
	if !strings.HasPrefix(sums.String(), want) || !strings.HasSuffix(sums.String(), `  b\nc`+"\n") {
		t.Errorf("%s", sums.String())
	}
	if text, err := os.ReadFile(x); err != nil || !bytes.Equal(text, again.Bytes()) {
		t.Errorf("written again it is another: %v", err)
	}
	if n := strings.Count(lines.String(), "\n"); n != 2 {
		t.Errorf("%d lines", n)
	}
	var none *manifest.NoSumError
	if err := opened(t, x).WriteSums(io.Discard, fingerprint.BLAKE3); !errors.As(err, &none) || none.Path != "a" {
		t.Errorf("BLAKE3 of a SHA-256 manifest: %v", err)
	}
}
