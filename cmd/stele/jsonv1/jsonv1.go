// Package jsonv1 is what `stele --json` prints, version 1.
//
// Standard output carries one object, or one object a line for lists. Fields
// are only ever added within a version. Times are UTC, RFC 3339 with
// milliseconds; sizes are bytes; digests carry their algorithm's name.
package jsonv1

import "time"

// Time is a moment of the ledger: UTC, RFC 3339 with milliseconds.
type Time string

// At makes a Time of Unix milliseconds.
func At(unixMilli int64) Time {
	return Time(time.UnixMilli(unixMilli).UTC().Format("2006-01-02T15:04:05.000Z07:00"))
}

// Failure is what every command prints when it fails.
type Failure struct {
	Error Error `json:"error"`
}

// Error says what happened, on what, and what to do.
type Error struct {
	Code    string  `json:"code"` // error, usage, tampered, refused, not-found, untrusted, unreachable
	Message string  `json:"message"`
	Hint    string  `json:"hint,omitempty"`
	Path    string  `json:"path,omitempty"`
	Entry   *uint64 `json:"entry,omitempty"`
	Rule    string  `json:"rule,omitempty"` // of a contract: production@3/two-approvals, the first that refuses

	// Of what contracts refuse:
	Contract   string      `json:"contract,omitempty"` // production, that the rule is of
	Version    uint64      `json:"version,omitempty"`  // of it
	Violations []Violation `json:"violations,omitempty"`
	Cost       uint64      `json:"cost,omitempty"` // of the whole evaluation

	Problems []Problem `json:"problems,omitempty"` // of a contract that does not compile
}

// Signer is who signed: a pseudonym and the key's id.
type Signer struct {
	Handle string `json:"handle"`
	Key    string `json:"key"` // registered: the signer's own, or that of its delegation's issuer

	Delegation *SignerDelegation `json:"delegation,omitempty"` // of a CI job
}

// Checkpoint is a signed size and root of the log.
type Checkpoint struct {
	Size uint64 `json:"size"`
	Root string `json:"root"` // standard base64
	Note string `json:"note,omitempty"`
}

// Basis counts a stamp's bytes by how strongly they were known: read now, or
// taken over because version, ETag or modification time were unchanged; read
// elsewhere, as the signer claims; of a collection, stamped before.
type Basis struct {
	Read    uint64  `json:"read"`
	Version uint64  `json:"version"`
	ETag    uint64  `json:"etag"`
	MTime   uint64  `json:"mtime"`
	Claimed uint64  `json:"claimed,omitempty"`
	Stamped uint64  `json:"stamped,omitempty"`
	Entry   *uint64 `json:"entry,omitempty"`
}

// Ref names an artifact: name@version and its fingerprint.
type Ref struct {
	Name        string `json:"name"`
	Version     string `json:"version"`
	Fingerprint string `json:"fingerprint"`
}

// Init is what `stele init` prints. RecoveryKey is shown this once.
type Init struct {
	Ledger      string     `json:"ledger"`
	Origin      string     `json:"origin"`
	Directory   string     `json:"directory"`
	Hash        string     `json:"hash"`
	LogKey      string     `json:"logKey"`
	Signer      Signer     `json:"signer"`
	Checkpoint  Checkpoint `json:"checkpoint"`
	RecoveryKey string     `json:"recoveryKey"`
	Trust       string     `json:"trust"` // path of the pinned policy
}

// Fingerprint is what `stele fingerprint` prints.
type Fingerprint struct {
	Fingerprint string   `json:"fingerprint"`
	Path        string   `json:"path"`
	Files       uint64   `json:"files"`
	Bytes       uint64   `json:"bytes"`
	Ignore      []string `json:"ignore"`
	Hidden      uint64   `json:"hidden"`               // entries that the ignore rules left out
	Listed      bool     `json:"listed,omitempty"`     // exactly the files of --files-from, without rules
	Resumed     uint64   `json:"resumed,omitempty"`    // bytes that had been read before an interruption
	Manifest    string   `json:"manifest,omitempty"`   // of --manifest
	ManifestTo  string   `json:"manifestTo,omitempty"` // where --manifest-to put it
	Model       *Model   `json:"model,omitempty"`      // where there are files that are named as a model's
}

