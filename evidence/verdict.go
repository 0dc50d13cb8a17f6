package evidence

import (
	"fmt"
	"strings"
	"time"

	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// Outcome is a verdict in one word.
type Outcome string

// The outcomes of Verify. Where several would do, the first in this order is
// the verdict: tampered, untrusted, withdrawn, tainted, unknown, sampled,
// verified.
const (
	Verified  Outcome = "verified"  // every check that was to be made was made and passed
	Sampled   Outcome = "sampled"   // so it was, but not every byte of the data was read now
	Tampered  Outcome = "tampered"  // contents, a proof or a signature does not match
	Untrusted Outcome = "untrusted" // the signer, the log or its history is not trusted
	Withdrawn Outcome = "withdrawn" // it was so, and was taken back
	Tainted   Outcome = "tainted"   // what it was made of was taken back
	Unknown   Outcome = "unknown"   // the evidence is not about what was asked, or without what it was made of
)

// Exit returns the exit status for the outcome: 0 verified or sampled, 3
// tampered, 4 withdrawn or tainted, 5 unknown, 6 untrusted; 1 for anything else.
func (o Outcome) Exit() int {
	switch o {
	case Verified, Sampled:
		return 0
	case Tampered:
		return 3
	case Withdrawn, Tainted:
		return 4
	case Unknown:
		return 5
	case Untrusted:
		return 6
	}
	return 1
}

// Result is what came of one check. Its zero value is NotMade. In JSON it is
// true, false or null.
type Result int

const (
	NotMade Result = iota // could not be made, or nobody asked for it
	Passed                // made, and it holds
	Failed                // made, and it does not hold
)

func (r Result) String() string {
	switch r {
	case Passed:
		return "passed"
	case Failed:
		return "failed"
	}
	return "not made"
}

// MarshalJSON writes true, false, or null for a check that was not made.
func (r Result) MarshalJSON() ([]byte, error) {
	switch r {
	case Passed:
		return []byte("true"), nil
	case Failed:
		return []byte("false"), nil
	}
	return []byte("null"), nil
}

// UnmarshalJSON reads what MarshalJSON writes.
func (r *Result) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case "true":
		*r = Passed
	case "false":
		*r = Failed
	case "null":
		*r = NotMade
	default:
		return fmt.Errorf("check result: %w: %.20q", ErrFormat, b)
	}
	return nil
}

