package ledger_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2"
	"golang.org/x/mod/sumdb/note"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// generated is a ledger on disk of 100,000 artifacts, in which three have a
// lineage of 1,000:
//
//	chain   each was made by a run of the one before
//	wide    of a collection of 10 collections of 99 stamped partitions
//	dense   10 layers of 100, each made by a run of 10 of the layer above
//
// One artifact at the bottom of each is withdrawn, and so are 100 others. A
// stage holds 20, after 500 releases.
type generated struct {
	dir                string
	db                 *pebble.DB
	l                  *ledger.Ledger
	m                  *ledgertest.Maker
	chain, wide, dense statement.Ref
	bottom             statement.Ref // of chain: 1,000 were made of it
	now                int64
}

const benchArtifacts = 100_000

var theGenerated = sync.OnceValues(generate)

// fill admits envelopes whose signatures nobody doubts, 500 to a block.
func (g *generated) fill(envs ...*statement.Envelope) error {
	for len(envs) > 0 {
		n := min(500, len(envs))
		g.now += 1000
		block, err := g.l.Begin(g.now)
		if err != nil {
			return err
		}
		for _, env := range envs[:n] {
			c, err := g.l.PrepareVerifiedUnsafe(env)
			if err == nil {
				_, err = block.Admit(c)
			}
			if err != nil {
				return err
			}
		}
		size, root := block.Root()
		signer, _ := ledgertest.LogKey("1")
		signed, err := evidence.SignCheckpoint(evidence.Checkpoint{Origin: block.Origin(), Size: size, Root: root}, []note.Signer{signer}...)
		if err == nil {
			err = block.Commit(signed)
		}
		if err != nil {
			return err
		}
		envs = envs[n:]
	}
	return nil
}

