package monitor

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/statement"
)

// maxAhead is how far a checkpoint's time may be ahead of the clock here. Beyond, one of
// the two is wrong, and how old the checkpoint is cannot be told.
const maxAhead = 10 * time.Minute

// ErrStill says that a log's newest checkpoint is older than is allowed, or that the
// clock does not tell.
var ErrStill = errors.New("the log stands still")

// Options say what to watch.
type Options struct {
	Source Source
	// Policy returns whose word counts for the log of an origin; nil if it is not
	// trusted.
	Policy func(origin string) (*evidence.Policy, error)
	// Seen, if set, returns the newest signed checkpoint of the log of an origin that its
	// owner saw elsewhere, nil if there is none: a first look is held against it.
	Seen   func(origin string) ([]byte, error)
	Watch  Watch
	All    bool          // at the first look, report the entries that are there
	MaxAge time.Duration // of the newest checkpoint; 0: any. See Monitor.Look
	// Patience is for how long a log may be unreachable before that is reported.
	Patience time.Duration
	Now      func() time.Time
	Report   func(*Event)
}

// Monitor follows one log. It is used by one goroutine.
type Monitor struct {
	o     Options
	state State
	at    *position
}

// New goes on from a state; the zero State begins.
func New(o Options, s *State) (*Monitor, error) {
	at, err := s.position()
	if err != nil {
		return nil, err
	}
	return &Monitor{o: o, state: *s, at: at}, nil
}

// State is where the monitor is: what to keep after each Look, also after one
// that failed. What was reported before it was kept is reported again by the
// next monitor: nothing is lost, and something may be told twice.
func (m *Monitor) State() *State { return &m.state }

// Origin is the log's, once it is known.
func (m *Monitor) Origin() string { return m.at.checkpoint.Origin }

// Strangers are the keys and handles that are watched and that the log, as of the last
// look, does not know: misspelt, or to come. It knows none before the first.
func (m *Monitor) Strangers() (list []string) {
	roster := m.at.control.Roster()
	if roster == nil {
		return nil
	}
	handles := map[string]bool{}
	for _, member := range roster.Members() {
		handles[member.Handle] = true
	}
	for _, h := range m.o.Watch.Handles {
		if !handles[h] {
			list = append(list, h)
		}
	}
	for _, k := range m.o.Watch.Keys {
		if _, _, ok := roster.Key(k); !ok {
			list = append(list, k.String())
		}
	}
	return list
}

// Look looks at the log once: its newest checkpoint must be signed as the policy
// asks, and every entry that it adds must be in its tree, which begins with the
// tree of the last look; be signed by the key that it names; and continue the
// entries before it. Only then events are reported and the state moves on.
//
// The errors, which are reported as well: an *evidence.HistoryError with ErrFork
// or ErrRollback; ErrUntrusted; ErrTampered; ErrUnreachable; ErrDenied; ErrStill where the
// quorum's cosignatures, or without a quorum the last entry by the log's own
// word, are older than MaxAge. After the first three the state stays where it is.
func (m *Monitor) Look(ctx context.Context) error {
	now := m.o.Now()
	signed, err := m.o.Source.Checkpoint(ctx)
	if err == nil {
		err = m.advance(ctx, signed)
	}
	if errors.Is(err, ErrUnreachable) {
		m.unreachable(now, err)
		return err
	}
	m.state.Reached = now.UnixMilli()
	if errors.Is(err, ErrDenied) {
		if m.state.Denied == 0 {
			m.state.Denied = now.UnixMilli()
			m.report(&Event{Type: Denied, Message: err.Error()})
		}
		return err
	}
	if m.state.Unreachable != 0 || m.state.Denied != 0 {
		m.state.Unreachable, m.state.Denied = 0, 0
		m.report(&Event{Type: Reachable, Message: "the log answers again"})
	}
	var history *evidence.HistoryError
	switch {
	case errors.As(err, &history):
		t := Fork
		if errors.Is(err, evidence.ErrRollback) {
			t = Rollback
		}
		m.report(&Event{Type: t, Message: err.Error(), Old: history.Old, New: history.New})
		return err
	case errors.Is(err, evidence.ErrTampered):
		m.report(&Event{Type: Tampered, Message: err.Error()})
		return err
	case errors.Is(err, evidence.ErrUntrusted), errors.Is(err, evidence.ErrFormat):
		m.report(&Event{Type: Untrusted, Message: err.Error()})
		return err
	case err != nil:
		return err
	}
	return m.age(now)
}

