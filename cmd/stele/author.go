package main

import (
	"github.com/stele-ml/stele/cmd/stele/jsonv1"
	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/evidence"
	"github.com/stele-ml/stele/statement"
)

// author is who signs, before anything is signed: the registered key in whose name,
// and the delegation through which, if it is an issuer's. The zero author is nobody.
type author struct {
	key        statement.KeyID
	delegation *statement.Delegation
}

func authorOf(s statement.Signer) author {
	return author{statement.By(s), statement.DelegationOf(s)}
}

// signed reports whether an entry is by the author, and through the same delegation,
// if through one.
func (by author) signed(e *evidence.Entry) bool {
	if by.delegation != nil {
		return e.Envelope.KeyID == by.delegation.Key.ID()
	}
	return e.Envelope.KeyID == by.key
}

// check asks the roster whether the author may say it in the next entry.
func (by author) check(roster *statement.Roster, size uint64, now int64, st *statement.Statement) error {
	if by.delegation != nil {
		return roster.CheckDelegated(size, now, by.delegation, st)
	}
	return roster.Check(size, now, by.key, st)
}

// signs is whoever would sign, as rules see them.
func (r *reading) signs(by author) contract.Signer {
	_, m, ok := r.Control.Roster().Key(by.key)
	if !ok {
		return contract.Signer{}
	}
	return contract.Signer{Handle: m.Handle, Key: by.key, Roles: m.Roles, Delegation: by.delegation, Known: true}
}

// signerBy names an author.
func (r *reading) signerBy(by author) jsonv1.Signer {
	return r.SignerBy(by.key, by.delegation)
}

// mayDelegated is what [reading.maySign] says of a delegation.
func (r *reading) mayDelegated(by author, now int64) error {
	d := by.delegation
	switch {
	case d.Ledger != r.ID():
		return failf(exitRefused, "the delegation is for another ledger, %s", shortKey(d.Ledger.String())).withHint("`stele login` gets one for this ledger")
	case now >= d.NotAfter:
		return failf(exitUntrusted, "the delegation for %s was valid until %s", d.Subject, jsonv1.At(d.NotAfter)).withHint("`stele login` gets another")
	}
	return nil
}