// The names of the checks, in the order in which a verdict lists them. The
// names are an interface: programs look for them. What each one checks, and
// what its failure makes of the verdict, is in docs/formats/evidence.md.
const (
	// CheckFormat: the file is whole, in its one encoding, within its limits,
	// and its leaves parse. Fails as tampered.
	CheckFormat = "format"

	// CheckLedger: the id is the hash of leaf 0, which is a genesis that the
	// checkpoint's origin is in; and the ledger that was asked for, if one
	// was. Fails as tampered; as untrusted if it is another ledger.
	CheckLedger = "ledger"

	// CheckTrustedLog: the trust policy names a key of this log; if it is an
	// older one, every rotation since is signed by both keys. Fails as
	// untrusted.
	CheckTrustedLog = "trusted log"

	// CheckCheckpoint: the log key in force at the checkpoint's size signed
	// it. Fails as tampered if the signature is wrong, as untrusted if there
	// is none.
	CheckCheckpoint = "checkpoint"

	// CheckWitnesses: the policy's quorum of witnesses cosigned the
	// checkpoint; not made where the policy asks for none. Fails as untrusted.
	CheckWitnesses = "witnesses"

	// CheckFresh: the quorum's cosignatures are not older than the caller's
	// maximum age; not made without witnesses or without such a maximum. A
	// maximum that was asked for and could not be checked leaves the verdict
	// untrusted.
	CheckFresh = "fresh"

	// CheckHistory: the checkpoint and one that the caller remembers are
	// of one history; not made without one, or without a proof where they
	// differ in size. Fails as untrusted.
	CheckHistory = "consistency"

	// CheckControl: the file carries every control entry there is up to the
	// checkpoint: the last leaf commits to them, and is the last; each of
	// them follows from those before. Fails as tampered.
	CheckControl = "control complete"

	// CheckIncluded: each entry is in the checkpoint's tree, at the index it
	// says, and commits to the control entries before it. Fails as tampered.
	CheckIncluded = "inclusion"

	// CheckSignature: each entry's envelope is signed by the registered key
	// that it names. Fails as tampered; as untrusted if the key is not
	// registered.
	CheckSignature = "signature"

	// CheckStanding: each entry's signer had standing at the entry, and was
	// allowed to say this, as is known at the checkpoint. Fails as untrusted.
	CheckStanding = "standing"

	// CheckClaim: the entry stamps this name@version with this fingerprint,
	// on this ledger; and that is what was asked for, if something was. Fails
	// as tampered; as unknown if it is not what was asked for.
	CheckClaim = "claim"

	// CheckNotWithdrawn: neither the binding nor the contents are withdrawn
	// as of the checkpoint, whatever the effect, nor the contents of a direct
	// member of a collection. Fails as withdrawn.
	CheckNotWithdrawn = "not withdrawn"

	// CheckLineage: whatever an entry that counts says the artifact was made
	// of is in the file, however far back, bound by an earlier entry to the
	// fingerprint that is named; no name is bound twice. Fails as tampered. Where
	// the claim does not say that the file holds the lineage, it fails as unknown
	// if one of these is not in it; it is not made if there is none, or if the
	// caller asked about the stamp alone.
	CheckLineage = "lineage"

	// CheckNotTainted: no contents that the artifact was made of are withdrawn
	// as of the checkpoint, whatever the effect. Not made where no origin of it
	// is recorded, which is unknown and not clean, nor where the file does not
	// hold the lineage and what it holds shows no taint. Fails as tainted.
	CheckNotTainted = "not tainted"

	// CheckMembers, of a collection alone: the members' own stamps, however
	// deep, say what the collection says, and are not withdrawn. Not made where
	// the file does not hold them, nor the lineage; who has the ledger can.
	// Fails as tampered; as withdrawn.
	CheckMembers = "members"

	// CheckReleased, where the caller asked about a stage alone: an entry in the
	// file released the artifact to that stage, and none in the file took it out
	// again. Fails as unknown.
	CheckReleased = "released"

	// CheckPathPresent, once for each such path: the path is among the files,
	// of the claim's artifact or of another of its lineage. Fails as tampered.
	CheckPathPresent = "path present"

	// CheckPathAbsent, once for each such path: no such path is among the
	// files. Fails as tampered.
	CheckPathAbsent = "path absent"

	// CheckAbsentFromAll, once for each path that the claim says it of: the
	// proofs show that it is among the files of no artifact of the lineage.
	// Fails as tampered.
	CheckAbsentFromAll = "absent from all"

	// CheckRange, once for each: the bytes carried are those of that range.
	// Fails as tampered.
	CheckRange = "range"

	// CheckContents: the data that the caller has read has the stamp's
	// fingerprint; not made where none was given, nor where some of it was not
	// read now and what was read fits: the verdict is then sampled. Fails as
	// tampered.
	CheckContents = "contents"

	// CheckAttachments: each attachment carried is named by an entry and has
	// its digest; not made where none is named, or all are left out. Fails as
	// tampered.
	CheckAttachments = "attachments"

	// CheckRules: that the ledger applied its rules and contracts when it
	// admitted the entries. Never made here: the operator attests it, and
	// only a replay of the whole log shows it.
	CheckRules = "rules enforced"

	// CheckTime: when. Not made without witnesses: the ledger claims it. With
	// them: the times along the log agree with those of the cosignatures.
	// Fails as untrusted.
	CheckTime = "time"
)

// Check is one check, with a sentence on what was found.
type Check struct {
	Name   string `json:"name"`
	OK     Result `json:"ok"`
	Detail string `json:"detail"`
	Path   string `json:"path,omitempty"` // what it is about, for paths and ranges
	Of     string `json:"of,omitempty"`   // whose path, name@version, where not the claim's artifact's
}

// AsOf is the checkpoint that a verdict holds as of.
type AsOf struct {
	Ledger statement.LedgerID `json:"ledger"`
	Origin string             `json:"origin"`
	Size   uint64             `json:"size"`
	Root   string             `json:"root"`           // base64
	Time   int64              `json:"time,omitempty"` // Unix ms: the last entry's, as the ledger claims
}

