package report

import "time"

// Outcome is what came of a check.
type Outcome string

// The outcomes of a check.
const (
	Passed  Outcome = "passed"   // made, and it holds
	Failed  Outcome = "failed"   // made, and it does not hold
	Warning Outcome = "warning"  // made, does not hold, and nothing asks for it
	NotMade Outcome = "not-made" // it could not be made, or was not decided
)

// Check is one thing that was looked at.
type Check struct {
	ID       string  // stable, in lower case: "lineage/not-tainted", "contract/production/two-approvals"
	Group    string  // of checks that stand together, one word: "ledger", "contracts"
	Title    string  // a few words: what is checked
	Help     string  // a sentence or two: what it is for; empty: the title says it
	Outcome  Outcome // of a check that was not made, Required says what that means
	Required bool    // the gate is closed unless it was made and passed
	Message  string  // what was found, with the values
	Hint     string  // what to do, or empty
	Contract string  // production@3, of a contract's rule
	Rule     string  // its id; of a rule of the ledger's own, that
	Entry    *uint64 // which it rests on, or nil
}

// Holds reports whether the check leaves the gate open.
func (c *Check) Holds() bool {
	return c.Outcome == Passed || c.Outcome == Warning || c.Outcome == NotMade && !c.Required
}

// Report is what a gate found.
type Report struct {
	Version string // of the program, as in "1.2.0"
	HelpURI string // of its manual, absolute

	Name        string // of the artifact
	Of          string // its version
	Fingerprint string // empty: it is not known
	Stage       string
	Location    string // of the data: a path below the working folder, with slashes; empty: elsewhere, or none was read
	Verdict     string // one word
	Headline    string // one sentence
	Exit        int    // the status that the gate ends with
	Broken      bool   // the gate came to nothing: what was to be checked could not be read
	Origin      string // of the ledger; empty: there was none to ask
	Entries     uint64 // it had when it was asked
	At          time.Time
	Checks      []Check // in the order in which they are told
}

// Subject returns name@version.
func (r *Report) Subject() string { return r.Name + "@" + r.Of }

// Open reports whether every check leaves the gate open.
func (r *Report) Open() bool {
	for i := range r.Checks {
		if !r.Checks[i].Holds() {
			return false
		}
	}
	return true
}

// closing are the checks that keep the gate closed, what failed before what was
// not made.
func (r *Report) closing() (list []*Check) {
	for _, made := range []bool{true, false} {
		for i := range r.Checks {
			if c := &r.Checks[i]; !c.Holds() && (c.Outcome != NotMade) == made {
				list = append(list, c)
			}
		}
	}
	return list
}

// warnings are the checks that warn.
func (r *Report) warnings() (list []*Check) {
	for i := range r.Checks {
		if c := &r.Checks[i]; c.Outcome == Warning {
			list = append(list, c)
		}
	}
	return list
}

// Counts are how many checks came out how. Closing counts those that keep the
// gate closed: what failed, and what was required and not made.
type Counts struct{ Passed, Failed, Warnings, NotMade, Closing int }

// Counts counts the checks.
func (r *Report) Counts() Counts {
	var n Counts
	for i := range r.Checks {
		c := &r.Checks[i]
		switch c.Outcome {
		case Passed:
			n.Passed++
		case Warning:
			n.Warnings++
		case NotMade:
			n.NotMade++
		default:
			n.Failed++
		}
		if !c.Holds() {
			n.Closing++
		}
	}
	return n
}

// Grouped returns the checks by their groups, both in the order in which they
// first appear.
func (r *Report) Grouped() []Group {
	var groups []Group
	at := map[string]int{}
	for _, c := range r.Checks {
		i, ok := at[c.Group]
		if !ok {
			i = len(groups)
			at[c.Group] = i
			groups = append(groups, Group{Name: c.Group})
		}
		groups[i].Checks = append(groups[i].Checks, c)
	}
	return groups
}

// Group is the checks that stand together.
type Group struct {
	Name   string
	Checks []Check
}
