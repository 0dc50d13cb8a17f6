package cosign

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/witness"
)

const origin = "log.example/a"

// fakeLog is a Log in memory.
type fakeLog struct {
	mu          sync.Mutex
	signer      note.Signer
	vkey        evidence.VKey
	salt        string
	hashes      []tlog.Hash
	size        int64
	notes       map[uint64][]byte
	reached     uint64
	kept        int // calls of Cosign
	grown       chan struct{}
	contradicts error // set by Contradict
}

func newLog(t *testing.T, salt string, size int) *fakeLog {
	t.Helper()
	l := &fakeLog{salt: salt, notes: map[uint64][]byte{}, grown: make(chan struct{}, 1)}
	var err error
	if l.signer, l.vkey, err = evidence.NewSigner(origin, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, 32))); err != nil {
		t.Fatal(err)
	}
	l.grow(t, size)
	return l
}

func (l *fakeLog) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	var out []tlog.Hash
	for _, i := range indexes {
		out = append(out, l.hashes[i])
	}
	return out, nil
}

// grow adds entries, one checkpoint for each.
func (l *fakeLog) grow(t *testing.T, n int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	for range n {
		hashes, err := tlog.StoredHashes(l.size, fmt.Appendf(nil, "%s %d", l.salt, l.size), l)
		if err != nil {
			t.Fatal(err)
		}
		l.hashes, l.size = append(l.hashes, hashes...), l.size+1
		root, err := tlog.TreeHash(l.size, l)
		if err != nil {
			t.Fatal(err)
		}
		signed, err := evidence.SignCheckpoint(evidence.Checkpoint{Origin: origin, Size: uint64(l.size), Root: root}, l.signer)
		if err != nil {
			t.Fatal(err)
		}
		l.notes[uint64(l.size)] = signed
	}
	select {
	case l.grown <- struct{}{}:
	default:
	}
}

func (l *fakeLog) Checkpoint() ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.notes[uint64(l.size)], nil
}

func (l *fakeLog) Consistency(from, to uint64) (tlog.TreeProof, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return evidence.ProveConsistency(from, to, l)
}

func (l *fakeLog) Grown() (<-chan struct{}, func()) { return l.grown, func() {} }

func (l *fakeLog) Cosign(signed []byte, reached bool, witnesses ...evidence.VKey) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	cp, _, err := evidence.ReadCheckpoint(signed)
	if err != nil {
		return nil, err
	}
	merged, err := evidence.MergeCosignatures(l.notes[cp.Size], signed, witnesses...)
	if err != nil {
		return nil, err
	}
	l.notes[cp.Size], l.kept = merged, l.kept+1
	if reached {
		l.reached = max(l.reached, cp.Size)
	}
	return merged, nil
}

func (l *fakeLog) Cosigned() ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.reached == 0 {
		return nil, errors.New("none")
	}
	return l.notes[l.reached], nil
}

func (l *fakeLog) Judge(p *evidence.Policy, signed []byte) (*evidence.Opened, error) {
	return p.Verify(signed)
}

func (l *fakeLog) Contradict(signed []byte) error {
	cp, _, err := evidence.OpenCheckpoint(signed, evidence.Verifiers(l.vkey))
	if err != nil {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if have, ok := l.notes[cp.Size]; ok {
		if ours, _, _ := evidence.ReadCheckpoint(have); ours == cp {
			return nil
		}
	}
	l.contradicts = fmt.Errorf("%w: size %d", evidence.ErrFork, cp.Size)
	return l.contradicts
}

// clock is a clock that tests set forward; its timers end when it passes them.
type clock struct {
	mu     sync.Mutex
	now    time.Time
	timers map[chan time.Time]time.Time
}

func newClock() *clock {
	return &clock{now: time.Unix(1_800_000_000, 0), timers: map[chan time.Time]time.Time{}}
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) After(d time.Duration) <-chan time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	ch := make(chan time.Time, 1)
	c.timers[ch] = c.now.Add(d)
	return ch
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	for ch, at := range c.timers {
		if !at.After(c.now) {
			ch <- c.now
			delete(c.timers, ch)
		}
	}
}

// helper is a witness, and what stands before it.
type helper struct {
	t    *testing.T
	w    *witness.Witness
	fs   *vfs.MemFS
	url  string
	mu   sync.Mutex
	wrap func(next http.Handler, w http.ResponseWriter, r *http.Request) // nil: nothing
	asks int
	now  int // requests under way
	most int // at once
}

