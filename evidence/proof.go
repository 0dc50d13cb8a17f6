package evidence

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// MaxProof is the most hashes that a proof may have, which is more than one can need
// of a tree of MaxSize leaves.
const MaxProof = 63

// LeafHash returns SHA-256(0x00 ‖ leaf): RFC 6962 section 2.1.
func LeafHash(leaf []byte) tlog.Hash { return tlog.RecordHash(leaf) }

// ProveInclusion returns the proof that the leaf at index is in the tree of
// that size: RFC 6962 section 2.1.1. The reader is asked once.
func ProveInclusion(size, index uint64, r tlog.HashReader) (tlog.RecordProof, error) {
	if size > MaxSize || index >= size {
		return nil, fmt.Errorf("prove inclusion: %w: there is no entry %d in a log of %d", ErrFormat, index, size)
	}
	p, err := tlog.ProveRecord(int64(size), int64(index), r)
	if err != nil {
		return nil, fmt.Errorf("prove inclusion of entry %d: %w", index, err)
	}
	return p, nil
}

// CheckInclusion checks that the leaf with that hash is in the checkpoint's
// tree at index. A proof that does not fit is an ErrTampered.
func CheckInclusion(c Checkpoint, index uint64, leaf tlog.Hash, proof tlog.RecordProof) error {
	if c.Size > MaxSize || index >= c.Size {
		return fmt.Errorf("entry %d: %w: the checkpoint covers only %d entries", index, ErrTampered, c.Size)
	}
	if len(proof) > MaxProof || tlog.CheckRecord(proof, int64(c.Size), c.Root, int64(index), leaf) != nil {
		return fmt.Errorf("entry %d: %w: the inclusion proof does not lead to the root %v at size %d", index, ErrTampered, c.Root, c.Size)
	}
	return nil
}

// ProveConsistency returns the proof that the tree of the old size is the
// beginning of the tree of the new size: RFC 6962 section 2.1.2. From an empty
// tree the proof is empty.
func ProveConsistency(oldSize, newSize uint64, r tlog.HashReader) (tlog.TreeProof, error) {
	if newSize > MaxSize || oldSize > newSize {
		return nil, fmt.Errorf("prove consistency: %w: from %d to %d entries", ErrFormat, oldSize, newSize)
	}
	if oldSize == 0 {
		return tlog.TreeProof{}, nil
	}
	p, err := tlog.ProveTree(int64(newSize), int64(oldSize), r)
	if err != nil {
		return nil, fmt.Errorf("prove consistency from %d to %d: %w", oldSize, newSize, err)
	}
	return p, nil
}

// CheckConsistency checks that the newer checkpoint's tree begins with the
// older one's. Origins must be equal. A proof that does not fit is an
// ErrTampered; that the two trees truly differ, it does not show.
func CheckConsistency(older, newer Checkpoint, proof tlog.TreeProof) error {
	switch {
	case older.Origin != newer.Origin:
		return fmt.Errorf("consistency: %w: checkpoints of two logs, %s and %s", ErrTampered, older.Origin, newer.Origin)
	case older.Size > newer.Size || newer.Size > MaxSize:
		return fmt.Errorf("consistency: %w: from %d back to %d entries", ErrTampered, older.Size, newer.Size)
	case older.Size == 0:
		if len(proof) != 0 || older.Root != EmptyRoot {
			return fmt.Errorf("consistency: %w: from an empty tree there is nothing to prove", ErrTampered)
		}
		return nil
	}
	if len(proof) > MaxProof+1 || tlog.CheckTree(proof, int64(newer.Size), newer.Root, int64(older.Size), older.Root) != nil {
		return fmt.Errorf("consistency: %w: no proof that the %d entries under %v are the beginning of the %d under %v",
			ErrTampered, older.Size, older.Root, newer.Size, newer.Root)
	}
	return nil
}
