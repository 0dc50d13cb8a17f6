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

// Log is a log as of a checkpoint that a trust policy accepts: what its methods
// return was checked against it. [Client.Follow] makes one. It goes forwards only, by
// [Log.Advance], and by what is submitted over it. It may be used concurrently.
type Log struct {
	c      *Client
	policy *evidence.Policy
	newest bool // it advances to what the server has, not to what it publishes
	tiles  *tiles

	mu sync.Mutex
	at point // what the policy accepts: all that is read is as of it
	// What the log's key signed furthest on: at, or beyond it, where something was
	// submitted that witnesses have not cosigned so far. Nothing later may lack it.
	head point
}

// point is a checkpoint, and its signed note. The zero point is before any.
type point struct {
	evidence.Checkpoint
	signed []byte
}

// Follow returns the log as of the checkpoint that the server publishes: the policy
// accepts it, by a log key and the quorum of witnesses that it names, and it goes on
// from the one remembered, which may be the zero one. Remember what [Log.Checkpoint]
// returns. The policy must not be changed afterwards; nil trusts nobody.
//
// Where the log's key was rotated since the policy was written, trust is followed
// from the key that the policy names over the rotations that it signed: who holds that
// key alone can have led from there to here, and it does not matter who tells of it.
//
// The errors besides those of the package: evidence.ErrUntrusted, evidence.ErrTampered,
// and an *evidence.HistoryError with both checkpoints for a fork or a rollback.
//
// Any C2SP log can be followed, not only one of Stele's: proofs are made of its tiles.
func (c *Client) Follow(ctx context.Context, policy *evidence.Policy, past evidence.Remembered) (*Log, error) {
	return c.follow(ctx, &Log{policy: policy}, past)
}

// FollowNewest is Follow for who writes: as of the newest checkpoint that the server
// has, by the log's signature alone. Witnesses may not have seen it so far, so that
// nothing should be decided by what is read of it. Only Stele's servers have it.
func (c *Client) FollowNewest(ctx context.Context, policy *evidence.Policy, past evidence.Remembered) (*Log, error) {
	if policy != nil {
		policy = &evidence.Policy{Logs: policy.Logs, Quorum: evidence.QuorumNone}
	}
	return c.follow(ctx, &Log{policy: policy, newest: true}, past)
}

func (c *Client) follow(ctx context.Context, l *Log, past evidence.Remembered) (*Log, error) {
	l.c, l.tiles = c, newTiles(c)
	if l.policy == nil {
		l.policy = new(evidence.Policy)
	}
	if len(past.Signed) > 0 {
		at, _, err := evidence.ReadCheckpoint(past.Signed)
		if err != nil {
			return nil, fmt.Errorf("the remembered checkpoint: %w", err)
		}
		l.head = point{at, bytes.Clone(past.Signed)}
		// One that witnesses had not cosigned, of FollowNewest or of a policy that named
		// none, may be ahead of what is published.
		if o, err := l.policy.Verify(past.Signed); err != nil || o.Quorum {
			l.at = l.head
		}
	}
	if err := l.Advance(ctx); err != nil {
		return nil, err
	}
	return l, nil
}

// Advance asks for the server's checkpoint and goes on to it. Its errors are those
// of Follow; after one the log stays where it is.
func (l *Log) Advance(ctx context.Context) error {
	before, _ := l.points()
	signed, err := l.ask(ctx)
	if err != nil {
		return err
	}
	if _, _, err := evidence.ReadCheckpoint(signed); err != nil {
		return fmt.Errorf("%s: %w: %w", l.c.shown, ErrAnswer, err)
	}
	return l.meet(ctx, signed, before.Size)
}

func (l *Log) ask(ctx context.Context) ([]byte, error) {
	if !l.newest {
		return l.c.Checkpoint(ctx)
	}
	info, err := l.c.Ledger(ctx)
	if err != nil {
		return nil, err
	}
	return []byte(info.Checkpoint), nil
}

// AdvanceTo goes on to a signed checkpoint that came from anywhere. One that is behind
// is no rollback: it is checked to be of the log's history, and the log stays where it
// is.
func (l *Log) AdvanceTo(ctx context.Context, signed []byte) error {
	return l.meet(ctx, signed, 0)
}

