package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stele-ml/stele/bench/stopwatch"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/home"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/statement"
)

// blockSize is how many entries are admitted together.
const blockSize = 1000

// A place is a ledger and the home of whoever looks at it.
type place struct {
	dir      string // the ledger's
	dirs     home.Dirs
	policy   *evidence.Policy
	lineages []lineage
	stages   map[int]string // by how much is in it
}

// environment is what the program is started with.
func (p *place) environment() []string {
	return append(os.Environ(), "STELE_CONFIG="+p.dirs.Config, "STELE_STATE="+p.dirs.State, "STELE_LEDGER="+p.dir)
}

// filler puts entries on a ledger.
type filler struct {
	maker   *ledgertest.Maker
	ada     statement.Signer
	key     *solo.LogKey
	ledger  *ledger.Ledger
	queue   []*statement.Envelope
	entries int
	now     int64
	err     error // the first; nothing is put after it
}

// create makes an empty ledger, and trust in its log.
func (b *bench) create(ctx context.Context, n int) (*place, *filler, error) {
	at := filepath.Join(b.dir, fmt.Sprint(n))
	p := &place{
		dir: filepath.Join(at, ".stele"), stages: map[int]string{},
		dirs: home.Dirs{Config: filepath.Join(at, "config"), State: filepath.Join(at, "state")},
	}
	f := &filler{maker: &ledgertest.Maker{Hash: fingerprint.SHA256}, ada: ledgertest.P256("ada"), now: time.Now().Add(-time.Hour).UnixMilli()}
	var err error
	if f.key, err = solo.GenerateLogKey(ledgertest.Origin, rand.Reader); err != nil {
		return nil, nil, err
	}
	e, err := solo.Create(ctx, solo.Options{
		Dir: p.dir, State: filepath.Join(p.dirs.State, "ledgers"),
		Clock: func() (int64, time.Duration) { return f.now, 0 },
	}, f.maker.Genesis(f.ada, f.key.VKey()), f.key)
	if err != nil {
		return nil, nil, err
	}
	f.maker.Ledger = e.View().ID()
	if err := e.Close(); err != nil {
		return nil, nil, err
	}
	p.policy = evidence.NewPolicy(f.key.VKey(), "")
	return p, f, p.dirs.PinTrust(ledgertest.Origin, []byte(p.policy.String()), false)
}

// fill puts n artifacts on a ledger.
func (b *bench) fill(ctx context.Context, n int) (p *place, err error) {
	begin := time.Now()
	p, f, err := b.create(ctx, n)
	if err != nil {
		return nil, err
	}
	options := solo.DatabaseOptions()
	options.Logger = silent{}
	db, err := pebble.Open(filepath.Join(p.dir, "db"), options)
	if err != nil {
		return nil, err
	}
	defer func() {
		if cerr := db.Close(); err == nil {
			err = cerr
		}
	}()
	if f.ledger, err = ledger.Open(db, ledger.Options{NoSync: true}); err != nil {
		return nil, err
	}
	defer f.ledger.Close()
	if err := b.fillLineages(p, f, n); err != nil {
		return nil, err
	}
	f.flush()
	if f.err == nil {
		f.err = db.Flush()
	}
	stopwatch.Progress("%d artifacts, %d entries: filled in %s", n, f.entries+1, stopwatch.Short(time.Since(begin)))
	return p, f.err
}

// fillLineages puts the lineages that are measured among the others.
func (b *bench) fillLineages(p *place, f *filler, n int) error {
	var models []artifact
	others := n
	for _, size := range b.nodes {
		if size < n {
			others -= size * len(b.shapes)
		}
	}
	parts := len(b.nodes)*len(b.shapes) + 1
	pipeline := 0
	some := func(n int) {
		for range max(n/10, 1) { // ten artifacts: data of seven days, two sets of features, a model
			v := fmt.Sprint(pipeline)
			pipeline++
			var days []artifact
			for d := range 7 {
				days = append(days, f.raw(fmt.Sprintf("team/raw-%d", d), v))
			}
			one, two := f.made("team/features-1", v, statement.ArtifactDataset, days[:4]...), f.made("team/features-2", v, statement.ArtifactDataset, days[3:]...)
			models = append(models, f.made("team/model", v, statement.ArtifactModel, one, two))
		}
	}
	for _, size := range b.nodes {
		for _, shape := range b.shapes {
			some(others / parts)
			if size >= n {
				continue
			}
			l, err := f.lineage(shape, size)
			if err != nil {
				return err
			}
			p.lineages = append(p.lineages, l)
		}
	}
	some(others / parts)
	for _, size := range b.releases {
		if size > len(models) {
			continue
		}
		stage := fmt.Sprintf("stage-%d", size)
		p.stages[size] = stage
		for _, m := range models[:size] {
			f.release(m.ref, stage)
		}
	}
	for _, l := range p.lineages {
		f.withdraw(l.raw)
	}
	return f.err
}

// put queues an envelope.
func (f *filler) put(env *statement.Envelope) {
	f.queue = append(f.queue, env)
	f.entries++
	if len(f.queue) == blockSize {
		f.flush()
	}
}

// release and withdraw see what is on the ledger first.
func (f *filler) release(ref statement.Ref, stage string) {
	f.flush()
	st := &statement.Statement{Kind: statement.KindRelease, Subject: []statement.Subject{ref.Subject()}, Release: &statement.Release{Stage: stage, Action: statement.ActionJoin}}
	if after, ok := f.after(st); ok {
		f.put(f.maker.Release(f.ada, ref, stage, after))
	}
}

func (f *filler) withdraw(ref statement.Ref) {
	f.flush()
	st := &statement.Statement{Kind: statement.KindWithdrawal, Subject: []statement.Subject{ref.Subject()}, Withdrawal: &statement.Withdrawal{}}
	if after, ok := f.after(st); ok {
		f.put(f.maker.Withdraw(f.ada, ref, statement.TargetContents, after))
	}
}

func (f *filler) after(st *statement.Statement) (uint64, bool) {
	if f.err != nil {
		return 0, false
	}
	var after uint64
	after, f.err = f.ledger.View().After(st)
	return after, f.err == nil
}

// flush admits what is queued, in one block. The signatures were made here.
func (f *filler) flush() {
	queue := f.queue
	f.queue = nil
	if f.err != nil || len(queue) == 0 {
		return
	}
	f.now++
	f.err = func() error {
		block, err := f.ledger.Begin(f.now)
		if err != nil {
			return err
		}
		for _, env := range queue {
			c, err := f.ledger.PrepareVerifiedUnsafe(env)
			if err == nil {
				_, err = block.Admit(c)
			}
			if err != nil {
				block.Drop()
				return err
			}
		}
		size, root := block.Root()
		signed, err := evidence.SignCheckpoint(evidence.Checkpoint{Origin: block.Origin(), Size: size, Root: root}, f.key.Signer())
		if err != nil {
			return err
		}
		return block.Commit(signed)
	}()
}

// silent is a store's logger: what it says is not about what is measured.
type silent struct{}

func (silent) Infof(string, ...any)              {}
func (silent) Errorf(string, ...any)             {}
func (silent) Fatalf(format string, args ...any) { panic(fmt.Sprintf(format, args...)) }
