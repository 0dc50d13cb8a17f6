package gcs

import (
	"errors"
	"fmt"
	"io"
	"net/http"

	"cloud.google.com/go/storage"

	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/bucket"
)

// answer is what came back for one Read. It travels in the request's context,
// because the SDK's Reader shows neither the answer's headers nor the error that
// ended a body: it opens the object again by itself and reads on, without
// looking which range it was given then.
type answer struct {
	header http.Header // nil until there is an answer
	length int64       // what Content-Length says, or -1
	body   io.Closer
	broken error // what ended the body early
}

type answerKey struct{}

// errOnce refuses the SDK's own second request.
var errOnce = errors.New("one read is one request")

// sent is an error of a request that credentials had been found for.
type sent struct{ error }

// Unwrap returns the transport's error.
func (s sent) Unwrap() error { return s.error }

// once lets a Read make one request, and keeps what comes back. It stands below
// what adds credentials.
type once struct{ base http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (t once) RoundTrip(req *http.Request) (*http.Response, error) {
	a, ok := req.Context().Value(answerKey{}).(*answer)
	if ok && a.header != nil {
		return nil, sent{errOnce}
	}
	res, err := t.base.RoundTrip(req)
	if err != nil {
		return nil, sent{err}
	}
	if ok {
		a.header, a.length, a.body = res.Header, res.ContentLength, res.Body
		res.Body = &watched{res.Body, a}
	}
	return res, nil
}

// errCredentials: there are credentials, but no token was given for them.
var errCredentials = errors.New("no access token could be had")

// credentialed tells errors of what adds credentials from those of requests. It
// stands above it.
type credentialed struct{ base http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (t credentialed) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := t.base.RoundTrip(req)
	if err != nil && !errors.As(err, new(sent)) {
		err = fmt.Errorf("%w: %w", errCredentials, err)
	}
	return res, err
}

// watched is an answer's body. It remembers why it ended.
type watched struct {
	io.ReadCloser
	answer *answer
}

// Read implements [io.Reader].
func (w *watched) Read(p []byte) (int, error) {
	n, err := w.ReadCloser.Read(p)
	if err != nil && err != io.EOF {
		w.answer.broken = err
	}
	return n, err
}

// check compares an answer with what was asked for: the n bytes at off of it, or
// all of it without a range.
func (a *answer) check(it, got bucket.Item, off, n int64, whole bool) error {
	asked := fmt.Sprintf("bytes %d-%d/%d", off, off+n-1, it.Size)
	if whole {
		asked = ""
	}
	switch sent := a.header.Get("Content-Range"); {
	case got.Version == "":
		return changed(it.Key, "the answer does not say which generation it is")
	case got.Version != it.Version:
		return changed(it.Key, "it was replaced: generation "+got.Version+", not "+it.Version)
	case a.header.Get("X-Goog-Stored-Content-Encoding") == "gzip" && a.header.Get("Content-Encoding") != "gzip":
		// Asked for with Accept-Encoding: gzip, it should come as it is stored.
		// https://docs.cloud.google.com/storage/docs/transcoding
		return &source.Error{Path: it.Key, Detail: "it is stored compressed, and the store sends it decompressed"}
	case sent != asked:
		return changed(it.Key, fmt.Sprintf("the answer is of the range %q, not %q", sent, asked))
	case a.length < 0:
		return &source.Error{Path: it.Key, Class: source.ErrUnreachable, Detail: "the answer does not say how long it is"}
	}
	return nil
}

func changed(key, why string) error {
	return &source.Error{Path: key, Class: source.ErrChanged, Detail: why}
}

// body is what Read returns.
type body struct {
	key    string
	r      *storage.Reader
	answer *answer
}

// Read implements [io.Reader]. It reports what ended the body, not what the SDK
// then tried. Behind the last byte of a whole object it is an error if they are
// not those of the CRC32C that the store keeps.
func (b *body) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	switch {
	case err == nil, err == io.EOF:
	case b.answer.broken != nil:
		err = b.answer.broken
	default:
		err = &source.Error{Path: b.key, Class: source.ErrUnreachable, Detail: "what came is not what is stored: " + bucket.Line(err.Error())}
	}
	return n, err
}

// Close implements [io.Closer].
func (b *body) Close() error { return b.r.Close() }
