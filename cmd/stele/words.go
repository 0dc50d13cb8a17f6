package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// The words of runs, evaluations, approvals and releases, wherever they stand.

// runSubject says in a few words what a run is about: its outputs, by which it is
// found again, or what it is called.
func runSubject(id statement.Nonce, run *statement.Run) string {
	switch n := len(run.Outputs); {
	case run.Failed && run.Exit != nil:
		return "run " + account.ShortRun(id.String()) + " failed, exit " + strconv.FormatUint(*run.Exit, 10)
	case run.Failed:
		return "run " + account.ShortRun(id.String()) + " failed"
	case n == 0:
		return "run " + account.ShortRun(id.String()) + ", no outputs"
	case n > 1:
		return fmt.Sprintf("%s and %d more", run.Outputs[0].Ref, n-1)
	}
	return run.Outputs[0].Ref.String()
}

// exitText says how a run ended.
func exitText(run *statement.Run) string {
	switch {
	case run.Exit == nil && run.Failed:
		return "failed"
	case run.Exit == nil:
		return "done, as reported"
	case *run.Exit > 128: // as a shell has it
		return fmt.Sprintf("exit %d (signal %d)", *run.Exit, *run.Exit-128)
	}
	return fmt.Sprintf("exit %d", *run.Exit)
}

// metricsText lists metrics by name; of more than most it says how many.
func metricsText(metrics map[string]statement.Decimal, most int) string {
	var list []string
	for _, name := range sortedKeys(metrics) {
		list = append(list, name+" "+string(metrics[name]))
	}
	if n := len(list) - most; n > 0 {
		list = append(list[:most], fmt.Sprintf("%d more", n))
	}
	return strings.Join(list, ", ")
}

// decisionWord is an approval's decision as a person says it.
func decisionWord(decision string) string {
	if decision == statement.DecisionReject {
		return "rejected"
	}
	return "approved"
}

// releaseWords say what a release does with its subject.
func releaseWords(r *statement.Release) string {
	if r.Action == statement.ActionLeave {
		return "leaves " + r.Stage
	}
	return "joins " + r.Stage
}

// contractSubject says in a few words what a contract statement does: with log's
// columns, "contract", "alice", "production@3 put".
func contractSubject(c *statement.Contract) string {
	word := map[string]string{statement.ContractPut: "put", statement.ContractPropose: "proposed", statement.ContractLift: "lifted"}[c.Action]
	return c.ID() + " " + word
}

// refsText lists artifacts by name; of more than most it says how many.
func refsText(refs []statement.Ref, most int) string {
	var list []string
	for _, ref := range refs {
		list = append(list, ref.String())
	}
	return terminal.Some(list, most)
}

// countsOf lists what a map counts, the most first: "9 models, 3 datasets".
func countsOf(counts map[string]uint64, word func(n uint64, name string) string) string {
	names := sortedKeys(counts)
	slices.SortStableFunc(names, func(a, b string) int {
		switch {
		case counts[a] > counts[b]:
			return -1
		case counts[a] < counts[b]:
			return 1
		}
		return 0
	})
	var list []string
	for _, name := range names {
		list = append(list, word(counts[name], name))
	}
	return strings.Join(list, ", ")
}
