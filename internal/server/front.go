package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path"
	"runtime/debug"
	"strings"
	"time"

	"github.com/stele-ml/stele/internal/wire"
)

// Rule is what the front has to know of a route.
type Rule struct {
	Name    string        // of the route, for logs and metrics: its pattern, never a path that somebody sent
	Scope   Scope         // who may use it
	Read    bool          // it is only read: GET and HEAD; otherwise the pattern says the method
	MaxBody int64         // the longest body, in bytes; 0: none is taken; UnreadBody: whatever comes, nobody reads it
	Stream  bool          // the handler reads the body as it comes; otherwise all of it is here before the handler runs
	Time    time.Duration // for the body to come, and again for the answer to go; 0: DefaultRouteTime
}

// UnreadBody is the MaxBody of a route whose handler refuses whatever comes.
const UnreadBody = -1

// How long a client has.
const (
	// DefaultRouteTime is how long the body of a request may take to come, and its
	// answer to go.
	DefaultRouteTime = 30 * time.Second
	// exchangesAtOnce is how many tokens of CI jobs are exchanged at once.
	exchangesAtOnce = 32
	// streamPause is how long a body that is streamed may rest between two pieces.
	streamPause = 20 * time.Second
	// streamGrace is how long it is waited for in all besides what its bytes earn:
	// streamRate of them a second more.
	streamGrace = 20 * time.Second
	streamRate  = 16 << 10
)

// FrontOptions are what a [Front] is made of.
type FrontOptions struct {
	Access  Access
	Limits  Limits
	Proxies Proxies
	Hosts   []string         // the names that it answers to, without ports; none: any
	Log     *slog.Logger     // nil: no log
	Metrics *Metrics         // nil: nothing is counted
	Now     func() time.Time // nil: time.Now
}

// Front stands before the routes: who may come in, how often, and with how much.
type Front struct {
	o          FrontOptions
	byAddress  *buckets
	byIdentity *buckets
	reads      places
	submits    places
	streams    places
	exchanges  places
	streamers  *shares // of the streams
	bodies     *shares // of the bytes of bodies in memory
	answers    *shares // of the bytes of large answers
	waiting    waiting
}

// NewFront returns a front.
func NewFront(o FrontOptions) *Front {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	o.Limits = o.Limits.withDefaults()
	l := o.Limits
	f := &Front{
		o:          o,
		byAddress:  newBuckets(l.AddressRate, l.Burst, o.Now),
		byIdentity: newBuckets(l.IdentityRate, l.Burst, o.Now),
		reads:      make(places, l.Reads),
		submits:    make(places, l.Submissions),
		streams:    make(places, l.Streams),
		exchanges:  make(places, exchangesAtOnce),
		streamers:  newShares(int64(l.Streams)),
		bodies:     newShares(l.HeldBodies),
		answers:    newShares(l.HeldAnswers),
	}
	o.Metrics.watch(f)
	return f
}

// visit is one request, as long as it is here.
type visit struct {
	id       string
	began    time.Time
	identity Identity
	address  string
	network  string // of the address: what counts as one client
	route    string
	reason   string // why it was sent away
	failure  error  // of the server's own, which clients are not told
}

type visitKey struct{}

func visitOf(ctx context.Context) *visit {
	if v, ok := ctx.Value(visitKey{}).(*visit); ok {
		return v
	}
	return &visit{}
}

// RequestID returns the server's own id of a request, "" outside of one.
func RequestID(ctx context.Context) string { return visitOf(ctx).id }

// Failed has the log say why a request failed: what its client is not told.
func Failed(ctx context.Context, err error) { visitOf(ctx).failure = err }

// IdentityOf returns who asks.
func IdentityOf(ctx context.Context) Identity { return visitOf(ctx).identity }

// newRequestID is the server's own: a client's could be another's, or a forged line
// of the log.
func newRequestID() string {
	var b [10]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	return hex.EncodeToString(b[:])
}

