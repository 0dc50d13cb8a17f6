package contract

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// Given is what a test is about: a history, made up by its author, and a
// statement that would be its next entry. It does not change.
type Given struct{ world *fixture }

// Input returns the statement with the history as its state. It is nil for a
// Given that no document was read into.
func (g Given) Input() *Input {
	if g.world == nil {
		return nil
	}
	in := g.world.input
	in.State = g.world
	return &in
}

// fixture is a history in memory, as a State. It is made of the statements that
// a ledger has, and package lineage decides from them what it decides there.
// What the ledger itself would refuse (a release of what is tainted) is not
// refused here.
type fixture struct {
	entries   map[uint64]*lineage.Said
	order     []*lineage.Said
	artifacts map[string]*lineage.Artifact // by name@version
	bindings  map[fingerprint.Fingerprint][]*lineage.Artifact
	claims    map[fingerprint.Fingerprint][]lineage.Claim
	about     map[about][]*lineage.Said
	lost      []loss
	people    map[string][]string // by handle, their roles, sorted
	input     Input               // without its State
}

// about is what an entry is found by.
type about struct {
	fp   fingerprint.Fingerprint
	kind statement.Kind
}

// loss is a declaration that a key is compromised.
type loss struct {
	handle          string
	key             statement.KeyID // zero: all keys of the handle
	since, declared uint64
}

// Artifact implements lineage.Facts.
func (f *fixture) Artifact(name, version string) (*lineage.Artifact, error) {
	if a, ok := f.artifacts[name+"@"+version]; ok {
		return a, nil
	}
	return nil, fmt.Errorf("%s@%s: %w", name, version, lineage.ErrNotFound)
}

// Origins implements lineage.Facts.
func (f *fixture) Origins(a *lineage.Artifact) ([]lineage.Origin, error) {
	return lineage.Count(a, f.claims[a.Ref.Fingerprint]), nil
}

// Bindings implements State.
func (f *fixture) Bindings(fp fingerprint.Fingerprint) ([]*lineage.Artifact, error) {
	return f.bindings[fp], nil
}

// About implements State.
func (f *fixture) About(fp fingerprint.Fingerprint, kind statement.Kind) ([]*lineage.Said, error) {
	return f.about[about{fp, kind}], nil
}

// Said implements State.
func (f *fixture) Said(index uint64) (*lineage.Said, error) {
	if s, ok := f.entries[index]; ok {
		return s, nil
	}
	return nil, fmt.Errorf("entry %d: %w", index, lineage.ErrNotFound)
}

// InStage implements State. A release counts whatever became of its signer's
// standing: it is what was put there.
func (f *fixture) InStage(stage, name string) ([]Placed, error) {
	var in []Placed
	remove := func(ref statement.Ref) {
		in = slices.DeleteFunc(in, func(p Placed) bool { return p.Ref == ref })
	}
	for _, s := range f.order {
		r := s.Statement.Release
		if r == nil || r.Stage != stage {
			continue
		}
		ref, err := s.Statement.Ref()
		if err != nil {
			return nil, err
		}
		remove(ref)
		for _, replaced := range r.Replaces {
			remove(replaced)
		}
		if r.Action == statement.ActionJoin {
			in = append(in, Placed{ref, s.Entry})
		}
	}
	if name != "" {
		in = slices.DeleteFunc(in, func(p Placed) bool { return p.Ref.Name != name })
	}
	return in, nil
}

// People implements State.
func (f *fixture) People(role string) []string {
	var list []string
	for handle, roles := range f.people {
		// Somebody of whom one key is lost has another.
		gone := slices.ContainsFunc(f.lost, func(l loss) bool { return l.handle == handle && l.key.IsZero() })
		if !gone && slices.Contains(roles, role) {
			list = append(list, handle)
		}
	}
	slices.Sort(list)
	return list
}

// Proposals implements State.
func (f *fixture) Proposals(digest [32]byte) []Proposal {
	var list []Proposal
	for _, s := range f.order {
		if c := s.Statement.Contract; c != nil && c.Action == statement.ContractPropose && c.Digest == digest && s.Standing.OK {
			list = append(list, Proposal{Handle: s.Handle, Key: s.Signer, Entry: s.Entry, Time: s.Time})
		}
	}
	return list
}

// standing is that of a key for an entry, as known at the end.
func (f *fixture) standing(handle string, key statement.KeyID, entry uint64) statement.Standing {
	for _, l := range f.lost {
		if l.handle == handle && (l.key.IsZero() || l.key == key) && entry >= l.since {
			return statement.Standing{State: statement.StateCompromised, Entry: l.declared,
				Detail: fmt.Sprintf("a key of %s is compromised since entry %d, as entry %d declares", handle, l.since, l.declared)}
		}
	}
	return statement.Standing{OK: true, State: statement.StateGood, Detail: "a key of " + handle}
}

