package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// The words that --kind takes.
var (
	artifactKinds  = []string{statement.ArtifactDataset, statement.ArtifactModel, statement.ArtifactCode, statement.ArtifactOther}
	statementKinds = []string{string(statement.KindGenesis), string(statement.KindIdentity), string(statement.KindStamp),
		string(statement.KindRun), string(statement.KindEvaluation), string(statement.KindApproval), string(statement.KindRelease),
		string(statement.KindWithdrawal), string(statement.KindReinstatement), string(statement.KindAudit), string(statement.KindImport),
		string(statement.KindContract), string(statement.KindLogKey)}
)

// reading is what the ledger has, as of one view.
type reading struct {
	*account.Book
	ctx    context.Context // of the reading, for what lies with the ledger; nil: none
	newest *reading        // where this is an earlier one, as of what was cosigned: see cosigned
}

func (r *reading) context() context.Context {
	if r.ctx == nil {
		return context.Background()
	}
	return r.ctx
}

// subject says in a few words what a statement is about.
func subject(st *statement.Statement) string {
	switch {
	case st.Genesis != nil:
		return st.Genesis.Origin
	case st.Identity != nil:
		what := map[string]string{
			statement.ActionRegister: "registers " + st.Identity.Handle, statement.ActionRetire: "retires a key of " + st.Identity.Handle,
			statement.ActionCompromised: "a key of " + st.Identity.Handle + " is compromised",
		}[st.Identity.Action]
		if len(st.Identity.Roles) > 0 {
			what += " as " + strings.Join(st.Identity.Roles, ", ")
		}
		return what
	case st.Withdrawal != nil:
		return st.Subject[0].Name + " (" + st.Withdrawal.Target + ")"
	case st.Reinstatement != nil:
		return fmt.Sprintf("%s (ends %d)", st.Subject[0].Name, st.Reinstatement.Withdrawal)
	case st.Run != nil:
		return runSubject(st.Nonce, st.Run)
	case st.Evaluation != nil:
		return st.Subject[0].Name + " (" + metricsText(st.Evaluation.Metrics, 2) + ")"
	case st.Approval != nil:
		return st.Subject[0].Name + " " + decisionWord(st.Approval.Decision) + " for " + st.Approval.Stage
	case st.Release != nil:
		return st.Subject[0].Name + " " + releaseWords(st.Release)
	case st.Import != nil:
		return st.Subject[0].Name + " (" + st.Import.Format + ")"
	case st.Contract != nil:
		return contractSubject(st.Contract)
	case st.Audit != nil && st.Audit.Announcement != nil:
		return st.Subject[0].Name + " (announced)"
	case st.Audit != nil:
		return fmt.Sprintf("%s (%s, ends %d)", st.Subject[0].Name, st.Audit.Result.Outcome, st.Audit.Result.Announcement)
	}
	return st.Subject[0].Name
}

// entryJSON is an entry as `log` and `show` print it.
func (r *reading) entryJSON(e *evidence.Entry, st *statement.Statement) jsonv1.Entry {
	id := e.Envelope.ID()
	hash := e.LeafHash()
	out := jsonv1.Entry{
		Entry: e.Index, Time: jsonv1.At(e.Time), Kind: string(st.Kind), Subject: subject(st), Signer: r.Signer(e),
		Standing: r.Standing(e).State, Statement: id.String(), Leaf: base64.StdEncoding.EncodeToString(hash[:]),
	}
	if st.Run != nil {
		out.Run = st.Nonce.String()
	}
	return out
}

func (r *reading) withdrawalsJSON(ref statement.Ref) []jsonv1.Withdrawal {
	var out []jsonv1.Withdrawal
	for _, w := range r.Control.Withdrawals(ref) {
		out = append(out, jsonv1.Withdrawal{Entry: w.Entry, Target: w.Target, Effect: w.Effect, Reason: w.Reason, EndedBy: w.EndedBy, Counts: w.Void == ""})
	}
	return out
}

// signedBy writes a signer for a person.
func signedBy(s jsonv1.Signer) string {
	if s.Handle == "" {
		return "key " + shortKey(s.Key)
	}
	if d := s.Delegation; d != nil {
		return fmt.Sprintf("%s (%s, through key %s)", s.Handle, d.Subject, shortKey(s.Key))
	}
	return s.Handle + " (key " + shortKey(s.Key) + ")"
}

func shortKey(id string) string { return id[:min(len(id), 12)] }

// entryText writes the number of an entry, which is a name and no amount: as it is
// typed.
func entryText(entry uint64) string { return strconv.FormatUint(entry, 10) }

// isEntry reports whether a moment is given as an entry, and not as a time.
func isEntry(text string) bool {
	_, err := strconv.ParseUint(text, 10, 64)
	return err == nil
}

// The standings of an artifact, the worst last but one.
const (
	standingGood      = lineage.Good
	standingTainted   = lineage.Tainted
	standingWithdrawn = lineage.Withdrawn
	standingUntrusted = lineage.Untrusted
	standingUnknown   = lineage.Unknown // its lineage is too large to be walked, or cannot be read
)

// standingStyle colours a standing.
func standingStyle(standing string) terminal.Style {
	if standing == standingGood {
		return terminal.Good
	}
	return terminal.Bad
}

// exitOf is how a command ends that stands on an artifact of that standing.
func exitOf(standing string) int {
	switch standing {
	case standingGood:
		return exitHolds
	case standingUntrusted:
		return exitUntrusted
	case standingWithdrawn, standingTainted:
		return exitRefused
	}
	return exitError // its lineage is too large: never 0 when unsure
}

// timeOf writes a time of --json in the person's zone.
func (a *app) timeOf(t jsonv1.Time) string { return a.term.TimeText(string(t)) }
