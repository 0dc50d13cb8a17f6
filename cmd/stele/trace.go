package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/internal/trace"
	"github.com/stele-ml/stele/statement"
)

// traceOrder is one call of `stele trace`.
type traceOrder struct {
	wanted
	trace.Reach // neither up nor down: both
	at          string
	dot         bool
	flags       scanFlags
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
			case o.Depth < 0, o.Depth == 0 && c.Flags().Changed("depth"):
				return usagef("--depth %d: give 1 generation or more", o.Depth)
			case o.dot && a.json:
				return usagef("--dot and --json are two forms: choose one")
			case !o.Up && !o.Down:
				o.Up, o.Down = true, true
			}
			return a.trace(c.Context(), &o)
		},
	}
	c.Flags().BoolVar(&o.Up, "up", false, "only what it was made of")
	c.Flags().BoolVar(&o.Down, "down", false, "only what was made of it")
	c.Flags().IntVar(&o.Depth, "depth", 0, "at most so many `generations` in each direction")
	c.Flags().StringVar(&o.at, "at", "", "as was known at this `time`, or after this entry")
	c.Flags().BoolVar(&o.All, "all", false, "fold nothing")
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
			a.warnOfPlaces(ref, r.WithdrawnPlaces(ref), o.arg)
		}
		if t, err = r.trace(named, o.Reach); err == nil {
			err = now.Prove(trace.Entries(t))
		}
		if err == nil && o.at != "" {
			err = trace.Since(now.Book, t)
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
		_, err := io.WriteString(a.stdout, trace.Dot(t, a.timeOf))
		return err
	default:
		a.noteNamed(t, named)
		trace.Print(a.term, t, o.Reach)
	}
	return nil
}

// trace walks from what was named.
func (r *reading) trace(named *lookedUp, reach trace.Reach) (*jsonv1.Trace, error) {
	from := trace.Start{Run: named.run}
	for _, b := range named.bindings {
		from.Artifacts = append(from.Artifacts, b.Ref())
	}
	t, err := trace.Of(r.Book, from, reach)
	if err != nil {
		return nil, err
	}
	t.Asked, t.By = named.arg, named.by
	if named.on != nil {
		t.Entry = &named.on.index
	}
	if d := named.data; d != nil {
		t.Found, t.Rules, t.StampedAs = d.fp.String(), d.rules, d.stampedAs
	}
	return t, nil
}

// noteNamed says what the argument was taken for, where that is not plain.
func (a *app) noteNamed(t *jsonv1.Trace, named *lookedUp) {
	switch {
	case named.by == byName:
		a.term.Notef("%s is the latest version of %s", t.Roots[0], named.arg)
	case named.by == byPlace && len(t.Roots) > 0:
		a.term.Notef("%s is %s", named.arg, strings.Join(t.Roots[:min(len(t.Roots), 2)], " and ")+more(len(t.Roots)-2))
	case named.by == byFingerprint && len(t.Roots) > 1:
		a.term.Notef("these bytes have %d names", len(t.Roots))
	case named.run != nil && len(t.Roots) > 0:
		what, made := t.Roots[0], "made"
		if len(t.Roots) > 1 {
			what = terminal.Plural(uint64(len(t.Roots)), "artifact")
		}
		if slices.ContainsFunc(named.run.Statement.Run.Outputs, func(o statement.Output) bool { return o.Stamp == nil }) {
			made = "says that it made" // stamped before, by whomever
		}
		a.term.Notef("run %s %s %s", t.Runs[0].Run, made, what)
	case named.on != nil && len(t.Roots) > 0:
		a.term.Notef("entry %d, of kind %s, is about %s", named.on.index, named.on.kind, t.Roots[0])
	}
}

func more(n int) string {
	if n <= 0 {
		return ""
	}
	return fmt.Sprintf(" and %d more", n)
}

// then says of what was not found that it was looked for in the past.
func (a *app) then(err error, at string) error {
	var f *failure
	if at != "" && errors.As(err, &f) && f.status == exitNotFound {
		f.message += fmt.Sprintf(" as of %s", at)
	}
	return err
}
