package lineage_test

import (
	"fmt"
	"log"

	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// made is a lineage in memory: artifacts, and what each was made of.
type made struct {
	artifacts map[string]*lineage.Artifact
	from      map[string][]statement.Ref
}

// Artifact implements lineage.Facts.
func (m made) Artifact(name, version string) (*lineage.Artifact, error) {
	if a, ok := m.artifacts[name+"@"+version]; ok {
		return a, nil
	}
	return nil, fmt.Errorf("%s@%s: %w", name, version, lineage.ErrNotFound)
}

// Origins implements lineage.Facts.
func (m made) Origins(a *lineage.Artifact) ([]lineage.Origin, error) {
	from := m.from[a.Ref.String()]
	if len(from) == 0 {
		return nil, nil
	}
	return []lineage.Origin{{Entry: a.Entry, Way: lineage.WayFrom, Of: a.Ref, Inputs: from, Counts: true}}, nil
}

// What was made of withdrawn contents is tainted.
func ExampleJudge() {
	good := statement.Standing{OK: true, State: statement.StateGood}
	data := &lineage.Artifact{
		Ref: statement.Ref{Name: "fraud/data", Version: "1", Fingerprint: contents("data")}, Entry: 1, Standing: good,
		Withdrawals: []lineage.Withdrawal{{Entry: 3, Target: statement.TargetContents, Effect: statement.EffectStop, Reason: "consent was taken back"}},
	}
	net := &lineage.Artifact{Ref: statement.Ref{Name: "fraud/net", Version: "1", Fingerprint: contents("net")}, Entry: 2, Standing: good}
	j, err := lineage.Judge(made{
		artifacts: map[string]*lineage.Artifact{"fraud/data@1": data, "fraud/net@1": net},
		from:      map[string][]statement.Ref{"fraud/net@1": {data.Ref}},
	}, net)
	if err != nil {
		log.Fatal(err)
	}
	worst := j.Taint.Worst()
	fmt.Printf("%s is %s, %s: %s, %d step away (%s)\n", net.Ref, j.Word(), j.Taint.Effect(), worst.At(), worst.Distance(), worst.Withdrawal.Reason)
	// Output: fraud/net@1 is tainted, stop: fraud/data@1, 1 step away (consent was taken back)
}
