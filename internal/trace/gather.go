package trace

import (
	"cmp"
	"errors"
	"slices"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// Limits of a trace.
const (
	// MaxDown is how many artifacts are walked downwards, unless all are asked
	// for: the base of everything may have a hundred thousand.
	MaxDown = 10_000
	// MaxEvaluations is how many evaluations of an artifact are told, the latest.
	MaxEvaluations = 100
)

// Start is where a trace begins.
type Start struct {
	Artifacts []statement.Ref // all on the ledger
	// Run is of whom the artifacts are, if a run was named. Where it made nothing,
	// the trace begins with its inputs.
	Run *account.Said
}

// Reach is how far a trace goes, and how much of it a person sees.
type Reach struct {
	Up, Down bool
	Depth    int  // generations; 0: all that are walked, of which a person sees the nearest
	All      bool // walk all, and fold nothing
}

// walked are the artifacts of one direction, nearest first, before those beyond
// --depth are left out.
type walked struct {
	list []*visited
	at   map[string]*visited // by name@version
	cut  bool
}

// visited is an artifact on a walk.
type visited struct {
	*lineage.Artifact
	steps   int              // from the nearest root
	origins []lineage.Origin // upwards, and of roots
	uses    []lineage.Use    // downwards
}

// add takes the nodes of a graph whose roots are so many steps away.
func (w *walked) add(g *lineage.Graph, steps int) {
	if w.at == nil {
		w.at = map[string]*visited{}
	}
	for _, n := range g.Nodes {
		id := n.Ref.String()
		v := w.at[id]
		if v == nil {
			v = &visited{n.Artifact, n.Depth + steps, n.Origins, n.Uses}
			w.at[id] = v
			w.list = append(w.list, v)
		}
		v.steps = min(v.steps, n.Depth+steps)
	}
	slices.SortStableFunc(w.list, func(a, b *visited) int { return cmp.Compare(a.steps, b.steps) })
	w.cut = w.cut || g.Cut
}

// tracer puts a trace together.
type tracer struct {
	book     *account.Book
	facts    *ledger.Lineage
	depth    int // 0: all
	up, down walked
	judged   map[string]*lineage.Judgement // by name@version
	stages   map[string][]account.Stage

	out   *jsonv1.Trace
	nodes map[string]int // by name@version: an index into out.Nodes
	edges map[edgeKey]bool
	runs  map[string]bool
}

type edgeKey struct {
	output, input, way string
	entry              uint64
}

// Of walks from where a trace starts, in the directions that are asked for. Who
// asked, and by what name, is for the caller to fill in.
func Of(book *account.Book, from Start, reach Reach) (*jsonv1.Trace, error) {
	t := &tracer{
		book: book, depth: reach.Depth, judged: map[string]*lineage.Judgement{},
		nodes: map[string]int{}, edges: map[edgeKey]bool{}, runs: map[string]bool{},
		out: &jsonv1.Trace{
			Roots: []string{}, Nodes: []jsonv1.TraceNode{}, Edges: []jsonv1.TraceEdge{}, Runs: []jsonv1.TraceRun{}, Missing: []jsonv1.TraceMissing{},
		},
	}
	var err error
	if t.facts, err = book.Lineage(); err != nil {
		return nil, err
	}
	root, err := book.Root()
	if err != nil {
		return nil, err
	}
	t.out.AsOf = jsonv1.AsOf{Origin: book.Origin(), Ledger: book.ID().String(), Size: book.Size(), Root: root.String(), Time: jsonv1.At(book.Time())}
	if from.Run != nil {
		e, st := from.Run.Entry, from.Run.Statement
		t.run(&lineage.Origin{
			Entry: e.Index, Time: e.Time, Signer: e.Envelope.By(), Handle: book.Handle(e), Run: st.Run, RunID: st.Nonce,
		})
	}
	var roots []*lineage.Artifact
	for _, ref := range from.Artifacts {
		artifact, err := t.facts.Artifact(ref.Name, ref.Version)
		if err != nil {
			return nil, err
		}
		t.out.Roots = append(t.out.Roots, artifact.Ref.String())
		roots = append(roots, artifact)
	}
	if err := t.walk(roots, from.Run, reach); err != nil {
		return nil, err
	}
	if t.stages, err = book.AllStages(); err != nil {
		return nil, err
	}
	return t.out, t.write()
}

// walk finds the artifacts, and what is against them.
func (t *tracer) walk(roots []*lineage.Artifact, run *account.Said, o Reach) error {
	starts, steps := roots, 0
	if len(roots) == 0 && run != nil { // it made nothing: what it was given stands one step away
		var err error
		if starts, err = t.inputs(run); err != nil {
			return err
		}
		steps = 1
	}
	if o.Up || len(roots) == 0 {
		for _, start := range starts {
			g, err := lineage.Up(t.facts, start, 0)
			if err != nil {
				return err
			}
			t.up.add(g, steps)
			t.heard(g.Judgements())
			for _, m := range g.Missing {
				t.out.Missing = append(t.out.Missing, jsonv1.TraceMissing{ID: m.Ref.String(), Entry: m.Entry})
			}
		}
	}
	if !o.Down || len(roots) == 0 {
		return nil
	}
	limit := MaxDown
	if o.All {
		limit = 0
	}
	g, err := lineage.DownFrom(t.facts, roots, limit)
	if err != nil {
		return err
	}
	t.down.add(g, 0)
	for _, v := range t.down.list {
		if v.steps == 0 {
			if v.origins, err = t.facts.Origins(v.Artifact); err != nil {
				return err
			}
		}
	}
	list := make([]*lineage.Artifact, len(t.down.list))
	for i, v := range t.down.list {
		list[i] = v.Artifact
	}
	judged, err := lineage.JudgeAll(t.facts, list) // also by what they were made of besides
	t.heard(judged)
	return err
}

// heard takes judgements: those that are whole, where there are two.
func (t *tracer) heard(judged map[string]*lineage.Judgement) {
	for id, j := range judged {
		if have := t.judged[id]; have == nil || have.Unknown {
			t.judged[id] = j
		}
	}
}

// inputs are what a run without outputs was given.
func (t *tracer) inputs(run *account.Said) (list []*lineage.Artifact, err error) {
	for _, ref := range run.Statement.Run.Inputs {
		artifact, err := t.facts.Artifact(ref.Name, ref.Version)
		if errors.Is(err, lineage.ErrNotFound) {
			t.out.Missing = append(t.out.Missing, jsonv1.TraceMissing{ID: ref.String(), Entry: run.Index})
			continue
		}
		if err != nil {
			return nil, err
		}
		list = append(list, artifact)
	}
	return list, nil
}
