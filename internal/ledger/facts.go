package ledger

import (
	"fmt"
	"slices"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/lineage"
	"github.com/stele-ml/stele/statement"
)

// record is what lineage is read from: a view, or a block on top of one.
type record interface {
	parsed(index uint64) (parsedEntry, error)
	byName(name, version string) (Binding, bool, error)

	// stamped lists the entries that stamp these contents.
	stamped(fp fingerprint.Fingerprint) ([]uint64, error)
	// claimed lists the runs that name these contents as an output which
	// another entry stamped before, and imports about them.
	claimed(fp fingerprint.Fingerprint) ([]uint64, error)
}

// facts is a record as lineage walks it. It keeps what it has read and judged,
// so no entry is parsed twice; it is for one goroutine.
type facts struct {
	record    record
	control   *evidence.Control
	said      map[uint64]*lineage.Said
	artifacts map[bound]*lineage.Artifact
	claims    map[fingerprint.Fingerprint][]lineage.Claim
	bindings  map[fingerprint.Fingerprint][]*lineage.Artifact
	handles   map[statement.KeyID]string
}

type bound struct{ name, version string }

func newFacts(r record, c *evidence.Control) *facts {
	return &facts{
		record: r, control: c,
		said:      make(map[uint64]*lineage.Said),
		artifacts: make(map[bound]*lineage.Artifact),
		claims:    make(map[fingerprint.Fingerprint][]lineage.Claim),
		bindings:  make(map[fingerprint.Fingerprint][]*lineage.Artifact),
		handles:   make(map[statement.KeyID]string),
	}
}

// at returns an entry as lineage reads it.
func (f *facts) at(index uint64) (*lineage.Said, error) {
	if s, ok := f.said[index]; ok {
		return s, nil
	}
	p, err := f.record.parsed(index)
	if err != nil {
		return nil, err
	}
	e := p.entry
	s := &lineage.Said{
		Entry: e.Index, Time: e.Time, Signer: e.Envelope.By(), Handle: f.handle(e.Envelope.By()), Statement: p.st,
		Standing: f.control.Roster().Standing(e.Envelope.By(), e.Index, e.Time),
	}
	f.said[index] = s
	return s, nil
}

func (f *facts) handle(id statement.KeyID) string {
	h, ok := f.handles[id]
	if !ok {
		_, m, _ := f.control.Roster().Key(id)
		h = m.Handle
		f.handles[id] = h
	}
	return h
}

// Artifact returns what name@version is bound to, or an ErrNotFound.
func (f *facts) Artifact(name, version string) (*lineage.Artifact, error) {
	if a, ok := f.artifacts[bound{name, version}]; ok {
		return a, nil
	}
	b, ok, err := f.record.byName(name, version)
	if err == nil && !ok {
		err = fmt.Errorf("%s@%s: %w", name, version, ErrNotFound)
	}
	if err != nil {
		return nil, err
	}
	s, err := f.at(b.Entry)
	if err != nil {
		return nil, err
	}
	ref, stamp, ok := s.Statement.StampOf(name, version)
	if !ok || ref != b.Ref() {
		return nil, badBinding(b)
	}
	return f.artifact(s, ref, stamp), nil
}

// artifact returns the artifact that an entry binds.
func (f *facts) artifact(s *lineage.Said, ref statement.Ref, stamp *statement.Stamp) *lineage.Artifact {
	key := bound{ref.Name, ref.Version}
	if a, ok := f.artifacts[key]; ok {
		return a
	}
	a := &lineage.Artifact{
		Ref: ref, Entry: s.Entry, Time: s.Time, Signer: s.Signer, Handle: s.Handle, Stamp: stamp, Standing: s.Standing,
	}
	for _, w := range f.control.Withdrawals(ref) {
		if w.Stands() && w.Target != statement.TargetLocation {
			a.Withdrawals = append(a.Withdrawals, lineage.Withdrawal{
				Entry: w.Entry, Time: w.Time, Ref: w.Ref, Target: w.Target, Effect: w.Effect, Reason: w.Reason, Handle: w.Handle,
			})
		}
	}
	f.artifacts[key] = a
	return a
}

