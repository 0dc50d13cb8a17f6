package jsonv1

// Gate is what `stele gate` prints: what a release to the stage would meet now.
// Nothing was written.
type Gate struct {
	Verdict     string      `json:"verdict"` // passed, tampered, untrusted, refused, undecided, not-found, unreachable or error
	Exit        int         `json:"exit"`    // the status that the command ends with
	Headline    string      `json:"headline"`
	Name        string      `json:"name"`
	Version     string      `json:"version"`
	Stage       string      `json:"stage"`
	Fingerprint string      `json:"fingerprint,omitempty"`
	Kind        string      `json:"kind,omitempty"`  // of the artifact
	Entry       *uint64     `json:"entry,omitempty"` // that stamped it
	Replaces    []string    `json:"replaces,omitempty"`
	By          *GateSigner `json:"by,omitempty"`       // who would sign; absent: nobody is known
	Released    *uint64     `json:"released,omitempty"` // it is in the stage already, by this entry
	Standing    string      `json:"standing,omitempty"` // of the artifact: good, tainted, withdrawn, untrusted or unknown
	Origin      string      `json:"origin,omitempty"`   // recorded, not-counted or none
	Approvals   []Approval  `json:"approvals,omitempty"`
	Path        string      `json:"path,omitempty"`  // of the data that were read
	Found       string      `json:"found,omitempty"` // the fingerprint of these
	Counts      *Counts     `json:"counts,omitempty"`
	Changes     []Change    `json:"changes,omitempty"`
	Truncated   bool        `json:"truncated,omitempty"` // there are more changes
	Hidden      uint64      `json:"hidden,omitempty"`    // entries below the path that the stamp's ignore rules left out
	AsOf        *AsOf       `json:"asOf,omitempty"`
	Cost        uint64      `json:"cost,omitempty"` // of all contracts together, in their units
	Checks      []GateCheck `json:"checks"`
}

// GateSigner is who would release.
type GateSigner struct {
	Handle string   `json:"handle"`
	Key    string   `json:"key"`
	Roles  []string `json:"roles"`
}

// GateCheck is one check of a gate. The gate passes where all that are required
// have passed; a warning is a check that does not hold and is not required.
type GateCheck struct {
	ID       string  `json:"id"`    // stable: lineage/not-tainted, contract/production/two-approvals
	Group    string  `json:"group"` // ledger, contents, lineage, approvals, freshness, rules, contracts or files
	Title    string  `json:"title"`
	Outcome  string  `json:"outcome"` // passed, failed, warning or not-made
	Required bool    `json:"required"`
	Message  string  `json:"message"`
	Hint     string  `json:"hint,omitempty"`
	Contract string  `json:"contract,omitempty"` // production@3
	Rule     string  `json:"rule,omitempty"`
	Entry    *uint64 `json:"entry,omitempty"`
	Cost     uint64  `json:"cost,omitempty"` // of a contract's rule
}
