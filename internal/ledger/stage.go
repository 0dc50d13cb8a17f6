package ledger

import (
	"bytes"
	"cmp"
	"iter"
	"slices"

	"github.com/stele-ml/stele/statement"
)

// Placed is an artifact in a stage.
type Placed struct {
	Ref   statement.Ref
	Entry uint64 // the release that put it there
}

// StageChange is an artifact that joined a stage or left it.
type StageChange struct {
	Entry  uint64 // the release
	Ref    statement.Ref
	Action string // statement.ActionJoin, or ActionLeave; of what was replaced, too
}

// Stages goes through the stages that there ever was something in, in the order
// of their bytes. The last pair may be an error.
func (v *View) Stages() iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		if err := v.l.checkIndex(); err != nil {
			yield("", err)
			return
		}
		lower, upper := []byte{famPlace}, []byte{famPlace + 1}
		for {
			pairs, _, err := v.l.store.page(lower, upper, 1)
			if err != nil {
				yield("", err)
				return
			}
			if len(pairs) == 0 {
				return
			}
			stage, _, ok := bytes.Cut(pairs[0].Key[1:], []byte{sep})
			if !ok {
				yield("", damaged("the key %q", clip(pairs[0].Key)))
				return
			}
			prefix := stagePrefix(string(stage))
			switch begun, err := v.begun(prefix); {
			case err != nil:
				yield("", err)
				return
			case begun && !yield(string(stage), nil):
				return
			}
			lower = after(prefix)
		}
	}
}

// begun reports whether the view has a change of a stage.
func (v *View) begun(prefix []byte) (bool, error) {
	for _, err := range v.places(prefix, prefix) {
		return err == nil, err
	}
	return false, nil
}

// places goes through the changes under a prefix, by name and then by entry;
// stage is the prefix of their stage.
func (v *View) places(prefix, stage []byte) iter.Seq2[StageChange, error] {
	return func(yield func(StageChange, error) bool) {
		if err := v.l.checkIndex(); err != nil {
			yield(StageChange{}, err)
			return
		}
		err := v.l.store.scan(prefix, after(prefix), func(key, value []byte) bool {
			c, err := parsePlace(key, value, stage)
			if err == nil && c.Entry >= v.n {
				return true // the next name may have an earlier one
			}
			return yield(c, err) && err == nil
		})
		if err != nil {
			yield(StageChange{}, err)
		}
	}
}

// InStage returns what is in a stage, by name and then by the release that put
// it there. A release counts here whatever became of its signer's standing: it
// is what was put there.
func (v *View) InStage(stage string) ([]Placed, error) {
	defer v.expect(Lookup{Kind: LookupStage, Stage: stage})()
	prefix := stagePrefix(stage)
	var all, of []Placed // of: of one name
	name := ""
	for c, err := range v.places(prefix, prefix) {
		if err != nil {
			return nil, err
		}
		if c.Ref.Name != name {
			all, of, name = append(all, of...), nil, c.Ref.Name
		}
		of = placing(of, c)
	}
	return append(all, of...), nil
}

// placing is a stage after one more change.
func placing(in []Placed, c StageChange) []Placed {
	in = slices.DeleteFunc(in, func(p Placed) bool { return p.Ref == c.Ref })
	if c.Action == statement.ActionJoin {
		in = append(in, Placed{c.Ref, c.Entry})
	}
	return in
}

// StageHistory goes through the changes of a stage in order, of one name, or of
// all where name is empty. The last pair may be an error.
func (v *View) StageHistory(stage, name string) iter.Seq2[StageChange, error] {
	if name != "" {
		return v.places(placePrefix(stage, name), stagePrefix(stage))
	}
	return func(yield func(StageChange, error) bool) {
		var all []StageChange
		prefix := stagePrefix(stage)
		for c, err := range v.places(prefix, prefix) {
			if err != nil {
				yield(StageChange{}, err)
				return
			}
			all = append(all, c)
		}
		slices.SortStableFunc(all, func(a, b StageChange) int { return cmp.Compare(a.Entry, b.Entry) })
		for _, c := range all {
			if !yield(c, nil) {
				return
			}
		}
	}
}

// placed returns what of a name is in a stage.
func (v *View) placed(stage, name string) (in []Placed, err error) {
	for c, err := range v.StageHistory(stage, name) {
		if err != nil {
			return nil, err
		}
		in = placing(in, c)
	}
	return in, nil
}

// lastChange returns the last entry that changed a name in a stage.
func (v *View) lastChange(stage, name string) (index uint64, ok bool, err error) {
	prefix := placePrefix(stage, name)
	p, ok, err := v.l.store.last(prefix, u64after(prefix, v.n))
	if err != nil || !ok {
		return 0, false, err
	}
	c, err := parsePlace(p.Key, p.Value, stagePrefix(stage))
	return c.Entry, err == nil, err
}
