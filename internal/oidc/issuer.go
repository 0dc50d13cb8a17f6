package oidc

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
)

const (
	// maxDocument is the longest document of an issuer that is read, in bytes.
	maxDocument = 256 << 10
	// askingTime is how long an issuer may take to answer.
	askingTime = 5 * time.Second
	// keysRest is how long what an issuer said of its keys is not asked again,
	// whatever tokens come: else anybody could have it asked as often as they like.
	// A key that it begins to use is therefore taken at most so much later.
	keysRest = 10 * time.Second
	// failureRest is the same of a question that failed: a login that meets it is tried
	// again by then.
	failureRest = 2 * time.Second
	// forgotten is when an address that is not asked any more is forgotten.
	forgotten = time.Minute
)

// algorithms are those by which an issuer may sign tokens: asymmetric, and in use.
// Whatever else its documents offer is refused, "none" and HMAC among it.
var algorithms = []string{oidc.RS256, oidc.PS256, oidc.ES256, oidc.ES384, oidc.EdDSA}

// errUnreachable is a failure to learn an issuer's keys: nothing is said about the
// token by it.
var errUnreachable = errors.New("the issuer cannot be asked for its keys")

// issuer is who signs tokens.
type issuer struct {
	url    string
	client *http.Client
}

func newIssuer(address string, base http.RoundTripper, now func() time.Time) *issuer {
	return &issuer{url: address, client: &http.Client{Transport: &asking{base: base, now: now, last: make(map[string]*question)}}}
}

// keySet is the issuer's keys, for one token. Where they are and what they are is asked
// for at once: what was said a moment ago is kept below it (see asking), so that an
// issuer may move its keys, and no token is held against keys that another has just
// found to be old.
func (i *issuer) keySet(ctx context.Context) (oidc.KeySet, error) {
	ctx = oidc.ClientContext(ctx, i.client)
	p, err := oidc.NewProvider(ctx, i.url)
	if err != nil {
		return nil, unreachable(err)
	}
	var found struct {
		Keys string `json:"jwks_uri"`
	}
	if err := p.Claims(&found); err != nil {
		return nil, unreachable(err)
	}
	if err := checkIssuer(found.Keys); err != nil {
		return nil, unreachable(fmt.Errorf("its keys: %w", err))
	}
	if strings.HasPrefix(i.url, "https:") && !strings.HasPrefix(found.Keys, "https:") {
		return nil, unreachable(fmt.Errorf("its keys: %q: it has to be https", found.Keys))
	}
	return oidc.NewRemoteKeySet(ctx, found.Keys), nil
}

// unreachable makes an errUnreachable of an error, and leaves out of it how the library
// came by it.
func unreachable(err error) error {
	if of := (*url.Error)(nil); errors.As(err, &of) {
		err = fmt.Errorf("%s: %w", of.URL, of.Err)
	}
	return fmt.Errorf("%w: %w", errUnreachable, err)
}

// VerifySignature implements oidc.KeySet. That the issuer could not be asked is
// told apart from a signature that is not its own, which the library's words do not.
func (i *issuer) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	keys, err := i.keySet(ctx)
	if err != nil {
		return nil, note(ctx, err)
	}
	payload, err := keys.VerifySignature(ctx, token)
	if of := (*url.Error)(nil); errors.As(err, &of) || ctx.Err() != nil {
		return nil, note(ctx, unreachable(err))
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

// asking is the way to an issuer: one question at a time for each of its documents, an
// answer of bounded length, with status 200, and kept for a moment. Nobody's question is
// their own: whoever hangs up ends none.
type asking struct {
	base http.RoundTripper
	now  func() time.Time

	mu   sync.Mutex
	last map[string]*question // by address: its configuration and its keys
}

type question struct {
	before error         // how the one before it failed, if it did
	done   chan struct{} // closed when it is answered, as follows
	body   []byte
	err    error
	at     time.Time
}

func (q *question) answered() bool {
	select {
	case <-q.done:
		return true
	default:
		return false
	}
}

// fresh reports whether a question that is answered need not be asked again.
func (q *question) fresh(now time.Time) bool {
	rest := keysRest
	if q.err != nil {
		rest = failureRest
	}
	return now.Sub(q.at) < rest && !now.Before(q.at)
}

// RoundTrip implements http.RoundTripper.
func (a *asking) RoundTrip(r *http.Request) (*http.Response, error) {
	q, mine := a.question(r)
	if !mine && q.before != nil && !q.answered() {
		return nil, q.before // what is known, until it is
	}
	select {
	case <-q.done:
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if q.err != nil {
		return nil, q.err
	}
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(q.body)), ContentLength: int64(len(q.body)),
	}, nil
}

// question returns the one that is under way or was answered a moment ago, or asks.
func (a *asking) question(r *http.Request) (q *question, mine bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	address, now := r.URL.String(), a.now()
	last := a.last[address]
	if last != nil && (!last.answered() || last.fresh(now)) {
		return last, false
	}
	maps.DeleteFunc(a.last, func(_ string, q *question) bool { return q.answered() && now.Sub(q.at) > forgotten }) // keys have moved
	q = &question{done: make(chan struct{})}
	if last != nil {
		q.before = last.err
	}
	a.last[address] = q
	go func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), askingTime)
		defer cancel()
		q.body, q.err = a.get(r.WithContext(ctx))
		q.at = a.now()
		close(q.done)
	}()
	return q, true
}

func (a *asking) get(r *http.Request) ([]byte, error) {
	resp, err := a.base.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK { // nor is a redirect followed
		return nil, fmt.Errorf("it answers with status %d", resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxDocument+1))
	switch {
	case err != nil:
		return nil, err
	case len(body) > maxDocument:
		return nil, fmt.Errorf("it answers with more than %d bytes", maxDocument)
	case !json.Valid(body):
		return nil, errors.New("it answers with something other than JSON")
	}
	return body, nil
}
