package storetest

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Exchange is one request and what becomes of it.
type Exchange struct {
	Method string
	Bucket string
	Key    string // of the object, decoded; empty for a listing and what concerns a bucket
	Query  url.Values
	Range  string      // what was asked for, as in "bytes=0-99", or empty
	Header http.Header // of the request; a change reaches the store if it is made before Forward, and breaks a signature that covers it
	N      int         // how many exchanges met the rule before this one
	Fault  Fault       // for a Match that chooses what the rule's Do then does

	proxy *FaultProxy
	w     http.ResponseWriter
	r     *http.Request
}

// Listing reports whether a page of a listing is asked for.
func (x *Exchange) Listing() bool {
	if x.Method != http.MethodGet || x.Key != "" {
		return false
	}
	switch x.proxy.store.Scheme {
	case "s3":
		return x.Query.Has("list-type") || x.Query.Has("versions")
	case "gs":
		return strings.HasSuffix(x.r.URL.Path, "/o")
	default:
		return x.Query.Get("comp") == "list"
	}
}

// Reading reports whether an object's bytes are asked for.
func (x *Exchange) Reading() bool {
	if x.Method != http.MethodGet || x.Key == "" {
		return false
	}
	return x.proxy.store.Scheme != "gs" || x.Query.Get("alt") == "media" || !strings.HasPrefix(x.r.URL.Path, "/storage/v1/")
}

// Listing and Reading match such exchanges; Key those of one object.
func Listing(x *Exchange) bool { return x.Listing() }

// Reading matches the reading of any object's bytes.
func Reading(x *Exchange) bool { return x.Reading() }

// Key matches the reading of one object's bytes.
func Key(key string) func(x *Exchange) bool {
	return func(x *Exchange) bool { return x.Reading() && x.Key == key }
}

// Path is the request's path as it was written, with its escapes.
func (x *Exchange) Path() string { return x.r.URL.EscapedPath() }

// Forward asks the store. Its answer goes to Answer or Cut; where there is none,
// it is nil.
func (x *Exchange) Forward() *http.Response {
	res, err := x.proxy.forward(x.r.Context(), x.r)
	if err != nil {
		return nil
	}
	return res
}

// Answer sends an answer; none ends the connection.
func (x *Exchange) Answer(res *http.Response) {
	if res == nil {
		x.Drop()
	}
	defer res.Body.Close()
	copyHeader(x.w.Header(), res.Header)
	x.w.WriteHeader(res.StatusCode)
	if _, err := io.Copy(x.w, res.Body); err != nil {
		x.Drop()
	}
}

// Say makes an answer of its own.
func (x *Exchange) Say(status int, header http.Header, body []byte) *http.Response {
	h := http.Header{}
	copyHeader(h, header)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(bytes.NewReader(body))}
}

// Drop ends the connection without another byte.
func (x *Exchange) Drop() { panic(http.ErrAbortHandler) }

// Cut sends the headers of an answer and n bytes of its body, and ends the
// connection: with a reset (RST) or in good order (FIN).
func (x *Exchange) Cut(res *http.Response, n int64, reset bool) {
	x.begin(res, n)
	if reset {
		if conn, _, err := http.NewResponseController(x.w).Hijack(); err == nil {
			conn.(*net.TCPConn).SetLinger(0)
			conn.Close()
			return
		}
	}
	x.Drop()
}

// begin sends the headers of an answer and n bytes of its body; no answer ends
// the connection.
func (x *Exchange) begin(res *http.Response, n int64) {
	if res == nil {
		x.Drop()
	}
	defer res.Body.Close()
	copyHeader(x.w.Header(), res.Header)
	x.w.WriteHeader(res.StatusCode)
	io.Copy(x.w, io.LimitReader(res.Body, n))
	http.NewResponseController(x.w).Flush()
}

// Fault does something to an exchange.
type Fault func(x *Exchange)

// Pass forwards an exchange as it is: it is there to be counted.
func Pass(x *Exchange) { x.Answer(x.Forward()) }

// Drop ends the connection before the store hears of the request.
func Drop(x *Exchange) { x.Drop() }

// Delay forwards after a time, or when the client gives up.
func Delay(d time.Duration) Fault {
	return func(x *Exchange) {
		select {
		case <-time.After(d):
			Pass(x)
		case <-x.r.Context().Done():
			x.Drop()
		}
	}
}

// Hang never answers: the client has to give up.
func Hang(x *Exchange) {
	<-x.r.Context().Done()
	x.Drop()
}

// Truncate sends all headers, with the whole length, and n bytes of the body.
func Truncate(n int64) Fault {
	return func(x *Exchange) { x.Cut(x.Forward(), n, false) }
}

// Reset resets the connection when n bytes of the body are sent. What the
// client has not read by then it may never see.
func Reset(n int64) Fault {
	return func(x *Exchange) { x.Cut(x.Forward(), n, true) }
}

