package pending

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/stele-ml/stele/internal/durable"
	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/statement"
)

// The files of a run's notes.
const (
	NoteFile     = "run.json"
	EnvelopeFile = "envelope.json"
	// ReserveFile takes up room while the command runs, so that what became of it
	// can be noted on a disk that it filled. That it is gone says that the command
	// has ended.
	ReserveFile = "reserve"

	lockFile = "lock"
)

// Limits, in bytes.
const (
	MaxNote = 4 << 20
	// reserveSize is for a note and its successor, and the envelope.
	reserveSize = 128 << 10
)

// Notes are the notes of the run under way. Those of a run that is told begin when
// it is signed; until then they are nil, and note nothing.
type Notes struct {
	Note   Note
	Folder string // of the notes
	Kept   bool   // the command has started: what became of it can be asked
	Done   bool   // the ledger has it

	// Warn is told, once, that something could not be noted.
	Warn func(error)

	lock   io.Closer
	failed bool
}

// Begin begins the notes of a run. Of one whose command is to be started, room is
// reserved for what comes of it.
func (d Dir) Begin(id statement.Nonce, note Note, warn func(error)) (*Notes, error) {
	n := &Notes{Note: note, Folder: d.Of(id), Warn: warn}
	err := durable.MkdirAll(durable.Private(), n.Folder, durable.PrivateDir)
	if err == nil {
		_ = n.hold("stele run", note.Begun) // where files cannot be locked, it is not known whether a run is under way
	}
	if err == nil && !note.Told {
		err = n.reserve()
	}
	if err == nil {
		err = n.write()
	}
	if err != nil {
		n.Close()
		return nil, fmt.Errorf("note what is run: %w", err)
	}
	return n, nil
}

// Resume goes on with the notes of a run whose command has ended. It is an error
// if somebody else does so at the same time.
func (p *Run) Resume(now int64, warn func(error)) (*Notes, error) {
	n := &Notes{Note: p.Note, Folder: p.Folder, Kept: true, Warn: warn}
	if err := n.hold("stele record run", now); err != nil {
		return nil, fmt.Errorf("the notes of the run: %w", err)
	}
	return n, nil
}

func (n *Notes) hold(command string, since int64) (err error) {
	host, _ := os.Hostname()
	n.lock, err = durable.Lock(durable.Private(), n.File(lockFile), durable.Holder{PID: os.Getpid(), Host: host, Since: since, Command: command}, false)
	return err
}

// reserve takes up room. What it writes no file system makes smaller.
func (n *Notes) reserve() error {
	text := make([]byte, reserveSize)
	if _, err := rand.Read(text); err != nil {
		return err
	}
	return os.WriteFile(n.File(ReserveFile), text, durable.PrivateFile)
}

// File is the path of a file among the notes.
func (n *Notes) File(name string) string { return filepath.Join(n.Folder, name) }

func (n *Notes) write() error {
	text, err := json.Marshal(n.Note)
	if err == nil && len(text) > MaxNote {
		err = fmt.Errorf("%d bytes, and %d is the most", len(text), MaxNote)
	}
	if err != nil {
		return err
	}
	return home.Replace(n.File(NoteFile), text)
}

// Write writes the note as it is now.
func (n *Notes) Write() {
	if err := n.write(); err != nil && !n.failed {
		n.failed = true
		n.Warn(err)
	}
}

// Ended notes how the command ended, at a time in Unix ms.
func (n *Notes) Ended(at int64, status int) {
	n.Kept = true
	os.Remove(n.File(ReserveFile))
	n.Note.Ended, n.Note.Status = at, &status
	n.Write()
}

// GaveUp notes why the run was not recorded.
func (n *Notes) GaveUp(err error) {
	if n == nil || n.Done {
		return
	}
	n.Note.Why = err.Error()
	n.Write()
}

// Finishable reports whether the notes on the disk are enough to finish the run.
func (n *Notes) Finishable() bool { return n != nil && n.Note.Finish != nil && !n.failed }

// CannotFinish says that what failed would fail again.
func (n *Notes) CannotFinish() {
	if n != nil {
		n.Note.Finish = nil
	}
}

// Keep keeps the signed envelope, before it is submitted.
func (n *Notes) Keep(env *statement.Envelope) error {
	text, err := env.MarshalJSON()
	if err == nil {
		err = home.Replace(n.File(EnvelopeFile), text)
	}
	if err != nil {
		return fmt.Errorf("keep the signed run: %w", err)
	}
	return nil
}

// Signed reports whether an envelope is kept.
func (n *Notes) Signed() bool {
	if n == nil {
		return false
	}
	_, err := os.Lstat(n.File(EnvelopeFile))
	return err == nil
}

// Refused drops what the ledger does not take: to ask again is to be refused
// again.
func (n *Notes) Refused() {
	os.Remove(n.File(EnvelopeFile))
	n.Note.Finish = nil
}

// Close removes what is no longer needed: all, once the ledger has the run or if
// the command was never started.
func (n *Notes) Close() {
	if n == nil {
		return
	}
	list, _ := filepath.Glob(n.File(inputFiles))
	for _, name := range list {
		os.Remove(name)
	}
	if n.lock != nil {
		n.lock.Close()
	}
	if n.Done || !n.Kept {
		os.RemoveAll(n.Folder)
	}
}

// inputFiles are what inputs are known again by; see InputFile.
const inputFiles = "input-*"

// InputFile is the path, without its extension, of the files by which an input is
// known again. They last as long as the process.
func (n *Notes) InputFile(i int) string { return n.File(fmt.Sprintf("input-%d", i)) }
