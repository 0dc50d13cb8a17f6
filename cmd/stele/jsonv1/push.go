package jsonv1

// Push is what `stele push` prints: what the ledger took, in order, and what still
// waits.
type Push struct {
	Ledger  string        `json:"ledger"`
	Address string        `json:"address,omitempty"`
	Pushed  []Pushed      `json:"pushed"`
	Skipped []PushSkipped `json:"skipped"`
	Waiting []Waiting     `json:"waiting"`
}

// Pushed is a statement that the ledger has now.
type Pushed struct {
	Number  uint64 `json:"number"` // in the spool
	ID      string `json:"id"`
	Entry   uint64 `json:"entry"`
	Time    Time   `json:"time"`
	Existed bool   `json:"existed"` // the ledger had it before
}

// PushSkipped is a statement that the ledger refused, or that was damaged where it
// waited, and that was set aside.
type PushSkipped struct {
	Number uint64 `json:"number"`
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// Waiting is a statement that still waits.
type Waiting struct {
	Number uint64 `json:"number"`
	ID     string `json:"id,omitempty"`
	Kind   string `json:"kind,omitempty"`
	About  string `json:"about,omitempty"`
	Path   string `json:"path"`
}
