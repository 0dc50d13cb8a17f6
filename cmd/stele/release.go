package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// releaseOrder is one call of `stele release`.
type releaseOrder struct {
	decideFlags
	name, version string
	replaces      []string
	leave         bool
}

func (a *app) releaseCommand() *cobra.Command {
	var o releaseOrder
	c := &cobra.Command{
		Use:   "release NAME@VERSION --stage STAGE",
		Short: "Put an artifact into a stage, or take it out",
		Long: `Signs that an artifact joins a stage, or with --leave that it leaves it. A
stage is a set: a canary stands beside the old one, until a release --replaces
that one or takes it out. What is withdrawn or tainted is refused, unless the
withdrawal only advises.

On a terminal it shows first what is in the stage, and what speaks for the
artifact and against it, and asks. What was shown is what is signed: if
anything comes to the ledger in between about the artifact, or about its name
in the stage, the release is refused.

The role "releaser" may release. A reason is public and for ever.`,
		Example: `  stele release fraud/model@4 --stage production --replaces fraud/model@3
  stele release fraud/model@5 --stage production   # a canary beside it
  stele release fraud/model@5 --stage production --leave`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if o.name, o.version, err = statement.ParseNameVersion(args[0]); err != nil {
				return usagef("%v", err)
			}
			if err := o.check("release"); err != nil {
				return err
			}
			if o.leave && len(o.replaces) > 0 {
				return usagef("--replaces goes with what joins: what leaves a stage replaces nothing")
			}
			return a.decide(c.Context(), &o.decideFlags, func(r *reading) (*planned, error) { return r.planRelease(&o) })
		},
	}
	o.register(c)
	c.Flags().StringArrayVar(&o.replaces, "replaces", nil, "`name@version` that leaves the stage with the same entry (repeatable)")
	c.Flags().BoolVar(&o.leave, "leave", false, "it leaves the stage")
	return c
}

func (r *reading) planRelease(o *releaseOrder) (*planned, error) {
	p, err := r.planOn(o.name, o.version, o.stage)
	if err != nil {
		return nil, err
	}
	release := &statement.Release{Stage: o.stage, Action: statement.ActionJoin, Reason: o.reason}
	for _, text := range o.replaces {
		ref, err := r.ref(text, "--replaces")
		if err != nil {
			return nil, err
		}
		if ref.Name == o.name && ref.Version == o.version {
			return nil, usagef("--replaces %s: it cannot replace itself", ref)
		}
		if slices.Contains(release.Replaces, ref) {
			return nil, usagef("--replaces %s is given twice", ref)
		}
		release.Replaces = append(release.Replaces, ref)
	}
	if o.leave {
		release.Action = statement.ActionLeave
		p.concerns = nil // all the more
	}
	p.st = &statement.Statement{Kind: statement.KindRelease, Subject: []statement.Subject{p.account.Ref.Subject()}, Release: release}
	p.question = releaseQuestion(p)
	if !o.leave {
		p.notes = p.beside()
	}
	p.refusal = p.wouldRefuse()
	return p, nil
}

// wouldRefuse is why the ledger would not take a release, as far as what was
// looked at shows it: nobody is asked about what is refused for certain.
func (p *planned) wouldRefuse() error {
	c, rel := p.account, p.st.Release
	there := slices.ContainsFunc(p.in, func(in account.Placed) bool { return in.Ref == c.Ref })
	refuse := func(rule ledger.Rule, format string, args ...any) error {
		f := failf(exitRefused, format, args...)
		f.rule = string(rule)
		if rule == ledger.RuleWithdrawn {
			return f.withHint("`stele trace " + c.Ref.String() + " --up` shows the way; make it again without what is withdrawn")
		}
		return f.withHint("`stele status --stage " + rel.Stage + "` shows what is there")
	}
	switch {
	case rel.Action == statement.ActionLeave && !there:
		return refuse(ledger.RuleStage, "%s is not in %s", c.Ref, rel.Stage)
	case rel.Action == statement.ActionLeave:
		return nil
	case there:
		return refuse(ledger.RuleStage, "%s is in %s already", c.Ref, rel.Stage)
	}
	for _, ref := range rel.Replaces {
		if !slices.ContainsFunc(p.in, func(in account.Placed) bool { return in.Ref == ref }) {
			return refuse(ledger.RuleStage, "%s, which it should replace, is not in %s", ref, rel.Stage)
		}
	}
	j := c.Judged
	if len(j.Fallen) > 0 {
		f := failf(exitUntrusted, "%s is not trusted, and is not released: %s", c.Ref, account.FallText(&j.Fallen[0]))
		f.rule = string(ledger.RuleStanding)
		return f.withHint("stamp it, or what it was made of, under a new version, with a key in good standing")
	}
	for _, w := range c.Withdrawals {
		if w.Effect != statement.EffectAdvise {
			return refuse(ledger.RuleWithdrawn, "%s is withdrawn in entry %d: it is not released", c.Ref, w.Entry)
		}
	}
	for i := range j.Members {
		if w := j.Members[i].Withdrawal; w.Effect != statement.EffectAdvise {
			return refuse(ledger.RuleWithdrawn, "%s has a member that is withdrawn in entry %d: it is not released", c.Ref, w.Entry)
		}
	}
	if j.Taint != nil && j.Taint.Effect() != statement.EffectAdvise {
		return refuse(ledger.RuleWithdrawn, "%s is tainted by the withdrawal in entry %d: it is not released", c.Ref, j.Taint.Worst().Withdrawal.Entry)
	}
	if j.Unknown {
		return refuse(ledger.RuleWithdrawn, "whether %s is tainted is not known: it is not released", c.Ref)
	}
	return nil
}

func releaseQuestion(p *planned) string {
	rel := p.st.Release
	if rel.Action == statement.ActionLeave {
		return fmt.Sprintf("take %s out of %s?", p.account.Ref, rel.Stage)
	}
	return fmt.Sprintf("release %s to %s?", p.account.Ref, rel.Stage)
}

// beside notes versions of the same name that stay in the stage: a canary is
// meant, or --replaces was forgotten.
func (p *planned) beside() []string {
	var stay []string
	for _, in := range p.in {
		if in.Ref.Name == p.account.Ref.Name && in.Ref != p.account.Ref && !slices.Contains(p.st.Release.Replaces, in.Ref) {
			stay = append(stay, in.Ref.String())
		}
	}
	if len(stay) == 0 {
		return nil
	}
	return []string{fmt.Sprintf("%s stays in %s beside it; --replaces takes it out", terminal.Some(stay, 4), p.st.Release.Stage)}
}

func sameRefs(a, b []statement.Ref) bool {
	if len(a) != len(b) {
		return false
	}
	for _, ref := range a {
		if !slices.Contains(b, ref) {
			return false
		}
	}
	return true
}
