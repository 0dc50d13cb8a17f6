package oidc

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stele-ml/stele/statement"
)

// Anybody with an account at the issuer gets tokens of it, of any age and for any
// audience: they learn nothing of whom the rules are for.
func TestAttackStrangerAsksAround(t *testing.T) {
	w := newWorld(t)
	w.exchange(
		w.rule(func(r *Rule) {
			r.Name, r.Claims = "secret", map[string]string{"repository": "acme/secret", "environment": "vault"}
		}),
		w.rule(func(r *Rule) {
			r.Name, r.Claims = "numbered", map[string]string{"repository_owner_id": "4711", "ref": "refs/tags/v*"}
		}),
	)
	stranger := []func(map[string]any){with("repository", "mallory/x"), with("repository_owner", "mallory"), with("repository_owner_id", "666")}
	for name, change := range map[string]func(map[string]any){
		"a token":              func(map[string]any) {},
		"for another audience": with("aud", "https://other.example"),
		"an old one":           with("iat", w.now.Add(-time.Hour).Unix()),
		"without an owner":     with("repository_owner_id", nil),
		"with what it guessed": with("environment", "vault"),
	} {
		_, err := w.ask(w.p.token("1", w.p.github(w.now, append(stranger, change)...)))
		var r *Refusal
		if !errors.As(err, &r) {
			t.Fatalf("%s: %v", name, err)
		}
		for _, inner := range []string{"secret", "numbered", "4711", "vault", "tags"} {
			if strings.Contains(r.Message+r.Hint, inner) {
				t.Errorf("%s: %q tells of %q", name, r.Message, inner)
			}
		}
	}
}

// A job of one's own hears what it can mend, of the rules that come nearest.
func TestNearest(t *testing.T) {
	w := newWorld(t)
	w.exchange(
		w.rule(func(r *Rule) { r.Name, r.Audience = "elsewhere", "https://other.example" }),
		w.rule(func(r *Rule) { r.Name, r.Claims = "others", map[string]string{"repository": "acme/other"} }),
		w.rule(func(r *Rule) { r.Claims["environment"] = "training" }),
		w.rule(func(r *Rule) { r.Name, r.Claims["ref"] = "tags", "refs/tags/*" }),
	)
	token := func(change ...func(map[string]any)) string { return w.p.token("1", w.p.github(w.now, change...)) }
	for name, c := range map[string]struct {
		token, code, message, hint string
	}{
		"its claims": {token(), Forbidden, `no rule takes this token: fraud: the token has no environment; tags: ref is "refs/heads/main", not "refs/tags/*"`, "compare"},
		"its audience": {token(with("aud", "https://x.example")), Unauthorized,
			`no rule takes this token: it is for "https://x.example", not for "https://other.example"; it is for "https://x.example", not for "https://ledger.example"`, "--audience"},
		"its age": {token(with("iat", w.now.Add(-time.Hour).Unix()), with("environment", "training")), Unauthorized,
			`no rule takes this token: fraud: it was issued more than 10m0s ago`, "new token"},
	} {
		_, err := w.ask(c.token)
		var r *Refusal
		if !errors.As(err, &r) || r.Code != c.code || r.Message != c.message || !strings.Contains(r.Hint, c.hint) {
			t.Errorf("%s: %+v", name, err)
		}
	}
}

// What is asked for beyond what the rule gives is told as that.
func TestAskedTooMuch(t *testing.T) {
	w := newWorld(t)
	many := make([]string, statement.MaxDelegationNames)
	for i := range many {
		many[i] = fmt.Sprintf("acme/fraud/%s%d", strings.Repeat("x", 200), i)
	}
	for name, c := range map[string]struct {
		change     func(*Request)
		code, hint string
	}{
		"a name":         {func(q *Request) { q.Names = []string{"other/*"} }, Forbidden, "--names"},
		"a kind":         {func(q *Request) { q.Kinds = []statement.Kind{statement.KindRelease} }, Forbidden, "--kinds"},
		"too many names": {func(q *Request) { q.Names = append(many, "acme/fraud/y") }, Malformed, ""},
		"too much text":  {func(q *Request) { q.Names = many }, Forbidden, "fewer names"},
	} {
		q := request(t, w.p.token("1", w.p.github(w.now)), newSigner(t))
		c.change(&q)
		_, _, err := w.x.Delegate(t.Context(), q)
		var r *Refusal
		if !errors.As(err, &r) || r.Code != c.code || !strings.Contains(r.Hint, c.hint) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A job has a narrow rule before a wide one, and asks for what only the wide one gives,
// or waits until its token is too old for the narrow one.
func TestAttackNextRule(t *testing.T) {
	w := newWorld(t)
	w.exchange(
		w.rule(func(r *Rule) {
			r.Name, r.Names, r.Kinds = "narrow", []string{"sandbox/*"}, []statement.Kind{statement.KindRun}
		}),
		w.rule(func(r *Rule) {
			r.Name, r.Claims, r.Names, r.MaxAge = "wide", map[string]string{"repository": "acme/*"}, []string{"*"}, time.Hour
		}),
	)
	token := func(change ...func(map[string]any)) string { return w.p.token("1", w.p.github(w.now, change...)) }
	for name, c := range map[string]struct {
		token  string
		change func(*Request)
	}{
		"another name": {token(), func(q *Request) { q.Names = []string{"models/*"} }},
		"another kind": {token(), func(q *Request) { q.Kinds = []statement.Kind{statement.KindStamp} }},
		"later":        {token(with("iat", w.now.Add(-20*time.Minute).Unix())), func(*Request) {}},
	} {
		q := request(t, c.token, newSigner(t))
		c.change(&q)
		if d, rule, err := w.x.Delegate(t.Context(), q); err == nil {
			t.Errorf("%s: the rule %q gives %v, %v", name, rule, d.Names, d.Kinds)
		}
	}
	if _, rule, err := w.x.Delegate(t.Context(), request(t, token(with("ref", "refs/heads/other")), newSigner(t))); err != nil || rule != "wide" {
		t.Errorf("another branch: %q, %v", rule, err)
	}
}
