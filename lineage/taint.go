package lineage

import (
	"cmp"
	"fmt"
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

	way *link
}

// Path returns how the withdrawn contents are reached, by a shortest way: from
// the tainted artifact to the withdrawn one, both included.
func (c Cause) Path() []Step {
	path := make([]Step, 0, c.Distance()+1)
	for l := c.way; l != nil; l = l.next {
		s := Step{Ref: l.node.Ref}
		if l.next != nil {
			o := l.node.Origins[l.origin]
			s.Entry, s.Way = o.Entry, o.Way
		}
		path = append(path, s)
	}
	return path
}

// At returns the artifact at the end of the path, which holds the withdrawn
// contents: the withdrawal may name another binding of them.
func (c *Cause) At() statement.Ref { return c.way.last().Ref }

// Next returns the artifact after the first on the path.
func (c *Cause) Next() statement.Ref { return c.way.next.node.Ref }

// Distance returns how many steps away the withdrawn contents are; at least 1.
func (c Cause) Distance() int { return c.way.steps }

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

// Taints returns the taint of every node of an Up graph that has one, by
// name@version. In a graph that is cut, or lacks what is missing, more may be
// tainted than it knows.
func (g *Graph) Taints() map[string]*Taint {
	taints := make(map[string]*Taint)
	users := g.users()
	for _, s := range g.sources() {
		g.spread(s, users, func(at int, l *link) {
			n := g.Nodes[at]
			t := taints[n.Ref.String()]
			if t == nil {
				t = new(Taint)
				taints[n.Ref.String()] = t
			}
			t.add(Cause{s.withdrawal, l})
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

// TaintOf returns the taint of an artifact, nil if there is none: no counting
// origin leads to contents that are withdrawn. That is less than clean where
// an origin is unknown. A lineage of more than MaxWalk artifacts, or MaxSteps, is
// ErrTooLarge.
func TaintOf(f Facts, a *Artifact) (*Taint, error) {
	g, err := whole(f, []*Artifact{a})
	if err != nil {
		return nil, err
	}
	return g.rootTaint(), nil
}

// TaintAll returns the taint of every artifact of a list that has one, by
// name@version. What they share is walked once; together they may have MaxWalk
// artifacts in their lineage, and MaxSteps, beyond which it is ErrTooLarge.
func TaintAll(f Facts, list []*Artifact) (map[string]*Taint, error) {
	g, err := whole(f, list)
	if err != nil {
		return nil, err
	}
	taints := g.Taints()
	of := make(map[string]*Taint)
	for _, a := range list {
		if t := taints[a.Ref.String()]; t != nil {
			of[a.Ref.String()] = t
		}
	}
	return of, nil
}

// whole walks everything that the artifacts were made of.
func whole(f Facts, list []*Artifact) (*Graph, error) {
	g, err := UpFrom(f, list, MaxWalk)
	if err == nil && g.Cut {
		err = fmt.Errorf("%w: more than %d artifacts, or %d origins and inputs", ErrTooLarge, MaxWalk, MaxSteps)
	}
	return g, err
}

// rootTaint returns what Taints has for the root, at the cost of one walk
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
		c := Cause{f.withdrawal, reverse(links[f.at])}
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
