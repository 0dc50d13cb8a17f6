package client_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stele-ml/stele/client"
	"github.com/stele-ml/stele/client/clienttest"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/statement"
)

// shelf is a server's shelf: documents by what their path ends in.
type shelf struct {
	mu   sync.Mutex
	docs map[string][]byte
	puts int
}

func (s *shelf) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	doc, ok := s.docs[r.URL.Path]
	switch r.Method {
	case http.MethodPut:
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		s.docs[r.URL.Path] = body
		s.puts++
		w.WriteHeader(http.StatusCreated)
	case http.MethodGet, http.MethodHead:
		if !ok {
			problem(w, 404, "not-found", "no such document")
			return
		}
		_, _ = w.Write(doc)
	}
}

func TestAttachments(t *testing.T) {
	for _, fault := range append([]clienttest.Fault{clienttest.None}, clienttest.Faults...) {
		t.Run(fault.String(), func(t *testing.T) {
			s := &shelf{docs: map[string][]byte{}}
			var mu sync.Mutex
			failed := map[string]bool{}
			w := newWorld(t)
			c := w.client(t, &clienttest.Proxy{Next: s, Choose: func(r *http.Request) clienttest.Fault {
				mu.Lock()
				defer mu.Unlock()
				if failed[r.Method] {
					return clienttest.None
				}
				failed[r.Method] = true
				return fault
			}})
			doc := bytes.Repeat([]byte("a document of some length\n"), 10_000)
			a := statement.AttachmentOf(doc)
			for range 2 { // the second finds it there
				if err := c.PutAttachment(t.Context(), a, bytes.NewReader(doc)); err != nil {
					t.Fatal(err)
				}
			}
			if got := s.docs["/v1/attachments/"+hex.EncodeToString(a.SHA256[:])]; !bytes.Equal(got, doc) {
				t.Errorf("the server has %d bytes", len(got))
			}
			f, err := os.Create(filepath.Join(t.TempDir(), "doc"))
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if err := c.Attachment(t.Context(), a, f); err != nil {
				t.Fatal(err)
			}
			if got, err := os.ReadFile(f.Name()); err != nil || sha256.Sum256(got) != a.SHA256 {
				t.Errorf("got %d bytes, %v", len(got), err)
			}
		})
	}
}

// What is begun and cannot be taken back is not written twice into one stream.
func TestABrokenDownloadIntoAStream(t *testing.T) {
	doc := bytes.Repeat([]byte("x"), 100_000)
	a := statement.AttachmentOf(doc)
	s := &shelf{docs: map[string][]byte{"/v1/attachments/" + hex.EncodeToString(a.SHA256[:]): doc}}
	once := sync.Once{}
	w := newWorld(t)
	c := w.client(t, &clienttest.Proxy{Next: s, Choose: func(*http.Request) (f clienttest.Fault) {
		once.Do(func() { f = clienttest.Truncate })
		return f
	}})
	var got bytes.Buffer
	err := c.Attachment(t.Context(), a, &got)
	if !errors.Is(err, client.ErrUnreachable) || got.Len() >= len(doc) {
		t.Errorf("%d bytes, error %v", got.Len(), err)
	}
}

func TestAttackDocuments(t *testing.T) {
	doc := []byte("what was kept\n")
	a := statement.AttachmentOf(doc)
	path := "/v1/attachments/" + hex.EncodeToString(a.SHA256[:])
	for _, c := range []struct {
		name, lie string
		want      error
	}{
		{"another", "what was lied\n", evidence.ErrTampered},
		{"shorter", "what was", evidence.ErrTampered},
		{"nothing", "", evidence.ErrTampered},
		{"longer", strings.Repeat("x", 1<<20), client.ErrAnswer},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			cl := w.client(t, &shelf{docs: map[string][]byte{path: []byte(c.lie)}})
			if err := cl.Attachment(t.Context(), a, io.Discard); !errors.Is(err, c.want) {
				t.Errorf("error %v, want %v", err, c.want)
			}
		})
	}
	if err := newWorld(t).client(t, &shelf{}).Attachment(t.Context(), a, io.Discard); !errors.Is(err, client.ErrNotFound) {
		t.Errorf("one that is not there: %v", err)
	}
}

// failing is a disk on which a file cannot be read or written to its end.
type failing struct{ n int }

var errDisk = errors.New("the disk is broken")

func (f *failing) Write(p []byte) (int, error) {
	if f.n -= len(p); f.n < 0 {
		return 0, errDisk
	}
	return len(p), nil
}

func (f *failing) Read(p []byte) (int, error) {
	if f.n -= len(p); f.n < 0 {
		return 0, errDisk
	}
	return len(p), nil
}

func (f *failing) Seek(int64, int) (int64, error) { return 0, nil }

// A disk that fails, and a file that is shorter than it was said to be, are no server
// that is away, and not tried again.
func TestDocumentsOfABrokenDisk(t *testing.T) {
	document := bytes.Repeat([]byte("x"), 1<<20)
	a := statement.AttachmentOf(document)
	again := 0
	c := newWorld(t).client(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodHead:
			w.WriteHeader(404)
		case http.MethodPut:
			_, _ = io.Copy(io.Discard, r.Body)
		default:
			_, _ = w.Write(document)
		}
	}), func(o *client.Options) { o.Retrying = func(time.Duration, error) { again++ } })
	for name, do := range map[string]func() error{
		"written": func() error { return c.Attachment(t.Context(), a, &failing{100_000}) },
		"read":    func() error { return c.PutAttachment(t.Context(), a, &failing{100_000}) },
		"short":   func() error { return c.PutAttachment(t.Context(), a, bytes.NewReader(document[1:])) },
	} {
		again = 0
		want := errDisk
		if name == "short" {
			want = io.ErrUnexpectedEOF
		}
		if err := do(); !errors.Is(err, want) || errors.Is(err, client.ErrUnreachable) || again > 0 {
			t.Errorf("%s: tried again %d times, %v", name, again, err)
		}
	}
}
