package contract

import (
	"errors"
	"fmt"
	"slices"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// record is the state before an entry together with what the entry itself says:
// what it stamps is there, and what it says of origins counts as it will. It
// remembers what it has read, for one evaluation. What it answers, and what
// that costs, does not depend on what it remembers.
type record struct {
	state State
	said  *lineage.Said // the entry under evaluation

	own    []*lineage.Artifact // what the entry stamps
	claims map[fingerprint.Fingerprint][]lineage.Claim

	artifacts map[nameVersion]*lineage.Artifact
	origins   map[nameVersion][]lineage.Origin
	bindings  map[fingerprint.Fingerprint][]*lineage.Artifact
	about     map[aboutKey][]*lineage.Said
	walks     map[nameVersion]*walk
}

type nameVersion struct{ name, version string }

func keyOf(r statement.Ref) nameVersion { return nameVersion{r.Name, r.Version} }

type aboutKey struct {
	fp   fingerprint.Fingerprint
	kind statement.Kind
}

func newRecord(in *Input) (*record, error) {
	r := &record{
		state: in.State,
		said: &lineage.Said{
			Entry: in.Entry, Time: in.Time, Signer: in.Signer.Key, Handle: in.Signer.Handle, Statement: in.Statement,
			Standing: statement.Standing{OK: true, State: statement.StateGood},
		},
		artifacts: make(map[nameVersion]*lineage.Artifact),
		origins:   make(map[nameVersion][]lineage.Origin),
		bindings:  make(map[fingerprint.Fingerprint][]*lineage.Artifact),
		about:     make(map[aboutKey][]*lineage.Said),
		walks:     make(map[nameVersion]*walk),
	}
	for _, o := range in.Statement.Stamps() {
		if err := r.stamps(o); err != nil {
			return nil, err
		}
	}
	return r, r.claim()
}

// stamps adds an artifact that the entry stamps. Withdrawals of its contents
// hold for every name they get.
func (r *record) stamps(o statement.Output) error {
	a := &lineage.Artifact{
		Ref: o.Ref, Entry: r.said.Entry, Time: r.said.Time, Signer: r.said.Signer, Handle: r.said.Handle,
		Stamp: o.Stamp, Standing: r.said.Standing,
	}
	others, err := r.state.Bindings(o.Ref.Fingerprint)
	if err != nil {
		return err
	}
	if len(others) > 0 {
		a.Withdrawals = others[0].Withdrawn()
	}
	r.own = append(r.own, a)
	r.artifacts[keyOf(o.Ref)] = a
	return nil
}

// claim takes in what the entry says its artifacts were made of: those that it
// stamps, and the outputs of a run that another entry stamped.
func (r *record) claim() error {
	about := slices.Clone(r.own)
	if run := r.said.Statement.Run; run != nil {
		for _, o := range run.Outputs {
			if o.Stamp != nil {
				continue
			}
			a, err := r.Artifact(o.Ref.Name, o.Ref.Version)
			if errors.Is(err, lineage.ErrNotFound) {
				continue
			}
			if err != nil {
				return err
			}
			about = append(about, a)
		}
	}
	for _, a := range about {
		if r.claims == nil {
			r.claims = make(map[fingerprint.Fingerprint][]lineage.Claim)
		}
		fp := a.Ref.Fingerprint
		r.claims[fp] = append(r.claims[fp], r.said.Claims(a)...)
	}
	return nil
}

// ours reports whether the entry under evaluation stamps the artifact.
func (r *record) ours(a *lineage.Artifact) bool { return slices.Contains(r.own, a) }

// Artifact implements lineage.Facts.
func (r *record) Artifact(name, version string) (*lineage.Artifact, error) {
	key := nameVersion{name, version}
	if a, ok := r.artifacts[key]; ok {
		if a == nil {
			return nil, fmt.Errorf("%s@%s: %w", name, version, lineage.ErrNotFound)
		}
		return a, nil
	}
	a, err := r.state.Artifact(name, version)
	if err != nil && !errors.Is(err, lineage.ErrNotFound) {
		return nil, err
	}
	r.artifacts[key] = a
	return a, err
}

// Origins implements lineage.Facts.
func (r *record) Origins(a *lineage.Artifact) ([]lineage.Origin, error) {
	key := keyOf(a.Ref)
	if list, ok := r.origins[key]; ok {
		return list, nil
	}
	list, err := r.state.Origins(a)
	if err != nil {
		return nil, err
	}
	if claims := r.claims[a.Ref.Fingerprint]; len(claims) > 0 {
		list = slices.Concat(list, lineage.Count(a, claims))
	}
	r.origins[key] = list
	return list, nil
}

// Bindings returns every artifact of these contents, the entry's own last.
func (r *record) Bindings(fp fingerprint.Fingerprint) ([]*lineage.Artifact, error) {
	if list, ok := r.bindings[fp]; ok {
		return list, nil
	}
	list, err := r.state.Bindings(fp)
	if err != nil {
		return nil, err
	}
	for _, a := range r.own {
		if a.Ref.Fingerprint == fp {
			list = append(list[:len(list):len(list)], a)
		}
	}
	r.bindings[fp] = list
	return list, nil
}

// About returns the entries of a kind about these contents.
func (r *record) About(fp fingerprint.Fingerprint, kind statement.Kind) ([]*lineage.Said, error) {
	key := aboutKey{fp, kind}
	if list, ok := r.about[key]; ok {
		return list, nil
	}
	list, err := r.state.About(fp, kind)
	if err == nil {
		r.about[key] = list
	}
	return list, err
}

// walk is everything that an artifact was made of, and what finding it costs.
type walk struct {
	graph      *lineage.Graph
	price      uint64 // of the walk
	judging    uint64 // of the judgement of all
	judgements map[string]*lineage.Judgement
}

// Walk walks up from an artifact. While it does, spend is asked whether so much
// may still be spent; it does not return if not. An ancestor that the state does
// not have is an error of the state, and not an ancestor less.
func (r *record) Walk(a *lineage.Artifact, spend func(uint64)) (*walk, error) {
	key := keyOf(a.Ref)
	if w, ok := r.walks[key]; ok {
		return w, nil
	}
	meter := &meter{record: r, spend: spend}
	g, err := lineage.Up(meter, a, lineage.MaxWalk)
	if err != nil {
		return nil, err
	}
	if len(g.Missing) > 0 {
		m := g.Missing[0]
		return nil, fmt.Errorf("%s was made of %s by entry %d, and that is not there", m.Of, m.Ref, m.Entry)
	}
	w := &walk{graph: g, price: meter.price, judging: judging(g)}
	r.walks[key] = w
	return w, nil
}

// judging is what the judgement of a whole graph costs: each withdrawal and each
// artifact without standing is followed to all that was made of it.
func judging(g *lineage.Graph) uint64 {
	seen := make(map[uint64]bool)
	for _, n := range g.Nodes {
		for _, w := range n.Withdrawals {
			seen[w.Entry] = true
		}
		if !n.Standing.OK {
			seen[n.Entry] = true
		}
	}
	return uint64(len(g.Nodes)) * uint64(1+len(seen)) * priceStep
}

// judged returns what is against an artifact of the walk.
func (w *walk) judged(ref statement.Ref) *lineage.Judgement {
	if w.judgements == nil {
		w.judgements = w.graph.Judgements()
	}
	return w.judgements[ref.String()]
}

// meter is a record that a walk is priced by.
type meter struct {
	*record
	price uint64
	spend func(uint64)
}

// Origins implements lineage.Facts.
func (m *meter) Origins(a *lineage.Artifact) ([]lineage.Origin, error) {
	list, err := m.record.Origins(a)
	if err != nil {
		return nil, err
	}
	m.price += priceWalk
	for _, o := range list {
		m.price += priceStep
		if o.Counts {
			m.price += priceStep * uint64(len(o.Inputs))
		}
	}
	m.spend(m.price)
	return list, nil
}
