package main

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"strings"
	"sync"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/internal/place"
	"github.com/stele-ml/stele/internal/process"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// exitOurs is how a command that runs another ends where the failure is its own
// (as env, timeout and docker have it).
const exitOurs = 125

// runVariable is the environment variable that tells a command its run's id.
const runVariable = "STELE_RUN"

// wraps marks commands that run another, and end as it does.
const wraps = "stele/wraps"

func (a *app) runCommand() *cobra.Command {
	o := &runOrder{observation: statement.ObservationWrapped, kept: new(scanFlags)}
	c := &cobra.Command{
		Use:   "run --input N@V=PATH --output N@V=PATH -- COMMAND…",
		Short: "Run a command, and sign what it made of what",
		Long: `Verifies the inputs against the ledger, runs COMMAND with its own standard
streams, makes sure that the inputs are still what they were, and signs one
statement (SLSA provenance) that stamps the outputs and says what they were made
of: inputs, code, container image, lock files, start, end and exit status. The
command finds the run's id in $STELE_RUN. A command that fails leaves a failed
run on the ledger, and stamps nothing.

What it proves is what was declared and fingerprinted, not what was read.

Paths may be addresses in buckets. Without =PATH an input is read where it was
stamped. Nothing is started with an input that is altered, withdrawn or tainted.

The command, --param and a few environment variables go into the run's details,
beside the ledger, where they can be erased. What looks like a secret in them is
masked. Everything that stele itself says goes to standard error.

The exit status is the command's own; 125 where it could not be run or recorded,
126 and 127 where COMMAND cannot be executed or is not found.`,
		Example: `  stele run --input clinic/wdbc@2026-11-01=data \
      --output clinic/net@1.0=net.safetensors --kind model \
      --param epochs=20 -- python train.py --epochs 20`,
		Annotations: map[string]string{wraps: "yes"},
		RunE: func(c *cobra.Command, args []string) error {
			a.toStandardError()
			o.command = args
			if len(args) == 0 || args[0] == "" {
				return usagef("run needs a COMMAND").withHint("usage: " + c.UseLine())
			}
			if err := o.parse(); err != nil {
				return o.misplaced(err)
			}
			return a.wrapRun(c.Context(), o)
		},
	}
	o.register(c)
	f := c.Flags()
	f.SetInterspersed(false) // what follows the command is the command's
	f.StringVar(&o.recheck, "recheck", "full", "`how` inputs are verified: full (every byte is read), version or audit")
	f.StringVar(&o.altered, "altered", usualAltered, "with --recheck audit: find it if this `share` of the bytes lies in altered chunks")
	f.StringVar(&o.confidence, "confidence", usualConfidence, "with --recheck audit: with this `probability`")
	f.StringVar(&o.code, "code", "", "the `folder` of the code, in a git repository (default this folder)")
	f.StringVar(&o.receipt, "receipt", "", "also write what --json prints to this `file`")
	o.flags.register(c, false)
	return c
}

// toStandardError sends all that stele says to standard error: standard output
// is the command's.
func (a *app) toStandardError() {
	a.term = terminal.New(a.stdin, a.stderr, a.stderr, a.getenv)
	a.term.SetQuiet(a.quiet || a.json)
	a.stdout = &checked{w: a.stderr}
}

// ownStatus is how a command that runs another ends, for a failure that is not
// the other's.
func ownStatus(err error) int {
	switch {
	case errors.Is(err, process.ErrNotFound):
		return process.StatusNotFound
	case errors.Is(err, process.ErrNotExecutable):
		return process.StatusNotExecutable
	}
	return exitOurs
}

