package lineage

import (
	"cmp"
	"slices"

	"github.com/stele-ml/stele/statement"
)

// Limits of a walk.
const (
	// MaxWalk is the most artifacts that a walk visits, the root included. It
	// is part of a ledger's rules: a release of what has a larger lineage is
	// refused.
	MaxWalk = 50_000

	// MaxSteps is the most that a walk upwards looks at: every origin of every
	// artifact it visits, and every input of those that count. It is part of a
	// ledger's rules, too: whoever stamps the same bytes ten thousand times does
	// not hold up the ledger.
	MaxSteps = 2_000_000

	// MaxCauses is how many causes a taint names.
	MaxCauses = 8
)

// Taint says that an artifact was made of contents that are withdrawn.
type Taint struct {
	Causes []Cause // nearest first, then by the entry of the withdrawal; at most MaxCauses
	More   int     // withdrawals that are not among them

	worst Cause
}

// Worst returns the nearest cause of the strongest effect: advise, then
// no-new-use, then stop. It may be one that Causes has no room for.
func (t *Taint) Worst() Cause { return t.worst }

// Effect returns the strongest effect of all withdrawals behind it.
func (t *Taint) Effect() string { return t.worst.Withdrawal.Effect }

// Cause is one withdrawal behind a taint, and how it is reached.
type Cause struct {
	Withdrawal Withdrawal
	Route
}

// Route is how something that is wrong is reached from an artifact that was made
// of it.
type Route struct{ way *link }

// Path returns a shortest way: from the artifact to what is wrong, both
// included.
func (r Route) Path() []Step {
	path := make([]Step, 0, r.Distance()+1)
	for l := r.way; l != nil; l = l.next {
		s := Step{Ref: l.node.Ref}
		if l.next != nil {
			o := l.node.Origins[l.origin]
			s.Entry, s.Way = o.Entry, o.Way
		}
		path = append(path, s)
	}
	return path
}

// At returns the artifact at the end of the path. Of a taint it holds the
// withdrawn contents: the withdrawal may name another binding of them.
func (r Route) At() statement.Ref { return r.way.last().Ref }

// Next returns the artifact after the first on the path; of a path of none but
// that, itself.
func (r Route) Next() statement.Ref {
	if r.way.next == nil {
		return r.way.node.Ref
	}
	return r.way.next.node.Ref
}

// Distance returns how many steps away it is: at least 1 of a taint.
func (r Route) Distance() int { return r.way.steps }

// Step is one artifact on a path.
type Step struct {
	Ref   statement.Ref
	Entry uint64 // the origin of Ref that leads on; 0 in the last step
	Way   string // of that origin; empty in the last step
}

// link is a path as its first artifact and the rest of it, which others share.
type link struct {
	node   *Node
	origin int // of the node, that leads to next
	next   *link
	steps  int   // to the end
	end    *Node // of the path; nil: node itself
}

// last returns the last node of the path.
func (l *link) last() *Node {
	if l.end == nil {
		return l.node
	}
	return l.end
}

// strength orders effects.
func strength(effect string) int {
	switch effect {
	case statement.EffectStop:
		return 3
	case statement.EffectNoNewUse:
		return 2
	case statement.EffectAdvise:
		return 1
	}
	return 0
}

// Stronger returns the stronger of two effects; an empty one is none.
func Stronger(a, b string) string {
	if strength(b) > strength(a) {
		return b
	}
	return a
}

// taints returns the taint of every node of an Up graph that has one, by its
// place in Nodes.
func (g *Graph) taints(users [][]edge) []*Taint {
	taints := make([]*Taint, len(g.Nodes))
	for _, s := range g.sources() {
		g.spread(s, users, func(at int, l *link) {
			if taints[at] == nil {
				taints[at] = new(Taint)
			}
			taints[at].add(Cause{s.withdrawal, Route{l}})
		})
	}
	return taints
}

// add takes one more cause. Those as near as another come in the order of their
// entries.
func (t *Taint) add(c Cause) {
	s, worst := strength(c.Withdrawal.Effect), strength(t.Effect())
	if s > worst || s == worst && c.Distance() < t.worst.Distance() {
		t.worst = c
	}
	at := len(t.Causes)
	for at > 0 && t.Causes[at-1].Distance() > c.Distance() {
		at--
	}
	t.Causes = slices.Insert(t.Causes, at, c)
	if len(t.Causes) > MaxCauses {
		t.Causes = t.Causes[:MaxCauses]
		t.More++
	}
}

