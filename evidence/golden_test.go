package evidence

import (
	"bytes"
	"flag"
	"os"
	"testing"
)

var update = flag.Bool("update", false, "write the stored evidence anew; its format is for ever")

// Evidence that was written once verifies for ever, and is written the same.
func TestStoredEvidence(t *testing.T) {
	l, f, p, d := sample(t)
	stored(t, "testdata/sample", f, p, options(l, d))
}

func TestStoredLineage(t *testing.T) {
	l, f := sampleLineage(t)
	v := stored(t, "testdata/lineage", f, l.policy(), Options{})
	for _, name := range []string{CheckLineage, CheckNotTainted, CheckPathPresent, CheckPathAbsent, CheckAbsentFromAll, CheckRange} {
		if v.Result(name) != Passed {
			t.Errorf("%s: %s", name, v.Result(name))
		}
	}
}

// stored checks that evidence verifies under a policy as they are stored, and
// is written as it is stored.
func stored(t *testing.T, name string, f *File, p *Policy, opts Options) *Verdict {
	t.Helper()
	file, policy := name+".evidence.json", name+".policy"
	now := must(f.Marshal())
	if *update {
		if err := os.WriteFile(file, now, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(policy, []byte(p.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stored, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(policy)
	if err != nil {
		t.Fatal(err)
	}
	trust, err := ParsePolicy(text)
	if err != nil {
		t.Fatal(err)
	}
	v := VerifyBytes(stored, trust, opts)
	want(t, v, Verified)
	if !bytes.Equal(stored, now) {
		t.Fatal("the same evidence is written differently than before")
	}
	return v
}