// wrapRun is `stele run`.
func (a *app) wrapRun(ctx context.Context, o *runOrder) (err error) {
	w := &running{app: a, order: o}
	defer w.close()
	if w.program, err = process.Find(o.command[0]); err != nil {
		return o.misplaced(notStarted(err, o.command[0]))
	}
	if w.id, err = statement.NewNonce(rand.Reader); err != nil {
		return err
	}
	if err := w.begin(ctx); err != nil {
		return err
	}
	if err := w.verifyInputs(ctx); err != nil {
		return err
	}
	if err := w.lookAround(ctx); err != nil {
		return err
	}
	if err := w.checkDraft(); err != nil {
		return err
	}
	if err := w.foreseeAgain(ctx); err != nil {
		return err
	}
	if err := w.lookAtOutputs(ctx); err != nil {
		return err
	}
	ended := &afterwards{term: a.term}
	keeper := process.Keep(ended.told)
	defer keeper.Release()
	a.term.Notef("run %s begins", w.id)
	w.result, err = keeper.Run(ctx, process.Command{
		Path: w.program, Args: o.command, Env: process.With(os.Environ(), runVariable, w.id.String()),
	})
	if err != nil {
		return notStarted(err, o.command[0])
	}
	a.ran = true // from here on, an interruption is the command's
	after, give := context.WithCancelCause(context.WithoutCancel(ctx))
	defer give(nil)
	ended.recording(w.result.Status == 0, give)
	return w.finish(after)
}

// notStarted is an error of a command that did not start.
func notStarted(err error, command string) error {
	switch {
	case !errors.Is(err, process.ErrNotFound):
		return err
	case strings.ContainsRune(command, os.PathSeparator):
		return failf(exitNotFound, "%w", err).withHint("nothing was recorded; the path is seen from here")
	}
	return failf(exitNotFound, "%w", err).withHint("nothing was recorded; is it in $PATH?")
}

// misplaced says of a call that went wrong where its command begins, if that may
// be what is wrong with it: a flag that stands behind it is the command's.
func (o *runOrder) misplaced(err error) error {
	name, _, _ := strings.Cut(o.command[0], "=")
	_, _, notNamed := statement.ParseNameVersion(name)
	wrong := notNamed == nil // the second of a list behind --input
	for _, arg := range o.command[1:] {
		wrong = wrong || len(o.in)+len(o.out) == 0 && (strings.HasPrefix(arg, "--input") || strings.HasPrefix(arg, "--output"))
	}
	if !wrong {
		return err
	}
	f := describe(err)
	f.hint = "the command begins at " + shellText(o.command[:1]) + ", and all behind it is the command's: each --input and --output takes one NAME@VERSION=PATH, and stands before"
	return f
}

// errGivenUp ends the recording of a run that somebody does not wait for.
var errGivenUp = failf(exitError, "given up")

// afterwards decides what a signal does once the command has ended.
type afterwards struct {
	term *terminal.Terminal

	mu    sync.Mutex
	give  context.CancelCauseFunc // nil: it is over at once, or has not begun
	asked int
}

// recording begins the recording of a run. A failed one takes no time.
func (p *afterwards) recording(long bool, give context.CancelCauseFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if long {
		p.give = give
	}
}

// told is called with each signal that would end the process: the second one
// gives the recording up.
func (p *afterwards) told(os.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.give == nil {
		return
	}
	if p.asked++; p.asked == 1 {
		p.term.Warnf("the command has ended, and its run is being recorded; once more gives that up, and nothing is recorded until it is resumed")
		return
	}
	p.give(errGivenUp)
}

// finish records what a command did that has ended.
func (w *running) finish(ctx context.Context) error {
	a, status := w.app, w.result.Status
	w.ended()
	w.describe(&w.notes.Note)
	w.notes.Ended(w.result.Finished.UnixMilli(), w.result.Status)
	err := w.look(ctx)
	if err == nil && status == 0 {
		err = w.lookAtWritten(ctx)
	}
	if err == nil {
		w.canFinish()
	}
	if err == nil && status == 0 {
		err = w.stampOutputs(ctx)
	}
	if err == nil {
		err = w.record(ctx)
	}
	if err != nil {
		if errors.Is(context.Cause(ctx), errGivenUp) {
			err = failf(exitError, "%w: the run is not recorded, and nothing is stamped", errGivenUp)
		}
		w.notes.GaveUp(err)
		err = w.goOn(err)
	}
	if status == 0 {
		return err
	}
	if err != nil { // the command failed first
		a.tell(describe(err))
		if !w.notes.Done {
			a.term.Warnf("the failed run %s is not recorded", w.id)
		}
	}
	return verdictError{status}
}

