package evidence

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/statement"
)

const (
	// MaxLeaf is the longest leaf, in bytes: what an entry bundle of
	// c2sp.org/tlog-tiles can carry.
	MaxLeaf = 65535

	// MaxTime is the latest time an entry can have, in Unix milliseconds:
	// the end of the year 9999, the last that RFC 3339 can write.
	MaxTime = 253402300799999

	entryDomain = "stele entry v1\n"
	entryHeader = len(entryDomain) + 3*8 + tlog.HashSize
)

// Entry is an envelope that the ledger admitted, with what the ledger says of
// it. Its encoding is a leaf of the log. Page: docs/formats/entry.md.
type Entry struct {
	// Index is the entry's place in the log, from 0.
	Index uint64

	// Time is when the ledger admitted it, in Unix milliseconds, as the
	// ledger claims. It never goes backwards along the log.
	Time int64

	// ControlCount and ControlRoot are the number of control entries before
	// this one and the RFC 6962 root over their leaves.
	ControlCount uint64
	ControlRoot  tlog.Hash

	Envelope *statement.Envelope
}

// Leaf returns the entry's one encoding:
//
//	"stele entry v1\n" ‖ u64 index ‖ u64 time ‖ u64 control count ‖ control root[32] ‖ envelope
func (e *Entry) Leaf() []byte {
	env := e.Envelope.Encode()
	b := make([]byte, 0, entryHeader+len(env))
	b = append(b, entryDomain...)
	b = binary.BigEndian.AppendUint64(b, e.Index)
	b = binary.BigEndian.AppendUint64(b, uint64(e.Time))
	b = binary.BigEndian.AppendUint64(b, e.ControlCount)
	b = append(b, e.ControlRoot[:]...)
	return append(b, env...)
}

// LeafHash returns the RFC 6962 hash of the entry's leaf. That of entry 0 is
// the ledger's id.
func (e *Entry) LeafHash() tlog.Hash { return LeafHash(e.Leaf()) }

// Statement parses what the envelope carries.
func (e *Entry) Statement() (*statement.Statement, error) {
	st, err := statement.Parse(e.Envelope.Payload)
	if err != nil {
		return nil, fmt.Errorf("entry %d: %w", e.Index, err)
	}
	return st, nil
}

// When returns the ledger's time for the entry, for people: RFC 3339, UTC.
func (e *Entry) When() string { return formatMillis(e.Time) }

// ParseEntry parses a leaf. Bytes that no Entry encodes to are an ErrFormat.
func ParseEntry(leaf []byte) (*Entry, error) {
	if len(leaf) > MaxLeaf {
		return nil, fmt.Errorf("entry: %w: %d bytes, the limit is %d", ErrFormat, len(leaf), MaxLeaf)
	}
	if len(leaf) < entryHeader || string(leaf[:len(entryDomain)]) != entryDomain {
		return nil, fmt.Errorf("entry: %w: it does not begin as an entry of a ledger", ErrFormat)
	}
	b := leaf[len(entryDomain):]
	e := &Entry{
		Index:        binary.BigEndian.Uint64(b),
		Time:         int64(binary.BigEndian.Uint64(b[8:])),
		ControlCount: binary.BigEndian.Uint64(b[16:]),
		ControlRoot:  tlog.Hash(b[24 : 24+tlog.HashSize]),
	}
	switch {
	case e.Index >= MaxSize:
		return nil, fmt.Errorf("entry: %w: index %d", ErrFormat, e.Index)
	case e.Time < 0 || e.Time > MaxTime:
		return nil, fmt.Errorf("entry %d: %w: time %d is outside the years 1970 to 9999", e.Index, ErrFormat, e.Time)
	case e.ControlCount > e.Index || (e.ControlCount == 0) != (e.Index == 0):
		return nil, fmt.Errorf("entry %d: %w: %d control entries cannot be before it", e.Index, ErrFormat, e.ControlCount)
	case e.Index == 0 && e.ControlRoot != EmptyRoot:
		return nil, fmt.Errorf("entry 0: %w: a control root, with nothing before it", ErrFormat)
	}
	env, err := statement.DecodeEnvelope(leaf[entryHeader:])
	if err != nil {
		return nil, fmt.Errorf("entry %d: %w: %w", e.Index, ErrFormat, err)
	}
	e.Envelope = env
	// The envelope's decoder is strict by itself; this holds whatever it does.
	if !bytes.Equal(e.Leaf(), leaf) {
		return nil, fmt.Errorf("entry %d: %w: not in its one encoding", e.Index, ErrFormat)
	}
	return e, nil
}

func formatMillis(ms int64) string {
	return time.UnixMilli(ms).UTC().Format("2006-01-02T15:04:05.000Z")
}

func formatSeconds(s int64) string {
	return time.Unix(s, 0).UTC().Format("2006-01-02T15:04:05Z")
}
