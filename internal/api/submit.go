package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/wire"
	"github.com/stele-ml/stele/statement"
)

var submitOperations = []Operation{
	{
		ID: "submitEntry", Method: http.MethodPost, Path: "/v1/entries", Scope: server.ScopeSubmit,
		Doc: "Submits a signed envelope; the answer is a receipt, with the proof. To send the same bytes again is always safe.",
		Params: []Param{{Name: "wait", In: "query", Schema: "string", Enum: []string{"cosigned"},
			Doc: "wait for a checkpoint over the entry that reached the quorum of witnesses; 202 where it is not reached in time"}},
		Takes: wire.EnvelopeType, MaxBody: MaxEnvelopeBody, Time: time.Minute,
		Replies: []Reply{
			{http.StatusCreated, "it is in the log now", typeJSON, wire.Receipt{}},
			{http.StatusOK, "it was in the log before: the first receipt", typeJSON, wire.Receipt{}},
			{http.StatusAccepted, "it is in the log, and not cosigned so far", typeJSON, wire.Receipt{}},
		},
		Codes: []wire.Code{
			wire.CodeMalformed, wire.CodeRefused, wire.CodeStale, wire.CodeUntrusted, wire.CodeNotFound, wire.CodeReadOnly,
			wire.CodeUnavailable, wire.CodeOutcomeUnknown,
		},
		handle: (*API).submit,
	},
	{
		ID: "tryStatement", Method: http.MethodPost, Path: "/v1/admission",
		Scope: server.ScopeSubmit | server.ScopeEntries, // nobody has signed it: its answer is a look at the ledger
		Doc:   "What a statement would meet if it were submitted now. Nothing is written.",
		Takes: typeJSON, TakesOf: wire.AdmissionRequest{}, MaxBody: wire.MaxAdmission,
		Replies: []Reply{{http.StatusOK, "what it would meet", typeJSON, wire.Admission{}}}, Codes: []wire.Code{wire.CodeMalformed},
		handle: (*API).admission,
	},
	{
		ID: "delegate", Method: http.MethodPost, Path: "/v1/delegations", Scope: server.ScopeNone,
		Doc:   "Exchanges a CI job's OpenID Connect token for a short-lived delegation.",
		Takes: typeJSON, TakesOf: wire.DelegationRequest{}, MaxBody: wire.MaxDelegationRequest,
		Replies: []Reply{{http.StatusCreated, "the delegation", typeJSON, wire.Delegation{}}},
		Codes:   []wire.Code{wire.CodeMalformed, wire.CodeUntrusted, wire.CodeUnavailable},
		own:     func(a *API) http.Handler { return a.o.Delegations },
	},
}

func (a *API) submit(w http.ResponseWriter, c *call) error {
	body, err := io.ReadAll(c.Body)
	if err != nil {
		return malformed("the body ended too early")
	}
	env, err := statement.ParseEnvelope(body)
	if err != nil {
		return malformed("%v", err)
	}
	if c.query.Get("wait") == "cosigned" && a.o.Witnesses == nil {
		return malformed("wait=cosigned: this server asks no witnesses; nothing was written")
	}
	done, err := a.o.Engine.Submit(c.Context(), env)
	if withdrawn(err) {
		p := wire.NewProblem(http.StatusServiceUnavailable, wire.CodeUnavailable, "it was not waited for; nothing was written")
		p.Hint = "send the same bytes again"
		return p
	}
	if err != nil {
		return err
	}
	checkpoint, view, status := done.Checkpoint, done.View, http.StatusCreated
	if done.Existed {
		status = http.StatusOK
	}
	if c.query.Get("wait") == "cosigned" {
		server.LeavePlace(w) // else whoever sends old entries again keeps all others out while witnesses are away
		signed, err := a.cosigned(c.Context(), done.Index+1)
		switch {
		case errors.Is(err, ErrNotCosigned):
			status = http.StatusAccepted
		case err != nil:
			return err
		default:
			cp, _, err := evidence.ReadCheckpoint(signed)
			if err != nil {
				return err
			}
			if view, err = a.asOf(cp.Size); err != nil {
				return err
			}
			checkpoint = signed
		}
	}
	leaf, err := view.Leaf(done.Index)
	if err != nil {
		return err
	}
	proof, err := view.Inclusion(done.Index)
	if err != nil {
		return err
	}
	return writeJSON(w, c, status, cacheNever, wire.Receipt{
		Index: done.Index, Time: done.Time, ID: env.ID(), Existed: done.Existed, Leaf: leaf,
		Inclusion: wire.HashBytes(proof), Checkpoint: string(checkpoint),
	})
}

