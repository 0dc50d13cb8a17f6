// Package witness cosigns the checkpoints of logs, and asks others to: both
// sides of C2SP tlog-witness.
//
// A witness remembers the newest checkpoint that it cosigned of each log, and
// cosigns another only with a proof that the log has grown from there. So a
// log whose checkpoints are read with the witness's cosignature cannot show
// two histories, and cannot go back to an earlier one.
//
// Everything rests on the memory: it is on the disk before an answer leaves,
// it is written under the lock under which it was compared, and a witness that
// sees that its memory was set back stops for good.
//
// Source: c2sp.org/tlog-witness, c2sp.org/tlog-cosignature.
// Page: docs/formats/witness.md.
package witness

import (
	"errors"
	"fmt"
)

// The classes of error of a witness.
var (
	// ErrFormat says that something is not what it claims to be.
	ErrFormat = errors.New("malformed")
	// ErrKeys says that keys are not apart, or are not those they were.
	ErrKeys = errors.New("keys")
	// ErrState says that the memory is damaged, or that a part of it is gone.
	ErrState = errors.New("the witness's memory")
	// ErrRestored says that the memory is older than what was cosigned: it was
	// put back from a copy. Such a witness never cosigns again.
	ErrRestored = errors.New("the witness's memory was set back")
	// ErrClock says that the clock is behind what was signed already.
	ErrClock = errors.New("the clock went back")
)

// hinted is an error that knows what to do about it.
type hinted struct {
	error
	hint string
}

func (h *hinted) Unwrap() error { return h.error }

// Hint says what to do.
func (h *hinted) Hint() string { return h.hint }

func withHint(hint, format string, args ...any) error {
	return &hinted{fmt.Errorf(format, args...), hint}
}