func (m *Monitor) report(e *Event) {
	e.Origin = m.at.checkpoint.Origin
	if e.Size == 0 {
		e.Size = m.at.checkpoint.Size
	}
	m.o.Report(e)
}

// unreachable reports that the log cannot be asked, once, after a while.
func (m *Monitor) unreachable(now time.Time, err error) {
	if m.state.Reached == 0 || m.state.Reached > now.UnixMilli() {
		m.state.Reached = now.UnixMilli() // counts from the first attempt, or since the clock was set back
	}
	if m.state.Unreachable == 0 && now.Sub(time.UnixMilli(m.state.Reached)) >= m.o.Patience {
		m.state.Unreachable = now.UnixMilli()
		m.report(&Event{Type: Unreachable, Message: err.Error()})
	}
}

// age reports that the log stands still, and that it goes on, once each.
func (m *Monitor) age(now time.Time) error {
	if m.o.MaxAge <= 0 {
		return nil
	}
	at, whose := time.UnixMilli(m.at.time), "by the log's own word"
	policy, err := m.o.Policy(m.Origin())
	if err != nil {
		return err
	}
	if policy != nil && policy.Quorum != evidence.QuorumNone {
		o, err := m.at.control.Judge(policy, m.at.signed)
		if err != nil {
			return err
		}
		seconds, _ := o.QuorumTime()
		at, whose = time.Unix(seconds, 0), "by the quorum of witnesses"
	}
	switch age := now.Sub(at); {
	case age < -maxAhead: // by such a clock no log would ever be old
		err = fmt.Errorf("%w, or not: its newest checkpoint is of %s, %s, and the clock here says %s", ErrStill, at.UTC().Format(time.RFC3339), whose, now.UTC().Format(time.RFC3339))
	case age > m.o.MaxAge:
		err = fmt.Errorf("%w: it was last seen to advance at %s, %s; at most %s was asked for", ErrStill, at.UTC().Format(time.RFC3339), whose, m.o.MaxAge)
	}
	if err != nil {
		if m.state.Stands == 0 {
			m.state.Stands = now.UnixMilli()
			m.report(&Event{Type: Still, Message: err.Error()})
		}
		return err
	}
	if m.state.Stands != 0 {
		m.state.Stands = 0
		m.report(&Event{Type: Moves, Message: "the log advances again"})
	}
	return nil
}

// advance checks a checkpoint and what it adds, and moves on to it.
func (m *Monitor) advance(ctx context.Context, signed []byte) error {
	cp, _, err := evidence.ReadCheckpoint(signed)
	if err != nil {
		return err
	}
	if was := m.at.checkpoint; was.Size > 0 && was.Origin != cp.Origin {
		return fmt.Errorf("checkpoint of %s: %w: the log that is watched is %s", cp.Origin, evidence.ErrUntrusted, was.Origin)
	}
	policy, err := m.o.Policy(cp.Origin)
	if err != nil {
		return err
	}
	if policy == nil {
		return fmt.Errorf("the log %s: %w: no key is pinned for it", cp.Origin, evidence.ErrUntrusted)
	}
	before, err := m.seen(cp)
	if err != nil {
		return err
	}
	next := m.at
	var events []*Event
	var odd error // what is wrong with an entry, if they are those that were signed
	if cp.Size > m.at.checkpoint.Size {
		if next, events, odd, err = m.read(ctx, cp, before); err != nil {
			return err
		}
	}
	// With the keys as of the new checkpoint: they may have changed on the way.
	o, err := next.control.Judge(policy, signed)
	if err != nil {
		return err
	}
	if !o.Quorum {
		return fmt.Errorf("checkpoint of %s at %d entries: %w: it has not the quorum %q", cp.Origin, cp.Size, evidence.ErrUntrusted, policy.Quorum)
	}
	if err := m.compare(cp, next, signed); err != nil {
		return err
	}
	if err := before.compare(cp, signed); err != nil {
		return err
	}
	if odd != nil {
		return odd
	}
	first := m.at.checkpoint.Size == 0
	next.signed, next.checkpoint = slices.Clone(signed), cp
	m.at = next
	m.keep()
	if first {
		text := fmt.Sprintf("%s is watched from a size of %d on", cp.Origin, cp.Size)
		if before.more(cp) {
			text += fmt.Sprintf("; you have seen %d entries of it: this is a copy that is behind, or the log went back", before.Size)
		}
		m.report(&Event{Type: Started, Message: text})
	}
	for _, e := range events {
		if !first || m.o.All {
			m.report(e)
		}
	}
	return nil
}

