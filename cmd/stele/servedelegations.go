package main

import (
	"context"
	"io"
	"net/http"
	"strings"

	"github.com/stele-ml/stele/internal/config"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/oidc"
	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

// exchanges is the handler that exchanges CI tokens for delegations, as the
// configuration says, and the tokens that jobs get with them, for the server's
// access; nil where it says nothing. The issuer's key has to be one that
// needs nobody to type a passphrase. That its issuer has no standing so far is told,
// and no error: an administrator may register it while the server runs.
func (a *app) exchanges(ctx context.Context, c *config.Delegations, view func() *ledger.View) (http.Handler, *server.Sessions, error) {
	if c == nil || len(c.Rules) == 0 {
		return nil, nil, nil
	}
	scopes := server.ScopeEntries | server.ScopeSubmit
	if c.Scopes != "" {
		var err error
		if scopes, err = server.ParseScopes(c.Scopes); err != nil {
			return nil, nil, usagef("delegations: scopes: %v", err)
		}
	}
	if c.Key == "" {
		return nil, nil, usagef("delegations: no key of an issuer is named").withHint("key: a key's name, or a private file")
	}
	quiet := *a
	quiet.keyFlag = c.Key
	quiet.term = terminal.New(strings.NewReader(""), io.Discard, io.Discard, a.getenv)
	signer, closer, err := quiet.signer(ctx)
	if err != nil {
		return nil, nil, err
	}
	// A delegation is signed as long as the server runs; an agent's connection is held.
	context.AfterFunc(ctx, closer)
	if statement.DelegationOf(signer) != nil {
		return nil, nil, failf(exitError, "delegations: %s is itself delegated; an issuer's key is registered", c.Key)
	}
	o := oidc.Options{Ledger: view().ID(), Signer: signer}
	for _, r := range c.Rules {
		rule := oidc.Rule{
			Name: r.Name, Issuer: r.Issuer, Audience: r.Audience, Claims: r.Claims, Names: r.Names, Life: r.Life, MaxAge: r.MaxAge,
		}
		for _, kind := range r.Kinds {
			rule.Kinds = append(rule.Kinds, statement.Kind(kind))
		}
		o.Rules = append(o.Rules, rule)
	}
	x, err := oidc.New(o)
	if err != nil {
		return nil, nil, failf(exitUsage, "delegations: %w", err)
	}
	a.warnOfIssuer(view(), signer.PublicKey().ID())
	jobs := server.NewSessions(scopes)
	return server.NewDelegations(x, view, jobs), jobs, nil
}

// warnOfIssuer tells that what the server will give out would not be admitted.
func (a *app) warnOfIssuer(v *ledger.View, issuer statement.KeyID) {
	control, err := v.Control()
	if err != nil || control.Roster() == nil {
		return
	}
	s := control.Roster().Standing(issuer, v.Size(), max(a.now().UnixMilli(), v.Time()))
	_, m, ok := control.Roster().Key(issuer)
	switch {
	case !s.OK:
		a.term.Warnf("tokens are exchanged with key %s, which has no standing: %s", shortKey(issuer.String()), s.Detail)
	case ok && len(m.Kinds) == 0:
		a.term.Warnf("tokens are exchanged with the key of %s, which is no issuer", m.Handle)
	}
}
