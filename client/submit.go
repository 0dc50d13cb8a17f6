package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/wire"
	"github.com/stele-ml/stele/statement"
)

// SubmitOptions say what to wait for.
type SubmitOptions struct {
	// Key is the public key that signed the envelope. A statement that was signed
	// twice is one statement, and the ledger keeps the first signature: with the key
	// such a receipt is accepted if that signature is good, and without it never.
	Key *statement.PublicKey

	// Cosigned waits, on the server, for a checkpoint over the entry that reached
	// the quorum of witnesses. Where it is not reached in time the entry is written
	// all the same, and the error is ErrNotCosigned with the receipt.
	Cosigned bool
}

// Receipt says that a statement is in the log. It was checked: the entry holds the
// statement, and is in the tree of the checkpoint. Who signed the checkpoint, and
// whether it goes on from what was seen before, Log.Submit checks.
type Receipt struct {
	Entry      *evidence.Entry
	Leaf       []byte
	ID         statement.ID
	Existed    bool // it was in the log before
	Checkpoint []byte
}

// Submit sends an envelope until the server has answered. To send one again is
// always safe: if it is in the log, its first receipt comes back. Errors are those
// of the package, and evidence.ErrTampered for a receipt that does not hold.
//
// Whose signature the checkpoint has is not looked at: see Log.Submit.
func (c *Client) Submit(ctx context.Context, env *statement.Envelope, o SubmitOptions) (*Receipt, error) {
	body, err := env.MarshalJSON()
	if err != nil {
		return nil, err
	}
	r := request{
		method: http.MethodPost, path: "/v1/entries", media: wire.EnvelopeType, body: bytesOf(body), length: int64(len(body)),
		accept: jsonType, limit: wire.MaxReceipt,
	}
	if o.Cosigned {
		r.query = url.Values{"wait": {"cosigned"}}
	}
	a, err := c.do(ctx, r)
	waited := errors.Is(err, ErrNotCosigned)
	if waited {
		r.query = nil // it is written: its receipt says so
		a, err = c.do(ctx, r)
	}
	if err != nil {
		return nil, err
	}
	receipt, err := c.receipt(env, a.body, o.Key)
	if err != nil {
		return nil, err
	}
	if waited || a.status == http.StatusAccepted {
		return receipt, ErrNotCosigned
	}
	return receipt, nil
}

// receipt checks what a server gives as the receipt of an envelope.
func (c *Client) receipt(env *statement.Envelope, body []byte, key *statement.PublicKey) (*Receipt, error) {
	w, err := wire.ParseReceipt(body)
	if err != nil {
		return nil, c.noAnswer("/v1/entries", err)
	}
	at, _, err := evidence.ReadCheckpoint([]byte(w.Checkpoint))
	if err != nil {
		return nil, c.tampered("the receipt's checkpoint: %w", err)
	}
	e, err := evidence.ParseEntry(w.Leaf)
	if err != nil {
		return nil, c.tampered("the receipt's entry: %w", err)
	}
	switch {
	case e.Index != w.Index || e.Time != w.Time:
		return nil, c.tampered("the receipt is of entry %d, and holds entry %d", w.Index, e.Index)
	case e.Envelope.ID() != env.ID():
		return nil, c.tampered("the receipt is of another statement")
	case bytes.Equal(e.Envelope.Encode(), env.Encode()):
	case w.Existed && key == nil:
		return nil, fmt.Errorf("%w: entry %d", ErrTwin, w.Index)
	case !w.Existed || e.Envelope.Verify(key) != nil:
		return nil, c.tampered("the entry %d holds another envelope", w.Index)
	}
	if err := evidence.CheckInclusion(at, e.Index, evidence.LeafHash(w.Leaf), wire.Hashes(w.Inclusion)); err != nil {
		return nil, c.tampered("the receipt of entry %d: %w", w.Index, err)
	}
	return &Receipt{Entry: e, Leaf: w.Leaf, ID: env.ID(), Existed: w.Existed, Checkpoint: []byte(w.Checkpoint)}, nil
}

// Submit is Client.Submit, and goes on to the receipt's checkpoint: signed says
// whether it is signed by the log; nil takes the log's own judge, which may ask
// for a quorum that a new entry has only where Cosigned was asked for. Its errors
// besides: those of Follow.
func (l *Log) Submit(ctx context.Context, env *statement.Envelope, o SubmitOptions, signed Judge) (*Receipt, error) {
	receipt, err := l.c.Submit(ctx, env, o)
	if err != nil && !errors.Is(err, ErrNotCosigned) {
		return nil, err
	}
	if signed == nil {
		signed = l.judge
	}
	opened, jerr := signed(receipt.Checkpoint)
	if jerr != nil {
		return nil, fmt.Errorf("the receipt of entry %d: %w", receipt.Entry.Index, jerr)
	}
	if jerr := l.reach(ctx, receipt.Checkpoint, opened.Checkpoint); jerr != nil {
		return nil, fmt.Errorf("the receipt of entry %d: %w", receipt.Entry.Index, jerr)
	}
	return receipt, err
}

// reach goes on to a receipt's checkpoint, or finds it in what is seen already:
// the statement was in the log before, or two submissions crossed.
func (l *Log) reach(ctx context.Context, signed []byte, next evidence.Checkpoint) error {
	for {
		at, _ := l.Checkpoint()
		if next.Size < at.Size && next.Origin == at.Origin {
			return l.contains(ctx, next, signed)
		}
		err := l.advance(ctx, signed, next)
		if now, _ := l.Checkpoint(); errors.Is(err, evidence.ErrRollback) && now.Size > at.Size {
			continue // it went on meanwhile
		}
		return err
	}
}

// contains checks that the log, where it is, begins with an earlier checkpoint.
func (l *Log) contains(ctx context.Context, earlier evidence.Checkpoint, signed []byte) error {
	at, now := l.Checkpoint()
	if earlier.Size == 0 {
		return nil
	}
	root, err := tlog.TreeHash(int64(earlier.Size), l.tiles.reader(ctx, at))
	if err != nil {
		return err
	}
	if root != earlier.Root {
		return &evidence.HistoryError{Kind: evidence.ErrFork, Old: now, New: signed,
			Detail: fmt.Sprintf("the log %s shows two histories: the receipt's %d entries are not the beginning of the %d seen before", at.Origin, earlier.Size, at.Size)}
	}
	return nil
}
