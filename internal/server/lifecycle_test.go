package server

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// TestDoorsTimeEnds: at a door with a time, a body that never comes and an answer that
// nobody reads hold no connection for good, also where no handler looks at them.
func TestDoorsTimeEnds(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	written := make(chan error, 1)
	mux := http.NewServeMux()
	mux.HandleFunc("/ignores", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("/endless", func(w http.ResponseWriter, _ *http.Request) {
		for block := make([]byte, 1<<20); ; {
			if _, err := w.Write(block); err != nil {
				written <- err
				return
			}
		}
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- OpenDoors(ctx, []Door{{Listener: l, Handler: mux, Time: 50 * time.Millisecond}}, DoorOptions{Stop: time.Second})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	send := func(text string) net.Conn {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := send("POST /ignores HTTP/1.1\r\nHost: here\r\nContent-Length: 1000\r\n\r\nfew")
	if err := c.SetReadDeadline(time.Now().Add(time.Minute)); err != nil { // else it would never end
		t.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, c); err != nil {
		t.Errorf("a body that never comes: %v", err)
	}
	send("GET /endless HTTP/1.1\r\nHost: here\r\n\r\n")
	select {
	case <-written:
	case <-time.After(time.Minute):
		t.Error("an answer that nobody reads goes on")
	}
}
