package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	jose "github.com/go-jose/go-jose/v4"

	"github.com/stele-ml/stele/internal/ledger"
	"github.com/stele-ml/stele/internal/ledger/ledgertest"
	"github.com/stele-ml/stele/internal/oidc"
	"github.com/stele-ml/stele/internal/server"
	"github.com/stele-ml/stele/internal/solo"
	"github.com/stele-ml/stele/internal/spool"
	"github.com/stele-ml/stele/statement"
)

const loginAudience = "https://ledger.example"

// ci is a CI system on loopback: it gives jobs tokens, as GitHub does, and says by
// which keys.
type ci struct {
	t     *testing.T
	key   *ecdsa.PrivateKey
	web   *httptest.Server
	asked atomic.Int64
	log   bytes.Buffer // of the exchange, once it is closed
}

func newCI(t *testing.T) *ci {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &ci{t: t, key: key}
	c.web = httptest.NewServer(c)
	t.Cleanup(c.web.Close)
	return c
}

func (c *ci) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		fmt.Fprintf(w, `{"issuer":%q,"jwks_uri":%q}`, c.web.URL, c.web.URL+"/keys")
	case "/keys":
		_ = json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: c.key.Public(), KeyID: "1", Algorithm: "ES256"}}})
	case "/token": // what a GitHub runner asks
		if r.Header.Get("Authorization") != "Bearer the runner's" {
			http.Error(w, "no", http.StatusForbidden)
			return
		}
		fmt.Fprintf(w, `{"count":1,"value":%q}`, c.token(r.URL.Query().Get("audience"), "refs/heads/main"))
	default:
		http.NotFound(w, r)
	}
}

func (c *ci) token(audience, ref string) string {
	now := time.Now()
	payload, err := json.Marshal(map[string]any{
		"iss": c.web.URL, "aud": audience, "sub": "repo:acme/fraud:ref:" + ref, "jti": fmt.Sprint(c.asked.Add(1)),
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(), "repository": "acme/fraud", "ref": ref, "event_name": "push",
	})
	if err != nil {
		c.t.Fatal(err)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: c.key}, (&jose.SignerOptions{}).WithHeader("kid", "1"))
	if err != nil {
		c.t.Fatal(err)
	}
	object, err := s.Sign(payload)
	if err != nil {
		c.t.Fatal(err)
	}
	text, err := object.CompactSerialize()
	if err != nil {
		c.t.Fatal(err)
	}
	return text
}

// exchanges serves POST /v1/delegations for a person's ledger, while run runs. It
// opens the ledger for the moment of a request, beside the commands.
func (c *ci) exchanges(p *person, issuer statement.Signer, run func(url string)) {
	c.t.Helper()
	x, err := oidc.New(oidc.Options{Ledger: p.ledgerID(), Signer: issuer, Rules: []oidc.Rule{{
		Name: "fraud main", Issuer: c.web.URL, Audience: loginAudience, Claims: map[string]string{"repository": "acme/fraud", "ref": "refs/heads/main"},
		Names: []string{"fraud/*"}, Kinds: []statement.Kind{statement.KindStamp, statement.KindEvaluation, statement.KindRun},
	}}})
	if err != nil {
		c.t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/delegations", func(w http.ResponseWriter, r *http.Request) {
		e, err := solo.Open(r.Context(), solo.Options{Dir: filepath.Join(p.dir, ".stele"), State: filepath.Join(p.state(), "ledgers"), ReadOnly: true})
		if err != nil {
			c.t.Error(err)
			return
		}
		defer e.Close()
		server.NewDelegations(x, func() *ledger.View { return e.View() }, nil, slog.New(slog.NewTextHandler(&c.log, nil))).ServeHTTP(w, r)
	})
	web := httptest.NewServer(mux)
	defer web.Close()
	run(web.URL)
}

// with is the person with more in the environment.
func (p *person) with(env ...string) *person {
	q := *p
	q.env = append(append([]string{}, p.env...), env...)
	return &q
}

