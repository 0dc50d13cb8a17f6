package config

import "time"

// Delegations say which CI tokens a server exchanges for delegations, and with which
// key: the section "delegations" of the file. docs/ci.md has one whole.
type Delegations struct {
	Key   string           `yaml:"key"`   // of the issuer: a key's name, or a file of mode 0600
	Rules []DelegationRule `yaml:"rules"` // the first that takes a token decides

	// Scopes are those of the bearer token that a job gets beside its delegation;
	// empty: entries,submit.
	Scopes string `yaml:"scopes"`
}

// DelegationRule says which tokens are exchanged, and for what.
type DelegationRule struct {
	Name     string            `yaml:"name"`     // for logs and refusals
	Issuer   string            `yaml:"issuer"`   // the token's "iss"
	Audience string            `yaml:"audience"` // one of its "aud"
	Claims   map[string]string `yaml:"claims"`   // patterns by claim: * any characters but /, ** any
	Names    []string          `yaml:"names"`    // patterns of names; ${claim} is a claim's value
	Kinds    []string          `yaml:"kinds"`    // of statements
	Life     time.Duration     `yaml:"life"`     // at most 15m, which it is by itself
	MaxAge   time.Duration     `yaml:"max-age"`  // of a token, 10m by itself
}
