package main

import (
	"context"
	"errors"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// What the ledger says besides of what a run is about: of the places of its
// inputs, and what was written there while the command ran.

// lies reports whether a path leads to a place that a withdrawal names, by its
// own words or by the links on the way.
func lies(d *evidence.Withdrawal, path string) bool {
	named, err := parsePlace(d.Location)
	if err != nil {
		return false // whatever its author meant by it
	}
	at, err := parsePlace(path)
	if err != nil {
		return false
	}
	x, err := named.Absolute()
	if err != nil {
		return false
	}
	y, err := at.Absolute()
	if err != nil {
		return false
	}
	if x.Same(y) {
		return true
	}
	if x, err = spotOf(d.Location); err != nil {
		return false
	}
	y, err = spotOf(path)
	return err == nil && x.Same(y)
}

// stampedMeanwhile asks the ledger whether an output was stamped while the
// command ran: by the command itself, say. If it is the same, and its stamper is
// who signs the run, the run names it as stamped before, and counts as its
// origin all the same. A ledger that another process has open is not waited for
// here, before anything is signed and safe: admission says the same later.
func (w *running) stampedMeanwhile(ctx context.Context, out *runOutput, fp fingerprint.Fingerprint) (same bool, err error) {
	if w.busy {
		return false, nil
	}
	err = w.app.readAt(ctx, w.dir, func(r *reading) error {
		b, err := r.Bound(out.name, out.version)
		if errors.Is(err, ledger.ErrNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		e, err := r.Entry(b.Entry)
		if err != nil {
			return err
		}
		var f *failure
		switch by := r.Signer(e); {
		case b.Fingerprint != fp:
			f = failf(exitRefused, "%s was stamped while the command ran, entry %d by %s: it is %s, and the output is %s now",
				out.what(), b.Entry, by.Handle, terminal.Digest(b.Fingerprint.String()), terminal.Digest(fp.String()))
			f.withHint("nothing is stamped by this run; a name is bound once and for ever: give what the command makes a new version")
		case by.Handle != w.who.Handle:
			f = failf(exitRefused, "%s was stamped while the command ran, entry %d by %s, not by %s who signs this run", out.what(), b.Entry, by.Handle, w.who.Handle).
				withHint("`stele record run --output " + out.what() + "` tells of a run over what somebody else stamped: a claim")
		default:
			same, out.ref = true, b.Ref()
			w.app.term.Notef("%s was stamped while the command ran, entry %d: this run is recorded as its origin, and stamps it no more", out.what(), b.Entry)
			return nil
		}
		f.rule = string(ledger.RuleNameBound)
		return f.withEntry(b.Entry).withPath(out.path)
	})
	if errors.Is(err, solo.ErrLocked) {
		w.busy, err = true, nil
	}
	return same, err
}

// meanwhile finds what was written against the inputs since the ledger was asked
// about them: the outputs are born tainted by it. By name@version.
func (w *running) meanwhile(ctx context.Context) (found map[string][]jsonv1.RunMeanwhile, err error) {
	found = map[string][]jsonv1.RunMeanwhile{}
	err = w.app.readAt(ctx, w.dir, func(r *reading) error {
		facts, err := r.Lineage()
		if err != nil {
			return err
		}
		for _, in := range w.order.in {
			of, err := facts.Artifact(in.name, in.version)
			if err != nil {
				return err
			}
			j, err := lineage.Judge(facts, of)
			if err != nil {
				return err
			}
			if list := since(j, w.size); len(list) > 0 {
				found[in.what()] = list
			}
		}
		return nil
	})
	return found, err
}

// since is what is against an artifact by entries from size on.
func since(j *lineage.Judgement, size uint64) (list []jsonv1.RunMeanwhile) {
	if len(j.Fallen) > 0 { // or the run would not have begun
		c := j.Fallen[0].Artifact
		list = append(list, jsonv1.RunMeanwhile{Verdict: lineage.Untrusted, Of: c.Ref.String(), Entry: c.Entry, Reason: c.Standing.Detail})
	}
	own := j.Artifact.Ref.String()
	for _, d := range account.WithdrawalsJSON(j) {
		if d.Entry >= size {
			m := jsonv1.RunMeanwhile{Verdict: lineage.Withdrawn, Of: own, Entry: d.Entry, Effect: d.Effect, Handle: d.Handle, Reason: d.Reason}
			if d.Of != "" {
				m.Of = d.Of
			}
			if d.Target == statement.TargetBinding {
				m.Effect = "" // of the name alone
			}
			list = append(list, m)
		}
	}
	if j.Taint == nil {
		return list
	}
	for i := range j.Taint.Causes {
		if d := &j.Taint.Causes[i].Withdrawal; d.Entry >= size {
			list = append(list, jsonv1.RunMeanwhile{Verdict: lineage.Tainted, Of: d.Ref.String(), Entry: d.Entry, Effect: d.Effect, Handle: d.Handle, Reason: d.Reason})
		}
	}
	return list
}

// warnOfMeanwhile tells it, and what follows.
func (w *running) warnOfMeanwhile(found map[string][]jsonv1.RunMeanwhile) {
	outputs := ""
	for i, out := range w.run.Outputs {
		outputs += map[bool]string{true: "; so these are tainted: ", false: ", "}[i == 0] + out.Ref.String()
	}
	if len(w.run.Outputs) == 1 {
		outputs = "; so " + w.run.Outputs[0].Ref.String() + " is tainted"
	}
	for _, in := range w.order.in {
		for _, m := range found[in.what()] {
			what := in.what()
			if m.Of != what {
				what = m.Of + ", which is behind " + what + ","
			}
			switch {
			case m.Verdict == lineage.Untrusted:
				w.app.term.Warnf("since the run began, the stamp of %s in entry %d counts for nothing: %s", what, m.Entry, m.Reason)
			case m.Effect == "":
				w.app.term.Warnf("since the run began, the name %s was withdrawn, in entry %d by %s: %s", what, m.Entry, m.Handle, m.Reason)
			default:
				w.app.term.Warnf("since the run began, %s was withdrawn, in entry %d by %s (%s): %s%s", what, m.Entry, m.Handle, m.Effect, m.Reason, outputs)
			}
		}
	}
}
