// Package client talks to the server of a ledger, and trusts nothing that it hears.
//
// A [Client] carries bytes: it retries what may be retried, holds every answer to
// its limits, and turns a server's problems into errors. What it returns is what
// the server says. A [Log] is a log as of a checkpoint that a trust policy
// accepts and that goes on from the one seen before; what it returns was checked
// against that checkpoint with package evidence.
//
//	c, err := client.New(client.Options{URL: "https://ledger.example"})
//	…
//	log, err := c.Follow(ctx, policy, evidence.Remembered{Signed: seen})
//	…
//	entry, err := log.Entry(ctx, 412)
//
// Everything that is written is safe to repeat: an envelope is signed once, its
// bytes never change, and a ledger that has it gives its first receipt.
//
// # Errors
//
// Callers act on the class of an error, with errors.Is: those of this package, and of
// package evidence ErrTampered (what the server gave does not hold), ErrUntrusted
// (nobody whom the policy names signed it), and ErrFork and ErrRollback, for which
// errors.As finds an *evidence.HistoryError with both checkpoints. [Error] has what a
// server said, [Unreachable] what was tried. Words of a server are foreign text.
//
// # Contexts and goroutines
//
// Every call returns soon after its context is done; the error is then an
// [Unreachable], and the context's cause as well. No goroutine outlives the call that
// started it by more than the end of the request that it makes, which is cancelled;
// connections that rest are closed by [Client.Close] or after half a minute. A Client
// and a Log may be used by several goroutines at once.
//
// The API is described in docs/api.md, and what this package does about it in
// docs/client.md.
package client
