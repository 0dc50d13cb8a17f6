package contract

import (
	"errors"

	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"

	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// What the ledger knows of artifacts and of what they were made of.

func ledgerArtifact(ev *evaluation, args []ref.Val) ref.Val {
	a, fail := ev.find(args[1])
	switch {
	case fail != nil:
		return fail
	case a == nil:
		return types.NewErr("%s is not on the ledger", args[1].Value())
	}
	return ev.have(a)
}

func ledgerHas(ev *evaluation, args []ref.Val) ref.Val {
	a, fail := ev.find(args[1])
	if fail != nil {
		return fail
	}
	return types.Bool(a != nil)
}

// find returns what name@version is bound to, or nil.
func (ev *evaluation) find(id ref.Val) (*lineage.Artifact, ref.Val) {
	ev.charge(priceLook)
	name, version, err := statement.ParseNameVersion(string(id.(types.String)))
	if err != nil {
		return nil, types.NewErr("want an artifact's name and version, as in example@1")
	}
	a, err := ev.record.Artifact(name, version)
	switch {
	case errors.Is(err, lineage.ErrNotFound):
		return nil, nil
	case err != nil:
		return nil, ev.unread(err)
	}
	return a, nil
}

// look looks up an artifact that an entry names.
func (ev *evaluation) look(r statement.Ref) (*lineage.Artifact, ref.Val) {
	ev.charge(priceLook)
	a, err := ev.record.Artifact(r.Name, r.Version)
	switch {
	case errors.Is(err, lineage.ErrNotFound), err == nil && a.Ref != r:
		return nil, types.NewErr("%s is not on the ledger", r)
	case err != nil:
		return nil, ev.unread(err)
	}
	return a, nil
}

func ledgerStamps(ev *evaluation, _ *object, a *lineage.Artifact, _ []ref.Val) ref.Val {
	list, fail := ev.bindings(a)
	if fail != nil {
		return fail
	}
	vals := make([]ref.Val, len(list))
	for i, b := range list {
		vals[i] = ev.have(b)
	}
	return values(vals)
}

// bindings returns all names of an artifact's bytes.
func (ev *evaluation) bindings(a *lineage.Artifact) ([]*lineage.Artifact, ref.Val) {
	list, err := ev.record.Bindings(a.Ref.Fingerprint)
	if err != nil {
		return nil, ev.unread(err)
	}
	ev.charge(priceLook * uint64(1+len(list)))
	return list, limited("stamps of these bytes", len(list))
}

// origins returns those of an artifact that count.
func (ev *evaluation) origins(a *lineage.Artifact) ([]lineage.Origin, ref.Val) {
	all, err := ev.record.Origins(a)
	if err != nil {
		return nil, ev.unread(err)
	}
	ev.charge(priceLook * uint64(1+len(all)))
	if fail := limited("origins of one artifact", len(all)); fail != nil {
		return nil, fail
	}
	var list []lineage.Origin
	for _, o := range all {
		if o.Counts {
			list = append(list, o)
		}
	}
	return list, nil
}

func ledgerInputs(ev *evaluation, _ *object, a *lineage.Artifact, _ []ref.Val) ref.Val {
	origins, fail := ev.origins(a)
	if fail != nil {
		return fail
	}
	var refs []statement.Ref
	seen := make(map[statement.Ref]bool)
	for _, o := range origins {
		for _, r := range o.Inputs {
			if !seen[r] {
				seen[r] = true
				refs = append(refs, r)
			}
		}
	}
	if fail := limited("inputs of one artifact", len(refs)); fail != nil {
		return fail
	}
	return ev.artifacts(refs)
}

// walk returns everything that an artifact was made of.
func (ev *evaluation) walk(a *lineage.Artifact) (*walk, ref.Val) {
	w, err := ev.record.Walk(a, ev.afford)
	if err != nil {
		return nil, ev.unread(err)
	}
	ev.charge(w.price)
	return w, nil
}

func ledgerAncestors(ev *evaluation, _ *object, a *lineage.Artifact, _ []ref.Val) ref.Val {
	w, fail := ev.walk(a)
	if fail != nil {
		return fail
	}
	above := w.graph.Nodes[1:]
	if w.graph.Cut || len(above) > MaxAncestors {
		return types.NewErr("%s was made of more than %d artifacts, and a rule looks at no more", a.Ref, MaxAncestors)
	}
	ev.charge(w.judging)
	list := make([]ref.Val, len(above))
	for i, n := range above {
		list[i] = &object{artifactClass, ev, &artifact{ref: n.Ref, read: n.Artifact, walk: w, node: n}}
	}
	return values(list)
}

// ledgerMembers returns what a collection is made of, and what those are of that
// are collections: the nearest first, each once.
func ledgerMembers(ev *evaluation, _ *object, a *lineage.Artifact, _ []ref.Val) ref.Val {
	var refs []statement.Ref
	seen := make(map[statement.Ref]bool)
	for looked := 0; ; looked++ {
		ev.charge(priceItem * uint64(1+len(a.Stamp.Members)))
		for _, m := range a.Stamp.Members {
			if !seen[m.Ref] {
				seen[m.Ref] = true
				refs = append(refs, m.Ref)
			}
		}
		if fail := limited("members of that collection", len(refs)); fail != nil {
			return fail
		}
		if looked == len(refs) {
			return ev.artifacts(refs)
		}
		var fail ref.Val
		if a, fail = ev.look(refs[looked]); fail != nil {
			return fail
		}
	}
}

// standing returns the word on an artifact.
func (ev *evaluation) standing(o *object) ref.Val {
	if o.in == nil {
		return types.NewErr("there is no artifact to ask about")
	}
	x := o.in.(*artifact)
	w := x.walk
	if w == nil {
		a, fail := o.load()
		if fail != nil {
			return fail
		}
		if w, fail = ev.walk(a); fail != nil {
			return fail
		}
		ev.charge(w.judging)
	}
	return text(w.judged(x.ref).Word())
}

// known reports whether anything that counts says what an artifact was made of.
func (ev *evaluation) known(o *object) ref.Val {
	if o.in == nil {
		return types.NewErr("there is no artifact to ask about")
	}
	if n := o.in.(*artifact).node; n != nil {
		return types.Bool(n.Known())
	}
	a, fail := o.load()
	if fail != nil {
		return fail
	}
	origins, fail := ev.origins(a)
	if fail != nil {
		return fail
	}
	return types.Bool(lineage.Known(origins))
}

func ledgerRuns(ev *evaluation, _ *object, a *lineage.Artifact, _ []ref.Val) ref.Val {
	origins, fail := ev.origins(a)
	if fail != nil {
		return fail
	}
	var list []*run
	for _, o := range origins {
		if o.Way == lineage.WayRun {
			list = append(list, &run{Run: o.Run, id: o.RunID.String(), handle: o.Handle, entry: o.Entry, time: o.Time})
		}
	}
	return objects(ev, runClass, list)
}

// authors adds those who stamped an artifact's bytes, up to and with itself, and
// who signed its origins that count: whoever may judge it less freely than
// others. What became of their keys since does not matter.
func (ev *evaluation) authors(list *[]string, seen map[string]bool, a *lineage.Artifact, origins []lineage.Origin) ref.Val {
	bindings, fail := ev.bindings(a)
	if fail != nil {
		return fail
	}
	add := func(handle string) {
		if !seen[handle] {
			seen[handle] = true
			*list = append(*list, handle)
		}
	}
	for _, b := range bindings {
		if b.Entry > a.Entry {
			continue
		}
		if ev.record.ours(b) && !ev.in.Signer.Known {
			return unknown
		}
		add(b.Handle)
	}
	for _, o := range origins {
		if !o.Counts {
			continue
		}
		if o.Entry == ev.in.Entry && !ev.in.Signer.Known {
			return unknown
		}
		add(o.Handle)
	}
	return nil
}

// ledgerAuthors returns the authors of an artifact and, of a collection, those of
// its members, however deep: whoever wraps somebody's work does not make it theirs.
func ledgerAuthors(ev *evaluation, _ *object, a *lineage.Artifact, _ []ref.Val) ref.Val {
	var list []string
	people := make(map[string]bool)
	parts := []statement.Ref{a.Ref}
	seen := map[statement.Ref]bool{a.Ref: true}
	for i := 0; i < len(parts); i++ {
		if i > 0 {
			var fail ref.Val
			if a, fail = ev.look(parts[i]); fail != nil {
				return fail
			}
		}
		origins, fail := ev.origins(a)
		if fail != nil {
			return fail
		}
		if fail := ev.authors(&list, people, a, origins); fail != nil {
			return fail
		}
		for _, o := range origins {
			if o.Way != lineage.WayCollection {
				continue
			}
			for _, m := range o.Inputs {
				if !seen[m] {
					seen[m] = true
					parts = append(parts, m)
				}
			}
		}
		if fail := limited("members of that collection", len(parts)-1); fail != nil {
			return fail
		}
	}
	return texts(list)
}

func ledgerAllAuthors(ev *evaluation, _ *object, a *lineage.Artifact, _ []ref.Val) ref.Val {
	w, fail := ev.walk(a)
	if fail != nil {
		return fail
	}
	if w.graph.Cut || len(w.graph.Nodes) > MaxAncestors+1 {
		return types.NewErr("%s was made of more than %d artifacts, and a rule looks at no more", a.Ref, MaxAncestors)
	}
	var list []string
	seen := make(map[string]bool)
	for _, n := range w.graph.Nodes {
		if fail := ev.authors(&list, seen, n.Artifact, n.Origins); fail != nil {
			return fail
		}
	}
	return texts(list)
}
