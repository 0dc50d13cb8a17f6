package wire

import (
	"fmt"
	"strings"

	"github.com/stele-ml/stele/internal/strictjson"
)

// ProblemType is the media type of every answer that is an error: RFC 9457.
const ProblemType = "application/problem+json"

// ProblemBase is what a problem's type begins with; its code follows.
const ProblemBase = "https://stele.dev/problems/"

// MaxProblem is the longest problem, in bytes.
const MaxProblem = 256 << 10

const maxProblemDepth = 8

// Code is the class of a problem: what a client acts on. It never changes its
// meaning.
type Code string

// The codes. docs/api.md has their statuses, and the exit status of the command
// line for each.
const (
	CodeMalformed      Code = "malformed"       // the request is not one
	CodeTooLarge       Code = "too-large"       // a part of it is beyond its limit
	CodeUnauthorized   Code = "unauthorized"    // nobody who may, or nobody known
	CodeForbidden      Code = "forbidden"       // somebody known who may not
	CodeNotFound       Code = "not-found"       // there is no such thing
	CodeNoRoute        Code = "no-route"        // there is no such operation
	CodeRefused        Code = "refused"         // a rule of the ledger, or a contract
	CodeUntrusted      Code = "untrusted"       // the signature, or the signer's standing
	CodeStale          Code = "stale"           // the ledger has newer entries about it
	CodeReadOnly       Code = "read-only"       // a mirror, or a ledger that is only read
	CodeRateLimited    Code = "rate-limited"    // too often
	CodeUnavailable    Code = "unavailable"     // not now: too much at once, or stopping
	CodeOutcomeUnknown Code = "outcome-unknown" // it may or may not be written; again is safe
	CodeNotCosigned    Code = "not-cosigned"    // it is written; the quorum is not there so far
	CodeSize           Code = "size"            // the ledger has fewer entries than the request says
	CodeIndex          Code = "index"           // client and server know other versions of the index
	CodeTampered       Code = "tampered"        // what was sent is not what its name says
	CodeInternal       Code = "internal"        // the server's fault
)

// Problem is an error as RFC 9457 writes it. Code, Rule, Entry, Hint and
// Violations are its extensions: a refusal in the words that a ledger on the same
// machine would have.
type Problem struct {
	Type       string      `json:"type"` // ProblemBase and the code
	Title      string      `json:"title"`
	Status     int         `json:"status"`
	Detail     string      `json:"detail,omitzero"`
	Code       Code        `json:"code"`
	Rule       string      `json:"rule,omitzero"`  // of the ledger, that refused
	Entry      *uint64     `json:"entry,omitzero"` // that stands against it
	Hint       string      `json:"hint,omitzero"`  // what to do
	Violations []Violation `json:"violations,omitzero"`
	Cost       uint64      `json:"cost,omitzero"`    // what contracts spent on it, in their units
	Size       *uint64     `json:"size,omitzero"`    // of CodeSize: what the ledger has
	Primary    string      `json:"primary,omitzero"` // of CodeReadOnly: where to write
	RequestID  string      `json:"requestId,omitzero"`
}

// Violation is a rule of a contract that does not hold.
type Violation struct {
	Contract string `json:"contract"` // production@3
	Entry    uint64 `json:"entry"`    // where it was put
	Rule     string `json:"rule"`
	Subject  string `json:"subject,omitzero"` // name@version
	Message  string `json:"message"`
	Hint     string `json:"hint,omitzero"`
	Error    string `json:"error,omitzero"` // why it could not be evaluated
}

// NewProblem returns a problem of that code.
func NewProblem(status int, code Code, detail string) *Problem {
	return &Problem{Type: ProblemBase + string(code), Title: strings.ReplaceAll(string(code), "-", " "), Status: status, Code: code, Detail: detail}
}

// Error implements error.
func (p *Problem) Error() string {
	if p.Detail != "" {
		return p.Detail
	}
	return fmt.Sprintf("%s (%d)", p.Title, p.Status)
}

// Marshal returns the problem's body.
func (p *Problem) Marshal() ([]byte, error) { return strictjson.Marshal(p) }

// ParseProblem reads a problem. Members that this version does not know are passed
// over: a newer server may say more. One without a code of ours has the code "".
func ParseProblem(body []byte) (*Problem, error) {
	p := new(Problem)
	if err := strictjson.UnmarshalForeign(body, p, MaxProblem, maxProblemDepth); err != nil {
		return nil, err
	}
	if p.Type != ProblemBase+string(p.Code) {
		p.Code = ""
	}
	return p, nil
}
