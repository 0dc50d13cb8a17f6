package lineage

import (
	"cmp"
	"slices"
)

// The words for an artifact, the worst first.
const (
	Untrusted = "untrusted" // it is fallen, or was made of what is
	Withdrawn = "withdrawn" // its contents or its name are, or those of a member
	Tainted   = "tainted"   // it was made of contents that are withdrawn
	Unknown   = "unknown"   // more is recorded than a walk looks at, and what it saw is good
	Good      = "good"      // nothing is known against it, which of an unknown origin is little
)

// Judgement is what is known against an artifact, as of the facts. Every verb of
// every program takes its word from here.
type Judgement struct {
	Artifact *Artifact // its own withdrawals are those in force

	// Fallen are artifacts whose signers have no standing for the entry that
	// bound them: this one, at distance 0, or such as it was made of. Nearest
	// first, then by their entries; at most MaxCauses, and MoreFallen says that
	// there are others.
	Fallen     []Fall
	MoreFallen bool

	// Members are, of a collection, withdrawals in force of its members, however
	// deep, of the name or the contents. As Fallen; at most MaxCauses.
	Members []Cause

	// Taint is by which withdrawn contents it is tainted; nil: by none.
	Taint *Taint

	// Unknown says that the walk ended at its limit: there may be more.
	Unknown bool
}

// Fall is an artifact whose binding counts for nothing, and how it is reached.
type Fall struct {
	Artifact *Artifact
	Route
}

// Word returns the one word on the artifact: the worst that holds.
func (j *Judgement) Word() string { return j.Against().Word() }

// Judge walks everything that an artifact was made of, at most MaxWalk artifacts
// and MaxSteps, and says what is against it. What was found until a limit holds.
func Judge(f Facts, a *Artifact) (*Judgement, error) {
	g, err := UpFrom(f, []*Artifact{a}, MaxWalk)
	if err != nil {
		return nil, err
	}
	return g.Judgement(), nil
}

// Judgement returns what is against the root of an Up graph: of one by the limits
// of Judge, the same.
func (g *Graph) Judgement() *Judgement {
	j := g.judgements(1)[0]
	j.Taint = g.rootTaint()
	return j
}

// JudgeAll is Judge for every artifact of a list, by name@version. What they
// share is walked once; the limits are for all of them together.
func JudgeAll(f Facts, list []*Artifact) (map[string]*Judgement, error) {
	all := make(map[string]*Judgement, len(list))
	g, err := UpFrom(f, list, MaxWalk)
	if err != nil {
		return nil, err
	}
	judged := g.Judgements()
	for _, a := range list {
		j := judged[a.Ref.String()]
		if j == nil { // past the limit
			j = unwalked(a)
		}
		all[a.Ref.String()] = j
	}
	return all, nil
}

// unwalked is what is known of an artifact without any walk.
func unwalked(a *Artifact) *Judgement {
	j := &Judgement{Artifact: a, Unknown: true}
	if !a.Standing.OK {
		j.Fallen = []Fall{{a, Route{&link{node: &Node{Artifact: a}}}}}
	}
	return j
}

// Judgements returns what is against each node of an Up graph, by name@version.
// In a graph that is cut, or lacks what is missing, more may be wrong than it
// knows.
func (g *Graph) Judgements() map[string]*Judgement {
	all := make(map[string]*Judgement, len(g.Nodes))
	taints := g.taints(g.users())
	for i, j := range g.judgements(len(g.Nodes)) {
		j.Taint = taints[i]
		all[j.Artifact.Ref.String()] = j
	}
	return all
}

// judgements returns those of the first n nodes, without their taints.
func (g *Graph) judgements(n int) []*Judgement {
	list := make([]*Judgement, n)
	for i := range list {
		list[i] = &Judgement{Artifact: g.Nodes[i].Artifact, Unknown: g.Cut}
	}
	var fallen, withdrawn []int
	for i, node := range g.Nodes {
		if !node.Standing.OK {
			fallen = append(fallen, i)
		}
		if len(node.Withdrawals) > 0 {
			withdrawn = append(withdrawn, i)
		}
	}
	if len(fallen) > 0 {
		for i, links := range g.nearest(fallen, g.users())[:n] {
			for _, l := range links[:min(len(links), MaxCauses)] {
				list[i].Fallen = append(list[i].Fallen, Fall{l.last().Artifact, Route{l}})
			}
			list[i].MoreFallen = len(links) > MaxCauses
		}
	}
	if len(withdrawn) > 0 {
		for i, links := range g.nearest(withdrawn, g.collections())[:n] {
			for _, l := range links {
				if l.steps == 0 {
					continue // its own
				}
				for _, w := range l.last().Withdrawals {
					list[i].Members = append(list[i].Members, Cause{w, Route{l}})
				}
			}
			list[i].Members = list[i].Members[:min(len(list[i].Members), MaxCauses)]
		}
	}
	return list
}

