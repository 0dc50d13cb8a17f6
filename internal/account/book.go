// Package account is what a ledger has about an artifact: who said what of it,
// whose word counts, what is against it, where it was released; and the words in
// which that is told.
//
// It reads a ledger and decides nothing: what may be done with an artifact is for
// those who ask.
package account

import (
	"fmt"
	"maps"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// Book is a ledger as of one view, with the fold of its control entries: who
// signed, with which standing, what is withdrawn. What it has read about lineage it
// keeps, so that all questions to one book share it. It is not safe for concurrent
// use.
type Book struct {
	*ledger.View
	Control *evidence.Control

	made   *ledger.Lineage
	judged map[string]*lineage.Judgement // by name@version: see JudgeAll
}

// Open reads the control entries of a view.
func Open(v *ledger.View) (*Book, error) {
	control, err := v.Control()
	if err != nil {
		return nil, err
	}
	return &Book{View: v, Control: control}, nil
}

// Lineage is what the ledger knows of what was made of what, read once.
func (b *Book) Lineage() (*ledger.Lineage, error) {
	if b.made == nil {
		made, err := b.View.Lineage()
		if err != nil {
			return nil, err
		}
		b.made = made
	}
	return b.made, nil
}

// Try is Try of the view: what was read about lineage before is not read again.
func (b *Book) Try(st *statement.Statement, as contract.Signer, timeMS int64) (*ledger.Trial, error) {
	made, err := b.Lineage()
	if err != nil {
		return nil, err
	}
	return made.Try(st, as, timeMS)
}

// Standing says whether what the signer said in an entry counts, as is known as of
// the view.
func (b *Book) Standing(e *evidence.Entry) statement.Standing {
	return b.Control.Roster().Standing(e.Envelope.By(), e.Index, e.Time)
}

// Handle names who signed an entry; of a delegation, its issuer. It is empty where
// the key is not registered.
func (b *Book) Handle(e *evidence.Entry) string {
	_, m, _ := b.Control.Roster().Key(e.Envelope.By())
	return m.Handle
}

// Statement reads an entry and what it says.
func (b *Book) Statement(index uint64) (*evidence.Entry, *statement.Statement, error) {
	e, err := b.Entry(index)
	if err != nil {
		return nil, nil, err
	}
	st, err := e.Statement()
	return e, st, err
}

// Prove checks that entries are those under the newest checkpoint: opening a ledger
// does not read every leaf again. Tiles are checked from the root down, each once,
// however many entries share it. An entry that is another is evidence.ErrTampered.
func (b *Book) Prove(set map[uint64]bool) error {
	signed, err := b.LatestCheckpoint()
	if err != nil {
		return err
	}
	cp, _, err := evidence.ReadCheckpoint(signed)
	if err != nil {
		return err
	}
	entries := slices.Sorted(maps.Keys(set))
	if len(entries) == 0 {
		return nil
	}
	indexes := make([]int64, len(entries))
	for i, e := range entries {
		indexes[i] = tlog.StoredHashIndex(0, int64(e))
	}
	tree := tlog.Tree{N: int64(cp.Size), Hash: cp.Root}
	hashes, err := tlog.TileHashReader(tree, tiles{b.View}).ReadHashes(indexes)
	if err != nil {
		return fmt.Errorf("%w: the log's tiles are not what its checkpoint covers: %w", ledger.ErrDamaged, err)
	}
	for i, e := range entries {
		leaf, err := b.Leaf(e)
		if err != nil {
			return err
		}
		if tlog.RecordHash(leaf) != hashes[i] {
			return fmt.Errorf("%w: entry %d is not what the log's checkpoint covers", evidence.ErrTampered, e)
		}
	}
	return nil
}

// tiles are the log's, as tlog checks them.
type tiles struct{ v *ledger.View }

func (t tiles) Height() int { return 8 } // c2sp.org/tlog-tiles: 256 hashes

func (t tiles) ReadTiles(list []tlog.Tile) ([][]byte, error) {
	data := make([][]byte, len(list))
	for i, tile := range list {
		var err error
		if data[i], err = t.v.Tile(tile.L, uint64(tile.N), tile.W); err != nil {
			return nil, err
		}
	}
	return data, nil
}

// SaveTiles does nothing: what was checked is the ledger's own.
func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}
