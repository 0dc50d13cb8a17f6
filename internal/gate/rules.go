package gate

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
func (g *Gate) checkRules() error {
	if err := g.checkStage(); err != nil {
		return err
	}
	trial, err := g.made.Try(g.Release, g.Question.By, g.now())
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
func (g *Gate) findDemands() error {
	contracts, err := g.book.Contracts()
	if err != nil {
		return err
	}
	for _, c := range contracts {
		document := c.Document()
		g.governed = append(g.governed, document.Match.Stages...)
		subjects, err := document.Match.Subjects(g.Release, g.made)
		if err != nil {
			return err
		}
		if len(subjects) == 0 {
			continue
		}
		g.about++
		for _, v := range document.Validations {
			g.rules[c.ID()+"/"+v.ID] = ruleHelp(document, &v)
			g.reasoned[c.ID()+"/"+v.ID] = document.Words(v.ID)["reason"]
		}
		for _, name := range document.Gate {
			if g.demanded[name] == "" {
				g.demanded[name] = c.ID()
			}
		}
	}
	return nil
}

// checkStage: of a stage that this ledger never heard of no contract is about it,
// and so whoever mistypes one in a pipeline would meet none, for ever. A ledger
// that knows no stage at all has nothing that it could be mistaken for.
func (g *Gate) checkStage() error {
	c, stage := g.Account, g.Question.Stage
	check := report.Check{
		ID: "rules/known-stage", Group: "rules", Title: "known stage", Required: true, Outcome: report.Passed,
		Help: "The stage is one that this ledger knows: something was released to it, somebody decided on the artifact for it, or a contract in force names it. A mistyped stage would be one without rules.",
	}
	var known []string
	for s, err := range g.book.Stages() {
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
	case slices.ContainsFunc(c.Decisions, func(d account.Decision) bool { return d.Statement.Approval.Stage == stage && d.Counts(g.book) }):
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
			check.Hint = account.StagesText(stage, known)
			if !strings.HasSuffix(check.Hint, "?") {
				check.Hint += "."
			}
			check.Hint += " A new stage begins with an approval for it, a contract about it, or its first release"
		}
	}
	g.add(Undecided, check)
	return nil
}

// toldElsewhere are rules whose refusals the checks of lineage tell, with the way.
var toldElsewhere = map[ledger.Rule][]string{
	ledger.RuleWithdrawn: {"lineage/not-withdrawn", "lineage/not-tainted"},
	ledger.RuleStanding:  {"lineage/trusted"},
}

// classOfRefusal is how a gate ends for what the ledger refuses.
func classOfRefusal(r *ledger.Refusal) Class {
	switch r.Class {
	case ledger.ClassUntrusted:
		return Untrusted
	case ledger.ClassNotFound:
		return Undecided
	case ledger.ClassMalformed:
		return Error
	}
	return Refused
}

// ownRules tells of the ledger's own rules. That the artifact is in the stage
// already is no refusal here: a gate runs again and again.
func (g *Gate) ownRules(trial *ledger.Trial) error {
	taken := true
	for _, r := range trial.Refusals {
		if r.Rule == ledger.RuleContract || r.Rule == ledger.RuleStage && g.Released != nil && r.Entry != nil && *r.Entry == *g.Released {
			continue
		}
		taken = false
		if slices.ContainsFunc(g.Checks, func(c Check) bool {
			return c.Outcome == report.Failed && slices.Contains(toldElsewhere[r.Rule], c.ID)
		}) {
			continue
		}
		g.add(classOfRefusal(r), report.Check{
			ID: "rules/" + string(r.Rule), Group: "rules", Title: string(r.Rule), Rule: string(r.Rule), Required: true, Outcome: report.Failed,
			Message: r.Message, Hint: r.Hint, Entry: r.Entry, Help: "A rule of the ledger's own, which it applies to every statement.",
		})
	}
	if taken {
		check := report.Check{
			ID: "rules/own", Group: "rules", Title: "the ledger's own", Required: true, Outcome: report.Passed,
			Help: "The rules that every ledger applies: who may release, what may join a stage.", Message: "it would take the release",
		}
		if !g.Question.By.Known {
			check.Message = "it would take the release by a releaser in good standing"
		}
		g.add(Refused, check)
	}
	return g.checkReleased()
}

