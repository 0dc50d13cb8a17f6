// Package bucket makes a [source.Source] of an object store: keys become paths,
// a flat listing in byte order becomes a tree, and every byte that is read is of
// the object that the listing saw. What speaks to a store is a [Store], one for
// each SDK; all that they have in common is here, once.
package bucket

import (
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/stele-ml/stele/internal/source"
)

// Item is one object as a listing or a lookup saw it.
type Item struct {
	Key  string // raw, as the store has it: no decoding of any kind
	Size int64  // in bytes
	// ETag is as List spells it, or empty. It is compared without quotes.
	ETag string
	// Version is the version id or generation, or empty where the store has
	// none or did not say. S3's "null" is kept: it can be told from others, but
	// is no mark to know an object by.
	Version string
	// Modified is when it was written, in Unix seconds, by a store of which two
	// objects can have one ETag; 0 where it does not say, or an ETag says more.
	Modified int64
	// Archived is the storage class that must be restored before anything can
	// be read, or empty. A store that cannot be sure of it leaves it empty, and
	// answers a Read with source.ErrArchived.
	Archived string
}

// Mark is what an item is known by at a later time.
func (it *Item) Mark() source.Mark {
	m := source.Mark{Size: it.Size, Version: it.Version, ETag: it.ETag, Modified: it.Modified}
	if m.Version == nullVersion {
		m.Version = ""
	}
	if isWeak(m.ETag) {
		m.ETag = ""
	}
	return m
}

// isWeak reports whether an ETag is none to know bytes by: a weak one may stay
// when they change (RFC 9110, section 8.8.1).
func isWeak(etag string) bool { return etag == "" || strings.HasPrefix(etag, "W/") }

// nullVersion is S3's version id of an object that was written while the bucket
// had no versioning. The next such write takes its place, under the same id.
const nullVersion = "null"

// Store is one bucket or container, by its own SDK. Its methods may be called
// concurrently. Whatever fails is a *source.Error whose Path is the key (for
// List: the prefix) and whose Class says what it means; an error of ctx is
// returned as context.Cause(ctx).
//
// List, Head and Put try again by themselves, a bounded number of times, what
// may pass: no connection, a reset, 5xx, 429. Read does not: Source does, at
// the offset that it has reached and at a pace that the store can bear.
type Store interface {
	// List passes objects whose keys begin with prefix and are not below from to
	// page, in the store's order and without folders of the store's own making.
	// A few below from may come too. The slices belong to page. An error of page
	// ends the listing and is returned as it is. No such bucket is
	// fs.ErrNotExist; a prefix that holds nothing is no error.
	List(ctx context.Context, prefix, from string, page func([]Item) error) error

	// Head finds one object, or fs.ErrNotExist.
	Head(ctx context.Context, key string) (Item, error)

	// Read opens the n bytes at off of exactly this item, pinned by version or
	// If-Match; n is at least 1 and off+n at most it.Size. Where that is the
	// whole object no range need be asked for. Beside the body it returns the
	// item as the answer describes it, with Size and what else the answer says;
	// Source compares it. A body that could hold more or less than n bytes may
	// be returned: Source counts.
	//
	// An object that is no longer there or was replaced, and an answer with
	// another ETag, another range or none (200 for a range), are
	// source.ErrChanged, and nothing of the body is returned. It is one attempt:
	// what another may cure is source.ErrUnreachable, and a store that wants
	// fewer requests has a *Busy in the error besides.
	Read(ctx context.Context, it Item, off, n int64) (io.ReadCloser, Item, error)

	// Put stores the size bytes of r under key. If there is an object already it
	// stores nothing: fs.ErrExist.
	Put(ctx context.Context, key string, r io.ReadSeeker, size int64) error

	// Ordered reports whether List goes in byte order of the keys. What is
	// claimed here is checked.
	Ordered() bool

	// URL is a key as a person writes it, for messages: s3://bucket/key.
	URL(key string) string

	Close() error
}

// Busy is in the chain of an error when a store asked for fewer requests: 503
// (S3's SlowDown), 429.
type Busy struct {
	After time.Duration // what Retry-After asks for, or 0
	Err   error         // as the SDK had it, or nil
}

func (b *Busy) Error() string {
	const text = "the store asks for fewer requests"
	if b.Err == nil {
		return text
	}
	return text + ": " + b.Err.Error()
}

// Unwrap returns what the SDK said.
func (b *Busy) Unwrap() error { return b.Err }

// sameETag compares ETags, which some stores quote in headers and not in
// listings.
func sameETag(a, b string) bool {
	return strings.Trim(a, `"`) == strings.Trim(b, `"`)
}

// asError is a store's error as a *source.Error, which it should be.
func asError(err error) *source.Error {
	var e *source.Error
	if errors.As(err, &e) {
		return e
	}
	return &source.Error{Err: err}
}

// wrap gives a store's error another path.
func wrap(path string, err error) error {
	e := *asError(err)
	e.Path = path
	return &e
}
