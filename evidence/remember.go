package evidence

import (
	"bytes"
	"errors"
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// Remembered is the last signed checkpoint of a log that a client saw. The
// client keeps it and lets the log go only forwards from it. The zero
// Remembered is of a client that has seen none.
type Remembered struct {
	Signed []byte // the signed note, verbatim
}

// HistoryError says that a log did not go forwards. It is an ErrFork or an
// ErrRollback; both checkpoints are in it, to be kept: two signed checkpoints
// of one log that no proof connects convict the log.
type HistoryError struct {
	Kind   error // ErrFork or ErrRollback
	Old    []byte
	New    []byte
	Detail string
}

func (e *HistoryError) Error() string { return e.Detail }
func (e *HistoryError) Unwrap() error { return e.Kind }

// Hint says what to do.
func (e *HistoryError) Hint() string {
	return "keep both checkpoints, trust neither, and ask whoever runs the log"
}

// Advance checks the next signed checkpoint against the one remembered and
// returns what to remember now. The proof is that of ProveConsistency from the
// remembered size to the next one; between equal sizes it is empty.
//
// Trust says whose signature counts; followed are log keys that trust was
// followed to. The errors: ErrUntrusted (no trusted signature, or no quorum),
// ErrTampered (a known key's signature does not verify), a *HistoryError with
// ErrRollback (fewer entries than before) or ErrFork (the same size with
// another root, or no proof that the one contains the other), ErrFormat.
func (r Remembered) Advance(next []byte, proof tlog.TreeProof, trust *Policy, followed ...VKey) (Remembered, error) {
	o, err := trust.Verify(next, followed...)
	if err != nil {
		return r, err
	}
	if !o.Quorum {
		return r, fmt.Errorf("checkpoint of %s: %w: %s", o.Origin, ErrUntrusted, o.quorumText())
	}
	kept := Remembered{Signed: bytes.Clone(next)}
	if len(r.Signed) == 0 {
		return kept, nil
	}
	old, _, err := ReadCheckpoint(r.Signed)
	if err != nil {
		return r, fmt.Errorf("the remembered checkpoint: %w", err)
	}
	if err := compareHistory(old, o.Checkpoint, proof); err != nil {
		var h *HistoryError
		if errors.As(err, &h) {
			h.Old, h.New = bytes.Clone(r.Signed), bytes.Clone(next)
		}
		return r, err
	}
	return kept, nil
}

// compareHistory checks that a log went forwards from one checkpoint to
// another.
func compareHistory(old, next Checkpoint, proof tlog.TreeProof) error {
	if old.Origin != next.Origin {
		return fmt.Errorf("checkpoint of %s: %w: the remembered one is of another log, %s", next.Origin, ErrUntrusted, old.Origin)
	}
	if next.Size < old.Size {
		return &HistoryError{Kind: ErrRollback, Detail: fmt.Sprintf("the log %s went back: it showed %d entries (root %v) before and shows %d now",
			old.Origin, old.Size, old.Root, next.Size)}
	}
	if next.Size == old.Size && next.Root != old.Root {
		return &HistoryError{Kind: ErrFork, Detail: fmt.Sprintf("the log %s shows two histories: %d entries had the root %v and have the root %v now",
			old.Origin, old.Size, old.Root, next.Root)}
	}
	if err := CheckConsistency(old, next, proof); err != nil {
		return &HistoryError{Kind: ErrFork, Detail: fmt.Sprintf("the log %s does not show that its %d entries (root %v) begin with the %d (root %v) it showed before",
			old.Origin, next.Size, next.Root, old.Size, old.Root)}
	}
	return nil
}