// Handler puts before all routes what comes first for every request: its id, the
// host that it asks for, its line in the log and its counting.
func (f *Front) Handler(routes http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := &visit{id: newRequestID(), began: f.o.Now(), route: routeNone}
		r = r.WithContext(context.WithValue(r.Context(), visitKey{}, v))
		a := &answering{ResponseWriter: w, control: http.NewResponseController(w), front: f, visit: v}
		h := w.Header()
		h.Set(wire.HeaderRequestID, v.id)
		h.Set("X-Content-Type-Options", "nosniff")
		if len(r.TransferEncoding) > 0 {
			// It may have had a length as well, which net/http does not tell: where a proxy
			// went by that, what follows is another client's (RFC 9112, section 6.1).
			h.Set("Connection", "close")
		}
		f.o.Metrics.inFlight.Inc()
		defer f.done(a, r, v)
		local := r.Context().Value(socketKey{}) != nil
		if local {
			v.address = "socket"
		} else {
			addr := f.o.Proxies.of(r)
			v.address, v.network = addr.String(), limitKey(addr)
			if wait := f.byAddress.take(v.network); wait > 0 {
				f.sendAway(a, v, tooOften("address", wait))
				return
			}
		}
		if !local && !hostAmong(f.o.Hosts, r.Host) {
			f.sendAway(a, v, deny(http.StatusMisdirectedRequest, wire.CodeForbidden, "host", "this server does not answer to that host name", ""))
			return
		}
		if clean := path.Clean(r.URL.Path); clean != r.URL.Path && clean+"/" != r.URL.Path {
			NoRoute().ServeHTTP(a, r) // a ServeMux would lead there
			return
		}
		routes.ServeHTTP(a, r)
	})
}

// hostAmong reports whether a Host header, its port aside, is one of the names.
func hostAmong(names []string, host string) bool {
	if len(names) == 0 {
		return true
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	for _, name := range names {
		if strings.EqualFold(host, name) {
			return true
		}
	}
	return false
}

// Route puts the front's rules before the handler of one route: scope, limits of
// rate, of body and of time. It is for handlers below [Front.Handler].
func (f *Front) Route(rule Rule, next http.Handler) http.Handler {
	if rule.Time == 0 {
		rule.Time = DefaultRouteTime
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v := visitOf(r.Context())
		v.route = rule.Name
		a, ok := w.(*answering)
		if !ok {
			panic("server: a route that is not behind its front")
		}
		a.time, a.closed = rule.Time, !f.o.Access.Anonymous.Allows(rule.Scope)
		if rule.Read && r.Method != http.MethodGet && r.Method != http.MethodHead {
			LeaveUnread(a, r)
			f.sendAway(a, v, onlyRead())
			return
		}
		if d := f.admit(rule, v, r); d != nil {
			f.sendAway(a, v, d)
			return
		}
		if d := f.body(rule, a, r); d != nil {
			f.sendAway(a, v, d)
			return
		}
		defer a.releaseBody()
		kind := f.reads
		switch {
		case rule.Stream: // slow ones keep out only each other, and of those not all
			if kind = f.streams; !f.streamers.take(v.who(), 1) {
				f.sendAway(a, v, hangUp(busy(http.StatusTooManyRequests, wire.CodeRateLimited, "share", "too many uploads of one identity or address at once", time.Second)))
				return
			}
			defer f.streamers.free(v.who(), 1)
		case rule.Scope == ScopeNone: // it waits for a server that is not ours
			kind = f.exchanges
		case rule.Scope == ScopeSubmit:
			kind = f.submits
			defer f.waiting.end(f.waiting.begin(v.began))
		}
		if rule.Scope != ScopeNone || rule.MaxBody > 0 { // health is told at any time
			if d := kind.take(r); d != nil {
				f.sendAway(a, v, d)
				return
			}
			a.place = kind
			defer a.leave()
		}
		next.ServeHTTP(a, r)
	})
}

