// Package provenance reads what other builders signed: in-toto statements in
// DSSE envelopes, SLSA provenance above all, as claims by their keys.
// docs/formats/in-toto.md says what is read and what is refused.
//
// [Parse] an envelope, check it with [Envelope.Verify], and only then is there a
// [Statement] that can be compared with an artifact. What it says the artifact
// was made of is a claim: nobody here has seen it.
package provenance

import (
	"errors"
	"fmt"

	"github.com/stele-ml/stele/statement"
)

// Limits of a foreign statement.
const (
	// MaxFile is the largest file with one, in bytes: it is kept whole beside the
	// ledger.
	MaxFile = statement.MaxDetails
	// MaxSubjects is how many things one may be about.
	MaxSubjects = 10_000
	// MaxDependencies is how many things one may say that they were made of.
	MaxDependencies = 10_000
	// MaxSignatures is how many signatures an envelope may have.
	MaxSignatures = 16
	// MaxDigests is how many digests a thing may have.
	MaxDigests = 16

	// maxDepth is how deep the JSON may nest: predicates hold what builders like.
	maxDepth = 64
	// maxSignature is the longest signature in bytes: RSA of 8192 bits.
	maxSignature = 1024
	// maxName bounds names, URIs, types and digests, in bytes.
	maxName = 8192
)

// The types that are known.
const (
	PayloadType     = "application/vnd.in-toto+json"
	StatementV1     = "https://in-toto.io/Statement/v1"
	StatementV01    = "https://in-toto.io/Statement/v0.1"
	ProvenanceV1    = "https://slsa.dev/provenance/v1"
	ProvenanceV02   = "https://slsa.dev/provenance/v0.2"
	digestSHA256    = "sha256"
	sigstoreDSSEKey = "dsseEnvelope"
)

// The classes of error, for errors.Is.
var (
	// ErrFormat: it is no in-toto statement in an envelope, or one that breaks a
	// rule.
	ErrFormat = errors.New("not an in-toto statement")
	// ErrUnsupported: it may be a good one, and cannot be checked here.
	ErrUnsupported = errors.New("not supported here")
	// ErrSignature: no signature of the given key fits what is said to be signed.
	ErrSignature = errors.New("the signature does not verify with the given key")
)

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrFormat, fmt.Errorf(format, args...))
}

// refusal is an error with what to do about it.
type refusal struct {
	err  error
	hint string
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// Hint says what a person can do about it.
func (r *refusal) Hint() string { return r.hint }

// quote makes foreign text fit for a message.
func quote(text string) string {
	const longest = 120
	if len(text) > longest {
		return fmt.Sprintf("%+q…", text[:longest])
	}
	return fmt.Sprintf("%+q", text)
}