// ended takes down how the command ended.
func (w *running) ended() {
	status := uint64(w.result.Status)
	w.run.Exit, w.run.Failed = &status, status != 0
	w.run.Started = w.result.Started.UnixMilli()
	w.run.Finished = max(w.run.Started, w.result.Finished.UnixMilli()) // the clock may have been set
}

// runOrder is one call of `stele run` or `stele record run`.
type runOrder struct {
	inputs, outputs          []string
	kinds, sinces            []string
	annotations, params, env []string
	locks                    []string
	attemptOf, image         string
	noDetails                bool
	recheck                  string // full, version or audit
	altered, confidence      string // of audit
	code                     string
	receipt                  string
	receiptSpot              place.Place // where it really lies; none where nothing is replaced
	command                  []string
	flags                    scanFlags
	kept                     *scanFlags // of outputs: the same, and which files count

	observation string

	in       []*runInput
	out      []*runOutput
	notes    map[string]string // annotations
	given    map[string]string // parameters
	attempt  statement.Nonce
	imageRef *statement.Image
}

// register adds the flags that a run has, watched or told.
func (o *runOrder) register(c *cobra.Command) {
	f := c.Flags()
	f.StringArrayVar(&o.inputs, "input", nil, "`name@version=path`: what the run is given (repeatable)")
	f.StringArrayVar(&o.outputs, "output", nil, "`name@version=path`: what it makes (repeatable)")
	f.StringArrayVar(&o.kinds, "kind", nil, "`kind` of the outputs: dataset, model, code or other; NAME@VERSION=KIND of one (default dataset)")
	f.StringArrayVar(&o.params, "param", nil, "`key=value` to note as a parameter (repeatable)")
	f.StringArrayVar(&o.env, "env", nil, "note this environment `variable` besides (repeatable)")
	f.StringVar(&o.attemptOf, "attempt-of", "", "the id of the `run` that this one goes on from, after preemption")
	f.StringArrayVar(&o.sinces, "since", nil, "`name@version` an output is a later version of; OUTPUT=NAME@VERSION of one")
	f.StringArrayVar(&o.annotations, "annotation", nil, "`key=value` for the outputs, public and for ever (repeatable)")
	f.StringArrayVar(&o.locks, "lock", nil, "a further `file` that pins dependencies (repeatable)")
	f.StringVar(&o.image, "image", "", "the container image it runs in, as `name@sha256:hex` (default where it can be seen)")
	f.BoolVar(&o.noDetails, "no-details", false, "keep no details documents (command, parameters, environment, host, locations)")
	f.StringArrayVar(&o.kept.ignore, "ignore", nil, "of outputs, also leave out what this gitignore `rule` matches (repeatable)")
	f.BoolVar(&o.kept.plain, "sha256", false, "record each output file's plain SHA-256 in its manifest besides")
}

// parse reads the flags, before anything is opened.
func (o *runOrder) parse() (err error) {
	seen := map[string]string{}
	once := func(flag string, p namedPlace) error {
		switch other := seen[p.what()]; other {
		case "":
		case flag:
			return usagef("%s %s is given twice", flag, p.what())
		default:
			return usagef("%s is given twice, as %s and as %s", p.what(), other, flag)
		}
		seen[p.what()] = flag
		return nil
	}
	for _, text := range o.inputs {
		p, err := parseNamedPlace("--input", text)
		if err == nil {
			err = once("--input", p)
		}
		if err != nil {
			return err
		}
		o.in = append(o.in, &runInput{namedPlace: p})
	}
	for _, text := range o.outputs {
		p, err := parseNamedPlace("--output", text)
		if err == nil {
			err = once("--output", p)
		}
		if err == nil && p.path == "" && o.observation == statement.ObservationWrapped {
			err = usagef("--output %s: want NAME@VERSION=PATH", text).withHint("PATH is where the command writes it")
		}
		if err != nil {
			return err
		}
		o.out = append(o.out, &runOutput{namedPlace: p, kind: statement.ArtifactDataset})
	}
	if len(o.in)+len(o.out) == 0 {
		return usagef("a run needs --input or --output").withHint("for example --input lab/data@1=data --output lab/net@1=net.safetensors")
	}
	if n := len(o.in) + len(o.out); n > statement.MaxReferences {
		return usagef("%d inputs and outputs: at most %d are possible", n, statement.MaxReferences).withHint("stamp a collection of them with `stele stamp --member`, and name that")
	}
	return o.parseRest()
}

