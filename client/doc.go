// Package client talks to a ledger that a server keeps, and trusts nothing that
// it hears.
//
// A [Client] carries bytes: it retries what may be retried, holds every answer to
// its limits, and turns a server's problems into errors. What it returns is what
// the server says. A [Log] is a log as of a checkpoint that a trust policy
// accepted and that goes on from the one seen before; what it returns was checked
// against that checkpoint with package evidence.
//
// Everything that is written is safe to repeat: an envelope is signed once, its
// bytes never change, and a ledger that has it gives its first receipt.
//
// API: docs/api.md.
package client
