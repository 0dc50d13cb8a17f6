package api

import (
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/wire"
	"github.com/stele-ml/stele/statement"
)

var nameOperations = []Operation{
	{
		ID: "listNames", Method: http.MethodGet, Path: "/v1/names", Scope: server.ScopeEntries,
		Doc:     "The names that have a version, in the order of their bytes.",
		Params:  []Param{{Name: "prefix", In: "query", Schema: "string", Empty: true, Doc: "names that begin so", Example: "fraud/"}, paramSize, paramLimit, paramNext},
		Replies: []Reply{{http.StatusOK, "a page of names", typeJSON, wire.Names{}}},
		handle:  (*API).names,
	},
	{
		ID: "listVersions", Method: http.MethodGet, Path: "/v1/versions", Scope: server.ScopeEntries,
		Doc:     "The versions of a name in the order they were stamped.",
		Params:  []Param{required(paramName), paramSize, paramLimit, paramNext},
		Replies: []Reply{{http.StatusOK, "a page of versions", typeJSON, wire.Versions{}}},
		handle:  (*API).versions,
	},
	{
		ID: "getArtifacts", Method: http.MethodGet, Path: "/v1/artifacts", Scope: server.ScopeEntries,
		Doc: "The artifact of a name and version, or all of a fingerprint, by page: one may be short while there is a next.",
		Params: []Param{paramName, paramVer, {Name: "fingerprint", In: "query", Schema: "string",
			Doc: "instead of name and version"}, paramSize, paramLimit, paramNext},
		Replies: []Reply{{http.StatusOK, "the artifacts", typeJSON, wire.Artifacts{}}}, Codes: []wire.Code{wire.CodeNotFound},
		handle: (*API).artifacts,
	},
	{
		ID: "getLineage", Method: http.MethodGet, Path: "/v1/lineage", Scope: server.ScopeEntries,
		Doc: "All that an artifact was made of, or that was made of it; at most 1,000 artifacts, and 100 origins of each.",
		Params: []Param{required(paramName), required(paramVer), {Name: "direction", In: "query", Schema: "string", Enum: []string{"up", "down"},
			Doc: "up: what it was made of; down: what was made of it"}, paramSize},
		Replies: []Reply{{http.StatusOK, "the lineage", typeJSON, wire.Lineage{}}}, Codes: []wire.Code{wire.CodeNotFound},
		handle: (*API).lineage,
	},
	{
		ID: "listLineageEdges", Method: http.MethodGet, Path: "/v1/lineage/edges", Scope: server.ScopeEntries,
		Doc: "The entries that say what one artifact was made of, or what was made of it, by page: all origins of one node of a lineage.",
		Params: []Param{required(paramName), required(paramVer), {Name: "direction", In: "query", Schema: "string", Enum: []string{"up", "down"},
			Doc: "up: what it was made of; down: what was made of it"}, paramSize, paramLimit, paramNext},
		Replies: []Reply{{http.StatusOK, "a page of origins", typeJSON, wire.LineageEdges{}}}, Codes: []wire.Code{wire.CodeNotFound},
		handle: (*API).edges,
	},
	{
		ID: "listStages", Method: http.MethodGet, Path: "/v1/stages", Scope: server.ScopeEntries,
		Doc:     "The stages that something was released to.",
		Params:  []Param{paramSize},
		Replies: []Reply{{http.StatusOK, "the stages", typeJSON, wire.Stages{}}},
		handle:  (*API).stages,
	},
	{
		ID: "getStage", Method: http.MethodGet, Path: "/v1/stages/{stage}", Scope: server.ScopeEntries,
		Doc: "What is in a stage, by page. A stage is what somebody released to: in one that nobody knows is nothing.",
		Params: []Param{{Name: "stage", In: "path", Schema: "string", Required: true, Doc: "the stage", Example: "production"},
			paramSize, paramLimit, paramNext},
		Replies: []Reply{{http.StatusOK, "the stage", typeJSON, wire.Stage{}}},
		handle:  (*API).stage,
	},
	{
		ID: "listContracts", Method: http.MethodGet, Path: "/v1/contracts", Scope: server.ScopeEntries,
		Doc:     "The contracts in force.",
		Params:  []Param{paramSize},
		Replies: []Reply{{http.StatusOK, "the contracts", typeJSON, wire.Contracts{}}},
		handle:  (*API).contracts,
	},
	{
		ID: "getContract", Method: http.MethodGet, Path: "/v1/contracts/{name}", Scope: server.ScopeEntries,
		Doc: "The contract of a name that is in force. There are several where its signer fell: that one keeps refusing until somebody who stands lifts or replaces it.",
		Params: []Param{{Name: "name", In: "path", Schema: "string", Required: true, Doc: "the contract's name, without its version", Example: "prod"},
			paramSize},
		Replies: []Reply{{http.StatusOK, "the contract", typeJSON, wire.Contracts{}}}, Codes: []wire.Code{wire.CodeNotFound},
		handle: (*API).contract,
	},
	{
		ID: "listIdentities", Method: http.MethodGet, Path: "/v1/identities", Scope: server.ScopeEntries,
		Doc:     "Every key that was ever registered, in order.",
		Params:  []Param{paramSize},
		Replies: []Reply{{http.StatusOK, "the keys", typeJSON, wire.Identities{}}},
		handle:  (*API).identities,
	},
}

func required(p Param) Param {
	p.Required = true
	return p
}

