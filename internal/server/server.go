// Package server serves a ledger's log to anybody's tools: the read paths of
// C2SP tlog-tiles over HTTP.
//
//	GET /checkpoint                     the newest signed checkpoint
//	GET /tile/<L>/<N>[.p/<W>]           hashes
//	GET /tile/entries/<N>[.p/<W>]       entries
//	GET /checkpoint/<size>              an earlier checkpoint (ours; the log keeps them all)
//
// It only reads, and nobody has to trust it: whoever asks checks what comes
// back against the signed checkpoint.
package server

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Limits of one server. They bound what a client can hold, not what it can
// ask: every answer is at most one bundle, 256 entries of 65,535 bytes.
const (
	maxHeaderBytes    = 16 << 10
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 60 * time.Second
	idleTimeout       = 60 * time.Second
	stopTimeout       = 5 * time.Second // for requests under way when the server stops
	maxInFlight       = 64              // requests answered at once; more hear 503
)

const (
	cacheForever = "public, max-age=31536000, immutable"
	cacheShort   = "public, max-age=1"
	cacheMinute  = "public, max-age=60"
	cacheNever   = "no-store"
)

// A View is one consistent reading of a log: every method answers for the
// same size, whatever is appended meanwhile. The server asks for nothing that
// the size does not cover.
type View interface {
	// Size is the number of entries that the newest checkpoint covers.
	Size() uint64
	// LatestCheckpoint returns the signed checkpoint of that size.
	LatestCheckpoint() (note []byte, err error)
	// Checkpoint returns the signed checkpoint of exactly another size, or
	// an error that is Options.NotFound if none was signed.
	Checkpoint(size uint64) (note []byte, err error)
	// Tile returns the first width hashes, 32 bytes each, of tile n at a
	// level, width being 1 to 256.
	Tile(level int, n uint64, width int) ([]byte, error)
	// Bundle returns the first width entries of bundle n, each after its
	// length in two bytes, big-endian.
	Bundle(n uint64, width int) ([]byte, error)
}

// A Log opens a reading of its newest published state. It is called from many
// goroutines at once.
type Log interface {
	View() (View, error)
}

// LogFunc makes a Log of a function.
type LogFunc func() (View, error)

// View calls f.
func (f LogFunc) View() (View, error) { return f() }

// Options are what a Handler may be told; the zero value is usable.
type Options struct {
	// Hosts are the names this server answers to, without ports. If empty it
	// answers to any: right behind a public address, wrong on loopback, where
	// a web page elsewhere could otherwise point a name of its own at it and
	// read a private ledger (DNS rebinding). See LoopbackHosts.
	Hosts []string
	// NotFound is what a View's errors are where there is no such thing;
	// fs.ErrNotExist if nil.
	NotFound error
}

// LoopbackHosts are the Hosts of a server on the loopback interface.
func LoopbackHosts() []string { return []string{"localhost", "127.0.0.1", "::1"} }

type handler struct {
	log   Log
	opts  Options
	slots chan struct{}
}

// NewHandler returns the read paths over a log.
func NewHandler(log Log, opts Options) http.Handler {
	if opts.NotFound == nil {
		opts.NotFound = fs.ErrNotExist
	}
	return &handler{log: log, opts: opts, slots: make(chan struct{}, maxInFlight)}
}

// Mount puts the read paths behind a front: who sees proofs sees hashes and
// checkpoints, and who sees entries also those.
func Mount(mux *http.ServeMux, front *Front, log Log, opts Options) {
	h := NewHandler(log, opts)
	for _, r := range []struct {
		pattern, name string
		scope         Scope
	}{
		{"/checkpoint", "GET /checkpoint", ScopeProofs},
		{"/checkpoint/{size}", "GET /checkpoint/{size}", ScopeProofs},
		{"/tile/", "GET /tile/{level}/{index}", ScopeProofs},
		{"/tile/entries/", "GET /tile/entries/{index}", ScopeEntries},
	} {
		mux.Handle(r.pattern, front.Route(Rule{Name: r.name, Scope: r.scope, Read: true}, h))
	}
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if !hostAmong(h.opts.Hosts, r.Host) {
		refuse(w, http.StatusMisdirectedRequest, "this server does not answer to that host name")
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed, "only GET and HEAD: the log is read here, not written")
		return
	}
	// RawPath is set where the path was escaped in a way of its own: a second
	// name for the same resource.
	res, err := ParsePath(r.URL.Path)
	if err != nil || r.URL.RawPath != "" {
		refuse(w, http.StatusNotFound, "no such resource")
		return
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		w.Header().Set("Retry-After", "1")
		refuse(w, http.StatusServiceUnavailable, "too many requests at once")
		return
	}
	body, err := h.read(res)
	switch {
	case errors.Is(err, h.opts.NotFound):
		refuse(w, http.StatusNotFound, "not in the log")
	case err != nil:
		Failed(r.Context(), err)
		refuse(w, http.StatusInternalServerError, "the log could not be read")
	default:
		answer(w, r, res, body)
	}
}

