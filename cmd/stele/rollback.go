package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// rollbackOrder is one call of `stele rollback`.
type rollbackOrder struct {
	decideFlags
	name, to string
}

func (a *app) rollbackCommand() *cobra.Command {
	var o rollbackOrder
	c := &cobra.Command{
		Use:   "rollback NAME --stage STAGE",
		Short: "Release again what was in a stage before, if it is still clean",
		Long: `Finds what was in the stage before, of that name, and releases it again in
place of what is there now. A version that is withdrawn, tainted or rejected
for the stage, or whose signer has lost standing, is skipped, and said. What
was itself rolled back does not come again, so a second rollback goes further
back. A canary beside an older version that is still there just leaves.

--to names the version instead: one that was in the stage before. With it the
command may be repeated; without it, a repetition goes one version further
back. --dry-run shows what would be signed.`,
		Example: `  stele rollback fraud/model --stage production
  stele rollback fraud/model --stage production --to 3 --reason 'false alarms'`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			o.name = args[0]
			if name, version, err := statement.ParseNameVersion(args[0]); err == nil {
				return usagef("rollback takes a name without its version").withHint(fmt.Sprintf("`stele rollback %s --to %s` goes back to that version", name, version))
			}
			if err := statement.CheckName(o.name); err != nil {
				return usagef("%v", err)
			}
			if err := o.check("rollback"); err != nil {
				return err
			}
			return a.decide(c.Context(), &o.decideFlags, func(r *reading) (*planned, error) { return r.planRollback(&o) })
		},
	}
	o.register(c)
	c.Flags().StringVar(&o.to, "to", "", "the `version` to go back to, one that was in the stage before")
	return c
}

// tenure is the time of one version in a stage.
type tenure struct {
	ref    statement.Ref
	inside bool   // it is there now
	left   uint64 // the entry with which it left, where it is not
}

// tenures goes through what happened to a name in a stage, and keeps what a
// rollback may come to, the latest at the end. What is released again while it
// is among them was rolled back to: those after it are given up. What leaves
// while it is the latest, and is not replaced, is given up, too; an older one
// has made room for a newer.
func tenures(changes []ledger.StageChange, replaced func(entry uint64, ref statement.Ref) bool) (list []tenure, all []statement.Ref) {
	for _, c := range changes {
		i := slices.IndexFunc(list, func(t tenure) bool { return t.ref == c.Ref })
		switch {
		case c.Action == statement.ActionJoin:
			if !slices.Contains(all, c.Ref) {
				all = append(all, c.Ref)
			}
			if i >= 0 {
				stay := list[:i]
				for _, t := range list[i+1:] {
					if t.inside { // beside it
						stay = append(stay, t)
					}
				}
				list = stay
			}
			list = append(list, tenure{ref: c.Ref, inside: true})
		case i < 0:
		case replaced(c.Entry, c.Ref) || slices.ContainsFunc(list[i+1:], func(t tenure) bool { return t.inside }):
			list[i].inside, list[i].left = false, c.Entry
		default:
			list = slices.Delete(list, i, i+1)
		}
	}
	return list, all
}

func (r *reading) planRollback(o *rollbackOrder) (*planned, error) {
	var changes []ledger.StageChange
	for c, err := range r.StageHistory(o.stage, o.name) {
		if err != nil {
			return nil, err
		}
		changes = append(changes, c)
	}
	if len(changes) == 0 {
		return nil, r.neverIn(o.name, o.stage)
	}
	// With one entry, what is replaced leaves before what replaces it joins.
	slices.SortStableFunc(changes, func(a, b ledger.StageChange) int {
		switch {
		case a.Entry != b.Entry:
			return int(min(max(int64(a.Entry)-int64(b.Entry), -1), 1))
		case a.Action == b.Action:
			return 0
		case a.Action == statement.ActionLeave:
			return -1
		}
		return 1
	})
	var failed error
	list, all := tenures(changes, func(entry uint64, ref statement.Ref) bool {
		_, st, err := r.Statement(entry)
		if err != nil {
			failed = err
			return false
		}
		return st.Release != nil && slices.Contains(st.Release.Replaces, ref)
	})
	if failed != nil {
		return nil, failed
	}
	now := slices.DeleteFunc(slices.Clone(list), func(t tenure) bool { return !t.inside })
	if o.to != "" {
		return r.rollbackTo(o, list, now, all)
	}
	var skipped []jsonv1.Skipped
	for i := len(list) - 1; i >= 0; i-- {
		t := list[i]
		if len(now) > 0 && t.ref == now[len(now)-1].ref {
			continue // it is what is to be rolled back
		}
		c, err := r.accountAt(t.ref)
		if err != nil {
			return nil, err
		}
		if why := r.unclean(c, o.stage); why != "" {
			skipped = append(skipped, jsonv1.Skipped{Name: t.ref.Name, Version: t.ref.Version, Why: why})
			continue
		}
		p, err := r.backTo(o, t, insideAfter(list, i))
		if p != nil {
			p.skipped = skipped
		}
		return p, err
	}
	return nil, nothingBefore(o, now, all, skipped)
}

// insideAfter are the versions that came after the one at i and are there now.
func insideAfter(list []tenure, i int) (after []statement.Ref) {
	for _, t := range list[i+1:] {
		if t.inside {
			after = append(after, t.ref)
		}
	}
	return after
}