// seen is what the log's owner saw of it elsewhere before the first look.
type seen struct {
	evidence.Checkpoint
	signed []byte    // nil: nothing
	root   tlog.Hash // of as many entries, as the log serves them now
}

func (m *Monitor) seen(cp evidence.Checkpoint) (*seen, error) {
	if m.o.Seen == nil || m.at.checkpoint.Size > 0 {
		return &seen{}, nil
	}
	signed, err := m.o.Seen(cp.Origin)
	if err != nil || signed == nil {
		return &seen{}, err
	}
	s := &seen{signed: signed, root: evidence.EmptyRoot}
	s.Checkpoint, _, err = evidence.ReadCheckpoint(signed)
	return s, err
}

// compare checks that a log which is looked at for the first time goes on from what was
// seen of it.
func (s *seen) compare(cp evidence.Checkpoint, signed []byte) error {
	if s.signed == nil {
		return nil
	}
	if s.more(cp) || s.root == s.Root {
		return nil
	}
	return &evidence.HistoryError{Kind: evidence.ErrFork, Old: s.signed, New: slices.Clone(signed),
		Detail: fmt.Sprintf("the log %s shows two histories: its first %d entries have the root %v now, and had %v when you last looked", cp.Origin, s.Size, s.root, s.Root)}
}

// more: more was seen than the log shows. That may be a copy that is behind, or a server
// that shows what its witnesses have cosigned; or the log went back.
func (s *seen) more(cp evidence.Checkpoint) bool { return s.signed != nil && s.Size > cp.Size }

// compare checks that a checkpoint which the log signed is the tree of the
// entries that it serves, after those that it served before.
func (m *Monitor) compare(cp evidence.Checkpoint, next *position, signed []byte) error {
	was := m.at.checkpoint
	history := func(kind error, format string, args ...any) error {
		return &evidence.HistoryError{Kind: kind, Old: m.at.signed, New: slices.Clone(signed), Detail: fmt.Sprintf(format, args...)}
	}
	switch {
	case cp.Size < was.Size:
		return history(evidence.ErrRollback, "the log %s went back: it showed %d entries before and shows %d now", cp.Origin, was.Size, cp.Size)
	case root(next.tree) == cp.Root:
		return nil
	case was.Size == 0:
		return fmt.Errorf("the log %s: %w: its %d entries do not have the root that it signed", cp.Origin, evidence.ErrTampered, cp.Size)
	case cp.Size == was.Size:
		return history(evidence.ErrFork, "the log %s shows two histories: %d entries had the root %v and have the root %v now", cp.Origin, cp.Size, was.Root, cp.Root)
	}
	return history(evidence.ErrFork, "the log %s does not go on from the %d entries that it showed: those that it serves after them do not lead to the root of %d that it signed",
		cp.Origin, was.Size, cp.Size)
}

// keep writes the position into the state.
func (m *Monitor) keep() {
	m.state.Checkpoint, m.state.Last, m.state.Control = string(m.at.signed), m.at.last, m.at.leaves
	m.state.Tree = nil
	for _, h := range m.at.tree {
		m.state.Tree = append(m.state.Tree, h[:])
	}
}

