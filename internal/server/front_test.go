package server

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stele-ml/stele/internal/wire"
)

// testClock is a clock that stands still unless told.
type testClock struct {
	mu  sync.Mutex
	now time.Time
}

func newTestClock() *testClock { return &testClock{now: time.Unix(1_800_000_000, 0)} }

func (c *testClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *testClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// standing is a front with routes of every scope, that runs on loopback.
type standing struct {
	*testClock
	t     *testing.T
	front *Front
	url   string
	log   *bytes.Buffer
	stop  context.CancelFunc
	ended chan error
}

// echo answers with what the front tells a handler.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	fmt.Fprintf(w, "%s %d %v", IdentityOf(r.Context()).Name, len(body), err)
}

var testRules = []struct {
	pattern string
	rule    Rule
}{
	{"GET /none", Rule{Name: "GET /none"}},
	{"GET /proofs", Rule{Name: "GET /proofs", Scope: ScopeProofs}},
	{"GET /entries", Rule{Name: "GET /entries", Scope: ScopeEntries}},
	{"POST /read", Rule{Name: "POST /read", Scope: ScopeEntries, MaxBody: 1000}},
	{"POST /submit", Rule{Name: "POST /submit", Scope: ScopeSubmit, MaxBody: 1000}},
	{"PUT /stream", Rule{Name: "PUT /stream", Scope: ScopeSubmit, MaxBody: 1000, Stream: true}},
}

func stand(t *testing.T, o FrontOptions, more ...func(*http.ServeMux, *Front)) *standing {
	t.Helper()
	return standFor(t, time.Second, o, more...)
}

// standFor is stand, with how long requests under way have when the server stops.
func standFor(t *testing.T, stop time.Duration, o FrontOptions, more ...func(*http.ServeMux, *Front)) *standing {
	t.Helper()
	s := &standing{testClock: newTestClock(), t: t, log: new(bytes.Buffer), ended: make(chan error, 1)}
	o.Now = s.Now
	o.Log = slog.New(slog.NewJSONHandler(s.log, nil))
	s.front = NewFront(o)
	mux := http.NewServeMux()
	for _, r := range testRules {
		mux.Handle(r.pattern, s.front.Route(r.rule, http.HandlerFunc(echo)))
	}
	for _, add := range more {
		add(mux, s.front)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.url = "http://" + l.Addr().String()
	ctx, cancel := context.WithCancel(t.Context())
	s.stop = cancel
	go func() {
		s.ended <- OpenDoors(ctx, []Door{{Listener: Bounded(l, o.Limits, o.Proxies, s.front.o.Metrics), Handler: s.front.Handler(mux)}}, DoorOptions{Stop: stop})
	}()
	t.Cleanup(s.end)
	return s
}

// end stops the server and waits for it.
func (s *standing) end() {
	if s.stop == nil {
		return
	}
	s.stop()
	s.stop = nil
	if err := <-s.ended; err != nil {
		s.t.Errorf("the server ended with %v", err)
	}
}

// ask sends a request and returns the status and the body.
func (s *standing) ask(method, path string, body io.Reader, header ...string) (*http.Response, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, body)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp, string(data)
}

func (s *standing) expect(status int, method, path string, body io.Reader, header ...string) *http.Response {
	s.t.Helper()
	resp, text := s.ask(method, path, body, header...)
	if resp.StatusCode != status {
		s.t.Errorf("%s %s with %v: status %d, want %d: %s", method, path, header, resp.StatusCode, status, text)
	}
	if resp.StatusCode >= 400 && resp.Header.Get("Content-Type") == wire.ProblemType {
		p, err := wire.ParseProblem([]byte(text))
		if err != nil || p.Code == "" || p.Status != resp.StatusCode || p.RequestID != resp.Header.Get(wire.HeaderRequestID) {
			s.t.Errorf("no problem as it should be: %s (%v)", text, err)
		}
	}
	return resp
}

