package lineage_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

var update = flag.Bool("update", false, "write the answers into testdata")

// TestHistories: testdata/*.txt are histories, and what follows from each:
// origins, taints and walks of every binding.
func TestHistories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			about, rest, ok := strings.Cut(string(data), "\n\n")
			if !ok {
				t.Fatal("no line that says what it is about")
			}
			history, want, _ := strings.Cut(rest, "----\n")
			got := answers(t, parse(t, history))
			if *update {
				if err := os.WriteFile(file, []byte(about+"\n\n"+history+"----\n"+got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != want {
				t.Errorf("%s\ngot:\n%s\nwant:\n%s", about, got, want)
			}
		})
	}
}

// answers writes down everything that follows from a history.
func answers(t *testing.T, w *world) string {
	t.Helper()
	var s strings.Builder
	all, err := lineage.JudgeAll(w, w.artifacts)
	if err != nil {
		t.Fatal(err)
	}
	below := allAgainst(t, w)
	for _, a := range w.artifacts {
		up, err := lineage.Up(w, a, 0)
		if err != nil {
			t.Fatal(err)
		}
		down, err := lineage.Down(w, a, 0)
		if err != nil {
			t.Fatal(err)
		}
		j, err := lineage.Judge(w, a)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&s, "%s: %s\n", a.Ref, state(up.Root, j))
		for _, o := range up.Root.Origins {
			fmt.Fprintf(&s, "  %s\n", originText(o))
		}
		for _, fall := range j.Fallen {
			fmt.Fprintf(&s, "  fallen in %d, %s: %s\n", fall.Artifact.Entry, fall.Artifact.Standing.Detail, pathText(fall.Path()))
		}
		for _, c := range j.Members {
			fmt.Fprintf(&s, "  a member withdrawn by %d (%s, %s): %s\n", c.Withdrawal.Entry, c.Withdrawal.Target, c.Withdrawal.Effect, pathText(c.Path()))
		}
		if taint := j.Taint; taint != nil {
			for _, c := range taint.Causes {
				fmt.Fprintf(&s, "  tainted by %d (%s): %s\n", c.Withdrawal.Entry, c.Withdrawal.Effect, pathText(c.Path()))
			}
			if taint.More > 0 {
				fmt.Fprintf(&s, "  and by %d more\n", taint.More)
			}
		}
		fmt.Fprintf(&s, "  up: %s\n", nodes(up))
		for _, m := range up.Missing {
			fmt.Fprintf(&s, "  missing: %s, of %s, from entry %d\n", m.Ref, m.Of, m.Entry)
		}
		fmt.Fprintf(&s, "  down: %s\n", nodes(down))
		sameJudgement(t, j, up.Judgements()[a.Ref.String()])
		sameJudgement(t, j, all[a.Ref.String()])
		sameWord(t, j, below)
	}
	return s.String()
}

func state(n *lineage.Node, j *lineage.Judgement) string {
	var words []string
	if j.Word() == lineage.Untrusted {
		words = append(words, j.Word())
	}
	for _, w := range n.Withdrawn() {
		words = append(words, fmt.Sprintf("withdrawn by %d (%s)", w.Entry, w.Effect))
	}
	if len(j.Members) > 0 {
		words = append(words, "withdrawn by its members")
	}
	if j.Taint != nil {
		words = append(words, "tainted ("+j.Taint.Effect()+")")
	}
	if !n.Known() {
		words = append(words, "of unknown origin")
	}
	if len(words) == 0 {
		return "its origin is recorded"
	}
	return strings.Join(words, ", ")
}

func originText(o lineage.Origin) string {
	text := fmt.Sprintf("%d %s by %s", o.Entry, o.Way, o.Handle)
	var in []string
	for _, r := range o.Inputs {
		in = append(in, r.String())
	}
	if len(in) > 0 {
		text += " of " + strings.Join(in, " ")
	}
	if o.Fallen != "" {
		return text + ": counts, and makes nothing known: " + o.Fallen
	}
	if o.Counts {
		return text + ": counts"
	}
	return text + ": does not count: " + o.Why
}

func pathText(path []lineage.Step) string {
	var s strings.Builder
	for _, step := range path {
		s.WriteString(step.Ref.String())
		if step.Entry != 0 {
			fmt.Fprintf(&s, " –%d %s→ ", step.Entry, step.Way)
		}
	}
	return s.String()
}

func nodes(g *lineage.Graph) string {
	var list []string
	for _, n := range g.Nodes {
		list = append(list, fmt.Sprintf("%s+%d", n.Ref, n.Depth))
	}
	return strings.Join(list, " ")
}

