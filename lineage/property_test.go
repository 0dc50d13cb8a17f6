package lineage_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// endless is a chain: each artifact is made of the next, up to a limit.
type endless struct{ limit int }

func (e *endless) at(i int) *lineage.Artifact {
	return &lineage.Artifact{Ref: contentsRef(fmt.Sprintf("c@%d", i)), Entry: uint64(e.limit - i)}
}

func (e *endless) Artifact(name, version string) (*lineage.Artifact, error) {
	var i int
	_, err := fmt.Sscan(version, &i)
	return e.at(i), err
}

func (e *endless) Origins(a *lineage.Artifact) ([]lineage.Origin, error) {
	var i int
	if _, err := fmt.Sscan(a.Ref.Version, &i); err != nil || i == e.limit {
		return nil, err
	}
	return []lineage.Origin{{Entry: a.Entry, Way: lineage.WayFrom, Of: a.Ref, Counts: true, Inputs: []statement.Ref{e.at(i + 1).Ref}}}, nil
}

func contentsRef(nameVersion string) statement.Ref {
	name, version := ref(nameVersion)
	return statement.Ref{Name: name, Version: version, Fingerprint: contents(nameVersion)}
}

func isTooLarge(err error) bool { return errors.Is(err, lineage.ErrTooLarge) }

// random writes a history with few people, few bytes and many claims, so that
// every rule is met often.
func random(r *rand.Rand, entries int) string {
	var s strings.Builder
	people := []string{"ada", "bob", "ci", "mallory"}
	var names []string
	var withdrawn []int
	pick := func(n int) string {
		var list []string
		for range n {
			if nv := names[r.IntN(len(names))]; !slices.Contains(list, nv) {
				list = append(list, nv)
			}
		}
		return strings.Join(list, " ")
	}
	for i := 1; i <= entries; i++ {
		who := people[r.IntN(len(people))]
		fresh := func() string {
			nv := fmt.Sprintf("n%d@%d", len(names), i)
			return nv + fmt.Sprintf("=bytes%d", r.IntN(entries/2+1))
		}
		add := func(n string) { nv, _, _ := strings.Cut(n, "="); names = append(names, nv) }
		if len(names) == 0 {
			n := fresh()
			fmt.Fprintf(&s, "%d %s stamp %s\n", i, who, n)
			add(n)
			continue
		}
		switch r.IntN(10) {
		case 0, 1:
			n := fresh()
			fmt.Fprintf(&s, "%d %s stamp %s from %s\n", i, who, n, pick(r.IntN(3)))
			add(n)
		case 2:
			n := fresh()
			fmt.Fprintf(&s, "%d %s stamp %s members %s from %s\n", i, who, n, pick(1+r.IntN(3)), pick(r.IntN(2)))
			add(n)
		case 3, 4, 5:
			n := fresh()
			fmt.Fprintf(&s, "%d %s run %s of %s\n", i, who, n, pick(r.IntN(4)))
			add(n)
		case 6:
			fmt.Fprintf(&s, "%d %s run %s of %s\n", i, who, pick(1+r.IntN(2)), pick(1+r.IntN(2)))
		case 7:
			fmt.Fprintf(&s, "%d %s import %s of %s\n", i, who, names[r.IntN(len(names))], pick(2))
		case 8:
			target := []string{"contents", "contents", "binding", "location"}[r.IntN(4)]
			effect := []string{"advise", "no-new-use", "stop"}[r.IntN(3)]
			fmt.Fprintf(&s, "%d %s withdraw %s %s %s\n", i, who, target, names[r.IntN(len(names))], effect)
			withdrawn = append(withdrawn, i)
		case 9:
			if len(withdrawn) > 0 && r.IntN(2) == 0 {
				fmt.Fprintf(&s, "%d %s end %d\n", i, who, withdrawn[r.IntN(len(withdrawn))])
			}
		}
	}
	if r.IntN(4) == 0 {
		fmt.Fprintf(&s, "lost %s %d\n", people[r.IntN(len(people))], r.IntN(entries)+1)
	}
	return s.String()
}

// oracle says from the page alone, word by word, what leads to what.
type oracle struct{ w *world }

// counts reports whether an entry is an origin of x that counts, and gives its
// inputs.
func (o oracle) counts(s *lineage.Said, x *lineage.Artifact) (inputs []statement.Ref, ok bool) {
	st := s.Statement
	if st.Import != nil || !s.Standing.OK {
		return nil, false
	}
	var about []statement.Ref
	switch {
	case st.Run != nil:
		inputs = st.Run.Inputs
		for _, out := range st.Run.Outputs {
			about = append(about, out.Ref)
		}
	case st.Stamp != nil:
		self, _ := st.Ref()
		about = []statement.Ref{self}
		inputs = append(inputs, st.Stamp.From...)
		for _, m := range st.Stamp.Members {
			inputs = append(inputs, m.Ref)
		}
		if len(inputs) == 0 {
			return nil, false
		}
	}
	for _, r := range about {
		b := o.w.find(r.Name, r.Version)
		if b.Ref.Fingerprint != x.Ref.Fingerprint {
			continue
		}
		own := b.Entry == s.Entry || b.Handle == s.Handle
		older := b.Entry < x.Entry && !slices.ContainsFunc(b.Withdrawals, func(w lineage.Withdrawal) bool {
			return w.Target == "binding" && w.Handle != b.Handle
		})
		if own && (b == x || b.Handle == x.Handle || older) {
			return inputs, true
		}
	}
	return nil, false
}

