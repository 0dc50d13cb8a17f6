package witness

import (
	"sync"
	"time"
)

// What one log may ask for. Only what its own key signed is counted: nobody else uses up
// its share. A log that asks more often has no more disk than the others.
const (
	logRate  = 20 // requests a second
	logBurst = 32 // at once, before the rate counts; below maxInFlight, so that others have a place
)

// rate is what is left of a log's share.
type rate struct {
	mu   sync.Mutex
	used float64 // of logBurst
	at   time.Time
}

// take takes one request from the share; false if none is left. A clock that is set
// back gives nothing, and one that is set forward no more than the burst.
func (r *rate) take(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	passed := max(0, now.Sub(r.at).Seconds())
	r.used, r.at = max(0, r.used-passed*logRate), now
	if r.used > logBurst-1 {
		return false
	}
	r.used++
	return true
}
