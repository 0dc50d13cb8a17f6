package memory

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/durable"
	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/statement"
)

// Shown is a ledger as somebody shows it to this person now.
type Shown struct {
	*account.Book // as of the newest checkpoint
	// Primary is the address of the ledger itself where a mirror of it is read, which
	// may be behind; else it is empty.
	Primary string
	// Later asks whoever shows the ledger for it as of a later checkpoint. It returns
	// nil where they cannot be asked for another state than this one.
	Later func(signed []byte) (*ledger.View, error)
}

// Follow checks a ledger's newest checkpoint against the policy's log keys, by the
// log's own signature, and against what this person saw of the log before, and
// remembers it. The errors are those of evidence.Remembered.Advance; for a fork or a
// rollback both checkpoints are kept.
func (m *Memory) Follow(s Shown, policy *evidence.Policy) error {
	signed, err := s.LatestCheckpoint()
	if err != nil {
		return err
	}
	past, proof, err := m.History(s, s.View)
	if err != nil {
		return err
	}
	log := &evidence.Policy{Logs: policy.Logs, Quorum: evidence.QuorumNone}
	next, err := past.Advance(signed, proof, log, followedKeys(policy, s.Control)...)
	var history *evidence.HistoryError
	if errors.As(err, &history) {
		m.Convict(s.ID(), history.Old, history.New)
	}
	if err != nil {
		return err
	}
	if err := m.FirstSight(s.ID(), past, signed); err != nil {
		return err
	}
	if bytes.Equal(next.Signed, past.Signed) {
		return nil
	}
	return m.next(s, past, next.Signed)
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

// History is what this person saw of the ledger before, and the proof that connects it
// with the state of it that is read, which is the newest or an earlier one: either may
// be the larger one. A ledger that has fewer entries than it had is an
// evidence.HistoryError: it was rolled back; a mirror is behind, an
// evidence.ErrUntrusted.
func (m *Memory) History(s Shown, at *ledger.View) (past evidence.Remembered, proof tlog.TreeProof, err error) {
	before, err := m.before(s.ID())
	if past = before.Newest; err != nil || len(past.Signed) == 0 {
		return past, nil, err
	}
	cp, _, err := evidence.ReadCheckpoint(past.Signed)
	if err != nil {
		return past, nil, err
	}
	if cp.Size > s.Size() {
		return past, nil, m.behind(s, cp, past.Signed)
	}
	if cp.Size <= at.Size() {
		proof, err = at.Consistency(cp.Size)
		return past, proof, err
	}
	then, err := s.AsOf(cp.Size)
	if err != nil {
		return past, nil, err
	}
	proof, err = then.Consistency(at.Size())
	return past, proof, err
}

// behind is the error that a ledger has fewer entries than it had.
func (m *Memory) behind(s Shown, past evidence.Checkpoint, signed []byte) error {
	if s.Primary != "" {
		return &Error{err: fmt.Errorf("this mirror is behind: it has %d entries of the log %s, and you have seen %d: %w", s.Size(), past.Origin, past.Size, evidence.ErrUntrusted),
			hint: "read it once it has caught up, or read the ledger itself: --ledger " + s.Primary + "; a mirror that stays behind hides what came later"}
	}
	now, err := s.LatestCheckpoint()
	if err != nil {
		return err
	}
	return m.convict(s.ID(), &evidence.HistoryError{Kind: evidence.ErrRollback, Old: signed, New: now,
		Detail: fmt.Sprintf("the log %s went back: it had %d entries when you last looked, and has %d now", past.Origin, past.Size, s.Size())})
}

// next is Forward for the newest checkpoint that is shown, which goes on from past.
// Where another command has remembered another one since, the two must be of one
// history as well: a server could show each of them its own.
func (m *Memory) next(s Shown, past evidence.Remembered, checkpoint []byte) error {
	now, _, err := evidence.ReadCheckpoint(checkpoint)
	if err != nil {
		return err
	}
	for written := false; !written; {
		kept, err := m.Newest(s.ID())
		if err != nil {
			return err
		}
		if len(kept.Signed) > 0 && !bytes.Equal(kept.Signed, past.Signed) {
			other, _, err := evidence.ReadCheckpoint(kept.Signed)
			if err != nil {
				return err
			}
			if err := m.meet(s, now, checkpoint, other, kept.Signed); err != nil || other.Size >= now.Size {
				return err
			}
		}
		err = m.alone(s.ID(), func() error { // not while a server is asked: others wait for it
			still, err := m.Newest(s.ID())
			if written = bytes.Equal(still.Signed, kept.Signed); err != nil || !written {
				return err
			}
			return home.Replace(m.path(s.ID(), seenFile), checkpoint)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// meet checks that the checkpoint that is shown and one that was seen meanwhile are of
// one history.
func (m *Memory) meet(s Shown, now evidence.Checkpoint, signed []byte, other evidence.Checkpoint, otherSigned []byte) error {
	older, newer, at := other, now, s.View
	if other.Size > now.Size {
		var err error
		if at, err = s.Later(otherSigned); at == nil || err != nil {
			return err // a mirror may be behind, and a directory is asked again the next time
		}
		older, newer = now, other
	}
	proof, err := at.Consistency(older.Size)
	if err == nil {
		err = evidence.CheckConsistency(older, newer, proof)
	}
	if errors.Is(err, evidence.ErrTampered) {
		return m.convict(s.ID(), &evidence.HistoryError{Kind: evidence.ErrFork, Old: otherSigned, New: signed,
			Detail: fmt.Sprintf("the log %s shows two histories: the %d entries that another command of yours saw, and %d now, are not of one", now.Origin, other.Size, now.Size)})
	}
	return err
}

// FirstSight checks that a trusted checkpoint, where it is the first of its ledger that this
// person sees, past being what they saw of it, is not of a log that they know from
// another ledger. A log has one genesis: two are two histories by one log key. A damaged
// memory of another ledger is told where that is read, and holds up nothing here.
func (m *Memory) FirstSight(id statement.LedgerID, past evidence.Remembered, signed []byte) error {
	if len(past.Signed) > 0 {
		return nil
	}
	now, _, err := evidence.ReadCheckpoint(signed)
	if err != nil {
		return err
	}
	ledgers := filepath.Dir(m.dirs.Ledger(id.String()))
	list, err := os.ReadDir(ledgers)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, e := range list {
		if !e.IsDir() || e.Name() == id.String() {
			continue
		}
		seen, err := durable.ReadFile(durable.Private(), filepath.Join(ledgers, e.Name(), seenFile), evidence.MaxCheckpoint)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if cp, _, err := evidence.ReadCheckpoint(seen); err != nil || cp.Origin != now.Origin {
			continue
		}
		return m.convict(id, &evidence.HistoryError{Kind: evidence.ErrFork, Old: seen, New: signed,
			Detail: fmt.Sprintf("the log %s shows two histories: you know it as the ledger %s, and this is the ledger %s", now.Origin, e.Name(), id)})
	}
	return nil
}

// Compare is what no verdict says of the evidence that it is about: that the checkpoint,
// where it is believed, is of the one ledger of its log (see FirstSight). Where the
// verdict says that it contradicts what was seen, with which it was made, both are kept.
func (m *Memory) Compare(v *evidence.Verdict, f *evidence.File, past evidence.Remembered) error {
	if Vouched(v) {
		if err := m.FirstSight(f.Ledger, past, f.Checkpoint); err != nil {
			return err
		}
	}
	if v.Result(evidence.CheckHistory) == evidence.Failed {
		m.Convict(f.Ledger, past.Signed, f.Checkpoint)
	}
	return nil
}

// Remember remembers the checkpoint of evidence whose verdict believes it, if it is of a
// larger log than the one that is remembered; past is what the verdict was made with.
func (m *Memory) Remember(v *evidence.Verdict, f *evidence.File, past evidence.Remembered) error {
	if !Vouched(v) || v.Result(evidence.CheckHistory) == evidence.Failed {
		return nil
	}
	now, _, err := evidence.ReadCheckpoint(f.Checkpoint)
	if err != nil {
		return err
	}
	return m.alone(f.Ledger, func() error {
		kept, err := m.Newest(f.Ledger)
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
		return home.Replace(m.path(f.Ledger, seenFile), f.Checkpoint)
	})
}

// Vouched reports whether a key of a log that is trusted signed the checkpoint.
func Vouched(v *evidence.Verdict) bool {
	return v.Result(evidence.CheckTrustedLog) == evidence.Passed && v.Result(evidence.CheckCheckpoint) == evidence.Passed
}
