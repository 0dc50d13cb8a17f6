// Package remote reads a ledger over a server, as if its store lay here: what
// it is given is checked against a verified checkpoint before anybody sees it.
//
// The reader keeps what it has verified: entries, nodes of the tree, the rows of
// the index that follow from the entries, and of which ranges of the index it
// knows everything. A read that this answers asks nobody. Another asks the server,
// together with all that the lookup under way will read, and the answer is held to
// what is known already: a row that follows from no entry, and a list that leaves
// out an entry which was seen, are lies, after which nothing is asked any more.
//
// Page: docs/formats/remote-reads.md, which also says what a server can leave out.
package remote
