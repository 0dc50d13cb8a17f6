package jsonv1

// Monitored is what `stele monitor` prints, one a line: something that the log's
// owner wants to hear of.
type Monitored struct {
	// Type is, of an entry: log-key, identity, contract, withdrawal,
	// reinstatement, rejection, key, name; of the log: started, fork, rollback,
	// untrusted, tampered, still, moves, unreachable, reachable. The names do not
	// change; others may come. docs/monitoring.md says what each means.
	Type    string `json:"type"`
	Time    Time   `json:"time"` // when it was noticed
	Origin  string `json:"origin,omitempty"`
	Size    uint64 `json:"size"` // of the checkpoint that covers it, or that was checked last
	Message string `json:"message"`

	// Of an entry:
	Entry   *MonitoredEntry `json:"entry,omitempty"`
	Matched []string        `json:"matched,omitempty"` // the watched keys, handles and patterns that it meets

	// Of a fork and a rollback: two checkpoints that the log signed.
	Old string `json:"old,omitempty"`
	New string `json:"new,omitempty"`
}

// MonitoredEntry is an entry that a monitor reports.
type MonitoredEntry struct {
	Index   uint64 `json:"index"`
	Time    Time   `json:"time"` // the ledger's
	Kind    string `json:"kind"`
	Subject string `json:"subject"`
	Signer  Signer `json:"signer"`
}
