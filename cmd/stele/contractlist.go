package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/draft"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// The states of a contract that was put or proposed.
const (
	contractInForce  = "in force"
	contractFallen   = "fallen"   // its signer has fallen: it replaces nothing, and refuses until it is lifted
	contractReplaced = "replaced" // by a later version
	contractLifted   = "lifted"
	contractProposed = "proposed"
	contractVoid     = "void" // a proposal whose signer has fallen, which counts for nothing
)

// contractState is what became of a contract entry.
type contractState struct {
	*evidence.ContractEntry
	state string
	why   string                  // where it is not simply in force
	ended *evidence.ContractEntry // what replaced or lifted it
}

// refuses reports whether it is evaluated.
func (s *contractState) refuses() bool {
	return s.state == contractInForce || s.state == contractFallen
}

// contractStateOf says what became of a contract that was put or proposed.
func (r *reading) contractStateOf(e *evidence.ContractEntry) *contractState {
	s := &contractState{ContractEntry: e}
	inForce := slices.ContainsFunc(r.Control.ContractsInForce(), func(in evidence.ContractEntry) bool { return in.Entry == e.Entry })
	switch {
	case e.Action == statement.ContractPropose && e.Void != "":
		s.state, s.why = contractVoid, e.Void
	case e.Action == statement.ContractPropose:
		s.state, s.why = contractProposed, r.putSince(e)
	case inForce && e.Void == "":
		s.state = contractInForce
	case inForce:
		s.state = contractFallen
		s.why = "it keeps refusing until it is lifted or replaced, and replaces nothing itself: " + e.Void
	default:
		s.state, s.ended = r.endOf(e)
		s.why = fmt.Sprintf("by %s in entry %d", s.ended.Handle, s.ended.Entry)
		if s.state == contractReplaced {
			s.why = fmt.Sprintf("by %s in entry %d", s.ended.ID(), s.ended.Entry)
		}
	}
	return s
}

// endOf finds what ended a put that is not in force: a lift, or a later put,
// by a signer in good standing.
func (r *reading) endOf(put *evidence.ContractEntry) (state string, by *evidence.ContractEntry) {
	all := r.Control.Contracts()
	for i := range all {
		e := &all[i]
		switch {
		case e.Entry <= put.Entry || e.Name != put.Name || e.Void != "":
		case e.Action == statement.ContractLift && e.Digest == put.Digest:
			return contractLifted, e
		case e.Action == statement.ContractPut:
			return contractReplaced, e
		}
	}
	return contractReplaced, put // it is in force: nobody asks
}

// putSince says of a proposal that it lies open no longer: the document was put,
// or another that leaves its version behind.
func (r *reading) putSince(proposal *evidence.ContractEntry) string {
	for _, e := range r.Control.Contracts() {
		switch {
		case e.Entry <= proposal.Entry || e.Name != proposal.Name || e.Action != statement.ContractPut:
		case e.Digest == proposal.Digest:
			return fmt.Sprintf("put in entry %d", e.Entry)
		case e.Version >= proposal.Version:
			return fmt.Sprintf("another document was put as %s in entry %d", e.ID(), e.Entry)
		}
	}
	return ""
}

// text says it in a line.
func (s *contractState) text(a *app) string {
	at := fmt.Sprintf("entry %d, %s, by %s", s.Entry, a.term.Time(s.Time), s.Handle)
	switch s.state {
	case contractInForce:
		return "in force since " + at
	case contractFallen:
		return "fallen, and refusing, since " + at
	case contractProposed:
		return "proposed in " + at + orNothing("; ", s.why)
	case contractVoid:
		return "proposed in " + at + ", by a signer who has fallen: it counts for nothing"
	}
	return "put in " + at + "; " + s.state + " " + s.why
}

func (s *contractState) style() terminal.Style {
	switch {
	case s.state == contractInForce, s.state == contractProposed && s.why == "":
		return terminal.Plain
	case s.state == contractFallen:
		return terminal.Bad
	}
	return terminal.Dim
}

