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
	all, err := lineage.TaintAll(w, w.artifacts)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range w.artifacts {
		up, err := lineage.Up(w, a, 0)
		if err != nil {
			t.Fatal(err)
		}
		down, err := lineage.Down(w, a, 0)
		if err != nil {
			t.Fatal(err)
		}
		taint, err := lineage.TaintOf(w, a)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&s, "%s: %s\n", a.Ref, state(up.Root, taint))
		for _, o := range up.Root.Origins {
			fmt.Fprintf(&s, "  %s\n", originText(o))
		}
		if taint != nil {
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
		sameTaint(t, a, taint, up.Taints()[a.Ref.String()])
		sameTaint(t, a, taint, all[a.Ref.String()])
	}
	return s.String()
}

func state(n *lineage.Node, taint *lineage.Taint) string {
	var words []string
	for _, w := range n.Withdrawn() {
		words = append(words, fmt.Sprintf("withdrawn by %d (%s)", w.Entry, w.Effect))
	}
	if taint != nil {
		words = append(words, "tainted ("+taint.Effect()+")")
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

// TestTooLarge: past MaxWalk there is no answer, rather than a wrong one.
func TestTooLarge(t *testing.T) {
	f := &endless{limit: lineage.MaxWalk - 1}
	if taint, err := lineage.TaintOf(f, f.at(0)); err != nil || taint != nil {
		t.Fatal(taint, err)
	}
	f.limit++
	if _, err := lineage.TaintOf(f, f.at(0)); !isTooLarge(err) {
		t.Fatal(err)
	}
	if _, err := lineage.TaintAll(f, []*lineage.Artifact{f.at(1), f.at(0)}); !isTooLarge(err) {
		t.Fatal(err)
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
	if taint, err := lineage.TaintOf(c, c.at(0)); err != nil || taint != nil {
		t.Fatal(taint, err)
	}
	c.claims = append(c.claims, make([]lineage.Origin, 10)...)
	if _, err := lineage.TaintOf(c, c.at(0)); !isTooLarge(err) {
		t.Fatal(err)
	}
	// What was found until then is still a graph.
	g, err := lineage.Up(c, c.at(0), 0)
	if err != nil || !g.Cut || len(g.Nodes) != 101 || len(g.Taints()) != 0 {
		t.Fatal(len(g.Nodes), g.Cut, err)
	}
	// Inputs count as origins do.
	c.claims = []lineage.Origin{{Counts: true, Inputs: make([]statement.Ref, lineage.MaxSteps)}}
	for i := range c.claims[0].Inputs {
		c.claims[0].Inputs[i] = c.at(1).Ref
	}
	if _, err := lineage.TaintOf(c, c.at(0)); !isTooLarge(err) {
		t.Fatal(err)
	}
}
