// Package cosign asks the witnesses of a log for cosignatures, on and on: for
// each new checkpoint, and again while the log rests, so that its newest
// checkpoint stays fresh.
//
// A quorum needs several witnesses under one checkpoint. So they are asked in
// rounds: each round has one checkpoint, the newest when it began, and every
// witness that is free is asked for that one. A round is over when the quorum is
// reached, or when nobody is left to ask; what was committed meanwhile is the
// next round's, once. No witness is asked two things at a time, and commits wait
// for none.
//
// Nothing that a witness says is believed. Its cosignature counts if it
// verifies; its words are shown; that it claims to have seen more of the log
// than there is, is a hint. Only a checkpoint which the log's own key signed,
// and which the log does not contain, stops the log.
//
// Page: docs/witnessing.md.
package cosign
