package api

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/wire"
	"github.com/stele-ml/stele/lineage"
)

// Limits of one answer.
const (
	// maxLineage is the most artifacts of a lineage.
	maxLineage = 1000
	// maxEdges is the most origins of one of its nodes.
	maxEdges = 100
	// maxLooked is the most entries that a page of artifacts looks at: not all that
	// are about some contents stamp them.
	maxLooked = 1000
)

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
	l, err := a.page(c)
	if err != nil {
		return err
	}
	x, err := l.view.Lineage()
	if err != nil {
		return err
	}
	name, version, text := c.query.Get("name"), c.query.Get("version"), c.query.Get("fingerprint")
	out := wire.Artifacts{Page: wire.Page{Size: l.view.Size()}, Artifacts: []wire.Artifact{}}
	if (text == "") == (name == "") || (name == "") != (version == "") {
		return malformed("give name and version, or fingerprint")
	}
	if text == "" {
		one, err := x.Artifact(name, version)
		if err != nil {
			return err
		}
		out.Artifacts = append(out.Artifacts, artifactOf(one))
		return writeJSON(w, c, http.StatusOK, c.cache(), out)
	}
	fp, err := fingerprint.Parse(text)
	if err != nil {
		return malformed("fingerprint: %v", err)
	}
	if err := l.bindings(x, fp, &out); err != nil {
		return err
	}
	if len(out.Artifacts) == 0 && out.Next == "" && len(l.after) == 0 {
		return notFound("%s: nothing of that fingerprint is stamped", fp)
	}
	return writeJSON(w, c, http.StatusOK, c.cache(), out)
}

// bindings is a page of what is stamped with some contents. Its cursor has an entry,
// and how many of that entry's stamps were on the page before.
func (l *list) bindings(x *ledger.Lineage, fp fingerprint.Fingerprint, out *wire.Artifacts) error {
	var from, skip uint64
	if len(l.after) > 0 {
		entry, stamps, _ := strings.Cut(string(l.after), " ")
		var err error
		if from, err = decimal("cursor", entry); err != nil {
			return err
		}
		if skip, err = decimal("cursor", stamps); err != nil {
			return err
		}
	}
	looked := 0
	for index, err := range l.view.ByFingerprintFrom(fp, from) {
		if err != nil {
			return err
		}
		if looked++; looked > maxLooked {
			out.Next = l.next(fmt.Appendf(nil, "%d 0", index))
			return nil
		}
		e, err := l.view.Entry(index)
		if err != nil {
			return err
		}
		st, err := e.Statement()
		if err != nil {
			return err
		}
		var at uint64
		for _, o := range st.Stamps() {
			if o.Ref.Fingerprint != fp {
				continue
			}
			if at++; index == from && at <= skip {
				continue
			}
			if len(out.Artifacts) == l.limit {
				out.Next = l.next(fmt.Appendf(nil, "%d %d", index, at-1))
				return nil
			}
			one, err := x.Artifact(o.Ref.Name, o.Ref.Version)
			if err != nil {
				return err
			}
			out.Artifacts = append(out.Artifacts, artifactOf(one))
		}
	}
	return nil
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
		node := wire.LineageNode{Artifact: artifactOf(n.Artifact), Depth: n.Depth, Known: n.Known(), Origins: edgesOf(n.Origins, n.Uses)}
		if len(node.Origins) > maxEdges {
			node.Origins, node.More = node.Origins[:maxEdges], true
		}
		out.Nodes = append(out.Nodes, node)
	}
	return writeJSON(w, c, http.StatusOK, c.cache(), out)
}

func edgesOf(origins []lineage.Origin, uses []lineage.Use) []wire.LineageEdge {
	var out []wire.LineageEdge
	add := func(o lineage.Origin, output string) {
		edge := wire.LineageEdge{Entry: o.Entry, Way: o.Way, Handle: o.Handle, Inputs: []string{}, Output: output, Counts: o.Counts, Why: o.Why}
		for _, in := range o.Inputs {
			edge.Inputs = append(edge.Inputs, in.String())
		}
		out = append(out, edge)
	}
	for _, o := range origins {
		add(o, "")
	}
	for _, u := range uses {
		add(u.Origin, u.Output.Ref.String())
	}
	return out
}

func (a *API) edges(w http.ResponseWriter, c *call) error {
	l, err := a.page(c)
	if err != nil {
		return err
	}
	x, err := l.view.Lineage()
	if err != nil {
		return err
	}
	of, err := x.Artifact(c.query.Get("name"), c.query.Get("version"))
	if err != nil {
		return err
	}
	out := wire.LineageEdges{Page: wire.Page{Size: l.view.Size()}, Direction: "up"}
	var origins []lineage.Origin
	var uses []lineage.Use
	if c.query.Get("direction") == "down" {
		out.Direction = "down"
		uses, err = x.Uses(of)
		uses, out.Next, err = onePage(l, uses, err)
	} else {
		origins, err = x.Origins(of)
		origins, out.Next, err = onePage(l, origins, err)
	}
	if err != nil {
		return err
	}
	if out.Edges = edgesOf(origins, uses); out.Edges == nil {
		out.Edges = []wire.LineageEdge{}
	}
	return writeJSON(w, c, http.StatusOK, c.cache(), out)
}
