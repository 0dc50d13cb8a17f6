package jsonv1

// VerifyOMS is what `stele verify --oms` prints. A change may also be "linked":
// a symbolic link where the signer had none.
type VerifyOMS struct {
	Verdict       string        `json:"verdict"`       // verified, sampled, tampered or untrusted
	How           string        `json:"how,omitempty"` // of a verdict sampled: what was not looked at
	Path          string        `json:"path"`
	Signature     string        `json:"signature"`          // the signature file
	Model         string        `json:"model,omitempty"`    // the model's name, as its signer says
	Signer        ForeignKey    `json:"signer"`             // as far as it was checked
	PredicateType string        `json:"predicateType"`      // of what is signed; like all below, only where the signature holds
	Hash          string        `json:"hash,omitempty"`     // sha256, blake2b or blake3
	ShardSize     uint64        `json:"shardSize,omitzero"` // bytes; absent: whole files are signed
	Listed        uint64        `json:"listed"`             // files
	Resources     uint64        `json:"resources"`          // files, or shards of files
	Files         uint64        `json:"files"`              // found, and as signed
	Bytes         uint64        `json:"bytes"`              // of those
	Counts        *Counts       `json:"counts,omitempty"`
	Changes       []Change      `json:"changes"`
	Truncated     bool          `json:"truncated,omitempty"`
	Ignored       []IgnoredPath `json:"ignored"`           // what was not looked at
	Void          []string      `json:"void,omitempty"`    // ignore_paths that are no path in a model, so that they leave out nothing
	Links         uint64        `json:"links,omitzero"`    // files behind symbolic links
	Empty         []string      `json:"empty,omitempty"`   // files of no bytes, which a list of shards cannot hold
	Renamed       string        `json:"renamed,omitempty"` // the name under which a single file was signed
	Checks        []Check       `json:"checks"`
	Notes         []string      `json:"notes"`
}

// ForeignKey is the key behind a foreign signature.
type ForeignKey struct {
	Method    string `json:"method"`              // key or certificate
	Key       string `json:"key,omitempty"`       // SHA-256 of the DER of its SubjectPublicKeyInfo
	Algorithm string `json:"algorithm,omitempty"` // for people
	Subject   string `json:"subject,omitempty"`   // of the certificate
	At        Time   `json:"at,omitempty"`        // as of when the certificates were judged
}

// IgnoredPath is a path that a model signature leaves out.
type IgnoredPath struct {
	Path   string `json:"path"`
	Here   bool   `json:"here"`             // something stands there
	Folder bool   `json:"folder,omitempty"` // a folder, with all in it
	Rule   bool   `json:"rule,omitempty"`   // by the format's own rule, and not the signer's
}

// ExportOMS is what `stele export oms` prints.
type ExportOMS struct {
	Name        string     `json:"name"`
	Version     string     `json:"version"`
	Fingerprint string     `json:"fingerprint"`
	Entry       uint64     `json:"entry"`
	Path        string     `json:"path"`
	File        string     `json:"file"`
	PublicKey   string     `json:"publicKey,omitempty"` // where the public key was written to
	Model       string     `json:"model"`
	Signer      ForeignKey `json:"signer"`
	Files       uint64     `json:"files"`
	Bytes       uint64     `json:"bytes"`
	Ignored     []string   `json:"ignored"`          // ignore_paths
	NotSigned   []string   `json:"notSigned"`        // files that the stamp covers, and such a signature never does
	Links       uint64     `json:"links,omitzero"`   // files behind symbolic links
	Renamed     string     `json:"renamed,omitzero"` // the name under which a single file was stamped
}

// Import is what `stele import oms|intoto` prints.
type Import struct {
	Written
	Name          string        `json:"name"`
	Version       string        `json:"version"`
	Fingerprint   string        `json:"fingerprint"`
	Format        string        `json:"format"` // oms or in-toto
	PredicateType string        `json:"predicateType"`
	Document      string        `json:"document"` // SHA-256 of the file, which is kept as an attachment
	By            ForeignKey    `json:"by"`       // who signed it
	Against       string        `json:"against"`  // data: it was read; manifest: against the manifest; fingerprint: it names the fingerprint
	Hash          string        `json:"hash,omitempty"`
	Resources     uint64        `json:"resources,omitzero"`
	Ignored       []IgnoredPath `json:"ignored,omitempty"`
	Builder       string        `json:"builder,omitempty"`
	Inputs        []Ref         `json:"inputs,omitempty"`       // what it claims the artifact was made of, and is on this ledger
	Dependencies  uint64        `json:"dependencies,omitempty"` // all that it claims
	Notes         []string      `json:"notes"`
}

// ExportInToto is what `stele export intoto` prints.
type ExportInToto struct {
	File string        `json:"file"`
	Runs []ExportedRun `json:"runs"`
	// Unchecked is how many of them are signed by SSH keys, which other tools
	// for DSSE cannot check.
	Unchecked uint64 `json:"unchecked,omitzero"`
}

// ExportedRun is a line of the file that `stele export intoto` writes.
type ExportedRun struct {
	Run       string   `json:"run"`
	Entry     uint64   `json:"entry"`
	Signer    Signer   `json:"signer"`
	Standing  string   `json:"standing"`  // of the signer's key for this entry, as of now
	Algorithm string   `json:"algorithm"` // ecdsa-p256, ed25519 or ssh
	Outputs   []string `json:"outputs"`   // name@version
}
