package contract

import "github.com/stele-ml/stele/statement"

// InForce is a contract and the entry that put it in force; 0 in tests.
type InForce struct {
	*Contract
	Entry uint64
}

// Verdict is what contracts say of one statement.
type Verdict struct {
	Results []RuleResult // of every contract that is about the statement, in order
	Cost    uint64       // of all of them
}

// Refused returns the results that refuse, in order: those that are decided,
// and are not OK.
func (v *Verdict) Refused() []RuleResult {
	var list []RuleResult
	for _, r := range v.Results {
		if !r.OK && !r.Undecided {
			list = append(list, r)
		}
	}
	return list
}

// RuleResult is what one validation of one contract says of one artifact of a
// statement.
type RuleResult struct {
	Contract string // its name and version: production@3
	Entry    uint64 // where it was put; 0 in tests
	Rule     string // the validation's id
	Subject  string // name@version, or empty: the statement is about no artifact

	OK        bool
	Undecided bool   // it depends on a signer who is not known; then not OK
	Message   string // why it refuses: one line, at most MaxMessage bytes; empty where OK
	Hint      string // what to do, or empty
	Error     string // why it could not be evaluated, which refuses; else empty
	Cost      uint64 // of this result, its message included
}

// Evaluate evaluates all contracts that are about the statement, in the order
// given, once for each of its artifacts that they match. The error says that the
// state could not be read; a rule that cannot be evaluated refuses instead. The
// same input gives the same results and costs.
func Evaluate(contracts []InForce, in *Input) (*Verdict, error) {
	return &Verdict{}, nil
}

// Governs reports whether contracts are evaluated for a statement at all: for
// all but a genesis, a declaration that a key is compromised, and what the
// recovery key signs. These are the way out when rules or keys fail.
func Governs(st *statement.Statement, recovery bool) bool {
	switch {
	case recovery, st.Kind == statement.KindGenesis:
		return false
	case st.Kind == statement.KindIdentity:
		return st.Identity == nil || st.Identity.Action != statement.ActionCompromised
	}
	return true
}
