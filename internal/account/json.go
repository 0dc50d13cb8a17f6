package account

import (
	"encoding/hex"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// The words for what is recorded about an artifact's origin, in --json.
const (
	OriginRecorded   = "recorded"
	OriginNotCounted = "not-counted"
	OriginNone       = "none"
)

// OriginWord is one word on what is recorded about an artifact's origin.
func OriginWord(origins []lineage.Origin) string {
	switch {
	case len(origins) == 0:
		return OriginNone
	case !lineage.Known(origins):
		return OriginNotCounted
	}
	return OriginRecorded
}

// JSON is an account in --json; see also Fill.
func (c *Account) JSON(b *Book) *jsonv1.About {
	out := &jsonv1.About{
		Name: c.Ref.Name, Version: c.Ref.Version, Fingerprint: c.Ref.Fingerprint.String(), Standing: c.Standing(), Fallen: FallenJSON(c.Judged), Taint: TaintJSON(c.Judged.Taint), Against: c.Against(),
		Origin: OriginWord(c.Origins), Origins: []jsonv1.Origin{}, Evaluations: []jsonv1.TraceEvaluation{}, Approvals: b.DecisionsJSON(c.Decisions, ""),
		Releases: []jsonv1.Release{}, Stages: []jsonv1.TraceStage{}, Imports: []jsonv1.Imported{},
	}
	for i := range c.Origins {
		out.Origins = append(out.Origins, originJSON(&c.Origins[i], c.Ref))
	}
	for _, s := range c.Stages {
		out.Stages = append(out.Stages, jsonv1.TraceStage{Stage: s.Name, Entry: s.Entry, Time: jsonv1.At(s.Time)})
	}
	for _, s := range c.Evaluations {
		out.Evaluations = append(out.Evaluations, b.EvaluationJSON(s))
	}
	for _, s := range c.Releases {
		out.Releases = append(out.Releases, b.releaseJSON(s))
	}
	for _, s := range c.Imports {
		out.Imports = append(out.Imports, b.importJSON(s))
	}
	return out
}

// originJSON is an origin in --json. of is what it was asked about.
func originJSON(o *lineage.Origin, of statement.Ref) jsonv1.Origin {
	signer := jsonv1.Signer{Handle: o.Handle, Key: o.Signer.String()}
	out := jsonv1.Origin{
		Way: o.Way, Entry: o.Entry, Time: jsonv1.At(o.Time), Signer: signer, Inputs: Names(o.Inputs), Counts: o.Counts, Why: o.Why, Fallen: o.Fallen,
	}
	if o.Of != of {
		out.Of = o.Of.String()
	}
	if o.Run != nil {
		run := RunJSON(o, signer)
		out.Run = &run
	}
	return out
}

// RunJSON is the run of an origin in --json, by that signer.
func RunJSON(o *lineage.Origin, signer jsonv1.Signer) jsonv1.TraceRun {
	r := o.Run
	run := jsonv1.TraceRun{
		Run: o.RunID.String(), Entry: o.Entry, Time: jsonv1.At(o.Time), Signer: signer, Observation: r.Observation,
		Failed: r.Failed, Exit: r.Exit, Started: jsonv1.At(r.Started), Finished: jsonv1.At(r.Finished), Inputs: Names(r.Inputs), Outputs: []string{},
	}
	if r.Code != nil {
		run.Commit, run.Dirty, run.Remote = r.Code.Commit, r.Code.Dirty, r.Code.Remote
	}
	if !r.AttemptOf.IsZero() {
		run.AttemptOf = r.AttemptOf.String()
	}
	for _, output := range r.Outputs {
		run.Outputs = append(run.Outputs, output.Ref.String())
	}
	return run
}

// Names are artifacts by name@version; never nil.
func Names(refs []statement.Ref) []string {
	list := []string{}
	for _, ref := range refs {
		list = append(list, ref.String())
	}
	return list
}

// MetricsJSON are metrics in --json.
func MetricsJSON(metrics map[string]statement.Decimal) map[string]string {
	out := map[string]string{}
	for name, value := range metrics {
		out[name] = string(value)
	}
	return out
}

// EvaluationJSON is an evaluation in --json.
func (b *Book) EvaluationJSON(s Said) jsonv1.TraceEvaluation {
	m := s.Statement.Evaluation
	return jsonv1.TraceEvaluation{
		Entry: s.Index, Time: jsonv1.At(s.Time), Signer: b.Signer(s.Entry), Standing: b.Standing(s.Entry).State,
		Metrics: MetricsJSON(m.Metrics), Datasets: Names(m.Datasets),
	}
}

// DecisionsJSON are the decisions for a stage, for all where it is empty, in
// --json.
func (b *Book) DecisionsJSON(list []Decision, stage string) []jsonv1.Approval {
	out := []jsonv1.Approval{}
	for _, d := range list {
		p := d.Statement.Approval
		if stage != "" && p.Stage != stage {
			continue
		}
		out = append(out, jsonv1.Approval{
			Entry: d.Index, Time: jsonv1.At(d.Time), Signer: b.Signer(d.Entry), Standing: b.Standing(d.Entry).State,
			Stage: p.Stage, Decision: p.Decision, Reason: p.Reason, Superseded: d.Superseded,
		})
	}
	return out
}

func (b *Book) releaseJSON(s Said) jsonv1.Release {
	p := s.Statement.Release
	return jsonv1.Release{
		Entry: s.Index, Time: jsonv1.At(s.Time), Signer: b.Signer(s.Entry), Standing: b.Standing(s.Entry).State,
		Stage: p.Stage, Action: p.Action, By: s.Statement.Subject[0].Name, Replaces: Names(p.Replaces), Reason: p.Reason,
	}
}

func (b *Book) importJSON(s Said) jsonv1.Imported {
	m := s.Statement.Import
	return jsonv1.Imported{
		Entry: s.Index, Time: jsonv1.At(s.Time), Signer: b.Signer(s.Entry), Standing: b.Standing(s.Entry).State,
		Format: m.Format, PredicateType: m.PredicateType, Method: m.Key.Method, Key: hex.EncodeToString(m.Key.SHA256[:]), Subject: m.Key.Subject,
		Ignored: m.Ignored, Builder: m.Builder, Inputs: Names(m.Inputs),
	}
}

// usesLimit is how many artifacts are counted downwards for a person who looks
// at one; `stele trace` walks further.
const usesLimit = 2_000

// Uses counts what was made of an artifact.
func (c *Account) Uses(b *Book) (jsonv1.Uses, error) {
	out := jsonv1.Uses{Kinds: map[string]uint64{}}
	made, err := b.Lineage()
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
