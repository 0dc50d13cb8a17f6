package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/durable"
	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/statement"
)

// The last checkpoint that this person saw of a ledger lies in the state
// directory, in "seen", the last that reached their quorum beside it, in
// "cosigned". Both only ever move forwards, whatever other commands of the same
// person do at the same time: each writes under a lock, and looks again.

func (a *app) seenPath(id statement.LedgerID) string {
	return filepath.Join(a.dirs.Ledger(id.String()), "seen")
}

func (a *app) cosignedPath(id statement.LedgerID) string {
	return filepath.Join(a.dirs.Ledger(id.String()), "cosigned")
}

// seen is what this person saw of a ledger.
type seen struct {
	newest   evidence.Remembered
	cosigned []byte
}

// size is how many entries the ledger has at least, as far as this person saw it.
func (s seen) size() (size uint64) {
	for _, signed := range [][]byte{s.newest.Signed, s.cosigned} {
		if cp, _, err := evidence.ReadCheckpoint(signed); err == nil {
			size = max(size, cp.Size)
		}
	}
	return size
}

// seenBefore is what was seen before the ledger was asked for what it has now. Only
// by that can it be said that it went back: meanwhile another command of this
// person may have seen more.
func (a *app) seenBefore(id statement.LedgerID) (seen, error) {
	if before, ok := a.before[id]; ok {
		return before, nil
	}
	return a.seenNow(id)
}

// beforeAsking is seenBefore for a ledger that is about to be asked.
func (a *app) beforeAsking(id statement.LedgerID) (seen, error) {
	now, err := a.seenNow(id)
	if err != nil {
		return now, err
	}
	if a.before == nil {
		a.before = map[statement.LedgerID]seen{}
	}
	a.before[id] = now
	return now, nil
}

func (a *app) seenNow(id statement.LedgerID) (s seen, err error) {
	if s.newest, err = a.remembered(id); err == nil {
		s.cosigned, err = readSeen(a.cosignedPath(id))
	}
	return s, err
}

// remembered is the last checkpoint this person saw of a ledger, if any.
func (a *app) remembered(id statement.LedgerID) (evidence.Remembered, error) {
	signed, err := readSeen(a.seenPath(id))
	return evidence.Remembered{Signed: signed}, err
}

// readSeen reads a checkpoint that was written down; nil if there is none. One that is
// damaged is not taken for none.
func readSeen(path string) ([]byte, error) {
	signed, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if _, _, err := evidence.ReadCheckpoint(signed); err != nil {
		return nil, failf(exitError, "the checkpoint that was seen last is damaged: %w", err).withPath(path).
			withHint("without it nobody notices that the log went back: put the file back from a copy, or move it away, and compare what `stele log` shows then with somebody else who reads this ledger")
	}
	return signed, nil
}

// saw remembers a checkpoint that was acknowledged to this person.
func (a *app) saw(id statement.LedgerID, checkpoint []byte) {
	if err := a.forward(id, checkpoint); err != nil {
		a.term.Warnf("the checkpoint was not remembered: %v", err)
	}
}

// forward remembers a checkpoint that was shown to go on from what was seen, unless
// a later one is remembered already.
func (a *app) forward(id statement.LedgerID, checkpoint []byte) error {
	now, _, err := evidence.ReadCheckpoint(checkpoint)
	if err != nil {
		return err
	}
	return a.onSeen(id, func() error {
		kept, err := a.remembered(id)
		if err != nil {
			return err
		}
		if old, _, err := evidence.ReadCheckpoint(kept.Signed); err == nil && old.Size >= now.Size {
			return nil
		}
		return home.Replace(a.seenPath(id), checkpoint)
	})
}

