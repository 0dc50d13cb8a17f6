package statement

import (
	"cmp"
	"encoding/hex"
	"slices"
	"strings"
	"time"
)

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
	Digest      wireDependencyDigest `json:"digest"`
	Annotations *wireCodeAnnotations `json:"annotations,omitzero"`
}

// wireDependencyDigest is the DigestSet of any dependency; which digest it must
// have is the dependency's to say.
type wireDependencyDigest struct {
	wireDigest
	Git   string `json:"gitCommit,omitzero"`
	Plain string `json:"sha256,omitzero"`
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
)

func (w *wireRun) decode(st *Statement) error {
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
	if len(list) > 0 {
		r.Inputs = make([]Ref, 0, len(list))
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
			err = decodeHex(file.SHA256[:], "run: digest of a lock file", w.Digest.Plain)
			r.Locks = append(r.Locks, file)
		default:
			var ref Ref
			ref, err = wireRef{w.Name, w.Digest.wireDigest}.ref()
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
	r.Code = &Code{Remote: remote, Commit: w.Digest.Git, Dirty: w.Annotations != nil}
	return nil
}

func (r *Run) decodeTree(w wireDependency) error {
	if r.Code == nil || r.Code.Tree != nil {
		return malformed("run: a tree belongs to code")
	}
	tree, err := w.Digest.fingerprint(dependencyTree)
	r.Code.Tree = &tree
	return err
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
	return decodeHex(r.Image.SHA256[:], "run: digest of an image", w.Digest.Plain)
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
	byName := func(a, b Output) int { return cmp.Compare(a.Ref.String(), b.Ref.String()) }
	if slices.IsSortedFunc(r.Outputs, byName) {
		return r.Outputs
	}
	return slices.SortedFunc(slices.Values(r.Outputs), byName)
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
	var list []wireDependency // nil where there is none: left out
	if n := len(r.Inputs) + len(r.Locks); n > 0 {
		list = make([]wireDependency, 0, n+3)
	}
	for _, w := range wireRefs(r.Inputs) {
		list = append(list, wireDependency{Name: w.Name, Digest: wireDependencyDigest{wireDigest: w.Digest}})
	}
	if c := r.Code; c != nil {
		w := wireDependency{Name: dependencyCode, Digest: wireDependencyDigest{Git: c.Commit}}
		if c.Remote != "" {
			w.URI = gitPrefix + c.Remote
		}
		if c.Dirty {
			w.Annotations = &wireCodeAnnotations{true}
		}
		list = append(list, w)
		if c.Tree != nil {
			list = append(list, wireDependency{Name: dependencyTree, Digest: wireDependencyDigest{wireDigest: digestOf(*c.Tree)}})
		}
	}
	if i := r.Image; i != nil {
		w := wireDependency{Name: dependencyImage, Digest: wireDependencyDigest{Plain: hex.EncodeToString(i.SHA256[:])}}
		if i.Name != "" {
			w.URI = imagePrefix + i.Name
		}
		list = append(list, w)
	}
	for _, lock := range slices.SortedFunc(slices.Values(r.Locks), func(a, b LockFile) int { return cmp.Compare(a.Path, b.Path) }) {
		list = append(list, wireDependency{Name: dependencyLock + lock.Path, Digest: wireDependencyDigest{Plain: hex.EncodeToString(lock.SHA256[:])}})
	}
	return list
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
