package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"
)

var when = time.Unix(1795356187, 0)

func TestPacksAreTheSameTwice(t *testing.T) {
	files := []file{{"LICENSE", 0o644, []byte("text")}, {"stele", 0o755, bytes.Repeat([]byte("x"), 1<<20)}}
	for name, pack := range map[string]func(string, time.Time, []file) ([]byte, error){"tar": packTar, "zip": packZip} {
		one, err := pack("stele_1", when, files)
		if err != nil {
			t.Fatal(err)
		}
		two, err := pack("stele_1", when.In(time.FixedZone("", 3600)), files) // another builder's zone
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(one, two) {
			t.Errorf("%s: two archives of the same files differ", name)
		}
	}
	z, err := packZip("stele_1", when, files)
	if err != nil {
		t.Fatal(err)
	}
	zr, err := zip.NewReader(bytes.NewReader(z), int64(len(z)))
	if err != nil {
		t.Fatal(err)
	}
	if f := zr.File[1]; f.Name != "stele_1/stele" || f.Mode() != 0o755 || !f.Modified.Equal(when) || f.UncompressedSize64 != 1<<20 {
		t.Errorf("zip: %+v", f.FileHeader)
	}
}

// tooSlow says why a build is left out of this run of the tests, if it is.
var tooSlow string

// Two releases of one target from this very tree are the same, byte for byte.
func TestReleaseIsReproducible(t *testing.T) {
	if testing.Short() {
		t.Skip("it links the program twice")
	}
	if tooSlow != "" {
		t.Skip(tooSlow)
	}
	t.Chdir("../..")
	target := "linux/" + runtime.GOARCH
	var sums [2]string
	var archive []byte
	for i := range sums {
		b := builder{stdout: io.Discard, out: t.TempDir(), targets: []string{target}, version: "1.2.3", time: when}
		if err := b.build(t.Context()); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(b.out, "SHA256SUMS"))
		if err != nil {
			t.Fatal(err)
		}
		sums[i] = string(text)
		if archive, err = os.ReadFile(filepath.Join(b.out, b.name(target))); err != nil {
			t.Fatal(err)
		}
	}
	if sums[0] != sums[1] || !strings.HasSuffix(sums[0], "  stele_1.2.3_linux_"+runtime.GOARCH+".tar.gz\n") {
		t.Errorf("checksums:\n%s%s", sums[0], sums[1])
	}
	z, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		names = append(names, strings.TrimPrefix(h.Name, "stele_1.2.3_linux_"+runtime.GOARCH+"/"))
		if h.Uid != 0 || h.Gid != 0 || h.Uname != "" || !h.ModTime.Equal(when) {
			t.Errorf("%+v", h)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		wd, err := os.Getwd()
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte(wd)) {
			t.Errorf("%s names this machine's folder %s", h.Name, wd)
		}
		if strings.HasSuffix(h.Name, licences) {
			for _, want := range []string{"github.com/cockroachdb/pebble/v2 v", "github.com/spf13/cobra v"} {
				if !bytes.Contains(text, []byte("\n"+want)) {
					t.Errorf("the licences lack those of %s", want)
				}
			}
		}
	}
	if got := strings.Join(names, " "); got != "CHANGELOG.md LICENSE README.md THIRD-PARTY-LICENSES.txt stele" {
		t.Errorf("the archive holds %s", got)
	}
}

func TestRefusedArguments(t *testing.T) {
	for _, args := range [][]string{{"-only", "plan9/amd64"}, {"-nonsense"}} {
		if err := run(t.Context(), args, io.Discard); err == nil {
			t.Errorf("%q: no error", args)
		}
	}
	for _, v := range []string{"1", "1.2.3 -X main.x=y", "1.2.3/..", "latest", "1.2.3+build"} {
		if versionForm.MatchString(v) {
			t.Errorf("version %q is taken", v)
		}
	}
}
