package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// Limits of what is shown of a ledger's past, unless --all.
const (
	refusedInJSON = 1000
	refusedShown  = 20
)

// contractTestOrder is one call of `stele contract test`.
type contractTestOrder struct {
	path           string
	history, asked bool // asked: --history was given
	strict         bool // a past that would have been refused is a failure
	all            bool
}

func (a *app) contractTest() *cobra.Command {
	var o contractTestOrder
	var strict string
	c := &cobra.Command{
		Use:   "test FILE",
		Short: "Run a contract's own tests, and replay the past against it",
		Long: `Runs the tests that a contract carries. Where a ledger is in sight, every entry
of it that the contract is about is then judged by it, each as of the entries
before it: which would it have refused? Nothing is written.

That the past would have been refused is information, and no failure: it ends
with 4 where a test fails, and with --strict 4 also where an entry would have
been refused.

It prints the digest of the document. stele contract put --digest takes it, and
puts nothing else than what was tested.`,
		Example: `  stele contract test production.yaml
  stele contract test production.yaml --history=false
  stele contract test production.yaml --ledger /srv/ml/.stele --strict 4`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			o.path, o.asked = args[0], c.Flags().Changed("history")
			switch {
			case !c.Flags().Changed("strict"):
			case strict != strconv.Itoa(exitRefused):
				return usagef("--strict %q: the only status it takes is %d", strict, exitRefused)
			default:
				o.strict = true
			}
			if o.strict && o.asked && !o.history {
				return usagef("--strict goes by the history, and --history=false leaves it out")
			}
			return a.testContract(c.Context(), &o)
		},
	}
	c.Flags().BoolVar(&o.history, "history", true, "replay the ledger's past; needs a ledger only where it is given")
	c.Flags().StringVar(&strict, "strict", "", "4: end with that `status`, too, where an entry would have been refused")
	c.Flags().BoolVar(&o.all, "all", false, "list every entry that would have been refused")
	return c
}

func (a *app) testContract(ctx context.Context, o *contractTestOrder) error {
	d, err := readContract(o.path)
	if err != nil {
		return err
	}
	out, err := d.test()
	if err != nil {
		return err
	}
	if !a.json {
		a.printTests(d, out)
	}
	if out.OK { // of one that does not do what its author expects, the past says nothing
		if err := a.testHistory(ctx, d, o, out); err != nil {
			return err
		}
	} else {
		out.Skipped = "a test failed"
	}
	if a.json {
		a.printJSON(out)
	} else {
		a.printTested(d, out, o.all)
	}
	if !out.OK || o.strict && out.History != nil && out.History.Refused > 0 {
		return verdictError{exitRefused}
	}
	return nil
}

// test runs a contract's own tests.
func (d *drafted) test() (*jsonv1.ContractTest, error) {
	results, err := d.RunTests()
	if err != nil {
		return nil, failf(exitRefused, "%s: its tests: %w", d.path, err).withPath(d.path)
	}
	out := &jsonv1.ContractTest{
		Contract: d.ID(), Name: d.Name(), Version: d.Version(), Digest: digestText(d.Digest()), Bytes: len(d.draft.Document),
		OK: true, Tests: []jsonv1.ContractTestCase{}, Warnings: d.warningsJSON(),
	}
	for _, r := range results {
		v := contract.Verdict{Results: r.Results}
		out.Tests = append(out.Tests, jsonv1.ContractTestCase{
			Name: r.Name, OK: r.OK, Want: r.Want, Got: r.Got, Message: r.Message, Cost: r.Cost, Violations: violationsJSON(v.Refused()),
		})
		out.OK = out.OK && r.OK
	}
	return out, nil
}

// failedTests returns how many tests failed.
func failedTests(out *jsonv1.ContractTest) (n int) {
	for _, t := range out.Tests {
		if !t.OK {
			n++
		}
	}
	return n
}

// testHistory replays the past where there is one to be replayed.
func (a *app) testHistory(ctx context.Context, d *drafted, o *contractTestOrder, out *jsonv1.ContractTest) error {
	if !o.history {
		out.Skipped = "--history=false"
		return nil
	}
	err := a.read(ctx, func(r *reading) (err error) {
		out.History, err = a.replayed(ctx, r, d, o.all)
		return err
	})
	if errors.Is(err, errNoLedger) && !o.asked && !o.strict {
		out.Skipped = "no ledger is in sight"
		return nil
	}
	return err
}