// Shard is what `stele fingerprint --shard` prints: of one shard, and how many
// files were listed for all of them.
type Shard struct {
	Shard      string   `json:"shard"` // 3/16: the third of sixteen
	Path       string   `json:"path"`
	Files      uint64   `json:"files"`
	Bytes      uint64   `json:"bytes"`
	Listed     uint64   `json:"listed"` // files in all
	Ignore     []string `json:"ignore"`
	Hidden     uint64   `json:"hidden"`
	Resumed    uint64   `json:"resumed,omitempty"`
	Manifest   string   `json:"manifest,omitempty"`
	ManifestTo string   `json:"manifestTo,omitempty"`
}

// Stamp is what `stele stamp` prints. With DryRun nothing was written, and
// entry, time and checkpoint are absent.
type Stamp struct {
	Fingerprint string      `json:"fingerprint"`
	Name        string      `json:"name"`
	Version     string      `json:"version"`
	Kind        string      `json:"kind"`
	Files       uint64      `json:"files"`
	Bytes       uint64      `json:"bytes"`
	Basis       Basis       `json:"basis"`
	Entry       *uint64     `json:"entry,omitempty"`
	Time        Time        `json:"time,omitempty"`
	Signer      Signer      `json:"signer"`
	Origin      string      `json:"origin"`
	Checkpoint  *Checkpoint `json:"checkpoint,omitempty"`
	Existed     bool        `json:"existed"`
	DryRun      bool        `json:"dryRun,omitempty"`
	Since       *Diff       `json:"since,omitempty"`   // against --since, else the last version of the name; of a collection, against --since
	Members     []Member    `json:"members,omitempty"` // of a collection

	Changes       *Counts `json:"changes,omitempty"`       // since --since, as the stamp says
	Listed        bool    `json:"listed,omitempty"`        // exactly the files of --files-from, without rules
	Resumed       uint64  `json:"resumed,omitempty"`       // bytes that had been read before an interruption
	ManifestTo    string  `json:"manifestTo,omitempty"`    // where --manifest-to put the manifest
	ReadElsewhere bool    `json:"readElsewhere,omitempty"` // --manifest: basis.read is what the signer claims
	Model         *Model  `json:"model,omitempty"`         // of kind model: what its files are, which is not signed
}

// Member is a stamped artifact in a collection.
type Member struct {
	Prefix      string `json:"prefix"` // where its paths lie, without the '/' at its end
	Name        string `json:"name"`
	Version     string `json:"version"`
	Fingerprint string `json:"fingerprint"`
	Files       uint64 `json:"files"`
	Bytes       uint64 `json:"bytes"`
	Verdict     string `json:"verdict,omitempty"` // of verify and audit alone
}

// Range is bytes of a file, end exclusive.
type Range struct {
	Start uint64 `json:"start"`
	End   uint64 `json:"end"`
}

// Change is one difference between two trees.
type Change struct {
	Path    string  `json:"path"`
	Change  string  `json:"change"` // modified, added, removed, moved, renamed; of an audit also resized
	From    string  `json:"from,omitempty"`
	OldSize *uint64 `json:"oldSize,omitempty"`
	NewSize *uint64 `json:"newSize,omitempty"`
	Ranges  []Range `json:"ranges,omitempty"`
}

// Counts counts files by what happened to them.
type Counts struct {
	Same     uint64 `json:"same"`
	Modified uint64 `json:"modified"`
	Added    uint64 `json:"added"`
	Removed  uint64 `json:"removed"`
	Moved    uint64 `json:"moved"`
	Renamed  uint64 `json:"renamed"`
	Resized  uint64 `json:"resized,omitempty"` // of an audit alone: of another size, and not read
}

// Diff is what `stele diff` prints: the first 1,000 changes unless --all.
type Diff struct {
	A         string   `json:"a"`
	B         string   `json:"b"`
	Same      bool     `json:"same"`
	Counts    Counts   `json:"counts"`
	Changes   []Change `json:"changes"`
	Truncated bool     `json:"truncated,omitempty"`
}

