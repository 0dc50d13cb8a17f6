package main

import (
	"context"
	"regexp"
	"slices"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// Before hours of work the ledger is asked what its contracts would say of the
// statement that is to come. Much of it is not known yet: a draft stands for it,
// with values that nobody has. A rule that looks at none of those decides now as
// it will decide then, unless the ledger changes; of the others a refusal is only
// a warning, and being admitted means nothing.

// What a draft does not know, as the words that rules have for it.
var (
	unreadWords  = []string{"fingerprint", "files", "bytes", "ignore", "listed", "basis", "unread", "stamps", "entry"}
	unendedWords = []string{"exit", "failed", "started", "finished"}
	codeWords    = []string{"code", "image", "remote", "commit", "dirty"}

	// What is asked of the ledger by contents, which of a new artifact are not
	// known; of its inputs they are.
	contentWords = []string{"approvals", "approvers", "rejecters", "evaluations", "releases", "withdrawals", "withdrawn", "audits",
		"announcements", "wasRead", "lastRead", "standing", "known", "runs", "authors", "allAuthors"}
	newWords = []string{"subject", "outputs"}
)

// foreseen is what contracts would say of a draft.
type foreseen struct {
	refusal error                 // by rules that look at nothing that the draft makes up
	perhaps []contract.RuleResult // would refuse the draft, and look at it
	later   []contract.RuleResult // would admit the draft, and look at it
}

// foresee asks the contracts in force about a draft; unknown are the words for
// what it does not know.
func (r *reading) foresee(draft *statement.Statement, by author, now int64, unknown ...[]string) (*foreseen, error) {
	out := new(foreseen)
	if len(r.Control.ContractsInForce()) == 0 {
		return out, nil
	}
	trial, err := r.Try(draft, r.signs(by), now)
	if err != nil || trial.Verdict == nil {
		return out, err
	}
	inForce, err := r.Contracts()
	if err != nil {
		return nil, err
	}
	words := slices.Concat(unknown...)
	certain := contract.Verdict{Cost: trial.Verdict.Cost}
	for _, result := range trial.Verdict.Results {
		switch looks := looksAt(inForce, result, words); {
		case !looks:
			certain.Results = append(certain.Results, result)
		case result.OK:
			out.later = append(out.later, result)
		default:
			out.perhaps = append(out.perhaps, result)
		}
	}
	out.refusal = byContracts(&certain)
	return out, nil
}

// foreseeStamp refuses what contracts would refuse of a stamp whatever the data
// are, before they are read.
func (a *app) foreseeStamp(r *reading, p *stampPlan, o *stampOrder, by author) error {
	annotations, err := parseAnnotations(o.annotations)
	if err != nil {
		return err
	}
	ref := statement.Ref{Name: o.name, Version: o.version, Fingerprint: fingerprint.Fingerprint{Algorithm: p.algorithm}}
	ref.Fingerprint.Sum[0] = 1 // nobody's
	draft := &statement.Statement{Kind: statement.KindStamp, Subject: []statement.Subject{ref.Subject()}, Ledger: p.ledger, Stamp: &statement.Stamp{
		Kind: o.kind, Files: 1, Bytes: 1, Ignore: append(scan.DefaultRules(), o.flags.ignore...), Basis: statement.Basis{Read: 1},
		From: p.from, Since: p.since, Annotations: annotations,
	}}
	f, err := r.foresee(draft, by, max(a.now().UnixMilli(), r.Time()), unreadWords)
	if err == nil && f.refusal != nil {
		err = failf(exitRefused, "nothing was read: %w", f.refusal)
	}
	return err
}

// tryStamp refuses what contracts would refuse of a stamp, before anybody is asked
// about it.
func (a *app) tryStamp(ctx context.Context, dir string, st *statement.Statement, signer statement.Signer) error {
	return a.readAt(ctx, dir, func(r *reading) error {
		t, err := r.try(st, authorOf(signer), max(a.now().UnixMilli(), r.Time()))
		if err == nil {
			err = t.refusal
		}
		return err
	})
}

// looksAt reports whether a rule may depend on what one of the words stands for.
func looksAt(inForce []contract.InForce, rule contract.RuleResult, unknown []string) bool {
	said := wordsIn(inForce, rule)
	has := func(list []string) bool { return slices.ContainsFunc(list, func(w string) bool { return said[w] }) }
	return said == nil || has(unknown) || has(newWords) && has(contentWords)
}

// wordsIn are the words of a rule, nil if it is not in force.
func wordsIn(inForce []contract.InForce, rule contract.RuleResult) map[string]bool {
	at := slices.IndexFunc(inForce, func(c contract.InForce) bool { return c.ID() == rule.Contract && c.Entry == rule.Entry })
	if at < 0 {
		return nil
	}
	return wordsOf(inForce[at].Document(), rule.Rule)
}

var celWord = regexp.MustCompile(`[A-Za-z_][A-Za-z0-9_]*`)

// wordsOf are the words of a rule's expression, and of the variables that it
// names. What stands in quotes counts as well: then something is warned of that
// could be refused, and never the other way round.
func wordsOf(d *contract.Document, rule string) map[string]bool {
	said := map[string]bool{}
	var add func(expression string)
	add = func(expression string) {
		for _, w := range celWord.FindAllString(expression, -1) {
			if said[w] {
				continue
			}
			said[w] = true
			for _, v := range d.Variables {
				if v.Name == w {
					add(v.Expression)
				}
			}
		}
	}
	for _, v := range d.Validations {
		if v.ID == rule {
			add(v.Expression)
		}
	}
	return said
}

// tellForeseen tells of what is decided only when the work is done.
func (a *app) tellForeseen(f *foreseen) {
	for _, v := range f.perhaps {
		a.term.Warnf("%s may refuse it, as far as can be told now: %s", ruleID(v), v.Message)
	}
	if len(f.later) > 0 {
		a.term.Notef("decided only when it is done: %s", terminal.Some(contractRules(f.later), 4))
	}
}
