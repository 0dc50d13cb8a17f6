package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
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
		{"its signer", []jsonv1.StageMember{of("compromised", "good")}, exitUntrusted},
		{"its releaser", []jsonv1.StageMember{of("good", "compromised")}, exitUntrusted},
		{"its releaser since", []jsonv1.StageMember{now(good, "good", "void")}, exitUntrusted},
		{"both, in one", []jsonv1.StageMember{of("tainted", "compromised")}, exitUntrusted},
		{"both, in two", []jsonv1.StageMember{of("compromised", "good"), of("withdrawn", "good")}, exitUntrusted},
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
