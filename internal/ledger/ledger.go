package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/statement"
)

// Limits of one commit.
const (
	// MaxBlock is the most entries that one commit takes.
	MaxBlock = 4096
	// MaxBlockBytes is the most bytes of leaves that one commit takes; a
	// single entry always fits.
	MaxBlockBytes = 16 << 20
)

// Options are what an engine gives the ledger.
type Options struct {
	// NoSync leaves commits unsynced: for stores in memory.
	NoSync bool
	// Failed, if set, is asked after each write whether the store failed
	// behind the ledger's back: Pebble reports a failed commit to its logger
	// alone.
	Failed func() error

	// inPlace lets a block change the fold of the state before it: for a
	// replay that nobody looks at.
	inPlace bool
	// derivedOnly leaves out of a batch what a rebuild keeps: entries,
	// checkpoints and the store's words.
	derivedOnly bool
}

// Ledger is the state machine over one store. Views and Prepare may be used
// concurrently; Begin and what follows it belong to one goroutine, the writer.
type Ledger struct {
	db    *pebble.DB
	disk  *store // nil where the store is not on this machine
	store reads
	opts  Options

	// source is where entries and checkpoints are read: the store, but for a
	// replay of another store's.
	source reads

	// indexed says that the index is there, and of this program's version. It is
	// not changed after Open.
	indexed bool

	keys  *sync.Map             // statement.KeyID → *statement.PublicKey: all ever registered
	state atomic.Pointer[state] // as of the last commit

	parsed    parsed
	subtrees  subtrees
	laws      *laws
	cosigning cosigning

	mu       sync.Mutex // guards what follows: the writer's
	block    *Block     // begun and neither published nor dropped
	hot      hot        // of the block
	unusable error      // why Begin refuses
}

// state is the ledger as of one commit. It is not changed once published.
type state struct {
	time       int64 // of the last entry, unix ms
	tree       tree
	root       tlog.Hash
	id         statement.LedgerID // the hash of leaf 0
	origin     string
	checkpoint []byte            // signed, over tree.size and root
	control    *evidence.Control // folded over the control entries
	enacted    *enacted          // the contracts in force by it
	genesis    *statement.Genesis
}

// Open reads the ledger in a database, or begins one in an empty one. It fails
// with ErrDamaged if the tree over the entries is not the one that the last
// checkpoint signs. If only the index must be rebuilt, or the rules are of an
// unknown version, it opens: views of entries and checkpoints work, and Begin
// says why it refuses.
//
// The ledger does not close the database: Close ends the reads, then the
// caller closes it.
func Open(db *pebble.DB, opts Options) (*Ledger, error) {
	l := &Ledger{db: db, opts: opts}
	l.over(db)
	format, ok, err := l.store.get(metaKey(metaFormat))
	if err != nil {
		return nil, err
	}
	if ok && string(format) != storeFormat {
		return nil, fmt.Errorf("open ledger: the store is of format %.40q; this program knows %q", format, storeFormat)
	}
	s, err := l.load(ok)
	if err != nil {
		return nil, fmt.Errorf("open ledger: %w", err)
	}
	l.state.Store(s)
	return l, nil
}

// Close waits for the reads under way and makes later ones fail.
func (l *Ledger) Close() {
	if l.disk != nil {
		l.disk.close()
	}
}

// over makes a database what the ledger reads.
func (l *Ledger) over(db *pebble.DB) {
	l.disk = &store{db: db}
	l.store = reads{l.disk}
	l.source = l.store
	l.laws, l.keys = new(laws), new(sync.Map)
}

// Writable says why Begin would refuse, if it would.
func (l *Ledger) Writable() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.unusable
}

