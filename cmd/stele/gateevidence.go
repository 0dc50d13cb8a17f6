package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/report"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// gateHelp says what the checks of evidence are for: in a viewer of reports they
// stand without the manual.
var gateHelp = map[string]string{
	evidence.CheckFormat:     "What the ledger shows is whole and in its one form.",
	evidence.CheckLedger:     "The ledger is the one whose genesis made its id.",
	evidence.CheckTrustedLog: "A key that is pinned here signs this log. Get its trust file from whoever runs it, by a way you trust, then `stele trust add FILE`.",
	evidence.CheckCheckpoint: "The log's key in force signed the checkpoint that everything else hangs on.",
	evidence.CheckWitnesses:  "A quorum of witnesses cosigned the checkpoint: the log shows everybody the same history.",
	evidence.CheckHistory:    "The log goes on from what was seen of it here before: no fork, no rollback.",
	evidence.CheckControl:    "Every withdrawal, registration and contract up to the checkpoint is there: none was left out.",
	evidence.CheckIncluded:   "The entries are in the log, where they say.",
	evidence.CheckSignature:  "The stamp, and who approved and measured, are signed by the registered keys.",
	evidence.CheckStanding:   "Those keys had standing for it, as is known now.",
	evidence.CheckClaim:      "The name and version are bound to this fingerprint.",
	evidence.CheckMembers:    "The members of the collection are signed, in the log and not withdrawn.",
	evidence.CheckTime:       "When: with witnesses, a bracket of their times; without, the ledger's word.",
	evidence.CheckRules:      "That the ledger applied its rules when it admitted the entries, its operator attests; a replay shows it.",
}

// gateSkips are checks of evidence that the gate makes in its own words, or that
// are about what nobody gave it.
var gateSkips = []string{
	evidence.CheckFresh, evidence.CheckNotWithdrawn, evidence.CheckLineage, evidence.CheckNotTainted, evidence.CheckContents, evidence.CheckReleased,
	evidence.CheckPathPresent, evidence.CheckPathAbsent, evidence.CheckAbsentFromAll, evidence.CheckRange, evidence.CheckAttachments,
}

// readContents reads the data as `stele verify` does. The ledger is looked at for
// the stamp alone: reading may take hours, and everything else is to be true at
// the end of them.
func (g *gated) readContents(ctx context.Context, dir string) (_ *evidence.Contents, err error) {
	a, o := g.a, g.o
	v := &verifyOrder{name: o.name, version: o.version, path: o.path, recheck: "full", all: o.all, flags: o.flags}
	s := new(subjectOf)
	err = a.readUntrusted(ctx, dir, func(r *reading) error {
		b, st, err := r.boundBy(o.name, o.version)
		if err != nil {
			return err
		}
		s.stamp, s.fp = st.Stamp, b.Fingerprint
		if s.search, err = a.searchFor(r, st, o.flags.reach()); err != nil {
			return err
		}
		s.earlier = &earlierStamp{b, st.Stamp, s.search.details}
		if s.root, err = r.unfold(b, st.Stamp); err != nil {
			return err
		}
		s.file, err = r.Evidence(evidence.Claim{Entry: b.Entry, Name: b.Name, Version: b.Version, Fingerprint: b.Fingerprint}, a.detailsAtHand(ctx, dir, st.Stamp))
		return err
	})
	if err != nil {
		return nil, err
	}
	if v.manifest, err = g.manifestOf(ctx, s); err != nil {
		return nil, err
	}
	if v.data, err = a.openData(ctx, "gate", o.path, &v.flags); err != nil {
		return nil, err
	}
	defer func() { err = v.data.end(err) }()
	found := &jsonv1.Verify{Changes: []jsonv1.Change{}}
	contents, err := a.readContents(ctx, v, s, found)
	g.out.Found, g.out.Counts, g.out.Changes, g.out.Truncated = found.Found, found.Counts, found.Changes, found.Truncated
	g.out.Hidden = found.Hidden
	return contents, err
}

// detailsAtHand are the details of a stamp, where they are at hand: they may have the
// name that a single file was stamped under.
func (a *app) detailsAtHand(ctx context.Context, dir string, st *statement.Stamp) [][]byte {
	if st.Details == nil {
		return nil
	}
	data, err := a.documentOf(ctx, dir, *st.Details)
	if err != nil {
		if !errors.Is(err, solo.ErrWithheld) {
			a.term.Warnf("the details are left aside: %v", err)
		}
		return nil
	}
	return [][]byte{data}
}

// manifestOf is which of --manifest is the artifact's own, or empty.
func (g *gated) manifestOf(ctx context.Context, s *subjectOf) (string, error) {
	if s.parted() {
		return "", nil // a collection has none
	}
	for _, text := range g.o.manifests {
		m, _, err := manifestAt(ctx, text, g.o.flags.reach())
		if err != nil {
			return "", err
		}
		fp := m.fp
		m.close()
		if fp == s.fp {
			return text, nil
		}
	}
	return "", nil
}

