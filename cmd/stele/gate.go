package main

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/gate"
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
}

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
		if err := oneOf("--require", name, gate.Demands...); err != nil {
			return err
		}
	}
	if slices.Contains(o.required, contract.GateContents) && o.path == "" {
		return usagef("--require contents needs the PATH of the data")
	}
	if slices.Contains(o.required, contract.GateFresh) && o.maxAge == 0 {
		return usagef("--require fresh needs --max-age").withHint("for example --max-age 24h")
	}
	return o.formats.parse(a, o.path)
}

// gated is one gate, and what is told of it.
type gated struct {
	*gate.Gate
	a       *app
	o       *gateOrder
	out     jsonv1.Gate
	verdict *gate.Verdict
}

func newGated(a *app, o *gateOrder) *gated {
	return &gated{
		Gate: gate.New(&gate.Question{
			Name: o.name, Version: o.version, Stage: o.stage, Reason: o.reason, Path: o.path, Aged: o.maxAge > 0, Demands: o.required,
		}),
		a: a, o: o,
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
		f := describe(err)
		if f.status == exitUsage || ctx.Err() != nil {
			return err
		}
		g.Break(gate.Class(codes[f.status]), f.message, f.hint, f.entry)
	}
	g.conclude()
	terr := g.tell(err)
	switch {
	case err == nil && g.out.Exit == exitHolds:
		return terr
	case terr != nil:
		a.term.Warnf("%v", terr) // what the gate found is the graver
	}
	if err != nil {
		return err
	}
	return verdictError{g.out.Exit}
}

// run makes the checks.
func (g *gated) run(ctx context.Context) error {
	a := g.a
	dir, err := a.findLedger()
	if err != nil {
		return err
	}
	var contents *evidence.Contents
	if g.o.path != "" {
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
	b, st, err := r.boundBy(g.o.name, g.o.version)
	if err != nil {
		return err
	}
	g.out.Fingerprint, g.out.Kind, g.out.Entry = b.Fingerprint.String(), st.Stamp.Kind, &b.Entry
	q := g.Question
	q.Now = g.a.now().UnixMilli() // reading the data may have taken hours
	if q.By, err = g.findSigner(ctx, r); err != nil {
		return err
	}
	if q.By.Known {
		g.out.By = &jsonv1.GateSigner{Handle: q.By.Handle, Key: q.By.Key.String(), Roles: append([]string{}, q.By.Roles...)}
	}
	for _, text := range g.o.replaces {
		name, version, err := statement.ParseNameVersion(text)
		if err != nil {
			return err // parse has seen it
		}
		out, err := r.binding(name, version)
		if err != nil {
			return err
		}
		q.Replaces = append(q.Replaces, out.Ref())
	}
	err = g.Judge(r.Book, b, gate.Found{Hidden: g.out.Hidden, Changes: g.changesText()}, func(beside []uint64) (*evidence.Verdict, bool, error) {
		return g.verify(r, b, st.Stamp, beside, contents)
	})
	g.out.Released = g.Released
	if c := g.Account; c != nil {
		g.out.Standing, g.out.Origin, g.out.Approvals = c.Standing(), account.OriginWord(c.Origins), r.DecisionsJSON(c.Decisions, g.o.stage)
	}
	if err != nil {
		return err
	}
	m, err := g.manifestsAtHand(ctx, dir)
	if err != nil {
		return err
	}
	defer m.close()
	return g.Files(ctx, m)
}

// gateExit is the status that a gate ends with.
func gateExit(c gate.Class) int {
	switch c {
	case gate.Passed:
		return exitHolds
	case gate.Tampered:
		return exitTampered
	case gate.Untrusted:
		return exitUntrusted
	case gate.Refused:
		return exitRefused
	case gate.Undecided, gate.NotFound:
		return exitNotFound
	case gate.Unreachable:
		return exitUnreachable
	}
	return exitError
}

// conclude puts the verdict and the checks into what --json prints.
func (g *gated) conclude() {
	v := g.Verdict()
	g.verdict = v
	g.out.Verdict, g.out.Exit, g.out.Headline, g.out.Cost = string(v.Class), gateExit(v.Class), v.Headline, v.Cost
	for i := range g.Checks {
		c := &g.Checks[i]
		g.out.Checks = append(g.out.Checks, jsonv1.GateCheck{
			ID: c.ID, Group: c.Group, Title: c.Title, Outcome: string(c.Outcome), Required: c.Required, Message: c.Message, Hint: c.Hint,
			Contract: c.Contract, Rule: c.Rule, Entry: c.Entry, Cost: c.Cost,
		})
	}
}
