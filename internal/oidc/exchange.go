package oidc

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/stele-ml/stele/internal/strictjson"
	"github.com/stele-ml/stele/statement"
)

const (
	// MaxToken is the longest token, in bytes.
	MaxToken = 16 << 10
	// Leeway is how much the clocks of an issuer, this machine and the ledger may
	// differ.
	Leeway = 30 * time.Second

	maxClaimsDepth = 4
)

// Options are what an [Exchange] is made of.
type Options struct {
	Ledger statement.LedgerID
	Signer statement.Signer // the issuer's registered key
	Rules  []Rule           // the first that takes a token decides

	Transport http.RoundTripper // to the issuers; nil: http.DefaultTransport
	Now       func() time.Time  // nil: time.Now
}

// Exchange exchanges tokens for delegations. It is safe for concurrent use.
type Exchange struct {
	o       Options
	issuers map[string]*issuer
	used    used
}

// Request is what a job asks for.
type Request struct {
	Token string               // the CI's token, as it gave it out
	Key   *statement.PublicKey // that the delegation is to be for: made for this job
	Proof []byte               // the key's signature over [statement.DelegationRequestMessage]

	Names []string         // none: all that the rule gives; else patterns within them
	Kinds []statement.Kind // none: all that the rule gives; else some of them
	Life  time.Duration    // 0: what the rule gives; else no more
}

// RuleError is what is wrong with a rule.
type RuleError struct {
	Index int // among [Options].Rules
	Name  string
	Err   error
}

func (e *RuleError) Error() string {
	return fmt.Sprintf("rule %d for tokens, %q: %v", e.Index+1, e.Name, e.Err)
}

// Unwrap returns what is wrong, without which rule it is.
func (e *RuleError) Unwrap() error { return e.Err }

// New checks the rules. What is wrong with one is a *[RuleError].
func New(o Options) (*Exchange, error) {
	if o.Transport == nil {
		o.Transport = http.DefaultTransport
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if len(o.Rules) == 0 || len(o.Rules) > MaxRules {
		return nil, fmt.Errorf("%d rules for tokens; 1 to %d are allowed", len(o.Rules), MaxRules)
	}
	x := &Exchange{o: o, issuers: make(map[string]*issuer)}
	for i := range o.Rules {
		r := &o.Rules[i]
		if err := r.check(); err != nil {
			return nil, &RuleError{i, r.Name, err}
		}
		if x.issuers[r.Issuer] == nil {
			x.issuers[r.Issuer] = newIssuer(r.Issuer, o.Transport, o.Now)
		}
	}
	return x, nil
}

// Delegate checks a token and signs the delegation that the first rule which takes
// it gives, and says which that was. The error is a *[Refusal], unless the issuer's
// key cannot sign.
func (x *Exchange) Delegate(ctx context.Context, q Request) (*statement.Delegation, string, error) {
	if err := q.check(x.o.Ledger); err != nil {
		return nil, "", err
	}
	payload, err := unverified(q.Token)
	if err != nil {
		return nil, "", refuse(Malformed, "", "the token is no JSON Web Token")
	}
	from := x.issuers[peek(payload)]
	if from == nil {
		return nil, "", refuse(Forbidden, "the server's configuration names the issuers it knows", "no rule is for tokens of the issuer %s", short(peek(payload)))
	}
	now := x.o.Now()
	c, err := x.believe(ctx, from, q.Token, now)
	if err != nil {
		return nil, "", err
	}
	var near misses
	for i := range x.o.Rules {
		r := &x.o.Rules[i]
		if r.Issuer != from.url {
			continue
		}
		d, miss := x.apply(r, c, q, now)
		if miss != nil {
			if near.add(miss); miss.by > byClaims {
				break // it decides, and no other gives what it does not
			}
			continue
		}
		end := now.Add(r.maxAge() + 2*Leeway) // its issuer's clock may be ahead, and then this one behind
		if refusal := x.used.by(tokenID(from.url, c, payload), q.Key.ID(), end, now); refusal != nil {
			return nil, "", refusal
		}
		signed, err := statement.NewDelegation(*d, x.o.Signer)
		if errors.Is(err, statement.ErrFormat) {
			return nil, "", refuse(Forbidden, "ask for fewer names", "%s gives what makes no delegation: %w", r.Name, err)
		}
		if err != nil {
			return nil, "", fmt.Errorf("sign the delegation: %w", err)
		}
		return signed, r.Name, nil
	}
	return nil, "", near.refusal()
}

func (q *Request) check(ledger statement.LedgerID) error {
	switch {
	case q.Token == "" || len(q.Token) > MaxToken:
		return refuse(Malformed, "", "a token of %d bytes; 1 to %d are allowed", len(q.Token), MaxToken)
	case q.Key == nil:
		return refuse(Malformed, "", "no key")
	case q.Key.Algorithm() == statement.AlgorithmSSH:
		return refuse(Malformed, "make a P-256 or Ed25519 key for the job", "the key is of algorithm %s", q.Key.Algorithm())
	case len(q.Names) > statement.MaxDelegationNames:
		return refuse(Malformed, "", "%d names; at most %d are allowed", len(q.Names), statement.MaxDelegationNames)
	case q.Life < 0:
		return refuse(Malformed, "", "life %v", q.Life)
	}
	if err := q.Key.Verify(statement.DelegationRequestMessage(ledger, q.Key.ID(), q.Token), q.Proof); err != nil {
		return refuse(Malformed, "sign the request with the key that it is for", "the request is not signed by the key that it is for")
	}
	return nil
}

// unverified returns what a token says, before anybody has looked at its signature.
func unverified(token string) ([]byte, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, errors.New("a token has three parts")
	}
	return base64.RawURLEncoding.DecodeString(parts[1])
}

