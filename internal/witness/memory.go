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
	knownFile   = "known"   // the origins of which there is a memory, a line each; an empty line for none
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
		return nil, withHint(newWitness, "%w: %s is damaged: %w", ErrState, name, err)
	}
	if r.Origin != origin {
		return nil, withHint(newWitness, "%w: %s is of another log, %s", ErrState, name, r.Origin)
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

// known reads the origins of which there is a memory. The file is made before the key:
// where it is not, a key was brought here without its memory.
func (m memory) known() ([]string, error) {
	name := m.path(knownFile)
	data, err := durable.ReadFile(m.fsys, name, maxKnown)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, withHint(newWitness, "%w: %s is gone: %w", ErrState, name, err)
	}
	if err != nil {
		return nil, err
	}
	text, ok := strings.CutSuffix(string(data), "\n")
	if !ok {
		return nil, withHint(newWitness, "%w: %s is cut short", ErrState, name)
	}
	if text == "" {
		return nil, nil
	}
	list := strings.Split(text, "\n")
	for i, origin := range list {
		if evidence.CheckOrigin(origin) != nil || i > 0 && list[i-1] >= origin {
			return nil, withHint(newWitness, "%w: %s is damaged in line %d", ErrState, name, i+1)
		}
	}
	return list, nil
}

func (m memory) writeKnown(list []string) error {
	slices.Sort(list)
	return durable.WriteFile(m.fsys, m.path(knownFile), []byte(strings.Join(list, "\n")+"\n"))
}

// stopped is an ErrRestored if the witness stopped for good: if the file is there, with
// whatever in it.
func (m memory) stopped() error {
	name := m.path(stoppedFile)
	data, err := durable.ReadFile(m.fsys, name, maxStopped)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	why, _, _ := strings.Cut(string(data), "\n")
	return withHint(newWitness, "%w: %.300q (%s)", ErrRestored, why, name)
}

func (m memory) stop(why string, signed []byte) error {
	return durable.WriteFile(m.fsys, m.path(stoppedFile), fmt.Appendf(nil, "%s\n\n%s", why, signed))
}
