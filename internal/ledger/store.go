package ledger

import (
	"bytes"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"
)

// ErrClosed says that the ledger was closed.
var ErrClosed = errors.New("the ledger is closed")

// store reads the database: it is the Reader of a ledger on this machine. Reads may run while it is being closed: they
// finish first, and those that come later fail with ErrClosed.
type store struct {
	db     *pebble.DB
	mu     sync.RWMutex // held, shared, for the length of every read
	closed bool
}

// close waits for the reads under way and refuses later ones.
func (s *store) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
}

// Get implements Reader.
func (s *store) Get(key []byte) (value []byte, ok bool, err error) {
	err = s.peek(key, func(v []byte) { value, ok = bytes.Clone(v), true })
	return value, ok, err
}

// peek calls found with the value of a key, if there is one. The value is
// valid only within the call.
func (s *store) peek(key []byte, found func(value []byte)) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return ErrClosed
	}
	v, closer, err := s.db.Get(key)
	if errors.Is(err, pebble.ErrNotFound) {
		return nil
	}
	if err != nil {
		return readError(key, err)
	}
	found(v)
	if err := closer.Close(); err != nil {
		return readError(key, err)
	}
	return nil
}

// Page implements Reader. A page ends early where it has many bytes.
func (s *store) Page(lower, upper []byte, limit int) (pairs []Pair, more bool, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return nil, false, ErrClosed
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return nil, false, readError(lower, err)
	}
	size := 0
	for ok := it.First(); ok; ok = it.Next() {
		if len(pairs) >= limit || size >= pageBytes {
			more = true
			break
		}
		p := Pair{bytes.Clone(it.Key()), bytes.Clone(it.Value())}
		pairs, size = append(pairs, p), size+len(p.Key)+len(p.Value)
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return nil, false, readError(lower, err)
	}
	return pairs, more, nil
}

// Last implements Reader.
func (s *store) Last(lower, upper []byte) (p Pair, ok bool, err error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if s.closed {
		return p, false, ErrClosed
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return p, false, readError(lower, err)
	}
	if it.Last() {
		p, ok = Pair{bytes.Clone(it.Key()), bytes.Clone(it.Value())}, true
	}
	if err := errors.Join(it.Error(), it.Close()); err != nil {
		return p, false, readError(lower, err)
	}
	return p, ok, nil
}

// readError says what was read, and whether the disk gave back other bytes
// than were written.
func readError(key []byte, err error) error {
	if pebble.IsCorruptionError(err) {
		return damaged("read %q: %w", key, brief{err})
	}
	return fmt.Errorf("read %q: %w", key, brief{err})
}

// brief is an error in its first line: in the others pebble says the same again.
type brief struct{ error }

func (b brief) Error() string { return firstLine(b.error.Error()) }
func (b brief) Unwrap() error { return b.error }
