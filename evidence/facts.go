package evidence

import (
	"fmt"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// facts are what the entries of a file say of artifacts, as package lineage
// asks for it: a lineage.Facts of what is in the file and nothing else.
type facts struct {
	bound   map[string]*lineage.Artifact // by name@version
	claims  map[fingerprint.Fingerprint][]lineage.Claim
	origins map[*lineage.Artifact][]lineage.Origin // those asked for already
	twice   []string                               // names that two entries bind
}

// Artifact implements lineage.Facts.
func (f *facts) Artifact(name, version string) (*lineage.Artifact, error) {
	a, ok := f.bound[name+"@"+version]
	if !ok {
		return nil, fmt.Errorf("%s@%s: %w", name, version, lineage.ErrNotFound)
	}
	return a, nil
}

// Origins implements lineage.Facts.
func (f *facts) Origins(a *lineage.Artifact) ([]lineage.Origin, error) {
	list, ok := f.origins[a]
	if ok {
		return list, nil
	}
	list = lineage.Count(a, f.claims[a.Ref.Fingerprint])
	f.origins[a] = list
	return list, nil
}

// gather collects the facts from the entries listed, in their order.
func (c *verification) gather() {
	c.facts = &facts{
		bound:   make(map[string]*lineage.Artifact),
		claims:  make(map[fingerprint.Fingerprint][]lineage.Claim),
		origins: make(map[*lineage.Artifact][]lineage.Origin),
	}
	for _, e := range c.listed {
		said := c.said(e)
		claim := func(of *lineage.Artifact) {
			fp := of.Ref.Fingerprint
			c.facts.claims[fp] = append(c.facts.claims[fp], said.Claims(of)...)
		}
		for _, o := range said.Statement.Stamps() {
			a := c.artifact(said, o)
			if have := c.facts.bound[a.Ref.String()]; have != nil {
				c.facts.twice = append(c.facts.twice, fmt.Sprintf("entries %d and %d both bind %s", have.Entry, a.Entry, a.Ref))
				continue
			}
			c.facts.bound[a.Ref.String()] = a
			claim(a)
		}
		// What is said later of an artifact that another entry bound.
		for _, ref := range saidOf(said.Statement) {
			if a := c.facts.bound[ref.String()]; a != nil && a.Ref == ref {
				claim(a)
			}
		}
	}
	for _, claims := range c.facts.claims { // once, and not for each artifact that has the same bytes
		lineage.SortClaims(claims)
	}
}

// saidOf returns the artifacts that a statement says an origin of without
// binding them.
func saidOf(st *statement.Statement) []statement.Ref {
	switch {
	case st.Run != nil:
		var refs []statement.Ref
		for _, o := range st.Run.Outputs {
			if o.Stamp == nil {
				refs = append(refs, o.Ref)
			}
		}
		return refs
	case st.Import != nil:
		if ref, err := st.Ref(); err == nil {
			return []statement.Ref{ref}
		}
	}
	return nil
}

func (c *verification) said(e *Entry) *lineage.Said {
	s := &lineage.Said{
		Entry: e.Index, Time: e.Time, Signer: e.Envelope.By(), Statement: c.parsed[e],
		Standing: c.state.roster.Standing(e.Envelope.By(), e.Index, e.Time),
	}
	if _, m, ok := c.state.roster.Key(s.Signer); ok {
		s.Handle = m.Handle
	}
	return s
}

// artifact is what an entry binds, with what takes it back.
func (c *verification) artifact(s *lineage.Said, o statement.Output) *lineage.Artifact {
	a := &lineage.Artifact{
		Ref: o.Ref, Entry: s.Entry, Time: s.Time, Signer: s.Signer, Handle: s.Handle, Stamp: o.Stamp, Standing: s.Standing,
	}
	for _, w := range c.state.Withdrawals(o.Ref) {
		if w.Stands() && w.Target != statement.TargetLocation {
			a.Withdrawals = append(a.Withdrawals, lineage.Withdrawal{
				Entry: w.Entry, Time: w.Time, Ref: w.Ref, Target: w.Target, Effect: w.Effect, Reason: w.Reason, Handle: w.Handle,
			})
		}
	}
	return a
}
