// Package memory is what a person remembers of logs: the newest checkpoint of each
// that they saw, the newest that reached their quorum of witnesses, and the pairs of
// checkpoints that convict a log which went back or has two histories.
//
// It lies in the person's state directory, with each ledger's id: "seen", "cosigned"
// and the pairs. The first two only ever move forwards, whatever other commands of the
// same person do at the same time: each writes under a lock, and looks again.
package memory

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/durable"
	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/statement"
)

// The files of a ledger's memory.
const (
	seenFile     = "seen"
	cosignedFile = "cosigned"
	lockFile     = "seen.lock"
)

// Memory is what a person remembers, in the hands of one command of theirs. It may not
// be used concurrently.
type Memory struct {
	dirs  home.Dirs
	kept  func(path string, err error)
	asked map[statement.LedgerID]Seen // see Ask
}

// Of returns a person's memory. Kept is told of each pair of checkpoints that convicts
// a log: the file that has it now, or why it could not be kept.
func Of(dirs home.Dirs, kept func(path string, err error)) *Memory {
	return &Memory{dirs: dirs, kept: kept, asked: map[statement.LedgerID]Seen{}}
}

// Seen is what a person saw of a ledger.
type Seen struct {
	Newest   evidence.Remembered
	Cosigned []byte // the signed checkpoint; nil if there was none
}

// Size is how many entries the ledger has at least, as far as the person saw it.
func (s Seen) Size() (size uint64) {
	for _, signed := range [][]byte{s.Newest.Signed, s.Cosigned} {
		if cp, _, err := evidence.ReadCheckpoint(signed); err == nil {
			size = max(size, cp.Size)
		}
	}
	return size
}

// ErrNotWritten says that what was seen could not be written down: the next command
// would not notice that the log went back.
var ErrNotWritten = errors.New("what was seen of the log cannot be written down")

// Error is an error that says what to do.
type Error struct {
	err  error
	path string // of the file that it is about, or empty
	hint string
}

func (e *Error) Error() string { return e.err.Error() }
func (e *Error) Unwrap() error { return e.err }

// Hint says what to do.
func (e *Error) Hint() string { return e.hint }

// Place is the file that it is about; empty if it is about none.
func (e *Error) Place() string { return e.path }

func (m *Memory) path(id statement.LedgerID, file string) string {
	return filepath.Join(m.dirs.Ledger(id.String()), file)
}

// Ask looks up what was seen of a ledger that is about to be asked for what it has now.
// Only by that can it be said that it went back: meanwhile another command of this
// person may have seen more.
func (m *Memory) Ask(id statement.LedgerID) (Seen, error) {
	now, err := m.Seen(id)
	if err == nil {
		m.asked[id] = now
	}
	return now, err
}

// before is what was seen before the ledger was asked.
func (m *Memory) before(id statement.LedgerID) (Seen, error) {
	if before, ok := m.asked[id]; ok {
		return before, nil
	}
	return m.Seen(id)
}

// Seen is what is remembered of a ledger now.
func (m *Memory) Seen(id statement.LedgerID) (s Seen, err error) {
	if s.Newest, err = m.Newest(id); err == nil {
		s.Cosigned, err = read(m.path(id, cosignedFile))
	}
	return s, err
}

// Newest is the last checkpoint of a ledger that this person saw, if any.
func (m *Memory) Newest(id statement.LedgerID) (evidence.Remembered, error) {
	signed, err := read(m.path(id, seenFile))
	return evidence.Remembered{Signed: signed}, err
}

// read reads a checkpoint that was written down; nil if there is none. One that is
// damaged is not taken for none.
func read(path string) ([]byte, error) {
	signed, err := durable.ReadFile(durable.Private(), path, evidence.MaxCheckpoint)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var unopened *fs.PathError
	if errors.As(err, &unopened) {
		return nil, err
	}
	if err == nil {
		_, _, err = evidence.ReadCheckpoint(signed)
	}
	if err != nil {
		return nil, &Error{fmt.Errorf("the checkpoint that was seen last is damaged: %w", err), path,
			"without it nobody notices that the log went back: put the file back from a copy, or move it away, and compare what `stele log` shows then with somebody else who reads this ledger"}
	}
	return signed, nil
}

// Forward remembers a checkpoint that was shown to go on from what was seen, unless a
// later one is remembered already.
func (m *Memory) Forward(id statement.LedgerID, checkpoint []byte) error {
	now, _, err := evidence.ReadCheckpoint(checkpoint)
	if err != nil {
		return err
	}
	return m.alone(id, func() error {
		kept, err := m.Newest(id)
		if err != nil {
			return err
		}
		if old, _, err := evidence.ReadCheckpoint(kept.Signed); err == nil && old.Size >= now.Size {
			return nil
		}
		return home.Replace(m.path(id, seenFile), checkpoint)
	})
}

// alone does something while no other command of this person changes what it remembers
// of a ledger.
func (m *Memory) alone(id statement.LedgerID, do func() error) error {
	disk, path := durable.Private(), m.path(id, lockFile)
	if err := durable.MkdirAll(disk, filepath.Dir(path), durable.PrivateDir); err != nil {
		return fmt.Errorf("%w: %w", ErrNotWritten, err)
	}
	lock, err := durable.LockBriefly(disk, path, durable.Holder{})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotWritten, err)
	}
	defer lock.Close()
	return do()
}