// Unframed sends n bytes of the body without saying how many there are: the end
// of the connection is the end of the body, as in HTTP/1.0, and a client that
// believes it takes a part for the whole.
func Unframed(n int64) Fault {
	return func(x *Exchange) {
		res := x.Forward()
		if res == nil {
			x.Drop()
		}
		defer res.Body.Close()
		conn, w, err := http.NewResponseController(x.w).Hijack()
		if err != nil {
			x.Drop()
		}
		defer conn.Close()
		res.Header.Del("Content-Length")
		res.Header.Set("Connection", "close")
		fmt.Fprintf(w, "HTTP/1.1 %d %s\r\n", res.StatusCode, http.StatusText(res.StatusCode))
		res.Header.Write(w)
		w.WriteString("\r\n")
		io.Copy(w, io.LimitReader(res.Body, n))
		w.Flush()
	}
}

// Refuse answers with a status in the words of the store; retryAfter is in
// seconds, none if it is negative.
func Refuse(status, retryAfter int) Fault {
	return func(x *Exchange) {
		code, message := strconv.Itoa(status), http.StatusText(status)
		h := http.Header{}
		if retryAfter >= 0 {
			h.Set("Retry-After", strconv.Itoa(retryAfter))
		}
		switch x.proxy.store.Scheme {
		case "s3":
			// https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
			code = map[int]string{403: "AccessDenied", 404: "NoSuchKey", 412: "PreconditionFailed", 429: "SlowDown", 500: "InternalError", 503: "SlowDown"}[status]
		case "azblob":
			// https://learn.microsoft.com/rest/api/storageservices/blob-service-error-codes
			code = map[int]string{403: "AuthorizationFailure", 404: "BlobNotFound", 412: "ConditionNotMet", 429: "ServerBusy", 500: "InternalError", 503: "ServerBusy"}[status]
			h.Set("X-Ms-Error-Code", code)
		}
		h.Set("Content-Type", "application/xml")
		body := fmt.Sprintf("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>%s</Message></Error>", code, message)
		if x.proxy.store.Scheme == "gs" {
			h.Set("Content-Type", "application/json")
			body = fmt.Sprintf(`{"error":{"code":%d,"message":%q}}`, status, message)
		}
		x.Answer(x.Say(status, h, []byte(body)))
	}
}

// RefuseAs answers with a status and one error code of S3 or Azure.
func RefuseAs(status int, code string) Fault {
	return func(x *Exchange) {
		h := http.Header{"Content-Type": {"application/xml"}}
		if x.proxy.store.Scheme == "azblob" {
			h.Set("X-Ms-Error-Code", code)
		}
		x.Answer(x.Say(status, h, fmt.Appendf(nil, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>%[1]s</Message></Error>", code)))
	}
}

// First calls hook, then forwards: what was listed can be replaced before it
// is read.
func First(hook func(x *Exchange)) Fault {
	return func(x *Exchange) {
		hook(x)
		Pass(x)
	}
}

// Unranged answers a request for a range with the whole object, status 200, as
// a server does that knows no ranges. (Leaving the range out of the request
// would break S3's signature.)
func Unranged(whole []byte) Fault {
	return func(x *Exchange) {
		res := x.Forward()
		if res == nil {
			x.Drop()
		}
		res.Body.Close()
		res.Header.Del("Content-Range")
		x.Answer(x.Say(http.StatusOK, res.Header, whole))
	}
}

// Stall sends the headers and n bytes of the body, and then nothing more until
// the client gives up.
func Stall(n int64) Fault {
	return func(x *Exchange) {
		x.begin(x.Forward(), n)
		Hang(x)
	}
}

// Edit changes a successful answer's headers and body; the length follows the
// body, everything else is as edit leaves it.
func Edit(edit func(x *Exchange, h http.Header, body []byte) []byte) Fault {
	return func(x *Exchange) {
		res := x.Forward()
		if res == nil {
			x.Drop()
		}
		if res.StatusCode/100 != 2 {
			x.Answer(res)
			return
		}
		body, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			x.Drop()
		}
		x.Answer(x.Say(res.StatusCode, res.Header, edit(x, res.Header, slices.Clip(body))))
	}
}

// Cycle does one fault after the other, and then begins anew.
func Cycle(faults ...Fault) Fault {
	return func(x *Exchange) { faults[x.N%len(faults)](x) }
}

// Repeat answers every exchange it meets with what the first one got.
func Repeat() Fault {
	var first *http.Response
	var body []byte
	return func(x *Exchange) { // one at a time: only for what is asked in turn, as pages are
		if first == nil {
			first = x.Forward()
			if first == nil {
				x.Drop()
			}
			var err error
			if body, err = io.ReadAll(first.Body); err != nil {
				x.Drop()
			}
			first.Body.Close()
		}
		x.Answer(x.Say(first.StatusCode, first.Header, body))
	}
}
