package storetest

import (
	"context"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
)

// A FaultProxy stands before a store and does to requests what its rules say.
// The embedded Server is the store seen through it: Env and Setenv lead here,
// while Put, Delete and the like go to the store directly and meet no fault.
//
// S3 signatures cover the Host header, so the store gets the client's, and
// the proxy changes nothing of a request but where it goes.
type FaultProxy struct {
	*Server

	store     *Server
	transport *http.Transport

	mu    sync.Mutex
	rules []*Met
	seen  []Seen
}

// Rule says which exchanges a fault meets.
type Rule struct {
	Match func(x *Exchange) bool // nil: every one
	After int                    // leave as many that match alone first
	Times int                    // then meet as many; 0: all
	Do    Fault
}

// Met counts what a rule did.
type Met struct {
	rule    Rule
	proxy   *FaultProxy
	matched int
	met     int
}

// Times is how many exchanges met the rule.
func (m *Met) Times() int {
	m.proxy.mu.Lock()
	defer m.proxy.mu.Unlock()
	return m.met
}

// Seen is one request that came by.
type Seen struct {
	Method, Bucket, Key string
	Range               string // as in "bytes=0-99", or empty
	Listing             bool
	Faulty              bool // a rule met it
}

// Proxy starts a proxy before a store, for as long as the test runs.
func (s *Server) Proxy(t testing.TB) *FaultProxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	endpoint := "http://" + l.Addr().String()
	through := *s
	through.Endpoint, through.env = endpoint, s.objects.environment(endpoint)
	p := &FaultProxy{Server: &through, store: s, transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 256}}
	server := &http.Server{Handler: p, ErrorLog: log.New(io.Discard, "", 0)}
	go server.Serve(l)
	t.Cleanup(func() {
		server.Close()
		p.transport.CloseIdleConnections()
	})
	return p
}

// On adds a rule. The first rule that meets an exchange decides; one that
// matched and has met its Times leaves it to the next.
func (p *FaultProxy) On(r Rule) *Met {
	m := &Met{rule: r, proxy: p}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = append(p.rules, m)
	return m
}

// Clear takes all rules away and forgets what came by.
func (p *FaultProxy) Clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules, p.seen = nil, nil
}

// Requests is what came by since the start or Clear, in order.
func (p *FaultProxy) Requests() []Seen {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.seen)
}

// Reads counts the reads of objects that came by, faulty ones too.
func (p *FaultProxy) Reads() int {
	n := 0
	for _, s := range p.Requests() {
		if s.Method == http.MethodGet && s.Key != "" {
			n++
		}
	}
	return n
}

// meet finds the rule for an exchange and counts it.
func (p *FaultProxy) meet(x *Exchange) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := Seen{Method: x.Method, Bucket: x.Bucket, Key: x.Key, Range: x.Range, Listing: x.Listing()}
	var do Fault
	for _, m := range p.rules {
		if m.rule.Match != nil && !m.rule.Match(x) {
			continue
		}
		m.matched++
		if m.matched <= m.rule.After || m.rule.Times > 0 && m.met == m.rule.Times {
			continue
		}
		x.N = m.met
		m.met++
		do, seen.Faulty = m.rule.Do, true
		break
	}
	p.seen = append(p.seen, seen)
	return do
}

// ServeHTTP is one exchange.
func (p *FaultProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &Exchange{Method: r.Method, Query: r.URL.Query(), Header: r.Header, Range: r.Header.Get("Range"), proxy: p, w: w, r: r}
	if x.Range == "" {
		x.Range = r.Header.Get("X-Ms-Range") // Azure's
	}
	x.Bucket, x.Key = place(p.store.Scheme, r.URL)
	if do := p.meet(x); do != nil {
		do(x)
		return
	}
	x.Answer(x.Forward())
}

// place finds bucket and key in a request's path.
func place(scheme string, u *url.URL) (bucket, key string) {
	path := strings.TrimPrefix(u.EscapedPath(), "/")
	switch scheme {
	case "azblob":
		_, path, _ = strings.Cut(path, "/") // the account
	case "gs":
		// /storage/v1/b/BUCKET/o/KEY, also below /download and /upload; else,
		// in the XML API, /BUCKET/KEY.
		if _, rest, ok := strings.Cut("/"+path, "/storage/v1/b/"); ok {
			bucket, path, _ = strings.Cut(rest, "/")
			path = bucket + "/" + strings.TrimPrefix(strings.TrimPrefix(path, "o"), "/")
		}
	}
	bucket, key, _ = strings.Cut(path, "/")
	if k, err := url.PathUnescape(key); err == nil {
		key = k
	}
	return bucket, key
}

// forward sends a request on to the store.
func (p *FaultProxy) forward(ctx context.Context, r *http.Request) (*http.Response, error) {
	out := r.Clone(ctx)
	out.RequestURI = ""
	out.URL.Scheme, out.URL.Host = "http", strings.TrimPrefix(p.store.Endpoint, "http://")
	if p.store.Scheme == "gs" {
		out.Host = out.URL.Host // it routes by its own name, and checks no signature
	}
	hopByHop(out.Header)
	if _, ok := out.Header["User-Agent"]; !ok {
		out.Header["User-Agent"] = nil // or ours would be added
	}
	res, err := p.transport.RoundTrip(out)
	if err == nil {
		hopByHop(res.Header)
	}
	return res, err
}

// hopByHop removes what concerns one connection alone, RFC 9110, section 7.6.1.
func hopByHop(h http.Header) {
	for _, name := range []string{"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"} {
		h.Del(name)
	}
}

func copyHeader(to, from http.Header) { maps.Copy(to, from) }
