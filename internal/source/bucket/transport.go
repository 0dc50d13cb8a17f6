package bucket

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// silence is how long a store may say nothing in the middle of an exchange; only
// tests are less patient.
var silence = time.Minute

const (
	// dialTimeout is how long a connection may take to come about.
	dialTimeout = 10 * time.Second
	// idle is how long an unused connection is kept; well below silence, which
	// would end it too.
	idle = 20 * time.Second
	// bufferSize is what a connection reads and writes at once. Readers with
	// larger buffers read past it.
	bufferSize = 64 << 10
)

// Tune sets up a transport for a store: many connections that are kept, HTTP/1.1
// (on HTTP/2 all ranges of an object would share one connection and its window),
// bodies as they were stored and never decompressed, and an end to waiting for a
// store that has gone silent. Proxies and TLS settings stay as they are.
func Tune(t *http.Transport, requests int) {
	if requests <= 0 {
		requests = DefaultRequests()
	}
	var d net.Dialer
	d.Timeout = dialTimeout
	t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := d.DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &patient{Conn: c, silence: silence}, nil
	}
	const spare = 4 // for listings and lookups beside the reads
	t.MaxIdleConns = 0
	t.MaxIdleConnsPerHost = requests + spare
	t.MaxConnsPerHost = 0
	t.IdleConnTimeout = idle
	t.TLSHandshakeTimeout = dialTimeout
	t.ReadBufferSize = bufferSize
	t.WriteBufferSize = bufferSize
	t.DisableCompression = true
	t.ForceAttemptHTTP2 = false
	t.TLSNextProto = map[string]func(string, *tls.Conn) http.RoundTripper{}
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	if t.TLSClientConfig != nil {
		// A transport that was in use offers HTTP/2 here too.
		t.TLSClientConfig = t.TLSClientConfig.Clone()
		t.TLSClientConfig.NextProtos = []string{"http/1.1"}
	}
}

// patient is a connection that ends when nothing came for a while, neither way:
// a body that stops in its middle would otherwise be waited for for ever.
type patient struct {
	net.Conn
	silence time.Duration
}

func (c *patient) Read(p []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.silence)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// Write moves the end on for what is read, too: an answer cannot come before the
// request is written.
func (c *patient) Write(p []byte) (int, error) {
	if err := c.SetDeadline(time.Now().Add(c.silence)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
