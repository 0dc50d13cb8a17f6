package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/stele-ml/stele/bench/stopwatch"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/solo"
	walk "github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

type tables struct {
	raw                               time.Duration // one P-256 signature
	walks, evidence, commands, stages *stopwatch.Table
}

func newTables(raw time.Duration) *tables {
	return &tables{
		raw:      raw,
		walks:    &stopwatch.Table{Title: "Walks, in process", Head: "ledger, artifacts | shape | lineage, artifacts | up and taint | taint alone | down and taint | entries to prove"},
		evidence: &stopwatch.Table{Title: "The whole lineage in one file", Head: "ledger, artifacts | shape | lineage, artifacts | signatures | made in | file, KB | checked offline in | the P-256 signatures alone | ratio"},
		commands: &stopwatch.Table{Title: "Whole processes", Head: "ledger, artifacts | command | time"},
		stages:   &stopwatch.Table{Title: "What is in a stage, in process", Head: "ledger, artifacts | in the stage | InStage | with taint"},
	}
}

func (t *tables) print() {
	for _, one := range []*stopwatch.Table{t.walks, t.evidence, t.stages, t.commands} {
		one.Print(os.Stdout)
	}
}

// measure fills a ledger and measures all of it.
func (b *bench) measure(ctx context.Context, n int, t *tables) error {
	p, err := b.fill(ctx, n)
	if err != nil {
		return err
	}
	if err := b.inProcess(ctx, p, n, t); err != nil {
		return err
	}
	return b.processes(ctx, p, n, t)
}

func (b *bench) inProcess(ctx context.Context, p *place, n int, t *tables) (err error) {
	e, err := solo.Open(ctx, solo.Options{Dir: p.dir, State: filepath.Join(p.dirs.State, "ledgers"), ReadOnly: true})
	if err != nil {
		return err
	}
	defer func() {
		if cerr := e.Close(); err == nil {
			err = cerr
		}
	}()
	v := e.View()
	for _, l := range p.lineages {
		stopwatch.Progress("%d artifacts: %s of %d", n, l.shape, l.nodes)
		if err := b.walks(v, l, n, t); err != nil {
			return fmt.Errorf("%s of %d: %w", l.shape, l.nodes, err)
		}
		if err := b.proof(v, p, l, n, t); err != nil {
			return fmt.Errorf("%s of %d: %w", l.shape, l.nodes, err)
		}
	}
	for _, size := range b.releases {
		if p.stages[size] == "" {
			continue
		}
		if err := b.stage(v, p.stages[size], size, n, t); err != nil {
			return err
		}
	}
	return nil
}

// walks measures the walks from and to a model. Nothing that an earlier one
// read is kept.
func (b *bench) walks(v *ledger.View, l lineage, n int, t *tables) error {
	begin := func(ref statement.Ref) (*ledger.Lineage, *walk.Artifact, error) {
		facts, err := v.Lineage()
		if err != nil {
			return nil, nil, err
		}
		a, err := facts.Artifact(ref.Name, ref.Version)
		return facts, a, err
	}
	nodes := 0
	up, err := b.median(func() error {
		facts, a, err := begin(l.root)
		if err != nil {
			return err
		}
		g, err := walk.Up(facts, a, 0)
		if err != nil {
			return err
		}
		nodes = len(g.Nodes)
		if j := g.Judgements()[l.root.String()]; j == nil || j.Taint == nil {
			return errors.New("the model is not tainted")
		}
		return nil
	})
	if err != nil {
		return err
	}
	taint, err := b.median(func() error {
		facts, a, err := begin(l.root)
		if err != nil {
			return err
		}
		_, err = walk.Judge(facts, a)
		return err
	})
	if err != nil {
		return err
	}
	down, err := b.median(func() error {
		facts, a, err := begin(l.raw)
		if err != nil {
			return err
		}
		g, err := walk.Down(facts, a, 0)
		if err != nil {
			return err
		}
		list := make([]*walk.Artifact, len(g.Nodes))
		for i, n := range g.Nodes {
			list[i] = n.Artifact
		}
		_, err = walk.JudgeAll(facts, list)
		return err
	})
	if err != nil {
		return err
	}
	entries, err := b.median(func() error {
		_, _, err := v.LineageEntries(l.root, 0)
		return err
	})
	t.walks.Add(n, l.shape, nodes, up, taint, down, entries)
	return err
}

