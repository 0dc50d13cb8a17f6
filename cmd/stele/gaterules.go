package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/report"
	"github.com/stele-ml/stele/internal/terminal"
)

// checkRules asks the ledger what it would say to the release: its own rules, and
// every contract in force.
func (g *gated) checkRules(c *account.Account) error {
	if err := g.checkStage(c); err != nil {
		return err
	}
	trial, err := g.made.Try(g.signed, g.signer, max(g.a.now().UnixMilli(), g.r.Time()))
	if err != nil {
		return err
	}
	if err := g.ownRules(trial); err != nil {
		return err
	}
	g.contractRules(trial.Verdict)
	return nil
}

// findDemands finds which checks the contracts ask a gate for that are about the
// release.
func (g *gated) findDemands() error {
	contracts, err := g.r.Contracts()
	if err != nil {
		return err
	}
	for _, c := range contracts {
		document := c.Document()
		g.governed = append(g.governed, document.Match.Stages...)
		subjects, err := document.Match.Subjects(g.signed, g.made)
		if err != nil {
			return err
		}
		if len(subjects) == 0 {
			continue
		}
		g.about++
		for _, v := range document.Validations {
			g.rules[c.ID()+"/"+v.ID] = ruleHelp(document, &v)
			g.reasoned[c.ID()+"/"+v.ID] = looksAtReason(document, v.Expression)
		}
		for _, name := range document.Gate {
			if g.demand[name] == "" {
				g.demand[name] = c.ID()
			}
		}
	}
	return nil
}

// checkStage: of a stage that this ledger never heard of no contract is about it,
// and so whoever mistypes one in a pipeline would meet none, for ever. A ledger
// that knows no stage at all has nothing that it could be mistaken for.
func (g *gated) checkStage(c *account.Account) error {
	stage := g.o.stage
	check := report.Check{
		ID: "rules/known-stage", Group: "rules", Title: "known stage", Required: true, Outcome: report.Passed,
		Help: "The stage is one that this ledger knows: something was released to it, somebody decided on the artifact for it, or a contract in force names it. A mistyped stage would be one without rules.",
	}
	var known []string
	for s, err := range g.r.Stages() {
		if err != nil {
			return err
		}
		known = append(known, s)
	}
	switch {
	case slices.Contains(known, stage):
		check.Message = "there are releases to " + stage
	case slices.Contains(g.governed, stage):
		check.Message = "a contract in force names " + stage
	case slices.ContainsFunc(c.Decisions, func(d account.Decision) bool { return d.Statement.Approval.Stage == stage && d.Counts(g.r.Book) }):
		check.Message = "somebody decided on it for " + stage
	default:
		known = append(known, g.governed...)
		for i := range c.Decisions {
			if s := c.Decisions[i].Statement.Approval.Stage; s != stage {
				known = append(known, s)
			}
		}
		slices.Sort(known)
		known = slices.Compact(known)
		check.Outcome, check.Required = report.NotMade, len(known) > 0
		check.Message = "this ledger has had no releases, to " + stage + " or elsewhere"
		if len(known) > 0 {
			check.Message = fmt.Sprintf("this ledger knows no stage %s: no release, no approval of this artifact and no contract in force names it", stage)
			check.Hint = strings.TrimSuffix(account.StagesText(stage, known), "?")
			if strings.HasPrefix(check.Hint, "did you mean") {
				check.Hint += "?"
			} else {
				check.Hint += "."
			}
			check.Hint += " A new stage begins with an approval for it, a contract about it, or its first release"
		}
	}
	g.add(exitNotFound, check)
	return nil
}

// toldElsewhere are rules whose refusals the checks of lineage tell, with the way.
var toldElsewhere = map[ledger.Rule][]string{
	ledger.RuleWithdrawn: {"lineage/not-withdrawn", "lineage/not-tainted"},
	ledger.RuleStanding:  {"lineage/trusted"},
}

// ownRules tells of the ledger's own rules. That the artifact is in the stage
// already is no refusal here: a gate runs again and again.
func (g *gated) ownRules(trial *ledger.Trial) error {
	taken := true
	for _, r := range trial.Refusals {
		if r.Rule == ledger.RuleContract || r.Rule == ledger.RuleStage && g.out.Released != nil && r.Entry != nil && *r.Entry == *g.out.Released {
			continue
		}
		if slices.ContainsFunc(g.checks, func(c gateCheck) bool {
			return c.Outcome == report.Failed && slices.Contains(toldElsewhere[r.Rule], c.ID)
		}) {
			taken = false
			continue
		}
		taken = false
		g.add(statusOf(r), report.Check{
			ID: "rules/" + string(r.Rule), Group: "rules", Title: string(r.Rule), Rule: string(r.Rule), Required: true, Outcome: report.Failed,
			Message: r.Message, Hint: r.Hint, Entry: r.Entry, Help: "A rule of the ledger's own, which it applies to every statement.",
		})
	}
	if taken {
		check := report.Check{
			ID: "rules/own", Group: "rules", Title: "the ledger's own", Required: true, Outcome: report.Passed,
			Help: "The rules that every ledger applies: who may release, what may join a stage.", Message: "it would take the release",
		}
		if !g.signer.Known {
			check.Message = "it would take the release by a releaser in good standing"
		}
		g.add(exitRefused, check)
	}
	return g.checkReleased()
}

