package trace

import (
	"fmt"
	"maps"
	"slices"

	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/internal/account"
	"github.com/stele-ml/stele/lineage"
)

// Entries are the entries that a trace tells of, for [account.Book.Prove].
func Entries(t *jsonv1.Trace) map[uint64]bool {
	set := map[uint64]bool{}
	if t.Entry != nil {
		set[*t.Entry] = true
	}
	for _, n := range t.Nodes {
		set[n.Entry] = true
		for _, w := range n.Withdrawn {
			set[w.Entry] = true
		}
		along := func(path []jsonv1.TaintStep) {
			for _, s := range path {
				if s.Entry != nil {
					set[*s.Entry] = true
				}
			}
		}
		if n.Taint != nil {
			for _, c := range n.Taint.Causes {
				set[c.Entry] = true
				along(c.Path)
			}
		}
		if n.Fallen != nil {
			for _, c := range n.Fallen.Causes {
				set[c.Entry] = true
				along(c.Path)
			}
		}
		for _, s := range n.Stages {
			set[s.Entry] = true
		}
		for _, e := range n.Evaluations {
			set[e.Entry] = true
		}
	}
	for _, e := range t.Edges {
		set[e.Entry] = true
	}
	for _, r := range t.Runs {
		set[r.Entry] = true
	}
	return set
}

// Since adds to a trace of the past what became of its roots, as is known now.
func Since(now *account.Book, t *jsonv1.Trace) error {
	facts, err := now.Lineage()
	if err != nil {
		return err
	}
	for i := range t.Nodes {
		then := &t.Nodes[i]
		if !slices.Contains(t.Roots, then.ID) {
			continue
		}
		a, err := facts.Artifact(then.Name, then.Version)
		if err != nil {
			return err
		}
		j, err := lineage.Judge(facts, a)
		if err != nil {
			return err
		}
		for _, what := range Changed(then, j) {
			t.Since = append(t.Since, jsonv1.TraceSince{ID: then.ID, What: what})
		}
	}
	return nil
}

// Changed tells what is known of an artifact now, and was not then, or no longer
// holds. Of then only what fell, what is withdrawn and the taint are looked at.
func Changed(then *jsonv1.TraceNode, now *lineage.Judgement) (list []string) {
	fell := map[uint64]bool{}
	if then.Fallen != nil {
		for _, c := range then.Fallen.Causes {
			fell[c.Entry] = true
		}
	}
	if now := account.FallenBrief(now); now != nil {
		for _, c := range now.Causes {
			if !fell[c.Entry] {
				list = append(list, fallenText(c))
			}
		}
	} else if then.Fallen != nil {
		list = append(list, "trusted again")
	}
	was := map[uint64]bool{}
	for _, w := range then.Withdrawn {
		was[w.Entry] = true
	}
	for _, w := range account.WithdrawalsJSON(now) {
		if !was[w.Entry] {
			list = append(list, withdrawalText(w))
		}
		delete(was, w.Entry)
	}
	for _, entry := range slices.Sorted(maps.Keys(was)) {
		list = append(list, fmt.Sprintf("the withdrawal in entry %d was ended, or its signer lost standing", entry))
	}
	tainted := map[uint64]bool{}
	if then.Taint != nil {
		for _, c := range then.Taint.Causes {
			tainted[c.Entry] = true
		}
	}
	switch {
	case now.Taint == nil && then.Taint != nil:
		list = append(list, "no longer tainted")
	case now.Taint != nil:
		for _, c := range account.TaintBrief(now.Taint).Causes {
			if !tainted[c.Entry] {
				list = append(list, "tainted by "+causeText(c))
			}
		}
	}
	return list
}
