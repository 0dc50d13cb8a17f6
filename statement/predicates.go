package statement

import "github.com/stele-ml/stele/fingerprint"

// Genesis is the first statement of a ledger. It is signed by one of its
// administrators.
type Genesis struct {
	Origin         string                // of the log, as in its checkpoints; with random bits
	Hash           fingerprint.Algorithm // of every fingerprint on this ledger
	Rules          int                   // version of the ledger's rules
	LogKey         string                // C2SP vkey of the log, its name the origin
	Administrators []Administrator       // at least one
	Recovery       *PublicKey            // may only issue identity statements
	Predecessor    *Predecessor          // of a ledger that lost a signed tail, or nil
}

// Administrator is a first administrator: the [FirstRoles], every name, no expiry.
type Administrator struct {
	Handle string
	Key    *PublicKey
}

// Predecessor is the ledger that a new one goes on from, with its last provable
// checkpoint.
type Predecessor struct {
	Ledger LedgerID
	Origin string
	Size   uint64
	Root   [32]byte
}

// The actions of an identity statement.
const (
	ActionRegister    = "register"
	ActionRetire      = "retire"
	ActionCompromised = "compromised"
)

// The roles of an identity.
const (
	RoleAdministrator = "administrator"
	RoleApprover      = "approver"
	RoleIssuer        = "issuer" // signs delegations
	RoleMember        = "member"
	RoleReleaser      = "releaser"
)

// Roles returns all roles, sorted.
func Roles() []string {
	return []string{RoleAdministrator, RoleApprover, RoleIssuer, RoleMember, RoleReleaser}
}

// FirstRoles returns the roles of the administrators of a genesis, sorted: all but
// the issuer's, which comes with kinds and with no power over the ledger.
func FirstRoles() []string {
	return []string{RoleAdministrator, RoleApprover, RoleMember, RoleReleaser}
}

// RecoveryHandle is the handle of the recovery key. Nobody else may have it.
const RecoveryHandle = "recovery"

// Identity registers a key, retires it, or declares it compromised.
type Identity struct {
	Action  string
	Handle  string     // of the key's holder: a pseudonym
	KeyID   KeyID      // the key in question; on register it may be left zero
	Key     *PublicKey // register
	Roles   []string   // register: at least one
	Names   []string   // register: patterns of names it may write; none: no name
	Kinds   []Kind     // register an issuer: the kinds it may delegate, at least one
	Expires int64      // register: unix ms from which it has no standing; 0: never
	Since   uint64     // compromised: entries by the key from this index on count for nothing
}

// The kinds of a stamped artifact.
const (
	ArtifactDataset = "dataset"
	ArtifactModel   = "model"
	ArtifactCode    = "code"
	ArtifactOther   = "other"
)

// Stamp says that a fingerprint is name@version.
type Stamp struct {
	Kind        string             // of the artifact: dataset, model, code, other
	Files       uint64             // in the artifact
	Bytes       uint64             // in the artifact
	Ignore      []string           // every ignore rule in force, in order
	Listed      bool               // exactly the files of a list: no ignore rules
	Basis       Basis              // how the bytes are known
	Members     []CollectionMember // of a collection, sorted by prefix and "/"; none for files
	From        []Ref              // what it was derived from: carries taint
	Since       *Ref               // the earlier version: does not
	Changes     *Changes           // against Since, or nil
	Annotations map[string]string  // free text
	Details     *Attachment        // the details document, or nil
}

// CollectionMember is a stamped artifact in a collection.
type CollectionMember struct {
	Prefix string // where its paths lie: see [fingerprint.Member]; one line of text
	Ref    Ref
	Files  uint64 // as its own stamp says
	Bytes  uint64 // as its own stamp says
}

// Changes counts the files of an artifact, and those that are gone, by what
// became of them since the earlier version. Same + Modified + Added + Moved are
// the artifact's files, Same + Modified + Removed + Moved those of the earlier
// version.
type Changes struct {
	Same     uint64 `json:"same"`
	Modified uint64 `json:"modified"` // other contents under the same path
	Added    uint64 `json:"added"`
	Removed  uint64 `json:"removed"`
	Moved    uint64 `json:"moved"` // the same contents under another path
}

// Basis says for how many of an artifact's bytes what was done; the sum is the
// stamp's Bytes.
type Basis struct {
	Read    uint64  `json:"read,omitzero"`    // bytes that were read
	Version uint64  `json:"version,omitzero"` // bytes taken over: same object version as at Entry
	ETag    uint64  `json:"etag,omitzero"`    // bytes taken over: same ETag as at Entry
	MTime   uint64  `json:"mtime,omitzero"`   // bytes taken over: same size and times as at Entry
	Claimed uint64  `json:"claimed,omitzero"` // bytes that were read elsewhere, as the signer claims: a manifest came from there
	Stamped uint64  `json:"stamped,omitzero"` // bytes of artifacts already on the ledger: a collection's members
	Entry   *uint64 `json:"entry,omitzero"`   // the earlier stamp that Version, ETag and MTime rely on
}

// Attachment is a document beside the ledger, found by its digest.
type Attachment struct {
	SHA256 [32]byte
	Size   uint64 // bytes
}

// The targets of a withdrawal.
const (
	TargetBinding  = "binding"  // the name was a mistake: taints nothing
	TargetContents = "contents" // taints what was derived from it
	TargetLocation = "location" // that location no longer matches: taints nothing
)

// The effects of a withdrawal.
const (
	EffectAdvise   = "advise"
	EffectNoNewUse = "no-new-use"
	EffectStop     = "stop"
)

// Withdrawal takes an artifact back.
type Withdrawal struct {
	Target   string
	Location string // for the target location, and only there
	Effect   string
	Reason   string // one line of text
	After    uint64 // the last entry on that artifact its author saw
}

// Reinstatement ends a withdrawal.
type Reinstatement struct {
	Withdrawal uint64 // the entry it ends
	Reason     string // one line of text
	After      uint64 // the last entry on that artifact its author saw
}

// LogKey names the log's next key, signed by both keys.
type LogKey struct {
	Current    string // C2SP vkey in force
	Next       string // C2SP vkey from the next checkpoint on
	Signatures LogKeySignatures
}

// LogKeySignatures are Ed25519 signatures over [LogKeyMessage].
type LogKeySignatures struct {
	Current []byte
	Next    []byte
}