func (h *helper) set(wrap func(next http.Handler, w http.ResponseWriter, r *http.Request)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wrap = wrap
}

func (h *helper) asked() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.asks
}

func startWitness(t *testing.T, name string, seed byte, now func() time.Time, logs ...evidence.VKey) *helper {
	t.Helper()
	h := &helper{t: t, fs: vfs.NewCrashableMem()}
	if _, err := witness.CreateKey(h.fs, "/w", name, bytes.NewReader(bytes.Repeat([]byte{seed}, 32))); err != nil {
		t.Fatal(err)
	}
	var err error
	if h.w, err = witness.Open(witness.Options{FS: h.fs, Dir: "/w", Logs: logs, Now: now}); err != nil {
		t.Fatal(err)
	}
	real := witness.NewHandler(h.w)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.mu.Lock()
		if r.Method == http.MethodPost {
			h.asks++
			h.now++
			h.most = max(h.most, h.now)
			defer func() { h.mu.Lock(); h.now--; h.mu.Unlock() }()
		}
		wrap := h.wrap
		h.mu.Unlock()
		if wrap != nil {
			wrap(real, w, r)
			return
		}
		real.ServeHTTP(w, r)
	}))
	h.url = s.URL
	t.Cleanup(func() { s.CloseClientConnections(); s.Close(); h.w.Close() })
	return h
}

// policy makes "k of the witnesses".
func policy(l *fakeLog, k int, witnesses ...*helper) *evidence.Policy {
	p := evidence.NewPolicy(l.vkey, "")
	g := evidence.PolicyGroup{Name: "quorum-of-them", K: k}
	for i, w := range witnesses {
		name := fmt.Sprintf("w%d", i)
		p.Witnesses = append(p.Witnesses, evidence.PolicyWitness{Name: name, Key: w.w.VKey(), URL: w.url})
		g.Members = append(g.Members, name)
	}
	p.Groups, p.Quorum = []evidence.PolicyGroup{g}, g.Name
	return p
}

func startWorker(t *testing.T, l Log, p *evidence.Policy, c *clock) *Worker {
	t.Helper()
	w, _ := startTalker(t, l, p, c)
	return w
}

