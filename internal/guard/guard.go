// Package guard decides whether a model may be served: whether what is known of it
// and of its release, at one moment of a ledger, allows that; and keeps the notes by
// which its files are known again.
//
// It reads no ledger and starts nothing: evidence that was verified comes in.
package guard

import (
	"fmt"
	"slices"
	"time"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// Model is a model that is to be served.
type Model struct {
	Name, Version string
	Stage         string // that it must have been released to
	Offline       bool   // what is known of it comes from a file
}

func (m *Model) what() string { return m.Name + "@" + m.Version }

// Known is what is known of a model at one moment.
type Known struct {
	Verdict   *evidence.Verdict  // of its evidence: of it, what it was made of and its release
	Trusted   bool               // a key of its log is pinned
	Judged    *lineage.Judgement // of it; nil: that was not reached
	Witnessed bool               // a quorum of witnesses is asked for: then the verdict bounds how old it is
	Seen      uint64             // entries that this person has seen of the log before; 0: none
}

// Standing is what it rests on that a model may be served.
type Standing struct {
	Release  *evidence.Release
	AsOf     *evidence.AsOf
	Judged   *lineage.Judgement
	Warnings []string // what forbids nothing, and a strict guard refuses for
	Notes    []string // what nobody refuses for
}

// Refusal says why a model must not be served.
type Refusal struct {
	Exit    int // the status, as evidence.Outcome has them
	Message string
	Help    string  // what to do, or empty
	Entry   *uint64 // that it rests on, or nil
	Rule    ledger.Rule
	About   bool // the evidence is at fault: where it lies helps whoever reads this
}

func (r *Refusal) Error() string { return r.Message }

// Hint says what to do.
func (r *Refusal) Hint() string { return r.Help }

// The statuses that no verdict of evidence stands for.
const (
	failed  = 1 // it could not be decided
	refused = 4 // a rule forbids it
)

func refuse(exit int, format string, args ...any) *Refusal {
	return &Refusal{Exit: exit, Message: fmt.Sprintf(format, args...)}
}

func (r *Refusal) hint(text string) *Refusal      { r.Help = text; return r }
func (r *Refusal) at(entry uint64) *Refusal       { r.Entry = &entry; return r }
func (r *Refusal) rule(rule ledger.Rule) *Refusal { r.Rule = rule; return r }
func (r *Refusal) ofEvidence() *Refusal           { r.About = true; return r }

// Judge says what it rests on that a model may be served, or refuses that. maxAge
// bounds how old what is known may be, 0: nothing does; now is this machine's clock,
// Unix ms.
func (m *Model) Judge(k *Known, maxAge time.Duration, now int64) (*Standing, error) {
	v := k.Verdict
	if !k.Trusted && v.AsOf != nil {
		return nil, refuse(evidence.Untrusted.Exit(), "the log %s is not trusted: no key is pinned for it", v.AsOf.Origin).
			hint("get its trust file from whoever runs it, by a way you trust, then `stele trust add FILE`, or --trust FILE")
	}
	if r := m.acceptable(v, k.Judged); r != nil {
		return nil, r
	}
	if v.Result(evidence.CheckReleased) != evidence.Passed || v.Release == nil || v.AsOf == nil || k.Judged == nil {
		return nil, refuse(failed, "%s: what is known of its release could not be told", m.what())
	}
	if !k.Witnessed {
		if r := m.recent(v.AsOf, maxAge, now); r != nil {
			return nil, r
		}
	}
	s := &Standing{Release: v.Release, AsOf: v.AsOf, Judged: k.Judged}
	if maxAge == 0 && m.Offline {
		s.warn("%s: no --max-age bounds how old the evidence is: what was withdrawn since is not known", m.what())
	}
	if k.Seen > v.AsOf.Size {
		s.warn("%s: the evidence knows %s of %s, and you have seen %s", m.what(), terminal.Plural(v.AsOf.Size, "entry", "entries"), v.AsOf.Origin, terminal.Count(k.Seen))
	}
	if r := m.weigh(s); r != nil {
		return nil, r
	}
	return s, nil
}

func (s *Standing) warn(format string, args ...any) {
	s.Warnings = append(s.Warnings, fmt.Sprintf(format, args...))
}

// tolerated are the checks that a withdrawal fails, of whatever effect: weigh looks
// at the effect.
var tolerated = []string{evidence.CheckNotWithdrawn, evidence.CheckNotTainted, evidence.CheckMembers}

// acceptable refuses a verdict by which a model must not be served, whatever the
// effects of the withdrawals are.
func (m *Model) acceptable(v *evidence.Verdict, judged *lineage.Judgement) *Refusal {
	switch v.Verdict {
	case evidence.Verified, evidence.Sampled:
		return nil
	case evidence.Withdrawn, evidence.Tainted, evidence.Tampered, evidence.Untrusted, evidence.Unknown:
	default:
		return refuse(failed, "%s: the verdict %q is not known here", m.what(), v.Verdict)
	}
	takenBack := v.Verdict == evidence.Withdrawn || v.Verdict == evidence.Tainted
	known := judged != nil && (judged.Taint != nil || len(judged.Members) > 0 || len(judged.Artifact.Withdrawals) > 0)
	for i := range v.Checks {
		c := &v.Checks[i]
		switch {
		case c.OK != evidence.Failed:
		case c.Name == evidence.CheckReleased && (takenBack || v.Verdict == evidence.Unknown):
			return refuse(refused, "%s is not in %s, as far as the evidence goes: %s", m.what(), m.Stage, c.Detail).ofEvidence().
				hint("`stele prove " + m.what() + " --stage " + m.Stage + "` makes evidence of the release")
		case !slices.Contains(tolerated, c.Name), !takenBack, !known:
			return refuse(max(v.Exit(), failed), "%s is %s: %s: %s", m.what(), account.OutcomeText(v.Verdict), c.Name, terminal.Brief(c.Detail)).ofEvidence()
		}
	}
	if takenBack {
		return nil
	}
	return refuse(max(v.Exit(), failed), "%s is %s", m.what(), account.OutcomeText(v.Verdict)).ofEvidence()
}

// weigh looks at what is against a model by its effect.
func (m *Model) weigh(s *Standing) *Refusal {
	j := s.Judged
	if len(j.Fallen) > 0 {
		return refuse(evidence.Untrusted.Exit(), "%s is untrusted: %s", m.what(), account.FallText(&j.Fallen[0])).at(j.Fallen[0].Artifact.Entry)
	}
	if j.Unknown {
		return refuse(failed, "%s: %s", m.what(), account.WrongText(j)).hint("nothing was started: what was not looked at may be withdrawn")
	}
	for i := range j.Artifact.Withdrawals {
		w := &j.Artifact.Withdrawals[i]
		if r := s.effect(w, m.what()+" is "+account.WithdrawalText(w)); r != nil {
			return r
		}
	}
	for i := range j.Members {
		if r := s.effect(&j.Members[i].Withdrawal, m.what()+" is a collection: "+account.MemberText(&j.Members[i])); r != nil {
			return r
		}
	}
	if j.Taint == nil {
		return nil
	}
	worst := j.Taint.Worst()
	text := m.what() + " is tainted: made of " + account.WorstText(j.Taint)
	if n := len(j.Taint.Causes) + j.Taint.More - 1; n > 0 {
		text += fmt.Sprintf(" (and %s more)", terminal.Count(uint64(n)))
	}
	return s.effect(&worst.Withdrawal, text)
}

// effect does what a withdrawal asks of whoever serves what was released before it.
// An effect that is not known stops, too.
func (s *Standing) effect(w *lineage.Withdrawal, text string) *Refusal {
	switch w.Effect {
	case statement.EffectAdvise:
		s.Notes = append(s.Notes, text)
		return nil
	case statement.EffectNoNewUse:
		s.Warnings = append(s.Warnings, text)
		return nil
	}
	return refuse(refused, "%s", text).at(w.Entry).rule(ledger.RuleWithdrawn).
		hint("nothing was started; `stele rollback` returns to what was in the stage before")
}

// maxClockSkew is how far ahead of this machine's clock the ledger's may be.
const maxClockSkew = 5 * time.Minute

// recent bounds how old what is known may be, where no witnesses say when the log
// was last seen: by the time of its last entry, which the ledger claims. A ledger to
// which nothing is written looks old by that, and never young.
func (m *Model) recent(at *evidence.AsOf, maxAge time.Duration, now int64) *Refusal {
	age := time.Duration(now-at.Time) * time.Millisecond
	hint := "nothing was started; "
	if m.Offline {
		hint += "ask for newer evidence. Without witnesses its age counts from the last entry in the log"
	} else {
		hint += "without witnesses the age counts from the last entry in the log"
	}
	switch {
	case age < -maxClockSkew && (maxAge > 0 || m.Offline):
		return refuse(evidence.Untrusted.Exit(), "%s: the log's last entry is still to come by this machine's clock, in %s", m.what(), ageText(-age)).ofEvidence().
			hint("set the clock: how old this is cannot be told")
	case maxAge > 0 && age > maxAge:
		return refuse(evidence.Untrusted.Exit(), "%s: what is known of the log is %s old, and --max-age allows %s", m.what(), ageText(age), maxAge).ofEvidence().hint(hint)
	}
	return nil
}

// ageText writes a length of time for people, in the largest units.
func ageText(d time.Duration) string {
	switch d = max(d, 0); {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d days", int(d.Hours()/24))
	case d >= time.Hour:
		return fmt.Sprintf("%d h %d min", int(d.Hours()), int(d.Minutes())%60)
	case d >= time.Minute:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	}
	return fmt.Sprintf("%d s", int(d.Seconds()))
}
