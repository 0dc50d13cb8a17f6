package ledger_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// scanned is lineage read from the entries alone, all of them, without the
// index.
type scanned struct {
	artifacts []*lineage.Artifact
	claims    []lineage.Claim
	origins   map[*lineage.Artifact][]lineage.Origin
	releases  map[string][]string // by stage: changes
	in        map[string]map[string]uint64
}

func scan(t *testing.T, v *ledger.View) *scanned {
	t.Helper()
	c, err := v.Control()
	if err != nil {
		t.Fatal(err)
	}
	s := &scanned{releases: map[string][]string{}, in: map[string]map[string]uint64{}}
	for _, e := range collect(t, v.Entries(0, v.Size())) {
		st, err := e.Statement()
		if err != nil {
			t.Fatal(err)
		}
		_, m, _ := c.Roster().Key(e.Envelope.KeyID)
		said := &lineage.Said{Entry: e.Index, Time: e.Time, Signer: e.Envelope.KeyID, Handle: m.Handle, Statement: st,
			Standing: c.Roster().Standing(e.Envelope.KeyID, e.Index, e.Time)}
		for _, o := range st.Stamps() {
			a := &lineage.Artifact{Ref: o.Ref, Entry: e.Index, Time: e.Time, Signer: said.Signer, Handle: said.Handle, Stamp: o.Stamp, Standing: said.Standing}
			for _, w := range c.AllWithdrawals() {
				if w.Stands() && (w.Target == "contents" && w.Ref.Fingerprint == o.Ref.Fingerprint || w.Target == "binding" && w.Ref == o.Ref) {
					a.Withdrawals = append(a.Withdrawals, lineage.Withdrawal{Entry: w.Entry, Time: w.Time, Ref: w.Ref, Target: w.Target, Effect: w.Effect, Reason: w.Reason, Handle: w.Handle})
				}
			}
			s.artifacts = append(s.artifacts, a)
			s.claims = append(s.claims, said.Claims(a)...)
		}
		var about []statement.Ref
		switch {
		case st.Run != nil:
			for _, o := range st.Run.Outputs {
				if o.Stamp == nil {
					about = append(about, o.Ref)
				}
			}
		case st.Import != nil:
			ref, _ := st.Ref()
			about = append(about, ref)
		case st.Release != nil:
			s.release(e.Index, st)
		}
		for _, ref := range about {
			a, err := s.Artifact(ref.Name, ref.Version)
			if err != nil {
				t.Fatal(err)
			}
			s.claims = append(s.claims, said.Claims(a)...)
		}
	}
	return s
}

func (s *scanned) release(index uint64, st *statement.Statement) {
	ref, _ := st.Ref()
	stage := st.Release.Stage
	if s.in[stage] == nil {
		s.in[stage] = map[string]uint64{}
	}
	change := func(ref statement.Ref, action string) {
		s.releases[stage] = append(s.releases[stage], fmt.Sprintf("%06d %s %s", index, ref, action))
		if delete(s.in[stage], ref.String()); action == "join" {
			s.in[stage][ref.String()] = index
		}
	}
	change(ref, st.Release.Action)
	for _, old := range st.Release.Replaces {
		change(old, "leave")
	}
}

func (s *scanned) Artifact(name, version string) (*lineage.Artifact, error) {
	for _, a := range s.artifacts {
		if a.Ref.Name == name && a.Ref.Version == version {
			return a, nil
		}
	}
	return nil, lineage.ErrNotFound
}

func (s *scanned) Origins(a *lineage.Artifact) ([]lineage.Origin, error) {
	if list, ok := s.origins[a]; ok {
		return list, nil
	}
	var claims []lineage.Claim
	for _, c := range s.claims {
		if c.Of.Fingerprint == a.Ref.Fingerprint {
			claims = append(claims, c)
		}
	}
	if s.origins == nil {
		s.origins = map[*lineage.Artifact][]lineage.Origin{}
	}
	s.origins[a] = lineage.Count(a, claims)
	return s.origins[a], nil
}

func (s *scanned) Uses(a *lineage.Artifact) ([]lineage.Use, error) {
	var uses []lineage.Use
	for _, out := range s.artifacts {
		origins, _ := s.Origins(out)
		for _, o := range origins {
			if slices.Contains(o.Inputs, a.Ref) {
				uses = append(uses, lineage.Use{Origin: o, Output: out})
			}
		}
	}
	slices.SortStableFunc(uses, func(x, y lineage.Use) int { return int(x.Entry) - int(y.Entry) })
	return uses, nil
}