func (a *app) contractList() *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use:   "list",
		Short: "List the contracts in force, and what they are about",
		Long: `Lists the contracts in force: since when, by whom, what they are about, how many
rules they have. --all lists every version that was ever put or proposed, too,
and what became of it.

A version whose signer's key was declared compromised since is fallen: it
replaces nothing any more, so that a thief loosens no rule, and it goes on
refusing, so that nobody ends a rule by declaring a key of their own. A lift, or
the next version, ends it.`,
		Example: "  stele contract list\n  stele contract list --all",
		Args:    cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			return a.read(c.Context(), func(r *reading) error { return a.listContracts(r, all) })
		},
	}
	c.Flags().BoolVar(&all, "all", false, "every version that was ever put or proposed, the oldest first")
	return c
}

func (a *app) listContracts(r *reading, all bool) error {
	list := r.Control.ContractsInForce()
	if all {
		list = slices.DeleteFunc(r.Control.Contracts(), func(e evidence.ContractEntry) bool { return e.Action == statement.ContractLift })
	}
	var pairs []terminal.Pair
	var notes []string
	for i := range list {
		s := r.contractStateOf(&list[i])
		item, err := r.contractJSON(s)
		if err != nil {
			return err
		}
		if a.json {
			a.printJSON(item)
			continue
		}
		pairs = append(pairs, terminal.Pair{
			Key: item.Contract, Value: fmt.Sprintf("%s; %s on %s", s.text(a), countOf(len(item.Rules), "rule"), item.About), Style: s.style(),
		})
		if s.state == contractFallen {
			notes = append(notes, fmt.Sprintf("%s is fallen: %s", s.ID(), s.why))
		}
	}
	if a.json {
		return nil
	}
	if len(pairs) == 0 {
		a.term.Notef("no contract is in force: the ledger's own rules are all there are; `stele contract new` lists ready ones")
		return nil
	}
	a.term.KeyValues(pairs)
	for _, note := range notes {
		a.term.Warnf("%s", note)
	}
	return nil
}

// contractJSON is a contract entry in --json, without its document.
func (r *reading) contractJSON(s *contractState) (*jsonv1.Contract, error) {
	// A document that does not compile any more was admitted by rules that this
	// program does not have; what is around its rules can be told all the same.
	doc, err := contract.ParseDocument(s.Document)
	if err != nil {
		return nil, fmt.Errorf("the contract %s in entry %d: %w", s.ID(), s.Entry, err)
	}
	roster := r.Control.Roster()
	out := &jsonv1.Contract{
		Contract: s.ID(), Name: s.Name, Version: s.Version, Digest: digestText(s.Digest), Action: s.Action, Entry: s.Entry, Time: jsonv1.At(s.Time),
		Signer: jsonv1.Signer{Handle: s.Handle, Key: s.Signer.String()}, Standing: roster.Standing(s.Signer, s.Entry, s.Time).State,
		InForce: s.refuses(), State: s.state, Why: s.why, About: about(&doc.Match), Description: doc.Description,
		Names: doc.Match.Names, Stages: doc.Match.Stages, Kinds: doc.Match.Kinds, Actions: doc.Match.Actions,
		Rules: ruleIDs(doc), Gate: doc.Gate, Tests: len(doc.Tests),
	}
	for _, k := range doc.Match.Statements {
		out.Statements = append(out.Statements, string(k))
	}
	if s.ended != nil {
		out.Ended = s.ended.Entry
	}
	return out, nil
}

func (a *app) contractShow() *cobra.Command {
	return &cobra.Command{
		Use:   "show NAME[@VERSION]",
		Short: "Show a contract as YAML, and who put it",
		Long: `Shows the version in force, or the one that is named, as YAML: the document as
it was signed, which can be edited and put again as the next version. Who put
it, and what became of it, stands before it as comments.

--json prints the document itself, and the same of its entry.`,
		Example: "  stele contract show production\n  stele contract show production@2 > production.yaml",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			name, version, err := parseContract(args[0])
			if err != nil {
				return err
			}
			return a.read(c.Context(), func(r *reading) error {
				s, err := r.contractNamed(name, version)
				if err != nil {
					return err
				}
				return a.showContract(r, s)
			})
		},
	}
}

