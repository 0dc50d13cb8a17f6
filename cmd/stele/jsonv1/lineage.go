package jsonv1

// Trace is what `stele trace` prints: artifacts, what they were made of, what
// was made of them. Nodes are known by name@version, which is bound once.
type Trace struct {
	Asked     string   `json:"asked"` // the argument
	By        string   `json:"by"`    // what it was: name-version, name, fingerprint, entry, run or place
	Entry     *uint64  `json:"entry,omitempty"`
	Found     string   `json:"found,omitempty"`     // the fingerprint of the given data
	Rules     []string `json:"rules,omitempty"`     // the ignore rules with which it was found
	StampedAs string   `json:"stampedAs,omitempty"` // of a single file: the name it was stamped under
	Roots     []string `json:"roots"`               // nodes; none for a run without outputs
	AsOf      AsOf     `json:"asOf"`

	Nodes   []TraceNode    `json:"nodes"` // roots first, then up, then down, nearest first
	Edges   []TraceEdge    `json:"edges"`
	Runs    []TraceRun     `json:"runs"`    // those that edges name, and the one asked for
	Missing []TraceMissing `json:"missing"` // named by an entry, and not to be found
	Counts  TraceCounts    `json:"counts"`
	Cut     bool           `json:"cut,omitempty"`     // nodes are left out: --depth, or there are more than are walked
	Unknown bool           `json:"unknown,omitempty"` // more is recorded than is walked: what is not known to be tainted may be

	// Since is what became of the roots after --at, as is known now.
	Since []TraceSince `json:"since,omitempty"`
}

// TraceNode is an artifact. Up and Down say how many steps it is away from the
// nearest root; 0 is a root.
type TraceNode struct {
	ID          string            `json:"id"` // name@version
	Name        string            `json:"name"`
	Version     string            `json:"version"`
	Fingerprint string            `json:"fingerprint"`
	Kind        string            `json:"kind"` // dataset, model, code or other
	Files       uint64            `json:"files"`
	Bytes       uint64            `json:"bytes"`
	Entry       uint64            `json:"entry"`
	Time        Time              `json:"time"`
	Signer      Signer            `json:"signer"`
	Standing    string            `json:"standing"`            // the worst of untrusted, withdrawn, tainted, unknown; else good
	Fallen      *Fallen           `json:"fallen,omitempty"`    // why it is untrusted
	Withdrawn   []TraceWithdrawal `json:"withdrawn,omitempty"` // in force
	Places      []TraceWithdrawal `json:"places,omitempty"`    // of a root: places that no longer hold it, which taints nothing
	Taint       *Taint            `json:"taint,omitempty"`
	Origin      string            `json:"origin"` // recorded; not-counted: claims only; none: nothing recorded, which is unknown and not clean
	Stages      []TraceStage      `json:"stages,omitempty"`
	Evaluations []TraceEvaluation `json:"evaluations,omitempty"`
	Up          *int              `json:"up,omitempty"`
	Down        *int              `json:"down,omitempty"`
}

// TraceWithdrawal is a withdrawal in force.
type TraceWithdrawal struct {
	Entry    uint64 `json:"entry"`
	Time     Time   `json:"time"`
	Target   string `json:"target"` // contents or binding; of places, location
	Effect   string `json:"effect"`
	Reason   string `json:"reason"`
	Handle   string `json:"handle"`             // of whoever made it
	Of       string `json:"of,omitempty"`       // of a collection: the member that is withdrawn, name@version
	Location string `json:"location,omitempty"` // of places
}

// TraceEdge says that Output was made of Input, by an entry.
type TraceEdge struct {
	Output string `json:"output"` // a node
	Input  string `json:"input"`  // a node; or one that is Missing, or was not walked
	Way    string `json:"way"`    // run, from, collection or import
	Entry  uint64 `json:"entry"`
	Time   Time   `json:"time"`
	Signer Signer `json:"signer"`
	Counts bool   `json:"counts"`
	Why    string `json:"why,omitempty"`    // why it does not count
	Fallen string `json:"fallen,omitempty"` // of one that counts: why its signer has no standing; it is followed, and makes nothing known
	Of     string `json:"of,omitempty"`     // of which artifact of the same bytes the entry says it, where that is not the output
	Run    string `json:"run,omitempty"`    // its id
}

// TraceRun is a run.
type TraceRun struct {
	Run         string   `json:"run"` // 32 hex digits
	Entry       uint64   `json:"entry"`
	Time        Time     `json:"time"`
	Signer      Signer   `json:"signer"`
	Observation string   `json:"observation"` // wrapped or reported
	Failed      bool     `json:"failed"`
	Exit        *uint64  `json:"exit,omitempty"`
	Commit      string   `json:"commit,omitempty"`
	Dirty       bool     `json:"dirty,omitempty"`
	Remote      string   `json:"remote,omitempty"`
	Started     Time     `json:"started"` // as the signer's machine says
	Finished    Time     `json:"finished"`
	AttemptOf   string   `json:"attemptOf,omitempty"`
	Inputs      []string `json:"inputs"`
	Outputs     []string `json:"outputs"`
}