// read returns a resource's bytes.
func (h *handler) read(res Resource) ([]byte, error) {
	view, err := h.log.View()
	if err != nil {
		return nil, fmt.Errorf("open view: %w", err)
	}
	switch res.Kind {
	case KindCheckpoint:
		return view.LatestCheckpoint()
	case KindCheckpointAt:
		return view.Checkpoint(res.Size)
	}
	// A narrower part of a tile than the log has is served too: it never
	// changes, and a client that starts from an earlier checkpoint asks for it.
	if res.available(view.Size()) < res.Width {
		return nil, h.opts.NotFound
	}
	if res.Kind == KindBundle {
		return view.Bundle(res.N, res.Width)
	}
	body, err := view.Tile(res.Level, res.N, res.Width)
	if err == nil && len(body) != res.Width*sha256.Size {
		err = fmt.Errorf("tile has %d bytes, want %d", len(body), res.Width*sha256.Size)
	}
	return body, err
}

// answer writes a resource, or nothing but headers for HEAD and for a client
// that has it already.
func answer(w http.ResponseWriter, r *http.Request, res Resource, body []byte) {
	header := w.Header()
	header.Set("Content-Type", "application/octet-stream")
	header.Set("Cache-Control", cacheForever)
	switch res.Kind {
	case KindCheckpoint:
		header.Set("Content-Type", "text/plain; charset=utf-8")
		header.Set("Cache-Control", cacheShort)
	case KindCheckpointAt:
		header.Set("Content-Type", "text/plain; charset=utf-8")
		header.Set("Cache-Control", cacheMinute) // witnesses may cosign it later
	}
	whole := body
	if res.Kind == KindBundle { // tiles are hashes: they do not get smaller
		header.Set("Vary", "Accept-Encoding")
		if acceptsGzip(r.Header.Values("Accept-Encoding")) {
			header.Set("Content-Encoding", "gzip")
			body = compress(body)
		}
	}
	if HasAlready(w, r, whole) {
		return
	}
	if r.Method != http.MethodHead && !Hold(w, len(body)) {
		return
	}
	header.Set("Content-Length", strconv.Itoa(len(body)))
	if r.Method == http.MethodHead {
		return
	}
	_, _ = w.Write(body) // the client went away: nobody is left to tell
}

// HasAlready sets the ETag of an answer, of its whole body before it was compressed,
// and answers 304 to a client that has it already. All other headers are set before.
func HasAlready(w http.ResponseWriter, r *http.Request, whole []byte) bool {
	header := w.Header()
	sum := sha256.Sum256(whole)
	tag := hex.EncodeToString(sum[:16])
	if coding := header.Get("Content-Encoding"); coding != "" {
		tag += "-" + coding // another sequence of bytes: another tag (RFC 9110, 8.8.3)
	}
	tag = `"` + tag + `"`
	header.Set("ETag", tag)
	if !matches(r.Header.Values("If-None-Match"), tag) {
		return false
	}
	w.WriteHeader(http.StatusNotModified)
	return true
}

func refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Cache-Control", cacheNever)
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, message+"\n")
}

func compress(body []byte) []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed) // the level is a valid constant
	_, _ = z.Write(body)                            // a bytes.Buffer takes every write
	_ = z.Close()
	return b.Bytes()
}

// acceptsGzip reports whether Accept-Encoding names gzip, or everything, with
// a weight above zero (RFC 9110, 12.5.3).
func acceptsGzip(values []string) bool {
	star := false
	for _, item := range strings.Split(strings.Join(values, ","), ",") {
		coding, params, _ := strings.Cut(item, ";")
		q := 1.0
		if v, ok := strings.CutPrefix(strings.ToLower(strings.TrimSpace(params)), "q="); ok {
			q, _ = strconv.ParseFloat(v, 64)
		}
		switch strings.ToLower(strings.TrimSpace(coding)) {
		case "gzip", "x-gzip":
			return q > 0
		case "*":
			star = q > 0
		}
	}
	return star
}

// matches reports whether If-None-Match names a tag (RFC 9110, 13.1.2).
func matches(values []string, tag string) bool {
	for _, item := range strings.Split(strings.Join(values, ","), ",") {
		item = strings.TrimSpace(item)
		if item == "*" || strings.TrimPrefix(item, "W/") == tag {
			return true
		}
	}
	return false
}

// Loopback reports whether a listener can be reached from this machine only.
func Loopback(l net.Listener) bool {
	a, ok := l.Addr().(*net.TCPAddr)
	return ok && a.IP.IsLoopback()
}

// Serve answers on a listener until ctx is done, then lets the requests under
// way end, for at most five seconds, and returns nil. It closes the listener.
func Serve(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{
		Handler:           h,
		MaxHeaderBytes:    maxHeaderBytes,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve: %w", err)
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if server.Shutdown(stopping) != nil { // somebody is slower than that
		if err := server.Close(); err != nil {
			return fmt.Errorf("stop server: %w", err)
		}
	}
	return nil
}
