package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/terminal"
)

type restoreFlags struct {
	to, logKey  string
	known       []string
	successor   bool
	recoveryOut string
}

func (a *app) restoreCommand() *cobra.Command {
	var f restoreFlags
	c := &cobra.Command{
		Use:   "restore FROM",
		Short: "Make a ledger of a backup or a mirror, if nothing was lost",
		Long: `Checks every entry of the copy in FROM, a backup of .stele or a mirror's, and
copies it to --to, to be written to again.

A ledger goes on only where nothing that was signed is missing. So the copy is
compared with all that is known of the log: the guard on this machine, what you
saw of it last, its witnesses, and each --known: a mirror's or the old server's
address, or a file with a checkpoint. If one of them knows more, or if nothing
knows anything, it is refused. The log's private key is needed: where the ledger
was made, or from --log-key.

Where entries were lost for good, --successor begins a new ledger, with a log
key of its own and the same administrators, whose first entry names the old one
and the last checkpoint that the copy can prove. Everybody must be told to trust
it.`,
		Example: "  stele restore /mnt/backup --to . --known https://mirror.example.com\n  stele restore /mnt/backup --to ./next --successor",
		Args:    cobra.ExactArgs(1),
		RunE:    func(c *cobra.Command, args []string) error { return a.restore(c.Context(), args[0], f) },
	}
	c.Flags().StringVar(&f.to, "to", "", "the `directory` in which .stele is made")
	c.Flags().StringArrayVar(&f.known, "known", nil, "an `address` or file that knows a checkpoint; may be repeated")
	c.Flags().StringVar(&f.logKey, "log-key", "", "a `file` with the log's private key: the old log.key")
	c.Flags().BoolVar(&f.successor, "successor", false, "entries were lost: begin a new ledger that names the old one")
	c.Flags().StringVar(&f.recoveryOut, "recovery-out", "", "give a successor a new recovery key, written to this `file`")
	return c
}

func (a *app) restore(ctx context.Context, from string, f restoreFlags) error {
	if f.to == "" {
		return usagef("--to is missing: the directory in which .stele is made")
	}
	if !f.successor && f.recoveryOut != "" {
		return usagef("--recovery-out is for a --successor")
	}
	source, err := resolveLedger(from, "")
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(filepath.Join(f.to, ledgerName))
	if err != nil {
		return err
	}
	if _, err := solo.ReadInfo(dir); err == nil {
		return failf(exitError, "%s is a ledger already", dir).withPath(dir).withHint("choose a vacant directory; nothing is overwritten")
	}
	if err := unforked(source, f.successor); err != nil {
		return err
	}
	if err := a.checkCopy(ctx, source); err != nil {
		return err
	}
	var have *knowledge
	err = a.withCopy(ctx, source, func(r *reading) (err error) {
		if have, err = a.whatIsKnown(ctx, r, f.known); err != nil {
			return err
		}
		if f.successor {
			return a.succeed(ctx, r, have, dir, f)
		}
		return a.mayGoOn(r, have, dir, f)
	})
	if err != nil || f.successor {
		return err
	}
	return a.goOn(ctx, have, source, dir)
}

// unforked: a mirror that found that its log has two histories is no copy to go on
// with, whatever it lacks or has; its file stays with it.
func unforked(source string, successor bool) error {
	f, err := solo.ReadFork(source)
	if err != nil || f == nil || successor {
		return err
	}
	cp, _, err := evidence.ReadCheckpoint(f.New)
	if err != nil {
		return err
	}
	return failf(exitUntrusted, "this mirror found that the log %s has two histories: %w", cp.Origin, evidence.ErrFork).withPath(filepath.Join(source, "fork")).
		withHint("a ledger whose log was forked never goes on: --successor begins a new one that names it")
}

// apart is where no guard lies: a copy is compared with ours by whatIsKnown, which
// says what is missing instead of opening nothing.
func (a *app) apart(dir string) solo.Options {
	o := a.readOnly(dir)
	o.State = filepath.Join(a.dirs.State, "no-ledgers")
	return o
}