// startTalker is startWorker, with what the worker has logged so far.
func startTalker(t *testing.T, l Log, p *evidence.Policy, c *clock) (*Worker, func() string) {
	t.Helper()
	var mu sync.Mutex
	var said strings.Builder
	w, err := Start(l, Options{
		Policy: p, HTTP: &http.Client{Transport: &http.Transport{}}, Now: c.Now, After: c.After, Pace: -1,
		Random: func() float64 { return 1 },
		Logf: func(format string, args ...any) {
			t.Logf(format, args...)
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintf(&said, format+"\n", args...)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w, func() string {
		mu.Lock()
		defer mu.Unlock()
		return said.String()
	}
}

func sizeOf(t *testing.T, signed []byte) uint64 {
	t.Helper()
	cp, _, err := evidence.ReadCheckpoint(signed)
	if err != nil {
		t.Fatal(err)
	}
	return cp.Size
}

// until waits for something that the worker does, as long as the test may run.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// patience ends a wait that would never end.
func patience(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func states(w *Worker) string {
	var out []string
	for _, p := range w.Status().Witnesses {
		out = append(out, string(p.State))
	}
	return strings.Join(out, " ")
}

func TestQuorum(t *testing.T) {
	c, l := newClock(), newLog(t, "true", 5)
	a, b, d := startWitness(t, "w/a", 11, c.Now, l.vkey), startWitness(t, "w/b", 12, c.Now, l.vkey), startWitness(t, "w/d", 13, c.Now)
	p := policy(l, 2, a, b, d) // the third does not know the log
	w := startWorker(t, l, p, c)
	signed, err := w.Wait(patience(t), 5)
	if err != nil {
		t.Fatal(err)
	}
	o, err := p.Verify(signed)
	if err != nil || !o.Quorum || o.Size != 5 {
		t.Fatalf("%+v %v", o, err)
	}
	until(t, "the third refuses", func() bool { return states(w) == "ok ok refused" })
	l.grow(t, 3)
	if signed, err = w.Wait(patience(t), 8); err != nil || sizeOf(t, signed) != 8 {
		t.Fatal(err)
	}
	if !bytes.Equal(w.Published(), signed) || w.Status().Cosigned.Size != 8 || w.Status().Size != 8 {
		t.Fatalf("%+v", w.Status())
	}
	// Another worker takes up where it stopped, and asks from there.
	w.Close()
	asked := a.asked()
	w = startWorker(t, l, p, c)
	if !bytes.Equal(w.Published(), signed) {
		t.Fatal("it forgot what was published")
	}
	l.grow(t, 1)
	if _, err := w.Wait(patience(t), 9); err != nil {
		t.Fatal(err)
	}
	if n := a.asked() - asked; n > 2 { // size 8 once more or not, then 9; never a wrong old size
		t.Fatalf("%d requests", n)
	}
}

// TestNobodyIsAskedTwiceAtOnce: under load each witness has one request, and all
// are asked for the same checkpoint, so that a quorum is reached at all.
func TestNobodyIsAskedTwiceAtOnce(t *testing.T) {
	c, l := newClock(), newLog(t, "true", 1)
	var all []*helper
	for i := range 3 {
		h := startWitness(t, fmt.Sprintf("w/%d", i), byte(20+i), c.Now, l.vkey)
		delay := time.Duration(i) * 3 * time.Millisecond
		h.set(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			time.Sleep(delay)
			next.ServeHTTP(w, r)
		})
		all = append(all, h)
	}
	w := startWorker(t, l, policy(l, 3, all...), c)
	for range 300 {
		l.grow(t, 1)
	}
	if _, err := w.Wait(patience(t), 301); err != nil {
		t.Fatal(err)
	}
	for _, h := range all {
		h.mu.Lock()
		if h.most != 1 {
			t.Errorf("%d requests at once", h.most)
		}
		if h.asks >= 300 {
			t.Errorf("%d requests for 300 checkpoints", h.asks)
		}
		h.mu.Unlock()
	}
}

// TestWitnessHangs: a witness that never answers holds up nobody but those who
// need it.
func TestWitnessHangs(t *testing.T) {
	c, l := newClock(), newLog(t, "true", 2)
	a, b, d := startWitness(t, "w/a", 11, c.Now, l.vkey), startWitness(t, "w/b", 12, c.Now, l.vkey), startWitness(t, "w/d", 13, c.Now, l.vkey)
	release := make(chan struct{})
	d.set(func(_ http.Handler, _ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	defer close(release)
	w := startWorker(t, l, policy(l, 2, a, b, d), c)
	until(t, "it hangs", func() bool { return d.asked() > 0 })
	for range 5 {
		l.grow(t, 1)
		if _, err := w.Wait(patience(t), uint64(l.size)); err != nil {
			t.Fatal(err)
		}
	}
	if n := d.asked(); n != 1 {
		t.Fatalf("the one that hangs was asked %d times", n)
	}
	// Where it is needed, whoever waits is told when their time is up.
	all := startWorker(t, newLogLike(t, l), policy(l, 3, a, b, d), c)
	ctx, cancel := context.WithTimeout(patience(t), 50*time.Millisecond)
	defer cancel()
	if _, err := all.Wait(ctx, 2); !errors.Is(err, ErrNoQuorum) || !strings.HasSuffix(err.Error(), "w2: no answer so far") {
		t.Fatal(err)
	}
}

// newLogLike is the same log once more, with none of its cosignatures.
func newLogLike(t *testing.T, l *fakeLog) *fakeLog {
	t.Helper()
	return newLog(t, l.salt, int(l.size))
}

// TestWitnessIsSlow: nobody waits for one that is not needed; what it cosigns late is
// taken, and then it is asked for what is newest by then.
func TestWitnessIsSlow(t *testing.T) {
	c, l := newClock(), newLog(t, "true", 2)
	a, b, d := startWitness(t, "w/a", 11, c.Now, l.vkey), startWitness(t, "w/b", 12, c.Now, l.vkey), startWitness(t, "w/d", 13, c.Now, l.vkey)
	release := make(chan struct{})
	d.set(func(next http.Handler, w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
			next.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	})
	w := startWorker(t, l, policy(l, 2, a, b, d), c)
	until(t, "it is asked", func() bool { return d.asked() > 0 })
	for range 4 {
		if _, err := w.Wait(patience(t), uint64(l.size)); err != nil {
			t.Fatal(err)
		}
		l.grow(t, 1)
	}
	if s := w.Status().Witnesses[2]; s.State != StateNew || d.asked() != 1 {
		t.Fatalf("%+v, asked %d times", s, d.asked())
	}
	close(release)
	until(t, "the slow one cosigns what is newest", func() bool {
		s := w.Status().Witnesses[2]
		return s.State == StateOK && s.Size == uint64(l.size)
	})
	if n := d.asked(); n > 3 {
		t.Errorf("it was asked %d times", n)
	}
}

// TestWitnessLies: a cosignature that does not hold, or one by another key, is
// never stored.
func TestWitnessLies(t *testing.T) {
	c, l := newClock(), newLog(t, "true", 4)
	for name, answer := range map[string]func(next http.Handler, w http.ResponseWriter, r *http.Request){
		"another checkpoint's": func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			fork := newLog(t, "other", 4)
			req := witness.Request{Checkpoint: fork.notes[4]}
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, httptest.NewRequest("POST", "/add-checkpoint", bytes.NewReader(req.Marshal())))
			fmt.Fprint(w, rec.Body.String())
		},
		"another name's": func(next http.Handler, w http.ResponseWriter, r *http.Request) {
			rec := httptest.NewRecorder()
			next.ServeHTTP(rec, r)
			fmt.Fprint(w, strings.Replace(rec.Body.String(), "w/a", "w/b", 1))
		},
		"nonsense": func(_ http.Handler, w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "fine\n") },
		"nothing":  func(http.Handler, http.ResponseWriter, *http.Request) {},
		"redirects": func(_ http.Handler, w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		},
		"endless": func(_ http.Handler, w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 64<<10)); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLogLike(t, l)
			a := startWitness(t, "w/a", 11, c.Now, l.vkey)
			a.set(answer)
			w := startWorker(t, l, policy(l, 1, a), c)
			if _, err := w.Try(patience(t), 4); !errors.Is(err, ErrNoQuorum) {
				t.Fatal(err)
			}
			if l.kept != 0 || states(w) == "ok" {
				t.Fatalf("%d kept, %s", l.kept, states(w))
			}
		})
	}
}

