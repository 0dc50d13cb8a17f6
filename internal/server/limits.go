package server

import (
	"bytes"
	"container/list"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/stele-ml/stele/internal/wire"
)

// Limits bound what clients can hold and how often they may ask. A zero rate is no
// limit; of the others zero is the default.
type Limits struct {
	AddressRate  float64 // requests a second of one address
	IdentityRate float64 // requests a second of one identity that is known
	Burst        int     // so many at once, of either

	Connections        int   // at once
	AddressConnections int   // at once, of one address that is no proxy of ours
	Reads              int   // requests answered at once, besides those that submit
	Submissions        int   // requests that submit, at once
	Streams            int   // requests whose body is read as it comes, at once
	HeldBodies         int64 // bytes of bodies in memory
	HeldAnswers        int64 // bytes of large answers that their clients have not taken
}

// The defaults of Limits, and what is fixed.
const (
	DefaultAddressRate        = 200
	DefaultIdentityRate       = 1000
	DefaultBurst              = 400
	DefaultConnections        = 4096
	DefaultAddressConnections = 512
	DefaultReads              = 64
	DefaultSubmissions        = 2048
	DefaultStreams            = 256

	heldBodies  = 256 << 20       // bytes of bodies in memory, all requests together
	heldAnswers = 512 << 20       // and of large answers
	queueTime   = 2 * time.Second // that a request waits for its turn
	maxBuckets  = 1 << 16         // addresses, or identities, whose rate is remembered
)

func (l Limits) withDefaults() Limits {
	for _, d := range []struct {
		n        *int
		standard int
	}{
		{&l.Burst, DefaultBurst}, {&l.Connections, DefaultConnections}, {&l.AddressConnections, DefaultAddressConnections},
		{&l.Reads, DefaultReads}, {&l.Submissions, DefaultSubmissions}, {&l.Streams, DefaultStreams},
	} {
		if *d.n <= 0 {
			*d.n = d.standard
		}
	}
	if l.HeldBodies <= 0 {
		l.HeldBodies = heldBodies
	}
	if l.HeldAnswers <= 0 {
		l.HeldAnswers = heldAnswers
	}
	return l
}

// buckets are token buckets by key. The one that was asked for longest ago is
// forgotten where there are too many, and is full when it comes again: who wants to
// gain by that needs as many addresses.
type buckets struct {
	limit rate.Limit
	burst int
	now   func() time.Time

	mu    sync.Mutex
	byKey map[string]*list.Element // of *bucket
	order *list.List               // the one asked for last is in front
}

type bucket struct {
	key string
	*rate.Limiter
}

func newBuckets(perSecond float64, burst int, now func() time.Time) *buckets {
	return &buckets{limit: rate.Limit(perSecond), burst: burst, now: now, byKey: map[string]*list.Element{}, order: list.New()}
}

// take takes one token, or says how long to wait for one.
func (b *buckets) take(key string) (wait time.Duration) {
	if b.limit <= 0 {
		return 0
	}
	now := b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.byKey[key]
	if e == nil {
		if b.order.Len() >= maxBuckets {
			old := b.order.Back()
			delete(b.byKey, b.order.Remove(old).(*bucket).key)
		}
		e = b.order.PushFront(&bucket{key, rate.NewLimiter(b.limit, b.burst)})
		b.byKey[key] = e
	}
	b.order.MoveToFront(e)
	r := e.Value.(*bucket).ReserveN(now, 1)
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now) // who is refused has not asked
	}
	return wait
}

func tooOften(whose string, wait time.Duration) *denial {
	return busy(http.StatusTooManyRequests, wire.CodeRateLimited, "rate-"+whose, "too many requests of this "+whose, wait)
}

// places are for work that is done at once. A request has one from when its body is
// here until its answer begins to go: slow clients hold none.
type places chan struct{}

func (p places) take(r *http.Request) *denial {
	select {
	case p <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(queueTime)
	defer timer.Stop()
	select {
	case p <- struct{}{}:
		return nil
	case <-r.Context().Done():
	case <-timer.C:
	}
	return busy(http.StatusServiceUnavailable, wire.CodeUnavailable, "full", "too many requests at once", time.Second)
}

func (p places) free() { <-p }

var (
	errBodyTooLong = errors.New("the body is longer than it may be")
	errBodiesFull  = errors.New("too many bodies at once")
)

// bodyPiece is how many bytes of a body are read at once.
const bodyPiece = 16 << 10

// readBody reads a body of at most limit bytes, of which its header says that it has
// length; -1 is unknown. What it holds is somebody's share of all bodies, and is given
// back by calling release.
func readBody(all *shares, who string, body io.Reader, length, limit int64) (data []byte, release func(), err error) {
	var b bytes.Buffer
	var mine int64
	release = func() { all.free(who, mine) }
	piece := int64(bodyPiece)
	if length > 0 { // most are short: a whole piece for each would be most of what a submission allocates
		piece = min(piece, length)
	}
	chunk := make([]byte, piece)
	for {
		n, err := body.Read(chunk)
		switch {
		case int64(b.Len()+n) > limit:
			err = errBodyTooLong
		case n > 0 && !all.take(who, int64(n)):
			err = errBodiesFull
		default:
			mine += int64(n)
			b.Write(chunk[:n])
		}
		if err == io.EOF {
			return b.Bytes(), release, nil
		}
		if err != nil {
			release()
			return nil, nil, err
		}
	}
}
