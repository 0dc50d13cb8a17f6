package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/statement"
)

// TestReachIsFolded: of what a withdrawal reaches the nearest are listed, and the
// rest is counted; all of it where that is asked for.
func TestReachIsFolded(t *testing.T) {
	for _, c := range []struct{ made, lines int }{{0, 1}, {1, 2}, {reachedRows, reachedRows + 1}, {reachedRows + 1, reachedRows}, {100, reachedRows}} {
		l := ledgertest.New(t)
		raw := l.Stamped(l.Ada, "raw", "1", "raw")
		for i := range c.made {
			l.Stamped(l.Ada, "derived", fmt.Sprint(i), fmt.Sprint("derived ", i), raw)
		}
		r, err := newReading(l.View())
		if err != nil {
			t.Fatal(err)
		}
		reach, err := r.reachOf(&withdrawOrder{name: "raw", version: "1", withdrawal: statement.Withdrawal{Target: statement.TargetContents}})
		if err != nil {
			t.Fatal(err)
		}
		for _, all := range []bool{false, true} {
			var out bytes.Buffer
			a := newApp(strings.NewReader(""), &out, &out, func(string) string { return "" })
			a.printReached(reach, all)
			lines, rest := c.lines, c.made+1-c.lines
			if all {
				lines, rest = c.made+1, 0
			}
			if got := strings.Count(out.String(), "@"); got < lines || strings.Count(out.String(), "dataset") != lines {
				t.Errorf("of %d, all %v: not %d lines:\n%s", c.made, all, lines, out.String())
			}
			if more := fmt.Sprintf("… and %d more; --all lists them", rest); strings.Contains(out.String(), more) != (rest > 0) || strings.Contains(out.String(), "more;") != (rest > 0) {
				t.Errorf("of %d, all %v: %d are left out:\n%s", c.made, all, rest, out.String())
			}
		}
	}
}
