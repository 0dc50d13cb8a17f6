package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/statement"
)

// perSecondBound is how many envelopes a second are made beforehand; a run
// that uses them up ends early.
const perSecondBound = 60_000

// fixtures are signed before anything is measured. Every ledger begins at the
// same moment with the same genesis, so all of them have one id and take the
// same envelopes.
type fixtures struct {
	key     *solo.LogKey
	genesis *statement.Envelope
	stamps  map[string][]*statement.Envelope // by the signer's algorithm
	leaf    int                              // bytes of a stamp's leaf
}

const began = 1_700_000_000_000

func newFixtures(d time.Duration) (*fixtures, error) {
	m := &ledgertest.Maker{}
	ada, eve := ledgertest.P256("ada"), ledgertest.Ed25519("eve")
	key, err := solo.GenerateLogKey(ledgertest.Origin, &fixed{})
	if err != nil {
		return nil, err
	}
	f := &fixtures{key: key, genesis: m.Genesis(ada, key.VKey()), stamps: map[string][]*statement.Envelope{}}
	e := &evidence.Entry{Time: began, ControlRoot: evidence.EmptyRoot, Envelope: f.genesis}
	m.Ledger = statement.LedgerID(e.LeafHash())
	register := m.Register(ada, eve.PublicKey(), "eve", 0, []string{"*"}, statement.RoleMember)
	n := int(d.Seconds()*perSecondBound) + 4096
	for name, signer := range map[string]statement.Signer{"p256": ada, "ed25519": eve} {
		list := make([]*statement.Envelope, n)
		var makers [2]ledgertest.Maker
		var wg sync.WaitGroup
		for half := range 2 {
			makers[half] = ledgertest.Maker{Ledger: m.Ledger}
			makers[half].Skip(uint64(half+2) << 40)
			wg.Go(func() {
				for i := half; i < n; i += 2 {
					v := fmt.Sprint(i)
					list[i] = makers[half].Stamp(signer, makers[half].Ref("team/"+name, v, name+v))
				}
			})
		}
		wg.Wait()
		f.stamps[name] = list
	}
	f.stamps["ed25519"] = append([]*statement.Envelope{register}, f.stamps["ed25519"]...)
	f.leaf = len((&evidence.Entry{Index: 1, Time: began, ControlCount: 1, Envelope: f.stamps["p256"][0]}).Leaf())
	return f, nil
}

// fixed is no randomness: the log key is the same in every run.
type fixed struct{}

func (*fixed) Read(p []byte) (int, error) { return copy(p, ledgertest.Seed("bench")), nil }

// clock begins at the fixed moment and goes on in real time.
func clock() solo.Clock {
	start := time.Now()
	return func() (int64, time.Duration) {
		d := time.Since(start)
		return began + d.Milliseconds(), d
	}
}

func (f *fixtures) create(ctx context.Context, o solo.Options) (*solo.Engine, error) {
	first := true
	c := clock()
	o.Clock = func() (int64, time.Duration) {
		if first {
			first = false
			return began, 0
		}
		return c()
	}
	return solo.Create(ctx, o, f.genesis, f.key)
}

// stele submits envelopes from that many goroutines, each waiting for its
// acknowledgement before the next.
func (f *fixtures) stele(algorithm string, verified bool) func(context.Context, string, int) (float64, error) {
	return func(ctx context.Context, dir string, writers int) (float64, error) {
		e, err := f.create(ctx, solo.Options{Dir: filepath.Join(dir, ".stele"), State: filepath.Join(dir, "state")})
		if err != nil {
			return 0, err
		}
		defer e.Close()
		submit := e.Submit
		if verified {
			submit = e.SubmitVerifiedUnsafe
		}
		envs := f.stamps[algorithm]
		if algorithm == "ed25519" {
			if _, err := e.Submit(ctx, envs[0]); err != nil {
				return 0, err
			}
			envs = envs[1:]
		}
		return hammer(writers, func(i int) error {
			if i >= len(envs) {
				return errUsedUp
			}
			_, err := submit(ctx, envs[i])
			return err
		})
	}
}

var errUsedUp = errors.New("all envelopes are used up")

// hammer calls do from that many goroutines for the length of a run, and
// returns how often it succeeded in a second.
func hammer(writers int, do func(i int) error) (float64, error) {
	var next, done atomic.Int64
	var failed atomic.Pointer[error]
	begin := time.Now()
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for time.Since(begin) < *duration && failed.Load() == nil {
				if err := do(int(next.Add(1) - 1)); err != nil {
					if !errors.Is(err, errUsedUp) {
						failed.Store(&err)
					}
					return
				}
				done.Add(1)
			}
		})
	}
	wg.Wait()
	took := time.Since(begin)
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return float64(done.Load()) / took.Seconds(), nil
}

// replay is a replica's catch-up: the entries of another copy, whose signatures
// were checked, in blocks of that copy's, each with its signed checkpoint.
func (f *fixtures) replay() func(context.Context, string, int) (float64, error) {
	return func(ctx context.Context, dir string, _ int) (float64, error) {
		db, err := pebble.Open(filepath.Join(dir, "db"), solo.DatabaseOptions())
		if err != nil {
			return 0, err
		}
		defer db.Close()
		l, err := ledger.Open(db, ledger.Options{})
		if err != nil {
			return 0, err
		}
		envs := append([]*statement.Envelope{f.genesis}, f.stamps["p256"]...)
		prepared := make(chan prepared, 4)
		stop := make(chan struct{})
		defer close(stop)
		go prepareBlocks(l, envs, prepared, stop)
		begin := time.Now()
		done := 0
		for p := range prepared {
			if p.err != nil {
				return 0, p.err
			}
			if err := f.replayBlock(l, p.block, began+int64(done)); err != nil {
				return 0, err
			}
			if done += len(p.block); time.Since(begin) >= *duration {
				break
			}
		}
		return float64(done) / time.Since(begin).Seconds(), nil
	}
}

// prepared is a block whose envelopes were parsed.
type prepared struct {
	block []*ledger.Candidate
	err   error
}

// replayBlockSize is how many entries a commit of the other copy had.
const replayBlockSize = 256

// prepareBlocks parses ahead of the admission.
func prepareBlocks(l *ledger.Ledger, envs []*statement.Envelope, out chan<- prepared, stop <-chan struct{}) {
	defer close(out)
	for len(envs) > 0 {
		n := min(replayBlockSize, len(envs))
		p := prepared{block: make([]*ledger.Candidate, n)}
		for i := range p.block {
			if p.block[i], p.err = l.PrepareVerifiedUnsafe(envs[i]); p.err != nil {
				break
			}
		}
		select {
		case out <- p:
		case <-stop:
			return
		}
		envs = envs[n:]
	}
}

func (f *fixtures) replayBlock(l *ledger.Ledger, cands []*ledger.Candidate, now int64) error {
	b, err := l.Begin(now)
	if err != nil {
		return err
	}
	for _, c := range cands {
		if _, err := b.Admit(c); err != nil {
			return err
		}
	}
	size, root := b.Root()
	signed, err := evidence.SignCheckpoint(evidence.Checkpoint{Origin: b.Origin(), Size: size, Root: root}, f.key.Signer())
	if err != nil {
		return err
	}
	return b.Commit(signed)
}
