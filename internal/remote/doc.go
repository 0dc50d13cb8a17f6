// Package remote reads a ledger over a server, as if its store lay here: what
// it is given is checked against a verified checkpoint before anybody sees it.
package remote
