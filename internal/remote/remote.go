package remote

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/wire"
)

// Server answers reads: see [Over]. What it returns is believed by nobody.
type Server interface {
	// Read is POST /v1/read.
	Read(ctx context.Context, r *wire.ReadRequest) (*wire.ReadAnswer, error)
	// Trace is POST /v1/trace.
	Trace(ctx context.Context, r *wire.TraceRequest) (*wire.ReadAnswer, error)
}

// Ledger is a ledger that a server keeps, as of one checkpoint. Begin refuses with
// ledger.ErrReadOnly; all else is as with one on this machine.
type Ledger struct {
	*ledger.Ledger
	r *reader
}

// Open opens the ledger that a server keeps, as of a signed checkpoint that the
// caller has verified: by the trust policy, and against what was seen before. It
// reads the tiles at the right edge, the last entry and all control entries.
//
// The context is that of every later read as well. Errors of reads are the
// server's, as they come, or an evidence.ErrTampered where an answer is not what
// follows from the checkpoint; after one of these every read is refused.
func Open(ctx context.Context, s Server, signed []byte) (*Ledger, error) {
	return open(ctx, s, signed, newMemory())
}

// At opens the same ledger as of another signed checkpoint, which the caller has
// verified and found consistent with this one. What was verified is not read
// again.
func (l *Ledger) At(ctx context.Context, signed []byte) (*Ledger, error) {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	if l.r.failed != nil {
		return nil, l.r.failed
	}
	return open(ctx, l.r.server, signed, l.r.memory.clone())
}

// Requests returns how many requests were made.
func (l *Ledger) Requests() int {
	l.r.mu.Lock()
	defer l.r.mu.Unlock()
	return l.r.requests
}

func open(ctx context.Context, s Server, signed []byte, m *memory) (*Ledger, error) {
	cp, _, err := evidence.ReadCheckpoint(signed)
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	r := &reader{ctx: ctx, server: s, cp: cp, memory: m, offered: map[tlog.Tile][]byte{}, traced: map[string]trace{}}
	r.tiles = tlog.TileHashReader(tlog.Tree{N: int64(cp.Size), Hash: cp.Root}, &tileSource{r: r})
	if m.control > 0 {
		r.covered.add("x", string(binary.BigEndian.AppendUint64([]byte{'x'}, m.control)))
	}
	if cp.Size > 0 {
		done := r.Expect(ledger.Lookup{Kind: ledger.LookupOpen, Entry: m.control})
		defer done()
	}
	l, err := ledger.Over(r, signed)
	if err != nil {
		return nil, err
	}
	if err := r.settle(l.View()); err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	return &Ledger{l, r}, nil
}

// settle checks what was read while it was not known who may sign.
func (r *reader) settle(v *ledger.View) error {
	r.mu.Lock()
	if r.failed != nil {
		defer r.mu.Unlock()
		return r.failed
	}
	r.mu.Unlock()
	control, err := v.Control()
	if errors.Is(err, ledger.ErrRules) {
		return nil // a newer program's ledger: whoever reads it is told so
	}
	if err != nil {
		return err
	}
	k := &known{control: control}
	for e, err := range v.ControlEntries() {
		if err != nil {
			return err
		}
		k.entries, k.roots = append(k.entries, e.Index), append(k.roots, e.ControlRoot)
	}
	k.roots = append(k.roots, control.Root())
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known = k
	for _, e := range r.memory.unsigned {
		if err := k.check(e); err != nil {
			return r.fail(err)
		}
	}
	r.memory.unsigned = nil
	return nil
}

// known is what the control entries say.
type known struct {
	control *evidence.Control
	entries []uint64    // the indexes of the control entries
	roots   []tlog.Hash // over the first so many of them
}

// check holds an entry to the control entries: it commits to those before it, and
// is signed by the registered key that it names.
func (k *known) check(e *evidence.Entry) error {
	n := e.ControlCount
	if n >= uint64(len(k.roots)) || n > 0 && k.entries[n-1] >= e.Index || n < uint64(len(k.entries)) && k.entries[n] < e.Index ||
		e.ControlRoot != k.roots[n] {
		return tampered("entry %d does not commit to the control entries before it", e.Index)
	}
	by := e.Envelope.By()
	key, _, ok := k.control.Roster().Key(by)
	if !ok {
		return tampered("entry %d is signed in the name of the key %s, which no entry registers", e.Index, by)
	}
	if err := e.Envelope.Verify(key); err != nil {
		return tampered("entry %d: %w", e.Index, err)
	}
	return nil
}

// memory is what was verified, and stays so at every later size.
type memory struct {
	rows     table
	leaves   map[uint64][]byte
	nodes    map[int64]tlog.Hash // of the tree, by the numbers of stored hashes
	full     map[tlog.Tile][]byte
	unsigned []*evidence.Entry // whose signatures were not checked so far
	bytes    int               // of leaves

	// Of a cache: how many control entries are known. They are verified with those
	// that follow.
	control uint64
}

// maxMemory is how many bytes of entries, rows and tiles are kept; beyond it all
// is forgotten, and read again where it is needed.
var maxMemory = 256 << 20 // a variable for tests

func newMemory() *memory {
	return &memory{leaves: map[uint64][]byte{}, nodes: map[int64]tlog.Hash{}, full: map[tlog.Tile][]byte{}}
}

func (m *memory) crowded() bool {
	return m.bytes+m.rows.bytes+len(m.nodes)*64+len(m.full)*ledger.TileWidth*tlog.HashSize > maxMemory
}

// clone returns a memory that grows by itself.
func (m *memory) clone() *memory {
	c := newMemory()
	for i, leaf := range m.leaves {
		c.leaves[i] = leaf
	}
	for i, h := range m.nodes {
		c.nodes[i] = h
	}
	for t, data := range m.full {
		c.full[t] = data
	}
	for _, b := range m.rows.blocks {
		for _, r := range b {
			c.rows.put(r)
		}
	}
	c.bytes = m.bytes
	return c
}

// reader is a server's store as of one checkpoint: what it returns was verified.
type reader struct {
	ctx    context.Context
	server Server
	cp     evidence.Checkpoint
	tiles  tlog.HashReader // verifies tiles

	mu         sync.Mutex // held while the server is asked, too
	memory     *memory
	known      *known               // nil while the ledger is being opened
	covered    spans                // what is known of the index as of this size
	offered    map[tlog.Tile][]byte // tiles that came along and were not verified so far
	hints      []hint
	traced     map[string]trace // by hint.key
	unfinished *hint            // that was traced last, and has more
	requests   int
	failed     error // the server lied
}

func tampered(format string, args ...any) error {
	return fmt.Errorf("what the server answers was %w: "+format, append([]any{evidence.ErrTampered}, args...)...)
}

// fail makes an error the answer to every later read. The caller holds the lock.
func (r *reader) fail(err error) error {
	if errors.Is(err, evidence.ErrTampered) {
		r.failed = err
	}
	return err
}
