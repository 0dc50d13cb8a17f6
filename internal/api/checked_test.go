package api_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/wire"
)

// manifestOf makes the manifest of some small files.
func manifestOf(t *testing.T, files int) (fingerprint.Fingerprint, []byte) {
	t.Helper()
	var b bytes.Buffer
	w := fingerprint.NewWriter(&b, fingerprint.SHA256, fingerprint.WriterOptions{})
	for i := range files {
		name := fmt.Sprintf("%06d", i)
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

// A shelf that somebody wrote to gives nobody a whole document that is another.
func TestAnotherDocumentOnTheShelf(t *testing.T) {
	w := stand(t)
	small, smallManifest := manifestOf(t, 2)
	large, largeManifest := manifestOf(t, 10_000)
	text := []byte(strings.Repeat("a document ", 100_000))
	flip := func(data []byte, at int) []byte {
		out := bytes.Clone(data)
		out[at] ^= 1
		return out
	}
	for _, c := range []struct {
		path, name string
		data       []byte
	}{
		{"/v1/attachments/", fmt.Sprintf("%x", sha256.Sum256([]byte("note"))), []byte("note")},
		{"/v1/attachments/", fmt.Sprintf("%x", sha256.Sum256(nil)), nil},
		{"/v1/attachments/", fmt.Sprintf("%x", sha256.Sum256(text)), text},
		{"/v1/manifests/", small.String(), smallManifest},
		{"/v1/manifests/", large.String(), largeManifest},
	} {
		forged := map[string][]byte{"longer": append(bytes.Clone(c.data), 'x')}
		if n := len(c.data); n > 0 {
			forged["begins otherwise"], forged["ends otherwise"] = flip(c.data, 0), flip(c.data, n-1)
			forged["is cut"], forged["is empty"] = c.data[:n-1], nil
		}
		w.docs[c.name] = c.data
		if a := w.ask("GET", c.path+c.name, nil); a.status != 200 || !bytes.Equal(a.body, c.data) {
			t.Errorf("%s: %d, %d bytes of %d", c.path, a.status, len(a.body), len(c.data))
		}
		for what, data := range forged {
			w.docs[c.name] = data
			res, err := http.Get(w.url + c.path + c.name)
			if err != nil {
				continue // cut off at once
			}
			got, err := io.ReadAll(res.Body)
			res.Body.Close()
			if res.StatusCode == http.StatusOK && err == nil {
				t.Errorf("%s, one that %s: %d bytes of %d come to an end", c.path, what, len(got), len(data))
			}
			if res.StatusCode != http.StatusOK {
				p, err := wire.ParseProblem(got)
				if err != nil || p.Code != wire.CodeTampered || res.Header.Get("Content-Disposition") != "" {
					t.Errorf("%s, one that %s: %d %v %s", c.path, what, res.StatusCode, res.Header, got)
				}
			}
		}
	}
}
