package evidence

import (
	"bytes"
	"errors"
	"testing"
)

// Whatever parses is in its one encoding, and only the sample itself, and what
// says the same, is ever verified under the sample's trust.
func FuzzParse(f *testing.F) {
	l, file, policy, d := sample(f)
	data := must(file.Marshal())
	f.Add(data)
	bare := *file
	bare.Attachments, bare.Claim.Paths, bare.Claim.Ranges = nil, nil, nil
	f.Add(must(bare.Marshal()))
	f.Add([]byte(`{"stele":"evidence/v1","ledger":"`))
	family, lineage := sampleLineage(f)
	f.Add(must(lineage.Marshal()))
	f.Add(must(without(lineage, family.rawAt.Index).Marshal()))
	opts := options(l, d)
	f.Fuzz(func(t *testing.T, data []byte) {
		g, err := Parse(data)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("an error without a class: %v", err)
			}
			// Let the fuzzer past the sum, which it cannot guess.
			if data = resummed(data); data == nil {
				return
			}
			if g, err = Parse(data); err != nil {
				return
			}
		}
		if again, err := g.Marshal(); err != nil || !bytes.Equal(again, data) {
			t.Fatalf("written differently: %v", err)
		}
		if v := Verify(g, policy, opts); v.Verdict == Verified && g.Claim.Ref() != file.Claim.Ref() {
			t.Fatalf("verified: %+v", g.Claim)
		}
		if v := Verify(g, family.policy(), Options{}); v.Verdict == Verified && (g.Claim.Ref() != lineage.Claim.Ref() || v.Result(CheckNotTainted) == Passed && len(v.Story) < 5) {
			t.Fatalf("verified: %+v", g.Claim)
		}
	})
}

// resummed returns an evidence file with its sum computed anew, or nil.
func resummed(data []byte) []byte {
	body, _, ok := bytes.Cut(data, []byte(`,"sum":"`))
	if !ok {
		return nil
	}
	body = append(bytes.Clone(body), `,"sum":"`...)
	return append(bytes.Clone(body), fileSum(append(body, `"}`...))+"\"}\n"...)
}

func FuzzParseVKey(f *testing.F) {
	_, k := logKey(f, "example.com/ledger", "log")
	_, w := witnessKey(f, "w.example", "w", 1)
	f.Add(k.String())
	f.Add(w.String())
	f.Fuzz(func(t *testing.T, s string) {
		k, err := ParseVKey(s)
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Fatalf("an error without a class: %v", err)
			}
			return
		}
		if k.String() != s {
			t.Fatalf("%q is written %q", s, k)
		}
	})
}
