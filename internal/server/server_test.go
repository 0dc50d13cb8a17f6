package server

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/internal/wire"
)

// fakeLog is a log in memory; the hashes are those of x/mod's tlog.
type fakeLog struct {
	entries [][]byte
	hashes  []tlog.Hash
	signed  map[uint64]bool // sizes with a checkpoint
	fail    error
}

func newFakeLog(t *testing.T, size int) *fakeLog {
	t.Helper()
	l := &fakeLog{signed: map[uint64]bool{}}
	for i := range size {
		entry := bytes.Repeat(fmt.Appendf(nil, "entry %d ", i), 20)
		hashes, err := tlog.StoredHashes(int64(i), entry, l)
		if err != nil {
			t.Fatal(err)
		}
		l.entries = append(l.entries, entry)
		l.hashes = append(l.hashes, hashes...)
	}
	l.signed[uint64(size)] = true
	return l
}

func (l *fakeLog) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = l.hashes[x]
	}
	return out, nil
}

func (l *fakeLog) View() (View, error)               { return l, l.fail }
func (l *fakeLog) Size() uint64                      { return uint64(len(l.entries)) }
func (l *fakeLog) LatestCheckpoint() ([]byte, error) { return l.Checkpoint(l.Size()) }

func (l *fakeLog) Checkpoint(size uint64) ([]byte, error) {
	if !l.signed[size] {
		return nil, fs.ErrNotExist
	}
	return fmt.Appendf(nil, "example.org/log\n%d\n...\n", size), nil
}

func (l *fakeLog) Tile(level int, n uint64, width int) ([]byte, error) {
	return tlog.ReadTileData(tlog.Tile{H: 8, L: level, N: int64(n), W: width}, l)
}

func (l *fakeLog) Bundle(n uint64, width int) ([]byte, error) {
	var b []byte
	for _, e := range l.entries[n*256:][:width] {
		b = binary.BigEndian.AppendUint16(b, uint16(len(e)))
		b = append(b, e...)
	}
	return b, nil
}

