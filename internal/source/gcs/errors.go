package gcs

import (
	"context"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"

	"cloud.google.com/go/storage"
	"google.golang.org/api/googleapi"

	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/bucket"
)

// mayPass reports whether another attempt may do better.
func mayPass(err error) bool {
	if e := (*googleapi.Error)(nil); errors.As(err, &e) {
		return tooMany(e) || e.Code == http.StatusRequestTimeout || e.Code/100 == 5
	}
	var (
		dns         *net.DNSError
		certificate *tls.CertificateVerificationError
		network     net.Error // dialing, timeouts, resets; url.Error is one, too
	)
	switch {
	case errors.Is(err, errCredentials), errors.Is(err, errOnce), errors.As(err, &certificate), errors.As(err, &dns) && dns.IsNotFound:
		return false
	}
	return errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF)
}

// tooMany reports whether the store asks for fewer requests. 403 with one of
// these reasons is how the JSON API may say 429.
// https://docs.cloud.google.com/storage/docs/json_api/v1/status-codes
func tooMany(e *googleapi.Error) bool {
	if e.Code == http.StatusTooManyRequests || e.Code == http.StatusServiceUnavailable {
		return true
	}
	for _, item := range e.Errors {
		if e.Code == http.StatusForbidden && (item.Reason == "rateLimitExceeded" || item.Reason == "userRateLimitExceeded") {
			return true
		}
	}
	return false
}

// failed says what an error of the SDK means for the object or prefix at path.
func (s *Store) failed(ctx context.Context, path string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	out := &source.Error{Path: path}
	var e *googleapi.Error
	switch {
	case errors.As(err, &e):
		s.refused(out, e)
	case errors.Is(err, storage.ErrObjectNotExist):
		out.Class = fs.ErrNotExist // of a read, without an answer's text
	case errors.Is(err, errCredentials):
		out.Class, out.Detail = source.ErrDenied, bucket.Line(cause(err).Error())
		if network := (*net.OpError)(nil); errors.As(err, &network) {
			out.Class = source.ErrUnreachable
		}
	case errors.Is(err, errOnce):
		out.Class, out.Detail = source.ErrUnreachable, "the store sends the request elsewhere"
	default:
		out.Class, out.Err = source.ErrUnreachable, cause(err)
	}
	return out
}

// refused says what an answer other than 2xx means.
func (s *Store) refused(out *source.Error, e *googleapi.Error) {
	out.Detail = said(e)
	switch {
	case tooMany(e):
		out.Class, out.Err = source.ErrUnreachable, &bucket.Busy{After: bucket.RetryAfter(e.Header.Get("Retry-After"))}
	case e.Code == http.StatusNotFound:
		out.Class = fs.ErrNotExist
	case e.Code == http.StatusPreconditionFailed:
		out.Class, out.Detail = source.ErrChanged, "it was replaced"
	case e.Code == http.StatusRequestedRangeNotSatisfiable:
		out.Class, out.Detail = source.ErrChanged, "it is shorter than it was"
	case e.Code == http.StatusUnauthorized, e.Code == http.StatusForbidden, needsKey(e):
		out.Class = source.ErrDenied
		if s.lacking {
			out.Detail += "; no credentials were found, so it was asked for without any"
		}
	case e.Code/100 == 5, e.Code == http.StatusRequestTimeout:
		out.Class = source.ErrUnreachable
	}
}

// needsKey reports whether an answer asks for more than credentials: the key of
// an object that the customer encrypted, or somebody to pay for the request.
func needsKey(e *googleapi.Error) bool {
	text := e.Message + e.Body
	return e.Code == http.StatusBadRequest && (strings.Contains(text, "customer-supplied encryption key") ||
		strings.Contains(text, "CustomerEncryptionKey") || strings.Contains(text, "UserProjectMissing") || strings.Contains(text, "no user project"))
}

// said is an answer's status with the store's own words, in one line. The XML
// API, which reads come from, answers otherwise than the JSON API.
// https://docs.cloud.google.com/storage/docs/xml-api/reference-status
func said(e *googleapi.Error) string {
	text := e.Message
	var doc struct{ Message, Details string }
	if text == "" && xml.Unmarshal([]byte(e.Body), &doc) == nil {
		if text = doc.Message; doc.Details != "" {
			text = doc.Details
		}
	}
	status := fmt.Sprintf("%d %s", e.Code, http.StatusText(e.Code))
	if text == "" {
		return "the store answers " + status
	}
	return "the store answers " + status + ": " + strings.TrimSuffix(bucket.Line(text), ".")
}

// cause is an error of the transport, without the address: the path says it.
func cause(err error) error {
	if u := (*url.Error)(nil); errors.As(err, &u) {
		return u.Err
	}
	return err
}
