package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// record keeps the details, signs the statement, keeps it, and submits it: in
// this order, so that the ledger has all of the run or nothing.
func (w *running) record(ctx context.Context) (err error) {
	a := w.app
	if w.details != nil {
		if w.run.Details, err = a.keepDetails(ctx, w.dir, w.details); err != nil {
			return err
		}
	}
	st := &statement.Statement{Kind: statement.KindRun, Ledger: w.ledger, Nonce: w.id, Run: &w.run}
	env, err := w.sign(ctx, st)
	if err != nil {
		return err
	}
	if w.notes == nil {
		if w.notes, err = a.beginNotes(w); err != nil {
			return err
		}
		w.notes.Kept = true
	}
	if err := w.notes.Keep(env); err != nil {
		return err
	}
	// What is signed and kept is not given up any more.
	proof, err := a.submitSigned(context.WithoutCancel(ctx), w.dir, env)
	if err != nil {
		return w.notSubmitted(env, err)
	}
	for _, out := range w.order.out {
		if out.stamped != nil {
			out.stamped.stamped(a, proof)
		}
	}
	w.notes.Done = true
	return w.print(context.WithoutCancel(ctx), proof)
}

// sign signs the run. An agent that went away meanwhile is asked for once more, and a
// delegation that is over is renewed.
func (w *running) sign(ctx context.Context, st *statement.Statement) (*statement.Envelope, error) {
	renewed, err := w.app.renewed(ctx, w.signer)
	if err != nil {
		return nil, fmt.Errorf("sign the run: %w", err)
	}
	w.signer = renewed
	env, err := statement.Sign(st, w.signer)
	if err == nil || errors.Is(err, statement.ErrFormat) {
		return env, err
	}
	signer, closer, again := w.app.signer(ctx)
	if again != nil {
		return nil, fmt.Errorf("sign the run: %w", err)
	}
	defer closer()
	if signer.PublicKey().ID() != w.signer.PublicKey().ID() {
		return nil, fmt.Errorf("sign the run: %w", err)
	}
	if env, err = statement.Sign(st, signer); err != nil {
		return nil, fmt.Errorf("sign the run: %w", err)
	}
	return env, nil
}

// print writes the receipt.
func (w *running) print(ctx context.Context, proof *solo.Proof) error {
	a := w.app
	out, err := w.json(proof)
	if err != nil {
		return err
	}
	meanwhile, err := w.meanwhile(ctx)
	if err != nil {
		a.term.Warnf("whether an input was withdrawn while the command ran is not known: %v", err)
	}
	for i, in := range out.Inputs {
		out.Inputs[i].Meanwhile = meanwhile[in.Name+"@"+in.Version]
	}
	if !a.json {
		w.warnOfMeanwhile(meanwhile)
	}
	if w.order.receipt != "" {
		if err := writeReceipt(w.order.receipt, out); err != nil {
			return failf(exitError, "the run is recorded, entry %d, and its receipt could not be written: %w", proof.Index, err).withPath(w.order.receipt).withEntry(proof.Index)
		}
	}
	if a.json {
		a.printJSON(out)
	} else if !a.quiet {
		a.printRecorded(out, took(&w.run))
	}
	return nil
}

// json is the receipt, with what only the one who ran it knows.
func (w *running) json(proof *solo.Proof) (*jsonv1.Run, error) {
	out, err := receiptOfRun(w.id, &w.run, proof, w.who, w.origin)
	if err != nil {
		return nil, err
	}
	out.Signal, out.Masked = w.result.Signal, w.masked
	for i, in := range out.Inputs {
		at := slices.IndexFunc(w.order.in, func(o *runInput) bool { return o.name == in.Name && o.version == in.Version })
		told := w.order.in[at]
		out.Inputs[i].Path, out.Inputs[i].Verdict, out.Inputs[i].How = told.path, string(told.verdict), told.how
	}
	for i, o := range out.Outputs {
		at := slices.IndexFunc(w.order.out, func(r *runOutput) bool { return r.name == o.Name && r.version == o.Version })
		told := w.order.out[at]
		out.Outputs[i].Path, out.Outputs[i].Old = told.path, told.old
		if told.stamped != nil {
			out.Outputs[i].Model = modelJSON(told.stamped.model)
		}
	}
	return out, nil
}

