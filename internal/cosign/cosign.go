package cosign

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/witness"
)

const (
	// DefaultRefresh is after how long the checkpoint of a log that rests is
	// cosigned again.
	DefaultRefresh = 10 * time.Minute

	// DefaultPace is the least time between the beginnings of two rounds. It
	// bounds what a busy log costs its witnesses; a log that rested is asked for
	// at once.
	DefaultPace = 100 * time.Millisecond

	firstBackoff = time.Second
	maxBackoff   = 5 * time.Minute
	maxTurns     = 4 // requests to one witness in one round: it may have to tell its size
)

// ErrNoQuorum says that the witnesses who answered do not make the quorum.
var ErrNoQuorum = errors.New("no quorum of witnesses")

// ErrNoAddress says that the policy asks for witnesses and names no address of one.
var ErrNoAddress = errors.New("the policy has no address of a witness")

// ErrClosed says that the worker was closed.
var ErrClosed = errors.New("the witnesses are no longer asked")

// Log is the log whose witnesses are asked. Its methods are called from several
// goroutines at once.
type Log interface {
	// Checkpoint returns the newest published checkpoint, with the cosignatures
	// that are known of it.
	Checkpoint() ([]byte, error)
	// Consistency returns the proof that the tree of size to begins with that of
	// size from.
	Consistency(from, to uint64) (tlog.TreeProof, error)
	// Grown returns a channel that receives after the log has grown, and what
	// ends that.
	Grown() (<-chan struct{}, func())
	// Cosign stores the cosignatures of a checkpoint by those witnesses, durably,
	// and with reached that a quorum was reached. It returns the checkpoint with
	// all that are stored.
	Cosign(signed []byte, reached bool, witnesses ...evidence.VKey) ([]byte, error)
	// Cosigned returns the newest checkpoint that was stored with reached; an
	// error if there is none.
	Cosigned() ([]byte, error)
	// Judge applies a policy: log keys are followed, and a witness whose key is
	// somebody else's on the ledger does not count.
	Judge(p *evidence.Policy, signed []byte) (*evidence.Opened, error)
	// Contradict shows the log a signed checkpoint of its own that somebody else
	// has. If the log's key signed it and the log does not contain it, the log
	// stops for good and the error is an evidence.ErrFork.
	Contradict(signed []byte) error
}

// Options say whom to ask, and how.
type Options struct {
	Policy  *evidence.Policy // whose witnesses that have an address are asked; its quorum counts
	HTTP    *http.Client     // nil: http.DefaultClient
	Refresh time.Duration    // 0: DefaultRefresh
	Pace    time.Duration    // 0: DefaultPace; below it none
	Again   bool             // ask at once, also for a checkpoint that reached the quorum before
	// Logf, if set, is told when a witness no longer cosigns, or has forgotten; Notef when
	// it does, again.
	Logf, Notef func(format string, args ...any)

	// What tests set: the clock, a timer, and chance in [0, 1) for the jitter.
	Now    func() time.Time
	After  func(time.Duration) <-chan time.Time
	Random func() float64
}

// Worker asks the witnesses. Its methods may be called concurrently.
type Worker struct {
	log     Log
	opts    Options
	origin  string
	peers   []*peer
	results chan result
	cancel  context.CancelFunc
	done    chan struct{}
	poke    chan struct{} // one buffered: somebody waits

	// The coordinator's: only run uses them.
	round   *round
	started time.Time // of the round
	fresh   time.Time // when a quorum was reached last
	asking  sync.WaitGroup

	mu        sync.Mutex // guards what follows
	published []byte     // what is served: see Published
	cosigned  Cosigned
	size      uint64 // of the log's newest checkpoint, as last seen
	waiters   map[*waiter]bool
	stopped   error // why nobody is asked any more
}

// Cosigned is the newest checkpoint that reached the quorum.
type Cosigned struct {
	Signed []byte // nil if there is none so far
	Size   uint64
	Time   int64 // evidence.Opened.QuorumTime, Unix seconds
}

// round is one checkpoint that witnesses are asked to cosign.
type round struct {
	id      uint64
	size    uint64
	signed  []byte // grows by the cosignatures that came
	reached bool
}

