package ledger

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// Lineage is what the ledger knows of what was made of what, as of a view. It
// keeps what it has read: use one for several questions about the same view. It
// is for one goroutine.
type Lineage struct {
	*facts
	v *View
}

var _ lineage.Uses = (*Lineage)(nil)

// Lineage returns the lineage as of the view.
func (v *View) Lineage() (*Lineage, error) {
	if err := v.l.checkIndex(); err != nil {
		return nil, err
	}
	c, err := v.Control()
	if err != nil {
		return nil, err
	}
	return &Lineage{newFacts(v, c), v}, nil
}

// Uses returns the origins that name an artifact among their inputs, by name
// and version: see [lineage.Uses].
func (x *Lineage) Uses(a *lineage.Artifact) ([]lineage.Use, error) {
	defer x.v.expect(Lookup{Kind: LookupDown, Name: a.Ref.Name, Version: a.Ref.Version})()
	var uses []lineage.Use
	for index, err := range x.v.indexes(lineagePrefix(a.Ref.Fingerprint)) {
		if err != nil {
			return nil, err
		}
		s, err := x.at(index)
		if err != nil {
			return nil, err
		}
		list, err := x.usesIn(s, a)
		if err != nil {
			return nil, err
		}
		uses = append(uses, list...)
	}
	return uses, nil
}

// usesIn returns the uses of an artifact that one entry says, in the order of
// the outputs' entries.
func (x *Lineage) usesIn(s *lineage.Said, a *lineage.Artifact) ([]lineage.Use, error) {
	outputs, err := x.outputs(s)
	if err != nil {
		return nil, err
	}
	var uses []lineage.Use
	for _, out := range outputs {
		origins, err := x.Origins(out)
		if err != nil {
			return nil, err
		}
		for _, o := range origins {
			if o.Entry == s.Entry && slices.Contains(o.Inputs, a.Ref) {
				uses = append(uses, lineage.Use{Origin: o, Output: out})
			}
		}
	}
	return uses, nil
}

// outputs returns every binding of the contents that an entry says something
// about, in the order of their entries.
func (x *Lineage) outputs(s *lineage.Said) ([]*lineage.Artifact, error) {
	var refs []statement.Ref
	if s.Statement.Run != nil {
		for _, o := range s.Statement.Run.Outputs {
			refs = append(refs, o.Ref)
		}
	} else {
		ref, err := s.Statement.Ref()
		if err != nil {
			return nil, damaged("entry %d: %w", s.Entry, err)
		}
		refs = append(refs, ref)
	}
	var list []*lineage.Artifact
	for _, ref := range refs {
		bindings, err := x.Bindings(ref.Fingerprint)
		if err != nil {
			return nil, err
		}
		for _, b := range bindings {
			if !slices.Contains(list, b) {
				list = append(list, b)
			}
		}
	}
	slices.SortFunc(list, func(a, b *lineage.Artifact) int {
		return cmp.Or(cmp.Compare(a.Entry, b.Entry), cmp.Compare(a.Ref.String(), b.Ref.String()))
	})
	return list, nil
}

// LineageEntries returns the entries of everything that an artifact was made
// of, in order: bindings and the origins that count, with the bindings that an
// origin is about. It walks at most limit artifacts, lineage.MaxWalk for 0;
// cut says that there are more.
func (v *View) LineageEntries(ref statement.Ref, limit int) (entries []uint64, cut bool, err error) {
	x, err := v.Lineage()
	if err != nil {
		return nil, false, err
	}
	a, err := x.Artifact(ref.Name, ref.Version)
	if err != nil {
		return nil, false, err
	}
	if a.Ref != ref {
		return nil, false, fmt.Errorf("%s as %s: %w: it is %s", ref, ref.Fingerprint, ErrNotFound, a.Ref.Fingerprint)
	}
	g, err := lineage.Up(x, a, limit)
	if err != nil {
		return nil, false, err
	}
	for _, n := range g.Nodes {
		entries = append(entries, n.Entry)
		for _, o := range n.Origins {
			if !o.Counts {
				continue
			}
			of, err := x.Artifact(o.Of.Name, o.Of.Version)
			if err != nil {
				return nil, false, err
			}
			entries = append(entries, o.Entry, of.Entry)
		}
	}
	slices.Sort(entries)
	return slices.Compact(entries), g.Cut, nil
}
