package wire

import (
	"encoding/json"

	"github.com/stele-ml/stele/statement"
)

// Page is what every list carries: as of which size it is, and where it goes on.
// Next asks for the following page of the same list, as of the same size, however
// much the log has grown meanwhile.
type Page struct {
	Size uint64 `json:"size"`
	Next string `json:"next,omitzero"`
}

// Entry is an entry of the log. Statement is the payload that was signed, Envelope
// all of it; Leaf, Inclusion and Checkpoint are there where one entry was asked for.
type Entry struct {
	Index      uint64          `json:"index"`
	Time       int64           `json:"time"` // Unix ms
	ID         statement.ID    `json:"id"`
	Kind       statement.Kind  `json:"kind"`
	Signer     Signer          `json:"signer"`
	Statement  json.RawMessage `json:"statement"`
	Envelope   json.RawMessage `json:"envelope,omitzero"`
	Leaf       []byte          `json:"leaf,omitzero"`
	Inclusion  [][]byte        `json:"inclusion,omitzero"`
	Checkpoint string          `json:"checkpoint,omitzero"`
}

// Signer is who signed: Key is the registered key, an issuer's where it signed
// through a delegation.
type Signer struct {
	Key     statement.KeyID `json:"key"`
	Handle  string          `json:"handle,omitzero"`
	Subject string          `json:"subject,omitzero"` // of a delegation: for whom the issuer signed
}

// Entries is a page of entries.
type Entries struct {
	Page
	Entries []Entry `json:"entries"`
}

// Names is a page of names.
type Names struct {
	Page
	Names []string `json:"names"`
}

// Binding is name@version and what it is bound to.
type Binding struct {
	Name        string `json:"name"`
	Version     string `json:"version"`
	Fingerprint string `json:"fingerprint"`
	Entry       uint64 `json:"entry"`
}

// Versions is a page of the versions of a name, in the order they were made.
type Versions struct {
	Page
	Versions []Binding `json:"versions"`
}

// Artifact is what the ledger has of a name@version.
type Artifact struct {
	Binding
	Kind        string            `json:"kind"`
	Files       uint64            `json:"files"`
	Bytes       uint64            `json:"bytes"`
	Time        int64             `json:"time"` // of its entry, Unix ms
	Signer      Signer            `json:"signer"`
	Good        bool              `json:"good"` // the signer has standing for that entry
	Annotations map[string]string `json:"annotations,omitzero"`
	Withdrawals []Withdrawal      `json:"withdrawals,omitzero"` // in force, of the name or the contents
}

// Withdrawal is a withdrawal in force.
type Withdrawal struct {
	Entry  uint64 `json:"entry"`
	Target string `json:"target"`
	Effect string `json:"effect"`
	Reason string `json:"reason,omitzero"`
	Handle string `json:"handle,omitzero"`
}

// Artifacts is a page of the artifacts of one fingerprint, by entry, or one by its name.
type Artifacts struct {
	Page
	Artifacts []Artifact `json:"artifacts"`
}

// Lineage is all that an artifact was made of, or that was made of it: nodes in the
// order of a walk, breadth first.
type Lineage struct {
	Page
	Direction string        `json:"direction"` // up or down
	Nodes     []LineageNode `json:"nodes"`
	Cut       bool          `json:"cut"` // there is more than the limit
}

// LineageNode is an artifact and what leads from it.
type LineageNode struct {
	Artifact
	Depth   int           `json:"depth"`
	Known   bool          `json:"known"` // upwards: an origin counts
	Origins []LineageEdge `json:"origins,omitzero"`
	More    bool          `json:"more,omitzero"` // there are more origins: GET /v1/lineage/edges has all
}

// LineageEdge is an entry that says what an artifact was made of.
type LineageEdge struct {
	Entry  uint64   `json:"entry"`
	Way    string   `json:"way"`
	Handle string   `json:"handle,omitzero"`
	Inputs []string `json:"inputs"`          // name@version
	Output string   `json:"output,omitzero"` // downwards: name@version of what was made
	Counts bool     `json:"counts"`
	Why    string   `json:"why,omitzero"` // it does not count
}

// LineageEdges is a page of what leads from one artifact, by entry.
type LineageEdges struct {
	Page
	Direction string        `json:"direction"` // up or down
	Edges     []LineageEdge `json:"edges"`
}

// Stages are the names of stages.
type Stages struct {
	Page
	Stages []string `json:"stages"`
}

// Stage is a page of what is in a stage.
type Stage struct {
	Page
	Stage     string   `json:"stage"`
	Artifacts []Placed `json:"artifacts"`
}

// Placed is an artifact in a stage, and the entry of the release that put it there.
type Placed struct {
	Name        string `json:"name"`
	Version     string `json:"version"`
	Fingerprint string `json:"fingerprint"`
	Release     uint64 `json:"release"`
}

// Contracts are the contracts in force.
type Contracts struct {
	Page
	Contracts []Contract `json:"contracts"`
}

// Contract is a contract in force: the document is the canonical JSON that was
// signed.
type Contract struct {
	ID       string          `json:"id"`    // production@3
	Entry    uint64          `json:"entry"` // that put it
	Since    int64           `json:"since"` // that entry's time, Unix ms
	Signer   Signer          `json:"signer"`
	SHA256   string          `json:"sha256"`
	Document json.RawMessage `json:"document"`
}

// Identities are the keys that were ever registered.
type Identities struct {
	Page
	Identities []Identity `json:"identities"`
}

// Identity is one registered key.
type Identity struct {
	Handle   string          `json:"handle"`
	Key      statement.KeyID `json:"key"`
	Roles    []string        `json:"roles,omitzero"`
	Names    []string        `json:"names,omitzero"`
	Kinds    []string        `json:"kinds,omitzero"` // of an issuer
	Entry    uint64          `json:"entry"`
	Expires  int64           `json:"expires,omitzero"` // Unix ms
	Retired  *uint64         `json:"retired,omitzero"`
	Since    *uint64         `json:"compromisedSince,omitzero"`
	Recovery bool            `json:"recovery,omitzero"`
}

// Checkpoints is a page of the history of published checkpoints, by size.
type Checkpoints struct {
	Page
	Checkpoints []SignedCheckpoint `json:"checkpoints"`
}

// SignedCheckpoint is a checkpoint, a signed note, and its size.
type SignedCheckpoint struct {
	Size uint64 `json:"size"`
	Note string `json:"note"`
}
