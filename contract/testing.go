package contract

// Test is a test of a contract, with the history that it is about.
type Test struct {
	Name   string
	Given  Given
	Expect Expect
}

// Expect is what a test expects: exactly one of the three.
type Expect struct {
	Allow   bool     // every rule allows it
	Deny    []string // the ids of exactly those rules that refuse
	Ignored bool     // the contract is not about the statement ("applies: false")
}

// TestResult is what came of a test.
type TestResult struct {
	Name    string
	OK      bool
	Want    []string // "allow", "does not apply", or the ids of rules, sorted
	Got     []string // the same
	Message string   // why it failed, in a sentence; empty where OK
	Cost    uint64
	Results []RuleResult
}

// RunTests runs the contract's own tests, in order. The error says that they
// cost more than MaxTestCost together; a test that fails is none.
func (c *Contract) RunTests() ([]TestResult, error) { return nil, nil }
