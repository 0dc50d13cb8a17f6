package manifest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/hint"
	"github.com/stele-ml/stele/internal/manifest"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
)

// TestAttackerForgesAPlainDigest: a manifest that lies beside the data counts
// because it hashes to the fingerprint. The plain digests of larger files are
// not in that, so they are never taken over from it.
func TestAttackerForgesAPlainDigest(t *testing.T) {
	dir := t.TempDir()
	data := bytes.Repeat([]byte("scan "), 300_000)
	if err := os.WriteFile(filepath.Join(dir, "large"), data, 0o644); err != nil {
		t.Fatal(err)
	}
	src, err := source.OpenLocal(dir, source.LocalOptions{Clock: func() time.Time { return time.Now().Add(time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()

	var marks bytes.Buffer
	mw := hint.NewMarksWriter(&marks)
	file, err := os.Create(filepath.Join(t.TempDir(), "manifest"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	w := fingerprint.NewWriter(file, fingerprint.SHA256, fingerprint.WriterOptions{PlainSHA256: true})
	opts := scan.Options{Algorithm: fingerprint.SHA256, PlainSHA256: true, Kept: func(_ fingerprint.File, m source.Mark, entry uint64) error {
		return mw.Add(m, entry)
	}}
	first, err := scan.Run(context.Background(), src, opts, func(f fingerprint.File) error {
		f.SHA256 = &fingerprint.Digest{6, 6, 6} // the attack
		return w.Add(f)
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := mw.Close(first.Fingerprint); err != nil {
		t.Fatal(err)
	}

	m := &manifest.Found{Path: file.Name(), Fingerprint: first.Fingerprint}
	if err := m.Check(); err != nil {
		t.Fatalf("the forged manifest is not the fingerprint's: %v", err)
	}
	open := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(marks.Bytes())), nil }
	for _, plain := range []bool{true, false} {
		opts := scan.Options{Algorithm: fingerprint.SHA256, PlainSHA256: plain, Hints: m.Hints(open, 7)}
		second, err := scan.Run(context.Background(), src, opts, func(f fingerprint.File) error {
			if plain && *f.SHA256 != sha256.Sum256(data) {
				t.Errorf("the plain digest is %x", *f.SHA256)
			}
			return nil
		})
		if err != nil || second.Fingerprint != first.Fingerprint {
			t.Errorf("%v, %v", second.Fingerprint, err)
		}
		if read := second.Basis.Read > 0; read != plain {
			t.Errorf("plain digests %v, basis %+v", plain, second.Basis)
		}
	}
}
