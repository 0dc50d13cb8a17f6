package main

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

// maxConflicts is how many pairs of checkpoints of one log are kept of either kind:
// one proves as much as all, and a server that shows another history to each request
// must not fill the disk.
const maxConflicts = 32

// errManyConflicts says that maxConflicts are kept.
var errManyConflicts = fmt.Errorf("%d pairs are kept already; the first of them is proof enough", maxConflicts)

// keepPair keeps two checkpoints of one log that no proof connects in a file whose
// name begins with prefix, and returns its path. The same two are kept once, whatever
// cosignatures they have grown. Those that show fewer entries than before are counted
// apart: an old copy that is asked again and again must not take the place of the proof
// that there are two histories.
func keepPair(prefix string, old, now []byte) (path string, err error) {
	a, aerr := checkpointText(old)
	b, berr := checkpointText(now)
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
	if err == nil && kept >= maxConflicts {
		err = errManyConflicts
	}
	if err != nil {
		return "", err
	}
	return path, home.Replace(path, slices.Concat(old, []byte("\n"), now))
}

// pairText is a checkpoint without its signatures, or the whole of what is none.
type pairText struct {
	evidence.Checkpoint
	text string
}

func checkpointText(signed []byte) (pairText, error) {
	cp, _, err := evidence.ReadCheckpoint(signed)
	if err != nil {
		return pairText{text: string(signed)}, err
	}
	return pairText{cp, cp.Text()}, nil
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

// conflictPrefix is where pairs of checkpoints of a ledger are kept.
func (a *app) conflictPrefix(id statement.LedgerID) string {
	return a.dirs.Ledger(id.String()) + string(filepath.Separator)
}

// keepConflict keeps two checkpoints of one log that no proof connects: with
// them anybody can be shown that the log has two histories.
func (a *app) keepConflict(id statement.LedgerID, old, now []byte) {
	path, err := keepPair(a.conflictPrefix(id), old, now)
	if err != nil {
		a.term.Warnf("the two checkpoints were not kept: %v", err)
		return
	}
	if a.toldConflict != path {
		a.toldConflict = path
		a.term.Warnf("both checkpoints are kept in %s", path)
	}
}
