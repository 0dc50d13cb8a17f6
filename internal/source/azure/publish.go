package azure

import (
	"bytes"
	"context"
	"errors"
	"io/fs"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"

	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/bucket"
)

// Publish implements bucket.Publisher, on condition of the ETag.
func (s *Store) Publish(ctx context.Context, key string, data []byte, h bucket.Headers, was *bucket.Item) error {
	on := &blob.ModifiedAccessConditions{}
	if was == nil {
		on.IfNoneMatch = new(azcore.ETagAny)
	} else {
		on.IfMatch = new(azcore.ETag(was.ETag))
	}
	_, err := s.client.NewBlockBlobClient(key).Upload(ctx, streaming.NopCloser(bytes.NewReader(data)), &blockblob.UploadOptions{
		AccessConditions: &blob.AccessConditions{ModifiedAccessConditions: on},
		HTTPHeaders:      &blob.HTTPHeaders{BlobContentType: &h.ContentType, BlobCacheControl: &h.CacheControl},
	})
	if err == nil {
		return nil
	}
	err = s.failed(ctx, key, err)
	if errors.Is(err, source.ErrChanged) { // 412: the condition
		return &source.Error{Path: key, Class: fs.ErrExist}
	}
	return err
}
