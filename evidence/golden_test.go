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
	const file, policy = "testdata/sample.evidence.json", "testdata/sample.policy"
	l, f, p, d := sample(t)
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
	want(t, VerifyBytes(stored, trust, options(l, d)), Verified)
	if !bytes.Equal(stored, now) {
		t.Fatal("the same evidence is written differently than before")
	}
}
