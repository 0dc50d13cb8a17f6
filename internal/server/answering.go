package server

import (
	"io"
	"net/http"
	"strings"
	"time"
)

// answering is a ResponseWriter that knows what was answered, gives the request's
// place free when the answer begins to go, and gives the client a time to take it.
type answering struct {
	http.ResponseWriter
	control *http.ResponseController
	time    time.Duration
	place   places // that it holds; nil: none
	held    func() // gives back the body's bytes
	front   *Front
	visit   *visit
	taken   int64 // bytes of the answer that are held
	closed  bool  // not everybody may have this answer
	status  int
	bytes   int64
}

// WriteHeader implements http.ResponseWriter.
func (a *answering) WriteHeader(status int) {
	if a.status == 0 && status >= http.StatusOK {
		a.status = status
		limit := a.time
		if limit == 0 {
			limit = DefaultRouteTime
		}
		_ = a.control.SetWriteDeadline(time.Now().Add(limit)) // a test's recorder has none
		if a.closed {
			keepFromOthers(a.Header())
		}
		a.leave()
	}
	a.ResponseWriter.WriteHeader(status)
}

// keepFromOthers has caches that several people share not keep an answer that was
// given to somebody who showed who they are: "public" would let them hand it on
// (RFC 9111, section 3.5).
func keepFromOthers(h http.Header) {
	if rest, public := strings.CutPrefix(h.Get("Cache-Control"), "public"); public {
		h.Set("Cache-Control", "private"+rest)
		h.Add("Vary", "Authorization")
	}
}

// Write implements http.ResponseWriter.
func (a *answering) Write(data []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	n, err := a.ResponseWriter.Write(data)
	a.bytes += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (a *answering) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// leave gives the place free, once.
func (a *answering) leave() {
	if a.place != nil {
		a.place.free()
		a.place = nil
	}
}

// LeavePlace gives free the place that a request has among those that are worked on:
// what it does next is to wait for somebody else, who may be away for long.
func LeavePlace(w http.ResponseWriter) {
	if a, ok := w.(*answering); ok {
		a.leave()
	}
}

func (a *answering) releaseBody() {
	if a.held != nil {
		a.held()
		a.held = nil
	}
}

// done gives back what the answer held.
func (a *answering) done() {
	if a.taken > 0 {
		a.front.answers.free(a.visit.who(), a.taken)
		a.taken = 0
	}
}

// streamed is a body that a handler reads as it comes: a piece at least every
// streamPause, a least number of bytes for each second that it is waited for, and all
// of it by its end. Else a few that send a byte now and then would hold all the places
// that there are for streams.
type streamed struct {
	io.ReadCloser
	control *http.ResponseController
	end     time.Time
	bytes   int64
	waited  time.Duration // for the client: what the server is slow at does not count
}

// Read implements io.Reader.
func (s *streamed) Read(p []byte) (int, error) {
	begun := time.Now()
	next := begun.Add(s.patience())
	if next.After(s.end) {
		next = s.end
	}
	_ = s.control.SetReadDeadline(next) // a test's recorder has none
	n, err := s.ReadCloser.Read(p)
	s.bytes += int64(n)
	s.waited += time.Since(begun)
	if err != nil {
		_ = s.control.SetReadDeadline(time.Time{})
	}
	return n, err
}

// patience is how long the next piece is waited for.
func (s *streamed) patience() time.Duration {
	earned := time.Duration(s.bytes/streamRate) * time.Second
	return min(streamPause, max(0, streamGrace+earned-s.waited))
}
