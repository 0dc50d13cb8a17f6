package client

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/stele-ml/stele/internal/wire"
)

// retry makes a request until take has taken an answer of success. An error of
// take is that of a connection that broke, unless it is an ErrAnswer or an ownError.
func (c *Client) retry(ctx context.Context, r request, take func(*http.Response) error) error {
	begun := time.Now()
	unknown, renewed := false, false
	for attempt := 1; ; attempt++ {
		token := *c.token.Load()
		err := c.once(ctx, r, take)
		if err == nil {
			return nil
		}
		var own *ownError
		if errors.As(err, &own) {
			return own.error
		}
		if !renewed && c.renewed(ctx, token, err) {
			renewed = true
			continue
		}
		wait, again := c.again(err, attempt)
		if !again && ctx.Err() == nil && !isNetwork(err) && !errors.Is(err, ErrUnreachable) {
			var said *statusError
			if errors.As(err, &said) {
				return said.said
			}
			return err
		}
		unknown = unknown || r.writes() && mayHaveArrived(err)
		given := &Unreachable{URL: c.base.String() + r.path, Attempts: attempt, Elapsed: time.Since(begun), Unknown: unknown, Err: err}
		if ctx.Err() != nil {
			given.Err = context.Cause(ctx)
			return given
		}
		if !again || attempt >= c.opts.Attempts || given.Elapsed+wait > c.opts.Budget {
			return given
		}
		if c.opts.Retrying != nil {
			c.opts.Retrying(given.Elapsed, err)
		}
		if c.opts.Sleep(ctx, wait) != nil {
			if ctx.Err() != nil {
				given.Err = context.Cause(ctx)
			}
			return given
		}
	}
}

// again is the one table of what is tried again, and after how long.
//
//	no connection, or one that broke             yes
//	a certificate that does not hold             no
//	408, 425, 429, 500, 502, 503, 504            yes, not before Retry-After; but not
//	                                             with a code that says it is no use
//	409 with the code size                       yes
//	any other status                             no
//	an answer that is none, or too long          no
func (c *Client) again(err error, attempt int) (time.Duration, bool) {
	pause := firstPause
	for range attempt - 1 {
		pause = min(2*pause, maxPause)
	}
	pause = pause/2 + time.Duration(c.opts.Random()*float64(pause/2))
	var said *statusError
	switch {
	case errors.As(err, &said):
		// To ask earlier than it says is rude, and to wait for ever is what a
		// malicious server would like.
		if said.after > maxRetryAfter {
			return 0, false
		}
		known, ok := codes[wire.Code(said.said.Problem.Code)]
		return max(pause, said.after), !ok && mayPass(said.said.Problem.Status) || known.again && (!known.fault || mayPass(said.said.Problem.Status))
	case isNetwork(err):
		return pause, !stays(err)
	}
	return 0, false
}

// mayPass reports whether a status says "not now", or that something between here
// and the ledger failed. Whatever else a server answers it would answer again.
func mayPass(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests,
		http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// ownError is an error of this side: what was to be sent could not be read, or what came
// not be kept. Another attempt would bring it again.
type ownError struct{ error }

func (e *ownError) Unwrap() error { return e.error }

// errSlow is an answer that does not come along.
var errSlow = errors.New("no whole answer in time")

// statusError is an answer that is an error, and how long the server asks to wait.
type statusError struct {
	said  *Error
	after time.Duration
}

func (e *statusError) Error() string { return e.said.Error() }
func (e *statusError) Unwrap() error { return e.said }

// networkError is an error of sending a request or of reading its answer.
type networkError struct {
	error
	sent bool // some of the request
}

func (e *networkError) Unwrap() error { return e.error }

// Hint says what to do where the error tells.
func (e *networkError) Hint() string {
	if stays(e.error) && !errors.Is(e.error, errNotHere) {
		return "the server's certificate, or yours, was not accepted: name the authority that signed it, or ask whoever runs the server"
	}
	return ""
}

func isNetwork(err error) bool {
	var broken *networkError
	return errors.As(err, &broken)
}

// mayHaveArrived reports whether a request whose attempt failed may have been done.
func mayHaveArrived(err error) bool {
	var broken *networkError
	var said *statusError
	return errors.As(err, &broken) && broken.sent || errors.As(err, &said) && said.said.Problem.Status >= 500
}

// stays reports whether an error of connecting would come again.
func stays(err error) bool {
	var (
		certificate *tls.CertificateVerificationError
		authority   x509.UnknownAuthorityError
		name        x509.HostnameError
		invalid     x509.CertificateInvalidError
		alert       tls.AlertError
		header      tls.RecordHeaderError
	)
	return errors.As(err, &certificate) || errors.As(err, &authority) || errors.As(err, &name) || errors.As(err, &invalid) ||
		errors.As(err, &alert) || errors.As(err, &header) || errors.Is(err, errNotHere)
}

// retryAfter reads the header of that name: seconds, or a date. What is neither
// asks for nothing; a number that no machine would wait for is one that is too long.
func retryAfter(h http.Header) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	n, err := strconv.ParseUint(text, 10, 31)
	if err == nil || errors.Is(err, strconv.ErrRange) {
		return time.Duration(min(n, math.MaxInt32)) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}
