package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/stele-ml/stele/internal/durable"
	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/internal/process"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/statement"
)

// What is known of a run that is not on the ledger yet lies in the user's own
// state directory, in runs/ID: what was begun and how it ended, and, from the
// moment it is signed, the envelope. It is removed once the ledger has
// acknowledged the run. So after a crash at any moment the whole of a run is on
// the ledger, or the envelope lies here and can be submitted again, or nothing
// of it is and nothing will be.

// The files of a run's notes.
const (
	noteFile     = "run.json"
	envelopeFile = "envelope.json"
	lockFile     = "lock"
)

// keepNotes is how long notes of a run are kept that was never recorded.
const keepNotes = 30 * 24 * time.Hour

// maxNote bounds a note, in bytes.
const maxNote = 4 << 20

// note is run.json. Times are Unix milliseconds.
type note struct {
	Run     string   `json:"run"`
	Ledger  string   `json:"ledger"`
	Dir     string   `json:"dir"` // the ledger's
	Command []string `json:"command,omitempty"`
	Inputs  []string `json:"inputs,omitempty"`
	Outputs []string `json:"outputs,omitempty"`
	Begun   int64    `json:"begun"`
	Ended   int64    `json:"ended,omitempty"`
	Status  *int     `json:"status,omitempty"`
	Why     string   `json:"why,omitempty"` // it was not recorded
}

// runNotes are the notes of the run under way. A run that is told has none until
// it is signed.
type runNotes struct {
	app  *app
	dir  string
	note note
	lock io.Closer
	kept bool // the command has started: what became of it can be asked
	done bool // the ledger has it
}

func (a *app) runsDir() string { return filepath.Join(a.dirs.State, "runs") }

func (a *app) notesOf(id statement.Nonce) string { return filepath.Join(a.runsDir(), id.String()) }

// beginNotes begins the notes of a run, and drops those that nobody will ask for
// any more.
func (a *app) beginNotes(w *running) (*runNotes, error) {
	a.dropOldNotes()
	n := &runNotes{app: a, dir: a.notesOf(w.id), note: note{Run: w.id.String(), Ledger: w.ledger.String(), Dir: w.dir, Begun: a.now().UnixMilli()}}
	if w.details != nil {
		n.note.Command = w.details.Command
	}
	for _, in := range w.order.in {
		n.note.Inputs = append(n.note.Inputs, in.what())
	}
	for _, out := range w.order.out {
		n.note.Outputs = append(n.note.Outputs, out.what())
	}
	fsys := durable.Private()
	err := durable.MkdirAll(fsys, n.dir, durable.PrivateDir)
	if err == nil {
		host, _ := os.Hostname()
		// Where files cannot be locked, it is not known whether a run is under way.
		n.lock, _ = durable.Lock(fsys, n.file(lockFile), durable.Holder{PID: os.Getpid(), Host: host, Since: n.note.Begun, Command: "stele run"}, false)
	}
	if err == nil {
		err = n.write()
	}
	if err != nil {
		n.close()
		return nil, fmt.Errorf("note what is run: %w", err)
	}
	return n, nil
}

func (n *runNotes) file(name string) string { return filepath.Join(n.dir, name) }

func (n *runNotes) write() error {
	text, err := json.Marshal(n.note)
	if err != nil {
		return err
	}
	return home.Replace(n.file(noteFile), text)
}

// ended notes how the command ended.
func (n *runNotes) ended(r process.Result) {
	n.kept = true
	n.note.Ended, n.note.Status = r.Finished.UnixMilli(), &r.Status
	n.tell()
}

// failed notes why the run was not recorded.
func (n *runNotes) failed(err error) {
	if n == nil || n.done {
		return
	}
	n.note.Why = err.Error()
	n.tell()
}

func (n *runNotes) tell() {
	if err := n.write(); err != nil {
		n.app.term.Warnf("what became of the run %s is not noted: %v", n.note.Run, err)
	}
}

// keep keeps the signed envelope, before it is submitted.
func (n *runNotes) keep(env *statement.Envelope) error {
	text, err := env.MarshalJSON()
	if err == nil {
		err = home.Replace(n.file(envelopeFile), text)
	}
	if err != nil {
		return fmt.Errorf("keep the signed run: %w", err)
	}
	return nil
}

