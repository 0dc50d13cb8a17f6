package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
)

// traceOrder is one call of `stele trace`.
type traceOrder struct {
	wanted
	up, down bool // neither: both
	depth    int  // generations; 0: all that are walked, of which a person sees the nearest
	at       string
	all, dot bool
	flags    scanFlags
}

func (a *app) traceCommand() *cobra.Command {
	var o traceOrder
	c := &cobra.Command{
		Use:   "trace NAME[@VERSION]|FINGERPRINT|ENTRY|RUN|PATH|URL",
		Short: "Show what an artifact was made of, and what was made of it",
		Long: `Shows the lineage of an artifact in both directions: each artifact with its
kind, who stamped it and when, whether it is withdrawn, and whether it is
tainted: made of contents that are withdrawn. NAME alone is its last version. Of
a run's id its first 8 digits will do. A file, a folder or a bucket (./ forces a
path) is read and looked up by its fingerprint.

What an entry claims about somebody else's artifact is shown and not followed.
An artifact of which nothing is recorded has "no recorded origin": that is
unknown, and not clean.

A large lineage is folded: withdrawn and tainted artifacts are shown first, and
what is left out is counted. --all shows everything.`,
		Example: `  stele trace fraud/model@4
  stele trace ./model.safetensors --up
  stele trace clinic/wdbc@2026-11-01 --down
  stele trace fraud/model@4 --at 02:47
  stele trace fraud/model@4 --dot | dot -Tsvg > lineage.svg`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) (err error) {
			if o.wanted, err = parseWanted(args[0]); err != nil {
				return err
			}
			switch {
			case o.depth < 0, o.depth == 0 && c.Flags().Changed("depth"):
				return usagef("--depth %d: give 1 generation or more", o.depth)
			case o.dot && a.json:
				return usagef("--dot and --json are two forms: choose one")
			case !o.up && !o.down:
				o.up, o.down = true, true
			}
			return a.trace(c.Context(), &o)
		},
	}
	c.Flags().BoolVar(&o.up, "up", false, "only what it was made of")
	c.Flags().BoolVar(&o.down, "down", false, "only what was made of it")
	c.Flags().IntVar(&o.depth, "depth", 0, "at most so many `generations` in each direction")
	c.Flags().StringVar(&o.at, "at", "", "as was known at this `time`, or after this entry")
	c.Flags().BoolVar(&o.all, "all", false, "fold nothing")
	c.Flags().BoolVar(&o.dot, "dot", false, "print a graph for Graphviz")
	o.flags.register(c, false)
	return c
}

func (a *app) trace(ctx context.Context, o *traceOrder) error {
	dir, err := a.findLedger()
	if err != nil {
		return err
	}
	var named *lookedUp
	if o.by == byPlace {
		d, err := a.openData(ctx, "read", o.arg, &o.flags)
		if err != nil {
			return err
		}
		named, err = a.lookUpPlace(ctx, dir, d, o.at)
		if err = d.end(err); err != nil {
			return a.then(err, o.at)
		}
		named.arg = o.arg
	}
	var t *jsonv1.Trace
	err = a.readAt(ctx, dir, func(now *reading) error {
		r, err := a.asOf(now, "--at", o.at)
		if err != nil {
			return err
		}
		if named == nil {
			if named, err = r.lookUp(o.wanted); err != nil {
				return a.then(err, o.at)
			}
		}
		if o.by == byPlace && len(named.bindings) > 0 { // of several: the same bytes, which such a withdrawal is of
			ref := named.bindings[0].Ref()
			a.warnOfPlaces(ref, r.withdrawnPlaces(ref), o.arg)
		}
		if t, err = r.trace(named, o); err == nil {
			err = now.proveAll(t)
		}
		if err == nil && o.at != "" {
			err = now.since(t)
		}
		return err
	})
	if err != nil {
		return err
	}
	switch {
	case a.json:
		a.printJSON(t)
	case o.dot:
		return a.printDot(t)
	default:
		a.printTrace(t, named, o)
	}
	return nil
}

// then says of what was not found that it was looked for in the past.
func (a *app) then(err error, at string) error {
	var f *failure
	if at != "" && errors.As(err, &f) && f.status == exitNotFound {
		f.message += fmt.Sprintf(" as of %s", at)
	}
	return err
}
