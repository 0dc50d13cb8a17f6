package server

import (
	"net/http"
	"sync"
	"time"

	"github.com/stele-ml/stele/internal/wire"
)

// shares is what there is only so much of, and of which nobody may have more than a
// part: an identity, or an address (of IPv6 a /64) where nobody is known.
type shares struct {
	all, each int64

	mu  sync.Mutex
	now int64
	by  map[string]int64
}

// newShares lets everybody have a quarter.
func newShares(all int64) *shares {
	return &shares{all: all, each: max(1, all/4), by: map[string]int64{}}
}

// take takes n for somebody; false if there is not as much, or not for them.
func (s *shares) take(who string, n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now+n > s.all || s.by[who]+n > s.each {
		return false
	}
	s.now += n
	s.by[who] += n
	return true
}

func (s *shares) free(who string, n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now -= n
	if s.by[who] -= n; s.by[who] <= 0 {
		delete(s.by, who)
	}
}

// taken is how much is not free.
func (s *shares) taken() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// smallAnswer is the longest answer that is not counted, in bytes: a connection of
// HTTP/2 may hold maxStreams of them.
const smallAnswer = 8 << 10

// Hold counts what of an answer is in memory until its client has taken it, in bytes.
// It is called before the answer's header is written. Where slow clients hold too many, it answers
// 503 instead and returns false: nothing is left to do.
func Hold(w http.ResponseWriter, bytes int) bool {
	a, ok := w.(*answering)
	if !ok || bytes <= smallAnswer {
		return true
	}
	v, n := a.visit, int64(bytes)
	if !a.front.answers.take(v.who(), n) {
		a.front.sendAway(a, v, busy(http.StatusServiceUnavailable, wire.CodeUnavailable, "answers", "too many large answers wait for their clients", time.Second))
		return false
	}
	a.taken += n
	return true
}

// who is whose share a request takes.
func (v *visit) who() string {
	if v.identity.Name != "" {
		return "identity " + v.identity.Name
	}
	return "address " + v.network
}
