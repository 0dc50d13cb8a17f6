package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/foresight"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/statement"
)

// Approvals and releases are made after a look: what was shown is what is
// signed, and its "after" names the last entry that was seen. Whatever comes to
// the ledger between the two, the statement is refused for it, so that two
// people cannot cross.

// decideFlags are the flags of all verbs that decide something.
type decideFlags struct {
	stage, reason string
	after         int64 // the last entry that the author saw; -1: what the look shows
	dryRun, yes   bool
}

func (f *decideFlags) register(c *cobra.Command) {
	c.Flags().StringVar(&f.stage, "stage", "", "the `stage`, for example production; required")
	c.Flags().StringVar(&f.reason, "reason", "", "one line, public and for ever")
	registerAfter(c, &f.after)
	c.Flags().BoolVarP(&f.dryRun, "dry-run", "n", false, "show what would be signed; write nothing")
	c.Flags().BoolVarP(&f.yes, "yes", "y", false, "do not ask")
}

// registerAfter is the flag for scripts whose author has looked before.
func registerAfter(c *cobra.Command, after *int64) {
	takesEntry(c, after, "after", "the last `entry` that you saw, as --dry-run --json tells it; refused if there is a later one")
}

func (f *decideFlags) check(verb string) error {
	if f.stage == "" {
		return usagef("%s needs --stage", verb).withHint("for example --stage production")
	}
	if err := statement.CheckStage(f.stage); err != nil {
		return usagef("--stage: %v", err)
	}
	return checkReason(f.reason)
}

func checkReason(reason string) error {
	if reason == "" {
		return nil
	}
	if err := statement.CheckText("--reason", reason, statement.MaxReason); err != nil {
		return usagef("%v", err)
	}
	return nil
}

// planned is a decision that can be shown and signed.
type planned struct {
	st       *statement.Statement
	account  *account.Account // of its subject
	in       []account.Placed // what is in the stage
	skipped  []jsonv1.Skipped // of a rollback
	concerns []string         // what a person should know first: then the answer is not yes by itself
	notes    []string         // what may be meant
	refusal  error            // why the ledger would not take it, or nil
	tried    foresight.Answer // what contracts would say of it
	control  uint64           // how many control entries there were
	question string
	who      jsonv1.Signer // who decides, or has decided so already
	origin   string

	done       *evidence.Entry // it is on the ledger already, as its author's last word
	checkpoint []byte          // then: the one it is under
	already    string          // and how that is told
}

// decide looks, shows, asks and signs.
func (a *app) decide(ctx context.Context, f *decideFlags, plan func(*reading) (*planned, error)) error {
	dir, signer, closeSigner, err := a.decider(ctx, f)
	if err != nil {
		return err
	}
	defer closeSigner()
	l := look{decideFlags: f, asks: !f.yes && !a.json && !f.dryRun && a.term.CanAsk()}
	if signer != nil {
		l.by = authorOf(signer)
	}
	var p *planned
	err = a.readAt(ctx, dir, func(r *reading) error {
		if p, err = plan(r); err != nil {
			return err
		}
		return a.look(r, p, l)
	})
	if err != nil {
		return err
	}
	if p.done != nil {
		return a.printDecided(p, &solo.Proof{Receipt: ledger.Receipt{Index: p.done.Index, Time: p.done.Time, Existed: true}, Checkpoint: p.checkpoint})
	}
	if f.dryRun {
		return a.printDecided(p, nil)
	}
	if l.asks {
		ok, err := a.term.Confirm(ctx, p.question, len(p.concerns) == 0)
		if err != nil {
			return err
		}
		if !ok {
			return failf(exitError, "nothing was signed")
		}
	}
	if a.looked != nil {
		a.looked()
	}
	proof, err := a.submit(ctx, dir, signer, func(r *reading) (*statement.Statement, error) { return p.st, p.unchanged(r) })
	if err != nil {
		return crossed(err)
	}
	return a.printDecided(p, proof)
}

// look is how a decision is looked at.
type look struct {
	*decideFlags
	by   author // nobody, for whoever only looks
	asks bool   // somebody is asked before it is signed
}

// shows reports whether the decision is shown before anything is signed.
func (l look) shows() bool { return l.asks || l.dryRun }

