package main

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/internal/gate"
	"github.com/stele-ml/stele/internal/terminal"
)

// findSigner finds who would release: --by, or else whoever's key is here.
func (g *gated) findSigner(ctx context.Context, r *reading) (contract.Signer, error) {
	now := g.Question.Now
	if g.o.by != "" {
		as, there := gate.Person(r.Book, g.o.by, now)
		switch {
		case as.Known:
			return as, nil
		case there:
			return as, failf(exitUntrusted, "--by %s: no key of theirs is in good standing", g.o.by).withHint("`stele key list` shows why")
		}
		return as, failf(exitNotFound, "--by %s: nobody of that handle is on this ledger", g.o.by).withHint("`stele key list` shows who is")
	}
	by, ok, err := g.a.ownKey(ctx)
	if err != nil || !ok {
		return contract.Signer{}, err
	}
	as := gate.Keyholder(r.Book, by.key, now)
	if as.Known {
		as.Delegation = by.delegation
	}
	return as, nil
}

// ownKey is as whom this person would sign. Nobody is asked
// for a passphrase: a key that needs one is not known. One that was named and is
// not there is an error.
func (a *app) ownKey(ctx context.Context) (by author, ok bool, err error) {
	quiet := *a
	quiet.term = terminal.New(strings.NewReader(""), io.Discard, io.Discard, a.getenv)
	s, closer, err := quiet.signer(ctx)
	switch {
	case err == nil:
		defer closer()
		return authorOf(s), true, nil
	case a.keyFlag != "" && statusOf(err) == exitNotFound && !errors.Is(err, errNoKey):
		return by, false, err
	}
	return by, false, nil
}