// Check is one named check: OK is true for passed, false for failed, null
// for not made.
type Check struct {
	Name   string `json:"name"`
	OK     *bool  `json:"ok"`
	Detail string `json:"detail"`
	Path   string `json:"path,omitempty"` // of checks about a path
	Of     string `json:"of,omitempty"`   // whose path, name@version, where not that of what was asked about
}

// AsOf says which state of which ledger a verdict speaks of.
type AsOf struct {
	Origin string `json:"origin"`
	Ledger string `json:"ledger"`
	Size   uint64 `json:"size"`
	Root   string `json:"root"`
	Time   Time   `json:"time,omitempty"`
}

// Verify is what `stele verify` prints.
type Verify struct {
	Verdict     string   `json:"verdict"` // verified, sampled, tampered, untrusted, withdrawn, tainted or unknown
	Name        string   `json:"name,omitempty"`
	Version     string   `json:"version,omitempty"`
	Fingerprint string   `json:"fingerprint,omitempty"`
	Found       string   `json:"found,omitempty"` // the fingerprint of the given data
	Path        string   `json:"path,omitempty"`
	Entry       *uint64  `json:"entry,omitempty"`
	Time        Time     `json:"time,omitempty"`
	Signer      *Signer  `json:"signer,omitempty"`
	AsOf        *AsOf    `json:"asOf"`
	Basis       *Basis   `json:"basis"`
	Checks      []Check  `json:"checks"`
	Counts      *Counts  `json:"counts,omitempty"`
	Changes     []Change `json:"changes"`
	Truncated   bool     `json:"truncated,omitempty"`
	Ignore      []string `json:"ignore,omitempty"`
	Hidden      uint64   `json:"hidden"`
	Members     []Member `json:"members,omitempty"`   // of a collection, however deep, each with its own verdict
	RemovedBy   *Removal `json:"removedBy,omitempty"` // verify --removed-by
	Unread      uint64   `json:"unread,omitempty"`    // of a verdict sampled: bytes that were not read now
	How         string   `json:"how,omitempty"`       // and why not
	Story       []Told   `json:"story,omitempty"`     // what it was made of, as the entries say
	Resumed     uint64   `json:"resumed,omitempty"`   // of basis.read: bytes that had been read before an interruption
}

// Removal is what a later version of an artifact accounts for: files that it
// does not list any more, and files that it lists and the artifact did not.
type Removal struct {
	Entry        uint64 `json:"entry"`
	Name         string `json:"name"`
	Version      string `json:"version"`
	Time         Time   `json:"time"`
	Signer       Signer `json:"signer"`
	RemovedFiles uint64 `json:"removedFiles"`
	RemovedBytes uint64 `json:"removedBytes"`
	AddedFiles   uint64 `json:"addedFiles"`
	AddedBytes   uint64 `json:"addedBytes"`
}

// Audit is what `stele audit` prints: a Verify whose verdict is at best sampled,
// and what was read of how much. Counts and changes are of names, sizes and the
// chunks that were read.
type Audit struct {
	Verify
	Altered       string  `json:"altered"`    // the share of bytes in altered chunks that was looked for
	Confidence    string  `json:"confidence"` // and the probability of finding it
	Odds          []Odds  `json:"odds"`       // of finding that share, and others
	Seed          string  `json:"seed"`       // 64 hex digits: which chunks were drawn
	Draws         uint64  `json:"draws"`      // positions drawn; several may lie in one chunk
	Bytes         uint64  `json:"bytes"`      // of the artifact
	Chunks        uint64  `json:"chunks"`     // of the artifact
	ChunksAsked   uint64  `json:"chunksAsked"`
	BytesAsked    uint64  `json:"bytesAsked"`
	ChunksRead    uint64  `json:"chunksRead"`
	ChunksAltered uint64  `json:"chunksAltered"` // of those read
	BytesRead     uint64  `json:"bytesRead"`
	FilesCompared uint64  `json:"filesCompared"`       // by name and size
	Outcome       string  `json:"outcome"`             // held, altered or incomplete
	Announced     *uint64 `json:"announced,omitempty"` // the entry that announced it
	Ended         *uint64 `json:"ended,omitempty"`     // the entry with its result
	Repeated      bool    `json:"repeated,omitempty"`  // --check: what an ended audit drew, read again
}

