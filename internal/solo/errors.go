package solo

import (
	"errors"
	"fmt"
	"time"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/durable"
)

// The classes of error that callers act on, for errors.Is.
var (
	// ErrNoLedger: the directory holds no ledger.
	ErrNoLedger = errors.New("no ledger")
	// ErrExists: the directory holds a ledger already, or something else.
	ErrExists = errors.New("already there")
	// ErrLocked: another process has the ledger open; see LockedError.
	ErrLocked = durable.ErrLocked
	// ErrBehindGuard: the database lacks what the guard remembers was signed:
	// an old copy was restored, or the tail was cut.
	ErrBehindGuard = errors.New("the database is behind its guard")
	// ErrBesideGuard: the database has another history than the guard
	// remembers.
	ErrBesideGuard = errors.New("the database is beside its guard")
	// ErrNoGuard: the guard is missing or damaged; opening needs Adopt.
	ErrNoGuard = errors.New("the ledger has no guard here")
	// ErrNoLogKey: the log's private key is not in the state directory.
	ErrNoLogKey = errors.New("the log's private key is not here")
	// ErrOutcomeUnknown: the statement may or may not be in the ledger. To
	// submit the same envelope again is safe.
	ErrOutcomeUnknown = errors.New("outcome unknown, retry is safe")
	// ErrFailed: a write failed before; the ledger must be opened again.
	ErrFailed = errors.New("the ledger stopped after a failed write; open it again")
	// ErrClock: the clock jumped, or is behind the last entry.
	ErrClock = errors.New("the clock cannot be right")
	// ErrReadOnly: the ledger was opened for reading.
	ErrReadOnly = errors.New("the ledger is open for reading only")
	// ErrClosed: the engine was closed.
	ErrClosed = errors.New("the ledger is closed")
)

// LockedError names who holds a ledger. It is an ErrLocked.
type LockedError struct {
	Dir    string
	Holder durable.Holder // zero if unknown
	Waited time.Duration
}

func (e *LockedError) Error() string {
	if e.Holder.PID == 0 {
		return fmt.Sprintf("%s is locked by another process (waited %s)", e.Dir, e.Waited)
	}
	return fmt.Sprintf("%s is locked by process %d on %s since %s: %s (waited %s)", e.Dir, e.Holder.PID, e.Holder.Host,
		time.UnixMilli(e.Holder.Since).Format(time.DateTime), e.Holder.Command, e.Waited)
}

// Unwrap makes it an ErrLocked.
func (e *LockedError) Unwrap() error { return ErrLocked }

// Hint says what to do.
func (e *LockedError) Hint() string {
	return "one process at a time has a ledger open; wait for it to end. A server is stopped first, by whoever runs it; a mirror or a copy can be worked on beside it"
}

// GuardError shows both checkpoints of a database that does not agree with its
// guard. It is an ErrBehindGuard or an ErrBesideGuard.
type GuardError struct {
	Class    error
	Guard    evidence.Checkpoint // what was signed here last
	Database evidence.Checkpoint // what the database has now
	// GuardSigned and DatabaseSigned are the signed notes: two of them for
	// one log that do not agree prove that it showed two histories.
	GuardSigned, DatabaseSigned []byte
}

func (e *GuardError) Error() string {
	return fmt.Sprintf("%v: the last checkpoint signed here is of size %d with root %v; the database has size %d with root %v",
		e.Class, e.Guard.Size, e.Guard.Root, e.Database.Size, e.Database.Root)
}

// Unwrap returns the class.
func (e *GuardError) Unwrap() error { return e.Class }

// Hint says what to do.
func (e *GuardError) Hint() string {
	return "restore the newest copy of the ledger's directory; a ledger that lost signed entries never goes on: begin a successor. Once there is one, `stele adopt` on it takes the copy that it names; to look into such a copy as somebody who has seen nothing newer, point $STELE_STATE to an empty directory"
}

// hinted is an error of a class, with a hint.
type hinted struct {
	class error
	text  string
	hint  string
}

func (e *hinted) Error() string { return e.text }
func (e *hinted) Unwrap() error { return e.class }

// Hint says what to do.
func (e *hinted) Hint() string { return e.hint }

func withHint(class error, hint, format string, args ...any) error {
	return &hinted{class, fmt.Sprintf(format, args...), hint}
}

// outcomeUnknown is an ErrOutcomeUnknown with its cause.
type outcomeUnknown struct{ cause error }

func (e *outcomeUnknown) Error() string   { return fmt.Sprintf("%v: %v", ErrOutcomeUnknown, e.cause) }
func (e *outcomeUnknown) Unwrap() []error { return []error{ErrOutcomeUnknown, e.cause} }

// Hint says what to do.
func (e *outcomeUnknown) Hint() string {
	return "run the same command again: what was written is found, what was not is written"
}