// newIssuer makes the key of an issuer, which ada registers.
func (p *person) newIssuer() statement.Signer {
	p.t.Helper()
	p.must("key", "new", "issuer", "-q")
	p.must("key", "request", "--key", "issuer", "--handle", "ci", "-o", "ci.json", "-q")
	p.must("key", "add", "ci.json", "--role", "issuer", "--names", "fraud/*", "--kinds", "stamp,run,evaluation", "-q")
	s, closer, err := p.app("--key", "issuer").signer(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(closer)
	return s
}

// TestLogin is a job's life: a token, a key, a stamp, and what others see of it.
func TestLogin(t *testing.T) {
	t.Parallel()
	c, p := newCI(t), newPerson(t)
	p.must("init", "--handle", "ada", "-q")
	issuer := p.newIssuer()
	job := p.with("ACTIONS_ID_TOKEN_REQUEST_URL="+c.web.URL+"/token?api-version=2.0", "ACTIONS_ID_TOKEN_REQUEST_TOKEN=the runner's")
	c.exchanges(p, issuer, func(url string) {
		out := job.must("login", "--server", url, "--audience", loginAudience, "--json")
		if strings.Contains(out, "eyJ") {
			t.Errorf("the token is printed: %s", out)
		}
		var got struct {
			Issuer, Subject, Rule, Path string
			Names, Kinds                []string
		}
		if err := json.Unmarshal([]byte(out), &got); err != nil {
			t.Fatal(err)
		}
		if got.Issuer != "ci" || got.Subject != "repo:acme/fraud@refs/heads/main" || got.Rule != "fraud main" {
			t.Errorf("%s", out)
		}
		info, err := os.Stat(got.Path)
		if err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
			t.Errorf("%v, %v", info, err)
		}
		// Again: the same key, another delegation.
		before := keyOf(t, got.Path)
		if _, errs, status := job.stele("login", "--server", url, "--audience", loginAudience, "--life", "10h", "-q"); status != 0 || !strings.Contains(errs, "10h0m0s was asked for") {
			t.Errorf("a life that no server gives: exit status %d\n%s", status, errs)
		}
		if keyOf(t, got.Path) != before {
			t.Error("a second login made another key")
		}
	})
	if log := c.log.String(); !strings.Contains(log, `msg=delegation`) || !strings.Contains(log, `rule="fraud main" subject=repo:acme/fraud@refs/heads/main`) || strings.Contains(log, "eyJ") {
		t.Errorf("the log says %s", log)
	}
	p.write("data.csv", "1,2,3")
	p.must("stamp", "data.csv", "--as", "fraud/train@1", "--key", "ci", "-q")
	const by = "ci (repo:acme/fraud@refs/heads/main"
	for _, args := range [][]string{{"show", "fraud/train@1"}, {"log"}, {"trace", "fraud/train@1"}, {"verify", "fraud/train@1", "data.csv"}} {
		if out := p.must(args...); !strings.Contains(out, by) {
			t.Errorf("%v does not say %q:\n%s", args, by, out)
		}
	}
	p.must("prove", "fraud/train@1", "-o", "train.evidence", "-q")
	if out := p.must("verify", "--evidence", "train.evidence", "data.csv", "--json"); !strings.Contains(out, `"subject":"repo:acme/fraud@refs/heads/main"`) {
		t.Errorf("the verdict does not say for whom:\n%s", out)
	}
	p.must("run", "--key", "ci", "--input", "fraud/train@1=data.csv", "--output", "fraud/model@1=model", "-q", "--", "cp", "data.csv", "model")
	p.must("record", "evaluation", "fraud/model@1", "--dataset", "fraud/train@1", "--metric", "auc=0.9", "--key", "ci", "-q")

	// What a job may not.
	for name, refused := range map[string]struct {
		status int
		args   []string
	}{
		"another name": {exitRefused, []string{"stamp", "data.csv", "--as", "vision/train@1"}},
		"approve":      {exitRefused, []string{"approve", "fraud/train@1", "--stage", "production", "--yes"}},
		"release":      {exitRefused, []string{"release", "fraud/train@1", "--stage", "production", "--yes"}},
		"withdraw":     {exitRefused, []string{"withdraw", "fraud/train@1", "--reason", "no", "--yes"}},
		"register":     {exitRefused, []string{"key", "add", "ci.json", "--handle", "mallory"}},
	} {
		if out, errs, status := p.stele(append(refused.args, "--key", "ci")...); status != refused.status {
			t.Errorf("%s: exit status %d, want %d\n%s%s", name, status, refused.status, out, errs)
		}
	}
	// Its issuer takes back what it stamped.
	p.must("withdraw", "fraud/train@1", "--reason", "a mistake", "--key", "issuer", "--yes", "-q")
}

func keyOf(t *testing.T, path string) statement.KeyID {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := statement.ParsePrivateKey(data, rand.Reader, nil)
	if err != nil || statement.DelegationOf(s) == nil {
		t.Fatalf("%v", err)
	}
	return s.PublicKey().ID()
}

