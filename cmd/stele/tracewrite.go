package main

import (
	"slices"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// write puts what was walked into the words of --json, which the tree and the
// graph are drawn from, too.
func (t *tracer) write() error {
	for _, v := range t.up.list {
		if !t.within(v) {
			continue
		}
		n, err := t.node(v)
		if err != nil {
			return err
		}
		n.Up, n.Origin = &v.steps, originOf(v.origins)
		if t.depth > 0 && v.steps == t.depth {
			continue // what it was made of is left out
		}
		for i := range v.origins {
			t.edge(&v.origins[i], v.Ref)
		}
	}
	for _, v := range t.down.list {
		if !t.within(v) {
			continue
		}
		n, err := t.node(v)
		if err != nil {
			return err
		}
		n.Down = &v.steps
		if v.steps == 0 {
			n.Origin = originOf(v.origins)
		}
		if t.depth > 0 && v.steps == t.depth {
			continue
		}
		for i := range v.uses {
			t.edge(&v.uses[i].Origin, v.uses[i].Output.Ref, v.Ref)
		}
	}
	for _, id := range t.out.Roots {
		n := &t.out.Nodes[t.nodes[id]]
		n.Fallen, n.Taint = fallenJSON(t.judged[id]), taintJSON(t.judged[id].Taint)
		for _, w := range t.r.withdrawnPlaces(t.judged[id].Artifact.Ref) {
			n.Places = append(n.Places, jsonv1.TraceWithdrawal{
				Entry: w.Entry, Time: jsonv1.At(w.Time), Target: w.Target, Effect: w.Effect, Reason: w.Reason, Handle: w.Handle, Location: w.Location,
			})
		}
	}
	t.out.Cut = t.out.Cut || t.up.cut || t.down.cut
	t.out.Counts = jsonv1.TraceCounts{Up: t.count(&t.up), Down: t.count(&t.down)}
	return nil
}

// within reports whether an artifact is near enough.
func (t *tracer) within(v *visited) bool {
	near := t.depth == 0 || v.steps <= t.depth
	t.out.Cut = t.out.Cut || !near
	return near
}

// node is the artifact in --json, made the first time that it is met.
func (t *tracer) node(v *visited) (*jsonv1.TraceNode, error) {
	id := v.Ref.String()
	if i, ok := t.nodes[id]; ok {
		return &t.out.Nodes[i], nil
	}
	j := t.judged[id]
	n := jsonv1.TraceNode{
		ID: id, Name: v.Ref.Name, Version: v.Ref.Version, Fingerprint: v.Ref.Fingerprint.String(), Kind: v.Stamp.Kind,
		Files: v.Stamp.Files, Bytes: v.Stamp.Bytes, Entry: v.Entry, Time: jsonv1.At(v.Time), Signer: t.r.signerAt(v.Entry, v.Handle, v.Signer),
		Standing: j.Word(), Fallen: nearestFallen(j), Withdrawn: withdrawalsInForce(j), Taint: taintBrief(j.Taint), Origin: originRecorded, Stages: t.stages[id],
	}
	t.out.Unknown = t.out.Unknown || n.Standing == standingUnknown
	for i := range n.Stages {
		e, err := t.r.Entry(n.Stages[i].Entry)
		if err != nil {
			return nil, err
		}
		n.Stages[i].Time = jsonv1.At(e.Time)
	}
	var err error
	if n.Evaluations, err = t.r.evaluationsOf(v.Ref); err != nil {
		return nil, err
	}
	t.nodes[id] = len(t.out.Nodes)
	t.out.Nodes = append(t.out.Nodes, n)
	return &t.out.Nodes[len(t.out.Nodes)-1], nil
}

// originOf is one word on what is recorded about an artifact's origin.
func originOf(origins []lineage.Origin) string {
	switch {
	case len(origins) == 0:
		return originNone
	case !lineage.Known(origins):
		return originNotCounted
	}
	return originRecorded
}

// edge writes an origin of output: from all its inputs, or from those given.
func (t *tracer) edge(o *lineage.Origin, output statement.Ref, inputs ...statement.Ref) {
	if inputs == nil {
		inputs = o.Inputs
	}
	e := jsonv1.TraceEdge{
		Output: output.String(), Way: o.Way, Entry: o.Entry, Time: jsonv1.At(o.Time), Signer: t.r.signerAt(o.Entry, o.Handle, o.Signer), Counts: o.Counts, Why: o.Why,
		Fallen: o.Fallen,
	}
	if o.Of != output {
		e.Of = o.Of.String()
	}
	if o.Run != nil {
		e.Run = o.RunID.String()
		t.run(o)
	}
	for _, input := range inputs {
		e.Input = input.String()
		key := edgeKey{e.Output, e.Input, e.Way, e.Entry}
		if !t.edges[key] {
			t.edges[key] = true
			t.out.Edges = append(t.out.Edges, e)
		}
	}
}

// run writes a run, once.
func (t *tracer) run(o *lineage.Origin) {
	id := o.RunID.String()
	if t.runs[id] {
		return
	}
	t.runs[id] = true
	r := o.Run
	run := jsonv1.TraceRun{
		Run: id, Entry: o.Entry, Time: jsonv1.At(o.Time), Signer: t.r.signerAt(o.Entry, o.Handle, o.Signer), Observation: r.Observation,
		Failed: r.Failed, Exit: r.Exit, Started: jsonv1.At(r.Started), Finished: jsonv1.At(r.Finished), Inputs: []string{}, Outputs: []string{},
	}
	if r.Code != nil {
		run.Commit, run.Dirty, run.Remote = r.Code.Commit, r.Code.Dirty, r.Code.Remote
	}
	if !r.AttemptOf.IsZero() {
		run.AttemptOf = r.AttemptOf.String()
	}
	for _, ref := range r.Inputs {
		run.Inputs = append(run.Inputs, ref.String())
	}
	for _, output := range r.Outputs {
		run.Outputs = append(run.Outputs, output.Ref.String())
	}
	t.out.Runs = append(t.out.Runs, run)
}

// count counts the artifacts of a direction besides the roots, those beyond
// --depth too.
func (t *tracer) count(w *walked) jsonv1.TraceCount {
	c := jsonv1.TraceCount{Kinds: map[string]uint64{}, More: w.cut}
	for _, v := range w.list {
		if v.steps == 0 {
			continue
		}
		c.Artifacts++
		c.Kinds[v.Stamp.Kind]++
		switch t.judged[v.Ref.String()].Word() {
		case standingUntrusted:
			c.Untrusted++
		case standingWithdrawn:
			c.Withdrawn++
		case standingTainted:
			c.Tainted++
		}
		if len(t.stages[v.Ref.String()]) > 0 {
			c.Staged++
		}
		if w == &t.up && !lineage.Known(v.origins) {
			c.NoOrigin++
		}
	}
	return c
}

func signerJSON(handle string, key statement.KeyID) jsonv1.Signer {
	return jsonv1.Signer{Handle: handle, Key: key.String()}
}

// taintJSON is a taint in --json, with all paths; nil for none.
func taintJSON(t *lineage.Taint) *jsonv1.Taint {
	out := taintBrief(t)
	if t == nil {
		return out
	}
	for i := range t.Causes {
		out.Causes[i].Path = stepsJSON(t.Causes[i].Path())
	}
	return out
}

// taintBrief is taintJSON without the paths, which of a chain are as long as it.
func taintBrief(t *lineage.Taint) *jsonv1.Taint {
	if t == nil {
		return nil
	}
	out := &jsonv1.Taint{Effect: t.Effect(), More: t.More}
	for _, c := range t.Causes {
		w := c.Withdrawal
		out.Causes = append(out.Causes, jsonv1.TaintCause{
			Name: w.Ref.Name, Version: w.Ref.Version, Fingerprint: w.Ref.Fingerprint.String(), Entry: w.Entry, Time: jsonv1.At(w.Time),
			Effect: w.Effect, Reason: w.Reason, Handle: w.Handle, At: c.At().String(), Steps: c.Distance(), Next: c.Next().String(),
		})
	}
	return out
}

// stagesNow is which stages each artifact is in, by name@version; since when is
// filled in for those that are told.
func (r *reading) stagesNow() (map[string][]jsonv1.TraceStage, error) {
	in := map[string][]jsonv1.TraceStage{}
	for stage, err := range r.Stages() {
		if err != nil {
			return nil, err
		}
		list, err := r.InStage(stage)
		if err != nil {
			return nil, err
		}
		for _, p := range list {
			id := p.Ref.String()
			in[id] = append(in[id], jsonv1.TraceStage{Stage: stage, Entry: p.Entry})
		}
	}
	return in, nil
}

// evaluationsOf are the latest evaluations of an artifact's contents.
func (r *reading) evaluationsOf(ref statement.Ref) (list []jsonv1.TraceEvaluation, err error) {
	var entries []uint64
	for i, err := range r.About(ref.Fingerprint, statement.KindEvaluation) {
		if err != nil {
			return nil, err
		}
		entries = append(entries, i)
	}
	entries = entries[max(len(entries)-traceEvaluations, 0):]
	for _, i := range slices.Backward(entries) {
		e, st, err := r.Statement(i)
		if err != nil {
			return nil, err
		}
		if st.Evaluation == nil {
			continue
		}
		list = append(list, r.evaluationJSON(e, st.Evaluation))
	}
	return list, nil
}

func (r *reading) evaluationJSON(e *evidence.Entry, m *statement.Evaluation) jsonv1.TraceEvaluation {
	out := jsonv1.TraceEvaluation{
		Entry: e.Index, Time: jsonv1.At(e.Time), Signer: r.signerOf(e), Standing: r.Standing(e).State, Metrics: map[string]string{}, Datasets: []string{},
	}
	for name, value := range m.Metrics {
		out.Metrics[name] = string(value)
	}
	for _, ref := range m.Datasets {
		out.Datasets = append(out.Datasets, ref.String())
	}
	return out
}
