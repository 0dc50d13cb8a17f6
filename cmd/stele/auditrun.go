package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"iter"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/audit"
	"github.com/stele-ml/stele/internal/collection"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/terminal"
)

// auditing is one audit under way: what is audited, against what, where.
type auditing struct {
	subjectOf
	root    *collection.Node
	members []memberVerdict // of a collection
	data    *data
	parts   *collection.Source // of a collection: what its source is wrapped in
	known   *manifests
	touched map[int]bool // parts in which something differs
}

// auditAlone audits for oneself: the seed is fresh random bytes, or one that was
// printed before.
func (a *app) auditAlone(ctx context.Context, o *auditOrder) (err error) {
	w, err := a.beginAudit(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = w.end(err) }()
	if o.seed == nil {
		o.seed = new(audit.Seed)
		if _, err := rand.Read(o.seed[:]); err != nil {
			return err
		}
	}
	plan, err := w.draw(*o.seed, o.draws)
	if err != nil {
		return err
	}
	out := newAudit(o, w, plan)
	result, err := a.runAudit(ctx, o, w, plan, out)
	if err != nil {
		return err
	}
	return a.judgeAudit(o, w, plan, result, out)
}

// beginAudit finds the stamp, its evidence, the manifests and the place, before
// anything is read or announced. The place is open when it returns no error.
//
// An ended audit can be checked without a place.
func (a *app) beginAudit(ctx context.Context, o *auditOrder) (*auditing, error) {
	dir, err := a.findLedger()
	if err != nil {
		return nil, err
	}
	w := &auditing{touched: map[int]bool{}}
	err = a.readUntrusted(ctx, dir, func(r *reading) error {
		b, err := r.binding(o.name, o.version)
		if err != nil {
			return err
		}
		return a.beginAt(r, b, o, w)
	})
	if err != nil {
		return nil, err
	}
	return w, w.openPlace(ctx, a, dir, o)
}

// openPlace opens the data as the stamp saw it.
func (w *auditing) openPlace(ctx context.Context, a *app, ledger string, o *auditOrder) error {
	if o.manifest != "" && len(w.root.Members) > 0 {
		return usagef("--manifest: %s is a collection; its members' manifests are found where their stamps say", w.root.Binding.Ref())
	}
	w.known = a.manifests(ctx, ledger, o.manifest, &o.flags)
	if o.place == "" {
		return nil
	}
	d, err := a.openData(ctx, "audit", o.place, &o.flags)
	if err != nil {
		return err
	}
	if len(w.root.Members) > 0 {
		if d.source, w.parts, err = collection.SourceOf(d.source, w.root.Parts, w.known.open); err != nil {
			return d.end(err)
		}
	}
	w.data, w.known.data = d, d
	return nil
}

// end closes what is open, and returns err.
func (w *auditing) end(err error) error {
	w.known.close()
	if w.data == nil {
		return err
	}
	return w.data.end(err)
}

// beginAt gathers what the ledger says.
func (a *app) beginAt(r *reading, b ledger.Binding, o *auditOrder, w *auditing) error {
	_, st, err := r.StampAt(b)
	if err != nil {
		return err
	}
	w.stamp, w.fp = st.Stamp, b.Fingerprint
	if w.root, err = r.unfold(b, st.Stamp); err != nil {
		return err
	}
	if o.place == "" && o.check == nil {
		if o.place, err = a.stampedLocation(r, st); err != nil {
			return err
		}
	}
	a.warnOfPlaces(b.Ref(), r.WithdrawnPlaces(b.Ref()), o.place)
	claim, further, large, err := r.lineageClaim(b)
	if err != nil {
		return err
	}
	w.large = large
	if w.file, err = r.Evidence(claim, nil, further...); err != nil {
		return err
	}
	if w.members, err = r.judgeMembers(w.root); err != nil {
		return err
	}
	w.past, w.proof, err = a.memory.History(a.shown(r), r.View)
	return err
}

// files goes through the files of the manifest, or the members' manifests.
func (w *auditing) files() iter.Seq2[fingerprint.File, error] {
	return collection.Files(w.root.Parts, w.known.open)
}

// draw reads the manifest to its end, and so checks it.
func (w *auditing) draw(seed audit.Seed, draws uint64) (*audit.Plan, error) {
	return audit.Draw(w.files(), w.stamp.Bytes, seed, draws)
}