func generate() (*generated, error) {
	dir, err := benchDir()
	if err != nil {
		return nil, err
	}
	g := &generated{dir: dir, m: &ledgertest.Maker{}, now: start}
	if err := g.open(); err != nil {
		return nil, err
	}
	ada := ledgertest.Ed25519("ada")
	_, vkey := ledgertest.LogKey("1")
	if err := g.fill(g.m.Genesis(ada, vkey)); err != nil {
		return nil, err
	}
	g.m.Ledger = g.l.View().ID()
	m := g.m
	var envs []*statement.Envelope
	made := 0
	stamp := func(name string, i int, from ...statement.Ref) statement.Ref {
		made++
		ref := m.Ref(name, fmt.Sprint(i), fmt.Sprint(name, i))
		envs = append(envs, m.Stamp(ada, ref, func(s *statement.Stamp) {
			s.From, s.Ignore = from, []string{".git/", ".stele", ".DS_Store", "Thumbs.db"}
		}))
		return ref
	}
	run := func(name string, i int, inputs ...statement.Ref) statement.Ref {
		made++
		out := m.Made(name, fmt.Sprint(i), fmt.Sprint(name, i))
		envs = append(envs, m.Run(ada, inputs, []statement.Output{out}, func(r *statement.Run) {
			r.Code = &statement.Code{Remote: "https://git.example/team/fraud.git", Commit: "2fd4e1c67a2d28fced849ee1bb76e7391b93eb12"}
		}))
		return out.Ref
	}
	collect := func(name string, i int, members []statement.CollectionMember) (ref statement.Ref, files, bytes uint64) {
		made++
		fp, files, bytes, err := statement.Collection(1, members)
		if err != nil {
			panic(err)
		}
		envs = append(envs, m.Collect(ada, name, fmt.Sprint(i), members))
		return statement.Ref{Name: name, Version: fmt.Sprint(i), Fingerprint: fp}, files, bytes
	}
	g.bottom = stamp("chain", 0)
	g.chain = g.bottom
	for i := 1; i < 1000; i++ {
		g.chain = run("chain", i, g.chain)
	}
	var months []statement.CollectionMember
	var partition statement.Ref
	for i := range 10 {
		var days []statement.CollectionMember
		for j := range 99 {
			partition = stamp("part", 100*i+j)
			days = append(days, m.Member(fmt.Sprint(j), partition))
		}
		month, files, bytes := collect("month", i, days)
		months = append(months, statement.CollectionMember{Prefix: fmt.Sprint(i), Ref: month, Files: files, Bytes: bytes})
	}
	year, _, _ := collect("year", 0, months)
	g.wide = run("wide", 0, year)
	layer := make([]statement.Ref, 100)
	for j := range layer {
		layer[j] = stamp("dense", j)
	}
	deep := layer[0]
	for i := 1; i < 10; i++ {
		next := make([]statement.Ref, 100)
		for j := range next {
			inputs := make([]statement.Ref, 10)
			for k := range inputs {
				inputs[k] = layer[(10*j+k)%100]
			}
			next[j] = run("dense", 100*i+j, inputs...)
		}
		layer = next
	}
	g.dense = run("dense", 1000, layer[:100-1]...)
	var withdrawn []statement.Ref
	for i := 0; made < benchArtifacts; i++ {
		data := stamp("other", 3*i)
		if i < 100 {
			withdrawn = append(withdrawn, data)
		}
		run("other", 3*i+1, data)
		run("other", 3*i+2, data)
	}
	if err := g.fill(envs...); err != nil {
		return nil, err
	}
	for _, ref := range append(withdrawn, g.bottom, partition, deep) {
		after, _, err := g.l.View().LastOn(ref.Fingerprint)
		if err == nil {
			err = g.fill(m.Withdraw(ada, ref, statement.TargetContents, after))
		}
		if err != nil {
			return nil, err
		}
	}
	for i := range 500 {
		ref := m.Ref("other", fmt.Sprint(3*(i+200)+1), fmt.Sprint("other", 3*(i+200)+1))
		r := &statement.Release{Stage: prod, Action: statement.ActionJoin}
		if i >= 20 {
			r.Replaces = []statement.Ref{m.Ref("other", fmt.Sprint(3*(i+180)+1), fmt.Sprint("other", 3*(i+180)+1))}
		}
		st := &statement.Statement{Kind: statement.KindRelease, Release: r, Subject: []statement.Subject{ref.Subject()}}
		if r.After, err = g.l.View().After(st); err == nil {
			err = g.fill(m.Sign(ada, st))
		}
		if err != nil {
			return nil, err
		}
	}
	// What was written is in memory, at the cost of the cache: a reader has
	// neither.
	if err := g.db.Close(); err != nil {
		return nil, err
	}
	return g, g.open()
}

// open opens the ledger as the engine does.
func (g *generated) open() (err error) {
	opts := solo.DatabaseOptions()
	opts.Logger = quietBench{}
	if g.db, err = pebble.Open(g.dir, opts); err != nil {
		return err
	}
	g.l, err = ledger.Open(g.db, ledger.Options{NoSync: true})
	return err
}

type quietBench struct{}

func (quietBench) Infof(string, ...any)      {}
func (quietBench) Errorf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }
func (quietBench) Fatalf(f string, a ...any) { panic(fmt.Sprintf(f, a...)) }

