package main

import (
	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// aboutJSON is an account in --json.
func (r *reading) aboutJSON(c *account.Account) *jsonv1.About {
	out := &jsonv1.About{
		Name: c.Ref.Name, Version: c.Ref.Version, Fingerprint: c.Ref.Fingerprint.String(), Standing: c.Standing(), Fallen: fallenJSON(c.Judged), Taint: taintJSON(c.Judged.Taint), Against: c.Against(),
		Origin: originOf(c.Origins), Origins: []jsonv1.Origin{}, Evaluations: []jsonv1.TraceEvaluation{}, Approvals: r.decisionsJSON(c.Decisions, ""),
		Releases: []jsonv1.Release{}, Stages: []jsonv1.TraceStage{}, Imports: []jsonv1.Imported{},
	}
	for i := range c.Origins {
		out.Origins = append(out.Origins, originJSON(&c.Origins[i], c.Ref))
	}
	for _, s := range c.Stages {
		out.Stages = append(out.Stages, jsonv1.TraceStage{Stage: s.Name, Entry: s.Entry, Time: jsonv1.At(s.Time)})
	}
	for _, s := range c.Evaluations {
		out.Evaluations = append(out.Evaluations, r.evaluationJSON(s.Entry, s.Statement.Evaluation))
	}
	for _, s := range c.Releases {
		out.Releases = append(out.Releases, r.releaseJSON(s))
	}
	for _, s := range c.Imports {
		out.Imports = append(out.Imports, r.importJSON(s))
	}
	return out
}

// originJSON is an origin in --json. of is what it was asked about.
func originJSON(o *lineage.Origin, of statement.Ref) jsonv1.Origin {
	out := jsonv1.Origin{
		Way: o.Way, Entry: o.Entry, Time: jsonv1.At(o.Time), Signer: signerJSON(o.Handle, o.Signer), Inputs: namesOf(o.Inputs), Counts: o.Counts, Why: o.Why, Fallen: o.Fallen,
	}
	if o.Of != of {
		out.Of = o.Of.String()
	}
	if o.Run != nil {
		run := runJSON(o)
		out.Run = &run
	}
	return out
}

// namesOf are artifacts by name@version.
func namesOf(refs []statement.Ref) []string {
	list := []string{}
	for _, ref := range refs {
		list = append(list, ref.String())
	}
	return list
}

func refsJSON(refs []statement.Ref) []jsonv1.Ref {
	list := []jsonv1.Ref{}
	for _, ref := range refs {
		list = append(list, jsonv1.Ref{Name: ref.Name, Version: ref.Version, Fingerprint: ref.Fingerprint.String()})
	}
	return list
}

func metricsJSON(metrics map[string]statement.Decimal) map[string]string {
	out := map[string]string{}
	for name, value := range metrics {
		out[name] = string(value)
	}
	return out
}

// decisionsJSON are the decisions for a stage, for all where it is empty.
func (r *reading) decisionsJSON(list []account.Decision, stage string) []jsonv1.Approval {
	out := []jsonv1.Approval{}
	for _, d := range list {
		p := d.Statement.Approval
		if stage != "" && p.Stage != stage {
			continue
		}
		out = append(out, jsonv1.Approval{
			Entry: d.Index, Time: jsonv1.At(d.Time), Signer: r.signerOf(d.Entry), Standing: r.Standing(d.Entry).State,
			Stage: p.Stage, Decision: p.Decision, Reason: p.Reason, Superseded: d.Superseded,
		})
	}
	return out
}

func (r *reading) releaseJSON(s account.Said) jsonv1.Release {
	p := s.Statement.Release
	return jsonv1.Release{
		Entry: s.Index, Time: jsonv1.At(s.Time), Signer: r.signerOf(s.Entry), Standing: r.Standing(s.Entry).State,
		Stage: p.Stage, Action: p.Action, By: s.Statement.Subject[0].Name, Replaces: namesOf(p.Replaces), Reason: p.Reason,
	}
}

func (r *reading) importJSON(s account.Said) jsonv1.Imported {
	m := s.Statement.Import
	return jsonv1.Imported{
		Entry: s.Index, Time: jsonv1.At(s.Time), Signer: r.signerOf(s.Entry), Standing: r.Standing(s.Entry).State,
		Format: m.Format, PredicateType: m.PredicateType, Method: m.Key.Method, Key: hexOf(m.Key.SHA256), Subject: m.Key.Subject,
		Ignored: m.Ignored, Builder: m.Builder, Inputs: namesOf(m.Inputs),
	}
}

// usesLimit is how many artifacts are counted downwards for a person who looks
// at one; `stele trace` walks further.
const usesLimit = 2_000

// usesOf counts what was made of an artifact.
func (r *reading) usesOf(c *account.Account) (jsonv1.Uses, error) {
	out := jsonv1.Uses{Kinds: map[string]uint64{}}
	made, err := r.Lineage()
	if err != nil {
		return out, err
	}
	graph, err := lineage.Down(made, c.Artifact, usesLimit)
	if err != nil {
		return out, err
	}
	out.Cut = graph.Cut
	for _, n := range graph.Nodes {
		switch n.Depth {
		case 0:
			for _, use := range n.Uses {
				if !use.Counts {
					out.Claims++
				}
			}
			continue
		case 1:
			out.Direct++
		}
		out.All++
		out.Kinds[n.Stamp.Kind]++
	}
	return out, nil
}
