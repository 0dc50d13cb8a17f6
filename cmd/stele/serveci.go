package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
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
	Rules []json.RawMessage `json:"rules"` // each read by itself, so that an error knows its line
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
// tokens that jobs get with them, if they open more than is open to everybody; nil where
// the settings name no rules. The issuer's key has to be one that needs nobody to type a passphrase.
func (a *app) exchange(ctx context.Context, s *serveSettings, log *slog.Logger, view func() *ledger.View) (h http.Handler, jobs *server.Sessions, closer func(), err error) {
	if s.ciRules == "" {
		return nil, nil, func() {}, nil
	}
	scopes, err := server.ParseScopes(string(s.ciScopes))
	if err != nil {
		return nil, nil, nil, usagef("ci-scopes: %v", err)
	}
	rules, at, err := readCIRules(string(s.ciRules))
	if err != nil {
		return nil, nil, nil, err
	}
	with := *a
	with.term = terminal.New(strings.NewReader(""), io.Discard, io.Discard, a.getenv)
	signer, closer, err := with.signerOf(ctx, string(s.ciKey), "ci-key")
	if err != nil {
		return nil, nil, nil, err
	}
	x, err := oidc.New(oidc.Options{Ledger: view().ID(), Signer: signer, Rules: rules, Now: a.now})
	if err != nil {
		closer()
		var of *oidc.RuleError
		if errors.As(err, &of) {
			return nil, nil, nil, at(of.Index, "rule %q: %v", of.Name, of.Err)
		}
		return nil, nil, nil, usagef("%s: %v", s.ciRules, err).withPath(string(s.ciRules))
	}
	if err := a.checkIssuer(view(), signer); err != nil {
		closer()
		return nil, nil, nil, err
	}
	anonymous, err := s.anonymousScopes()
	if err != nil {
		closer()
		return nil, nil, nil, err
	}
	if !anonymous.Allows(scopes) { // else it would open nothing, and shut out who shows it when it is over
		jobs = server.NewSessions(scopes)
	}
	return server.NewDelegations(x, view, jobs, log), jobs, closer, nil
}

// checkIssuer refuses a key that can never be an issuer's, and tells of one through
// which nothing would be admitted now: an administrator may register it while the server
// runs.
func (a *app) checkIssuer(v *ledger.View, signer statement.Signer) error {
	const how = "`stele key new issuer` makes one; docs/ci.md says how it is registered"
	if statement.DelegationOf(signer) != nil {
		return usagef("ci-key: that key is itself delegated; an issuer's key is registered").withHint(how)
	}
	control, err := v.Control()
	if err != nil || control.Roster() == nil {
		return nil
	}
	issuer := signer.PublicKey().ID()
	if _, m, ok := control.Roster().Key(issuer); ok && len(m.Kinds) == 0 {
		return usagef("ci-key: that is a key of %s, who is no issuer; no key is registered twice", m.Handle).withHint(how)
	}
	if s := control.Roster().Standing(issuer, v.Size(), max(a.now().UnixMilli(), v.Time())); !s.OK {
		a.term.Warnf("tokens are exchanged with key %s, which has no standing: %s", shortKey(issuer.String()), s.Detail)
	}
	return nil
}

// readCIRules reads the file of ci-rules. At makes an error of what is wrong with a rule,
// with the line on which it stands.
func readCIRules(path string) (rules []oidc.Rule, at func(rule int, format string, args ...any) error, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	d, err := draft.Read(text)
	if err != nil {
		of := new(draft.Error)
		errors.As(err, &of)
		where := path
		if of.Line > 0 {
			where = fmt.Sprintf("%s line %d", path, of.Line)
		}
		return nil, nil, usagef("%s: %s", where, of.Message).withPath(path).withHint(of.Hint)
	}
	at = func(rule int, format string, args ...any) error {
		line := d.Line(fmt.Sprintf("rules[%d]", rule))
		return usagef("%s line %d: %s", path, line, fmt.Sprintf(format, args...)).withPath(path)
	}
	var file ciRules
	if err := strictjson.Unmarshal(d.Document, &file, draft.MaxDraft, maxCIRulesDepth); err != nil {
		return nil, nil, usagef("%s: %s", path, strings.TrimPrefix(err.Error(), "json: ")).withPath(path)
	}
	rules = make([]oidc.Rule, len(file.Rules))
	for i, text := range file.Rules {
		var r ciRule
		if err := strictjson.Unmarshal(text, &r, draft.MaxDraft, maxCIRulesDepth); err != nil {
			return nil, nil, at(i, "%s (a claim is a text: numbers and true go in quotes)", strings.TrimPrefix(err.Error(), "json: "))
		}
		rules[i] = oidc.Rule{Name: r.Name, Issuer: r.Issuer, Audience: r.Audience, Claims: r.Claims, Names: r.Names, Kinds: r.Kinds}
		for _, l := range []struct {
			name, text string
			to         *time.Duration
		}{{"life", r.Life, &rules[i].Life}, {"maxAge", r.MaxAge, &rules[i].MaxAge}} {
			if l.text == "" {
				continue
			}
			if *l.to, err = time.ParseDuration(l.text); err != nil {
				return nil, nil, at(i, "rule %q: %s: %.40q is no length of time; 10m and 2h are", r.Name, l.name, l.text)
			}
		}
	}
	return rules, at, nil
}
