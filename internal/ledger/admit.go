package ledger

import (
	"errors"
	"fmt"
	"slices"

	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/statement"
)

// Receipt says where a statement is in the log.
type Receipt struct {
	Index   uint64
	Time    int64 // of the entry, unix ms
	ID      statement.ID
	Existed bool   // it was there before: this is its first receipt again
	Cost    uint64 // of the contracts that were evaluated for it, in their units
}

// Admit takes a candidate into the block, or refuses it with a *Refusal, which
// leaves the block as it was. Another error means that the store could not be
// read.
//
// The order of the checks is part of the rules: an envelope that breaks
// several is refused by the first everywhere.
func (b *Block) Admit(c *Candidate) (Receipt, error) {
	if b.Full() {
		return Receipt{}, errors.New("admit: the block is full")
	}
	c.facts, c.cost = nil, 0
	if !c.verified {
		key, ok := b.key(c.by)
		if !ok {
			return Receipt{}, b.unknownKey(c)
		}
		if r := c.verify(key); r != nil {
			return Receipt{}, r
		}
	}
	if r, ok, err := b.seen(c); ok || err != nil {
		return r, err
	}
	for _, check := range []func(*Candidate) error{
		b.checkSigner,
		b.checkLedger,
		b.checkReferences,
		b.checkAuthor,
		b.checkAudit,
		b.checkName,
		b.checkAfter,
		b.checkRelease,
		b.checkContracts,
	} {
		if err := check(c); err != nil {
			return Receipt{}, err
		}
	}
	e, err := b.append(c)
	if err != nil {
		return Receipt{}, err
	}
	return Receipt{Index: e.Index, Time: e.Time, ID: c.id, Cost: c.cost}, nil
}

// key returns a registered key, the block's own included.
func (b *Block) key(id statement.KeyID) (*statement.PublicKey, bool) {
	if k, ok := b.keys[id]; ok {
		return k, true
	}
	return b.l.key(id)
}

func (b *Block) unknownKey(c *Candidate) *Refusal {
	if b.tree.size == 0 {
		return refuse(RuleWhoMay, ClassRefused, "the first entry of a ledger is a genesis, signed by one of its administrators")
	}
	if c.delegation != nil {
		return refuse(RuleStanding, ClassUntrusted, "the delegation for %.80q is by key %s, which is not registered on this ledger", c.delegation.Subject, c.by)
	}
	return refuse(RuleStanding, ClassUntrusted, "key %s is not registered on this ledger", c.by).
		hint("an administrator adds a key with: stele key add")
}

// seen returns the receipt of a statement that is in the log already.
func (b *Block) seen(c *Candidate) (Receipt, bool, error) {
	switch c.st.Kind {
	case statement.KindStamp:
		return b.seenStamp(c)
	case statement.KindRun:
		return b.seenRun(c)
	}
	index, ok := b.ids[c.id]
	if !ok {
		value, found, err := b.l.store.get(idKey(c.id))
		if err != nil || !found {
			return Receipt{}, false, err
		}
		if index, err = parseU64(value); err != nil {
			return Receipt{}, false, err
		}
	}
	e, err := b.entry(index)
	if err != nil {
		return Receipt{}, false, err
	}
	return Receipt{Index: index, Time: e.Time, ID: c.id, Existed: true}, true, nil
}

// seenStamp needs no lookup of its own: a stamp that is in the log has bound
// its name@version, so it is the one that did or none. Most stamps are new.
func (b *Block) seenStamp(c *Candidate) (Receipt, bool, error) {
	bound, ok, err := b.binding(c.ref.Name, c.ref.Version)
	if err != nil || !ok {
		return Receipt{}, false, err
	}
	c.bound = &bound
	e, err := b.entry(bound.Entry)
	if err != nil || e.Envelope.ID() != c.id {
		return Receipt{}, false, err
	}
	return Receipt{Index: e.Index, Time: e.Time, ID: c.id, Existed: true}, true, nil
}

// baseView is the ledger before the block.
func (b *Block) baseView() *View { return &View{l: b.l, s: b.base, n: b.base.tree.size} }

