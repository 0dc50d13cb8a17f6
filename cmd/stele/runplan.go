package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/foresight"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/observe"
	"github.com/stele-ml/stele/internal/pending"
	"github.com/stele-ml/stele/internal/process"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/trace"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// running is one run under way, watched or told.
type running struct {
	app     *app
	order   *runOrder
	id      statement.Nonce
	program string // path of the command; empty for a run that is told

	dir         string // the ledger's
	signer      statement.Signer
	closeSigner func()
	notes       *pending.Notes // nil for a run that is told

	algorithm fingerprint.Algorithm
	ledger    statement.LedgerID
	origin    string
	size      uint64 // of the log, when it was asked
	who       jsonv1.Signer
	mayRun    func(*statement.Statement) error // what admission would ask of the signer

	run     statement.Run // what will be signed, as far as it is known
	details *statement.Details
	masked  int  // arguments of the command that were masked
	warned  bool // that the statement may become too large
	busy    bool // another process has the ledger open
	result  process.Result
}

// close gives up what was not kept.
func (w *running) close() {
	for _, in := range w.order.in {
		in.watch.Close()
	}
	for _, out := range w.order.out {
		out.close()
	}
	if w.closeSigner != nil {
		w.closeSigner()
	}
	w.notes.Close()
}

// begin refuses what would be refused for certain, before anything is read or
// started: the ledger cannot be written to, the key, a name, an input.
func (w *running) begin(ctx context.Context) (err error) {
	a := w.app
	if w.dir, w.signer, w.closeSigner, err = a.writer(ctx); err != nil {
		return err
	}
	if err := a.checkShelf(ctx, w.dir); err != nil {
		return err
	}
	e, err := a.engineAt(ctx, w.dir, false) // to write: it can be locked, or without its log key
	if err != nil {
		return err
	}
	defer a.close(e)
	r, err := newReading(e.View())
	if err != nil {
		return err
	}
	if _, err := a.trustingNewest(r); err != nil {
		return err
	}
	if err := w.plan(r); err != nil {
		return err
	}
	if err := w.draftDetails(); err != nil {
		return err
	}
	if err := w.findPlaces(); err != nil {
		return err
	}
	if err := w.checkDraft(); err != nil {
		return err
	}
	if err := w.foresee(r, false); err != nil {
		return err
	}
	if w.wrapped() {
		w.notes, err = a.beginNotes(w)
	}
	return err
}

// foresee refuses what contracts would refuse whatever the command makes, before
// it has run: by its inputs, its signer, its names, and once it was looked at
// the code.
func (w *running) foresee(r *reading, code bool) error {
	unknown := foresight.Unknown{Words: foresight.Unread, New: true}
	if w.wrapped() {
		unknown.Words = slices.Concat(unknown.Words, foresight.Unended)
	}
	if !code {
		unknown.Words = slices.Concat(unknown.Words, foresight.Code)
	}
	f, err := foresight.Foresee(r.Book, w.draft(true), r.signs(authorOf(w.signer)), max(w.app.now().UnixMilli(), r.Time()), unknown)
	if err != nil {
		return err
	}
	switch {
	case f.Refusal != nil && w.wrapped():
		return failf(exitRefused, "nothing was started: %w", f.Refusal)
	case f.Refusal != nil:
		return failf(exitRefused, "nothing was read: %w", f.Refusal)
	case code:
		w.app.tellForeseen(f)
	}
	return nil
}

// foreseeAgain is foresee with all that is known before the command starts.
func (w *running) foreseeAgain(ctx context.Context) error {
	err := w.app.readAt(ctx, w.dir, func(r *reading) error { return w.foresee(r, true) })
	if errors.Is(err, solo.ErrLocked) { // by another process: the run goes on, and is decided at its end
		w.app.term.Warnf("another process has the ledger open: what contracts say of the code was not asked")
		err = nil
	}
	return err
}