func (o *runOrder) parseRest() (err error) {
	ignore, plain := o.kept.ignore, o.kept.plain
	*o.kept = o.flags
	o.kept.ignore, o.kept.plain = ignore, plain
	o.kept.maxRead = 0 // what was made is read, however much it is
	o.flags.watched = true
	if o.recheck != "" {
		if err := oneOf("--recheck", o.recheck, "full", "version", "audit"); err != nil {
			return err
		}
	}
	if err := o.forOutputs("--kind", o.kinds, false, func(out *runOutput, kind string) error {
		out.kind = kind
		return oneOf("--kind", kind, artifactKinds...)
	}); err != nil {
		return err
	}
	if err := o.forOutputs("--since", o.sinces, true, func(out *runOutput, what string) error {
		out.since = what
		return nil
	}); err != nil {
		return err
	}
	if o.notes, err = parsePairs("--annotation", o.annotations); err != nil {
		return err
	}
	if o.given, err = parsePairs("--param", o.params); err != nil {
		return err
	}
	if o.attemptOf != "" {
		if o.attempt, err = statement.ParseNonce(o.attemptOf); err != nil {
			return usagef("--attempt-of %q is no run's id: want 32 hexadecimal digits", o.attemptOf)
		}
	}
	if o.imageRef, err = parseImage(o.image); err != nil {
		return err
	}
	return o.checkSecrets()
}

// forOutputs takes a flag that is of all outputs, or with OUTPUT= before its
// value of one. The one outweighs all.
func (o *runOrder) forOutputs(flag string, list []string, single bool, set func(*runOutput, string) error) error {
	own := map[*runOutput]bool{}
	for _, text := range list {
		what, value, ok := strings.Cut(text, "=")
		if !ok {
			if single && len(o.out) > 1 {
				return usagef("%s %s: say of which output: OUTPUT=%s", flag, text, text)
			}
			for _, out := range o.out {
				if own[out] {
					continue
				}
				if err := set(out, text); err != nil {
					return err
				}
			}
			continue
		}
		found := false
		for _, out := range o.out {
			if out.what() == what {
				found, own[out] = true, true
				if err := set(out, value); err != nil {
					return err
				}
			}
		}
		if !found {
			return usagef("%s %s: %s is no output of this run", flag, text, what)
		}
	}
	return nil
}

// namedPlace is NAME@VERSION=PATH.
type namedPlace struct{ name, version, path string }

func (p namedPlace) what() string { return p.name + "@" + p.version }

func parseNamedPlace(flag, text string) (p namedPlace, err error) {
	what, path, given := strings.Cut(text, "=")
	if p.name, p.version, err = statement.ParseNameVersion(what); err != nil {
		return p, usagef("%s %s: %v", flag, text, err).withHint("for example " + flag + " lab/data@2026-11-01=data")
	}
	if given && path == "" {
		return p, usagef("%s %s: the path is empty", flag, text).withHint("`.` means this folder")
	}
	if strings.HasPrefix(path, "~") && exists(path) != nil { // or hours later it is not there
		return p, usagef("%s %s: there is no %s here, and no shell reads ~ behind a =", flag, text, path).withHint("write \"$HOME\" instead of ~; ./~ is a folder of that name")
	}
	p.path = path
	return p, nil
}

// parsePairs reads key=value, each key once.
func parsePairs(flag string, list []string) (map[string]string, error) {
	if len(list) == 0 {
		return nil, nil
	}
	out := map[string]string{}
	for _, kv := range list {
		k, v, ok := strings.Cut(kv, "=")
		if !ok || k == "" {
			return nil, usagef("%s %q: want key=value", flag, kv)
		}
		if _, twice := out[k]; twice {
			return nil, usagef("%s %s is given twice", flag, k)
		}
		out[k] = v
	}
	return out, nil
}
