package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/fingerprint"
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
	collection    collectionOrder
	flags         scanFlags
}

func (a *app) stampCommand() *cobra.Command {
	var o stampOrder
	c := &cobra.Command{
		Use:   "stamp [PATH] --as NAME@VERSION",
		Short: "Put data on the ledger under a name, once and for ever",
		Long: `Reads every byte below PATH, signs a statement that these bytes are
NAME@VERSION, and puts it on the ledger. The data stays where it is. A name is
bound once and for ever: other bytes under it are refused.

With --member, or --since with --add and --remove, no PATH is given and nothing
is read: what is on the ledger already is stamped together as a collection,
each member under its own prefix.`,
		Example: `  stele stamp training --as clinic/wdbc@2026-11-01
  stele stamp net.safetensors --as clinic/net@1.0 --kind model \
      --from clinic/wdbc@2026-11-01
  stele stamp --as lab/events@2026-11 --member date=2026-11-01=lab/day@2026-11-01 \
      --member date=2026-11-02=lab/day@2026-11-02`,
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
			return a.stamp(c.Context(), &o)
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
	o.collection.register(c)
	o.flags.register(c, true)
	return c
}

func (a *app) stamp(ctx context.Context, o *stampOrder) error {
	annotations, err := parseAnnotations(o.annotations)
	if err != nil {
		return err
	}
	if err := oneOf("--kind", o.kind, artifactKinds...); err != nil {
		return err
	}
	if err := exists(o.path); err != nil { // before a ledger is made for it
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

	plan, err := a.planStamp(ctx, dir, o, signer.PublicKey())
	if err != nil {
		return err
	}
	manifest, err := solo.OpenShelf(dir).NewManifest()
	if errors.Is(err, fs.ErrPermission) {
		return failf(exitError, "keep the manifest: %w", err).withPath(dir).withHint("the ledger's folder may only be read here; nothing was stamped")
	}
	if err != nil {
		return fmt.Errorf("keep the manifest: %w", err)
	}
	defer manifest.Discard()
	result, diff, err := a.readForStamp(ctx, dir, o, plan, manifest)
	if err != nil {
		return err
	}
	a.noteHidden(result)
	if result.Summary.Files == 0 {
		return failf(exitError, "%s holds no files to stamp", o.path).withPath(o.path).withHint("empty folders do not count; `stele fingerprint` shows what ignore rules left out")
	}
	if plan.bound != nil {
		return a.alreadyBound(o, plan, result, diff)
	}
	if diff != nil && !a.json && !a.quiet {
		a.printDiff(diff)
	}
	st := plan.statement(o, result, annotations)
	if o.dryRun {
		return a.printStamp(st, result, nil, plan.signer, plan.origin, diff, true)
	}
	if diff != nil && !diff.Same && !o.yes && a.term.CanAsk() && !a.json {
		ok, err := a.term.Confirm(ctx, fmt.Sprintf("stamp this as %s?", o.as), true)
		if err != nil {
			return err
		}
		if !ok {
			return failf(exitError, "not stamped")
		}
	}
	if o.flags.plain || !kept(dir, result.Fingerprint) {
		if err := manifest.Keep(result.Fingerprint); err != nil {
			return fmt.Errorf("keep the manifest: %w", err)
		}
	}
	if !o.noDetails {
		if st.Stamp.Details, err = a.keepDetails(dir, o.path, result.Fingerprint); err != nil {
			return err
		}
	}
	proof, err := a.submit(ctx, dir, signer, func(*reading) (*statement.Statement, error) { return st, nil })
	if err != nil {
		return err
	}
	return a.printStamp(st, result, proof, plan.signer, plan.origin, diff, false)
}

// kept reports whether a whole manifest of these files is with the ledger. It
// may have plain digests, which a new one without must not take away.
func kept(dir string, fp fingerprint.Fingerprint) bool {
	m, err := checkedManifest(solo.OpenShelf(dir).ManifestPath(fp), fp)
	if err != nil {
		return false
	}
	m.Close()
	return true
}

// readForStamp reads the data once: into the fingerprint, into the manifest,
// and against the manifest of the version to compare with, where it is here.
func (a *app) readForStamp(ctx context.Context, dir string, o *stampOrder, p *stampPlan, manifest io.Writer) (result scan.Result, diff *jsonv1.Diff, err error) {
	w := fingerprint.NewWriter(manifest, p.algorithm, fingerprint.WriterOptions{PlainSHA256: o.flags.plain})
	files := func(yield func(fingerprint.File, error) bool) {
		for f, err := range a.scanning(ctx, o.path, o.flags.options(p.algorithm), &result) {
			if err == nil {
				err = w.Add(f)
			}
			if !yield(f, err) || err != nil {
				return
			}
		}
	}
	if old := a.earlier(dir, p); old != nil {
		defer old.Close()
		if diff, err = compare(old.name, "now", old.All(), files, o.all); err != nil {
			return result, nil, err
		}
	} else {
		for _, err := range files {
			if err != nil {
				return result, nil, err
			}
		}
	}
	_, err = w.Close()
	return result, diff, err
}

// earlier opens the manifest to compare with: of the name where it is taken,
// else of the name's last version; nil where it is not here. A damaged one is
// told and left aside: a stamp does not rest on it.
func (a *app) earlier(dir string, p *stampPlan) *manifestFile {
	var b ledger.Binding
	switch {
	case p.bound != nil:
		b = p.bound.Binding
	case p.last != nil:
		b = *p.last
	default:
		return nil
	}
	m, err := checkedManifest(solo.OpenShelf(dir).ManifestPath(b.Fingerprint), b.Fingerprint)
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			a.term.Warnf("no comparison with %s: %v", b.Ref(), err)
		}
		return nil
	}
	m.name = b.Ref().String()
	return m
}