// A server that lies about what it gives out.
func TestAttackLogin(t *testing.T) {
	t.Parallel()
	c, p := newCI(t), newPerson(t)
	p.must("init", "--handle", "ada", "-q")
	issuer := p.newIssuer()
	p.write("token", c.token(loginAudience, "refs/heads/main"))
	p.write("branch", c.token(loginAudience, "refs/heads/feature"))
	p.write("other", c.token("https://other.example", "refs/heads/main"))
	c.exchanges(p, issuer, func(url string) {
		for _, c := range []struct{ words, file, more string }{
			{"ref is", "branch", "--life=5m"}, {"hint: ask for a token for that audience", "other", "--life=5m"}, {"hint: ask for no more", "token", "--names=vision/*"},
		} {
			out, errs, status := p.stele("login", "--server", url, "--id-token", c.file, c.more)
			if file := c.file; status != exitRefused || !strings.Contains(errs, c.words) || strings.Contains(out+errs, "eyJ") {
				t.Errorf("%s: exit status %d\n%s%s", file, status, out, errs)
			}
		}
		if _, errs, status := p.with("STELE_ID_TOKEN=none").stele("login", "--server", url); status != exitUsage || !strings.Contains(errs, "$STELE_ID_TOKEN holds no") {
			t.Errorf("no token at all: exit status %d\n%s", status, errs)
		}
		// Never over somebody's own key.
		if _, errs, status := p.stele("login", "--server", url, "--id-token", "token", "-o", filepath.Join(p.config(), "keys", "default.pem")); status != exitError || !strings.Contains(errs, "holds no key that") {
			t.Errorf("over the default key: exit status %d\n%s", status, errs)
		}
		if _, errs, status := p.stele("login", "--server", url); status != exitUsage || !strings.Contains(errs, "id-token: write") {
			t.Errorf("without a token: exit status %d\n%s", status, errs)
		}
	})
	stranger, err := statement.GenerateP256(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	by, err := statement.NewP256(stranger, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	lies := func(answer func(q map[string]any) []byte) string {
		web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var q map[string]any
			_ = json.NewDecoder(r.Body).Decode(&q)
			w.WriteHeader(http.StatusCreated)
			_, _ = w.Write(answer(q))
		}))
		t.Cleanup(web.Close)
		return web.URL
	}
	id := p.ledgerID()
	gives := func(signer statement.Signer, ledger statement.LedgerID, key *statement.PublicKey, token ...string) func(map[string]any) []byte {
		return func(q map[string]any) []byte {
			if key == nil {
				text, err := json.Marshal(q["key"])
				if err != nil {
					t.Error(err)
				}
				key = new(statement.PublicKey)
				if err := json.Unmarshal(text, key); err != nil {
					t.Error(err)
				}
			}
			now := time.Now().UnixMilli()
			d, err := statement.NewDelegation(statement.DelegationClaims{Ledger: ledger, Key: key, Subject: "x", Names: []string{"fraud/*"},
				Kinds: []statement.Kind{statement.KindStamp}, NotBefore: now - 1000, NotAfter: now + 600_000}, signer)
			if err != nil {
				t.Error(err)
				return nil
			}
			text, err := json.Marshal(map[string]any{"delegation": d.Encode(), "rule": "x", "token": strings.Join(token, "")})
			if err != nil {
				t.Error(err)
			}
			return text
		}
	}
	for name, c := range map[string]struct {
		answer func(map[string]any) []byte
		more   []string
	}{
		"by a stranger":               {gives(by, id, nil), nil},
		"for another ledger":          {gives(issuer, statement.LedgerID{1}, nil), nil},
		"for another key":             {gives(issuer, id, by.PublicKey()), nil},
		"for more names":              {gives(issuer, id, nil), []string{"--names", "fraud/model"}},
		"for other kinds":             {gives(issuer, id, nil), []string{"--kinds", "run"}},
		"for too long":                {gives(issuer, id, nil, ""), []string{"--life", "1s", "--kinds", "stamp"}},
		"nothing":                     {func(map[string]any) []byte { return []byte(`{}`) }, nil},
		"rubbish":                     {func(map[string]any) []byte { return []byte(`{"delegation":"AAAA","rule":"x"}`) }, nil},
		"a token that cannot be sent": {gives(issuer, id, nil, "stelejob_\x01"), nil},
		"an endless token":            {gives(issuer, id, nil, "stelejob_"+strings.Repeat("a", 9000)), nil},
	} {
		out, errs, status := p.stele(append([]string{"login", "--server", lies(c.answer), "--id-token", "token", "-o", filepath.Join(p.dir, "job.pem")}, c.more...)...)
		if status == 0 {
			t.Errorf("%s: taken\n%s%s", name, out, errs)
		}
		if _, err := os.Stat(filepath.Join(p.dir, "job.pem")); err == nil {
			t.Errorf("%s: a file was written", name)
		}
		if kept, err := filepath.Glob(filepath.Join(p.config(), "tokens", "*")); err != nil || len(kept) > 0 {
			t.Errorf("%s: %v is kept, %v", name, kept, err)
		}
	}
}

