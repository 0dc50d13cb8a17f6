package solo

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/statement"
)

// start is the time of the tests' clocks, unix ms.
const start = 1_700_000_000_000

// fakeClock moves only when told to.
type fakeClock struct {
	mu   sync.Mutex
	wall int64
	mono time.Duration
}

func newClock() *fakeClock { return &fakeClock{wall: start} }

func (c *fakeClock) now() (int64, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wall, c.mono
}

// pass lets time go by.
func (c *fakeClock) pass(d time.Duration) { c.set(d, d) }

// set moves both clocks.
func (c *fakeClock) set(wall, mono time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wall += wall.Milliseconds()
	c.mono += mono
}

// home is where a test's ledger lies.
type home struct {
	t     *testing.T
	opts  Options
	clock *fakeClock
	m     *ledgertest.Maker
	ada   statement.Signer
}

// newHome returns a place on the disk for a ledger.
func newHome(t *testing.T) *home {
	t.Helper()
	dir := t.TempDir()
	return homeIn(t, dir, nil)
}

func homeIn(t *testing.T, dir string, fs vfs.FS) *home {
	h := &home{t: t, clock: newClock(), m: &ledgertest.Maker{}, ada: ledgertest.Ed25519("ada")}
	h.opts = Options{
		Dir: filepath.Join(dir, ".stele"), State: filepath.Join(dir, "state"),
		Clock: h.clock.now, Wait: -1, FS: fs, StateFS: fs, Command: "a test",
	}
	return h
}

func testKey(name string) *LogKey {
	k, err := newLogKey(ledgertest.Origin, ledgertest.LogPrivateKey(name).Seed())
	if err != nil {
		panic(err)
	}
	return k
}

func (h *home) create() *Engine {
	h.t.Helper()
	e, err := h.tryCreate()
	if err != nil {
		h.t.Fatal(err)
	}
	return e
}

func (h *home) tryCreate() (*Engine, error) {
	key := testKey("1")
	e, err := Create(h.t.Context(), h.opts, h.m.Genesis(h.ada, key.VKey()), key)
	if err == nil {
		h.m.Ledger = e.Info().ID
		h.t.Cleanup(func() { e.Close() })
	}
	return e, err
}

func (h *home) open() *Engine {
	h.t.Helper()
	e, err := h.tryOpen()
	if err != nil {
		h.t.Fatal(err)
	}
	return e
}

func (h *home) tryOpen() (*Engine, error) {
	e, err := Open(h.t.Context(), h.opts)
	if err == nil {
		h.m.Ledger = e.Info().ID
		h.t.Cleanup(func() { e.Close() })
	}
	return e, err
}

func (h *home) stamp(n int) *statement.Envelope {
	v := fmt.Sprint(n)
	return h.m.Stamp(h.ada, h.m.Ref("data", v, "contents "+v))
}

func (h *home) submit(e *Engine, env *statement.Envelope) *Proof {
	h.t.Helper()
	p, err := e.Submit(h.t.Context(), env)
	if err != nil {
		h.t.Fatal(err)
	}
	return p
}

// sound expects fsck to find nothing.
func (h *home) sound() *Report {
	h.t.Helper()
	r, err := Fsck(h.t.Context(), h.opts, FsckOptions{})
	if err != nil {
		h.t.Fatal(err)
	}
	if !r.OK() || r.Guard != nil {
		h.t.Fatalf("fsck: %s %v", strings.Join(r.Problems, "\n"), r.Guard)
	}
	return r
}

func closed(t *testing.T, e *Engine) {
	t.Helper()
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestCreateSubmitReopen(t *testing.T) {
	h := newHome(t)
	e := h.create()
	env := h.stamp(1)
	p := h.submit(e, env)
	if p.Index != 1 || p.Existed {
		t.Fatalf("receipt %+v", p.Receipt)
	}
	// What was acknowledged can be proved to somebody who knows the log key.
	cp, _, err := evidence.OpenCheckpoint(p.Checkpoint, evidence.Verifiers(testKey("1").VKey()))
	if err != nil {
		t.Fatal(err)
	}
	proof, err := p.Inclusion()
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := e.View().Leaf(p.Index)
	if err != nil {
		t.Fatal(err)
	}
	if err := evidence.CheckInclusion(cp, p.Index, evidence.LeafHash(leaf), proof); err != nil {
		t.Fatal(err)
	}
	closed(t, e)
	h.sound()

	e = h.open()
	again := h.submit(e, env)
	if !again.Existed || again.Index != 1 || again.Time != p.Time {
		t.Fatalf("retry: %+v", again.Receipt)
	}
	closed(t, e)
	if r := h.sound(); r.Entries != 2 || !r.Guarded {
		t.Fatalf("%+v", r)
	}
}

func TestGroupOfManyWriters(t *testing.T) {
	h := newHome(t)
	e := h.create()
	const n = 400
	envs := make([]*statement.Envelope, n)
	for i := range envs {
		envs[i] = h.stamp(i)
	}
	var wg sync.WaitGroup
	seen := make([]uint64, n)
	for i := range envs {
		wg.Go(func() {
			p, err := e.Submit(context.Background(), envs[i])
			if err != nil {
				t.Error(err)
				return
			}
			seen[i] = p.Index
		})
	}
	wg.Wait()
	taken := map[uint64]bool{}
	for i, index := range seen {
		if taken[index] {
			t.Fatalf("index %d twice", index)
		}
		taken[index] = true
		entry, err := e.View().Entry(index)
		if err != nil || entry.Envelope.ID() != envs[i].ID() {
			t.Fatalf("entry %d is not what was submitted: %v", index, err)
		}
	}
	closed(t, e)
	h.sound()
}
