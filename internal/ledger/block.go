package ledger

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/statement"
)

// Block is one commit in the making: entries that were admitted at one time.
// It belongs to the goroutine that began it.
type Block struct {
	l     *Ledger
	base  *state
	time  int64
	tree  tree
	bytes int // of leaves
	batch *pebble.Batch

	// What the block's own entries add to the store, for those after them.
	ids      map[statement.ID]uint64 // but stamps': bindings have them
	bindings map[string]Binding      // by name@version
	about    map[fingerprint.Fingerprint]span
	results  map[uint64]uint64 // of audits, by the entry that announces
	moves    moves
	entries  []parsedEntry // from base's size on
	keys     map[statement.KeyID]*statement.PublicKey

	control *evidence.Control // base's, or a copy of it with the block's additions
	own     bool              // control is the block's to change
	enacted *enacted          // the contracts in force by it
	hot     *hot              // the writer's; of a trial its own
	logKey  evidence.VKey     // in force before the block; zero before genesis
	rotated []evidence.VKey   // that came into force in it
	genesis *statement.Genesis

	written    bool
	checkpoint []byte
}

// span is what a block's entries are about a fingerprint.
type span struct {
	first, last uint64   // as ByFingerprint has them
	stamped     []uint64 // those of them that bind a name to it
}

// Begin starts a block at a time, in Unix milliseconds, not before the last
// entry's. A block that was begun before and not published is dropped.
func (l *Ledger) Begin(timeMS int64) (*Block, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.unusable != nil {
		return nil, l.unusable
	}
	if l.block != nil {
		if l.block.written {
			return nil, errors.New("begin: the block before was written and not published")
		}
		l.block.drop()
	}
	s := l.state.Load()
	if timeMS < s.time || timeMS < 0 || timeMS > evidence.MaxTime {
		return nil, fmt.Errorf("begin: time %d is before the last entry's, %d, or beyond %d", timeMS, s.time, int64(evidence.MaxTime))
	}
	l.block = &Block{
		l: l, base: s, time: timeMS, tree: s.tree,
		batch:    l.db.NewBatchWithSize(64 << 10),
		ids:      map[statement.ID]uint64{},
		bindings: map[string]Binding{},
		about:    map[fingerprint.Fingerprint]span{},
		results:  map[uint64]uint64{},
		moves:    newMoves(),
		keys:     map[statement.KeyID]*statement.PublicKey{},
		control:  s.control, own: l.opts.inPlace, enacted: s.enacted, hot: &l.hot,
		logKey: currentLogKey(s.control), genesis: s.genesis,
	}
	return l.block, nil
}

// Drop gives the block up. Nothing of it was stored.
func (b *Block) Drop() {
	b.l.mu.Lock()
	defer b.l.mu.Unlock()
	if b.l.block == b && !b.written {
		b.drop()
		b.l.block = nil
	}
}

func (b *Block) drop() { _ = b.batch.Close() }

// Len returns the number of entries admitted so far.
func (b *Block) Len() int { return len(b.entries) }

// Full reports whether the block takes no more entries.
func (b *Block) Full() bool { return len(b.entries) >= MaxBlock || b.bytes >= MaxBlockBytes }

// Root returns the size and root of the tree with the block's entries.
func (b *Block) Root() (size uint64, root tlog.Hash) { return b.tree.size, b.tree.root() }

// Origin returns the log's origin, also within the block that begins it.
func (b *Block) Origin() string {
	if b.genesis == nil {
		return ""
	}
	return b.genesis.Origin
}

// LogKeys returns the keys that must sign the block's checkpoint: the log's
// key, and with a rotation in this block the one before it too.
func (b *Block) LogKeys() []evidence.VKey {
	if b.logKey == (evidence.VKey{}) {
		return b.rotated
	}
	return append([]evidence.VKey{b.logKey}, b.rotated...)
}

// currentLogKey returns the key in force after all entries; zero before
// genesis.
func currentLogKey(c *evidence.Control) evidence.VKey {
	k, _ := c.LogKey(evidence.MaxSize)
	return k
}

