package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// guardStanding is what a ledger, or evidence, says of a model that is to be
// served.
type guardStanding struct {
	release jsonv1.GuardRelease
	asOf    jsonv1.AsOf
	judged  *lineage.Judgement
}

// guardClaim is evidence of a model and its release, and what this person saw of
// the log before.
type guardClaim struct {
	file  *evidence.File
	past  evidence.Remembered
	proof tlog.TreeProof
	large *lineage.Judgement // what the ledger says of a lineage that is too large for evidence
}

// standing finds what is known of all models, at one moment of the ledger, and
// refuses what must not be served.
func (g *guarding) standing(ctx context.Context) error {
	if len(g.order.evidence) > 0 {
		for _, m := range g.order.models {
			past, err := g.app.remembered(m.file.Ledger)
			if err != nil {
				return err
			}
			if err := g.judge(m, &guardClaim{file: m.file, past: past}); err != nil {
				return err
			}
		}
		return nil
	}
	return g.app.readAt(ctx, g.dir, func(r *reading) error {
		for _, m := range g.order.models {
			c, err := g.claimOn(r, m)
			if err != nil {
				return err
			}
			if err := g.judge(m, c); err != nil {
				return err
			}
		}
		return nil
	})
}

// claimOn makes the evidence that `stele prove --stage` would write: there is one
// verifier, and it is asked the same on a ledger as offline.
func (g *guarding) claimOn(r *reading, m *guardModel) (*guardClaim, error) {
	b, err := r.binding(m.name, m.version)
	if err != nil {
		return nil, err
	}
	release, err := r.releaseTo(b.Ref(), g.order.stage)
	if err != nil {
		return nil, err
	}
	c := new(guardClaim)
	claim, further, large, err := r.lineageClaim(b)
	if err != nil {
		return nil, err
	}
	c.large = large
	further = append(slices.Clone(further), b.Entry, release)
	slices.Sort(further)
	if c.file, err = r.Evidence(claim, nil, slices.Compact(further)...); err != nil {
		return nil, err
	}
	c.past, c.proof, err = g.app.historyOf(r)
	return c, err
}

// releaseTo is the entry by which an artifact is in a stage. One that is not in
// it is refused, with what is known.
func (r *reading) releaseTo(ref statement.Ref, stage string) (uint64, error) {
	in, err := r.Released(stage)
	if err != nil {
		return 0, err
	}
	for _, p := range in {
		if p.Ref == ref {
			return p.Entry, nil
		}
	}
	f := failf(exitRefused, "%s is not in %s", ref, stage)
	f.rule = string(ledger.RuleStage)
	for c, err := range r.StageHistory(stage, ref.Name) {
		if err != nil {
			return 0, err
		}
		if c.Ref == ref && c.Action == statement.ActionLeave {
			f.message = fmt.Sprintf("%s is not in %s: entry %d took it out", ref, stage, c.Entry)
			f = f.withEntry(c.Entry)
		}
	}
	stages, err := r.StagesOf(ref)
	if err != nil {
		return 0, err
	}
	if len(stages) > 0 && f.entry == nil {
		f.message += fmt.Sprintf(": it was released to %s, with entry %d", stages[0].Name, stages[0].Entry)
	}
	return 0, f.withHint("`stele status --stage " + stage + "` shows what is; `stele release` puts it there")
}

