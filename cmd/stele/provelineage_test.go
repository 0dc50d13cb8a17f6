package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// chain is a ledger on which each artifact was made of the next.
type chain struct {
	long              int
	withdrawn, fallen int // of these; 0: of none
}

func (c *chain) at(i int) *lineage.Artifact {
	ref := statement.Ref{Name: "c", Version: fmt.Sprint(i), Fingerprint: fingerprint.Fingerprint{Algorithm: fingerprint.SHA256}}
	copy(ref.Fingerprint.Sum[:], ref.Version)
	a := &lineage.Artifact{Ref: ref, Entry: uint64(c.long - i), Stamp: &statement.Stamp{}, Standing: statement.Standing{OK: i == 0 || i != c.fallen, State: "compromised", Detail: "it is known to a thief"}}
	if i > 0 && i == c.withdrawn {
		a.Withdrawals = []lineage.Withdrawal{{Entry: 7, Ref: ref, Target: statement.TargetContents, Effect: statement.EffectStop, Reason: "consent was revoked", Handle: "ada"}}
	}
	return a
}

func (c *chain) Artifact(_, version string) (*lineage.Artifact, error) {
	var i int
	fmt.Sscan(version, &i)
	return c.at(i), nil
}

func (c *chain) Origins(a *lineage.Artifact) ([]lineage.Origin, error) {
	var i int
	fmt.Sscan(a.Ref.Version, &i)
	if i == c.long {
		return nil, nil
	}
	return []lineage.Origin{{Entry: a.Entry, Way: lineage.WayFrom, Of: a.Ref, Counts: true, Inputs: []statement.Ref{c.at(i + 1).Ref}}}, nil
}

// A lineage too large for evidence is looked through on the ledger, and what is
// found there is the verdict.
func TestLargeLineage(t *testing.T) {
	for _, c := range []struct {
		chain   chain
		verdict evidence.Outcome
		ok      evidence.Result
		detail  string
	}{
		{chain{long: maxProven}, evidence.Verified, evidence.NotMade, "more than 10,000 artifacts, too many for evidence: looked through here, and nothing is known against them"},
		{chain{long: maxProven, withdrawn: maxProven}, evidence.Tainted, evidence.Failed, "consent was revoked"},
		{chain{long: maxProven, fallen: maxProven}, evidence.Untrusted, evidence.Failed, "it is known to a thief"},
		{chain{long: lineage.MaxWalk}, evidence.Unknown, evidence.Failed, "than the 50,000 artifacts that are looked through"},
	} {
		j, err := lineage.Judge(&c.chain, c.chain.at(0))
		if err != nil {
			t.Fatal(err)
		}
		v := &evidence.Verdict{Verdict: evidence.Verified, Checks: []evidence.Check{{Name: evidence.CheckLineage, Detail: "x"}}}
		withLarge(v, j)
		if v.Verdict != c.verdict || v.Checks[0].OK != c.ok || !strings.Contains(v.Checks[0].Detail, c.detail) {
			t.Errorf("%+v: %s %+v", c.chain, v.Verdict, v.Checks)
		}
		// What is worse already stays so.
		v.Verdict = evidence.Tampered
		withLarge(v, j)
		if v.Verdict != evidence.Tampered {
			t.Errorf("%+v: %s", c.chain, v.Verdict)
		}
	}
}