// replayed judges the ledger's past by a contract.
func (a *app) replayed(ctx context.Context, r *reading, d *drafted, all bool) (*jsonv1.ContractHistory, error) {
	h := &jsonv1.ContractHistory{Origin: r.Origin(), Entries: r.Size(), List: []jsonv1.ContractRefused{}}
	var reached atomic.Uint64
	stop := a.term.Progress(ctx, func() terminal.Snapshot {
		return terminal.Snapshot{Label: "replayed", FilesDone: reached.Load(), FilesTotal: r.Size(), Noun: "entry", Nouns: "entries"}
	})
	defer stop()
	err := r.Judge(ctx, []contract.InForce{{Contract: d.Contract}}, func(st *statement.Statement, e *evidence.Entry, v *contract.Verdict) error {
		reached.Store(e.Index)
		h.Judged++
		h.MaxCost = max(h.MaxCost, v.Cost)
		refused := v.Refused()
		if len(refused) == 0 {
			return nil
		}
		h.Refused++
		if !all && h.Refused > refusedInJSON {
			h.Truncated = true
			return nil
		}
		h.List = append(h.List, jsonv1.ContractRefused{
			Entry: e.Index, Time: jsonv1.At(e.Time), Kind: string(st.Kind), Subject: subject(st), Signer: r.Signer(e),
			Violations: violationsJSON(refused), Cost: v.Cost,
		})
		return nil
	})
	return h, err
}

// printTests shows the tests of a contract, each with its verdict.
func (a *app) printTests(d *drafted, out *jsonv1.ContractTest) {
	if a.quiet && out.OK {
		return
	}
	a.term.Printf("%s\n", a.term.Style(terminal.Bold, out.Contract))
	a.term.KeyValues(slices.DeleteFunc(documentPairs(d.Document()), func(p terminal.Pair) bool { return p.Key == "tests" }))
	var tests []terminal.Pair
	for _, t := range out.Tests {
		p := terminal.Pair{Key: "ok", Value: t.Name}
		switch {
		case !t.OK:
			p = terminal.Pair{Key: "FAILED", Value: t.Name + ": " + t.Message, Style: terminal.Bad}
		case t.Message != "": // what it expects came about otherwise than its author may think
			p.Value, p.Style = t.Name+": "+t.Message, terminal.Caution
		}
		tests = append(tests, p)
	}
	a.term.KeyValues(tests)
}

// printTested ends a test: what it says of the past, and what can be put.
func (a *app) printTested(d *drafted, out *jsonv1.ContractTest, all bool) {
	if failed := failedTests(out); failed > 0 {
		a.term.Printf("%s: %s of %d\n", a.term.Style(terminal.Bad, "FAILED"), countOf(failed, "test"), len(out.Tests))
		if len(d.Document().Params) > 0 {
			a.term.Hintf("tests run with the params as they are: where one was edited, edit what the tests say of it, too")
		}
		return
	}
	if h := out.History; h != nil && (!a.quiet || h.Refused > 0) {
		a.printHistory(h, all)
	}
	if a.quiet {
		return
	}
	if out.History == nil {
		a.term.Notef("the past was not replayed: %s", out.Skipped)
	}
	a.printWarnings(d.path, out.Warnings)
	a.term.KeyValues([]terminal.Pair{
		{Key: "cost", Value: fmt.Sprintf("%s at most for one statement here, of %s", terminal.Count(dearest(out)), terminal.Count(contract.MaxCost))},
		{Key: "document", Value: terminal.Bytes(uint64(out.Bytes)) + ", as it is signed"},
		{Key: "digest", Value: out.Digest},
	})
}

// dearest is the most that one statement cost, in tests and in the past.
func dearest(out *jsonv1.ContractTest) (most uint64) {
	for _, t := range out.Tests {
		most = max(most, t.Cost)
	}
	if out.History != nil {
		most = max(most, out.History.MaxCost)
	}
	return most
}

// printHistory shows what a contract would have refused.
func (a *app) printHistory(h *jsonv1.ContractHistory, all bool) {
	if h.Refused == 0 {
		judged := "none"
		if h.Judged > 0 {
			judged = terminal.Count(h.Judged)
		}
		a.term.Printf("would have refused none of %s; it is about %s of them\n", terminal.Plural(h.Entries, "entry", "entries"), judged)
		return
	}
	a.term.Printf("%s\n", a.term.Style(terminal.Caution, wouldHave(h)))
	for i, e := range h.List {
		if i == refusedShown && !all {
			a.term.Notef("… and %s; --all lists them", terminal.Plural(h.Refused-uint64(i), "further entry", "further entries"))
			break
		}
		a.term.Printf("  entry %d, %s: %s, by %s\n", e.Entry, e.Kind, e.Subject, signerWord(e.Signer))
		several := slices.ContainsFunc(e.Violations, func(v jsonv1.Violation) bool { return v.Subject != e.Violations[0].Subject })
		for _, v := range e.Violations {
			text := v.Message
			if several && v.Subject != "" {
				text = v.Subject + ": " + text
			}
			a.term.Printf("    %s: %s\n", v.Rule, text)
		}
	}
}

// wouldHave is the headline of a replay.
func wouldHave(h *jsonv1.ContractHistory) string {
	these := "these " + terminal.Count(h.Refused)
	if h.Refused == 1 {
		these = "this one"
	}
	return fmt.Sprintf("would have refused %s of %s:", these, terminal.Plural(h.Entries, "entry", "entries"))
}

// signerWord is the signer's handle, or what is known of one who has none.
func signerWord(s jsonv1.Signer) string {
	return strings.TrimSuffix(signedBy(s), " (key "+shortKey(s.Key)+")")
}