// wrapped reports whether the command is run here, and not told of.
func (w *running) wrapped() bool { return w.order.observation == statement.ObservationWrapped }

// checkShelf sees to it that manifests can be kept.
func (a *app) checkShelf(ctx context.Context, dir string) error {
	s, err := a.shelfOf(ctx, dir)
	if err != nil {
		return err
	}
	p, err := s.NewManifest()
	if errors.Is(err, fs.ErrPermission) {
		return failf(exitError, "%s cannot be written to: %w", dir, err).withPath(dir).
			withHint("the ledger can still be read; it is written to as the user who made it")
	}
	if err != nil {
		return err
	}
	p.Discard()
	return nil
}

// plan asks the ledger about the key, the inputs and the outputs.
func (w *running) plan(r *reading) error {
	w.identify(r)
	w.run.Observation, w.run.AttemptOf, w.run.Image = w.order.observation, w.order.attempt, w.order.imageRef
	if len(w.order.out) == 0 {
		if err := r.hasStanding(authorOf(w.signer), w.app.now().UnixMilli()); err != nil {
			return err
		}
	}
	for _, out := range w.order.out {
		if err := w.planOutput(r, out); err != nil {
			return err
		}
	}
	for _, in := range w.order.in {
		if err := w.planInput(r, in); err != nil {
			return err
		}
		w.run.Inputs = append(w.run.Inputs, in.ref)
	}
	return w.newRun(r)
}

// identify takes down which ledger it is, and who signs.
func (w *running) identify(r *reading) {
	by, roster, size := authorOf(w.signer), r.Control.Roster(), r.Size()
	w.algorithm, w.ledger, w.origin, w.size = r.Algorithm(), r.ID(), r.Origin(), size
	w.who = r.signerBy(by)
	w.mayRun = func(st *statement.Statement) error { return by.check(roster, size, w.app.now().UnixMilli(), st) }
}

