package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
)

// TestStatusExit: the worst of what is in the stages, then and now; 6 goes before
// 4, and what nobody can say is never 0.
func TestStatusExit(t *testing.T) {
	of := func(standing, releaser string) jsonv1.StageMember {
		return jsonv1.StageMember{Standing: standing, Releaser: releaser}
	}
	now := func(m jsonv1.StageMember, standing, releaser string) jsonv1.StageMember {
		m.Now = &jsonv1.StageNow{Standing: standing, Releaser: releaser}
		return m
	}
	good := of("good", "good")
	for _, c := range []struct {
		name    string
		members []jsonv1.StageMember
		want    int
	}{
		{"nothing", nil, exitHolds},
		{"all hold", []jsonv1.StageMember{good, now(good, "good", "good")}, exitHolds},
		{"withdrawn", []jsonv1.StageMember{good, of("withdrawn", "good")}, exitRefused},
		{"tainted", []jsonv1.StageMember{of("tainted", "good"), good}, exitRefused},
		{"tainted since", []jsonv1.StageMember{now(good, "tainted", "good")}, exitRefused},
		{"tainted then, and no longer", []jsonv1.StageMember{now(of("tainted", "good"), "good", "good")}, exitRefused},
		{"its signer", []jsonv1.StageMember{of("untrusted", "good")}, exitUntrusted},
		{"its releaser", []jsonv1.StageMember{of("good", "compromised")}, exitUntrusted},
		{"its releaser since", []jsonv1.StageMember{now(good, "good", "void")}, exitUntrusted},
		{"both, in one", []jsonv1.StageMember{of("tainted", "compromised")}, exitUntrusted},
		{"both, in two", []jsonv1.StageMember{of("untrusted", "good"), of("withdrawn", "good")}, exitUntrusted},
		{"both, the other way round", []jsonv1.StageMember{of("withdrawn", "good"), of("good", "retired")}, exitUntrusted},
		{"too large a lineage", []jsonv1.StageMember{of("unknown", "good")}, exitError},
		{"too large, and another is tainted", []jsonv1.StageMember{of("unknown", "good"), of("tainted", "good")}, exitRefused},
	} {
		list := []jsonv1.Status{{Stage: "empty"}, {Stage: "production", Artifacts: c.members}}
		if got := statusExit(list); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

// TestWhen: what a person at a terminal types for a time.
func TestWhen(t *testing.T) {
	a := newApp(strings.NewReader(""), new(bytes.Buffer), new(bytes.Buffer), func(string) string { return "" })
	at := time.Date(2026, 11, 22, 3, 10, 0, 0, time.Local)
	a.now = func() time.Time { return at }
	day := func(day, hour, minute, second int) int64 {
		return time.Date(2026, 11, day, hour, minute, second, 0, time.Local).UnixMilli()
	}
	for text, want := range map[string]int64{
		"02:47":                  day(22, 2, 47, 0),
		"03:10":                  day(22, 3, 10, 0),
		"03:11":                  day(21, 3, 11, 0), // yesterday: today it has not been yet
		"23:59:59":               day(21, 23, 59, 59),
		"2026-11-20":             day(20, 0, 0, 0),
		"2026-11-20T02:47":       day(20, 2, 47, 0),
		"2026-11-20 02:47":       day(20, 2, 47, 0),
		"2026-11-20T02:47Z":      time.Date(2026, 11, 20, 2, 47, 0, 0, time.UTC).UnixMilli(),
		"2026-11-20T02:47+05:30": time.Date(2026, 11, 19, 21, 17, 0, 0, time.UTC).UnixMilli(),
		"2026-11-20T02:47:01Z":   time.Date(2026, 11, 20, 2, 47, 1, 0, time.UTC).UnixMilli(),
		"30m":                    day(22, 2, 40, 0),
	} {
		if got, err := a.when("--at", text); err != nil || got != want {
			t.Errorf("%q: %s, %v; want %s", text, time.UnixMilli(got), err, time.UnixMilli(want))
		}
	}
	for _, text := range []string{"", "yesterday", "24:00", "2:4", "02:47:60", "-1h", "2026-13-01", "02.47"} {
		if got, err := a.when("--at", text); err == nil {
			t.Errorf("%q: %s", text, time.UnixMilli(got))
		}
	}
}

// TestLastShown: the last time that the clock showed a time of day, also where
// clocks are set forward or back.
func TestLastShown(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Skip("no time zones here: ", err)
	}
	howe, err := time.LoadLocation("Australia/Lord_Howe") // by half an hour
	if err != nil {
		t.Skip("no time zones here: ", err)
	}
	for _, c := range []struct {
		zone             *time.Location
		now, clock, want string // now and want in UTC
	}{
		{berlin, "2026-11-22T02:10", "02:47", "2026-11-22T01:47"},
		{berlin, "2026-11-22T01:10", "02:47", "2026-11-21T01:47"},
		{berlin, "2026-11-22T01:47", "02:47", "2026-11-22T01:47"}, // just now
		{berlin, "2026-03-01T12:00", "23:00", "2026-02-28T22:00"},
		// In the night to 25 October 2026 there were two.
		{berlin, "2026-10-25T12:00", "02:47", "2026-10-25T01:47"},
		{berlin, "2026-10-25T01:00", "02:47", "2026-10-25T00:47"},
		{berlin, "2026-10-25T00:30", "02:47", "2026-10-24T00:47"},
		// In the night to 29 March 2026 there was none.
		{berlin, "2026-03-29T12:00", "02:47", "2026-03-28T01:47"},
		{berlin, "2026-03-30T12:00", "02:47", "2026-03-30T00:47"},
		{howe, "2026-04-04T20:00", "01:45", "2026-04-04T15:15"}, // again at 01:45, half an hour later
		{howe, "2026-04-04T15:00", "01:45", "2026-04-04T14:45"},
		{howe, "2026-10-03T20:00", "02:15", "2026-10-02T15:45"}, // left out on the 4th
	} {
		at := func(text string) time.Time {
			u, err := time.Parse("2006-01-02T15:04", text)
			if err != nil {
				t.Fatal(err)
			}
			return u
		}
		clock, err := time.Parse("15:04", c.clock)
		if err != nil {
			t.Fatal(err)
		}
		if got := lastShown(at(c.now).In(c.zone), clock); !got.Equal(at(c.want)) {
			t.Errorf("%s before %s: %s, want %s", c.clock, at(c.now).In(c.zone), got, at(c.want).In(c.zone))
		}
	}
}

// TestAsOfWhatIsToCome: nobody knows what will be; unless the ledger's own clock
// is ahead of this one.
func TestAsOfWhatIsToCome(t *testing.T) {
	l := ledgertest.New(t)
	l.Stamped(l.Ada, "raw", "1", "raw")
	r, err := newReading(l.View())
	if err != nil {
		t.Fatal(err)
	}
	a := newApp(strings.NewReader(""), new(bytes.Buffer), new(bytes.Buffer), func(string) string { return "" })
	last := time.UnixMilli(r.Time())
	for _, c := range []struct {
		name    string
		now, at time.Time
		fails   bool
	}{
		{"past", last.Add(time.Hour), last.Add(time.Minute), false},
		{"now", last.Add(time.Hour), last.Add(time.Hour), false},
		{"to come", last.Add(time.Hour), last.Add(2 * time.Hour), true},
		{"the ledger's clock is ahead", last.Add(-time.Hour), last, false},
		{"ahead of the ledger's, too", last.Add(-time.Hour), last.Add(time.Second), true},
	} {
		a.now = func() time.Time { return c.now }
		_, err := a.asOf(r, "--at", c.at.UTC().Format(time.RFC3339))
		if (err != nil) != c.fails || err != nil && (statusOf(err) != exitUsage || !strings.Contains(err.Error(), "still to come")) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestExpiry: a duration is from now on, a time is as other flags have it, and
// one that is past is none.
func TestExpiry(t *testing.T) {
	a := newApp(strings.NewReader(""), new(bytes.Buffer), new(bytes.Buffer), func(string) string { return "" })
	now := time.Date(2026, 11, 22, 3, 10, 0, 0, time.Local)
	a.now = func() time.Time { return now }
	for text, want := range map[string]time.Time{
		"2160h": now.Add(2160 * time.Hour), "2026-11-23": time.Date(2026, 11, 23, 0, 0, 0, 0, time.Local),
		"2026-11-22": {}, "02:47": {}, "23:00": {}, "-1h": {}, "soon": {},
	} {
		ms, err := a.expiry(text)
		if (err != nil) != want.IsZero() || err == nil && ms != want.UnixMilli() {
			t.Errorf("%s: %s, %v", text, time.UnixMilli(ms), err)
		}
		if err != nil && statusOf(err) != exitUsage {
			t.Errorf("%s: %v", text, err)
		}
	}
}