func (p *person) config() string {
	for _, e := range p.env {
		if v, ok := strings.CutPrefix(e, "STELE_CONFIG="); ok {
			return v
		}
	}
	p.t.Fatal("a person without $STELE_CONFIG")
	return ""
}

func (p *person) ledgerID() (id statement.LedgerID) {
	p.t.Helper()
	a := p.app()
	if err := a.read(p.t.Context(), func(r *reading) error { id = r.ID(); return nil }); err != nil {
		p.t.Fatal(err)
	}
	return id
}

// servesCI starts a server that exchanges the CI's tokens, and returns its address.
func (p *person) servesCI(c *ci, args ...string) string {
	p.t.Helper()
	p.write("rules.yaml", fmt.Sprintf(`rules:
  - name: fraud main
    issuer: %s
    audience: %s
    claims: {repository: acme/fraud, ref: refs/heads/main}
    names: ["fraud/*"]
    kinds: [stamp]
    life: 5m
`, c.web.URL, loginAudience))
	serve := p.command(append([]string{"serve", "--listen", "127.0.0.1:0", "--ci-key", "issuer", "--ci-rules", "rules.yaml", "--json"}, args...)...)
	out, err := serve.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() {
		_ = serve.Process.Kill()
		_ = serve.Wait()
	})
	var says struct{ URL string }
	if err := json.NewDecoder(out).Decode(&says); err != nil || says.URL == "" {
		p.t.Fatalf("the server says %+v, %v", says, err)
	}
	return says.URL
}

// A server that is open to everybody gives a job no token: when it is over, the job could
// not even read what strangers may.
func TestPublicLogin(t *testing.T) {
	t.Parallel()
	c, p := newCI(t), newPerson(t)
	p.must("init", "--handle", "ada", "-q")
	p.newIssuer()
	p.write("token", c.token(loginAudience, "refs/heads/main"))
	url := p.servesCI(c)
	p.must("login", "--ledger", url, "--id-token", "token", "-q")
	if kept, err := filepath.Glob(filepath.Join(p.config(), "tokens", "*")); err != nil || len(kept) > 0 {
		t.Errorf("%v is kept, %v", kept, err)
	}
}

