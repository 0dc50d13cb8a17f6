package monitor

import (
	"encoding/json"
	"fmt"
	"math/bits"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/strictjson"
)

const (
	stateVersion = "monitor/v1"

	// MaxState is the longest state, in bytes: it has all control entries.
	MaxState = 256 << 20
)

// State is where a monitor was. It is written whole after each look, and what it
// says is checked when it is read: the control entries by their root in the last
// entry, the hashes by the checkpoint.
type State struct {
	Stele      string `json:"stele"`
	Checkpoint string `json:"checkpoint,omitempty"` // the last that was checked, a signed note
	// Tree is the roots of the perfect subtrees of the checkpoint's tree, the
	// largest first, 32 bytes each.
	Tree [][]byte `json:"tree,omitempty"`
	// Last is the last entry, a leaf; Control are the control entries, leaves too.
	Last    []byte   `json:"last,omitempty"`
	Control [][]byte `json:"control,omitempty"`
	// Stands, Unreachable and Denied say since when, in Unix milliseconds, those were
	// reported and have not ended; 0: they have.
	Stands      int64 `json:"stands,omitempty"`
	Unreachable int64 `json:"unreachable,omitempty"`
	Denied      int64 `json:"denied,omitempty"`
	Reached     int64 `json:"reached,omitempty"` // when the log was reached last, Unix milliseconds
}

// Marshal returns the state's file.
func (s *State) Marshal() ([]byte, error) {
	s.Stele = stateVersion
	data, err := json.Marshal(s)
	if err == nil && len(data) >= MaxState {
		err = fmt.Errorf("the monitor's state has %d bytes; the limit is %d", len(data), MaxState)
	}
	return append(data, '\n'), err
}

// position is a state, taken apart and checked.
type position struct {
	checkpoint evidence.Checkpoint
	signed     []byte
	tree       []tlog.Hash
	control    *evidence.Control
	leaves     [][]byte // of the control entries
	last       []byte
	time       int64 // of the last entry
}

// ParseState reads a state's file and checks it.
func ParseState(data []byte) (*State, error) {
	s := new(State)
	if err := strictjson.Unmarshal(data, s, MaxState, 4); err != nil {
		return nil, fmt.Errorf("the monitor's state: %w", err)
	}
	if s.Stele != stateVersion {
		return nil, fmt.Errorf("the monitor's state is of version %.40q; this program knows %s", s.Stele, stateVersion)
	}
	if s.Checkpoint == "" {
		return s, nil
	}
	_, err := s.position()
	return s, err
}

func (s *State) position() (*position, error) {
	p := &position{control: evidence.NewControl(), checkpoint: evidence.Checkpoint{Root: evidence.EmptyRoot}}
	if s.Checkpoint == "" {
		return p, nil
	}
	bad := func(format string, args ...any) error {
		return fmt.Errorf("the monitor's state: %w: "+format, append([]any{evidence.ErrFormat}, args...)...)
	}
	var err error
	p.signed = []byte(s.Checkpoint)
	if p.checkpoint, _, err = evidence.ReadCheckpoint(p.signed); err != nil {
		return nil, fmt.Errorf("the monitor's state: %w", err)
	}
	if len(s.Tree) != bits.OnesCount64(p.checkpoint.Size) {
		return nil, bad("%d subtrees for %d entries", len(s.Tree), p.checkpoint.Size)
	}
	for _, h := range s.Tree {
		if len(h) != tlog.HashSize {
			return nil, bad("a hash of %d bytes", len(h))
		}
		p.tree = append(p.tree, tlog.Hash(h))
	}
	if root(p.tree) != p.checkpoint.Root {
		return nil, bad("its hashes are not those of its checkpoint")
	}
	last, err := evidence.ParseEntry(s.Last)
	if err != nil || last.Index != p.checkpoint.Size-1 {
		return nil, bad("its last entry is not the checkpoint's")
	}
	for _, leaf := range s.Control {
		e, err := evidence.ParseEntry(leaf)
		if err == nil {
			err = p.control.Add(e)
		}
		if err != nil {
			return nil, bad("control entry: %v", err)
		}
	}
	before := p.control
	if n := len(s.Control); n > 0 && string(s.Control[n-1]) == string(s.Last) {
		before = evidence.NewControl() // the last entry says what is before it
		for _, leaf := range s.Control[:n-1] {
			e, _ := evidence.ParseEntry(leaf) // it was parsed above
			if err := before.Add(e); err != nil {
				return nil, bad("control entry: %v", err)
			}
		}
	}
	if before.Count() != last.ControlCount || before.Root() != last.ControlRoot {
		return nil, bad("its control entries are not those of its last entry")
	}
	p.leaves, p.last, p.time = s.Control, s.Last, last.Time
	return p, nil
}

// grow adds the hash of a leaf to the perfect subtrees of a tree of that size.
func grow(tree []tlog.Hash, size uint64, leaf tlog.Hash) []tlog.Hash {
	// A leaf completes a subtree for each trailing one bit of the size, as a
	// carry does in binary addition.
	for ; size&1 == 1; size >>= 1 {
		leaf = tlog.NodeHash(tree[len(tree)-1], leaf)
		tree = tree[:len(tree)-1]
	}
	return append(tree, leaf)
}

// root is the RFC 6962 root over perfect subtrees, the largest first.
func root(tree []tlog.Hash) tlog.Hash {
	if len(tree) == 0 {
		return evidence.EmptyRoot
	}
	h := tree[len(tree)-1]
	for i := len(tree) - 2; i >= 0; i-- {
		h = tlog.NodeHash(tree[i], h)
	}
	return h
}