// admit decides whether somebody may use a route, and may ask again so soon.
func (f *Front) admit(rule Rule, v *visit, r *http.Request) *denial {
	if rule.Scope == ScopeNone {
		return nil
	}
	who, d := f.o.Access.identify(r)
	if d != nil {
		v.identity.Name = d.who
		return d
	}
	v.identity = who
	if who.Name != "" && v.address != "socket" {
		if wait := f.byIdentity.take(who.Name); wait > 0 {
			return tooOften("identity", wait)
		}
	}
	return f.o.Access.may(who, rule.Scope)
}

// body holds the request's body to the route's limits.
func (f *Front) body(rule Rule, a *answering, r *http.Request) *denial {
	none := r.ContentLength == 0
	if rule.MaxBody == 0 && !none {
		return hangUp(deny(http.StatusRequestEntityTooLarge, wire.CodeTooLarge, "body", "this takes no body", ""))
	}
	if none || rule.MaxBody == UnreadBody {
		return nil
	}
	if len(r.Header.Values("Content-Encoding")) > 0 {
		return hangUp(deny(http.StatusUnsupportedMediaType, wire.CodeMalformed, "body", "a body with a Content-Encoding is not taken", "send it as it is"))
	}
	if r.ContentLength > rule.MaxBody {
		return tooLong(rule)
	}
	if rule.Stream {
		r.Body = &streamed{ReadCloser: http.MaxBytesReader(a, r.Body, rule.MaxBody), control: a.control, end: time.Now().Add(rule.Time)}
		return nil
	}
	_ = a.control.SetReadDeadline(time.Now().Add(rule.Time)) // a test's recorder has none
	data, release, err := readBody(f.bodies, a.visit.who(), r.Body, r.ContentLength, rule.MaxBody)
	_ = a.control.SetReadDeadline(time.Time{}) // else it would end the request that has been read
	switch {
	case errors.Is(err, errBodyTooLong):
		return tooLong(rule)
	case errors.Is(err, errBodiesFull):
		return hangUp(busy(http.StatusServiceUnavailable, wire.CodeUnavailable, "share", "too many bodies at once", time.Second))
	case errors.Is(err, os.ErrDeadlineExceeded):
		return hangUp(deny(http.StatusRequestTimeout, wire.CodeMalformed, "slow", fmt.Sprintf("the body did not come within %s", rule.Time), ""))
	case err != nil:
		return hangUp(deny(http.StatusBadRequest, wire.CodeMalformed, "body", "the body ended too early", ""))
	}
	a.held = release
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(data)), int64(len(data))
	return nil
}

func tooLong(rule Rule) *denial {
	return hangUp(deny(http.StatusRequestEntityTooLarge, wire.CodeTooLarge, "body", fmt.Sprintf("the body is longer than the %d bytes that this takes", rule.MaxBody), ""))
}

// hangUp ends the connection after a denial: what is left of the body is not wanted.
func hangUp(d *denial) *denial {
	d.hangUp = true
	return d
}

func (f *Front) sendAway(a *answering, v *visit, d *denial) {
	v.reason = d.reason
	if d.who != "" {
		v.identity.Name = d.who
	}
	f.o.Metrics.refused.WithLabelValues(d.reason).Inc()
	d.write(a, v.id)
}

// done ends a visit: a handler that panicked has failed, and everything is written
// down and counted once.
func (f *Front) done(a *answering, r *http.Request, v *visit) {
	f.o.Metrics.inFlight.Dec()
	a.done()
	caught := recover()
	if caught != nil && caught != http.ErrAbortHandler { //nolint:errorlint // a value that was thrown
		f.o.Log.Error("a request failed", "request", v.id, "route", v.route, "panic", fmt.Sprint(caught), "stack", string(debug.Stack()))
		if a.status == 0 {
			deny(http.StatusInternalServerError, wire.CodeInternal, "panic", "the server failed", "").write(a, v.id)
			caught = nil // the answer is whole
		}
	}
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	f.o.Metrics.count(r.Method, v.route, a.status, f.o.Now().Sub(v.began))
	f.logRequest(a, r, v)
	if caught != nil {
		panic(http.ErrAbortHandler) // the answer is not whole
	}
}