// describe writes down everything that a lineage says of an artifact.
func describe(t *testing.T, u lineage.Uses, ref statement.Ref) string {
	t.Helper()
	var b strings.Builder
	a, err := u.Artifact(ref.Name, ref.Version)
	if err != nil {
		t.Fatal(err)
	}
	up, err := lineage.Up(u, a, 0)
	if err != nil {
		t.Fatal(err)
	}
	down, err := lineage.Down(u, a, 0)
	if err != nil {
		t.Fatal(err)
	}
	j, err := lineage.Judge(u, a)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(&b, "%s is %s\n", a.Ref, j.Word())
	for _, f := range j.Fallen {
		fmt.Fprintf(&b, "  fallen %d over %v\n", f.Artifact.Entry, f.Path())
	}
	fmt.Fprintf(&b, "%s %d %d %s %v %v\n", a.Ref, a.Entry, a.Time, a.Handle, a.Standing, a.Withdrawals)
	for _, o := range up.Root.Origins {
		fmt.Fprintf(&b, "  origin %d %s %s %s %v %t %q %q %v\n", o.Entry, o.Handle, o.Way, o.Of, o.Inputs, o.Counts, o.Why, o.Fallen, o.RunID)
	}
	for _, use := range down.Root.Uses {
		fmt.Fprintf(&b, "  use %d %s %s %s %t %q\n", use.Entry, use.Way, use.Of, use.Output.Ref, use.Counts, use.Why)
	}
	for _, g := range []*lineage.Graph{up, down} {
		fmt.Fprintf(&b, "  %d:", len(g.Missing))
		for _, n := range g.Nodes {
			fmt.Fprintf(&b, " %s+%d", n.Ref, n.Depth)
		}
		b.WriteString("\n")
	}
	if taint := j.Taint; taint != nil {
		for _, c := range taint.Causes {
			fmt.Fprintf(&b, "  tainted by %d over %v\n", c.Withdrawal.Entry, c.Path())
		}
	}
	return b.String()
}

// grow puts random statements on a ledger, whether they are admitted or not, in
// blocks of random length.
func grow(t *testing.T, l *team, r *rand.Rand, n int) {
	t.Helper()
	people := []statement.Signer{l.ci, l.bob, l.mallory, l.Ada}
	var refs []statement.Ref
	pick := func() statement.Ref { return refs[r.IntN(len(refs))] }
	some := func(n int, but ...statement.Ref) (list []statement.Ref) {
		for range n {
			if ref := pick(); !slices.Contains(list, ref) && !slices.Contains(but, ref) {
				list = append(list, ref)
			}
		}
		return list
	}
	var withdrawals []struct {
		ref   statement.Ref
		entry uint64
	}
	fresh := func() statement.Output {
		return l.Made(fmt.Sprint("n", r.IntN(6)), fmt.Sprint(len(refs)), fmt.Sprint("bytes", r.IntN(n/3+1)))
	}
	for len(refs) < n {
		by := people[r.IntN(len(people))]
		var block []*statement.Envelope
		var made []statement.Ref
		for range 1 + r.IntN(4) {
			out := fresh()
			out.Ref.Version += fmt.Sprint(".", len(block))
			if len(refs) < 3 {
				block, made = append(block, l.Stamp(by, out.Ref)), append(made, out.Ref)
				continue
			}
			switch ref := pick(); r.IntN(12) {
			case 0, 1:
				block, made = append(block, l.Stamp(by, out.Ref, func(s *statement.Stamp) { s.From = some(2) })), append(made, out.Ref)
			case 2, 3, 4:
				second := fresh()
				second.Ref.Version += "x" + fmt.Sprint(len(block))
				old := pick()
				block = append(block, l.Run(by, some(3, old), []statement.Output{out, second, ledgertest.Old(old)}))
				made = append(made, out.Ref, second.Ref)
			case 5:
				block = append(block, l.Run(by, some(3, ref), []statement.Output{ledgertest.Old(ref)}))
			case 6:
				block = append(block, l.Import(by, ref, some(2, ref)...))
			case 7:
				target := []string{"contents", "contents", "binding", "location"}[r.IntN(4)]
				block = append(block, l.Withdraw(by, ref, target, l.Saw(&statement.Withdrawal{}, ref)))
				withdrawals = append(withdrawals, struct {
					ref   statement.Ref
					entry uint64
				}{ref, l.View().Size() + uint64(len(block)) - 1})
			case 8:
				if len(withdrawals) > 0 {
					w := withdrawals[r.IntN(len(withdrawals))]
					if after := l.Saw(&statement.Withdrawal{}, w.ref); after >= w.entry {
						block = append(block, l.Reinstate(by, w.ref, w.entry, after))
					}
				}
			case 9:
				block = append(block, l.Release(l.rel, ref, prod, l.Saw(&statement.Release{Stage: prod}, ref)))
			case 10:
				in, err := l.View().InStage(prod)
				if err != nil {
					t.Fatal(err)
				}
				if len(in) > 0 {
					old := in[r.IntN(len(in))].Ref
					if old == ref {
						block = append(block, l.Leave(l.rel, old, prod, l.Saw(&statement.Release{Stage: prod}, old)))
						break
					}
					replaces := []statement.Ref{old}
					block = append(block, l.Release(l.rel, ref, prod, l.Saw(&statement.Release{Stage: prod, Replaces: replaces}, ref), replaces...))
				}
			case 11:
				block = append(block, l.Evaluate(by, ref, "auc", "0.5", pick()))
			}
		}
		if len(block) == 0 {
			continue
		}
		_, errs := l.Try(block...)
		for _, err := range errs {
			var refusal *ledger.Refusal
			if err != nil && !errors.As(err, &refusal) {
				t.Fatal(err)
			}
		}
		for _, ref := range made {
			if b, err := l.View().ByName(ref.Name, ref.Version); err == nil && b.Fingerprint == ref.Fingerprint {
				refs = append(refs, ref)
			}
		}
	}
}

