package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
)

// Log is a log as of a verified checkpoint. It goes forwards only: by Advance, and
// by what is submitted over it. It may be used concurrently.
type Log struct {
	c     *Client
	judge Judge
	tiles *tiles

	mu     sync.Mutex
	signed []byte
	at     evidence.Checkpoint
}

// Follow asks for the published checkpoint, has it judged, and checks that the log
// goes on from the one remembered, which may be the zero one. Its errors besides
// those of the client: evidence.ErrUntrusted, evidence.ErrTampered, and an
// *evidence.HistoryError with both checkpoints for a fork or a rollback. Any C2SP
// log can be followed, not only one of ours: proofs are made of its tiles.
func (c *Client) Follow(ctx context.Context, judge Judge, past evidence.Remembered) (*Log, error) {
	return c.followTo(ctx, judge, past, func(l *Log) error { return l.Advance(ctx) })
}

func (c *Client) followTo(ctx context.Context, judge Judge, past evidence.Remembered, advance func(*Log) error) (*Log, error) {
	l := &Log{c: c, judge: judge, tiles: newTiles(c)}
	if len(past.Signed) > 0 {
		at, _, err := evidence.ReadCheckpoint(past.Signed)
		if err != nil {
			return nil, fmt.Errorf("the remembered checkpoint: %w", err)
		}
		l.signed, l.at = bytes.Clone(past.Signed), at
	}
	if err := advance(l); err != nil {
		return nil, err
	}
	return l, nil
}

// FollowNewest is Follow of the newest checkpoint that the server has, which may not
// have its cosignatures so far: for who writes. Only servers of ours have it.
func (c *Client) FollowNewest(ctx context.Context, judge Judge, past evidence.Remembered) (*Log, error) {
	info, err := c.Ledger(ctx)
	if err != nil {
		return nil, err
	}
	return c.followTo(ctx, judge, past, func(l *Log) error { return l.AdvanceTo(ctx, []byte(info.Checkpoint)) })
}

// Advance asks for the published checkpoint and goes on to it. If it is not
// accepted the log stays where it is.
func (l *Log) Advance(ctx context.Context) error {
	signed, err := l.c.Checkpoint(ctx)
	if err != nil {
		return err
	}
	return l.AdvanceTo(ctx, signed)
}

// AdvanceTo goes on to a signed checkpoint that came from anywhere.
func (l *Log) AdvanceTo(ctx context.Context, signed []byte) error {
	o, err := l.judge(signed)
	if err != nil {
		return err
	}
	return l.advance(ctx, signed, o.Checkpoint)
}

// advance goes on to a checkpoint that was judged.
func (l *Log) advance(ctx context.Context, signed []byte, next evidence.Checkpoint) error {
	for {
		at, kept := l.Checkpoint()
		if len(kept) > 0 {
			if err := l.follows(ctx, kept, at, signed, next); err != nil {
				return err
			}
		}
		if l.replace(kept, signed, next) {
			return nil
		}
	}
}

// replace goes on to a checkpoint that was found to go on from the one kept, unless
// the log went on meanwhile. Nobody holds the lock while the server is asked.
func (l *Log) replace(kept, signed []byte, next evidence.Checkpoint) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !bytes.Equal(l.signed, kept) {
		return false
	}
	l.signed, l.at = bytes.Clone(signed), next
	return true
}

// follows checks that a checkpoint goes on from the one that is kept.
func (l *Log) follows(ctx context.Context, kept []byte, old evidence.Checkpoint, signed []byte, next evidence.Checkpoint) error {
	history := func(kind error, format string, args ...any) error {
		return &evidence.HistoryError{Kind: kind, Old: kept, New: bytes.Clone(signed), Detail: fmt.Sprintf(format, args...)}
	}
	switch {
	case next.Origin != old.Origin:
		return fmt.Errorf("checkpoint of %s: %w: the remembered one is of another log, %s", next.Origin, evidence.ErrUntrusted, old.Origin)
	case next.Size < old.Size:
		return history(evidence.ErrRollback, "the log %s went back: it showed %d entries (root %v) before and shows %d now", old.Origin, old.Size, old.Root, next.Size)
	case next.Size == old.Size && next.Root != old.Root:
		return history(evidence.ErrFork, "the log %s shows two histories: %d entries had the root %v and have the root %v now", old.Origin, old.Size, old.Root, next.Root)
	case next.Size == old.Size || old.Size == 0:
		return nil
	}
	// The later tree's tiles are checked against its root; what they say of the
	// earlier tree is its root, or this is another history.
	root, err := tlog.TreeHash(int64(old.Size), l.tiles.reader(ctx, next))
	if errors.Is(err, evidence.ErrTampered) {
		return history(evidence.ErrFork, "the log %s does not show that its %d entries (root %v) begin with the %d (root %v) it showed before: %v",
			old.Origin, next.Size, next.Root, old.Size, old.Root, err)
	}
	if err != nil {
		return err
	}
	if root != old.Root {
		return history(evidence.ErrFork, "the log %s shows two histories: its first %d entries had the root %v and have the root %v now", old.Origin, old.Size, old.Root, root)
	}
	return nil
}

// Checkpoint returns where the log is, and its signed note: what to remember.
func (l *Log) Checkpoint() (evidence.Checkpoint, []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at, bytes.Clone(l.signed)
}

// HashReader returns the hashes of the tree as of the log's checkpoint, each
// checked against its root: for golang.org/x/mod's proofs.
func (l *Log) HashReader(ctx context.Context) tlog.HashReader {
	at, _ := l.Checkpoint()
	return l.tiles.reader(ctx, at)
}

// Proof returns the .tlog-proof of an entry: what anybody checks offline. See
// c2sp.org/tlog-proof.
func (l *Log) Proof(ctx context.Context, index uint64) (*evidence.TLogProof, error) {
	at, signed := l.Checkpoint()
	inclusion, err := evidence.ProveInclusion(at.Size, index, l.tiles.reader(ctx, at))
	if err != nil {
		return nil, err
	}
	return &evidence.TLogProof{Index: index, Hashes: inclusion, Checkpoint: signed}, nil
}

// tampered says that what a server answered does not hold.
func (c *Client) tampered(format string, args ...any) error {
	return fmt.Errorf("%s: what it answered was %w: %w", c.shown, evidence.ErrTampered, fmt.Errorf(format, args...))
}

// taken reports whether an error is one of the classes that say why, so that it is
// passed on as it is.
func taken(err error) bool {
	for _, class := range []error{ErrUnreachable, ErrAccess, ErrNotFound, ErrRefused, ErrReadOnly, ErrAnswer, ErrAddress, evidence.ErrTampered} {
		if errors.Is(err, class) {
			return true
		}
	}
	return false
}
