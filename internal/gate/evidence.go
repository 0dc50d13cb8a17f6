package gate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/report"
	"github.com/stele-ml/stele/internal/terminal"
)

// help says what the checks of evidence are for: in a viewer of reports they stand
// without the manual.
var help = map[string]string{
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

// own are checks of evidence that the gate makes in its own words, or that are
// about what nobody gave it.
var own = []string{
	evidence.CheckFresh, evidence.CheckNotWithdrawn, evidence.CheckLineage, evidence.CheckNotTainted, evidence.CheckContents, evidence.CheckReleased,
	evidence.CheckPathPresent, evidence.CheckPathAbsent, evidence.CheckAbsentFromAll, evidence.CheckRange, evidence.CheckAttachments,
}

// mandatory are the checks without which nothing that the ledger shows means
// anything: evidence.Verify has the same ones.
var mandatory = []string{
	evidence.CheckFormat, evidence.CheckLedger, evidence.CheckControl, evidence.CheckTrustedLog, evidence.CheckCheckpoint,
	evidence.CheckIncluded, evidence.CheckSignature, evidence.CheckStanding, evidence.CheckClaim,
}

// maxBeside is how many entries about the artifact are verified with its stamp, the
// last ones.
const maxBeside = 1_000

// checkEvidence has verified what the ledger shows of the artifact, and of who
// approved and measured it, as anybody else would. What it was made of is judged by
// the ledger itself, as a release would be: the signature of each of a thousand
// ancestors was checked when it was admitted, and that they are in this log is
// checked with the lineage.
func (g *Gate) checkEvidence(trust Trust) error {
	v, trusted, err := trust(g.beside())
	if err != nil {
		return err
	}
	g.fromVerdict(v, trusted)
	g.checkContents(v)
	g.checkFresh(v)
	return nil
}

// beside are the entries that a decision on the artifact rests on besides its
// stamp: who approved it for the stage and who measured it, as far as their word
// counts.
func (g *Gate) beside() (entries []uint64) {
	c := g.Account
	for i := range c.Decisions {
		if d := &c.Decisions[i]; d.Statement.Approval.Stage == g.Question.Stage && d.Counts(g.book) {
			entries = append(entries, d.Index)
		}
	}
	for _, s := range c.Evaluations {
		if g.book.Standing(s.Entry).OK {
			entries = append(entries, s.Index)
		}
	}
	slices.Sort(entries)
	return entries[max(0, len(entries)-maxBeside):]
}

// classOf is how a gate ends for checks of evidence, by its verdict: those that are
// required and do not hold, where the verdict is of other checks, were not reached.
func classOf(o evidence.Outcome) Class {
	switch o {
	case evidence.Tampered:
		return Tampered
	case evidence.Unknown:
		return Undecided
	case evidence.Untrusted, evidence.Verified, evidence.Sampled, evidence.Withdrawn, evidence.Tainted:
		return Untrusted
	}
	return Error
}

// fromVerdict takes over the checks of evidence that are the gate's, too.
func (g *Gate) fromVerdict(v *evidence.Verdict, trusted bool) {
	for _, c := range v.Checks {
		if slices.Contains(own, c.Name) {
			continue
		}
		if c.Name == evidence.CheckMembers && c.OK == evidence.Failed && v.Verdict == evidence.Withdrawn {
			continue // told with the lineage
		}
		check := report.Check{
			ID: "ledger/" + strings.ReplaceAll(c.Name, " ", "-"), Group: "ledger", Title: c.Name, Help: help[c.Name],
			Outcome: report.NotMade, Message: c.Detail, Required: slices.Contains(mandatory, c.Name),
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
		g.add(classOf(v.Verdict), check)
	}
}

// detailOf is what evidence says of a check.
func detailOf(v *evidence.Verdict, name string) (detail string) {
	for _, c := range v.Checks {
		if c.Name == name {
			detail = c.Detail
		}
	}
	return detail
}

// checkContents tells what came of reading the data.
func (g *Gate) checkContents(v *evidence.Verdict) {
	path := g.Question.Path
	check := report.Check{
		ID: "contents/fingerprint", Group: "contents", Title: "contents", Outcome: report.NotMade,
		Help:    "The data that were given have the fingerprint that the artifact was stamped with: every byte of them was read.",
		Message: "no data was given, so its contents were not checked",
	}
	if path != "" {
		check.Required, check.Message = true, detailOf(v, evidence.CheckContents)
		switch v.Result(evidence.CheckContents) {
		case evidence.Passed:
			stamp := g.Account.Stamp
			check.Outcome = report.Passed
			check.Message = fmt.Sprintf("%s: %s in %s, every byte as stamped", path, terminal.Bytes(stamp.Bytes), terminal.Plural(stamp.Files, "file"))
		case evidence.Failed:
			check.Outcome = report.Failed
			check.Hint = "get the artifact again from where it was stamped; if the change was meant, stamp it under a new version"
			if g.found.Changes != "" {
				check.Message = path + " is not what was stamped: " + g.found.Changes
			}
		}
	}
	g.demand(contract.GateContents, &check, "give the PATH of the data")
	g.add(unless(&check, Tampered), check)
	g.checkLeftOut()
}

// checkLeftOut warns of what lies among the data and is no part of what was
// stamped: whoever deploys the folder deploys it, too.
func (g *Gate) checkLeftOut() {
	path := g.Question.Path
	check := report.Check{
		ID: "contents/left-out", Group: "contents", Title: "left out", Outcome: report.Warning,
		Help: "What lies among the data and was not stamped with them, by the stamp's ignore rules or its list, is not verified by anybody.",
		Hint: "deploy a copy without it; a guard does, with --pin copy",
	}
	switch {
	case g.found.Hidden > 0:
		check.Message = fmt.Sprintf("the stamp's ignore rules leave out %s in %s: not verified", terminal.Plural(g.found.Hidden, "path"), path)
	case path != "" && g.Account.Stamp.Listed:
		check.Message = "it was stamped as the files of a list: whatever else lies in " + path + " is not verified"
	default:
		return
	}
	g.add(Tampered, check)
}

// checkFresh tells how old the newest quorum of cosignatures is.
func (g *Gate) checkFresh(v *evidence.Verdict) {
	check := report.Check{
		ID: "freshness/checkpoint", Group: "freshness", Title: "fresh", Outcome: report.NotMade, Required: g.Question.Aged,
		Help:    "A quorum of witnesses cosigned the checkpoint lately: the ledger is not an old copy from which a withdrawal is missing.",
		Message: detailOf(v, evidence.CheckFresh),
	}
	for _, c := range v.Checks {
		switch {
		case c.Name != evidence.CheckFresh:
		case c.OK == evidence.Passed:
			check.Outcome = report.Passed
		case c.OK == evidence.Failed:
			check.Outcome = report.Failed
			check.Hint = "ask the ledger's operator for a checkpoint that the witnesses cosigned lately"
		}
	}
	if check.Outcome == report.NotMade && g.Question.Aged {
		check.Hint = "a ledger without witnesses cannot show how old it is: name witnesses in the trust file, or leave out --max-age"
	}
	g.demand(contract.GateFresh, &check, "say how old it may be: --max-age 24h")
	g.add(unless(&check, Untrusted), check)
}
