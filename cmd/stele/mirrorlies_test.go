package main

import (
	"bytes"
	"encoding/binary"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
)

// liar is a primary that changes some of what it answers.
type liar struct {
	url  string
	path atomic.Pointer[string]                   // answers below it are changed
	how  atomic.Pointer[func(body []byte) []byte] // nil: with 404
}

func newLiar(t *testing.T, address string) *liar {
	t.Helper()
	l := new(liar)
	none := "/none"
	l.path.Store(&none)
	s := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: address})
			r.Out.Header.Set("Accept-Encoding", "identity")
		},
		ModifyResponse: func(res *http.Response) error {
			if !strings.HasPrefix(res.Request.URL.Path, *l.path.Load()) || res.StatusCode != http.StatusOK {
				return nil
			}
			body, err := io.ReadAll(res.Body)
			if err != nil {
				return err
			}
			if how := l.how.Load(); how != nil {
				body = (*how)(body)
			} else {
				res.StatusCode = http.StatusNotFound
			}
			res.Header.Del("Content-Length")
			res.ContentLength = -1
			res.Body = io.NopCloser(bytes.NewReader(body))
			return nil
		},
	})
	t.Cleanup(s.Close)
	l.url = s.URL
	return l
}

func (l *liar) lies(path string, how func([]byte) []byte) {
	l.path.Store(&path)
	if how == nil {
		l.how.Store(nil)
		return
	}
	l.how.Store(&how)
}

// TestAttackerServesOtherDocuments: what a mirror copies besides entries is what they
// name, or is not kept.
func TestAttackerServesOtherDocuments(t *testing.T) {
	t.Parallel()
	ada, bob := newPerson(t), newPerson(t)
	ada.must("init", "--handle", "ada", "-q")
	ada.write("data/a.csv", "a\n")
	ada.must("stamp", "data", "--as", "team/data@1", "-q")
	address := freeAddress(t)
	ada.serves(address)
	bob.trustsLogOf(ada)
	l := newLiar(t, address)
	args := []string{"mirror", l.url, "--dir", "copy", "--once", "--attachments"}
	kept := func() (n int) {
		t.Helper()
		for _, dir := range []string{"attachments/*/*", "manifests/*"} {
			list, err := filepath.Glob(filepath.Join(bob.dir, "copy", ledgerName, dir))
			if err != nil {
				t.Fatal(err)
			}
			n += len(list)
		}
		return n
	}
	flip := func(b []byte) []byte { b[len(b)/2] ^= 1; return b }
	bob.write("copy/README", "a mirror\n")
	for _, c := range []struct {
		what, path string
		how        func([]byte) []byte
		want       int
	}{
		{"another attachment", "/v1/attachments/", flip, exitTampered},
		{"one that is cut", "/v1/attachments/", func(b []byte) []byte { return b[:len(b)-1] }, exitTampered},
		{"an endless one", "/v1/attachments/", func([]byte) []byte { return make([]byte, 8<<20) }, exitUnreachable},
	} {
		l.lies(c.path, c.how)
		if _, errs, status := bob.stele(args...); status != c.want {
			t.Errorf("%s: %d %s", c.what, status, errs)
		}
		if n := kept(); n != 0 {
			t.Errorf("%s: %d documents are kept", c.what, n)
		}
	}
	l.lies("/v1/attachments/", nil)
	if out := bob.must(args...); !regexp.MustCompile(`1 copied, [1-9][0-9]* not there`).MatchString(out) {
		t.Errorf("attachments that are not there: %s", out)
	}
	manifests := kept()
	if manifests != 1 {
		t.Errorf("%d documents are kept, the manifest alone was given", manifests)
	}
	// Of the entries all is there, whatever became of the documents.
	bob.must("--ledger", "copy", "fsck")

	other := newPerson(t)
	other.trustsLogOf(ada)
	other.write("copy/README", "a mirror\n")
	l.lies("/v1/manifests/", flip)
	if _, errs, status := other.stele(args...); status != exitTampered && status != exitUnreachable {
		t.Errorf("another manifest: %d %s", status, errs)
	}
	if list, _ := filepath.Glob(filepath.Join(other.dir, "copy", ledgerName, "manifests", "*")); len(list) != 0 {
		t.Errorf("another manifest is kept: %v", list)
	}
	l.lies("/none", nil)
	if out := other.must(args...); strings.Contains(out, "not there") && !strings.Contains(out, "0 not there") {
		t.Errorf("all of it: %s", out)
	}
}

