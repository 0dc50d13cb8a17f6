package trace

import (
	"maps"
	"slices"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/lineage"
)

// Reached walks from contents, under all their names, to everything that was made of
// them: what a withdrawal of them would taint, and in which stages it is. However much
// that is, all of it is listed, unless it is more than a walk may find.
func Reached(b *account.Book, contents fingerprint.Fingerprint) (*jsonv1.Reach, error) {
	made, err := b.Lineage()
	if err != nil {
		return nil, err
	}
	roots, err := made.Bindings(contents)
	if err != nil {
		return nil, err
	}
	graph, err := lineage.DownFrom(made, roots, 0)
	if err != nil {
		return nil, err
	}
	stages, err := b.AllStages()
	if err != nil {
		return nil, err
	}
	out := &jsonv1.Reach{Names: []string{}, Kinds: map[string]uint64{}, Signers: map[string]uint64{}, Stages: []jsonv1.ReachedStage{}, Cut: graph.Cut}
	ways := waysBack(graph)
	in := map[string][]string{}
	for _, n := range graph.Nodes {
		item := jsonv1.Reached{
			Name: n.Ref.Name, Version: n.Ref.Version, Fingerprint: n.Ref.Fingerprint.String(), Kind: n.Stamp.Kind, Entry: n.Entry, Time: jsonv1.At(n.Time),
			Signer: jsonv1.Signer{Handle: n.Handle, Key: n.Signer.String()}, Steps: n.Depth, Path: ways.path(n),
		}
		for _, s := range stages[n.Ref.String()] {
			item.Stages = append(item.Stages, s.Name)
			in[s.Name] = append(in[s.Name], n.Ref.String())
		}
		if n.Depth == 0 {
			out.Names = append(out.Names, n.Ref.String())
		} else {
			out.Downstream++
			out.Kinds[n.Stamp.Kind]++
			out.Signers[n.Handle]++
		}
		out.Artifacts = append(out.Artifacts, item)
	}
	for _, stage := range slices.Sorted(maps.Keys(in)) {
		out.Stages = append(out.Stages, jsonv1.ReachedStage{Stage: stage, Artifacts: in[stage]})
	}
	return out, nil
}

// wayBack is the first way by which a walk downwards came to an artifact.
type wayBack struct {
	from *lineage.Node
	use  *lineage.Use
}

type waysTo map[string]wayBack // by name@version

func waysBack(g *lineage.Graph) waysTo {
	ways := waysTo{}
	for _, n := range g.Nodes {
		for i := range n.Uses {
			use := &n.Uses[i]
			id := use.Output.Ref.String()
			to := g.Node(use.Output.Ref)
			if _, met := ways[id]; !met && use.Counts && to != nil && to.Depth == n.Depth+1 {
				ways[id] = wayBack{n, use}
			}
		}
	}
	return ways
}

// path is how an artifact goes back to where the walk began.
func (w waysTo) path(n *lineage.Node) (path []jsonv1.TaintStep) {
	for {
		step := jsonv1.TaintStep{Name: n.Ref.Name, Version: n.Ref.Version}
		way, ok := w[n.Ref.String()]
		if !ok {
			return append(path, step)
		}
		step.Entry, step.Way = &way.use.Entry, way.use.Way
		path, n = append(path, step), way.from
	}
}
