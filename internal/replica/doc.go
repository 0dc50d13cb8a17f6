// Package replica keeps a second copy of a ledger by replaying every entry of it
// through the state machine, and refuses what does not follow.
//
// It reads what the other machine, the primary, serves: the newest checkpoint,
// entries in bundles, and the checkpoint at the end of every commit. Nothing of
// that is believed. Every entry is parsed, its signature checked, and admitted by
// the same rules; every commit must come out with the root that its checkpoint
// signs, by the keys that the log had then. So a replica shows what no proof can:
// that the primary enforced the ledger's rules and contracts.
//
// What is wrong is told apart. ErrUnreachable passes. evidence.ErrTampered says
// that what is served does not follow from what was signed. An
// evidence.HistoryError, with both checkpoints, says that the log was forked or
// rolled back. In every case the replica keeps what it has, all of which
// followed, and goes on serving it.
//
// A replica takes over nothing by itself: it has no key of the log.
package replica
