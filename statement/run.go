package statement

import (
	"strings"

	"github.com/stele-ml/stele/fingerprint"
)

// The observations: how its signer knows of a run.
const (
	ObservationWrapped  = "wrapped"  // the signing program started the command and waited for it
	ObservationReported = "reported" // the signer was told
)

// The names that SLSA provenance gives to what runs.
const (
	// RunBuildType is the buildType of every run.
	RunBuildType = "https://stele.dev/run/v1"
	// runBuilder and runBuilderVersion are around the observation in a builder.id.
	runBuilder        = "https://stele.dev/builder/"
	runBuilderVersion = "/v1"
)

// runDigest is the key of a run's id in the subject of a run without outputs.
const runDigest = "stele-run"

// Run says that a command made the outputs of the inputs: SLSA provenance v1.
// Its id is the statement's nonce. It says what its signer declares; that the
// command read the inputs, and nothing else, nobody can show.
type Run struct {
	Observation string      // wrapped or reported
	Failed      bool        // a failed run has no outputs
	Exit        *uint64     // exit status, 0 to 255 (128+n: ended by signal n), 0 exactly where it did not fail; nil: not known, of a reported run
	Inputs      []Ref       // each name@version once
	Outputs     []Output    // each name@version once, and none is an input; inputs and outputs are at most MaxReferences together
	Code        *Code       // or nil
	Image       *Image      // the container image it ran in, or nil
	Locks       []LockFile  // of dependencies, each path once
	Started     int64       // unix ms, as the signer's machine says; more than 0
	Finished    int64       // unix ms, as the signer's machine says; not before Started
	AttemptOf   Nonce       // the id of an earlier run that this one goes on from, on the ledger or not; zero: none
	Details     *Attachment // the details document (command, parameters, environment, host), or nil
}

// Output is an artifact that a run made, or that a stamp names.
type Output struct {
	Ref   Ref
	Stamp *Stamp // what the same statement stamps it with; nil: another entry stamped it before
}

// Code is the source code that a run was of.
type Code struct {
	Remote string                   // URL of a git repository, see [CheckRemote], or empty
	Commit string                   // 40 or 64 lower-case hexadecimal digits
	Dirty  bool                     // the files were not those of the commit
	Tree   *fingerprint.Fingerprint // of the files as they were, where dirty, or nil
}

// Image is a container image.
type Image struct {
	Name   string // as a registry knows it, see [CheckImageName], or empty
	SHA256 [32]byte
}

// LockFile is a file that lists the exact versions of dependencies.
type LockFile struct {
	Path   string // relative, see [fingerprint.CheckPath], and one line of text
	SHA256 [32]byte
}

func (r *Run) check(st *Statement) error {
	if err := oneOf("run: observation", r.Observation, ObservationWrapped, ObservationReported); err != nil {
		return err
	}
	if err := r.checkEnd(); err != nil {
		return err
	}
	if r.AttemptOf == st.Nonce {
		return malformed("run: an attempt of itself")
	}
	if err := r.checkReferences(); err != nil {
		return err
	}
	if err := r.Code.check(); err != nil {
		return err
	}
	if err := r.Image.check(); err != nil {
		return err
	}
	if err := r.checkLocks(); err != nil {
		return err
	}
	return r.Details.check()
}

// checkEnd checks how and when it ended.
func (r *Run) checkEnd() error {
	const maxExit = 255
	switch {
	case r.Exit == nil && r.Observation == ObservationWrapped:
		return malformed("run: a %s run has an exit status", ObservationWrapped)
	case r.Exit != nil && *r.Exit > maxExit:
		return malformed("run: exit status %d, want 0 to %d", *r.Exit, maxExit)
	case r.Exit != nil && r.Failed != (*r.Exit != 0):
		return malformed("run: exit status %d; it is 0 exactly where the run did not fail", *r.Exit)
	case r.Failed && len(r.Outputs) > 0:
		return malformed("run: a failed run has no outputs")
	case r.Started < 1 || r.Finished > maxTime:
		return malformed("run: times %d to %d ms, want 1 to %d", r.Started, r.Finished, int64(maxTime))
	case r.Finished < r.Started:
		return malformed("run: it finished %d ms before it started", r.Started-r.Finished)
	}
	return nil
}

