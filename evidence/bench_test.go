package evidence

import "testing"

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
