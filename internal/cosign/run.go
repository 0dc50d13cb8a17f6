package cosign

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/witness"
)

func random() float64 { return rand.Float64() }

// peer is one witness. What is above status is the coordinator's alone.
type peer struct {
	key    evidence.VKey
	client *witness.Client // nil: it has no address
	busy   *round          // what it is asked for now; nil: nothing
	done   uint64          // the id of the newest round that it cosigned in
	retry  time.Time       // not before
	old    uint64          // the size that it cosigned last, by its own word
	size   uint64          // the largest that it is known to have cosigned
	time   int64

	status WitnessStatus // guarded by Worker.mu
}

func newPeer(p evidence.PolicyWitness, o Options, origin string) *peer {
	out := &peer{key: p.Key, status: WitnessStatus{Name: p.Name, Key: p.Key, URL: p.URL, State: StateNoAddress}}
	if p.URL != "" {
		out.client = &witness.Client{URL: p.URL, Key: p.Key, HTTP: o.HTTP, Now: o.Now}
		out.status.State = StateNew
	}
	return out
}

// result is how a witness answered in a round.
type result struct {
	peer   *peer
	round  *round
	lines  []witness.Cosignature // none, without an error: it is past this round's size
	old    uint64                // what it cosigned last, by its own word
	forgot uint64                // what it had cosigned by what is known, where it told less; else 0
	says   uint64                // and what it told
	ahead  bool
	err    error
	fork   error // the log does not contain what its key signed
}

// run is the coordinator: the one goroutine that decides who is asked what.
func (w *Worker) run(ctx context.Context) {
	defer close(w.done)
	grown, stop := w.log.Grown()
	defer stop()
	defer w.stop(ErrClosed)
	defer w.asking.Wait()
	for {
		next, err := w.plan(ctx)
		if err != nil {
			w.opts.Logf("the witnesses are not asked for now: %v", err)
			next = maxBackoff
		}
		select {
		case r := <-w.results:
			w.take(r)
		case <-grown:
		case <-w.poke:
		case <-w.opts.After(next):
		case <-ctx.Done():
			return
		}
	}
}

// plan begins a round if it is time for one, asks whoever is free, and returns
// after how long to look again if nothing happens.
func (w *Worker) plan(ctx context.Context) (time.Duration, error) {
	signed, err := w.log.Checkpoint()
	if err != nil {
		return 0, err
	}
	cp, _, err := evidence.ReadCheckpoint(signed)
	if err != nil {
		return 0, err
	}
	now := w.opts.Now()
	w.mu.Lock()
	w.size = cp.Size
	stopped := w.stopped != nil
	w.mu.Unlock()
	if stopped {
		return maxBackoff, nil
	}
	next := w.opts.Refresh
	soon := func(d time.Duration) { next = min(next, max(d, time.Millisecond)) }
	if w.round == nil || w.over(now) {
		begin := w.round == nil || cp.Size > w.round.size
		if !begin && w.round.reached { // the log rests
			// By how long ago that was here, and not by the witnesses' times: their
			// clocks and this one may be hours apart.
			age := now.Sub(w.fresh)
			begin = age >= w.opts.Refresh || age < 0
			soon(w.opts.Refresh - age)
		}
		if wait := w.opts.Pace - now.Sub(w.started); begin && w.round != nil && wait > 0 && wait <= w.opts.Pace {
			begin = false
			soon(wait)
		}
		if begin {
			id := uint64(1)
			if w.round != nil {
				id = w.round.id + 1
			}
			w.round, w.started = &round{id: id, size: cp.Size, signed: signed}, now
		}
	}
	for _, p := range w.peers {
		switch {
		case p.client == nil || p.busy != nil || p.done == w.round.id:
		case w.rests(p, now):
			soon(p.retry.Sub(now))
		default:
			p.busy = w.round
			w.asking.Add(1)
			go w.ask(ctx, p, w.round, w.round.signed, w.round.size, p.old, p.size)
		}
	}
	if w.over(now) && !w.round.reached {
		w.giveUp()
	}
	return next, nil
}

// rests reports whether a witness is left alone for now. A clock that was set back must
// not make hours of it.
func (w *Worker) rests(p *peer, now time.Time) bool {
	return now.Before(p.retry) && p.retry.Sub(now) <= maxBackoff
}

// over reports whether a round has come as far as it will for now.
func (w *Worker) over(now time.Time) bool {
	if w.round.reached {
		return true
	}
	for _, p := range w.peers {
		if p.busy == w.round {
			return false
		}
		if p.client != nil && p.busy == nil && p.done != w.round.id && !w.rests(p, now) {
			return false
		}
	}
	return true
}