func do(t *testing.T, h http.Handler, method, path string, header ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			r.Host = header[i+1]
		}
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) []byte {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestResources(t *testing.T) {
	log := newFakeLog(t, 600)
	log.signed[300] = true
	h := NewHandler(log, Options{})
	for _, test := range []struct {
		path   string
		status int
		length int // -1: any
	}{
		{"/checkpoint", 200, -1},
		{"/checkpoint/600", 200, -1},
		{"/checkpoint/300", 200, -1},
		{"/checkpoint/299", 404, -1},
		{"/checkpoint/601", 404, -1},
		{"/tile/0/000", 200, 8192},
		{"/tile/0/001", 200, 8192},
		{"/tile/0/002", 404, -1}, // 88 hashes so far: not full
		{"/tile/0/002.p/88", 200, 88 * 32},
		{"/tile/0/002.p/44", 200, 44 * 32}, // for a client at an earlier checkpoint
		{"/tile/0/002.p/89", 404, -1},
		{"/tile/0/003.p/1", 404, -1},
		{"/tile/0/000.p/255", 200, 255 * 32},
		{"/tile/1/000.p/2", 200, 64},
		{"/tile/1/000.p/3", 404, -1},
		{"/tile/2/000.p/1", 404, -1}, // partial tiles are never hashed upward
		{"/tile/8/000", 404, -1},
		{"/tile/entries/000", 200, -1},
		{"/tile/entries/002", 404, -1},
		{"/tile/entries/002.p/88", 200, -1},
		{"/tile/entries/002.p/89", 404, -1},
		{"/", 404, -1},
		{"/tile/0/x000/000", 404, -1},
		{"/tile/0/%30%30%30", 404, -1}, // one resource, one name
		{"/tile/../checkpoint", 404, -1},
		{"//checkpoint", 404, -1},
		{"/add", 404, -1},
	} {
		r := do(t, h, "GET", test.path)
		b := body(t, r)
		if r.StatusCode != test.status || test.length >= 0 && len(b) != test.length {
			t.Errorf("GET %s: %d, %d bytes; want %d, %d", test.path, r.StatusCode, len(b), test.status, test.length)
		}
		if cache := r.Header.Get("Cache-Control"); (r.StatusCode == 404) != (cache == cacheNever) {
			t.Errorf("GET %s: %d with Cache-Control %q", test.path, r.StatusCode, cache)
		}
	}
}

func TestHeaders(t *testing.T) {
	h := NewHandler(newFakeLog(t, 300), Options{})
	const text, octets = "text/plain; charset=utf-8", "application/octet-stream"
	for path, want := range map[string][2]string{
		"/checkpoint":         {text, cacheShort},
		"/checkpoint/300":     {text, cacheMinute},
		"/tile/0/000":         {octets, cacheForever},
		"/tile/0/001.p/44":    {octets, cacheForever},
		"/tile/entries/000":   {octets, cacheForever},
		"/tile/0/001.p/44?x=": {octets, cacheForever},
	} {
		get := do(t, h, "GET", path)
		b := body(t, get)
		if got := [2]string{get.Header.Get("Content-Type"), get.Header.Get("Cache-Control")}; got != want {
			t.Errorf("GET %s: %q, want %q", path, got, want)
		}
		if got := get.Header.Get("Content-Length"); got != fmt.Sprint(len(b)) {
			t.Errorf("GET %s: Content-Length %s for %d bytes", path, got, len(b))
		}
		if got := get.Header.Get("X-Content-Type-Options"); got != "nosniff" {
			t.Errorf("GET %s: X-Content-Type-Options %q", path, got)
		}
		if got := get.Header.Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("GET %s: any web page may read a private ledger: Access-Control-Allow-Origin %q", path, got)
		}
		head := do(t, h, "HEAD", path)
		if b := body(t, head); len(b) != 0 || head.StatusCode != 200 {
			t.Errorf("HEAD %s: %d, %d bytes", path, head.StatusCode, len(b))
		}
		for _, name := range []string{"Content-Length", "ETag", "Content-Type", "Cache-Control"} {
			if head.Header.Get(name) != get.Header.Get(name) {
				t.Errorf("HEAD %s: %s %q, GET says %q", path, name, head.Header.Get(name), get.Header.Get(name))
			}
		}
		tag := get.Header.Get("ETag")
		for _, have := range []string{tag, "W/" + tag, `"other", ` + tag, "*"} {
			if r := do(t, h, "GET", path, "If-None-Match", have); r.StatusCode != 304 || len(body(t, r)) != 0 {
				t.Errorf("GET %s, If-None-Match %s: %d", path, have, r.StatusCode)
			}
		}
		if r := do(t, h, "GET", path, "If-None-Match", `"other"`); r.StatusCode != 200 {
			t.Errorf("GET %s with another tag: %d", path, r.StatusCode)
		}
	}
}

func TestMethods(t *testing.T) {
	h := NewHandler(newFakeLog(t, 3), Options{})
	for _, method := range []string{"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "BREW"} {
		r := do(t, h, method, "/checkpoint")
		if r.StatusCode != 405 || r.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d, Allow %q", method, r.StatusCode, r.Header.Get("Allow"))
		}
	}
}

func TestGzip(t *testing.T) {
	h := NewHandler(newFakeLog(t, 300), Options{})
	plain := do(t, h, "GET", "/tile/entries/000")
	want := body(t, plain)
	for encoding, zipped := range map[string]bool{
		"gzip": true, "GZIP": true, "br, gzip;q=0.5": true, "*": true, "x-gzip": true,
		"": false, "identity": false, "gzip;q=0": false, "gzip; q=0.0, *": false, "*;q=0": false, "gzip;q=x": false, "br": false,
	} {
		r := do(t, h, "GET", "/tile/entries/000", "Accept-Encoding", encoding)
		got := body(t, r)
		if (r.Header.Get("Content-Encoding") == "gzip") != zipped {
			t.Errorf("Accept-Encoding %q: Content-Encoding %q", encoding, r.Header.Get("Content-Encoding"))
			continue
		}
		if zipped {
			z, err := gzip.NewReader(bytes.NewReader(got))
			if err != nil {
				t.Fatal(err)
			}
			if got, err = io.ReadAll(z); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(got, want) {
			t.Errorf("Accept-Encoding %q: another bundle", encoding)
		}
		if (r.Header.Get("ETag") == plain.Header.Get("ETag")) == zipped {
			t.Errorf("Accept-Encoding %q: tag %s, plain %s", encoding, r.Header.Get("ETag"), plain.Header.Get("ETag"))
		}
		if r.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("Accept-Encoding %q: Vary %q", encoding, r.Header.Get("Vary"))
		}
	}
	if r := do(t, h, "GET", "/tile/0/000", "Accept-Encoding", "gzip"); r.Header.Get("Content-Encoding") != "" {
		t.Error("hashes were compressed")
	}
}

