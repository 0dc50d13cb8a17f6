package main

import (
	"fmt"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/audit"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/terminal"
)

// shares are the altered shares that an audit says its odds for, besides the one
// it was made for.
var shares = []string{"0.0001", "0.001", "0.01", "0.05"}

// newAudit begins what --json prints.
func newAudit(o *auditOrder, w *auditing, plan *audit.Plan) *jsonv1.Audit {
	out := &jsonv1.Audit{
		Altered: o.altered.String(), Confidence: o.confidence.String(), Seed: fmt.Sprintf("%x", plan.Seed), Draws: plan.Draws,
		Chunks: plan.Chunks, ChunksAsked: plan.ToRead, BytesAsked: plan.BytesToRead, Bytes: plan.Bytes,
	}
	out.Path, out.Fingerprint, out.Ignore, out.Changes = o.place, w.fp.String(), w.stamp.Ignore, []jsonv1.Change{}
	for _, s := range append([]string{o.altered.String()}, shares...) {
		share, err := audit.ParseShare(s)
		if err != nil || len(out.Odds) > 0 && share == o.altered {
			continue
		}
		out.Odds = append(out.Odds, jsonv1.Odds{Altered: share.String(), Bytes: uint64(share.Float() * float64(plan.Bytes)), Probability: plan.Detection(share.Float())})
	}
	return out
}

// fillAudit adds what was found.
func fillAudit(out *jsonv1.Audit, w *auditing, plan *audit.Plan, r audit.Result) {
	out.FilesCompared, out.ChunksRead, out.ChunksAltered, out.BytesRead = r.Files, r.ChunksRead, r.ChunksAltered, r.BytesRead
	out.Hidden = r.HiddenCount
	out.Basis = &jsonv1.Basis{Read: r.BytesRead}
	same := r.Files - min(r.Files, r.Removed+r.Resized+r.Modified+r.Renamed)
	out.Counts = &jsonv1.Counts{Same: same, Modified: r.Modified, Added: r.Added, Removed: r.Removed, Renamed: r.Renamed, Resized: r.Resized}
	out.Outcome = "held"
	if !r.Held() {
		out.Outcome = "altered"
	}
}

// printAudit writes an audit for a person: what differs first, then what was
// read and what that shows.
func (a *app) printAudit(o *auditOrder, w *auditing, plan *audit.Plan, r audit.Result, out *jsonv1.Audit, v *evidence.Verdict) {
	what := "the evidence"
	if v.Stamp != nil {
		what = out.Name + "@" + out.Version
	}
	a.headline(what, v.Verdict, "against "+out.Path)
	if !r.Held() {
		a.term.Printf("%s\n", r.Differs())
		a.printChanges(out.Changes, *out.Counts, o.all)
		a.term.Printf("\n")
	}
	a.printVerdicts(out.Members)
	a.noteHidden(scan.Result{Hidden: r.Hidden, HiddenCount: r.HiddenCount})
	pairs := []terminal.Pair{
		{Key: "names, sizes", Value: fmt.Sprintf("%s compared: %s", terminal.Plural(r.Files, "file"), r.Names())},
		{Key: "read", Value: fmt.Sprintf("%s (%s)", plan.WasRead(r), terminal.Percent(r.BytesRead, plan.Bytes))},
	}
	for i, sentence := range plan.Odds(o.altered) {
		pairs = append(pairs, terminal.Pair{Key: map[bool]string{true: "odds"}[i == 0], Value: sentence})
	}
	if out.Announced != nil {
		pairs = append(pairs, terminal.Pair{Key: "announced", Value: fmt.Sprintf("entry %s", terminal.Count(*out.Announced))})
	}
	if out.Ended != nil {
		pairs = append(pairs, terminal.Pair{Key: "result", Value: fmt.Sprintf("%s, entry %s", out.Outcome, terminal.Count(*out.Ended))})
	}
	pairs = append(pairs, terminal.Pair{Key: "seed", Value: out.Seed})
	a.term.KeyValues(pairs)
	a.term.Checks(checksFor(v.Checks, &verifyOrder{maxAge: o.maxAge, checks: o.checks}))
	if st := v.Stamp; st != nil && v.AsOf != nil {
		a.term.Printf("stamped by %s at %s,\nas of %s of %s\n", signedBy(*out.Signer), a.term.Time(st.Time),
			terminal.Plural(v.AsOf.Size, "entry", "entries"), v.AsOf.Origin)
	}
}
