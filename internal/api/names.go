package api

import (
	"encoding/hex"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/wire"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// maxLineage is the most artifacts of one answer.
const maxLineage = 1000

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
		Doc: "The artifact of a name and version, or all of a fingerprint.",
		Params: []Param{paramName, paramVer, {Name: "fingerprint", In: "query", Schema: "string",
			Doc: "instead of name and version"}, paramSize},
		Replies: []Reply{{http.StatusOK, "the artifacts", typeJSON, wire.Artifacts{}}}, Codes: []wire.Code{wire.CodeNotFound},
		handle: (*API).artifacts,
	},
	{
		ID: "getLineage", Method: http.MethodGet, Path: "/v1/lineage", Scope: server.ScopeEntries,
		Doc: "All that an artifact was made of, or that was made of it; at most 1,000 artifacts.",
		Params: []Param{required(paramName), required(paramVer), {Name: "direction", In: "query", Schema: "string", Enum: []string{"up", "down"},
			Doc: "up: what it was made of; down: what was made of it"}, paramSize},
		Replies: []Reply{{http.StatusOK, "the lineage", typeJSON, wire.Lineage{}}}, Codes: []wire.Code{wire.CodeNotFound},
		handle: (*API).lineage,
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
		Doc: "What is in a stage.",
		Params: []Param{{Name: "stage", In: "path", Schema: "string", Required: true, Doc: "the stage", Example: "production"},
			paramSize},
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
	return writeJSON(w, c, http.StatusOK, cacheNever, out)
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
	return writeJSON(w, c, http.StatusOK, cacheNever, out)
}

func bindingOf(ref statement.Ref, entry uint64) wire.Binding {
	return wire.Binding{Name: ref.Name, Version: ref.Version, Fingerprint: ref.Fingerprint.String(), Entry: entry}
}

func artifactOf(a *lineage.Artifact) wire.Artifact {
	out := wire.Artifact{
		Binding: bindingOf(a.Ref, a.Entry), Time: a.Time,
		Signer: wire.Signer{Key: a.Signer, Handle: a.Handle}, Good: a.Standing.OK,
	}
	if a.Stamp != nil {
		out.Kind, out.Files, out.Bytes, out.Annotations = a.Stamp.Kind, a.Stamp.Files, a.Stamp.Bytes, a.Stamp.Annotations
	}
	for _, w := range a.Withdrawals {
		out.Withdrawals = append(out.Withdrawals, wire.Withdrawal{Entry: w.Entry, Target: w.Target, Effect: w.Effect, Reason: w.Reason, Handle: w.Handle})
	}
	return out
}

// lineageOf is what the ledger knows of what was made of what, as of the size that
// is asked for.
func (a *API) lineageOf(c *call) (*ledger.View, *ledger.Lineage, error) {
	v, err := a.viewOf(c)
	if err != nil {
		return nil, nil, err
	}
	x, err := v.Lineage()
	return v, x, err
}

func (a *API) artifacts(w http.ResponseWriter, c *call) error {
	v, x, err := a.lineageOf(c)
	if err != nil {
		return err
	}
	name, version, text := c.query.Get("name"), c.query.Get("version"), c.query.Get("fingerprint")
	out := wire.Artifacts{Page: wire.Page{Size: v.Size()}, Artifacts: []wire.Artifact{}}
	if (text == "") == (name == "") || (name == "") != (version == "") {
		return malformed("give name and version, or fingerprint")
	}
	if text == "" {
		one, err := x.Artifact(name, version)
		if err != nil {
			return err
		}
		out.Artifacts = append(out.Artifacts, artifactOf(one))
		return writeJSON(w, c, http.StatusOK, cacheNever, out)
	}
	fp, err := fingerprint.Parse(text)
	if err != nil {
		return malformed("fingerprint: %v", err)
	}
	list, err := x.Bindings(fp)
	if err != nil {
		return err
	}
	if len(list) == 0 {
		return notFound("%s: nothing of that fingerprint is stamped", fp)
	}
	for _, one := range list {
		out.Artifacts = append(out.Artifacts, artifactOf(one))
	}
	return writeJSON(w, c, http.StatusOK, cacheNever, out)
}

func (a *API) lineage(w http.ResponseWriter, c *call) error {
	v, x, err := a.lineageOf(c)
	if err != nil {
		return err
	}
	root, err := x.Artifact(c.query.Get("name"), c.query.Get("version"))
	if err != nil {
		return err
	}
	direction := c.query.Get("direction")
	var g *lineage.Graph
	if direction == "down" {
		g, err = lineage.Down(x, root, maxLineage)
	} else {
		direction = "up"
		g, err = lineage.Up(x, root, maxLineage)
	}
	if err != nil {
		return err
	}
	out := wire.Lineage{Page: wire.Page{Size: v.Size()}, Direction: direction, Nodes: []wire.LineageNode{}, Cut: g.Cut}
	for _, n := range g.Nodes {
		node := wire.LineageNode{Artifact: artifactOf(n.Artifact), Depth: n.Depth, Known: n.Known()}
		origins := slices.Clone(n.Origins)
		for _, u := range n.Uses {
			origins = append(origins, u.Origin)
		}
		for _, o := range origins {
			edge := wire.LineageEdge{Entry: o.Entry, Way: o.Way, Handle: o.Handle, Inputs: []string{}, Counts: o.Counts, Why: o.Why}
			for _, in := range o.Inputs {
				edge.Inputs = append(edge.Inputs, in.String())
			}
			node.Origins = append(node.Origins, edge)
		}
		out.Nodes = append(out.Nodes, node)
	}
	return writeJSON(w, c, http.StatusOK, cacheNever, out)
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
	return writeJSON(w, c, http.StatusOK, cacheNever, out)
}

func (a *API) stage(w http.ResponseWriter, c *call) error {
	v, err := a.viewOf(c)
	if err != nil {
		return err
	}
	stage := c.PathValue("stage")
	if err := statement.CheckStage(stage); err != nil {
		return malformed("%v", err)
	}
	list, err := v.InStage(stage)
	if err != nil {
		return err
	}
	out := wire.Stage{Page: wire.Page{Size: v.Size()}, Stage: stage, Artifacts: []wire.Placed{}}
	for _, p := range list {
		out.Artifacts = append(out.Artifacts, wire.Placed{
			Name: p.Ref.Name, Version: p.Ref.Version, Fingerprint: p.Ref.Fingerprint.String(), Release: p.Entry,
		})
	}
	return writeJSON(w, c, http.StatusOK, cacheNever, out)
}

func (a *API) contracts(w http.ResponseWriter, c *call) error {
	v, err := a.viewOf(c)
	if err != nil {
		return err
	}
	control, err := v.Control()
	if err != nil {
		return err
	}
	out := wire.Contracts{Page: wire.Page{Size: v.Size()}, Contracts: []wire.Contract{}}
	for _, e := range control.ContractsInForce() {
		out.Contracts = append(out.Contracts, wire.Contract{
			ID: e.Name + "@" + strconv.FormatUint(e.Version, 10), Entry: e.Entry, SHA256: hex.EncodeToString(e.Digest[:]), Document: e.Document,
		})
	}
	return writeJSON(w, c, http.StatusOK, cacheNever, out)
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
	return writeJSON(w, c, http.StatusOK, cacheNever, out)
}
