package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/terminal"
)

// A refusal by contracts reads the same wherever it comes from: a statement that
// was submitted, a look before one is signed, a gate.

// violationsShown is how many broken rules a person is told of; --json has all.
const violationsShown = 20

// takeViolations puts into a failure what contracts say in a refusal.
func (f *failure) takeViolations(r *ledger.Refusal) {
	if len(r.Violations) == 0 {
		return
	}
	first := r.Violations[0]
	f.violations, f.cost, f.rule = r.Violations, r.Cost, ruleID(first)
	before, _ := strings.CutSuffix(f.message, r.Message)
	f.context = strings.TrimSuffix(before, ": ")
	entry := first.Entry
	if f.entry == nil && entry != 0 {
		f.entry = &entry
	}
	if f.hint == "" {
		f.hint = first.Hint
	}
}

// ruleID names a rule where there are several contracts: production@3/two-approvals.
func ruleID(v contract.RuleResult) string { return v.Contract + "/" + v.Rule }

// printRefusal tells a person of every rule that a statement breaks.
func (a *app) printRefusal(f *failure) {
	t := a.onError()
	if f.context != "" {
		a.term.Error(errors.New(f.context))
	}
	told := map[string]bool{}
	for i, v := range f.violations {
		if i == violationsShown {
			t.Printf("and %s; --json lists them\n", countOf(len(f.violations)-i, "further rule"))
			break
		}
		printViolation(t, v, "refused by", severalSubjects(f.violations))
		told[v.Hint] = true
	}
	if f.hint != "" && !told[f.hint] {
		a.term.Hintf("%s", f.hint)
	}
}

// printViolation writes one rule that refuses:
//
//	refused by production@3 / two-approvals
//	  production needs 2 approvals, found 1 (bob, entry 50)
//	  hint: ask another reviewer to run `stele approve`
func printViolation(t *terminal.Terminal, v contract.RuleResult, how string, subject bool) {
	of := ""
	if subject && v.Subject != "" {
		of = ", for " + v.Subject
	}
	head := fmt.Sprintf("%s / %s%s", v.Contract, v.Rule, of)
	if width := t.Width(); width > 0 && terminal.Columns(how+" "+head) > width { // colours would keep it on one line
		t.Printf("%s %s\n", how, head)
	} else {
		t.Printf("%s %s\n", t.Style(terminal.Bad, how), head)
	}
	t.Printf("  %s\n", v.Message)
	if v.Hint != "" {
		t.Printf("  hint: %s\n", v.Hint)
	}
}

// severalSubjects reports whether violations are about more than one artifact.
func severalSubjects(list []contract.RuleResult) bool {
	for _, v := range list {
		if v.Subject != list[0].Subject {
			return true
		}
	}
	return false
}

// violationsJSON are rules that refuse, in --json.
func violationsJSON(list []contract.RuleResult) []jsonv1.Violation {
	var out []jsonv1.Violation
	for _, v := range list {
		out = append(out, jsonv1.Violation{
			Contract: v.Contract, Entry: v.Entry, Rule: v.Rule, Subject: v.Subject, Message: v.Message, Hint: v.Hint, Error: v.Error, Cost: v.Cost,
		})
	}
	return out
}

// splitContract takes production@3 apart.
func splitContract(id string) (name string, version uint64) {
	name, text, _ := strings.Cut(id, "@")
	version, _ = strconv.ParseUint(text, 10, 64) // of a contract that compiled
	return name, version
}

// failureJSON is how a command failed, in --json.
func failureJSON(f *failure) jsonv1.Failure {
	e := jsonv1.Error{Code: codes[f.status], Message: f.message, Hint: f.hint, Path: f.path, Entry: f.entry, Rule: f.rule}
	if len(f.violations) > 0 {
		e.Contract, e.Version = splitContract(f.violations[0].Contract)
		e.Violations, e.Cost = violationsJSON(f.violations), f.cost
	}
	for _, p := range f.problems {
		e.Problems = append(e.Problems, jsonv1.Problem{At: p.at, Path: p.path, Message: p.message, Hint: p.hint})
	}
	return jsonv1.Failure{Error: e}
}

// tell shows a person how something failed.
func (a *app) tell(f *failure) {
	switch {
	case len(f.violations) > 0:
		a.printRefusal(f)
	case len(f.problems) > 0:
		a.printProblems(f)
	default:
		a.term.Error(f)
	}
}

// printProblems shows what is wrong with a contract: of an expression with the
// line of it that CEL complains of, and a caret below the place.
func (a *app) printProblems(f *failure) {
	t := a.onError()
	for _, p := range f.problems {
		lines := strings.Split(strings.TrimRight(p.message, "\n"), "\n")
		a.term.Error(fmt.Errorf("%s: %s: %s", p.at, p.path, lines[0]))
		for _, line := range atCaret(lines[1:], t.Width()) {
			t.Println(line)
		}
		if p.hint != "" {
			a.term.Hintf("%s", p.hint)
		}
	}
}

// atCaret cuts the lines of an expression so that they fit a terminal, and the
// place that the caret below points at stays in sight; width 0 cuts nothing.
func atCaret(lines []string, width int) []string {
	const lead, dots = " | ", "…"
	out := slices.Clone(lines)
	for i := 1; i < len(lines); i++ {
		at := strings.TrimRight(strings.TrimPrefix(lines[i], lead), "^")
		caret := utf8.RuneCountInString(at)
		if strings.Trim(at, ".．") != "" || !strings.HasSuffix(lines[i], "^") || !strings.HasPrefix(lines[i-1], lead) {
			continue
		}
		text := []rune(strings.TrimPrefix(lines[i-1], lead))
		room := width - len(lead) - 2
		if width == 0 || len(text) <= room+2 {
			continue
		}
		from := max(0, min(caret-room/2, len(text)-room))
		cut := string(text[from:min(from+room, len(text))])
		out[i-1], out[i] = lead+cut, lead+strings.Repeat(".", caret-from)+"^"
		if from > 0 {
			out[i-1], out[i] = lead+dots+cut, lead+"."+strings.Repeat(".", caret-from)+"^"
		}
		if from+room < len(text) {
			out[i-1] += dots
		}
	}
	return out
}

// onError writes for a person to standard error, whatever is quiet.
func (a *app) onError() *terminal.Terminal {
	return terminal.New(a.stdin, a.stderr, a.stderr, a.getenv)
}
