package place

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"time"

	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/azure"
	"github.com/stele-ml/stele/internal/source/bucket"
	"github.com/stele-ml/stele/internal/source/gcs"
	"github.com/stele-ml/stele/internal/source/s3"
)

// Options are choices about reaching a place.
type Options struct {
	FollowLinks bool // on this machine: follow symbolic links that leave the folder
	Anonymous   bool // in a bucket: send no credentials, even where there are some
	SortListing bool // of a bucket that does not list in byte order: sort in memory
	Requests    int  // to a store at once; 0: chosen from what there is
	// EveryMark gives marks also to what changed a moment ago on this machine.
	// Such a mark tells whether a file was touched since, by whatever has a
	// clock finer than the time between; it is not kept to know bytes by.
	EveryMark bool
}

// Open opens a folder or a file, or the objects of a bucket, to read them. What
// is not there is fs.ErrNotExist; the classes of package source say the rest.
func (p Place) Open(ctx context.Context, o Options) (source.Source, error) {
	if !p.Remote() {
		opts := source.LocalOptions{FollowOutside: o.FollowLinks}
		if o.EveryMark {
			opts.Clock = func() time.Time { return time.Unix(0, math.MaxInt64) } // after any change
		}
		src, err := source.OpenLocal(p.path, opts)
		if err != nil {
			return nil, err
		}
		return src, nil
	}
	src, err := p.open(ctx, o)
	if err != nil {
		return nil, err
	}
	return src, nil
}

// open opens what the key names in its bucket.
func (p Place) open(ctx context.Context, o Options) (*bucket.Source, error) {
	st, err := p.store(ctx, o)
	if err != nil {
		return nil, err
	}
	return bucket.Open(ctx, st, p.key, bucket.Options{Requests: o.Requests, SortListing: o.SortListing})
}

// store opens the bucket.
func (p Place) store(ctx context.Context, o Options) (bucket.Store, error) {
	switch p.scheme {
	case schemeS3:
		return s3.Open(ctx, p.bucket, s3.Options{Anonymous: o.Anonymous, Requests: o.Requests})
	case schemeGCS:
		return gcs.Open(ctx, p.bucket, gcs.Options{Anonymous: o.Anonymous, Requests: o.Requests})
	}
	return azure.Open(ctx, p.bucket, azure.Options{Anonymous: o.Anonymous, Requests: o.Requests})
}

// smallRead is up to how many bytes an object is read with one request.
const smallRead = 1 << 20

// Read opens one file or object from its beginning, and says how many bytes it
// has. More than limit is an error. An object is pinned: whatever is read of it
// is of one version.
func (p Place) Read(ctx context.Context, o Options, limit int64) (io.ReadCloser, int64, error) {
	if !p.Remote() {
		return p.readLocal(limit)
	}
	src, err := p.open(ctx, o)
	if err != nil {
		return nil, 0, err
	}
	r, size, err := p.readObject(ctx, src, limit)
	if err != nil {
		src.Close()
	}
	return r, size, err
}

func (p Place) readLocal(limit int64) (io.ReadCloser, int64, error) {
	// Looked at before it is opened: a pipe would be waited on for ever.
	if info, err := os.Stat(p.path); err == nil && !info.Mode().IsRegular() {
		return nil, 0, &source.Error{Path: p.path, Class: source.ErrIrregular}
	}
	f, err := os.Open(p.path)
	if err != nil {
		return nil, 0, p.failed(err)
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = &source.Error{Path: p.path, Class: source.ErrIrregular}
	case info.Size() > limit:
		err = p.tooLarge(limit)
	default:
		return f, info.Size(), nil
	}
	f.Close()
	return nil, 0, p.failed(err)
}

// failed makes an error of the system one of this place.
func (p Place) failed(err error) error {
	if e := (*source.Error)(nil); errors.As(err, &e) {
		return err
	}
	var pe *fs.PathError
	if errors.As(err, &pe) {
		err = pe.Err
	}
	return &source.Error{Path: p.String(), Err: err}
}

func (p Place) tooLarge(limit int64) error {
	return &source.Error{Path: p.String(), Err: fmt.Errorf("it has more than %d bytes", limit)}
}

// readObject opens the one object that a source is.
func (p Place) readObject(ctx context.Context, src *bucket.Source, limit int64) (io.ReadCloser, int64, error) {
	if !src.Single() {
		return nil, 0, &source.Error{Path: p.String(), Detail: "it is a folder, not one object"}
	}
	var object source.Object
	if err := src.List(ctx, nil, func(o source.Object) error { object = o; return nil }); err != nil {
		return nil, 0, err
	}
	if object.Size > limit {
		return nil, 0, p.tooLarge(limit)
	}
	buf := make([]byte, smallRead)
	got, err := src.Fetch(ctx, object, buf)
	if err != nil {
		return nil, 0, err
	}
	if got.Reader == nil {
		return &whole{rest: buf[:got.N], src: src}, int64(got.N), nil
	}
	size := got.Reader.Size()
	if size > uint64(limit) {
		got.Reader.Close()
		return nil, 0, p.tooLarge(limit)
	}
	return newStream(ctx, src, got.Reader), int64(size), nil
}