// look completes what is planned by what the ledger knows, shows it, and fails
// where it would be refused.
func (a *app) look(r *reading, p *planned, l look) (err error) {
	p.who, p.origin = r.signerBy(l.by), r.Origin()
	if p.done == nil {
		if err := r.seen(p, l.decideFlags, l.by); err != nil {
			return err
		}
	}
	if p.done != nil {
		p.who = r.Signer(p.done)
		p.checkpoint, err = r.LatestCheckpoint()
		return err
	}
	now := max(a.now().UnixMilli(), r.Time())
	// What would be refused for certain is told before anybody is asked.
	if l.by != (author{}) {
		if err := l.by.check(r.Control.Roster(), r.Size(), now, p.st); err != nil {
			return err
		}
	}
	if p.refusal == nil && l.shows() {
		if p.tried, err = foresight.Ask(r.Book, p.st, r.signs(l.by), now); err != nil {
			return err
		}
		p.refusal = p.tried.Refusal
	}
	p.control = r.Control.Count()
	if !a.json && (!a.quiet || l.asks) {
		a.tellPlanned(r, p, l)
	}
	if l.shows() {
		return p.refusal
	}
	return nil
}

// tellPlanned shows what is planned, and what should be known before it is signed.
func (a *app) tellPlanned(r *reading, p *planned, l look) {
	if l.shows() {
		a.showPlanned(r, p, l.stage)
	}
	for _, note := range p.notes {
		a.term.Notef("%s", note)
	}
	a.noteUndecided(p.tried.Undecided)
	for _, concern := range p.concerns {
		a.term.Warnf("%s", concern)
	}
}

// decider is the ledger and the key that signs; without a key one may still look.
func (a *app) decider(ctx context.Context, f *decideFlags) (dir string, s statement.Signer, closer func(), err error) {
	dir, s, closer, err = a.writer(ctx)
	if f.dryRun && errors.Is(err, errNoKey) {
		return dir, nil, func() {}, nil
	}
	return dir, s, closer, err
}

// unchanged refuses to sign what was decided on if something was withdrawn or
// reinstated since that the artifact was made of: "after" is of the artifact
// itself. Nobody else writes to the ledger meanwhile.
func (p *planned) unchanged(r *reading) error {
	if r.Control.Count() == p.control {
		return nil
	}
	now, err := r.accountAt(p.account.Ref)
	if err != nil {
		return err
	}
	if reasons(now) == reasons(p.account) {
		return nil
	}
	f := failf(exitRefused, "somebody was faster: what is known of %s has changed since you looked", p.account.Ref)
	f.rule = string(ledger.RuleAfter)
	return f.withHint("run it again to see what is there now")
}

// reasons are the entries that speak against an artifact.
func reasons(c *account.Account) string {
	text := c.Standing()
	for _, w := range c.Withdrawals {
		text += fmt.Sprintf(" %d", w.Entry)
	}
	for i := range c.Judged.Fallen {
		text += fmt.Sprintf(" %d", c.Judged.Fallen[i].Artifact.Entry)
	}
	for i := range c.Judged.Members {
		text += fmt.Sprintf(" %d", c.Judged.Members[i].Withdrawal.Entry)
	}
	if t := c.Judged.Taint; t != nil {
		for i := range t.Causes {
			text += fmt.Sprintf(" %d", t.Causes[i].Withdrawal.Entry)
		}
		text += fmt.Sprintf(" and %d, %d", t.More, t.Worst().Withdrawal.Entry)
	}
	return text
}

// seen sets the statement's after: what is here now, unless the author says what
// they saw. What they have said last on this already is not said again.
func (r *reading) seen(p *planned, f *decideFlags, by author) error {
	now, err := r.After(p.st)
	if err != nil {
		return err
	}
	e, st, err := r.Statement(now)
	if err != nil {
		return err
	}
	saw := now
	if f.after >= 0 {
		saw = uint64(f.after)
	}
	if p.st.Approval != nil {
		p.st.Approval.After = saw
	} else {
		p.st.Release.After = saw
	}
	if by.signed(e) && r.Standing(e).OK && (saw == now || saw == afterOf(st)) && sameSaying(st, p.st) && r.nothingSince(e, st) {
		p.done, p.already = e, "you have said so already, and nothing came after it"
		return nil
	}
	if saw != now {
		return r.stale(p.st, saw, now)
	}
	return nil
}

// nothingSince reports whether no control entry came after an entry: what was
// withdrawn since, also of what an artifact was made of, may have changed the
// author's mind.
func (r *reading) nothingSince(e *evidence.Entry, st *statement.Statement) bool {
	before := e.ControlCount
	if st.Control() {
		before++
	}
	return before == r.Control.Count()
}

