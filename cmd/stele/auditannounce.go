package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/audit"
	"github.com/stele-ml/stele/internal/collection"
	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/statement"
)

// An announced audit lives in two places: on the ledger, which binds its author
// to a nonce by its hash, and in the author's state directory, where the nonce
// is kept until the result shows it.

// announceAudit puts on the ledger what will be looked for, and goes on from
// there. Where this person announced the same before and was interrupted, that
// is gone on with.
func (a *app) announceAudit(ctx context.Context, o *auditOrder) (err error) {
	w, err := a.beginAudit(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = w.end(err) }()
	// Whatever would keep the audit from being made is met before it is announced.
	if err := o.bound(min(w.stamp.Bytes, o.draws*fingerprint.ChunkSize)); err != nil {
		return err
	}
	if err := collection.Check(ctx, w.root.Parts, w.known.open); err != nil {
		return err
	}
	dir, err := a.findLedger()
	if err != nil {
		return err
	}
	at, err := w.data.place.Absolute()
	if err != nil {
		return err
	}
	open, p, err := a.unended(ctx, dir, o, w, at.String())
	if err != nil {
		return err
	}
	if open != nil {
		a.term.Notef("going on with the audit that entry %d announced", open.Announced.Index)
		return a.conductAudit(ctx, dir, o, w, open, p)
	}
	signer, closeSigner, err := a.signer(ctx)
	if err != nil {
		return err
	}
	defer closeSigner()
	if p, err = a.dirs.KeepNonce(w.file.Ledger.String(), at.String(), rand.Reader); err != nil {
		return err
	}
	st := &statement.Statement{
		Kind: statement.KindAudit, Subject: []statement.Subject{w.root.Binding.Ref().Subject()},
		Audit: &statement.Audit{Announcement: &statement.AuditAnnouncement{
			Altered: statement.Fraction(o.altered), Confidence: statement.Fraction(o.confidence), Chunks: o.draws, NonceSHA256: sha256.Sum256(p.Value[:]),
		}},
	}
	if !o.noDetails {
		if st.Audit.Details, err = a.keepLocation(ctx, dir, at.String()); err != nil {
			os.Remove(p.Path)
			return err
		}
	}
	proof, err := a.submit(ctx, dir, signer, func(*reading) (*statement.Statement, error) { return st, nil })
	if err != nil {
		// Where the outcome is not known, the nonce is kept: the same command
		// finds the entry, if there is one, and goes on with it.
		var refused *ledger.Refusal
		if errors.As(err, &refused) {
			os.Remove(p.Path)
		}
		return err
	}
	index := proof.Receipt.Index
	a.announced = &index
	a.term.Notef("announced in entry %d; whatever comes of it will be seen", index)
	var announced ledger.Audit
	err = a.readAt(ctx, dir, func(r *reading) error {
		announced, err = r.Audit(index)
		return err
	})
	if err != nil {
		return a.stillOpen(err)
	}
	return a.conductAudit(ctx, dir, o, w, &announced, p)
}

// stillOpen adds to an error how to go on with an audit that is announced and
// has not ended.
func (a *app) stillOpen(err error) error {
	if a.announced == nil {
		return err
	}
	f := describe(err)
	hint := resumeHint(*a.announced)
	if f.hint != "" {
		hint = f.hint + "; " + hint
	}
	return f.withHint(hint)
}

func resumeHint(announced uint64) string {
	return fmt.Sprintf("the announced audit is open: `stele audit --resume %d` goes on with it", announced)
}

// unended finds an audit of the same data at the same place, with the same
// odds, that this person announced and that has not ended.
func (a *app) unended(ctx context.Context, dir string, o *auditOrder, w *auditing, at string) (found *ledger.Audit, p *home.Nonce, err error) {
	err = a.readAt(ctx, dir, func(r *reading) error {
		for audit, err := range r.Audits(w.root.Binding.Ref()) {
			if err != nil {
				return err
			}
			n := audit.Announced.Statement.Audit.Announcement
			if audit.Result != nil || n.Altered != statement.Fraction(o.altered) || n.Confidence != statement.Fraction(o.confidence) {
				continue
			}
			if ref, err := audit.Announced.Statement.Ref(); err != nil || ref != w.root.Binding.Ref() {
				continue
			}
			kept, err := a.dirs.Nonce(r.ID().String(), n.NonceSHA256)
			if errors.Is(err, fs.ErrNotExist) {
				continue // somebody else's
			}
			if err != nil {
				return err
			}
			if kept.Place == at {
				found, p = &audit, kept
			}
		}
		return nil
	})
	return found, p, err
}

