package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/foresight"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/internal/trace"
	"github.com/stele-ml/stele/statement"
)

// withdrawOrder is one call of `stele withdraw`.
type withdrawOrder struct {
	name, version string
	withdrawal    statement.Withdrawal
	after         int64 // the last entry that the author saw; -1: what the ledger has
	dryRun, yes   bool
	all           bool // list everything that it would reach

	reach *jsonv1.Reach // that was shown before it was signed
}

// planWithdrawal makes the statement, after the last entry on the artifact.
func (r *reading) planWithdrawal(o *withdrawOrder) (*statement.Statement, error) {
	ref, after, err := r.lastOn(o.name, o.version)
	if err != nil {
		return nil, err
	}
	w := o.withdrawal
	w.After = after
	st := &statement.Statement{Kind: statement.KindWithdrawal, Subject: []statement.Subject{ref.Subject()}, Withdrawal: &w}
	if o.after >= 0 && uint64(o.after) != after {
		return nil, r.stale(st, uint64(o.after), after)
	}
	return st, nil
}

// withdraw signs a withdrawal, and tells in short what it reaches.
func (a *app) withdraw(ctx context.Context, o *withdrawOrder) error {
	dir, signer, closeSigner, err := a.writer(ctx)
	if err != nil {
		return err
	}
	defer closeSigner()
	if !o.yes && !a.json && a.term.CanAsk() {
		if err := a.askToWithdraw(ctx, dir, signer, o); err != nil {
			return err
		}
	}
	var st *statement.Statement
	var who jsonv1.Signer
	var out *jsonv1.Withdrew
	proof, err := a.submit(ctx, dir, signer, func(r *reading) (*statement.Statement, error) {
		who = r.signerBy(authorOf(signer))
		if st, err = r.planWithdrawal(o); err != nil {
			return nil, err
		}
		out, err = r.withdrewJSON(st)
		return st, err
	})
	if err != nil {
		return crossed(err)
	}
	written, err := writtenJSON(proof, st.Kind, out.Origin, who)
	if err != nil {
		return err
	}
	out.Entry, out.Time, out.Signer, out.Checkpoint, out.Existed = &written.Entry, written.Time, &who, &written.Checkpoint, written.Existed
	// It is signed and acknowledged: what cannot be told of it now, is no failure.
	if out.Reach = o.reach; out.Reach == nil && o.withdrawal.Target == statement.TargetContents {
		err := a.readAt(ctx, dir, func(r *reading) error {
			out.Reach, err = r.reachOf(o)
			return err
		})
		if err != nil {
			a.term.Warnf("what it reaches could not be told: %v", err)
		}
	}
	if a.json {
		if out.Reach != nil {
			out.Reach.Artifacts = nil // they may be very many: --dry-run lists them
		}
		a.printJSON(out)
		return nil
	}
	if err := a.printWritten(proof, st.Kind, subject(st), out.Origin, who); err != nil || a.quiet || out.Reach == nil {
		return err
	}
	if o.reach == nil {
		a.printReach(out.Reach, "reaches")
	}
	if out.Reach.Downstream > 0 {
		a.term.Notef("`stele trace %s@%s --down` shows it", o.name, o.version)
	}
	return nil
}

// wouldWithdraw lists what a withdrawal would reach, and what contracts say of it.
// Anybody may ask.
func (a *app) wouldWithdraw(ctx context.Context, o *withdrawOrder) error {
	by, _, err := a.ownKey(ctx)
	if err != nil {
		return err
	}
	return a.read(ctx, func(r *reading) error {
		st, err := r.planWithdrawal(o)
		if err != nil {
			return err
		}
		out, err := r.withdrewJSON(st)
		if err != nil {
			return err
		}
		out.DryRun = true
		if o.withdrawal.Target == statement.TargetContents {
			if out.Reach, err = r.reachOf(o); err != nil {
				return err
			}
		}
		t, unsaid, err := r.tryWithdrawal(st, by, max(a.now().UnixMilli(), r.Time()))
		if err != nil {
			return err
		}
		if a.json {
			if t.Refusal != nil {
				out.Violations = violationsJSON(describe(t.Refusal).violations)
			}
			a.printJSON(out)
			if t.Refusal != nil {
				return verdictError{exitRefused}
			}
			return nil
		}
		if out.Reach == nil {
			a.term.Printf("%s\n", tellsNothing(o))
			a.term.KeyValues(answerPairs(&t))
		} else {
			a.printReached(out.Reach, o.all)
			a.printReach(out.Reach, "would reach", answerPairs(&t)...)
		}
		a.noteUndecided(t.Undecided)
		if len(unsaid) > 0 {
			a.term.Notef("not decided without its reason: %s", terminal.Some(foresight.Rules(unsaid), 4))
		}
		a.term.Notef("nothing was withdrawn; --after %d says that this is what you saw", out.After)
		return t.Refusal
	})
}

