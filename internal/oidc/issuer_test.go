package oidc

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"
)

// provider is an OpenID Connect issuer on loopback: discovery, keys, tokens.
type provider struct {
	t      *testing.T
	server *httptest.Server
	asked  atomic.Int64 // for its keys

	mu     sync.Mutex
	keys   map[string]crypto.Signer // published, by key id
	path   string                   // of the published keys
	broken http.HandlerFunc         // answers instead, where it is set
}

func newProvider(t *testing.T) *provider {
	t.Helper()
	p := &provider{t: t, keys: map[string]crypto.Signer{}, path: "/keys"}
	p.server = httptest.NewServer(p)
	t.Cleanup(p.server.Close)
	p.rotate("1")
	return p
}

func (p *provider) url() string { return p.server.URL }

// rotate replaces the published keys by a new one.
func (p *provider) rotate(id string) crypto.Signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = map[string]crypto.Signer{id: key}
	return key
}

func (p *provider) breaks(how http.HandlerFunc) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.broken = how
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	broken := p.broken
	p.mu.Unlock()
	if broken != nil {
		broken(w, r)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q,"id_token_signing_alg_values_supported":["ES256","HS256","none"]}`, p.url(), p.url()+p.path)
	case p.path:
		p.asked.Add(1)
		var set jose.JSONWebKeySet
		for id, key := range p.keys {
			set.Keys = append(set.Keys, jose.JSONWebKey{Key: key.Public(), KeyID: id, Algorithm: "ES256", Use: "sig"})
		}
		_ = json.NewEncoder(w).Encode(set)
	default:
		http.NotFound(w, r)
	}
}

// token signs claims with the published key of that id.
func (p *provider) token(id string, c map[string]any) string {
	p.t.Helper()
	p.mu.Lock()
	key := p.keys[id]
	p.mu.Unlock()
	return signed(p.t, jose.ES256, key, id, c)
}

func signed(t *testing.T, alg jose.SignatureAlgorithm, key any, id string, c map[string]any) string {
	t.Helper()
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, (&jose.SignerOptions{}).WithHeader("kid", id).WithType("JWT"))
	if err != nil {
		t.Fatal(err)
	}
	payload, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	object, err := s.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := object.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// github are the claims of a push to the main branch of acme/fraud.
func (p *provider) github(now time.Time, change ...func(map[string]any)) map[string]any {
	c := map[string]any{
		"iss": p.url(), "aud": audience, "sub": "repo:acme/fraud:ref:refs/heads/main", "jti": fmt.Sprintf("%x", randomBytes(16)),
		"iat": now.Unix(), "nbf": now.Add(-10 * time.Minute).Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"repository": "acme/fraud", "repository_owner": "acme", "repository_owner_id": "1234", "ref": "refs/heads/main", "event_name": "push",
		"workflow_ref": "acme/fraud/.github/workflows/train.yml@refs/heads/main", "job_workflow_ref": "acme/fraud/.github/workflows/train.yml@refs/heads/main",
		"run_attempt": "1", "ref_protected": "true",
	}
	for _, f := range change {
		f(c)
	}
	return c
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b)
	return b
}

const audience = "https://ledger.example"

// with sets one claim; a nil value takes it away.
func with(claim string, value any) func(map[string]any) {
	return func(c map[string]any) {
		if value == nil {
			delete(c, claim)
			return
		}
		c[claim] = value
	}
}

func contains(t *testing.T, text string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(text, w) {
			t.Errorf("%q does not say %q", text, w)
		}
	}
}
