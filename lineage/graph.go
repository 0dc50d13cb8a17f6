package lineage

import (
	"errors"
	"fmt"

	"github.com/stele-ml/stele/statement"
)

// Graph is what a walk found. Nodes are in the order of the walk, breadth
// first, the roots at the beginning; the same facts give the same graph.
type Graph struct {
	Root    *Node // the first of Roots
	Roots   []*Node
	Nodes   []*Node
	Missing []Missing // upwards: what an entry names and the facts do not have
	Cut     bool      // a limit was reached: there may be more

	index map[binding]int // into Nodes
	edges [][]edge        // by node, upwards: over origins that count
}

type binding struct{ name, version string }

func bindingOf(r statement.Ref) binding { return binding{r.Name, r.Version} }

// Node is an artifact in a graph.
type Node struct {
	*Artifact
	Origins []Origin // upwards: all, those that do not count too
	Uses    []Use    // downwards: all, those that do not count too
	Depth   int      // steps from the nearest root
}

// Known reports whether an origin of the node counts. One without is of
// unknown origin, which is not clean.
func (n *Node) Known() bool { return Known(n.Origins) }

// Missing is an input that an entry names and the facts do not have with that
// fingerprint. On a ledger there are none: admission sees to it.
type Missing struct {
	Ref   statement.Ref // what is missing
	Of    statement.Ref // whose origin names it
	Entry uint64        // that origin
}

// edge leads from an artifact to one of the inputs of an origin.
type edge struct {
	to     int // an index into Nodes
	origin int // an index into the node's Origins
}

// Node returns the node of a name and version, or nil. Contents do not matter:
// a ledger binds a name once.
func (g *Graph) Node(ref statement.Ref) *Node {
	if i, ok := g.index[bindingOf(ref)]; ok {
		return g.Nodes[i]
	}
	return nil
}

// Up walks from an artifact to all that it was made of, over origins that
// count. The others stand at their node and are not followed. It visits at
// most limit artifacts, MaxWalk where limit is 0 or less, and each once: a
// cycle, which late runs over old stamps can make, ends it like any other. It
// takes at most MaxSteps.
func Up(f Facts, root *Artifact, limit int) (*Graph, error) {
	return UpFrom(f, []*Artifact{root}, limit)
}

// UpFrom is Up from several artifacts, of which what they share is walked once.
func UpFrom(f Facts, roots []*Artifact, limit int) (*Graph, error) {
	g := begin(roots, &limit)
	steps := 0
	for i := 0; i < len(g.Nodes) && steps <= MaxSteps; i++ {
		n := g.Nodes[i]
		origins, err := f.Origins(n.Artifact)
		if err != nil {
			return nil, fmt.Errorf("origins of %s: %w", n.Ref, err)
		}
		n.Origins = origins
		steps += len(origins)
		var edges []edge
		for at, o := range origins {
			if !o.Counts {
				continue
			}
			if steps += len(o.Inputs); steps > MaxSteps {
				break
			}
			for _, ref := range o.Inputs {
				to, err := g.input(f, n, o, ref, limit)
				if err != nil {
					return nil, err
				}
				if to >= 0 {
					edges = append(edges, edge{to, at})
				}
			}
		}
		g.edges = append(g.edges, edges)
	}
	if steps > MaxSteps {
		g.Cut = true
	}
	// What was not looked at leads nowhere.
	g.edges = append(g.edges, make([][]edge, len(g.Nodes)-len(g.edges))...)
	return g, nil
}

// begin makes a graph of roots alone, each once.
func begin(roots []*Artifact, limit *int) *Graph {
	if *limit <= 0 {
		*limit = MaxWalk
	}
	g := &Graph{index: make(map[binding]int)}
	for _, a := range roots {
		if g.Node(a.Ref) == nil {
			g.add(a, 0, *limit)
		}
	}
	g.Roots = g.Nodes[:len(g.Nodes):len(g.Nodes)]
	if len(g.Roots) > 0 {
		g.Root = g.Roots[0]
	}
	return g
}

// add appends a node, or reports that the limit is reached.
func (g *Graph) add(a *Artifact, depth, limit int) (index int, ok bool) {
	if len(g.Nodes) >= limit {
		g.Cut = true
		return -1, false
	}
	index = len(g.Nodes)
	g.index[bindingOf(a.Ref)] = index
	g.Nodes = append(g.Nodes, &Node{Artifact: a, Depth: depth})
	return index, true
}

// input returns the node of an input of an origin of n; -1 where it is missing
// or past the limit.
func (g *Graph) input(f Facts, n *Node, o Origin, ref statement.Ref, limit int) (int, error) {
	if i, ok := g.index[bindingOf(ref)]; ok && g.Nodes[i].Ref == ref {
		return i, nil
	}
	a, err := f.Artifact(ref.Name, ref.Version)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return -1, fmt.Errorf("%s, from entry %d: %w", ref, o.Entry, err)
	}
	if err != nil || a.Ref != ref {
		g.Missing = append(g.Missing, Missing{Ref: ref, Of: n.Ref, Entry: o.Entry})
		return -1, nil
	}
	i, _ := g.add(a, n.Depth+1, limit)
	return i, nil
}

// Down walks from an artifact to all that was made of it: all bindings with an
// origin that counts and leads to it. It visits at most limit artifacts,
// MaxWalk where limit is 0 or less, and each once.
func Down(u Uses, root *Artifact, limit int) (*Graph, error) {
	return DownFrom(u, []*Artifact{root}, limit)
}

// DownFrom is Down from several artifacts: from all bindings of some bytes it
// is what a withdrawal of the contents reaches.
func DownFrom(u Uses, roots []*Artifact, limit int) (*Graph, error) {
	return down(u, roots, limit, func(use *Use) bool { return use.Counts })
}

// down walks over those uses that are to be followed.
func down(u Uses, roots []*Artifact, limit int, follow func(*Use) bool) (*Graph, error) {
	g := begin(roots, &limit)
	for i := 0; i < len(g.Nodes); i++ {
		n := g.Nodes[i]
		uses, err := u.Uses(n.Artifact)
		if err != nil {
			return nil, fmt.Errorf("uses of %s: %w", n.Ref, err)
		}
		n.Uses = uses
		for k := range uses {
			if use := &uses[k]; follow(use) && g.Node(use.Output.Ref) == nil {
				g.add(use.Output, n.Depth+1, limit)
			}
		}
	}
	return g, nil
}
