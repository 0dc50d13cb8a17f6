package contract

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stele-ml/stele/statement"
)

// MaxTestCost is the most that the tests of a contract may spend together. They
// are run where it is registered, on every replica.
const MaxTestCost = MaxCost

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

// What a test may want and get besides the ids of rules.
const (
	testAllow   = "allow"
	testIgnored = "does not apply"
)

// want returns what is expected in the words of a TestResult.
func (e *Expect) want() []string {
	switch {
	case e.Allow:
		return []string{testAllow}
	case e.Ignored:
		return []string{testIgnored}
	}
	return sortedWords(e.Deny)
}

// TestResult is what came of a test.
type TestResult struct {
	Name    string
	OK      bool
	Want    []string // "allow", "does not apply", or the ids of the rules that refuse, sorted
	Got     []string // the same
	Message string   // why it failed; of one that is OK, what to know of it, or empty
	Cost    uint64
	Results []RuleResult
}

// Failure returns why a test failed in one sentence, or nothing.
func (r *TestResult) Failure() string {
	if r.OK {
		return ""
	}
	return fmt.Sprintf("the test %s: %s", quoted(r.Name), r.Message)
}

// errUntested is of a contract whose tests were not read: nothing can be said of
// them.
var errUntested = errors.New("the tests of an admitted contract were not read")

// RunTests runs the contract's own tests, in order. The error says that they
// cost more than MaxTestCost together; a test that fails is none. The same
// contract always gives the same results and costs.
func (c *Contract) RunTests() ([]TestResult, error) {
	if c.untested {
		return nil, errUntested
	}
	var results []TestResult
	left := uint64(MaxTestCost)
	for i := range c.document.Tests {
		r, err := c.runTest(&c.document.Tests[i])
		if err != nil {
			return results, fmt.Errorf("the test %s: %w", quoted(r.Name), err)
		}
		results = append(results, r)
		if r.Cost > left {
			return results, fmt.Errorf("the tests cost more than %s together, up to %s", marked(MaxTestCost), quoted(r.Name))
		}
		left -= r.Cost
	}
	return results, nil
}

func (c *Contract) runTest(t *Test) (TestResult, error) {
	r := TestResult{Name: t.Name, Want: t.Expect.want()}
	v, err := c.judgeGiven(t.Given.Input())
	if err != nil {
		return r, err
	}
	r.Results, r.Cost, r.Got = v.Results, v.Cost, outcome(v)
	r.OK = slices.Equal(r.Want, r.Got)
	if !r.OK {
		r.Message = "want " + strings.Join(r.Want, ", ") + ", got " + strings.Join(r.Got, ", ")
		if slices.Equal(r.Got, []string{testIgnored}) {
			r.Message += ": the contract is not about that statement"
		}
	}
	var told []string
	for _, refused := range v.Refused() {
		unexpected := !slices.Contains(r.Want, refused.Rule)
		if told = append(told, refused.Rule); slices.Contains(told[:len(told)-1], refused.Rule) {
			continue
		}
		switch {
		case unexpected:
			r.Message += fmt.Sprintf("; %s: %s", refused.Rule, refused.Message)
		case refused.Error != "":
			r.Message += fmt.Sprintf("; %s refuses because it could not be evaluated: %s", refused.Rule, refused.Error)
		}
	}
	r.Message = strings.TrimPrefix(r.Message, "; ")
	return r, nil
}

// judgeGiven evaluates the contract alone, as a ledger would.
func (c *Contract) judgeGiven(in *Input) (*Verdict, error) {
	if !Governs(in.Statement, in.Signer.Handle == statement.RecoveryHandle) {
		return new(Verdict), nil
	}
	return Evaluate([]InForce{{Contract: c}}, in)
}

// outcome says what came of it in the words of a TestResult. A contract that has
// no rules is about nothing.
func outcome(v *Verdict) []string {
	if len(v.Results) == 0 {
		return []string{testIgnored}
	}
	var ids []string
	for _, r := range v.Results {
		if !r.OK {
			ids = append(ids, r.Rule)
		}
	}
	if len(ids) == 0 {
		return []string{testAllow}
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
