package lineage_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// endless is a chain: each artifact is made of the next, up to a limit.
type endless struct {
	limit             int
	withdrawn, fallen int // which is; 0: none
}

func (e *endless) at(i int) *lineage.Artifact {
	a := &lineage.Artifact{Ref: contentsRef(fmt.Sprintf("c@%d", i)), Entry: uint64(e.limit - i), Standing: statement.Standing{OK: true}}
	if i > 0 && i == e.withdrawn {
		a.Withdrawals = []lineage.Withdrawal{{Ref: a.Ref, Target: statement.TargetContents, Effect: statement.EffectStop}}
	}
	if i > 0 && i == e.fallen {
		a.Standing = statement.Standing{State: statement.StateCompromised, Detail: "a test"}
	}
	return a
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
	if r.IntN(2) == 0 {
		since := r.IntN(entries) + 1
		fmt.Fprintf(&s, "lost %s %d %d\n", people[r.IntN(len(people))], since, since+r.IntN(entries))
	}
	return s.String()
}

// oracle says from the page alone, word by word, what leads to what.
type oracle struct{ w *world }

// counts reports whether an entry is an origin of x that counts, and gives its
// inputs.
func (o oracle) counts(s *lineage.Said, x *lineage.Artifact) (inputs []statement.Ref, ok bool) {
	st := s.Statement
	if st.Import != nil {
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
		same := b.Handle == x.Handle && b.Standing.OK
		heard := s.Standing.OK || !b.Standing.OK
		if own && heard && (b == x || same || older) {
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

// word returns the word on x.
func (o oracle) word(x *lineage.Artifact) string {
	found := o.ancestors(x)
	found[x.Ref.String()] = true
	for _, a := range o.w.artifacts {
		if found[a.Ref.String()] && !a.Standing.OK {
			return lineage.Untrusted
		}
	}
	parts := []*lineage.Artifact{x} // and the members, however deep
	for i := 0; i < len(parts); i++ {
		if len(parts[i].Withdrawals) > 0 {
			return lineage.Withdrawn
		}
		for _, m := range parts[i].Stamp.Members {
			parts = append(parts, o.w.find(m.Ref.Name, m.Ref.Version))
		}
	}
	if causes, _ := o.causes(x); len(causes) > 0 {
		return lineage.Tainted
	}
	return lineage.Good
}

// known reports whether somebody in standing says what x was made of.
func (o oracle) known(x *lineage.Artifact) bool {
	return slices.ContainsFunc(o.w.entries, func(s *lineage.Said) bool {
		_, ok := o.counts(s, x)
		return ok && s.Standing.OK
	})
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
	words := allAgainst(t, w)
	all, err := lineage.JudgeAll(w, w.artifacts)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range w.artifacts {
		g, err := lineage.Up(w, a, 0)
		if err != nil {
			t.Fatal(err)
		}
		judged := g.Judgements()
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
			if tainted := judged[n.Ref.String()].Taint != nil; tainted != (len(want) > 0) {
				t.Fatalf("%s tainted %t, by %v: %s", n.Ref, tainted, want, history())
			}
		}
		j, err := lineage.Judge(w, a)
		if err != nil {
			t.Fatal(err)
		}
		sameJudgement(t, j, judged[a.Ref.String()])
		sameJudgement(t, j, all[a.Ref.String()])
		sameWord(t, j, words)
		if word := o.word(a); word != j.Word() {
			t.Fatalf("%s is %s; the page says %s: %s", a.Ref, j.Word(), word, history())
		}
		if known := o.known(a); known != g.Root.Known() {
			t.Fatalf("%s is of known origin, %t; the page says %t: %s", a.Ref, g.Root.Known(), known, history())
		}
		for _, fall := range j.Fallen {
			checkWay(t, w, a, fall.Route, fall.Artifact.Ref.Fingerprint, history)
			if fall.Artifact.Standing.OK {
				t.Fatalf("%s has standing: %s", fall.Artifact.Ref, history())
			}
		}
		for _, c := range j.Members {
			checkWay(t, w, a, c.Route, c.At().Fingerprint, history)
		}
		taint := j.Taint
		want, effect := o.causes(a)
		if taint == nil {
			continue
		}
		if taint.Effect() != effect || len(taint.Causes)+taint.More != len(want) || len(taint.Causes) > lineage.MaxCauses {
			t.Fatalf("%s: %s, %d causes and %d more; want %s by %v: %s", a.Ref, taint.Effect(), len(taint.Causes), taint.More, effect, want, history())
		}
		for _, c := range append(slices.Clone(taint.Causes), taint.Worst()) {
			checkWay(t, w, a, c.Route, c.Withdrawal.Ref.Fingerprint, history)
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

// checkWay holds a path to what it says: each step's origin counts for it and
// names the next, and the last has those contents.
func checkWay(t *testing.T, w *world, from *lineage.Artifact, way lineage.Route, to fingerprint.Fingerprint, history func() string) {
	t.Helper()
	path := way.Path()
	if len(path) != way.Distance()+1 || path[0].Ref != from.Ref {
		t.Fatalf("a path of %d steps over %s: %s", way.Distance(), pathText(path), history())
	}
	if way.Next() != path[min(1, len(path)-1)].Ref || way.At() != path[len(path)-1].Ref {
		t.Fatalf("%s goes by %s to %s: %s", pathText(path), way.Next(), way.At(), history())
	}
	for i, step := range path {
		a := w.find(step.Ref.Name, step.Ref.Version)
		if i == len(path)-1 {
			if a.Ref.Fingerprint != to || step.Entry != 0 {
				t.Fatalf("%s does not end at %s: %s", pathText(path), to, history())
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
