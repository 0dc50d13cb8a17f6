package stage

import (
	"errors"
	"fmt"
	"reflect"
	"testing"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// ask asks about a ledger as it was when it had so many entries; all of them: now.
func ask(t *testing.T, l *ledgertest.Ledger, size uint64) *Question {
	t.Helper()
	open := func(size uint64) *account.Book {
		v, err := l.View().AsOf(size)
		if err != nil {
			t.Fatal(err)
		}
		b, err := account.Open(v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	now := open(l.View().Size())
	if size == now.Size() {
		return &Question{Now: now, Then: now}
	}
	return &Question{Now: now, Then: open(size), Asked: fmt.Sprint(size - 1)}
}

func (q *Question) all(t *testing.T) []jsonv1.Status {
	t.Helper()
	list, err := q.Status(stagesOf(t, q.Now))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func stagesOf(t *testing.T, b *account.Book) (stages []string) {
	t.Helper()
	for s, err := range b.Stages() {
		if err != nil {
			t.Fatal(err)
		}
		stages = append(stages, s)
	}
	return stages
}

// TestStatusAgrees: what is found of all artifacts together is what is found of each
// on its own, then and now; and what a table shows is the same with all that is known
// and without.
func TestStatusAgrees(t *testing.T) {
	for seed := range uint64(12) {
		l, _ := ledgertest.Troubled(t, seed)
		for size := l.View().Size(); size > 4; size -= min(size-4, 13) {
			q := ask(t, l, size)
			q.Whole = true
			whole := q.all(t)
			alone := ask(t, l, size)
			for i, stage := range stagesOf(t, alone.Now) {
				in, err := alone.Then.Released(stage)
				if err != nil || len(in) != len(whole[i].Artifacts) {
					t.Fatalf("%d artifacts, want %d: %v", len(whole[i].Artifacts), len(in), err)
				}
				for k := range in {
					m, err := alone.member(stage, &in[k])
					if err != nil {
						t.Fatal(err)
					}
					if !reflect.DeepEqual(whole[i].Artifacts[k], m) {
						t.Fatalf("seed %d, %d entries: together\n%+v\nalone\n%+v", seed, size, whole[i].Artifacts[k], m)
					}
				}
			}
			for i, s := range ask(t, l, size).all(t) {
				for k, m := range s.Artifacts {
					if x, y := inTable(m), inTable(whole[i].Artifacts[k]); x != y {
						t.Fatalf("seed %d, %d entries: in a table\n%s\nwith all that is known\n%s", seed, size, x, y)
					}
				}
			}
		}
	}
}

// inTable is what a table tells of an artifact.
func inTable(m jsonv1.StageMember) string {
	now := ""
	if m.Now != nil {
		now = fmt.Sprint(m.Now.Standing, m.Now.Releaser, m.Now.Since)
	}
	return fmt.Sprintln(m.Name, m.Version, m.Release, m.Since, m.ReleasedBy, m.Releaser, m.Approvals, m.Standing, m.Why, now)
}

// TestStatusOfMuchThatIsWrong: where more is wrong on the ledger than a stage holds,
// each artifact of the stage is judged, and to the same word.
func TestStatusOfMuchThatIsWrong(t *testing.T) {
	l := ledgertest.New(t)
	raw := l.Stamped(l.Ada, "raw", "1", "raw")
	other := l.Stamped(l.Ada, "other", "1", "other")
	for i := range 8 * broad {
		l.Stamped(l.Ada, "derived", fmt.Sprint(i), fmt.Sprint("derived ", i), raw)
	}
	for i := range Few + 1 {
		l.Released(l.Ada, l.Ran(l.Ada, "m", fmt.Sprint(i), fmt.Sprint("m ", i), []statement.Ref{raw, other}[i%2]), "production")
	}
	l.Withdrawn(l.Ada, raw, statement.TargetContents, statement.EffectStop)
	q := ask(t, l, l.View().Size())
	if all, err := q.Now.Words(broad * (Few + 1)); err != nil || !all.Cut {
		t.Fatalf("this is not much: %+v, %v", all, err)
	}
	for i, m := range q.all(t)[0].Artifacts {
		if want := []string{lineage.Tainted, lineage.Good}[i%2]; m.Standing != want {
			t.Errorf("%s is %s, want %s", m.Version, m.Standing, want)
		}
	}
}

// TestAttackerEditsAReleasedEntry: an entry behind a table that was changed in the
// store is no status of anything.
func TestAttackerEditsAReleasedEntry(t *testing.T) {
	for _, entry := range []uint64{3, 4} { // a stamp, a release
		l := ledgertest.New(t)
		for i := range 3 {
			l.Released(l.Ada, l.Stamped(l.Ada, "m", fmt.Sprint(i), fmt.Sprint("m ", i)), "production")
		}
		l.Forge(t, entry)
		q := ask(t, l, l.View().Size())
		if list, err := q.Status([]string{"production"}); !errors.Is(err, evidence.ErrTampered) {
			t.Errorf("entry %d: %+v, %v", entry, list, err)
		}
	}
}