// load reads the last committed state.
func (l *Ledger) load(exists bool) (*state, error) {
	s := &state{root: evidence.EmptyRoot, control: evidence.NewControl()}
	last, ok, err := l.store.last([]byte{famCheckpoint}, []byte{famCheckpoint + 1})
	if err != nil {
		return nil, err
	}
	stray, strayed, err := l.store.last([]byte{famEntry}, []byte{famEntry + 1})
	if err != nil {
		return nil, err
	}
	if !ok {
		if exists || strayed {
			return nil, damaged("no checkpoint")
		}
		l.indexed = true
		return s, nil
	}
	size, err := lastU64(last.Key, []byte{famCheckpoint})
	if err != nil {
		return nil, err
	}
	if want := entryKey(size - 1); size == 0 || !strayed || string(stray.Key) != string(want) {
		return nil, damaged("the last checkpoint is of size %d, the last entry is %x", size, stray.Key)
	}
	cp, _, err := evidence.ReadCheckpoint(last.Value)
	if err != nil {
		return nil, damaged("the last checkpoint: %w", err)
	}
	if cp.Size != size {
		return nil, damaged("the checkpoint kept for size %d is of size %d", size, cp.Size)
	}
	s.checkpoint, s.root, s.origin = last.Value, cp.Root, cp.Origin

	index, _, err := l.store.get(metaKey(metaIndex))
	if err != nil {
		return nil, err
	}
	l.indexed = string(index) == indexVersion
	if s.tree, err = l.loadTree(size, cp.Root); err != nil {
		return nil, err
	}
	// What follows reads through a view of this state.
	l.state.Store(s)
	if err := l.loadControl(s); err != nil {
		return nil, err
	}
	return s, nil
}

// checkIndex says that what an index of this version alone has cannot be asked.
func (l *Ledger) checkIndex() error {
	if !l.indexed {
		return fmt.Errorf("%w (stele fsck --rebuild)", ErrIndex)
	}
	return nil
}

// loadTree reads the right edge, and checks that it leads to the root.
func (l *Ledger) loadTree(size uint64, root tlog.Hash) (tree, error) {
	var cause error = ErrIndex
	if l.indexed {
		t, err := restore(size, func(level int, n uint64, width int) ([]tlog.Hash, error) {
			return l.loadRow(level, n, width)
		})
		if err == nil && t.root() == root {
			return t, nil
		}
		cause = errors.Join(ErrIndex, err)
	}
	// The tiles do not do; do the entries?
	var t tree
	v := &View{l: l, n: size}
	for leaf, err := range v.Leaves(0, size) {
		if err != nil {
			return tree{}, err
		}
		t.append(evidence.LeafHash(leaf), func(int, uint64, []tlog.Hash) {})
	}
	if t.root() != root {
		return tree{}, damaged("the entries' root is %v; the checkpoint of size %d signs %v", t.root(), size, root)
	}
	l.unusable = fmt.Errorf("%w (stele fsck --rebuild)", cause)
	return t, nil
}

// loadRow reads an unfinished tile: of level 0 from the leaves.
func (l *Ledger) loadRow(level int, n uint64, width int) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, 0, width)
	if level == 0 {
		v := &View{l: l, n: n*TileWidth + uint64(width)}
		for leaf, err := range v.Leaves(n*TileWidth, v.n) {
			if err != nil {
				return nil, err
			}
			hashes = append(hashes, evidence.LeafHash(leaf))
		}
		return hashes, nil
	}
	data, ok, err := l.store.get(tileKey(level, n))
	if err != nil {
		return nil, err
	}
	if !ok || len(data) != width*tlog.HashSize {
		return nil, damaged("tile %d/%d has %d bytes, not %d hashes", level, n, len(data), width)
	}
	for i := range width {
		hashes = append(hashes, tlog.Hash(data[i*tlog.HashSize:]))
	}
	return hashes, nil
}