// sawNext is forward for the newest checkpoint of a reading, which goes on from past.
// Where another command has remembered another one since, the two must be of one
// history as well: a server could show each of them its own.
func (a *app) sawNext(r *reading, past evidence.Remembered, checkpoint []byte) error {
	now, _, err := evidence.ReadCheckpoint(checkpoint)
	if err != nil {
		return err
	}
	for written := false; !written; {
		kept, err := a.remembered(r.ID())
		if err != nil {
			return err
		}
		if len(kept.Signed) > 0 && !bytes.Equal(kept.Signed, past.Signed) {
			other, _, err := evidence.ReadCheckpoint(kept.Signed)
			if err != nil {
				return err
			}
			if err := a.meets(r, now, checkpoint, other, kept.Signed); err != nil || other.Size >= now.Size {
				return err
			}
		}
		err = a.onSeen(r.ID(), func() error { // not while a server is asked: others wait for it
			still, err := a.remembered(r.ID())
			if written = bytes.Equal(still.Signed, kept.Signed); err != nil || !written {
				return err
			}
			return home.Replace(a.seenPath(r.ID()), checkpoint)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// meets checks that a reading's checkpoint and one that was seen meanwhile are of one
// history.
func (a *app) meets(r *reading, now evidence.Checkpoint, signed []byte, other evidence.Checkpoint, otherSigned []byte) error {
	older, newer, at := other, now, r.newestReading()
	if other.Size > now.Size {
		var err error
		if at, err = a.readingOf(r, otherSigned); at == nil || err != nil {
			return err // a mirror may be behind, and a directory is asked again the next time
		}
		older, newer = now, other
	}
	proof, err := at.Consistency(older.Size)
	if err == nil {
		err = evidence.CheckConsistency(older, newer, proof)
	}
	if errors.Is(err, evidence.ErrTampered) {
		a.keepConflict(r.ID(), otherSigned, signed)
		return &evidence.HistoryError{Kind: evidence.ErrFork, Old: otherSigned, New: signed,
			Detail: fmt.Sprintf("the log %s shows two histories: the %d entries that another command of yours saw, and %d now, are not of one", now.Origin, other.Size, now.Size)}
	}
	return err
}

// readingOf asks the server of a reading for the ledger as of a later checkpoint; nil if
// there is none that must have it.
func (a *app) readingOf(r *reading, signed []byte) (*reading, error) {
	if a.mirrorOf[r.ID()] != "" {
		return nil, nil
	}
	a.servers.mu.Lock()
	defer a.servers.mu.Unlock()
	for _, c := range a.servers.open {
		if c.ledger == nil || c.ledger.View().ID() != r.ID() {
			continue
		}
		l, err := a.openRemote(c.ctx, c.client, signed, r.ID())
		if err != nil {
			return nil, err
		}
		return newReading(l.View())
	}
	return nil, nil
}

// sawCosigned remembers the checkpoint that a reading that was cosigned is of.
func (a *app) sawCosigned(id statement.LedgerID, size uint64, signed []byte) error {
	return a.onSeen(id, func() error {
		kept, err := a.seenNow(id)
		if err != nil {
			return err
		}
		if old, _, err := evidence.ReadCheckpoint(kept.cosigned); err == nil && old.Size > size && !bytes.Equal(kept.cosigned, a.before[id].cosigned) {
			return nil // by another command, meanwhile
		}
		return home.Replace(a.cosignedPath(id), signed)
	})
}

// onSeen does something while no other command of this person changes what it saw of
// a ledger.
func (a *app) onSeen(id statement.LedgerID, do func() error) error {
	path := a.seenPath(id) + ".lock"
	if err := os.MkdirAll(filepath.Dir(path), durable.PrivateDir); err != nil {
		return notWrittenDown(err)
	}
	lock, err := briefLock(path, durable.Holder{})
	if err != nil {
		return notWrittenDown(err)
	}
	defer lock.Close()
	return do()
}

// How long a command waits for another one of this person that writes down what it
// saw, or changes a file of tokens, and how often it looks.
const (
	lockPatience = 10 * time.Second
	lockPause    = 2 * time.Millisecond
)

// briefLock takes a lock that whoever has it has for a moment only.
func briefLock(path string, h durable.Holder) (io.Closer, error) {
	ctx, cancel := context.WithTimeout(context.Background(), lockPatience)
	defer cancel()
	for {
		lock, err := durable.Lock(durable.Private(), path, h, false)
		if !errors.Is(err, durable.ErrLocked) {
			return lock, err
		}
		select {
		case <-time.After(lockPause):
		case <-ctx.Done():
			return nil, err
		}
	}
}

// notWrittenDown says that a command ends because it cannot remember: the next one would
// not notice that the log went back.
func notWrittenDown(err error) error {
	f := describe(fmt.Errorf("what was seen of the log cannot be written down: %w", err))
	if f.hint == "" {
		f.hint = "$STELE_STATE names another directory for it"
	}
	return f
}
