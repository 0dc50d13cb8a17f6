package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/stele-ml/stele/internal/durable"
	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/statement"
)

// What is known of a run that is not on the ledger yet lies in the user's own
// state directory, in runs/ID: what was begun and how it ended; once its inputs
// were found unchanged, all that is needed to finish it (runfinish.go); and, from
// the moment it is signed, the envelope. It is removed once the ledger has
// acknowledged the run. So after a crash at any moment the whole of a run is on
// the ledger, or what lies here makes it so when asked, or nothing of it is.

// The files of a run's notes.
const (
	noteFile     = "run.json"
	envelopeFile = "envelope.json"
	lockFile     = "lock"
	// reserveFile takes up room while the command runs, so that what became of it
	// can be noted on a disk that it filled. That it is gone says that the command
	// has ended.
	reserveFile = "reserve"
)

// reserveSize is in bytes: for a note and its successor, and the envelope.
const reserveSize = 128 << 10

// keepNotes is how long notes of a run are kept that was never recorded.
const keepNotes = 30 * 24 * time.Hour

// maxNote bounds a note, in bytes.
const maxNote = 4 << 20

// note is run.json. Times are Unix milliseconds.
type note struct {
	Run     string   `json:"run"`
	Ledger  string   `json:"ledger"`
	Dir     string   `json:"dir"`            // the ledger's
	Told    bool     `json:"told,omitempty"` // `stele record run`
	Command []string `json:"command,omitempty"`
	Begun   int64    `json:"begun"`
	Ended   int64    `json:"ended,omitempty"`
	Status  *int     `json:"status,omitempty"`
	Why     string   `json:"why,omitempty"` // it was not recorded

	Inputs  []notedInput  `json:"inputs,omitempty"`
	Outputs []notedOutput `json:"outputs,omitempty"`
	Finish  *finish       `json:"finish,omitempty"` // nil: it cannot be
}

// notedInput is an input, and what was found when it was verified.
type notedInput struct {
	What    string `json:"what"` // name@version
	Path    string `json:"path,omitempty"`
	Verdict string `json:"verdict,omitempty"`
	How     string `json:"how,omitempty"`
}

// notedOutput is an output, and what lay there when the command had ended.
type notedOutput struct {
	What  string `json:"what"`
	Path  string `json:"path,omitempty"` // absolute
	Kind  string `json:"kind,omitempty"`
	Since string `json:"since,omitempty"`
	State string `json:"state,omitempty"` // digest of its files' marks
	Old   uint64 `json:"old,omitempty"`   // files from before, unchanged
}

// runNotes are the notes of the run under way. A run that is told has none until
// it is signed.
type runNotes struct {
	app    *app
	dir    string
	note   note
	lock   io.Closer
	kept   bool // the command has started: what became of it can be asked
	done   bool // the ledger has it
	failed bool // that nothing could be noted is told
}

func (a *app) runsDir() string { return filepath.Join(a.dirs.State, "runs") }

func (a *app) notesOf(id statement.Nonce) string { return filepath.Join(a.runsDir(), id.String()) }

