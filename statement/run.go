package statement

import (
	"cmp"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/strictjson"
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

type wireRun struct {
	Definition wireBuildDefinition `json:"buildDefinition"`
	Details    wireRunDetails      `json:"runDetails"`
}

type wireBuildDefinition struct {
	BuildType    string           `json:"buildType"`
	External     wireExternal     `json:"externalParameters"`
	Internal     wireInternal     `json:"internalParameters"`
	Dependencies []wireDependency `json:"resolvedDependencies,omitzero"`
}

// wireExternal is never empty: in-toto's library takes an empty one for a
// missing one.
type wireExternal struct {
	Ledger    LedgerID        `json:"ledger"`
	AttemptOf Nonce           `json:"attemptOf,omitzero"`
	Details   *wireAttachment `json:"details,omitzero"`
}

type wireInternal struct {
	Observation string       `json:"observation"`
	Failed      bool         `json:"failed,omitzero"`
	Exit        *uint64      `json:"exit,omitzero"`
	Outputs     []wireOutput `json:"outputs,omitzero"` // of the subjects, in their order
}

// wireOutput is {} for an output that another entry stamped.
type wireOutput struct {
	Stamp *wireStampBody `json:",embed"`
}

// wireDependency is an in-toto ResourceDescriptor.
type wireDependency struct {
	Name        string               `json:"name"`
	URI         string               `json:"uri,omitzero"`
	Digest      map[string]string    `json:"digest"`
	Annotations *wireCodeAnnotations `json:"annotations,omitzero"`
}

type wireCodeAnnotations struct {
	Dirty bool `json:"dirty"`
}

type wireRunDetails struct {
	Builder  wireBuilder     `json:"builder"`
	Metadata wireRunMetadata `json:"metadata"`
}

type wireBuilder struct {
	ID string `json:"id"`
}

type wireRunMetadata struct {
	InvocationID Nonce  `json:"invocationId"`
	StartedOn    string `json:"startedOn"`
	FinishedOn   string `json:"finishedOn"`
}

// The names of dependencies that are no artifacts. Those that are have an "@",
// and no ":" before it.
const (
	dependencyCode  = "code"
	dependencyTree  = "tree"
	dependencyImage = "image"
	dependencyLock  = "lock:" // and the path

	gitPrefix   = "git+"
	imagePrefix = "oci://"
	gitDigest   = "gitCommit"
	plainDigest = "sha256"
)

func decodeRun(st *Statement, raw strictjson.Raw) error {
	var w wireRun
	if err := decodePredicate(KindRun, raw, &w); err != nil {
		return err
	}
	d, m := &w.Definition, &w.Details.Metadata
	if d.BuildType != RunBuildType {
		return malformed("run: buildType %s, want %s: provenance by another builder is imported", quote(d.BuildType), RunBuildType)
	}
	r := &Run{Observation: d.Internal.Observation, Failed: d.Internal.Failed, Exit: d.Internal.Exit, AttemptOf: d.External.AttemptOf}
	if w.Details.Builder.ID != r.builder() {
		return malformed("run: builder %s, want %s, as the observation is", quote(w.Details.Builder.ID), r.builder())
	}
	var err error
	if r.Started, err = parseTime(m.StartedOn); err != nil {
		return err
	}
	if r.Finished, err = parseTime(m.FinishedOn); err != nil {
		return err
	}
	if r.Details, err = d.External.Details.attachment(); err != nil {
		return err
	}
	if err := r.decodeOutputs(st.Subject, d.Internal.Outputs); err != nil {
		return err
	}
	if err := r.decodeDependencies(d.Dependencies); err != nil {
		return err
	}
	st.Ledger, st.Nonce, st.Run = d.External.Ledger, m.InvocationID, r
	return nil
}

// decodeOutputs joins the subjects with what the predicate says of each. A run
// without outputs has a subject that is none: that it is the right one shows
// when it is derived again.
func (r *Run) decodeOutputs(subjects []Subject, outputs []wireOutput) error {
	if len(outputs) == 0 && len(subjects) == 1 {
		return nil
	}
	if len(outputs) != len(subjects) {
		return malformed("run: %d subjects and %d outputs", len(subjects), len(outputs))
	}
	for i, w := range outputs {
		ref, err := ParseRef(subjects[i])
		if err != nil {
			return err
		}
		o := Output{Ref: ref}
		if w.Stamp != nil {
			if o.Stamp, err = w.Stamp.stamp(); err != nil {
				return err
			}
		}
		r.Outputs = append(r.Outputs, o)
	}
	return nil
}

func (r *Run) decodeDependencies(list []wireDependency) error {
	if len(list) > MaxReferences+MaxLocks+3 {
		return malformed("run: %d dependencies", len(list))
	}
	for _, w := range list {
		path, lock := strings.CutPrefix(w.Name, dependencyLock)
		var err error
		switch {
		case w.Name == dependencyCode:
			err = r.decodeCode(w)
		case w.Name == dependencyTree:
			err = r.decodeTree(w)
		case w.Name == dependencyImage:
			err = r.decodeImage(w)
		case lock:
			file := LockFile{Path: path}
			err = decodeHex(file.SHA256[:], "run: digest of a lock file", w.Digest[plainDigest])
			r.Locks = append(r.Locks, file)
		default:
			var ref Ref
			ref, err = ParseRef(Subject{w.Name, w.Digest})
			r.Inputs = append(r.Inputs, ref)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *Run) decodeCode(w wireDependency) error {
	if r.Code != nil {
		return malformed("run: code twice")
	}
	remote, ok := strings.CutPrefix(w.URI, gitPrefix)
	if !ok && w.URI != "" {
		return malformed("run: code at %s, want %s and a URL", quote(w.URI), gitPrefix)
	}
	r.Code = &Code{Remote: remote, Commit: w.Digest[gitDigest], Dirty: w.Annotations != nil}
	return nil
}

func (r *Run) decodeTree(w wireDependency) error {
	if r.Code == nil || r.Code.Tree != nil || len(w.Digest) != 1 {
		return malformed("run: a tree belongs to code, with one digest")
	}
	for key, text := range w.Digest {
		tree, err := fingerprint.Parse(key + ":" + text)
		if err != nil {
			return malformed("run: tree: %w", err)
		}
		r.Code.Tree = &tree
	}
	return nil
}

func (r *Run) decodeImage(w wireDependency) error {
	if r.Image != nil {
		return malformed("run: an image twice")
	}
	name, ok := strings.CutPrefix(w.URI, imagePrefix)
	if !ok && w.URI != "" {
		return malformed("run: image at %s, want %s and a name", quote(w.URI), imagePrefix)
	}
	r.Image = &Image{Name: name}
	return decodeHex(r.Image.SHA256[:], "run: digest of an image", w.Digest[plainDigest])
}

func (r *Run) builder() string { return runBuilder + r.Observation + runBuilderVersion }

func (r *Run) subject(st *Statement) []Subject {
	if len(r.Outputs) == 0 {
		id := st.Nonce.String()
		return []Subject{{Name: "run/" + id, Digest: map[string]string{runDigest: id}}}
	}
	subjects := make([]Subject, 0, len(r.Outputs))
	for _, o := range r.sortedOutputs() {
		subjects = append(subjects, o.Ref.Subject())
	}
	return subjects
}

func (r *Run) sortedOutputs() []Output {
	return slices.SortedFunc(slices.Values(r.Outputs), func(a, b Output) int { return cmp.Compare(a.Ref.String(), b.Ref.String()) })
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
	if r.Image != nil && r.Image.Name != "" {
		if err := CheckImageName(r.Image.Name); err != nil {
			return err
		}
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
	case c.Tree != nil && !c.Dirty:
		return malformed("run: the tree is the commit's own, where it is not dirty")
	case c.Tree != nil && !c.Tree.Algorithm.Valid():
		return malformed("run: the tree's fingerprint is not set")
	case c.Remote != "":
		return CheckRemote(c.Remote)
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
		if seen[lock.Path] {
			return malformed("run: lock file %s twice", quote(lock.Path))
		}
		seen[lock.Path] = true
	}
	return nil
}

func (r *Run) wire(st *Statement) any {
	w := wireRun{
		Definition: wireBuildDefinition{
			BuildType:    RunBuildType,
			External:     wireExternal{st.Ledger, r.AttemptOf, r.Details.wire()},
			Internal:     wireInternal{Observation: r.Observation, Failed: r.Failed, Exit: r.Exit},
			Dependencies: r.dependencies(),
		},
		Details: wireRunDetails{wireBuilder{r.builder()}, wireRunMetadata{st.Nonce, formatTime(r.Started), formatTime(r.Finished)}},
	}
	for _, o := range r.sortedOutputs() {
		var out wireOutput
		if o.Stamp != nil {
			body := o.Stamp.body()
			out.Stamp = &body
		}
		w.Definition.Internal.Outputs = append(w.Definition.Internal.Outputs, out)
	}
	return w
}

func (r *Run) dependencies() []wireDependency {
	var list []wireDependency
	for _, s := range sortedSubjects(r.Inputs) {
		list = append(list, wireDependency{Name: s.Name, Digest: s.Digest})
	}
	if c := r.Code; c != nil {
		w := wireDependency{Name: dependencyCode, Digest: map[string]string{gitDigest: c.Commit}}
		if c.Remote != "" {
			w.URI = gitPrefix + c.Remote
		}
		if c.Dirty {
			w.Annotations = &wireCodeAnnotations{true}
		}
		list = append(list, w)
		if c.Tree != nil {
			list = append(list, wireDependency{Name: dependencyTree, Digest: map[string]string{c.Tree.Key(): c.Tree.Sum.String()}})
		}
	}
	if i := r.Image; i != nil {
		w := wireDependency{Name: dependencyImage, Digest: map[string]string{plainDigest: hex.EncodeToString(i.SHA256[:])}}
		if i.Name != "" {
			w.URI = imagePrefix + i.Name
		}
		list = append(list, w)
	}
	for _, lock := range slices.SortedFunc(slices.Values(r.Locks), func(a, b LockFile) int { return cmp.Compare(a.Path, b.Path) }) {
		list = append(list, wireDependency{Name: dependencyLock + lock.Path, Digest: map[string]string{plainDigest: hex.EncodeToString(lock.SHA256[:])}})
	}
	return list
}

// CheckRemote checks the URL of a git repository that goes on a ledger, where
// nothing can be erased: https, http, ssh or git, with no password, token, query
// or fragment, and no place on one's own machine. A user before the host is
// allowed for ssh, where it is the same for everybody ("git").
func CheckRemote(remote string) error {
	if err := CheckText("run: git remote", remote, MaxRemote); err != nil {
		return err
	}
	// No refusal quotes it: it may hold a password.
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
	case strings.ContainsAny(remote, "?# \\"):
		return malformed("run: git remote %s://: a URL without query, fragment, space or backslash", scheme)
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

// timeLayout is RFC 3339 in UTC with exactly three digits of a second.
const timeLayout = "2006-01-02T15:04:05.000Z"

// maxTime is the end of the year 9999 in unix ms: RFC 3339 has four digits.
const maxTime = 253402300799999

func formatTime(ms int64) string { return time.UnixMilli(ms).UTC().Format(timeLayout) }

// parseTime reads the one spelling of a time.
func parseTime(text string) (int64, error) {
	t, err := time.Parse(timeLayout, text)
	if err != nil || t.Format(timeLayout) != text {
		return 0, malformed("time %s: want the form %s, in UTC", quote(text), timeLayout)
	}
	return t.UnixMilli(), nil
}