// judge verifies a claim, and refuses what must not be served.
func (g *guarding) judge(m *guardModel, c *guardClaim) error {
	a, o := g.app, g.order
	cp, _, err := evidence.ReadCheckpoint(c.file.Checkpoint)
	if err != nil {
		return failf(exitTampered, "%w", err)
	}
	policy, _, err := a.policyFor(cp.Origin)
	if err != nil {
		return err
	}
	now := a.now().UnixMilli()
	opts := evidence.Options{Now: now, Name: m.name, Version: m.version, Stage: o.stage, Remembered: c.past, Proof: c.proof, StampOnly: c.large != nil}
	witnessed := policy != nil && policy.Quorum != evidence.QuorumNone
	if witnessed {
		opts.MaxAge = milliseconds(o.maxAge)
	}
	v, trusted, err := a.verdictOn(c.file, opts)
	if err != nil {
		return err
	}
	judged := v.Judged
	if c.large != nil {
		withLarge(v, c.large)
		judged = c.large
	}
	if !trusted && v.AsOf != nil {
		return failf(exitUntrusted, "the log %s is not trusted: no key is pinned for it", v.AsOf.Origin).
			withHint("get its trust file from whoever runs it, by a way you trust, then `stele trust add FILE`, or --trust FILE")
	}
	if err := g.acceptable(m, v, judged); err != nil {
		return err
	}
	if v.Result(evidence.CheckReleased) != evidence.Passed || v.Release == nil || v.AsOf == nil || judged == nil {
		return failf(exitError, "%s: what is known of its release could not be told", m.what())
	}
	if !witnessed {
		if err := g.recent(m, v.AsOf, now); err != nil {
			return err
		}
	}
	if o.maxAge == 0 && len(o.evidence) > 0 {
		g.warn(fmt.Sprintf("%s: no --max-age bounds how old the evidence is: what was withdrawn since is not known", m.what()))
	}
	if err := g.behind(m, v.AsOf, c.past); err != nil {
		return err
	}
	m.standing = &guardStanding{
		release: jsonv1.GuardRelease{Entry: v.Release.Entry, Time: jsonv1.At(v.Release.Time), Signer: jsonv1.Signer{Handle: v.Release.Handle, Key: v.Release.Signer.String()}},
		asOf:    jsonv1.AsOf{Origin: v.AsOf.Origin, Ledger: v.AsOf.Ledger.String(), Size: v.AsOf.Size, Root: v.AsOf.Root, Time: jsonv1.At(v.AsOf.Time)},
		judged:  judged,
	}
	return g.weigh(m, judged)
}

// tolerated are the checks that a withdrawal fails, of whatever effect: weigh
// looks at the effect.
var tolerated = []string{evidence.CheckNotWithdrawn, evidence.CheckNotTainted, evidence.CheckMembers}

// acceptable refuses a verdict by which a model must not be served, whatever the
// effects of the withdrawals are.
func (g *guarding) acceptable(m *guardModel, v *evidence.Verdict, judged *lineage.Judgement) error {
	refused := func(status int, c *evidence.Check) *failure {
		return failf(status, "%s is %s: %s: %s", m.what(), verdictWords[v.Verdict].text, c.Name, brief(c.Detail)).withPath(m.source())
	}
	known := judged != nil && (judged.Taint != nil || len(judged.Members) > 0 || len(judged.Artifact.Withdrawals) > 0)
	switch v.Verdict {
	case evidence.Verified, evidence.Sampled:
		return nil
	case evidence.Withdrawn, evidence.Tainted, evidence.Tampered, evidence.Untrusted, evidence.Unknown:
	default:
		return failf(exitError, "%s: the verdict %q is not known here", m.what(), v.Verdict)
	}
	for i := range v.Checks {
		c := &v.Checks[i]
		switch {
		case c.OK != evidence.Failed:
		case c.Name == evidence.CheckReleased && v.Verdict == evidence.Unknown:
			return failf(exitRefused, "%s is not in %s, as far as the evidence goes: %s", m.what(), g.order.stage, c.Detail).withPath(m.source()).
				withHint("`stele prove " + m.what() + " --stage " + g.order.stage + "` makes evidence of the release")
		case !slices.Contains(tolerated, c.Name), v.Verdict != evidence.Withdrawn && v.Verdict != evidence.Tainted, !known:
			return refused(max(v.Exit(), exitError), c)
		}
	}
	if v.Verdict == evidence.Withdrawn || v.Verdict == evidence.Tainted {
		return nil
	}
	return failf(max(v.Exit(), exitError), "%s is %s", m.what(), verdictWords[v.Verdict].text).withPath(m.source())
}

// weigh looks at what is against a model by its effect.
func (g *guarding) weigh(m *guardModel, j *lineage.Judgement) error {
	if len(j.Fallen) > 0 {
		return failf(exitUntrusted, "%s is untrusted: %s", m.what(), account.FallText(&j.Fallen[0])).withEntry(j.Fallen[0].Artifact.Entry)
	}
	if j.Unknown {
		return failf(exitError, "%s: %s", m.what(), account.WrongText(j)).withHint("nothing was started: what was not looked at may be withdrawn")
	}
	for i := range j.Artifact.Withdrawals {
		w := &j.Artifact.Withdrawals[i]
		if err := g.effect(w, fmt.Sprintf("%s is %s", m.what(), account.WithdrawalText(w))); err != nil {
			return err
		}
	}
	for i := range j.Members {
		if err := g.effect(&j.Members[i].Withdrawal, m.what()+" is a collection: "+account.MemberText(&j.Members[i])); err != nil {
			return err
		}
	}
	if j.Taint == nil {
		return nil
	}
	worst := j.Taint.Worst()
	text := fmt.Sprintf("%s is tainted: made of %s", m.what(), account.WorstText(j.Taint))
	if n := len(j.Taint.Causes) + j.Taint.More - 1; n > 0 {
		text += fmt.Sprintf(" (and %s more)", terminal.Count(uint64(n)))
	}
	return g.effect(&worst.Withdrawal, text)
}