func (a *API) names(w http.ResponseWriter, c *call) error {
	l, err := a.page(c)
	if err != nil {
		return err
	}
	out := wire.Names{Page: wire.Page{Size: l.view.Size()}, Names: []string{}}
	prefix := c.query.Get("prefix")
	for name, err := range l.view.NamesAfter(prefix, string(l.after)) {
		if err != nil {
			return err
		}
		if len(out.Names) == l.limit {
			out.Next = l.next([]byte(out.Names[len(out.Names)-1]))
			break
		}
		out.Names = append(out.Names, name)
	}
	return writeJSON(w, c, http.StatusOK, c.cache(), out)
}

func (a *API) versions(w http.ResponseWriter, c *call) error {
	l, err := a.page(c)
	if err != nil {
		return err
	}
	name := c.query.Get("name")
	list := l.view.Versions(name)
	if len(l.after) > 0 { // an entry may bind several versions: a cursor has both
		entry, version, _ := strings.Cut(string(l.after), " ")
		index, err := decimal("cursor", entry)
		if err != nil {
			return err
		}
		list = l.view.VersionsAfter(name, index, version)
	}
	out := wire.Versions{Page: wire.Page{Size: l.view.Size()}, Versions: []wire.Binding{}}
	for b, err := range list {
		if err != nil {
			return err
		}
		if len(out.Versions) == l.limit {
			last := out.Versions[len(out.Versions)-1]
			out.Next = l.next([]byte(strconv.FormatUint(last.Entry, 10) + " " + last.Version))
			break
		}
		out.Versions = append(out.Versions, bindingOf(b.Ref(), b.Entry))
	}
	return writeJSON(w, c, http.StatusOK, c.cache(), out)
}

func bindingOf(ref statement.Ref, entry uint64) wire.Binding {
	return wire.Binding{Name: ref.Name, Version: ref.Version, Fingerprint: ref.Fingerprint.String(), Entry: entry}
}

func (a *API) stages(w http.ResponseWriter, c *call) error {
	v, err := a.viewOf(c)
	if err != nil {
		return err
	}
	out := wire.Stages{Page: wire.Page{Size: v.Size()}, Stages: []string{}}
	for stage, err := range v.Stages() {
		if err != nil {
			return err
		}
		out.Stages = append(out.Stages, stage)
	}
	return writeJSON(w, c, http.StatusOK, c.cache(), out)
}

func (a *API) stage(w http.ResponseWriter, c *call) error {
	l, err := a.page(c)
	if err != nil {
		return err
	}
	stage := c.PathValue("stage")
	if err := statement.CheckStage(stage); err != nil {
		return malformed("%v", err)
	}
	out := wire.Stage{Page: wire.Page{Size: l.view.Size()}, Stage: stage, Artifacts: []wire.Placed{}}
	list, err := l.view.InStage(stage)
	list, out.Next, err = onePage(l, list, err)
	if err != nil {
		return err
	}
	for _, p := range list {
		out.Artifacts = append(out.Artifacts, wire.Placed{
			Name: p.Ref.Name, Version: p.Ref.Version, Fingerprint: p.Ref.Fingerprint.String(), Release: p.Entry,
		})
	}
	return writeJSON(w, c, http.StatusOK, c.cache(), out)
}

func (a *API) contracts(w http.ResponseWriter, c *call) error {
	out, err := a.inForce(c, func(string) bool { return true })
	if err != nil {
		return err
	}
	return writeJSON(w, c, http.StatusOK, c.cache(), out)
}

func (a *API) contract(w http.ResponseWriter, c *call) error {
	name := c.PathValue("name")
	out, err := a.inForce(c, func(other string) bool { return other == name })
	if err != nil {
		return err
	}
	if len(out.Contracts) == 0 {
		return notFound("no contract %.80q is in force", name)
	}
	return writeJSON(w, c, http.StatusOK, c.cache(), out)
}

// inForce are the contracts in force whose name is wanted.
func (a *API) inForce(c *call, wanted func(name string) bool) (*wire.Contracts, error) {
	v, err := a.viewOf(c)
	if err != nil {
		return nil, err
	}
	control, err := v.Control()
	if err != nil {
		return nil, err
	}
	out := &wire.Contracts{Page: wire.Page{Size: v.Size()}, Contracts: []wire.Contract{}}
	for _, e := range control.ContractsInForce() {
		if !wanted(e.Name) {
			continue
		}
		by, err := v.Entry(e.Entry)
		if err != nil {
			return nil, err
		}
		signer, err := signerOf(control, by.Envelope)
		if err != nil {
			return nil, err
		}
		out.Contracts = append(out.Contracts, wire.Contract{
			ID: e.Name + "@" + strconv.FormatUint(e.Version, 10), Entry: e.Entry, Since: e.Time, Signer: signer,
			SHA256: hex.EncodeToString(e.Digest[:]), Document: e.Document,
		})
	}
	return out, nil
}

func (a *API) identities(w http.ResponseWriter, c *call) error {
	v, err := a.viewOf(c)
	if err != nil {
		return err
	}
	control, err := v.Control()
	if err != nil {
		return err
	}
	out := wire.Identities{Page: wire.Page{Size: v.Size()}, Identities: []wire.Identity{}}
	for _, m := range control.Roster().Members() {
		id := wire.Identity{
			Handle: m.Handle, Key: m.Key.ID(), Roles: slices.Clone(m.Roles), Names: m.Names, Entry: m.Entry, Expires: m.Expires,
			Retired: m.Retired, Since: m.Since, Recovery: m.Recovery,
		}
		for _, k := range m.Kinds {
			id.Kinds = append(id.Kinds, string(k))
		}
		out.Identities = append(out.Identities, id)
	}
	return writeJSON(w, c, http.StatusOK, c.cache(), out)
}
