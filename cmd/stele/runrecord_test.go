package main

import (
	"testing"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/statement"
)

func TestTook(t *testing.T) {
	for _, c := range []struct {
		observation       string
		started, finished int64
		want              string
	}{
		{statement.ObservationWrapped, 5, 5, "less than 1 ms"},
		{statement.ObservationWrapped, 5, 6, "1 ms"},
		{statement.ObservationReported, 5, 5, ""}, // nobody said when it began
		{statement.ObservationReported, 5, 3605, "3.6 s"},
	} {
		if got := took(&statement.Run{Observation: c.observation, Started: c.started, Finished: c.finished}); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

func TestInputText(t *testing.T) {
	told, wrapped := &jsonv1.Run{Observation: statement.ObservationReported}, &jsonv1.Run{Observation: statement.ObservationWrapped}
	again := &jsonv1.Run{Observation: statement.ObservationReported, Existed: true}
	for _, c := range []struct {
		run                *jsonv1.Run
		verdict, how, want string
	}{
		{told, "", "", ", as told: its bytes were not looked at"},
		{again, "", "", ", as told"}, // nobody knows any more
		{wrapped, "", "", ", checked before the command started"},
		{wrapped, "verified", "", ", verified: every byte was read"},
		{again, "verified", "", ", verified: every byte was read"},
		{wrapped, "sampled", "9 of 10 chunks", ", sampled: 9 of 10 chunks"},
		{wrapped, "tainted", "", ", verified: every byte was read; it is tainted, with the effect advise"},
		{wrapped, "withdrawn", "9 of 10 chunks", ", sampled: 9 of 10 chunks; it is withdrawn, with the effect advise"},
	} {
		if got := inputText(c.run, jsonv1.RunInput{Verdict: c.verdict, How: c.how}); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}