// effect does what a withdrawal asks of whoever serves what was released before
// it. An effect that is not known stops, too.
func (g *guarding) effect(w *lineage.Withdrawal, text string) error {
	switch w.Effect {
	case statement.EffectAdvise:
		g.note(text)
		return nil
	case statement.EffectNoNewUse:
		g.warn(text)
		return nil
	}
	f := failf(exitRefused, "%s", text).withEntry(w.Entry).withHint("nothing was started; `stele rollback` returns to what was in the stage before")
	f.rule = string(ledger.RuleWithdrawn)
	return f
}

// maxClockSkew is how far ahead of this machine's clock the ledger's may be.
const maxClockSkew = 5 * time.Minute

// recent bounds how old what is known may be, where no witnesses say when the
// log was last seen: by the time of its last entry, which the ledger claims. A
// ledger to which nothing is written looks old by that, and never young.
func (g *guarding) recent(m *guardModel, at *evidence.AsOf, now int64) error {
	limit := g.order.maxAge
	age := time.Duration(now-at.Time) * time.Millisecond
	switch {
	case age < -maxClockSkew && (limit > 0 || len(g.order.evidence) > 0):
		return failf(exitUntrusted, "%s: the log's last entry is from %s, which is still to come by this machine's clock", m.what(), g.app.term.Time(at.Time)).
			withPath(m.source()).withHint("set the clock: how old this is cannot be told")
	case limit > 0 && age > limit:
		return failf(exitUntrusted, "%s: what is known of the log is %s old, and --max-age allows %s", m.what(), ageText(age), limit).withPath(m.source()).
			withHint(g.older())
	}
	return nil
}

func (g *guarding) older() string {
	if len(g.order.evidence) > 0 {
		return "nothing was started; ask for newer evidence. Without witnesses its age counts from the last entry in the log"
	}
	return "nothing was started; without witnesses the age counts from the last entry in the log"
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

// behind warns of evidence that is older than what this person saw of the log.
func (g *guarding) behind(m *guardModel, at *evidence.AsOf, past evidence.Remembered) error {
	if len(past.Signed) == 0 {
		return nil
	}
	seen, _, err := evidence.ReadCheckpoint(past.Signed)
	if err != nil {
		return err
	}
	if seen.Size > at.Size {
		g.warn(fmt.Sprintf("%s: the evidence knows %s of %s, and you have seen %s", m.what(),
			terminal.Plural(at.Size, "entry", "entries"), at.Origin, terminal.Count(seen.Size)))
	}
	return nil
}

// readEvidence reads the evidence files, and gives each to the model that it is
// about.
func (g *guarding) readEvidence() error {
	for _, name := range g.order.evidence {
		if err := exists(name); err != nil {
			return err
		}
		data, err := g.app.readIn(name, evidence.MaxFile)
		if err != nil {
			return err
		}
		f, err := evidence.Parse(data)
		if err != nil {
			return failf(exitTampered, "evidence %s: %w", name, err).withPath(name).
				withHint("the file was altered or cut short; ask for it again")
		}
		about := f.Claim.Ref().String()
		i := slices.IndexFunc(g.order.models, func(m *guardModel) bool { return m.what() == about })
		switch {
		case i < 0:
			return failf(exitNotFound, "evidence %s is about %s, and not about %s", name, about, g.order.names()).withPath(name)
		case g.order.models[i].file != nil:
			return usagef("--evidence %s and %s are both about %s", g.order.models[i].evidence, name, about)
		}
		g.order.models[i].evidence, g.order.models[i].file = name, f
	}
	for _, m := range g.order.models {
		if m.file == nil {
			return failf(exitNotFound, "no evidence is about %s", m.what()).withHint("--evidence FILE for each model")
		}
	}
	return nil
}

func (o *guardOrder) names() string {
	var names []string
	for _, m := range o.models {
		names = append(names, m.what())
	}
	return strings.Join(names, ", ")
}
