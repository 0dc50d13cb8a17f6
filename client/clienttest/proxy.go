// Package clienttest is a network that fails: it stands between a client and a
// server in tests.
package clienttest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
)

// Fault is what becomes of a request.
type Fault int

// The faults.
const (
	None      Fault = iota
	Drop            // it never arrives, and the connection breaks
	Cut             // it arrives and is answered, and the answer is lost
	Truncate        // it arrives, and half of the answer's body comes back before the connection breaks
	Duplicate       // it arrives twice, and the second answer comes back
	Late            // the connection breaks at once, and the request arrives only after the next one
	Busy            // it does not arrive: 503, with a Retry-After that is over
	Gateway         // it arrives, and what stands between says 502 of its own
	Reset           // it arrives, and half of the header comes back
)

// Faults are all that go wrong.
var Faults = []Fault{Drop, Cut, Truncate, Duplicate, Late, Busy, Gateway, Reset}

func (f Fault) String() string {
	return [...]string{"none", "drop", "cut", "truncate", "duplicate", "late", "busy", "gateway", "reset"}[f]
}

// Proxy hands requests on to Next, as Choose says of each. It is safe for use by
// several goroutines at once, if they are.
type Proxy struct {
	Next   http.Handler
	Choose func(r *http.Request) Fault

	mu    sync.Mutex
	late  []*http.Request
	count map[Fault]int
}

// Count returns how often a fault was made.
func (p *Proxy) Count(f Fault) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count[f]
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault := p.Choose(r)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	p.mu.Lock()
	if p.count == nil {
		p.count = map[Fault]int{}
	}
	p.count[fault]++
	var late []*http.Request
	if fault != Late {
		late, p.late = p.late, nil
	} else {
		p.late = append(p.late, again(r, body))
	}
	p.mu.Unlock()
	defer func() {
		for _, l := range late {
			p.answer(l)
		}
	}()

	switch fault {
	case Drop, Late:
		panic(http.ErrAbortHandler)
	case Busy:
		w.Header().Set("Retry-After", "0")
		http.Error(w, "busy", http.StatusServiceUnavailable)
		return
	case Duplicate:
		p.answer(again(r, body))
	}
	a := p.answer(again(r, body))
	switch fault {
	case Cut:
		panic(http.ErrAbortHandler)
	case Gateway:
		http.Error(w, "<html>bad gateway</html>", http.StatusBadGateway)
		return
	case Reset:
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			_, _ = io.WriteString(conn, "HTTP/1.1 200 O")
			conn.Close()
			return
		}
		panic(http.ErrAbortHandler)
	}
	for name, values := range a.Header() {
		w.Header()[name] = values
	}
	if fault == Truncate {
		w.Header().Del("Content-Length")
		w.WriteHeader(a.Code)
		_, _ = w.Write(a.Body.Bytes()[:a.Body.Len()/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(a.Code)
	_, _ = w.Write(a.Body.Bytes())
}

func (p *Proxy) answer(r *http.Request) *httptest.ResponseRecorder {
	a := httptest.NewRecorder()
	p.Next.ServeHTTP(a, r)
	return a
}

// again is the request once more: nothing of the first one's connection is in it.
func again(r *http.Request, body []byte) *http.Request {
	n := r.Clone(context.WithoutCancel(r.Context()))
	n.Body = io.NopCloser(bytes.NewReader(body))
	return n
}