// parsed returns an entry of the log or of the block, with its statement.
func (b *Block) parsed(index uint64) (parsedEntry, error) {
	if base := b.base.tree.size; index >= base {
		return b.entries[index-base], nil
	}
	return b.baseView().parsed(index)
}

func (b *Block) entry(index uint64) (*evidence.Entry, error) {
	p, err := b.parsed(index)
	return p.entry, err
}

// checkSigner: standing, then who may.
func (b *Block) checkSigner(c *Candidate) error {
	if b.tree.size == 0 || c.st.Kind == statement.KindGenesis {
		if b.tree.size > 0 {
			return refuse(RuleWhoMay, ClassRefused, "this ledger has its genesis; another begins another ledger").at(0)
		}
		if c.st.Kind != statement.KindGenesis {
			return refuse(RuleWhoMay, ClassRefused, "the first entry of a ledger is its genesis, not %s", c.st.Kind.Noun())
		}
		return nil
	}
	if err := b.checkStanding(c); err != nil {
		return rosterRefusal(controlRule(c.st), err)
	}
	return nil
}

// checkStanding asks the roster about the signer, or about the issuer and its
// delegation.
func (b *Block) checkStanding(c *Candidate) error {
	roster := b.control.Roster()
	if c.delegation != nil {
		return roster.CheckDelegated(b.tree.size, b.time, c.delegation, c.st)
	}
	return roster.Check(b.tree.size, b.time, c.by, c.st)
}

// controlRule is the rule of the roster's refusals that are of no other.
func controlRule(st *statement.Statement) Rule {
	switch st.Kind {
	case statement.KindLogKey:
		return RuleLogKey
	case statement.KindContract:
		return RuleInForce
	}
	return RuleIdentity
}

// checkLedger: made for this ledger, with its hash.
func (b *Block) checkLedger(c *Candidate) error {
	if b.tree.size == 0 {
		return nil
	}
	if own := b.control.Ledger(); c.st.Ledger != own {
		return refuse(RuleLedger, ClassRefused, "the statement is for ledger %s; this is %s", c.st.Ledger, own)
	}
	// Parse holds a statement's references to the hash of the first.
	what, a := c.hash()
	if a != 0 && a != b.genesis.Hash {
		return refuse(RuleLedger, ClassRefused, "%s has a %s fingerprint; this ledger's are %s, so that the same bytes have one", what, a, b.genesis.Hash).
			hint("fingerprint it again with this ledger's hash")
	}
	return nil
}

// binding returns what name@version is bound to, in the log or the block.
func (b *Block) binding(name, version string) (Binding, bool, error) {
	if bound, ok := b.bindings[name+"@"+version]; ok {
		return bound, true, nil
	}
	return b.hot.binding(name, version, b.baseView())
}

// checkReferences: what the statement names is there, and is that.
func (b *Block) checkReferences(c *Candidate) error {
	switch {
	case c.st.Stamp != nil:
		return b.checkStamp(c.st.Stamp)
	case c.st.Run != nil:
		return b.checkRun(c)
	case c.st.Contract != nil:
		return b.checkDocument(c)
	}
	if c.ref.Name != "" {
		if _, _, err := b.checkBound(string(c.st.Kind), c.ref); err != nil {
			return err
		}
	}
	switch {
	case c.st.Reinstatement != nil:
		return b.checkInForce(c)
	case c.st.Audit != nil && c.st.Audit.Result != nil:
		_, _, err := b.announcement(c)
		return err
	case c.st.Evaluation != nil:
		return b.checkAll("dataset", c.st.Evaluation.Datasets)
	case c.st.Release != nil:
		return b.checkAll("replaces", c.st.Release.Replaces)
	case c.st.Import != nil:
		return b.checkAll("input", c.st.Import.Inputs)
	}
	return nil
}

// checkAll: each is on the ledger as it is named.
func (b *Block) checkAll(what string, refs []statement.Ref) error {
	for _, ref := range refs {
		if _, _, err := b.checkBound(what, ref); err != nil {
			return err
		}
	}
	return nil
}