// refused drops the envelope that the ledger does not take: to ask again is to
// be refused again.
func (n *runNotes) refused() { os.Remove(n.file(envelopeFile)) }

// acknowledged says that the ledger has the run.
func (n *runNotes) acknowledged() {
	if n != nil {
		n.done = true
	}
}

// close removes what is no longer needed: all, once the ledger has the run or if
// the command was never started.
func (n *runNotes) close() {
	if n == nil {
		return
	}
	list, _ := filepath.Glob(n.file("input-*"))
	for _, name := range list {
		os.Remove(name)
	}
	if n.lock != nil {
		n.lock.Close()
	}
	if n.done || !n.kept {
		os.RemoveAll(n.dir)
	}
}

// dropOldNotes removes notes of runs that were never recorded, of long ago. One
// that is signed is kept: it can still be submitted.
func (a *app) dropOldNotes() {
	list, err := os.ReadDir(a.runsDir())
	if err != nil {
		return
	}
	for _, e := range list {
		info, err := e.Info()
		if err != nil || a.now().Sub(info.ModTime()) < keepNotes {
			continue
		}
		if id, err := statement.ParseNonce(e.Name()); err == nil {
			if p, err := a.pendingRun(id); err == nil && p != nil && !p.running && p.envelope == nil {
				os.RemoveAll(p.dir)
			}
		}
	}
}

// pendingRun is what this machine knows of a run that may not be on the ledger.
type pendingRun struct {
	note
	dir      string // of the notes
	running  bool   // stele still runs it
	envelope *statement.Envelope
	run      *statement.Run // of the envelope
}

// pendingRun finds the notes of a run; nil where there are none. Whether the
// ledger has it is asked of the ledger, and first.
func (a *app) pendingRun(id statement.Nonce) (*pendingRun, error) {
	p := &pendingRun{dir: a.notesOf(id)}
	text, err := readSmall(filepath.Join(p.dir, noteFile), maxNote)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &p.note)
	}
	if err != nil {
		return nil, fmt.Errorf("the notes of the run %s: %w", id, err)
	}
	lock, err := durable.Lock(durable.Private(), filepath.Join(p.dir, lockFile), durable.Holder{PID: os.Getpid(), Command: "stele"}, true)
	switch {
	case errors.Is(err, durable.ErrLocked):
		p.running = true
	case err == nil:
		lock.Close()
	}
	text, err = readSmall(filepath.Join(p.dir, envelopeFile), statement.MaxDSSE)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return nil, err
	}
	if p.envelope, err = statement.ParseEnvelope(text); err != nil {
		return nil, fmt.Errorf("the signed run %s, which is kept here: %w", id, err)
	}
	st, err := statement.Parse(p.envelope.Payload)
	if err != nil || st.Run == nil || st.Nonce != id {
		return nil, fmt.Errorf("the envelope that is kept for the run %s is not of it: %w", id, errors.Join(err, solo.ErrTampered))
	}
	p.run = st.Run
	return p, nil
}

// notRecorded says what became of a run that is not on the ledger.
func (a *app) notRecorded(p *pendingRun) error {
	command := "its command"
	if len(p.Command) > 0 {
		command = "its command (" + p.Command[0] + ")"
	}
	begun := "the run " + p.Run + " began at " + a.term.Time(p.Begun)
	again := "stele record run --resume " + p.Run
	switch {
	case p.running && p.envelope == nil:
		return failf(exitNotFound, "%s and is still under way", begun).withHint("it is recorded once " + command + " has ended")
	case p.envelope != nil:
		return failf(exitNotFound, "%s; it is signed and kept here, and not on the ledger", begun).withHint("`" + again + "` submits it again: the same bytes, which is safe")
	case p.Why != "":
		return failf(exitNotFound, "%s and is not recorded: %s", begun, p.Why).withHint("nothing of it is on the ledger, and nothing is stamped")
	case p.Status != nil:
		return failf(exitNotFound, "%s, and %s ended with status %d at %s; stele was cut off before it was recorded", begun, command, *p.Status, a.term.Time(p.Ended)).
			withHint("nothing of it is on the ledger, and nothing is stamped; `stele record run` can tell of it")
	}
	return failf(exitNotFound, "%s, and stele was cut off before %s had ended", begun, command).
		withHint("nothing of it is on the ledger, and nothing is stamped; the command may have gone on. `stele record run` can tell of it")
}
