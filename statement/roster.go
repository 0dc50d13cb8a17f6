package statement

import (
	"fmt"
	"maps"
	"slices"
)

// The states of a key; see [Roster.Standing].
const (
	StateGood        = "good"        // what it signed counts
	StateUnknown     = "unknown"     // not registered before that entry
	StateRetired     = "retired"     // retired before that entry
	StateExpired     = "expired"     // expired by the time of that entry
	StateCompromised = "compromised" // declared compromised since that entry or an earlier one
	StateVoid        = "void"        // registered by an entry that counts for nothing
)

// Standing says whether what a key signed in an entry counts.
type Standing struct {
	OK     bool   // State is good
	State  string // one of the states
	Entry  uint64 // the entry that decides: the registration, retirement or declaration
	Detail string // one sentence
}

// Member is one registered key. A person may have several, under one handle.
type Member struct {
	Key      *PublicKey
	Handle   string
	Roles    []string
	Names    []string
	Kinds    []Kind  // that an issuer may delegate
	Expires  int64   // unix ms from which it has no standing, 0: never
	Entry    uint64  // that registered it
	By       KeyID   // that registered it; its own in a genesis
	Retired  *uint64 // the entry that retired it
	Since    *uint64 // compromised: its entries from this one on count for nothing
	Declared uint64  // compromised: the entry that made it so
	Void     bool    // the entry that registered it counts for nothing
	Recovery bool    // it is the recovery key
}

// LogKeyAt is a key of the log and the entry that named it.
type LogKeyAt struct {
	Entry uint64
	VKey  string
}

// Roster is who may do what on one ledger, folded from its genesis, identity and
// log-key entries in order; every answer is as of what has been folded in. Reads
// may run at the same time, Apply may not.
//
// What was folded is never taken out again. A declaration that a key is
// compromised since K makes the entries by that key from K on count for nothing:
// what they registered becomes void and what they retired is not retired, and so
// on through the keys they registered. The fold is then made again with that
// known; admissions are not, so names stay bound and entries stay where they are.
type Roster struct {
	genesis   *Genesis
	last      uint64              // the last index folded in
	members   map[KeyID]*Member   // never changed once there; see describe
	order     []KeyID             // in which they were registered
	materials map[[32]byte]string // to whom a key already belongs
	logKeys   []LogKeyAt
	actions   []action      // registrations and retirements, in order
	declared  []declaration // of compromise, in order, whether in effect or not
	inEffect  map[KeyID]compromise
	world     world
}

// action is a registration or a retirement.
type action struct {
	index   uint64
	by, key KeyID
	retires bool
}

// declaration says that a key is compromised since an entry.
type declaration struct {
	index   uint64
	by, key KeyID
	since   uint64
}

// compromise is a declaration in effect. It never ends: what is known to have
// leaked stays leaked, even if who said so turns out to be void.
type compromise struct{ since, declared uint64 }

// world is what follows from a set of compromises.
type world struct {
	compromised map[KeyID]compromise
	void        map[KeyID]bool
	retired     map[KeyID]uint64
}

// NewRoster begins with a genesis, which is entry 0 and is signed by one of the
// administrators it names.
func NewRoster(timeMS int64, signer KeyID, genesis *Statement) (*Roster, error) {
	if genesis.Kind != KindGenesis || genesis.Genesis == nil {
		return nil, refuse(ErrRule, "", "entry 0 is a %s, want the genesis", quote(string(genesis.Kind)))
	}
	g := genesis.Genesis
	if err := genesis.check(g); err != nil {
		return nil, err
	}
	r := &Roster{
		genesis:   g,
		members:   make(map[KeyID]*Member),
		materials: make(map[[32]byte]string),
		inEffect:  make(map[KeyID]compromise),
		logKeys:   []LogKeyAt{{0, g.LogKey}},
	}
	log, err := VKeyMaterial(g.LogKey)
	if err != nil {
		return nil, err
	}
	r.materials[log] = "the log"
	for _, a := range g.Administrators {
		r.add(Member{
			Key: a.Key, Handle: a.Handle, By: a.Key.ID(),
			Roles: FirstRoles(), Names: []string{"*"},
		})
	}
	r.add(Member{Key: g.Recovery, Handle: RecoveryHandle, By: g.Recovery.ID(), Recovery: true})
	r.world = r.fold(r.inEffect)
	if m, ok := r.members[signer]; !ok || m.Recovery {
		return nil, refuse(ErrStanding, "", "the genesis is signed by key %s, want one of its administrators", signer)
	}
	return r, nil
}

