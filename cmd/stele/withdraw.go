package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

func (a *app) withdrawCommand() *cobra.Command {
	o := withdrawOrder{}
	w := &o.withdrawal
	c := &cobra.Command{
		Use:   "withdraw NAME@VERSION --reason TEXT",
		Short: "Take an artifact back; the log keeps both entries",
		Long: `What is withdrawn:
  contents   these bytes, under whatever name, and what was derived from them
  binding    this name was a mistake; the bytes are not in question
  location   that place no longer holds these bytes
How far it goes:
  advise       a word to whoever looks
  no-new-use   nothing new may be made of it
  stop         what uses it should stop

The stamper or an administrator may withdraw. The reason is public and for
ever: put no personal data in it.

--dry-run lists what it would reach: all that was made of the contents, under
whatever name, the nearest first, and where any of it is released now; then what
the contracts in force say of it. On a terminal this is shown in short before
anything is signed, and asked about.`,
		Example: `  stele withdraw clinic/wdbc@2026-11-01 --dry-run
  stele withdraw clinic/wdbc@2026-11-01 --reason 'labels in doubt'`,
		Args: cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			var err error
			if o.name, o.version, err = statement.ParseNameVersion(args[0]); err != nil {
				return usagef("%v", err)
			}
			if w.Reason == "" && !o.dryRun {
				return usagef("withdraw needs --reason")
			}
			if err := checkReason(w.Reason); err != nil {
				return err
			}
			if err := oneOf("--target", w.Target, statement.TargetContents, statement.TargetBinding, statement.TargetLocation); err != nil {
				return err
			}
			if err := oneOf("--effect", w.Effect, statement.EffectAdvise, statement.EffectNoNewUse, statement.EffectStop); err != nil {
				return err
			}
			if (w.Target == statement.TargetLocation) != (w.Location != "") {
				return usagef("--location goes with --target location, and only with it")
			}
			if o.dryRun {
				return a.wouldWithdraw(c.Context(), &o)
			}
			return a.withdraw(c.Context(), &o)
		},
	}
	c.Flags().StringVar(&w.Target, "target", statement.TargetContents, "contents, binding or location")
	c.Flags().StringVar(&w.Location, "location", "", "the `place` that no longer matches")
	c.Flags().StringVar(&w.Effect, "effect", statement.EffectNoNewUse, "advise, no-new-use or stop")
	c.Flags().StringVar(&w.Reason, "reason", "", "one line, public and for ever; required")
	registerAfter(c, &o.after)
	c.Flags().BoolVarP(&o.dryRun, "dry-run", "n", false, "list what it would reach, and what contracts say of it; write nothing")
	c.Flags().BoolVar(&o.all, "all", false, "with --dry-run: list all of it, however much")
	c.Flags().BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	return c
}

func (a *app) reinstateCommand() *cobra.Command {
	var reason string
	var entry int64
	c := &cobra.Command{
		Use:   "reinstate NAME@VERSION --reason TEXT",
		Short: "End a withdrawal",
		Long: `Ends the withdrawal of an artifact. Who withdrew it, or an administrator, may.
What was made of it is then tainted no longer, unless something else taints
it.`,
		Example: "  stele reinstate clinic/wdbc@2026-11-01 --reason 'labels checked'",
		Args:    cobra.ExactArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			name, version, err := statement.ParseNameVersion(args[0])
			if err != nil {
				return usagef("%v", err)
			}
			if reason == "" {
				return usagef("reinstate needs --reason")
			}
			return a.write(c.Context(), func(r *reading) (*statement.Statement, error) {
				ref, after, err := r.lastOn(name, version)
				if err != nil {
					return nil, err
				}
				ends, err := r.standingWithdrawal(ref, entry)
				if err != nil {
					return nil, err
				}
				return &statement.Statement{Kind: statement.KindReinstatement, Subject: []statement.Subject{ends.ref.Subject()},
					Reinstatement: &statement.Reinstatement{Withdrawal: ends.entry, Reason: reason, After: after}}, nil
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "one line, public and for ever; required")
	takesEntry(c, &entry, "entry", "the withdrawal's `entry`, where there are several")
	return c
}

// lastOn finds an artifact and the last entry about it: what its author saw.
func (r *reading) lastOn(name, version string) (statement.Ref, uint64, error) {
	b, err := r.binding(name, version)
	if err != nil {
		return statement.Ref{}, 0, err
	}
	after, ok, err := r.LastOn(b.Fingerprint)
	if err == nil && !ok {
		err = fmt.Errorf("no entry is about %s", b.Fingerprint)
	}
	return b.Ref(), after, err
}

type endedWithdrawal struct {
	entry uint64
	ref   statement.Ref
}

// standingWithdrawal finds the withdrawal to end: the only one that stands, or
// the one that was named.
func (r *reading) standingWithdrawal(ref statement.Ref, entry int64) (endedWithdrawal, error) {
	var found []endedWithdrawal
	for _, w := range r.Control.Withdrawals(ref) {
		if w.Stands() && (entry < 0 || w.Entry == uint64(entry)) {
			found = append(found, endedWithdrawal{w.Entry, w.Ref})
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) == 0 && entry >= 0:
		return endedWithdrawal{}, failf(exitNotFound, "entry %d is no withdrawal of %s that stands", entry, ref)
	case len(found) == 0:
		return endedWithdrawal{}, failf(exitNotFound, "%s is not withdrawn", ref)
	}
	var entries []string
	for _, w := range found {
		entries = append(entries, strconv.FormatUint(w.entry, 10))
	}
	return endedWithdrawal{}, usagef("%s was withdrawn %d times, by the entries %s", ref, len(found), strings.Join(entries, ", ")).
		withHint("choose one with --entry; `stele show " + ref.String() + "` lists them")
}

// printWritten prints the receipt of a statement.
func (a *app) printWritten(p *solo.Proof, kind statement.Kind, what, origin string, signer jsonv1.Signer) error {
	written, err := writtenJSON(p, kind, origin, signer)
	if err != nil {
		return err
	}
	if a.json {
		a.printJSON(written)
		return nil
	}
	if a.quiet {
		return nil
	}
	a.term.Printf("%s: %s\n", map[statement.Kind]string{
		statement.KindWithdrawal: "withdrawn", statement.KindReinstatement: "reinstated", statement.KindIdentity: "written", statement.KindLogKey: "the log's key is now",
	}[kind], a.term.Style(terminal.Good, what))
	a.term.KeyValues(receiptPairs(a, written))
	return nil
}
