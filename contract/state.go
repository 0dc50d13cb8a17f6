package contract

import (
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// State is what rules can ask of a ledger: pure reads as of one height, in the
// order of entries. The same state gives the same answers, however often and in
// whatever order it is asked; what is returned is shared and not to be changed.
// Whose word counts is not decided here: what is returned has the signers'
// standing with it. An error says that something could not be read, and ends
// the evaluation without a verdict.
type State interface {
	lineage.Facts

	// Bindings returns every artifact of these contents, under whatever name,
	// by entry and, in one entry, by name and version.
	Bindings(fp fingerprint.Fingerprint) ([]*lineage.Artifact, error)

	// About returns the entries of a kind about these contents, under whatever
	// name, by entry: approvals, evaluations, releases (those that the contents
	// are replaced by, too) or audits (announcements and results).
	About(fp fingerprint.Fingerprint, kind statement.Kind) ([]*lineage.Said, error)

	// Said returns one entry. One that is not there is a lineage.ErrNotFound.
	Said(index uint64) (*lineage.Said, error)

	// InStage returns what is in a stage, by the entries that put it there: of one
	// name, or all where name is empty.
	InStage(stage, name string) ([]Placed, error)

	// People returns the handles with a key in good standing that has the role,
	// sorted, each once.
	People(role string) []string

	// Proposals returns who has proposed the contract with that digest, by
	// entry: by keys in good standing alone.
	Proposals(digest [32]byte) []Proposal
}

// Placed is an artifact in a stage and the release that put it there.
type Placed struct {
	Ref   statement.Ref
	Entry uint64 // of the release
}

// Proposal is an entry that proposes a contract.
type Proposal struct {
	Handle string
	Key    statement.KeyID
	Entry  uint64
	Time   int64 // of the entry, Unix ms
}

// Input is what is judged: a statement, and what it would meet as an entry.
type Input struct {
	Statement *statement.Statement
	Signer    Signer
	Entry     uint64 // the index it would have
	Time      int64  // of the entry, Unix ms
	State     State  // before the entry
}

// Signer is whoever signed the statement, or would.
type Signer struct {
	Handle string
	Key    statement.KeyID // registered: the signer's own, or its issuer's
	Roles  []string        // of the key, sorted

	// Delegation is what the issuer signed for whoever signs, or nil. Rules do not
	// see it: they are about people, and the issuer answers for its delegates.
	Delegation *statement.Delegation

	// Known is false where nobody knows who would sign. Rules that look at the
	// signer are then not decided, rather than decided wrongly.
	Known bool
}
