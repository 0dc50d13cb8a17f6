package main

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// maxProven is how many artifacts of a lineage go into evidence, which must fit
// into a file; maxBeside how many entries about the artifact itself do, the
// last ones.
const (
	maxProven = 10_000
	maxBeside = 1_000
)

// proven is what evidence of an artifact is made of, beside its own entry.
type proven struct {
	root    *lineage.Artifact
	graph   *lineage.Graph // all of it
	entries []uint64       // that bind what is in the graph, and say what it was made of
}

// ofFiles counts the artifacts in it that are no collections.
func (p *proven) ofFiles() int {
	n := 0
	for _, node := range p.graph.Nodes {
		if len(node.Stamp.Members) == 0 {
			n++
		}
	}
	return n
}

// lineageOf walks what a binding was made of, or takes the artifact alone. A
// lineage past maxProven is nil: evidence of the artifact alone can be made.
func (r *reading) lineageOf(b ledger.Binding, alone bool) (*proven, error) {
	facts, err := r.Lineage()
	if err != nil {
		return nil, err
	}
	root, err := facts.Artifact(b.Name, b.Version)
	if err != nil {
		return nil, err
	}
	p := &proven{root: root}
	if alone {
		p.graph, err = lineage.Up(facts, root, 1)
		return p, err
	}
	if p.graph, err = lineage.Up(facts, root, maxProven); err != nil || p.graph.Cut {
		return nil, err
	}
	for _, n := range p.graph.Nodes {
		p.entries = append(p.entries, n.Entry)
		for _, o := range n.Origins {
			if !o.Counts {
				continue
			}
			of, err := facts.Artifact(o.Of.Name, o.Of.Version)
			if err != nil {
				return nil, err
			}
			p.entries = append(p.entries, o.Entry, of.Entry)
		}
	}
	slices.Sort(p.entries)
	p.entries = slices.Compact(p.entries)
	return p, nil
}

// lineageClaim is the claim that evidence of a binding makes with its lineage,
// and the entries that this takes. Of a lineage past maxProven artifacts it is
// the claim about the artifact alone; large is then what this ledger says of it.
func (r *reading) lineageClaim(b ledger.Binding) (claim evidence.Claim, further []uint64, large *lineage.Judgement, err error) {
	claim = evidence.Claim{Entry: b.Entry, Name: b.Name, Version: b.Version, Fingerprint: b.Fingerprint}
	p, err := r.lineageOf(b, false)
	switch {
	case err != nil:
		return claim, nil, nil, err
	case p == nil:
		large, err = r.Judgement(b.Ref())
		return claim, nil, large, err
	}
	claim.Lineage = true
	return claim, p.entries, nil, nil
}

// withLarge adds to a verdict what the ledger says of a lineage that is too large
// for evidence; nil: it is not.
func withLarge(v *evidence.Verdict, j *lineage.Judgement) {
	if j == nil {
		return
	}
	check := evidence.Check{Name: evidence.CheckLineage,
		Detail: fmt.Sprintf("more than %s artifacts, too many for evidence: looked through here, and nothing is known against them", terminal.Count(maxProven))}
	if word := j.Word(); word != lineage.Good {
		check.OK, check.Detail = evidence.Failed, account.WrongText(j)
		if o := evidence.Outcome(word); worse(o, v.Verdict) {
			v.Verdict = o
		}
	}
	for i := range v.Checks {
		if v.Checks[i].Name == check.Name {
			v.Checks[i] = check
		}
	}
}

// beside lists what else is recorded about an artifact: how it was evaluated,
// approved and released, what was imported, which runs claim to have made it.
// What a signer without standing said counts for nothing, and would spoil the
// evidence: it is left out, and told.
func (r *reading) beside(ref statement.Ref) (entries []uint64, left []jsonv1.LeftOut, err error) {
	kinds := []statement.Kind{statement.KindEvaluation, statement.KindApproval, statement.KindRelease, statement.KindImport, statement.KindRun}
	for _, kind := range kinds {
		for index, err := range r.About(ref.Fingerprint, kind) {
			if err != nil {
				return nil, nil, err
			}
			entries = append(entries, index)
		}
	}
	slices.Sort(entries)
	entries = slices.Compact(entries)
	kept := entries[:0]
	for _, index := range entries {
		e, st, err := r.Statement(index)
		if err != nil {
			return nil, nil, err
		}
		if !isAbout(st, ref) {
			continue
		}
		if s := r.Standing(e); !s.OK {
			left = append(left, jsonv1.LeftOut{Entry: index, Kind: string(st.Kind), Why: s.Detail})
			continue
		}
		kept = append(kept, index)
	}
	if n := len(kept) - maxBeside; n > 0 {
		for _, index := range kept[:n] {
			left = append(left, jsonv1.LeftOut{Entry: index, Why: "there are " + terminal.Count(maxBeside) + " later ones"})
		}
		kept = kept[n:]
	}
	slices.SortFunc(left, func(a, b jsonv1.LeftOut) int { return cmp.Compare(a.Entry, b.Entry) })
	return kept, left, nil
}

// isAbout reports whether a statement names an artifact as what it is about, by
// name and version and not by its bytes alone.
func isAbout(st *statement.Statement, ref statement.Ref) bool {
	switch {
	case st.Run != nil:
		return slices.ContainsFunc(st.Run.Outputs, func(o statement.Output) bool { return o.Ref == ref })
	case st.Release != nil && slices.Contains(st.Release.Replaces, ref):
		return true
	}
	about, err := st.Ref()
	return err == nil && about == ref
}