// source is a withdrawal of contents and the nodes that have them.
type source struct {
	withdrawal Withdrawal
	nodes      []int
}

// sources returns the withdrawals of contents in the graph, by their entries.
func (g *Graph) sources() []source {
	var list []source
	at := make(map[uint64]int)
	for i, n := range g.Nodes {
		for _, w := range n.Withdrawals {
			if w.Target != statement.TargetContents {
				continue
			}
			k, ok := at[w.Entry]
			if !ok {
				k = len(list)
				at[w.Entry] = k
				list = append(list, source{withdrawal: w})
			}
			list[k].nodes = append(list[k].nodes, i)
		}
	}
	slices.SortFunc(list, func(a, b source) int { return cmp.Compare(a.withdrawal.Entry, b.withdrawal.Entry) })
	return list
}

// users returns the edges the other way round: by node, who was made of it.
func (g *Graph) users() [][]edge {
	users := make([][]edge, len(g.Nodes))
	for from, edges := range g.edges {
		for _, e := range edges {
			users[e.to] = append(users[e.to], edge{from, e.origin})
		}
	}
	return users
}

// spread calls reached for every node that is made of a source's contents, and
// does not have them itself, with a shortest path.
func (g *Graph) spread(s source, users [][]edge, reached func(at int, l *link)) {
	links := make([]*link, len(g.Nodes))
	queue := slices.Clone(s.nodes)
	for _, i := range s.nodes {
		links[i] = &link{node: g.Nodes[i]}
	}
	for k := 0; k < len(queue); k++ {
		at := queue[k]
		for _, e := range users[at] {
			if links[e.to] != nil {
				continue
			}
			l := &link{node: g.Nodes[e.to], origin: e.origin, next: links[at], steps: links[at].steps + 1, end: links[at].last()}
			links[e.to] = l
			queue = append(queue, e.to)
			reached(e.to, l)
		}
	}
}

// rootTaint returns what taints has for the root, at the cost of one walk
// however many withdrawals there are.
func (g *Graph) rootTaint() *Taint {
	type found struct {
		withdrawal Withdrawal
		at         int
	}
	var list []found
	seen := make(map[uint64]bool)
	for _, w := range g.Root.Withdrawn() {
		seen[w.Entry] = true
	}
	// links[i] leads from the node back to the root, over users.
	links := make([]*link, len(g.Nodes))
	links[0] = &link{node: g.Root}
	queue := []int{0}
	for k := 0; k < len(queue); k++ {
		at := queue[k]
		for _, w := range g.Nodes[at].Withdrawn() {
			if !seen[w.Entry] {
				seen[w.Entry] = true
				list = append(list, found{w, at})
			}
		}
		for _, e := range g.edges[at] {
			if links[e.to] == nil {
				links[e.to] = &link{node: g.Nodes[e.to], origin: e.origin, next: links[at], steps: links[at].steps + 1}
				queue = append(queue, e.to)
			}
		}
	}
	if len(list) == 0 {
		return nil
	}
	slices.SortFunc(list, func(a, b found) int {
		return cmp.Or(cmp.Compare(links[a.at].steps, links[b.at].steps), cmp.Compare(a.withdrawal.Entry, b.withdrawal.Entry))
	})
	t := new(Taint)
	for i, f := range list {
		stronger := strength(f.withdrawal.Effect) > strength(t.Effect())
		if i >= MaxCauses && !stronger {
			continue
		}
		c := Cause{f.withdrawal, Route{reverse(links[f.at])}}
		if stronger {
			t.worst = c
		}
		if i < MaxCauses {
			t.Causes = append(t.Causes, c)
		}
	}
	t.More = len(list) - len(t.Causes)
	return t
}

// reverse turns a way back to the root into the way from it. An origin is kept
// with the node that it leads to in the one and leads from in the other.
func reverse(back *link) *link {
	l := &link{node: back.node}
	for ; back.next != nil; back = back.next {
		l = &link{node: back.next.node, origin: back.origin, next: l, steps: l.steps + 1, end: l.last()}
	}
	return l
}
