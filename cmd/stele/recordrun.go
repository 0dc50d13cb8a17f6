package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/pending"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/statement"
)

// toldOrder is one call of `stele record run`.
type toldOrder struct {
	runOrder
	id, resume           string
	newID, failed        bool
	started, finished    string
	exit                 int
	exitGiven            bool
	commit, remote, line string
	dirty                bool
}

func (a *app) recordRunCommand() *cobra.Command {
	o := &toldOrder{runOrder: runOrder{observation: statement.ObservationReported, kept: new(scanFlags), recheck: "full"}}
	c := &cobra.Command{
		Use:   "run --input N@V --output N@V=PATH [-- COMMAND…]",
		Short: "Record a run that a scheduler, a notebook or many machines did",
		Long: `Signs what ` + "`stele run`" + ` signs, of a run that it did not watch: the ledger
keeps it apart, as reported. Inputs are named, and need not be at hand; one
that is given with =PATH is verified. Outputs with =PATH are fingerprinted and
stamped; those without are on the ledger already.

Of a job on many machines one process tells, at the end: the one with rank 0.
With --new-id an id is handed out before the job starts, for its logs and its
checkpoints; --id takes it.

--resume finishes a run of ` + "`stele run`" + ` that was not recorded: it submits one
that was signed, and stamps the outputs of one whose command ended well, as
long as they were left as they were.`,
		Example: `  RUN=$(stele record run --new-id)
  srun python train.py --run "$RUN"
  stele record run --id "$RUN" --input lab/data@7 --output lab/net@3=net \
      --kind model --started 2026-11-22T01:00 --exit 0`,
		RunE: func(c *cobra.Command, args []string) error {
			o.command, o.exitGiven = args, c.Flags().Changed("exit")
			return a.recordRun(c.Context(), o)
		},
	}
	o.register(c)
	f := c.Flags()
	f.StringVar(&o.id, "id", "", "the `run`'s id, handed out with --new-id (default a new one)")
	f.BoolVar(&o.newID, "new-id", false, "print an id for a run that is to come, and do nothing else")
	f.StringVar(&o.resume, "resume", "", "finish the `run` whose record was cut short, or say that nothing of it was recorded")
	f.StringVar(&o.started, "started", "", "`when` it began, for example 2026-11-22T02:47 or 36h (ago); default when it finished")
	f.StringVar(&o.finished, "finished", "", "`when` it ended (default now)")
	f.IntVar(&o.exit, "exit", 0, "exit `status` of the command; not 0: a failed run, without outputs")
	f.BoolVar(&o.failed, "failed", false, "it failed, with no status known")
	f.StringVar(&o.line, "command", "", "the command, as one `text`; or after --, argument by argument")
	f.StringVar(&o.code, "code", "", "the `folder` of the code, in a git repository, as it is now")
	f.StringVar(&o.commit, "commit", "", "the `commit` of the code, in full")
	f.StringVar(&o.remote, "remote", "", "with --commit: the `URL` of its git repository")
	f.BoolVar(&o.dirty, "dirty", false, "with --commit: there were changes that are in no commit")
	o.flags.register(c, false)
	return c
}

func (a *app) recordRun(ctx context.Context, o *toldOrder) error {
	switch {
	case o.newID:
		return a.newRunID()
	case o.resume != "":
		return a.resumeRun(ctx, o.resume)
	}
	w := &running{app: a, order: &o.runOrder}
	defer w.close()
	if err := o.parseTold(a, w); err != nil {
		return err
	}
	if err := w.begin(ctx); err != nil {
		return err
	}
	if err := w.verifyInputs(ctx); err != nil {
		return err
	}
	if o.code != "" {
		if err := w.lookAtCode(ctx, o.code); err != nil {
			return err
		}
	} else if len(o.locks) > 0 {
		if err := w.addLocks(here()); err != nil {
			return err
		}
	}
	if err := w.checkDraft(); err != nil {
		return err
	}
	if err := w.foreseeAgain(ctx); err != nil {
		return err
	}
	err := w.stampOutputs(ctx)
	if err != nil {
		return err
	}
	if err = w.record(ctx); err != nil && w.notes != nil {
		w.notes.GaveUp(err)
	}
	return err
}

// newRunID hands out a run's id.
func (a *app) newRunID() error {
	id, err := statement.NewNonce(rand.Reader)
	if err != nil {
		return err
	}
	if a.json {
		a.printJSON(jsonv1.RunID{Run: id.String()})
		return nil
	}
	a.term.Printf("%s\n", id)
	return nil
}

// parseTold reads the flags, before anything is opened.
func (o *toldOrder) parseTold(a *app, w *running) (err error) {
	if err := o.parse(); err != nil {
		return err
	}
	if w.id, err = statement.NewNonce(rand.Reader); err != nil {
		return err
	}
	if o.id != "" {
		if w.id, err = statement.ParseNonce(o.id); err != nil || w.id.IsZero() {
			return usagef("--id %q is no run's id: want 32 hexadecimal digits", o.id).withHint("`stele record run --new-id` prints one")
		}
	}
	if o.line != "" {
		if len(o.command) > 0 {
			return usagef("--command, or the command after --, not both")
		}
		o.command = []string{o.line}
	}
	if err := o.parseEnd(a, w); err != nil {
		return err
	}
	return o.parseCode(w)
}