// sameTaint holds the ways of asking for a taint to one answer. Of several
// shortest paths each may tell another.
func sameTaint(t *testing.T, a *lineage.Artifact, x, y *lineage.Taint) {
	t.Helper()
	if (x == nil) != (y == nil) {
		t.Fatalf("%s: tainted %t and %t", a.Ref, x != nil, y != nil)
	}
	if x == nil {
		return
	}
	if x.Effect() != y.Effect() || x.More != y.More || len(x.Causes) != len(y.Causes) {
		t.Fatalf("%s: %s, %d causes and %d; %s, %d and %d", a.Ref, x.Effect(), len(x.Causes), x.More, y.Effect(), len(y.Causes), y.More)
	}
	if x.Worst().Withdrawal.Entry != y.Worst().Withdrawal.Entry || x.Worst().Distance() != y.Worst().Distance() {
		t.Fatalf("%s: the worst are entries %d and %d", a.Ref, x.Worst().Withdrawal.Entry, y.Worst().Withdrawal.Entry)
	}
	for i := range x.Causes {
		if x.Causes[i].Withdrawal.Entry != y.Causes[i].Withdrawal.Entry || x.Causes[i].Distance() != y.Causes[i].Distance() {
			t.Fatalf("%s: cause %d is entry %d and entry %d", a.Ref, i, x.Causes[i].Withdrawal.Entry, y.Causes[i].Withdrawal.Entry)
		}
	}
}

// sameJudgement holds the ways of asking to one answer.
func sameJudgement(t *testing.T, x, y *lineage.Judgement) {
	t.Helper()
	if x.Word() != y.Word() || x.Unknown != y.Unknown || x.MoreFallen != y.MoreFallen || len(x.Fallen) != len(y.Fallen) || len(x.Members) != len(y.Members) {
		t.Fatalf("%s: %s, %d and %d; %s, %d and %d", x.Artifact.Ref, x.Word(), len(x.Fallen), len(x.Members), y.Word(), len(y.Fallen), len(y.Members))
	}
	for i := range x.Fallen {
		if x.Fallen[i].Artifact != y.Fallen[i].Artifact || x.Fallen[i].Distance() != y.Fallen[i].Distance() {
			t.Fatalf("%s: fallen are %s and %s", x.Artifact.Ref, x.Fallen[i].Artifact.Ref, y.Fallen[i].Artifact.Ref)
		}
	}
	for i := range x.Members {
		if x.Members[i].Withdrawal.Entry != y.Members[i].Withdrawal.Entry || x.Members[i].Distance() != y.Members[i].Distance() {
			t.Fatalf("%s: members differ", x.Artifact.Ref)
		}
	}
	sameTaint(t, x.Artifact, x.Taint, y.Taint)
}

// allAgainst is what is found from what is wrong downwards.
func allAgainst(t *testing.T, w *world) map[string]lineage.Against {
	t.Helper()
	var bad []*lineage.Artifact
	for _, a := range w.artifacts {
		if !a.Standing.OK || len(a.Withdrawals) > 0 {
			bad = append(bad, a)
		}
	}
	all, cut, err := lineage.AllAgainst(w, bad, 0)
	if err != nil || cut {
		t.Fatal(cut, err)
	}
	return all
}

// sameWord compares it with what is found upwards; that contents taint others
// with the same bytes, which are withdrawn themselves, is no matter.
func sameWord(t *testing.T, j *lineage.Judgement, below map[string]lineage.Against) {
	t.Helper()
	x, y := j.Against(), below[j.Artifact.Ref.String()]
	if x.Withdrawn {
		y.Tainted = x.Tainted
	}
	if x != y || x.Word() != y.Word() {
		t.Fatalf("%s is %+v from above, %+v from below", j.Artifact.Ref, x, y)
	}
}

