package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/statement"
)

// trusting checks the ledger's newest checkpoint against the pinned log key and
// what this person saw of the log before, and remembers it. Where the policy asks
// for a quorum of witnesses, what is read must be as of a checkpoint that reached
// it: see cosigned, which makes such a reading.
func (a *app) trusting(r *reading) error {
	policy, err := a.trustingNewest(r)
	if err != nil || policy.Quorum == evidence.QuorumNone || a.newest {
		return err
	}
	return a.trustingCosigned(r, policy)
}

// trustingNewest is trusting for who writes: the log's own signature counts, and
// that the log goes on from what was seen. What was just written is not cosigned
// so far, and what is decided on must be what the log will decide on.
func (a *app) trustingNewest(r *reading) (*evidence.Policy, error) {
	policy, path, err := a.policyFor(r.Origin())
	if err != nil {
		return nil, err
	}
	if policy == nil {
		return nil, failf(exitUntrusted, "the log %s is not trusted: no key is pinned for it", r.Origin()).withPath(path).
			withHint("get its trust file from whoever runs it, by a way you trust, then `stele trust add FILE`")
	}
	if err := a.waitable(policy); err != nil {
		return nil, err
	}
	now := r.newestReading()
	signed, err := now.LatestCheckpoint()
	if err != nil {
		return nil, err
	}
	past, proof, err := a.historyOf(now)
	if err != nil {
		return nil, err
	}
	log := &evidence.Policy{Logs: policy.Logs, Quorum: evidence.QuorumNone}
	next, err := past.Advance(signed, proof, log, followedKeys(policy, now.Control)...)
	var history *evidence.HistoryError
	if errors.As(err, &history) {
		a.keepConflict(r.ID(), history.Old, history.New)
	}
	if err != nil {
		return nil, err
	}
	if err := a.onlyLedger(r.ID(), past, signed); err != nil {
		return nil, err
	}
	if bytes.Equal(next.Signed, past.Signed) {
		return policy, nil
	}
	return policy, a.sawNext(r, past, next.Signed)
}

// followedKeys are the log keys that trust in an old one is followed to, from
// rotation to rotation.
func followedKeys(policy *evidence.Policy, control *evidence.Control) (followed []evidence.VKey) {
	for _, k := range control.LogKeys() {
		if policy.Trusts(k.Key) || len(followed) > 0 {
			followed = append(followed, k.Key)
		}
	}
	return followed
}

// historyOf is what this person saw of the ledger before, and the proof that
// connects it with what is read now: either may be the larger one, where a
// reading is as of a checkpoint that was cosigned. A ledger at hand that has
// fewer entries than it had is an evidence.HistoryError: it was rolled back.
func (a *app) historyOf(r *reading) (past evidence.Remembered, proof tlog.TreeProof, err error) {
	before, err := a.seenBefore(r.ID())
	if past = before.newest; err != nil || len(past.Signed) == 0 {
		return past, nil, err
	}
	cp, _, err := evidence.ReadCheckpoint(past.Signed)
	if err != nil {
		return past, nil, err
	}
	newest := r.newestReading()
	if cp.Size > newest.Size() {
		if primary := a.mirrorOf[r.ID()]; primary != "" {
			return past, nil, failf(exitUntrusted, "this mirror is behind: it has %d entries of the log %s, and you have seen %d: %w", newest.Size(), cp.Origin, cp.Size, evidence.ErrUntrusted).
				withHint("read it once it has caught up, or read the ledger itself: --ledger " + primary + "; a mirror that stays behind hides what came later")
		}
		now, err := newest.LatestCheckpoint()
		if err != nil {
			return past, nil, err
		}
		a.keepConflict(r.ID(), past.Signed, now)
		return past, nil, &evidence.HistoryError{Kind: evidence.ErrRollback, Old: past.Signed, New: now,
			Detail: fmt.Sprintf("the log %s went back: it had %d entries when you last looked, and has %d now", cp.Origin, cp.Size, newest.Size())}
	}
	if cp.Size <= r.Size() {
		proof, err = r.Consistency(cp.Size)
		return past, proof, err
	}
	then, err := newest.AsOf(cp.Size)
	if err != nil {
		return past, nil, err
	}
	proof, err = then.Consistency(r.Size())
	return past, proof, err
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
// larger log than the one kept. Past is what the verdict was made with.
func (a *app) remember(v *evidence.Verdict, f *evidence.File, past evidence.Remembered) error {
	if !vouched(v) {
		return nil
	}
	now, _, err := evidence.ReadCheckpoint(f.Checkpoint)
	if err != nil {
		return err
	}
	return a.onSeen(f.Ledger, func() error {
		kept, err := a.remembered(f.Ledger)
		if err != nil {
			return err
		}
		if len(kept.Signed) > 0 {
			if old, _, err := evidence.ReadCheckpoint(kept.Signed); err != nil || old.Size >= now.Size {
				return err
			}
			if v.Result(evidence.CheckHistory) != evidence.Passed || !bytes.Equal(kept.Signed, past.Signed) {
				return nil // larger, but nobody has shown that it goes on from there
			}
		}
		return home.Replace(a.seenPath(f.Ledger), f.Checkpoint)
	})
}

// vouched reports whether a key of a log that is trusted signed the checkpoint.
func vouched(v *evidence.Verdict) bool {
	return v.Result(evidence.CheckTrustedLog) == evidence.Passed && v.Result(evidence.CheckCheckpoint) == evidence.Passed
}
