package jsonv1

// Cosign is what `stele cosign` prints.
type Cosign struct {
	Origin     string            `json:"origin"`
	Quorum     string            `json:"quorum"` // its name in the trust file
	Reached    bool              `json:"reached"`
	Checkpoint *Checkpoint       `json:"checkpoint,omitempty"` // the newest that reached the quorum
	Time       Time              `json:"time,omitempty"`       // of that: what it is as fresh as
	Witnesses  []CosignedWitness `json:"witnesses"`
}

// CosignedWitness is how a witness answered.
type CosignedWitness struct {
	Name  string `json:"name"` // in the trust file
	URL   string `json:"url,omitempty"`
	State string `json:"state"` // new, ok, unreachable, refused, false, ahead, no-address
	Size  uint64 `json:"size"`  // of the newest checkpoint that it cosigned, as far as is known; 0 for none
	Time  Time   `json:"time,omitempty"`
	// Error is why it did not cosign: its own words are foreign text.
	Error string `json:"error,omitempty"`
	// Forgot says that it told a smaller size than it had cosigned: it lost its
	// memory.
	Forgot bool `json:"forgot,omitempty"`
}