// resumeAudit goes on with an announced audit that was interrupted.
func (a *app) resumeAudit(ctx context.Context, o *auditOrder) (err error) {
	dir, err := a.findLedger()
	if err != nil {
		return err
	}
	var announced ledger.Audit
	var p *home.Nonce
	err = a.readAt(ctx, dir, func(r *reading) error {
		if announced, err = r.announcedAudit(*o.resume); err != nil {
			return err
		}
		if announced.Result != nil {
			return failf(exitError, "the audit of entry %d ended with entry %d: %s", *o.resume, announced.Result.Index, announced.Result.Statement.Audit.Result.Outcome).
				withEntry(announced.Result.Index).withHint("--check repeats it; --announce begins another")
		}
		p, err = a.dirs.Nonce(r.ID().String(), announced.Announced.Statement.Audit.Announcement.NonceSHA256)
		if errors.Is(err, fs.ErrNotExist) {
			return failf(exitNotFound, "the nonce of the audit of entry %d is not kept here", *o.resume).withEntry(*o.resume).
				withHint("only who announced it, on that machine, can end it; --announce begins another")
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := o.of(&announced); err != nil {
		return err
	}
	if o.place == "" {
		o.place = p.Place
	}
	if err := samePlace(p.Place, o.place); err != nil {
		return err
	}
	w, err := a.beginAudit(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = w.end(err) }()
	return a.conductAudit(ctx, dir, o, w, &announced, p)
}

// samePlace refuses to end an audit on a copy that lies elsewhere than what was
// announced.
func samePlace(announced, given string) error {
	at, err := parsePlace(given)
	if err != nil {
		return err
	}
	if at, err = at.Absolute(); err != nil {
		return err
	}
	if then, err := parsePlace(announced); err != nil || !at.Same(then) {
		return usagef("the audit was announced of %s, not of %s", announced, at).withHint("leave the PLACE out; `stele audit NAME@VERSION PLACE --announce` begins one of another place")
	}
	return nil
}

// of takes artifact and odds from an announcement.
func (o *auditOrder) of(announced *ledger.Audit) error {
	st := announced.Announced.Statement
	ref, err := st.Ref()
	if err != nil {
		return err
	}
	n := st.Audit.Announcement
	o.name, o.version = ref.Name, ref.Version
	o.altered, o.confidence, o.draws = audit.Share(n.Altered), audit.Share(n.Confidence), n.Chunks
	return nil
}

// conductAudit makes an audit that has been announced, and puts the result on
// the ledger, also where something differs or cannot be read. What is only
// interrupted stays open, to be gone on with.
func (a *app) conductAudit(ctx context.Context, dir string, o *auditOrder, w *auditing, announced *ledger.Audit, p *home.Nonce) error {
	a.announced = &announced.Announced.Index
	cp, seed, err := a.seedOf(ctx, dir, announced, p.Value)
	if err != nil {
		return a.stillOpen(err)
	}
	plan, err := w.draw(seed, o.draws)
	if err == nil {
		err = o.bound(plan.BytesToRead)
	}
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return a.stillOpen(err)
	}
	out := newAudit(o, w, plan)
	out.Announced = &announced.Announced.Index
	found, runErr := a.runAudit(ctx, o, w, plan, out)
	if runErr != nil && (ctx.Err() != nil || statusOf(runErr) == exitUnreachable) {
		return a.stillOpen(runErr)
	}
	result := &statement.AuditResult{
		Announcement: announced.Announced.Index, Nonce: p.Value, Checkpoint: cp, Seed: seed, Outcome: statement.OutcomeHeld,
		ChunksAsked: plan.ToRead, ChunksRead: found.ChunksRead, BytesRead: found.BytesRead, FilesCompared: found.Files,
		ChunksDiffering: found.ChunksAltered, NamesDiffering: found.Added + found.Removed + found.Resized,
	}
	switch {
	case !found.Held():
		result.Outcome = statement.OutcomeAltered
	case runErr != nil:
		result.Outcome = statement.OutcomeIncomplete
	}
	ended, err := a.endAudit(ctx, dir, w, result)
	if err != nil {
		return a.stillOpen(err)
	}
	a.announced = nil
	os.Remove(p.Path) // it is shown now
	out.Outcome, out.Ended = result.Outcome, &ended
	if runErr != nil {
		a.term.Warnf("the audit ended as %s, in entry %d", result.Outcome, ended)
		return runErr
	}
	return a.judgeAudit(o, w, plan, found, out)
}

// seedOf is what decides which chunks an announced audit reads.
func (a *app) seedOf(ctx context.Context, dir string, announced *ledger.Audit, nonce [32]byte) (cp statement.AuditCheckpoint, seed audit.Seed, err error) {
	err = a.readAt(ctx, dir, func(r *reading) error {
		over, err := r.CheckpointOver(announced.Announced.Index)
		if err != nil {
			return err
		}
		cp = statement.AuditCheckpoint{Size: over.Size, Root: over.Root}
		seed = statement.AuditSeed(announced.Announced.LeafHash(), nonce, cp.Size, cp.Root)
		return nil
	})
	return cp, seed, err
}

// endAudit puts the result on the ledger.
func (a *app) endAudit(ctx context.Context, dir string, w *auditing, result *statement.AuditResult) (uint64, error) {
	signer, closeSigner, err := a.signer(ctx)
	if err != nil {
		return 0, err
	}
	defer closeSigner()
	st := &statement.Statement{
		Kind: statement.KindAudit, Subject: []statement.Subject{w.root.Binding.Ref().Subject()}, Audit: &statement.Audit{Result: result},
	}
	proof, err := a.submit(ctx, dir, signer, func(*reading) (*statement.Statement, error) { return st, nil })
	if err != nil {
		return 0, err
	}
	return proof.Receipt.Index, nil
}

// announcedAudit finds an audit by the entry that announced it, or that ended it.
func (r *reading) announcedAudit(index uint64) (ledger.Audit, error) {
	if index >= r.Size() {
		return ledger.Audit{}, failf(exitNotFound, "there is no entry %d; the log has %d", index, r.Size()).withEntry(index)
	}
	e, st, err := r.Statement(index)
	if err != nil {
		return ledger.Audit{}, err
	}
	if st.Audit == nil {
		return ledger.Audit{}, usagef("entry %d is no audit: it is %s", e.Index, st.Kind.Noun()).withHint("`stele audit --list` shows them")
	}
	if st.Audit.Result != nil {
		index = st.Audit.Result.Announcement
	}
	return r.Audit(index)
}