// tryWithdrawal asks the contracts in force about a withdrawal. Whoever only looks
// need not say why yet: then rules that look at the reason are not decided.
func (r *reading) tryWithdrawal(st *statement.Statement, by author, now int64) (foresight.Answer, []contract.RuleResult, error) {
	if st.Withdrawal.Reason != "" {
		t, err := foresight.Ask(r.Book, st, r.signs(by), now)
		return t, nil, err
	}
	draft, w := *st, *st.Withdrawal
	w.Reason, draft.Withdrawal = "not said yet", &w
	f, err := foresight.Foresee(r.Book, &draft, r.signs(by), now, foresight.Unknown{Words: []string{"reason"}})
	if err != nil {
		return foresight.Answer{}, nil, err
	}
	return f.Answer, append(f.Perhaps, f.Later...), nil
}

// withdrewJSON is a withdrawal that is to be signed, in --json.
func (r *reading) withdrewJSON(st *statement.Statement) (*jsonv1.Withdrew, error) {
	ref, err := st.Ref()
	w := st.Withdrawal
	return &jsonv1.Withdrew{
		Kind: string(st.Kind), Name: ref.Name, Version: ref.Version, Fingerprint: ref.Fingerprint.String(),
		Target: w.Target, Effect: w.Effect, Reason: w.Reason, After: w.After, Origin: r.Origin(),
	}, err
}

// reachOf is what a withdrawal of contents reaches.
func (r *reading) reachOf(o *withdrawOrder) (*jsonv1.Reach, error) {
	b, err := r.binding(o.name, o.version)
	if err != nil {
		return nil, err
	}
	return trace.Reached(r.Book, b.Fingerprint)
}

// reachedRows is how many artifacts that a withdrawal would reach are listed,
// unless all are asked for.
const reachedRows = 40

// printReached lists what is reached, the nearest first.
func (a *app) printReached(reach *jsonv1.Reach, all bool) {
	shown := len(reach.Artifacts)
	if !all && shown > reachedRows+1 { // a line that counts one is no shorter
		shown = reachedRows
	}
	var rows [][]terminal.Cell
	for i := range reach.Artifacts[:shown] {
		x := &reach.Artifacts[i]
		through := "these contents"
		if x.Steps > 0 {
			through = fmt.Sprintf("%s, entry %s, of %s@%s", x.Path[0].Way, entryText(*x.Path[0].Entry), x.Path[1].Name, x.Path[1].Version)
		}
		rows = append(rows, terminal.Row(terminal.Count(uint64(x.Steps)), x.Name+"@"+x.Version, x.Kind, x.Signer.Handle, a.timeOf(x.Time), through))
	}
	a.term.Table([]terminal.Column{{Title: "STEPS", Right: true}, {Title: "NAME@VERSION", Trim: terminal.TrimMiddle}, {Title: "KIND"}, {Title: "BY"}, {Title: "STAMPED"},
		{Title: "THROUGH", Trim: terminal.TrimMiddle}}, rows)
	if rest := len(reach.Artifacts) - shown; rest > 0 {
		a.term.Printf("… and %s more; --all lists them\n", terminal.Count(uint64(rest)))
	}
	a.term.Printf("\n")
}

// printReach tells in short what is reached.
func (a *app) printReach(reach *jsonv1.Reach, verb string, more ...terminal.Pair) {
	other, down := reach.Names, reach.Downstream
	if down == 0 {
		a.term.Printf("%s nothing besides: nothing on the ledger was made of these contents\n", verb)
	} else {
		cut := map[bool]string{true: "more than "}[reach.Cut]
		a.term.Printf("%s %s%s\n", verb, cut, terminal.Plural(down, "artifact"))
	}
	pairs := []terminal.Pair{}
	if len(other) > 1 {
		pairs = append(pairs, terminal.Pair{Key: "same bytes", Value: terminal.Some(other, originInputs)})
	}
	if down > 0 {
		pairs = append(pairs, terminal.Pair{Key: "kinds", Value: account.KindsText(reach.Kinds)},
			terminal.Pair{Key: "stamped by", Value: countsOf(reach.Signers, func(n uint64, who string) string { return who + " (" + terminal.Count(n) + ")" })})
	}
	for _, s := range reach.Stages {
		list := slices.Clone(s.Artifacts)
		pairs = append(pairs, terminal.Pair{Key: "is in " + s.Stage, Value: terminal.Some(list, originInputs), Style: terminal.Bad})
	}
	if len(reach.Stages) == 0 {
		pairs = append(pairs, terminal.Pair{Key: "stages", Value: "none of it is released now"})
	}
	a.term.KeyValues(append(pairs, more...))
}
