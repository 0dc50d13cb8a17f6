package ledger

import (
	"context"
	"fmt"
	"slices"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/statement"
)

// Judge evaluates contracts for every entry up to the view that they are about,
// in order, each over the ledger as it was before that entry and with what was
// known then: as if they had been in force from the beginning. Statements that
// are never governed are left out. It calls each for those entries that at least
// one rule was evaluated for, and ends with the error that each returns.
func (v *View) Judge(ctx context.Context, contracts []contract.InForce, each func(*statement.Statement, *evidence.Entry, *contract.Verdict) error) error {
	kinds := concerning(contracts)
	indexes, err := v.concerned(kinds)
	if err != nil {
		return err
	}
	past := evidence.NewControl()
	for _, index := range indexes {
		if err := ctx.Err(); err != nil {
			return err
		}
		e, err := v.Entry(index)
		if err != nil {
			return err
		}
		st, err := e.Statement()
		if err != nil {
			return damaged("%w", err)
		}
		if index > 0 {
			done := v.expect(Lookup{Kind: LookupPast, Entry: index, Kinds: kinds})
			verdict, err := v.judge(contracts, past, e, st)
			done()
			if err != nil {
				return fmt.Errorf("entry %d: %w", index, err)
			}
			if len(verdict.Results) > 0 {
				if err := each(st, e, verdict); err != nil {
					return err
				}
			}
		}
		if st.Control() {
			if err := past.Add(e); err != nil {
				return damaged("control entry %d: %w", index, err)
			}
		}
	}
	return nil
}

// concerning returns the kinds of statements that contracts may be about.
func concerning(contracts []contract.InForce) (kinds []statement.Kind) {
	for kind := range kindBytes {
		if slices.ContainsFunc(contracts, func(c contract.InForce) bool { return mayConcern(c.Document().Match.Statements, kind) }) {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	return kinds
}

// concerned returns the entries of those kinds, and the control entries, in order.
func (v *View) concerned(kinds []statement.Kind) ([]uint64, error) {
	if err := v.l.checkIndex(); err != nil {
		return nil, err
	}
	var indexes []uint64
	for e, err := range v.ControlEntries() {
		if err != nil {
			return nil, err
		}
		indexes = append(indexes, e.Index)
	}
	for _, kind := range kinds {
		for index, err := range v.ByKind(kind) {
			if err != nil {
				return nil, err
			}
			indexes = append(indexes, index)
		}
	}
	slices.Sort(indexes)
	return slices.Compact(indexes), nil
}

// judge evaluates contracts for one entry, over what was before it.
func (v *View) judge(contracts []contract.InForce, past *evidence.Control, e *evidence.Entry, st *statement.Statement) (*contract.Verdict, error) {
	_, m, _ := past.Roster().Key(e.Envelope.By())
	if !contract.Governs(st, m.Recovery) {
		return new(contract.Verdict), nil
	}
	before := &View{l: v.l, s: v.s, n: e.Index}
	return contract.Evaluate(contracts, &contract.Input{
		Statement: st, Entry: e.Index, Time: e.Time,
		Signer: contract.Signer{Handle: m.Handle, Key: e.Envelope.By(), Roles: m.Roles, Known: true},
		State:  newContractState(before, newFacts(before, past), e.Index, e.Time),
	})
}
