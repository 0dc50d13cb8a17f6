package ledger

import (
	"slices"

	"github.com/stele-ml/stele/fingerprint"
)

// hotLookups is how many answers a generation of hot lookups keeps; there are two
// generations of each, at some 200 bytes an answer.
const hotLookups = 16384

// hot keeps what the writer has looked up: release after release is judged by the
// same data sets, and to look one up in the store takes longer than to judge it.
// It is for the writer alone, and knows nothing of the block that is being made:
// when that is published, what it is about is forgotten or brought up to date.
type hot struct {
	names   generations[bound, Binding]                    // never forgotten: a name is bound for ever
	stamped generations[fingerprint.Fingerprint, []uint64] // as record.stamped
	claimed generations[fingerprint.Fingerprint, []uint64] // as record.claimed: most stamps are judged without it
	said    generations[topic, []uint64]                   // as ruled.on
	stages  generations[string, []Placed]                  // what is in a stage, by entry
	places  generations[place, []Placed]                   // what of a name is in a stage
}

// generations keep what was asked for lately.
type generations[K comparable, V any] struct{ young, old map[K]V }

func (g *generations[K, V]) get(key K) (V, bool) {
	v, ok := g.young[key]
	if ok {
		return v, true
	}
	if v, ok = g.old[key]; ok {
		g.put(key, v)
	}
	return v, ok
}

func (g *generations[K, V]) put(key K, value V) {
	if g.young == nil || len(g.young) >= hotLookups {
		g.young, g.old = make(map[K]V), g.young
	}
	g.young[key] = value
}

func (g *generations[K, V]) forget(key K) {
	delete(g.young, key)
	delete(g.old, key)
}

// binding returns what name@version is bound to, as of a view of all that was
// published.
func (h *hot) binding(name, version string, v *View) (Binding, bool, error) {
	key := bound{name, version}
	if b, ok := h.names.get(key); ok {
		return b, true, nil
	}
	b, ok, err := v.byName(name, version)
	if err == nil && ok {
		h.names.put(key, b)
	}
	return b, ok, err
}

// hotList returns what one of the hot lists has of contents, or reads it. It is not to
// be changed.
func hotList(g *generations[fingerprint.Fingerprint, []uint64], fp fingerprint.Fingerprint, read func(fingerprint.Fingerprint) ([]uint64, error)) ([]uint64, error) {
	if l, ok := g.get(fp); ok {
		return l, nil
	}
	l, err := read(fp)
	if err != nil {
		return nil, err
	}
	l = slices.Clip(l)
	g.put(fp, l)
	return l, nil
}

// on returns the entries of a kind about contents, as of a view of all that was
// published. The list is not to be changed.
func (h *hot) on(about topic, v *View) ([]uint64, error) {
	if list, ok := h.said.get(about); ok {
		return list, nil
	}
	list, err := v.on(about.fp, about.kind)
	if err != nil {
		return nil, err
	}
	list = slices.Clip(list)
	h.said.put(about, list)
	return list, nil
}

// stage returns what is in a stage, by entry, as of a view of all that was
// published: else its whole history is read. The list is not to be changed.
func (h *hot) stage(stage string, v *View) ([]Placed, error) {
	if in, ok := h.stages.get(stage); ok {
		return in, nil
	}
	in, err := v.inStage(stage)
	if err == nil {
		h.stages.put(stage, in)
	}
	return in, err
}

// placed is stage of one name.
func (h *hot) placed(at place, v *View) ([]Placed, error) {
	if in, ok := h.places.get(at); ok {
		return in, nil
	}
	in, err := v.named(at.stage, at.name)
	if err == nil {
		h.places.put(at, in)
	}
	return in, err
}

// publish takes in what a block is about, which is published.
func (h *hot) publish(b *Block) {
	for about := range b.moves.on {
		h.said.forget(about)
	}
	for at, changes := range b.moves.places {
		if in, ok := h.places.get(at); ok {
			h.places.put(at, moved(in, changes))
		}
		if _, ok := h.stages.get(at.stage); ok {
			if in, err := b.inStage(at.stage); err == nil { // it needs no store
				h.stages.put(at.stage, in)
			}
		}
	}
	for fp := range b.about {
		h.stamped.forget(fp)
	}
	for fp := range b.moves.claimed {
		h.claimed.forget(fp)
	}
}

// moved is what is in a stage after changes, by entry: a list of its own.
func moved(in []Placed, changes []StageChange) []Placed {
	in = slices.Clone(in)
	for _, c := range changes {
		in = placing(in, c)
	}
	slices.SortFunc(in, byEntry)
	return in
}
