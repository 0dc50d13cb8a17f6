package client

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/stele-ml/stele/evidence"
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
	// ErrNotFound: the server says that there is no such thing; of an entry of a Log, its
	// checkpoint has none.
	ErrNotFound = errors.New("not found")
	// ErrRefused: the ledger, or a contract, refuses the statement.
	ErrRefused = errors.New("refused")
	// ErrReadOnly: the server takes no statements: it is a mirror.
	ErrReadOnly = errors.New("read-only")
	// ErrAnswer: the server answered something that is no answer of this API, or
	// finds that of the request.
	ErrAnswer = errors.New("no answer of this API")
	// ErrAddress: the address is none that a token or a statement may be sent to.
	ErrAddress = errors.New("no address of a server")
	// ErrNotCosigned says that a statement is in the log, and that the quorum of
	// witnesses had not cosigned that when the wait ended.
	ErrNotCosigned = errors.New("not cosigned so far")
	// ErrTwin: the server says that the statement is in the log under another
	// signature of the same key, which was not checked, as SubmitOptions had no Key.
	ErrTwin = errors.New("the ledger has this statement under another signature, which was not checked")
)

// Problem is an error as a server says it: RFC 9457, with what a refusal has besides.
// Its words are the server's: foreign text.
type Problem struct {
	Status     int         // of the answer
	Code       string      // docs/api.md lists them; "" where an answer has none that goes with its status
	Detail     string      // a sentence
	Rule       string      // of the ledger, that refused
	Entry      *uint64     // that stands against it
	Hint       string      // what to do
	Violations []Violation // of contracts
	Cost       uint64      // what contracts spent on it, in their units
	Size       *uint64     // of the code "size": the entries that the server has
	Primary    string      // of the code "read-only": the address to write to, if the server tells it
	RequestID  string      // by which the server's log has it
}

// Violation is a rule of a contract that does not hold.
type Violation struct {
	Contract string // production@3
	Entry    uint64 // that put the contract
	Rule     string
	Subject  string // name@version, where the rule is about one
	Message  string
	Hint     string
	Error    string // why it could not be evaluated; else empty
}

func newProblem(p *wire.Problem) *Problem {
	said := &Problem{
		Status: p.Status, Code: string(p.Code), Detail: p.Detail, Rule: p.Rule, Entry: p.Entry, Hint: p.Hint,
		Cost: p.Cost, Size: p.Size, Primary: p.Primary, RequestID: p.RequestID,
	}
	for _, v := range p.Violations {
		said.Violations = append(said.Violations, Violation(v))
	}
	return said
}

// Error is a problem that a server answered with. Its class follows from its code.
// Nothing of it is verified: it costs at most what not answering would cost.
type Error struct {
	Problem *Problem
	URL     string // that was asked, without its query
}

func (e *Error) Error() string { return e.Problem.Detail }

// Hint says what to do, in the server's words.
func (e *Error) Hint() string { return e.Problem.Hint }

// Unwrap returns the class.
func (e *Error) Unwrap() error {
	if c, ok := codes[wire.Code(e.Problem.Code)]; ok {
		return c.class
	}
	return classOf(e.Problem.Status)
}

// codes is what each code means to a caller, and whether the same request may fare
// better later. A code counts only with a status that says as much: what stands
// between goes by the status, and so must we.
var codes = map[wire.Code]struct {
	class error
	fault bool // the server's, of status 429 or 5xx; else the request's, of another 4xx
	again bool
}{
	wire.CodeMalformed:    {class: ErrAnswer},
	wire.CodeTooLarge:     {class: ErrAnswer},
	wire.CodeNoRoute:      {class: ErrAnswer},
	wire.CodeIndex:        {class: ErrAnswer},
	wire.CodeUnauthorized: {class: ErrAccess},
	wire.CodeForbidden:    {class: ErrAccess},
	wire.CodeNotFound:     {class: ErrNotFound},
	wire.CodeRefused:      {class: ErrRefused},
	wire.CodeStale:        {class: ErrRefused},
	wire.CodeUntrusted:    {class: ErrRefused},
	wire.CodeTampered:     {class: evidence.ErrTampered},
	wire.CodeReadOnly:     {class: ErrReadOnly},
	wire.CodeSize:         {class: ErrUnreachable, again: true}, // a mirror that is behind catches up

	wire.CodeRateLimited:    {class: ErrUnreachable, fault: true, again: true},
	wire.CodeUnavailable:    {class: ErrUnreachable, fault: true, again: true},
	wire.CodeOutcomeUnknown: {class: ErrUnreachable, fault: true, again: true},
	wire.CodeInternal:       {class: ErrUnreachable, fault: true, again: true},
	wire.CodeNotCosigned:    {class: ErrNotCosigned, fault: true},
}

// classOf is the class of an answer by its status alone: a proxy's, or another
// program's.
func classOf(status int) error {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired:
		return ErrAccess
	case http.StatusNotFound, http.StatusGone:
		return ErrNotFound
	}
	if mayPass(status) || status >= 500 {
		return ErrUnreachable
	}
	return ErrAnswer
}

// believed returns a problem as far as it goes with the status of its answer. One
// that contradicts it is somebody else's, or a lie; nil if nothing of it is left.
func believed(p *wire.Problem, status int) *wire.Problem {
	if p == nil || p.Status != status {
		return nil
	}
	fault := status == http.StatusTooManyRequests || status >= 500
	if c, ok := codes[p.Code]; !ok || c.fault != fault {
		return wire.NewProblem(status, "", p.Detail)
	}
	return p
}

// Unreachable says what was tried before a request was given up. It is an
// ErrUnreachable.
type Unreachable struct {
	URL      string
	Attempts int
	Elapsed  time.Duration // since the first of them
	// Unknown says that a request which writes may have arrived: whether it was done
	// is not known. To make it again is safe.
	Unknown bool
	Err     error // of the last attempt
}

func (e *Unreachable) Error() string {
	if e.Attempts > 1 {
		return fmt.Sprintf("%s cannot be reached (%d attempts in %v): %v", e.URL, e.Attempts, e.Elapsed.Round(time.Millisecond), e.Err)
	}
	return fmt.Sprintf("%s cannot be reached: %v", e.URL, e.Err)
}

// Hint says what to do.
func (e *Unreachable) Hint() string {
	var said interface{ Hint() string }
	if errors.As(e.Err, &said) && said.Hint() != "" {
		return said.Hint()
	}
	if e.Unknown {
		return "it may be in the ledger or not; to send the same once more is safe: nothing is written twice"
	}
	return "check the address, the network, and that the server runs; then try again"
}

// Unwrap returns the class and the cause. A refusal among the causes would be
// another class: of an answer only the words are kept.
func (e *Unreachable) Unwrap() []error { return []error{ErrUnreachable, e.Err} }
