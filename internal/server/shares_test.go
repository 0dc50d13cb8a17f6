package server

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// send sends a request on a connection of its own, which stays open.
func (s *standing) send(request string) net.Conn {
	s.t.Helper()
	var dialer net.Dialer
	c, err := dialer.DialContext(s.t.Context(), "tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, request); err != nil {
		s.t.Fatal(err)
	}
	return c
}

// TestSlowReadersByTheHundred: what they have not taken of large answers is bounded,
// for all and for each; whoever asks for a small one gets it.
func TestSlowReadersByTheHundred(t *testing.T) {
	const size = 16 << 20 // more than a connection's buffers take
	large := make([]byte, size)
	proxy, err := ParseProxies([]string{"127.0.0.1/32"})
	if err != nil {
		t.Fatal(err)
	}
	s := stand(t, FrontOptions{
		Access: Access{Anonymous: ScopeAll}, Proxies: proxy, Limits: Limits{Connections: 1000, Burst: 1000, HeldAnswers: 8 * size},
	}, func(mux *http.ServeMux, f *Front) {
		mux.Handle("GET /large", f.Route(Rule{Name: "GET /large", Scope: ScopeEntries}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("ETag", `"large"`)
			if Hold(w, len(large)) {
				_, _ = w.Write(large)
			}
		})))
	})
	given := map[string]int{}
	for n := range 300 {
		address := []string{"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "192.0.2.5", "192.0.2.6"}[n%6]
		c := s.send("GET /large HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: " + address + "\r\n\r\n")
		line, err := bufio.NewReader(io.LimitReader(c, 12)).ReadString('\n') // HTTP/1.1 200
		if err != io.EOF {
			t.Fatal(err)
		}
		switch line[9:] {
		case "200":
			given[address]++
		case "503":
			if n < 6 {
				t.Errorf("the request %d is sent away", n)
			}
		default:
			t.Errorf("%q", line)
		}
		if held := s.front.answers.taken(); held > 8*size {
			t.Fatalf("%d bytes are held", held)
		}
	}
	all := 0
	for address, n := range given {
		if all += n; n > 2 {
			t.Errorf("%s has %d, a quarter is 2", address, n)
		}
	}
	if all != 8 {
		t.Errorf("%d were given, there is room for 8", all)
	}
	if res := s.expect(http.StatusServiceUnavailable, "GET", "/large", nil); res.Header.Get("Retry-After") == "" || res.Header.Get("ETag") != "" {
		t.Errorf("%v", res.Header)
	}
	for range 20 {
		s.expect(http.StatusOK, "GET", "/entries", nil)
	}
	s.end() // it cuts them off
	if held := s.front.answers.taken(); held != 0 {
		t.Errorf("%d bytes are held by nobody", held)
	}
}

// TestManySmallAnswers: what a hundred streams of one connection hold is counted unless
// it is little.
func TestManySmallAnswers(t *testing.T) {
	for bytes, want := range map[int]int64{4 << 10: 0, 16 << 10: 16 << 10} {
		held := make(chan int64, 1)
		s := stand(t, FrontOptions{Access: Access{Anonymous: ScopeAll}}, func(mux *http.ServeMux, f *Front) {
			mux.Handle("GET /some", f.Route(Rule{Name: "GET /some", Scope: ScopeEntries}, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				Hold(w, bytes)
				held <- f.answers.taken()
			})))
		})
		s.expect(http.StatusOK, "GET", "/some", nil)
		if got := <-held; got != want {
			t.Errorf("of %d bytes %d are counted", bytes, got)
		}
	}
}

// TestManyAddressesOfOne: whoever has a /64 of IPv6 has as many addresses as they like,
// and one share.
func TestManyAddressesOfOne(t *testing.T) {
	proxy, err := ParseProxies([]string{"127.0.0.1/32"})
	if err != nil {
		t.Fatal(err)
	}
	reading := make(chan bool, 8)
	s := stand(t, FrontOptions{Access: Access{Anonymous: ScopeAll}, Proxies: proxy, Limits: Limits{Streams: 8}}, func(mux *http.ServeMux, f *Front) {
		mux.Handle("PUT /slow", f.Route(Rule{Name: "PUT /slow", Scope: ScopeSubmit, MaxBody: 1000, Stream: true}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			reading <- true
			_, _ = io.Copy(io.Discard, r.Body)
		})))
	})
	for _, address := range []string{"2001:db8::1", "2001:db8::2"} {
		s.send("PUT /slow HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: " + address + "\r\nContent-Length: 900\r\n\r\nhalf")
		<-reading
	}
	s.expect(http.StatusTooManyRequests, "PUT", "/slow", strings.NewReader("all"), "X-Forwarded-For", "2001:db8::3")
	s.expect(http.StatusOK, "PUT", "/slow", strings.NewReader("all"), "X-Forwarded-For", "2001:db8:0:1::3")
	<-reading
}

// TestThiefUploadsSlowly: whoever has one token takes no more than a quarter of the
// places for uploads, however slowly.
func TestThiefUploadsSlowly(t *testing.T) {
	clock := newTestClock()
	path, text := clock.tokens(t, map[string]string{"thief": "submit", "ci": "submit"})
	reading := make(chan bool, 8)
	s := stand(t, FrontOptions{Access: Access{Tokens: openTokens(t, path, clock.Now)}, Limits: Limits{Streams: 8}}, func(mux *http.ServeMux, f *Front) {
		mux.Handle("PUT /slow", f.Route(Rule{Name: "PUT /slow", Scope: ScopeSubmit, MaxBody: 1000, Stream: true}, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			reading <- true
			_, _ = io.Copy(io.Discard, r.Body)
		})))
	})
	for range 2 {
		s.send("PUT /slow HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + text["thief"] + "\r\nContent-Length: 900\r\n\r\nhalf")
		<-reading
	}
	for range 10 {
		res := s.expect(http.StatusTooManyRequests, "PUT", "/slow", strings.NewReader("all"), "Authorization", "Bearer "+text["thief"])
		if res.Header.Get("Retry-After") == "" {
			t.Error("it does not say when to come again")
		}
		s.expect(http.StatusOK, "PUT", "/slow", strings.NewReader("all"), "Authorization", "Bearer "+text["ci"])
		<-reading
	}
	s.end()
	if n := s.front.streamers.taken(); n != 0 {
		t.Errorf("%d places are held by nobody", n)
	}
}

// TestPatience: a body is waited for as long as its bytes earn, and no longer.
func TestPatience(t *testing.T) {
	for _, c := range []struct {
		bytes        int64
		waited, want time.Duration
	}{
		{0, 0, streamPause},
		{5, 12 * time.Second, 8 * time.Second},
		{5, streamGrace, 0},
		{streamRate, streamGrace, time.Second},
		{streamRate, time.Hour, 0},
		{4 << 30, time.Hour, streamPause},
	} {
		s := &streamed{bytes: c.bytes, waited: c.waited}
		if got := s.patience(); got != c.want {
			t.Errorf("%d bytes in %s: %s, want %s", c.bytes, c.waited, got, c.want)
		}
	}
}