// waiter waits for the quorum over a size.
type waiter struct {
	size uint64
	once bool // no longer than until everybody has been asked once
	done chan answer
}

type answer struct {
	signed []byte
	err    error
}

// Start begins to ask. The policy's quorum must ask for witnesses, of whom at
// least one has an address.
func Start(log Log, o Options) (*Worker, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.After == nil {
		o.After = time.After
	}
	if o.Random == nil {
		o.Random = random
	}
	if o.Refresh == 0 {
		o.Refresh = DefaultRefresh
	}
	if o.Pace == 0 {
		o.Pace = DefaultPace
	}
	if o.Logf == nil {
		o.Logf = func(string, ...any) {}
	}
	if o.Notef == nil {
		o.Notef = func(string, ...any) {}
	}
	signed, err := log.Checkpoint()
	if err != nil {
		return nil, fmt.Errorf("ask witnesses: %w", err)
	}
	cp, _, err := evidence.ReadCheckpoint(signed)
	if err != nil {
		return nil, fmt.Errorf("ask witnesses: %w", err)
	}
	w := &Worker{
		log: log, opts: o, origin: cp.Origin, done: make(chan struct{}), poke: make(chan struct{}, 1),
		published: signed, size: cp.Size, waiters: map[*waiter]bool{},
	}
	if err := w.takeUp(); err != nil {
		return nil, fmt.Errorf("ask witnesses: %w", err)
	}
	w.results = make(chan result, len(w.peers)) // a witness has one answer under way
	ctx, cancel := context.WithCancel(context.Background())
	w.cancel = cancel
	go w.run(ctx)
	return w, nil
}

// takeUp makes the witnesses' records, from what the log has of them.
func (w *Worker) takeUp() error {
	if w.opts.Policy == nil || w.opts.Policy.Quorum == evidence.QuorumNone {
		return errors.New("the policy asks for no witness")
	}
	addresses := 0
	for _, p := range w.opts.Policy.Witnesses {
		w.peers = append(w.peers, newPeer(p, w.opts, w.origin))
		if p.URL != "" {
			addresses++
		}
	}
	if addresses == 0 {
		return fmt.Errorf("%w: a line is \"witness NAME KEY URL\"", ErrNoAddress)
	}
	signed, err := w.log.Cosigned()
	if err != nil {
		return nil // none was, so far
	}
	cp, _, err := evidence.ReadCheckpoint(signed)
	if err != nil {
		return err
	}
	w.published = signed
	o, err := w.log.Judge(w.opts.Policy, signed)
	if err != nil {
		return err
	}
	for _, c := range o.Cosignatures {
		for _, p := range w.peers {
			if p.key == c.Key {
				p.old, p.size, p.time = cp.Size, cp.Size, c.Time
				p.status.Size, p.status.Time = cp.Size, c.Time
			}
		}
	}
	if o.Quorum && !w.opts.Again { // else it was reached by another policy than today's
		at, _ := o.QuorumTime()
		w.cosigned = Cosigned{Signed: signed, Size: cp.Size, Time: at}
		now := w.opts.Now()
		age := min(max(0, now.Sub(time.Unix(at, 0))), w.opts.Refresh) // the clocks may differ
		w.fresh = now.Add(-age)
	}
	return nil
}

// Close ends the requests under way and waits for them.
func (w *Worker) Close() {
	w.cancel()
	<-w.done
}

// Published is the checkpoint for those who ask for the newest: the newest that
// reached a quorum. Before the first one it is the one that was the newest when
// the worker was started. So it never goes back, also over restarts.
func (w *Worker) Published() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.published
}

// Wait returns a checkpoint of at least that size that reached the quorum, once
// there is one. The error is ErrClosed, why the log was stopped, or, once ctx is done,
// an ErrNoQuorum that says how the witnesses have answered so far.
func (w *Worker) Wait(ctx context.Context, size uint64) ([]byte, error) {
	return w.wait(ctx, &waiter{size: size, done: make(chan answer, 1)})
}

// Try is Wait for no longer than until every witness was asked and has answered
// or failed: then it is an ErrNoQuorum that says how.
func (w *Worker) Try(ctx context.Context, size uint64) ([]byte, error) {
	return w.wait(ctx, &waiter{size: size, once: true, done: make(chan answer, 1)})
}

