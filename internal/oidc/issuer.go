package oidc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

const (
	// maxDocument is the longest document of an issuer that is read, in bytes.
	maxDocument = 1 << 20
	// askingTime is how long an issuer may take to answer.
	askingTime = 10 * time.Second
	// keysRest is how long what an issuer said of its keys is not asked again,
	// whatever tokens come: else anybody could have it asked as often as they like.
	// A key that it begins to use is therefore taken at most so much later.
	keysRest = 10 * time.Second
	// failureRest is the same of a question that failed: a login that meets it is tried
	// again by then.
	failureRest = 2 * time.Second
)

// algorithms are those by which an issuer may sign tokens: asymmetric, and in use.
// Whatever else its documents offer is refused, "none" and HMAC among it.
var algorithms = []string{oidc.RS256, oidc.PS256, oidc.ES256, oidc.ES384, oidc.EdDSA}

// errUnreachable is a failure to learn an issuer's keys: nothing is said about the
// token by it.
var errUnreachable = errors.New("the issuer cannot be asked for its keys")

// issuer is who signs tokens: its address and, once it was asked, its keys.
type issuer struct {
	url    string
	client *http.Client

	mu   sync.Mutex
	keys string // where they are, once that is known
}

func newIssuer(url string, base http.RoundTripper, now func() time.Time) *issuer {
	return &issuer{url: url, client: &http.Client{
		Transport: &asking{base: base, now: now, turn: make(chan struct{}, 1), said: make(map[string]said)},
		Timeout:   askingTime,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return errors.New("it redirects, which is not followed")
		},
	}}
}

// keySet is the issuer's keys. Where they are is discovered the first time. The set is
// a new one for each token, which asks for the keys at once: what was said a moment
// ago is kept below it (see asking), so that no token is held against keys that
// another has just found to be old.
func (i *issuer) keySet(ctx context.Context) (oidc.KeySet, error) {
	ctx = oidc.ClientContext(ctx, i.client)
	i.mu.Lock()
	keys := i.keys
	i.mu.Unlock()
	if keys != "" {
		return oidc.NewRemoteKeySet(ctx, keys), nil
	}
	p, err := oidc.NewProvider(ctx, i.url)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnreachable, err)
	}
	var found struct {
		Keys string `json:"jwks_uri"`
	}
	if err := p.Claims(&found); err != nil {
		return nil, fmt.Errorf("%w: %w", errUnreachable, err)
	}
	if err := checkIssuer(found.Keys); err != nil {
		return nil, fmt.Errorf("%w: its keys: %w", errUnreachable, err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = found.Keys
	return oidc.NewRemoteKeySet(ctx, found.Keys), nil
}

// VerifySignature implements oidc.KeySet. That the issuer could not be asked is
// told apart from a signature that is not its own, which the library's words do not.
func (i *issuer) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	keys, err := i.keySet(ctx)
	if err != nil {
		return nil, note(ctx, err)
	}
	payload, err := keys.VerifySignature(ctx, token)
	if errors.Is(err, errUnreachable) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return nil, note(ctx, fmt.Errorf("%w: %w", errUnreachable, err))
	}
	return payload, err
}

// noted is where VerifySignature leaves the error that its caller's caller wants.
type noted struct{}

func note(ctx context.Context, err error) error {
	if p, ok := ctx.Value(noted{}).(*error); ok {
		*p = err
	}
	return err
}

// payload verifies a token's signature and returns what was signed. That it is by
// this issuer and in time, its caller checks, too: exactly, where the library is
// lenient. For whom it is, its caller checks.
func (i *issuer) payload(ctx context.Context, token string, now func() time.Time) (*oidc.IDToken, error) {
	var unreachable error
	ctx = context.WithValue(ctx, noted{}, &unreachable)
	t, err := oidc.NewVerifier(i.url, i, &oidc.Config{SkipClientIDCheck: true, SupportedSigningAlgs: algorithms, Now: now}).Verify(ctx, token)
	if unreachable != nil {
		return nil, unreachable
	}
	return t, err
}

// asking is the way to an issuer: one question at a time, an answer of bounded length,
// with status 200, and kept for a moment.
type asking struct {
	base http.RoundTripper
	now  func() time.Time
	turn chan struct{} // holds one while a question is under way

	mu   sync.Mutex
	said map[string]said // two: its configuration and its keys
}

type said struct {
	body []byte
	err  error
	at   time.Time
}

// known is what an address said a moment ago.
func (a *asking) known(address string) (said, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, ok := a.said[address]
	rest := keysRest
	if s.err != nil {
		rest = failureRest
	}
	return s, ok && a.now().Sub(s.at) < rest && !a.now().Before(s.at)
}

// RoundTrip implements http.RoundTripper.
func (a *asking) RoundTrip(r *http.Request) (*http.Response, error) {
	address := r.URL.String()
	s, ok := a.known(address)
	if !ok {
		select {
		case a.turn <- struct{}{}:
		case <-r.Context().Done():
			return nil, fmt.Errorf("%w: %w", errUnreachable, r.Context().Err())
		}
		defer func() { <-a.turn }()
		if s, ok = a.known(address); !ok { // else it was asked meanwhile
			body, err := a.ask(r)
			s = said{body, err, a.now()}
			a.mu.Lock()
			a.said[address] = s
			a.mu.Unlock()
		}
	}
	if s.err != nil {
		return nil, fmt.Errorf("%w: %w", errUnreachable, s.err)
	}
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(s.body)), ContentLength: int64(len(s.body)),
	}, nil
}

func (a *asking) ask(r *http.Request) ([]byte, error) {
	resp, err := a.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("it answers with status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	if err == nil && len(body) > maxDocument {
		err = fmt.Errorf("it answers with more than %d bytes", maxDocument)
	}
	return body, err
}