// tokens makes a token file with tokens of these scopes, by name.
func (c *testClock) tokens(t *testing.T, scopes map[string]string) (path string, text map[string]string) {
	t.Helper()
	var all []Token
	text = map[string]string{}
	for name, words := range scopes {
		scope, err := ParseScopes(words)
		if err != nil {
			t.Fatal(err)
		}
		secret, token, err := NewToken(rand.Reader, name, scope, c.Now(), c.Now().Add(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		all, text[name] = append(all, token), secret
	}
	path = filepath.Join(t.TempDir(), "tokens")
	writeTokens(t, path, all)
	return path, text
}

// writeTokens replaces a file, as `stele token` does.
func writeTokens(t *testing.T, path string, tokens []Token) {
	t.Helper()
	if err := os.WriteFile(path+".new", FormatTokens(tokens), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func openTokens(t *testing.T, path string, now func() time.Time) *Tokens {
	t.Helper()
	tokens, err := OpenTokens(path, now, t.Logf)
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// TestEveryRouteEveryScope: what a token may not, it does not.
func TestEveryRouteEveryScope(t *testing.T) {
	clock := newTestClock()
	scopes := map[string]string{"p": "proofs", "e": "entries", "s": "submit", "ps": "proofs,submit", "es": "entries,submit"}
	path, text := clock.tokens(t, scopes)
	s := stand(t, FrontOptions{Access: Access{Tokens: openTokens(t, path, clock.Now), Realm: "log.example"}})
	for _, r := range testRules {
		method, path, _ := strings.Cut(r.pattern, " ")
		for name, words := range scopes {
			have, _ := ParseScopes(words)
			want := http.StatusForbidden
			may := r.rule.Scope == ScopeNone || have&r.rule.Scope != 0 || r.rule.Scope == ScopeProofs && have&ScopeEntries != 0
			if may {
				want = http.StatusOK
			}
			resp := s.expect(want, method, path, nil, "Authorization", "Bearer "+text[name])
			if !may && !strings.Contains(resp.Header.Get("WWW-Authenticate"), `error="insufficient_scope", scope="`) {
				t.Errorf("%s: WWW-Authenticate %q", r.pattern, resp.Header.Get("WWW-Authenticate"))
			}
		}
		want := http.StatusUnauthorized
		if r.rule.Scope == ScopeNone {
			want = http.StatusOK
		}
		resp := s.expect(want, method, path, nil)
		if want == http.StatusUnauthorized && resp.Header.Get("WWW-Authenticate") != `Bearer realm="log.example"` {
			t.Errorf("WWW-Authenticate %q", resp.Header.Get("WWW-Authenticate"))
		}
	}
}

// TestThiefOfAToken: a token that has ended, that was revoked while the server runs,
// that is made up, nearly right, or comes another way than in its header.
func TestThiefOfAToken(t *testing.T) {
	clock := newTestClock()
	path, text := clock.tokens(t, map[string]string{"ci": "entries"})
	s := stand(t, FrontOptions{Access: Access{Tokens: openTokens(t, path, clock.Now), Anonymous: ScopeProofs}})
	good := text["ci"]
	s.expect(200, "GET", "/entries", nil, "Authorization", "Bearer "+good)
	s.expect(200, "GET", "/entries", nil, "Authorization", "bearer "+good)
	s.expect(200, "GET", "/proofs", nil)
	for _, shown := range []string{
		"Bearer", "Bearer ", "Bearer " + good[:len(good)-1], "Bearer " + good + "A", "Bearer " + strings.ToUpper(good),
		"Basic " + good, "Bearer stele_" + strings.Repeat("A", 43), "Bearer " + strings.Repeat("A", 8000), good,
	} {
		// Not even what is open to everybody: who holds a bad token is to hear it.
		s.expect(401, "GET", "/proofs", nil, "Authorization", shown)
	}
	s.expect(401, "GET", "/entries", nil, "Authorization", "Bearer "+good, "Authorization", "Bearer "+good)
	s.expect(401, "GET", "/entries?access_token="+good+"&token="+good, nil)
	s.expect(401, "GET", "/entries", nil, "Cookie", "token="+good)

	tokens, err := ReadTokens(path)
	if err != nil {
		t.Fatal(err)
	}
	tokens[0].Revoked = clock.Now().UTC()
	writeTokens(t, path, tokens)
	clock.advance(reloadEvery)
	resp := s.expect(401, "GET", "/entries", nil, "Authorization", "Bearer "+good)
	if !strings.Contains(resp.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
		t.Errorf("WWW-Authenticate %q", resp.Header.Get("WWW-Authenticate"))
	}
	tokens[0].Revoked = time.Time{}
	writeTokens(t, path, tokens)
	clock.advance(reloadEvery)
	s.expect(200, "GET", "/entries", nil, "Authorization", "Bearer "+good)

	// A file that is broken lets nobody in: what it said last may be what was revoked.
	if err := os.WriteFile(path, []byte("stele tokens v1\nnonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	clock.advance(reloadEvery)
	s.expect(503, "GET", "/entries", nil, "Authorization", "Bearer "+good)
	writeTokens(t, path, tokens)
	clock.advance(reloadEvery)
	s.expect(200, "GET", "/entries", nil, "Authorization", "Bearer "+good)

	clock.advance(time.Hour)
	s.expect(401, "GET", "/entries", nil, "Authorization", "Bearer "+good)
	s.end()
	for _, secret := range []string{good, good[6:], "access_token", "nonsense"} {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	if !strings.Contains(s.log.String(), `"identity":"token:ci"`) {
		t.Error("the log does not name the token")
	}
}

// TestSmuggledIdentity: whatever a client or a proxy writes into headers about who it
// is, it is nobody.
func TestSmuggledIdentity(t *testing.T) {
	proxies, err := ParseProxies([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	rule, err := ParseCertRule("cn:admin=entries,submit")
	if err != nil {
		t.Fatal(err)
	}
	for _, believed := range []Proxies{nil, proxies} {
		s := stand(t, FrontOptions{Access: Access{Certs: []CertRule{rule}}, Proxies: believed})
		for _, h := range []string{
			"X-Client-Cert", "X-SSL-Client-Cert", "X-Forwarded-Client-Cert", "Client-Cert", "X-SSL-Client-S-DN", "X-Forwarded-User",
			"X-Remote-User", "Remote-User", "X-Auth-Request-User", "X-Forwarded-Access-Token", "Forwarded", "X-Real-Ip", "X-Original-Url", "X-Request-Id",
		} {
			for _, v := range []string{"admin", "CN=admin", "cn:admin", "socket", "Subject=\"CN=admin\";URI=spiffe://x", "/health/live"} {
				resp := s.expect(401, "GET", "/entries", nil, h, v)
				if resp.Header.Get(wire.HeaderRequestID) == v {
					t.Errorf("%s: the request id is the client's", h)
				}
			}
		}
		s.end()
	}
}

// TestForwardedAddress: X-Forwarded-For counts from our proxies alone, and only its
// end that they wrote.
// TestSmugglerOfASecondRequest: a request with a length and chunks is two requests to a
// proxy that goes by the length. What comes behind it on its connection is not answered.
func TestSmugglerOfASecondRequest(t *testing.T) {
	s := stand(t, FrontOptions{Access: Access{Anonymous: ScopeAll}})
	const behind = "GET /entries HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
	for _, c := range []struct{ request, want string }{
		{"POST /submit HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" + behind, "200"},
		{"PUT /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n" + behind, "200"},
		{"GET /nowhere HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + behind, "404"},
		{"POST /submit HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}" + behind, "200 200"},
	} {
		if got := s.statuses(c.request); got != c.want {
			t.Errorf("%q: %s, want %s", c.request, got, c.want)
		}
	}
}

// TestOptionsOfTheServer: what asks for no path goes through the front as well.
func TestOptionsOfTheServer(t *testing.T) {
	s := stand(t, FrontOptions{Hosts: LoopbackHosts()})
	if got := s.statuses("OPTIONS * HTTP/1.1\r\nHost: elsewhere.example\r\nConnection: close\r\n\r\n"); got != "421" {
		t.Errorf("got %s, want 421", got)
	}
}

// statuses sends bytes, and returns the statuses of all answers until the server hangs up.
func (s *standing) statuses(request string) string {
	s.t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, request); err != nil {
		s.t.Fatal(err)
	}
	var got []string
	for r := bufio.NewReader(c); ; {
		a, err := http.ReadResponse(r, nil)
		if err != nil {
			return strings.Join(got, " ")
		}
		_, _ = io.Copy(io.Discard, a.Body)
		a.Body.Close()
		got = append(got, strconv.Itoa(a.StatusCode))
	}
}

func TestForwardedAddress(t *testing.T) {
	proxies, err := ParseProxies([]string{"10.0.0.0/8", "fd00::1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ remote, forwarded, want string }{
		{"192.0.2.1:5", "", "192.0.2.1"},
		{"192.0.2.1:5", "198.51.100.9", "192.0.2.1"}, // no proxy of ours
		{"10.1.1.1:5", "198.51.100.9", "198.51.100.9"},
		{"10.1.1.1:5", "203.0.113.5, 198.51.100.9", "198.51.100.9"}, // the left one is the client's word
		{"10.1.1.1:5", "203.0.113.5, 198.51.100.9, 10.2.2.2", "198.51.100.9"},
		{"10.1.1.1:5", "10.9.9.9", "10.9.9.9"},
		{"10.1.1.1:5", "nonsense", "10.1.1.1"},
		{"10.1.1.1:5", "198.51.100.9, nonsense", "10.1.1.1"},
		{"10.1.1.1:5", "", "10.1.1.1"},
		{"[fd00::1]:5", "2001:db8::7", "2001:db8::7"},
		{"[::ffff:10.1.1.1]:5", "198.51.100.9", "198.51.100.9"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.remote
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if got := proxies.of(r).String(); got != c.want {
			t.Errorf("from %s with %q: %s, want %s", c.remote, c.forwarded, got, c.want)
		}
	}
	if a, b := limitKey(remoteAddr("[2001:db8::1]:1")), limitKey(remoteAddr("[2001:db8::ffff:2]:1")); a != b {
		t.Errorf("one /64 is limited as two: %s, %s", a, b)
	}
}

// TestRates: of an address, and of an identity wherever it comes from.
func TestRates(t *testing.T) {
	clock := newTestClock()
	path, text := clock.tokens(t, map[string]string{"a": "entries", "b": "entries"})
	proxies, err := ParseProxies([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	s := stand(t, FrontOptions{
		Access: Access{Tokens: openTokens(t, path, clock.Now)}, Proxies: proxies,
		Limits: Limits{AddressRate: 1, IdentityRate: 0.5, Burst: 3},
	})
	from := func(n int) string { return fmt.Sprintf("192.0.2.%d", n) }
	for range 3 {
		s.expect(200, "GET", "/none", nil, "X-Forwarded-For", from(1))
	}
	resp := s.expect(429, "GET", "/none", nil, "X-Forwarded-For", from(1))
	if resp.Header.Get("Retry-After") != "1" {
		t.Errorf("Retry-After %q, want 1", resp.Header.Get("Retry-After"))
	}
	s.expect(200, "GET", "/none", nil, "X-Forwarded-For", from(2)) // another address is not held up
	s.advance(time.Second)
	s.expect(200, "GET", "/none", nil, "X-Forwarded-For", from(1))
	s.expect(429, "GET", "/none", nil, "X-Forwarded-For", from(1))

	for n := range 3 {
		s.expect(200, "GET", "/entries", nil, "X-Forwarded-For", from(10+n), "Authorization", "Bearer "+text["a"])
	}
	resp = s.expect(429, "GET", "/entries", nil, "X-Forwarded-For", from(20), "Authorization", "Bearer "+text["a"])
	if resp.Header.Get("Retry-After") != "2" {
		t.Errorf("Retry-After %q, want 2", resp.Header.Get("Retry-After"))
	}
	s.expect(200, "GET", "/entries", nil, "X-Forwarded-For", from(20), "Authorization", "Bearer "+text["b"])
}

// TestBucketsAreBounded: who comes from ever new addresses fills no memory.
func TestBucketsAreBounded(t *testing.T) {
	b := newBuckets(1, 1, newTestClock().Now)
	for i := range maxBuckets + 1000 {
		b.take(fmt.Sprint(i))
	}
	if len(b.byKey) != maxBuckets || b.order.Len() != maxBuckets {
		t.Errorf("%d and %d buckets, want %d", len(b.byKey), b.order.Len(), maxBuckets)
	}
}

// endless is a body without an end.
type endless struct{ read atomic.Int64 }

func (e *endless) Read(p []byte) (int, error) { e.read.Add(int64(len(p))); return len(p), nil }

// TestBodies: too long, endless, compressed, or where none is taken.
func TestBodies(t *testing.T) {
	s := stand(t, FrontOptions{Access: Access{Anonymous: ScopeAll}})
	s.expect(200, "POST", "/submit", strings.NewReader(strings.Repeat("x", 1000)))
	s.expect(413, "POST", "/submit", strings.NewReader(strings.Repeat("x", 1001)))
	s.expect(413, "POST", "/read", io.MultiReader(strings.NewReader(strings.Repeat("x", 1001)))) // chunked: its length is not said
	s.expect(413, "GET", "/entries", strings.NewReader("x"))

	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := io.CopyN(z, &endless{}, 1<<20); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	s.expect(415, "POST", "/submit", bytes.NewReader(bomb.Bytes()[:900]), "Content-Encoding", "gzip")

	// An endless one is hung up on; how the client sees it depends on who is faster.
	for _, path := range []string{"/submit", "/stream"} {
		method := "POST"
		if path == "/stream" {
			method = "PUT"
		}
		e := &endless{}
		r, err := http.NewRequestWithContext(t.Context(), method, s.url+path, e)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
			if path == "/submit" && resp.StatusCode != 413 {
				t.Errorf("%s: status %d", path, resp.StatusCode)
			}
		}
		if n := e.read.Load(); n > 64<<20 {
			t.Errorf("%s: %d bytes were taken", path, n)
		}
	}
	if held := s.front.bodies.taken(); held != 0 {
		t.Errorf("%d bytes of bodies are held after all", held)
	}
}

// TestHeldBodiesAreBounded: all bodies in memory together have a limit, and so has what
// somebody holds of it.
func TestHeldBodiesAreBounded(t *testing.T) {
	h := newShares(400)
	read := func(who string, size, length int) (func(), error) {
		_, release, err := readBody(h, who, strings.NewReader(strings.Repeat("x", size)), int64(length), 1000)
		return release, err
	}
	release, err := read("thief", 80, 80)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := read("thief", 30, -1); err != errBodiesFull {
		t.Errorf("110 of 100 bytes: %v", err)
	}
	if again, err := read("ci", 100, 7); err != nil {
		t.Errorf("somebody else: %v", err)
	} else {
		again()
	}
	release()
	if release, err = read("thief", 100, 7); err != nil {
		t.Fatal(err)
	}
	release()
	if h.taken() != 0 {
		t.Errorf("%d bytes are still counted", h.taken())
	}
}

// TestHugeHeaders are refused before any handler: with 431, or the connection is
// closed while they still come.
func TestHugeHeaders(t *testing.T) {
	s := stand(t, FrontOptions{Access: Access{Anonymous: ScopeAll}})
	var dialer net.Dialer
	c, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET /entries HTTP/1.1\r\nHost: x\r\nX-Filler: "); err != nil {
		t.Fatal(err)
	}
	n, err := io.Copy(c, io.LimitReader(&endless{}, 64<<20))
	answer, _ := bufio.NewReader(c).ReadString('\n') // it may be lost with the connection
	if err == nil || n > 32<<20 || strings.Contains(answer, "200") {
		t.Errorf("%d bytes of a header were taken: %v, %q", n, err, answer)
	}
	if s.end(); strings.Contains(s.log.String(), "GET /entries") {
		t.Error("it reached the handler")
	}
}

// TestSlowClientsByTheHundred: hundreds that send a byte of a header, or a part of a
// body, and then nothing, do not keep a client from being served.
func TestSlowClientsByTheHundred(t *testing.T) {
	s := stand(t, FrontOptions{
		Access: Access{Anonymous: ScopeAll},
		Limits: Limits{Reads: 2, Submissions: 2, Streams: 2, Connections: 1000, AddressConnections: 900, Burst: 10},
	})
	var dialer net.Dialer
	for n := range 400 {
		c, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		what := "GET /entries HTTP/1.1\r\nHos"
		switch n % 3 {
		case 1:
			what = "POST /submit HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\nhalf"
		case 2:
			what = "PUT /stream HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\nhalf"
		}
		if _, err := io.WriteString(c, what); err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		s.expect(200, "GET", "/entries", nil)
		s.expect(200, "POST", "/submit", strings.NewReader("all"))
	}
	// They are cut off when the server stops, within its bound.
	s.end()
}

// TestSlowReaderHoldsNoPlace: the only place for work is free again once the answer
// begins to go, whoever does not take it.
func TestSlowReaderHoldsNoPlace(t *testing.T) {
	s := stand(t, FrontOptions{Access: Access{Anonymous: ScopeAll}, Limits: Limits{Reads: 1}}, func(mux *http.ServeMux, f *Front) {
		mux.Handle("GET /large", f.Route(Rule{Name: "GET /large", Scope: ScopeEntries}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(make([]byte, 64<<20))
		})))
	})
	var dialer net.Dialer
	c, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET /large HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(c).ReadString('\n'); err != nil { // it has begun
		t.Fatal(err)
	}
	s.expect(200, "GET", "/entries", nil)
}

// TestFull: more work than there are places for is sent away with 503.
func TestFull(t *testing.T) {
	busy, free := make(chan bool), make(chan bool)
	s := stand(t, FrontOptions{Access: Access{Anonymous: ScopeAll}, Limits: Limits{Reads: 1}}, func(mux *http.ServeMux, f *Front) {
		mux.Handle("GET /work", f.Route(Rule{Name: "GET /work", Scope: ScopeEntries}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			busy <- true
			<-free
		})))
	})
	done := make(chan bool)
	go func() {
		defer close(done)
		s.expect(200, "GET", "/work", nil)
	}()
	<-busy
	resp := s.expect(503, "GET", "/entries", nil)
	if resp.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	s.expect(200, "GET", "/none", nil) // health is told at any time
	close(free)
	<-done
	s.expect(200, "GET", "/entries", nil)
}

// TestConnectionsAreBounded: one too many of an address is closed at once.
// TestWaitingTakesNoPlace: who waits for somebody else keeps nobody out.
func TestWaitingTakesNoPlace(t *testing.T) {
	waits, end := make(chan bool), make(chan bool)
	s := stand(t, FrontOptions{Access: Access{Anonymous: ScopeAll}, Limits: Limits{Submissions: 1}}, func(mux *http.ServeMux, f *Front) {
		mux.Handle("POST /wait", f.Route(Rule{Name: "POST /wait", Scope: ScopeSubmit}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			LeavePlace(w)
			waits <- true
			<-end
		})))
	})
	s.send("POST /wait HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
	<-waits
	defer close(end)
	s.expect(http.StatusOK, "POST", "/submit", strings.NewReader("one"))
}

func TestConnectionsAreBounded(t *testing.T) {
	s := stand(t, FrontOptions{Access: Access{Anonymous: ScopeAll}, Limits: Limits{AddressConnections: 3}})
	var dialer net.Dialer
	var held []net.Conn
	for range 3 {
		c, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, "GET /none HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if _, err := bufio.NewReader(c).ReadString('\n'); err != nil { // it is in
			t.Fatal(err)
		}
		held = append(held, c)
	}
	c, err := dialer.DialContext(t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("the fourth connection got %d bytes, %v", n, err)
	}
	held[0].Close()
	for deadline := time.Now().Add(time.Minute); ; { // until the server has seen it
		resp, err := http.Get(s.url + "/none")
		if err == nil {
			resp.Body.Close()
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("no place became free: %v", err)
		}
	}
}

// TestStopEndsWhatIsUnderWay: a request that has come in is answered; then the server
// is gone.
func TestStopEndsWhatIsUnderWay(t *testing.T) {
	busy, free := make(chan bool), make(chan bool)
	s := standFor(t, time.Minute, FrontOptions{Access: Access{Anonymous: ScopeAll}}, func(mux *http.ServeMux, f *Front) {
		mux.Handle("POST /work", f.Route(Rule{Name: "POST /work", Scope: ScopeSubmit, MaxBody: 10}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			busy <- true
			<-free
			fmt.Fprint(w, "done")
		})))
	})
	answered := make(chan string)
	go func() {
		_, text := s.ask("POST", "/work", strings.NewReader("x"))
		answered <- text
	}()
	<-busy
	go s.stop()
	close(free)
	if text := <-answered; text != "done" {
		t.Errorf("answered %q", text)
	}
	s.end()
	if c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://")); err == nil {
		c.Close()
		t.Error("it still listens")
	}
}

// TestHandlerThatPanics: the client hears 500, and the server goes on.
func TestHandlerThatPanics(t *testing.T) {
	s := stand(t, FrontOptions{Access: Access{Anonymous: ScopeAll}, Limits: Limits{Reads: 1}}, func(mux *http.ServeMux, f *Front) {
		mux.Handle("GET /panic", f.Route(Rule{Name: "GET /panic", Scope: ScopeEntries}, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
			panic("a fault")
		})))
	})
	s.expect(500, "GET", "/panic", nil)
	s.expect(200, "GET", "/entries", nil) // its place is free
}

// TestLogLines: every request has one, and it is JSON with the server's own id.
func TestLogLines(t *testing.T) {
	s := stand(t, FrontOptions{Access: Access{Anonymous: ScopeAll}})
	resp := s.expect(200, "GET", "/entries?secret=1", nil, "X-Request-Id", "forged")
	s.expect(404, "GET", "/no/such/path", nil)
	s.end()
	id := resp.Header.Get(wire.HeaderRequestID)
	var routes []string
	for line := range strings.Lines(s.log.String()) {
		var l struct {
			Msg, Request, Route, Method string
			Status                      int
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		if l.Msg == "request" {
			routes = append(routes, l.Route)
			if len(routes) == 1 && (l.Request != id || l.Status != 200 || l.Method != "GET") {
				t.Errorf("line %s", line)
			}
		}
	}
	if fmt.Sprint(routes) != "[GET /entries none]" {
		t.Errorf("routes %v", routes)
	}
	if strings.Contains(s.log.String(), "secret") || strings.Contains(s.log.String(), "forged") || strings.Contains(s.log.String(), "such") {
		t.Error("a client's text is in the log")
	}
}

// What is only read is so whatever comes along: 405 before anything is said of a
// body, and 404 where there is nothing.
func TestWritingWhereOneReads(t *testing.T) {
	log := newFakeLog(t, 3)
	s := stand(t, FrontOptions{Access: Access{Anonymous: ScopeAll}}, func(mux *http.ServeMux, f *Front) {
		Mount(mux, f, LogFunc(func() (View, error) { return log, nil }), Options{})
		NewHealth(f, HealthOptions{Condition: func() Condition { return Condition{Size: 3} }}).Mount(mux)
		mux.Handle("/", NoRoute())
	})
	for _, path := range []string{"/checkpoint", "/checkpoint/3", "/tile/0/000.p/3", "/tile/entries/000.p/3", "/health/live", "/health/ready", "/health/log", "/nothing"} {
		status, allow := http.StatusMethodNotAllowed, "GET, HEAD"
		if path == "/nothing" {
			status, allow = http.StatusNotFound, ""
		} else {
			s.expect(http.StatusOK, http.MethodGet, path, nil)
			s.expect(http.StatusOK, http.MethodHead, path, nil)
		}
		for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, "BREW"} {
			for _, body := range []io.Reader{nil, strings.NewReader("{}"), strings.NewReader(strings.Repeat(" ", 200<<10))} {
				res := s.expect(status, method, path, body)
				if res.Header.Get("Allow") != allow || res.Header.Get("Content-Type") != wire.ProblemType {
					t.Errorf("%s %s: %v", method, path, res.Header)
				}
			}
		}
	}
}

// TestNothingIsLeft: after a stop under load no goroutine of the server is left: not of
// requests that were answered, nor of those that were cut off.
func TestNothingIsLeft(t *testing.T) {
	before := runtime.NumGoroutine()
	for range 3 {
		arrived := make(chan bool, 100)
		s := stand(t, FrontOptions{Access: Access{Anonymous: ScopeAll}, Limits: Limits{AddressRate: -1, Reads: 200}}, func(mux *http.ServeMux, f *Front) {
			mux.Handle("GET /waits", f.Route(Rule{Name: "GET /waits", Scope: ScopeEntries}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				arrived <- true
				<-r.Context().Done()
			})))
		})
		for range 50 {
			s.send("GET /waits HTTP/1.1\r\nHost: x\r\n\r\n")                                           // never answered
			s.send("PUT /stream HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\nhalf")               // never whole
			s.send("GET /entries HTTP/1.1\r\nHost: x\r\n\r\n")                                         // answered, and kept open
			s.send("POST /submit HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello") // the same, in pieces
		}
		for range 50 {
			<-arrived
		}
		s.end()
	}
	for end := time.Now().Add(time.Minute); runtime.NumGoroutine() > before && time.Now().Before(end); {
		time.Sleep(time.Millisecond) // net/http's own end a moment after
	}
	if n := runtime.NumGoroutine(); n > before {
		all := make([]byte, 1<<20)
		t.Errorf("%d goroutines, there were %d:\n%s", n, before, all[:runtime.Stack(all, true)])
	}
}