// TestWitnessHasForgotten: one that tells a smaller size than it cosigned is
// asked from there, and it is told.
func TestWitnessHasForgotten(t *testing.T) {
	c, l := newClock(), newLog(t, "true", 4)
	a := startWitness(t, "w/a", 11, c.Now, l.vkey)
	w, words := startTalker(t, l, policy(l, 1, a), c)
	if _, err := w.Wait(patience(t), 4); err != nil {
		t.Fatal(err)
	}
	fresh := startWitness(t, "w/a", 11, c.Now, l.vkey) // the same key, and no memory
	a.set(func(_ http.Handler, rw http.ResponseWriter, r *http.Request) {
		witness.NewHandler(fresh.w).ServeHTTP(rw, r)
	})
	l.grow(t, 2)
	if _, err := w.Wait(patience(t), 6); err != nil {
		t.Fatal(err)
	}
	if s := w.Status().Witnesses[0]; !s.Forgot || s.State != StateOK || s.Size != 6 {
		t.Fatalf("%+v", s)
	}
	if said := words(); !strings.Contains(said, "it cosigned 4 entries, and says 0") {
		t.Fatal(said)
	}
}

// TestWitnessClaimsToBeAhead: words stop nothing.
func TestWitnessClaimsToBeAhead(t *testing.T) {
	c, l := newClock(), newLog(t, "true", 4)
	stranger, _, err := evidence.NewSigner(origin, ed25519.NewKeyFromSeed(bytes.Repeat([]byte{77}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	forged, err := evidence.SignCheckpoint(evidence.Checkpoint{Origin: origin, Size: 9, Root: tlog.Hash{1}}, stranger)
	if err != nil {
		t.Fatal(err)
	}
	a := startWitness(t, "w/a", 11, c.Now, l.vkey)
	a.set(func(_ http.Handler, w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = w.Write(forged)
			return
		}
		w.Header().Set("Content-Type", witness.SizeType)
		w.WriteHeader(409)
		fmt.Fprint(w, "9\n")
	})
	w := startWorker(t, l, policy(l, 1, a), c)
	if _, err := w.Try(patience(t), 4); !errors.Is(err, ErrNoQuorum) {
		t.Fatal(err)
	}
	if states(w) != "ahead" || l.contradicts != nil || w.Status().Stopped != nil {
		t.Fatalf("%+v", w.Status())
	}
	// Its backoff over, it is asked again, and is honest now.
	a.set(nil)
	until(t, "asked again", func() bool { c.advance(time.Second); return states(w) == "ok" })
}

// TestLogHasTwoHistories: what the log's own key signed, and the log does not
// contain, stops it: a larger one, and one of the same size.
func TestLogHasTwoHistories(t *testing.T) {
	for name, fork := range map[string]int{"larger": 9, "the same size": 4, "smaller": 3} {
		t.Run(name, func(t *testing.T) {
			c, l := newClock(), newLog(t, "true", 4)
			a := startWitness(t, "w/a", 11, c.Now, l.vkey)
			other := newLog(t, "other", fork)
			if ans := a.w.Add(witness.Request{Checkpoint: other.notes[uint64(fork)]}); ans.Status != witness.OK {
				t.Fatalf("%+v", ans)
			}
			w := startWorker(t, l, policy(l, 1, a), c)
			if _, err := w.Wait(patience(t), 4); !errors.Is(err, evidence.ErrFork) {
				t.Fatal(err)
			}
			if !errors.Is(w.Status().Stopped, evidence.ErrFork) {
				t.Fatalf("%+v", w.Status())
			}
		})
	}
}

// TestIdleLogStaysFresh: a log that rests is cosigned again before its newest
// cosignature is old.
func TestIdleLogStaysFresh(t *testing.T) {
	c, l := newClock(), newLog(t, "true", 4)
	a := startWitness(t, "w/a", 11, c.Now, l.vkey)
	w := startWorker(t, l, policy(l, 1, a), c)
	if _, err := w.Wait(patience(t), 4); err != nil {
		t.Fatal(err)
	}
	first := w.Status().Cosigned.Time
	c.advance(DefaultRefresh / 2)
	until(t, "it is asked again", func() bool {
		c.advance(DefaultRefresh / 8)
		return w.Status().Cosigned.Time > first
	})
	if s := w.Status().Cosigned; s.Size != 4 || s.Time < first+int64(DefaultRefresh/time.Second) {
		t.Fatalf("%+v, first %d", s, first)
	}
	_, sigs, err := evidence.ReadCheckpoint(l.notes[4])
	if err != nil || len(sigs) != 2 { // the newer in place of the older
		t.Fatalf("%d signatures, %v", len(sigs), err)
	}
}

// TestClockIsSetBack: a witness that is left alone for a second is not left alone for
// hours.
func TestClockIsSetBack(t *testing.T) {
	c, l := newClock(), newLog(t, "true", 4)
	a := startWitness(t, "w/a", 11, c.Now, l.vkey)
	a.set(func(_ http.Handler, rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(500) })
	w := startWorker(t, l, policy(l, 1, a), c)
	if _, err := w.Try(patience(t), 4); !errors.Is(err, ErrNoQuorum) {
		t.Fatal(err)
	}
	a.set(nil)
	c.advance(-5 * time.Hour)
	if _, err := w.Wait(patience(t), 4); err != nil {
		t.Fatal(err)
	}
	// Nor does a log that rests wait for hours.
	asked := a.asked()
	c.advance(-30 * time.Second) // the witness bears that much
	w.poke <- struct{}{}
	until(t, "it is asked again", func() bool { return a.asked() > asked })
}

// TestClockIsSetForward: the witnesses' clocks are right, and this one is hours ahead of
// them. A log that rests is cosigned once more, and its witnesses are not asked without
// end.
func TestClockIsSetForward(t *testing.T) {
	c, theirs, l := newClock(), newClock(), newLog(t, "true", 4)
	a := startWitness(t, "w/a", 11, theirs.Now, l.vkey)
	w := startWorker(t, l, policy(l, 1, a), c)
	if _, err := w.Wait(patience(t), 4); err != nil {
		t.Fatal(err)
	}
	c.advance(5 * time.Hour)
	until(t, "it is asked once more", func() bool {
		select {
		case w.poke <- struct{}{}: // it may have looked at the clock before, and set its timer after
		default:
		}
		return a.asked() == 2
	})
	until(t, "its answer is taken", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.peers[0].status.State == StateOK })
	for range 20 {
		w.poke <- struct{}{} // each has the coordinator look what is to be done
	}
	l.grow(t, 1)
	if _, err := w.Wait(patience(t), 5); err != nil {
		t.Fatal(err)
	}
	if n := a.asked(); n > 4 {
		t.Errorf("it was asked %d times", n)
	}
}

// TestBackoff: a witness that fails is left alone longer and longer, and asked
// again without end.
func TestBackoff(t *testing.T) {
	w := &Worker{opts: Options{Random: func() float64 { return 1 }}}
	want := []time.Duration{1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300}
	for i, s := range want {
		if d := w.backoff(i + 1); d != s*time.Second {
			t.Errorf("after %d failures: %s", i+1, d)
		}
	}
	w.opts.Random = func() float64 { return 0 }
	if d := w.backoff(1); d != firstBackoff/2 {
		t.Error(d)
	}
	if d := w.backoff(1 << 40); d != maxBackoff/2 {
		t.Error(d)
	}
}

// TestWitnessSaysLater: one that says how long it wants to be left alone is, and no
// longer than the longest backoff, whatever it says.
func TestWitnessSaysLater(t *testing.T) {
	for header, want := range map[string]time.Duration{
		"40": 40 * time.Second, "99999999": maxBackoff, "": firstBackoff, "-1": firstBackoff, "soon": firstBackoff,
		newClock().Now().Add(70 * time.Second).UTC().Format(http.TimeFormat): 70 * time.Second,
	} {
		t.Run(header, func(t *testing.T) {
			c, l := newClock(), newLog(t, "true", 4)
			a := startWitness(t, "w/a", 11, c.Now, l.vkey)
			a.set(func(_ http.Handler, rw http.ResponseWriter, _ *http.Request) {
				if header != "" {
					rw.Header().Set("Retry-After", header)
				}
				rw.WriteHeader(http.StatusTooManyRequests)
			})
			w := startWorker(t, l, policy(l, 1, a), c)
			if _, err := w.Try(patience(t), 4); !errors.Is(err, ErrNoQuorum) {
				t.Fatal(err)
			}
			a.set(nil)
			asked := a.asked()
			c.advance(want - 2*time.Millisecond)
			if _, err := w.Try(patience(t), 4); !errors.Is(err, ErrNoQuorum) {
				t.Fatal(err)
			}
			if a.asked() != asked {
				t.Errorf("it was asked before %s", want)
			}
			c.advance(2 * time.Millisecond)
			if _, err := w.Wait(patience(t), 4); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestStartRefuses(t *testing.T) {
	c, l := newClock(), newLog(t, "true", 1)
	a := startWitness(t, "w/a", 11, c.Now, l.vkey)
	none := policy(l, 1, a)
	none.Witnesses[0].URL = ""
	for name, p := range map[string]*evidence.Policy{"no policy": nil, "no quorum": evidence.NewPolicy(l.vkey, ""), "no address": none} {
		if w, err := Start(l, Options{Policy: p}); err == nil {
			w.Close()
			t.Error(name)
		}
	}
}

// TestPublishedNeverGoesBack: what is served while the quorum is not reached is
// what was the newest at the start.
func TestPublishedNeverGoesBack(t *testing.T) {
	c, l := newClock(), newLog(t, "true", 4)
	a := startWitness(t, "w/a", 11, c.Now, l.vkey)
	a.set(func(_ http.Handler, w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) })
	w := startWorker(t, l, policy(l, 1, a), c)
	l.grow(t, 5)
	if _, err := w.Try(patience(t), 4); !errors.Is(err, ErrNoQuorum) {
		t.Fatal(err)
	}
	if n := sizeOf(t, w.Published()); n != 4 {
		t.Fatal(n)
	}
	a.set(nil)
	until(t, "cosigned", func() bool { c.advance(time.Second); return sizeOf(t, w.Published()) == 9 })
	// The next process knows who cosigned that, before it has asked anybody.
	if s := startWorker(t, l, policy(l, 1, a), c).Status().Witnesses[0]; s.Size != 9 || s.Time == 0 {
		t.Fatalf("%+v", s)
	}
}