// checkCopy replays a copy: every entry, signature and checkpoint.
func (a *app) checkCopy(ctx context.Context, dir string) error {
	report, err := solo.Fsck(ctx, a.apart(dir), solo.FsckOptions{})
	if err != nil {
		return err
	}
	if !report.OK() {
		return failf(exitTampered, "%s is damaged: %s", dir, report.Problems[0]).withPath(dir).
			withHint("`stele --ledger " + dir + " fsck` says all that is; take another copy, or a mirror")
	}
	return nil
}

// withCopy looks at a copy of a ledger whose log is trusted, whatever it lacks.
func (a *app) withCopy(ctx context.Context, dir string, fn func(*reading) error) (err error) {
	e, err := solo.Open(ctx, a.apart(dir))
	if err != nil {
		return err
	}
	defer func() {
		if cerr := e.Close(); err == nil {
			err = cerr
		}
	}()
	r, err := newReading(e.View())
	if err != nil {
		return err
	}
	policy, path, err := a.policyFor(r.Origin())
	if err != nil {
		return err
	}
	if policy == nil {
		return failf(exitUntrusted, "the log %s is not trusted: no key is pinned for it", r.Origin()).withPath(path).
			withHint("get its trust file from somebody who trusts it, then `stele trust add FILE`")
	}
	signed, err := r.LatestCheckpoint()
	if err != nil {
		return err
	}
	if _, err := r.Control.Judge(&evidence.Policy{Logs: policy.Logs, Quorum: evidence.QuorumNone}, signed); err != nil {
		return err
	}
	return fn(r)
}

// mayGoOn: nothing that was signed is missing in the copy, and the log's key is
// here.
func (a *app) mayGoOn(r *reading, have *knowledge, dir string, f restoreFlags) error {
	if err := have.complete(r, a.adopt); err != nil {
		return err
	}
	key, _ := r.Control.LogKey(evidence.MaxSize)
	o := a.options(dir)
	if f.logKey != "" {
		text, err := home.ReadSecret(f.logKey)
		if err != nil {
			return err
		}
		if err := solo.PutLogKey(o, r.ID(), key, text); err != nil {
			return failf(exitError, "--log-key: %w", err).withPath(f.logKey)
		}
	}
	held, err := solo.HasLogKey(o, r.ID(), key)
	if err != nil {
		return err
	}
	if !held {
		return failf(exitError, "%w: %s signs this log, and nothing can be written without it", solo.ErrNoLogKey, key.Short()).
			withHint("--log-key FILE takes the log.key of the machine that had the ledger; if it is lost for good, --successor begins a new ledger")
	}
	return nil
}

// goOn makes the copy the ledger.
func (a *app) goOn(ctx context.Context, have *knowledge, source, dir string) error {
	o := a.options(dir)
	if err := solo.Restore(ctx, source, o); err != nil {
		return err
	}
	o.Adopt = true // what a missing guard would say was found out; one that is there is asked again
	e, err := solo.Open(ctx, o)
	if err != nil {
		return err
	}
	defer a.close(e)
	now, err := newReading(e.View())
	if err != nil {
		return err
	}
	if _, err := a.trustingNewest(now); err != nil {
		return err
	}
	signed, err := now.LatestCheckpoint()
	if err != nil {
		return err
	}
	checkpoint, err := checkpointJSON(signed)
	if err != nil {
		return err
	}
	if a.json {
		a.printJSON(jsonv1.Restore{Ledger: now.ID().String(), Origin: now.Origin(), Directory: dir, Entries: now.Size(), Compared: have.told(), Unasked: have.unreached, Checkpoint: checkpoint})
		return nil
	}
	if a.quiet {
		return nil
	}
	a.term.Printf("%s goes on with all %s entries of %s\n", a.term.Style(terminal.Good, dir), terminal.Count(now.Size()), now.Origin())
	for _, k := range have.list {
		a.term.Printf("  %s knows %s entries: they are in it\n", k.who, terminal.Count(k.size))
	}
	for _, who := range have.unreached {
		a.term.Printf("  %s was not reached\n", who)
	}
	if !have.elsewhere {
		a.term.Notef("nothing outside this machine was asked: if all of it was put back from a snapshot, entries signed since would not be missed")
	}
	return nil
}

// knowledge is what is known of a log besides a copy of it.
type knowledge struct {
	list      []known
	missing   []known  // what the copy does not contain
	unreached []string // who may know more
	elsewhere bool     // somebody outside this machine was heard
}