// TestServedLogin is the same before a server that is open to nobody: the job's token
// says whose it is, and gets it a key for the ledger and one for the door.
func TestServedLogin(t *testing.T) {
	t.Parallel()
	c, p := newCI(t), newPerson(t)
	p.must("init", "--handle", "ada", "-q")
	p.newIssuer()
	p.must("token", "new", "somebody", "--scopes", "entries", "-q")
	p.must("trust", "export", "-o", "ada.policy", "-q")
	// The job has a copy of the ledger to look at: another machine's.
	job := newPerson(t)
	if err := os.CopyFS(filepath.Join(job.dir, ".stele"), os.DirFS(filepath.Join(p.dir, ".stele"))); err != nil {
		t.Fatal(err)
	}
	job.must("trust", "add", filepath.Join(p.dir, "ada.policy"), "-q")
	job.write("token", c.token(loginAudience, "refs/heads/main"))

	url := p.servesCI(c, "--access", "tokens")
	job.must("login", "--server", url, "--id-token", "token", "-q")

	tokens, err := filepath.Glob(filepath.Join(job.config(), "tokens", "*"))
	if err != nil || len(tokens) != 1 {
		t.Fatalf("%v, %v", tokens, err)
	}
	before, err := os.ReadFile(tokens[0])
	if err != nil {
		t.Fatal(err)
	}
	// A login that fails leaves what is good.
	if _, errs, status := job.stele("login", "--server", url, "--id-token", "token", "--kinds", "approval"); status != exitRefused {
		t.Errorf("kinds that no rule gives: exit status %d\n%s", status, errs)
	}
	if after, err := os.ReadFile(tokens[0]); err != nil || !bytes.Equal(before, after) {
		t.Errorf("a login that failed took the token away: %v", err)
	}
	// One that is over, or that the server has forgotten: the job logs in again, if its
	// CI system still says whose it is; else it is told to.
	over := []byte("stelejob_" + strings.Repeat("A", 43) + "\n")
	if err := os.WriteFile(tokens[0], over, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, errs, status := job.with("STELE_KEY=ci").stele("list", "--ledger", url); status != exitRefused || !strings.Contains(errs, "`stele login` gets another") {
		t.Errorf("a token that is over: exit status %d\n%s", status, errs)
	}
	job.with("STELE_KEY=ci", "STELE_ID_TOKEN="+c.token(loginAudience, "refs/heads/main"), "STELE_AUDIENCE="+loginAudience).must("list", "--ledger", url)
	token, err := os.ReadFile(tokens[0])
	if err != nil || bytes.Equal(token, over) {
		t.Fatalf("%s %v", token, err)
	}
	ask := func(method, path, bearer string, body []byte) (int, string) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, url+path, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if bearer != "" {
			r.Header.Set("Authorization", "Bearer "+bearer)
		}
		r.Header.Set("Content-Type", "application/json")
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		text, err := io.ReadAll(answer.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(text)
	}
	bearer := strings.TrimSpace(string(token))
	if status, text := ask("GET", "/v1/identities", "", nil); status != http.StatusUnauthorized {
		t.Errorf("without a token: %d %s", status, text)
	}
	if status, text := ask("GET", "/v1/identities", bearer, nil); status != http.StatusOK {
		t.Errorf("with the job's: %d %s", status, text)
	}
	signer, closer, err := job.app("--key", "ci").signer(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer closer()
	m := &ledgertest.Maker{Ledger: statement.DelegationOf(signer).Ledger}
	submit := func(name string) (int, string) {
		body, err := m.Stamp(signer, m.Ref(name, "1", name)).MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		return ask("POST", "/v1/entries", bearer, body)
	}
	if status, text := submit("fraud/train"); status != http.StatusCreated {
		t.Errorf("a stamp of the job's: %d %s", status, text)
	}
	if status, text := submit("vision/train"); status < 400 || !strings.Contains(text, "who-may") {
		t.Errorf("a stamp of another name: %d %s", status, text)
	}
	if status, text := ask("GET", "/v1/entries?kind=stamp", bearer, nil); status != http.StatusOK || !strings.Contains(text, "repo:acme/fraud@refs/heads/main") {
		t.Errorf("the entries: %d %s", status, text)
	}
}

// What a job signed and kept goes to the ledger although its delegation ended meanwhile:
// with the one that its key has now.
func TestPushOfAJob(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	p.must("init", "--handle", "ada", "-q")
	issuer := p.newIssuer()
	id := p.ledgerID()
	key, err := statement.GenerateP256(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := statement.MarshalPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	job, err := statement.NewP256(key, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	until := func(end time.Time) statement.Signer {
		t.Helper()
		d, err := statement.NewDelegation(statement.DelegationClaims{Ledger: id, Key: job.PublicKey(), Subject: "a job", Names: []string{"fraud/*"},
			Kinds: []statement.Kind{statement.KindStamp}, NotBefore: end.Add(-10 * time.Minute).UnixMilli(), NotAfter: end.UnixMilli()}, issuer)
		if err != nil {
			t.Fatal(err)
		}
		s, err := statement.NewDelegated(job, d)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	keep := func(end time.Time) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(p.dir, "job.pem"), append(secret[:len(secret):len(secret)], statement.DelegationOf(until(end)).PEM()...), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	m := &ledgertest.Maker{Ledger: id}
	waits := spool.At(filepath.Join(p.state(), "ledgers", id.String(), "spool"))
	if _, err := waits.Add(m.Stamp(until(time.Now().Add(-time.Second)), m.Ref("fraud/train", "1", "data"))); err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	p.serves(address)
	push := []string{"push", "--ledger", "http://" + address, "--key", filepath.Join(p.dir, "job.pem"), "-q"}
	keep(time.Now().Add(-time.Second))
	if _, errs, status := p.stele(push...); status != exitRefused || !strings.Contains(errs, "was valid until") {
		t.Errorf("with none that is valid: exit status %d\n%s", status, errs)
	}
	keep(time.Now().Add(5 * time.Minute))
	p.must(push...)
	if out := p.must("show", "fraud/train@1"); !strings.Contains(out, "ci (a job") {
		t.Errorf("%s", out)
	}
}
