package solo

import (
	"time"
)

// MaxJump is how far the clock may move against the monotonic clock between
// two commits, and how far it may be behind the last entry.
const MaxJump = 60 * time.Second

// Clock returns the time twice: as Unix milliseconds, and as a duration since
// any fixed moment by a clock that is never set.
type Clock func() (unixMS int64, monotonic time.Duration)

// SystemClock returns the machine's clock.
func SystemClock() Clock {
	start := time.Now()
	return func() (int64, time.Duration) {
		now := time.Now()
		return now.UnixMilli(), now.Sub(start) // by the monotonic reading
	}
}

// timekeeper gives the commits their times: never backwards, and not at all
// when the clock was set wrongly or is wrong. One goroutine uses it.
type timekeeper struct {
	clock Clock
	wall  int64         // at the last good reading, unix ms
	mono  time.Duration // likewise
	read  bool
}

// next returns the time for a commit after an entry of time last. An ErrClock
// is no state: when the clock is right again, so is next.
func (t *timekeeper) next(last int64) (int64, error) {
	wall, mono := t.clock()
	if t.read {
		jump := time.Duration(wall-t.wall)*time.Millisecond - (mono - t.mono)
		if jump.Abs() > MaxJump {
			return 0, withHint(ErrClock, "set the clock right; if it is right now, open the ledger again",
				"%v: it jumped by %s", ErrClock, jump.Round(time.Second))
		}
	}
	if behind := time.Duration(last-wall) * time.Millisecond; behind > MaxJump {
		return 0, withHint(ErrClock, "set the clock right",
			"%v: it says %s, the ledger's last entry is of %s", ErrClock, when(wall), when(last))
	}
	t.wall, t.mono, t.read = wall, mono, true
	return max(wall, last), nil
}

func when(ms int64) string { return time.UnixMilli(ms).UTC().Format(time.RFC3339) }
