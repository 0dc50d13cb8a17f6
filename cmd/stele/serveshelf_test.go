package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/api"
	"github.com/stele-ml/stele/internal/place"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/source/storetest"
)

// manifestOf makes the manifest of two small files.
func manifestOf(t *testing.T) (fingerprint.Fingerprint, []byte) {
	t.Helper()
	var b bytes.Buffer
	w := fingerprint.NewWriter(&b, fingerprint.SHA256, fingerprint.WriterOptions{})
	for _, name := range []string{"a", "b"} {
		if err := w.Add(fingerprint.File{Path: name, Size: 1, Digest: fingerprint.SHA256.Sum([]byte(name))}); err != nil {
			t.Fatal(err)
		}
	}
	sum, err := w.Close()
	if err != nil {
		t.Fatal(err)
	}
	return sum.Fingerprint(fingerprint.SHA256), b.Bytes()
}

// One shelf is as the other: the ledger's directory, a folder, a bucket.
func TestShelves(t *testing.T) {
	folder := func(t *testing.T) api.Shelf { return placeShelfAt(t, filepath.Join(t.TempDir(), "documents")) }
	for name, open := range map[string]func(*testing.T) api.Shelf{
		"ledger": func(t *testing.T) api.Shelf { return ledgerShelf{solo.OpenShelf(t.TempDir())} },
		"folder": folder,
		"bucket": func(t *testing.T) api.Shelf {
			s := storetest.S3(t)
			s.Setenv(t)
			return placeShelfAt(t, s.URL(s.NewBucket(t, false), "documents"))
		},
	} {
		t.Run(name, func(t *testing.T) { holdShelf(t, open(t)) })
	}
}

func placeShelfAt(t *testing.T, at string) placeShelf {
	t.Helper()
	p, err := place.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	s := placeShelf{at: p, tmp: t.TempDir()}
	t.Cleanup(func() {
		if left, err := os.ReadDir(s.tmp); err != nil || len(left) > 0 {
			t.Errorf("what was checked is left behind: %v %v", left, err)
		}
	})
	return s
}

func holdShelf(t *testing.T, s api.Shelf) {
	ctx := context.Background()
	read := func(r io.ReadCloser, size int64, err error) (string, error) {
		if err != nil {
			return "", err
		}
		defer r.Close()
		data, err := io.ReadAll(r)
		if err == nil && int64(len(data)) != size {
			t.Errorf("%d bytes, it said %d", len(data), size)
		}
		return string(data), err
	}
	for _, text := range []string{"a document", "", strings.Repeat("long ", 1<<20)} {
		sum := sha256.Sum256([]byte(text))
		if _, err := read(s.Attachment(ctx, sum)); !errors.Is(err, api.ErrNoDocument) {
			t.Errorf("before it is there: %v", err)
		}
		if err := s.PutAttachment(ctx, sum, strings.NewReader(text+"x"), api.MaxAttachmentBody); !errors.Is(err, api.ErrDocument) {
			t.Errorf("a forged one: %v", err)
		}
		broken := io.MultiReader(strings.NewReader(text), failingBody{})
		if err := s.PutAttachment(ctx, sum, broken, api.MaxAttachmentBody); err == nil {
			t.Error("half of one is kept")
		}
		if _, err := read(s.Attachment(ctx, sum)); !errors.Is(err, api.ErrNoDocument) {
			t.Errorf("something of a forged one is there: %v", err)
		}
		for range 2 {
			if err := s.PutAttachment(ctx, sum, strings.NewReader(text), api.MaxAttachmentBody); err != nil {
				t.Error(err)
			}
		}
		if got, err := read(s.Attachment(ctx, sum)); err != nil || got != text {
			t.Errorf("%v: %d bytes", err, len(got))
		}
	}
	fp, manifest := manifestOf(t)
	for name, bad := range map[string]string{
		"cut": string(manifest[:len(manifest)-1]), "longer": string(manifest) + "x", "none": "", "another": strings.Replace(string(manifest), "a", "c", 1),
	} {
		if err := s.PutManifest(ctx, fp, strings.NewReader(bad), api.MaxManifestBody); !errors.Is(err, api.ErrDocument) {
			t.Errorf("a manifest that is %s: %v", name, err)
		}
	}
	if _, err := read(s.Manifest(ctx, fp)); !errors.Is(err, api.ErrNoDocument) {
		t.Errorf("something of a forged manifest is there: %v", err)
	}
	for range 2 {
		if err := s.PutManifest(ctx, fp, bytes.NewReader(manifest), api.MaxManifestBody); err != nil {
			t.Error(err)
		}
	}
	if got, err := read(s.Manifest(ctx, fp)); err != nil || got != string(manifest) {
		t.Errorf("%v: %d bytes", err, len(got))
	}
}

type failingBody struct{}

func (failingBody) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