// backTo plans to go back to a version: it joins in place of what came after it
// and is there now; where it is there itself, that leaves.
func (r *reading) backTo(o *rollbackOrder, t tenure, after []statement.Ref) (*planned, error) {
	release := &statement.Release{Stage: o.stage, Action: statement.ActionJoin, Reason: o.reason}
	subject := t.ref
	var err error
	switch {
	case !t.inside:
		if release.Replaces, err = r.instead(o.stage, t, after); err != nil {
			return nil, err
		}
	case len(after) > 1:
		return nil, failf(exitRefused, "%s is in %s now, and %s came after it; one entry takes out one", t.ref, o.stage, refsText(after, 4)).
			withHint(fmt.Sprintf("take them out one by one: stele release %s --stage %s --leave", after[len(after)-1], o.stage))
	default:
		subject, release.Action = after[0], statement.ActionLeave
	}
	p, err := r.planOn(subject.Name, subject.Version, o.stage)
	if err != nil {
		return nil, err
	}
	p.st = &statement.Statement{Kind: statement.KindRelease, Subject: []statement.Subject{subject.Subject()}, Release: release}
	p.question = releaseQuestion(p)
	p.refusal = p.wouldRefuse()
	if release.Action == statement.ActionLeave {
		p.concerns = nil
		p.notes = []string{fmt.Sprintf("%s is still in %s and stays there", t.ref, o.stage)}
	}
	return p, nil
}

// instead is what leaves for a version that joins again: what is there of its
// name, and what took its place if that has another name.
func (r *reading) instead(stage string, t tenure, others []statement.Ref) ([]statement.Ref, error) {
	if t.left == 0 {
		return others, nil
	}
	_, st, err := r.Statement(t.left)
	if err != nil {
		return nil, err
	}
	by, err := st.Ref()
	if err != nil || slices.Contains(others, by) {
		return others, err
	}
	in, err := r.InStage(stage)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(in, func(p ledger.Placed) bool { return p.Ref == by }) {
		others = append(others, by)
	}
	return others, nil
}

// rollbackTo plans to go back to a version that a person named.
func (r *reading) rollbackTo(o *rollbackOrder, list, now []tenure, all []statement.Ref) (*planned, error) {
	i := slices.IndexFunc(all, func(ref statement.Ref) bool { return ref.Version == o.to })
	if i < 0 {
		return nil, failf(exitNotFound, "%s@%s was never in %s", o.name, o.to, o.stage).
			withHint(fmt.Sprintf("there were %s; `stele release` puts another one there", versionsText(all)))
	}
	k := slices.IndexFunc(list, func(t tenure) bool { return t.ref == all[i] })
	if k < 0 { // it was given up: all that are there came after it
		list = append([]tenure{{ref: all[i]}}, now...)
		k = 0
	}
	t, after := list[k], insideAfter(list, k)
	c, err := r.accountAt(t.ref)
	if err != nil {
		return nil, err
	}
	if t.inside && len(after) == 0 {
		return r.alreadyBack(o, t)
	}
	if why := r.unclean(c, o.stage); why != "" {
		status := exitRefused // withdrawn, tainted, rejected, not known
		if c.Standing() == standingUntrusted {
			status = exitUntrusted
		}
		return nil, failf(status, "%s is not clean: %s", t.ref, why).withHint("leave --to out, and it goes back to the last version that is")
	}
	return r.backTo(o, t, after)
}

// alreadyBack answers a repeated rollback: with the release that put the version
// there.
func (r *reading) alreadyBack(o *rollbackOrder, t tenure) (*planned, error) {
	p, err := r.planOn(t.ref.Name, t.ref.Version, o.stage)
	if err != nil {
		return nil, err
	}
	for _, in := range p.in {
		if in.Ref != t.ref {
			continue
		}
		p.st, p.done, p.already = in.Statement, in.Release, "it is there now, and nothing came after it"
	}
	return p, nil
}

// accountAt is what is known of an artifact by its name.
func (r *reading) accountAt(ref statement.Ref) (*account.Account, error) {
	b, err := r.binding(ref.Name, ref.Version)
	if err != nil {
		return nil, err
	}
	return r.Of(b)
}

// neverIn says that a name was never in a stage, and what was.
func (r *reading) neverIn(name, stage string) error {
	if err := r.knownStage(stage); err != nil {
		return err
	}
	return failf(exitNotFound, "nothing of the name %s was ever in %s", name, stage).
		withHint("`stele status --stage " + stage + "` shows what is there")
}

// nothingBefore says that there is nothing to roll back to.
func nothingBefore(o *rollbackOrder, now []tenure, all []statement.Ref, skipped []jsonv1.Skipped) error {
	var why []string
	for _, s := range skipped {
		why = append(why, fmt.Sprintf("%s@%s is %s", s.Name, s.Version, s.Why))
	}
	if len(why) > 0 {
		return failf(exitRefused, "nothing clean of %s was in %s before: %s", o.name, o.stage, strings.Join(why, "; ")).
			withHint(takeOut(o, now))
	}
	hint := takeOut(o, now)
	gone := slices.DeleteFunc(slices.Clone(all), func(ref statement.Ref) bool {
		return slices.ContainsFunc(now, func(t tenure) bool { return t.ref == ref })
	})
	if len(gone) > 0 {
		hint = fmt.Sprintf("rolled back or taken out before: %s; --to goes to that version all the same", versionsText(gone))
	}
	return failf(exitNotFound, "nothing of %s was in %s before what is there now", o.name, o.stage).withHint(hint)
}

func takeOut(o *rollbackOrder, now []tenure) string {
	if len(now) == 0 {
		return "`stele release` puts another version there"
	}
	return fmt.Sprintf("`stele release` puts another version there; `stele release %s --stage %s --leave` takes out what is there", now[len(now)-1].ref, o.stage)
}

func versionsText(refs []statement.Ref) string {
	var list []string
	for _, ref := range refs {
		list = append(list, ref.Version)
	}
	return terminal.Some(list, 8)
}
