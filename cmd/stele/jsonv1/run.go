package jsonv1

// Run is what `stele run` and `stele record run` print once a run is on the
// ledger.
type Run struct {
	Run         string      `json:"run"`         // its id, 32 hex digits
	Observation string      `json:"observation"` // wrapped or reported
	Failed      bool        `json:"failed"`
	Exit        *uint64     `json:"exit,omitempty"`   // of the command, or 128 and the number of the signal that ended it
	Signal      string      `json:"signal,omitempty"` // its name, for example SIGTERM
	Started     Time        `json:"started"`          // by the clock of the signer's machine
	Finished    Time        `json:"finished"`
	Inputs      []RunInput  `json:"inputs"`
	Outputs     []RunOutput `json:"outputs"`
	Code        *RunCode    `json:"code,omitempty"`
	Image       *RunImage   `json:"image,omitempty"`
	Locks       []RunLock   `json:"locks,omitempty"`
	AttemptOf   string      `json:"attemptOf,omitempty"` // the id of another run
	Masked      int         `json:"masked,omitempty"`    // arguments of the command that look like secrets, masked in the details
	Details     *Attachment `json:"details,omitempty"`
	Entry       uint64      `json:"entry"`
	Time        Time        `json:"time"` // of the entry
	Signer      Signer      `json:"signer"`
	Origin      string      `json:"origin"`
	Checkpoint  Checkpoint  `json:"checkpoint"`
	Existed     bool        `json:"existed"` // it was on the ledger already
}

// RunInput is what a run was given.
type RunInput struct {
	Name        string `json:"name"`
	Version     string `json:"version"`
	Fingerprint string `json:"fingerprint"`
	Path        string `json:"path,omitempty"`    // where it was read
	Verdict     string `json:"verdict,omitempty"` // verified, sampled, or withdrawn or tainted where that is an advice; empty: its bytes were not looked at
	How         string `json:"how,omitempty"`     // of what was not read

	Meanwhile []RunMeanwhile `json:"meanwhile,omitempty"` // what was written against it since the run began
}

// RunMeanwhile is what was written against an input of a run since that began:
// what the run made is tainted, but where Effect is empty.
type RunMeanwhile struct {
	Verdict string `json:"verdict"`          // withdrawn, tainted or untrusted
	Of      string `json:"of"`               // the artifact that it was written about, name@version: the input, or one behind it
	Entry   uint64 `json:"entry"`            // of the withdrawal; of what is untrusted, its stamp
	Effect  string `json:"effect,omitempty"` // of the withdrawal: advise, no-new-use or stop
	Handle  string `json:"handle,omitempty"` // who withdrew it
	Reason  string `json:"reason"`
}

// RunOutput is what a run made.
type RunOutput struct {
	Name        string `json:"name"`
	Version     string `json:"version"`
	Fingerprint string `json:"fingerprint"`
	Stamped     bool   `json:"stamped"`        // by this run; else by another entry before
	Path        string `json:"path,omitempty"` // where it was read
	Kind        string `json:"kind,omitempty"` // of what it stamped: dataset, model, code or other
	Files       uint64 `json:"files,omitempty"`
	Bytes       uint64 `json:"bytes,omitempty"`
	Old         uint64 `json:"old,omitempty"`   // files that had been there before the command started, and did not change
	Model       *Model `json:"model,omitempty"` // of kind model: what its files are, which is not signed
}

// RunCode is the code that a run was of.
type RunCode struct {
	Remote string `json:"remote,omitempty"`
	Commit string `json:"commit"`
	Dirty  bool   `json:"dirty"`          // the files were not those of the commit
	Tree   string `json:"tree,omitempty"` // fingerprint of the files as they were, where dirty
}

// RunImage is the container image that a run was in.
type RunImage struct {
	Name   string `json:"name,omitempty"`
	SHA256 string `json:"sha256"`
}

// RunLock is a file that pins what the code depends on.
type RunLock struct {
	Path   string `json:"path"`
	SHA256 string `json:"sha256"`
}

// Attachment is a document beside the ledger, which an entry names.
type Attachment struct {
	SHA256 string `json:"sha256"`
	Size   uint64 `json:"size"` // bytes
}

// RunID is what `stele record run --new-id` prints.
type RunID struct {
	Run string `json:"run"`
}
