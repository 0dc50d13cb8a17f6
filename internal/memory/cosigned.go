package memory

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/statement"
)

// Cosigned finds the newest checkpoint that reached the policy's quorum, up to that of
// at, which is the ledger as it is shown, or an earlier state of it; nil if there is
// none. It is of one history with the newest checkpoint, and not behind what this
// person read cosigned before, and is remembered: whoever keeps a ledger could
// otherwise take cosignatures away and with them hide what came last.
func (m *Memory) Cosigned(s Shown, at *account.Book, policy *evidence.Policy) ([]byte, error) {
	signed, err := at.CosignedBy(policy)
	if err != nil && !errors.Is(err, ledger.ErrNotFound) {
		return nil, err
	}
	return signed, m.goesOn(s, policy, signed)
}

// goesOn checks and remembers what is cosigned now, if anything is: see Cosigned.
func (m *Memory) goesOn(s Shown, policy *evidence.Policy, signed []byte) error {
	var now evidence.Checkpoint
	if signed != nil {
		var err error
		if now, _, err = evidence.ReadCheckpoint(signed); err != nil {
			return err
		}
		if err := m.begins(s, now, signed); err != nil {
			return err
		}
	}
	before, err := m.before(s.ID())
	if err != nil {
		return err
	}
	past := before.Cosigned
	if len(past) > 0 {
		old, err := s.Control.Judge(policy, past)
		switch {
		case errors.Is(err, evidence.ErrUntrusted): // by another trust than today's
		case err != nil:
			return fmt.Errorf("the remembered checkpoint %s: %w", m.path(s.ID(), cosignedFile), err)
		case old.Quorum && old.Size > now.Size:
			if signed == nil {
				if signed, err = s.LatestCheckpoint(); err != nil {
					return err
				}
			}
			return m.convict(s.ID(), &evidence.HistoryError{Kind: evidence.ErrRollback, Old: past, New: signed,
				Detail: fmt.Sprintf("the log %s went back: %d entries were cosigned when you last looked, and %d are now", old.Origin, old.Size, now.Size)})
		}
	}
	if signed == nil || bytes.Equal(past, signed) {
		return nil
	}
	return m.forwardCosigned(s.ID(), now.Size, signed)
}

// begins checks that the newest tree begins with that of a checkpoint.
func (m *Memory) begins(s Shown, older evidence.Checkpoint, signed []byte) error {
	now, err := s.LatestCheckpoint()
	if err != nil {
		return err
	}
	cp, _, err := evidence.ReadCheckpoint(now)
	if err != nil {
		return err
	}
	proof, err := s.Consistency(older.Size)
	if err != nil {
		return err
	}
	if err := evidence.CheckConsistency(older, cp, proof); err != nil {
		return m.convict(s.ID(), &evidence.HistoryError{Kind: evidence.ErrFork, Old: signed, New: now,
			Detail: fmt.Sprintf("the log %s shows two histories: the %d entries that were cosigned are not the beginning of its %d", cp.Origin, older.Size, cp.Size)})
	}
	return nil
}

// forwardCosigned remembers a checkpoint that reached the quorum, unless another command
// has remembered a later one meanwhile.
func (m *Memory) forwardCosigned(id statement.LedgerID, size uint64, signed []byte) error {
	return m.alone(id, func() error {
		kept, err := read(m.path(id, cosignedFile))
		if err != nil {
			return err
		}
		if old, _, err := evidence.ReadCheckpoint(kept); err == nil && old.Size > size && !bytes.Equal(kept, m.asked[id].Cosigned) {
			return nil // by another command, meanwhile
		}
		return home.Replace(m.path(id, cosignedFile), signed)
	})
}