// receiptOfRun is a run as it stands on the ledger.
func receiptOfRun(id statement.Nonce, run *statement.Run, proof *solo.Proof, who jsonv1.Signer, origin string) (*jsonv1.Run, error) {
	c, err := checkpointJSON(proof.Checkpoint)
	if err != nil {
		return nil, err
	}
	out := &jsonv1.Run{
		Run: id.String(), Observation: run.Observation, Failed: run.Failed, Exit: run.Exit,
		Started: jsonv1.At(run.Started), Finished: jsonv1.At(run.Finished), Inputs: []jsonv1.RunInput{}, Outputs: []jsonv1.RunOutput{},
		Entry: proof.Index, Time: jsonv1.At(proof.Time), Signer: who, Origin: origin, Checkpoint: c, Existed: proof.Existed,
	}
	for _, in := range run.Inputs {
		out.Inputs = append(out.Inputs, jsonv1.RunInput{Name: in.Name, Version: in.Version, Fingerprint: in.Fingerprint.String()})
	}
	for _, o := range run.Outputs {
		item := jsonv1.RunOutput{Name: o.Ref.Name, Version: o.Ref.Version, Fingerprint: o.Ref.Fingerprint.String(), Stamped: o.Stamp != nil}
		if o.Stamp != nil {
			item.Kind, item.Files, item.Bytes = o.Stamp.Kind, o.Stamp.Files, o.Stamp.Bytes
		}
		out.Outputs = append(out.Outputs, item)
	}
	if c := run.Code; c != nil {
		out.Code = &jsonv1.RunCode{Remote: c.Remote, Commit: c.Commit, Dirty: c.Dirty}
		if c.Tree != nil {
			out.Code.Tree = c.Tree.String()
		}
	}
	if i := run.Image; i != nil {
		out.Image = &jsonv1.RunImage{Name: i.Name, SHA256: hexOf(i.SHA256)}
	}
	for _, l := range run.Locks {
		out.Locks = append(out.Locks, jsonv1.RunLock{Path: l.Path, SHA256: hexOf(l.SHA256)})
	}
	if !run.AttemptOf.IsZero() {
		out.AttemptOf = run.AttemptOf.String()
	}
	if d := run.Details; d != nil {
		out.Details = &jsonv1.Attachment{SHA256: hexOf(d.SHA256), Size: d.Size}
	}
	return out, nil
}

// printRun writes the receipt of a run for a person.
func (a *app) printRecorded(r *jsonv1.Run, took string) {
	what := "recorded the run"
	switch {
	case r.Existed:
		what = "recorded already: the run"
	case r.Failed:
		what = "recorded the failed run"
	}
	a.term.Printf("%s %s\n", what, a.term.Style(terminal.Good, r.Run))
	var pairs []terminal.Pair
	add := func(key, value string) { pairs = append(pairs, terminal.Pair{Key: key, Value: value}) }
	for _, in := range r.Inputs {
		add("input", in.Name+"@"+in.Version+inputText(r, in))
	}
	for _, o := range r.Outputs {
		text := o.Name + "@" + o.Version
		if o.Stamped {
			add("output", fmt.Sprintf("%s, %s, %s in %s, %s", text, o.Kind, terminal.Bytes(o.Bytes), terminal.Plural(o.Files, "file"), terminal.Digest(o.Fingerprint)))
			pairs = append(pairs, modelPairs(o.Model)...)
		} else {
			add("output", text+", stamped before")
		}
	}
	add("ended", endText(r)+orNothing(", after ", took))
	if c := r.Code; c != nil {
		add("code", c.Commit[:12]+orNothing(" of ", c.Remote)+map[bool]string{true: ", with changes that are in no commit"}[c.Dirty])
	}
	if i := r.Image; i != nil {
		add("image", orNothing("", i.Name)+"@sha256:"+i.SHA256[:12]+"…")
	}
	if len(r.Locks) > 0 {
		var names []string
		for _, l := range r.Locks {
			names = append(names, l.Path)
		}
		add("lock files", strings.Join(names, ", "))
	}
	if r.AttemptOf != "" {
		add("goes on from", r.AttemptOf)
	}
	add("observed", map[string]string{
		statement.ObservationWrapped: "stele started the command and waited for it", statement.ObservationReported: "as told: stele did not run it",
	}[r.Observation])
	add("entry", entryText(r.Entry)+" of "+r.Origin)
	add("time", a.timeOf(r.Time)+", as the ledger claims")
	add("signed by", signedBy(r.Signer))
	add("checkpoint", fmt.Sprintf("%s, root %s", terminal.Plural(r.Checkpoint.Size, "entry", "entries"), r.Checkpoint.Root))
	a.term.KeyValues(pairs)
}

// inputText says how the bytes of an input of a run are known.
func inputText(r *jsonv1.Run, in jsonv1.RunInput) string {
	known := ", verified: every byte was read"
	if in.How != "" {
		known = ", sampled: " + in.How
	}
	switch evidence.Outcome(in.Verdict) {
	case "":
		switch {
		case r.Observation == statement.ObservationWrapped:
			return ", checked before the command started" // by a run of before: how is not on the ledger
		case r.Existed:
			return ", as told"
		}
		return ", as told: its bytes were not looked at"
	case evidence.Verified, evidence.Sampled:
		return known
	}
	return known + "; it is " + in.Verdict + ", with the effect advise"
}

// endText says how a command ended.
func endText(r *jsonv1.Run) string {
	switch {
	case r.Exit == nil && r.Failed:
		return "failed"
	case r.Exit == nil:
		return "well, as told"
	case r.Signal != "":
		return fmt.Sprintf("by %s, status %d", r.Signal, *r.Exit)
	}
	return fmt.Sprintf("with status %d", *r.Exit)
}
