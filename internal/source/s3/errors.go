package s3

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/bucket"
)

// denials say in words why a request was refused, by S3's error code.
// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
var denials = map[string]string{
	"InvalidAccessKeyId":           "the store does not know this access key",
	"SignatureDoesNotMatch":        "the secret key does not belong to the access key",
	"ExpiredToken":                 "the credentials have expired",
	"TokenRefreshRequired":         "the credentials have expired",
	"InvalidToken":                 "the credentials' session token is not valid",
	"RequestTimeTooSkewed":         "this machine's clock differs too much from the store's",
	"AuthorizationHeaderMalformed": "the request was signed for another region",
	"AccessDenied":                 "these credentials may not do that, or the store does not tell them that it is not there",
	"Forbidden":                    "these credentials may not do that, or the store does not tell them that it is not there",
}

// failed makes a *source.Error of an error of the SDK.
func (s *store) failed(ctx context.Context, key string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	e := &source.Error{Path: key, Err: cause(err)}
	var api smithy.APIError
	code := ""
	if errors.As(err, &api) {
		code = api.ErrorCode()
	}
	status := status(err)
	denial, denied := denials[code]
	switch {
	case code == "NoSuchBucket":
		e.Detail, e.Err = "there is no bucket "+source.Show(s.name), fs.ErrNotExist
	case code == "InvalidObjectState":
		e.Class = source.ErrArchived
	case denied || status == http.StatusUnauthorized || status == http.StatusForbidden:
		e.Class, e.Detail = source.ErrDenied, denial
		if s.signed != "" {
			e.Detail = s.signed
		}
	case status == http.StatusNotFound:
		e.Detail, e.Err = "there is no such object", fs.ErrNotExist
	case status == http.StatusPreconditionFailed:
		e.Detail, e.Err = "there is an object already", fs.ErrExist // only Put sets a condition
	case isBusy(err):
		e.Class, e.Err = source.ErrUnreachable, &bucket.Busy{After: bucket.RetryAfter(header(err, "Retry-After")), Err: e.Err}
	case status/100 == 5 && status != http.StatusNotImplemented, status == http.StatusRequestTimeout, code == "RequestTimeout", status == http.StatusConflict:
		e.Class = source.ErrUnreachable
	case status/100 == 3:
		e.Detail = "the bucket is elsewhere"
		if region := header(err, regionHeader); region != "" {
			e.Detail = "the bucket is in the region " + source.Show(region)
		}
	case isBroken(err):
		e.Class = source.ErrUnreachable
	}
	return e
}

// readFailed is failed for what was asked for with If-Match.
func (s *store) readFailed(ctx context.Context, key string, err error) error {
	switch status(err) {
	case http.StatusNotFound:
		return &source.Error{Path: key, Class: source.ErrChanged, Detail: "it vanished"}
	case http.StatusPreconditionFailed:
		return &source.Error{Path: key, Class: source.ErrChanged, Detail: "it was replaced"}
	case http.StatusRequestedRangeNotSatisfiable:
		return &source.Error{Path: key, Class: source.ErrChanged, Detail: "it became shorter"}
	}
	return s.failed(ctx, key, err)
}

// status is that of the answer, or 0 if there was none.
func status(err error) int {
	var answer *awshttp.ResponseError
	if errors.As(err, &answer) && answer.Response != nil {
		return answer.HTTPStatusCode()
	}
	return 0
}

func header(err error, name string) string {
	var answer *awshttp.ResponseError
	if errors.As(err, &answer) && answer.Response != nil {
		return answer.Response.Header.Get(name)
	}
	return ""
}

// isBusy reports whether the store asks for fewer requests.
func isBusy(err error) bool {
	var api smithy.APIError
	if errors.As(err, &api) && api.ErrorCode() == "SlowDown" {
		return true
	}
	n := status(err)
	return n == http.StatusServiceUnavailable || n == http.StatusTooManyRequests
}

// isBroken reports whether there was no answer, or one that broke off.
func isBroken(err error) bool {
	var send *smithyhttp.RequestSendError
	var cut *smithy.DeserializationError
	return errors.As(err, &send) || errors.As(err, &cut) || cutOff(err)
}

// cutOff reports whether an answer began well and could not be read to its end.
// Not every such error of the SDK is a DeserializationError.
func cutOff(err error) bool { return status(err)/100 == 2 }

// retryBroken has the SDK ask again when an answer broke off in its middle.
type retryBroken struct{}

func (retryBroken) IsErrorRetryable(err error) aws.Ternary {
	var cut *smithy.DeserializationError
	if errors.As(err, &cut) && status(err) == 0 || cutOff(err) {
		return aws.TrueTernary
	}
	return aws.UnknownTernary
}

// cause is what a person needs of an SDK's error: what the store said, or why
// there was no connection.
func cause(err error) error {
	var api smithy.APIError
	var answer *awshttp.ResponseError
	hasAnswer := errors.As(err, &answer) && answer.Response != nil
	var u *url.Error
	switch {
	case errors.As(err, &api) && hasAnswer:
		text := fmt.Sprintf("%d %s", answer.HTTPStatusCode(), api.ErrorCode())
		if m := api.ErrorMessage(); m != "" && m != api.ErrorCode() {
			text += ": " + bucket.Line(m)
		}
		if answer.RequestID != "" {
			text += " (request " + answer.RequestID + ")"
		}
		return errors.New(text)
	case errors.As(err, &u):
		return u.Err
	}
	return err
}
