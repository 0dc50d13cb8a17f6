package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/stele-ml/stele/internal/wire"
)

// request is one operation. All of them are safe to repeat.
type request struct {
	method string
	path   string     // below the base, escaped
	query  url.Values // nil: none
	media  string     // of the body
	body   func() (io.Reader, error)
	length int64 // of the body
	accept string
	limit  int64 // of the answer's body, in bytes, after decompression
}

func (r *request) writes() bool { return r.method == http.MethodPost || r.method == http.MethodPut }

// bytesOf is a body that is at hand.
func bytesOf(body []byte) func() (io.Reader, error) {
	return func() (io.Reader, error) { return bytes.NewReader(body), nil }
}

// answer is what came back with a status of success.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// do makes a request until there is an answer, and returns its body.
func (c *Client) do(ctx context.Context, r request) (*answer, error) {
	var a *answer
	err := c.retry(ctx, r, func(response *http.Response) error {
		body, err := readLimited(response.Body, r.limit)
		a = &answer{response.StatusCode, response.Header, body}
		return err
	})
	return a, err
}

// errTooLong says that an answer is longer than it may be. Another attempt would
// bring the same.
var errTooLong = fmt.Errorf("%w: it is too long", ErrAnswer)

func readLimited(r io.Reader, limit int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err == nil && int64(len(body)) > limit {
		err = errTooLong
	}
	return body, err
}

// once makes one attempt.
func (c *Client) once(ctx context.Context, r request, take func(*http.Response) error) error {
	ctx, p := startPace(ctx, c.opts.Timeout)
	defer p.stop()
	q, sent, err := c.request(ctx, r, p)
	if err != nil {
		return &ownError{err}
	}
	why := func(err error) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		var failed *url.Error
		if errors.As(err, &failed) {
			return failed.Err // the address is said once, by whoever gives up
		}
		return err
	}
	response, err := c.http.Do(q)
	if err != nil {
		return &networkError{why(err), sent.Load()}
	}
	body := response.Body
	defer body.Close()
	response.Body = io.NopCloser(p.of(body))
	switch status := response.StatusCode; {
	case status == http.StatusOK || status == http.StatusCreated || status == http.StatusAccepted || status == http.StatusNoContent:
		if isProblem(response) {
			return fmt.Errorf("%s%s: %w: a problem that is none (%d)", c.base, r.path, ErrAnswer, status)
		}
		err := take(response)
		if err != nil && !errors.Is(err, ErrAnswer) {
			err = &networkError{why(err), true}
		}
		return err
	case status < 400:
		return fmt.Errorf("%s%s: %w: it sends elsewhere, or to what nobody has here (%d %q); that is not followed",
			c.base, r.path, ErrAnswer, status, elsewhere(response))
	}
	return c.problem(r, response)
}

func isProblem(response *http.Response) bool {
	media, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	return media == wire.ProblemType
}

// elsewhere returns where an answer redirects to, without what may be secret.
func elsewhere(response *http.Response) string {
	u, err := url.Parse(response.Header.Get("Location"))
	if err != nil || u.Host == "" {
		return ""
	}
	return u.Scheme + "://" + u.Host
}

// whole is a body that is to be sent. That it cannot be read, or ends early, is no
// fault of the network.
type whole struct {
	r    io.Reader
	left int64
}

func (b *whole) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.left -= int64(n)
	if err == io.EOF && b.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	if err != nil && err != io.EOF {
		err = &ownError{fmt.Errorf("read what is sent: %w", err)}
	}
	return n, err
}

// request makes what is sent in one attempt; sent is set once some of it was.
func (c *Client) request(ctx context.Context, r request, p *pace) (q *http.Request, sent *atomic.Bool, err error) {
	address := *c.base
	address.Path, address.RawPath = "", ""
	target := address.String() + c.base.EscapedPath() + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	var body io.Reader
	if r.body != nil {
		if body, err = r.body(); err != nil {
			return nil, nil, err
		}
		body = p.of(&whole{body, r.length})
	}
	sent = new(atomic.Bool)
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	q, err = http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return nil, nil, err
	}
	if r.body != nil {
		q.ContentLength = r.length
		if r.length == 0 {
			q.Body = http.NoBody // else its length would count as unknown
		}
		q.Header.Set("Content-Type", r.media)
	}
	if r.accept != "" {
		q.Header.Set("Accept", r.accept)
	}
	q.Header.Set("User-Agent", c.opts.UserAgent)
	if token := *c.token.Load(); token != "" {
		q.Header.Set("Authorization", "Bearer "+token)
	}
	return q, sent, nil
}

// problem reads an answer that is an error.
func (c *Client) problem(r request, response *http.Response) error {
	at, status := c.base.String()+r.path, response.StatusCode
	var p *wire.Problem
	if isProblem(response) {
		if body, err := readLimited(response.Body, wire.MaxProblem); err == nil {
			if p, err = wire.ParseProblem(body); err != nil {
				p = nil
			}
		}
	}
	if p = believed(p, status); p == nil {
		p = wire.NewProblem(status, "", "")
	}
	if p.Detail == "" {
		p.Detail = strings.TrimSpace(fmt.Sprintf("%s answered %d %s", at, status, http.StatusText(status)))
	}
	return &statusError{&Error{newProblem(p), at}, retryAfter(response.Header)}
}
