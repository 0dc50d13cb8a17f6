package ledger

import (
	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/statement"
)

// Candidate is an envelope on its way into the ledger, with what could be
// found out about it beforehand. It may be admitted once.
type Candidate struct {
	env        *statement.Envelope
	by         statement.KeyID       // the registered key in whose name it is
	delegation *statement.Delegation // through which, or nil
	st         *statement.Statement
	ref        statement.Ref      // of the kinds about one artifact
	stamps     []statement.Output // what it binds: a stamp one, a run some of its outputs
	id         statement.ID
	verified   bool // the signature was checked, against the key that its id names

	// What the checks found; nothing is admitted between them.
	facts *facts                    // what it is admitted over, once somebody asked
	law   *law                      // the contract that it puts or proposes, once examined
	bad   *Refusal                  // what is wrong with that
	cost  uint64                    // of the contracts evaluated for it
	bound *Binding                  // what a stamp's name@version is bound to already
	run   *uint64                   // the entry that has a run's id already
	mine  []fingerprint.Fingerprint // outputs of a run that its signer stamped before
}

// ID returns the statement's id.
func (c *Candidate) ID() statement.ID { return c.id }

// Statement returns the parsed statement. It must not be changed.
func (c *Candidate) Statement() *statement.Statement { return c.st }

// Envelope returns the envelope. It must not be changed.
func (c *Candidate) Envelope() *statement.Envelope { return c.env }

// Prepare parses an envelope and checks its signature, if its key is known by
// now; else Admit does. It needs no block and may run concurrently with
// everything: a group's signatures are checked on all cores. An error is a
// *Refusal.
func (l *Ledger) Prepare(env *statement.Envelope) (*Candidate, error) {
	c, err := prepare(env)
	if err != nil {
		return nil, err
	}
	key, ok := l.key(c.by)
	if !ok && c.st.Kind == statement.KindGenesis {
		key, ok = genesisKey(c)
	}
	if ok {
		if r := c.verify(key); r != nil {
			return nil, r
		}
	}
	l.examineEarly(c)
	return c, nil
}

// examineEarly reads a contract's document while the writer is not waiting for
// it: for whoever may put or propose one. Others are refused before anything is
// compiled for them. What is wrong with it is said when it is its turn: it may
// break a rule before that.
func (l *Ledger) examineEarly(c *Candidate) {
	s := l.state.Load()
	if !c.verified || c.st.Contract == nil || c.st.Contract.Action == statement.ContractLift || s.control == nil || s.control.Roster() == nil {
		return
	}
	if s.control.Roster().CheckEnvelope(s.tree.size, s.time, c.env, c.st) == nil {
		c.law, c.bad = l.examine(c.st.Contract)
	}
}

// PrepareVerifiedUnsafe is Prepare without the signature: for a replay of
// envelopes whose signatures the caller checked before.
func (l *Ledger) PrepareVerifiedUnsafe(env *statement.Envelope) (*Candidate, error) {
	c, err := prepare(env)
	if err != nil {
		return nil, err
	}
	c.verified = true
	l.examineEarly(c)
	return c, nil
}

// prepare makes the checks that depend on nothing but the envelope.
func prepare(env *statement.Envelope) (*Candidate, error) {
	switch {
	case len(env.Payload) == 0 || len(env.Payload) > statement.MaxPayload:
		return nil, refuse(RuleLimits, ClassMalformed, "a payload of %d bytes; 1 to %d are allowed", len(env.Payload), statement.MaxPayload)
	case len(env.Signature) == 0 || len(env.Signature) > statement.MaxSignature:
		return nil, refuse(RuleLimits, ClassMalformed, "a signature of %d bytes; 1 to %d are allowed", len(env.Signature), statement.MaxSignature)
	case len(env.Delegation) > statement.MaxDelegation:
		return nil, refuse(RuleLimits, ClassMalformed, "a delegation of %d bytes; at most %d are allowed", len(env.Delegation), statement.MaxDelegation)
	case env.PayloadType != statement.PayloadType:
		return nil, refuse(RuleShape, ClassMalformed, "payload type %.80q; it must be %s", env.PayloadType, statement.PayloadType)
	}
	delegation, err := env.Delegated()
	if err != nil {
		return nil, because(RuleShape, ClassMalformed, err)
	}
	c, err := prepareStatement(env.Payload)
	if err != nil {
		return nil, err
	}
	c.env, c.id, c.by, c.delegation = env, env.ID(), env.By(), delegation
	return c, nil
}

// prepareStatement makes those that depend on nothing but the payload.
func prepareStatement(payload []byte) (*Candidate, error) {
	st, err := statement.Parse(payload)
	if err != nil {
		return nil, because(RuleShape, ClassMalformed, err)
	}
	c := &Candidate{st: st, stamps: st.Stamps()}
	switch st.Kind {
	case statement.KindGenesis, statement.KindIdentity, statement.KindContract, statement.KindLogKey, statement.KindRun:
	default:
		if c.ref, err = st.Ref(); err != nil {
			return nil, because(RuleShape, ClassMalformed, err)
		}
	}
	return c, nil
}

// verify checks the signature with the registered key in whose name it is.
func (c *Candidate) verify(key *statement.PublicKey) *Refusal {
	if err := c.env.Verify(key); err != nil {
		return because(RuleSignature, ClassUntrusted, err)
	}
	c.verified = true
	return nil
}

// genesisKey returns the administrator's key that signed a genesis.
func genesisKey(c *Candidate) (*statement.PublicKey, bool) {
	for _, a := range c.st.Genesis.Administrators {
		if a.Key.ID() == c.by {
			return a.Key, true
		}
	}
	return nil, false
}