// A page of some web site has its own name resolve to 127.0.0.1 and asks.
func TestAttackerRebindsDNS(t *testing.T) {
	h := NewHandler(newFakeLog(t, 3), Options{Hosts: LoopbackHosts()})
	for _, host := range []string{"localhost", "LOCALHOST:8080", "127.0.0.1:1", "127.0.0.1", "[::1]:80", "[::1]"} {
		if r := do(t, h, "GET", "/checkpoint", "Host", host); r.StatusCode != 200 {
			t.Errorf("Host %s: %d", host, r.StatusCode)
		}
	}
	for _, host := range []string{"attacker.example", "attacker.example:80", "localhost.attacker.example", "127.0.0.1.attacker.example", ""} {
		r := do(t, h, "GET", "/checkpoint", "Host", host)
		if b := body(t, r); r.StatusCode != 421 || bytes.Contains(b, []byte("example.org/log")) {
			t.Errorf("Host %q: %d %s", host, r.StatusCode, b)
		}
	}
}

func TestInternalErrorStaysInside(t *testing.T) {
	log := newFakeLog(t, 3)
	log.fail = errors.New("open /secret/path: input/output error")
	var logged bytes.Buffer
	front := NewFront(FrontOptions{Access: Access{Anonymous: ScopeAll}, Log: slog.New(slog.NewTextHandler(&logged, nil))})
	mux := http.NewServeMux()
	Mount(mux, front, log, Options{})
	h := front.Handler(mux)
	r := do(t, h, "GET", "/checkpoint")
	if b := body(t, r); r.StatusCode != 500 || bytes.Contains(b, []byte("secret")) || r.Header.Get("Cache-Control") != cacheNever {
		t.Errorf("%d %s", r.StatusCode, b)
	}
	line := logged.String()
	if !strings.Contains(line, "/secret/path") || !strings.Contains(line, "request="+r.Header.Get(wire.HeaderRequestID)) || !strings.Contains(line, "level=WARN") {
		t.Errorf("the operator is told %q", line)
	}
}

// blockingLog holds every reader until release is closed.
type blockingLog struct {
	*fakeLog
	entered chan struct{}
	release chan struct{}
}

func (l *blockingLog) View() (View, error) {
	l.entered <- struct{}{}
	<-l.release
	return l.fakeLog.View()
}

func TestTooManyAtOnce(t *testing.T) {
	log := &blockingLog{newFakeLog(t, 3), make(chan struct{}), make(chan struct{})}
	h := NewHandler(log, Options{})
	statuses := make(chan int, maxInFlight)
	for range maxInFlight {
		go func() { statuses <- do(t, h, "GET", "/checkpoint").StatusCode }()
		<-log.entered
	}
	if r := do(t, h, "GET", "/checkpoint"); r.StatusCode != 503 || r.Header.Get("Retry-After") == "" {
		t.Errorf("one too many: %d", r.StatusCode)
	}
	close(log.release)
	for range maxInFlight {
		if status := <-statuses; status != 200 {
			t.Errorf("one that waited: %d", status)
		}
	}
}

func TestServeStops(t *testing.T) {
	log := &blockingLog{newFakeLog(t, 3), make(chan struct{}, 1), make(chan struct{})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if !Loopback(l) {
		t.Errorf("%v is not loopback", l.Addr())
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- Serve(ctx, l, NewHandler(log, Options{})) }()
	type answer struct {
		status int
		err    error
	}
	answered := make(chan answer, 1)
	go func() {
		r, err := http.Get("http://" + l.Addr().String() + "/checkpoint")
		if err != nil {
			answered <- answer{0, err}
			return
		}
		_, err = io.Copy(io.Discard, r.Body)
		answered <- answer{r.StatusCode, errors.Join(err, r.Body.Close())}
	}()
	<-log.entered
	stop() // with a request under way
	close(log.release)
	if a := <-answered; a.status != 200 || a.err != nil {
		t.Errorf("the request under way: %d, %v", a.status, a.err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", l.Addr().String()); err == nil {
		t.Error("the port is still open")
	}
}
