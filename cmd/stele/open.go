package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/internal/ledger"
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

// open opens a ledger to write to it.
func (a *app) open(ctx context.Context, dir string) (*solo.Engine, error) {
	return solo.Open(ctx, a.options(dir))
}

// read finds the ledger and looks at it.
func (a *app) read(ctx context.Context, fn func(*reading) error) error {
	dir, err := a.findLedger()
	if err != nil {
		return err
	}
	return a.readAt(ctx, dir, fn)
}

// readAt looks at the ledger in dir, if its log is trusted. Nothing is written
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

// readUntrusted looks at the ledger in dir, whoever's it may be: for fn that
// checks trust itself.
func (a *app) readUntrusted(ctx context.Context, dir string, fn func(*reading) error) (err error) {
	e, err := solo.Open(ctx, a.readOnly(dir))
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
	return fn(r)
}

// trusting checks the ledger's checkpoint against the pinned log key and what
// this person saw of the log before, and remembers it.
func (a *app) trusting(r *reading) error {
	policy, path, err := a.policyFor(r.Origin())
	if err != nil {
		return err
	}
	if policy == nil {
		return failf(exitUntrusted, "the log %s is not trusted: no key is pinned for it", r.Origin()).withPath(path).
			withHint("get its trust file from whoever runs it, by a way you trust, then `stele trust add FILE`")
	}
	signed, err := r.LatestCheckpoint()
	if err != nil {
		return err
	}
	past, proof, err := a.historyOf(r)
	if err != nil {
		return err
	}
	// Trust in an old log key is followed to the one in force, from rotation
	// to rotation.
	var followed []evidence.VKey
	for _, k := range r.control.LogKeys() {
		if policy.Trusts(k.Key) || len(followed) > 0 {
			followed = append(followed, k.Key)
		}
	}
	next, err := past.Advance(signed, proof, policy, followed...)
	var history *evidence.HistoryError
	if errors.As(err, &history) {
		a.keepConflict(r.ID(), history.Old, history.New)
	}
	if err != nil {
		return err
	}
	if err := a.onlyLedger(r.ID(), past, signed); err != nil {
		return err
	}
	if bytes.Equal(next.Signed, past.Signed) {
		return nil
	}
	return home.Replace(a.seenPath(r.ID()), next.Signed)
}

// historyOf is what this person saw of the ledger before, and the proof that
// the ledger goes on from there. A ledger at hand that has fewer entries than
// it had is an evidence.HistoryError: it was rolled back.
func (a *app) historyOf(r *reading) (past evidence.Remembered, proof tlog.TreeProof, err error) {
	if past, err = a.remembered(r.ID()); err != nil || len(past.Signed) == 0 {
		return past, nil, err
	}
	cp, _, err := evidence.ReadCheckpoint(past.Signed)
	if err != nil {
		return past, nil, err
	}
	if cp.Size > r.Size() {
		now, err := r.LatestCheckpoint()
		if err != nil {
			return past, nil, err
		}
		a.keepConflict(r.ID(), past.Signed, now)
		return past, nil, &evidence.HistoryError{Kind: evidence.ErrRollback, Old: past.Signed, New: now,
			Detail: fmt.Sprintf("the log %s went back: it had %d entries when you last looked, and has %d now", cp.Origin, cp.Size, r.Size())}
	}
	proof, err = r.Consistency(cp.Size)
	return past, proof, err
}

func newReading(v *ledger.View) (*reading, error) {
	control, err := v.Control()
	if err != nil {
		return nil, err
	}
	return &reading{View: v, control: control}, nil
}

