// Package statement is what is claimed and by whom: in-toto statements with the
// ledger's predicates, the DSSE envelopes that carry them, the keys that sign
// them, and who may say what.
//
// A [Statement] is signed by a [Signer] into an [Envelope]; [ParseEnvelope] and
// [Parse] read both back strictly, [Envelope.Verify] checks the signature
// against the registered [PublicKey], and a [Roster], folded from the genesis
// and identity entries of one ledger, answers whether that key had standing and
// was allowed to.
//
// The package does no I/O and knows no clock. Randomness comes in as an
// io.Reader.
package statement
