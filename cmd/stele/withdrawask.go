package main

import (
	"context"
	"fmt"

	"github.com/stele-ml/stele/internal/foresight"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// askToWithdraw shows a person at a terminal what a withdrawal takes back and
// what it reaches, and asks. What was shown is what is signed: the order names
// from then on the last entry that was seen.
func (a *app) askToWithdraw(ctx context.Context, dir string, by statement.Signer, o *withdrawOrder) error {
	var question string
	err := a.readAt(ctx, dir, func(r *reading) error {
		st, err := r.planWithdrawal(o)
		if err != nil {
			return err
		}
		// What would be refused for certain is told before anybody is asked.
		if err := authorOf(by).check(r.Control.Roster(), r.Size(), max(a.now().UnixMilli(), r.Time()), st); err != nil {
			return err
		}
		t, err := foresight.Ask(r.Book, st, r.signs(authorOf(by)), max(a.now().UnixMilli(), r.Time()))
		if err == nil {
			err = t.Refusal
		}
		if err != nil {
			return err
		}
		o.after = int64(st.Withdrawal.After)
		if o.withdrawal.Target == statement.TargetContents {
			if o.reach, err = r.reachOf(o); err != nil {
				return err
			}
		}
		question = withdrawQuestion(o)
		return a.showWithdrawal(r, o)
	})
	if err != nil {
		return err
	}
	ok, err := a.term.Confirm(ctx, question, o.reach == nil || len(o.reach.Stages) == 0)
	if err != nil {
		return err
	}
	if !ok {
		return failf(exitError, "nothing was withdrawn")
	}
	return nil
}

// showWithdrawal shows what would be taken back.
func (a *app) showWithdrawal(r *reading, o *withdrawOrder) error {
	b, st, err := r.boundBy(o.name, o.version)
	if err != nil {
		return err
	}
	e, err := r.Entry(b.Entry)
	if err != nil {
		return err
	}
	w := &o.withdrawal
	a.term.Printf("%s\n", a.term.Style(terminal.Bold, b.Ref().String()))
	pairs := []terminal.Pair{
		{Key: "artifact", Value: fmt.Sprintf("%s, %s in %s", st.Stamp.Kind, terminal.Bytes(st.Stamp.Bytes), terminal.Plural(st.Stamp.Files, "file"))},
		{Key: "stamped", Value: fmt.Sprintf("%s, entry %s by %s", a.term.Time(e.Time), entryText(b.Entry), r.Signer(e).Handle)},
	}
	pairs = append(pairs, r.withdrawnPairs(b.Ref())...)
	a.term.KeyValues(append(pairs,
		terminal.Pair{Key: "to be signed", Value: fmt.Sprintf("%s withdrawn (%s): %s", map[string]string{
			statement.TargetContents: "these contents are", statement.TargetBinding: "this name is", statement.TargetLocation: "the location " + w.Location + " is",
		}[w.Target], w.Effect, w.Reason), Style: terminal.Accent}))
	if o.reach == nil {
		a.term.Printf("%s\n", tellsNothing(o))
	} else {
		a.printReach(o.reach, "would reach")
	}
	return nil
}

// tellsNothing says of a withdrawal of a name or a place that it has no reach.
func tellsNothing(o *withdrawOrder) string {
	return fmt.Sprintf("a %s that is withdrawn taints nothing: it would reach %s@%s alone", o.withdrawal.Target, o.name, o.version)
}

func withdrawQuestion(o *withdrawOrder) string {
	text := "withdraw " + o.name + "@" + o.version
	switch o.withdrawal.Target {
	case statement.TargetBinding:
		text = "withdraw the name " + o.name + "@" + o.version
	case statement.TargetLocation:
		text = "withdraw that location of " + o.name + "@" + o.version
	}
	if o.reach != nil && o.reach.Downstream > 0 {
		text += ", and taint " + map[bool]string{true: "more than "}[o.reach.Cut] + terminal.Plural(o.reach.Downstream, "artifact")
	}
	return text + "?"
}
