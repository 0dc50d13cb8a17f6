package main

import (
	"context"
	"slices"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/stage"
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
		q := stage.Question{Now: now.Book, Then: then.Book, Asked: o.at, Whole: a.json, One: o.stage != ""}
		list, err = q.Status(stages)
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
