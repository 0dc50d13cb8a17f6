package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"

	"github.com/stele-ml/stele/client"
	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/manifest"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/statement"
)

// options says where a ledger and its owner's state lie.
func (a *app) options(dir string) solo.Options {
	return solo.Options{Dir: dir, State: filepath.Join(a.dirs.State, "ledgers"), Adopt: a.adopt}
}

func (a *app) readOnly(dir string) solo.Options {
	o := a.options(dir)
	o.ReadOnly = true
	return o
}

// open opens a ledger's directory for what a server does not do for others.
func (a *app) open(ctx context.Context, dir string) (*solo.Engine, error) {
	if isAddress(dir) {
		return nil, notFromHere("this", dir)
	}
	return a.openSolo(ctx, a.options(dir))
}

// openSolo is solo.Open. A ledger that is behind or beside its guard is not opened;
// both checkpoints are kept, for the two of them show what happened.
func (a *app) openSolo(ctx context.Context, o solo.Options) (*solo.Engine, error) {
	e, err := solo.Open(ctx, o)
	var g *solo.GuardError
	if errors.As(err, &g) {
		if info, ierr := solo.ReadInfo(o.Dir); ierr == nil {
			a.memory.Convict(info.ID, g.GuardSigned, g.DatabaseSigned)
		}
	}
	return e, err
}

// read finds the ledger and looks at it.
func (a *app) read(ctx context.Context, fn func(*reading) error) error {
	dir, err := a.findLedger()
	if err != nil {
		return err
	}
	return a.readAt(ctx, dir, fn)
}

// readAt looks at the ledger at a place, if its log is trusted. Nothing is written
// to it: no log key is needed, so that a copy can be read by anybody, but a
// guard that is there must agree, and so must what this person saw before.
func (a *app) readAt(ctx context.Context, dir string, fn func(*reading) error) error {
	return a.readUntrusted(ctx, dir, func(r *reading) error {
		if err := a.trusting(r); err != nil {
			return err
		}
		return fn(r)
	})
}

// readUntrusted looks at the ledger at a place, whoever's it may be: for fn that
// checks trust itself.
func (a *app) readUntrusted(ctx context.Context, dir string, fn func(*reading) error) (err error) {
	e, err := a.engineAt(ctx, dir, true)
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
	if r, err = a.cosigned(r); err != nil {
		return err
	}
	r.ctx = ctx
	err = fn(r)
	if statusOf(err) == exitNotFound {
		return a.notThere(r, dir, err)
	}
	return err
}

// notThere is the error that something is not on a ledger: it is worth no more than the
// word of whoever shows the ledger. One that went back, or is another, is told as that.
func (a *app) notThere(r *reading, at string, err error) error {
	if terr := a.trusting(r); terr != nil {
		return terr
	}
	if isAddress(at) && errors.Is(err, ledger.ErrNotFound) {
		return describe(err).hinted("that it is not there is the server's word alone: a mirror would show it")
	}
	return err
}

func newReading(v *ledger.View) (*reading, error) {
	book, err := account.Open(v)
	if err != nil {
		return nil, err
	}
	return &reading{Book: book}, nil
}

// submit completes a statement for this ledger, signs it and puts it there.
// The ledger is open only now: reading data may take hours, and others write
// meanwhile.
func (a *app) submit(ctx context.Context, dir string, signer statement.Signer, make func(*reading) (*statement.Statement, error)) (*solo.Proof, error) {
	signer, err := a.renewed(ctx, signer)
	if err != nil {
		return nil, err
	}
	e, err := a.engineAt(ctx, dir, false)
	if err != nil {
		return nil, err
	}
	defer a.close(e)
	r, err := newReading(e.View())
	if err != nil {
		return nil, err
	}
	// Also where --adopt made a new guard: what this person saw before counts.
	policy, err := a.trustingNewest(r)
	if err != nil {
		return nil, err
	}
	st, err := make(r)
	if err != nil {
		return nil, err
	}
	st.Ledger = r.ID()
	if st.Nonce, err = statement.NewNonce(rand.Reader); err != nil {
		return nil, err
	}
	env, err := statement.Sign(st, signer)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	proof, err := e.Submit(ctx, env)
	if err != nil {
		_, err = a.heldBack(r.ID(), env, err)
		return nil, err
	}
	a.saw(r.ID(), proof.Checkpoint)
	a.witnessedHere(ctx, e, policy, proof)
	return proof, nil
}

// witnessedHere is witnessed for a ledger in a directory: a server asks the
// witnesses by itself.
func (a *app) witnessedHere(ctx context.Context, e engine, policy *evidence.Policy, proof *solo.Proof) {
	if here, ok := e.(*solo.Engine); ok {
		a.witnessed(ctx, here, policy, proof)
	}
}

