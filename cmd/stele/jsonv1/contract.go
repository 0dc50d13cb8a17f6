package jsonv1

// Violation is a rule of a contract that refuses a statement.
type Violation struct {
	Contract string `json:"contract"` // name and version: production@3
	Entry    uint64 `json:"entry"`    // that put the contract in force; 0 where it is not on the ledger
	Rule     string `json:"rule"`
	Subject  string `json:"subject,omitempty"` // name@version; absent where the statement is about no artifact
	Message  string `json:"message"`
	Hint     string `json:"hint,omitempty"`
	Error    string `json:"error,omitempty"` // why the rule could not be evaluated, which refuses
	Cost     uint64 `json:"cost"`
}

// Problem is what is wrong with a contract's document, and where.
type Problem struct {
	At      string `json:"at"`      // file:line:column
	Path    string `json:"path"`    // in the document: spec.validations[1].expression
	Message string `json:"message"` // of an expression with its line, and a caret under the place
	Hint    string `json:"hint,omitempty"`
}

// Contract is a line of `stele contract list`, and with Document what `stele
// contract show` prints: one version of a contract, as the ledger has it.
type Contract struct {
	Contract string `json:"contract"` // production@3
	Name     string `json:"name"`
	Version  uint64 `json:"version"`
	Digest   string `json:"digest"` // of the document: sha256:…
	Action   string `json:"action"` // put or propose
	Entry    uint64 `json:"entry"`
	Time     Time   `json:"time"`
	Signer   Signer `json:"signer"`
	Standing string `json:"standing"` // of the signer's key for that entry, as of now
	InForce  bool   `json:"inForce"`
	State    string `json:"state"`           // in force, fallen, replaced, lifted, void, proposed
	Why      string `json:"why,omitempty"`   // where it is not simply in force, or a proposal lies open no longer: in a sentence
	Ended    uint64 `json:"ended,omitempty"` // the entry that replaced or lifted it
	About    string `json:"about"`           // what it is evaluated for, in words

	Description string   `json:"description,omitempty"`
	Statements  []string `json:"statements,omitempty"` // what it matches; absent lists match any
	Names       []string `json:"names,omitempty"`
	Stages      []string `json:"stages,omitempty"`
	Kinds       []string `json:"kinds,omitempty"`
	Actions     []string `json:"actions,omitempty"`
	Rules       []string `json:"rules"` // the ids of its validations
	Gate        []string `json:"gate,omitempty"`
	Tests       int      `json:"tests"`

	Document any `json:"document,omitempty"` // of show: as it was signed
}

// ContractTest is what `stele contract test` prints.
type ContractTest struct {
	Contract string `json:"contract"`
	Name     string `json:"name"`
	Version  uint64 `json:"version"`
	Digest   string `json:"digest"` // what `stele contract put --digest` takes
	Bytes    int    `json:"bytes"`  // of the document that is signed
	OK       bool   `json:"ok"`     // every test holds

	Tests    []ContractTestCase `json:"tests"`
	Warnings []ContractWarning  `json:"warnings"`
	History  *ContractHistory   `json:"history,omitempty"`   // absent: nothing was replayed
	Skipped  string             `json:"noHistory,omitempty"` // then: why
}

// ContractTestCase is one test of a contract.
type ContractTestCase struct {
	Name    string   `json:"name"`
	OK      bool     `json:"ok"`
	Want    []string `json:"want"` // "allow", or the ids of the rules that refuse
	Got     []string `json:"got"`
	Message string   `json:"message,omitempty"` // why it failed
	Cost    uint64   `json:"cost"`

	Violations []Violation `json:"violations,omitempty"` // the rules that refused
}

// ContractWarning is something about a contract that may not be meant.
type ContractWarning struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
	Path    string `json:"path,omitempty"` // in the document: spec.match.names[0]
	Line    int    `json:"line,omitempty"` // in the file
}

// ContractHistory is what a contract would have done to a ledger's past: each of
// its entries, judged as of the entries before it.
type ContractHistory struct {
	Origin    string            `json:"origin"`
	Entries   uint64            `json:"entries"` // of the ledger
	Judged    uint64            `json:"judged"`  // that the contract is about
	Refused   uint64            `json:"refused"` // that it would have refused
	MaxCost   uint64            `json:"maxCost"` // of one entry
	List      []ContractRefused `json:"list"`    // the first 1,000 that it would have refused, unless --all
	Truncated bool              `json:"truncated,omitempty"`
}

// ContractRefused is an entry that a contract would have refused.
type ContractRefused struct {
	Entry      uint64      `json:"entry"`
	Time       Time        `json:"time"`
	Kind       string      `json:"kind"`
	Subject    string      `json:"subject"`
	Signer     Signer      `json:"signer"`
	Violations []Violation `json:"violations"`
	Cost       uint64      `json:"cost"`
}

// ContractWritten is what `stele contract put`, `propose` and `lift` print. With
// DryRun nothing was written, and entry, time and checkpoint are absent.
type ContractWritten struct {
	Action     string            `json:"action"` // put, propose, lift
	Contract   string            `json:"contract"`
	Name       string            `json:"name"`
	Version    uint64            `json:"version"`
	Digest     string            `json:"digest"`
	Replaces   string            `json:"replaces,omitempty"` // the version that was in force
	Warnings   []ContractWarning `json:"warnings,omitempty"`
	Entry      *uint64           `json:"entry,omitempty"`
	Time       Time              `json:"time,omitempty"`
	Signer     Signer            `json:"signer"`
	Origin     string            `json:"origin"`
	Checkpoint *Checkpoint       `json:"checkpoint,omitempty"`
	Existed    bool              `json:"existed"`
	DryRun     bool              `json:"dryRun,omitempty"`
}

// ContractDiff is what `stele contract diff` prints.
type ContractDiff struct {
	A       string           `json:"a"`
	B       string           `json:"b"`
	Same    bool             `json:"same"` // the same document, byte for byte
	Changes []ContractChange `json:"changes"`
}

// ContractChange is one difference between two contracts.
type ContractChange struct {
	What   string `json:"what"`           // description, engine, match, param, variable, rule, gate, test
	Name   string `json:"name,omitempty"` // of the param, the variable, the rule, the test; the list of match
	Part   string `json:"part,omitempty"` // of a rule: expression, message, hint
	Change string `json:"change"`         // added, removed, modified, moved
	Old    string `json:"old,omitempty"`  // as text, or as JSON
	New    string `json:"new,omitempty"`
}

// ContractTemplate is a line of `stele contract new` without a name: a ready
// contract; with one, what was written.
type ContractTemplate struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	About       string `json:"about,omitempty"`
	File        string `json:"file,omitempty"` // that was written
}