// collections is users, as far as these are collections: of what their own
// stamps list.
func (g *Graph) collections() [][]edge {
	users := make([][]edge, len(g.Nodes))
	for from, edges := range g.edges {
		for _, e := range edges {
			if n := g.Nodes[from]; n.Origins[e.origin].Way == WayCollection && n.Origins[e.origin].Entry == n.Entry {
				users[e.to] = append(users[e.to], edge{from, e.origin})
			}
		}
	}
	return users
}

// nearest returns for every node a shortest way to each of the sources that it
// leads to, itself among them: those to the nearest, then by the sources'
// entries, and one more than MaxCauses of them at most. What is among the nearest
// of a node is among those of the next on the way.
func (g *Graph) nearest(sources []int, users [][]edge) [][]*link {
	sources = slices.Clone(sources)
	slices.SortStableFunc(sources, func(x, y int) int { return cmp.Compare(g.Nodes[x].Entry, g.Nodes[y].Entry) })
	type at struct {
		node int
		way  *link
	}
	found := make([][]*link, len(g.Nodes))
	var queue []at // nearest first, then by the source
	for _, i := range sources {
		l := &link{node: g.Nodes[i]}
		found[i] = append(found[i], l)
		queue = append(queue, at{i, l})
	}
	for k := 0; k < len(queue); k++ {
		here := queue[k]
		for _, e := range users[here.node] {
			known := found[e.to]
			if len(known) > MaxCauses || slices.ContainsFunc(known, func(l *link) bool { return l.last() == here.way.last() }) {
				continue
			}
			l := &link{node: g.Nodes[e.to], origin: e.origin, next: here.way, steps: here.way.steps + 1, end: here.way.last()}
			found[e.to] = append(known, l)
			queue = append(queue, at{e.to, l})
		}
	}
	return found
}

// Against is what a judgement says in short.
type Against struct{ Untrusted, Withdrawn, Tainted, Unknown bool }

// Against returns the judgement in short.
func (j *Judgement) Against() Against {
	return Against{
		Untrusted: len(j.Fallen) > 0,
		Withdrawn: len(j.Artifact.Withdrawals) > 0 || len(j.Members) > 0,
		Tainted:   j.Taint != nil,
		Unknown:   j.Unknown,
	}
}

// Word returns the one word: the worst that holds.
func (a Against) Word() string {
	switch {
	case a.Untrusted:
		return Untrusted
	case a.Withdrawn:
		return Withdrawn
	case a.Tainted:
		return Tainted
	case a.Unknown:
		return Unknown
	}
	return Good
}

// AllAgainst finds from below what Judge finds from above, for a whole ledger at a
// time, on which little is wrong: everything that is against something, by
// name@version. Of bad are all artifacts whose signers have no standing for what
// bound them, and all that have withdrawals in force. Each walk visits at most
// limit artifacts, MaxWalk where limit is 0 or less; where one is cut, more may be
// wrong. Whether what is withdrawn is tainted besides is not looked for.
func AllAgainst(u Uses, bad []*Artifact, limit int) (all map[string]Against, cut bool, err error) {
	all = make(map[string]Against)
	var fallen, drawn, contents []*Artifact
	for _, a := range bad {
		if !a.Standing.OK {
			fallen = append(fallen, a)
		}
		if len(a.Withdrawals) > 0 {
			drawn = append(drawn, a)
		}
		if len(a.Withdrawn()) > 0 {
			contents = append(contents, a)
		}
	}
	counts := func(use *Use) bool { return use.Counts }
	collects := func(use *Use) bool {
		return use.Counts && use.Way == WayCollection && use.Entry == use.Output.Entry
	}
	for _, walk := range []struct {
		from   []*Artifact
		follow func(*Use) bool
		mark   func(*Against, *Node)
	}{
		{fallen, counts, func(a *Against, _ *Node) { a.Untrusted = true }},
		{drawn, collects, func(a *Against, _ *Node) { a.Withdrawn = true }},
		{contents, counts, func(a *Against, n *Node) { a.Tainted = a.Tainted || n.Depth > 0 }},
	} {
		g, err := down(u, walk.from, limit, walk.follow)
		if err != nil {
			return nil, false, err
		}
		cut = cut || g.Cut
		for _, n := range g.Nodes {
			a := all[n.Ref.String()]
			walk.mark(&a, n)
			all[n.Ref.String()] = a
		}
	}
	return all, cut, nil
}
