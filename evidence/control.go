package evidence

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/statement"
)

// Control is what a ledger's control entries add up to: who may do what, which
// log key is in force, what is withdrawn. Genesis is the first of them; the
// others are those whose statement's Control method says so. Evidence carries
// all of them, so that a verifier folds the same state as the ledger did.
//
// Make one with NewControl and Add the entries in their order. It is not safe
// for use by several goroutines at once.
type Control struct {
	tree   accumulator
	ledger statement.LedgerID
	origin string
	hash   fingerprint.Algorithm
	last   *Entry
	roster *statement.Roster
	keys   []LogKey
	drawn  []*Withdrawal    // in order of entries
	byName map[string][]int // name@version → indexes into drawn
	byData map[fingerprint.Fingerprint][]int
	ends   map[uint64][]reinstatement // withdrawal entry → what would end it
	turned map[fingerprint.Fingerprint][]*Rejection

	contracts []*ContractEntry // in order of entries; each is never changed once it is there
	force     *inForce
}

type reinstatement struct {
	entry  uint64
	time   int64
	signer statement.KeyID
}

// LogKey is a key of the log and the entry by which it came into force.
type LogKey struct {
	Key VKey

	// Entry is 0 for the key in genesis, else the log-key entry. A checkpoint
	// that covers it is signed by this key, until the next one's Entry. The
	// first checkpoint that covers it is signed by the key before, too.
	Entry uint64
}

// Withdrawal is a withdrawal entry and what became of it.
type Withdrawal struct {
	Entry    uint64          `json:"entry"`
	Time     int64           `json:"time"` // Unix ms, as the ledger claims
	Ref      statement.Ref   `json:"-"`
	Target   string          `json:"target"`
	Location string          `json:"location,omitempty"`
	Effect   string          `json:"effect"`
	Reason   string          `json:"reason"`
	Signer   statement.KeyID `json:"signer"`
	Handle   string          `json:"handle"`

	// EndedBy is the reinstatement that ended it, or nil.
	EndedBy *uint64 `json:"endedBy,omitempty"`

	// Void says why it counts for nothing, or is empty: its signer had no
	// standing then, as is known now.
	Void string `json:"void,omitempty"`
}

// Stands reports whether the withdrawal holds.
func (w *Withdrawal) Stands() bool { return w.Void == "" && w.EndedBy == nil }

// NewControl returns the state before genesis.
func NewControl() *Control {
	return &Control{
		byName: make(map[string][]int),
		byData: make(map[fingerprint.Fingerprint][]int),
		ends:   make(map[uint64][]reinstatement),
		turned: make(map[fingerprint.Fingerprint][]*Rejection),
		force:  new(inForce),
	}
}

// Clone returns a copy: adding to one does not change the other.
func (c *Control) Clone() *Control {
	d := *c
	d.tree = c.tree.clone()
	d.keys = slices.Clone(c.keys)
	d.drawn = slices.Clone(c.drawn) // each is never changed once it is there
	d.byName = cloneLists(c.byName)
	d.byData = cloneLists(c.byData)
	d.ends = cloneLists(c.ends)
	d.turned = cloneLists(c.turned)
	d.contracts = slices.Clip(c.contracts)
	if c.roster != nil {
		d.roster = c.roster.Clone()
	}
	return &d
}

// cloneLists copies a map so that appending to a list of the copy does not
// write into that of the original.
func cloneLists[K comparable, V any](m map[K][]V) map[K][]V {
	d := make(map[K][]V, len(m))
	for k, v := range m {
		d[k] = slices.Clip(v)
	}
	return d
}

// Count returns how many control entries were added.
func (c *Control) Count() uint64 { return c.tree.n }

// Root returns the RFC 6962 root over their leaves. Together with Count it is
// what the next entry's leaf says.
func (c *Control) Root() tlog.Hash { return c.tree.root() }

// Ledger returns the ledger's id, the leaf hash of genesis; zero before it.
func (c *Control) Ledger() statement.LedgerID { return c.ledger }

// Origin returns the origin in genesis; empty before it.
func (c *Control) Origin() string { return c.origin }