// checkStamp: what a stamp builds on is on the ledger as it says.
func (b *Block) checkStamp(s *statement.Stamp) error {
	if err := b.checkAll("from", s.From); err != nil {
		return err
	}
	for _, m := range s.Members {
		if err := b.checkMember(m); err != nil {
			return err
		}
	}
	if s.Since != nil {
		if err := b.checkSince(s); err != nil {
			return err
		}
	}
	if s.Basis.Entry != nil {
		return b.checkBasis(*s.Basis.Entry)
	}
	return nil
}

// checkMember: the fingerprint of a collection takes a member's files and bytes
// from its stamp.
func (b *Block) checkMember(m statement.CollectionMember) error {
	bound, stamp, err := b.checkBound("member", m.Ref)
	if err != nil {
		return err
	}
	if m.Files != stamp.Files || m.Bytes != stamp.Bytes {
		return refuse(RuleReferences, ClassRefused, "member: %s has %d files, %d bytes since entry %d, not %d files, %d bytes",
			m.Ref, stamp.Files, stamp.Bytes, bound.Entry, m.Files, m.Bytes).
			at(bound.Entry).hint("take a member's files and bytes from its own stamp")
	}
	return nil
}

// checkSince: the changes since the earlier version account for its files.
func (b *Block) checkSince(s *statement.Stamp) error {
	bound, stamp, err := b.checkBound("since", *s.Since)
	if err != nil || s.Changes == nil {
		return err
	}
	if had := s.Changes.Same + s.Changes.Modified + s.Changes.Removed + s.Changes.Moved; had != stamp.Files {
		return refuse(RuleReferences, ClassRefused, "since: the changes account for %d files of %s, which has %d since entry %d",
			had, s.Since, stamp.Files, bound.Entry).
			at(bound.Entry).hint("compare with that version's manifest, or leave the changes out")
	}
	return nil
}

// checkBound: the artifact was stamped under that name, with that fingerprint.
func (b *Block) checkBound(what string, ref statement.Ref) (Binding, *statement.Stamp, error) {
	bound, ok, err := b.binding(ref.Name, ref.Version)
	switch {
	case err != nil:
		return bound, nil, err
	case !ok:
		return bound, nil, refuse(RuleReferences, ClassNotFound, "%s: %s is not on this ledger", what, ref).
			hint("stamp it first")
	}
	// The index says where to look; what is bound is what the entry says.
	st, err := b.statement(bound.Entry)
	if err != nil {
		return bound, nil, err
	}
	stamped, stamp, ok := st.StampOf(ref.Name, ref.Version)
	if !ok || stamped != bound.Ref() {
		return bound, nil, badBinding(bound)
	}
	if bound.Fingerprint != ref.Fingerprint {
		return bound, nil, refuse(RuleReferences, ClassRefused, "%s: %s is %s since entry %d, not %s", what, ref, bound.Fingerprint, bound.Entry, ref.Fingerprint).
			at(bound.Entry).hint("name the fingerprint that was stamped, or another version")
	}
	return bound, stamp, nil
}

func badBinding(b Binding) error {
	return damaged("the index says that entry %d stamps %s as %s, and it does not", b.Entry, b.Ref(), b.Fingerprint)
}

// checkBasis: the earlier stamp that a stamp relies on is one.
func (b *Block) checkBasis(index uint64) error {
	if index >= b.tree.size {
		return refuse(RuleReferences, ClassNotFound, "basis: entry %d is not on this ledger, which has %d", index, b.tree.size)
	}
	st, err := b.statement(index)
	if err != nil {
		return err
	}
	if len(st.Stamps()) == 0 {
		return refuse(RuleReferences, ClassRefused, "basis: entry %d is %s and stamps nothing", index, st.Kind.Noun()).at(index)
	}
	return nil
}

func (b *Block) statement(index uint64) (*statement.Statement, error) {
	p, err := b.parsed(index)
	return p.st, err
}

