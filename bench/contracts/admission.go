package main

import (
	"context"
	"fmt"
	"slices"
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

// A phase is one kind of statement in the life of a model: what comes before it
// is on the ledger.
type phase struct {
	name string
	make func(f *filler, i int) (*statement.Envelope, error)
}

// life is that of a model until its release. All that five contracts ask for is
// there.
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
}

const stage = "production"

// stages are how many artifacts are in the stage when another one is released.
var stages = []int{1, 10, 100}

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

// release makes a release of model i that takes the place of others.
func (f *filler) release(i int, replaces ...statement.Ref) (*statement.Envelope, error) {
	after, err := f.after(&statement.Statement{Kind: statement.KindRelease, Release: &statement.Release{Stage: stage, Replaces: replaces}}, f.model(i))
	return f.Release(f.rex, f.model(i), stage, after, replaces...), err
}

// succession is releases of models from first on, each in the place of the one
// before, to be admitted in one block: so that the stage does not grow.
func (f *filler) succession(first, n int) ([]*statement.Envelope, error) {
	envs := make([]*statement.Envelope, n)
	var err error
	for i := range envs {
		before := f.model(first + i - 1)
		if i == 0 {
			envs[i], err = f.release(first, before)
		} else { // the last thing that happened there is the entry before it
			envs[i] = f.Release(f.rex, f.model(first+i), stage, uint64(f.ledger.View().Size())+uint64(i)-1, before)
		}
		if err != nil {
			return nil, err
		}
	}
	return envs, nil
}

// stampTest stamps what models are measured on.
func (f *filler) stampTest() error {
	return f.put(f.Stamp(f.carol, f.test(), func(s *statement.Stamp) { s.Annotations = map[string]string{"licence": "CC0-1.0"} }))
}

// took is what a statement of a kind took, and how many contracts are about it.
type took struct {
	name  string
	about int
	time  time.Duration
}

// admission measures blocks of each kind of statement, on a ledger with five
// contracts in force and on one with none.
func (b *bench) admission(ctx context.Context) (*stopwatch.Table, error) {
	t := &stopwatch.Table{
		Title: fmt.Sprintf("Admission beside the signature, a statement; blocks of %d", b.block),
		Head:  "kind | contracts about it | with none | with five | the difference",
	}
	none, err := b.admissionOf(ctx)
	if err != nil {
		return nil, err
	}
	with, err := b.admissionOf(ctx, five...)
	if err != nil {
		return nil, err
	}
	var sums [2]time.Duration
	n := len(life) + 1 // the first release is the usual one
	for i := range none {
		t.Add(none[i].name, with[i].about, none[i].time, with[i].time, with[i].time-none[i].time)
		if i < n {
			sums[0] += none[i].time
			sums[1] += with[i].time
		}
	}
	t.Add(fmt.Sprintf("the mean of the first %d", n), "", sums[0]/time.Duration(n), sums[1]/time.Duration(n), (sums[1]-sums[0])/time.Duration(n))
	return t, nil
}

// admissionOf measures on a ledger with some contracts in force.
func (b *bench) admissionOf(ctx context.Context, names ...string) (list []took, err error) {
	f, err := b.inMemory(names...)
	if err != nil {
		return nil, err
	}
	defer f.close()
	if err := f.stampTest(); err != nil {
		return nil, err
	}
	measure := func(name string, envs []*statement.Envelope) error {
		stopwatch.Progress("admission with %d contracts: %s", len(names), name)
		if err := ctx.Err(); err != nil {
			return err
		}
		d, err := stopwatch.Median(b.rounds, func() error { return f.admit(envs, false) })
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		about, err := f.concern(envs[0])
		list = append(list, took{name, about, d / time.Duration(len(envs))})
		return err
	}
	others := slices.Max(stages)
	for _, ph := range life {
		envs := make([]*statement.Envelope, others+b.block)
		for i := range envs {
			if envs[i], err = ph.make(f, i); err != nil {
				return nil, err
			}
		}
		if err := measure(ph.name, envs[:b.block]); err != nil {
			return nil, err
		}
		if err := f.put(envs...); err != nil {
			return nil, err
		}
	}
	in := 0
	for _, n := range stages {
		// The last of those that are in the stage is model n-1, whose place is taken.
		var envs []*statement.Envelope
		for ; in < n; in++ {
			env, err := f.release(in)
			if err != nil {
				return nil, err
			}
			envs = append(envs, env)
		}
		if err := f.put(envs...); err != nil {
			return nil, err
		}
		if envs, err = f.succession(n, b.block); err != nil {
			return nil, err
		}
		if err := measure(fmt.Sprintf("release, %d in the stage", n), envs); err != nil {
			return nil, err
		}
	}
	return list, nil
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
