package server

import (
	"io"
	"net/http"
	"strconv"
	"time"

	"github.com/stele-ml/stele/internal/wire"
)

// denial is why the front sends somebody away.
type denial struct {
	problem   *wire.Problem
	reason    string        // for logs and metrics: one of a few words
	challenge string        // the WWW-Authenticate header, or none
	retry     time.Duration // the Retry-After header, or none
	who       string        // whose credential it was that is not good
	hangUp    bool          // the connection is of no use afterwards
	allow     string        // the Allow header, or none
}

func deny(status int, code wire.Code, reason, detail, hint string) *denial {
	p := wire.NewProblem(status, code, detail)
	p.Hint = hint
	return &denial{problem: p, reason: reason}
}

// busy sends somebody away who may come again.
func busy(status int, code wire.Code, reason, detail string, retry time.Duration) *denial {
	d := deny(status, code, reason, detail, "wait as long as Retry-After says, and try again")
	d.retry = retry
	return d
}

// write answers with the problem.
func (d *denial) write(w http.ResponseWriter, requestID string) {
	p := *d.problem
	p.RequestID = requestID
	body, err := p.Marshal()
	if err != nil {
		http.Error(w, p.Title, p.Status)
		return
	}
	body = append(body, '\n') // for who reads it in a terminal
	h := w.Header()
	for _, of := range []string{"Content-Encoding", "Content-Disposition", "ETag", "Vary"} { // an answer that it is instead of
		h.Del(of)
	}
	h.Set("Cache-Control", cacheNever)
	h.Set("Content-Type", wire.ProblemType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	if d.challenge != "" {
		h.Set("WWW-Authenticate", d.challenge)
	}
	if d.retry > 0 {
		h.Set("Retry-After", strconv.Itoa(int((d.retry+time.Second-1)/time.Second)))
	}
	if d.allow != "" {
		h.Set("Allow", d.allow)
	}
	if d.hangUp {
		h.Set("Connection", "close")
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // the client went away: nobody is left to tell
}

// onlyRead sends away whoever would write where one can only read.
func onlyRead() *denial {
	d := deny(http.StatusMethodNotAllowed, wire.CodeNoRoute, "method", "this is only read: GET or HEAD", "")
	d.allow = "GET, HEAD"
	return d
}

// LeaveUnread passes over a body that nobody reads, if it is short and comes at once:
// a connection that is closed before would cost its client the answer.
func LeaveUnread(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength == 0 {
		return
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(streamPause)) // a test's recorder has none
	if r.Header.Get("Expect") == "" {
		_, _ = io.CopyN(io.Discard, r.Body, maxUnread) // whatever comes of it, there is an answer
	}
}

// maxUnread is how many bytes of a body are passed over: what net/http does where the
// connection stays open.
const maxUnread = 256 << 10

// NoRoute answers where there is nothing, whatever is sent there.
func NoRoute() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		LeaveUnread(w, r)
		deny(http.StatusNotFound, wire.CodeNoRoute, "", "there is nothing at this path", "").write(w, RequestID(r.Context()))
	})
}
