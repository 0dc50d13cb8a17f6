package jsonv1

// Guard is what `stele guard` prints, on standard error, just before the server
// is started: nothing after it is stele's own.
type Guard struct {
	Stage     string            `json:"stage"`
	Check     string            `json:"check"` // full, audit or cached
	Models    []GuardModel      `json:"models"`
	Warnings  []string          `json:"warnings,omitempty"` // with --strict each of them refuses
	Notes     []string          `json:"notes,omitempty"`
	AsOf      AsOf              `json:"asOf"`             // the checkpoint that it holds as of; of several evidence files the oldest
	Offline   bool              `json:"offline"`          // by evidence files, not by the ledger
	MaxAge    string            `json:"maxAge,omitempty"` // that was asked for, as in 24h0m0s
	Replaces  bool              `json:"replaces"`         // the server has the process of stele; else it is its child
	Variables map[string]string `json:"variables"`        // that the server finds in its environment
}

// GuardModel is one model that may be served.
type GuardModel struct {
	Name        string       `json:"name"`
	Version     string       `json:"version"`
	Fingerprint string       `json:"fingerprint"`
	Files       uint64       `json:"files"`
	Bytes       uint64       `json:"bytes"`
	Place       string       `json:"place"`            // where it was read
	Path        string       `json:"path"`             // that the server is given
	Verdict     string       `json:"verdict"`          // verified or sampled; withdrawn or tainted where that does not keep it from starting
	Unread      uint64       `json:"unread,omitempty"` // bytes that were not read now
	How         string       `json:"how,omitempty"`    // of what was not read
	Odds        []string     `json:"odds,omitempty"`   // of an audit, a sentence each
	Release     GuardRelease `json:"release"`
	Pin         GuardPin     `json:"pin"`
}

// GuardRelease is the entry that put a model into the stage.
type GuardRelease struct {
	Entry  uint64 `json:"entry"`
	Time   Time   `json:"time"`
	Signer Signer `json:"signer"`
}

// GuardPin says what keeps a model's files as they were verified.
type GuardPin struct {
	Kind   string `json:"kind"`             // copy, read-only-mount or only-checked
	Detail string `json:"detail"`           // in a sentence
	Memory bool   `json:"memory,omitempty"` // the copy lies in memory
}