// settle works out what follows from the entries, once all are there.
func (f *fixture) settle() {
	f.bindings = make(map[fingerprint.Fingerprint][]*lineage.Artifact)
	f.claims = make(map[fingerprint.Fingerprint][]lineage.Claim)
	f.about = make(map[about][]*lineage.Said)
	for _, s := range f.order {
		s.Standing = f.standing(s.Handle, s.Signer, s.Entry)
	}
	withdrawals := f.withdrawals()
	for _, s := range f.order {
		claim := func(ref statement.Ref) {
			if a := f.artifacts[ref.String()]; a != nil {
				f.claims[ref.Fingerprint] = append(f.claims[ref.Fingerprint], s.Claims(a)...)
			}
		}
		for _, o := range s.Statement.Stamps() {
			a := f.artifacts[o.Ref.String()]
			a.Entry, a.Time, a.Signer, a.Handle, a.Standing = s.Entry, s.Time, s.Signer, s.Handle, s.Standing
			for _, w := range withdrawals {
				if w.Target == statement.TargetBinding && w.Ref == a.Ref || w.Target == statement.TargetContents && w.Ref.Fingerprint == a.Ref.Fingerprint {
					a.Withdrawals = append(a.Withdrawals, w)
				}
			}
			f.bindings[o.Ref.Fingerprint] = append(f.bindings[o.Ref.Fingerprint], a)
			claim(o.Ref)
		}
		for _, ref := range elsewhere(s.Statement) {
			claim(ref)
		}
		for _, fp := range concerned(s.Statement) {
			key := about{fp, s.Statement.Kind}
			f.about[key] = append(f.about[key], s)
		}
	}
	for _, list := range f.bindings {
		slices.SortStableFunc(list, func(a, b *lineage.Artifact) int {
			return cmp.Or(cmp.Compare(a.Entry, b.Entry), cmp.Compare(a.Ref.Name, b.Ref.Name), cmp.Compare(a.Ref.Version, b.Ref.Version))
		})
	}
	for _, claims := range f.claims {
		lineage.SortClaims(claims)
	}
}

// withdrawals returns those in force, in order, but those of locations.
func (f *fixture) withdrawals() []lineage.Withdrawal {
	ended := make(map[uint64]bool)
	for _, s := range f.order {
		if s.Statement.Reinstatement != nil && s.Standing.OK {
			ended[s.Statement.Reinstatement.Withdrawal] = true
		}
	}
	var list []lineage.Withdrawal
	for _, s := range f.order {
		w := s.Statement.Withdrawal
		if w == nil || !s.Standing.OK || ended[s.Entry] || w.Target == statement.TargetLocation {
			continue
		}
		ref, err := s.Statement.Ref()
		if err != nil {
			continue // it was parsed: it has one
		}
		list = append(list, lineage.Withdrawal{
			Entry: s.Entry, Time: s.Time, Ref: ref, Target: w.Target, Effect: w.Effect, Reason: w.Reason, Handle: s.Handle})
	}
	return list
}

// elsewhere returns the artifacts of which a statement says an origin without
// stamping them.
func elsewhere(st *statement.Statement) (refs []statement.Ref) {
	switch {
	case st.Run != nil:
		for _, o := range st.Run.Outputs {
			if o.Stamp == nil {
				refs = append(refs, o.Ref)
			}
		}
	case st.Import != nil:
		if ref, err := st.Ref(); err == nil {
			refs = append(refs, ref)
		}
	}
	return refs
}

// concerned returns the contents that an approval, evaluation, release or audit
// is about, each once.
func concerned(st *statement.Statement) []fingerprint.Fingerprint {
	switch st.Kind {
	case statement.KindApproval, statement.KindEvaluation, statement.KindRelease, statement.KindAudit:
	default:
		return nil
	}
	ref, err := st.Ref()
	if err != nil {
		return nil // it was parsed: it has one
	}
	fps := []fingerprint.Fingerprint{ref.Fingerprint}
	if st.Release != nil {
		for _, r := range st.Release.Replaces {
			if !slices.Contains(fps, r.Fingerprint) {
				fps = append(fps, r.Fingerprint)
			}
		}
	}
	return fps
}

// fixtureKey is the key of a handle: its first, or another that a test names.
func fixtureKey(handle, key string) statement.KeyID {
	return sha256.Sum256([]byte("stele fixture key\n" + handle + "\n" + key))
}

// fixtureContents is the fingerprint of what a test stamps under a name: like no
// other's.
func fixtureContents(name string) fingerprint.Fingerprint {
	return fingerprint.Fingerprint{Algorithm: fingerprint.SHA256, Sum: sha256.Sum256([]byte("stele fixture contents\n" + name))}
}