func (r *Run) checkReferences() error {
	if n := len(r.Inputs) + len(r.Outputs); n > MaxReferences {
		return refuse(ErrFormat, "stamp a collection of them, and name that",
			"run: %d inputs and outputs, at most %d are allowed", n, MaxReferences)
	}
	seen := make(map[string]bool, len(r.Inputs)+len(r.Outputs))
	var hash fingerprint.Algorithm
	check := func(ref Ref) error {
		if err := ref.check(); err != nil {
			return err
		}
		name := ref.String()
		switch {
		case seen[name]:
			return malformed("run: %s twice among its inputs and outputs", name)
		case hash.Valid() && ref.Fingerprint.Algorithm != hash:
			return malformed("run: %s has a fingerprint of another hash", name)
		}
		seen[name], hash = true, ref.Fingerprint.Algorithm
		return nil
	}
	for _, ref := range r.Inputs {
		if err := check(ref); err != nil {
			return err
		}
	}
	for _, o := range r.Outputs {
		if err := check(o.Ref); err != nil {
			return err
		}
		if o.Stamp == nil {
			continue
		}
		if len(o.Stamp.From) > 0 || len(o.Stamp.Members) > 0 {
			return malformed("run: %s is stamped with from or members; the run's inputs say what it was made of", o.Ref)
		}
		if err := o.Stamp.checkOf(o.Ref); err != nil {
			return err
		}
	}
	if r.Code != nil && r.Code.Tree != nil && hash.Valid() && r.Code.Tree.Algorithm != hash {
		return malformed("run: the tree has a fingerprint of another hash")
	}
	return nil
}

func (c *Code) check() error {
	switch {
	case c == nil:
		return nil
	case len(c.Commit) != 40 && len(c.Commit) != 64 || !isLowerHex(c.Commit):
		return malformed("run: commit %s: want 40 or 64 lower-case hexadecimal digits", quote(c.Commit))
	case strings.Trim(c.Commit, "0") == "":
		return malformed("run: the commit is not set")
	case c.Tree != nil && !c.Dirty:
		return malformed("run: the tree is the commit's own, where it is not dirty")
	case c.Tree != nil && !c.Tree.Algorithm.Valid():
		return malformed("run: the tree's fingerprint is not set")
	case c.Remote != "":
		return CheckRemote(c.Remote)
	}
	return nil
}

func (i *Image) check() error {
	switch {
	case i == nil:
		return nil
	case i.SHA256 == [32]byte{}:
		return malformed("run: the digest of the image is not set")
	case i.Name != "":
		return CheckImageName(i.Name)
	}
	return nil
}

func (r *Run) checkLocks() error {
	if len(r.Locks) > MaxLocks {
		return malformed("run: %d lock files, at most %d are allowed", len(r.Locks), MaxLocks)
	}
	seen := make(map[string]bool, len(r.Locks))
	for _, lock := range r.Locks {
		if err := CheckText("run: path of a lock file", lock.Path, MaxLockPath); err != nil {
			return err
		}
		if err := fingerprint.CheckPath(lock.Path); err != nil {
			return malformed("run: %w", err)
		}
		switch {
		case seen[lock.Path]:
			return malformed("run: lock file %s twice", quote(lock.Path))
		case lock.SHA256 == [32]byte{}:
			return malformed("run: the digest of lock file %s is not set", quote(lock.Path))
		}
		seen[lock.Path] = true
	}
	return nil
}

// CheckRemote checks the URL of a git repository that goes on a ledger, where
// nothing can be erased: https, http, ssh or git, with no password, token, query
// or fragment, and no place on one's own machine; in the characters of RFC 3986,
// at most MaxRemote bytes. A user before the host is allowed for ssh, where it is
// the same for everybody ("git"). No error quotes it: it may hold a password.
func CheckRemote(remote string) error {
	if len(remote) > MaxRemote || !isWord(remote, "-._~:/[]@!$&'()*+,;=%", true) {
		return malformed("run: git remote: want a URL without query and fragment, at most %d bytes", MaxRemote)
	}
	scheme, rest, ok := strings.Cut(remote, "://")
	if !ok || oneOf("scheme", scheme, "https", "http", "ssh", "git") != nil {
		return malformed("run: git remote: want a URL that begins with https://, http://, ssh:// or git://")
	}
	authority, _, _ := strings.Cut(rest, "/")
	user, host, found := strings.Cut(authority, "@")
	if !found {
		user, host = "", authority
	}
	switch {
	case host == "" || strings.Contains(host, "@"):
		return malformed("run: git remote %s://: want one host", scheme)
	case found && (scheme != "ssh" || !isWord(user, "._-", true)):
		return malformed("run: git remote %s://: a user, password or token before the host", scheme)
	}
	return nil
}

// CheckImageName checks the name of a container image: [A-Za-z0-9._:/@+-],
// beginning with a letter or a digit, at most MaxImageName bytes.
func CheckImageName(name string) error {
	if len(name) > MaxImageName || !isWord(name, "._:/@+-", true) {
		return malformed("run: image %s: want A-Z a-z 0-9 . _ : / @ + - beginning with a letter or digit, at most %d bytes", quote(name), MaxImageName)
	}
	return nil
}
