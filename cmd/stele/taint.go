package main

import (
	"fmt"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/lineage"
)

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

// stepsJSON is a path in --json.
func stepsJSON(path []lineage.Step) []jsonv1.TaintStep {
	var list []jsonv1.TaintStep
	for _, s := range path {
		step := jsonv1.TaintStep{Name: s.Ref.Name, Version: s.Ref.Version, Way: s.Way}
		if s.Way != "" {
			step.Entry = &s.Entry
		}
		list = append(list, step)
	}
	return list
}
