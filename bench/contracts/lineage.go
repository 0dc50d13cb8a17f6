package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stele-ml/stele/bench/stopwatch"
	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/draft"
	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/statement"
)

// everyAncestor is a rule that walks the whole lineage and asks of each what it
// is worth.
const everyAncestor = `
apiVersion: stele.dev/v1
kind: Contract
metadata: {name: every-ancestor, version: 1}
spec:
  engine: cel/1
  match: {statements: [release], actions: [join], stages: [production]}
  validations:
    - id: good
      expression: ledger.ancestors(subject).all(a, a.standing == "good")
      message: something that it was made of is not good
  tests:
    - name: nothing is withdrawn
      given: {statement: {kind: release, stage: production}}
      expect: {allow: true}
    - name: the data is withdrawn
      given:
        history:
          - {stamp: data@1, kind: dataset, by: ada}
          - {run: {inputs: [data@1], outputs: [model@1], kind: model}, by: ada}
          - {withdraw: data@1, target: contents, effect: stop, by: ada}
        statement: {kind: release, subject: model@1, stage: production}
      expect: {deny: [good]}
`

// large is a model with that many ancestors: each run takes what the one before
// made, and up to 98 raw data. Others approve and measure it.
func (f *filler) large(name string, ancestors int) (statement.Ref, error) {
	var queue []*statement.Envelope
	var before []statement.Ref
	left, raw, runs := ancestors, 0, 0
	for {
		inputs := before
		left -= len(before)
		for len(inputs) < 99 && left > 0 {
			if len(inputs) == 98 && left > 1 {
				break // the others go into the next run
			}
			at := fmt.Sprintf("raw/%s-%d", name, raw)
			ref := f.Ref(at, "1", at)
			queue = append(queue, f.Stamp(f.carol, ref, func(s *statement.Stamp) { s.Annotations = map[string]string{"licence": "CC0-1.0"} }))
			inputs, raw, left = append(inputs, ref), raw+1, left-1
		}
		runs++
		out := f.Made(fmt.Sprintf("%s/step-%d", name, runs), "1", fmt.Sprintf("%s %d", name, runs))
		if left == 0 {
			out = f.Made(name+"/net", "1", name)
		}
		queue = append(queue, f.Run(f.dan, inputs, []statement.Output{out}))
		if before = []statement.Ref{out.Ref}; left == 0 {
			break
		}
	}
	model := before[0]
	queue = append(queue, f.Evaluate(f.erin, model, "auc", "0.95", f.test()))
	if err := f.put(queue...); err != nil {
		return model, err
	}
	for _, by := range []statement.Signer{f.bob, f.dora} {
		after, err := f.after(&statement.Statement{Kind: statement.KindApproval, Approval: &statement.Approval{Stage: stage}}, model)
		if err == nil {
			err = f.put(f.Approve(by, model, stage, after))
		}
		if err != nil {
			return model, err
		}
	}
	return model, nil
}

// try asks a ledger what a release would meet, as the gate does.
func try(v *ledger.View, by statement.Signer, model statement.Ref) (uint64, error) {
	st := &statement.Statement{Kind: statement.KindRelease, Subject: []statement.Subject{model.Subject()}, Release: &statement.Release{Stage: stage, Action: statement.ActionJoin}}
	t, err := v.Try(st, contract.Signer{Key: by.PublicKey().ID(), Known: true}, v.Time()+1)
	if err != nil {
		return 0, err
	}
	if len(t.Refusals) > 0 {
		return 0, t.Refusals[0]
	}
	if bad := t.Verdict.Refused(); len(bad) > 0 || len(t.Verdict.Results) == 0 {
		return 0, fmt.Errorf("%d results, %d refuse: %+v", len(t.Verdict.Results), len(bad), bad)
	}
	return t.Verdict.Cost, nil
}