// checkInForce: a reinstatement ends a withdrawal of that artifact which was
// not ended before.
func (b *Block) checkInForce(c *Candidate) error {
	index := c.st.Reinstatement.Withdrawal
	if index >= b.tree.size {
		return refuse(RuleReferences, ClassNotFound, "entry %d is not on this ledger, which has %d", index, b.tree.size)
	}
	st, err := b.statement(index)
	if err != nil {
		return err
	}
	if st.Kind != statement.KindWithdrawal {
		return refuse(RuleReferences, ClassRefused, "entry %d is %s, not a withdrawal", index, st.Kind.Noun()).at(index)
	}
	ref, err := statement.ParseRef(st.Subject[0])
	if err != nil {
		return damaged("entry %d: %w", index, err)
	}
	if ref != c.ref {
		return refuse(RuleReferences, ClassRefused, "entry %d withdraws %s, not %s", index, ref, c.ref).at(index)
	}
	for _, w := range b.control.Withdrawals(ref) {
		switch {
		case w.Entry != index:
		case w.EndedBy != nil:
			return refuse(RuleReferences, ClassRefused, "the withdrawal in entry %d was ended by entry %d", index, *w.EndedBy).at(*w.EndedBy)
		case w.Void != "":
			return refuse(RuleReferences, ClassRefused, "the withdrawal in entry %d counts for nothing: %s", index, w.Void).at(index)
		}
	}
	return nil
}

// checkAuthor: a binding or a location is withdrawn by its stamper, the
// contents by whoever first brought them in (or a stranger who stamped the same
// bytes could taint everything made of them), a withdrawal ended by who made
// it; an administrator may do all three. An audit is ended by who announced it,
// and by nobody else: others do not know the nonce.
func (b *Block) checkAuthor(c *Candidate) error {
	var index uint64
	var who string
	administrators := true
	switch {
	case c.st.Audit != nil && c.st.Audit.Result != nil:
		index, administrators = c.st.Audit.Result.Announcement, false
		who = fmt.Sprintf("who announced the audit, in entry %d", index)
	case c.st.Withdrawal != nil && c.st.Withdrawal.Target == statement.TargetContents:
		first, err := b.firstOn(c.ref.Fingerprint)
		if err != nil {
			return err
		}
		index, who = first, fmt.Sprintf("who first stamped these contents, in entry %d", first)
	case c.st.Withdrawal != nil:
		bound, _, err := b.binding(c.ref.Name, c.ref.Version)
		if err != nil {
			return err
		}
		index, who = bound.Entry, fmt.Sprintf("who stamped %s, in entry %d", c.ref, bound.Entry)
	case c.st.Reinstatement != nil:
		index = c.st.Reinstatement.Withdrawal
		who = fmt.Sprintf("who withdrew it, in entry %d", index)
	default:
		return nil
	}
	e, err := b.entry(index)
	if err != nil {
		return err
	}
	_, me, _ := b.control.Roster().Key(c.by)
	_, them, ok := b.control.Roster().Key(e.Envelope.By())
	if administrators && slices.Contains(me.Roles, statement.RoleAdministrator) || ok && me.Handle == them.Handle {
		return nil
	}
	if !administrators {
		return refuse(RuleWhoMay, ClassRefused, "%s may not: only %s (%s)", me.Handle, who, them.Handle).at(index).
			hint("announce an audit of your own")
	}
	return refuse(RuleWhoMay, ClassRefused, "%s may not: only %s (%s), or an administrator", me.Handle, who, them.Handle).at(index)
}

// firstOn returns the first entry about a fingerprint: a stamp.
func (b *Block) firstOn(fp fingerprint.Fingerprint) (uint64, error) {
	index, ok, err := b.baseView().FirstOn(fp)
	if err != nil || ok {
		return index, err
	}
	return b.about[fp].first, nil
}

// checkName: name@version is bound once and for ever.
func (b *Block) checkName(c *Candidate) error {
	if c.st.Run != nil {
		return b.checkRunNames(c)
	}
	if c.st.Contract != nil {
		return b.checkContractName(c)
	}
	if c.bound != nil {
		return nameBound(c.ref, c.bound)
	}
	return nil
}
