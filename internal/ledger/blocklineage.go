package ledger

import (
	"slices"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/statement"
)

// moves is what a block's own entries add to the index of lineage and stages,
// for those after them.
type moves struct {
	runs    map[statement.Nonce]uint64
	claimed map[fingerprint.Fingerprint][]uint64 // as record.claimed
	decided map[decided]uint64                   // the last approval or release
	places  map[place][]StageChange
	on      map[topic][]uint64  // as ruled.on
	stages  map[string][]Placed // as ruled.inStage, of those that were asked for
}

type decided struct {
	fp    fingerprint.Fingerprint
	stage string
}

type place struct{ stage, name string }

// said is what entries of a kind are about.
type topic struct {
	fp   fingerprint.Fingerprint
	kind statement.Kind
}

func newMoves() moves {
	return moves{
		runs:    map[statement.Nonce]uint64{},
		claimed: map[fingerprint.Fingerprint][]uint64{},
		decided: map[decided]uint64{},
		places:  map[place][]StageChange{},
		on:      map[topic][]uint64{},
		stages:  map[string][]Placed{},
	}
}

// said adds an entry to those of a kind about a fingerprint, once.
func (m *moves) said(fp fingerprint.Fingerprint, kind statement.Kind, index uint64) {
	at := topic{fp, kind}
	if list := m.on[at]; len(list) == 0 || list[len(list)-1] != index {
		m.on[at] = append(list, index)
	}
}

// indexLineage keeps what the entry says of what was made of what, and of
// stages.
func (b *Block) indexLineage(e *evidence.Entry, c *Candidate) {
	switch st := c.st; {
	case st.Run != nil:
		b.moves.runs[st.Nonce] = e.Index
		for _, o := range st.Run.Outputs {
			if o.Stamp == nil {
				b.indexClaim(e, o.Ref.Fingerprint)
			}
		}
		for _, fp := range c.mine {
			if s := b.about[fp]; len(s.stamped) == 0 || s.stamped[len(s.stamped)-1] != e.Index {
				p := stamperRow(fp, e.Index)
				b.set(p.Key, p.Value)
				b.mark(e, fp, p.Value)
			}
		}
	case st.Import != nil:
		b.indexClaim(e, c.ref.Fingerprint)
	case st.Evaluation != nil:
		b.moves.said(c.ref.Fingerprint, statement.KindEvaluation, e.Index)
	case st.Approval != nil:
		b.indexDecided(e, statement.KindApproval, c.ref.Fingerprint, st.Approval.Stage)
	case st.Release != nil:
		b.indexRelease(e, c.ref, st.Release)
	}
}

func (b *Block) indexClaim(e *evidence.Entry, fp fingerprint.Fingerprint) {
	if list := b.moves.claimed[fp]; len(list) == 0 || list[len(list)-1] != e.Index {
		b.moves.claimed[fp] = append(list, e.Index)
	}
}

func (b *Block) indexDecided(e *evidence.Entry, kind statement.Kind, fp fingerprint.Fingerprint, stage string) {
	b.moves.decided[decided{fp, stage}] = e.Index
	b.moves.said(fp, kind, e.Index)
}

func (b *Block) indexRelease(e *evidence.Entry, ref statement.Ref, r *statement.Release) {
	for _, c := range changes(e.Index, ref, r) {
		b.indexDecided(e, statement.KindRelease, c.Ref.Fingerprint, r.Stage)
		at := place{r.Stage, c.Ref.Name}
		b.moves.places[at] = append(b.moves.places[at], c)
		if in, ok := b.moves.stages[r.Stage]; ok {
			b.moves.stages[r.Stage] = placing(in, c)
		}
	}
}

// changes is what a release does to its stage: what it is about, then what that
// replaces.
func changes(index uint64, ref statement.Ref, r *statement.Release) []StageChange {
	list := []StageChange{{index, ref, r.Action}}
	for _, old := range r.Replaces {
		list = append(list, StageChange{index, old, statement.ActionLeave})
	}
	return list
}

// What follows makes a block a record of lineage, and answers what After is
// found with: the base, with the block's own entries.

func (b *Block) byName(name, version string) (Binding, bool, error) { return b.binding(name, version) }

func (b *Block) stamped(fp fingerprint.Fingerprint) ([]uint64, error) {
	before, err := hotList(&b.hot.stamped, fp, b.baseView().stamped)
	return append(before, b.about[fp].stamped...), err
}

func (b *Block) claimed(fp fingerprint.Fingerprint) ([]uint64, error) {
	before, err := hotList(&b.hot.claimed, fp, b.baseView().claimed)
	return append(before, b.moves.claimed[fp]...), err
}

func (b *Block) lastOn(fp fingerprint.Fingerprint) (uint64, bool, error) {
	if s, ok := b.about[fp]; ok {
		return s.last, true, nil
	}
	return b.baseView().lastOn(fp)
}

func (b *Block) lastFor(fp fingerprint.Fingerprint, stage string) (uint64, bool, error) {
	if index, ok := b.moves.decided[decided{fp, stage}]; ok {
		return index, true, nil
	}
	return b.baseView().lastFor(fp, stage)
}

func (b *Block) lastChange(stage, name string) (uint64, bool, error) {
	if list := b.moves.places[place{stage, name}]; len(list) > 0 {
		return list[len(list)-1].Entry, true, nil
	}
	return b.baseView().lastChange(stage, name)
}

// placedAt returns the release that put an artifact into a stage, if it is in
// it.
func (b *Block) placedAt(stage string, ref statement.Ref) (index uint64, ok bool, err error) {
	in, err := b.named(stage, ref.Name)
	if err != nil {
		return 0, false, err
	}
	at := slices.IndexFunc(in, func(p Placed) bool { return p.Ref == ref })
	if at < 0 {
		return 0, false, nil
	}
	return in[at].Entry, true, nil
}