// Hash returns the algorithm of the ledger's fingerprints; zero before genesis.
func (c *Control) Hash() fingerprint.Algorithm { return c.hash }

// Roster returns the keys and their standing; nil before genesis. It is the
// one that Add goes on changing.
func (c *Control) Roster() *statement.Roster { return c.roster }

// LogKeys returns the log's keys in the order in which they came into force.
func (c *Control) LogKeys() []LogKey { return slices.Clone(c.keys) }

// LogKey returns the key that signs checkpoints of that size: the last that
// came into force by an entry the checkpoint covers. False before genesis.
func (c *Control) LogKey(size uint64) (VKey, bool) {
	for _, k := range slices.Backward(c.keys) {
		if k.Entry < size {
			return k.Key, true
		}
	}
	return VKey{}, false
}

// Add folds in the next control entry. An entry that does not follow is an
// error, and the state is as it was:
//
//   - ErrTampered: it does not stand where it says it stands, or a signature
//     does not verify;
//   - ErrUntrusted: the rules do not let its signer say this, so the ledger
//     should not have admitted it;
//   - ErrFormat: its statement is malformed or no control statement.
func (c *Control) Add(e *Entry) error {
	st, err := e.Statement()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return c.add(e, st)
}

func (c *Control) add(e *Entry, st *statement.Statement) error {
	if err := c.place(e, st); err != nil {
		return err
	}
	if st.Kind == statement.KindGenesis {
		if err := c.genesis(e, st); err != nil {
			return err
		}
	} else if err := c.follow(e, st); err != nil {
		return err
	}
	c.tree.add(e.LeafHash())
	c.last = e
	return nil
}

// place checks that the entry is the next control entry of this ledger.
func (c *Control) place(e *Entry, st *statement.Statement) error {
	switch {
	case !st.Control():
		return fmt.Errorf("entry %d: %w: %s is not a control entry", e.Index, ErrFormat, st.Kind.Noun())
	case (e.Index == 0) != (st.Kind == statement.KindGenesis):
		return fmt.Errorf("entry %d: %w: %s there; genesis is entry 0, and only it", e.Index, ErrTampered, st.Kind.Noun())
	case e.Index == 0 && c.last != nil:
		return fmt.Errorf("entry 0: %w: a second genesis", ErrTampered)
	case e.Index != 0 && c.last == nil:
		return fmt.Errorf("entry %d: %w: the first control entry is not genesis", e.Index, ErrTampered)
	}
	if err := c.checkBinding(e); err != nil {
		return err
	}
	if c.last == nil {
		return nil
	}
	switch {
	case e.Index <= c.last.Index:
		return fmt.Errorf("entry %d: %w: control entries out of order, after entry %d", e.Index, ErrTampered, c.last.Index)
	case e.Time < c.last.Time:
		return fmt.Errorf("entry %d: %w: its time %s is before that of entry %d, %s", e.Index, ErrTampered, e.When(), c.last.Index, c.last.When())
	case st.Ledger != c.ledger:
		return fmt.Errorf("entry %d: %w: signed for the ledger %s, not for this one, %s", e.Index, ErrTampered, st.Ledger, c.ledger)
	}
	return nil
}

// checkBinding checks that an entry commits to exactly the control entries
// that were added so far.
func (c *Control) checkBinding(e *Entry) error {
	if e.ControlCount != c.tree.n {
		return fmt.Errorf("entry %d: %w: %d control entries are before it, and %d are here", e.Index, ErrTampered, e.ControlCount, c.tree.n)
	}
	if root := c.tree.root(); e.ControlRoot != root {
		return fmt.Errorf("entry %d: %w: the %d control entries before it have the root %v, those here %v", e.Index, ErrTampered, c.tree.n, e.ControlRoot, root)
	}
	return nil
}

