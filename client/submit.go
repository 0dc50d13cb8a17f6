package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

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
// whether it goes on from what was seen before, [Log.Submit] checks.
type Receipt struct {
	Entry      *evidence.Entry
	Leaf       []byte // of the entry, as it is hashed
	ID         statement.ID
	Existed    bool   // it was in the log before, the server says
	Checkpoint []byte // a signed note over the entry, verbatim
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

// Submit is [Client.Submit], and holds the receipt to the log: its checkpoint is signed
// by the log, and of one history with all that was seen. The log goes on to it if the
// policy accepts it: where the policy asks for witnesses, and Cosigned was not asked
// for, the entry is in the log and is read later, when Advance has found it cosigned.
// Its errors besides: those of [Client.Follow].
func (l *Log) Submit(ctx context.Context, env *statement.Envelope, o SubmitOptions) (*Receipt, error) {
	receipt, err := l.c.Submit(ctx, env, o)
	if err != nil && !errors.Is(err, ErrNotCosigned) {
		return nil, err
	}
	opened, jerr := l.c.judge(ctx, l.policy, receipt.Checkpoint)
	if jerr == nil {
		jerr = l.reach(ctx, point{opened.Checkpoint, receipt.Checkpoint}, opened.Quorum)
	}
	if jerr != nil {
		return nil, fmt.Errorf("the receipt of entry %d: %w", receipt.Entry.Index, jerr)
	}
	if o.Cosigned && !opened.Quorum {
		err = ErrNotCosigned // whatever quorum the server means
	}
	return receipt, err
}