// afterOf is the last entry that the author of a statement had seen.
func afterOf(st *statement.Statement) uint64 {
	switch {
	case st.Approval != nil:
		return st.Approval.After
	case st.Release != nil:
		return st.Release.After
	}
	return 0
}

// sameSaying reports whether two approvals or releases say the same.
func sameSaying(a, b *statement.Statement) bool {
	refA, errA := a.Ref()
	refB, errB := b.Ref()
	if errA != nil || errB != nil || a.Kind != b.Kind || refA != refB {
		return false
	}
	switch {
	case a.Approval != nil:
		return a.Approval.Stage == b.Approval.Stage && a.Approval.Decision == b.Approval.Decision && a.Approval.Reason == b.Approval.Reason
	case a.Release != nil:
		x, y := a.Release, b.Release
		return x.Stage == y.Stage && x.Action == y.Action && x.Reason == y.Reason && sameRefs(x.Replaces, y.Replaces)
	}
	return false
}

// stale refuses what was decided without the last entry in sight.
func (r *reading) stale(st *statement.Statement, saw, last uint64) error {
	what := fmt.Sprintf("entry %d", last)
	if e, latest, err := r.Statement(last); err == nil {
		about := subject(latest)
		if latest.Release != nil {
			about = subjectOfDecision(latest)
		}
		what += fmt.Sprintf(", %s by %s: %s", latest.Kind.Noun(), r.Signer(e).Handle, about)
	}
	text := "you saw entry %d, and after it came %s"
	if saw > last {
		text = "entry %d is not the last that a decision on it has to see: that is %s"
	}
	f := failf(exitRefused, "%s: "+text, st.Subject[0].Name, saw, what)
	f.rule = string(ledger.RuleAfter)
	return f.withEntry(last).withHint(fmt.Sprintf("look at it (`stele show %d`), then decide again", last))
}

// crossed says what it means that the ledger went on between look and signature.
func crossed(err error) error {
	var refusal *ledger.Refusal
	if !errors.As(err, &refusal) || refusal.Class != ledger.ClassStale {
		return err
	}
	f := failf(exitRefused, "somebody was faster: %w", err)
	f.rule, f.entry = string(refusal.Rule), refusal.Entry
	hint := "run it again to see what is there now"
	if refusal.Entry != nil {
		hint = fmt.Sprintf("look at entry %d (`stele show %d`), then decide again", *refusal.Entry, *refusal.Entry)
	}
	return f.withHint(hint)
}

// concernsOn are what speaks against an artifact in a stage, as far as the ledger
// would not refuse it anyway.
func (r *reading) concernsOn(c *account.Account, stage string) []string {
	var list []string
	for _, w := range c.Withdrawals {
		list = append(list, fmt.Sprintf("%s is withdrawn in entry %d by %s (%s, %s): %s", c.Ref, w.Entry, w.Handle, w.Target, w.Effect, w.Reason))
	}
	j := c.Judged
	if len(j.Fallen) > 0 {
		list = append(list, fmt.Sprintf("%s is not trusted: %s", c.Ref, account.FallText(&j.Fallen[0])))
	}
	if len(j.Members) > 0 {
		list = append(list, fmt.Sprintf("of %s: %s", c.Ref, account.MemberText(&j.Members[0])))
	}
	if j.Taint != nil {
		list = append(list, fmt.Sprintf("%s is tainted: %s", c.Ref, account.WorstText(j.Taint)))
	}
	if j.Unknown {
		list = append(list, fmt.Sprintf("whether %s is tainted is not known: more was recorded of what it was made of than is walked", c.Ref))
	}
	for i := range c.Decisions {
		d := &c.Decisions[i]
		if p := d.Statement.Approval; p.Stage == stage && p.Decision == statement.DecisionReject && d.Counts(r.Book) {
			list = append(list, fmt.Sprintf("%s is rejected for %s by %s in entry %d: %s", c.Ref, stage, r.Signer(d.Entry).Handle, d.Index, p.Reason))
		}
	}
	return list
}

// newStage warns of a stage that there never was, which may be a mistyped one.
func (r *reading) newStage(stage string) ([]string, error) {
	var others []string
	for s, err := range r.Stages() {
		if err != nil {
			return nil, err
		}
		if s == stage {
			return nil, nil
		}
		others = append(others, s)
	}
	if len(others) == 0 {
		return nil, nil // the first release of all
	}
	return []string{fmt.Sprintf("nothing was ever released to %s: %s", stage, account.StagesText(stage, others))}, nil
}
