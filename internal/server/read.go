package server

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/wire"
	"github.com/stele-ml/stele/statement"
)

// maxReadBytes is how many bytes of the store one answer has at most, besides
// what its first read finds. In JSON they are a third more.
const maxReadBytes = 8 << 20

// The classes of what is wrong with a read.
var (
	// ErrReadRequest: the request is not one, or beyond a limit.
	ErrReadRequest = errors.New("not a read")
	// ErrReadIndex: client and server know different versions of the index.
	ErrReadIndex = errors.New("another version of the index")
)

// SizeError: the ledger has fewer entries than it is asked about. A mirror may be
// behind the server that the size is from.
type SizeError struct{ Have, Asked uint64 }

func (e *SizeError) Error() string {
	return fmt.Sprintf("the ledger has %d entries here, and not %d", e.Have, e.Asked)
}

// AnswerRead answers the body of POST /v1/read, as of the newest view: see
// docs/formats/remote-reads.md. Errors are ErrReadRequest, ErrReadIndex
// and a *SizeError, which are the client's, or the store's.
func AnswerRead(v *ledger.View, body []byte) (*wire.ReadAnswer, error) {
	r, err := wire.ParseReadRequest(body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReadRequest, err)
	}
	return answerRead(v, r.Size, r.Index, r.Ops, nil, 0)
}

// AnswerTrace answers the body of POST /v1/trace, as [AnswerRead] does.
func AnswerTrace(v *ledger.View, body []byte) (*wire.ReadAnswer, error) {
	r, err := wire.ParseTraceRequest(body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReadRequest, err)
	}
	l, err := lookupOf(&r.Lookup)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrReadRequest, err)
	}
	return answerRead(v, r.Size, r.Index, r.Ops, l, int(r.Skip))
}

func answerRead(v *ledger.View, size uint64, index string, asked []wire.ReadOp, lookup *ledger.Lookup, skip int) (*wire.ReadAnswer, error) {
	switch {
	case index != ledger.IndexVersion:
		return nil, fmt.Errorf("%w: %.16q here is %q", ErrReadIndex, index, ledger.IndexVersion)
	case size > v.Size():
		return nil, &SizeError{Have: v.Size(), Asked: size}
	}
	v, err := v.AsOf(size)
	if err != nil {
		return nil, err
	}
	ops := make([]ledger.Op, len(asked))
	for i, o := range asked {
		ops[i] = ledger.Op{Get: o.Get, Lower: o.Lower, Upper: o.Upper, Limit: o.Limit}
	}
	a, err := v.Answer(ops, lookup, ledger.AnswerLimits{Ops: wire.MaxTouched, Bytes: maxReadBytes, Skip: skip})
	if errors.Is(err, ledger.ErrRead) {
		return nil, fmt.Errorf("%w: %w", ErrReadRequest, err)
	}
	if err != nil {
		return nil, err
	}
	return readAnswer(a), nil
}

// lookupOf reads what a client is about to look up.
func lookupOf(l *wire.Lookup) (*ledger.Lookup, error) {
	out := &ledger.Lookup{
		Kind: ledger.LookupKind(l.Kind), Name: l.Name, Version: l.Version, Stage: l.Stage,
		Entry: l.Entry, Statement: l.Statement, Time: int64(l.Time), // strict JSON has no number above 2^53
	}
	for _, k := range l.Kinds {
		out.Kinds = append(out.Kinds, statement.Kind(k))
	}
	if l.Key != "" {
		var err error
		if out.Key, err = statement.ParseKeyID(l.Key); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// readAnswer puts an answer into its form on the wire.
func readAnswer(a *ledger.Answer) *wire.ReadAnswer {
	out := &wire.ReadAnswer{Size: a.Size, Cut: a.Cut, Answers: make([]wire.OpAnswer, len(a.Touched)), Entries: []wire.ReadEntry{}}
	for i, t := range a.Touched {
		o := wire.OpAnswer{More: t.More, Op: wire.ReadOp{
			Get: t.Get, Lower: t.Lower, Upper: t.Upper, Limit: t.Limit, Last: len(t.Get) == 0 && t.Limit == 0,
		}}
		for _, p := range t.Pairs {
			pair := wire.ReadPair{Key: p.Key, Value: p.Value}
			if _, entry := ledger.EntryKey(p.Key); entry {
				pair.Value = nil
			}
			o.Pairs = append(o.Pairs, pair)
		}
		out.Answers[i] = o
	}
	for _, index := range slices.Sorted(maps.Keys(a.Leaves)) {
		out.Entries = append(out.Entries, wire.ReadEntry{Index: index, Leaf: a.Leaves[index]})
	}
	out.Hashes = make([]byte, 0, len(a.Nodes)*wire.ReadHash)
	for _, at := range slices.Sorted(maps.Keys(a.Nodes)) {
		out.Hashes = binary.BigEndian.AppendUint64(out.Hashes, uint64(at))
		h := a.Nodes[at]
		out.Hashes = append(out.Hashes, h[:]...)
	}
	return out
}
