package ledger

import (
	"errors"
	"slices"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// LookupKind names a lookup.
type LookupKind string

// The lookups. A member of Lookup that is not named here is not looked at.
const (
	// LookupOpen: what Over reads, but for the first Entry control entries.
	LookupOpen LookupKind = "open"
	// LookupUp: all that Name@Version was made of, and what is said of each.
	LookupUp LookupKind = "up"
	// LookupDown: all that was made of Name@Version, and what is said of each.
	LookupDown LookupKind = "down"
	// LookupNames: the versions of the names from Name on, by their bytes.
	LookupNames LookupKind = "names"
	// LookupStage: what is, and was, in Stage, and what is said of each.
	LookupStage LookupKind = "stage"
	// LookupTry: what [View.Try] reads for Statement, Key and Time.
	LookupTry LookupKind = "try"
	// LookupPast: the entries of Kinds from Entry on, with all that each is about.
	LookupPast LookupKind = "past"
)

// Lookup is something that is about to be looked up. It is a guess at what will be
// read, and changes no answer.
type Lookup struct {
	Kind          LookupKind
	Name, Version string
	Stage         string
	Entry         uint64
	Kinds         []statement.Kind
	Statement     []byte          // a payload
	Key           statement.KeyID // whose signature it would have; zero: it is not known
	Time          int64           // Unix ms
}

// Expecter is a Reader that wants to know what a View is about to look up, so that
// it can read all of it at once. Lookups may be within one another: done ends one.
type Expecter interface {
	Expect(Lookup) (done func())
}

// expect tells the view's Reader what is about to be looked up.
func (v *View) expect(l Lookup) (done func()) {
	if x, ok := v.l.store.Reader.(Expecter); ok {
		return x.Expect(l)
	}
	return nothing
}

func nothing() {}

// expects reports whether anybody wants to know.
func (v *View) expects() bool {
	_, ok := v.l.store.Reader.(Expecter)
	return ok
}

// over returns the view as another Reader reads it, but for the tree.
func (v *View) over(r Reader) (*View, error) {
	s := v.s
	if v.n != s.tree.size {
		control, err := v.Control()
		if err != nil {
			return nil, err
		}
		s = &state{time: v.Time(), tree: tree{size: v.n}, id: s.id, origin: s.origin, control: control, enacted: v.l.enact(control, s.enacted), genesis: s.genesis}
	}
	l := &Ledger{indexed: v.l.indexed, unusable: ErrReadOnly, laws: v.l.laws, keys: v.l.keys, store: reads{r}}
	l.source = l.store
	l.state.Store(s)
	return &View{l: l, s: s, n: v.n}, nil
}

// touch makes the reads of a lookup, as far as there is room for them. What it
// names and the ledger does not have, or does not let in, is no error: whoever
// looks it up finds out himself.
func (v *View) touch(rec *recorder, l Lookup) error {
	x, err := v.over(rec)
	if err == nil {
		err = x.lookUp(l)
	}
	var refusal *Refusal
	switch {
	case errors.Is(err, errEnough), errors.Is(err, ErrNotFound), errors.Is(err, lineage.ErrNotFound),
		errors.Is(err, ErrRules), errors.Is(err, statement.ErrFormat), errors.As(err, &refusal):
		return nil
	}
	return err
}

func (v *View) lookUp(l Lookup) error {
	switch l.Kind {
	case LookupOpen:
		return v.lookUpOpen(l.Entry)
	case LookupUp, LookupDown:
		x, err := v.Lineage()
		if err != nil {
			return err
		}
		return x.lookUp(l)
	case LookupNames:
		_, _, err := v.l.store.page(append([]byte{famVersion}, l.Name...), []byte{famVersion + 1}, lastPage)
		return err
	case LookupStage:
		return v.lookUpStage(l.Stage)
	case LookupTry:
		return v.lookUpTry(l)
	case LookupPast:
		return v.lookUpPast(l)
	}
	return nil
}

// lookUpOpen reads what Over does, but for the first control entries.
func (v *View) lookUpOpen(known uint64) error {
	if v.n == 0 {
		return nil
	}
	for level := range tileLevels {
		if partial(v.n, level) == 0 {
			continue
		}
		if _, _, err := v.l.store.get(tileKey(level, tileNumber(v.n, level))); err != nil {
			return err
		}
	}
	if _, err := v.Leaf(v.n - 1); err != nil {
		return err
	}
	from := []byte{famControl}
	if known > 0 {
		from = controlKey(known)
	}
	return v.l.store.scan(from, []byte{famControl + 1}, func([]byte, []byte) bool { return true })
}

// lookUp walks a lineage, and then reads what is said of each artifact in it.
func (x *Lineage) lookUp(l Lookup) error {
	root, err := x.Artifact(l.Name, l.Version)
	if err != nil {
		return err
	}
	if err := x.v.lookUpAbout(root.Ref); err != nil {
		return err
	}
	var g *lineage.Graph
	if l.Kind == LookupUp {
		g, err = lineage.Up(x, root, 0)
	} else {
		g, err = lineage.Down(x, root, 0)
	}
	if err != nil {
		return err
	}
	for _, n := range g.Nodes {
		if err := x.v.lookUpAbout(n.Ref); err != nil {
			return err
		}
	}
	return nil
}

// lookUpAbout reads all that is said of contents, but what was made of them.
func (v *View) lookUpAbout(ref statement.Ref) error {
	on := onPrefix(ref.Fingerprint, statement.KindGenesis)
	for _, prefix := range [][]byte{on[:len(on)-1], fingerprintPrefix(ref.Fingerprint)} {
		if _, _, err := v.l.store.page(prefix, after(prefix), lastPage); err != nil {
			return err
		}
	}
	for _, err := range v.Audits(ref) {
		if err != nil {
			return err
		}
	}
	return nil
}

// lookUpStage reads the changes of a stage, and the lineages of what was in it.
func (v *View) lookUpStage(stage string) error {
	prefix := stagePrefix(stage)
	if _, _, err := v.l.store.page(prefix, after(prefix), lastPage); err != nil {
		return err
	}
	placed, err := v.InStage(stage)
	if err != nil {
		return err
	}
	x, err := v.Lineage()
	if err != nil {
		return err
	}
	for _, p := range placed {
		if err := x.lookUp(Lookup{Kind: LookupUp, Name: p.Ref.Name, Version: p.Ref.Version}); err != nil {
			return err
		}
	}
	return nil
}

// lookUpTry makes the trial of a statement.
func (v *View) lookUpTry(l Lookup) error {
	st, err := statement.Parse(l.Statement)
	if err != nil {
		return err
	}
	if err := v.lookUpStatement(st); err != nil {
		return err
	}
	_, err = v.Try(st, contract.Signer{Key: l.Key, Known: l.Key != statement.KeyID{}}, l.Time)
	return err
}

// lookUpPast goes through the entries of some kinds.
func (v *View) lookUpPast(l Lookup) error {
	var indexes []uint64
	for _, kind := range l.Kinds {
		b, ok := kindBytes[kind]
		if !ok {
			continue
		}
		pairs, _, err := v.l.store.page(kindKey(b, l.Entry), after([]byte{famKind, b}), lastPage)
		if err != nil {
			return err
		}
		for _, p := range pairs {
			index, err := Leads(p)
			if err != nil {
				return err
			}
			indexes = append(indexes, index)
		}
	}
	slices.Sort(indexes)
	for _, index := range indexes {
		p, err := v.parsed(index)
		if err != nil {
			return err
		}
		if err := v.lookUpStatement(p.st); err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	return nil
}

// lookUpStatement reads what a statement is about: its artifacts with their
// lineages, and their places in its stage.
func (v *View) lookUpStatement(st *statement.Statement) error {
	refs := []statement.Ref{}
	switch {
	case st.Run != nil:
		refs = append(refs, st.Run.Inputs...)
	case st.Stamp != nil:
		refs = append(refs, st.Stamp.From...)
	default:
		if ref, err := st.Ref(); err == nil {
			refs = append(refs, ref)
		}
	}
	if len(refs) == 0 {
		return nil
	}
	x, err := v.Lineage()
	if err != nil {
		return err
	}
	for _, ref := range refs {
		err := x.lookUp(Lookup{Kind: LookupUp, Name: ref.Name, Version: ref.Version})
		if err != nil && !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	if st.Release != nil || st.Approval != nil {
		stage := ""
		if st.Release != nil {
			stage = st.Release.Stage
		} else {
			stage = st.Approval.Stage
		}
		prefix := stagePrefix(stage)
		_, _, err = v.l.store.page(prefix, after(prefix), lastPage)
	}
	return err
}
