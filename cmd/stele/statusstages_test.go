package main

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// statusFor is the status of all stages, as it is made for --json or for a table.
func statusFor(t *testing.T, l *ledgertest.Ledger, at string, asJSON bool) (list []jsonv1.Status, text string) {
	t.Helper()
	var out bytes.Buffer
	a := newApp(strings.NewReader(""), &out, &out, func(string) string { return "" })
	a.json = asJSON
	now, err := newReading(l.View())
	if err != nil {
		t.Fatal(err)
	}
	o := &statusOrder{at: at}
	then, err := a.asOf(now, "--at", at)
	if err != nil {
		t.Fatal(err)
	}
	stages, err := now.stages()
	if err == nil {
		list, err = a.statusOf(now, then, stages, o)
	}
	if err != nil {
		t.Fatal(err)
	}
	a.printStatus(o, list)
	return list, out.String()
}

// oneByOne is statusFor with each artifact looked at on its own.
func oneByOne(t *testing.T, l *ledgertest.Ledger, at string) (list []jsonv1.Status, text string) {
	t.Helper()
	var out bytes.Buffer
	a := newApp(strings.NewReader(""), &out, &out, func(string) string { return "" })
	now, err := newReading(l.View())
	if err != nil {
		t.Fatal(err)
	}
	o := &statusOrder{at: at}
	then, err := a.asOf(now, "--at", at)
	if err != nil {
		t.Fatal(err)
	}
	stages, err := now.stages()
	if err != nil {
		t.Fatal(err)
	}
	for _, stage := range stages {
		s := jsonv1.Status{
			Stage: stage, At: jsonv1.StatusAt{Asked: at, Size: then.Size(), Time: jsonv1.At(then.Time()), Origin: then.Origin()},
			Artifacts: []jsonv1.StageMember{},
		}
		in, err := then.Released(stage)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range in {
			m, err := memberOf(now, then, stage, p, o)
			if err != nil {
				t.Fatal(err)
			}
			s.Artifacts = append(s.Artifacts, m)
		}
		list = append(list, s)
	}
	a.printStatus(o, list)
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
			whole, table := oneByOne(t, l, at)
			if list, _ := statusFor(t, l, at, true); !reflect.DeepEqual(list, whole) {
				t.Fatalf("seed %d, --at %q: in JSON\n%+v\none by one\n%+v", seed, at, list, whole)
			}
			brief, short := statusFor(t, l, at, false)
			if short != table {
				t.Fatalf("seed %d, --at %q: the table is\n%s\nand one by one\n%s", seed, at, short, table)
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
	r, err := newReading(l.View())
	if err != nil {
		t.Fatal(err)
	}
	if all, err := r.Words(statusBroad * 2); err != nil || !all.Cut {
		t.Fatalf("this is not much: %+v, %v", all, err)
	}
	list, text := statusFor(t, l, "", false)
	if m := list[0].Artifacts; m[0].Standing != lineage.Tainted || m[1].Standing != lineage.Good || statusExit(list) != exitRefused {
		t.Errorf("%+v", m)
	}
	if !strings.Contains(text, "m@1 (run, entry 15), made of raw@1") {
		t.Error(text)
	}
}

// TestAttackerEditsAReleasedEntry: an entry behind a table that was changed in the
// store is no status of anything.
func TestAttackerEditsAReleasedEntry(t *testing.T) {
	l := ledgertest.New(t)
	for i := range 3 {
		l.Released(l.Ada, l.Stamped(l.Ada, "m", fmt.Sprint(i), fmt.Sprint("m ", i)), "production")
	}
	l.Forge(t, 4)
	now, err := newReading(l.View())
	if err != nil {
		t.Fatal(err)
	}
	a := newApp(strings.NewReader(""), new(bytes.Buffer), new(bytes.Buffer), func(string) string { return "" })
	if _, err := a.statusOf(now, now, []string{"production"}, &statusOrder{}); statusOf(err) != exitTampered {
		t.Errorf("%v", err)
	}
}