// checkEvidence verifies what the ledger shows of the artifact, and of who
// approved and measured it, as anybody else would.
func (g *gated) checkEvidence(b ledger.Binding, c *account.Account, contents *evidence.Contents) error {
	claim := evidence.Claim{Entry: b.Entry, Name: b.Name, Version: b.Version, Fingerprint: b.Fingerprint}
	further, err := g.beside(c)
	if err != nil {
		return err
	}
	file, err := g.r.Evidence(claim, nil, further...)
	if err != nil {
		return err
	}
	past, proof, err := g.a.historyOf(g.r)
	if err != nil {
		return err
	}
	// What it was made of is judged by the ledger itself, as a release would be:
	// the signature of each of a thousand ancestors was checked when it was admitted,
	// and that they are in this log is checked with the lineage.
	v, trusted, err := g.a.verdictOn(file, evidence.Options{
		Now: g.a.now().UnixMilli(), MaxAge: milliseconds(g.o.maxAge), Name: b.Name, Version: b.Version, StampOnly: true,
		Contents: contents, Remembered: past, Proof: proof,
	})
	if err != nil {
		return err
	}
	if len(g.stamp.Members) > 0 {
		root, err := g.r.unfold(b, g.stamp)
		if err != nil {
			return err
		}
		members, err := g.r.judgeMembers(root)
		if err != nil {
			return err
		}
		withMembers(v, members)
	}
	if v.AsOf != nil {
		g.out.AsOf = &jsonv1.AsOf{Origin: v.AsOf.Origin, Ledger: v.AsOf.Ledger.String(), Size: v.AsOf.Size, Root: v.AsOf.Root}
		if v.AsOf.Time != 0 {
			g.out.AsOf.Time = jsonv1.At(v.AsOf.Time)
		}
	}
	g.fromVerdict(v, trusted)
	g.checkContents(v)
	g.checkFresh(v)
	return nil
}

// beside are the entries that a decision on the artifact rests on besides its
// stamp: who approved it for the stage and who measured it, as far as their word
// counts. At most maxBeside, the last ones.
func (g *gated) beside(c *account.Account) (entries []uint64, err error) {
	for i := range c.Decisions {
		if d := &c.Decisions[i]; d.Statement.Approval.Stage == g.o.stage && d.Counts(g.r.Book) {
			entries = append(entries, d.Index)
		}
	}
	if c.Evaluations, err = g.r.Said(g.ref, statement.KindEvaluation); err != nil {
		return nil, err
	}
	for _, s := range c.Evaluations {
		if g.r.Standing(s.Entry).OK {
			entries = append(entries, s.Index)
		}
	}
	slices.Sort(entries)
	return entries[max(0, len(entries)-maxBeside):], nil
}

// fromVerdict takes over the checks of evidence that are the gate's, too.
func (g *gated) fromVerdict(v *evidence.Verdict, trusted bool) {
	status := v.Exit()
	if status == exitHolds || v.Verdict == evidence.Withdrawn || v.Verdict == evidence.Tainted {
		status = exitUntrusted // of a check that was not reached
	}
	for _, c := range v.Checks {
		if slices.Contains(gateSkips, c.Name) {
			continue
		}
		if c.Name == evidence.CheckMembers && c.OK == evidence.Failed && v.Verdict == evidence.Withdrawn {
			continue // told with the lineage
		}
		check := report.Check{
			ID: "ledger/" + strings.ReplaceAll(c.Name, " ", "-"), Group: "ledger", Title: c.Name, Help: gateHelp[c.Name],
			Outcome: report.NotMade, Message: c.Detail, Required: slices.Contains(gateMandatory, c.Name),
		}
		switch c.OK {
		case evidence.Passed:
			check.Outcome = report.Passed
		case evidence.Failed:
			check.Outcome, check.Required = report.Failed, true
			if c.Name == evidence.CheckTrustedLog && !trusted {
				check.Hint = "get its trust file from whoever runs it, then `stele trust add FILE`, or --trust FILE"
			}
		}
		g.add(status, check)
	}
}

// gateMandatory are the checks without which nothing that the ledger shows means
// anything: evidence.Verify has the same ones.
var gateMandatory = []string{
	evidence.CheckFormat, evidence.CheckLedger, evidence.CheckControl, evidence.CheckTrustedLog, evidence.CheckCheckpoint,
	evidence.CheckIncluded, evidence.CheckSignature, evidence.CheckStanding, evidence.CheckClaim,
}

