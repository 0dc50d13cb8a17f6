package s3

import (
	"context"
	"fmt"
	"io"
	"io/fs"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/bucket"
)

// Head implements bucket.Store.
func (s *store) Head(ctx context.Context, key string) (bucket.Item, error) {
	out, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &s.name, Key: &key})
	if err != nil {
		return bucket.Item{}, s.failed(ctx, key, err)
	}
	if out.ContentLength == nil {
		return bucket.Item{}, &source.Error{Path: key, Detail: "the store does not say how long it is"}
	}
	return bucket.Item{Key: key, Size: *out.ContentLength, ETag: aws.ToString(out.ETag), Version: aws.ToString(out.VersionId), Modified: seconds(out.LastModified)}, nil
}

// Read implements bucket.Store. It asks for the current object, on condition
// that it has the item's ETag: reading a version by its id needs a permission of
// its own (s3:GetObjectVersion). That the version is the same as well is seen
// from the answer.
func (s *store) Read(ctx context.Context, it bucket.Item, off, n int64) (io.ReadCloser, bucket.Item, error) {
	in := &s3.GetObjectInput{Bucket: &s.name, Key: &it.Key, IfMatch: optional(it.ETag)}
	part := off != 0 || n != it.Size
	if part {
		in.Range = aws.String(fmt.Sprintf("bytes=%d-%d", off, off+n-1))
	}
	out, err := s.client.GetObject(ctx, in, once)
	if err != nil {
		return nil, bucket.Item{}, s.readFailed(ctx, it.Key, err)
	}
	got := bucket.Item{Key: it.Key, Size: it.Size, ETag: aws.ToString(out.ETag), Version: aws.ToString(out.VersionId), Modified: seconds(out.LastModified)}
	why := ""
	switch of := aws.ToString(out.ContentRange); {
	case part && of == "":
		why = "the store answered with the whole object instead of a range"
	case of != "" && of != fmt.Sprintf("bytes %d-%d/%d", off, off+n-1, it.Size):
		why = fmt.Sprintf("the store answered with %s, not with bytes %d-%d/%d", source.Show(of), off, off+n-1, it.Size)
	case out.ContentLength == nil:
		why = "the store does not say how long its answer is"
	case *out.ContentLength != n:
		why = fmt.Sprintf("the store answered with %d bytes instead of %d", *out.ContentLength, n)
	}
	if why != "" {
		out.Body.Close()
		return nil, bucket.Item{}, &source.Error{Path: it.Key, Class: source.ErrChanged, Detail: why}
	}
	return out.Body, got, nil
}

// Put implements bucket.Store, with one request: at most 5 GiB
// (https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html). A store
// that does not know If-None-Match is asked beforehand.
func (s *store) Put(ctx context.Context, key string, r io.ReadSeeker, size int64) error {
	if err := bucket.Rewind(key, r, size); err != nil {
		return err
	}
	exists := &source.Error{Path: key, Detail: "there is an object already", Err: fs.ErrExist}
	if _, err := s.Head(ctx, key); err == nil {
		return exists
	}
	_, err := s.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: &s.name, Key: &key, Body: r, ContentLength: &size,
		IfNoneMatch: aws.String("*"), ContentType: aws.String("application/octet-stream"),
	})
	if err == nil {
		return nil
	}
	return s.failed(ctx, key, err)
}
