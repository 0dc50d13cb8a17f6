package solo

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stele-ml/stele/internal/durable"
)

// The guard's file: docs/formats/guard.md.
const (
	guardSlot     = 4096
	guardSize     = 2 * guardSlot
	guardHeader   = 28
	guardSummed   = guardSlot - sha256.Size
	maxGuardNote  = guardSummed - guardHeader
	guardMagic    = "stele guard v1\n\x00"
	guardSequence = 16
	guardLength   = 24
)

// errGuardDamaged says that neither slot of a guard counts.
var errGuardDamaged = errors.New("the guard's file is damaged")

// guard is the open guard file. One goroutine writes it: the committer.
type guard struct {
	file     vfs.File
	sequence uint64
	buf      [guardSlot]byte
}

// encodeSlot fills slot with a checkpoint.
func encodeSlot(slot *[guardSlot]byte, sequence uint64, checkpoint []byte) error {
	if len(checkpoint) == 0 || len(checkpoint) > maxGuardNote {
		return fmt.Errorf("guard: a checkpoint of %d bytes, the limit is %d", len(checkpoint), maxGuardNote)
	}
	clear(slot[:])
	copy(slot[:], guardMagic)
	binary.BigEndian.PutUint64(slot[guardSequence:], sequence)
	binary.BigEndian.PutUint32(slot[guardLength:], uint32(len(checkpoint)))
	copy(slot[guardHeader:], checkpoint)
	sum := sha256.Sum256(slot[:guardSummed])
	copy(slot[guardSummed:], sum[:])
	return nil
}

// decodeSlot returns what a slot holds; ok is false if it does not count.
func decodeSlot(slot []byte) (sequence uint64, checkpoint []byte, ok bool) {
	sum := sha256.Sum256(slot[:guardSummed])
	if !bytes.HasPrefix(slot, []byte(guardMagic)) || !bytes.Equal(sum[:], slot[guardSummed:]) {
		return 0, nil, false
	}
	sequence = binary.BigEndian.Uint64(slot[guardSequence:])
	n := binary.BigEndian.Uint32(slot[guardLength:])
	if sequence == 0 || n == 0 || n > maxGuardNote {
		return 0, nil, false
	}
	body := slot[guardHeader:guardSummed]
	if len(bytes.TrimLeft(body[n:], "\x00")) != 0 {
		return 0, nil, false
	}
	return sequence, bytes.Clone(body[:n]), true
}

// decodeGuard returns the checkpoint of the slot that counts.
func decodeGuard(data []byte) (sequence uint64, checkpoint []byte, err error) {
	if len(data) != guardSize {
		return 0, nil, fmt.Errorf("%w: %d bytes, not %d", errGuardDamaged, len(data), guardSize)
	}
	for i := range uint64(2) {
		s, c, ok := decodeSlot(data[i*guardSlot : (i+1)*guardSlot])
		if ok && s%2 == i && s > sequence {
			sequence, checkpoint = s, c
		}
	}
	if checkpoint == nil {
		return 0, nil, fmt.Errorf("%w: no slot counts", errGuardDamaged)
	}
	return sequence, checkpoint, nil
}

// readGuard returns the guard's checkpoint. A missing file is fs.ErrNotExist,
// one without a slot that counts errGuardDamaged.
func readGuard(fsys vfs.FS, name string) (sequence uint64, checkpoint []byte, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return 0, nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, guardSize+1))
	if err != nil {
		return 0, nil, fmt.Errorf("read guard: %w", err)
	}
	return decodeGuard(data)
}

// createGuard writes a new guard whole, in place of whatever is there.
func createGuard(fsys vfs.FS, name string, checkpoint []byte) error {
	var slot [guardSlot]byte
	if err := encodeSlot(&slot, 1, checkpoint); err != nil {
		return err
	}
	return durable.WriteFile(fsys, name, append(make([]byte, guardSlot), slot[:]...))
}

// openGuard opens the guard for writing and returns its checkpoint.
func openGuard(fsys vfs.FS, name string) (*guard, []byte, error) {
	// OpenReadWrite would make a missing file.
	if _, err := fsys.Stat(name); err != nil {
		return nil, nil, err
	}
	if err := durable.CheckPrivate(fsys, name); err != nil {
		return nil, nil, err
	}
	sequence, checkpoint, err := readGuard(fsys, name)
	if err != nil {
		return nil, nil, err
	}
	f, err := fsys.OpenReadWrite(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return nil, nil, fmt.Errorf("open guard: %w", err)
	}
	return &guard{file: f, sequence: sequence}, checkpoint, nil
}

// set moves the guard on. After an error either checkpoint may be the guard's:
// both were committed.
func (g *guard) set(checkpoint []byte) error {
	next := g.sequence + 1
	if err := encodeSlot(&g.buf, next, checkpoint); err != nil {
		return err
	}
	if _, err := g.file.WriteAt(g.buf[:], int64(next%2)*guardSlot); err != nil {
		return fmt.Errorf("write guard: %w", err)
	}
	if err := g.file.SyncData(); err != nil {
		return fmt.Errorf("sync guard: %w", err)
	}
	g.sequence = next
	return nil
}

func (g *guard) close() error { return g.file.Close() }

// missing reports whether err says that there is no guard that counts.
func missingGuard(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, errGuardDamaged)
}
