package oidc

import (
	"fmt"
	"slices"
	"strings"
)

// How far a token came with a rule, in the order of what is asked. Until it is shown to
// be of an owner whom the rule is for, it may be anybody's who has an account at that
// issuer: they hear nothing of the rule, neither its name nor what it wants. Once its
// claims match, the rule decides.
const (
	byAudience = iota
	byOwner
	byClaims
	byTime
	byNames
	byRequest
)

// miss is why a rule gives nothing for a token.
type miss struct {
	by   int
	what string
}

func (r *Rule) miss(by int, err error) *miss {
	return &miss{by, r.Name + ": " + strings.TrimPrefix(err.Error(), "malformed: ")} // the class is another
}

// misses are those that came farthest: what is told is about them.
type misses []*miss

func (m *misses) add(one *miss) {
	switch {
	case len(*m) == 0 || one.by > (*m)[0].by:
		*m = misses{one}
	case one.by == (*m)[0].by && !slices.ContainsFunc(*m, func(o *miss) bool { return o.what == one.what }):
		*m = append(*m, one)
	}
}

// refusal says why no rule takes a token. There is a rule for its issuer, and so a miss.
func (m misses) refusal() *Refusal {
	code, hint := Forbidden, "compare the token's claims with the server's rules"
	switch m[0].by {
	case byAudience:
		code, hint = Unauthorized, "ask for a token for that audience: `stele login --audience` or $STELE_AUDIENCE in GitHub Actions, `aud` of id_tokens in GitLab"
	case byTime:
		code, hint = Unauthorized, "get a new token"
	case byRequest:
		hint = "ask for no more than that: --names and --kinds narrow what the rule gives"
	}
	return refuse(code, hint, "no rule takes this token: %s", some(m))
}

// some joins reasons into a sentence, the first few of them.
func some(all misses) string {
	const most = 8
	var what []string
	for _, m := range all[:min(len(all), most)] {
		what = append(what, m.what)
	}
	if n := len(all) - most; n > 0 {
		what = append(what, fmt.Sprintf("and %d more", n))
	}
	return strings.Join(what, "; ")
}