// runAudit compares names and sizes, and reads what was drawn. What differs goes
// to out.
func (a *app) runAudit(ctx context.Context, o *auditOrder, w *auditing, plan *audit.Plan, out *jsonv1.Audit) (audit.Result, error) {
	if err := o.bound(plan.BytesToRead); err != nil {
		return audit.Result{}, err
	}
	a.term.Notef("reading %s", plan.WillRead())
	progress := new(scan.Progress)
	opts := audit.Options{Algorithm: w.fp.Algorithm, Rules: w.stamp.Ignore, Listed: w.stamp.Listed, Workers: o.flags.workers, Progress: progress}
	stop := a.term.Progress(ctx, func() terminal.Snapshot {
		return terminal.Snapshot{
			Label: "auditing", BytesDone: progress.BytesDone.Load(), BytesTotal: progress.BytesTotal.Load(),
			FilesDone: progress.FilesDone.Load(), FilesTotal: progress.FilesTotal.Load(),
		}
	})
	result, err := audit.Run(ctx, w.data.source, w.files(), plan, opts, func(f audit.Finding) error {
		if i, ok := collection.Within(w.root.Parts, f.Path); ok {
			w.touched[i] = true
		}
		if !o.all && len(out.Changes) == changesInJSON {
			out.Truncated = true
			return nil
		}
		out.Changes = append(out.Changes, findingJSON(f))
		return nil
	})
	stop()
	if w.parts != nil {
		result.Hidden, result.HiddenCount = w.parts.Hidden, w.parts.HiddenCount
	}
	fillAudit(out, w, plan, result)
	return result, err
}

// bound holds what would be read to --max-read.
func (o *auditOrder) bound(bytes uint64) error {
	if limit := uint64(o.flags.maxRead); limit > 0 && bytes > limit {
		return failf(exitError, "%s would have to be read, and --max-read allows %s", terminal.Bytes(bytes), terminal.Bytes(limit)).
			withHint("a larger --altered or a smaller --confidence draws fewer chunks")
	}
	return nil
}

func findingJSON(f audit.Finding) jsonv1.Change {
	c := jsonv1.Change{Path: f.Path, Change: f.Kind, From: f.From}
	if f.Kind != audit.Added {
		c.OldSize = &f.OldSize
	}
	if f.Kind != audit.Removed {
		c.NewSize = &f.NewSize
	}
	for _, r := range f.Ranges {
		c.Ranges = append(c.Ranges, jsonv1.Range{Start: r.Start, End: r.End})
	}
	return c
}

// contentsOfAudit is what the verdict is told of the data.
func contentsOfAudit(w *auditing, plan *audit.Plan, r audit.Result) *evidence.Contents {
	c := &evidence.Contents{Fingerprint: w.fp, Files: w.stamp.Files, Bytes: w.stamp.Bytes, Unread: w.stamp.Bytes - r.BytesRead}
	if !r.Held() {
		c.Differs = r.Differs()
	}
	c.How = fmt.Sprintf("audit of %s", plan.WasRead(r))
	return c
}

// auditVerdict puts what was found into the verdict.
func (a *app) auditVerdict(o *auditOrder, w *auditing, plan *audit.Plan, r audit.Result, out *jsonv1.Audit) (v *evidence.Verdict, trusted bool, err error) {
	opts := evidence.Options{Now: a.now().UnixMilli(), MaxAge: milliseconds(o.maxAge), Name: o.name, Version: o.version, Remembered: w.past, Proof: w.proof, StampOnly: w.large != nil}
	opts.Contents = contentsOfAudit(w, plan, r)
	if v, trusted, err = a.verdictOn(w.file, opts); err != nil {
		return nil, false, err
	}
	withMembers(v, w.members)
	withLarge(v, w.large)
	out.Members = memberVerdicts(w.sampledMembers(), w.members)
	a.fillVerdict(&out.Verify, v)
	return v, trusted, nil
}

// judgeAudit puts what was found into the verdict, and prints it.
func (a *app) judgeAudit(o *auditOrder, w *auditing, plan *audit.Plan, r audit.Result, out *jsonv1.Audit) error {
	v, trusted, err := a.auditVerdict(o, w, plan, r, out)
	if err != nil {
		return err
	}
	if a.json {
		a.printJSON(out)
	} else if !a.quiet || v.Exit() != exitHolds {
		a.printAudit(o, w, plan, r, out, v)
		if !trusted {
			a.hintTrust(v)
		}
	}
	if status := v.Exit(); status != exitHolds {
		return verdictError{status}
	}
	return nil
}

// sampledMembers tells in which members something differs. Of the others no more
// is known than of the collection: they were sampled.
func (w *auditing) sampledMembers() []jsonv1.Member {
	var items []jsonv1.Member
	for _, m := range w.members {
		n, b := m.node, m.node.Binding
		item := jsonv1.Member{Prefix: n.Prefix, Name: b.Name, Version: b.Version, Fingerprint: b.Fingerprint.String(),
			Files: n.Stamp.Files, Bytes: n.Stamp.Bytes, Verdict: string(evidence.Sampled)}
		for i := range n.Parts {
			if w.touched[n.First+i] {
				item.Verdict = string(evidence.Tampered)
			}
		}
		items = append(items, item)
	}
	return items
}
