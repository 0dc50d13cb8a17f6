package witness

import (
	"fmt"
	"time"
)

const (
	// maxClockBack is how far, in seconds, the clock may be behind the last time
	// that was signed; meanwhile that time is signed again. Beyond, nothing is.
	maxClockBack = 60

	// maxClockJump is how far the clock may move against one that is never set. If it
	// moves further nothing is signed until it has gone on evenly for settleClock: a
	// time that was signed once holds the next ones back, so one that was hours ahead
	// for a moment would silence the witness for hours.
	maxClockJump = time.Minute
	settleClock  = time.Minute
)

// jumps watches the machine's clock from one cosignature to the next.
type jumps struct {
	seen    bool
	wall    time.Time     // at the last look
	steady  time.Duration // likewise, by a clock that is never set
	jump    time.Duration // by how much the first was set; 0: it goes on evenly
	settled time.Duration // when that is long enough ago
}

// look takes the time by the machine's clock, without a monotonic reading, and by one
// that is never set. An ErrClock says that the first was set a moment ago.
func (j *jumps) look(wall time.Time, steady time.Duration) error {
	if j.seen {
		if by := wall.Sub(j.wall) - (steady - j.steady); by.Abs() > maxClockJump {
			j.jump, j.settled = by, steady+settleClock
		}
	}
	j.seen, j.wall, j.steady = true, wall, steady
	if j.jump != 0 && steady < j.settled {
		return fmt.Errorf("%w: it was set by %s; nothing is signed until it has gone on evenly for %s", ErrClock, j.jump.Round(time.Second), settleClock)
	}
	j.jump = 0
	return nil
}
