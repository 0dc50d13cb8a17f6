package api

import (
	"errors"
	"net/http"
	"slices"
	"strconv"

	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/wire"
	"github.com/stele-ml/stele/statement"
)

func ledgerOperations() []Operation {
	return []Operation{
		{
			ID: "getLedger", Method: http.MethodGet, Path: "/v1/ledger", Scope: server.ScopeProofs,
			Doc:     "Which ledger this is, and how far it is.",
			Replies: []Reply{{http.StatusOK, "the ledger", typeJSON, wire.Ledger{}}},
			handle:  (*API).ledger,
		},
		{
			ID: "getInclusion", Method: http.MethodGet, Path: "/v1/proofs/inclusion", Scope: server.ScopeProofs,
			Doc: "The proof that an entry is in the tree of a size (RFC 6962 section 2.1.1).",
			Params: []Param{
				{Name: "index", In: "query", Schema: "integer", Required: true, Doc: "the entry", Example: "1"}, paramSize,
			},
			Replies: []Reply{{http.StatusOK, "the proof", typeJSON, wire.Proof{}}}, Codes: []wire.Code{wire.CodeNotFound},
			handle: (*API).inclusion,
		},
		{
			ID: "getConsistency", Method: http.MethodGet, Path: "/v1/proofs/consistency", Scope: server.ScopeProofs,
			Doc: "The proof that a tree begins with an earlier one (RFC 6962 section 2.1.2).",
			Params: []Param{
				{Name: "from", In: "query", Schema: "integer", Required: true, Doc: "the earlier size", Example: "1"},
				{Name: "to", In: "query", Schema: "integer", Doc: "the later size; the newest if it is not given"},
			},
			Replies: []Reply{{http.StatusOK, "the proof", typeJSON, wire.Proof{}}}, Codes: []wire.Code{wire.CodeSize},
			handle: (*API).consistency,
		},
		{
			ID: "listCheckpoints", Method: http.MethodGet, Path: "/v1/checkpoints", Scope: server.ScopeProofs,
			Doc:     "The checkpoints that were published, by size.",
			Params:  []Param{{Name: "from", In: "query", Schema: "integer", Doc: "the least size"}, paramLimit, paramNext},
			Replies: []Reply{{http.StatusOK, "a page of checkpoints", typeJSON, wire.Checkpoints{}}},
			handle:  (*API).checkpoints,
		},
		{
			ID: "getOpenAPI", Method: http.MethodGet, Path: "/v1/openapi.json", Scope: server.ScopeNone,
			Doc:     "This document.",
			Replies: []Reply{{http.StatusOK, "OpenAPI 3.1", typeJSON, nil}},
			handle:  (*API).openAPI,
		},
	}
}

func (a *API) openAPI(w http.ResponseWriter, c *call) error {
	body, err := a.document()
	if err != nil {
		return err
	}
	return write(w, c.Request, http.StatusOK, typeJSON, cacheShort, append(slices.Clone(body), '\n'))
}

// published is the checkpoint that is given to whoever asks for the newest, as
// /checkpoint gives it: with witnesses the newest that reached the quorum. Without,
// an older one that was cosigned once would hide what was withdrawn since.
func (a *API) published() ([]byte, error) {
	if a.o.Witnesses != nil {
		return a.o.Witnesses.Published(), nil
	}
	return a.o.Engine.View().LatestCheckpoint()
}

func (a *API) ledger(w http.ResponseWriter, c *call) error {
	v := a.o.Engine.View()
	newest, err := v.LatestCheckpoint()
	if err != nil {
		return err
	}
	out := wire.Ledger{
		ID: v.ID(), Origin: v.Origin(), Hash: v.Algorithm().String(), Rules: statement.Rules, Size: v.Size(), Time: v.Time(),
		Checkpoint: string(newest), Index: ledger.IndexVersion, Software: a.o.Software, Primary: a.o.Primary,
	}
	switch cosigned, err := v.Cosigned(); {
	case err == nil:
		out.Cosigned = string(cosigned)
	case !errors.Is(err, ledger.ErrNotFound):
		return err
	}
	return writeJSON(w, c, http.StatusOK, cacheNever, out)
}

func (a *API) inclusion(w http.ResponseWriter, c *call) error {
	index, err := c.number("index", 0)
	if err != nil {
		return err
	}
	v, err := a.viewOf(c)
	if err != nil {
		return err
	}
	if index >= v.Size() {
		return notFound("entry %d: the tree has %d", index, v.Size())
	}
	proof, err := v.Inclusion(index)
	if err != nil {
		return err
	}
	return proofOf(w, c, v, wire.Proof{Index: &index, Size: v.Size(), Hashes: wire.HashBytes(proof)})
}

func (a *API) consistency(w http.ResponseWriter, c *call) error {
	from, err := c.number("from", 0)
	if err != nil {
		return err
	}
	newest := a.o.Engine.View()
	to, err := c.number("to", newest.Size())
	if err != nil {
		return err
	}
	v, err := a.asOf(to)
	if err != nil {
		return err
	}
	if from < 1 || from > to {
		return malformed("from: 1 to %d are allowed", to)
	}
	proof, err := v.Consistency(from)
	if err != nil {
		return err
	}
	return proofOf(w, c, v, wire.Proof{From: &from, Size: to, Hashes: wire.HashBytes(proof)})
}

// proofOf answers with a proof, and the checkpoint of its size where one was published.
func proofOf(w http.ResponseWriter, c *call, v *ledger.View, p wire.Proof) error {
	switch signed, err := v.Checkpoint(v.Size()); {
	case err == nil:
		p.Checkpoint = string(signed)
	case !errors.Is(err, ledger.ErrNotFound):
		return err
	}
	return writeJSON(w, c, http.StatusOK, c.cacheSigned(), p)
}

func (a *API) checkpoints(w http.ResponseWriter, c *call) error {
	l, err := a.page(c)
	if err != nil {
		return err
	}
	from, err := c.number("from", 0)
	if err != nil {
		return err
	}
	if len(l.after) > 0 {
		if from, err = decimal("cursor", string(l.after)); err != nil {
			return err
		}
	}
	out := wire.Checkpoints{Page: wire.Page{Size: l.view.Size()}, Checkpoints: []wire.SignedCheckpoint{}}
	for cp, err := range l.view.Checkpoints(from) {
		if err != nil {
			return err
		}
		if len(out.Checkpoints) == l.limit {
			out.Next = l.next(strconv.AppendUint(nil, cp.Size, 10))
			break
		}
		out.Checkpoints = append(out.Checkpoints, wire.SignedCheckpoint{Size: cp.Size, Note: string(cp.Signed)})
	}
	return writeJSON(w, c, http.StatusOK, c.cacheSigned(), out)
}
