package ledger

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// contractState is what rules can ask of a record, as of an entry that is not in
// it yet. Nothing is read before it is asked for.
type contractState struct {
	*facts
	record ruled
	index  uint64 // of the entry that is evaluated
	time   int64  // its time
	stages map[place][]contract.Placed
}

// ruled is what a contract's rules are evaluated over: a view, or a block on top
// of one.
type ruled interface {
	record
	// on lists the approvals, evaluations, releases or audits of a fingerprint.
	on(fp fingerprint.Fingerprint, kind statement.Kind) ([]uint64, error)
	// inStage lists what is in a stage, by the releases that put it there, and
	// named what of it has a name.
	inStage(stage string) ([]Placed, error)
	named(stage, name string) ([]Placed, error)
}

var _ contract.State = (*contractState)(nil)

func newContractState(r ruled, f *facts, index uint64, timeMS int64) *contractState {
	return &contractState{facts: f, record: r, index: index, time: timeMS}
}

// ContractState returns what rules can ask of the ledger, as of the view. It
// keeps what it has read, and is for one goroutine.
func (v *View) ContractState() (contract.State, error) {
	x, err := v.Lineage()
	if err != nil {
		return nil, err
	}
	return newContractState(v, x.facts, v.n, v.Time()), nil
}

// Artifact implements lineage.Facts.
func (s *contractState) Artifact(name, version string) (*lineage.Artifact, error) {
	a, err := s.facts.Artifact(name, version)
	if errors.Is(err, ErrNotFound) {
		err = fmt.Errorf("%s@%s: %w", name, version, lineage.ErrNotFound)
	}
	return a, err
}

// Origins implements lineage.Facts. What counts was admitted with inputs that are
// on the ledger: one that is not found is damage, and not an ancestor less.
func (s *contractState) Origins(a *lineage.Artifact) ([]lineage.Origin, error) {
	origins, err := s.facts.Origins(a)
	if err != nil {
		return nil, err
	}
	for _, o := range origins {
		if !o.Counts {
			continue
		}
		for _, ref := range o.Inputs {
			in, err := s.facts.Artifact(ref.Name, ref.Version)
			if errors.Is(err, ErrNotFound) || err == nil && in.Ref != ref {
				err = damaged("entry %d names %s as %s, and it is not bound to that", o.Entry, ref, ref.Fingerprint)
			}
			if err != nil {
				return nil, err
			}
		}
	}
	return origins, nil
}

// About implements contract.State.
func (s *contractState) About(fp fingerprint.Fingerprint, kind statement.Kind) ([]*lineage.Said, error) {
	list, err := s.record.on(fp, kind)
	if err != nil {
		return nil, err
	}
	said := make([]*lineage.Said, len(list))
	for i, index := range list {
		if said[i], err = s.at(index); err != nil {
			return nil, err
		}
	}
	return said, nil
}

// Said implements contract.State.
func (s *contractState) Said(index uint64) (*lineage.Said, error) {
	if index >= s.index {
		return nil, fmt.Errorf("entry %d: %w: the ledger has %d before this one", index, lineage.ErrNotFound, s.index)
	}
	return s.at(index)
}

// InStage implements contract.State.
func (s *contractState) InStage(stage, name string) ([]contract.Placed, error) {
	at := place{stage, name}
	if list, ok := s.stages[at]; ok {
		return list, nil
	}
	var in []Placed
	var err error
	if name == "" {
		in, err = s.record.inStage(stage)
	} else {
		in, err = s.record.named(stage, name)
	}
	if err != nil {
		return nil, err
	}
	list := make([]contract.Placed, len(in))
	for i, p := range in {
		list[i] = contract.Placed(p)
	}
	if s.stages == nil {
		s.stages = make(map[place][]contract.Placed)
	}
	s.stages[at] = list
	return list, nil
}

// People implements contract.State: as of the entry that is evaluated.
func (s *contractState) People(role string) []string {
	var handles []string
	roster := s.control.Roster()
	for _, m := range roster.Members() {
		if slices.Contains(m.Roles, role) && roster.Standing(m.Key.ID(), s.index, s.time).OK {
			handles = append(handles, m.Handle)
		}
	}
	slices.Sort(handles)
	return slices.Compact(handles)
}

// Proposals implements contract.State.
func (s *contractState) Proposals(digest [32]byte) []contract.Proposal {
	var list []contract.Proposal
	for _, p := range s.control.ContractProposals(digest) {
		list = append(list, contract.Proposal{Handle: p.Handle, Key: p.Signer, Entry: p.Entry, Time: p.Time})
	}
	return list
}

// on, inStage and named make a view, and a block, what rules are evaluated over.

func (v *View) on(fp fingerprint.Fingerprint, kind statement.Kind) (list []uint64, err error) {
	if kind != statement.KindAudit {
		for index, err := range v.About(fp, kind) {
			if err != nil {
				return nil, err
			}
			list = append(list, index)
		}
		return list, nil
	}
	for announced, err := range v.indexes(auditPrefix(fp)) {
		if err != nil {
			return nil, err
		}
		list = append(list, announced)
		result, ok, err := v.auditResult(announced)
		if err != nil {
			return nil, err
		}
		if ok {
			list = append(list, result)
		}
	}
	slices.Sort(list)
	return list, nil
}

func (v *View) inStage(stage string) ([]Placed, error) {
	defer v.expect(Lookup{Kind: LookupStage, Stage: stage})()
	list, err := v.InStage(stage)
	if err == nil {
		err = v.checkPlaced(list)
	}
	slices.SortFunc(list, byEntry)
	return list, err
}

func (v *View) named(stage, name string) ([]Placed, error) {
	list, err := v.placed(stage, name)
	if err == nil {
		err = v.checkPlaced(list)
	}
	return list, err
}

// checkPlaced holds what the index says is in a stage to what is bound.
func (v *View) checkPlaced(list []Placed) error {
	for _, p := range list {
		b, ok, err := v.byName(p.Ref.Name, p.Ref.Version)
		if err == nil && (!ok || b.Ref() != p.Ref) {
			err = damaged("entry %d releases %s as %s, and it is not bound to that", p.Entry, p.Ref, p.Ref.Fingerprint)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func byEntry(a, b Placed) int { return cmp.Compare(a.Entry, b.Entry) }

func (b *Block) on(fp fingerprint.Fingerprint, kind statement.Kind) ([]uint64, error) {
	about := topic{fp, kind}
	list, err := b.hot.on(about, b.baseView())
	return append(list, b.moves.on[about]...), err
}

func (b *Block) inStage(stage string) ([]Placed, error) {
	if in, ok := b.moves.stages[stage]; ok {
		return in, nil
	}
	in, err := b.hot.stage(stage, b.baseView())
	if err != nil {
		return nil, err
	}
	var changes []StageChange
	for at, list := range b.moves.places {
		if at.stage == stage {
			changes = append(changes, list...)
		}
	}
	in = moved(in, changes)
	if b.moves.stages != nil { // a trial has none
		b.moves.stages[stage] = in
	}
	return in, nil
}

func (b *Block) named(stage, name string) ([]Placed, error) {
	at := place{stage, name}
	in, err := b.hot.placed(at, b.baseView())
	if changes := b.moves.places[at]; err == nil && len(changes) > 0 {
		in = moved(in, changes)
	}
	return in, err
}