// checkReleased: what is in the stage already was put there by somebody whose word
// counts. A guard starts nothing else.
func (g *gated) checkReleased() error {
	if g.out.Released == nil {
		return nil
	}
	entry := *g.out.Released
	check := report.Check{
		ID: "rules/released", Group: "rules", Title: "in " + g.o.stage, Outcome: report.Passed, Entry: &entry, Required: true,
		Help: "Whether the artifact is in the stage already, by a release whose signer has standing for it as is known now.", Message: fmt.Sprintf("it is there already, since entry %s", entryText(entry)),
	}
	e, err := g.r.Entry(entry)
	if err != nil {
		return err
	}
	if s := g.r.Standing(e); !s.OK {
		check.Outcome = report.Failed
		check.Message = fmt.Sprintf("it is there since entry %s, whose signer had no standing for it: %s", entryText(entry), s.Detail)
		check.Hint = fmt.Sprintf("have a releaser take it out, and release it again: `stele release %s@%s --stage %s --leave`", g.o.name, g.o.version, g.o.stage)
	}
	g.add(exitUntrusted, check)
	return nil
}

// looksAtReason reports whether an expression, or a variable that it names, mentions
// the reason of the release.
func looksAtReason(d *contract.Document, expression string) bool {
	if strings.Contains(expression, "statement.reason") {
		return true
	}
	return slices.ContainsFunc(d.Variables, func(v contract.Variable) bool {
		return strings.Contains(expression, "variables."+v.Name) && strings.Contains(v.Expression, "statement.reason")
	})
}

// ruleHelp says what a rule is for, as far as its author did.
func ruleHelp(d *contract.Document, v *contract.Validation) string {
	text := "A rule of the contract " + d.Name
	if d.Description != "" {
		text += " (" + d.Description + ")"
	}
	return fmt.Sprintf("%s. It holds where: %s. `stele contract show %s` shows all of it.", text, strings.Join(strings.Fields(v.Expression), " "), d.Name)
}

// contractRules tells what each rule of each contract says.
func (g *gated) contractRules(v *contract.Verdict) {
	for _, name := range slices.Sorted(maps.Keys(g.demand)) {
		if !slices.Contains(gateChecks, name) {
			by := g.demand[name]
			g.add(exitNotFound, report.Check{
				ID: "gate/" + name, Group: "gate", Title: name, Contract: by, Rule: name, Required: true, Outcome: report.NotMade,
				Message: fmt.Sprintf("%s asks for the check %q, which this program does not know", by, name), Hint: "get a newer version of it",
			})
		}
	}
	var results []contract.RuleResult
	if v != nil {
		results = v.Results
	}
	for i := range results {
		g.contractRule(&results[i])
	}
	switch {
	case v == nil && g.about > 0:
		g.add(exitNotFound, report.Check{ID: "contract/none", Group: "contracts", Title: "rules", Outcome: report.NotMade, Required: true,
			Message: "not asked: the ledger's own rules take it for no release at all"})
	case len(results) > 0:
	case g.about > 0:
		g.add(exitRefused, report.Check{ID: "contract/none", Group: "contracts", Title: "rules", Outcome: report.Passed,
			Message: terminal.Plural(uint64(g.about), "contract") + " in force, and none has a rule about it"})
	default:
		g.add(exitRefused, report.Check{ID: "contract/none", Group: "contracts", Title: "rules", Outcome: report.NotMade,
			Message: "no contract in force is about releasing it to " + g.o.stage, Hint: "`stele contract put` puts one in force"})
	}
}

func (g *gated) contractRule(r *contract.RuleResult) {
	name, version := splitContract(r.Contract)
	check := report.Check{
		ID: "contract/" + name + "/" + r.Rule, Group: "contracts", Title: r.Contract + " / " + r.Rule, Contract: r.Contract, Rule: r.Rule,
		Required: true, Outcome: report.Passed, Message: r.Message, Hint: r.Hint, Help: g.rules[r.Contract+"/"+r.Rule],
	}
	if slices.ContainsFunc(g.checks, func(c gateCheck) bool { return c.ID == check.ID }) {
		check.ID += fmt.Sprintf("@%d", version) // an older version, by a signer who fell since, still refuses
	}
	if r.Entry != 0 {
		check.Entry = &r.Entry
	}
	status := exitRefused
	switch {
	case r.Undecided:
		check.Outcome, status = report.NotMade, exitNotFound
		check.Message = "undecided: it looks at who signs, and who would release is not known"
		check.Hint = "say who would release: --by HANDLE"
	case !r.OK:
		check.Outcome = report.Failed
		switch {
		case check.Hint == "" && strings.Contains(r.Message, "names who signs"):
			check.Hint = "say who would release: --by HANDLE"
		case g.o.reason == "" && g.reasoned[r.Contract+"/"+r.Rule]:
			check.Hint = strings.TrimPrefix(check.Hint+"; the gate takes --reason, too", "; ")
		}
	default:
		check.Message, check.Hint = "allows it", ""
	}
	g.checks = append(g.checks, gateCheck{Check: check, status: status, cost: r.Cost})
}
