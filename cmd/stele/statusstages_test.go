package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/stage"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// statusFor is the status of all stages, with all that is known or for a table, and
// what is printed of it.
func statusFor(t *testing.T, l *ledgertest.Ledger, at string, whole bool) (list []jsonv1.Status, text string) {
	t.Helper()
	var out bytes.Buffer
	a := newApp(strings.NewReader(""), &out, &out, func(string) string { return "" })
	now, err := newReading(l.View())
	if err != nil {
		t.Fatal(err)
	}
	then, err := a.asOf(now, "--at", at)
	if err != nil {
		t.Fatal(err)
	}
	stages, err := now.stages()
	if err == nil {
		q := stage.Question{Now: now.Book, Then: then.Book, Asked: at, Whole: whole}
		list, err = q.Status(stages)
	}
	if err != nil {
		t.Fatal(err)
	}
	a.printStatus(&statusOrder{at: at}, list)
	return list, out.String()
}

// TestStatusTableAgrees: a table that is made without walking what each artifact
// was made of prints what the whole account would, then and now.
func TestStatusTableAgrees(t *testing.T) {
	words := map[string]int{}
	for seed := range uint64(12) {
		l, _ := ledgertest.Troubled(t, seed)
		for size := l.View().Size(); size > 4; size -= min(size-4, 13) {
			at := fmt.Sprint(size - 1)
			if size == l.View().Size() {
				at = ""
			}
			whole, table := statusFor(t, l, at, true)
			brief, short := statusFor(t, l, at, false)
			if short != table {
				t.Fatalf("seed %d, --at %q: the table is\n%s\nand of all that is known\n%s", seed, at, short, table)
			}
			if x, y := statusExit(whole), statusExit(brief); x != y {
				t.Errorf("seed %d, --at %q: a table ends with %d, JSON with %d", seed, at, y, x)
			}
			for _, s := range whole {
				for _, m := range s.Artifacts {
					words[m.Standing]++
					if m.Now != nil {
						words["now "+m.Now.Standing]++
					}
				}
			}
		}
	}
	for _, word := range []string{lineage.Good, lineage.Withdrawn, lineage.Tainted, lineage.Untrusted, "now good", "now tainted", "now untrusted"} {
		if words[word] < 5 {
			t.Errorf("%d artifacts are %s: this tests little (%v)", words[word], word, words)
		}
	}
}

// TestStatusOfMuchThatIsWrong: where more is wrong on the ledger than a stage
// holds, each artifact of the stage is judged, and to the same word.
func TestStatusOfMuchThatIsWrong(t *testing.T) {
	l := ledgertest.New(t)
	raw := l.Stamped(l.Ada, "raw", "1", "raw")
	other := l.Stamped(l.Ada, "other", "1", "other")
	for i := range 12 {
		l.Stamped(l.Ada, "derived", fmt.Sprint(i), fmt.Sprint("derived ", i), raw)
	}
	l.Released(l.Ada, l.Ran(l.Ada, "m", "1", "m1", raw), "production")
	l.Released(l.Ada, l.Ran(l.Ada, "m", "2", "m2", other), "production")
	l.Withdrawn(l.Ada, raw, statement.TargetContents, statement.EffectStop)
	list, text := statusFor(t, l, "", false)
	if statusExit(list) != exitRefused {
		t.Errorf("%+v", list)
	}
	if !strings.Contains(text, "m@1 (run, entry 15), made of raw@1") {
		t.Error(text)
	}
}
