package main

import (
	"context"
	"os"
	"time"

	"github.com/stele-ml/stele/internal/draft"
	"github.com/stele-ml/stele/internal/oidc"
	"github.com/stele-ml/stele/internal/strictjson"
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

// exchange makes the exchange of CI tokens, or none where the settings name no rules.
// The issuer's key is read once; closing ends the connection to its agent.
func (a *app) exchange(ctx context.Context, s *serveSettings, id statement.LedgerID) (x *oidc.Exchange, closer func(), err error) {
	if s.ciRules == "" {
		return nil, func() {}, nil
	}
	rules, err := readCIRules(string(s.ciRules))
	if err != nil {
		return nil, nil, err
	}
	with := *a
	with.keyFlag = string(s.ciKey)
	signer, closer, err := with.signer(ctx)
	if err != nil {
		return nil, nil, err
	}
	x, err = oidc.New(oidc.Options{Ledger: id, Signer: signer, Rules: rules, Now: a.now})
	if err != nil {
		closer()
		return nil, nil, usagef("%s: %v", s.ciRules, err).withPath(string(s.ciRules))
	}
	return x, closer, nil
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
