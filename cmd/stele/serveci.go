package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/stele-ml/stele/internal/draft"
	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/oidc"
	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/strictjson"
	"github.com/stele-ml/stele/internal/terminal"
	"github.com/stele-ml/stele/statement"
)

const maxCIRulesDepth = 5

// ciRules is the file of ci-rules: docs/ci.md.
type ciRules struct {
	Rules []ciRule `json:"rules"`
}

type ciRule struct {
	Name     string            `json:"name"`
	Issuer   string            `json:"issuer"`
	Audience string            `json:"audience"`
	Claims   map[string]string `json:"claims"`
	Names    []string          `json:"names"`
	Kinds    []statement.Kind  `json:"kinds"`
	Life     string            `json:"life,omitempty"`   // 10m
	MaxAge   string            `json:"maxAge,omitempty"` // 10m
}

// exchange makes the handler that exchanges CI tokens for delegations, and the bearer
// tokens that jobs get with them; nil where the settings name no rules. The issuer's
// key has to be one that needs nobody to type a passphrase.
func (a *app) exchange(ctx context.Context, s *serveSettings, view func() *ledger.View) (h http.Handler, jobs *server.Sessions, closer func(), err error) {
	if s.ciRules == "" {
		return nil, nil, func() {}, nil
	}
	scopes, err := server.ParseScopes(string(s.ciScopes))
	if err != nil {
		return nil, nil, nil, usagef("ci-scopes: %v", err)
	}
	rules, err := readCIRules(string(s.ciRules))
	if err != nil {
		return nil, nil, nil, err
	}
	with := *a
	with.keyFlag = string(s.ciKey)
	with.term = terminal.New(strings.NewReader(""), io.Discard, io.Discard, a.getenv)
	signer, closer, err := with.signer(ctx)
	if err != nil {
		return nil, nil, nil, err
	}
	if statement.DelegationOf(signer) != nil {
		closer()
		return nil, nil, nil, failf(exitError, "ci-key: %s is itself delegated; an issuer's key is registered", s.ciKey)
	}
	x, err := oidc.New(oidc.Options{Ledger: view().ID(), Signer: signer, Rules: rules, Now: a.now})
	if err != nil {
		closer()
		return nil, nil, nil, usagef("%s: %v", s.ciRules, err).withPath(string(s.ciRules))
	}
	a.warnOfIssuer(view(), signer.PublicKey().ID())
	jobs = server.NewSessions(scopes)
	return server.NewDelegations(x, view, jobs), jobs, closer, nil
}

// warnOfIssuer tells that what the server will give out would not be admitted. An
// administrator may register the issuer while the server runs.
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

func readCIRules(path string) ([]oidc.Rule, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	d, err := draft.Read(text)
	if err != nil {
		return nil, usagef("%s: %v", path, err).withPath(path)
	}
	var file ciRules
	if err := strictjson.Unmarshal(d.Document, &file, draft.MaxDraft, maxCIRulesDepth); err != nil {
		return nil, usagef("%s: %v", path, err).withPath(path)
	}
	rules := make([]oidc.Rule, len(file.Rules))
	for i, r := range file.Rules {
		rules[i] = oidc.Rule{Name: r.Name, Issuer: r.Issuer, Audience: r.Audience, Claims: r.Claims, Names: r.Names, Kinds: r.Kinds}
		for _, l := range []struct {
			name, text string
			to         *time.Duration
		}{{"life", r.Life, &rules[i].Life}, {"maxAge", r.MaxAge, &rules[i].MaxAge}} {
			if l.text == "" {
				continue
			}
			if *l.to, err = time.ParseDuration(l.text); err != nil {
				return nil, usagef("%s: rule %q: %s: %.40q is no length of time", path, r.Name, l.name, l.text).withPath(path)
			}
		}
	}
	return rules, nil
}
