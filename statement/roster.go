package statement

// The states of a key; see [Roster.Standing].
const (
	StateGood        = "good"
	StateUnknown     = "unknown"
	StateRetired     = "retired"
	StateExpired     = "expired"
	StateCompromised = "compromised"
	StateVoid        = "void"
)

// Standing says whether what a key signed in an entry counts.
type Standing struct {
	OK     bool   // State is good
	State  string // one of the states
	Entry  uint64 // the entry that decides: the registration, retirement or declaration
	Detail string // one sentence
}

// Member is one registered key.
type Member struct {
	Key      *PublicKey
	Handle   string
	Roles    []string
	Names    []string
	Expires  int64   // unix ms, 0: never
	Entry    uint64  // that registered it
	By       KeyID   // the key that registered it; its own in a genesis
	Retired  *uint64 // the entry that retired it
	Since    *uint64 // compromised: entries from this one on count for nothing
	Declared uint64  // compromised: the entry from which that holds
	Void     bool    // registered by an entry that counts for nothing
	Recovery bool    // the recovery key
}

// LogKeyAt is a log key and the entry that named it.
type LogKeyAt struct {
	Entry uint64
	VKey  string
}

// Roster is who may do what on one ledger, folded from its genesis, identity and
// log-key entries in order.
type Roster struct{ genesis *Genesis }

// NewRoster begins with a genesis, which is entry 0.
func NewRoster(timeMS int64, signer KeyID, genesis *Statement) (*Roster, error) {
	return &Roster{genesis.Genesis}, nil
}

// Clone returns an independent copy.
func (r *Roster) Clone() *Roster { c := *r; return &c }

// Check says whether the statement may be entry index.
func (r *Roster) Check(index uint64, timeMS int64, signer KeyID, st *Statement) error { return nil }

// Apply checks an entry and folds it in.
func (r *Roster) Apply(index uint64, timeMS int64, signer KeyID, st *Statement) error { return nil }

// Standing answers for an entry with that index and time.
func (r *Roster) Standing(key KeyID, entry uint64, timeMS int64) Standing {
	return Standing{State: StateUnknown}
}

// Key returns a registered key.
func (r *Roster) Key(id KeyID) (*PublicKey, Member, bool) { return nil, Member{}, false }

// Members returns all registered keys in the order of their registration.
func (r *Roster) Members() []Member { return nil }

// May says whether the signer, if in good standing, may issue such a statement.
func (r *Roster) May(signer KeyID, st *Statement, timeMS int64) error { return nil }

// LogKeys returns the log's keys in order.
func (r *Roster) LogKeys() []LogKeyAt { return nil }

// LogKey returns the log's key in force.
func (r *Roster) LogKey() string { return r.genesis.LogKey }

// HasMaterial reports whether a key with that material is registered.
func (r *Roster) HasMaterial(material [32]byte) bool { return false }

// Genesis returns the genesis the roster began with.
func (r *Roster) Genesis() *Genesis { return r.genesis }