// TestLineageIsWhatAScanFinds: the index leads to all that the entries say and
// to nothing else, now and as of earlier sizes.
func TestLineageIsWhatAScanFinds(t *testing.T) {
	seeds := uint64(4)
	if testing.Short() {
		seeds = 1
	}
	for seed := range seeds {
		r := rand.New(rand.NewPCG(seed, 2))
		l := newTeam(t)
		grow(t, l, r, 50)
		if seed%2 == 1 {
			l.Put(l.Compromised(l.Ada, l.mallory.PublicKey(), "mallory", l.View().Size()/2))
		}
		for _, size := range []uint64{l.View().Size(), uint64(r.IntN(int(l.View().Size()))) + 1, uint64(r.IntN(int(l.View().Size()))) + 1} {
			v, err := l.View().AsOf(size)
			if err != nil {
				t.Fatal(err)
			}
			x, err := v.Lineage()
			if err != nil {
				t.Fatal(err)
			}
			s := scan(t, v)
			for _, a := range s.artifacts {
				if got, want := describe(t, x, a.Ref), describe(t, s, a.Ref); got != want {
					t.Fatalf("seed %d, size %d: the ledger says\n%s", seed, size, firstDifference(got, want))
				}
			}
			compareStages(t, v, s)
		}
		soundLedger(t, l.Ledger)
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("%s\n%s\nits entries\n%s", g[0], g[i], w[i])
		}
	}
	return got + "its entries\n" + want
}

func compareStages(t *testing.T, v *ledger.View, s *scanned) {
	t.Helper()
	for stage, want := range s.in {
		in, err := v.InStage(stage)
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]uint64{}
		for _, p := range in {
			got[p.Ref.String()] = p.Entry
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("in %s: %v, want %v", stage, got, want)
		}
		var changes []string
		for _, c := range collect(t, v.StageHistory(stage, "")) {
			changes = append(changes, fmt.Sprintf("%06d %s %s", c.Entry, c.Ref, c.Action))
		}
		history := s.releases[stage]
		slices.Sort(changes)
		slices.Sort(history)
		if !slices.Equal(changes, history) {
			t.Fatalf("history of %s: %v, want %v", stage, changes, history)
		}
	}
}

