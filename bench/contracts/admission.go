package main

import (
	"context"
	"fmt"
	"time"

	"github.com/stele-ml/stele/bench/stopwatch"
	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/statement"
)

// compile measures what a contract costs when it is put, and when a ledger is
// opened that has it.
func (b *bench) compile(context.Context) (*stopwatch.Table, error) {
	t := &stopwatch.Table{Title: "A ready contract", Head: "contract | rules | compiled in | its tests | run in | their cost"}
	for _, name := range five {
		var c *contract.Contract
		compiled, err := stopwatch.Median(b.rounds, func() (err error) {
			c, err = contract.Compile(b.documents[name])
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		var cost uint64
		tested, err := stopwatch.Median(b.rounds, func() error {
			results, err := c.RunTests()
			cost = 0
			for _, r := range results {
				cost += r.Cost
				if !r.OK {
					return fmt.Errorf("%s: %s: %s", name, r.Name, r.Message)
				}
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		t.Add(name, len(c.Document().Validations), compiled, len(c.Document().Tests), tested, cost)
	}
	return t, nil
}

// A phase is the statements of one kind in the life of many models: what comes
// before them is on the ledger.
type phase struct {
	name string
	make func(f *filler, i int) (*statement.Envelope, error)
}

// life is that of a model. All that five contracts ask for is there.
var life = []phase{
	{"stamp", func(f *filler, i int) (*statement.Envelope, error) {
		return f.Stamp(f.carol, f.data(i), func(s *statement.Stamp) { s.Annotations = map[string]string{"licence": "CC0-1.0"} }), nil
	}},
	{"run", func(f *filler, i int) (*statement.Envelope, error) {
		return f.Run(f.dan, []statement.Ref{f.data(i)}, []statement.Output{f.Made(modelName(i), "1", modelName(i))}), nil
	}},
	{"evaluation", func(f *filler, i int) (*statement.Envelope, error) {
		return f.Evaluate(f.erin, f.model(i), "auc", "0.95", f.test()), nil
	}},
	{"approval", func(f *filler, i int) (*statement.Envelope, error) { return f.approve(f.bob, i) }},
	{"second approval", func(f *filler, i int) (*statement.Envelope, error) { return f.approve(f.dora, i) }},
	{"release", func(f *filler, i int) (*statement.Envelope, error) {
		after, err := f.after(&statement.Statement{Kind: statement.KindRelease, Release: &statement.Release{Stage: stage}}, f.model(i))
		return f.Release(f.rex, f.model(i), stage, after), err
	}},
}

const stage = "production"

func modelName(i int) string { return fmt.Sprintf("team-%d/net", i) }

func (f *filler) data(i int) statement.Ref {
	name := fmt.Sprintf("raw/team-%d", i)
	return f.Ref(name, "1", name)
}
func (f *filler) model(i int) statement.Ref { return f.Ref(modelName(i), "1", modelName(i)) }
func (f *filler) test() statement.Ref       { return f.Ref("bench/test", "1", "bench/test") }

func (f *filler) approve(by statement.Signer, i int) (*statement.Envelope, error) {
	after, err := f.after(&statement.Statement{Kind: statement.KindApproval, Approval: &statement.Approval{Stage: stage}}, f.model(i))
	return f.Approve(by, f.model(i), stage, after), err
}

// stampTest stamps what models are measured on.
func (f *filler) stampTest() error {
	return f.put(f.Stamp(f.carol, f.test(), func(s *statement.Stamp) { s.Annotations = map[string]string{"licence": "CC0-1.0"} }))
}

// admission measures blocks of each kind of statement, on a ledger with five
// contracts in force and on one with none.
func (b *bench) admission(ctx context.Context) (*stopwatch.Table, error) {
	t := &stopwatch.Table{
		Title: fmt.Sprintf("Admission beside the signature, a statement; blocks of %d", b.block),
		Head:  "kind | contracts about it | with none | with five | the difference",
	}
	var totals [2]time.Duration
	took := make([][2]time.Duration, len(life))
	about := make([]int, len(life))
	for side, names := range [2][]string{nil, five} {
		f, err := b.inMemory(names...)
		if err != nil {
			return nil, err
		}
		defer f.close()
		if err := f.stampTest(); err != nil {
			return nil, err
		}
		for p, ph := range life {
			stopwatch.Progress("admission with %d contracts: %s", len(names), ph.name)
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			envs := make([]*statement.Envelope, b.block)
			for i := range envs {
				if envs[i], err = ph.make(f, i); err != nil {
					return nil, err
				}
			}
			d, err := stopwatch.Median(b.rounds, func() error { return f.admit(envs, false) })
			if err != nil {
				return nil, fmt.Errorf("%s: %w", ph.name, err)
			}
			took[p][side] = d / time.Duration(b.block)
			totals[side] += took[p][side]
			if side == 1 {
				if about[p], err = f.concern(envs[0]); err != nil {
					return nil, err
				}
			}
			if err := f.put(envs...); err != nil {
				return nil, err
			}
		}
	}
	for p, ph := range life {
		t.Add(ph.name, about[p], took[p][0], took[p][1], took[p][1]-took[p][0])
	}
	n := time.Duration(len(life))
	t.Add("the mean of these", "", totals[0]/n, totals[1]/n, (totals[1]-totals[0])/n)
	return t, nil
}

// concern counts the contracts in force that are about a statement.
func (f *filler) concern(env *statement.Envelope) (int, error) {
	c, err := f.ledger.PrepareVerifiedUnsafe(env)
	if err != nil {
		return 0, err
	}
	tried, err := f.ledger.View().Try(c.Statement(), contract.Signer{Key: env.KeyID, Known: true}, f.now+1)
	if err != nil {
		return 0, err
	}
	names := map[string]bool{}
	for _, r := range tried.Verdict.Results {
		names[r.Contract] = true
	}
	return len(names), nil
}
