// Package gcs is the door to Google Cloud Storage, by Google's own SDK. [Open]
// gives one bucket as a [bucket.Store].
//
// An object is known by its generation, which Cloud Storage never gives twice,
// and every byte is read under the condition that this generation is still the
// live one. Bytes are those that are stored: an object with Content-Encoding
// gzip is read compressed, as its size and its checksum say.
package gcs

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"cloud.google.com/go/storage"
	"github.com/googleapis/gax-go/v2"
	"google.golang.org/api/iterator"
	"google.golang.org/api/option"
	"google.golang.org/api/option/internaloption"
	htransport "google.golang.org/api/transport/http"

	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/bucket"
)

// Options are choices about a bucket.
type Options struct {
	Anonymous bool // use no credentials, even where there are some
	Requests  int  // how many may be under way at once; 0: bucket.DefaultRequests
}

// What List, Head and Put do by themselves about what may pass: a wait that
// begins at firstWait and doubles up to maxWait, of which each attempt takes a
// random part.
const (
	maxAttempts = 6
	maxWait     = 5 * time.Second
)

// firstWait is changed by tests alone.
var firstWait = 200 * time.Millisecond

func waits() gax.Backoff { return gax.Backoff{Initial: firstWait, Max: maxWait, Multiplier: 2} }

// pageSize is how many objects one request lists, the most that the JSON API
// gives.
const pageSize = 1000

// maxChunk is how many bytes an upload holds back, so that it can send them
// again.
const maxChunk = 16 << 20

// emulator names the environment's word for a server that stands in for Cloud
// Storage, and is asked without credentials. The SDK reads it itself.
const emulator = "STORAGE_EMULATOR_HOST"

// Store is one bucket. Make it with [Open].
type Store struct {
	name   string
	client *storage.Client
	bucket *storage.BucketHandle
	http   *http.Transport
	// lacking: nobody asked for anonymous requests, but there were no
	// credentials to make others with.
	lacking bool
}

var _ bucket.Store = (*Store)(nil)

// Open prepares a bucket for reading and writing; it asks nothing of it yet.
// Credentials are those that Google's SDK finds: GOOGLE_APPLICATION_CREDENTIALS
// (a key, workload identity federation, an impersonation), gcloud's own, the
// metadata service. Where there are none, requests are anonymous, and a refusal
// says so.
func Open(ctx context.Context, name string, o Options) (bucket.Store, error) {
	return open(ctx, name, o.Anonymous, bucket.NewTransport(o.Requests))
}

func open(ctx context.Context, name string, anonymous bool, t *http.Transport) (*Store, error) {
	s := &Store{name: name, http: t}
	var trip http.RoundTripper = once{t}
	if !anonymous && os.Getenv(emulator) == "" {
		// By the library that the SDK itself uses, which fetches a token under the
		// context of the request; without telemetry, which would wrap each body.
		with, err := htransport.NewTransport(ctx, trip, option.WithScopes(storage.ScopeReadWrite),
			option.WithTelemetryDisabled(), internaloption.EnableNewAuthLibrary())
		switch {
		case err == nil:
			trip = credentialed{with}
		case strings.Contains(err.Error(), noCredentials):
			s.lacking = true
		default:
			return nil, &source.Error{Path: s.URL(""), Class: source.ErrDenied, Detail: "the credentials cannot be used", Err: err}
		}
	}
	// No redirect is followed: the token would be sent to wherever it leads.
	direct := &http.Client{Transport: trip, CheckRedirect: func(*http.Request, []*http.Request) error { return errOnce }}
	client, err := storage.NewClient(ctx, option.WithHTTPClient(direct), option.WithoutAuthentication(), storage.WithDisabledClientMetrics())
	if err != nil {
		return nil, &source.Error{Path: s.URL(""), Err: err}
	}
	client.SetRetry(storage.WithMaxAttempts(maxAttempts), storage.WithErrorFunc(mayPass), storage.WithBackoff(waits()))
	s.client, s.bucket = client, client.Bucket(name)
	return s, nil
}

// noCredentials is what Google's library says when it found nothing at all, and
// says in no other way.
const noCredentials = "could not find default credentials"

// URL implements [bucket.Store].
func (s *Store) URL(key string) string { return "gs://" + s.name + "/" + key }

// Ordered implements [bucket.Store]: Cloud Storage lists in UTF-8's order.
// https://docs.cloud.google.com/storage/docs/listing-objects
func (s *Store) Ordered() bool { return true }

// Close implements [bucket.Store].
func (s *Store) Close() error {
	err := s.client.Close()
	s.http.CloseIdleConnections()
	return err
}