// TestLineageEntries: what they say alone gives the same lineage, for whoever
// has nothing else.
func TestLineageEntries(t *testing.T) {
	l := newTeam(t)
	grow(t, l, rand.New(rand.NewPCG(3, 3)), 60)
	v := l.View()
	full := scan(t, v)
	for _, a := range full.artifacts {
		entries, cut, err := v.LineageEntries(a.Ref, 0)
		if err != nil || cut || !slices.IsSorted(entries) {
			t.Fatal(entries, cut, err)
		}
		part := &scanned{}
		for _, b := range full.artifacts {
			if slices.Contains(entries, b.Entry) {
				part.artifacts = append(part.artifacts, b)
			}
		}
		for _, c := range full.claims {
			if slices.Contains(entries, c.Entry) {
				part.claims = append(part.claims, c)
			}
		}
		want, err := lineage.Up(full, a, 0)
		if err != nil {
			t.Fatal(err)
		}
		got, err := lineage.Up(part, a, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Missing) != 0 || len(got.Nodes) != len(want.Nodes) || !sameWords(got, want) {
			t.Fatalf("%s: %d nodes of %d, %d missing", a.Ref, len(got.Nodes), len(want.Nodes), len(got.Missing))
		}
		for i, n := range want.Nodes {
			if got.Nodes[i].Ref != n.Ref {
				t.Fatalf("%s: %s, want %s", a.Ref, got.Nodes[i].Ref, n.Ref)
			}
		}
	}
	a := full.artifacts[len(full.artifacts)-1]
	if _, _, err := v.LineageEntries(statement.Ref{Name: a.Ref.Name, Version: a.Ref.Version}, 0); !errors.Is(err, ledger.ErrNotFound) {
		t.Fatal(err)
	}
	if _, _, err := v.LineageEntries(l.Ref("none", "1", "x"), 0); !errors.Is(err, ledger.ErrNotFound) {
		t.Fatal(err)
	}
}

// sameWords reports whether every artifact in two graphs is judged alike.
func sameWords(x, y *lineage.Graph) bool {
	words := func(g *lineage.Graph) string {
		var list []string
		for id, j := range g.Judgements() {
			list = append(list, id+" "+j.Word())
		}
		slices.Sort(list)
		return strings.Join(list, "\n")
	}
	return words(x) == words(y)
}

// TestReleasesAreJudgedByTheWholeLedger: what admission says of a release in the
// middle of a block is what everybody finds afterwards as of that size.
func TestReleasesAreJudgedByTheWholeLedger(t *testing.T) {
	refused, admitted := 0, 0
	for seed := range uint64(4) {
		l := newTeam(t)
		grow(t, l, rand.New(rand.NewPCG(seed, 4)), 50)
		for _, a := range scan(t, l.View()).artifacts {
			env := l.Release(l.rel, a.Ref, "fresh", l.Saw(&statement.Release{Stage: "fresh"}, a.Ref))
			j := judged(t, l.View(), a.Ref)
			forbidden := len(j.Fallen) > 0 || j.Taint != nil && j.Taint.Effect() != "advise" ||
				slices.ContainsFunc(a.Withdrawals, func(w lineage.Withdrawal) bool { return w.Effect != "advise" }) ||
				slices.ContainsFunc(j.Members, func(c lineage.Cause) bool { return c.Withdrawal.Effect != "advise" })
			_, errs := l.Try(env)
			if (errs[0] != nil) != forbidden {
				t.Fatalf("%s: %v, forbidden %t", a.Ref, errs[0], forbidden)
			}
			if forbidden {
				refused++
			} else {
				admitted++
			}
		}
	}
	if refused == 0 || admitted == 0 {
		t.Fatal(refused, admitted)
	}
}

// TestLineageWhileItGrows: many ask while one writes; each view answers as of
// its size.
func TestLineageWhileItGrows(t *testing.T) {
	l := newTeam(t)
	data := l.Stamped(l.bob, "data", "1", "d")
	model := l.Ran(l.ci, "model", "1", "m", data)
	before := l.View()
	var wg sync.WaitGroup
	errs := make(chan error, 4)
	done := make(chan struct{})
	for range cap(errs) {
		wg.Go(func() {
			for {
				v := l.View()
				x, err := v.Lineage()
				if err == nil {
					var a *lineage.Artifact
					if a, err = x.Artifact("model", "1"); err == nil {
						var j *lineage.Judgement
						if j, err = lineage.Judge(x, a); err == nil && j.Taint != nil && j.Taint.Causes[0].Withdrawal.Entry >= v.Size() {
							err = errors.New("it sees the future")
						}
					}
				}
				if err == nil {
					_, err = v.InStage(prod)
				}
				if err != nil {
					errs <- err
					return
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for i := range 20 {
		w := l.Withdrawn(l.bob, data, statement.TargetContents, statement.EffectStop)
		l.Reinstated(l.bob, data, w)
		l.Ran(l.ci, "more", fmt.Sprint(i), fmt.Sprint("more", i), data, model)
		l.Released(l.rel, model, prod)
		l.Left(l.rel, model, prod)
	}
	l.Withdrawn(l.bob, data, statement.TargetContents, statement.EffectStop)
	close(done)
	wg.Wait()
	close(errs)
	for err := range errs {
		t.Fatal(err)
	}
	if taintIn(t, before, model) != nil || taintIn(t, l.View(), model) == nil {
		t.Fatal("the view before it is not what it was")
	}
}
