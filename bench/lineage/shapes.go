package main

import (
	"fmt"

	"github.com/stele-ml/stele/statement"
)

var allShapes = []string{"chain", "wide", "collections", "diamond"}

// A lineage is one that is measured.
type lineage struct {
	shape string
	nodes int           // artifacts, the model included
	root  statement.Ref // the model
	raw   statement.Ref // what is farthest away, and withdrawn
}

// artifact is one that was put on the ledger, with its size as a collection
// counts it.
type artifact struct {
	ref          statement.Ref
	files, bytes uint64
}

// raw stamps data.
func (f *filler) raw(name, version string) artifact {
	ref := f.maker.Ref(name, version, name+"@"+version)
	f.put(f.maker.Stamp(f.ada, ref))
	return artifact{ref, 1, 7}
}

// made records a run.
func (f *filler) made(name, version, kind string, inputs ...artifact) artifact {
	out := f.maker.Made(name, version, name+"@"+version)
	out.Stamp.Kind = kind
	refs := make([]statement.Ref, len(inputs))
	for i, in := range inputs {
		refs[i] = in.ref
	}
	code := &statement.Code{Remote: "https://git.example/team/train", Commit: fmt.Sprintf("%040x", f.entries)}
	f.put(f.maker.Run(f.ada, refs, []statement.Output{out}, func(r *statement.Run) { r.Code = code }))
	return artifact{out.Ref, 1, 7}
}

// collected stamps a collection.
func (f *filler) collected(name, version string, members []artifact) (artifact, error) {
	list := make([]statement.CollectionMember, len(members))
	for i, m := range members {
		list[i] = statement.CollectionMember{Prefix: fmt.Sprintf("part-%03d", i), Ref: m.ref, Files: m.files, Bytes: m.bytes}
	}
	fp, files, bytes, err := statement.Collection(f.maker.Hash, list)
	if err != nil {
		return artifact{}, err
	}
	f.put(f.maker.Collect(f.ada, name, version, list))
	return artifact{statement.Ref{Name: name, Version: version, Fingerprint: fp}, files, bytes}, nil
}

// lineage puts one of those that are measured on the ledger.
func (f *filler) lineage(shape string, n int) (lineage, error) {
	name := fmt.Sprintf("bench/%s-%d", shape, n)
	out := lineage{shape: shape, nodes: n}
	var root artifact
	var err error
	switch shape {
	case "chain":
		root = f.raw(name, "0")
		out.raw = root.ref
		for i := 1; i < n; i++ {
			root = f.made(name, fmt.Sprint(i), statement.ArtifactModel, root)
		}
	case "wide":
		root, out.raw = f.wide(name, n)
	case "collections":
		root, out.raw, err = f.collections(name, n)
	case "diamond":
		root, out.raw = f.diamond(name, n)
	}
	out.root = root.ref
	return out, err
}

// wide is runs of 99 inputs, and one of their outputs.
func (f *filler) wide(name string, n int) (root artifact, raw statement.Ref) {
	const most = statement.MaxReferences - 1
	var outputs, inputs []artifact
	flush := func() {
		if len(inputs) > 0 {
			outputs = append(outputs, f.made(name+"/part", fmt.Sprint(len(outputs)), statement.ArtifactDataset, inputs...))
			inputs = nil
		}
	}
	for made := 1; made < n; made++ { // the root is one of n
		if len(inputs) == most {
			flush()
			made++
		}
		inputs = append(inputs, f.raw(name+"/raw", fmt.Sprint(made)))
		raw = inputs[len(inputs)-1].ref
	}
	if len(outputs) > 0 {
		flush()
		inputs = outputs
	}
	return f.made(name, "model", statement.ArtifactModel, inputs...), raw
}

// collections is a model of a collection of ten collections of ten …
func (f *filler) collections(name string, n int) (root artifact, raw statement.Ref, err error) {
	level, i := []artifact{}, 0
	// A tree of c collections with ten members each has 9c+1 members that are
	// none.
	for range max(n-1-(n-2)/10, 1) {
		level = append(level, f.raw(name+"/raw", fmt.Sprint(i)))
		i++
	}
	raw = level[0].ref
	for len(level) > 1 {
		var next []artifact
		for at := 0; at < len(level); at += 10 {
			part := level[at:min(at+10, len(level))]
			if len(part) == 1 {
				next = append(next, part[0])
				continue
			}
			c, err := f.collected(name+"/set", fmt.Sprint(i), part)
			if err != nil {
				return root, raw, err
			}
			next = append(next, c)
			i++
		}
		level = next
	}
	return f.made(name, "model", statement.ArtifactModel, level[0]), raw, nil
}

// diamond is layers of ten, or of three where there are few, each made of the
// whole layer before.
func (f *filler) diamond(name string, n int) (root artifact, raw statement.Ref) {
	width := 10
	if n < 100 {
		width = 3
	}
	var layer []artifact
	for i := range width {
		layer = append(layer, f.raw(name+"/raw", fmt.Sprint(i)))
	}
	raw = layer[0].ref
	for made := width; made+width < n; made += width {
		var next []artifact
		for i := range width {
			next = append(next, f.made(name+"/layer", fmt.Sprint(made+i), statement.ArtifactDataset, layer...))
		}
		layer = next
	}
	return f.made(name, "model", statement.ArtifactModel, layer...), raw
}