// alreadyBound ends a stamp of a name that is taken: with the first receipt
// where the bytes are the same, else refused, showing what differs.
func (a *app) alreadyBound(o *stampOrder, p *stampPlan, result scan.Result, diff *jsonv1.Diff) error {
	b := p.bound
	if b.Fingerprint == result.Fingerprint {
		proof := &solo.Proof{Receipt: ledger.Receipt{Index: b.Entry, Time: b.time, Existed: true}, Checkpoint: b.checkpoint}
		st := &statement.Statement{Kind: statement.KindStamp, Subject: []statement.Subject{b.Ref().Subject()}, Stamp: b.stamp}
		if err := a.printStamp(st, result, proof, b.signer, p.origin, nil, false); err != nil || b.standing == "good" {
			return err
		}
		// Not silently 0: nobody is to take this for a good stamp.
		a.term.Warnf("this stamp does not stand: %s; `stele show %s` says why", b.standing, o.as)
		if b.standing == "withdrawn" {
			return verdictError{exitRefused}
		}
		return verdictError{exitUntrusted}
	}
	if diff != nil && !a.json {
		a.printDiff(diff)
	}
	f := failf(exitRefused, "%s is %s since entry %d, once and for ever; these bytes are %s",
		o.as, terminal.Digest(b.Fingerprint.String()), b.Entry, terminal.Digest(result.Fingerprint.String()))
	f.rule = string(ledger.RuleNameBound)
	return f.withEntry(b.Entry).withPath(o.path).withHint("if the change is meant, stamp it as a new version; if it is not, `stele verify` names each change")
}

// keepDetails writes the details document: where the data lies and on which
// host. It is salted and can be erased; the statement signs only its digest.
func (a *app) keepDetails(dir, path string, fp fingerprint.Fingerprint) (*statement.Attachment, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	host, _ := os.Hostname() // may be unknown
	d, err := newDetails([]string{abs}, host)
	if err != nil {
		return nil, err
	}
	data, err := d.Marshal()
	if err != nil {
		return nil, fmt.Errorf("details: %w", err)
	}
	attachment, err := solo.OpenShelf(dir).Put(data)
	if err != nil {
		return nil, fmt.Errorf("keep the details: %w", err)
	}
	return &attachment, nil
}

func (a *app) printStamp(st *statement.Statement, result scan.Result, proof *solo.Proof, signer jsonv1.Signer, origin string, diff *jsonv1.Diff, dry bool) error {
	s := st.Stamp
	ref, err := st.Ref()
	if err != nil {
		return err
	}
	out := jsonv1.Stamp{
		Fingerprint: ref.Fingerprint.String(), Name: ref.Name, Version: ref.Version, Kind: s.Kind, Files: s.Files, Bytes: s.Bytes,
		Basis: basisJSON(s.Basis), Signer: signer, Origin: origin, DryRun: dry, Since: diff, Members: membersJSON(s.Members),
	}
	if proof != nil {
		out.Entry, out.Time, out.Existed = &proof.Receipt.Index, jsonv1.At(proof.Receipt.Time), proof.Receipt.Existed
		c, err := checkpointJSON(proof.Checkpoint)
		if err != nil {
			return err
		}
		out.Checkpoint = &c
	}
	if a.json {
		a.printJSON(out)
		return nil
	}
	if a.quiet {
		return nil
	}
	if dry {
		a.term.Printf("would stamp %s\n", ref)
	} else if out.Existed {
		a.term.Printf("%s was stamped already: the same bytes, the same name\n", ref)
	} else {
		a.term.Printf("stamped %s\n", a.term.Style(terminal.Good, ref.String()))
	}
	pairs := []terminal.Pair{
		{Key: "fingerprint", Value: out.Fingerprint},
		{Key: "artifact", Value: fmt.Sprintf("%s, %s in %s", s.Kind, terminal.Bytes(s.Bytes), terminal.Plural(s.Files, "file"))},
	}
	if proof != nil {
		pairs = append(pairs, terminal.Pair{Key: "entry", Value: terminal.Count(*out.Entry) + " of " + origin},
			terminal.Pair{Key: "time", Value: a.term.Time(proof.Receipt.Time) + ", as the ledger claims"})
	}
	pairs = append(pairs, terminal.Pair{Key: "signed by", Value: signedBy(signer)})
	if out.Checkpoint != nil {
		pairs = append(pairs, terminal.Pair{Key: "checkpoint", Value: fmt.Sprintf("%s, root %s", terminal.Plural(out.Checkpoint.Size, "entry", "entries"), out.Checkpoint.Root)})
	}
	a.term.KeyValues(pairs)
	return nil
}

func basisJSON(b statement.Basis) jsonv1.Basis {
	return jsonv1.Basis{Read: b.Read, Version: b.Version, ETag: b.ETag, MTime: b.MTime, Stamped: b.Stamped, Entry: b.Entry}
}

func parseAnnotations(list []string) (map[string]string, error) {
	if len(list) == 0 {
		return nil, nil
	}
	out := map[string]string{}
	for _, kv := range list {
		k, v, ok := strings.Cut(kv, "=")
		if !ok || k == "" {
			return nil, usagef("--annotation %q: want key=value", kv)
		}
		if _, twice := out[k]; twice {
			return nil, usagef("--annotation %s is given twice", k)
		}
		out[k] = v
	}
	return out, nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
