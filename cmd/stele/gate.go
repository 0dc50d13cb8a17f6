package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/report"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// gateOrder is one call of `stele gate`.
type gateOrder struct {
	name, version string
	stage, path   string
	by            string   // a handle: who would release
	replaces      []string // what the release would take out
	reason        string   // that the release would give
	maxAge        time.Duration
	required      []string // checks that must be made and pass
	manifests     []string // files or addresses, each known by its fingerprint
	formats       gateFormats
	all           bool
	flags         scanFlags

	replaced []statement.Ref // of replaces, as the ledger has them
}

// The checks that --require names, and contracts in spec.gate.
const (
	gateContents       = contract.GateContents
	gateSeparateFiles  = contract.GateSeparateFiles
	gateWithdrawnFiles = contract.GateWithdrawnFiles
	gateFresh          = contract.GateFresh
)

var gateChecks = []string{gateContents, gateSeparateFiles, gateWithdrawnFiles, gateFresh}

func (a *app) gateCommand() *cobra.Command {
	var o gateOrder
	c := &cobra.Command{
		Use:   "gate NAME@VERSION --stage STAGE [PATH|URL]",
		Short: "Check what a release would meet now; write nothing",
		Long: `Makes every check that a release of NAME@VERSION to a stage would meet now,
and those that a ledger cannot make: the log and whom it is signed by, the
artifact's stamp, what it was made of, approvals, the ledger's rules, and every
rule of every contract in force, each with a verdict. Nothing is written to the
ledger, and no key is needed.

With PATH every byte below it is read and checked against the stamp, as "verify"
does. --by says who would release; by default your own key, if it is on the
ledger. Where nobody is known, rules that look at the signer are undecided, and
the gate stays closed.

--require asks for checks that must be made and pass: contents (PATH is given),
fresh (--max-age), separate-files (no file that it was evaluated on lies in its
training data), withdrawn-files (it shares no file with withdrawn data). A
contract can ask for them, too. The last two compare manifests.

Ends with 0 only if everything required has passed; else with the first that
applies of 3 tampered, 6 not trusted, 4 refused, 5 undecided or not made, 7
unreachable.`,
		Example: `  stele gate fraud/model@4 --stage production
  stele gate fraud/model@4 --stage production models/fraud --by ruth
  stele gate fraud/model@4 --stage production --output sarif=gate.sarif
  stele gate fraud/model@4 --stage production --format github -o junit=gate.xml`,
		Args: cobra.RangeArgs(1, 2),
		RunE: func(c *cobra.Command, args []string) error {
			if err := o.parse(a, args); err != nil {
				return err
			}
			// A variable of a pipeline that is not set asks for nothing, and nobody
			// would see it.
			for name, empty := range map[string]bool{"require": len(o.required) == 0, "by": o.by == "", "manifest": slices.Contains(o.manifests, "")} {
				if empty && c.Flags().Changed(name) {
					return usagef("--%s is empty", name).withHint("leave it out, or give it a value: is a variable not set?")
				}
			}
			return a.gate(c.Context(), &o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.stage, "stage", "", "the `stage`, for example production; required")
	f.StringVar(&o.by, "by", "", "the `handle` of who would release (default: whose key is here)")
	f.StringArrayVar(&o.replaces, "replaces", nil, "the release would take `NAME@VERSION` out of the stage (repeatable)")
	f.StringVar(&o.reason, "reason", "", "the `text` that the release would give as its reason")
	maxAgeFlag(f, &o.maxAge, "how old the newest cosignature may be, for example 24h; needs witnesses")
	f.StringSliceVar(&o.required, "require", nil, "this `check` must be made and pass: contents, fresh, separate-files or withdrawn-files (repeatable)")
	f.StringArrayVar(&o.manifests, "manifest", nil, "a manifest to compare or to name changes with, a `path` or a URL (repeatable)")
	f.StringVar(&o.formats.format, "format", formatText, "`how` to tell it: text, json, sarif, junit or github")
	f.StringArrayVarP(&o.formats.output, "output", "o", nil, "write the report to this `file`, and text to the terminal; FORMAT=FILE for another format (repeatable)")
	f.BoolVar(&o.all, "all", false, "show every check and every change; in SARIF, what passed, too")
	o.flags.register(c, false)
	return c
}

func (o *gateOrder) parse(a *app, args []string) (err error) {
	if o.name, o.version, err = statement.ParseNameVersion(args[0]); err != nil {
		return usagef("%v", err)
	}
	if len(args) > 1 {
		o.path = args[1]
	}
	if o.stage == "" {
		return usagef("gate needs --stage").withHint("for example --stage production")
	}
	if err := statement.CheckStage(o.stage); err != nil {
		return usagef("--stage: %v", err)
	}
	if o.by != "" {
		if err := statement.CheckHandle(o.by); err != nil {
			return usagef("--by: %v", err)
		}
	}
	for _, text := range o.replaces {
		if _, _, err := statement.ParseNameVersion(text); err != nil {
			return usagef("--replaces: %v", err)
		}
	}
	if o.reason != "" {
		if err := statement.CheckText("--reason", o.reason, statement.MaxReason); err != nil {
			return usagef("%v", err)
		}
	}
	for _, name := range o.required {
		if err := oneOf("--require", name, gateChecks...); err != nil {
			return err
		}
	}
	if slices.Contains(o.required, gateContents) && o.path == "" {
		return usagef("--require contents needs the PATH of the data")
	}
	if slices.Contains(o.required, gateFresh) && o.maxAge == 0 {
		return usagef("--require fresh needs --max-age").withHint("for example --max-age 24h")
	}
	return o.formats.parse(a, o.path)
}

// gateCheck is a check, and how the gate ends where it does not hold.
type gateCheck struct {
	report.Check
	status int
	cost   uint64
}

// gated is what a gate has found so far.
type gated struct {
	a      *app
	o      *gateOrder
	out    jsonv1.Gate
	checks []gateCheck
	broke  bool // it came to nothing

	r      *reading
	ref    statement.Ref
	stamp  *statement.Stamp
	made   *ledger.Lineage // what the graph was read from, and keeps
	graph  *lineage.Graph  // all that the artifact was made of
	signer contract.Signer
	signed *statement.Statement // the release that is tried; nobody signs it
	about  int                  // contracts in force that are about it
	demand map[string]string    // gate checks that contracts ask for → the first of these
	rules  map[string]string    // contract/rule → what it is for

	governed []string        // stages that contracts in force name
	reasoned map[string]bool // contract/rule → it looks at the release's reason
}

func newGated(a *app, o *gateOrder) *gated {
	return &gated{
		a: a, o: o, demand: map[string]string{}, rules: map[string]string{}, reasoned: map[string]bool{},
		out: jsonv1.Gate{Name: o.name, Version: o.version, Stage: o.stage, Path: o.path, Replaces: o.replaces, Checks: []jsonv1.GateCheck{}},
	}
}

// gate makes all checks, tells them, and ends as they do.
func (a *app) gate(ctx context.Context, o *gateOrder) error {
	g := newGated(a, o)
	err := g.run(ctx)
	if err != nil {
		// A job that uploads its report has one that says why, also where the gate
		// came to nothing.
		if status := statusOf(err); status == exitUsage || ctx.Err() != nil {
			return err
		}
		g.broken(err)
	}
	status := g.conclude()
	terr := g.tell(err)
	switch {
	case err == nil && status == exitHolds:
		return terr
	case terr != nil:
		a.term.Warnf("%v", terr) // what the gate found is the graver
	}
	if err != nil {
		return err
	}
	return verdictError{status}
}

// run makes the checks.
func (g *gated) run(ctx context.Context) error {
	a, o := g.a, g.o
	dir, err := a.findLedger()
	if err != nil {
		return err
	}
	var contents *evidence.Contents
	if o.path != "" {
		if contents, err = g.readContents(ctx, dir); err != nil {
			return err
		}
	}
	return a.readUntrusted(ctx, dir, func(r *reading) error {
		return g.judge(ctx, r, dir, contents)
	})
}

// judge makes all checks but the reading of the data, as of one view.
func (g *gated) judge(ctx context.Context, r *reading, dir string, contents *evidence.Contents) error {
	g.r = r
	b, st, err := r.boundBy(g.o.name, g.o.version)
	if err != nil {
		return err
	}
	g.ref, g.stamp = b.Ref(), st.Stamp
	g.out.Fingerprint, g.out.Kind, g.out.Entry = g.ref.Fingerprint.String(), g.stamp.Kind, &b.Entry
	if err := g.prepare(ctx); err != nil {
		return err
	}
	if err := g.walk(); err != nil {
		return err
	}
	c, err := r.Of(b)
	if err != nil {
		return err
	}
	if err := g.checkEvidence(b, c, contents); err != nil {
		return err
	}
	if err := g.checkLineage(c); err != nil {
		return err
	}
	g.checkApprovals(c)
	if err := g.checkRules(c); err != nil {
		return err
	}
	return g.checkFiles(ctx, dir, c)
}

// prepare finds who would release, and makes the release that is tried.
func (g *gated) prepare(ctx context.Context) (err error) {
	if g.signer, err = g.findSigner(ctx); err != nil {
		return err
	}
	if g.signer.Known {
		g.out.By = &jsonv1.GateSigner{Handle: g.signer.Handle, Key: g.signer.Key.String(), Roles: append([]string{}, g.signer.Roles...)}
	}
	for _, text := range g.o.replaces {
		name, version, err := statement.ParseNameVersion(text)
		if err != nil {
			return err // parse has seen it
		}
		b, err := g.r.binding(name, version)
		if err != nil {
			return err
		}
		g.o.replaced = append(g.o.replaced, b.Ref())
	}
	in, err := g.r.InStage(g.o.stage)
	if err != nil {
		return err
	}
	for _, p := range in {
		if p.Ref == g.ref {
			g.out.Released = &p.Entry
		}
	}
	g.signed = &statement.Statement{
		Kind: statement.KindRelease, Subject: []statement.Subject{g.ref.Subject()}, Ledger: g.r.ID(),
		Release: &statement.Release{Stage: g.o.stage, Action: statement.ActionJoin, Replaces: g.o.replaced, Reason: g.o.reason},
	}
	if g.signed.Release.After, err = g.r.After(g.signed); err != nil {
		return err
	}
	if g.made, err = g.r.Lineage(); err != nil {
		return err
	}
	return g.findDemands()
}

// walk goes through all that the artifact was made of, once for all checks.
func (g *gated) walk() error {
	a, err := g.made.Artifact(g.ref.Name, g.ref.Version)
	if err != nil {
		return err
	}
	if g.graph, err = lineage.Up(g.made, a, lineage.MaxWalk); err != nil {
		return err
	}
	g.r.Judged(g.graph.Judgement())
	return nil
}

// add takes one more check. status is how the gate ends where it does not hold.
func (g *gated) add(status int, c report.Check) {
	g.checks = append(g.checks, gateCheck{Check: c, status: status})
}

// broken says that the gate came to nothing.
func (g *gated) broken(err error) {
	g.broke = true
	f := describe(err)
	g.add(f.status, report.Check{
		ID: "gate/carried-out", Group: "gate", Title: "the gate was carried out", Outcome: report.NotMade, Required: true, Message: f.message, Hint: f.hint, Entry: f.entry,
		Help: "Without the ledger, the artifact on it and the data that were named, nothing can be checked.",
	})
}

// The verdict of a gate in one word, by how it ends.
var gateVerdicts = map[int]string{
	exitHolds: "passed", exitTampered: "tampered", exitUntrusted: "untrusted", exitRefused: "refused", exitNotFound: "undecided", exitUnreachable: "unreachable",
}

// gateOrderOf are the statuses; the first that applies is that of the gate.
var gateOrderOf = []int{exitTampered, exitUntrusted, exitRefused, exitNotFound, exitUnreachable, exitError}

// conclude finds how the gate ends, and puts what closes it first.
func (g *gated) conclude() int {
	status := exitHolds
	closing := g.closing()
	if len(closing) > 0 {
		status = closing[0].status
	}
	if len(closing) > 0 && !slices.Contains(gateOrderOf, status) {
		status = exitError // never 0 when unsure
	}
	g.out.Exit, g.out.Verdict = status, gateVerdicts[status]
	switch {
	case status == exitError:
		g.out.Verdict = "error"
	case status == exitNotFound && g.out.Fingerprint == "":
		g.out.Verdict = codes[exitNotFound]
	}
	g.out.Headline = g.headline(closing)
	for i := range g.checks {
		c := &g.checks[i]
		g.out.Cost += c.cost
		g.out.Checks = append(g.out.Checks, jsonv1.GateCheck{
			ID: c.ID, Group: c.Group, Title: c.Title, Outcome: string(c.Outcome), Required: c.Required, Message: c.Message, Hint: c.Hint,
			Contract: c.Contract, Rule: c.Rule, Entry: c.Entry, Cost: c.cost,
		})
	}
	return status
}

// headline says in a sentence what came of it.
func (g *gated) headline(closing []*gateCheck) string {
	what := g.o.name + "@" + g.o.version
	verb := "join "
	if g.out.Released != nil {
		verb = "stay in "
	}
	var refuse, undecided uint64
	for _, c := range closing {
		if c.Outcome == report.NotMade {
			undecided++
		} else {
			refuse++
		}
	}
	not := what + " may not " + verb + g.o.stage
	switch {
	case g.out.Exit == exitHolds:
		return what + " may " + verb + g.o.stage
	case g.broke:
		return "whether " + what + " may " + verb + g.o.stage + " is not known"
	case g.out.Exit == exitTampered:
		return not + ": it is TAMPERED"
	case g.out.Exit == exitUntrusted:
		return not + ": it is NOT TRUSTED"
	case refuse == 0:
		return not + " yet: " + terminal.Plural(undecided, "check is", "checks are") + " undecided or not made"
	case undecided == 0:
		return not + ": " + terminal.Plural(refuse, "check refuses", "checks refuse") + " it"
	}
	return not + ": " + terminal.Plural(refuse, "check refuses", "checks refuse") + " it, " + terminal.Plural(undecided, "is", "are") + " undecided or not made"
}
