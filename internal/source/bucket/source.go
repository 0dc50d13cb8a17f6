package bucket

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"time"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/source"
)

// RangeSize is how many bytes of a large object one request asks for. It is long
// enough that a request's latency does not count, and short enough that several
// workers share one object.
const RangeSize = 8 << 20

// Options are choices about reading an object store.
type Options struct {
	// Requests bounds how many requests for objects are under way at once; 0:
	// [DefaultRequests].
	Requests int
	// SortListing lists everything first and sorts it in memory, for a store
	// that does not list in byte order of the keys.
	SortListing bool
}

// Source is one object, or all objects under a prefix that ends with '/'. Make
// it with [Open].
type Source struct {
	st       Store
	prefix   string // of the keys, "" or with '/' at its end
	single   *Item  // the root, if it is one object
	base     string // its name
	sort     bool
	requests int
	pace     *pace

	// wait sleeps before another attempt; only tests set another.
	wait func(ctx context.Context, d time.Duration) error
}

// Open opens what key names in a store: "" is all of it, "p/" is a folder, "p"
// an object or a folder. A name that is both is an error that says so, one that
// is neither fs.ErrNotExist. The Source owns st from then on, also when Open
// fails.
func Open(ctx context.Context, st Store, key string, o Options) (*Source, error) {
	requests := o.Requests
	if requests <= 0 {
		requests = DefaultRequests()
	}
	s := &Source{
		st:       st,
		sort:     o.SortListing || !st.Ordered(),
		requests: requests,
		pace:     newPace(requests),
		wait:     sleep,
	}
	if err := s.open(ctx, key); err != nil {
		st.Close()
		return nil, err
	}
	return s, nil
}

func (s *Source) open(ctx context.Context, key string) error {
	if key == "" || strings.HasSuffix(key, "/") {
		s.prefix = key
		found, err := s.any(ctx, key)
		if err == nil && !found && key != "" {
			err = &source.Error{Path: s.st.URL(key), Detail: "nothing lies under it", Err: fs.ErrNotExist}
		}
		return err
	}
	it, err := s.st.Head(ctx, key)
	switch {
	case err == nil:
		return s.openSingle(ctx, it)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, source.ErrDenied):
		// Whoever may only read under "p/" is denied "p" itself.
		found, e := s.any(ctx, key+"/")
		switch {
		case found:
			s.prefix = key + "/"
			return nil
		case e != nil:
			err = e // a listing's refusal says more than that of a HEAD, which has no body
		case errors.Is(err, fs.ErrNotExist):
			return &source.Error{Path: s.st.URL(key), Detail: "there is no such object, and nothing lies under it", Err: fs.ErrNotExist}
		}
	}
	return s.failed(ctx, s.st.URL(key), err)
}

func (s *Source) openSingle(ctx context.Context, it Item) error {
	s.base = it.Key[strings.LastIndexByte(it.Key, '/')+1:]
	if err := fingerprint.CheckPath(s.base); err != nil {
		return &source.Error{Path: s.st.URL(it.Key), Class: source.ErrName, Err: err}
	}
	s.single = &it
	// Whoever may read this object and list nothing means the object.
	found, err := s.any(ctx, it.Key+"/")
	if found {
		return &source.Error{Path: s.st.URL(it.Key), Detail: "it is both an object and a folder: end it with '/' to mean the folder"}
	}
	if errors.Is(err, source.ErrDenied) {
		return nil
	}
	return err
}

// errEnough ends a listing of which the beginning was enough.
var errEnough = errors.New("enough")

// any reports whether anything lies under a prefix, be it only a folder marker.
func (s *Source) any(ctx context.Context, prefix string) (bool, error) {
	found := false
	err := s.st.List(ctx, prefix, "", func(items []Item) error {
		if found = len(items) > 0; found {
			return errEnough
		}
		return nil
	})
	if found {
		return true, nil
	}
	if err != nil {
		return false, s.failed(ctx, s.st.URL(prefix), err)
	}
	return false, nil
}

// failed gives a store's error its path, and an end from outside its cause.
func (s *Source) failed(ctx context.Context, path string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return wrap(path, err)
}

// Single reports whether the root is one object.
func (s *Source) Single() bool { return s.single != nil }

// Close closes the store.
func (s *Source) Close() error { return s.st.Close() }

// Requests implements [source.Remote].
func (s *Source) Requests() int { return s.requests }

// RangeSize implements [source.Remote].
func (s *Source) RangeSize() uint64 { return RangeSize }

// Lookup implements [source.Source], with one request.
func (s *Source) Lookup(ctx context.Context, path string) (source.Object, error) {
	if s.single != nil {
		if path != s.base {
			return source.Object{}, &source.Error{Path: path, Err: fs.ErrNotExist}
		}
		return s.root(), nil
	}
	if err := fingerprint.CheckPath(path); err != nil {
		return source.Object{}, &source.Error{Path: path, Class: source.ErrName, Err: err}
	}
	it, err := s.st.Head(ctx, s.prefix+path)
	if err != nil {
		return source.Object{}, s.failed(ctx, path, err)
	}
	return source.Object{Path: path, Size: it.Size, Pin: &it}, nil
}

func (s *Source) root() source.Object {
	return source.Object{Path: s.base, Size: s.single.Size, Pin: s.single}
}

// Mark implements [source.Source]. It needs no request: it is what the listing
// said, which is what would be read.
func (s *Source) Mark(_ context.Context, o source.Object) (source.Mark, error) {
	return o.Pin.(*Item).Mark(), nil
}

// Fetch implements [source.Source]. An empty object is not asked for: the
// listing said all there is.
func (s *Source) Fetch(ctx context.Context, o source.Object, buf []byte) (source.Fetched, error) {
	it := o.Pin.(*Item)
	if it.Size == 0 {
		return source.Fetched{Mark: it.Mark()}, nil
	}
	r, err := s.reader(o.Path, it)
	if err != nil {
		return source.Fetched{}, err
	}
	if it.Size > int64(len(buf)) {
		return source.Fetched{Mark: it.Mark(), Reader: r}, nil
	}
	a := answers{r: r, end: it.Size}
	err = a.fill(ctx, buf[:it.Size])
	if e := a.close(); err == nil {
		err = e
	}
	if err != nil {
		return source.Fetched{}, err
	}
	return source.Fetched{N: int(it.Size), Mark: r.it.Mark()}, nil
}

var _ interface {
	source.Source
	source.Remote
	source.Measurer
} = (*Source)(nil)
