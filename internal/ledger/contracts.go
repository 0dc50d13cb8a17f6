package ledger

import (
	"context"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/statement"
)

// Contracts returns the contracts in force as of the view, by name and then by
// entry. The list is shared: it is not to be changed.
func (v *View) Contracts() ([]contract.InForce, error) { return nil, nil }

// ContractState returns what rules can ask of the ledger, as of the view. It
// keeps what it has read, and is for one goroutine.
func (v *View) ContractState() (contract.State, error) { return nil, nil }

// Trial is what a statement would meet.
type Trial struct {
	// Refusals are of every rule of the ledger's own that would refuse it, in the
	// order in which admission has them: admission names the first alone.
	Refusals []*Refusal
	// Verdict is that of the contracts in force; nil if it could not be formed,
	// because what the statement is about is not on the ledger.
	Verdict *contract.Verdict
}

// Try says what a statement would meet, if it were signed and submitted now.
// Nothing is written.
func (v *View) Try(st *statement.Statement, as contract.Signer, timeMS int64) (*Trial, error) {
	return &Trial{Verdict: &contract.Verdict{}}, nil
}

// Judge evaluates contracts for every entry up to the view that they are about,
// each at its own height, as if they had been in force from the beginning.
func (v *View) Judge(ctx context.Context, contracts []contract.InForce, each func(*statement.Statement, *evidence.Entry, *contract.Verdict) error) error {
	return nil
}
