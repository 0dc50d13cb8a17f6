package main

import (
	"slices"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// said is an entry with what it says, of what a ledger has about an artifact.
type said struct {
	*evidence.Entry
	st *statement.Statement
}

// account is what a ledger has about an artifact beside its stamp.
type account struct {
	*lineage.Artifact
	entry     *evidence.Entry
	origins   []lineage.Origin
	judged    *lineage.Judgement
	decisions []decision

	// What nothing depends on: see fill.
	evaluations []said
	releases    []said // of it, and those that replaced it
	imports     []said
	stages      []jsonv1.TraceStage // that it is in
}

// decision is an approval or a rejection, and the entry by which the same person
// decided otherwise, or again.
type decision struct {
	said
	superseded *uint64
}

// counts reports whether the decision is its author's last word, and the
// author's word counts.
func (d *decision) counts(r *reading) bool { return d.superseded == nil && r.standingOf(d.Entry).OK }

// accountOf gathers what is known of an artifact: whether it holds, what it was
// made of, who decided on it.
func (r *reading) accountOf(b ledger.Binding) (*account, error) {
	made, artifact, err := r.artifactOf(b.Ref())
	if err != nil {
		return nil, err
	}
	c := &account{Artifact: artifact}
	if c.entry, err = r.Entry(b.Entry); err != nil {
		return nil, err
	}
	if c.origins, err = made.Origins(artifact); err != nil {
		return nil, err
	}
	if c.judged, err = r.judgementOn(c.Ref); err != nil {
		return nil, err
	}
	c.decisions, err = r.decisionsOn(c.Ref)
	return c, err
}

// fill gathers the rest of what there is about an artifact.
func (c *account) fill(r *reading) (err error) {
	if c.evaluations, err = r.saidOf(c.Ref, statement.KindEvaluation); err != nil {
		return err
	}
	if c.releases, err = r.saidOf(c.Ref, statement.KindRelease); err != nil {
		return err
	}
	if c.imports, err = r.saidOf(c.Ref, statement.KindImport); err != nil {
		return err
	}
	c.stages, err = r.stagesOf(c.Ref)
	return err
}

// saidOf are the entries of a kind about an artifact under its name, in order;
// of releases also those that replaced it.
func (r *reading) saidOf(ref statement.Ref, kind statement.Kind) (list []said, err error) {
	for i, err := range r.About(ref.Fingerprint, kind) {
		if err != nil {
			return nil, err
		}
		e, st, err := r.statement(i)
		if err != nil {
			return nil, err
		}
		about, err := st.Ref()
		if err != nil {
			return nil, err
		}
		if about == ref || st.Release != nil && slices.Contains(st.Release.Replaces, ref) {
			list = append(list, said{e, st})
		}
	}
	return list, nil
}

// decisionsOn are the approvals and rejections of an artifact, in order. Who
// decides again on the same stage, decides for all that they said before.
func (r *reading) decisionsOn(ref statement.Ref) ([]decision, error) {
	entries, err := r.saidOf(ref, statement.KindApproval)
	if err != nil {
		return nil, err
	}
	list := make([]decision, len(entries))
	last := map[string]uint64{} // by handle and stage
	for i, s := range slices.Backward(entries) {
		list[i].said = s
		who := r.signerOf(s.Entry).Handle + " " + s.st.Approval.Stage
		if later, ok := last[who]; ok {
			list[i].superseded = &later
		} else if r.standingOf(s.Entry).OK {
			last[who] = s.Index
		}
	}
	return list, nil
}

// stagesOf are the stages that an artifact is in.
func (r *reading) stagesOf(ref statement.Ref) (list []jsonv1.TraceStage, err error) {
	for stage, err := range r.Stages() {
		if err != nil {
			return nil, err
		}
		placed, err := r.InStage(stage)
		if err != nil {
			return nil, err
		}
		for _, p := range placed {
			if p.Ref != ref {
				continue
			}
			e, err := r.Entry(p.Entry)
			if err != nil {
				return nil, err
			}
			list = append(list, jsonv1.TraceStage{Stage: stage, Entry: p.Entry, Time: jsonv1.At(e.Time)})
		}
	}
	return list, nil
}

// standing is one word on the artifact.
func (c *account) standing() string { return c.judged.Word() }

// against is what is wrong with the artifact beside its own withdrawals and its
// taint, a line each.
func (c *account) against() []string { return append(fallLines(c.judged), memberLines(c.judged)...) }

// json is what --json prints.
func (c *account) json(r *reading) *jsonv1.About {
	out := &jsonv1.About{
		Name: c.Ref.Name, Version: c.Ref.Version, Fingerprint: c.Ref.Fingerprint.String(), Standing: c.standing(), Fallen: fallenJSON(c.judged), Taint: taintJSON(c.judged.Taint), Against: c.against(),
		Origin: originOf(c.origins), Origins: []jsonv1.Origin{}, Evaluations: []jsonv1.TraceEvaluation{}, Approvals: r.decisionsJSON(c.decisions, ""),
		Releases: []jsonv1.Release{}, Stages: append([]jsonv1.TraceStage{}, c.stages...), Imports: []jsonv1.Imported{},
	}
	for i := range c.origins {
		out.Origins = append(out.Origins, originJSON(&c.origins[i], c.Ref))
	}
	for _, s := range c.evaluations {
		out.Evaluations = append(out.Evaluations, r.evaluationJSON(s.Entry, s.st.Evaluation))
	}
	for _, s := range c.releases {
		out.Releases = append(out.Releases, r.releaseJSON(s))
	}
	for _, s := range c.imports {
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
func (r *reading) decisionsJSON(list []decision, stage string) []jsonv1.Approval {
	out := []jsonv1.Approval{}
	for _, d := range list {
		p := d.st.Approval
		if stage != "" && p.Stage != stage {
			continue
		}
		out = append(out, jsonv1.Approval{
			Entry: d.Index, Time: jsonv1.At(d.Time), Signer: r.signerOf(d.Entry), Standing: r.standingOf(d.Entry).State,
			Stage: p.Stage, Decision: p.Decision, Reason: p.Reason, Superseded: d.superseded,
		})
	}
	return out
}

func (r *reading) releaseJSON(s said) jsonv1.Release {
	p := s.st.Release
	return jsonv1.Release{
		Entry: s.Index, Time: jsonv1.At(s.Time), Signer: r.signerOf(s.Entry), Standing: r.standingOf(s.Entry).State,
		Stage: p.Stage, Action: p.Action, By: s.st.Subject[0].Name, Replaces: namesOf(p.Replaces), Reason: p.Reason,
	}
}

func (r *reading) importJSON(s said) jsonv1.Imported {
	m := s.st.Import
	return jsonv1.Imported{
		Entry: s.Index, Time: jsonv1.At(s.Time), Signer: r.signerOf(s.Entry), Standing: r.standingOf(s.Entry).State,
		Format: m.Format, PredicateType: m.PredicateType, Method: m.Key.Method, Key: hexOf(m.Key.SHA256), Subject: m.Key.Subject,
		Ignored: m.Ignored, Builder: m.Builder, Inputs: namesOf(m.Inputs),
	}
}

// usesLimit is how many artifacts are counted downwards for a person who looks
// at one; `stele trace` walks further.
const usesLimit = 2_000

// usesOf counts what was made of an artifact.
func (r *reading) usesOf(c *account) (jsonv1.Uses, error) {
	out := jsonv1.Uses{Kinds: map[string]uint64{}}
	made, err := r.lineage()
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