// Stamped is what a verdict's entry says, for showing. It means something only
// if the verdict's checks passed.
type Stamped struct {
	Entry       uint64           `json:"entry"`
	Time        int64            `json:"time"` // Unix ms, as the ledger claims
	ID          statement.ID     `json:"id"`
	Name        string           `json:"name"`
	Version     string           `json:"version"`
	Fingerprint string           `json:"fingerprint"`
	Kind        string           `json:"kind"`
	Files       uint64           `json:"files"`
	Bytes       uint64           `json:"bytes"`
	Ignore      []string         `json:"ignore,omitempty"`
	Basis       statement.Basis  `json:"basis"`
	Signer      statement.KeyID  `json:"signer"` // registered: the signer's own, or its issuer's
	Handle      string           `json:"handle,omitempty"`
	Stamp       *statement.Stamp `json:"-"`

	// Delegate is whom the issuer signed for, in its words, where the stamp was
	// signed through a Delegation; else they are empty and nil.
	Delegate   string                `json:"delegate,omitempty"`
	Delegation *statement.Delegation `json:"-"`
}

// Verdict is what came of verifying evidence.
type Verdict struct {
	Verdict      Outcome       `json:"verdict"`
	AsOf         *AsOf         `json:"asOf,omitempty"`
	Stamp        *Stamped      `json:"stamp,omitempty"`
	Checks       []Check       `json:"checks"`
	Withdrawals  []Withdrawal  `json:"withdrawals,omitempty"` // all that concern it, standing or not
	Cosignatures []Cosignature `json:"cosignatures,omitempty"`

	// Story is what the entries say of the claim's artifact and of what it was
	// made of: the artifact first, then the others, nearest first; of each the
	// entry that bound it, then what else is about it, in order. It means
	// something only if the verdict's checks passed.
	Story []Told `json:"story,omitempty"`

	// Taint is why a verdict is tainted, where it is known how; else nil.
	Taint *lineage.Taint `json:"-"`

	// Judged is what the file knows against the claim's artifact, with the
	// effect of each withdrawal; nil where that was not reached. What the file
	// does not hold, it does not know: see CheckLineage.
	Judged *lineage.Judgement `json:"-"`

	// Release is the entry behind CheckReleased, if that passed; else nil.
	Release *Release `json:"release,omitempty"`

	// LogKey is the vkey that signs the log's checkpoints now. Where Followed
	// is true, the policy names an older one, and should name this one.
	LogKey   string `json:"logKey,omitempty"`
	Followed bool   `json:"followed,omitempty"`

	// Unread and How say, of a verdict sampled, how many bytes of the data
	// were not read now, and why: see Contents.
	Unread uint64 `json:"unread,omitempty"`
	How    string `json:"how,omitempty"`

	worst  Outcome
	unsafe bool // no policy was given, and none was asked for
}

// Exit returns the exit status for the verdict.
func (v *Verdict) Exit() int { return v.Verdict.Exit() }

// Result returns what came of the checks with that name: Failed if any failed,
// Passed if all were made and passed, NotMade otherwise.
func (v *Verdict) Result(name string) Result {
	r, found := Passed, false
	for _, c := range v.Checks {
		if c.Name != name {
			continue
		}
		found = true
		if c.OK == Failed {
			return Failed
		}
		if c.OK == NotMade {
			r = NotMade
		}
	}
	if !found {
		return NotMade
	}
	return r
}

// String returns the verdict for people: a line for each check.
func (v *Verdict) String() string {
	var b strings.Builder
	fmt.Fprintln(&b, v.Verdict)
	for _, c := range v.Checks {
		fmt.Fprintf(&b, "%-9s %s: %s\n", c.OK, c.Name, c.Detail)
	}
	return b.String()
}

func (v *Verdict) pass(name, format string, args ...any) {
	v.Checks = append(v.Checks, Check{Name: name, OK: Passed, Detail: fmt.Sprintf(format, args...)})
}

func (v *Verdict) skip(name, format string, args ...any) {
	v.Checks = append(v.Checks, Check{Name: name, OK: NotMade, Detail: fmt.Sprintf(format, args...)})
}

func (v *Verdict) fail(as Outcome, name, format string, args ...any) {
	v.Checks = append(v.Checks, Check{Name: name, OK: Failed, Detail: fmt.Sprintf(format, args...)})
	v.worsen(as)
}

// worsen lowers the verdict to an outcome, unless it is as low already.
func (v *Verdict) worsen(as Outcome) {
	order := []Outcome{Tampered, Untrusted, Withdrawn, Tainted, Unknown}
	for _, o := range order {
		if v.worst == o {
			return
		}
		if as == o {
			v.worst = as
			return
		}
	}
}

// formatAge writes a length of time in milliseconds for people.
func formatAge(ms int64) string {
	return (time.Duration(ms) * time.Millisecond).Round(time.Second).String()
}
