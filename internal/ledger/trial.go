package ledger

import (
	"errors"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/statement"
)

// Trial is what a statement would meet.
type Trial struct {
	// Refusals are those of the ledger's own rules, in the order in which
	// admission has them: admission names the first alone. Beyond one that says
	// the statement is not one, or names what is not on the ledger, no other rule
	// can be asked.
	Refusals []*Refusal

	// Verdict is that of the contracts in force; nil if no rule could be asked.
	Verdict *contract.Verdict
}

// Try says what a statement would meet, if it were signed and submitted now: the
// time is that of the entry, in Unix milliseconds, or that of the last entry if
// that is later. Nothing is written, and the statement is not changed: where its
// ledger, nonce or After are zero, they are taken as what they would have to be.
//
// The signer is whoever's key is given; handle and roles are the ledger's. Where
// it is not known who would sign, what the ledger asks of signers is left out,
// and rules about them come out undecided.
func (v *View) Try(st *statement.Statement, as contract.Signer, timeMS int64) (*Trial, error) {
	return v.try(nil, st, as, timeMS)
}

// Try is [View.Try] for whoever asked about lineage before: what was read for it
// is not read again. It answers the same.
func (x *Lineage) Try(st *statement.Statement, as contract.Signer, timeMS int64) (*Trial, error) {
	return x.v.try(x.facts, st, as, timeMS)
}

// try takes facts as of the view, or nil.
func (v *View) try(read *facts, st *statement.Statement, as contract.Signer, timeMS int64) (*Trial, error) {
	if err := v.l.checkIndex(); err != nil {
		return nil, err
	}
	b, err := v.trial(timeMS)
	if err != nil {
		return nil, err
	}
	defer v.expectTrial(st, as, timeMS)()
	t := new(Trial)
	c, err := b.imagine(st, as)
	if err != nil {
		return t, t.add(err)
	}
	c.facts = read
	recovery := false
	if as.Known {
		_, m, _ := b.control.Roster().Key(as.Key)
		as.Handle, as.Roles, recovery = m.Handle, m.Roles, m.Recovery
	}
	if asked, err := b.ask(t, c, as.Known); err != nil || !asked {
		return t, err
	}
	t.Verdict = new(contract.Verdict)
	if !contract.Governs(c.st, recovery) {
		return t, nil
	}
	list, err := b.enacted.about(c.st.Kind)
	if err != nil || len(list) == 0 {
		return t, err
	}
	t.Verdict, err = b.evaluate(list, c, as)
	return t, err
}

// expectTrial tells the view's Reader of a trial, as far as the statement can be
// written down.
func (v *View) expectTrial(said *statement.Statement, as contract.Signer, timeMS int64) (done func()) {
	if !v.expects() {
		return nothing
	}
	st := *said
	if st.Ledger.IsZero() && st.Kind != statement.KindGenesis {
		st.Ledger = v.s.id
	}
	if st.Nonce.IsZero() {
		st.Nonce[0] = 1
	}
	sawLast(&st, 1)
	payload, err := st.Marshal()
	if err != nil {
		return nothing // the trial itself says what is wrong with it
	}
	l := Lookup{Kind: LookupTry, Statement: payload, Time: max(timeMS, 0)}
	if as.Known {
		l.Key = as.Key
	}
	return v.expect(l)
}

// add takes a refusal into the trial; another error is returned.
func (t *Trial) add(err error) error {
	var r *Refusal
	if errors.As(err, &r) {
		t.Refusals = append(t.Refusals, r)
		return nil
	}
	return err
}

