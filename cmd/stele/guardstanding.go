package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/guard"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

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
			past, err := g.app.memory.Newest(m.file.Ledger)
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
	c.past, c.proof, err = g.app.memory.History(g.app.shown(r), r.View)
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
	k := &guard.Known{Witnessed: policy != nil && policy.Quorum != evidence.QuorumNone}
	if k.Witnessed {
		opts.MaxAge = milliseconds(o.maxAge)
	}
	if k.Verdict, k.Trusted, err = a.verdictOn(c.file, opts); err != nil {
		return err
	}
	if k.Judged = k.Verdict.Judged; c.large != nil {
		withLarge(k.Verdict, c.large)
		k.Judged = c.large
	}
	if len(c.past.Signed) > 0 {
		seen, _, err := evidence.ReadCheckpoint(c.past.Signed)
		if err != nil {
			return err
		}
		k.Seen = seen.Size
	}
	about := guard.Model{Name: m.name, Version: m.version, Stage: o.stage, Offline: len(o.evidence) > 0}
	if m.standing, err = about.Judge(k, o.maxAge, now); err != nil {
		return m.refused(err)
	}
	for _, text := range m.standing.Warnings {
		g.warn(text)
	}
	for _, text := range m.standing.Notes {
		g.note(text)
	}
	return nil
}

// refused is how the command ends for a refusal.
func (m *guardModel) refused(err error) error {
	var r *guard.Refusal
	if !errors.As(err, &r) {
		return err
	}
	f := failf(r.Exit, "%w", r).withHint(r.Help)
	f.rule, f.entry = string(r.Rule), r.Entry
	if r.About {
		f.path = m.evidence
	}
	return f
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