// append gives a candidate its place. All checks are behind it.
func (b *Block) append(c *Candidate) (*evidence.Entry, error) {
	e := &evidence.Entry{
		Index:        b.tree.size,
		Time:         b.time,
		ControlCount: b.control.Count(),
		ControlRoot:  b.control.Root(),
		Envelope:     c.env,
	}
	leaf := e.Leaf()
	if len(leaf) > evidence.MaxLeaf {
		return nil, refuse(RuleLimits, ClassMalformed, "an entry of %d bytes; the limit is %d", len(leaf), evidence.MaxLeaf)
	}
	if c.st.Control() {
		if err := b.addControl(e, c.st); err != nil {
			return nil, err
		}
	}
	if c.law != nil {
		b.l.laws.add(c.st.Contract.Digest, c.law)
	}
	b.entries = append(b.entries, parsedEntry{e, c.st})
	b.bytes += len(leaf)
	b.set(entryKey(e.Index), leaf)
	b.tree.append(evidence.LeafHash(leaf), func(level int, n uint64, hashes []tlog.Hash) {
		b.set(tileKey(level, n), joinHashes(hashes))
	})
	b.index(e, c)
	return e, nil
}

// addControl folds a control entry in. The base's fold is shared with views,
// so the first in a block makes a copy.
func (b *Block) addControl(e *evidence.Entry, st *statement.Statement) error {
	next := b.control
	if !b.own {
		next = next.Clone()
	}
	if err := next.Add(e); err != nil {
		return rosterRefusal(controlRule(st), err)
	}
	b.control, b.own = next, true
	b.enacted = b.l.enact(next, b.enacted)
	switch {
	case st.Genesis != nil:
		b.genesis = st.Genesis
	case st.Identity != nil && st.Identity.Key != nil:
		b.keys[st.Identity.Key.ID()] = st.Identity.Key
	}
	if st.Genesis != nil || st.LogKey != nil {
		b.rotated = append(b.rotated, currentLogKey(next))
	}
	if st.Genesis != nil {
		for _, m := range next.Roster().Members() {
			b.keys[m.Key.ID()] = m.Key
		}
	}
	return nil
}

// index writes what the entry can be found by, and keeps it for the entries
// after it in the block.
func (b *Block) index(e *evidence.Entry, c *Candidate) {
	kind := kindBytes[c.st.Kind]
	if c.st.Kind != statement.KindStamp {
		b.ids[c.id] = e.Index
	}
	for _, p := range Rows(e, c.st) {
		b.set(p.Key, p.Value)
	}
	for _, o := range c.stamps {
		b.bind(e, o.Ref, kind)
	}
	switch st := c.st; {
	case st.Audit != nil:
		b.indexAudit(e, c.ref.Fingerprint, st.Audit)
	case st.Withdrawal != nil, st.Reinstatement != nil, st.Evaluation != nil:
		b.mark(e, c.ref.Fingerprint, []byte{kind})
	}
	b.indexLineage(e, c)
}

// bind keeps that the entry binds a name to contents.
func (b *Block) bind(e *evidence.Entry, ref statement.Ref, kind byte) {
	b.bindings[ref.String()] = Binding{ref.Name, ref.Version, ref.Fingerprint, e.Index}
	b.mark(e, ref.Fingerprint, stampValue(kind))
}

// mark keeps that the entry is about contents: what a withdrawal of them must
// have seen.
func (b *Block) mark(e *evidence.Entry, fp fingerprint.Fingerprint, value []byte) {
	s, ok := b.about[fp]
	if !ok {
		s.first = e.Index
	}
	s.last = e.Index
	if stamps(value) && (len(s.stamped) == 0 || s.stamped[len(s.stamped)-1] != e.Index) {
		s.stamped = append(s.stamped, e.Index)
	}
	b.about[fp] = s
}