// Odds is the probability with which an audit finds that a share of the bytes
// lies in altered chunks.
type Odds struct {
	Altered     string  `json:"altered"` // the share, a decimal fraction
	Bytes       uint64  `json:"bytes"`   // the share, in bytes
	Probability float64 `json:"probability"`
}

// AnnouncedAudit is a line of `stele audit --list`, and of what `stele show`
// prints of an artifact: an audit that was announced, and what came of it.
type AnnouncedAudit struct {
	Name        string  `json:"name"`
	Version     string  `json:"version"`
	Fingerprint string  `json:"fingerprint"`
	Entry       uint64  `json:"entry"` // that announced it
	Time        Time    `json:"time"`
	Signer      Signer  `json:"signer"`
	Standing    string  `json:"standing"` // of the signer's key for that entry, as of now
	Altered     string  `json:"altered"`
	Confidence  string  `json:"confidence"`
	Chunks      uint64  `json:"chunks"`    // to be drawn
	ChunksDue   uint64  `json:"chunksDue"` // that the odds take; of fewer drawn, they are not true
	Outcome     string  `json:"outcome"`   // open: it never ended; held, altered or incomplete
	Result      *uint64 `json:"result,omitempty"`
	Ended       Time    `json:"ended,omitempty"`
	ChunksRead  uint64  `json:"chunksRead,omitempty"`
	BytesRead   uint64  `json:"bytesRead,omitempty"`
	Seed        string  `json:"seed,omitempty"`    // of one that ended
	Checked     bool    `json:"checked,omitempty"` // --check: seed and draw follow from the ledger
}

// Written is what withdraw, reinstate and the key verbs print: the entry that
// was written.
type Written struct {
	Entry      uint64     `json:"entry"`
	Time       Time       `json:"time"`
	Kind       string     `json:"kind"`
	Signer     Signer     `json:"signer"`
	Origin     string     `json:"origin"`
	Checkpoint Checkpoint `json:"checkpoint"`
	Existed    bool       `json:"existed"`
}

// Prove is what `stele prove` prints.
type Prove struct {
	Name        string   `json:"name"`
	Version     string   `json:"version"`
	Fingerprint string   `json:"fingerprint"`
	Entry       uint64   `json:"entry"`
	File        string   `json:"file"`
	Bytes       int64    `json:"bytes"`
	Present     []string `json:"present,omitempty"`
	Absent      []string `json:"absent,omitempty"`
	Discloses   []string `json:"discloses,omitempty"` // paths the proofs make known, of whatever artifact
	Carries     []string `json:"carries,omitempty"`   // attachments that go along
	Withheld    []string `json:"withheld,omitempty"`  // attachments left out

	Lineage       *ProvedLineage `json:"lineage,omitempty"`       // absent: of the stamp alone
	AbsentFromAll []string       `json:"absentFromAll,omitempty"` // those of absent that are nowhere in the lineage
	Proofs        []PathProof    `json:"proofs,omitempty"`        // of present and absent, each of its artifact
	Disclosed     []Disclosed    `json:"disclosed,omitempty"`     // discloses, by artifact
	Documents     int            `json:"documents,omitempty"`     // how many attachments go along
	LeftOut       []LeftOut      `json:"leftOut,omitempty"`       // entries about it that do not go along
	Stage         string         `json:"stage,omitempty"`         // of --stage: that it is in
	Release       *uint64        `json:"release,omitempty"`       // and the entry that put it there
	Verdict       string         `json:"verdict,omitempty"`       // of whoever checks it now, with the trust that is pinned here
	StampOnly     bool           `json:"stampOnly,omitempty"`     // who checks it has to ask about the stamp alone: --no-lineage
	Standing      string         `json:"standing"`                // of the artifact on this ledger: good, withdrawn, tainted, untrusted or unknown
	Against       string         `json:"against,omitempty"`       // why it is not good
}

// Artifact is a line of `stele list`.
type Artifact struct {
	Name        string `json:"name"`
	Version     string `json:"version"`
	Kind        string `json:"kind"`
	Fingerprint string `json:"fingerprint"`
	Files       uint64 `json:"files"`
	Bytes       uint64 `json:"bytes"`
	Entry       uint64 `json:"entry"`
	Time        Time   `json:"time"`
	Signer      Signer `json:"signer"`
	Standing    string `json:"standing"`          // of the artifact: the worst of untrusted, withdrawn, tainted, unknown; else good
	Members     int    `json:"members,omitempty"` // of a collection
}