// loadControl folds the control entries, and checks the fold against what the
// last entry says of those before it.
func (l *Ledger) loadControl(s *state) error {
	size := s.tree.size
	v := &View{l: l, s: s, n: size}
	first, err := v.Leaf(0)
	if err != nil {
		return err
	}
	s.id = statement.LedgerID(evidence.LeafHash(first))
	last, err := v.Entry(size - 1)
	if err != nil {
		return err
	}
	s.time = last.Time
	before := func(c *evidence.Control) error {
		if c.Count() != last.ControlCount || c.Root() != last.ControlRoot {
			return damaged("%d control entries with the root %v; the last entry says %d with %v",
				c.Count(), c.Root(), last.ControlCount, last.ControlRoot)
		}
		return nil
	}
	entries := v.ControlEntries()
	if !l.indexed {
		entries = v.controlScan()
	}
	c := evidence.NewControl()
	checked := false
	for e, err := range entries {
		if err != nil {
			return err
		}
		if e.Index == size-1 {
			if err := before(c); err != nil {
				return err
			}
			checked = true
		}
		if err := c.Add(e); err != nil {
			if newer := newerRules(e); newer != nil {
				s.control, l.unusable = nil, newer
				return nil
			}
			return damaged("control entry %d: %w", e.Index, err)
		}
	}
	if !checked {
		// Nothing after the last entry says whether it is a control entry.
		switch st, err := last.Statement(); {
		case err != nil:
			return damaged("%w", err)
		case st.Control():
			return damaged("the index lacks the control entry %d", last.Index)
		}
		if err := before(c); err != nil {
			return err
		}
	}
	return l.adopt(s, c)
}

// adopt takes a fold as the state's and learns its keys.
func (l *Ledger) adopt(s *state, c *evidence.Control) error {
	if c.Roster() == nil {
		return damaged("no genesis")
	}
	s.control, s.enacted, s.genesis = c, l.enact(c, nil), c.Roster().Genesis()
	if s.origin != c.Origin() {
		return damaged("the last checkpoint is of the log %s, genesis of %s", s.origin, c.Origin())
	}
	for _, m := range c.Roster().Members() {
		l.keys.Store(m.Key.ID(), m.Key)
	}
	// What a newer program's rules would refuse must not be admitted.
	for _, e := range c.ContractsInForce() {
		if _, err := outline(&e); err != nil && l.unusable == nil {
			l.unusable = err
		}
	}
	return nil
}

// newerRules says that a control entry is one whose meaning only a newer
// program knows: an upgrade, or a genesis of later rules.
func newerRules(e *evidence.Entry) error {
	var st struct {
		PredicateType string `json:"predicateType"`
		Predicate     struct {
			Rules int `json:"rules"`
		} `json:"predicate"`
	}
	if json.Unmarshal(e.Envelope.Payload, &st) != nil {
		return nil
	}
	kind, ok := strings.CutPrefix(st.PredicateType, "https://stele.dev/")
	if !ok {
		return nil
	}
	kind = strings.TrimSuffix(kind, "/v1")
	switch _, known := kindBytes[statement.Kind(kind)]; {
	case !known:
		return fmt.Errorf("%w: entry %d is %q", ErrRules, e.Index, st.PredicateType)
	case kind == string(statement.KindGenesis) && st.Predicate.Rules > statement.Rules:
		return fmt.Errorf("%w: genesis asks for version %d, this program knows %d", ErrRules, st.Predicate.Rules, statement.Rules)
	}
	return nil
}

// controlScan finds the control entries without the index.
func (v *View) controlScan() func(func(*evidence.Entry, error) bool) {
	return func(yield func(*evidence.Entry, error) bool) {
		for e, err := range v.Entries(0, v.n) {
			var st *statement.Statement
			if err == nil {
				st, err = e.Statement()
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if st.Control() && !yield(e, nil) {
				return
			}
		}
	}
}

// key returns a key that was registered on the ledger.
func (l *Ledger) key(id statement.KeyID) (*statement.PublicKey, bool) {
	k, ok := l.keys.Load(id)
	if !ok {
		return nil, false
	}
	return k.(*statement.PublicKey), true
}

// lastOn returns the last entry about a fingerprint among the first size.
func (l *Ledger) lastOn(fp fingerprint.Fingerprint, size uint64) (index uint64, ok bool, err error) {
	prefix := fingerprintPrefix(fp)
	p, ok, err := l.store.last(prefix, fingerprintKey(fp, size))
	if err != nil || !ok {
		return 0, false, err
	}
	index, err = lastU64(p.Key, prefix)
	return index, err == nil, err
}