// TraceStage is a stage that an artifact is in.
type TraceStage struct {
	Stage string `json:"stage"`
	Entry uint64 `json:"entry"` // the release that put it there
	Time  Time   `json:"time"`
}

// TraceEvaluation is what was measured of an artifact.
type TraceEvaluation struct {
	Entry    uint64            `json:"entry"`
	Time     Time              `json:"time"`
	Signer   Signer            `json:"signer"`
	Standing string            `json:"standing"` // of the signer's key for that entry
	Metrics  map[string]string `json:"metrics"`  // decimal numbers
	Datasets []string          `json:"datasets"`
}

// TraceMissing is what an entry names and the ledger has not.
type TraceMissing struct {
	ID    string `json:"id"` // name@version
	Entry uint64 `json:"entry"`
}

// TraceCounts counts the nodes besides the roots, each of which has one standing:
// what is untrusted or withdrawn itself is not counted as tainted.
type TraceCounts struct {
	Up   TraceCount `json:"up"`
	Down TraceCount `json:"down"`
}

// TraceCount counts nodes in one direction.
type TraceCount struct {
	Artifacts uint64            `json:"artifacts"`
	More      bool              `json:"more,omitempty"` // there are more than were walked
	Kinds     map[string]uint64 `json:"kinds"`
	Untrusted uint64            `json:"untrusted"`
	Withdrawn uint64            `json:"withdrawn"`
	Tainted   uint64            `json:"tainted"`
	Staged    uint64            `json:"staged"`   // in a stage now, or at --at
	NoOrigin  uint64            `json:"noOrigin"` // upwards: no origin that counts is recorded
}

// TraceSince is what became of a root after the moment that was asked for.
type TraceSince struct {
	ID   string `json:"id"`
	What string `json:"what"` // as a person reads it
}

// Fallen says why an artifact is untrusted: the signer of its own entry, or of one
// that bound something it was made of, has no standing for it.
type Fallen struct {
	Causes []FallenCause `json:"causes"` // nearest first; the artifact itself at 0 steps. Of a trace, only roots have more than one
	More   bool          `json:"more,omitempty"`
}

// FallenCause is an artifact whose binding counts for nothing, and how it is
// reached.
type FallenCause struct {
	Name        string      `json:"name"`
	Version     string      `json:"version"`
	Fingerprint string      `json:"fingerprint"`
	Entry       uint64      `json:"entry"` // that bound it
	Time        Time        `json:"time"`
	Signer      Signer      `json:"signer"`
	State       string      `json:"state"`  // of the signer's key for that entry: compromised or void
	Detail      string      `json:"detail"` // in a sentence
	Steps       int         `json:"steps"`
	Next        string      `json:"next"`           // the artifact that leads there; itself at 0 steps
	Path        []TaintStep `json:"path,omitempty"` // from the artifact to the fallen one; of a trace for its roots alone
}

// Taint says why an artifact is tainted: what it was made of holds contents that
// are withdrawn.
type Taint struct {
	Effect string       `json:"effect"` // the strongest of all causes: advise, no-new-use or stop
	Causes []TaintCause `json:"causes"` // nearest first
	More   int          `json:"more,omitempty"`
}

// TaintCause is a withdrawal that reaches an artifact, and how.
type TaintCause struct {
	Name        string `json:"name"` // what is withdrawn
	Version     string `json:"version"`
	Fingerprint string `json:"fingerprint"`
	Entry       uint64 `json:"entry"` // the withdrawal
	Time        Time   `json:"time"`
	Effect      string `json:"effect"`
	Reason      string `json:"reason"`
	Handle      string `json:"handle"`

	// At is the artifact in this lineage, name@version, that holds the withdrawn
	// contents, Steps how many origins away it is, Next the artifact that leads
	// there.
	At    string      `json:"at"`
	Steps int         `json:"steps"`
	Next  string      `json:"next"`
	Path  []TaintStep `json:"path,omitempty"` // from the artifact to At; of a trace for its roots alone
}

// TaintStep is an artifact on the way, and the origin that leads on from it; of
// the last, what is withdrawn, there is none.
type TaintStep struct {
	Name    string  `json:"name"`
	Version string  `json:"version"`
	Entry   *uint64 `json:"entry,omitempty"`
	Way     string  `json:"way,omitempty"`
}
