package main

import (
	"strings"
	"testing"
)

const goodCIRules = `rules:
  - name: fraud main
    issuer: https://token.actions.githubusercontent.com
    audience: https://ledger.example
    claims: {repository: acme/fraud}
    names: ["fraud/*"]
    kinds: [stamp]
  - name: gitlab
    issuer: https://gitlab.example
    audience: https://ledger.example
    claims: {project_path: acme/fraud}
    names: ["fraud/*"]
    kinds: [run]
    maxAge: 2h
`

// What is wrong with the rules for tokens, or with the key that signs for them, is told
// before anybody is served, and where it stands.
func TestCIRulesThatAreRefused(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.must("init", "--handle", "ada", "-q")
	p.newIssuer()
	for name, c := range map[string]struct {
		from, to string
		words    string
	}{
		"a member that is not known":  {"maxAge", "maxage", `rules.yaml line 8: unknown member "/maxage"`},
		"a number for a text":         {"project_path: acme/fraud", "project_id: 4711", "rules.yaml line 8: member \"/claims/project_id\": wrong type"},
		"no length of time":           {"2h", "2 hours", `rules.yaml line 8: rule "gitlab": maxAge: "2 hours" is no length`},
		"everybody's tokens":          {"acme/fraud}\n    names: [\"fraud/*\"]\n    kinds: [run]", "\"*\"}\n    names: [\"fraud/*\"]\n    kinds: [run]", `rules.yaml line 8: rule "gitlab": it would take tokens of anybody`},
		"an anchor":                   {"kinds: [run]", "kinds: &a [run]", "rules.yaml line 13: an anchor"},
		"another list":                {"rules:", "rulez:", `rules.yaml: unknown member "/rulez"`},
		"no rules":                    {goodCIRules, "rules: []", "0 rules"},
		"a key that is not there":     {"", "", `no key "nokey" (from ci-key)`},
		"the key of an administrator": {"", "", "a key of ada, who is no issuer"},
	} {
		p.write("rules.yaml", strings.Replace(goodCIRules, c.from, c.to, 1))
		key, status := "issuer", exitUsage
		switch name {
		case "a key that is not there":
			key, status = "nokey", exitNotFound
		case "the key of an administrator":
			key = "default"
		}
		_, errs, got := p.stele("serve", "--listen", "127.0.0.1:0", "--ci-key", key, "--ci-rules", "rules.yaml")
		if got != status || !strings.Contains(errs, c.words) {
			t.Errorf("%s: exit status %d, want %d and %q\n%s", name, got, status, c.words, errs)
		}
	}
}
