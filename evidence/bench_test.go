package evidence

import (
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"

	"github.com/stele-ml/stele/statement"
)

// One statement's evidence with paths, a range, an attachment and two
// witnesses, from its bytes to the verdict.
func BenchmarkVerify(b *testing.B) {
	l, f, p, d := sample(b)
	data, err := f.Marshal()
	if err != nil {
		b.Fatal(err)
	}
	opts := options(l, d)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if v := VerifyBytes(data, p, opts); v.Verdict != Verified {
			b.Fatal(v)
		}
	}
}

// Folding one more control entry with its signature.
func BenchmarkControlAdd(b *testing.B) {
	l := newLedger(b, "bench")
	e, err := ParseEntry(l.leaves[1])
	if err != nil {
		b.Fatal(err)
	}
	genesis, err := ParseEntry(l.leaves[0])
	if err != nil {
		b.Fatal(err)
	}
	start := NewControl()
	if err := start.Add(genesis); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := start.Clone().Add(e); err != nil {
			b.Fatal(err)
		}
	}
}

// thousand is evidence of a lineage of a thousand artifacts, each by a run of
// its own with ten inputs, details beside it, spread over a log of a hundred
// thousand entries.
func thousand(b testing.TB) (*testLedger, []byte) {
	b.Helper()
	const artifacts, between, inputs = 1000, 99, 10
	l := newLedger(b, "thousand")
	other := l.sign(l.member, testData(b, 1).stamping("scans/other", "1"))
	var refs []statement.Ref
	var entries []uint64
	var documents [][]byte
	for i := range artifacts {
		for range between {
			l.append(other, false)
		}
		ref := statement.Ref{Name: "scans/step", Version: fmt.Sprint(i), Fingerprint: fake(i)}
		var from []statement.Ref
		for back := 1; back <= inputs && back <= i; back++ {
			from = append(from, refs[i-min(back*back, i)])
		}
		slices.SortFunc(from, func(a, b statement.Ref) int { return statementOrder(a, b) })
		from = slices.CompactFunc(from, func(a, b statement.Ref) bool { return a == b })
		st := running(from, statement.Output{Ref: ref, Stamp: &statement.Stamp{Kind: statement.ArtifactModel, Files: 3, Bytes: 1 << 30, Basis: statement.Basis{Read: 1 << 30}}})
		doc := must((&statement.Details{Salt: fake(i).Sum, Command: []string{"python", "train.py", "--epochs", "3"}, Host: "gpu-7"}).Marshal())
		at := statement.AttachmentOf(doc)
		st.Run.Details = &at
		documents = append(documents, doc)
		entries = append(entries, l.say(l.member, st).Index)
		refs = append(refs, ref)
	}
	last := refs[artifacts-1]
	// The others are of no interest to the last: the chain of squares reaches all.
	claim := Claim{Entry: entries[artifacts-1], Name: last.Name, Version: last.Version, Fingerprint: last.Fingerprint, Lineage: true}
	f, err := Collect(l, l.checkpoint(), claim, documents, entries...)
	if err != nil {
		b.Fatal(err)
	}
	return l, must(f.Marshal())
}

func statementOrder(a, b statement.Ref) int {
	switch {
	case a.String() < b.String():
		return -1
	case a.String() > b.String():
		return 1
	}
	return 0
}

// Evidence of a thousand artifacts, from its bytes to the verdict: on one core,
// and on all.
func BenchmarkVerifyLineage(b *testing.B) {
	l, data := thousand(b)
	policy := l.policy()
	for name, each := range map[string]func(int, func(int)){"one core": nil, "all cores": onAllCores} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(data)))
			b.ReportAllocs()
			for b.Loop() {
				if v := VerifyBytes(data, policy, Options{Each: each}); v.Verdict != Verified || len(v.Story) != 1000 {
					b.Fatal(v)
				}
			}
			b.ReportMetric(float64(len(data)), "file-bytes")
		})
	}
}

// Nothing but the signatures of a thousand entries, one after another.
func BenchmarkThousandSignatures(b *testing.B) {
	l := newLedger(b, "signatures")
	env := l.sign(l.member, testData(b, 1).stamping("scans/other", "1"))
	for b.Loop() {
		for range 1000 {
			if err := env.Verify(l.member.PublicKey()); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func onAllCores(n int, do func(int)) {
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				do(i)
			}
		})
	}
	wg.Wait()
}