// submit completes a statement for this ledger, signs it and puts it there.
// The ledger is open only now: reading data may take hours, and others write
// meanwhile.
func (a *app) submit(ctx context.Context, dir string, signer statement.Signer, make func(*reading) (*statement.Statement, error)) (*solo.Proof, error) {
	e, err := a.open(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer a.close(e)
	r, err := newReading(e.View())
	if err != nil {
		return nil, err
	}
	// Also where --adopt made a new guard: what this person saw before counts.
	if err := a.trusting(r); err != nil {
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
	if err == nil {
		a.saw(r.ID(), proof.Checkpoint)
	}
	return proof, err
}

// saw remembers a checkpoint that was acknowledged to this person.
func (a *app) saw(id statement.LedgerID, checkpoint []byte) {
	if err := home.Replace(a.seenPath(id), checkpoint); err != nil {
		a.term.Warnf("the checkpoint was not remembered: %v", err)
	}
}

// close closes a ledger that was written to. What was acknowledged is on the
// disk, so an error now takes nothing of it back, and is told as a warning.
func (a *app) close(e *solo.Engine) {
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
	var what, handle, origin string
	proof, err := a.submit(ctx, dir, signer, func(r *reading) (*statement.Statement, error) {
		if _, m, ok := r.control.Roster().Key(signer.PublicKey().ID()); ok {
			handle = m.Handle
		}
		st, err := make(r)
		if err == nil {
			kind, what, origin = st.Kind, subject(st), r.Origin()
		}
		return st, err
	})
	if err != nil {
		return err
	}
	return a.printWritten(proof, kind, what, origin, jsonv1.Signer{Handle: handle, Key: signer.PublicKey().ID().String()})
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

// The last checkpoint that this person saw of a ledger lies in the state
// directory, in "seen". It only ever moves forwards.

func (a *app) seenPath(id statement.LedgerID) string {
	return filepath.Join(a.dirs.Ledger(id.String()), "seen")
}

// remembered is the last checkpoint this person saw of a ledger, if any.
func (a *app) remembered(id statement.LedgerID) (past evidence.Remembered, err error) {
	signed, err := os.ReadFile(a.seenPath(id))
	if errors.Is(err, fs.ErrNotExist) {
		return past, nil
	}
	if err != nil {
		return past, err
	}
	if _, _, err := evidence.ReadCheckpoint(signed); err != nil {
		return past, fmt.Errorf("the remembered checkpoint %s: %w", a.seenPath(id), err)
	}
	return evidence.Remembered{Signed: signed}, nil
}

// onlyLedger checks that a trusted checkpoint, where it is the first of its
// ledger that this person sees, is not of a log that they know from another
// ledger. A log has one genesis: two are two histories by one log key.
func (a *app) onlyLedger(id statement.LedgerID, past evidence.Remembered, signed []byte) error {
	if len(past.Signed) > 0 {
		return nil
	}
	now, _, err := evidence.ReadCheckpoint(signed)
	if err != nil {
		return err
	}
	ledgers := filepath.Dir(a.dirs.Ledger(id.String()))
	list, err := os.ReadDir(ledgers)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range list {
		if !e.IsDir() || e.Name() == id.String() {
			continue
		}
		seen, err := os.ReadFile(filepath.Join(ledgers, e.Name(), "seen"))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if cp, _, err := evidence.ReadCheckpoint(seen); err != nil || cp.Origin != now.Origin {
			continue
		}
		a.keepConflict(id, seen, signed)
		return &evidence.HistoryError{Kind: evidence.ErrFork, Old: seen, New: signed,
			Detail: fmt.Sprintf("the log %s shows two histories: you know it as the ledger %s, and this is the ledger %s", now.Origin, e.Name(), id)}
	}
	return nil
}

// remember keeps the checkpoint of a verdict that trusted it, if it is of a
// larger log than the one kept.
func (a *app) remember(v *evidence.Verdict, f *evidence.File) error {
	if !vouched(v) {
		return nil
	}
	now, _, err := evidence.ReadCheckpoint(f.Checkpoint)
	if err != nil {
		return err
	}
	past, err := a.remembered(f.Ledger)
	if err != nil {
		return err
	}
	if len(past.Signed) > 0 {
		if old, _, err := evidence.ReadCheckpoint(past.Signed); err != nil || old.Size >= now.Size {
			return err
		}
		if v.Result(evidence.CheckHistory) != evidence.Passed {
			return nil // larger, but nobody has shown that it goes on from there
		}
	}
	return home.Replace(a.seenPath(f.Ledger), f.Checkpoint)
}

// vouched reports whether a key of a log that is trusted signed the checkpoint.
func vouched(v *evidence.Verdict) bool {
	return v.Result(evidence.CheckTrustedLog) == evidence.Passed && v.Result(evidence.CheckCheckpoint) == evidence.Passed
}

// keepConflict keeps two checkpoints of one log that no proof connects: with
// them anybody can be shown that the log has two histories.
func (a *app) keepConflict(id statement.LedgerID, old, now []byte) {
	sum := sha256.Sum256(slices.Concat(old, now))
	path := filepath.Join(a.dirs.Ledger(id.String()), "conflict-"+hex.EncodeToString(sum[:8]))
	if err := home.Replace(path, slices.Concat(old, []byte("\n"), now)); err != nil {
		a.term.Warnf("the two checkpoints could not be kept: %v", err)
		return
	}
	a.term.Warnf("both checkpoints are kept in %s", path)
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
	case is(ledger.ErrDamaged, evidence.ErrTampered, solo.ErrTampered):
		return exitTampered
	case is(solo.ErrBehindGuard, solo.ErrBesideGuard, solo.ErrNoGuard, evidence.ErrUntrusted, evidence.ErrFork, evidence.ErrRollback, statement.ErrSignature, statement.ErrStanding):
		return exitUntrusted
	case is(statement.ErrNotAllowed, statement.ErrRule):
		return exitRefused
	case is(ledger.ErrNotFound, solo.ErrNoLedger, solo.ErrWithheld, fs.ErrNotExist):
		return exitNotFound
	}
	return exitError
}
