package main

import (
	"fmt"
	"slices"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// showPlanned shows what a decision rests on, and what would be signed.
func (a *app) showPlanned(r *reading, p *planned, stage string) {
	c := p.account
	a.term.Printf("%s\n", a.term.Style(terminal.Bold, c.Ref.String()))
	pairs := []terminal.Pair{
		{Key: "artifact", Value: fmt.Sprintf("%s, %s in %s", c.Stamp.Kind, terminal.Bytes(c.Stamp.Bytes), terminal.Plural(c.Stamp.Files, "file"))},
		{Key: "stamped", Value: fmt.Sprintf("%s, entry %d by %s", a.term.Time(c.Time), c.Entry, c.Handle)},
		{Key: "standing", Value: c.Standing(), Style: standingStyle(c.Standing())},
	}
	pairs = append(append(pairs, r.withdrawnPairs(c.Ref)...), againstPairs(c)...)
	pairs = append(append(pairs, originPairs(c, 0)...), taintPairs(c)...)
	decided := r.decisionPairs(c.Decisions, "")
	if !slices.ContainsFunc(c.Decisions, func(d account.Decision) bool {
		return d.Statement.Approval.Stage == stage && d.Statement.Approval.Decision == statement.DecisionApprove && d.Counts(r.Book)
	}) {
		decided = append(decided, terminal.Pair{Key: "not approved", Value: "for " + stage})
	}
	a.term.KeyValues(append(append(pairs, decided...), answerPairs(&p.tried)...))
	a.printEvaluations(r, c.Evaluations)
	a.printInStage(r, p, stage)
	if len(p.skipped) > 0 {
		a.term.Printf("skipped:\n")
		for _, s := range p.skipped {
			a.term.Printf("  %s@%s: %s\n", s.Name, s.Version, s.Why)
		}
	}
	a.term.Printf("\nto be signed: %s\n", a.term.Style(terminal.Accent, subjectOfDecision(p.st)))
}

// printInStage is the table of what is in a stage now, and what of it would
// leave.
func (a *app) printInStage(r *reading, p *planned, stage string) {
	a.term.Printf("\n")
	if len(p.in) == 0 {
		a.term.Printf("nothing is in %s now\n", stage)
		return
	}
	var rows [][]terminal.Cell
	for _, in := range p.in {
		mark := ""
		if rel := p.st.Release; rel != nil {
			leaves := slices.Contains(rel.Replaces, in.Ref) || rel.Action == statement.ActionLeave && in.Ref == p.account.Ref
			mark = map[bool]string{true: "leaves", false: "stays"}[leaves]
		}
		rows = append(rows, terminal.Row(in.Ref.String(), a.term.Time(in.Release.Time), r.Signer(in.Release).Handle, entryText(in.Entry), mark))
	}
	a.term.Table([]terminal.Column{{Title: "IN " + stage + " NOW", Trim: terminal.TrimMiddle}, {Title: "SINCE"}, {Title: "BY"}, {Title: "ENTRY", Right: true}, {Title: ""}}, rows)
}

// subjectOfDecision says in a line what an approval or a release says.
func subjectOfDecision(st *statement.Statement) string {
	name := st.Subject[0].Name
	switch {
	case st.Approval != nil:
		return fmt.Sprintf("%s is %s for %s", name, decisionWord(st.Approval.Decision), st.Approval.Stage)
	case st.Release.Action == statement.ActionLeave:
		return fmt.Sprintf("%s leaves %s", name, st.Release.Stage)
	}
	text := fmt.Sprintf("%s joins %s", name, st.Release.Stage)
	if len(st.Release.Replaces) > 0 {
		text += ", replacing " + refsText(st.Release.Replaces, originInputs)
	}
	return text
}

// printDecided writes the receipt; without a proof, what would be signed.
func (a *app) printDecided(p *planned, proof *solo.Proof) error {
	ref, err := p.st.Ref()
	if err != nil {
		return err
	}
	out := jsonv1.Decided{
		Kind: string(p.st.Kind), Name: ref.Name, Version: ref.Version, Fingerprint: ref.Fingerprint.String(), After: afterOf(p.st),
		Skipped: p.skipped, Signer: p.who, Origin: p.origin, DryRun: proof == nil,
	}
	if s := p.st.Approval; s != nil {
		out.Stage, out.Decision, out.Reason = s.Stage, s.Decision, s.Reason
	} else {
		s := p.st.Release
		out.Stage, out.Action, out.Replaces, out.Reason = s.Stage, s.Action, account.Names(s.Replaces), s.Reason
	}
	var written jsonv1.Written
	if proof != nil {
		if written, err = writtenJSON(proof, p.st.Kind, p.origin, p.who); err != nil {
			return err
		}
		out.Entry, out.Time, out.Checkpoint, out.Existed = &written.Entry, written.Time, &written.Checkpoint, written.Existed
	}
	switch {
	case a.json:
		a.printJSON(out)
		return nil
	case a.quiet:
		return nil
	case proof == nil:
		a.term.Notef("nothing was signed; --after %d says that this is what you saw", out.After)
		return nil
	}
	what := subjectOfDecision(p.st)
	if out.Existed {
		a.term.Printf("%s: %s\n", what, p.already)
	} else {
		style := terminal.Good
		if out.Decision == statement.DecisionReject || out.Action == statement.ActionLeave {
			style = terminal.Caution
		}
		a.term.Printf("%s\n", a.term.Style(style, what))
	}
	pairs := []terminal.Pair{{Key: "reason", Value: out.Reason}}
	for _, s := range p.skipped {
		pairs = append(pairs, terminal.Pair{Key: "skipped", Value: s.Name + "@" + s.Version + ": " + s.Why, Style: terminal.Caution})
	}
	a.term.KeyValues(append(pairs, receiptPairs(a, written)...))
	return nil
}

// writtenJSON is the receipt of a statement in --json.
func writtenJSON(p *solo.Proof, kind statement.Kind, origin string, signer jsonv1.Signer) (jsonv1.Written, error) {
	c, err := checkpointJSON(p.Checkpoint)
	return jsonv1.Written{Entry: p.Index, Time: jsonv1.At(p.Time), Kind: string(kind), Signer: signer, Origin: origin, Checkpoint: c, Existed: p.Existed}, err
}

// receiptPairs are what every receipt has.
func receiptPairs(a *app, w jsonv1.Written) []terminal.Pair {
	return []terminal.Pair{
		{Key: "entry", Value: entryText(w.Entry) + " of " + w.Origin},
		{Key: "time", Value: a.timeOf(w.Time) + ", as the ledger claims"},
		{Key: "signed by", Value: signedBy(w.Signer)},
		{Key: "checkpoint", Value: fmt.Sprintf("%s, root %s", terminal.Plural(w.Checkpoint.Size, "entry", "entries"), w.Checkpoint.Root)},
	}
}

// unclean says why an artifact should not be released again, the worst first;
// empty: it is clean.
func (r *reading) unclean(c *account.Account, stage string) string {
	j := c.Judged
	switch {
	case len(j.Fallen) > 0:
		return account.FallText(&j.Fallen[0])
	case len(c.Withdrawals) > 0:
		w := c.Withdrawals[0]
		return fmt.Sprintf("withdrawn in entry %d by %s (%s): %s", w.Entry, w.Handle, w.Effect, account.Short(w.Reason))
	case len(j.Members) > 0:
		return account.MemberText(&j.Members[0])
	case j.Taint != nil:
		return "tainted: " + account.WorstText(j.Taint)
	case j.Unknown:
		return "whether it is tainted is not known: more was recorded of what it was made of than is walked"
	}
	for i := range c.Decisions {
		d := &c.Decisions[i]
		if p := d.Statement.Approval; p.Stage == stage && p.Decision == statement.DecisionReject && d.Counts(r.Book) {
			return fmt.Sprintf("rejected for %s by %s in entry %d: %s", stage, r.Signer(d.Entry).Handle, d.Index, account.Short(p.Reason))
		}
	}
	return ""
}