// known is a checkpoint that somebody has.
type known struct {
	who    string
	size   uint64
	signed []byte // nil where only the size was told
	why    string // it is missing
}

func (k *knowledge) told() (list []jsonv1.Known) {
	list = []jsonv1.Known{}
	for _, one := range k.list {
		list = append(list, jsonv1.Known{Who: one.who, Size: one.size})
	}
	return list
}

// complete refuses a copy that lacks something, and one of which nothing is known.
func (k *knowledge) complete(r *reading, adopt bool) error {
	if len(k.missing) > 0 {
		m := k.missing[0]
		for _, other := range k.missing {
			if other.size > m.size {
				m = other
			}
		}
		return failf(exitUntrusted, "signed entries are missing: the copy has %s, %s knows %s (%s): %w", terminal.Count(r.Size()), m.who, terminal.Count(m.size), m.why, evidence.ErrRollback).
			withHint("take a newer copy, such as a mirror's; a ledger that lost entries never goes on: --successor begins a new one that names it")
	}
	if len(k.list) == 0 && !adopt {
		return failf(exitUntrusted, "nothing here knows how many entries this log had: whether some are missing cannot be told: %w", solo.ErrNoGuard).
			withHint("--known takes the address of a mirror, or a file with a checkpoint that somebody kept; --adopt goes on without")
	}
	return nil
}

// whatIsKnown asks everybody who may know of entries that a copy lacks.
func (a *app) whatIsKnown(ctx context.Context, r *reading, places []string) (*knowledge, error) {
	k := &knowledge{list: []known{}, unreached: []string{}}
	guard, err := solo.LastSigned(a.options(""), r.ID())
	if err == nil {
		err = k.add(r, "the guard on this machine", guard)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the guard: %w", err)
	}
	for _, name := range []string{"seen", "cosigned"} {
		signed, err := os.ReadFile(filepath.Join(a.dirs.Ledger(r.ID().String()), name))
		if err == nil {
			err = k.add(r, "what you saw last ("+name+")", signed)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	for _, place := range places {
		signed, err := a.knownAt(ctx, place)
		if err != nil {
			return nil, err // named by the person: not to be passed over
		}
		if err := k.add(r, place, signed); err != nil {
			return nil, fmt.Errorf("--known %s: %w", place, err)
		}
		k.elsewhere = true
	}
	policy, _, err := a.policyFor(r.Origin())
	if err != nil {
		return nil, err
	}
	return k, a.askWitnessesOf(ctx, r, policy, k)
}

// add takes in a checkpoint that somebody has.
func (k *knowledge) add(r *reading, who string, signed []byte) error {
	cp, _, err := evidence.ReadCheckpoint(signed)
	if err != nil {
		return err
	}
	one := known{who: who, size: cp.Size, signed: signed}
	if one.why, err = notInCopy(r, cp, signed); err != nil {
		return err
	}
	if one.why != "" {
		k.missing = append(k.missing, one)
	} else {
		k.list = append(k.list, one)
	}
	return nil
}

// notInCopy says what of a checkpoint is not in the copy; empty: nothing.
func notInCopy(r *reading, cp evidence.Checkpoint, signed []byte) (string, error) {
	if cp.Origin != r.Origin() {
		return "", failf(exitUsage, "it is a checkpoint of another log, %s", cp.Origin)
	}
	var keys []evidence.VKey
	for _, k := range r.Control.LogKeys() {
		keys = append(keys, k.Key)
	}
	_, _, err := evidence.OpenCheckpoint(signed, evidence.Verifiers(keys...))
	switch {
	case errors.Is(err, evidence.ErrUntrusted) && cp.Size > r.Size():
		return "signed by a key that the copy does not know, perhaps of a later rotation", nil
	case err != nil:
		return "", err
	case cp.Size > r.Size():
		return "signed by the log", nil
	case cp.Size == 0:
		return "", nil
	}
	then, err := r.AsOf(cp.Size)
	if err != nil {
		return "", err
	}
	root, err := then.Root()
	if err != nil {
		return "", err
	}
	if root != cp.Root {
		return "signed by the log, over other entries than the copy's", nil
	}
	return "", nil
}
