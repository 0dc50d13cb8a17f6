// Package contract is what is allowed: rules in CEL over a statement and the
// state of the ledger before it.
//
// It does no I/O and knows no clock: a ledger, or the fixtures of a contract's
// own tests, bring the state. The same contract over the same state gives the
// same verdict, messages and cost on every machine. Page:
// docs/formats/contract.md.
package contract

import _ "cel.dev/cel-go/cel"
