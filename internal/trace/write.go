package trace

import (
	"slices"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/account"
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
		n.Up, n.Origin = &v.steps, account.OriginWord(v.origins)
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
			n.Origin = account.OriginWord(v.origins)
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
		n.Fallen, n.Taint = account.FallenJSON(t.judged[id]), account.TaintJSON(t.judged[id].Taint)
		for _, w := range t.book.WithdrawnPlaces(t.judged[id].Artifact.Ref) {
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
		Files: v.Stamp.Files, Bytes: v.Stamp.Bytes, Entry: v.Entry, Time: jsonv1.At(v.Time), Signer: t.book.SignerAt(v.Entry, v.Handle, v.Signer),
		Standing: j.Word(), Fallen: nearestFallen(j), Withdrawn: account.WithdrawalsJSON(j), Taint: account.TaintBrief(j.Taint), Origin: account.OriginRecorded,
	}
	t.out.Unknown = t.out.Unknown || n.Standing == lineage.Unknown
	var err error
	if n.Stages, err = t.stagesOn(id); err != nil {
		return nil, err
	}
	if n.Evaluations, err = t.evaluations(v.Ref); err != nil {
		return nil, err
	}
	t.nodes[id] = len(t.out.Nodes)
	t.out.Nodes = append(t.out.Nodes, n)
	return &t.out.Nodes[len(t.out.Nodes)-1], nil
}

// edge writes an origin of output: from all its inputs, or from those given.
func (t *tracer) edge(o *lineage.Origin, output statement.Ref, inputs ...statement.Ref) {
	if inputs == nil {
		inputs = o.Inputs
	}
	e := jsonv1.TraceEdge{
		Output: output.String(), Way: o.Way, Entry: o.Entry, Time: jsonv1.At(o.Time), Signer: t.book.SignerAt(o.Entry, o.Handle, o.Signer), Counts: o.Counts, Why: o.Why,
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
	t.out.Runs = append(t.out.Runs, account.RunJSON(o, t.book.SignerAt(o.Entry, o.Handle, o.Signer)))
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
		case lineage.Untrusted:
			c.Untrusted++
		case lineage.Withdrawn:
			c.Withdrawn++
		case lineage.Tainted:
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

// nearestFallen is why an artifact is untrusted, the first cause alone and without
// its path: of a thief's thousand stamps each would be told of eight.
func nearestFallen(j *lineage.Judgement) *jsonv1.Fallen {
	out := account.FallenBrief(j)
	if out != nil && len(out.Causes) > 1 {
		out.Causes, out.More = out.Causes[:1], true
	}
	return out
}

// stagesOn are the stages that an artifact is in, and since when.
func (t *tracer) stagesOn(id string) (list []jsonv1.TraceStage, err error) {
	for _, s := range t.stages[id] {
		e, err := t.book.Entry(s.Entry)
		if err != nil {
			return nil, err
		}
		list = append(list, jsonv1.TraceStage{Stage: s.Name, Entry: s.Entry, Time: jsonv1.At(e.Time)})
	}
	return list, nil
}

// evaluations are the latest evaluations of an artifact's contents.
func (t *tracer) evaluations(ref statement.Ref) (list []jsonv1.TraceEvaluation, err error) {
	var entries []uint64
	for i, err := range t.book.About(ref.Fingerprint, statement.KindEvaluation) {
		if err != nil {
			return nil, err
		}
		entries = append(entries, i)
	}
	entries = entries[max(len(entries)-MaxEvaluations, 0):]
	for _, i := range slices.Backward(entries) {
		e, st, err := t.book.Statement(i)
		if err != nil {
			return nil, err
		}
		if st.Evaluation != nil {
			list = append(list, t.book.EvaluationJSON(account.Said{Entry: e, Statement: st}))
		}
	}
	return list, nil
}
