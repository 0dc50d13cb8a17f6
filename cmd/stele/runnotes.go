package main

import (
	"path/filepath"

	"github.com/stele-ml/stele/internal/pending"
	"github.com/stele-ml/stele/internal/source"
)

func (a *app) pending() pending.Dir { return pending.Dir(filepath.Join(a.dirs.State, "runs")) }

// beginNotes begins the notes of a run, and drops those that nobody will ask for
// any more.
func (a *app) beginNotes(w *running) (*pending.Notes, error) {
	a.pending().DropOld(a.now())
	note := pending.Note{Run: w.id.String(), Ledger: w.ledger.String(), Dir: w.dir, Told: !w.wrapped(), Begun: a.now().UnixMilli()}
	if w.details != nil {
		note.Command = w.details.Command
	}
	w.describe(&note)
	return a.pending().Begin(w.id, note, a.notNoted(note.Run))
}

// notNoted says that notes could not be written.
func (a *app) notNoted(run string) func(error) {
	return func(err error) { a.term.Warnf("what became of the run %s is not noted: %v", run, err) }
}

// describe notes the inputs and outputs, as far as they are known.
func (w *running) describe(n *pending.Note) {
	n.Inputs, n.Outputs = nil, nil
	for _, in := range w.order.in {
		n.Inputs = append(n.Inputs, pending.Input{What: in.what(), Path: absolute(in.path), Verdict: string(in.verdict), How: in.how})
	}
	for _, out := range w.order.out {
		n.Outputs = append(n.Outputs, pending.Output{What: out.what(), Path: absolute(out.path), Kind: out.kind, Since: out.since, State: out.state, Old: out.old})
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

// notRecorded says what became of a run that is not on the ledger.
func (a *app) notRecorded(p *pending.Run) error {
	command := "its command"
	if len(p.Command) > 0 {
		command = "its command (" + source.Show(p.Command[0]) + ")"
	}
	begun := "the run " + p.Run + " began at " + a.term.Time(p.Begun)
	again := "stele record run --resume " + p.Run
	nothing := "nothing of it is on the ledger, and nothing is stamped"
	f := failf(exitNotFound, "%s, and %s had ended; what became of it could not be noted", begun, command)
	switch {
	case p.Running && p.Envelope == nil:
		return failf(exitNotFound, "%s and is still under way", begun).withHint("it is recorded once " + command + " has ended")
	case p.Envelope != nil:
		return failf(exitNotFound, "%s; it is signed and kept here, and not on the ledger", begun).withHint("`" + again + "` submits it again: the same bytes, which is safe")
	case p.Why != "":
		f = failf(exitNotFound, "%s and is not recorded: %s", begun, p.Why)
	case p.Status != nil:
		f = failf(exitNotFound, "%s, and %s ended with status %d at %s; stele was cut off before it was recorded, or could not note why it was not", begun, command, *p.Status, a.term.Time(p.Ended))
	case p.Told:
		return failf(exitNotFound, "%s, and stele was cut off before it was signed", begun).withHint(nothing + "; tell of it again")
	case p.Reserved:
		f = failf(exitNotFound, "%s, and stele was cut off before %s had ended", begun, command)
		nothing += "; the command may have gone on"
	}
	if p.Finish != nil {
		return f.withHint("`" + again + "` goes on from there, as long as the outputs are left as they are; until then " + nothing)
	}
	return f.withHint(nothing + "; to tell of it: " + shellText(p.Telling()))
}