// parseEnd reads when and how the run ended.
func (o *toldOrder) parseEnd(a *app, w *running) (err error) {
	const most = 255
	r := &w.run
	if o.exitGiven {
		if o.exit < 0 || o.exit > most {
			return usagef("--exit %d: want 0 to %d; of a signal, 128 and its number", o.exit, most)
		}
		status := uint64(o.exit)
		r.Exit, r.Failed = &status, o.exit != 0
	}
	if o.failed && o.exitGiven && o.exit == 0 {
		return usagef("--failed and --exit 0 cannot both be")
	}
	r.Failed = r.Failed || o.failed
	if r.Failed && len(o.out) > 0 {
		return usagef("a failed run has no outputs").withHint("what it left behind can be stamped on its own: `stele stamp`")
	}
	r.Finished = a.now().UnixMilli()
	if o.finished != "" {
		if r.Finished, err = a.when("--finished", o.finished); err != nil {
			return err
		}
	}
	r.Started = r.Finished
	if o.started != "" {
		if r.Started, err = a.when("--started", o.started); err != nil {
			return err
		}
	}
	if r.Started > r.Finished {
		return usagef("--started %s is after the end, %s", a.term.Time(r.Started), a.term.Time(r.Finished))
	}
	return nil
}

// parseCode reads which code it was.
func (o *toldOrder) parseCode(w *running) error {
	switch {
	case o.commit == "" && (o.remote != "" || o.dirty):
		return usagef("--remote and --dirty go with --commit")
	case o.commit != "" && o.code != "":
		return usagef("--code looks at the repository itself: no --commit with it")
	case o.commit == "":
		return nil
	}
	if o.remote != "" {
		if err := statement.CheckRemote(o.remote); err != nil {
			return usagef("--remote: %v", err).withHint("a URL that everybody may see, without user, password or token")
		}
	}
	w.run.Code = &statement.Code{Commit: o.commit, Remote: o.remote, Dirty: o.dirty}
	return nil
}

// resumeRun submits a signed run that is kept here, or says what became of one
// that is not.
func (a *app) resumeRun(ctx context.Context, text string) error {
	id, err := statement.ParseNonce(text)
	if runBegins.MatchString(text) {
		if found, ok := a.pending().ThatBegins(text); ok {
			id, err = found, nil
		}
	}
	if err != nil {
		return usagef("--resume %q is no run's id: want 32 hexadecimal digits", text)
	}
	p, err := a.pending().Find(id)
	if err != nil {
		return err
	}
	dir, err := a.ledgerOfRun(p)
	if err != nil {
		return err
	}
	proof, st, who, origin, err := a.recordedRun(ctx, dir, id)
	if err != nil {
		return err
	}
	switch {
	case proof == nil && p == nil:
		return failf(exitNotFound, "the run %s is neither on this ledger nor in the notes of this machine", id).withHint("whoever ran it has the notes, in $STELE_STATE/runs")
	case proof == nil && !p.Running && p.Envelope == nil && p.Finish != nil:
		return a.finishRun(ctx, dir, id, p)
	case proof == nil && (p.Envelope == nil || p.Running):
		return a.notRecorded(p)
	case proof == nil:
		if proof, err = a.submitSigned(ctx, dir, p.Envelope); err != nil {
			return err
		}
		if _, st, who, origin, err = a.recordedRun(ctx, dir, id); err != nil {
			return err
		}
	}
	if p != nil && !p.Running {
		if err := os.RemoveAll(p.Folder); err != nil {
			a.term.Warnf("the notes of the run are not removed: %v", err)
		}
	}
	out, err := receiptOfRun(id, st.Run, proof, who, origin)
	if p != nil && err == nil {
		addVerdicts(p, out)
	}
	switch {
	case err != nil:
		return err
	case a.json:
		a.printJSON(out)
	case !a.quiet:
		a.printRecorded(out, took(st.Run))
	}
	return nil
}

// ledgerOfRun is the ledger that a run was for: of its notes, unless another is
// named.
func (a *app) ledgerOfRun(p *pending.Run) (string, error) {
	if p != nil && a.ledgerFlag == "" && a.getenv("STELE_LEDGER") == "" {
		return resolveLedger(p.Dir, "the notes of the run")
	}
	return a.findLedger()
}

// recordedRun finds a run on the ledger; a nil proof: it is not there.
func (a *app) recordedRun(ctx context.Context, dir string, id statement.Nonce) (proof *solo.Proof, st *statement.Statement, who jsonv1.Signer, origin string, err error) {
	err = a.readAt(ctx, dir, func(r *reading) error {
		origin = r.Origin()
		index, err := r.Run(id)
		if errors.Is(err, ledger.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		e, found, err := r.Statement(index)
		if err != nil {
			return err
		}
		if err := r.proveIncluded(e); err != nil {
			return err
		}
		if found.Run == nil || found.Nonce != id {
			return fmt.Errorf("%w: the index says that entry %s is the run %s", ledger.ErrDamaged, strconv.FormatUint(index, 10), id)
		}
		signed, err := r.LatestCheckpoint()
		if err != nil {
			return err
		}
		st, who = found, r.Signer(e)
		proof = &solo.Proof{Receipt: ledger.Receipt{Index: index, Time: e.Time, ID: e.Envelope.ID(), Existed: true}, Checkpoint: signed}
		return nil
	})
	return proof, st, who, origin, err
}
