package main

import (
	"context"
	"errors"
	"hash/maphash"
	"maps"
	"slices"
	"syscall"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/pending"
	"github.com/stele-ml/stele/internal/process"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/statement"
)

// canFinish notes what is needed to finish the run. Where an output could not be
// known again, it is not.
func (w *running) canFinish() {
	o := w.order
	if w.result.Status == 0 && slices.ContainsFunc(o.out, func(out *runOutput) bool { return out.state == "" }) {
		return
	}
	run := w.run
	run.Details, run.Outputs = nil, nil
	f := &pending.Finish{
		Signer: w.signer.PublicKey().ID().String(), Size: w.size, Signal: w.result.Signal, Masked: w.masked,
		Annotations: o.notes, NoDetails: o.noDetails, Ignore: o.kept.ignore, Plain: o.kept.plain,
		FollowLinks: o.kept.followLinks, Anonymous: o.kept.anonymous, SortListing: o.kept.sortListing,
	}
	var err error
	f.Statement, err = (&statement.Statement{Kind: statement.KindRun, Ledger: w.ledger, Nonce: w.id, Run: &run}).Marshal()
	if err == nil && w.details != nil {
		f.Details, err = w.details.Marshal()
	}
	if err != nil {
		return // the run will not be signed either, and why is told then
	}
	w.notes.Note.Finish = f
	w.describe(&w.notes.Note)
	w.notes.Write()
}

// goOn says, of a run that could not be recorded, how it can be yet.
func (w *running) goOn(err error) error {
	f := describe(err)
	if w.notes.Signed() {
		return err // which says how
	}
	full := errors.Is(err, syscall.ENOSPC)
	givenUp := errors.Is(err, errGivenUp)
	again := "`stele record run --resume " + w.id.String() + "` finishes it, as long as the outputs are left as they are"
	switch {
	case w.notes.Finishable() && full:
		f.hint = "nothing is lost: free some space, then " + again
	case w.notes.Finishable() && (f.hint == "" || givenUp):
		f.hint = "nothing is lost: " + again
	case w.notes.Finishable():
		f.hint += "; then " + again
	case full || givenUp:
		f.hint = "the outputs are there; to tell of the run: " + shellText(w.notes.Note.Telling())
	default:
		return err
	}
	return f
}

// finishRun is `stele record run --resume` of a run that was not signed yet.
func (a *app) finishRun(ctx context.Context, dir string, id statement.Nonce, p *pending.Run) (err error) {
	w := &running{app: a, id: id, dir: dir, order: orderOf(p)}
	defer w.close()
	n, err := p.Resume(a.now().UnixMilli(), a.notNoted(p.Run))
	if err != nil {
		return err // as by somebody who finishes it at the same time
	}
	w.notes = n
	defer func() {
		if err != nil && n.Note.Finish == nil { // it was refused
			n.GaveUp(err)
		}
	}()
	if w.signer, w.closeSigner, err = a.signer(ctx); err != nil {
		return err
	}
	if err := w.takeUp(p.Finish); err != nil {
		return err
	}
	if err := a.checkShelf(ctx, dir); err != nil {
		return err
	}
	if err := a.readAt(ctx, dir, w.planAgain); err != nil {
		return err
	}
	if err := w.findPlaces(); err != nil {
		return err
	}
	if err := w.checkDraft(); err != nil {
		return err
	}
	if w.run.Failed {
		return w.record(ctx)
	}
	if err := w.leftAsTheyWere(ctx, p); err != nil {
		return err
	}
	if err := w.stampOutputs(ctx); err != nil {
		return err
	}
	if err := w.leftAsTheyWere(ctx, p); err != nil { // while they were read, too
		return err
	}
	return w.record(ctx)
}

// orderOf is what was ordered, by the notes.
func orderOf(p *pending.Run) *runOrder {
	f := p.Finish
	o := &runOrder{observation: statement.ObservationWrapped, notes: f.Annotations, noDetails: f.NoDetails, kept: &scanFlags{
		ignore: f.Ignore, plain: f.Plain, followLinks: f.FollowLinks, anonymous: f.Anonymous, sortListing: f.SortListing,
	}}
	for _, in := range p.Inputs {
		name, version, _ := statement.ParseNameVersion(in.What) // compared with the statement's
		o.in = append(o.in, &runInput{namedPlace: namedPlace{name, version, in.Path}, verdict: evidence.Outcome(in.Verdict), how: in.How})
	}
	if p.Status != nil && *p.Status == 0 {
		for _, out := range p.Outputs {
			name, version, _ := statement.ParseNameVersion(out.What)
			o.out = append(o.out, &runOutput{namedPlace: namedPlace{name, version, out.Path}, kind: out.Kind, since: out.Since, old: out.Old})
		}
	}
	return o
}

