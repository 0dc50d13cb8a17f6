package main

import (
	"context"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/pin"
	"github.com/stele-ml/stele/internal/process"
	"github.com/stele-ml/stele/statement"
)

// The ways of --check.
const (
	checkFull   = "full"
	checkAudit  = "audit"
	checkCached = "cached"
)

// guardOrder is one call of `stele guard`.
type guardOrder struct {
	models              []*guardModel
	stage               string
	evidence            []string
	maxAge              time.Duration
	check               string
	altered, confidence string // of an audit
	manifest            string
	pin                 string // copy, copy=DIR, mount or empty
	pinDir              string // of copy=DIR
	strict              bool
	flags               scanFlags
	command             []string
}

func (a *app) guardCommand() *cobra.Command {
	o := new(guardOrder)
	c := &cobra.Command{
		Use:   "guard NAME@VERSION PATH… --stage STAGE -- COMMAND…",
		Short: "Verify a model, and only then start its server",
		Long: `Verifies the files of a model against its stamp, and its standing: that the log
is trusted, the signers are in good standing, the model was released to STAGE
and is there still, and neither it nor what it was made of is withdrawn. Only
then is COMMAND started. Several models: NAME@VERSION PATH, one after another.

In COMMAND, {} is the path that was verified; of several models {1}, {2}, …. The
server finds in its environment STELE_MODEL (name@version), STELE_MODEL_PATH,
STELE_RELEASE_ENTRY and STELE_CHECKPOINT (origin, size and root of the log).

A withdrawal with effect "stop" keeps it from starting; one with "no-new-use"
warns, for the release came before it; one that advises is noted. A taint
likewise. With --strict a warning refuses as well.

--pin copy makes a private copy while the files are verified, and serves that: a
change of the originals changes nothing. Without it, files that can be written
to are only checked; they are looked at again just before COMMAND starts, and
may change after that. An address in a bucket must be copied. --pin copy=DIR
keeps the copy below DIR; plain copy takes it away when COMMAND ends, and stays
its parent until then. --pin mount refuses unless the files lie on a read-only
mount.

With --evidence no ledger is needed: the file must prove the release as well
(` + "`stele prove --stage`" + `). What came to the ledger after it, it cannot know;
--max-age bounds that.

COMMAND takes the place of stele in its process, so that process id, signals and
exit status are its own. 125 is a failure of the guard's own: COMMAND was not
started. 126 and 127: COMMAND cannot be executed, or is not found.`,
		Example: `  stele guard fraud/model@3 /models/fraud --stage production \
      -- serve --model {} --port 8080
  stele guard fraud/model@3 s3://models/fraud/3 --stage production \
      --pin copy=/run/fraud/model -- serve --model {}
  stele guard fraud/model@3 /models/fraud --stage production \
      --evidence evidence.json --max-age 24h -- serve --model {}`,
		Annotations: map[string]string{wraps: "yes"},
		RunE: func(c *cobra.Command, args []string) error {
			a.toStandardError()
			if c.Flags().Changed("pin") && o.pin == "" { // a variable that is not set
				return usagef("--pin is empty: use copy, copy=DIR or mount")
			}
			if err := o.parse(args, c.ArgsLenAtDash()); err != nil {
				return err
			}
			return a.guard(c.Context(), o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.stage, "stage", "", "the `stage` that it must have been released to; required")
	f.StringArrayVar(&o.evidence, "evidence", nil, "an evidence `file`, in place of the ledger; one for each model (repeatable)")
	maxAgeFlag(f, &o.maxAge, "how old what is known of the ledger may be, for example 24h")
	f.StringVar(&o.check, "check", checkFull, "`how` files are checked: full (every byte), audit (random chunks) or cached (what an earlier full check read)")
	f.StringVar(&o.altered, "altered", usualAltered, "with --check audit: find it if this `share` of the bytes lies in altered chunks")
	f.StringVar(&o.confidence, "confidence", usualConfidence, "with --check audit: with this `probability`")
	f.StringVar(&o.pin, "pin", "", "`what` keeps the files as they are: copy, copy=DIR or mount")
	f.BoolVar(&o.strict, "strict", false, "refuse where it would warn")
	f.StringVar(&o.manifest, "manifest", "", "the manifest, a `path` or a URL (default where it is found)")
	o.flags.registerReading(c)
	return c
}

// parse reads the arguments, of which dash are before "--".
func (o *guardOrder) parse(args []string, dash int) error {
	const usage = "usage: stele guard NAME@VERSION PATH --stage STAGE -- COMMAND…"
	if dash < 0 {
		return usagef("guard: the command stands behind --").withHint(usage)
	}
	o.command = args[dash:]
	if len(o.command) == 0 || o.command[0] == "" {
		return usagef("guard needs a COMMAND behind --").withHint(usage)
	}
	if err := o.parseModels(args[:dash]); err != nil {
		return err
	}
	if o.stage == "" {
		return usagef("guard needs --stage").withHint("for example --stage production")
	}
	if err := statement.CheckStage(o.stage); err != nil {
		return usagef("--stage: %v", err)
	}
	if err := oneOf("--check", o.check, checkFull, checkAudit, checkCached); err != nil {
		return err
	}
	if slices.Contains(o.evidence, "-") {
		return usagef("--evidence -: standard input is the command's").withHint("give the file's name")
	}
	if o.manifest != "" && len(o.models) > 1 {
		return usagef("--manifest goes with one model")
	}
	return o.parsePin()
}

func (o *guardOrder) parseModels(args []string) error {
	for len(args) > 0 {
		name, version, err := statement.ParseNameVersion(args[0])
		if err != nil {
			return usagef("%v", err).withHint("each model is NAME@VERSION and then its PATH")
		}
		if len(args) == 1 || args[1] == "" {
			return usagef("%s: its PATH is missing", args[0]).withHint("each model is NAME@VERSION and then its PATH; `.` means this folder")
		}
		m := &guardModel{name: name, version: version, place: args[1]}
		for _, other := range o.models {
			if other.what() == m.what() {
				return usagef("%s is given twice", m.what())
			}
		}
		o.models, args = append(o.models, m), args[2:]
	}
	if len(o.models) == 0 {
		return usagef("guard needs NAME@VERSION and PATH").withHint("what stands behind -- is the command's")
	}
	return nil
}

// The ways of --pin.
const (
	pinCopy  = "copy"
	pinMount = "mount"
)

func (o *guardOrder) parsePin() error {
	how, dir, given := strings.Cut(o.pin, "=")
	switch {
	case how == pinCopy && given && dir == "":
		return usagef("--pin copy=: the folder is empty")
	case how == pinCopy:
		o.pin, o.pinDir = pinCopy, dir
	case o.pin != pinMount && o.pin != "":
		return usagef("--pin %q: use copy, copy=DIR or mount", o.pin)
	}
	if o.pin == pinCopy && o.check != checkFull {
		return usagef("--pin copy reads every byte: it goes with --check full")
	}
	for _, m := range o.models {
		p, err := parsePlace(m.place)
		if err != nil {
			return err
		}
		if p.Remote() && o.pin != pinCopy {
			return usagef("%s is an address: what is verified there is not yet here", m.place).withHint("--pin copy fetches it into a private copy, and verifies it by the way")
		}
	}
	return nil
}

// guarding is one guard under way.
type guarding struct {
	app   *app
	order *guardOrder

	program  string      // the command's
	dir      string      // the ledger's; empty offline
	folder   *pin.Folder // of copies; nil: none are made
	warnings []string    // with --strict each of them refuses
	notes    []string
}

// guard verifies, and starts the command.
func (a *app) guard(ctx context.Context, o *guardOrder) (err error) {
	g := &guarding{app: a, order: o}
	defer func() { g.close() }()
	if g.program, err = process.Find(o.command[0]); err != nil {
		return guardNotStarted(err, o.command[0])
	}
	if err := g.open(ctx); err != nil {
		return err
	}
	// What would be refused for certain is refused before anything is read.
	if err := g.standing(ctx); err != nil {
		return err
	}
	if err := g.openFolder(); err != nil {
		return err
	}
	for _, m := range o.models {
		if err := g.checkContents(ctx, m); err != nil {
			return err
		}
	}
	// That may have taken long. The ledger is asked again, and files that can
	// still be written to are looked at again.
	if a.looked != nil {
		a.looked()
	}
	if err := g.standing(ctx); err != nil {
		return err
	}
	for _, m := range o.models {
		if err := g.lookAgain(ctx, m); err != nil {
			return err
		}
	}
	if o.strict && len(g.warnings) > 0 {
		return failf(exitRefused, "%s", g.warnings[0]).withHint("without --strict this is a warning")
	}
	return g.start(ctx)
}

// open finds the ledger, or reads the evidence.
func (g *guarding) open(ctx context.Context) (err error) {
	if len(g.order.evidence) > 0 {
		return g.readEvidence()
	}
	g.dir, err = g.app.findLedger()
	return err
}

// close takes away what is not kept.
func (g *guarding) close() {
	for _, m := range g.order.models {
		m.close()
	}
	if g.folder != nil {
		if err := g.folder.Remove(); err != nil {
			g.app.term.Warnf("the private copy was not taken away: %v", err)
		}
		g.folder = nil
	}
}

// warn notes what --strict refuses; note what nothing refuses. The same is said
// once.
func (g *guarding) warn(text string) { g.warnings = addOnce(g.warnings, text) }
func (g *guarding) note(text string) { g.notes = addOnce(g.notes, text) }

func addOnce(list []string, text string) []string {
	if slices.Contains(list, text) {
		return list
	}
	return append(list, text)
}

// start tells what was found, and starts the command.
func (g *guarding) start(ctx context.Context) error {
	a, o := g.app, g.order
	c := process.Command{Path: g.program, Args: o.substituted(), Env: os.Environ()}
	variables, err := g.variables()
	if err != nil {
		return err
	}
	for name, value := range variables {
		c.Env = process.With(c.Env, name, value)
	}
	// Whoever has to take a copy away afterwards stays; everybody else gives way.
	stays := g.folder != nil && o.pinDir == "" || !process.CanReplace
	g.tell(variables, !stays)
	if !stays {
		g.letGo()
		return guardNotStarted(a.become(ctx, c), o.command[0])
	}
	keeper := process.Keep(func(os.Signal) {})
	defer keeper.Release()
	result, err := keeper.Run(ctx, c)
	if err != nil {
		return guardNotStarted(err, o.command[0])
	}
	a.ran = true // an interruption was the command's
	if result.Status == 0 {
		return nil
	}
	return verdictError{result.Status}
}

// letGo gives back what the command must not find open or lying about.
func (g *guarding) letGo() {
	for _, m := range g.order.models {
		m.close()
	}
	if g.folder != nil {
		_ = g.folder.Close()
		g.folder = nil
	}
}

// guardNotStarted is an error of a command that did not start.
func guardNotStarted(err error, command string) error {
	if err == nil {
		return nil
	}
	f := notStarted(err, command)
	if known, ok := f.(*failure); ok {
		known.hint = strings.Replace(known.hint, "nothing was recorded; ", "", 1)
	}
	return f
}

// substituted is the command with the models' paths in it.
func (o *guardOrder) substituted() []string {
	pairs := []string{"{}", o.models[0].path}
	if len(o.models) > 1 {
		pairs = nil
		for i, m := range o.models {
			pairs = append(pairs, "{"+strconv.Itoa(i+1)+"}", m.path)
		}
	}
	replace := strings.NewReplacer(pairs...)
	out := []string{o.command[0]}
	for _, arg := range o.command[1:] {
		out = append(out, replace.Replace(arg))
	}
	return out
}

// The environment variables that the server finds.
const (
	modelVariable      = "STELE_MODEL"
	modelPathVariable  = "STELE_MODEL_PATH"
	releaseVariable    = "STELE_RELEASE_ENTRY"
	checkpointVariable = "STELE_CHECKPOINT"
)

// variables are what the server can write into its logs. Names and entries are
// joined by spaces, which neither has; paths as in $PATH.
func (g *guarding) variables() (map[string]string, error) {
	var names, paths, entries []string
	for _, m := range g.order.models {
		if len(g.order.models) > 1 && strings.ContainsRune(m.path, os.PathListSeparator) {
			return nil, failf(exitError, "%s has a %q, which separates the paths in $%s", m.path, os.PathListSeparator, modelPathVariable).
				withPath(m.path).withHint("give one model alone, or another path")
		}
		names, paths = append(names, m.what()), append(paths, m.path)
		entries = append(entries, strconv.FormatUint(m.standing.Release.Entry, 10))
	}
	at := g.asOf()
	return map[string]string{
		modelVariable: strings.Join(names, " "), modelPathVariable: strings.Join(paths, string(os.PathListSeparator)),
		releaseVariable: strings.Join(entries, " "), checkpointVariable: at.Origin + " " + strconv.FormatUint(at.Size, 10) + " " + at.Root,
	}, nil
}

// asOf is the checkpoint that all of it holds as of: the smallest, where
// evidence files differ.
func (g *guarding) asOf() *evidence.AsOf {
	at := g.order.models[0].standing.AsOf
	for _, m := range g.order.models[1:] {
		if m.standing.AsOf.Size < at.Size {
			at = m.standing.AsOf
		}
	}
	return at
}

// onThisSystem says what is not looked at where this was built for.
func onThisSystem() string {
	if runtime.GOOS != "linux" {
		return "; whether its mount is read-only is not looked at on " + runtime.GOOS
	}
	return ""
}
