package client

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/wire"
)

// Control returns what the ledger's control entries add up to, as of the log's
// checkpoint: its id, the algorithm of its fingerprints, who may do what, what is
// withdrawn. They are all that there are: the log's last entry commits to them, so
// that a server can leave none out. Only Stele's servers have them.
func (l *Log) Control(ctx context.Context) (*evidence.Control, error) {
	at, _ := l.points()
	if at.Size == 0 {
		return nil, noEntry(0, 0)
	}
	return l.c.control(ctx, at.Checkpoint, l.tiles)
}

// judge says whether a signed checkpoint may be believed. Where no key of the policy
// signed it, trust is followed over the rotations of the log's key that the server
// tells of. Whether the quorum of witnesses is there, the result says.
func (c *Client) judge(ctx context.Context, p *evidence.Policy, signed []byte) (*evidence.Opened, error) {
	o, err := p.Verify(signed)
	if !errors.Is(err, evidence.ErrUntrusted) {
		return o, err
	}
	at, _, readErr := evidence.ReadCheckpoint(signed)
	if readErr != nil || at.Size == 0 || !knows(p, at.Origin) {
		return nil, err
	}
	control, readErr := c.control(ctx, at, newTiles(c))
	if readErr != nil {
		return nil, fmt.Errorf("%w; and whether its key was rotated could not be read: %w", err, readErr)
	}
	return control.Judge(p, signed)
}

func knows(p *evidence.Policy, origin string) bool {
	for _, l := range p.Logs {
		if l.Key.Name == origin {
			return true
		}
	}
	return false
}

// maxControl is how many bytes of control entries are read, as many as evidence can
// carry: who is asked may have made them up, and so without an end. A variable for tests.
var maxControl = evidence.MaxFile

// The control entries are the pairs of one family: docs/formats/store.md.
const controlFamily = 'x'

func controlKey(ordinal uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{controlFamily}, ordinal)
}

// control reads the control entries as of a checkpoint, and folds them. They are all
// there are: the last entry commits to those before it, and is folded in itself if it
// is one.
func (c *Client) control(ctx context.Context, at evidence.Checkpoint, t *tiles) (*evidence.Control, error) {
	info, err := c.Ledger(ctx)
	if err != nil {
		return nil, err
	}
	last, err := (&Log{c: c, tiles: t, at: point{Checkpoint: at}}).Entry(ctx, at.Size-1)
	if err != nil {
		return nil, err
	}
	st, err := last.Statement()
	if err != nil {
		return nil, fmt.Errorf("entry %d: %w", last.Index, err)
	}
	control := evidence.NewControl()
	for more, read := true, 0; more; {
		n := 0
		if more, n, err = c.controlPage(ctx, control, at, info.Index, last.Index); err != nil {
			return nil, err
		}
		if read += n; read > maxControl {
			return nil, c.noAnswer("/v1/read", fmt.Errorf("more than %d bytes of control entries", maxControl))
		}
	}
	if last.ControlCount != control.Count() || last.Index > 0 && last.ControlRoot != control.Root() {
		return nil, c.tampered("the control entries are not those that entry %d commits to", last.Index)
	}
	if st.Control() {
		if err := control.Add(last); err != nil {
			return nil, c.tampered("entry %d: %w", last.Index, err)
		}
	}
	return control, nil
}

// controlPage folds in the next control entries before an index, and returns how many
// bytes they are. The server says whether there are more.
func (c *Client) controlPage(ctx context.Context, control *evidence.Control, at evidence.Checkpoint, index string, below uint64) (more bool, read int, err error) {
	answer, err := c.read(ctx, &wire.ReadRequest{Size: at.Size, Index: index, Ops: []wire.ReadOp{{
		Lower: controlKey(control.Count()), Upper: []byte{controlFamily + 1}, Limit: wire.MaxReadPage,
	}}})
	if err != nil {
		return false, 0, err
	}
	if len(answer.Answers) == 0 {
		return false, 0, c.tampered("no answer to a read of the control entries")
	}
	leaves := make(map[uint64][]byte, len(answer.Entries))
	for _, e := range answer.Entries {
		leaves[e.Index] = e.Leaf
	}
	for _, pair := range answer.Answers[0].Pairs {
		n := control.Count()
		if string(pair.Key) != string(controlKey(n)) || len(pair.Value) != 8 {
			return false, 0, c.tampered("control entry %d is missing", n)
		}
		i := binary.BigEndian.Uint64(pair.Value)
		if i >= below {
			return false, read, nil
		}
		e, err := evidence.ParseEntry(leaves[i])
		if err != nil {
			return false, 0, c.tampered("control entry %d: %w", n, err)
		}
		read += len(leaves[i])
		if err := control.Add(e); err != nil {
			return false, 0, c.tampered("control entry %d: %w", n, err)
		}
	}
	return answer.Answers[0].More && len(answer.Answers[0].Pairs) > 0, read, nil
}