// Entry is a line of `stele log`, and what `stele show` prints.
type Entry struct {
	Entry     uint64           `json:"entry"`
	Time      Time             `json:"time"`
	Kind      string           `json:"kind"`
	Subject   string           `json:"subject"`
	Signer    Signer           `json:"signer"`
	Standing  string           `json:"standing"` // of the signer's key for this entry, as of now
	Statement string           `json:"statement,omitempty"`
	Leaf      string           `json:"leaf,omitempty"` // leaf hash, standard base64
	Run       string           `json:"run,omitempty"`  // of a run: its id
	Payload   any              `json:"payload,omitempty"`
	Withdrawn []Withdrawal     `json:"withdrawn,omitempty"`
	Details   any              `json:"details,omitempty"`
	Members   []Member         `json:"members,omitempty"` // of a collection
	Audits    []AnnouncedAudit `json:"audits,omitempty"`  // announced, of the contents of a stamp
	About     *About           `json:"about,omitempty"`   // of an artifact: what there is beside its stamp
}

// Withdrawal is one withdrawal of an artifact and whether it was ended.
type Withdrawal struct {
	Entry   uint64  `json:"entry"`
	Target  string  `json:"target"`
	Effect  string  `json:"effect"`
	Reason  string  `json:"reason"`
	EndedBy *uint64 `json:"endedBy,omitempty"`
	Counts  bool    `json:"counts"` // false where its signer's key has no standing
}

// File is a line of `stele manifest show`.
type File struct {
	Path   string `json:"path"`
	Size   uint64 `json:"size"`
	Digest string `json:"digest"`
	SHA256 string `json:"sha256,omitempty"`
}

// Manifest is what `stele manifest verify|merge|export` prints.
type Manifest struct {
	Manifest    string `json:"manifest"`
	Fingerprint string `json:"fingerprint"`
	Files       uint64 `json:"files"`
	Bytes       uint64 `json:"bytes"`
}

// Key is a line of `stele key list`.
type Key struct {
	Key       string   `json:"key"`
	Algorithm string   `json:"algorithm"`
	Handle    string   `json:"handle,omitempty"`
	Roles     []string `json:"roles,omitempty"`
	Names     []string `json:"names,omitempty"`
	Kinds     []string `json:"kinds,omitempty"` // that an issuer may delegate
	Expires   Time     `json:"expires,omitempty"`
	Standing  string   `json:"standing,omitempty"`
	Local     string   `json:"local,omitempty"` // path of the private key, where it lies here
	Public    string   `json:"public,omitempty"`
}

// Trust is a line of `stele trust show`.
type Trust struct {
	Origin string `json:"origin"`
	Path   string `json:"path"`
	Policy string `json:"policy"`
}

// Serve is what `stele serve` prints once it listens.
type Serve struct {
	Origin string `json:"origin"`
	URL    string `json:"url"`
}

// Witness is what `stele witness` prints once it listens, or at once where it
// only makes or shows its key.
type Witness struct {
	VKey      string   `json:"vkey"`
	Directory string   `json:"directory"`
	Made      bool     `json:"made,omitempty"` // the key was made now
	URL       string   `json:"url,omitempty"`
	Logs      []string `json:"logs,omitempty"` // origins, sorted
}

// Fsck is what `stele fsck` prints.
type Fsck struct {
	Directory   string   `json:"directory"`
	Origin      string   `json:"origin"`
	Entries     uint64   `json:"entries"`
	Checkpoints uint64   `json:"checkpoints"`
	Root        string   `json:"root"`
	Clean       bool     `json:"clean"`
	Rebuilt     bool     `json:"rebuilt,omitempty"`
	Damage      []string `json:"damage,omitempty"`
	Guarded     bool     `json:"guarded"`         // the guard is here and agrees
	Trust       string   `json:"trust,omitempty"` // of a clean one: trusted, not-pinned (nobody asked whose it is) or untrusted
	Attachments int      `json:"attachments"`
	Manifests   int      `json:"manifests"`
}
