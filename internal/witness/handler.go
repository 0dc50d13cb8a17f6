package witness

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	// SizeType is the content type of a Conflict that tells a size.
	SizeType = "text/x.tlog.size"

	maxInFlight = 64 // requests looked at at once; more hear TooMany
	bodyTimeout = 10 * time.Second
)

type handler struct {
	w       *Witness
	slots   chan struct{}
	timeout time.Duration // for the body of a request
}

// NewHandler returns the HTTP interface of a witness: both its submission and
// its monitoring prefix are the root.
//
//	POST /add-checkpoint
//	GET  /<hex SHA-256 of the origin>/checkpoint
func NewHandler(w *Witness) http.Handler {
	return &handler{w: w, slots: make(chan struct{}, maxInFlight), timeout: bodyTimeout}
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Cache-Control", "no-store")
	id, monitor := strings.CutSuffix(strings.TrimPrefix(r.URL.Path, "/"), "/checkpoint")
	switch {
	case r.URL.RawPath != "": // a second name for the same resource
		say(w, http.StatusNotFound, "no such resource")
	case r.URL.Path == "/add-checkpoint":
		if allow(w, r, http.MethodPost) {
			h.add(w, r)
		}
	case monitor && len(id) == 64:
		if allow(w, r, http.MethodGet, http.MethodHead) {
			h.latest(w, id)
		}
	default:
		say(w, http.StatusNotFound, "no such resource")
	}
}

func allow(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	for _, m := range methods {
		if r.Method == m {
			return true
		}
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	say(w, http.StatusMethodNotAllowed, "only "+strings.Join(methods, " and "))
	return false
}

func (h *handler) add(w http.ResponseWriter, r *http.Request) {
	// Not every ResponseWriter has a deadline; the server's own bounds those.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(h.timeout))
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, int64(MaxRequest)))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		say(w, int(BadRequest), fmt.Sprintf("the request is longer than %d bytes", MaxRequest))
		return
	case errors.Is(err, os.ErrDeadlineExceeded):
		w.Header().Set("Connection", "close")
		say(w, http.StatusRequestTimeout, "the request came too slowly")
		return
	case err != nil:
		say(w, int(BadRequest), "the request broke off")
		return
	}
	// Only now: who sends slowly keeps nobody out.
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		later(w)
		say(w, int(TooMany), "too many requests at once")
		return
	}
	req, err := ParseRequest(body)
	if err != nil {
		say(w, int(BadRequest), err.Error())
		return
	}
	a := h.w.Add(req)
	switch {
	case a.Status == OK:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, a.Line) // the client went away: nobody is left to tell
	case a.Stale:
		w.Header().Set("Content-Type", SizeType)
		w.WriteHeader(int(a.Status))
		_, _ = io.WriteString(w, strconv.FormatUint(a.Size, 10)+"\n")
	default:
		if a.Status == TooMany {
			later(w)
		}
		say(w, int(a.Status), a.Reason)
	}
}

// later says when to come again, in seconds.
func later(w http.ResponseWriter) { w.Header().Set("Retry-After", "1") }

func (h *handler) latest(w http.ResponseWriter, id string) {
	signed, err := h.w.Latest(id)
	if err != nil {
		say(w, http.StatusNotFound, err.Error())
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write(signed)
}

func say(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, message+"\n")
}