func (c *Control) genesis(e *Entry, st *statement.Statement) error {
	g := st.Genesis
	key, err := ParseVKey(g.LogKey)
	if err != nil {
		return fmt.Errorf("genesis: %w", err)
	}
	if key.Name != g.Origin || key.Type != LogKeyType {
		return fmt.Errorf("genesis: %w: the log key %s is not one of the origin %s", ErrFormat, key.Short(), g.Origin)
	}
	roster, err := statement.NewRoster(e.Time, e.Envelope.KeyID, st)
	if err != nil {
		return fmt.Errorf("genesis: %w: %w", ErrUntrusted, err)
	}
	if err := verifyEnvelope(roster, e); err != nil {
		return err
	}
	c.ledger = statement.LedgerID(e.LeafHash())
	c.origin, c.hash, c.roster = g.Origin, g.Hash, roster
	c.keys = []LogKey{{Key: key}}
	return nil
}

func (c *Control) follow(e *Entry, st *statement.Statement) error {
	if err := verifyEnvelope(c.roster, e); err != nil {
		return err
	}
	if len(e.Envelope.Delegation) > 0 {
		return fmt.Errorf("entry %d: %w: %s cannot be signed through a delegation", e.Index, ErrUntrusted, st.Kind.Noun())
	}
	var change func()
	switch st.Kind {
	case statement.KindIdentity:
		change = func() {}
	case statement.KindLogKey:
		// The statement's parser has checked the signatures by both keys. It
		// is from them that the change has its authority: what later becomes
		// of the administrator who issued it changes nothing, or checkpoints
		// since could not be verified.
		next, err := ParseVKey(st.LogKey.Next)
		if err != nil {
			return fmt.Errorf("entry %d: next log key: %w", e.Index, err)
		}
		if next.Name != c.origin || next.Type != LogKeyType {
			return fmt.Errorf("entry %d: %w: the next log key %s is not one of the origin %s", e.Index, ErrFormat, next.Short(), c.origin)
		}
		change = func() { c.keys = append(c.keys, LogKey{Key: next, Entry: e.Index}) }
	case statement.KindWithdrawal:
		ref, err := st.Ref()
		if err != nil {
			return fmt.Errorf("entry %d: %w: %w", e.Index, ErrFormat, err)
		}
		change = func() { c.withdraw(e, ref, st.Withdrawal) }
	case statement.KindReinstatement:
		if err := c.mayEnd(e, st); err != nil {
			return err
		}
		w := st.Reinstatement.Withdrawal
		change = func() { c.ends[w] = append(c.ends[w], reinstatement{e.Index, e.Time, e.Envelope.By()}) }
	case statement.KindApproval:
		ref, err := st.Ref()
		if err != nil {
			return fmt.Errorf("entry %d: %w: %w", e.Index, ErrFormat, err)
		}
		change = func() { c.reject(e, ref, st.Approval) }
	case statement.KindContract:
		if _, err := c.CheckContract(st.Contract); err != nil {
			return fmt.Errorf("entry %d: %w: %w", e.Index, ErrUntrusted, err)
		}
		change = func() { c.enact(e, st.Contract) }
	default:
		return fmt.Errorf("entry %d: %w: this version does not know what %s does", e.Index, ErrFormat, st.Kind.Noun())
	}
	if err := c.roster.Apply(e.Index, e.Time, e.Envelope.By(), st); err != nil {
		return fmt.Errorf("entry %d: %w: %w", e.Index, ErrUntrusted, err)
	}
	change()
	// Only these change which contracts are in force: retirement and expiry do not
	// reach back.
	if st.Kind == statement.KindContract || st.Kind == statement.KindIdentity {
		c.force = new(inForce)
	}
	return nil
}