// TestLimits: a walk stops at its limit and says so; each artifact is asked
// about once, cycles and diamonds or not.
func TestLimits(t *testing.T) {
	w := parse(t, `
		1 a stamp a@1=a
		2 a run b@1=b of a@1
		3 a run c@1=c of a@1 b@1
		4 a run d@1=d of c@1 b@1 a@1
		5 a run a@1 of d@1
	`)
	root := w.find("d", "1")
	g, err := lineage.Up(w, root, 0)
	if err != nil || g.Cut || len(g.Nodes) != 4 {
		t.Fatal(nodes(g), err)
	}
	for name, n := range w.asked {
		if n != 1 {
			t.Errorf("%s was asked about %d times", name, n)
		}
	}
	for limit := 1; limit <= 4; limit++ {
		g, err := lineage.Up(w, root, limit)
		if err != nil || len(g.Nodes) != limit || g.Cut != (limit < 4) {
			t.Errorf("up to %d: %s, cut %t (%v)", limit, nodes(g), g.Cut, err)
		}
		g, err = lineage.Down(w, root, limit)
		if err != nil || len(g.Nodes) != limit || g.Cut != (limit < 4) {
			t.Errorf("down to %d: %s, cut %t (%v)", limit, nodes(g), g.Cut, err)
		}
		if g.Root != g.Nodes[0] || g.Node(root.Ref) != g.Root || !slices.Equal(g.Roots, g.Nodes[:1]) {
			t.Error("the root is not the root")
		}
	}
	if g.Node(contentsRef("none@1")) != nil {
		t.Error("a node that is not there")
	}
}

// unknown expects that an artifact is good as far as it was looked at, and
// whether that was all.
func unknown(t *testing.T, f lineage.Facts, a *lineage.Artifact, want bool) {
	t.Helper()
	j, err := lineage.Judge(f, a)
	if err != nil || j.Unknown != want || j.Word() != map[bool]string{true: lineage.Unknown, false: lineage.Good}[want] {
		t.Fatalf("%+v, %v", j, err)
	}
}

// TestTooLarge: past MaxWalk there is no answer, rather than a wrong one.
func TestTooLarge(t *testing.T) {
	f := &endless{limit: lineage.MaxWalk - 1}
	unknown(t, f, f.at(0), false)
	f.limit++
	unknown(t, f, f.at(0), true)
	all, err := lineage.JudgeAll(f, []*lineage.Artifact{f.at(1), f.at(0)})
	if err != nil || len(all) != 2 || all["c@0"].Word() != lineage.Unknown || all["c@1"].Word() != lineage.Unknown {
		t.Fatal(all, err)
	}
	// What was found until then holds.
	f.withdrawn = 3
	if j, err := lineage.Judge(f, f.at(0)); err != nil || j.Word() != lineage.Tainted || j.Taint.Causes[0].Distance() != 3 {
		t.Fatal(j, err)
	}
	f.fallen = 4
	if j, err := lineage.Judge(f, f.at(0)); err != nil || j.Word() != lineage.Untrusted || j.Fallen[0].Distance() != 4 || j.Taint == nil {
		t.Fatal(j, err)
	}
	// Of a list longer than the limit, what was not reached is told from itself.
	f.fallen = lineage.MaxWalk
	var list []*lineage.Artifact
	for i := range lineage.MaxWalk + 1 {
		list = append(list, f.at(i))
	}
	all, err = lineage.JudgeAll(f, list)
	if err != nil || len(all) != len(list) {
		t.Fatal(len(all), err)
	}
	j := all[list[f.fallen].Ref.String()]
	if j.Word() != lineage.Untrusted || !j.Unknown || j.Fallen[0].Next() != j.Artifact.Ref || len(j.Fallen[0].Path()) != 1 {
		t.Fatal(j)
	}
}

// crowded is a chain on which strangers have made claims by the thousand.
type crowded struct {
	*endless
	claims []lineage.Origin
}

func (c *crowded) Origins(a *lineage.Artifact) ([]lineage.Origin, error) {
	own, err := c.endless.Origins(a)
	return append(own, c.claims...), err
}

// TestAttackClaimsByTheThousand: strangers who say a great deal about what is
// not theirs do not hold up whoever walks: there is an end, and no wrong answer.
func TestAttackClaimsByTheThousand(t *testing.T) {
	c := &crowded{&endless{limit: 100}, make([]lineage.Origin, lineage.MaxSteps/101-2)}
	unknown(t, c, c.at(0), false)
	c.claims = append(c.claims, make([]lineage.Origin, 10)...)
	unknown(t, c, c.at(0), true)
	// What was found until then is still a graph.
	g, err := lineage.Up(c, c.at(0), 0)
	if err != nil || !g.Cut || len(g.Nodes) != 101 || g.Judgements()["c@0"].Taint != nil {
		t.Fatal(len(g.Nodes), g.Cut, err)
	}
	// Inputs count as origins do.
	c.claims = []lineage.Origin{{Counts: true, Inputs: make([]statement.Ref, lineage.MaxSteps)}}
	for i := range c.claims[0].Inputs {
		c.claims[0].Inputs[i] = c.at(1).Ref
	}
	unknown(t, c, c.at(0), true)
}
