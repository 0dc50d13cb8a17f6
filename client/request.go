package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"time"

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

// retry makes a request until take has taken an answer of success. An error of
// take is that of a connection that broke, unless it is an ErrAnswer or
// errStop's.
func (c *Client) retry(ctx context.Context, r request, take func(*http.Response) error) error {
	begun := time.Now()
	address := c.base.String() + r.path
	var last error
	for attempt := 1; ; attempt++ {
		err := c.once(ctx, r, take)
		if err == nil {
			return nil
		}
		last = err
		wait, again := c.again(err, attempt)
		switch {
		case ctx.Err() != nil:
			return &Unreachable{address, attempt, ctx.Err()}
		case again && attempt < c.opts.Attempts && time.Since(begun)+wait < c.opts.Budget:
			if err := c.opts.Sleep(ctx, wait); err != nil {
				return &Unreachable{address, attempt, last}
			}
		case again:
			return &Unreachable{address, attempt, last}
		default:
			return err
		}
	}
}

// again is the one table of what is tried again, and after how long.
//
//	no connection, or one that broke      yes
//	a certificate that is not trusted     no
//	429, 503                              yes, when the server says
//	500, 502, 504                         yes
//	any other status                      no
//	an answer that is none                no
func (c *Client) again(err error, attempt int) (time.Duration, bool) {
	pause := min(firstPause<<(attempt-1), maxPause)
	pause = pause/2 + time.Duration(c.opts.Random()*float64(pause/2))
	var status *statusError
	var untrusted *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &status):
		if status.after > maxRetryAfter {
			return 0, false
		}
		return max(pause, status.after), true
	case errors.As(err, &untrusted), errors.As(err, &unknown):
		return 0, false
	case errors.Is(err, ErrAnswer), errors.Is(err, errStop):
		return 0, false
	}
	var problem *Error
	return pause, !errors.As(err, &problem)
}

// errStop marks an error of a taker that another attempt would bring again.
var errStop = errors.New("stop")

// statusError is an answer that says not now.
type statusError struct {
	said  *Error
	after time.Duration
}

func (e *statusError) Error() string { return e.said.Error() }
func (e *statusError) Unwrap() error { return e.said }

// once makes one attempt.
func (c *Client) once(ctx context.Context, r request, take func(*http.Response) error) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	address := *c.base
	address.Path, address.RawPath = "", ""
	target := address.String() + c.base.EscapedPath() + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	var body io.Reader
	if r.body != nil {
		var err error
		if body, err = r.body(); err != nil {
			return fmt.Errorf("%w: %w", errStop, err)
		}
	}
	q, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return fmt.Errorf("%w: %w", errStop, err)
	}
	if r.body != nil {
		q.ContentLength = r.length
		q.Header.Set("Content-Type", r.media)
	}
	if r.accept != "" {
		q.Header.Set("Accept", r.accept)
	}
	q.Header.Set("User-Agent", c.opts.UserAgent)
	if c.opts.Token != "" {
		q.Header.Set("Authorization", "Bearer "+c.opts.Token)
	}
	response, err := c.http.Do(q)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			err = failed.Err // the address is said once, by whoever gives up
		}
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= 200 && response.StatusCode < 300 {
		return take(response)
	}
	return c.problem(r, response)
}

// problem reads an answer that is an error.
func (c *Client) problem(r request, response *http.Response) error {
	at := c.base.String() + r.path
	media, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type"))
	var p *Problem
	if media == wire.ProblemType {
		body, err := readLimited(response.Body, wire.MaxProblem)
		if err == nil {
			p, err = wire.ParseProblem(body)
		}
		// A document that contradicts its answer's status is somebody else's.
		if err != nil || p.Status != response.StatusCode {
			p = nil
		}
	}
	if p == nil {
		p = wire.NewProblem(response.StatusCode, codeOf(response.StatusCode),
			fmt.Sprintf("%s answered %d %s", at, response.StatusCode, http.StatusText(response.StatusCode)))
	}
	e := &Error{p, at}
	switch response.StatusCode {
	case http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
		if err != nil || seconds < 0 {
			seconds = 0
		}
		return &statusError{e, time.Duration(min(seconds, 1<<20)) * time.Second}
	}
	return e
}

// codeOf is the code of an answer that has none: a proxy's, or another program's.
func codeOf(status int) wire.Code {
	switch status {
	case http.StatusUnauthorized:
		return wire.CodeUnauthorized
	case http.StatusForbidden:
		return wire.CodeForbidden
	case http.StatusNotFound, http.StatusGone:
		return wire.CodeNotFound
	case http.StatusTooManyRequests:
		return wire.CodeRateLimited
	}
	if status >= 500 {
		return wire.CodeUnavailable
	}
	return ""
}
