package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// The defaults of [Options].
const (
	DefaultAttempts = 6
	DefaultBudget   = 30 * time.Second
	DefaultTimeout  = time.Minute
)

const (
	firstPause    = 150 * time.Millisecond // doubled each time, and jittered by half
	maxPause      = 5 * time.Second
	maxRetryAfter = 20 * time.Second // of a server that says when; beyond it is given up
	maxHeader     = 64 << 10         // bytes of an answer's header
	maxToken      = 4 << 10          // bytes
	dialTimeout   = 5 * time.Second
)

// Options say where a server is and how it is asked. Only URL is required.
type Options struct {
	// URL is https://host[:port][/prefix]; http:// is for this machine alone:
	// localhost, 127.0.0.0/8, [::1]. unix:///path is a server's own socket.
	URL string
	// Token is a bearer token; it is sent to that host only. Empty: none.
	Token string
	// Renew, unless nil, gets another token where the server answers 401 to this one: a
	// CI job's lasts minutes. It is told which was refused. An error, or the same token
	// again, leaves it at the refusal. It is called by one request at a time, and must
	// not ask through this client.
	Renew func(ctx context.Context, refused string) (string, error)
	// TLS are a client's certificate and the authorities that a server's must be
	// of; nil: none, and the system's. It is copied.
	TLS *tls.Config
	// UserAgent says who asks; "" for this package.
	UserAgent string

	// Attempts is how often a request is made at most: 1 for no retries, 0 for
	// DefaultAttempts.
	Attempts int
	// Budget is after how long no further attempt of a request is begun; 0 for
	// DefaultBudget.
	Budget time.Duration
	// Timeout is how long one attempt may take, and besides it the time that its bodies
	// take at 16 KiB a second; 0 for DefaultTimeout.
	Timeout time.Duration

	// Dial opens connections instead of the network: for tests and tunnels.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Sleep waits, or ends with ctx's error; nil: the clock. Random is chance in
	// [0, 1); nil: math/rand.
	Sleep  func(ctx context.Context, d time.Duration) error
	Random func() float64
	// Retrying, if it is set, is told that a request has failed for now and is made
	// again: how long it has been tried, and why it failed, which may hold the server's
	// words. It is called by whoever makes requests, several at once.
	Retrying func(elapsed time.Duration, err error)
}

// Client asks one server. [New] makes one. It may be used concurrently.
type Client struct {
	base  *url.URL
	shown string // the address without what a person would not want to see
	opts  Options
	http  *http.Client

	token    atomic.Pointer[string] // Options.Token, or what took its place
	renewing chan struct{}          // held by who calls Options.Renew
}

// New returns a client. Nothing is sent. ErrAddress: nothing would be sent there.
func New(o Options) (*Client, error) {
	base, socket, err := parseAddress(o.URL)
	if err != nil {
		return nil, err
	}
	if !isToken(o.Token) {
		return nil, errors.New("what is given as a token is none: a token is one word of printable ASCII") // which it is, nobody needs to read
	}
	if o.TLS != nil && o.TLS.InsecureSkipVerify && o.TLS.VerifyConnection == nil && o.TLS.VerifyPeerCertificate == nil && o.Token != "" {
		return nil, fmt.Errorf("%w: a token is not sent to a server whose certificate nobody checks", ErrAddress)
	}
	if o.Attempts == 0 {
		o.Attempts = DefaultAttempts
	}
	if o.Budget == 0 {
		o.Budget = DefaultBudget
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Sleep == nil {
		o.Sleep = sleep
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	if o.UserAgent == "" {
		o.UserAgent = "stele-client/1"
	}
	dial := o.Dial
	if dial == nil {
		dial = (&net.Dialer{Timeout: dialTimeout}).DialContext
	}
	transport := &http.Transport{
		DialContext:            dial,
		TLSClientConfig:        o.TLS.Clone(),
		TLSHandshakeTimeout:    dialTimeout,
		MaxResponseHeaderBytes: maxHeader,
		MaxIdleConnsPerHost:    16,
		IdleConnTimeout:        30 * time.Second,
		ForceAttemptHTTP2:      true,
	}
	switch {
	case socket != "":
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, "unix", socket) }
	case base.Scheme == "https":
		transport.Proxy = http.ProxyFromEnvironment // it sees what is encrypted
	case o.Dial == nil:
		transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
			return dialHere(ctx, dial, network, address)
		}
	}
	c := &Client{base: base, shown: o.URL, opts: o, renewing: make(chan struct{}, 1), http: &http.Client{
		Transport: transport,
		// Another host must not get the token, and this one has no reason to.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	c.token.Store(&o.Token)
	return c, nil
}

// isToken reports whether something may stand in a header as a token; none may.
func isToken(text string) bool {
	return len(text) <= maxToken && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f })
}

// renewed reports whether there is another token since one was refused, if that is
// what err is.
func (c *Client) renewed(ctx context.Context, refused string, err error) bool {
	var said *statusError
	if c.opts.Renew == nil || refused == "" || !errors.As(err, &said) || said.said.Problem.Status != http.StatusUnauthorized {
		return false
	}
	select {
	case c.renewing <- struct{}{}:
		defer func() { <-c.renewing }()
	case <-ctx.Done():
		return false
	}
	if *c.token.Load() != refused {
		return true // another request got it
	}
	token, err := c.opts.Renew(ctx, refused)
	if err != nil || token == "" || token == refused || !isToken(token) {
		return false
	}
	c.token.Store(&token)
	return true
}

// URL is the address as it was given.
func (c *Client) URL() string { return c.shown }

// Close ends the connections that rest. Requests under way go on.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// parseAddress reads a server's address; socket is the path of one on this machine.
func parseAddress(text string) (base *url.URL, socket string, err error) {
	refuse := func(why string) (*url.URL, string, error) {
		return nil, "", fmt.Errorf("%q: %w: %s", text, ErrAddress, why)
	}
	u, err := url.Parse(text)
	switch {
	case err != nil: // what could not be read may have a secret in it
		return nil, "", fmt.Errorf("%w: it cannot be read as a URL", ErrAddress)
	case u.User != nil:
		text = u.Redacted()
		return refuse("give a token apart, never in the address")
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return refuse("it has a query or a fragment")
	}
	switch u.Scheme {
	case "https":
	case "http":
		if !loopback(u.Hostname()) {
			return refuse("http:// is for this machine alone; use https://")
		}
	case "unix":
		if u.Host != "" || u.Path == "" {
			return refuse("a socket is unix:///path")
		}
		return &url.URL{Scheme: "http", Host: "localhost"}, u.Path, nil
	default:
		return refuse("use https://")
	}
	if u.Hostname() == "" {
		return refuse("it names no host")
	}
	u.Path = strings.TrimSuffix(u.Path, "/")
	return u, "", nil
}

var errNotHere = errors.New("that is not on this machine, and http:// is for this machine alone")

// dialHere opens a connection to this machine. "localhost" is whatever a name
// server says, unless it is looked at.
func dialHere(ctx context.Context, dial func(context.Context, string, string) (net.Conn, error), network, address string) (net.Conn, error) {
	conn, err := dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if a, ok := conn.RemoteAddr().(*net.TCPAddr); !ok || !a.IP.IsLoopback() {
		conn.Close()
		return nil, errNotHere
	}
	return conn, nil
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
