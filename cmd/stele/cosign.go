package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/cosign"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/terminal"
)

const (
	// defaultWaitTimeout is how long --wait cosigned waits.
	defaultWaitTimeout = 30 * time.Second

	// witnessWait is how long a command that wrote waits for witnesses when it was
	// not told to: what it wrote is in the log already.
	witnessWait = 3 * time.Second

	waitCosigned = "cosigned" // the value of --wait
)

// waitable checks --wait against the policy of the ledger that is about to be
// written to.
func (a *app) waitable(policy *evidence.Policy) error {
	switch {
	case a.wait == "":
		return nil
	case a.wait != waitCosigned:
		return usagef("--wait %q: use %s", a.wait, waitCosigned)
	case a.waitTimeout <= 0:
		return usagef("--wait-timeout %s: want a length of time above zero", a.waitTimeout)
	case policy.Quorum == evidence.QuorumNone:
		return usagef("--wait %s: the trust file of this ledger names no quorum of witnesses", waitCosigned).
			withHint("`stele trust show` shows it; docs/witnessing.md says how a ledger gets witnesses")
	}
	return nil
}

// startCosigning begins to ask a ledger's witnesses, as long as the worker is not
// closed. It is nil where this person's trust file names none of them to ask.
func (a *app) startCosigning(e *solo.Engine, policy *evidence.Policy, o cosign.Options) (*cosign.Worker, error) {
	if policy == nil || policy.Quorum == evidence.QuorumNone {
		return nil, nil
	}
	o.Policy, o.Now = policy, a.now
	return cosign.Start(cosignedLog{e, a}, o)
}

// cosignedLog is a ledger whose witnesses are asked.
type cosignedLog struct {
	*solo.Engine
	a *app
}

// Contradict implements cosign.Log. The guard keeps what contradicts the ledger by the
// log's signature alone; the cosignatures, which say who else was shown it, are kept
// here.
func (l cosignedLog) Contradict(signed []byte) error {
	err := l.Engine.Contradict(signed)
	var g *solo.GuardError
	if errors.As(err, &g) {
		l.a.memory.Convict(l.Info().ID, signed, g.DatabaseSigned)
	}
	return err
}

// witnessed has what was just written cosigned, if the trust file names
// witnesses: for some seconds, or as long as --wait says. The proof then has the
// cosigned checkpoint. What was written stays written either way, so nothing
// here is an error; that it was waited for in vain is the command's at its end.
func (a *app) witnessed(ctx context.Context, e *solo.Engine, policy *evidence.Policy, proof *solo.Proof) {
	a.askedWitnesses = true
	w, err := a.startCosigning(e, policy, cosign.Options{})
	if w == nil && err == nil {
		return
	}
	var signed []byte
	if err == nil {
		defer w.Close()
		if a.wait == waitCosigned {
			ctx, cancel := context.WithTimeout(ctx, a.waitTimeout)
			defer cancel()
			signed, err = w.Wait(ctx, proof.View.Size())
		} else {
			ctx, cancel := context.WithTimeout(ctx, witnessWait)
			defer cancel()
			signed, err = w.Try(ctx, proof.View.Size())
		}
	}
	if w != nil {
		for _, one := range w.Status().Witnesses {
			if one.Forgot {
				a.term.Warnf("the witness %s has lost its memory, or was put back from a copy: it is to be replaced by another", one.Name)
			}
		}
	}
	if err == nil {
		proof.Checkpoint = signed
		return
	}
	f := failf(exitUnreachable, "entry %s is in the log, and not cosigned so far: %w", entryText(proof.Index), err).
		withHint("nothing is lost: the witnesses are asked again with the next entry, and by `stele cosign`").withEntry(proof.Index)
	if errors.Is(err, evidence.ErrFork) {
		f.status, f.hint = exitUntrusted, describe(err).hint
		a.unwitnessed = f
		return
	}
	if a.wait == waitCosigned {
		a.unwitnessed = f
		return
	}
	a.term.Warnf("%s", f.message)
}

// waitForExisting keeps the promise of --wait where a command found that all it
// was to write is there already, or had nothing to write: what is there is waited
// for.
func (a *app) waitForExisting(ctx context.Context) error {
	if a.wait == "" || a.askedWitnesses {
		return nil
	}
	at, err := a.findLedger()
	if err != nil {
		return err
	}
	if isAddress(at) || runningServer(at) != "" {
		return a.waitForServer(ctx, at)
	}
	e, err := a.open(ctx, at)
	if err != nil {
		return err
	}
	defer a.close(e)
	r, err := newReading(e.View())
	if err != nil {
		return err
	}
	policy, err := a.trustingNewest(r)
	if err != nil {
		return err
	}
	w, err := a.startCosigning(e, policy, cosign.Options{})
	if err != nil || w == nil {
		return err
	}
	defer w.Close()
	ctx, cancel := context.WithTimeout(ctx, a.waitTimeout)
	defer cancel()
	if _, err = w.Wait(ctx, r.Size()); err == nil {
		return nil
	}
	if errors.Is(err, evidence.ErrFork) {
		return failf(exitUntrusted, "%w", err).withHint(describe(err).hint)
	}
	return failf(exitUnreachable, "what is in the log is not cosigned so far: %w", err).withHint("the witnesses are asked again with the next entry, and by `stele cosign`")
}

// cosignedPause is how often a server is asked whether its witnesses have answered.
const cosignedPause = 500 * time.Millisecond