// read reads the entries that a checkpoint adds. What is wrong with one is
// returned as odd: whether it is the log's fault is known with the root alone.
func (m *Monitor) read(ctx context.Context, cp evidence.Checkpoint, before *seen) (next *position, events []*Event, odd, err error) {
	next = &position{
		tree: slices.Clone(m.at.tree), control: m.at.control.Clone(), leaves: slices.Clone(m.at.leaves),
		last: m.at.last, time: m.at.time,
	}
	from := m.at.checkpoint.Size
	for n := from / bundleWidth; n*bundleWidth < cp.Size; n++ {
		width := int(min(bundleWidth, cp.Size-n*bundleWidth))
		data, err := m.o.Source.Bundle(ctx, n, width)
		if err != nil {
			return nil, nil, nil, err
		}
		leaves, err := splitBundle(data, width)
		if err != nil {
			return nil, nil, nil, fmt.Errorf("bundle %d: %w", n, err)
		}
		for i, leaf := range leaves {
			index := n*bundleWidth + uint64(i)
			if index < from {
				continue
			}
			next.tree = grow(next.tree, index, evidence.LeafHash(leaf))
			if index+1 == before.Size {
				before.root = root(next.tree)
			}
			if odd != nil {
				continue
			}
			var ev *Event
			if ev, odd = m.entry(next, index, leaf); ev != nil {
				ev.Size = cp.Size
				events = append(events, ev)
			}
		}
	}
	return next, events, odd, nil
}

// splitBundle takes the first width leaves of a bundle.
func splitBundle(data []byte, width int) ([][]byte, error) {
	leaves := make([][]byte, 0, width)
	for range width {
		if len(data) < 2 || len(data)-2 < int(binary.BigEndian.Uint16(data)) {
			return nil, fmt.Errorf("%w: it has %d entries, not %d", evidence.ErrFormat, len(leaves), width)
		}
		end := 2 + int(binary.BigEndian.Uint16(data))
		leaves, data = append(leaves, data[2:end]), data[end:]
	}
	return leaves, nil
}

// entry checks the next entry and says whether somebody wants to hear of it.
func (m *Monitor) entry(at *position, index uint64, leaf []byte) (*Event, error) {
	odd := func(err error) (*Event, error) {
		return nil, fmt.Errorf("entry %d: %w: %v", index, evidence.ErrTampered, err)
	}
	e, err := evidence.ParseEntry(slices.Clone(leaf))
	if err != nil {
		return odd(err)
	}
	switch {
	case e.Index != index:
		return odd(fmt.Errorf("it says that it is entry %d", e.Index))
	case e.Time < at.time:
		return odd(errors.New("its time is before that of the entry before it"))
	case e.ControlCount != at.control.Count() || e.ControlRoot != at.control.Root():
		return odd(errors.New("it leaves out, or adds, entries that say who may do what"))
	}
	st, err := e.Statement()
	if err != nil {
		return odd(fmt.Errorf("this program does not understand it: %w", err))
	}
	if st.Kind != statement.KindGenesis { // whose keys it brings itself
		if err := checkSignature(at.control, e); err != nil {
			return odd(err)
		}
	}
	if st.Control() {
		if err := at.control.Add(e); err != nil {
			return odd(err)
		}
		at.leaves = append(at.leaves, e.Leaf())
	}
	if st.Kind == statement.KindGenesis {
		if err := checkSignature(at.control, e); err != nil {
			return odd(err)
		}
	}
	at.time, at.last = e.Time, e.Leaf()
	_, member, _ := at.control.Roster().Key(e.Envelope.By())
	return m.o.Watch.look(e, st, member.Handle), nil
}

// checkSignature: the key that the entry names is registered, and signed it.
func checkSignature(c *evidence.Control, e *evidence.Entry) error {
	if c.Roster() == nil {
		return errors.New("nothing can be signed before genesis")
	}
	key, _, ok := c.Roster().Key(e.Envelope.By())
	if !ok {
		return fmt.Errorf("it is signed by the key %s, which is not registered", e.Envelope.By())
	}
	return e.Envelope.Verify(key)
}
