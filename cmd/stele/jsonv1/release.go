package jsonv1

// Origin is an entry that says what an artifact was made of.
type Origin struct {
	Way    string    `json:"way"` // run, from, collection or import
	Entry  uint64    `json:"entry"`
	Time   Time      `json:"time"`
	Signer Signer    `json:"signer"`
	Of     string    `json:"of,omitempty"` // where it speaks of the same bytes under another name: that
	Inputs []string  `json:"inputs"`       // name@version
	Counts bool      `json:"counts"`
	Why    string    `json:"why,omitempty"`    // why it does not count
	Fallen string    `json:"fallen,omitempty"` // of one that counts: why its signer has no standing; it is followed, and makes nothing known
	Run    *TraceRun `json:"run,omitempty"`
}

// Approval is what somebody decided on an artifact for a stage.
type Approval struct {
	Entry      uint64  `json:"entry"`
	Time       Time    `json:"time"`
	Signer     Signer  `json:"signer"`
	Standing   string  `json:"standing"` // of the signer's key for this entry, as of now
	Stage      string  `json:"stage"`
	Decision   string  `json:"decision"` // approve or reject
	Reason     string  `json:"reason,omitempty"`
	Superseded *uint64 `json:"superseded,omitempty"` // the entry with a later decision by the same handle
}

// Release is how an artifact joined a stage or left it. By is the release's
// own subject: an artifact that another one replaced left with that one's entry.
type Release struct {
	Entry    uint64   `json:"entry"`
	Time     Time     `json:"time"`
	Signer   Signer   `json:"signer"`
	Standing string   `json:"standing"` // of the signer's key for this entry, as of now
	Stage    string   `json:"stage"`
	Action   string   `json:"action"` // join or leave
	By       string   `json:"by"`     // name@version
	Replaces []string `json:"replaces,omitempty"`
	Reason   string   `json:"reason,omitempty"`
}

// Imported is a foreign signed statement about an artifact: a claim of its key.
type Imported struct {
	Entry         uint64   `json:"entry"`
	Time          Time     `json:"time"`
	Signer        Signer   `json:"signer"` // who imported it
	Standing      string   `json:"standing"`
	Format        string   `json:"format"` // oms or in-toto
	PredicateType string   `json:"predicateType"`
	Method        string   `json:"method"`            // key or certificate
	Key           string   `json:"key"`               // SHA-256 of the DER of its SubjectPublicKeyInfo
	Subject       string   `json:"subject,omitempty"` // of the certificate
	Ignored       []string `json:"ignored,omitempty"`
	Builder       string   `json:"builder,omitempty"`
	Inputs        []string `json:"inputs,omitempty"` // as it claims, and as far as they are on this ledger
}

// Uses counts what was made of an artifact.
type Uses struct {
	Direct uint64            `json:"direct"`        // artifacts made of it in one step
	All    uint64            `json:"all"`           // however many steps away
	Kinds  map[string]uint64 `json:"kinds"`         // of all
	Claims uint64            `json:"claims"`        // what names it and does not count
	Cut    bool              `json:"cut,omitempty"` // there are more than were counted
}

// About is everything that a ledger has about an artifact beside its stamp: part
// of what `stele show` prints.
type About struct {
	Name        string            `json:"name"`
	Version     string            `json:"version"`
	Fingerprint string            `json:"fingerprint"`
	Standing    string            `json:"standing"`         // the worst of untrusted, withdrawn, tainted, unknown; else good
	Fallen      *Fallen           `json:"fallen,omitempty"` // why it is untrusted
	Taint       *Taint            `json:"taint,omitempty"`
	Against     []string          `json:"against,omitempty"` // what is wrong besides, as a person reads it
	Origin      string            `json:"origin"`            // recorded; not-counted: claims only; none: nothing recorded, which is unknown and not clean
	Origins     []Origin          `json:"origins"`
	Evaluations []TraceEvaluation `json:"evaluations"`
	Approvals   []Approval        `json:"approvals"`
	Releases    []Release         `json:"releases"`
	Stages      []TraceStage      `json:"stages"` // that it is in now
	Imports     []Imported        `json:"imports"`
	Uses        Uses              `json:"uses"`
}

// Decided is what `stele approve`, `release` and `rollback` print. With DryRun
// nothing was written, and entry, time and checkpoint are absent.
type Decided struct {
	Entry       *uint64     `json:"entry,omitempty"`
	Time        Time        `json:"time,omitempty"`
	Kind        string      `json:"kind"` // approval or release
	Name        string      `json:"name"`
	Version     string      `json:"version"`
	Fingerprint string      `json:"fingerprint"`
	Stage       string      `json:"stage"`
	Decision    string      `json:"decision,omitempty"` // of an approval: approve or reject
	Action      string      `json:"action,omitempty"`   // of a release: join or leave
	Replaces    []string    `json:"replaces,omitempty"`
	Reason      string      `json:"reason,omitempty"`
	After       uint64      `json:"after"`             // the last entry that its author saw: of the artifact, and in that stage
	Skipped     []Skipped   `json:"skipped,omitempty"` // of a rollback
	Signer      Signer      `json:"signer"`
	Origin      string      `json:"origin"`
	Checkpoint  *Checkpoint `json:"checkpoint,omitempty"`
	Existed     bool        `json:"existed"`
	DryRun      bool        `json:"dryRun,omitempty"`
}

// Skipped is a version that a rollback went past.
type Skipped struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	Why     string `json:"why"`
}