// contractNamed finds a version of a contract: the one that is named, whether in
// force or not, or the last that is in force.
func (r *reading) contractNamed(name string, version uint64) (*contractState, error) {
	if version == 0 {
		list := r.inForceOf(name)
		if len(list) == 0 {
			return nil, r.noContract(name)
		}
		return r.contractStateOf(&list[len(list)-1]), nil
	}
	var found *evidence.ContractEntry
	for _, e := range r.Control.Contracts() {
		if e.Name != name || e.Version != version || e.Action == statement.ContractLift {
			continue
		}
		if found == nil || e.Action == statement.ContractPut { // what was put, and not what was only proposed
			found = &e
		}
	}
	if found == nil {
		return nil, failf(exitNotFound, "there is no contract %s on this ledger", statement.ContractID(name, version)).withHint("`stele contract list --all` lists them")
	}
	return r.contractStateOf(found), nil
}

func (a *app) showContract(r *reading, s *contractState) error {
	e, err := r.Entry(s.Entry)
	if err != nil {
		return err
	}
	if err := r.proveIncluded(e); err != nil {
		return err
	}
	item, err := r.contractJSON(s)
	if err != nil {
		return err
	}
	if a.json {
		item.Document = json.RawMessage(s.Document)
		a.printJSON(item)
		return nil
	}
	text, err := draft.Write(s.Document)
	if err != nil {
		return fmt.Errorf("the contract %s in entry %d: %w", s.ID(), s.Entry, err)
	}
	state := s.state
	if s.why != "" {
		state += ": " + s.why
	}
	for _, line := range []string{
		s.ID() + ", " + state,
		fmt.Sprintf("%s in entry %d, %s, by %s", map[string]string{statement.ContractPut: "put", statement.ContractPropose: "proposed"}[s.Action], s.Entry, a.term.Time(s.Time), signedBy(item.Signer)),
		"digest " + item.Digest,
		fmt.Sprintf("%s, %s", countOf(len(item.Rules), "rule"), countOf(item.Tests, "test")),
	} {
		a.term.Printf("# %s\n", line)
	}
	for line := range strings.Lines(string(text)) {
		a.term.Println(strings.TrimSuffix(line, "\n"))
	}
	return nil
}

// contractEntryPairs are what an entry says of a contract, and what became of it.
func (a *app) contractEntryPairs(r *reading, entry uint64, said *statement.Contract) []terminal.Pair {
	pairs := []terminal.Pair{{Key: "action", Value: said.Action}}
	if doc, err := contract.ParseDocument(said.Document); said.Document != nil && err == nil {
		pairs = append(pairs, documentPairs(doc)...)
	}
	pairs = append(pairs, terminal.Pair{Key: "digest", Value: digestText(said.Digest)}, terminal.Pair{Key: "reason", Value: said.Reason})
	for _, e := range r.Control.Contracts() {
		if e.Entry != entry || e.Action == statement.ContractLift {
			continue
		}
		s := r.contractStateOf(&e)
		pairs = append(pairs, terminal.Pair{Key: "state", Value: s.state + orNothing(": ", s.why), Style: s.style()})
	}
	return pairs
}

// documentPairs are a contract's document in a few lines.
func documentPairs(d *contract.Document) []terminal.Pair {
	var params []string
	for _, p := range d.Params {
		params = append(params, p.Name+" "+jsonOf(p.Value))
	}
	return []terminal.Pair{
		{Key: "description", Value: d.Description},
		{Key: "about", Value: about(&d.Match)},
		{Key: "params", Value: strings.Join(params, ", ")},
		{Key: "rules", Value: strings.Join(ruleIDs(d), ", ")},
		{Key: "gate", Value: strings.Join(d.Gate, ", ")},
		{Key: "tests", Value: countOf(len(d.Tests), "test")},
	}
}

// jsonOf writes a value of a document.
func jsonOf(v any) string {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSuffix(b.String(), "\n")
}