// beginNotes begins the notes of a run, and drops those that nobody will ask for
// any more.
func (a *app) beginNotes(w *running) (*runNotes, error) {
	a.dropOldNotes()
	n := &runNotes{app: a, dir: a.notesOf(w.id), note: note{
		Run: w.id.String(), Ledger: w.ledger.String(), Dir: w.dir, Told: !w.wrapped(), Begun: a.now().UnixMilli(),
	}}
	if w.details != nil {
		n.note.Command = w.details.Command
	}
	n.describe(w)
	fsys := durable.Private()
	err := durable.MkdirAll(fsys, n.dir, durable.PrivateDir)
	if err == nil {
		host, _ := os.Hostname()
		// Where files cannot be locked, it is not known whether a run is under way.
		n.lock, _ = durable.Lock(fsys, n.file(lockFile), durable.Holder{PID: os.Getpid(), Host: host, Since: n.note.Begun, Command: "stele run"}, false)
	}
	if err == nil && w.wrapped() {
		err = n.reserve()
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

// reserve takes up room. What it writes no file system makes smaller.
func (n *runNotes) reserve() error {
	text := make([]byte, reserveSize)
	if _, err := rand.Read(text); err != nil {
		return err
	}
	return os.WriteFile(n.file(reserveFile), text, durable.PrivateFile)
}

// describe notes the inputs and outputs, as far as they are known.
func (n *runNotes) describe(w *running) {
	n.note.Inputs, n.note.Outputs = nil, nil
	for _, in := range w.order.in {
		n.note.Inputs = append(n.note.Inputs, notedInput{in.what(), absolute(in.path), string(in.verdict), in.how})
	}
	for _, out := range w.order.out {
		n.note.Outputs = append(n.note.Outputs, notedOutput{out.what(), absolute(out.path), out.kind, out.since, out.state, out.old})
	}
}

// absolute is a place as it is found again from another folder; empty where none
// is named.
func absolute(path string) string {
	if path == "" {
		return ""
	}
	p, err := parsePlace(path)
	if err == nil {
		p, err = p.Absolute()
	}
	if err != nil {
		return path
	}
	return p.String()
}

func (n *runNotes) file(name string) string { return filepath.Join(n.dir, name) }

func (n *runNotes) write() error {
	text, err := json.Marshal(n.note)
	if err == nil && len(text) > maxNote {
		err = fmt.Errorf("%d bytes, and %d is the most", len(text), maxNote)
	}
	if err != nil {
		return err
	}
	return home.Replace(n.file(noteFile), text)
}

// ended notes how the command ended.
func (n *runNotes) ended(w *running) {
	n.kept = true
	os.Remove(n.file(reserveFile))
	n.note.Ended, n.note.Status = w.result.Finished.UnixMilli(), &w.result.Status
	n.describe(w)
	n.tell()
}

// gaveUp notes why the run was not recorded.
func (n *runNotes) gaveUp(err error) {
	if n == nil || n.done {
		return
	}
	n.note.Why = err.Error()
	n.tell()
}

func (n *runNotes) tell() {
	err := n.write()
	if err != nil && !n.failed {
		n.failed = true
		n.app.term.Warnf("what became of the run %s is not noted: %v", n.note.Run, err)
	}
}

// finishable reports whether the notes on the disk are enough to finish the run.
func (n *runNotes) finishable() bool { return n != nil && n.note.Finish != nil && !n.failed }

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

// refused drops what the ledger does not take: to ask again is to be refused
// again.
func (n *runNotes) refused() {
	os.Remove(n.file(envelopeFile))
	n.note.Finish = nil
}

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
	reserved bool   // its command had not ended, as far as can be seen
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
	_, err = os.Lstat(filepath.Join(p.dir, reserveFile))
	p.reserved = err == nil
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
		command = "its command (" + source.Show(p.Command[0]) + ")"
	}
	begun := "the run " + p.Run + " began at " + a.term.Time(p.Begun)
	again := "stele record run --resume " + p.Run
	nothing := "nothing of it is on the ledger, and nothing is stamped"
	f := failf(exitNotFound, "%s, and %s had ended; what became of it could not be noted", begun, command)
	switch {
	case p.running && p.envelope == nil:
		return failf(exitNotFound, "%s and is still under way", begun).withHint("it is recorded once " + command + " has ended")
	case p.envelope != nil:
		return failf(exitNotFound, "%s; it is signed and kept here, and not on the ledger", begun).withHint("`" + again + "` submits it again: the same bytes, which is safe")
	case p.Why != "":
		f = failf(exitNotFound, "%s and is not recorded: %s", begun, p.Why)
	case p.Status != nil:
		f = failf(exitNotFound, "%s, and %s ended with status %d at %s; stele was cut off before it was recorded, or could not note why it was not", begun, command, *p.Status, a.term.Time(p.Ended))
	case p.Told:
		return failf(exitNotFound, "%s, and stele was cut off before it was signed", begun).withHint(nothing + "; tell of it again")
	case p.reserved:
		f = failf(exitNotFound, "%s, and stele was cut off before %s had ended", begun, command)
		nothing += "; the command may have gone on"
	}
	if p.Finish != nil {
		return f.withHint("`" + again + "` goes on from there, as long as the outputs are left as they are; until then " + nothing)
	}
	return f.withHint(nothing + "; to tell of it: " + p.line())
}

// line is the command that tells of a run that was not recorded.
func (n *note) line() string {
	args := []string{"stele", "record", "run", "--id", n.Run}
	for _, in := range n.Inputs {
		args = append(args, "--input", in.What)
	}
	if n.Status == nil || *n.Status == 0 {
		for _, out := range n.Outputs {
			args = append(args, "--output", out.What+"="+out.Path)
			if out.Kind != statement.ArtifactDataset {
				args = append(args, "--kind", out.What+"="+out.Kind)
			}
			if out.Since != "" {
				args = append(args, "--since", out.What+"="+out.Since)
			}
		}
	}
	at := func(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }
	args = append(args, "--started", at(n.Begun))
	if n.Status != nil {
		args = append(args, "--finished", at(max(n.Begun, n.Ended)), "--exit", strconv.Itoa(*n.Status))
	}
	return shellText(args)
}