// mayEnd checks that a reinstatement ends a withdrawal of that artifact which
// stands, and is by who made it or by an administrator, as the ledger does when
// it admits one. Who may withdraw cannot be checked here: stamps are not among
// the control entries.
func (c *Control) mayEnd(e *Entry, st *statement.Statement) error {
	ref, err := st.Ref()
	if err != nil {
		return fmt.Errorf("entry %d: %w: %w", e.Index, ErrFormat, err)
	}
	index := st.Reinstatement.Withdrawal
	i, ok := slices.BinarySearchFunc(c.drawn, index, func(w *Withdrawal, at uint64) int { return cmp.Compare(w.Entry, at) })
	if !ok {
		return fmt.Errorf("entry %d: %w: it reinstates %s, and entry %d is no withdrawal", e.Index, ErrUntrusted, ref, index)
	}
	w := c.withdrawals([]int{i})[0]
	switch {
	case w.Ref != ref:
		return fmt.Errorf("entry %d: %w: it reinstates %s, and entry %d withdraws %s", e.Index, ErrUntrusted, ref, index, w.Ref)
	case w.EndedBy != nil:
		return fmt.Errorf("entry %d: %w: the withdrawal in entry %d was ended by entry %d", e.Index, ErrUntrusted, index, *w.EndedBy)
	case w.Void != "":
		return fmt.Errorf("entry %d: %w: the withdrawal in entry %d counts for nothing: %s", e.Index, ErrUntrusted, index, w.Void)
	}
	_, m, ok := c.roster.Key(e.Envelope.By())
	if !ok || m.Handle != w.Handle && !slices.Contains(m.Roles, statement.RoleAdministrator) {
		return fmt.Errorf("entry %d: %w: %s may not end the withdrawal in entry %d: only %s, or an administrator", e.Index, ErrUntrusted, m.Handle, index, w.Handle)
	}
	return nil
}

func (c *Control) withdraw(e *Entry, ref statement.Ref, said *statement.Withdrawal) {
	w := &Withdrawal{
		Entry:    e.Index,
		Time:     e.Time,
		Ref:      ref,
		Target:   said.Target,
		Location: said.Location,
		Effect:   said.Effect,
		Reason:   said.Reason,
		Signer:   e.Envelope.By(),
	}
	if _, m, ok := c.roster.Key(w.Signer); ok {
		w.Handle = m.Handle
	}
	i := len(c.drawn)
	c.drawn = append(c.drawn, w)
	c.byName[ref.String()] = append(c.byName[ref.String()], i)
	c.byData[ref.Fingerprint] = append(c.byData[ref.Fingerprint], i)
}

// Withdrawals returns the withdrawals that concern an artifact, in order: of
// its name, where the target is the binding; of its contents under any name,
// and of locations of these contents. Each says whether it stands, as of the
// control entries added so far. A Ref without a name is asked about by its
// contents alone.
func (c *Control) Withdrawals(ref statement.Ref) []Withdrawal {
	var list []int
	if ref.Name != "" {
		for _, i := range c.byName[ref.String()] {
			if c.drawn[i].Target == statement.TargetBinding {
				list = append(list, i)
			}
		}
	}
	for _, i := range c.byData[ref.Fingerprint] {
		if c.drawn[i].Target != statement.TargetBinding {
			list = append(list, i)
		}
	}
	slices.Sort(list)
	return c.withdrawals(list)
}

// AllWithdrawals returns every withdrawal, in order.
func (c *Control) AllWithdrawals() []Withdrawal {
	list := make([]int, len(c.drawn))
	for i := range list {
		list[i] = i
	}
	return c.withdrawals(list)
}

func (c *Control) withdrawals(list []int) []Withdrawal {
	if len(list) == 0 {
		return nil
	}
	out := make([]Withdrawal, len(list))
	for n, i := range list {
		w := *c.drawn[i]
		w.Void = c.void(w.Signer, w.Entry, w.Time)
		for _, r := range c.ends[w.Entry] {
			if c.roster.Standing(r.signer, r.entry, r.time).OK {
				w.EndedBy = &r.entry
				break
			}
		}
		out[n] = w
	}
	return out
}

// verifyEnvelope checks the envelope's signature with the key that the roster
// knows as its signer's, or as that of its delegation's issuer.
func verifyEnvelope(r *statement.Roster, e *Entry) error {
	key, _, ok := r.Key(e.Envelope.By())
	if !ok {
		return fmt.Errorf("entry %d: %w: its signer's key %s is not registered", e.Index, ErrUntrusted, e.Envelope.By())
	}
	if err := e.Envelope.Verify(key); err != nil {
		class := ErrTampered
		if errors.Is(err, statement.ErrFormat) {
			class = ErrFormat
		}
		return fmt.Errorf("entry %d: %w: %w", e.Index, class, err)
	}
	return nil
}
