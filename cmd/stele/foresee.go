package main

import (
	"context"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/foresight"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

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
	f, err := foresight.Foresee(r.Book, draft, r.signs(by), max(a.now().UnixMilli(), r.Time()), foresight.Unknown{Words: foresight.Unread, New: true})
	if err == nil && f.Refusal != nil {
		err = failf(exitRefused, "nothing was read: %w", f.Refusal)
	}
	return err
}

// tryStamp refuses what contracts would refuse of a stamp, before anybody is asked
// about it.
func (a *app) tryStamp(ctx context.Context, dir string, st *statement.Statement, signer statement.Signer) error {
	return a.readAt(ctx, dir, func(r *reading) error {
		t, err := foresight.Ask(r.Book, st, r.signs(authorOf(signer)), max(a.now().UnixMilli(), r.Time()))
		if err == nil {
			err = t.Refusal
		}
		return err
	})
}

// tellForeseen tells of what is decided only when the work is done.
func (a *app) tellForeseen(f *foresight.Foreseen) {
	for _, v := range f.Perhaps {
		a.term.Warnf("%s may refuse it, as far as can be told now: %s", ruleID(v), v.Message)
	}
	if len(f.Later) > 0 {
		a.term.Notef("decided only when it is done: %s", terminal.Some(foresight.Rules(f.Later), 4))
	}
}

// answerPairs say what contracts would say where a person looks before signing.
func answerPairs(t *foresight.Answer) []terminal.Pair {
	p := terminal.Pair{Key: "contracts", Value: terminal.Some(t.Asked, 4) + ": it is admitted", Style: terminal.Good}
	switch {
	case len(t.Asked) == 0:
		return nil
	case t.Refusal != nil:
		p.Value, p.Style = terminal.Some(t.Asked, 4)+": REFUSED", terminal.Bad
	case len(t.Undecided) > 0:
		p.Value, p.Style = terminal.Some(t.Asked, 4)+": depends on who signs", terminal.Caution
	}
	return []terminal.Pair{p}
}

// noteUndecided tells of rules that depend on who will sign.
func (a *app) noteUndecided(list []contract.RuleResult) {
	if len(list) > 0 {
		a.term.Notef("not decided without knowing who signs: %s", terminal.Some(foresight.Rules(list), 4))
	}
}
