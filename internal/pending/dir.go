package pending

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/durable"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/statement"
)

// KeepFor is how long notes of a run are kept that was never recorded.
const KeepFor = 30 * 24 * time.Hour

// Dir is the folder with the notes of all runs.
type Dir string

// Of is where the notes of a run lie.
func (d Dir) Of(id statement.Nonce) string { return filepath.Join(string(d), id.String()) }

// Run is what this machine knows of a run that may not be on the ledger.
type Run struct {
	Note
	Folder   string // of the notes
	Running  bool   // stele still runs it
	Reserved bool   // its command had not ended, as far as can be seen
	Envelope *statement.Envelope
}

// Find finds the notes of a run; nil where there are none. Whether the ledger has
// it is asked of the ledger, and first. An envelope that is not the run's is
// evidence.ErrTampered.
func (d Dir) Find(id statement.Nonce) (*Run, error) {
	p := &Run{Folder: d.Of(id)}
	text, err := readSmall(filepath.Join(p.Folder, NoteFile), MaxNote)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &p.Note)
	}
	if err != nil {
		return nil, fmt.Errorf("the notes of the run %s: %w", id, err)
	}
	lock, err := durable.Lock(durable.Private(), filepath.Join(p.Folder, lockFile), durable.Holder{PID: os.Getpid(), Command: "stele"}, true)
	switch {
	case errors.Is(err, durable.ErrLocked):
		p.Running = true
	case err == nil:
		lock.Close()
	}
	_, err = os.Lstat(filepath.Join(p.Folder, ReserveFile))
	p.Reserved = err == nil
	text, err = readSmall(filepath.Join(p.Folder, EnvelopeFile), statement.MaxDSSE)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return nil, err
	}
	if p.Envelope, err = statement.ParseEnvelope(text); err != nil {
		return nil, fmt.Errorf("the signed run %s, which is kept here: %w", id, err)
	}
	st, err := statement.Parse(p.Envelope.Payload)
	if err != nil || st.Run == nil || st.Nonce != id {
		return nil, fmt.Errorf("the envelope that is kept for the run %s is not of it: %w", id, errors.Join(err, evidence.ErrTampered))
	}
	return p, nil
}

// readSmall reads a file of at most limit bytes. The command that is run may have
// put anything in its place: of a pipe nobody waits for the end.
func readSmall(path string, limit int64) ([]byte, error) {
	f, err := source.OpenRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(data)) > limit {
		err = fmt.Errorf("%s is longer than %d bytes", source.Show(path), limit)
	}
	return data, err
}

// ThatBegins finds the id of the only run among the notes that begins with these
// digits.
func (d Dir) ThatBegins(digits string) (id statement.Nonce, ok bool) {
	list, err := os.ReadDir(string(d))
	if err != nil {
		return id, false
	}
	for _, e := range list {
		if !strings.HasPrefix(e.Name(), digits) {
			continue
		}
		found, err := statement.ParseNonce(e.Name())
		if err != nil {
			continue
		}
		if ok {
			return id, false
		}
		id, ok = found, true
	}
	return id, ok
}

// DropOld removes notes of runs that were never recorded, of long ago. One that is
// signed is kept: it can still be submitted.
func (d Dir) DropOld(now time.Time) {
	list, err := os.ReadDir(string(d))
	if err != nil {
		return
	}
	for _, e := range list {
		info, err := e.Info()
		if err != nil || now.Sub(info.ModTime()) < KeepFor {
			continue
		}
		if id, err := statement.ParseNonce(e.Name()); err == nil {
			if p, err := d.Find(id); err == nil && p != nil && !p.Running && p.Envelope == nil {
				os.RemoveAll(p.Folder)
			}
		}
	}
}