// checkContents tells what came of reading the data.
func (g *gated) checkContents(v *evidence.Verdict) {
	check := report.Check{
		ID: "contents/fingerprint", Group: "contents", Title: "contents", Outcome: report.NotMade,
		Help:    "The data that were given have the fingerprint that the artifact was stamped with: every byte of them was read.",
		Message: "no data was given, so its contents were not checked",
	}
	detail := ""
	for _, c := range v.Checks {
		if c.Name == evidence.CheckContents {
			detail = c.Detail
		}
	}
	if g.o.path != "" {
		check.Required, check.Message = true, detail
		switch v.Result(evidence.CheckContents) {
		case evidence.Passed:
			check.Outcome = report.Passed
			check.Message = fmt.Sprintf("%s: %s in %s, every byte as stamped", g.o.path, terminal.Bytes(g.stamp.Bytes), terminal.Plural(g.stamp.Files, "file"))
		case evidence.Failed:
			check.Outcome = report.Failed
			check.Hint = "get the artifact again from where it was stamped; if the change was meant, stamp it under a new version"
			if named := g.changesText(); named != "" {
				check.Message = named
			}
		}
	}
	g.demanded(gateContents, &check, "give the PATH of the data")
	g.add(g.statusFor(&check, exitTampered), check)
	g.checkLeftOut()
}

// checkLeftOut warns of what lies among the data and is no part of what was
// stamped: whoever deploys the folder deploys it, too.
func (g *gated) checkLeftOut() {
	check := report.Check{
		ID: "contents/left-out", Group: "contents", Title: "left out", Outcome: report.Warning,
		Help: "What lies among the data and was not stamped with them, by the stamp's ignore rules or its list, is not verified by anybody.",
		Hint: "deploy a copy without it; a guard does, with --pin copy",
	}
	switch {
	case g.out.Hidden > 0:
		check.Message = fmt.Sprintf("the stamp's ignore rules leave out %s in %s: not verified", terminal.Plural(g.out.Hidden, "path"), g.o.path)
	case g.o.path != "" && g.stamp.Listed:
		check.Message = "it was stamped as the files of a list: whatever else lies in " + g.o.path + " is not verified"
	default:
		return
	}
	g.add(exitTampered, check)
}

// changesText names what changed, as much as a line has room for.
func (g *gated) changesText() string {
	if g.out.Counts == nil || len(g.out.Changes) == 0 {
		return ""
	}
	var list []string
	for _, c := range g.out.Changes {
		list = append(list, c.Path+" ("+c.Change+")")
	}
	return fmt.Sprintf("%s is not what was stamped: %s: %s", g.o.path, countsText(*g.out.Counts), terminal.Some(list, 5))
}

// checkFresh tells how old the newest quorum of cosignatures is.
func (g *gated) checkFresh(v *evidence.Verdict) {
	check := report.Check{
		ID: "freshness/checkpoint", Group: "freshness", Title: "fresh", Outcome: report.NotMade, Required: g.o.maxAge > 0,
		Help: "A quorum of witnesses cosigned the checkpoint lately: the ledger is not an old copy from which a withdrawal is missing.",
	}
	for _, c := range v.Checks {
		if c.Name != evidence.CheckFresh {
			continue
		}
		check.Message = c.Detail
		switch c.OK {
		case evidence.Passed:
			check.Outcome = report.Passed
		case evidence.Failed:
			check.Outcome = report.Failed
			check.Hint = "ask the ledger's operator for a checkpoint that the witnesses cosigned lately"
		}
	}
	if check.Outcome == report.NotMade && g.o.maxAge > 0 {
		check.Hint = "a ledger without witnesses cannot show how old it is: name witnesses in the trust file, or leave out --max-age"
	}
	g.demanded(gateFresh, &check, "say how old it may be: --max-age 24h")
	g.add(g.statusFor(&check, exitUntrusted), check)
}

// demanded makes a check required where a flag or a contract asks for it.
func (g *gated) demanded(name string, c *report.Check, hint string) {
	by, ok := g.demand[name]
	if !ok && !slices.Contains(g.o.required, name) {
		return
	}
	c.Required = true
	if by != "" {
		c.Contract, c.Rule = by, name
	}
	switch c.Outcome {
	case report.Warning:
		c.Outcome = report.Failed
	case report.NotMade:
		if by != "" {
			c.Message = strings.TrimPrefix(c.Message+"; "+by+" asks for it", "; ")
		}
		if c.Hint == "" {
			c.Hint = hint
		}
	}
}

// statusFor is how the gate ends for a check: as failed says, or undecided where
// it was not made.
func (g *gated) statusFor(c *report.Check, failed int) int {
	if c.Outcome == report.NotMade {
		return exitNotFound
	}
	return failed
}

// lineageEntries are the entries that bind what is in a graph, and say what it
// was made of.
func lineageEntries(made *ledger.Lineage, graph *lineage.Graph) (map[uint64]bool, error) {
	entries := map[uint64]bool{}
	for _, n := range graph.Nodes {
		entries[n.Entry] = true
		for _, o := range n.Origins {
			if !o.Counts {
				continue
			}
			of, err := made.Artifact(o.Of.Name, o.Of.Version)
			if err != nil {
				return nil, err
			}
			entries[o.Entry], entries[of.Entry] = true, true
		}
	}
	return entries, nil
}