// indexAudit keeps what an audit can be found by. It changes nothing about the
// artifact, so it is not among the entries that a withdrawal must have seen.
func (b *Block) indexAudit(e *evidence.Entry, fp fingerprint.Fingerprint, a *statement.Audit) {
	b.moves.said(fp, statement.KindAudit, e.Index)
	if a.Announcement != nil {
		return
	}
	b.results[a.Result.Announcement] = e.Index
}

// set adds to the batch, which copies both and cannot fail.
func (b *Block) set(key, value []byte) {
	if b.l.opts.derivedOnly && strings.IndexByte(derived, key[0]) < 0 {
		return
	}
	_ = b.batch.Set(key, value, nil)
}

// Write stores the block with its signed checkpoint: one batch, synced. Views
// do not see it before Publish. After an error it is unknown whether the block
// was stored; the ledger begins no other until it is opened again.
func (b *Block) Write(signedCheckpoint []byte) error {
	l := b.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.block != b || b.written {
		return errors.New("write: not the block that was begun last")
	}
	if len(b.entries) == 0 {
		return errors.New("write: no entry was admitted")
	}
	cp, _, err := evidence.ReadCheckpoint(signedCheckpoint)
	if err != nil {
		return fmt.Errorf("write: %w", err)
	}
	if want := (evidence.Checkpoint{Origin: b.Origin(), Size: b.tree.size, Root: b.tree.root()}); cp != want {
		return fmt.Errorf("write: the checkpoint is %s %d %v; the block's is %s %d %v",
			cp.Origin, cp.Size, cp.Root, want.Origin, want.Size, want.Root)
	}
	b.checkpoint = signedCheckpoint
	b.set(checkpointKey(b.tree.size), signedCheckpoint)
	if b.base.tree.size == 0 {
		b.set(metaKey(metaFormat), []byte(storeFormat))
		b.set(metaKey(metaIndex), []byte(indexVersion))
	}
	b.growTiles()
	b.written = true
	if err := l.apply(b.batch); err != nil {
		l.unusable = ErrUnfinished
		return fmt.Errorf("commit of size %d: %w", b.tree.size, err)
	}
	return nil
}

// growTiles stores the unfinished tiles above level 0 that the block grew.
func (b *Block) growTiles() {
	for level := 1; level < tileLevels; level++ {
		if b.tree.size>>(level*tileHeight) == b.base.tree.size>>(level*tileHeight) {
			return
		}
		if row := b.tree.rows[level]; len(row) > 0 {
			b.set(tileKey(level, tileNumber(b.tree.size, level)), joinHashes(row))
		}
	}
}

// apply commits a batch. Pebble panics at some failures of the disk, and tells
// others to its logger alone.
func (l *Ledger) apply(batch *pebble.Batch) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the database gave up: %v", p)
		}
	}()
	sync := pebble.Sync
	if l.opts.NoSync {
		sync = pebble.NoSync
	}
	if err := batch.Commit(sync); err != nil {
		return err
	}
	if l.opts.Failed != nil {
		if err := l.opts.Failed(); err != nil {
			return err
		}
	}
	return batch.Close()
}

// Publish makes a written block visible to views, and returns the view.
func (b *Block) Publish() (*View, error) {
	l := b.l
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.block != b || !b.written || l.unusable != nil {
		return nil, errors.New("publish: the block was not written")
	}
	s := &state{
		time: b.time, tree: b.tree, root: b.tree.root(),
		checkpoint: b.checkpoint, control: b.control, enacted: b.enacted, genesis: b.genesis,
		id: b.control.Ledger(), origin: b.Origin(),
	}
	for id, k := range b.keys {
		l.keys.Store(id, k)
	}
	l.block = nil
	l.hot.publish(b)
	l.keep(b)
	l.state.Store(s)
	return l.View(), nil
}

// Commit is Write and Publish: for engines that keep nothing between the two.
func (b *Block) Commit(signedCheckpoint []byte) error {
	if err := b.Write(signedCheckpoint); err != nil {
		return err
	}
	_, err := b.Publish()
	return err
}