// believe checks that the issuer signed a token and that it has not expired, once for
// all rules, and returns its claims.
func (x *Exchange) believe(ctx context.Context, from *issuer, token string, now time.Time) (claims, error) {
	t, err := from.payload(ctx, token, func() time.Time { return now })
	if errors.Is(err, errUnreachable) {
		return nil, refuse(Unavailable, "try again", "%s: %v", from.url, err)
	}
	if err != nil {
		return nil, refuse(Unauthorized, "", "%w", plain(err))
	}
	payload, err := unverified(token) // what was verified, byte for byte
	if err != nil {
		return nil, refuse(Unauthorized, "", "the token is not believed")
	}
	c := claims{}
	if err := strictjson.UnmarshalForeign(payload, (*map[string]any)(&c), MaxToken, maxClaimsDepth); err != nil {
		return nil, refuse(Unauthorized, "", "the token's claims: %w", err)
	}
	if iss, _ := c.text("iss"); iss != from.url || t.Issuer != from.url {
		return nil, refuse(Unauthorized, "", "the token is by %s", short(iss))
	}
	return c, nil
}

// plain makes a sentence of the library's errors that holds nothing of the token.
func plain(err error) error {
	if expired := (*oidc.TokenExpiredError)(nil); errors.As(err, &expired) {
		if expired.Expiry.IsZero() {
			return errors.New("the token does not say when it expires")
		}
		return fmt.Errorf("the token expired at %s", expired.Expiry.UTC().Format(time.RFC3339))
	}
	text := short(strings.TrimPrefix(err.Error(), "oidc: "))
	text = strings.TrimSuffix(strings.TrimPrefix(text, `"`), `"`)
	return fmt.Errorf("the token is not believed: %s", strings.ReplaceAll(text, `\"`, `"`))
}

func (r *Rule) maxAge() time.Duration {
	if r.MaxAge == 0 {
		return MaxTokenAge
	}
	return r.MaxAge
}

