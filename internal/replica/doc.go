// Package replica keeps a second copy of a ledger by replaying every entry of
// it through the state machine, and refuses what does not follow.
package replica