// ancestry measures one rule over lineages of several sizes.
func (b *bench) ancestry(context.Context) (*stopwatch.Table, error) {
	d, err := draft.Read([]byte(everyAncestor))
	if err != nil {
		return nil, err
	}
	b.documents["every-ancestor"] = d.Document
	f, err := b.inMemory("every-ancestor")
	if err != nil {
		return nil, err
	}
	defer f.close()
	if err := f.stampTest(); err != nil {
		return nil, err
	}
	t := &stopwatch.Table{Title: "`ledger.ancestors(subject).all(a, a.standing == \"good\")`, with what the ledger's own rules walk; every walk begins with nothing read", Head: "ancestors | took | cost | of contract.MaxCost"}
	for _, n := range b.ancestors {
		stopwatch.Progress("%d ancestors", n)
		model, err := f.large(fmt.Sprintf("lab-%d", n), n)
		if err != nil {
			return nil, err
		}
		v := f.ledger.View()
		var cost uint64
		took, err := stopwatch.Median(b.rounds, func() (err error) {
			cost, err = try(v, f.rex, model)
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("%d ancestors: %w", n, err)
		}
		t.Add(n, took, cost, fmt.Sprintf("%.1f %%", 100*float64(cost)/float64(contract.MaxCost)))
	}
	return t, nil
}

// gates measures the gate before models with large lineages, five contracts in
// force.
func (b *bench) gates(ctx context.Context) (_ *stopwatch.Table, err error) {
	f, env, err := b.onDisk(ctx)
	if err != nil {
		return nil, err
	}
	closed := false
	defer func() {
		if !closed {
			f.close()
		}
	}()
	if err := f.stampTest(); err != nil {
		return nil, err
	}
	models := make([]statement.Ref, len(b.gate))
	inProcess := make([]time.Duration, len(b.gate))
	costs := make([]uint64, len(b.gate))
	for i, n := range b.gate {
		stopwatch.Progress("a gate before %d artifacts", n)
		if models[i], err = f.large(fmt.Sprintf("lab-%d", n), n-1); err != nil {
			return nil, err
		}
		v := f.ledger.View()
		inProcess[i], err = stopwatch.Median(b.rounds, func() (err error) {
			costs[i], err = try(v, f.rex, models[i])
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("%d artifacts: %w", n, err)
		}
	}
	closed = true
	f.close()
	t := &stopwatch.Table{Title: "The gate, five contracts in force", Head: "lineage, artifacts | the ledger's rules and the contracts, in process | cost | `stele gate`, a whole process"}
	for i, n := range b.gate {
		took, err := stopwatch.Median(b.rounds, func() error {
			c := exec.CommandContext(ctx, b.stele, "gate", models[i].Name+"@"+models[i].Version, "--stage", stage, "--by", "rex")
			c.Env = env
			if out, err := c.CombinedOutput(); err != nil {
				return fmt.Errorf("%s: %w\n%s", strings.Join(c.Args, " "), err, out)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		t.Add(n, inProcess[i], costs[i], took)
	}
	return t, nil
}

// onDisk is a ledger on the disk with five contracts in force, and the
// environment of somebody who trusts its log.
func (b *bench) onDisk(ctx context.Context) (*filler, []string, error) {
	dirs := home.Dirs{Config: filepath.Join(b.dir, "config"), State: filepath.Join(b.dir, "state")}
	dir := filepath.Join(b.dir, ".stele")
	f := &filler{Maker: newMaker(), now: time.Now().Add(-time.Hour).UnixMilli(), ada: ledgertest.P256("ada")}
	key, err := solo.GenerateLogKey(ledgertest.Origin, rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	f.log = key.Signer()
	e, err := solo.Create(ctx, solo.Options{
		Dir: dir, State: filepath.Join(dirs.State, "ledgers"),
		Clock: func() (int64, time.Duration) { return f.now, 0 },
	}, f.Genesis(f.ada, key.VKey()), key)
	if err != nil {
		return nil, nil, err
	}
	f.Maker.Ledger = e.View().ID()
	if err := e.Close(); err != nil {
		return nil, nil, err
	}
	if err := dirs.PinTrust(ledgertest.Origin, []byte(evidence.NewPolicy(key.VKey(), "").String()), false); err != nil {
		return nil, nil, err
	}
	options := solo.DatabaseOptions()
	options.Logger = silent{}
	db, err := pebble.Open(filepath.Join(dir, "db"), options)
	if err != nil {
		return nil, nil, err
	}
	if f.ledger, err = ledger.Open(db, ledger.Options{NoSync: true}); err != nil {
		return nil, nil, errors.Join(err, db.Close())
	}
	f.close = func() { f.ledger.Close(); _ = db.Flush(); _ = db.Close() }
	env := append(os.Environ(), "STELE_CONFIG="+dirs.Config, "STELE_STATE="+dirs.State, "STELE_LEDGER="+dir)
	return f, env, b.people(f, five)
}
