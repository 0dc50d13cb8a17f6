// Package lineage is what was made of what: the origins that entries record,
// which of them count, the walk up to what an artifact was made of and down to
// what was made of it, and the taint that withdrawn contents leave.
//
// It does no I/O: a ledger, or an evidence file, brings the facts.
package lineage
