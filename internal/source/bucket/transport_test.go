package bucket

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"
)

// TestTransport: what was stored compressed comes as it was stored, and every
// request has a connection of its own, also where HTTP/2 is spoken.
func TestTransport(t *testing.T) {
	const stored = "\x1f\x8bnot even gzip"
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 1 || r.Header.Get("Accept-Encoding") != "" {
			t.Errorf("asked by %s, accepting %q", r.Proto, r.Header.Get("Accept-Encoding"))
		}
		w.Header().Set("Content-Encoding", "gzip")
		io.WriteString(w, stored)
	}))
	server.EnableHTTP2 = true
	server.StartTLS()
	defer server.Close()
	transport := server.Client().Transport.(*http.Transport).Clone()
	Tune(transport, 5)
	defer transport.CloseIdleConnections()
	res, err := (&http.Client{Transport: transport}).Get(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if got, err := io.ReadAll(res.Body); err != nil || string(got) != stored {
		t.Errorf("%q, %v", got, err)
	}
	if transport.MaxIdleConnsPerHost < 5 {
		t.Errorf("%d connections are kept for 5 requests", transport.MaxIdleConnsPerHost)
	}
}

// TestSilenceEnds: a connection on which nothing comes is not waited for for ever.
func TestSilenceEnds(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	c := &patient{Conn: near, silence: time.Millisecond}
	if _, err := c.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Read = %v", err)
	}
	if _, err := c.Write(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Write = %v", err)
	}
	// Writing moves the end of reading on.
	c.silence = time.Hour
	go io.Copy(far, far)
	if _, err := c.Write([]byte{1}); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Conn.Read(make([]byte, 1)); n != 1 || err != nil {
		t.Errorf("Read = %d, %v", n, err)
	}
}
