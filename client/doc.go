// Package client talks to a ledger that a server keeps, and trusts nothing that
// it hears: whatever it returns was checked against a signed checkpoint.
package client
