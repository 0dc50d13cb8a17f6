package witness

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/durable"
)

// What lies in a state directory, beside the key.
const (
	lockFile    = "lock"
	knownFile   = "known"   // the origins of which there is a memory, a line each
	stoppedFile = "stopped" // why this witness never cosigns again
	logsDir     = "logs"    // a note for each log, by OriginID

	maxKnown   = MaxLogs * 4 * (evidence.MaxOrigin + 1) // logs that are no longer asked about stay known
	maxStopped = 4096 + 2*evidence.MaxCheckpoint
)

// OriginID names a log in paths: the SHA-256 of its origin, in hex.
func OriginID(origin string) string {
	sum := sha256.Sum256([]byte(origin))
	return hex.EncodeToString(sum[:])
}

// memory is the state directory. Its files are notes that the witness itself
// cosigned, so a file that was altered, or that is another log's, is noticed.
type memory struct {
	fsys vfs.FS
	dir  string
	self evidence.VKey
}

func (m memory) path(elements ...string) string {
	return m.fsys.PathJoin(append([]string{m.dir}, elements...)...)
}

// record is the newest checkpoint of a log that was cosigned.
type record struct {
	evidence.Checkpoint
	time   int64  // of the cosignature, Unix seconds
	signed []byte // with the log's signatures and the cosignature
}

// read returns the record of a log; nil if there is none.
func (m memory) read(origin string) (*record, error) {
	name := m.path(logsDir, OriginID(origin))
	signed, err := durable.ReadFile(m.fsys, name, evidence.MaxCheckpoint)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	r, err := m.cosigned(signed)
	if err != nil {
		return nil, fmt.Errorf("%w: %s is damaged: %w", ErrState, name, err)
	}
	if r.Origin != origin {
		return nil, fmt.Errorf("%w: %s is of another log, %s", ErrState, name, r.Origin)
	}
	return r, nil
}

// cosigned reads a checkpoint that this witness cosigned.
func (m memory) cosigned(signed []byte) (*record, error) {
	c, n, err := evidence.OpenExtended(signed, evidence.Verifiers(m.self))
	if err != nil {
		return nil, err
	}
	_, sigs, err := evidence.ReadExtended(signed)
	if err != nil {
		return nil, err
	}
	r := &record{Checkpoint: c, signed: signed}
	for _, s := range sigs {
		if s.Name == n.Sigs[0].Name && s.ID == n.Sigs[0].Hash {
			r.time = int64(binary.BigEndian.Uint64(s.Raw)) // it verified: 8 bytes of time, then 64
		}
	}
	return r, nil
}

func (m memory) write(r *record) error {
	return durable.WriteFile(m.fsys, m.path(logsDir, OriginID(r.Origin)), r.signed)
}

// known reads the origins of which there is a memory.
func (m memory) known() ([]string, error) {
	data, err := durable.ReadFile(m.fsys, m.path(knownFile), maxKnown)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	text, ok := strings.CutSuffix(string(data), "\n")
	if !ok {
		return nil, fmt.Errorf("%w: %s is cut short", ErrState, m.path(knownFile))
	}
	list := strings.Split(text, "\n")
	for i, origin := range list {
		if evidence.CheckOrigin(origin) != nil || i > 0 && list[i-1] >= origin {
			return nil, fmt.Errorf("%w: %s is damaged in line %d", ErrState, m.path(knownFile), i+1)
		}
	}
	return list, nil
}

func (m memory) writeKnown(list []string) error {
	slices.Sort(list)
	return durable.WriteFile(m.fsys, m.path(knownFile), []byte(strings.Join(list, "\n")+"\n"))
}

// stopped returns why the witness stopped for good; empty if it did not.
func (m memory) stopped() (string, error) {
	data, err := durable.ReadFile(m.fsys, m.path(stoppedFile), maxStopped)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(data), err
}

func (m memory) stop(why string, signed []byte) error {
	return durable.WriteFile(m.fsys, m.path(stoppedFile), fmt.Appendf(nil, "%s\n\n%s", why, signed))
}