// BenchmarkLineage asks a ledger of 100,000 artifacts about lineages of 1,000.
// Each question begins with nothing but the store's own caches.
func BenchmarkLineage(b *testing.B) {
	g, err := theGenerated()
	if err != nil {
		b.Fatal(err)
	}
	v := g.l.View()
	ask := func(ref statement.Ref) (*ledger.Lineage, *lineage.Artifact) {
		x, err := v.Lineage()
		if err != nil {
			b.Fatal(err)
		}
		a, err := x.Artifact(ref.Name, ref.Version)
		if err != nil {
			b.Fatal(err)
		}
		return x, a
	}
	for _, c := range []struct {
		shape string
		ref   statement.Ref
	}{{"chain", g.chain}, {"wide", g.wide}, {"dense", g.dense}} {
		b.Run("Up+Taints/"+c.shape, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				x, a := ask(c.ref)
				up, err := lineage.Up(x, a, 0)
				if err != nil {
					b.Fatal(err)
				}
				if len(up.Nodes) < 1000 || len(up.Nodes) > 1010 || up.Judgements()[c.ref.String()].Taint == nil {
					b.Fatal(len(up.Nodes))
				}
			}
		})
		b.Run("Judge/"+c.shape, func(b *testing.B) {
			for b.Loop() {
				x, a := ask(c.ref)
				if j, err := lineage.Judge(x, a); err != nil || j.Taint == nil {
					b.Fatal(err)
				}
			}
		})
		b.Run("LineageEntries/"+c.shape, func(b *testing.B) {
			for b.Loop() {
				if entries, _, err := v.LineageEntries(c.ref, 0); err != nil || len(entries) < 1000 {
					b.Fatal(len(entries), err)
				}
			}
		})
	}
	b.Run("Down/chain", func(b *testing.B) {
		for b.Loop() {
			x, a := ask(g.bottom)
			if down, err := lineage.Down(x, a, 0); err != nil || len(down.Nodes) != 1000 {
				b.Fatal(err)
			}
		}
	})
	b.Run("InStage", func(b *testing.B) {
		for b.Loop() {
			if in, err := v.InStage(prod); err != nil || len(in) != 20 {
				b.Fatal(len(in), err)
			}
		}
	})
	b.Run("InStage+JudgeAll", func(b *testing.B) {
		for b.Loop() {
			in, err := v.InStage(prod)
			if err != nil {
				b.Fatal(err)
			}
			x, _ := ask(in[0].Ref)
			var list []*lineage.Artifact
			for _, p := range in {
				a, err := x.Artifact(p.Ref.Name, p.Ref.Version)
				if err != nil {
					b.Fatal(err)
				}
				list = append(list, a)
			}
			if _, err := lineage.JudgeAll(x, list); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("AsOf", func(b *testing.B) {
		for b.Loop() {
			old, err := v.AsOf(v.Size() - 300)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := old.Lineage(); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkLineageCold opens the ledger for one question, as a command does. The
// file system's cache is warm.
func BenchmarkLineageCold(b *testing.B) {
	g, err := theGenerated()
	if err != nil {
		b.Fatal(err)
	}
	cold := func(name string, ask func(v *ledger.View) error) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				err := g.db.Close()
				if err == nil {
					err = g.open()
				}
				if err == nil {
					err = ask(g.l.View())
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	cold("Open", func(v *ledger.View) error { return nil })
	cold("Judge/dense", func(v *ledger.View) error {
		x, err := v.Lineage()
		if err != nil {
			return err
		}
		a, err := x.Artifact(g.dense.Name, g.dense.Version)
		if err != nil {
			return err
		}
		_, err = lineage.Judge(x, a)
		return err
	})
	cold("InStage", func(v *ledger.View) error {
		_, err := v.InStage(prod)
		return err
	})
}

// BenchmarkAdmit admits ordinary stamps to an empty ledger, 100 to a block,
// their signatures checked before.
func BenchmarkAdmit(b *testing.B) {
	l := ledgertest.New(b)
	b.StopTimer()
	for n := 0; n < b.N; n += 100 {
		envs := l.Stamps(l.Ada, fmt.Sprint("s", n), min(100, b.N-n))
		var cands []*ledger.Candidate
		for _, env := range envs {
			c, err := l.PrepareVerifiedUnsafe(env)
			if err != nil {
				b.Fatal(err)
			}
			cands = append(cands, c)
		}
		b.StartTimer()
		l.Now += 1000
		block, err := l.Begin(l.Now)
		if err != nil {
			b.Fatal(err)
		}
		for _, c := range cands {
			if _, err := block.Admit(c); err != nil {
				b.Fatal(err)
			}
		}
		size, root := block.Root()
		b.StopTimer()
		signer, _ := ledgertest.LogKey("1")
		signed, err := evidence.SignCheckpoint(evidence.Checkpoint{Origin: block.Origin(), Size: size, Root: root}, []note.Signer{signer}...)
		if err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		if err := block.Commit(signed); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
	}
}