// List implements [bucket.Store]. Neither noncurrent nor soft-deleted objects
// are listed, nor the folders of a hierarchical namespace.
func (s *Store) List(ctx context.Context, prefix, from string, page func([]bucket.Item) error) error {
	q := &storage.Query{Prefix: prefix, StartOffset: from, Projection: storage.ProjectionNoACL}
	if err := q.SetAttrSelection([]string{"Name", "Size", "Generation"}); err != nil {
		return &source.Error{Path: prefix, Err: err}
	}
	pages := iterator.NewPager(s.bucket.Objects(ctx, q), pageSize, "")
	for {
		var all []*storage.ObjectAttrs
		next, err := pages.NextPage(&all)
		if err != nil {
			return s.failed(ctx, prefix, err)
		}
		items := make([]bucket.Item, len(all))
		for i, a := range all {
			if items[i], err = item(a); err != nil {
				return err
			}
		}
		if len(items) > 0 {
			if err := page(items); err != nil {
				return err
			}
		}
		if next == "" {
			return nil
		}
	}
}

// item is an object as the JSON API describes it. The API's etag is left out: it
// is another than the ETag of a read, and the generation says more.
func item(a *storage.ObjectAttrs) (bucket.Item, error) {
	if a.Generation <= 0 || a.Size < 0 {
		return bucket.Item{}, &source.Error{Path: a.Name, Detail: "the store does not say its generation or its size"}
	}
	return bucket.Item{Key: a.Name, Size: a.Size, Version: strconv.FormatInt(a.Generation, 10)}, nil
}

// Head implements [bucket.Store].
func (s *Store) Head(ctx context.Context, key string) (bucket.Item, error) {
	a, err := s.bucket.Object(key).Attrs(ctx)
	if err != nil {
		return bucket.Item{}, s.failed(ctx, key, err)
	}
	it, err := item(a)
	if err == nil && it.Key != key {
		err = &source.Error{Path: key, Detail: "the store answers with another object: " + source.Show(it.Key)}
	}
	return it, err
}

// Read implements [bucket.Store].
//
// The condition is ifGenerationMatch alone. With ?generation= besides, a bucket
// that keeps versions would answer with one that has been replaced, and the SDK
// would report the generation that was asked for instead of the one answered.
func (s *Store) Read(ctx context.Context, it bucket.Item, off, n int64) (io.ReadCloser, bucket.Item, error) {
	generation, err := strconv.ParseInt(it.Version, 10, 64)
	if err != nil || generation <= 0 {
		return nil, bucket.Item{}, &source.Error{Path: it.Key, Detail: "no generation to pin it by: " + strconv.Quote(it.Version)}
	}
	length := n
	if whole := off == 0 && n == it.Size; whole {
		length = -1 // no range; the SDK then compares the stored CRC32C too
	}
	a := new(answer)
	r, err := s.bucket.Object(it.Key).
		If(storage.Conditions{GenerationMatch: generation}).
		ReadCompressed(true).
		Retryer(storage.WithPolicy(storage.RetryNever)).
		NewRangeReader(context.WithValue(ctx, answerKey{}, a), off, length)
	if err != nil {
		err = s.failed(ctx, it.Key, err)
		if errors.Is(err, fs.ErrNotExist) {
			err = changed(it.Key, "it vanished")
		}
		return nil, bucket.Item{}, err
	}
	got := bucket.Item{Key: it.Key, Size: r.Attrs.Size} // of a range, its Content-Range's total
	if r.Attrs.Generation > 0 {
		got.Version = strconv.FormatInt(r.Attrs.Generation, 10)
	}
	if err := a.check(it, got, off, n, length < 0); err != nil {
		a.body.Close() // not r: it would log a body without a length
		return nil, bucket.Item{}, err
	}
	return &body{it.Key, r, a}, got, nil
}

// Put implements [bucket.Store]. An attempt that succeeded, but whose answer was
// lost, is tried again and finds its own object: fs.ErrExist.
//
// The attempts are counted here: the SDK would go on for ever.
func (s *Store) Put(ctx context.Context, key string, r io.ReadSeeker, size int64) error {
	var err error
	pause := waits()
	for attempt := 1; ; attempt++ {
		if err = bucket.Rewind(key, r, size); err != nil {
			return err
		}
		if err = s.put(ctx, key, r, size); err == nil {
			return nil
		}
		if attempt == maxAttempts || !mayPass(err) || gax.Sleep(ctx, pause.Pause()) != nil {
			break
		}
	}
	err = s.failed(ctx, key, err)
	if errors.Is(err, source.ErrChanged) { // 412: there is an object
		return &source.Error{Path: key, Class: fs.ErrExist}
	}
	return err
}

// put is one attempt.
func (s *Store) put(ctx context.Context, key string, r io.Reader, size int64) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop() // an upload that is not closed stores nothing
	w := s.bucket.Object(key).
		If(storage.Conditions{DoesNotExist: true}).
		Retryer(storage.WithPolicy(storage.RetryNever)).
		NewWriter(ctx)
	w.ContentType = "application/octet-stream"
	// What is larger is sent in pieces, of which each is sent again for
	// ChunkRetryDeadline; what is smaller in one request.
	w.ChunkSize = int(min(size+1, maxChunk))
	if _, err := io.CopyN(w, r, size); err != nil {
		return err
	}
	return w.Close()
}