// takeUp takes from the notes what the statement says.
func (w *running) takeUp(f *pending.Finish) error {
	damaged := func(err error) error {
		return failf(exitTampered, "the notes of the run %s are not what was noted: %w", w.id, err).withPath(w.notes.Folder)
	}
	if w.signer.PublicKey().ID().String() != f.Signer {
		return failf(exitRefused, "the run %s was begun with another key, %s", w.id, shortKey(f.Signer)).withHint("--key chooses it: whoever ran the command signs")
	}
	st, err := statement.Parse(f.Statement)
	switch {
	case err != nil:
		return damaged(err)
	case st.Run == nil || st.Nonce != w.id || st.Ledger.String() != w.notes.Note.Ledger || st.Run.Exit == nil:
		return damaged(solo.ErrTampered)
	}
	w.run = *st.Run
	w.ledger, w.masked = st.Ledger, f.Masked
	w.result = process.Result{Status: int(*st.Run.Exit), Signal: f.Signal}
	named := map[string]bool{}
	for _, in := range w.order.in {
		named[in.what()] = true
	}
	said := map[string]bool{}
	for _, ref := range w.run.Inputs {
		said[ref.String()] = true
	}
	if !maps.Equal(named, said) {
		return damaged(solo.ErrTampered)
	}
	if f.Details != nil {
		if w.details, err = statement.ParseDetails(f.Details); err != nil {
			return damaged(err)
		}
	}
	return nil
}

// planAgain asks the ledger what it has become since.
func (w *running) planAgain(r *reading) error {
	if r.ID() != w.ledger {
		return failf(exitRefused, "the run %s is of another ledger", w.id).withHint("without --ledger it is found by the notes")
	}
	w.identify(r)
	w.size = w.notes.Note.Finish.Size // what was written since then is told
	for _, ref := range w.run.Inputs {
		now, err := r.ref(ref.String(), "--input")
		if err != nil {
			return err
		}
		if now != ref {
			return failf(exitTampered, "%s is not what it was when the run began", ref)
		}
	}
	for i := range w.order.in {
		w.order.in[i].ref = w.run.Inputs[slices.IndexFunc(w.run.Inputs, func(ref statement.Ref) bool { return ref.String() == w.order.in[i].what() })]
	}
	for _, out := range w.order.out {
		if err := w.planStamp(r, out); err != nil {
			return err
		}
	}
	if len(w.order.out) == 0 {
		if err := r.hasStanding(authorOf(w.signer), w.app.now().UnixMilli()); err != nil {
			return err
		}
	}
	return w.newRun(r)
}

// leftAsTheyWere sees to it that nobody touched the outputs since the command had
// ended: else nobody can tell what it wrote.
func (w *running) leftAsTheyWere(ctx context.Context, p *pending.Run) error {
	for i, out := range w.order.out {
		now, err := w.stateOf(ctx, out, maphash.MakeSeed())
		if err != nil {
			return err
		}
		out.state = p.Outputs[i].State
		switch got := now.digest(); {
		case !now.there:
			return failf(exitNotFound, "the output %s is not there any more: %s", out.what(), source.Show(out.path)).withPath(out.path).withHint("nothing is stamped")
		case got == "" || got != out.state:
			return failf(exitRefused, "the output %s was touched since the command had ended: %s; whether it is what the command wrote cannot be told", out.what(), source.Show(out.path)).
				withPath(out.path).withHint("nothing is stamped; to tell of the run, as reported: " + shellText(w.notes.Note.Telling()))
		}
	}
	return nil
}

// addVerdicts adds to a receipt what only the notes know.
func addVerdicts(p *pending.Run, out *jsonv1.Run) {
	for i := range out.Inputs {
		in := &out.Inputs[i]
		for _, noted := range p.Inputs {
			if noted.What == in.Name+"@"+in.Version {
				in.Path, in.Verdict, in.How = noted.Path, noted.Verdict, noted.How
			}
		}
	}
}
