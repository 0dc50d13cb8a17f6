package report

import "time"

// Outcome is what came of a check.
type Outcome string

// The outcomes of a check.
const (
	Passed  Outcome = "passed"   // made, and it holds
	Failed  Outcome = "failed"   // made, and it does not hold
	Warning Outcome = "warning"  // made, does not hold, and nobody asked for it
	NotMade Outcome = "not-made" // could not be made
)

// Check is one thing that was looked at.
type Check struct {
	ID       string  // stable, lower case: "lineage/not-tainted", "contract/two-approvals"
	Group    string  // of the checks that stand together: "log", "contracts"
	Title    string  // a few words
	Outcome  Outcome // Required says what not made means
	Required bool    // the gate is closed unless it is made and passes
	Message  string  // one sentence or more, with the values; foreign text may be in it
	Hint     string  // what to do
	Contract string  // production@3, of a contract's rule
	Rule     string  // its id; of the ledger's own rules, their name
	Entry    *uint64 // that it rests on, or nil
}

// Holds reports whether the check leaves the gate open.
func (c *Check) Holds() bool {
	return c.Outcome == Passed || c.Outcome == Warning || c.Outcome == NotMade && !c.Required
}

// Report is what a gate found.
type Report struct {
	Tool    string // that wrote it: "stele"
	Version string // of the tool

	Subject     string // name@version
	Fingerprint string
	Stage       string
	Path        string // of the data, as given; empty: none
	Verdict     string // one word
	Headline    string // one sentence
	Origin      string // the ledger's
	Size        uint64 // its entries
	At          time.Time
	Checks      []Check // in the order in which they are shown
}

// Open reports whether every check holds.
func (r *Report) Open() bool {
	for i := range r.Checks {
		if !r.Checks[i].Holds() {
			return false
		}
	}
	return true
}
