package azure

import (
	"context"
	"crypto/tls"
	"encoding/xml"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"

	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/bucket"
)

// mayPass reports whether another attempt may do better.
func mayPass(answer *http.Response, err error) bool {
	if err == nil {
		code := answer.StatusCode
		return code/100 == 5 && code != http.StatusNotImplemented || code == http.StatusTooManyRequests || code == http.StatusRequestTimeout
	}
	var (
		dns         *net.DNSError
		certificate *tls.CertificateVerificationError
	)
	return !errors.As(err, &certificate) && !(errors.As(err, &dns) && dns.IsNotFound)
}

// failed says what an error of the SDK means for the blob or prefix at path.
func (s *Store) failed(ctx context.Context, path string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	out := &source.Error{Path: path}
	var (
		e      *azcore.ResponseError
		denied *azidentity.AuthenticationFailedError
		u      *url.Error
	)
	switch {
	case errors.As(err, &denied):
		out.Class, out.Detail = source.ErrDenied, bucket.Line(err.Error())
	case errors.As(err, &e):
		s.refused(out, e)
	case errors.As(err, &u): // without the address, which may hold a signature
		out.Class, out.Err = source.ErrUnreachable, u.Err
	default:
		out.Class, out.Detail = source.ErrUnreachable, bucket.Line(err.Error())
	}
	return out
}

// publicAccessNotPermitted (409) is a code that the SDK has no name for.
// https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
const publicAccessNotPermitted = "PublicAccessNotPermitted"

// refused says what an answer other than 2xx means.
func (s *Store) refused(out *source.Error, e *azcore.ResponseError) {
	out.Detail = said(e)
	switch code := bloberror.Code(e.ErrorCode); {
	case code == bloberror.BlobArchived, code == bloberror.BlobBeingRehydrated:
		out.Class = source.ErrArchived
	case code == bloberror.BlobAlreadyExists:
		out.Class, out.Detail = fs.ErrExist, ""
	case code == publicAccessNotPermitted, code == bloberror.BlobUsesCustomerSpecifiedEncryption, code == bloberror.ContainerDisabled:
		out.Class = source.ErrDenied
	case code == bloberror.ServerBusy, code == bloberror.OperationTimedOut,
		e.StatusCode == http.StatusServiceUnavailable, e.StatusCode == http.StatusTooManyRequests:
		// Both codes are how the service says that a partition has too much to do.
		out.Class, out.Err = source.ErrUnreachable, &bucket.Busy{After: retryAfter(e.RawResponse)}
	case e.StatusCode == http.StatusNotFound, code == bloberror.ContainerBeingDeleted:
		out.Class = fs.ErrNotExist
	case e.StatusCode == http.StatusPreconditionFailed:
		out.Class, out.Detail = source.ErrChanged, "it was replaced"
	case e.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		out.Class, out.Detail = source.ErrChanged, "it is shorter than it was"
	case e.StatusCode == http.StatusUnauthorized, e.StatusCode == http.StatusForbidden:
		out.Class = source.ErrDenied
	case e.StatusCode/100 == 5, e.StatusCode == http.StatusRequestTimeout:
		out.Class = source.ErrUnreachable
	}
	// What may not be seen without credentials is said not to exist.
	if s.lacking && (out.Class == source.ErrDenied || out.Class == fs.ErrNotExist) {
		out.Detail += "; no credentials were found, so it was asked for without any"
	}
}

// said is an answer's status with the store's own words, in one line.
func said(e *azcore.ResponseError) string {
	text := fmt.Sprintf("the store answers %d", e.StatusCode)
	if e.ErrorCode != "" {
		text += " " + bucket.Line(e.ErrorCode)
	} else {
		text += " " + http.StatusText(e.StatusCode)
	}
	if e.RawResponse == nil {
		return text
	}
	var doc struct{ Message string }
	if b, err := runtime.Payload(e.RawResponse); err != nil || xml.Unmarshal(b, &doc) != nil {
		return text
	}
	// Its second line and third are the request's id and time.
	if first, _, _ := strings.Cut(strings.TrimSpace(doc.Message), "\n"); first != "" {
		text += ": " + strings.TrimSuffix(bucket.Line(first), ".")
	}
	return text
}

// retryAfter is what an answer asks for, or 0.
func retryAfter(answer *http.Response) time.Duration {
	if answer == nil {
		return 0
	}
	return bucket.RetryAfter(answer.Header.Get("Retry-After"))
}
