package client

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
)

// maxBundle is the longest bundle of entries, in bytes.
const maxBundle = tileWidth * (2 + evidence.MaxLeaf)

// ahead is how many bundles are under way while one is read.
const ahead = 4

func isNotFound(err error) bool { return errors.Is(err, ErrNotFound) }

// Leaf is an entry's bytes, checked against a checkpoint. They may be kept; the memory
// is shared with the other leaves of a bundle.
type Leaf struct {
	Index uint64
	Bytes []byte
}

// Entry parses the leaf. Of a log that is not one of ours it fails.
func (l Leaf) Entry() (*evidence.Entry, error) {
	e, err := evidence.ParseEntry(l.Bytes)
	if err == nil && e.Index != l.Index {
		err = fmt.Errorf("entry %d says that it is entry %d: %w", l.Index, e.Index, evidence.ErrTampered)
	}
	return e, err
}

// Entry returns one entry, checked against the log's checkpoint. ErrNotFound: that has
// no such entry.
func (l *Log) Entry(ctx context.Context, index uint64) (*evidence.Entry, error) {
	for leaf, err := range l.Leaves(ctx, index, index+1) {
		if err != nil {
			return nil, err
		}
		return leaf.Entry()
	}
	at, _ := l.points()
	return nil, noEntry(index, at.Size)
}

func noEntry(index, size uint64) error {
	return fmt.Errorf("entry %d: %w: the log has %d", index, ErrNotFound, size)
}

// Leaves goes through the leaves from (inclusive) to (exclusive), as far as the
// log's checkpoint has them, in order: each was checked against it. The checkpoint is
// that of the call; the log may go on meanwhile. Leaves come in bundles of 256, some
// ahead of the one that is read: memory is bounded by five of them, 84 MB at the very
// most. The last pair may be an error.
func (l *Log) Leaves(ctx context.Context, from, to uint64) iter.Seq2[Leaf, error] {
	at, _ := l.Checkpoint()
	to = min(to, at.Size)
	return func(yield func(Leaf, error) bool) {
		if from >= to {
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		type bundle struct {
			leaves [][]byte
			err    error
		}
		first, last := from/tileWidth, (to-1)/tileWidth
		queue := make(chan chan bundle, ahead)
		go func() {
			defer close(queue)
			for n := first; n <= last; n++ {
				c := make(chan bundle, 1)
				select {
				case queue <- c:
				case <-ctx.Done():
					return
				}
				go func() {
					leaves, err := l.bundle(ctx, at, n)
					c <- bundle{leaves, err}
				}()
			}
		}()
		n := first
		for c := range queue {
			b := <-c
			if b.err != nil {
				yield(Leaf{}, b.err)
				return
			}
			for i, leaf := range b.leaves {
				index := n*tileWidth + uint64(i)
				if index < from || index >= to {
					continue
				}
				if !yield(Leaf{index, leaf}, nil) {
					return
				}
			}
			n++
		}
		if err := ctx.Err(); err != nil {
			yield(Leaf{}, err)
		}
	}
}

// bundle reads and checks a bundle as of a checkpoint.
func (l *Log) bundle(ctx context.Context, at evidence.Checkpoint, n uint64) ([][]byte, error) {
	width := int(min(at.Size-n*tileWidth, tileWidth))
	data, err := l.c.partial(ctx, "/tile/entries/"+number(n), width, maxBundle)
	if err != nil {
		return nil, err
	}
	leaves := make([][]byte, 0, width)
	indexes := make([]int64, 0, width)
	for len(leaves) < width {
		if len(data) < 2 || len(data) < 2+int(binary.BigEndian.Uint16(data)) {
			return nil, l.c.tampered("the bundle %d ends within entry %d of %d", n, len(leaves), width)
		}
		size := int(binary.BigEndian.Uint16(data))
		leaves = append(leaves, data[2:2+size:2+size])
		indexes = append(indexes, tlog.StoredHashIndex(0, int64(n)*tileWidth+int64(len(indexes))))
		data = data[2+size:]
	}
	hashes, err := l.tiles.reader(ctx, at).ReadHashes(indexes)
	if err != nil {
		return nil, err
	}
	for i, leaf := range leaves {
		if evidence.LeafHash(leaf) != hashes[i] {
			return nil, l.c.tampered("entry %d is not the one in the tree", n*tileWidth+uint64(i))
		}
	}
	return leaves, nil
}
