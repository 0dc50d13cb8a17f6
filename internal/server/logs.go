package server

import (
	"context"
	"log/slog"
	"net/http"
)

// routeNone is the route of requests that found none: what they asked for is a
// stranger's text, and stands in no label and no line.
const routeNone = "none"

// logRequest writes the request's line. It has no path, no query and no header: they
// may hold what is nobody's business, and the route says what was asked. The error of a
// request that failed may name files of the server's.
func (f *Front) logRequest(a *answering, r *http.Request, v *visit) {
	level := slog.LevelInfo
	switch {
	case a.status >= http.StatusInternalServerError || v.failure != nil:
		level = slog.LevelWarn
	case v.route == routeLive || v.route == routeReady:
		level = slog.LevelDebug // every few seconds, by machines
	}
	if !f.o.Log.Enabled(context.Background(), level) {
		return
	}
	attrs := []slog.Attr{
		slog.String("request", v.id), slog.String("route", v.route), slog.String("method", methodOf(r.Method)),
		slog.Int("status", a.status), slog.Int64("bytes", a.bytes), slog.Float64("seconds", f.o.Now().Sub(v.began).Seconds()),
		slog.String("address", v.address),
	}
	if v.identity.Name != "" {
		attrs = append(attrs, slog.String("identity", v.identity.Name))
	}
	if v.reason != "" {
		attrs = append(attrs, slog.String("refused", v.reason))
	}
	if v.failure != nil {
		attrs = append(attrs, slog.String("error", v.failure.Error()))
	}
	f.o.Log.LogAttrs(context.Background(), level, "request", attrs...)
}

// methodOf is a method, or "other" for what a client made up.
func methodOf(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodOptions, http.MethodPatch:
		return method
	}
	return "other"
}