// TestAttackerSwapsEntries: a mirror that is given two entries in each other's places
// blames what is served, and says how to find out that its own copy is whole.
func TestAttackerSwapsEntries(t *testing.T) {
	t.Parallel()
	ada, bob := newPerson(t), newPerson(t)
	ada.must("init", "--handle", "ada", "-q")
	for _, version := range []string{"1", "2"} {
		ada.write("data/a.csv", version)
		ada.must("stamp", "data", "--as", "team/data@"+version, "-q")
	}
	address := freeAddress(t)
	ada.serves(address)
	bob.trustsLogOf(ada)
	l := newLiar(t, address)
	l.lies("/tile/entries/", func(b []byte) []byte {
		var entries [][]byte // each with its length before it
		for rest := b; len(rest) > 2; {
			n := 2 + int(binary.BigEndian.Uint16(rest))
			entries, rest = append(entries, rest[:n]), rest[n:]
		}
		last := len(entries) - 1
		entries[last], entries[last-1] = entries[last-1], entries[last]
		return bytes.Join(entries, nil)
	})
	_, errs, status := bob.stele("mirror", l.url, "--dir", "copy", "--once")
	if status != exitTampered || !strings.Contains(errs, "what "+l.url+" serves does not follow") || !strings.Contains(errs, "or the copy here is damaged: `stele fsck`") {
		t.Errorf("%d %s", status, errs)
	}
}

// TestMirrorCarriesCosignatures: who asks for a quorum of witnesses reads a mirror as its
// primary, and a cosignature that is none is not passed on.
func TestMirrorCarriesCosignatures(t *testing.T) {
	t.Parallel()
	ada, bob, carol, dan := newPerson(t), newPerson(t), newPerson(t), newPerson(t)
	ada.must("init", "--handle", "ada", "-q")
	trust := ada.witnessed()
	ada.write("data.csv", "1\n")
	ada.must("stamp", "data.csv", "--as", "team/data@1", "-q")
	address := freeAddress(t)
	ada.with("STELE_TRUST=" + trust).serves(address)
	const line = "— w.example/1 "
	ada.until("it is cosigned", func() bool {
		_, text := fetched(t, "http://"+address+"/checkpoint")
		return strings.Contains(text, line) && strings.Contains(text, "\n2\n")
	})
	for _, p := range []*person{bob, carol, dan} {
		p.must("trust", "add", trust)
		p.write("copy/README", "a mirror\n")
	}
	l := newLiar(t, address)
	for path, p := range map[string]*person{"/checkpoint": carol, "/v1/checkpoints": dan} {
		l.lies(path, func(b []byte) []byte {
			name := []byte("w.example/1 ")
			at := bytes.Index(b, name) + len(name) + 40
			if at < len(name)+40 {
				t.Errorf("%s has no cosignature: %s", path, b)
				return b
			}
			if b[at] == 'A' {
				b[at] = 'B'
			} else {
				b[at] = 'A'
			}
			return b
		})
		if _, errs, status := p.stele("mirror", l.url, "--dir", "copy", "--once"); status != exitTampered {
			t.Errorf("a false cosignature in %s: %d %s", path, status, errs)
		}
	}
	var d doomed
	_, mirror := bob.mirrors(&d, "http://"+address, nil)
	if _, text := fetched(t, mirror+"/checkpoint"); !strings.Contains(text, line) {
		t.Errorf("the mirror serves %s", text)
	}
	carol.write("data.csv", "1\n")
	if out := carol.must("verify", "team/data@1", "data.csv", "--ledger", mirror, "--max-age", "1h"); !strings.Contains(out, "w.example/1") && !strings.Contains(out, "witnesses") {
		t.Errorf("verified by the mirror: %s", out)
	}
}
