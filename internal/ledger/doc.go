// Package ledger is the ledger's deterministic state machine and its store.
//
// An engine calls four functions: Begin with the time, Admit for one envelope
// after another, each seeing those before it, Root for the tree's new root,
// and Commit with the signed checkpoint over it. The solo engine calls them
// for each group of waiting writers; a consensus engine would call the same
// four for each block. There is no clock, randomness, map order or I/O here
// besides the store, so the same entries give the same root, the same refusals
// and the same answers on any machine, for ever.
//
// What was made of what, what is tainted, and what is in a stage, is not state:
// it follows from the entries as of a size. The index leads to those that say
// it, and package lineage decides what they mean, the same for admission and
// for whoever asks.
//
// What a View reads, it reads through a Reader: the database, or, for a ledger that
// Over opened, whatever the caller has made one of. Answer is the other side of that:
// reads of a view, with what proves them, for somebody who does not have the store.
//
// The store is Pebble; docs/formats/store.md is its format. Nothing in it ever
// changes once written, but for the tiles that grow, so a View is a size and
// needs no snapshot: it passes over what came later.
package ledger
