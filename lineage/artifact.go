package lineage

import (
	"errors"
	"slices"

	"github.com/stele-ml/stele/statement"
)

// ErrNotFound says that there is no binding of that name and version.
var ErrNotFound = errors.New("not found")

// Artifact is one name@version as a ledger has it.
type Artifact struct {
	Ref      statement.Ref
	Entry    uint64 // that stamps it: a stamp, or the run that it is an output of
	Time     int64  // of the entry, Unix ms
	Signer   statement.KeyID
	Handle   string             // of the signer's key
	Stamp    *statement.Stamp   // shared: not to be changed
	Standing statement.Standing // of the signer for that entry, as known now

	// Withdrawals are those in force, in the order of their entries: of this
	// name (target binding) or of these contents, under whatever name.
	// Withdrawals of locations are left out: they say nothing about the bytes.
	Withdrawals []Withdrawal
}

// Withdrawn returns the withdrawals of the artifact's contents: those that
// taint what was made of it. It is withdrawn itself, and not tainted by them.
func (a *Artifact) Withdrawn() []Withdrawal {
	var list []Withdrawal
	for _, w := range a.Withdrawals {
		if w.Target == statement.TargetContents {
			list = append(list, w)
		}
	}
	return list
}

// Withdrawal is a withdrawal in force.
type Withdrawal struct {
	Entry  uint64
	Time   int64 // of the entry, Unix ms
	Ref    statement.Ref
	Target string // statement.TargetBinding or statement.TargetContents
	Effect string // statement.EffectAdvise, EffectNoNewUse or EffectStop
	Reason string
	Handle string // of whoever made it
}

// The ways in which an entry says what an artifact was made of.
const (
	WayRun        = "run"        // it is an output of a run
	WayFrom       = "from"       // its stamp says that it was derived
	WayCollection = "collection" // its stamp lists its members
	WayImport     = "import"     // a foreign statement says so: never counts
)

// Origin is an entry that says what an artifact was made of.
type Origin struct {
	Entry  uint64
	Time   int64 // of the entry, Unix ms
	Signer statement.KeyID
	Handle string        // of the signer's key
	Way    string        // one of the ways
	Of     statement.Ref // the binding it is about: the artifact, or another of the same bytes
	Inputs []statement.Ref

	// Counts reports whether the origin counts for the artifact: only such
	// origins are followed. Where it does not, Why is a clause that says why:
	// "claimed by mallory, who did not stamp it".
	Counts bool
	Why    string

	// Fallen says of an origin that counts why its signer has no standing for
	// it, in a sentence; it is empty where the signer has. Such an origin is
	// followed, so that what lies behind it stays in sight, and makes nothing
	// known.
	Fallen string

	Run   *statement.Run  // of the way run; shared: not to be changed
	RunID statement.Nonce // of the way run
}

// Use is an origin of Output that names another artifact among its inputs.
type Use struct {
	Origin
	Output *Artifact
}

// Facts is what a ledger, or an evidence file, knows upwards. Answers are as of
// one moment and do not change; what is returned is shared and not to be
// changed.
type Facts interface {
	// Artifact returns what name@version is bound to, or an ErrNotFound.
	Artifact(name, version string) (*Artifact, error)

	// Origins returns everything that is recorded about what an artifact was
	// made of, with whether it counts: what Count returns for all claims
	// about the artifact's bytes.
	Origins(a *Artifact) ([]Origin, error)
}

// Uses is what a ledger knows downwards, too.
type Uses interface {
	Facts

	// Uses returns the origins, of whatever artifacts, that name a among their
	// inputs by name and version, in the order of their entries, then of their
	// outputs' entries and names. Every binding of the output's bytes for which
	// that entry is an origin is an output of its own.
	Uses(a *Artifact) ([]Use, error)
}

// Known reports whether one of the origins counts and its signer has standing.
// An artifact of which none does is of unknown origin, which is not clean.
func Known(origins []Origin) bool {
	return slices.ContainsFunc(origins, func(o Origin) bool { return o.Counts && o.Fallen == "" })
}