// giveUp tells those who wait once that the round did not reach the quorum.
func (w *Worker) giveUp() {
	words := w.Status().Words()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answerAll(func(on *waiter) (answer, bool) {
		return answer{err: fmt.Errorf("%w: %s", ErrNoQuorum, words)}, on.once && on.size <= w.round.size
	})
}

// take takes a witness's answer.
func (w *Worker) take(r result) {
	p := r.peer
	p.busy = nil
	p.old = r.old
	if r.fork != nil {
		w.opts.Logf("%s shows a checkpoint which this log's key signed and this log does not contain: %v", p.status.Name, r.fork)
		w.stop(r.fork)
	}
	state, words := stateOf(r.err), ""
	if r.err != nil {
		words = r.err.Error()
	}
	if r.ahead {
		state = StateAhead
	}
	if r.err == nil {
		p.done = max(p.done, r.round.id)
	}
	var reached *Cosigned
	if len(r.lines) > 0 {
		var err error
		if reached, err = w.keep(r); err != nil {
			w.opts.Logf("a cosignature by %s was not kept: %v", p.status.Name, err)
		}
	}
	w.note(p, r, state, words)
	if reached != nil { // last, so that whoever waited for it finds the status of this round
		w.fresh = w.opts.Now()
		w.publish(*reached)
	}
}

// note writes down how a witness answered, and when it is asked again.
func (w *Worker) note(p *peer, r result, state State, words string) {
	now := w.opts.Now()
	w.mu.Lock()
	s := &p.status
	changed := s.State != state || r.forgot > 0 && !s.Forgot
	if changed {
		s.Since = now
	}
	s.State, s.Error, s.Size, s.Time, s.Forgot = state, words, p.size, p.time, s.Forgot || r.forgot > 0
	if r.err == nil {
		s.Failures = 0
		p.retry = time.Time{}
	} else {
		s.Failures++
		wait := w.backoff(s.Failures)
		var busy *witness.Unreachable
		if errors.As(r.err, &busy) { // it may say how long it wants to be left alone
			wait = max(wait, min(busy.After, maxBackoff))
		}
		p.retry = now.Add(wait)
	}
	name := s.Name
	w.mu.Unlock()
	switch {
	case changed && r.forgot > 0:
		w.opts.Logf("the witness %s has lost its memory: it cosigned %d entries, and says %d", name, r.forgot, r.says)
	case changed && state != StateOK:
		w.opts.Logf("the witness %s does not cosign: %s: %s", name, state, words)
	case changed:
		w.opts.Notef("the witness %s cosigns", name)
	}
}

// backoff is how long a witness that failed is left alone: from one second,
// doubling, up to five minutes, the second half of it by chance.
func (w *Worker) backoff(failures int) time.Duration {
	d := maxBackoff
	if n := failures - 1; n < 16 {
		d = min(firstBackoff<<n, maxBackoff)
	}
	return d/2 + time.Duration(w.opts.Random()*float64(d/2))
}

// keep stores the cosignatures of an answer, and returns what is to be published
// if they make the quorum; else nil. An error is the log's, not the witness's.
func (w *Worker) keep(r result) (*Cosigned, error) {
	p := r.peer
	cp, _, err := evidence.ReadCheckpoint(r.round.signed)
	if err != nil {
		return nil, err
	}
	more := cp.Text() + "\n"
	for _, line := range r.lines {
		more += line.Line
		if cp.Size > p.size || line.Time > p.time {
			p.size, p.time = cp.Size, line.Time
		}
	}
	merged, err := evidence.MergeCosignatures(r.round.signed, []byte(more), p.key)
	if err != nil {
		return nil, err
	}
	o, err := w.log.Judge(w.opts.Policy, merged)
	if err != nil {
		return nil, err
	}
	stored, err := w.log.Cosign(merged, o.Quorum, w.keys()...)
	if err != nil {
		return nil, err
	}
	r.round.signed = stored
	if !o.Quorum {
		return nil, nil
	}
	r.round.reached = true
	at, _ := o.QuorumTime()
	return &Cosigned{Signed: stored, Size: cp.Size, Time: at}, nil
}

func (w *Worker) keys() []evidence.VKey {
	keys := make([]evidence.VKey, len(w.peers))
	for i, p := range w.peers {
		keys[i] = p.key
	}
	return keys
}

// publish makes a checkpoint the one that is served, unless a newer one is.
func (w *Worker) publish(c Cosigned) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.Size < w.cosigned.Size {
		return
	}
	w.cosigned = c
	if before, _, err := evidence.ReadCheckpoint(w.published); err != nil || c.Size >= before.Size {
		w.published = c.Signed
	}
	w.answerAll(func(on *waiter) (answer, bool) { return answer{signed: c.Signed}, on.size <= c.Size })
}
