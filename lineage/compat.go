package lineage

// For callers that go over to judgements one by one.

func TaintOf(f Facts, a *Artifact) (*Taint, error) {
	j, err := Judge(f, a)
	if err != nil {
		return nil, err
	}
	return j.Taint, nil
}

func TaintAll(f Facts, list []*Artifact) (map[string]*Taint, error) {
	all, err := JudgeAll(f, list)
	taints := map[string]*Taint{}
	for id, j := range all {
		if j.Taint != nil {
			taints[id] = j.Taint
		}
	}
	return taints, err
}

func (g *Graph) Taints() map[string]*Taint {
	taints := map[string]*Taint{}
	for id, j := range g.Judgements() {
		if j.Taint != nil {
			taints[id] = j.Taint
		}
	}
	return taints
}
