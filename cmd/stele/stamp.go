package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// Whatever a scan accepts, a stamp can bind: not told after hours of reading.
var _ = [1]struct{}{}[scan.MaxRules-statement.MaxIgnoreRules]

// stampOrder is one call of `stele stamp`.
type stampOrder struct {
	path          string
	as            string
	name, version string
	kind          string
	from          []string
	since         string
	annotations   []string
	dryRun, yes   bool
	all           bool
	noDetails     bool
	unchangedBy   string // metadata, version, or empty: read everything
	manifest      string // of data that was read elsewhere
	manifestTo    string
	collection    collectionOrder
	flags         scanFlags
}

func (a *app) stampCommand() *cobra.Command {
	var o stampOrder
	c := &cobra.Command{
		Use:   "stamp [PATH|URL] --as NAME@VERSION",
		Short: "Put data on the ledger under a name, once and for ever",
		Long: `Reads every byte below PATH, signs a statement that these bytes are
NAME@VERSION, and puts it on the ledger. The data stays where it is, on a disk
or in a bucket (s3://, gs://, azblob://). A name is bound once and for ever:
other bytes under it are refused.

With --unchanged-by metadata, files whose version or ETag (on a disk: size,
times, inode) are the same as when the earlier version was stamped are not read
again; the stamp says how much that is, and by what.

With --member, or --since with --add and --remove, no PATH is given and nothing
is read: what is on the ledger already is stamped together as a collection,
each member under its own prefix.`,
		Example: `  stele stamp training --as clinic/wdbc@2026-11-01
  stele stamp net.safetensors --as clinic/net@1.0 --kind model \
      --from clinic/wdbc@2026-11-01
  stele stamp s3://lab/events --as lab/events@2026-11-02 \
      --since lab/events@2026-11-01 --unchanged-by metadata
  stele stamp --as lab/events@2026-11 --member 01=lab/events@2026-11-01 \
      --member 02=lab/events@2026-11-02`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			switch collects := o.collection.given(); {
			case len(args) == 0 && !collects:
				return usagef("stamp needs a PATH, or --member for a collection").withHint("usage: " + c.UseLine())
			case collects:
				if err := o.collection.check(&o, len(args) > 0); err != nil {
					return err
				}
			default:
				o.path = args[0]
			}
			if o.as == "" {
				return usagef("stamp needs --as NAME@VERSION").withHint("for example --as clinic/wdbc@2026-11-01")
			}
			var err error
			if o.name, o.version, err = statement.ParseNameVersion(o.as); err != nil {
				return usagef("--as: %v", err)
			}
			if o.collection.given() {
				return a.stampCollection(c.Context(), &o)
			}
			if err := o.check(); err != nil {
				return err
			}
			d, err := a.openData(c.Context(), "read", o.path, &o.flags) // before a ledger is made for it
			if err != nil {
				return err
			}
			return d.end(a.stamp(c.Context(), d, &o))
		},
	}
	f := c.Flags()
	f.StringVar(&o.as, "as", "", "the `name@version` to bind; required")
	f.StringVar(&o.kind, "kind", statement.ArtifactDataset, "dataset, model, code or other")
	f.StringArrayVar(&o.from, "from", nil, "`name@version` this was derived from: carries taint (repeatable)")
	f.StringVar(&o.since, "since", "", "`name@version` this is a later version of: carries no taint")
	f.StringArrayVar(&o.annotations, "annotation", nil, "`key=value`, public and for ever (repeatable)")
	f.BoolVarP(&o.dryRun, "dry-run", "n", false, "say what would be stamped; write nothing")
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask")
	f.BoolVar(&o.all, "all", false, "show every change since the last version")
	f.BoolVar(&o.noDetails, "no-details", false, "keep no details document (location, host)")
	f.StringVar(&o.unchangedBy, "unchanged-by", "", "take over files whose `metadata` is unchanged since the earlier version; \"version\": by object versions alone")
	f.StringVar(&o.manifest, "manifest", "", "stamp what this `manifest` of the data says, a path or a URL; only names and sizes are compared")
	f.StringVar(&o.manifestTo, "manifest-to", "", manifestToUsage)
	o.collection.register(c)
	o.flags.register(c, true)
	return c
}

// check refuses what cannot go together, before anything is opened.
func (o *stampOrder) check() error {
	if o.unchangedBy != "" {
		if err := oneOf("--unchanged-by", o.unchangedBy, "metadata", "version"); err != nil {
			return err
		}
	}
	if o.manifest != "" && (o.unchangedBy != "" || o.flags.plain || o.flags.maxRead > 0) {
		return usagef("--manifest: nothing is read, so there is no --unchanged-by, --sha256 or --max-read with it")
	}
	return oneOf("--kind", o.kind, artifactKinds...)
}

