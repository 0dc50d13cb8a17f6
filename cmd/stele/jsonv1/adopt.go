package jsonv1

// Adoption is what `stele adopt` prints.
type Adoption struct {
	From      AdoptedLedger  `json:"from"`
	To        AdoptedLedger  `json:"to"`
	DryRun    bool           `json:"dryRun,omitempty"`
	Artifacts []Adopted      `json:"artifacts"` // in the order of the old ledger
	LeftOut   map[string]int `json:"leftOut"`   // how many entries of a kind are not adopted as such
}

// AdoptedLedger is one of the two ledgers.
type AdoptedLedger struct {
	ID     string `json:"id"`
	Origin string `json:"origin"`
	Size   uint64 `json:"size"` // as it was read at first
}

// Adopted is an artifact of the old ledger.
type Adopted struct {
	Old         string  `json:"old"` // name@version there
	OldEntry    uint64  `json:"oldEntry"`
	Name        string  `json:"name"`
	Version     string  `json:"version"`
	Fingerprint string  `json:"fingerprint"`
	State       string  `json:"state"`              // adopted, would-adopt, existed, left-out, conflict or refused
	Reason      string  `json:"reason,omitempty"`   // why it was left out, or what is in its way
	Entry       *uint64 `json:"entry,omitempty"`    // on the new ledger, of adopted and existed
	Evidence    string  `json:"evidence,omitempty"` // the SHA-256 of the attachment that has the old receipt
}