// waitForServer waits until a server shows a checkpoint over all that it had when it
// was first asked, cosigned by the quorum of this person's policy. It is the server
// that asks the witnesses.
func (a *app) waitForServer(ctx context.Context, at string) error {
	deadline, cancel := context.WithTimeout(ctx, a.waitTimeout)
	defer cancel()
	for size := uint64(0); ; {
		now, reached, err := a.cosignedAt(ctx, at)
		if err != nil {
			return err
		}
		if size == 0 {
			size = now
		}
		if reached >= size {
			return nil
		}
		select {
		case <-time.After(cosignedPause):
		case <-deadline.Done():
			return failf(exitUnreachable, "what is in the log is not cosigned so far: %d of its first %d entries are", reached, size).
				withHint("the server goes on asking its witnesses")
		}
	}
}

// cosignedAt is how many entries the log has, and how many of them the quorum of this
// person's policy has cosigned.
func (a *app) cosignedAt(ctx context.Context, at string) (size, reached uint64, err error) {
	e, err := a.engineAt(ctx, at, true)
	if err != nil {
		return 0, 0, err
	}
	defer a.close(e)
	r, err := newReading(e.View())
	if err != nil {
		return 0, 0, err
	}
	policy, err := a.trustingNewest(r)
	if err != nil {
		return 0, 0, err
	}
	signed, err := r.CosignedBy(policy)
	if errors.Is(err, ledger.ErrNotFound) {
		return r.Size(), 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	cp, _, err := evidence.ReadCheckpoint(signed)
	return r.Size(), cp.Size, err
}

func (a *app) cosignCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "cosign",
		Short: "Ask the ledger's witnesses to cosign its newest checkpoint",
		Long: `Asks the witnesses that the trust file names for this ledger, all at once, to
cosign its newest checkpoint, also if they have: so that a ledger to which
nothing is written stays fresh. A ledger that a server keeps needs no such
command: the server asks by itself, and so does every command that writes.

It ends with 0 if the quorum was reached, with 7 if it was not.`,
		Example: "  stele cosign\n  stele cosign --wait-timeout 10s --json",
		Args:    cobra.NoArgs,
		RunE:    func(c *cobra.Command, _ []string) error { return a.cosign(c.Context()) },
	}
}

func (a *app) cosign(ctx context.Context) (err error) {
	dir, err := a.findLedgerHere("cosign")
	if err != nil {
		return err
	}
	if runningServer(dir) != "" {
		return failf(exitError, "a server has %s open, and asks the witnesses by itself", dir).withPath(dir).
			withHint("its /health/log and its log say how each witness answers; `--wait cosigned` waits for them")
	}
	e, err := a.open(ctx, dir)
	if err != nil {
		return err
	}
	defer a.close(e)
	r, err := newReading(e.View())
	if err != nil {
		return err
	}
	policy, err := a.trustingNewest(r)
	if err != nil {
		return err
	}
	w, err := a.startCosigning(e, policy, cosign.Options{Again: true})
	switch {
	case err != nil:
		return failf(exitUsage, "%w", err).withHint("docs/witnessing.md says how a ledger gets witnesses")
	case w == nil:
		return usagef("the trust file of %s names no quorum of witnesses", r.Origin()).
			withHint("docs/witnessing.md says how a ledger gets witnesses")
	}
	defer w.Close()
	ctx, cancel := context.WithTimeout(ctx, a.waitTimeout)
	defer cancel()
	_, waited := w.Try(ctx, r.Size())
	return a.printCosigned(r.Origin(), w.Status(), waited)
}

// printCosigned shows how the witnesses answered, and ends with how that is.
func (a *app) printCosigned(origin string, s cosign.Status, waited error) error {
	out := jsonv1.Cosign{Origin: origin, Quorum: s.Quorum, Reached: waited == nil, Witnesses: []jsonv1.CosignedWitness{}}
	if s.Cosigned.Signed != nil {
		cp, err := checkpointJSON(s.Cosigned.Signed)
		if err != nil {
			return err
		}
		out.Checkpoint, out.Time = &cp, jsonv1.At(s.Cosigned.Time*1000)
	}
	rows := make([][]terminal.Cell, 0, len(s.Witnesses))
	for _, p := range s.Witnesses {
		var at jsonv1.Time
		shown := "–"
		if p.Time > 0 {
			at, shown = jsonv1.At(p.Time*1000), a.term.Time(p.Time*1000)
		}
		out.Witnesses = append(out.Witnesses, jsonv1.CosignedWitness{Name: p.Name, URL: p.URL, State: string(p.State), Size: p.Size, Time: at, Error: p.Error, Forgot: p.Forgot})
		why := p.Error
		if p.State == cosign.StateNew {
			why = "no answer so far"
		}
		if p.Forgot {
			why = strings.TrimSuffix("it has lost its memory; "+why, "; ")
		}
		rows = append(rows, []terminal.Cell{{Text: p.Name}, {Text: string(p.State)}, {Text: terminal.Count(p.Size)}, {Text: shown}, {Text: why}})
	}
	switch {
	case a.json:
		a.printJSON(out)
	case !a.quiet || waited != nil:
		a.term.Table([]terminal.Column{{Title: "witness"}, {Title: "answer"}, {Title: "entries"}, {Title: "cosigned"}, {Title: "why not"}}, rows)
	}
	switch {
	case waited == nil:
		return nil
	case errors.Is(waited, evidence.ErrFork):
		return failf(exitUntrusted, "%w", waited).withHint(describe(waited).hint)
	}
	// Why is in the table, or the object.
	return failf(exitUnreachable, "the quorum %q was not reached", s.Quorum).
		withHint("what is in the log stays there; a witness that does not answer is asked again by the next `stele cosign`")
}