// ancestors returns the names from which x was made, x not among them unless
// it was made of itself.
func (o oracle) ancestors(x *lineage.Artifact) map[string]bool {
	found := map[string]bool{}
	for grew := true; grew; {
		grew = false
		for _, a := range o.w.artifacts {
			if a != x && !found[a.Ref.String()] {
				continue
			}
			for _, s := range o.w.entries {
				inputs, ok := o.counts(s, a)
				for _, in := range inputs {
					if ok && !found[in.String()] {
						found[in.String()], grew = true, true
					}
				}
			}
		}
	}
	return found
}

// causes returns the withdrawals that taint x, and the strongest effect.
func (o oracle) causes(x *lineage.Artifact) (entries []uint64, effect string) {
	found := o.ancestors(x)
	for _, a := range o.w.artifacts {
		for _, w := range a.Withdrawals {
			if found[a.Ref.String()] && w.Target == "contents" && a.Ref.Fingerprint != x.Ref.Fingerprint && !slices.Contains(entries, w.Entry) {
				entries = append(entries, w.Entry)
				effect = lineage.Stronger(effect, w.Effect)
			}
		}
	}
	return entries, effect
}

// TestRandomHistories compares with the naive reading of the page.
func TestRandomHistories(t *testing.T) {
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 1))
		history := random(r, 4+int(seed)/12)
		w := parse(t, history)
		if t.Failed() {
			return
		}
		compare(t, w, func() string { return fmt.Sprintf("seed %d\n%s", seed, history) })
	}
}

func compare(t *testing.T, w *world, history func() string) {
	t.Helper()
	o := oracle{w}
	below := map[string][]string{} // who was made of it
	for _, a := range w.artifacts {
		g, err := lineage.Up(w, a, 0)
		if err != nil {
			t.Fatal(err)
		}
		taints := g.Taints()
		found := o.ancestors(a)
		for name := range found {
			below[name] = append(below[name], a.Ref.String())
		}
		found[a.Ref.String()] = true
		below[a.Ref.String()] = append(below[a.Ref.String()], a.Ref.String())
		if len(g.Nodes) != len(found) {
			t.Fatalf("%s was made of %s; the page says %v: %s", a.Ref, nodes(g), found, history())
		}
		for _, n := range g.Nodes {
			if !found[n.Ref.String()] {
				t.Fatalf("%s was not made of %s: %s", a.Ref, n.Ref, history())
			}
			want, _ := o.causes(n.Artifact)
			if tainted := taints[n.Ref.String()] != nil; tainted != (len(want) > 0) {
				t.Fatalf("%s tainted %t, by %v: %s", n.Ref, tainted, want, history())
			}
		}
		taint, err := lineage.TaintOf(w, a)
		if err != nil {
			t.Fatal(err)
		}
		sameTaint(t, a, taint, taints[a.Ref.String()])
		want, effect := o.causes(a)
		if taint == nil {
			continue
		}
		if taint.Effect() != effect || len(taint.Causes)+taint.More != len(want) || len(taint.Causes) > lineage.MaxCauses {
			t.Fatalf("%s: %s, %d causes and %d more; want %s by %v: %s", a.Ref, taint.Effect(), len(taint.Causes), taint.More, effect, want, history())
		}
		for _, c := range append(slices.Clone(taint.Causes), taint.Worst()) {
			checkPath(t, w, a, &c, history)
		}
	}
	for _, a := range w.artifacts {
		g, err := lineage.Down(w, a, 0)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, n := range g.Nodes {
			got = append(got, n.Ref.String())
		}
		want := slices.Compact(slices.Sorted(slices.Values(below[a.Ref.String()])))
		if slices.Sort(got); !slices.Equal(got, want) {
			t.Fatalf("of %s were made %v, want %v: %s", a.Ref, got, want, history())
		}
	}
}

// checkPath holds a path to what it says: each step's origin counts for it and
// names the next, and the last has the contents that are withdrawn.
func checkPath(t *testing.T, w *world, from *lineage.Artifact, c *lineage.Cause, history func() string) {
	t.Helper()
	path := c.Path()
	if len(path) != c.Distance()+1 || path[0].Ref != from.Ref {
		t.Fatalf("a path of %d steps over %s: %s", c.Distance(), pathText(path), history())
	}
	if c.Next() != path[1].Ref || c.At() != path[len(path)-1].Ref {
		t.Fatalf("%s goes by %s to %s: %s", pathText(path), c.Next(), c.At(), history())
	}
	for i, step := range path {
		a := w.find(step.Ref.Name, step.Ref.Version)
		if i == len(path)-1 {
			if a.Ref.Fingerprint != c.Withdrawal.Ref.Fingerprint || step.Entry != 0 {
				t.Fatalf("%s does not end at %s: %s", pathText(path), c.Withdrawal.Ref, history())
			}
			return
		}
		if !slices.ContainsFunc(w.origins(a), func(o lineage.Origin) bool {
			return o.Counts && o.Entry == step.Entry && o.Way == step.Way && slices.Contains(o.Inputs, path[i+1].Ref)
		}) {
			t.Fatalf("%s: no origin leads from %s to %s: %s", pathText(path), step.Ref, path[i+1].Ref, history())
		}
	}
}

// TestSameHistorySameGraph: walks do not depend on the order of a map.
func TestSameHistorySameGraph(t *testing.T) {
	history := random(rand.New(rand.NewPCG(7, 7)), 60)
	first := answers(t, parse(t, history))
	for range 5 {
		if again := answers(t, parse(t, history)); again != first {
			t.Fatalf("first:\n%s\nthen:\n%s", first, again)
		}
	}
}
