package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"syscall"

	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/strictjson"
	"github.com/stele-ml/stele/internal/wire"
	"github.com/stele-ml/stele/lineage"
)

// How long an answer may be kept by whoever gets it.
const (
	cacheNever  = "no-store"              // it is as of now
	cacheDay    = "public, max-age=86400" // it is as of a size: only a newer server may say it otherwise
	cacheMinute = "public, max-age=60"    // it has a checkpoint, which witnesses may cosign later
	cacheShort  = "public, max-age=300"
)

// cache is how long an answer may be kept: that as of a size which the request names
// never changes.
func (c *call) cache() string {
	if c.query.Has("size") || c.query.Has("cursor") {
		return cacheDay
	}
	return cacheNever
}

// cacheSigned is cache for an answer with a checkpoint.
func (c *call) cacheSigned() string {
	if c.query.Has("size") || c.query.Has("cursor") || c.query.Has("to") {
		return cacheMinute
	}
	return cacheNever
}

// writeJSON answers with a value.
func writeJSON(w http.ResponseWriter, c *call, status int, cache string, v any) error {
	body, err := strictjson.Marshal(v)
	if err != nil {
		return err
	}
	return write(w, c.Request, status, typeJSON, cache, append(body, '\n')) // for who reads it in a terminal
}

func write(w http.ResponseWriter, r *http.Request, status int, media, cache string, body []byte) error {
	h := w.Header()
	whole := body
	body = server.Gzip(h, r, body)
	h.Set("Content-Type", media)
	h.Set("Cache-Control", cache)
	if cache != cacheNever && server.HasAlready(w, r, whole) {
		return nil
	}
	if r.Method != http.MethodHead && !server.Hold(w, len(body)) {
		return nil
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client went away: nobody is left to tell
	return nil
}

func malformed(format string, args ...any) error {
	return wire.NewProblem(http.StatusBadRequest, wire.CodeMalformed, fmt.Sprintf(format, args...))
}

func notFound(format string, args ...any) error {
	return wire.NewProblem(http.StatusNotFound, wire.CodeNotFound, fmt.Sprintf(format, args...))
}

// fail answers with the problem that an error is.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := a.problem(err)
	if p.Status >= http.StatusInternalServerError {
		server.Failed(r.Context(), err)
	}
	out := *p
	out.RequestID = server.RequestID(r.Context())
	out.Detail = strings.ToValidUTF8(out.Detail, "?")
	body, merr := out.Marshal()
	if merr != nil {
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	switch p.Status {
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "1")
	case http.StatusTooManyRequests:
		w.Header().Set("Retry-After", strconv.Itoa(int(retryUpload.Seconds())))
	}
	_ = write(w, r, p.Status, wire.ProblemType, cacheNever, append(body, '\n'))
}

// problem is the one table of errors: docs/api.md has it for people.
func (a *API) problem(err error) *wire.Problem {
	var p *wire.Problem
	var refusal *ledger.Refusal
	var size *server.SizeError
	is := func(targets ...error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &refusal):
		return refused(refusal)
	case errors.As(err, &size):
		p = wire.NewProblem(http.StatusConflict, wire.CodeSize, size.Error())
		p.Size = &size.Have
		p.Hint = "a mirror that is behind has them later"
		return p
	case is(ErrReadOnly):
		p = wire.NewProblem(http.StatusForbidden, wire.CodeReadOnly, "this ledger is not written to here")
		p.Primary = a.o.Primary
		if p.Primary != "" {
			p.Hint = "write to " + p.Primary
		}
		return p
	case is(ErrOutcomeUnknown):
		p = wire.NewProblem(http.StatusServiceUnavailable, wire.CodeOutcomeUnknown, "it may or may not be written")
		p.Hint = "send the same bytes again: that is safe"
		return p
	case is(ErrStopped, ledger.ErrClosed, ledger.ErrIndex):
		// Why is for the server's log: it may name files, and the clock.
		p = wire.NewProblem(http.StatusServiceUnavailable, wire.CodeUnavailable, "the ledger has stopped")
		if is(syscall.ENOSPC, syscall.EDQUOT) {
			p.Detail = "the ledger has stopped: the server's disk was full"
		}
		p.Hint = "whoever runs the server finds the reason in its log, under the request's id"
		return p
	case is(syscall.ENOSPC, syscall.EDQUOT): // before what a reader made of half a document
		p = wire.NewProblem(http.StatusServiceUnavailable, wire.CodeUnavailable, "the server's disk is full")
		p.Hint = "whoever runs the server makes room; then send it again"
		return p
	case is(context.Canceled, context.DeadlineExceeded):
		return wire.NewProblem(http.StatusServiceUnavailable, wire.CodeUnavailable, "it took too long")
	case is(ErrDocument):
		return wire.NewProblem(http.StatusUnprocessableEntity, wire.CodeTampered, err.Error())
	case is(ErrNoDocument):
		return wire.NewProblem(http.StatusNotFound, wire.CodeNotFound, "it is not kept here: it never was, or it was erased")
	case is(server.ErrReadRequest):
		return wire.NewProblem(http.StatusBadRequest, wire.CodeMalformed, err.Error())
	case is(server.ErrReadIndex):
		p = wire.NewProblem(http.StatusConflict, wire.CodeIndex, err.Error())
		p.Hint = "the older of client and server must be updated"
		return p
	case is(ledger.ErrNotFound, lineage.ErrNotFound):
		return wire.NewProblem(http.StatusNotFound, wire.CodeNotFound, err.Error())
	}
	return wire.NewProblem(http.StatusInternalServerError, wire.CodeInternal, "the server failed; its log has the reason under the request's id")
}

// refused is a refusal of the ledger, in its own words.
func refused(r *ledger.Refusal) *wire.Problem {
	status, code := http.StatusUnprocessableEntity, wire.CodeRefused
	switch r.Class {
	case ledger.ClassUntrusted:
		status, code = http.StatusForbidden, wire.CodeUntrusted
	case ledger.ClassNotFound:
		status, code = http.StatusNotFound, wire.CodeNotFound
	case ledger.ClassMalformed:
		status, code = http.StatusBadRequest, wire.CodeMalformed
	case ledger.ClassStale:
		status, code = http.StatusConflict, wire.CodeStale
	}
	p := wire.NewProblem(status, code, r.Message)
	p.Rule, p.Hint, p.Entry, p.Cost = string(r.Rule), r.Hint, r.Entry, r.Cost
	for _, v := range r.Violations {
		p.Violations = append(p.Violations, wire.Violation{
			Contract: v.Contract, Entry: v.Entry, Rule: v.Rule, Subject: v.Subject, Message: v.Message, Hint: v.Hint, Error: v.Error,
		})
	}
	return p
}