// withdrawn reports whether a submission ended, with its request, before anything of
// it was written: an engine that cannot say so says ErrOutcomeUnknown.
func withdrawn(err error) bool {
	return !errors.Is(err, ErrOutcomeUnknown) && (errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded))
}

// cosigned waits for the witnesses, as long as a submission may.
func (a *API) cosigned(ctx context.Context, size uint64) ([]byte, error) {
	if a.o.Witnesses == nil {
		return nil, ErrNotCosigned
	}
	ctx, cancel := context.WithTimeout(ctx, cosignedTime)
	defer cancel()
	signed, err := a.o.Witnesses.Wait(ctx, size)
	if err != nil {
		return nil, errors.Join(ErrNotCosigned, err)
	}
	return signed, nil
}

func (a *API) admission(w http.ResponseWriter, c *call) error {
	body, err := io.ReadAll(c.Body)
	if err != nil {
		return malformed("the body ended too early")
	}
	q, err := wire.ParseAdmissionRequest(body)
	if err != nil {
		return malformed("%v", err)
	}
	st, err := statement.Parse(q.Payload)
	if err != nil {
		return malformed("payload: %v", err)
	}
	v := a.o.Engine.View()
	signer, err := signerOfTrial(q)
	if err != nil {
		return err
	}
	trial, err := v.Try(st, signer, a.o.Now().UnixMilli())
	if err != nil {
		return err
	}
	return writeJSON(w, c, http.StatusOK, cacheNever, admissionOf(v, trial))
}

// signerOfTrial is as whom a statement is tried.
func signerOfTrial(q *wire.AdmissionRequest) (s contract.Signer, err error) {
	if q.Key != nil {
		s.Key, s.Known = *q.Key, true
	}
	if len(q.Delegation) == 0 {
		return s, nil
	}
	if s.Delegation, err = statement.ParseDelegation(q.Delegation); err != nil {
		return s, malformed("delegation: %v", err)
	}
	if q.Key != nil && *q.Key != s.Delegation.Issuer {
		return s, malformed("key: it is not that of the delegation's issuer")
	}
	s.Key, s.Known = s.Delegation.Issuer, true
	return s, nil
}

func admissionOf(v *ledger.View, t *ledger.Trial) wire.Admission {
	out := wire.Admission{Size: v.Size(), Admitted: len(t.Refusals) == 0, Refusals: []wire.Refused{}, Rules: []wire.RuleResult{}}
	for _, r := range t.Refusals {
		out.Refusals = append(out.Refusals, wire.Refused{Rule: string(r.Rule), Class: string(r.Class), Message: r.Message, Hint: r.Hint, Entry: r.Entry})
	}
	if t.Verdict == nil {
		return out
	}
	for _, r := range t.Verdict.Results {
		out.Rules = append(out.Rules, wire.RuleResult{
			Violation: wire.Violation{Contract: r.Contract, Entry: r.Entry, Rule: r.Rule, Subject: r.Subject, Message: r.Message, Hint: r.Hint, Error: r.Error},
			OK:        r.OK, Undecided: r.Undecided,
		})
		out.Admitted = out.Admitted && r.OK
	}
	return out
}