// newRun refuses a run's id that is taken, before hours of work.
func (w *running) newRun(r *reading) error {
	entry, err := r.Run(w.id)
	if errors.Is(err, ledger.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	f := failf(exitRefused, "the run %s is on the ledger already: entry %d", w.id, entry).withEntry(entry).withHint("`stele record run --new-id` prints an id that nobody has")
	f.rule = string(ledger.RuleNameBound)
	return f
}

// planOutput asks the ledger about one output.
func (w *running) planOutput(r *reading, out *runOutput) (err error) {
	if out.path == "" { // stamped before, by another entry
		if out.ref, err = r.ref(out.what(), "--output"); err != nil {
			var f *failure
			if errors.As(err, &f) && f.status == exitNotFound {
				f.hint = "--output " + out.what() + "=PATH stamps it"
			}
			return err
		}
		e, err := r.ByName(out.name, out.version)
		if err != nil {
			return err
		}
		at, err := r.Entry(e.Entry)
		if err != nil {
			return err
		}
		if by := r.Signer(at); by.Handle != w.who.Handle {
			w.app.term.Warnf("%s was stamped by %s: this run is then a claim, and counts for no trace", out.what(), by.Handle)
		}
		return nil
	}
	if err := w.planStamp(r, out); err != nil {
		return err
	}
	if b := out.plan.bound; b != nil {
		return w.taken(r, out, b)
	}
	return nil
}

// planStamp asks the ledger about an output that is to be stamped.
func (w *running) planStamp(r *reading, out *runOutput) (err error) {
	out.order = stampOrder{
		path: out.path, as: out.what(), name: out.name, version: out.version, kind: out.kind, since: out.since,
		noDetails: w.order.noDetails, flags: *w.order.kept,
	}
	if out.plan, err = w.app.planStampAt(r, &out.order, authorOf(w.signer)); err != nil {
		return err
	}
	if out.since == "" {
		out.plan.earlier = nil // nothing to compare with
	}
	return nil
}

// taken refuses an output whose name is bound.
func (w *running) taken(r *reading, out *runOutput, b *boundName) error {
	f := failf(exitRefused, "%s is on this ledger already: entry %d", out.what(), b.Entry).withEntry(b.Entry).
		withHint("a name is bound once and for ever; give what the command makes a new version")
	_, st, err := r.Statement(b.Entry)
	if err != nil {
		return err
	}
	if st.Run != nil {
		f.message = fmt.Sprintf("%s was made by the run %s, which is recorded already: entry %d", out.what(), st.Nonce, b.Entry)
	} else if !w.wrapped() {
		f.hint = "--output " + out.what() + " without a path names it as it is"
	}
	f.rule = string(ledger.RuleNameBound)
	return f
}

// hasStanding is mayWrite for a run that writes no name.
func (r *reading) hasStanding(by author, now int64) error {
	_, m, ok := r.Control.Roster().Key(by.key)
	if !ok {
		return failf(exitUntrusted, "the key %s is not registered on this ledger", shortKey(by.key.String())).
			withHint("`stele key request` makes a request for an administrator; --key chooses another key")
	}
	if s := r.Control.Roster().Standing(by.key, r.Size(), now); !s.OK {
		return failf(exitUntrusted, "the key of %s has no standing: %s", m.Handle, s.Detail).withHint("--key chooses another key")
	}
	return nil
}

// planInput asks the ledger about one input: what it is, and whether anything
// new may be made of it.
func (w *running) planInput(r *reading, in *runInput) (err error) {
	if in.ref, err = r.ref(in.what(), "--input"); err != nil {
		return err
	}
	facts, err := r.Lineage()
	if err != nil {
		return err
	}
	of, err := facts.Artifact(in.name, in.version)
	if err != nil {
		return err
	}
	j, err := lineage.Judge(facts, of)
	if err != nil {
		return err
	}
	if len(j.Fallen) > 0 {
		fall := &j.Fallen[0]
		f := failf(exitUntrusted, "--input %s is not trusted: %s", in.what(), account.FallText(fall)).withEntry(fall.Artifact.Entry).
			withHint("`stele trace " + in.what() + " --up` says more; a stamp by a key in good standing is another matter")
		f.rule = string(ledger.RuleStanding)
		return f
	}
	for _, d := range account.WithdrawalsJSON(j) {
		what := in.what()
		if d.Of != "" {
			what = fmt.Sprintf("%s, a member of %s,", d.Of, what)
		}
		text := fmt.Sprintf("%s is withdrawn since entry %d (%s), by %s: %s", what, d.Entry, d.Effect, d.Handle, d.Reason)
		if err := w.weigh(in, d.Effect, text, d.Entry, nil); err != nil {
			return err
		}
	}
	if j.Unknown {
		w.app.term.Warnf("%s was made of more than %d artifacts: whether one of them is withdrawn is not looked up", in.what(), lineage.MaxWalk)
	}
	taint := j.Taint
	if taint == nil {
		return nil
	}
	cause := taint.Worst().Withdrawal
	text := fmt.Sprintf("%s is tainted: it was made of %s, withdrawn since entry %d (%s), by %s: %s",
		in.what(), cause.Ref, cause.Entry, cause.Effect, cause.Handle, cause.Reason)
	return w.weigh(in, taint.Effect(), text, cause.Entry, taint)
}

// weigh refuses what forbids a new use, and warns of the rest. Of what has
// happened already a run tells all the same.
func (w *running) weigh(in *runInput, effect, text string, entry uint64, taint *lineage.Taint) error {
	if effect == statement.EffectAdvise || !w.wrapped() {
		w.app.term.Warnf("%s", text)
		in.advised = true
		return nil
	}
	if taint != nil && !w.app.json {
		for _, line := range trace.TaintLines(account.TaintJSON(taint)) {
			w.app.term.Printf("  %s\n", line)
		}
	}
	f := failf(exitRefused, "%s", text).withEntry(entry).withHint("nothing was started; `stele trace " + in.what() + "` shows more. Use another version, or have the withdrawal ended: `stele reinstate`")
	f.rule = string(ledger.RuleWithdrawn)
	return f
}

// draft is a statement of the form that the run's will have, and of its size:
// of outputs that are files, which have no ignore rules, or of folders.
func (w *running) draft(folders bool) *statement.Statement {
	run := w.run
	if zero := uint64(0); w.wrapped() {
		run.Exit, run.Failed, run.Started, run.Finished = &zero, false, 1, 1
	}
	attachment := &statement.Attachment{Size: 1}
	if w.details != nil {
		run.Details = attachment
	}
	run.Outputs = nil
	for i, out := range w.order.out {
		o := statement.Output{Ref: out.ref}
		if out.path != "" {
			o.Ref = statement.Ref{Name: out.name, Version: out.version, Fingerprint: fingerprint.Fingerprint{Algorithm: w.algorithm}}
			o.Ref.Fingerprint.Sum[0] = byte(i) + 1
			o.Stamp = &statement.Stamp{
				Kind: out.kind, Files: 1, Bytes: 1, Ignore: []string{}, Basis: statement.Basis{Read: 1}, Since: out.plan.since,
				Annotations: w.order.notes,
			}
			if folders {
				o.Stamp.Ignore = out.usualRules()
			}
			if w.details != nil {
				o.Stamp.Details = attachment
			}
		}
		run.Outputs = append(run.Outputs, o)
	}
	return &statement.Statement{Kind: statement.KindRun, Ledger: w.ledger, Nonce: w.id, Run: &run}
}

// checkDraft refuses what the statement could not say, and what its signer may
// not.
func (w *running) checkDraft() error {
	st := w.draft(false)
	if _, err := st.Marshal(); err != nil {
		return usagef("what the run would say cannot be signed: %v", err).withHint("fewer outputs, or shorter names and annotations")
	}
	if _, err := w.draft(true).Marshal(); err != nil && !w.warned {
		w.warned = true
		w.app.term.Warnf("if the outputs are folders, what the run would say cannot be signed: %v", err)
	}
	if err := w.mayRun(st); err != nil {
		return failf(statusOf(err), "%s may not record this run: %w", w.who.Handle, err).withHint("--key chooses another key; an administrator can register a key for more")
	}
	return nil
}

// draftDetails makes the details document, as far as it is known before the
// command has run, and sees to it that it can be kept.
func (w *running) draftDetails() error {
	o := w.order
	environment, err := w.environment()
	if err != nil {
		return err
	}
	if o.noDetails {
		return nil
	}
	d, err := detailsOfPlace("")
	if err != nil {
		return err
	}
	d.Locations, d.Parameters, d.Environment = nil, o.given, environment
	if w.wrapped() {
		d.Directory = here()
	}
	command, cut := tellable(o.command)
	if d.Command, w.masked = observe.Mask(command); w.masked > 0 {
		w.app.term.Notef("masked in the details: %s that look like secrets", countOf(w.masked, "argument"))
	}
	if cut {
		w.app.term.Notef("the command is longer than what is noted of it; its end is left out")
	}
	w.details = d
	if _, err := d.Marshal(); err != nil {
		return usagef("%v", err)
	}
	return nil
}

// maxCommand is how many bytes of a command's arguments are noted.
const maxCommand = 256 << 10

// tellable are a command's arguments as far as a document can hold them.
func tellable(args []string) (list []string, cut bool) {
	left := maxCommand
	for _, arg := range args {
		arg = strings.ReplaceAll(strings.ToValidUTF8(arg, "\uFFFD"), "\x00", "\uFFFD")
		if left -= len(arg) + 8; left < 0 {
			return list, true
		}
		list = append(list, arg)
	}
	return list, false
}