func (a *app) stamp(ctx context.Context, d *data, o *stampOrder) error {
	annotations, err := parseAnnotations(o.annotations)
	if err != nil {
		return err
	}
	target, err := d.manifestTarget(o.manifestTo)
	if err != nil {
		return err
	}
	dir, err := a.findLedger()
	if errors.Is(err, errNoLedger) && a.term.CanAsk() && !o.dryRun {
		if dir, err = a.initHere(ctx); err != nil {
			return err
		}
	} else if errors.Is(err, errNoLedger) {
		return failf(exitNotFound, "%w", err).withHint("`stele init` makes one here; without a terminal, stamp does not")
	}
	if err != nil {
		return err
	}
	signer, closeSigner, err := a.signer(ctx)
	if err != nil {
		return err
	}
	defer closeSigner()

	plan, err := a.planStamp(ctx, dir, o, authorOf(signer))
	if err != nil {
		return err
	}
	s := &stamping{order: o, plan: plan, dir: dir, data: d, target: target}
	defer s.close()
	if err := a.readForStamp(ctx, s); err != nil {
		return err
	}
	a.noteHidden(s.result)
	a.warnModel(s.model)
	if s.result.Summary.Files == 0 {
		return failf(exitError, "%s holds no files to stamp", o.path).withPath(o.path).withHint("empty folders do not count; `stele fingerprint` shows what ignore rules left out")
	}
	if plan.bound != nil {
		return a.alreadyBound(s)
	}
	if err := a.tellRenamed(ctx, s); err != nil {
		return err
	}
	if s.diff != nil && !a.json && !a.quiet {
		a.printDiff(s.diff, o.all)
	}
	st := s.statement(annotations)
	if o.dryRun || !o.yes && a.term.CanAsk() && !a.json {
		if err := a.tryStamp(ctx, dir, st, signer); err != nil {
			return err
		}
	}
	if o.dryRun {
		return a.printStamp(stampReceipt{st: st, plan: plan, diff: s.diff, model: s.model, resumed: s.result.Basis.Resumed, elsewhere: o.manifest != "", dry: true})
	}
	if s.diff != nil && !s.diff.Same && !o.yes && a.term.CanAsk() && !a.json {
		ok, err := a.term.Confirm(ctx, fmt.Sprintf("stamp this as %s?", o.as), true)
		if err != nil {
			return err
		}
		if !ok {
			return failf(exitError, "not stamped")
		}
	}
	if err := a.keepForStamp(ctx, s, st.Stamp); err != nil {
		return err
	}
	proof, err := a.submit(ctx, dir, signer, func(*reading) (*statement.Statement, error) { return st, nil })
	if err != nil {
		return err
	}
	s.stamped(a, proof)
	return a.printStamp(stampReceipt{
		st: st, plan: plan, proof: proof, diff: s.diff, model: s.model, resumed: s.result.Basis.Resumed,
		elsewhere: o.manifest != "", manifest: target.text(s.result.Fingerprint),
	})
}

// alreadyBound ends a stamp of a name that is taken: with the first receipt
// where the bytes are the same, else refused, showing what differs.
func (a *app) alreadyBound(s *stamping) error {
	o, p, result, diff := s.order, s.plan, s.result, s.diff
	b := p.bound
	if b.Fingerprint == result.Fingerprint {
		proof := &solo.Proof{Receipt: ledger.Receipt{Index: b.Entry, Time: b.time, Existed: true}, Checkpoint: b.checkpoint}
		st := &statement.Statement{Kind: statement.KindStamp, Subject: []statement.Subject{b.Ref().Subject()}, Stamp: b.stamp}
		plan := *p
		plan.signer = b.signer
		if err := a.printStamp(stampReceipt{st: st, plan: &plan, proof: proof, model: s.model}); err != nil || b.standing == "good" {
			return err
		}
		// Not silently 0: nobody is to take this for a good stamp.
		a.term.Warnf("this stamp does not stand: %s (%s); `stele show %s` says more", b.standing, b.why, o.as)
		return verdictError{exitOf(b.standing)}
	}
	if diff != nil && !a.json {
		a.printDiff(diff, o.all)
	}
	f := failf(exitRefused, "%s is %s since entry %d, once and for ever; these bytes are %s",
		o.as, terminal.Digest(b.Fingerprint.String()), b.Entry, terminal.Digest(result.Fingerprint.String()))
	f.rule = string(ledger.RuleNameBound)
	return f.withEntry(b.Entry).withPath(o.path).withHint("if the change is meant, stamp it as a new version; if it is not, `stele verify` names each change")
}

func parseAnnotations(list []string) (map[string]string, error) {
	return parsePairs("--annotation", list)
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
