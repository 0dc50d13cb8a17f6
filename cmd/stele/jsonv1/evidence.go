package jsonv1

// ProvedLineage says how much of a lineage an evidence file holds.
type ProvedLineage struct {
	Artifacts int `json:"artifacts"` // the claim's own included
	OfFiles   int `json:"ofFiles"`   // of them, those that are no collections
	Runs      int `json:"runs"`      // entries among the file's that are runs
	Entries   int `json:"entries"`
	Control   int `json:"control"` // control entries: all that the ledger has
}

// PathProof is a proof that a path is among the files of an artifact, or is not.
type PathProof struct {
	Artifact string `json:"artifact"` // name@version
	Path     string `json:"path"`     // as that artifact has it
	Present  bool   `json:"present"`
}

// Disclosed are paths of an artifact that proofs make known besides.
type Disclosed struct {
	Artifact string   `json:"artifact"` // name@version
	Paths    []string `json:"paths"`
}

// LeftOut is an entry that does not go into evidence, and why.
type LeftOut struct {
	Entry uint64 `json:"entry"`
	Kind  string `json:"kind,omitempty"`
	Why   string `json:"why"`
}

// Told is what one entry says of one artifact, as a part of a verdict's story:
// the artifact that was asked about first, then what it was made of, nearest
// first; of each the entry that bound it, then what else is about it.
type Told struct {
	Entry       uint64            `json:"entry"`
	Time        Time              `json:"time"`
	Kind        string            `json:"kind"`
	Name        string            `json:"name"`
	Version     string            `json:"version"`
	Fingerprint string            `json:"fingerprint"`
	Depth       int               `json:"depth"`           // steps from what was asked about
	Bound       bool              `json:"bound,omitempty"` // the entry bound the artifact
	Signer      Signer            `json:"signer"`
	Standing    string            `json:"standing"`             // of the signer's key for this entry, as is known at the checkpoint
	Says        string            `json:"says"`                 // in one line
	Command     []string          `json:"command,omitempty"`    // of a run whose details go along
	Parameters  map[string]string `json:"parameters,omitempty"` // the same
	Of          string            `json:"of,omitempty"`         // name@version it is about, where that is another one with the same bytes
	Inputs      []string          `json:"inputs,omitempty"`     // name@version: what it says the artifact was made of
	Discounted  string            `json:"discounted,omitempty"` // why that does not count
	Unknown     bool              `json:"unknown,omitempty"`    // where bound: no origin of it is recorded that counts
	Withdrawn   string            `json:"withdrawn,omitempty"`  // where bound: the strongest effect of the withdrawals that stand
	Taint       string            `json:"taint,omitempty"`      // where bound: the same of what it was made of
	Untrusted   bool              `json:"untrusted,omitempty"`  // where bound: its signer, or that of something it was made of, has no standing for it
}
