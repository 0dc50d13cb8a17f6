package gate

import (
	"errors"
	"fmt"
	"strings"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/report"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// shown is how many names or people stand in one message.
const shown = 8

// checkLineage tells what is known of what the artifact was made of, by the same
// judgement as every other verb.
func (g *Gate) checkLineage() error {
	if err := g.checkRecorded(); err != nil {
		return err
	}
	g.checkFallen()
	g.checkWithdrawn()
	g.checkTaint()
	g.checkOrigin()
	return nil
}

// madeOf are the entries that bind what the artifact was made of, and say so.
func (g *Gate) madeOf() (map[uint64]bool, error) {
	entries := map[uint64]bool{}
	for _, n := range g.graph.Nodes {
		entries[n.Entry] = true
		for _, o := range n.Origins {
			if !o.Counts {
				continue
			}
			of, err := g.made.Artifact(o.Of.Name, o.Of.Version)
			if err != nil {
				return nil, err
			}
			entries[o.Entry], entries[of.Entry] = true, true
		}
	}
	return entries, nil
}

// checkRecorded holds every entry that the lineage rests on against the log.
func (g *Gate) checkRecorded() error {
	check := report.Check{
		ID: "lineage/recorded", Group: "lineage", Title: "recorded", Required: true, Outcome: report.Passed,
		Help: "Every entry that says what the artifact was made of, or was said of it, is in the log that was checked. Their signatures were checked when they were admitted; `stele verify` checks them again.",
	}
	entries, err := g.madeOf()
	if err == nil {
		err = g.alsoAbout(entries)
	}
	if err != nil {
		return err
	}
	switch err := g.book.Prove(entries); {
	case errors.Is(err, evidence.ErrTampered), errors.Is(err, ledger.ErrDamaged):
		check.Outcome, check.Message = report.Failed, err.Error()
		check.Hint = "`stele fsck` says what is damaged; get the ledger again from where it is kept"
	case err != nil:
		return err
	default:
		check.Message = fmt.Sprintf("all in the log: %s about %s", terminal.Plural(uint64(len(entries)), "entry", "entries"),
			terminal.Plural(uint64(len(g.graph.Nodes)), "artifact"))
	}
	g.add(Tampered, check)
	return nil
}

// alsoAbout adds the entries that rules look at besides: what was said of these
// contents, and what is in the stage.
func (g *Gate) alsoAbout(entries map[uint64]bool) error {
	for _, kind := range []statement.Kind{statement.KindApproval, statement.KindEvaluation, statement.KindRelease} {
		for entry, err := range g.book.About(g.Account.Ref.Fingerprint, kind) {
			if err != nil {
				return err
			}
			entries[entry] = true
		}
	}
	for audit, err := range g.book.Audits(g.Account.Ref) {
		if err != nil {
			return err
		}
		entries[audit.Announced.Index] = true
		if audit.Result != nil {
			entries[audit.Result.Index] = true
		}
	}
	in, err := g.book.InStage(g.Question.Stage)
	for _, p := range in {
		entries[p.Entry] = true
	}
	return err
}

// checkFallen: what a signer without standing stamped counts for nothing, and so
// does what was made of it.
func (g *Gate) checkFallen() {
	j := g.Account.Judged
	check := report.Check{
		ID: "lineage/trusted", Group: "lineage", Title: "trusted", Required: true, Outcome: report.Passed,
		Help:    "Whoever stamped the artifact, and all that it was made of, had standing for it as is known now.",
		Message: "everybody who stamped it, or what it was made of, has standing for it",
	}
	if len(j.Fallen) > 0 {
		f := &j.Fallen[0]
		check.Outcome, check.Message = report.Failed, strings.Join(account.FallLines(j), "; ")
		check.Entry = &f.Artifact.Entry
		check.Hint = fmt.Sprintf("stamp %s under a new version with a key in good standing, and make what came of it again", f.Artifact.Ref)
	}
	g.add(Untrusted, check)
}

// checkWithdrawn: an advice is for people to weigh, everything else forbids.
func (g *Gate) checkWithdrawn() {
	j := g.Account.Judged
	check := report.Check{
		ID: "lineage/not-withdrawn", Group: "lineage", Title: "not withdrawn", Required: true, Outcome: report.Passed,
		Help:    "Neither the artifact's name nor its contents, nor a member of it, is withdrawn.",
		Message: "neither its name nor its contents",
	}
	var lines []string
	effect := ""
	told := func(w *lineage.Withdrawal, text string) {
		lines = append(lines, text)
		if effect == "" || lineage.Stronger(effect, w.Effect) != effect {
			effect, check.Entry = w.Effect, &w.Entry
		}
	}
	for i := range j.Artifact.Withdrawals {
		w := &j.Artifact.Withdrawals[i]
		told(w, account.WithdrawalText(w))
	}
	for i := range j.Members {
		told(&j.Members[i].Withdrawal, account.MemberText(&j.Members[i]))
	}
	if len(lines) > 0 {
		check.Message = strings.Join(lines, "; ")
		check.Outcome, check.Hint = weigh(effect, "release another version, or have the withdrawal ended: `stele reinstate`")
	}
	g.add(Refused, check)
}

// weigh is what a withdrawal makes of a check, by its effect.
func weigh(effect, hint string) (report.Outcome, string) {
	if lineage.Stronger(effect, statement.EffectAdvise) == statement.EffectAdvise {
		return report.Warning, ""
	}
	return report.Failed, hint
}

func (g *Gate) checkTaint() {
	c, j := g.Account, g.Account.Judged
	check := report.Check{
		ID: "lineage/not-tainted", Group: "lineage", Title: "not tainted", Required: true, Outcome: report.Passed,
		Help:    "No contents that the artifact was made of, however far back, are withdrawn.",
		Message: "made of " + terminal.Plural(uint64(len(g.graph.Nodes)-1), "artifact") + ", none of them withdrawn",
	}
	switch {
	case j.Taint != nil:
		w := j.Taint.Worst()
		check.Entry = &w.Withdrawal.Entry
		check.Message = account.WorstText(j.Taint) + "; the way: " + account.PathText(w.Path(), false)
		if n := len(j.Taint.Causes) + j.Taint.More - 1; n > 0 {
			check.Message += fmt.Sprintf("; and %s more", terminal.Plural(uint64(n), "withdrawal"))
		}
		check.Outcome, check.Hint = weigh(j.Taint.Effect(), fmt.Sprintf("make it again without %s; `stele trace %s --up` shows everything", w.At(), c.Ref))
	case j.Unknown:
		check.Outcome = report.Failed
		check.Message = "more is recorded of what it was made of than is walked, so whether any of it is withdrawn is not known"
		check.Hint = "stamp what it was made of as fewer, larger artifacts"
	case !lineage.Known(c.Origins):
		check.Outcome, check.Required = report.NotMade, false
		check.Message = "no origin of it is recorded that counts"
	}
	g.add(Refused, check)
}

// checkOrigin warns of a model of which nobody said what it was made of. Data
// begin somewhere.
func (g *Gate) checkOrigin() {
	c := g.Account
	check := report.Check{
		ID: "lineage/origin", Group: "lineage", Title: "origin", Outcome: report.Passed,
		Help: "Somebody whose word counts said what the artifact was made of. What is not recorded is unknown, and not clean.",
	}
	switch {
	case lineage.Known(c.Origins):
		check.Message = "recorded"
	case c.Stamp.Kind == statement.ArtifactModel:
		check.Outcome = report.Warning
		check.Message = "none recorded that counts: what it was made of is unknown, which is not clean"
		check.Hint = "`stele run`, or `stele record run`, says what a model was made of"
	default:
		check.Outcome, check.Message = report.NotMade, "none recorded; data begin somewhere"
	}
	g.add(Refused, check)
}

// checkApprovals tells who decided on the artifact for the stage. By themselves
// approvals are a record: what needs one, a contract says.
func (g *Gate) checkApprovals() {
	c := g.Account
	var approved, rejected, void []string
	var last *uint64
	for i := range c.Decisions {
		d := &c.Decisions[i]
		p := d.Statement.Approval
		if p.Stage != g.Question.Stage {
			continue
		}
		said := func(more string) string {
			if more != "" {
				more = ": " + more
			}
			return fmt.Sprintf("%s (entry %d%s)", g.book.Handle(d.Entry), d.Index, more)
		}
		switch s := g.book.Standing(d.Entry); {
		case !s.OK:
			void = append(void, said(s.Detail))
		case d.Superseded != nil:
		case p.Decision == statement.DecisionReject:
			rejected = append(rejected, said(account.Short(p.Reason)))
			last = &d.Index
		default:
			approved = append(approved, said(account.Short(p.Reason)))
		}
	}
	given := report.Check{
		ID: "approvals/given", Group: "approvals", Title: "approved", Outcome: report.NotMade,
		Help:    "Who approved the artifact for the stage. How many it takes, and whose, is for contracts.",
		Message: "nobody has approved it for " + g.Question.Stage,
	}
	if len(approved) > 0 {
		given.Outcome, given.Message = report.Passed, "by "+terminal.Some(approved, shown)
	}
	if len(void) > 0 {
		given.Message += "; does not count: " + terminal.Some(void, shown)
	}
	g.add(Refused, given)
	against := report.Check{
		ID: "approvals/not-rejected", Group: "approvals", Title: "not rejected", Outcome: report.Passed,
		Help: "Nobody's last word on the artifact for the stage is a rejection.", Message: "nobody rejects it",
	}
	if len(rejected) > 0 {
		against.Outcome, against.Message, against.Entry = report.Warning, "rejected by "+terminal.Some(rejected, shown), last
		against.Hint = "by itself a rejection is a record; a contract can make it count"
	}
	g.add(Refused, against)
}
