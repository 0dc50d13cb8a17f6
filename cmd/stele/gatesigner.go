package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/stele-ml/stele/contract"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// findSigner finds who would release: --by, or else whoever's key is here.
func (g *gated) findSigner(ctx context.Context) (contract.Signer, error) {
	roster := g.r.Control.Roster()
	now := max(g.a.now().UnixMilli(), g.r.Time())
	good := func(m *statement.Member) bool {
		return !m.Recovery && roster.Standing(m.Key.ID(), g.r.Size(), now).OK
	}
	signer := func(m *statement.Member) contract.Signer {
		roles := slices.Clone(m.Roles)
		slices.Sort(roles)
		return contract.Signer{Handle: m.Handle, Key: m.Key.ID(), Roles: roles, Known: true}
	}
	if g.o.by != "" {
		var best *statement.Member // of several keys, one that may release
		there := false
		for _, m := range roster.Members() {
			if m.Handle != g.o.by {
				continue
			}
			there = true
			if good(&m) && (best == nil || !slices.Contains(best.Roles, statement.RoleReleaser) && slices.Contains(m.Roles, statement.RoleReleaser)) {
				best = &m
			}
		}
		switch {
		case best != nil:
			return signer(best), nil
		case there:
			return contract.Signer{}, failf(exitUntrusted, "--by %s: no key of theirs is in good standing", g.o.by).withHint("`stele key list` shows why")
		}
		return contract.Signer{}, failf(exitNotFound, "--by %s: nobody of that handle is on this ledger", g.o.by).withHint("`stele key list` shows who is")
	}
	by, ok, err := g.a.ownKey(ctx)
	if err != nil || !ok {
		return contract.Signer{}, err
	}
	if _, m, ok := roster.Key(by.key); ok && good(&m) {
		s := signer(&m)
		s.Delegation = by.delegation
		return s, nil
	}
	return contract.Signer{}, nil
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
