package solo

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/durable"
)

// fileFork, in a mirror's directory, has the two histories that its log showed. While
// it is there nothing is taken in.
const fileFork = "fork"

// maxFork is its longest, in bytes.
const maxFork = 2*evidence.MaxCheckpoint + 1

// Fork is two signed checkpoints of one log that no proof connects.
type Fork struct {
	Old, New []byte
}

// text is the file: both, with an empty line between.
func (f *Fork) text() []byte { return slices.Concat(f.Old, []byte("\n"), f.New) }

// ForkPath is where the two histories of a mirror's log are kept.
func (m *Mirror) ForkPath() string { return m.opts.FS.PathJoin(m.opts.Dir, fileFork) }

// ReadFork reads the two histories that a mirror in a directory found; nil if it found
// none.
func ReadFork(dir string) (*Fork, error) { return readFork(vfs.Default, dir) }

func readFork(fsys vfs.FS, dir string) (*Fork, error) {
	name := fsys.PathJoin(dir, fileFork)
	text, err := durable.ReadFile(fsys, name, maxFork)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	f, err := parseFork(text)
	if err != nil {
		// That it is there says enough to stop.
		return nil, withHint(fmt.Errorf("%w: %w", evidence.ErrFork, err), "find out what became of it; a mirror without the file follows again",
			"%s, which says that the log has two histories, is damaged: %v", name, err)
	}
	return f, nil
}

// parseFork takes the two checkpoints apart. Each has one empty line of its own, before
// its signatures.
func parseFork(text []byte) (*Fork, error) {
	parts := bytes.Split(text, []byte("\n\n"))
	if len(parts) != 4 {
		return nil, fmt.Errorf("%w: not two checkpoints", evidence.ErrFormat)
	}
	join := func(a, b []byte) []byte { return slices.Concat(a, []byte("\n\n"), b) }
	f := &Fork{Old: append(join(parts[0], parts[1]), '\n'), New: join(parts[2], parts[3])}
	old, _, err := evidence.ReadCheckpoint(f.Old)
	if err != nil {
		return nil, err
	}
	now, _, err := evidence.ReadCheckpoint(f.New)
	if err != nil {
		return nil, err
	}
	if old.Origin != now.Origin {
		return nil, fmt.Errorf("%w: of two logs, %s and %s", evidence.ErrFormat, old.Origin, now.Origin)
	}
	return f, nil
}