// Bindings returns every name@version that these contents are bound to, in the
// order of their entries.
func (f *facts) Bindings(fp fingerprint.Fingerprint) ([]*lineage.Artifact, error) {
	if list, ok := f.bindings[fp]; ok {
		return list, nil
	}
	stamped, err := f.record.stamped(fp)
	if err != nil {
		return nil, err
	}
	var list []*lineage.Artifact
	for _, index := range stamped {
		s, err := f.at(index)
		if err != nil {
			return nil, err
		}
		found := false
		for _, o := range s.Statement.Stamps() {
			if o.Ref.Fingerprint == fp {
				list = append(list, f.artifact(s, o.Ref, o.Stamp))
				found = true
			}
		}
		if !found {
			return nil, damaged("the index says that entry %d stamps %s, and it does not", index, fp)
		}
	}
	f.bindings[fp] = list
	return list, nil
}

// claimsOf returns everything that is recorded about what contents were made
// of, whether it counts for anything or not.
func (f *facts) claimsOf(fp fingerprint.Fingerprint) ([]lineage.Claim, error) {
	if list, ok := f.claims[fp]; ok {
		return list, nil
	}
	bindings, err := f.Bindings(fp)
	if err != nil {
		return nil, err
	}
	var list []lineage.Claim
	for _, b := range bindings {
		s, err := f.at(b.Entry)
		if err != nil {
			return nil, err
		}
		list = append(list, s.Claims(b)...)
	}
	claimed, err := f.record.claimed(fp)
	if err != nil {
		return nil, err
	}
	for _, index := range claimed {
		s, err := f.at(index)
		if err != nil {
			return nil, err
		}
		about, err := f.about(s, fp)
		if err != nil {
			return nil, err
		}
		for _, b := range about {
			list = append(list, s.Claims(b)...)
		}
	}
	lineage.SortClaims(list)
	f.claims[fp] = list
	return list, nil
}

// about returns the bindings of contents that a run names among its outputs, or
// an import is about, and does not stamp.
func (f *facts) about(s *lineage.Said, fp fingerprint.Fingerprint) ([]*lineage.Artifact, error) {
	var refs []statement.Ref
	switch st := s.Statement; {
	case st.Run != nil:
		for _, o := range st.Run.Outputs {
			if o.Stamp == nil {
				refs = append(refs, o.Ref)
			}
		}
	case st.Import != nil:
		ref, err := st.Ref()
		if err != nil {
			return nil, damaged("entry %d: %w", s.Entry, err)
		}
		refs = append(refs, ref)
	}
	var list []*lineage.Artifact
	for _, ref := range refs {
		if ref.Fingerprint != fp {
			continue
		}
		a, err := f.Artifact(ref.Name, ref.Version)
		if err != nil {
			return nil, err
		}
		if a.Ref != ref {
			return nil, damaged("entry %d names %s as %s, and it is %s", s.Entry, ref, fp, a.Ref.Fingerprint)
		}
		list = append(list, a)
	}
	if len(list) == 0 {
		return nil, damaged("the index says that entry %d is about %s, and it is not", s.Entry, fp)
	}
	return list, nil
}

// Origins returns everything that is recorded about what an artifact was made
// of, with whether it counts.
func (f *facts) Origins(a *lineage.Artifact) ([]lineage.Origin, error) {
	if v, ok := f.record.(*View); ok && v.expects() {
		defer v.expect(Lookup{Kind: LookupUp, Name: a.Ref.Name, Version: a.Ref.Version})()
	}
	claims, err := f.claimsOf(a.Ref.Fingerprint)
	if err != nil {
		return nil, err
	}
	return lineage.Count(a, claims), nil
}

// parsed, byName, stamped and claimed make a view a record.

func (v *View) stamped(fp fingerprint.Fingerprint) (list []uint64, err error) {
	prefix := fingerprintPrefix(fp)
	var bad error
	err = v.l.store.scan(prefix, u64after(prefix, v.n), func(key, value []byte) bool {
		if !stamps(value) {
			return true
		}
		var index uint64
		index, bad = lastU64(key, prefix)
		list = append(list, index)
		return bad == nil
	})
	if err == nil {
		err = bad
	}
	return list, err
}

func (v *View) claimed(fp fingerprint.Fingerprint) (list []uint64, err error) {
	var bad error
	err = v.l.store.scan(onPrefix(fp, statement.KindRun), after(onPrefix(fp, statement.KindImport)), func(key, _ []byte) bool {
		var index uint64
		prefix := onPrefix(fp, statement.KindRun)
		prefix[len(prefix)-1] = key[len(prefix)-1]
		if index, bad = lastU64(key, prefix); bad == nil && index < v.n {
			list = append(list, index)
		}
		return bad == nil
	})
	if err == nil {
		err = bad
	}
	slices.Sort(list)
	return list, err
}
