package contract

import (
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// Subject is what a contract is evaluated for: an artifact of a statement, or
// nothing, where the statement is about none.
type Subject struct {
	Ref statement.Ref // zero: none

	// Artifact is what the ledger has under the name, if it is these contents;
	// nil if it is new, or not there.
	Artifact *lineage.Artifact

	// Stamp is what the statement stamps it with, or else the artifact's stamp;
	// nil if there is neither.
	Stamp *statement.Stamp
}

// Subjects returns what the contract is to be evaluated for, in the order in
// which the statement names it; none where it is not about the statement.
func (m *Match) Subjects(st *statement.Statement, f lineage.Facts) ([]Subject, error) {
	return nil, nil
}
