package oidc

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/stele-ml/stele/statement"
)

type world struct {
	t      *testing.T
	p      *provider
	x      *Exchange
	issuer statement.Signer
	now    time.Time
}

var ledgerID = statement.LedgerID{0x5e}

func newSigner(t *testing.T) statement.Signer {
	t.Helper()
	key, err := statement.GenerateP256(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s, err := statement.NewP256(key, nil)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func (w *world) rule(change ...func(*Rule)) Rule {
	r := Rule{
		Name: "fraud", Issuer: w.p.url(), Audience: audience,
		Claims: map[string]string{"repository": "acme/fraud", "ref": "refs/heads/main"},
		Names:  []string{"${repository}/*", "shared/fraud"}, Kinds: []statement.Kind{statement.KindStamp, statement.KindRun},
	}
	for _, f := range change {
		f(&r)
	}
	return r
}

func newWorld(t *testing.T, change ...func(*Rule)) *world {
	t.Helper()
	w := &world{t: t, p: newProvider(t), issuer: newSigner(t), now: time.Now().Truncate(time.Second)}
	w.exchange(w.rule(change...))
	return w
}

func (w *world) exchange(rules ...Rule) {
	w.t.Helper()
	var err error
	w.x, err = New(Options{Ledger: ledgerID, Signer: w.issuer, Rules: rules, Now: func() time.Time { return w.now }})
	if err != nil {
		w.t.Fatal(err)
	}
}

// request asks for a delegation for a new key, as a client does.
func request(t *testing.T, token string, s statement.Signer) Request {
	t.Helper()
	proof, err := s.Sign(statement.DelegationRequestMessage(ledgerID, s.PublicKey().ID(), token))
	if err != nil {
		t.Fatal(err)
	}
	return Request{Token: token, Key: s.PublicKey(), Proof: proof}
}

func (w *world) ask(token string) (*statement.Delegation, error) {
	w.t.Helper()
	d, _, err := w.x.Delegate(w.t.Context(), request(w.t, token, newSigner(w.t)))
	return d, err
}

// refused expects a refusal of that code, with words, and without the token.
func (w *world) refused(token, code string, words ...string) {
	w.t.Helper()
	d, err := w.ask(token)
	var r *Refusal
	if d != nil || !errors.As(err, &r) || r.Code != code {
		w.t.Errorf("%+v, %v; want a refusal by %s", d, err, code)
		return
	}
	contains(w.t, r.Message, words...)
	if parts := strings.Split(token, "."); len(parts) == 3 && strings.Contains(r.Message, parts[2]) && parts[2] != "" {
		w.t.Errorf("the refusal has the token in it: %s", r.Message)
	}
}

func TestExchange(t *testing.T) {
	w := newWorld(t)
	d, err := w.ask(w.p.token("1", w.p.github(w.now)))
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Verify(w.issuer.PublicKey()); err != nil {
		t.Error(err)
	}
	if d.Ledger != ledgerID || d.Subject != "repo:acme/fraud@refs/heads/main" || d.Source != w.p.url() ||
		!slices.Equal(d.Names, []string{"acme/fraud/*", "shared/fraud"}) || !slices.Equal(d.Kinds, []statement.Kind{statement.KindRun, statement.KindStamp}) {
		t.Errorf("%+v", d.DelegationClaims)
	}
	if d.NotBefore != w.now.Add(-Leeway).UnixMilli() || d.NotAfter != w.now.Add(MaxLife).UnixMilli() {
		t.Errorf("valid from %d to %d, at %d", d.NotBefore, d.NotAfter, w.now.UnixMilli())
	}
}

func TestAttackTokens(t *testing.T) {
	w := newWorld(t)
	other := newProvider(t) // an issuer that no rule names
	token := func(change ...func(map[string]any)) string { return w.p.token("1", w.p.github(w.now, change...)) }
	w.p.mu.Lock()
	key := w.p.keys["1"].(*ecdsa.PrivateKey)
	w.p.mu.Unlock()
	spki, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(w.p.github(w.now))
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	good := strings.Split(token(), ".")
	for name, test := range map[string]struct {
		token, code string
		words       string
	}{
		"for another audience":      {token(with("aud", "https://other.example")), Unauthorized, "not for"},
		"for no audience":           {token(with("aud", nil)), Unauthorized, "not for"},
		"of another repository":     {token(with("repository", "acme/other")), Forbidden, "repository"},
		"of a twin by prefix":       {token(with("repository", "acme/fraud-evil")), Forbidden, "repository"},
		"of another branch":         {token(with("ref", "refs/heads/feature")), Forbidden, "ref"},
		"of a pull request":         {token(with("ref", "refs/pull/7/merge"), with("event_name", "pull_request")), Forbidden, "ref"},
		"of a fork, on target":      {token(with("event_name", "pull_request_target")), Forbidden, "without write access"},
		"of a workflow_run":         {token(with("event_name", "workflow_run")), Forbidden, "without write access"},
		"without a ref":             {token(with("ref", nil)), Forbidden, "no ref"},
		"with a ref that is a list": {token(with("ref", []string{"refs/heads/main"})), Forbidden, "no ref"},
		"by another issuer":         {other.token("1", other.github(w.now)), Forbidden, "issuer"},
		"by another issuer in this one's name": {other.token("1", other.github(w.now, with("iss", w.p.url()))), Unauthorized,
			"signature"},
		"expired":                    {token(with("exp", w.now.Add(-time.Second).Unix())), Unauthorized, "expired"},
		"that never expires":         {token(with("exp", nil)), Unauthorized, "expire"},
		"not valid yet":              {token(with("nbf", w.now.Add(time.Minute).Unix())), Unauthorized, "early"},
		"from the future":            {token(with("iat", w.now.Add(time.Minute).Unix())), Unauthorized, "future"},
		"from long ago":              {token(with("iat", w.now.Add(-time.Hour).Unix())), Unauthorized, "ago"},
		"of no time":                 {token(with("iat", nil)), Unauthorized, "issued"},
		"signed by nobody":           {b64([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + b64(payload) + ".", Unauthorized, ""},
		"signed with the public key": {signed(t, jose.HS256, spki, "1", w.p.github(w.now)), Unauthorized, ""},
		"signed by a stranger":       {signed(t, jose.ES256, stranger, "1", w.p.github(w.now)), Unauthorized, "signature"},
		"with another's payload":     {good[0] + "." + b64(payload) + "." + good[2], Unauthorized, "signature"},
		"cut off":                    {good[0] + "." + good[1] + ".", Unauthorized, ""},
		"two parts":                  {good[0] + "." + good[1], Malformed, ""},
		"nothing":                    {"", Malformed, ""},
		"endless":                    {strings.Repeat("a", MaxToken+1), Malformed, ""},
		"a name that is a pattern":   {token(with("repository", "acme/*")), Forbidden, ""},
	} {
		t.Run(name, func(t *testing.T) { w.refused(test.token, test.code, test.words) })
	}
}

func TestAttackReplay(t *testing.T) {
	w := newWorld(t)
	token := w.p.token("1", w.p.github(w.now))
	job := newSigner(t)
	if _, _, err := w.x.Delegate(t.Context(), request(t, token, job)); err != nil {
		t.Fatal(err)
	}
	w.refused(token, Unauthorized, "already exchanged")
	if _, _, err := w.x.Delegate(t.Context(), request(t, token, job)); err != nil {
		t.Errorf("whose answer was lost asks again: %v", err)
	}
}

func TestTokenWithoutID(t *testing.T) {
	w := newWorld(t)
	token := w.p.token("1", w.p.github(w.now, with("jti", nil)))
	if _, err := w.ask(token); err != nil {
		t.Fatal(err)
	}
	w.refused(token, Unauthorized, "already exchanged")
}

// Whoever has a token asks for a delegation for a key that is not theirs.
func TestAttackSomebodyElsesKey(t *testing.T) {
	w := newWorld(t)
	token := w.p.token("1", w.p.github(w.now))
	q := request(t, token, newSigner(t))
	q.Key = newSigner(t).PublicKey()
	var r *Refusal
	if _, _, err := w.x.Delegate(t.Context(), q); !errors.As(err, &r) || r.Code != Malformed {
		t.Errorf("%v", err)
	}
	q = request(t, token, newSigner(t)) // with a proof that was made for another token
	q.Token = w.p.token("1", w.p.github(w.now))
	if _, _, err := w.x.Delegate(t.Context(), q); !errors.As(err, &r) || r.Code != Malformed {
		t.Errorf("%v", err)
	}
}

func TestNarrowed(t *testing.T) {
	w := newWorld(t)
	ask := func(change func(*Request)) (*statement.Delegation, error) {
		q := request(t, w.p.token("1", w.p.github(w.now)), newSigner(t))
		change(&q)
		d, _, err := w.x.Delegate(t.Context(), q)
		return d, err
	}
	d, err := ask(func(q *Request) {
		q.Names, q.Kinds, q.Life = []string{"acme/fraud/model"}, []statement.Kind{statement.KindRun}, 2*time.Minute
	})
	if err != nil || !slices.Equal(d.Names, []string{"acme/fraud/model"}) || len(d.Kinds) != 1 || d.NotAfter != w.now.Add(2*time.Minute).UnixMilli() {
		t.Errorf("%+v, %v", d, err)
	}
	if d, err := ask(func(q *Request) { q.Life = time.Hour }); err != nil || d.NotAfter != w.now.Add(MaxLife).UnixMilli() {
		t.Errorf("an hour was asked for: %+v, %v", d, err)
	}
	for name, change := range map[string]func(*Request){
		"more names":     func(q *Request) { q.Names = []string{"acme/*"} },
		"all names":      func(q *Request) { q.Names = []string{"*"} },
		"another's name": func(q *Request) { q.Names = []string{"acme/fraud/model", "shared/fraud-evil"} },
		"no name":        func(q *Request) { q.Names = []string{"../x"} },
		"another kind":   func(q *Request) { q.Kinds = []statement.Kind{statement.KindRelease} },
		"an approval":    func(q *Request) { q.Kinds = []statement.Kind{statement.KindApproval} },
	} {
		var r *Refusal
		if d, err := ask(change); !errors.As(err, &r) || r.Code != Forbidden {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}

func TestKeyRotation(t *testing.T) {
	w := newWorld(t)
	old := w.p.token("1", w.p.github(w.now))
	if _, err := w.ask(w.p.token("1", w.p.github(w.now))); err != nil {
		t.Fatal(err)
	}
	w.p.rotate("2")
	// Within a moment the keys are not asked for again: not for each token that
	// anybody makes up.
	before := w.p.asked.Load()
	for range 5 {
		w.refused(w.p.token("2", w.p.github(w.now)), Unauthorized)
	}
	if n := w.p.asked.Load() - before; n > 0 {
		t.Errorf("the issuer was asked %d times within a moment", n)
	}
	w.now = w.now.Add(keysRest)
	if _, err := w.ask(w.p.token("2", w.p.github(w.now))); err != nil {
		t.Errorf("a token by the new key: %v", err)
	}
	w.refused(old, Unauthorized, "signature")
}

func TestIssuerUnreachable(t *testing.T) {
	for name, how := range map[string]http.HandlerFunc{
		"down":      func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) },
		"failing":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		"redirects": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`{"issuer":"` + strings.Repeat("x", maxDocument+1) + `"}`))
		},
		"no JSON": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"another issuer": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"issuer":"https://other.example","jwks_uri":"https://other.example/keys"}`)
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			token := w.p.token("1", w.p.github(w.now))
			w.p.breaks(how)
			w.refused(token, Unavailable, "")
			w.p.breaks(nil)
			w.now = w.now.Add(keysRest)
			if _, err := w.ask(token); err != nil {
				t.Errorf("once it answers again: %v", err)
			}
		})
	}
	t.Run("keys over plain http", func(t *testing.T) {
		w := newWorld(t)
		url := w.p.url()
		w.p.breaks(func(rw http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(rw, `{"issuer":%q,"jwks_uri":"http://keys.example/keys"}`, url)
		})
		w.refused(w.p.token("1", w.p.github(w.now)), Unavailable, "https")
	})
	t.Run("it hangs", func(t *testing.T) {
		w := newWorld(t)
		token := w.p.token("1", w.p.github(w.now))
		asked, let := w.p.hangs()
		defer let()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { <-asked; cancel() }()
		var r *Refusal
		if _, _, err := w.x.Delegate(ctx, request(t, token, newSigner(t))); !errors.As(err, &r) || r.Code != Unavailable {
			t.Errorf("%v", err)
		}
	})
}

// A rule may want what strangers can set off, and says so by name.
func TestRuleThatNamesTheEvent(t *testing.T) {
	w := newWorld(t, func(r *Rule) { r.Claims["event_name"] = "pull_request_target" })
	if _, err := w.ask(w.p.token("1", w.p.github(w.now, with("event_name", "pull_request_target")))); err != nil {
		t.Error(err)
	}
	w.refused(w.p.token("1", w.p.github(w.now)), Forbidden, "event_name")
	w = newWorld(t, func(r *Rule) { r.Claims["event_name"] = "**" })
	w.refused(w.p.token("1", w.p.github(w.now, with("event_name", "pull_request_target"))), Forbidden, "names it")
}

func TestGitLab(t *testing.T) {
	w := newWorld(t)
	w.exchange(w.rule(func(r *Rule) {
		r.Claims = map[string]string{"project_path": "acme/fraud", "ref_protected": "true", "project_id": "42"}
		r.Names, r.MaxAge = []string{"fraud/*"}, time.Hour
	}))
	gitlab := func(change ...func(map[string]any)) string {
		c := map[string]any{"iss": w.p.url(), "aud": []string{"https://x.example", audience}, "sub": "project_path:acme/fraud:ref_type:branch:ref:main",
			"iat": w.now.Add(-30 * time.Minute).Unix(), "exp": w.now.Add(time.Hour).Unix(), "jti": fmt.Sprintf("%x", randomBytes(8)),
			"project_path": "acme/fraud", "project_id": 42, "ref": "main", "ref_protected": true, "pipeline_source": "push"}
		for _, f := range change {
			f(c)
		}
		return w.p.token("1", c)
	}
	d, err := w.ask(gitlab())
	if err != nil || d.Subject != "project:acme/fraud@main" {
		t.Errorf("%+v, %v", d, err)
	}
	w.refused(gitlab(with("ref_protected", "false")), Forbidden, "ref_protected")
	w.refused(gitlab(with("pipeline_source", "merge_request_event")), Forbidden, "without write access")
	w.refused(gitlab(with("iat", w.now.Add(-2*time.Hour).Unix())), Unauthorized, "ago")
}

// The first rule that takes a token decides.
func TestFirstRuleThatTakesIt(t *testing.T) {
	w := newWorld(t)
	w.exchange(
		w.rule(func(r *Rule) {
			r.Name, r.Claims = "tags", map[string]string{"repository": "acme/fraud", "ref": "refs/tags/*"}
		}),
		w.rule(func(r *Rule) {
			r.Name, r.Kinds, r.Claims = "branches", []statement.Kind{statement.KindEvaluation}, map[string]string{"repository": "acme/*", "ref": "refs/heads/**"}
		}),
		w.rule(),
	)
	_, rule, err := w.x.Delegate(t.Context(), request(t, w.p.token("1", w.p.github(w.now)), newSigner(t)))
	if err != nil || rule != "branches" {
		t.Errorf("%q, %v", rule, err)
	}
}

func TestUsedIsBounded(t *testing.T) {
	u := new(used)
	now := time.Unix(1_700_000_000, 0)
	for i := range maxUsed {
		var id [32]byte
		id[0], id[1], id[2] = byte(i), byte(i>>8), byte(i>>16)
		if r := u.by(id, statement.KeyID{}, now.Add(time.Minute), now); r != nil {
			t.Fatal(r)
		}
	}
	if r := u.by([32]byte{31: 1}, statement.KeyID{}, now.Add(time.Minute), now); r == nil || r.Code != Unavailable {
		t.Errorf("one more: %v", r)
	}
	if r := u.by([32]byte{31: 1}, statement.KeyID{}, now.Add(time.Hour), now.Add(2*time.Minute)); r != nil {
		t.Errorf("once the others are over: %v", r)
	}
	if len(u.until) != 1 {
		t.Errorf("%d are remembered", len(u.until))
	}
}

// TestThiefWaits: a stolen token that was exchanged is not taken for another key later
// either, where a second rule takes older ones, or the issuer's clock is ahead.
func TestThiefWaits(t *testing.T) {
	for _, c := range []struct {
		name  string
		ahead time.Duration
		later time.Duration
		rules []func(*Rule)
	}{
		{"another rule", 0, 11 * time.Minute, []func(*Rule){func(*Rule) {}, func(r *Rule) { r.Name, r.MaxAge = "long", 2*time.Hour }}},
		{"a clock ahead", Leeway - time.Second, MaxTokenAge + Leeway + 15*time.Second, []func(*Rule){func(*Rule) {}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t)
			var rules []Rule
			for _, with := range c.rules {
				rules = append(rules, w.rule(with))
			}
			w.exchange(rules...)
			stolen := w.p.token("1", w.p.github(w.now, func(claims map[string]any) {
				claims["iat"], claims["exp"] = w.now.Add(c.ahead).Unix(), w.now.Add(time.Hour).Unix()
			}))
			if _, err := w.ask(stolen); err != nil {
				t.Fatal(err)
			}
			w.now = w.now.Add(c.later)
			if _, err := w.ask(w.p.token("1", w.p.github(w.now))); err != nil { // it sweeps what is over
				t.Fatal(err)
			}
			if d, err := w.ask(stolen); err == nil {
				t.Errorf("a second delegation: %+v", d)
			}
		})
	}
}

// TestIssuerIsAway: one that fails is not asked once for each token that anybody makes
// up, and is asked again after a moment.
func TestIssuerIsAway(t *testing.T) {
	w := newWorld(t)
	var asked atomic.Int64
	w.p.breaks(func(rw http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		rw.WriteHeader(http.StatusInternalServerError)
	})
	forged := w.p.token("1", w.p.github(w.now))
	forged = forged[:len(forged)-4] + "AAAA"
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() { _, _ = w.ask(forged) })
	}
	all.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("it was asked %d times", n)
	}
	w.p.breaks(nil)
	w.now = w.now.Add(failureRest)
	if _, err := w.ask(w.p.token("1", w.p.github(w.now))); err != nil {
		t.Error(err)
	}
}

// hangs has the issuer answer only when it is let, and says when it is asked.
func (p *provider) hangs() (asked <-chan struct{}, let func()) {
	began, end := make(chan struct{}, 1), make(chan struct{})
	p.breaks(func(w http.ResponseWriter, r *http.Request) {
		began <- struct{}{}
		<-end
		p.ServeHTTP(w, r)
	})
	return began, func() { p.breaks(nil); close(end) }
}

// A stranger asks and hangs up, over and over, so that no job can log in.
func TestAttackHangsUp(t *testing.T) {
	w := newWorld(t)
	stolen, honest := request(t, w.p.token("1", w.p.github(w.now)), newSigner(t)), w.p.token("1", w.p.github(w.now))
	asked, let := w.p.hangs()
	ctx, hangUp := context.WithCancel(t.Context())
	var stranger sync.WaitGroup
	stranger.Go(func() { _, _, _ = w.x.Delegate(ctx, stolen) })
	<-asked
	hangUp()
	stranger.Wait()
	let()
	if _, err := w.ask(honest); err != nil {
		t.Errorf("a job, after somebody hung up: %v", err)
	}
}

// An issuer that failed, and then hangs, keeps nobody waiting but who asks it again.
func TestIssuerFailsAndHangs(t *testing.T) {
	w := newWorld(t)
	first, second := w.p.token("1", w.p.github(w.now)), w.p.token("1", w.p.github(w.now))
	w.p.breaks(func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(http.StatusBadGateway) })
	w.refused(first, Unavailable, "status 502")
	w.now = w.now.Add(failureRest)
	asked, let := w.p.hangs()
	var asking sync.WaitGroup
	asking.Go(func() {
		if _, err := w.ask(first); err != nil {
			t.Errorf("who asked again: %v", err)
		}
	})
	<-asked
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	_, _, err := w.x.Delegate(ctx, request(t, second, newSigner(t)))
	let()
	asking.Wait()
	if err == nil {
		t.Fatal("a delegation, of an issuer that says nothing")
	}
	contains(t, err.Error(), "status 502")
}

// An issuer moves its keys, and takes the old ones away.
func TestKeysMove(t *testing.T) {
	w := newWorld(t)
	if _, err := w.ask(w.p.token("1", w.p.github(w.now))); err != nil {
		t.Fatal(err)
	}
	w.p.mu.Lock()
	w.p.path = "/moved"
	w.p.mu.Unlock()
	w.now = w.now.Add(keysRest)
	if _, err := w.ask(w.p.token("1", w.p.github(w.now))); err != nil {
		t.Error(err)
	}
}

// The keys of an issuer that is asked over TLS are asked for over TLS.
func TestAttackKeysWithoutTLS(t *testing.T) {
	web := httptest.NewTLSServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(rw, `{"issuer":"https://%s","jwks_uri":"http://127.0.0.1:1/keys"}`, r.Host)
	}))
	defer web.Close()
	w := newWorld(t)
	x, err := New(Options{Ledger: ledgerID, Signer: w.issuer, Rules: []Rule{w.rule(func(r *Rule) { r.Issuer = web.URL })}, Transport: web.Client().Transport})
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = x.Delegate(t.Context(), request(t, w.p.token("1", w.p.github(time.Now(), with("iss", web.URL))), newSigner(t)))
	if err == nil {
		t.Fatal("a delegation, of no keys")
	}
	contains(t, err.Error(), "has to be https")
}