// meet holds a checkpoint to the policy, and goes on to it. It answers a question that
// was put when the log had least entries: only one with fewer went back, for others may
// have gone on with the log meanwhile.
func (l *Log) meet(ctx context.Context, signed []byte, least uint64) error {
	o, err := l.c.judge(ctx, l.policy, signed)
	if err != nil {
		return err
	}
	if !o.Quorum {
		return fmt.Errorf("checkpoint of %s: %w: the quorum of witnesses is not there", o.Origin, evidence.ErrUntrusted)
	}
	next := point{o.Checkpoint, bytes.Clone(signed)}
	if at, _ := l.points(); next.Size < least && next.Origin == at.Origin {
		return history(evidence.ErrRollback, at, next, "the log %s went back: it showed %d entries (root %v) before and shows %d now", at.Origin, at.Size, at.Root, next.Size)
	}
	return l.reach(ctx, next, true)
}

// reach takes in a checkpoint that the log's key signed, if it is of one history with
// what was seen; the log goes on to it if it is accepted. Nobody holds the lock while
// the server is asked.
func (l *Log) reach(ctx context.Context, next point, accepted bool) error {
	for {
		_, head := l.points()
		if err := l.agree(ctx, head, next); err != nil {
			return err
		}
		if l.take(head, next, accepted) {
			return nil
		}
	}
}

// take goes on to a checkpoint that was found to agree with the head, unless that is
// another by now.
func (l *Log) take(head, next point, accepted bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !bytes.Equal(l.head.signed, head.signed) {
		return false
	}
	if next.Size >= head.Size {
		l.head = next
	}
	if accepted && next.Size >= l.at.Size {
		l.at = next
	}
	return true
}

// agree checks that of two checkpoints the longer one's tree begins with the other's.
func (l *Log) agree(ctx context.Context, head, next point) error {
	if len(head.signed) == 0 {
		return nil
	}
	if next.Origin != head.Origin {
		return fmt.Errorf("checkpoint of %s: %w: what was seen before is of another log, %s", next.Origin, evidence.ErrUntrusted, head.Origin)
	}
	short, long := head, next
	if next.Size < head.Size {
		short, long = next, head
	}
	switch {
	case short.Size == 0:
		return nil
	case short.Size == long.Size && short.Root == long.Root:
		return nil
	case short.Size == long.Size:
		return history(evidence.ErrFork, head, next, "the log %s shows two histories: %d entries had the root %v and have the root %v now", head.Origin, head.Size, head.Root, next.Root)
	}
	// The longer tree's tiles are checked against its root; what they say of the
	// shorter tree is its root, or this is another history.
	root, err := tlog.TreeHash(int64(short.Size), l.tiles.reader(ctx, long.Checkpoint))
	switch {
	case errors.Is(err, evidence.ErrTampered):
		return history(evidence.ErrFork, head, next, "the log %s does not show that its %d entries (root %v) begin with its %d (root %v): %v",
			head.Origin, long.Size, long.Root, short.Size, short.Root, err)
	case err != nil:
		return err
	case root != short.Root:
		return history(evidence.ErrFork, head, next, "the log %s shows two histories: of its %d entries the first %d have the root %v, and it signed the root %v for them",
			head.Origin, long.Size, short.Size, root, short.Root)
	}
	return nil
}

func history(kind error, old, next point, format string, args ...any) error {
	return &evidence.HistoryError{Kind: kind, Old: old.signed, New: next.signed, Detail: fmt.Sprintf(format, args...)}
}

func (l *Log) points() (at, head point) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at, l.head
}

// Checkpoint returns where the log is, and its signed note, verbatim: what to
// remember.
func (l *Log) Checkpoint() (evidence.Checkpoint, []byte) {
	at, _ := l.points()
	return at.Checkpoint, bytes.Clone(at.signed)
}

// HashReader returns the hashes of the tree as of the log's checkpoint, each
// checked against its root: for golang.org/x/mod's proofs.
func (l *Log) HashReader(ctx context.Context) tlog.HashReader {
	at, _ := l.points()
	return l.tiles.reader(ctx, at.Checkpoint)
}

// Proof returns the .tlog-proof of an entry: what anybody checks offline. See
// c2sp.org/tlog-proof. ErrNotFound: the log's checkpoint has no such entry.
func (l *Log) Proof(ctx context.Context, index uint64) (*evidence.TLogProof, error) {
	at, _ := l.points()
	if index >= at.Size {
		return nil, noEntry(index, at.Size)
	}
	inclusion, err := evidence.ProveInclusion(at.Size, index, l.tiles.reader(ctx, at.Checkpoint))
	if err != nil {
		return nil, err
	}
	return &evidence.TLogProof{Index: index, Hashes: inclusion, Checkpoint: bytes.Clone(at.signed)}, nil
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
