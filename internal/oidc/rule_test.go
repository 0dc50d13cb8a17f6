package oidc

import (
	"testing"
	"time"

	"github.com/stele-ml/stele/statement"
)

func TestMatch(t *testing.T) {
	for _, test := range []struct {
		pattern, value string
		want           bool
	}{
		{"acme/fraud", "acme/fraud", true},
		{"acme/fraud", "acme/fraud2", false},
		{"acme/fraud", "acme/frau", false},
		{"acme/*", "acme/fraud", true},
		{"acme/*", "acme/", true},
		{"acme/*", "acme/a/b", false},
		{"acme/*", "acme", false},
		{"acme/**", "acme/a/b", true},
		{"refs/heads/*", "refs/heads/feature/x", false},
		{"refs/heads/**", "refs/heads/feature/x", true},
		{"*", "", true},
		{"", "", true},
		{"", "x", false},
		{"a*b*c", "a1b2c", true},
		{"a*b*c", "a1b/c", false},
		{"a**c", "a1b/c", true},
		{"*.yml@refs/**", "train.yml@refs/heads/main", true},
		{"ACME/*", "acme/x", false},
	} {
		if got := match(test.pattern, test.value); got != test.want {
			t.Errorf("match(%q, %q) = %v", test.pattern, test.value, got)
		}
	}
}

// Rules that would take tokens of people whom nobody had in mind are refused where
// they are written.
func TestRulesThatAreRefused(t *testing.T) {
	good := func() Rule {
		return Rule{Name: "fraud", Issuer: "https://token.actions.githubusercontent.com", Audience: "a",
			Claims: map[string]string{"repository": "acme/fraud"}, Names: []string{"fraud/*"}, Kinds: []statement.Kind{statement.KindStamp}}
	}
	for name, change := range map[string]func(*Rule){
		"no name":                           func(r *Rule) { r.Name = "" },
		"no issuer":                         func(r *Rule) { r.Issuer = "" },
		"plain http":                        func(r *Rule) { r.Issuer = "http://token.example" },
		"an issuer with a query":            func(r *Rule) { r.Issuer += "?x=y" },
		"an issuer with a password":         func(r *Rule) { r.Issuer = "https://a:b@token.example" },
		"no audience":                       func(r *Rule) { r.Audience = "" },
		"no claims":                         func(r *Rule) { r.Claims = nil },
		"everybody's repositories":          func(r *Rule) { r.Claims = map[string]string{"repository": "*/fraud"} },
		"everybody's, by a prefix":          func(r *Rule) { r.Claims = map[string]string{"repository": "acme*/fraud"} },
		"everybody's, by an owner's prefix": func(r *Rule) { r.Claims = map[string]string{"repository_owner": "acme*"} },
		"everybody's subject":               func(r *Rule) { r.Claims = map[string]string{"sub": "repo:acme*"} },
		"a branch of everybody's":           func(r *Rule) { r.Claims = map[string]string{"ref": "refs/heads/main"} },
		"no pattern":                        func(r *Rule) { r.Claims["ref"] = "" },
		"three stars":                       func(r *Rule) { r.Claims["ref"] = "***" },
		"no claim's name":                   func(r *Rule) { r.Claims["a b"] = "x" },
		"no names":                          func(r *Rule) { r.Names = nil },
		"a name with capitals":              func(r *Rule) { r.Names = []string{"Fraud/*"} },
		"a claim that runs on":              func(r *Rule) { r.Names = []string{"${repository}*"} },
		"a claim that runs on with words":   func(r *Rule) { r.Names = []string{"${repository}-x"} },
		"a claim without a name":            func(r *Rule) { r.Names = []string{"${}/*"} },
		"half a claim":                      func(r *Rule) { r.Names = []string{"${repository/*"} },
		"no kinds":                          func(r *Rule) { r.Kinds = nil },
		"approvals":                         func(r *Rule) { r.Kinds = []statement.Kind{statement.KindApproval} },
		"too long a life":                   func(r *Rule) { r.Life = MaxLife + time.Second },
		"too short a life":                  func(r *Rule) { r.Life = time.Second },
		"tokens of last week":               func(r *Rule) { r.MaxAge = LongestTokenAge + time.Second },
	} {
		r := good()
		change(&r)
		if err := r.check(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	for name, change := range map[string]func(*Rule){
		"as it is":              func(*Rule) {},
		"an owner's":            func(r *Rule) { r.Claims = map[string]string{"repository": "acme/*"} },
		"an owner's by number":  func(r *Rule) { r.Claims = map[string]string{"repository_owner_id": "1234"} },
		"a subject's":           func(r *Rule) { r.Claims = map[string]string{"sub": "repo:acme/fraud:*"} },
		"a claim in the names":  func(r *Rule) { r.Names = []string{"ci/${repository}", "${repository}/*"} },
		"an issuer on loopback": func(r *Rule) { r.Issuer = "http://127.0.0.1:8080" },
	} {
		r := good()
		change(&r)
		if err := r.check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := New(Options{}); err == nil {
		t.Error("an exchange without rules")
	}
}

func TestFill(t *testing.T) {
	c := claims{"repository": "acme/fraud", "owner": "Acme", "star": "acme/*", "up": "../x", "empty": "", "list": []any{"a"}}
	if got, err := fill("${repository}/*", c); err != nil || got != "acme/fraud/*" {
		t.Errorf("%q, %v", got, err)
	}
	for _, template := range []string{"${owner}/*", "${star}", "${up}/*", "${empty}/*", "${missing}/*", "${list}/*"} {
		if got, err := fill(template, c); err == nil {
			t.Errorf("%s became %q", template, got)
		}
	}
}

func FuzzMatch(f *testing.F) {
	f.Add("acme/**", "acme/a/b")
	f.Add("*", "")
	f.Fuzz(func(t *testing.T, pattern, value string) {
		if exact(pattern) && match(pattern, value) != (pattern == value) {
			t.Errorf("match(%q, %q)", pattern, value)
		}
		if match(pattern, value) && !match(pattern+"**", value+"/x") {
			t.Errorf("%q matches %q, and with ** after it not what goes on", pattern, value)
		}
	})
}
