// Package oms reads, checks and writes model signatures as the OpenSSF Model
// Signing specification v1.0 has them: a Sigstore bundle around an in-toto
// statement that lists every file of a model. docs/formats/oms.md says what is
// read, what is written and what is refused.
//
// [Parse] a signature, check it with [Signature.VerifyKey] or
// [Signature.VerifyCertificate], and only then is there a [Statement] that can
// be compared with a model: [Statement.Verify] reads one, [Statement.Compare]
// takes digests that are known already.
//
// What a signature proves is that the holder of a key listed these names with
// these digests. It does not say when. Its root digest does not bind the names:
// it is checked, and is nobody's identity.
package oms

import "errors"

// Limits of a signature.
const (
	// MaxFile is the largest signature file, in bytes: some 200 for each file of
	// a model.
	MaxFile = 64 << 20
	// MaxResources is how many files, or shards of files, one may list.
	MaxResources = 250_000
	// MaxModelFiles is how many files a model may have that is compared with one:
	// those past it are not listed, and would be counted for nothing.
	MaxModelFiles = 1_000_000
	// MaxIgnored is how many paths one may leave out, to be read.
	MaxIgnored = 10_000
	// MaxIgnoredWritten is how many paths one leaves out that is written here: a
	// person has to be able to read them.
	MaxIgnoredWritten = 256
	// MaxChain is how many certificates one may carry.
	MaxChain = 16
	// MaxCertificate is the largest certificate, in bytes.
	MaxCertificate = 64 << 10

	// maxBundleDepth is how deep a bundle's JSON may nest. Log entries are the
	// deepest.
	maxBundleDepth = 16
	// maxPayloadDepth is how deep the statement's JSON may nest.
	maxPayloadDepth = 16
	// maxSignature is the longest signature in bytes: P-521 in DER has 139.
	maxSignature = 256
	// maxHint bounds the key's hint, and a key id.
	maxHint = 1024
	// maxSubject bounds the model's name.
	maxSubject = 4096
)

// The types of what is signed.
const (
	// PredicateType is the one that is written.
	PredicateType = "https://model_signing/signature/v1.0"
	// PredicateTypeDigests is of the reference implementation's v0.2.0: read,
	// never written.
	PredicateTypeDigests = "https://model_signing/Digests/v0.1"

	payloadType   = "application/vnd.in-toto+json"
	statementType = "https://in-toto.io/Statement/v1"
)

// The classes of error, for errors.Is.
var (
	// ErrFormat: it is no model signature, or one that breaks a rule.
	ErrFormat = errors.New("not a model signature")
	// ErrUnsupported: it may be a good one, and cannot be checked here.
	ErrUnsupported = errors.New("not supported here")
	// ErrSignature: the signature does not fit what is said to be signed.
	ErrSignature = errors.New("the signature does not verify")
	// ErrOtherKey: it was not made with the given key, or not by anybody whom
	// the given certificates vouch for.
	ErrOtherKey = errors.New("not signed by whom you trust")
	// ErrLimit: there is more of something than is read.
	ErrLimit = errors.New("limit exceeded")
)

// refusal is an error with what to do about it.
type refusal struct {
	err  error
	hint string
}

func (r *refusal) Error() string { return r.err.Error() }
func (r *refusal) Unwrap() error { return r.err }

// Hint says what a person can do about it.
func (r *refusal) Hint() string { return r.hint }