// Evaluated is what `stele record evaluation` prints.
type Evaluated struct {
	Written
	Name        string            `json:"name"`
	Version     string            `json:"version"`
	Fingerprint string            `json:"fingerprint"`
	Metrics     map[string]string `json:"metrics"` // decimal numbers
	Datasets    []Ref             `json:"datasets"`
}

// Withdrew is what `stele withdraw` prints. With DryRun nothing was written, and
// entry, time, signer and checkpoint are absent.
type Withdrew struct {
	Entry       *uint64     `json:"entry,omitempty"`
	Time        Time        `json:"time,omitempty"`
	Kind        string      `json:"kind"`
	Name        string      `json:"name"`
	Version     string      `json:"version"`
	Fingerprint string      `json:"fingerprint"`
	Target      string      `json:"target"`
	Effect      string      `json:"effect"`
	Reason      string      `json:"reason,omitempty"`
	After       uint64      `json:"after"` // the last entry on the artifact that its author saw
	Signer      *Signer     `json:"signer,omitempty"`
	Origin      string      `json:"origin"`
	Checkpoint  *Checkpoint `json:"checkpoint,omitempty"`
	Existed     bool        `json:"existed"`
	DryRun      bool        `json:"dryRun,omitempty"`
	Reach       *Reach      `json:"reach,omitempty"`      // of contents
	Violations  []Violation `json:"violations,omitempty"` // with --dry-run: what contracts would refuse it for
}

// Reach is everything that a withdrawal of contents reaches: under other names,
// downstream, in stages.
type Reach struct {
	Names      []string          `json:"names"`               // of these contents, name@version
	Downstream uint64            `json:"downstream"`          // artifacts that were made of them, in however many steps
	Artifacts  []Reached         `json:"artifacts,omitempty"` // with --dry-run: all, the nearest first, the contents themselves 0 steps away
	Kinds      map[string]uint64 `json:"kinds"`               // of what is downstream
	Signers    map[string]uint64 `json:"signers"`             // of what is downstream, by handle
	Stages     []ReachedStage    `json:"stages"`
	Cut        bool              `json:"cut,omitempty"` // there is more than is walked
}

// Reached is an artifact that a withdrawal reaches.
type Reached struct {
	Name        string      `json:"name"`
	Version     string      `json:"version"`
	Fingerprint string      `json:"fingerprint"`
	Kind        string      `json:"kind"`
	Entry       uint64      `json:"entry"`
	Time        Time        `json:"time"`
	Signer      Signer      `json:"signer"`
	Steps       int         `json:"steps"`
	Path        []TaintStep `json:"path"` // from the artifact to what is withdrawn
	Stages      []string    `json:"stages,omitempty"`
}

// ReachedStage is a stage with what of it a withdrawal reaches.
type ReachedStage struct {
	Stage     string   `json:"stage"`
	Artifacts []string `json:"artifacts"` // name@version
}

// Status is a line of `stele status`: a stage, then and now.
type Status struct {
	Stage     string        `json:"stage"`
	At        StatusAt      `json:"at"`
	Artifacts []StageMember `json:"artifacts"` // in it at that moment
}

// StatusAt is the moment that a status is of.
type StatusAt struct {
	Asked  string `json:"asked,omitempty"` // --at
	Size   uint64 `json:"size"`            // entries of the log
	Time   Time   `json:"time"`            // of the last of them
	Origin string `json:"origin"`
}

// StageMember is an artifact in a stage, as was known at that moment.
type StageMember struct {
	Name        string            `json:"name"`
	Version     string            `json:"version"`
	Fingerprint string            `json:"fingerprint"`
	Kind        string            `json:"kind"`
	Files       uint64            `json:"files"`
	Bytes       uint64            `json:"bytes"`
	Entry       uint64            `json:"entry"` // that stamped it
	Stamped     Time              `json:"stamped"`
	Signer      Signer            `json:"signer"`
	Release     uint64            `json:"release"` // the entry that put it there
	Since       Time              `json:"since"`
	ReleasedBy  Signer            `json:"releasedBy"`
	Releaser    string            `json:"releaser"` // the standing of the releaser's key for that entry
	Reason      string            `json:"reason,omitempty"`
	Replaced    []string          `json:"replaced,omitempty"`  // name@version
	Approvals   []Approval        `json:"approvals"`           // for this stage
	Standing    string            `json:"standing"`            // of the artifact: as of About
	Fallen      *Fallen           `json:"fallen,omitempty"`    // why it is untrusted
	Withdrawn   []TraceWithdrawal `json:"withdrawn,omitempty"` // in force
	Taint       *Taint            `json:"taint,omitempty"`
	Origin      string            `json:"origin"`        // recorded, not-counted or none
	Why         []string          `json:"why,omitempty"` // what is wrong with keys, as a person reads it
	Now         *StageNow         `json:"now,omitempty"` // with --at
}

// StageNow is what became of an artifact in a stage after the moment that was
// asked for.
type StageNow struct {
	InStage  bool       `json:"inStage"`         // it has not left since
	Left     *StageLeft `json:"left,omitempty"`  // the first time
	Standing string     `json:"standing"`        // of the artifact
	Releaser string     `json:"releaser"`        // the standing of the releaser's key
	Since    []string   `json:"since,omitempty"` // what is known now and was not then, as a person reads it
}

// StageLeft is how an artifact left a stage.
type StageLeft struct {
	Entry      uint64 `json:"entry"`
	Time       Time   `json:"time"`
	Signer     Signer `json:"signer"`
	ReplacedBy string `json:"replacedBy,omitempty"` // name@version
}