func (w *Worker) wait(ctx context.Context, on *waiter) ([]byte, error) {
	w.mu.Lock()
	switch {
	case w.cosigned.Signed != nil && w.cosigned.Size >= on.size:
		defer w.mu.Unlock()
		return w.cosigned.Signed, nil
	case w.stopped != nil:
		defer w.mu.Unlock()
		return nil, w.stopped
	}
	w.waiters[on] = true
	w.mu.Unlock()
	select {
	case w.poke <- struct{}{}:
	default:
	}
	select {
	case a := <-on.done:
		return a.signed, a.err
	case <-ctx.Done():
		w.mu.Lock()
		delete(w.waiters, on)
		w.mu.Unlock()
		return nil, fmt.Errorf("%w so far: %s", ErrNoQuorum, w.Status().Words())
	}
}

// answerAll tells those waiters for whom there is something to tell. The caller
// holds mu.
func (w *Worker) answerAll(tell func(*waiter) (answer, bool)) {
	for on := range w.waiters {
		if a, ok := tell(on); ok {
			on.done <- a
			delete(w.waiters, on)
		}
	}
}

// stop ends the worker's work for good.
func (w *Worker) stop(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.stopped == nil {
		w.stopped = err
	}
	w.answerAll(func(*waiter) (answer, bool) { return answer{err: w.stopped}, true })
}

// Status is what is known of a log's witnesses.
type Status struct {
	Size      uint64   // of the newest checkpoint
	Cosigned  Cosigned // the newest that reached the quorum
	Quorum    string   // its name in the policy
	Witnesses []WitnessStatus
	Stopped   error // an evidence.ErrFork: the log was stopped; ErrClosed: the worker was
}

// State is how a witness answered last.
type State string

// The states of a witness.
const (
	StateNew         State = "new"         // it was not asked so far
	StateOK          State = "ok"          // it cosigned
	StateUnreachable State = "unreachable" // it did not answer, or said not now
	StateRefused     State = "refused"     // it will not cosign
	StateFalse       State = "false"       // its answer did not hold
	StateAhead       State = "ahead"       // it claims to have cosigned more than the log has
	StateNoAddress   State = "no-address"  // the policy does not say where it is
)

// WitnessStatus is what is known of one witness.
type WitnessStatus struct {
	Name     string // in the policy
	Key      evidence.VKey
	URL      string
	State    State
	Since    time.Time // that it is in that state; zero for StateNew
	Size     uint64    // of the newest checkpoint that it cosigned, as far as is known here
	Time     int64     // of that cosignature, Unix seconds
	Error    string    // why it did not: foreign text
	Failures int       // in a row
	Forgot   bool      // it has, since the worker was started, told a smaller size than it had cosigned
}

// Status returns what is known now.
func (w *Worker) Status() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := Status{Size: w.size, Cosigned: w.cosigned, Quorum: w.opts.Policy.Quorum, Stopped: w.stopped}
	for _, p := range w.peers {
		s.Witnesses = append(s.Witnesses, p.status)
	}
	return s
}

// Words says in one line how each witness answered that did not cosign.
func (s Status) Words() string {
	var words []string
	for _, p := range s.Witnesses {
		if p.State == StateOK && p.Size >= s.Size {
			continue
		}
		text := fmt.Sprintf("%s: %s", p.Name, p.State)
		if p.State == StateNew || p.State == StateOK {
			text = p.Name + ": no answer so far"
		}
		if p.Error != "" {
			text += fmt.Sprintf(" (%.200q)", p.Error)
		}
		words = append(words, text)
	}
	if len(words) == 0 {
		return fmt.Sprintf("all witnesses cosigned, and the quorum %q asks for more", s.Quorum)
	}
	return strings.Join(words, "; ")
}

// stateOf tells the state after an error of witness.Client.Ask.
func stateOf(err error) State {
	var refused *witness.Refused
	var false_ *witness.False
	switch {
	case err == nil:
		return StateOK
	case errors.As(err, &refused):
		return StateRefused
	case errors.As(err, &false_):
		return StateFalse
	}
	return StateUnreachable
}
