package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/trace"
	"github.com/stele-ml/stele/statement"
)

// statusOrder is one call of `stele status`.
type statusOrder struct {
	stage, at string
	moment    int64 // Unix ms of --at where that is a time, else 0
}

func (a *app) statusCommand() *cobra.Command {
	var o statusOrder
	c := &cobra.Command{
		Use:   "status",
		Short: "Show what is released to each stage, since when, and by whom",
		Long: `Shows what is in production, or another stage: since when, released by whom,
what it replaced, who approved it, whether it is withdrawn or tainted.

--at shows what was there at a time, or after an entry, and what was known
then. If something is known now that was not then (it was withdrawn, or what
it was made of; a key was compromised), a line of its own says so.

Ends with 0 where all of it holds; with 6 where the key that released or
stamped something has no standing for it; with 4 where something is withdrawn
or tainted, then or since; with 5 where there is no such stage.`,
		Example: `  stele status
  stele status --stage production
  stele status --stage production --at 02:47
  stele status --stage production --at 2026-11-22T02:47+01:00
  stele status --stage production --at 1290   # after that entry`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if o.stage != "" {
				if err := statement.CheckStage(o.stage); err != nil {
					return usagef("--stage: %v", err)
				}
			}
			if o.at != "" && !isEntry(o.at) {
				var err error
				if o.moment, err = a.when("--at", o.at); err != nil {
					return err
				}
			}
			return a.status(c.Context(), &o)
		},
	}
	c.Flags().StringVar(&o.stage, "stage", "", "only this `stage`")
	c.Flags().StringVar(&o.at, "at", "", "as it was at this `time`, or after this entry")
	return c
}

func (a *app) status(ctx context.Context, o *statusOrder) error {
	var list []jsonv1.Status
	err := a.read(ctx, func(now *reading) error {
		then, err := a.asOf(now, "--at", o.at)
		if err != nil {
			return err
		}
		stages := []string{o.stage}
		if o.stage == "" {
			if stages, err = now.stages(); err != nil {
				return err
			}
		} else if err := now.knownStage(o.stage); err != nil {
			return err
		}
		list, err = a.statusOf(now, then, stages, o)
		return err
	})
	if err != nil {
		return err
	}
	if a.json {
		for i := range list {
			a.printJSON(&list[i])
		}
	} else {
		a.printStatus(o, list)
	}
	if status := statusExit(list); status != exitHolds {
		return verdictError{status}
	}
	return nil
}

// stages are all that there ever were.
func (r *reading) stages() (list []string, err error) {
	for s, err := range r.Stages() {
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return list, nil
}

// knownStage says of a stage that there never was what others there are.
func (r *reading) knownStage(stage string) error {
	stages, err := r.stages()
	if err != nil || slices.Contains(stages, stage) {
		return err
	}
	f := failf(exitNotFound, "there is no stage %s: nothing was ever released to it", stage)
	if len(stages) == 0 {
		return f.withHint("`stele release` puts something into a stage")
	}
	return f.withHint(account.StagesText(stage, stages))
}

// memberOf is what is known of an artifact in a stage.
func memberOf(now, then *reading, stage string, p account.Placed, o *statusOrder) (m jsonv1.StageMember, err error) {
	b, err := then.binding(p.Ref.Name, p.Ref.Version)
	if err != nil {
		return m, err
	}
	c, err := then.Of(b)
	if err != nil {
		return m, err
	}
	releaser := then.Standing(p.Release)
	m = jsonv1.StageMember{
		Name: c.Ref.Name, Version: c.Ref.Version, Fingerprint: c.Ref.Fingerprint.String(), Kind: c.Stamp.Kind, Files: c.Stamp.Files, Bytes: c.Stamp.Bytes,
		Entry: c.Artifact.Entry, Stamped: jsonv1.At(c.Time), Signer: then.SignerAt(c.Artifact.Entry, c.Handle, c.Signer),
		Release: p.Entry, Since: jsonv1.At(p.Release.Time), ReleasedBy: then.Signer(p.Release), Releaser: releaser.State, Reason: p.Statement.Release.Reason,
		Approvals: then.DecisionsJSON(c.Decisions, stage), Standing: c.Standing(), Fallen: account.FallenJSON(c.Judged),
		Withdrawn: account.WithdrawalsJSON(c.Judged), Taint: account.TaintJSON(c.Judged.Taint),
		Origin: account.OriginWord(c.Origins),
	}
	if len(p.Statement.Release.Replaces) > 0 {
		m.Replaced = account.Names(p.Statement.Release.Replaces)
	}
	if !releaser.OK {
		m.Why = append(m.Why, "who released it had no standing for it: "+releaser.Detail)
	}
	m.Why = append(m.Why, account.FallLines(c.Judged)...)
	if o.at == "" {
		return m, nil
	}
	m.Now, err = now.sinceThen(&m, p, stage, then)
	return m, err
}

// sinceThen is what became of an artifact in a stage after the moment that was
// asked for.
func (now *reading) sinceThen(m *jsonv1.StageMember, p account.Placed, stage string, then *reading) (*jsonv1.StageNow, error) {
	out := &jsonv1.StageNow{InStage: true}
	for c, err := range now.StageHistory(stage, p.Ref.Name) {
		if err != nil {
			return nil, err
		}
		if c.Entry < then.Size() || c.Ref != p.Ref || c.Action != statement.ActionLeave {
			continue
		}
		e, st, err := now.Statement(c.Entry)
		if err != nil {
			return nil, err
		}
		out.InStage = false
		out.Left = &jsonv1.StageLeft{Entry: e.Index, Time: jsonv1.At(e.Time), Signer: now.Signer(e)}
		if by := st.Subject[0].Name; by != p.Ref.String() {
			out.Left.ReplacedBy = by
		}
		break
	}
	b, err := now.binding(p.Ref.Name, p.Ref.Version)
	if err != nil {
		return nil, err
	}
	c, err := now.Of(b)
	if err != nil {
		return nil, err
	}
	var releaser []string
	out.Releaser, releaser = now.releaserNow(p, m.Releaser)
	out.Standing = c.Standing()
	out.Since = append(trace.Changed(&jsonv1.TraceNode{Fallen: m.Fallen, Withdrawn: m.Withdrawn, Taint: m.Taint}, c.Judged), releaser...)
	return out, nil
}

// statusExit is how a status ends: the worst of what is in the stages, as known
// then and now.
func statusExit(list []jsonv1.Status) int {
	worst := exitHolds
	take := func(standing string) { worst = max(worst, exitOf(standing)) } // which are in the order of their weight
	for _, s := range list {
		for _, m := range s.Artifacts {
			take(m.Standing)
			if m.Releaser != standingGood {
				worst = exitUntrusted
			}
			if m.Now == nil {
				continue
			}
			take(m.Now.Standing)
			if m.Now.Releaser != standingGood {
				worst = exitUntrusted
			}
		}
	}
	return worst
}