// checkReleased: what is in the stage already was put there by somebody whose word
// counts. A guard starts nothing else.
func (g *Gate) checkReleased() error {
	if g.Released == nil {
		return nil
	}
	entry := *g.Released
	check := report.Check{
		ID: "rules/released", Group: "rules", Title: "in " + g.Question.Stage, Outcome: report.Passed, Entry: &entry, Required: true,
		Help: "Whether the artifact is in the stage already, by a release whose signer has standing for it as is known now.", Message: fmt.Sprintf("it is there already, since entry %d", entry),
	}
	e, err := g.book.Entry(entry)
	if err != nil {
		return err
	}
	if s := g.book.Standing(e); !s.OK {
		check.Outcome = report.Failed
		check.Message = fmt.Sprintf("it is there since entry %d, whose signer had no standing for it: %s", entry, s.Detail)
		check.Hint = fmt.Sprintf("have a releaser take it out, and release it again: `stele release %s --stage %s --leave`", g.Question.what(), g.Question.Stage)
	}
	g.add(Untrusted, check)
	return nil
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
func (g *Gate) contractRules(v *contract.Verdict) {
	for _, name := range slices.Sorted(maps.Keys(g.demanded)) {
		if !slices.Contains(Demands, name) {
			by := g.demanded[name]
			g.add(Undecided, report.Check{
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
		g.add(Undecided, report.Check{ID: "contract/none", Group: "contracts", Title: "rules", Outcome: report.NotMade, Required: true,
			Message: "not asked: the ledger's own rules take it for no release at all"})
	case len(results) > 0:
	case g.about > 0:
		g.add(Refused, report.Check{ID: "contract/none", Group: "contracts", Title: "rules", Outcome: report.Passed,
			Message: terminal.Plural(uint64(g.about), "contract") + " in force, and none has a rule about it"})
	default:
		g.add(Refused, report.Check{ID: "contract/none", Group: "contracts", Title: "rules", Outcome: report.NotMade,
			Message: "no contract in force is about releasing it to " + g.Question.Stage, Hint: "`stele contract put` puts one in force"})
	}
}

func (g *Gate) contractRule(r *contract.RuleResult) {
	name, version, _ := strings.Cut(r.Contract, "@")
	check := report.Check{
		ID: "contract/" + name + "/" + r.Rule, Group: "contracts", Title: r.Contract + " / " + r.Rule, Contract: r.Contract, Rule: r.Rule,
		Required: true, Outcome: report.Passed, Message: r.Message, Hint: r.Hint, Help: g.rules[r.Contract+"/"+r.Rule],
	}
	if slices.ContainsFunc(g.Checks, func(c Check) bool { return c.ID == check.ID }) {
		check.ID += "@" + version // an older version, by a signer who fell since, still refuses
	}
	if r.Entry != 0 {
		check.Entry = &r.Entry
	}
	class := Refused
	switch {
	case r.Undecided:
		check.Outcome, class = report.NotMade, Undecided
		check.Message = "undecided: it looks at who signs, and who would release is not known"
		check.Hint = "say who would release: --by HANDLE"
	case !r.OK:
		check.Outcome = report.Failed
		switch {
		case check.Hint == "" && strings.Contains(r.Message, "names who signs"):
			check.Hint = "say who would release: --by HANDLE"
		case g.Question.Reason == "" && g.reasoned[r.Contract+"/"+r.Rule]:
			check.Hint = strings.TrimPrefix(check.Hint+"; the gate takes --reason, too", "; ")
		}
	default:
		check.Message, check.Hint = "allows it", ""
	}
	g.Checks = append(g.Checks, Check{Check: check, Class: class, Cost: r.Cost})
}