// ask asks the ledger's own rules, as Admit does, and goes on where one refuses.
// It returns false where the rules after it cannot be asked.
func (b *Block) ask(t *Trial, c *Candidate, known bool) (asked bool, err error) {
	for _, check := range []struct {
		ask    func(*Candidate) error
		signer bool // it is about the signer
		ends   bool // what it holds is what the rules after it rely on
	}{
		{ask: b.checkSigner, signer: true},
		{ask: b.checkLedger, ends: true},
		{ask: b.checkReferences, ends: true},
		{ask: b.checkAuthor, signer: true},
		{ask: b.checkAudit},
		{ask: b.checkName},
		{ask: b.checkAfter},
	} {
		if check.signer && !known {
			continue
		}
		before := len(t.Refusals)
		if err := t.add(check.ask(c)); err != nil {
			return false, err
		}
		if check.ends && len(t.Refusals) > before {
			return false, nil
		}
	}
	if c.st.Release == nil {
		return true, nil
	}
	if err := t.add(b.checkStage(c.ref, c.st.Release)); err != nil {
		return false, err
	}
	if c.st.Release.Action == statement.ActionLeave {
		return true, nil
	}
	against, err := b.unclean(c)
	t.Refusals = append(t.Refusals, against...)
	return err == nil, err
}

// trial returns a block on top of the view that nothing is admitted to.
func (v *View) trial(timeMS int64) (*Block, error) {
	control, err := v.Control()
	if err != nil {
		return nil, err
	}
	if control.Roster() == nil {
		return nil, errors.New("try: the ledger has no genesis")
	}
	base := v.s
	if v.n != base.tree.size {
		base = &state{time: v.Time(), tree: tree{size: v.n}, id: v.s.id, origin: v.s.origin, control: control, genesis: v.s.genesis}
	}
	return &Block{
		l: v.l, base: base, time: max(timeMS, base.time), tree: base.tree,
		control: control, enacted: v.l.enact(control, v.s.enacted), genesis: base.genesis, hot: new(hot),
	}, nil
}

// imagine makes a candidate of a statement that nobody signed, or refuses what
// is none.
func (b *Block) imagine(said *statement.Statement, as contract.Signer) (*Candidate, error) {
	st := *said
	if st.Ledger.IsZero() && st.Kind != statement.KindGenesis {
		st.Ledger = b.control.Ledger()
	}
	if st.Nonce.IsZero() {
		st.Nonce[0] = 1
	}
	if err := b.see(&st); err != nil {
		return nil, err
	}
	// What is admitted was read from a payload.
	payload, err := st.Marshal()
	if err != nil {
		return nil, because(RuleShape, ClassMalformed, err)
	}
	c, err := prepareStatement(payload)
	if err != nil {
		return nil, err
	}
	c.env = &statement.Envelope{PayloadType: statement.PayloadType, KeyID: as.Key, Payload: payload}
	c.by, c.delegation = as.Key, as.Delegation
	return c, b.find(c, said)
}

// see fills in the After of a statement, where it has none.
func (b *Block) see(st *statement.Statement) error {
	last, err := lastSeen(b, st)
	if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, statement.ErrFormat) {
		return err
	}
	sawLast(st, last)
	return nil
}

// sawLast fills in the After of a statement, where it has none.
func sawLast(st *statement.Statement, last uint64) {
	fill := func(after *uint64, least uint64) {
		if *after == 0 {
			*after = max(last, least)
		}
	}
	switch {
	case st.Withdrawal != nil:
		w := *st.Withdrawal
		fill(&w.After, 1)
		st.Withdrawal = &w
	case st.Reinstatement != nil:
		r := *st.Reinstatement
		fill(&r.After, r.Withdrawal)
		st.Reinstatement = &r
	case st.Approval != nil:
		a := *st.Approval
		fill(&a.After, 1)
		st.Approval = &a
	case st.Release != nil:
		r := *st.Release
		fill(&r.After, 1)
		st.Release = &r
	}
}

// find looks up what the ledger has already of what the candidate binds.
func (b *Block) find(c *Candidate, said *statement.Statement) error {
	switch {
	case c.st.Stamp != nil:
		bound, ok, err := b.binding(c.ref.Name, c.ref.Version)
		if ok {
			c.bound = &bound
		}
		return err
	case c.st.Run != nil && !said.Nonce.IsZero():
		index, ok, err := b.baseView().run(c.st.Nonce)
		if ok {
			c.run = &index
		}
		return err
	}
	return nil
}
