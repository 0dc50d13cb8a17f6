package main

import (
	"time"
)

// when parses what a person gives for a time: RFC 3339, a local date with or
// without a time of day, the last time that the clock showed that ("02:47"), or
// how long ago ("36h").
func (a *app) when(flag, text string) (unixMilli int64, err error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02T15:04Z07:00", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02"} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t.UnixMilli(), nil
		}
	}
	for _, layout := range []string{"15:04:05", "15:04"} {
		if t, err := time.Parse(layout, text); err == nil {
			return lastShown(a.now().In(time.Local), t).UnixMilli(), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d > 0 {
		return a.now().Add(-d).UnixMilli(), nil
	}
	return 0, usagef("%s %q is no time", flag, text).withHint("for example 02:47, 2026-11-22, 2026-11-22T02:47, 2026-11-22T02:47:00Z or 36h (ago)")
}

// lastShown is the last time up to now that a clock in its zone showed that time
// of day: today, or on the latest day before on which it did. Where clocks are
// set forward a time of day is left out, where they are set back one comes twice.
func lastShown(now, clock time.Time) time.Time {
	hour, minute, second := clock.Clock()
	for day := now.Day(); ; day-- {
		at := time.Date(now.Year(), now.Month(), day, hour, minute, second, 0, now.Location())
		for _, shift := range []time.Duration{time.Hour, time.Hour / 2, 0, -time.Hour / 2, -time.Hour} { // by which clocks are set
			t := at.Add(shift)
			if h, m, s := t.Clock(); h == hour && m == minute && s == second && !t.After(now) {
				return t
			}
		}
	}
}

// past is a moment that may be looked back at: not one that is still to come,
// unless the ledger has entries of then already.
func (a *app) past(r *reading, flag, text string, ms int64) error {
	now := a.now().UnixMilli()
	if ms <= max(now, r.Time()) {
		return nil
	}
	return usagef("%s %s: %s is still to come; it is %s", flag, text, a.term.Time(ms), a.term.Time(now)).withHint("without " + flag + " it is as of now")
}
