package spool_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/spool"
	"github.com/stele-ml/stele/statement"
)

func TestDocuments(t *testing.T) {
	s := spool.At(filepath.Join(t.TempDir(), "spool"))
	source := filepath.Join(t.TempDir(), "document")
	text := []byte("what an envelope names")
	if err := os.WriteFile(source, text, 0o600); err != nil {
		t.Fatal(err)
	}
	fp := fingerprint.Fingerprint{Algorithm: fingerprint.BLAKE3, Sum: fingerprint.Digest{1, 2, 3}}
	at := statement.AttachmentOf(text)
	env := envelopes(t, 1)[0]
	item, err := s.Add(env, spool.Document{Attachment: at, Path: source}, spool.Document{Manifest: fp, Path: source}, spool.Document{Attachment: at, Path: source})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(source); err != nil { // it was copied
		t.Fatal(err)
	}
	dir := filepath.Join(s.Dir(), item.Name)
	for _, name := range []string{"notes.txt", "00.attachment", "x-00.manifest", "-.manifest"} { // of somebody else
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	list, err := items(t, s)[0].Documents()
	if err != nil || len(list) != 2 {
		t.Fatalf("%d documents, %v: want 2", len(list), err)
	}
	for _, d := range list {
		if d.Manifest.IsZero() && d.Attachment != at || !d.Manifest.IsZero() && d.Manifest != fp {
			t.Errorf("another document: %+v", d)
		}
		if got, err := os.ReadFile(d.Path); err != nil || string(got) != string(text) {
			t.Errorf("%s: %q, %v", d.Path, got, err)
		}
		if info, err := os.Stat(d.Path); err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("others may read %s: %v", d.Path, err)
		}
	}

	// One that cannot be kept keeps nothing: an envelope without what it names would
	// be pushed.
	if _, err := s.Add(env, spool.Document{Attachment: at, Path: source}); err == nil || len(items(t, s)) != 1 {
		t.Errorf("a document that is gone: %v, and %d wait", err, len(items(t, s)))
	}
}