// Clone returns an independent copy.
func (r *Roster) Clone() *Roster {
	c := *r
	c.members = maps.Clone(r.members)
	c.order = slices.Clone(r.order)
	c.materials = maps.Clone(r.materials)
	c.logKeys = slices.Clone(r.logKeys)
	c.actions = slices.Clone(r.actions)
	c.declared = slices.Clone(r.declared)
	c.inEffect = maps.Clone(r.inEffect)
	c.world = world{c.inEffect, maps.Clone(r.world.void), maps.Clone(r.world.retired)}
	return &c
}

// Genesis returns the genesis the roster began with.
func (r *Roster) Genesis() *Genesis { return r.genesis }

// LogKeys returns the log's keys in the order they came into force.
func (r *Roster) LogKeys() []LogKeyAt { return slices.Clone(r.logKeys) }

// LogKey returns the vkey of the log's key in force.
func (r *Roster) LogKey() string { return r.logKeys[len(r.logKeys)-1].VKey }

// HasMaterial reports whether the [PublicKey.Material] is that of a log key or of
// a key that is or was registered. A witness must not have it.
func (r *Roster) HasMaterial(material [32]byte) bool { return r.materials[material] != "" }

// Key returns a registered key and what is known of it.
func (r *Roster) Key(id KeyID) (*PublicKey, Member, bool) {
	if _, ok := r.members[id]; !ok {
		return nil, Member{}, false
	}
	m := r.describe(id)
	return m.Key, m, true
}

// Members returns every key ever registered, the recovery key among them, in
// order.
func (r *Roster) Members() []Member {
	out := make([]Member, len(r.order))
	for i, id := range r.order {
		out[i] = r.describe(id)
	}
	return out
}

func (r *Roster) describe(id KeyID) Member {
	m := *r.members[id]
	m.Roles, m.Names, m.Kinds = slices.Clone(m.Roles), slices.Clone(m.Names), slices.Clone(m.Kinds)
	m.Void = r.world.void[id]
	if entry, ok := r.world.retired[id]; ok {
		m.Retired = &entry
	}
	if c, ok := r.world.compromised[id]; ok {
		m.Since, m.Declared = &c.since, c.declared
	}
	return m
}

// Standing says whether what the key signed in the entry with that index and
// time counts. Retirement and expiry do not reach back: what was signed before
// stays good. Compromise reaches back to the entry it names, and void to all.
func (r *Roster) Standing(key KeyID, entry uint64, timeMS int64) Standing {
	return r.standingIn(&r.world, key, entry, timeMS)
}

func (r *Roster) standingIn(w *world, key KeyID, entry uint64, timeMS int64) Standing {
	m, ok := r.members[key]
	switch {
	case !ok:
		return Standing{State: StateUnknown, Detail: fmt.Sprintf("key %s is not registered", key)}
	case entry <= m.Entry && m.Entry > 0:
		return Standing{State: StateUnknown, Entry: m.Entry,
			Detail: fmt.Sprintf("a key of %s was registered only in entry %d", m.Handle, m.Entry)}
	case w.void[key]:
		return Standing{State: StateVoid, Entry: m.Entry,
			Detail: fmt.Sprintf("a key of %s was registered in entry %d, which counts for nothing", m.Handle, m.Entry)}
	}
	if c, ok := w.compromised[key]; ok && entry >= c.since {
		return Standing{State: StateCompromised, Entry: c.declared,
			Detail: fmt.Sprintf("a key of %s is compromised since entry %d, as entry %d declares", m.Handle, c.since, c.declared)}
	}
	if retired, ok := w.retired[key]; ok && entry > retired {
		return Standing{State: StateRetired, Entry: retired,
			Detail: fmt.Sprintf("a key of %s was retired in entry %d", m.Handle, retired)}
	}
	if m.Expires != 0 && timeMS >= m.Expires {
		return Standing{State: StateExpired, Entry: m.Entry,
			Detail: fmt.Sprintf("a key of %s expired at %s", m.Handle, utc(m.Expires))}
	}
	return Standing{OK: true, State: StateGood, Entry: m.Entry,
		Detail: fmt.Sprintf("a key of %s, registered in entry %d", m.Handle, m.Entry)}
}

