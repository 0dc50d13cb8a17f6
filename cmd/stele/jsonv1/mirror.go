package jsonv1

// ExportTiles is what `stele export tiles` prints.
type ExportTiles struct {
	Origin  string `json:"origin"`
	To      string `json:"to"`
	Before  uint64 `json:"before"`  // entries that were published there
	Entries uint64 `json:"entries"` // that are now
	Written uint64 `json:"written"` // files, besides the checkpoint
	There   uint64 `json:"there"`   // files that were looked at and there already
}

// Restore is what `stele restore` prints where the ledger goes on.
type Restore struct {
	Ledger     string     `json:"ledger"`
	Origin     string     `json:"origin"`
	Directory  string     `json:"directory"`
	Entries    uint64     `json:"entries"`
	Compared   []Known    `json:"compared"` // what was known of the log: all of it is there
	Unasked    []string   `json:"unasked"`  // who may know more and was not reached
	Checkpoint Checkpoint `json:"checkpoint"`
}

// Known is how many entries somebody knows of.
type Known struct {
	Who  string `json:"who"`
	Size uint64 `json:"size"`
}

// Successor is what `stele restore --successor` prints.
type Successor struct {
	Ledger         string      `json:"ledger"`
	Origin         string      `json:"origin"`
	Directory      string      `json:"directory"`
	LogKey         string      `json:"logKey"`
	Trust          string      `json:"trust"`
	Signer         Signer      `json:"signer"`
	Administrators []string    `json:"administrators"` // handles
	Predecessor    Predecessor `json:"predecessor"`
	Lost           []Known     `json:"lost"` // who knows entries of the old ledger that are missing
}

// Predecessor is the ledger that a new one succeeds, with its last checkpoint that
// could be proven.
type Predecessor struct {
	Ledger string `json:"ledger"`
	Origin string `json:"origin"`
	Size   uint64 `json:"size"`
	Root   string `json:"root"` // base64
}

// Mirror is what `stele mirror --once` prints.
type Mirror struct {
	Origin     string     `json:"origin"`
	Primary    string     `json:"primary"` // the address that was copied from
	Directory  string     `json:"directory"`
	Entries    uint64     `json:"entries"`
	Documents  uint64     `json:"documents"` // attachments and manifests that were copied now
	Withheld   uint64     `json:"withheld"`  // those that the primary did not give
	Checkpoint Checkpoint `json:"checkpoint"`
}
