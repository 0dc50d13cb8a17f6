package client

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/wire"
)

// Judge says whether a signed checkpoint may be believed: an *evidence.Policy's
// Verify, or one that follows the log's key over its rotations. The error is
// evidence.ErrUntrusted or ErrTampered.
type Judge func(signed []byte) (*evidence.Opened, error)

// ByPolicy is the Judge of a trust policy: one of its log keys signed, and its
// quorum of witnesses is there. A log whose key was rotated since is not followed:
// Client.Following does that.
func ByPolicy(p *evidence.Policy) Judge {
	return func(signed []byte) (*evidence.Opened, error) { return quorate(p.Verify(signed)) }
}

// ByLog is a trust policy that asks for its logs' signatures, and for no witness:
// what acknowledges a statement that was just written.
func ByLog(p *evidence.Policy) *evidence.Policy {
	return &evidence.Policy{Logs: p.Logs, Quorum: evidence.QuorumNone}
}

func quorate(o *evidence.Opened, err error) (*evidence.Opened, error) {
	if err == nil && !o.Quorum {
		err = fmt.Errorf("checkpoint of %s: %w: the quorum of witnesses is not there", o.Origin, evidence.ErrUntrusted)
	}
	return o, err
}

// Following is ByPolicy, and where no key of the policy signed it reads the log's
// control entries from the server, and follows a key of the policy over the
// rotations that it signed. Only the holder of that key can have led from there to
// here: it does not matter who tells of it.
func (c *Client) Following(ctx context.Context, p *evidence.Policy) Judge {
	return func(signed []byte) (*evidence.Opened, error) {
		o, err := p.Verify(signed)
		if !errors.Is(err, evidence.ErrUntrusted) {
			return quorate(o, err)
		}
		at, _, readErr := evidence.ReadCheckpoint(signed)
		if readErr != nil || at.Size == 0 || !knows(p, at.Origin) {
			return nil, err
		}
		control, readErr := c.control(ctx, at)
		if readErr != nil {
			return nil, fmt.Errorf("%w; and whether its key was rotated could not be read: %w", err, readErr)
		}
		return quorate(control.Judge(p, signed))
	}
}

func knows(p *evidence.Policy, origin string) bool {
	for _, l := range p.Logs {
		if l.Key.Name == origin {
			return true
		}
	}
	return false
}

// The control entries are the pairs of one family: docs/formats/store.md.
const controlFamily = 'x'

func controlKey(ordinal uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{controlFamily}, ordinal)
}

// control reads the control entries as of a checkpoint, and folds them. They are
// all there are: the last entry commits to those before it.
func (c *Client) control(ctx context.Context, at evidence.Checkpoint) (*evidence.Control, error) {
	info, err := c.Ledger(ctx)
	if err != nil {
		return nil, err
	}
	last, err := (&Log{c: c, tiles: newTiles(c), at: at}).Entry(ctx, at.Size-1)
	if err != nil {
		return nil, err
	}
	control := evidence.NewControl()
	for complete := false; !complete; {
		from := control.Count()
		answer, err := c.Read(ctx, &wire.ReadRequest{Size: at.Size, Index: info.Index, Ops: []wire.ReadOp{{
			Lower: controlKey(from), Upper: []byte{controlFamily + 1}, Limit: wire.MaxReadPage,
		}}})
		if err != nil {
			return nil, err
		}
		if len(answer.Answers) == 0 {
			return nil, c.tampered("no answer to a read of the control entries")
		}
		leaves := make(map[uint64][]byte, len(answer.Entries))
		for _, e := range answer.Entries {
			leaves[e.Index] = e.Leaf
		}
		page := answer.Answers[0]
		for i, pair := range page.Pairs {
			if string(pair.Key) != string(controlKey(from+uint64(i))) || len(pair.Value) != 8 {
				return nil, c.tampered("control entry %d is missing", from+uint64(i))
			}
			e, err := evidence.ParseEntry(leaves[binary.BigEndian.Uint64(pair.Value)])
			if err != nil {
				return nil, c.tampered("control entry %d: %w", from+uint64(i), err)
			}
			if complete = e.Index >= last.Index; complete {
				if e.Index > last.Index || string(e.Leaf()) != string(last.Leaf()) {
					return nil, c.tampered("a control entry beyond the checkpoint, or another than in the log")
				}
				if err := c.committed(control, last); err != nil {
					return nil, err
				}
			}
			if err := control.Add(e); err != nil {
				return nil, c.tampered("control entry %d: %w", from+uint64(i), err)
			}
		}
		switch {
		case complete:
			return control, nil
		case len(page.Pairs) == 0 || !page.More:
			complete = true
		}
	}
	return control, c.committed(control, last)
}

// committed checks that an entry commits to exactly the control entries so far.
func (c *Client) committed(control *evidence.Control, e *evidence.Entry) error {
	if e.ControlCount != control.Count() || e.Index > 0 && e.ControlRoot != control.Root() {
		return c.tampered("the control entries are not those that entry %d commits to", e.Index)
	}
	return nil
}
