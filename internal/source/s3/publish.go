package s3

import (
	"bytes"
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/stele-ml/stele/internal/source/bucket"
)

// Publish implements bucket.Publisher. Of a store that does not know conditional
// writes (https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html)
// two writers at once can replace each other's objects.
func (s *store) Publish(ctx context.Context, key string, data []byte, h bucket.Headers, was *bucket.Item) error {
	in := &s3.PutObjectInput{
		Bucket: &s.name, Key: &key, Body: bytes.NewReader(data), ContentLength: aws.Int64(int64(len(data))),
		ContentType: &h.ContentType, CacheControl: &h.CacheControl,
	}
	if was == nil {
		in.IfNoneMatch = aws.String("*")
	} else {
		in.IfMatch = &was.ETag
	}
	if _, err := s.client.PutObject(ctx, in); err != nil {
		return s.failed(ctx, key, err)
	}
	return nil
}