// close closes a ledger that was written to. What was acknowledged is on the
// disk, so an error now takes nothing of it back, and is told as a warning.
func (a *app) close(e io.Closer) {
	if err := e.Close(); err != nil {
		a.term.Warnf("closing the ledger: %v; what was acknowledged is safe", err)
	}
}

// write is submit for the verbs whose whole work is one statement.
func (a *app) write(ctx context.Context, make func(*reading) (*statement.Statement, error)) error {
	dir, signer, closeSigner, err := a.writer(ctx)
	if err != nil {
		return err
	}
	defer closeSigner()
	var kind statement.Kind
	var what, origin string
	var who jsonv1.Signer
	proof, err := a.submit(ctx, dir, signer, func(r *reading) (*statement.Statement, error) {
		who = r.signerBy(authorOf(signer))
		st, err := make(r)
		if err == nil {
			kind, what, origin = st.Kind, subject(st), r.Origin()
		}
		return st, err
	})
	if err != nil {
		return err
	}
	return a.printWritten(proof, kind, what, origin, who)
}

// checkpointJSON turns a signed checkpoint into what --json prints.
func checkpointJSON(signed []byte) (jsonv1.Checkpoint, error) {
	cp, _, err := evidence.ReadCheckpoint(signed)
	if err != nil {
		return jsonv1.Checkpoint{}, err
	}
	return jsonv1.Checkpoint{Size: cp.Size, Root: base64.StdEncoding.EncodeToString(cp.Root[:]), Note: string(signed)}, nil
}

// newDetails makes a salted details document.
func newDetails(locations []string, host string) (*statement.Details, error) {
	d, err := statement.NewDetails(rand.Reader)
	if err != nil {
		return nil, err
	}
	d.Locations, d.Host = locations, host
	return d, nil
}

// describeLedger adds what the engine's and the ledger's errors say: the
// rule, the entry, the hint.
func describeLedger(err error, f *failure) {
	var r *ledger.Refusal
	if errors.As(err, &r) {
		f.rule, f.entry = string(r.Rule), r.Entry
		if f.hint == "" {
			f.hint = r.Hint
		}
		f.takeViolations(r)
	}
	if f.hint != "" {
		return
	}
	switch {
	case errors.Is(err, solo.ErrNoGuard):
		f.hint = "if this ledger was moved here on purpose and nothing newer exists, --adopt makes a new guard"
	case errors.Is(err, ledger.ErrIndex):
		f.hint = "`stele fsck --rebuild` writes the index again from the entries"
	case errors.Is(err, ledger.ErrDamaged):
		f.hint = "`stele fsck` says what is damaged"
	}
}

// statusOf is the exit status for an error.
func statusOf(err error) int {
	var f *failure
	if errors.As(err, &f) {
		return f.status
	}
	var unusable *manifest.Error
	if errors.As(err, &unusable) && unusable.Damaged() {
		return exitTampered
	}
	// What is wrong within the data is an error; only what a person named
	// themselves is "not found".
	var unreadable *source.Error
	if errors.As(err, &unreadable) {
		if errors.Is(err, source.ErrUnreachable) {
			return exitUnreachable
		}
		return exitError
	}
	var r *ledger.Refusal
	if errors.As(err, &r) {
		switch r.Class {
		case ledger.ClassUntrusted:
			return exitUntrusted
		case ledger.ClassNotFound:
			return exitNotFound
		case ledger.ClassMalformed:
			return exitError
		}
		return exitRefused
	}
	is := func(targets ...error) bool {
		for _, t := range targets {
			if errors.Is(err, t) {
				return true
			}
		}
		return false
	}
	switch {
	case is(ledger.ErrDamaged, evidence.ErrTampered, solo.ErrTampered, home.ErrNonce):
		return exitTampered
	case is(client.ErrUnreachable, client.ErrNotCosigned):
		return exitUnreachable
	case is(solo.ErrBehindGuard, solo.ErrBesideGuard, solo.ErrNoGuard, evidence.ErrUntrusted, evidence.ErrFork, evidence.ErrRollback, statement.ErrSignature, statement.ErrStanding):
		return exitUntrusted
	case is(statement.ErrNotAllowed, statement.ErrRule, client.ErrAccess, client.ErrRefused, client.ErrReadOnly):
		return exitRefused
	case is(ledger.ErrNotFound, solo.ErrNoLedger, solo.ErrWithheld, fs.ErrNotExist, client.ErrNotFound):
		return exitNotFound
	}
	return exitError
}
