package statement

import (
	"maps"
	"slices"
)

// Check says whether the statement may be the entry with that index and time,
// without folding it in: the signer's standing (ErrStanding), whether it may
// (ErrNotAllowed), and for an identity or log-key statement the rules of the
// roster (ErrRule). Signatures of envelopes are checked by [Envelope.Verify].
func (r *Roster) Check(index uint64, timeMS int64, signer KeyID, st *Statement) error {
	_, err := r.check(index, timeMS, signer, st)
	return err
}

// Apply checks an entry and folds it in. Entries come in the order of the log;
// those of kinds that do not change the roster may be left out.
func (r *Roster) Apply(index uint64, timeMS int64, signer KeyID, st *Statement) error {
	effect, err := r.check(index, timeMS, signer, st)
	if err != nil {
		return err
	}
	r.last = index
	switch {
	case st.LogKey != nil:
		material, err := VKeyMaterial(st.LogKey.Next)
		if err != nil {
			return err
		}
		r.materials[material] = "the log"
		r.logKeys = append(r.logKeys, LogKeyAt{index, st.LogKey.Next})
	case st.Identity != nil:
		r.apply(index, signer, st.Identity, effect)
	}
	return nil
}

func (r *Roster) apply(index uint64, signer KeyID, id *Identity, effect *world) {
	key := id.keyID()
	switch id.Action {
	case ActionRegister:
		r.add(Member{
			Key: id.Key, Handle: id.Handle, Roles: sorted(id.Roles), Names: sorted(id.Names),
			Kinds: slices.Sorted(slices.Values(id.Kinds)), Expires: id.Expires, Entry: index, By: signer,
		})
		r.actions = append(r.actions, action{index: index, by: signer, key: key})
	case ActionRetire:
		r.actions = append(r.actions, action{index: index, by: signer, key: key, retires: true})
		r.world.retired[key] = index
	case ActionCompromised:
		r.declared = append(r.declared, declaration{index, signer, key, id.Since})
		if effect != nil {
			r.world = *effect
			r.inEffect = effect.compromised
		}
	}
}

func (r *Roster) add(m Member) {
	id := m.Key.ID()
	r.members[id] = &m
	r.order = append(r.order, id)
	r.materials[m.Key.Material()] = m.Handle
}

// fold goes through all registrations and retirements and says what follows if
// these keys are compromised. One pass is enough: an entry can only be by a key
// that was registered before it.
func (r *Roster) fold(compromised map[KeyID]compromise) world {
	w := world{compromised, make(map[KeyID]bool), make(map[KeyID]uint64)}
	for _, a := range r.actions {
		c, leaked := compromised[a.by]
		counts := !w.void[a.by] && !(leaked && a.index >= c.since)
		_, already := w.retired[a.key]
		switch {
		case !a.retires && !counts:
			w.void[a.key] = true
		case a.retires && counts && !already:
			w.retired[a.key] = a.index
		}
	}
	return w
}

// check returns, for a declaration that takes effect, the world that follows.
func (r *Roster) check(index uint64, timeMS int64, signer KeyID, st *Statement) (*world, error) {
	p, err := st.predicate()
	if err != nil {
		return nil, err
	}
	if st.Kind == KindGenesis {
		return nil, refuse(ErrRule, "", "a ledger has one genesis")
	}
	if index <= r.last {
		return nil, refuse(ErrRule, "", "entry %d comes after entry %d was folded in", index, r.last)
	}
	if s := r.Standing(signer, index, timeMS); !s.OK {
		return nil, standingError(s)
	}
	if err := r.May(signer, st, timeMS); err != nil {
		return nil, err
	}
	switch p := p.(type) {
	case *Identity:
		// A statement that was not parsed here has not been held to its own rules.
		if err := p.check(st); err != nil {
			return nil, err
		}
		return r.checkIdentity(index, timeMS, signer, p)
	case *LogKey:
		return nil, r.checkLogKey(st, p)
	}
	return nil, nil
}

func (r *Roster) checkLogKey(st *Statement, l *LogKey) error {
	if l.Current != r.LogKey() {
		return refuse(ErrRule, "", "log-key: the log's key in force is %s, not %s", r.LogKey(), quote(l.Current))
	}
	if err := l.check(st); err != nil {
		return err
	}
	material, err := VKeyMaterial(l.Next)
	if err != nil {
		return err
	}
	if owner := r.materials[material]; owner != "" {
		return refuse(ErrRule, "make a new key", "log-key: the next key is already a key of %s", owner)
	}
	return nil
}

func (r *Roster) checkIdentity(index uint64, timeMS int64, signer KeyID, id *Identity) (*world, error) {
	if id.Action == ActionRegister {
		return nil, r.checkRegister(timeMS, id)
	}
	key := id.keyID()
	accused, ok := r.members[key]
	switch {
	case !ok:
		return nil, refuse(ErrRule, "", "key %s is not registered", key)
	case accused.Handle != id.Handle:
		return nil, refuse(ErrRule, "", "key %s is of %s, not of %s", key, accused.Handle, quote(id.Handle))
	case r.world.void[key]:
		return nil, refuse(ErrRule, "", "the key of %s already counts for nothing", accused.Handle)
	}
	if id.Action == ActionRetire {
		return nil, r.checkRetire(index, timeMS, signer, key, accused)
	}
	return r.checkCompromised(index, timeMS, signer, declaration{index, signer, key, id.Since})
}

