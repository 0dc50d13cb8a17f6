// Package gate decides whether a release would pass now: every check that a ledger
// would make of it, and those that a ledger cannot make, each with what was found.
// It writes nothing, and needs no key.
//
// The ledger, and what the person trusts and holds, come in; findings and one
// verdict go out. How these are told is for whoever asks.
package gate

import (
	"cmp"
	"slices"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/report"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// Demands are the checks that may be demanded, by whoever asks or by a contract in
// spec.gate: then they must be made and pass.
var Demands = []string{contract.GateContents, contract.GateSeparateFiles, contract.GateWithdrawnFiles, contract.GateFresh}

// Class is a verdict in one word.
type Class string

// The classes of a verdict.
const (
	Passed      Class = "passed"
	Tampered    Class = "tampered"
	Untrusted   Class = "untrusted"
	Refused     Class = "refused"
	Undecided   Class = "undecided" // a check that is required was not made, or a rule was not decided
	NotFound    Class = "not-found" // the artifact, or something else that was named, is not there
	Unreachable Class = "unreachable"
	Error       Class = "error"
)

// order is by which class a gate ends where several apply: the first.
var order = []Class{Tampered, Untrusted, Refused, Undecided, NotFound, Unreachable, Error}

// Question is a release that is asked about.
type Question struct {
	Name, Version string
	Stage         string
	Replaces      []statement.Ref // what the release would take out
	Reason        string          // that it would give
	By            contract.Signer // who would release; where not Known, rules about the signer are undecided
	Path          string          // of the data that were read, as a person named it; empty: none were
	Aged          bool            // it was said how old the newest cosignature may be
	Demands       []string        // checks that must be made and pass
	Now           int64           // of this machine, Unix ms
}

func (q *Question) what() string { return q.Name + "@" + q.Version }

// Found is what came of reading the data, for the words about it: whether they are
// what was stamped, the evidence says.
type Found struct {
	Hidden  uint64 // paths that the stamp's ignore rules left out
	Changes string // what differs, in a line; empty: nothing, or it is not known what
}

// Trust verifies, by what a person trusts and has seen of the log before, what the
// ledger shows of the artifact: its stamp, and the entries beside it. trusted is
// false where no key of the log is pinned at all.
type Trust func(beside []uint64) (v *evidence.Verdict, trusted bool, err error)

// Check is a check, and the class of a gate that it closes.
type Check struct {
	report.Check
	Class Class
	Cost  uint64 // of a contract's rule, in contracts' units
}

// Gate is a gate under way.
type Gate struct {
	Question *Question
	Checks   []Check // so far, in the order in which they were made

	// Known once the artifact was found.
	Account  *account.Account
	Release  *statement.Statement // the one that is tried; nobody signs it
	Released *uint64              // the artifact is in the stage already, by this entry

	book   *account.Book
	found  Found
	made   *ledger.Lineage
	graph  *lineage.Graph // all that the artifact was made of
	broken bool

	about    int               // contracts in force that are about it
	demanded map[string]string // checks that contracts demand → the first of these
	rules    map[string]string // contract/rule → what it is for
	governed []string          // stages that contracts in force name
	reasoned map[string]bool   // contract/rule → it looks at the release's reason
}

// New begins a gate.
func New(q *Question) *Gate {
	return &Gate{Question: q, demanded: map[string]string{}, rules: map[string]string{}, reasoned: map[string]bool{}}
}

// Judge makes all checks but those that compare files (see Files), as of one moment
// of the ledger. Where it ends with an error, what was found till then stands; say
// so with Break.
func (g *Gate) Judge(b *account.Book, at ledger.Binding, found Found, trust Trust) error {
	g.book, g.found = b, found
	if err := g.prepare(at); err != nil {
		return err
	}
	if err := g.checkEvidence(trust); err != nil {
		return err
	}
	if err := g.checkLineage(); err != nil {
		return err
	}
	g.checkApprovals()
	return g.checkRules()
}

// prepare walks through all that the artifact was made of, once for all checks, and
// makes the release that is tried.
func (g *Gate) prepare(at ledger.Binding) error {
	made, artifact, err := g.book.Artifact(at.Ref())
	if err != nil {
		return err
	}
	g.made = made
	if g.graph, err = lineage.Up(made, artifact, lineage.MaxWalk); err != nil {
		return err
	}
	g.book.Judged(g.graph.Judgement())
	if g.Account, err = g.book.Of(at); err != nil {
		return err
	}
	if g.Account.Evaluations, err = g.book.Said(g.Account.Ref, statement.KindEvaluation); err != nil {
		return err
	}
	in, err := g.book.InStage(g.Question.Stage)
	if err != nil {
		return err
	}
	for _, p := range in {
		if p.Ref == g.Account.Ref {
			g.Released = &p.Entry
		}
	}
	q := g.Question
	g.Release = &statement.Statement{
		Kind: statement.KindRelease, Subject: []statement.Subject{g.Account.Ref.Subject()}, Ledger: g.book.ID(),
		Release: &statement.Release{Stage: q.Stage, Action: statement.ActionJoin, Replaces: q.Replaces, Reason: q.Reason},
	}
	if g.Release.Release.After, err = g.book.After(g.Release); err != nil {
		return err
	}
	return g.findDemands()
}

// now is the moment that everything is judged at, Unix ms: a ledger's time never
// goes back.
func (g *Gate) now() int64 { return max(g.Question.Now, g.book.Time()) }

// add takes one more check. class is how the gate ends where it does not hold.
func (g *Gate) add(class Class, c report.Check) {
	g.Checks = append(g.Checks, Check{Check: c, Class: class})
}

// demand makes a check required where whoever asks, or a contract, demands it.
func (g *Gate) demand(name string, c *report.Check, hint string) {
	by, ok := g.demanded[name]
	if !ok && !slices.Contains(g.Question.Demands, name) {
		return
	}
	c.Required = true
	if by != "" {
		c.Contract, c.Rule = by, name
	}
	switch c.Outcome {
	case report.Warning:
		c.Outcome = report.Failed
	case report.NotMade:
		if by != "" && c.Message != "" {
			c.Message += "; "
		}
		if by != "" {
			c.Message += by + " asks for it"
		}
		if c.Hint == "" {
			c.Hint = hint
		}
	}
}

// unless is the class of a check: that of one that failed, or undecided where it
// was not made.
func unless(c *report.Check, failed Class) Class {
	if c.Outcome == report.NotMade {
		return Undecided
	}
	return failed
}

// Break says that the gate came to nothing, and why.
func (g *Gate) Break(class Class, message, hint string, entry *uint64) {
	g.broken = true
	if class == NotFound && g.Account != nil {
		class = Undecided
	}
	g.add(class, report.Check{
		ID: "gate/carried-out", Group: "gate", Title: "the gate was carried out", Outcome: report.NotMade, Required: true, Message: message, Hint: hint, Entry: entry,
		Help: "Without the ledger, the artifact on it and the data that were named, nothing can be checked.",
	})
}

// Verdict is what came of a gate.
type Verdict struct {
	Class    Class
	Headline string // one sentence
	Broken   bool   // it came to nothing
	Closing  []*Check
	Cost     uint64 // of all contracts together, in their units
}

// Verdict finds how the gate ends, and what closes it: first that by which it ends.
func (g *Gate) Verdict() *Verdict {
	v := &Verdict{Class: Passed, Broken: g.broken}
	for i := range g.Checks {
		c := &g.Checks[i]
		v.Cost += c.Cost
		if !c.Holds() {
			v.Closing = append(v.Closing, c)
		}
	}
	slices.SortStableFunc(v.Closing, func(a, b *Check) int {
		return cmp.Compare(slices.Index(order, a.Class), slices.Index(order, b.Class))
	})
	if len(v.Closing) > 0 {
		if v.Class = v.Closing[0].Class; !slices.Contains(order, v.Class) {
			v.Class = Error // never open when unsure
		}
	}
	v.Headline = g.headline(v)
	return v
}

func (g *Gate) headline(v *Verdict) string {
	what, stage := g.Question.what(), g.Question.Stage
	verb := "join "
	if g.Released != nil {
		verb = "stay in "
	}
	var refuse, undecided uint64
	for _, c := range v.Closing {
		if c.Outcome == report.NotMade {
			undecided++
		} else {
			refuse++
		}
	}
	not := what + " may not " + verb + stage
	switch {
	case v.Class == Passed:
		return what + " may " + verb + stage
	case v.Broken:
		return "whether " + what + " may " + verb + stage + " is not known"
	case v.Class == Tampered:
		return not + ": it is TAMPERED"
	case v.Class == Untrusted:
		return not + ": it is NOT TRUSTED"
	case refuse == 0:
		return not + " yet: " + terminal.Plural(undecided, "check is", "checks are") + " undecided or not made"
	case undecided == 0:
		return not + ": " + terminal.Plural(refuse, "check refuses", "checks refuse") + " it"
	}
	return not + ": " + terminal.Plural(refuse, "check refuses", "checks refuse") + " it, " + terminal.Plural(undecided, "is", "are") + " undecided or not made"
}
