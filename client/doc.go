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

import (
	"errors"
	"fmt"

	"github.com/stele-ml/stele/internal/wire"
)

// The classes of error that callers act on, for errors.Is. Of evidence there are
// besides ErrTampered, ErrUntrusted, ErrFork and ErrRollback.
var (
	// ErrUnreachable: there was no answer, or none that could be used, after all
	// attempts. What was sent may have been done; to send it again is safe.
	ErrUnreachable = errors.New("unreachable")
	// ErrAccess: the server does not know who asks, or does not let them.
	ErrAccess = errors.New("no access")
	// ErrNotFound: the server says that there is no such thing.
	ErrNotFound = errors.New("not found")
	// ErrRefused: the ledger, or a contract, refuses the statement.
	ErrRefused = errors.New("refused")
	// ErrReadOnly: the server takes no statements: it is a mirror.
	ErrReadOnly = errors.New("read-only")
	// ErrAnswer: the server answered something that is no answer of this API.
	ErrAnswer = errors.New("no answer of this API")
	// ErrAddress: the address is none that a token or a statement may be sent to.
	ErrAddress = errors.New("no address of a server")
)

// Problem is a server's error, RFC 9457. Its words are the server's: foreign text.
type Problem = wire.Problem

// Error is a problem that a server answered with. It is an ErrAccess, ErrNotFound,
// ErrRefused, ErrReadOnly, ErrUnreachable or ErrAnswer by its code.
type Error struct {
	Problem *Problem
	URL     string // that was asked, without its query
}

func (e *Error) Error() string { return e.Problem.Error() }

// Hint says what to do, in the server's words.
func (e *Error) Hint() string { return e.Problem.Hint }

// Unwrap returns the class.
func (e *Error) Unwrap() error {
	switch e.Problem.Code {
	case wire.CodeUnauthorized, wire.CodeForbidden:
		return ErrAccess
	case wire.CodeNotFound:
		return ErrNotFound
	case wire.CodeRefused, wire.CodeStale, wire.CodeUntrusted:
		return ErrRefused
	case wire.CodeReadOnly:
		return ErrReadOnly
	case wire.CodeRateLimited, wire.CodeUnavailable, wire.CodeOutcomeUnknown, wire.CodeInternal:
		return ErrUnreachable
	}
	return ErrAnswer
}

// Unreachable says what was tried before a request was given up. It is an
// ErrUnreachable.
type Unreachable struct {
	URL      string
	Attempts int
	Err      error // of the last attempt
}

func (e *Unreachable) Error() string {
	if e.Attempts > 1 {
		return fmt.Sprintf("%s cannot be reached (%d attempts): %v", e.URL, e.Attempts, e.Err)
	}
	return fmt.Sprintf("%s cannot be reached: %v", e.URL, e.Err)
}

// Unwrap returns the class and the cause.
func (e *Unreachable) Unwrap() []error { return []error{ErrUnreachable, e.Err} }