func (r *Roster) checkRegister(timeMS int64, id *Identity) error {
	if id.Handle == RecoveryHandle {
		return refuse(ErrRule, "choose another handle", "the handle %s is the recovery key's", RecoveryHandle)
	}
	if owner := r.materials[id.Key.Material()]; owner != "" {
		return refuse(ErrRule, "make a new key", "this key is already a key of %s; the same key cannot be registered twice, in whatever form", owner)
	}
	if id.Expires != 0 && id.Expires <= timeMS {
		return refuse(ErrRule, "", "the key would expire at %d, before this entry's time %d (unix ms)", id.Expires, timeMS)
	}
	return nil
}

func (r *Roster) checkRetire(index uint64, timeMS int64, signer, key KeyID, m *Member) error {
	if entry, ok := r.world.retired[key]; ok {
		return refuse(ErrRule, "", "the key of %s was already retired in entry %d", m.Handle, entry)
	}
	if m.Recovery && signer != key {
		return refuse(ErrNotAllowed, "", "the recovery key is retired by itself alone")
	}
	after := r.world
	after.retired = maps.Clone(r.world.retired)
	after.retired[key] = index
	return r.keepsAdministrator(&after, index, timeMS)
}

// keepsAdministrator refuses a world in which nobody administers the ledger from
// the next entry on. The recovery key is not enough: it is the way back from an
// accident, not a way to work.
func (r *Roster) keepsAdministrator(w *world, index uint64, timeMS int64) error {
	if len(r.administrators(w, index+1, timeMS, KeyID{})) > 0 {
		return nil
	}
	return refuse(ErrRule, "register another administrator first", "this would leave the ledger without an administrator")
}

// administrators returns the handles of administrators with standing at an entry,
// beside the recovery key and beside one other.
func (r *Roster) administrators(w *world, entry uint64, timeMS int64, beside KeyID) map[string]bool {
	handles := make(map[string]bool)
	for id, m := range r.members {
		if id != beside && m.has(RoleAdministrator) && r.standingIn(w, id, entry, timeMS).OK {
			handles[m.Handle] = true
		}
	}
	return handles
}

// checkCompromised decides whether a declaration is admitted, and returns the
// world that follows if it takes effect.
func (r *Roster) checkCompromised(index uint64, timeMS int64, signer KeyID, d declaration) (*world, error) {
	m := r.members[d.key]
	if d.since > index {
		return nil, refuse(ErrRule, "", "the key of %s cannot be compromised since entry %d, which is yet to come", m.Handle, d.since)
	}
	if c, ok := r.inEffect[d.key]; ok && c.since <= d.since {
		return nil, refuse(ErrRule, "", "the key of %s is already compromised since entry %d, as entry %d declares", m.Handle, c.since, c.declared)
	}
	accusers, again := r.accusers(d)
	if again {
		return nil, refuse(ErrRule, "another administrator has to declare the same", "%s has already declared that", r.members[signer].Handle)
	}
	compromised := maps.Clone(r.inEffect)
	compromised[d.key] = compromise{d.since, index}
	after := r.fold(compromised)
	if signer != d.key && !r.enough(&after, index, timeMS, d.key, accusers) {
		return nil, nil // admitted, and waits for another administrator
	}
	// Whoever holds the recovery key can go on from a ledger without another
	// administrator; nobody else can.
	for _, by := range accusers {
		if r.members[by].Recovery && by != d.key {
			return &after, nil
		}
	}
	return &after, r.keepsAdministrator(&after, index, timeMS)
}

// accusers returns the keys whose declarations of the same key and entry count,
// the new one last; again is whether its handle is among the others.
func (r *Roster) accusers(d declaration) (keys []KeyID, again bool) {
	for _, other := range r.declared {
		if other.key != d.key || other.since != d.since {
			continue
		}
		// Whether it had expired was seen when it was admitted.
		if m := r.members[other.by]; m.administers() && r.Standing(other.by, other.index, 0).OK {
			keys = append(keys, other.by)
			again = again || m.Handle == r.members[d.by].Handle
		}
	}
	return append(keys, d.by), again
}

// enough says whether these accusers are: two administrators, by handle, or one
// where there is only one beside the accused key.
//
// Two cases keep a thief from out-voting the recovery key with administrators of
// his own making. Where the recovery key is among the accusers, those whose
// standing would fall with the accusation are not counted as administrators. And
// where the recovery key is the accused, the two must go back to different keys
// of the genesis.
func (r *Roster) enough(after *world, index uint64, timeMS int64, accused KeyID, accusers []KeyID) bool {
	handles, roots := make(map[string]bool), make(map[KeyID]bool)
	now := &r.world
	for _, by := range accusers {
		m := r.members[by]
		handles[m.Handle] = true
		roots[r.root(by)] = true
		if m.Recovery {
			now = after
		}
	}
	if r.members[accused].Recovery {
		return len(handles) >= 2 && len(roots) >= 2
	}
	return len(handles) >= min(2, len(r.administrators(now, index, timeMS, accused)))
}

// root follows who registered whom back to a key of the genesis.
func (r *Roster) root(key KeyID) KeyID {
	for r.members[key].By != key {
		key = r.members[key].By
	}
	return key
}
