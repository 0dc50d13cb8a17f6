// Package pending is what a machine knows of runs that are not on a ledger yet:
// what was begun and how it ended; once its inputs were found unchanged, all that
// is needed to finish it; and, from the moment it is signed, the envelope. It is
// removed once the ledger has acknowledged the run. So after a crash at any moment
// the whole of a run is on the ledger, or what lies here makes it so when asked, or
// nothing of it is.
//
// The notes are as safe as the user's other files: the command that is run may
// write to them, as it may to whatever is the user's.
package pending

import (
	"strconv"
	"time"

	"github.com/stele-ml/stele/statement"
)

// Note is a run's note. Times are Unix milliseconds.
type Note struct {
	Run     string   `json:"run"`
	Ledger  string   `json:"ledger"`
	Dir     string   `json:"dir"`            // the ledger's
	Told    bool     `json:"told,omitempty"` // `stele record run`
	Command []string `json:"command,omitempty"`
	Begun   int64    `json:"begun"`
	Ended   int64    `json:"ended,omitempty"`
	Status  *int     `json:"status,omitempty"`
	Why     string   `json:"why,omitempty"` // it was not recorded

	Inputs  []Input  `json:"inputs,omitempty"`
	Outputs []Output `json:"outputs,omitempty"`
	Finish  *Finish  `json:"finish,omitempty"` // nil: it cannot be
}

// Input is an input, and what was found when it was verified.
type Input struct {
	What    string `json:"what"` // name@version
	Path    string `json:"path,omitempty"`
	Verdict string `json:"verdict,omitempty"`
	How     string `json:"how,omitempty"`
}

// Output is an output, and what lay there when the command had ended.
type Output struct {
	What  string `json:"what"`
	Path  string `json:"path,omitempty"` // absolute
	Kind  string `json:"kind,omitempty"`
	Since string `json:"since,omitempty"`
	State string `json:"state,omitempty"` // digest of its files' marks
	Old   uint64 `json:"old,omitempty"`   // files from before, unchanged
}

// Finish is what is kept of a run whose command has ended and whose inputs were
// found unchanged, beside its inputs and outputs: it is not lost when only the
// keeping failed: a full disk, an agent that went away, a crash while the outputs
// were read.
type Finish struct {
	Statement []byte `json:"statement"` // as it would be signed, but for outputs and details
	Details   []byte `json:"details,omitempty"`
	Signer    string `json:"signer"` // the key's id
	Size      uint64 `json:"size"`   // of the log, when the run began
	Signal    string `json:"signal,omitempty"`
	Masked    int    `json:"masked,omitempty"`

	Annotations map[string]string `json:"annotations,omitempty"`
	NoDetails   bool              `json:"noDetails,omitempty"`
	Ignore      []string          `json:"ignore,omitempty"`
	Plain       bool              `json:"plain,omitempty"`
	FollowLinks bool              `json:"followLinks,omitempty"`
	Anonymous   bool              `json:"anonymous,omitempty"`
	SortListing bool              `json:"sortListing,omitempty"`
}

// Telling is the command that tells of a run that was not recorded.
func (n *Note) Telling() []string {
	args := []string{"stele", "record", "run", "--id", n.Run}
	for _, in := range n.Inputs {
		args = append(args, "--input", in.What)
	}
	if n.Status == nil || *n.Status == 0 {
		for _, out := range n.Outputs {
			args = append(args, "--output", out.What+"="+out.Path)
			if out.Kind != statement.ArtifactDataset {
				args = append(args, "--kind", out.What+"="+out.Kind)
			}
			if out.Since != "" {
				args = append(args, "--since", out.What+"="+out.Since)
			}
		}
	}
	at := func(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }
	args = append(args, "--started", at(n.Begun))
	if n.Status != nil {
		args = append(args, "--finished", at(max(n.Begun, n.Ended)), "--exit", strconv.Itoa(*n.Status))
	}
	return args
}