// May says whether the role and name patterns of the signer's key cover the
// statement, if it is in good standing, which [Roster.Standing] says; timeMS is
// the entry's time. The errors are ErrNotAllowed, and ErrStanding for a key that
// is not registered or has expired. That a withdrawal or reinstatement is by the
// stamper or an administrator is for the ledger to check, which knows the stamper.
func (r *Roster) May(signer KeyID, st *Statement, timeMS int64) error {
	m, ok := r.members[signer]
	if !ok {
		return standingError(r.Standing(signer, 0, timeMS))
	}
	if m.Expires != 0 && timeMS >= m.Expires {
		return standingError(r.Standing(signer, m.Entry+1, timeMS))
	}
	return m.may(signer, st)
}

// may is where a later kind says who may issue it.
func (m *Member) may(signer KeyID, st *Statement) error {
	switch st.Kind {
	case KindGenesis:
		if m.Entry == 0 && !m.Recovery {
			return nil
		}
		return refuse(ErrNotAllowed, "", "a genesis is issued by one of its administrators")
	case KindIdentity:
		if m.administers() || st.Identity.Action == ActionCompromised && st.Identity.keyID() == signer {
			return nil
		}
		return refuse(ErrNotAllowed, "", "identity statements are issued by administrators; %s is none", m.Handle)
	}
	if m.Recovery {
		// A rule that refuses everybody cannot keep the recovery key from lifting it.
		if st.Kind == KindContract && st.Contract.Action == ContractLift {
			return nil
		}
		return refuse(ErrNotAllowed, "register a key with it, and use that", "the recovery key issues identity statements and lifts contracts, and does nothing else")
	}
	switch st.Kind {
	case KindContract:
		if !m.administers() {
			return refuse(ErrNotAllowed, "ask an administrator", "contracts are put, proposed and lifted by administrators; %s is none", m.Handle)
		}
	case KindLogKey:
		if !m.administers() {
			return refuse(ErrNotAllowed, "", "the log's key is changed by administrators; %s is none", m.Handle)
		}
	case KindWithdrawal, KindReinstatement:
		// An issuer takes back what was stamped through it: see the ledger.
		if !m.has(RoleMember) && !m.has(RoleAdministrator) && !m.has(RoleIssuer) {
			return m.lacks(RoleMember, st)
		}
	case KindStamp, KindRun, KindEvaluation, KindAudit, KindImport:
		if !m.has(RoleMember) && !m.has(RoleAdministrator) {
			return m.lacks(RoleMember, st)
		}
		return m.mayStamp(st)
	case KindApproval:
		if !m.has(RoleApprover) {
			return m.lacks(RoleApprover, st)
		}
	case KindRelease:
		if !m.has(RoleReleaser) {
			return m.lacks(RoleReleaser, st)
		}
	default:
		return refuse(ErrNotAllowed, "", "nobody may issue a %s", quote(string(st.Kind)))
	}
	return nil
}

func (m *Member) lacks(role string, st *Statement) error {
	return refuse(ErrNotAllowed, "", "%s has roles %v; of %s, the role is %s", m.Handle, m.Roles, st.Kind.Noun(), role)
}

// mayStamp holds what a statement stamps to the name patterns of its signer.
func (m *Member) mayStamp(st *Statement) error {
	if st.Kind == KindStamp {
		// A statement that was not parsed may have no subject to speak of.
		if _, err := st.Ref(); err != nil {
			return err
		}
	}
	for _, o := range st.Stamps() {
		if err := m.mayWrite(o.Ref); err != nil {
			return err
		}
	}
	return nil
}

func (m *Member) mayWrite(ref Ref) error {
	if matchesAny(m.Names, ref.Name) {
		return nil
	}
	return refuse(ErrNotAllowed, "use a name it may write, or ask an administrator for a key that may",
		"%s may write the names %v, which do not cover %s", m.Handle, m.Names, ref.Name)
}

func (m *Member) has(role string) bool { return slices.Contains(m.Roles, role) }

// administers includes the recovery key, which counts as an administrator where
// identities are concerned.
func (m *Member) administers() bool { return m.Recovery || m.has(RoleAdministrator) }

func standingError(s Standing) error {
	hint := ""
	if s.State == StateUnknown {
		hint = "an administrator of the ledger registers it"
	}
	return refuse(ErrStanding, hint, "%s", s.Detail)
}
