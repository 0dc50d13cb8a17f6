package memory

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/statement"
)

// MaxPairs is how many pairs of checkpoints of one log are kept of either kind: one
// proves as much as all, and a server that shows another history to each request must
// not fill the disk.
const MaxPairs = 32

// ErrManyPairs says that MaxPairs are kept.
var ErrManyPairs = fmt.Errorf("%d pairs are kept already; the first of them is proof enough", MaxPairs)

// KeepPair keeps two checkpoints of one log that no proof connects in a file whose path
// begins with prefix, and returns it: with them anybody can be shown that the log has
// two histories. The same two are kept once, whatever cosignatures they have grown.
// Those that show fewer entries than before are counted apart: an old copy that is
// asked again and again must not take the place of the proof that there are two
// histories.
func KeepPair(prefix string, old, now []byte) (path string, err error) {
	a, aerr := readText(old)
	b, berr := readText(now)
	kind := prefix + "conflict-"
	if aerr == nil && berr == nil && b.Size < a.Size {
		kind = prefix + "rollback-"
	}
	sum := sha256.Sum256(slices.Concat([]byte(a.text), []byte{0}, []byte(b.text)))
	path = kind + hex.EncodeToString(sum[:8])
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return path, err
	}
	kept, err := countFiles(kind)
	if err == nil && kept >= MaxPairs {
		err = ErrManyPairs
	}
	if err != nil {
		return "", err
	}
	return path, home.Replace(path, slices.Concat(old, []byte("\n"), now))
}

// text is a checkpoint without its signatures, or the whole of what is none.
type text struct {
	evidence.Checkpoint
	text string
}

func readText(signed []byte) (text, error) {
	cp, _, err := evidence.ReadCheckpoint(signed)
	if err != nil {
		return text{text: string(signed)}, err
	}
	return text{cp, cp.Text()}, nil
}

// countFiles counts the files whose paths begin with prefix.
func countFiles(prefix string) (n int, err error) {
	list, err := os.ReadDir(filepath.Dir(prefix))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	for _, e := range list {
		if strings.HasPrefix(e.Name(), filepath.Base(prefix)) {
			n++
		}
	}
	return n, nil
}

// Convict keeps two checkpoints of a ledger's log that no proof connects.
func (m *Memory) Convict(id statement.LedgerID, old, now []byte) {
	path, err := KeepPair(m.dirs.Ledger(id.String())+string(filepath.Separator), old, now)
	m.kept(path, err)
}

// convict is Convict, and the error that says so.
func (m *Memory) convict(id statement.LedgerID, h *evidence.HistoryError) error {
	m.Convict(id, h.Old, h.New)
	return h
}