// inTime holds "exp", "nbf" and "iat" to the clock. All but "nbf" have to be there.
func (r *Rule) inTime(c claims, now time.Time) error {
	exp, ok := c.instant("exp")
	if !ok || !now.Before(exp) {
		return fmt.Errorf("it has expired, or does not say when it does")
	}
	if _, has := c["nbf"]; has {
		if nbf, ok := c.instant("nbf"); !ok || now.Add(Leeway).Before(nbf) {
			return fmt.Errorf("it is not valid so early")
		}
	}
	iat, ok := c.instant("iat")
	switch {
	case !ok:
		return fmt.Errorf("it does not say when it was issued")
	case now.Add(Leeway).Before(iat):
		return fmt.Errorf("it was issued in the future: is a clock wrong?")
	case now.Sub(iat) > r.maxAge()+Leeway:
		return fmt.Errorf("it was issued more than %v ago", r.maxAge())
	}
	return nil
}

// apply makes what a rule gives for these claims, narrowed by what is asked for, or says
// why it gives nothing.
func (x *Exchange) apply(r *Rule, c claims, q Request, now time.Time) (*statement.DelegationClaims, *miss) {
	if !slices.Contains(c.audience(), r.Audience) {
		return nil, &miss{byAudience, fmt.Sprintf("it is for %s, not for %s", short(strings.Join(c.audience(), ", ")), short(r.Audience))}
	}
	if err := r.known(c); err != nil {
		return nil, &miss{byOwner, err.Error()}
	}
	if err := r.takes(c); err != nil {
		return nil, r.miss(byClaims, err)
	}
	if err := r.inTime(c, now); err != nil {
		return nil, r.miss(byTime, err)
	}
	d, err := r.gives(c)
	if err != nil {
		return nil, r.miss(byNames, err)
	}
	if err := narrow(d, q); err != nil {
		return nil, r.miss(byRequest, err)
	}
	life := r.Life
	if life == 0 {
		life = MaxLife
	}
	if q.Life > 0 {
		life = min(life, q.Life)
	}
	d.Ledger, d.Key = x.o.Ledger, q.Key
	d.NotBefore, d.NotAfter = now.Add(-Leeway).UnixMilli(), now.Add(life).UnixMilli()
	return d, nil
}

// gives is what a rule gives for these claims, at most.
func (r *Rule) gives(c claims) (*statement.DelegationClaims, error) {
	d := &statement.DelegationClaims{Subject: c.subject(), Source: r.Issuer, Kinds: slices.Clone(r.Kinds)}
	for _, template := range r.Names {
		name, err := fill(template, c)
		if err != nil {
			return nil, err
		}
		d.Names = append(d.Names, name)
	}
	slices.Sort(d.Names)
	slices.Sort(d.Kinds)
	d.Names, d.Kinds = slices.Compact(d.Names), slices.Compact(d.Kinds)
	return d, statement.CheckText("the token's subject", d.Subject, statement.MaxDelegationSubject)
}

// narrow takes away what is not asked for. More than there is cannot be asked for.
func narrow(d *statement.DelegationClaims, q Request) error {
	for _, name := range q.Names {
		if err := statement.CheckPattern(name); err != nil {
			return err
		}
		if !slices.ContainsFunc(d.Names, func(p string) bool { return within(p, name) }) {
			return fmt.Errorf("it gives the names %v, which do not cover %s", d.Names, name)
		}
	}
	for _, kind := range q.Kinds {
		if !slices.Contains(d.Kinds, kind) {
			return fmt.Errorf("it gives the kinds %v, and not %s", d.Kinds, short(string(kind)))
		}
	}
	if len(q.Names) > 0 {
		d.Names = slices.Compact(slices.Sorted(slices.Values(q.Names)))
	}
	if len(q.Kinds) > 0 {
		d.Kinds = slices.Compact(slices.Sorted(slices.Values(q.Kinds)))
	}
	return nil
}

// within reports whether a pattern of names covers all that another does.
func within(outer, inner string) bool {
	prefix, star := strings.CutSuffix(outer, "*")
	if !star {
		return outer == inner
	}
	return strings.HasPrefix(strings.TrimSuffix(inner, "*"), prefix)
}