// proof measures the evidence of a whole lineage.
func (b *bench) proof(v *ledger.View, p *place, l lineage, n int, t *tables) error {
	binding, err := v.ByName(l.root.Name, l.root.Version)
	if err != nil {
		return err
	}
	claim := evidence.Claim{Entry: binding.Entry, Name: binding.Name, Version: binding.Version, Fingerprint: binding.Fingerprint, Lineage: true}
	var data []byte
	var file *evidence.File
	made, err := b.median(func() error {
		entries, _, err := v.LineageEntries(l.root, 0)
		if err != nil {
			return err
		}
		if file, err = v.Evidence(claim, nil, entries...); err != nil {
			return err
		}
		data, err = file.Marshal()
		return err
	})
	if err != nil {
		return err
	}
	checked, err := b.median(func() error {
		verdict := evidence.VerifyBytes(data, p.policy, evidence.Options{Now: time.Now().UnixMilli()})
		if verdict.Verdict != evidence.Tainted {
			return fmt.Errorf("the evidence is %s, not tainted: %v", verdict.Verdict, verdict.Checks)
		}
		return nil
	})
	if err != nil {
		return err
	}
	signatures := len(file.Entries) + len(file.Control)
	alone := time.Duration(signatures) * t.raw
	t.evidence.Add(n, l.shape, l.nodes, signatures, made, (len(data)+512)/1024, checked, alone, fmt.Sprintf("%.2f", float64(checked)/float64(alone)))
	return nil
}

// stage measures what is in a stage, and whether it is tainted.
func (b *bench) stage(v *ledger.View, stage string, size, n int, t *tables) error {
	in, err := b.median(func() error {
		list, err := v.InStage(stage)
		if err == nil && len(list) != size {
			err = fmt.Errorf("%s holds %d artifacts", stage, len(list))
		}
		return err
	})
	if err != nil {
		return err
	}
	taint, err := b.median(func() error {
		list, err := v.InStage(stage)
		if err != nil {
			return err
		}
		facts, err := v.Lineage()
		if err != nil {
			return err
		}
		var artifacts []*walk.Artifact
		for _, placed := range list {
			a, err := facts.Artifact(placed.Ref.Name, placed.Ref.Version)
			if err != nil {
				return err
			}
			artifacts = append(artifacts, a)
		}
		_, err = walk.JudgeAll(facts, artifacts)
		return err
	})
	t.stages.Add(n, size, in, taint)
	return err
}

// processes measures commands from their start to their end.
func (b *bench) processes(ctx context.Context, p *place, n int, t *tables) error {
	run := func(args ...string) error {
		stopwatch.Progress("%d artifacts: stele %s", n, strings.Join(args, " "))
		took, err := b.median(func() error {
			c := exec.CommandContext(ctx, b.stele, args...)
			var stderr strings.Builder
			c.Env, c.Stdout, c.Stderr = p.environment(), io.Discard, &stderr
			if err := c.Run(); err != nil && !refused(err) {
				return fmt.Errorf("stele %s: %w: %s", strings.Join(args, " "), err, stderr.String())
			}
			return nil
		})
		if err != nil {
			return err
		}
		t.commands.Add(n, "`stele "+strings.Join(args, " ")+"`", took)
		return nil
	}
	for _, l := range p.lineages {
		for _, args := range [][]string{{"trace", l.root.String(), "--up"}, {"trace", l.root.String(), "--up", "--json"}, {"trace", l.raw.String(), "--down"}} {
			if err := run(args...); err != nil {
				return err
			}
		}
	}
	for _, size := range b.releases {
		if stage := p.stages[size]; stage != "" {
			if err := run("status", "--stage", stage); err != nil {
				return err
			}
		}
	}
	if len(p.lineages) > 0 {
		return run("show", p.lineages[0].root.String())
	}
	return nil
}

// refused reports whether a command ended with the status of what is withdrawn
// or tainted: it did its work.
func refused(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit) && exit.ExitCode() == 4
}
