package server

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/oidc"
	"github.com/stele-ml/stele/internal/wire"
	"github.com/stele-ml/stele/statement"
)

// Delegator exchanges a CI's token for a delegation: an [oidc.Exchange].
type Delegator interface {
	Delegate(context.Context, oidc.Request) (*statement.Delegation, string, error)
}

// delegations answers POST /v1/delegations.
type delegations struct {
	with Delegator
	view func() *ledger.View
	jobs *Sessions
	log  *slog.Logger
	now  func() time.Time
}

// NewDelegations returns the handler of POST /v1/delegations. It needs no scope: the
// CI's token is what lets somebody in. What it hands out is checked against the
// ledger as it is now, so that a job hears at once what admission would say later.
//
// Jobs, unless nil, is where a job gets a bearer token, too: for as long as its
// delegation is valid. The log, unless nil, hears what was given to whom, and what was
// not and why: a delegation that nobody uses leaves no other trace.
func NewDelegations(with Delegator, view func() *ledger.View, jobs *Sessions, log *slog.Logger) http.Handler {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &delegations{with, view, jobs, log, time.Now}
}

// ServeHTTP implements http.Handler.
func (h *delegations) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	answer, problem := h.delegate(r)
	w.Header().Set("Cache-Control", "no-store") // RFC 6749 section 5.1, of answers with credentials
	if problem != nil {
		problem.RequestID = RequestID(r.Context())
		h.log.Info("no delegation", "request", problem.RequestID, "code", string(problem.Code), "because", problem.Detail)
		body, err := problem.Marshal()
		if err != nil {
			http.Error(w, "internal error", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", wire.ProblemType)
		w.WriteHeader(problem.Status)
		_, _ = w.Write(body)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write(answer)
}

func (h *delegations) delegate(r *http.Request) ([]byte, *wire.Problem) {
	body, err := io.ReadAll(io.LimitReader(r.Body, wire.MaxDelegationRequest+1))
	switch {
	case err != nil:
		return nil, wire.NewProblem(http.StatusBadRequest, wire.CodeMalformed, "the request did not come whole")
	case len(body) > wire.MaxDelegationRequest:
		return nil, wire.NewProblem(http.StatusRequestEntityTooLarge, wire.CodeTooLarge, "the request is too long")
	}
	asked, err := wire.ParseDelegationRequest(body)
	if err != nil {
		return nil, wire.NewProblem(http.StatusBadRequest, wire.CodeMalformed, err.Error())
	}
	if asked.Life > int64(oidc.MaxLife/time.Second) {
		asked.Life = int64(oidc.MaxLife / time.Second)
	}
	d, rule, err := h.with.Delegate(r.Context(), oidc.Request{
		Token: asked.Token, Key: asked.Key, Proof: asked.Proof, Names: asked.Names, Kinds: asked.Kinds, Life: time.Duration(asked.Life) * time.Second,
	})
	if err != nil {
		return nil, delegationProblem(err)
	}
	if problem := h.admissible(d); problem != nil {
		return nil, problem
	}
	out := wire.Delegation{Delegation: d.Encode(), Rule: rule}
	if h.jobs != nil {
		if out.Token, err = h.jobs.open(rule, d.Key.ID(), time.UnixMilli(d.NotAfter)); err != nil {
			return nil, wire.NewProblem(http.StatusServiceUnavailable, wire.CodeUnavailable, err.Error())
		}
	}
	answer, err := out.Marshal()
	if err != nil {
		return nil, wire.NewProblem(http.StatusInternalServerError, wire.CodeInternal, "the delegation cannot be sent")
	}
	h.log.Info("delegation", "request", RequestID(r.Context()), "rule", rule, "subject", d.Subject, "source", d.Source,
		"names", d.Names, "kinds", d.Kinds, "key", d.Key.ID().String(), "until", time.UnixMilli(d.NotAfter).UTC())
	return answer, nil
}

// admissible asks the roster whether its issuer could give it, as it stands now.
func (h *delegations) admissible(d *statement.Delegation) *wire.Problem {
	view := h.view()
	control, err := view.Control()
	if err != nil {
		return wire.NewProblem(http.StatusInternalServerError, wire.CodeInternal, "the ledger's keys cannot be read")
	}
	if control.Roster() == nil {
		return wire.NewProblem(http.StatusServiceUnavailable, wire.CodeUnavailable, "the ledger has no genesis")
	}
	err = control.Roster().CheckIssued(view.Size(), max(h.now().UnixMilli(), view.Time()), d)
	if err == nil {
		return nil
	}
	p := wire.NewProblem(http.StatusForbidden, wire.CodeForbidden, err.Error())
	if errors.Is(err, statement.ErrStanding) {
		p = wire.NewProblem(http.StatusForbidden, wire.CodeUntrusted, err.Error())
	}
	p.Hint = "whoever runs the server compares its rules for tokens with what `stele key list` says of its issuer"
	return p
}

// delegationProblem makes a problem of an error of the exchange.
func delegationProblem(err error) *wire.Problem {
	var r *oidc.Refusal
	if !errors.As(err, &r) {
		return wire.NewProblem(http.StatusInternalServerError, wire.CodeInternal, "the delegation could not be signed")
	}
	status := map[string]int{
		oidc.Unauthorized: http.StatusUnauthorized, oidc.Forbidden: http.StatusForbidden,
		oidc.Malformed: http.StatusBadRequest, oidc.Unavailable: http.StatusServiceUnavailable,
	}[r.Code]
	p := wire.NewProblem(status, wire.Code(r.Code), strings.ToValidUTF8(r.Message, "?"))
	p.Hint = r.Hint
	return p
}
