package main

import (
	"fmt"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// artifactOf is an artifact with what is known of it.
func (r *reading) artifactOf(ref statement.Ref) (*ledger.Lineage, *lineage.Artifact, error) {
	made, err := r.lineage()
	if err != nil {
		return nil, nil, err
	}
	of, err := made.Artifact(ref.Name, ref.Version)
	return made, of, err
}

// taintOf returns the taint of an artifact, nil where it has none that is known.
func (r *reading) taintOf(ref statement.Ref) (*lineage.Taint, error) {
	made, of, err := r.artifactOf(ref)
	if err != nil {
		return nil, err
	}
	return lineage.TaintOf(made, of)
}

// tainted is what withdrawals reach, by name@version. It is found from the
// withdrawn contents downwards: they are few, and artifacts are many.
type tainted struct {
	refs map[string]bool
	cut  bool // there is more than was walked: what is not among refs is asked on its own
}

// allTainted finds everything on the ledger that is tainted.
func (r *reading) allTainted() (*tainted, error) {
	all := &tainted{refs: map[string]bool{}}
	made, err := r.lineage()
	if err != nil {
		return nil, err
	}
	for _, w := range r.control.AllWithdrawals() {
		if !w.Stands() || w.Target != statement.TargetContents {
			continue
		}
		roots, err := made.Bindings(w.Ref.Fingerprint)
		if err != nil {
			return nil, err
		}
		graph, err := lineage.DownFrom(made, roots, 0)
		if err != nil {
			return nil, err
		}
		all.cut = all.cut || graph.Cut
		for _, n := range graph.Nodes {
			if n.Depth > 0 {
				all.refs[n.Ref.String()] = true
			}
		}
	}
	return all, nil
}

// has reports whether an artifact is tainted.
func (t *tainted) has(r *reading, ref statement.Ref) (bool, error) {
	if t.refs[ref.String()] || !t.cut {
		return t.refs[ref.String()], nil
	}
	found, err := r.taintOf(ref)
	return found != nil, err
}

// taintLines say why an artifact is tainted, and how: each cause in a line, its
// path in the next.
func taintLines(t *jsonv1.Taint) []string {
	var lines []string
	for _, c := range t.Causes {
		lines = append(lines, causeText(c), pathText(c.Path, false))
	}
	if t.More > 0 {
		lines = append(lines, fmt.Sprintf("and %d more withdrawals reach it", t.More))
	}
	return lines
}
