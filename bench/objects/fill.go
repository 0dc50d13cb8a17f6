package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// The sets, each a bucket.
const (
	fillLarge = "large"
	fillSmall = "small"
)

const (
	smallSize = 16 << 10
	partSize  = 64 << 20
	writers   = 8
)

// fill writes a set of random bytes.
func fill(ctx context.Context, name string, size int64) error {
	c, err := client(ctx, writers)
	if err != nil {
		return err
	}
	if _, err := c.CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: &name}); err != nil {
		return err
	}
	if name == fillLarge {
		return writeParts(ctx, c, name, size)
	}
	var (
		group sync.WaitGroup
		once  sync.Once
		fail  error
	)
	for w := range int64(writers) {
		group.Go(func() {
			random := rand.NewChaCha8([32]byte{byte(w)})
			data := make([]byte, smallSize)
			for i := w; i < size/smallSize; i += writers {
				random.Read(data)
				key := fmt.Sprintf("part-%05d/sample-%08d.bin", i%200, i)
				if _, err := c.PutObject(ctx, &awss3.PutObjectInput{Bucket: &name, Key: &key, Body: bytes.NewReader(data)}); err != nil {
					once.Do(func() { fail = err })
					return
				}
			}
		})
	}
	group.Wait()
	return fail
}

// writeParts writes one object as large uploads are written.
func writeParts(ctx context.Context, c *awss3.Client, name string, size int64) error {
	key := aws.String("large.bin")
	up, err := c.CreateMultipartUpload(ctx, &awss3.CreateMultipartUploadInput{Bucket: &name, Key: key})
	if err != nil {
		return err
	}
	random := rand.NewChaCha8([32]byte{1})
	buf := make([]byte, partSize)
	var parts []types.CompletedPart
	for off := int64(0); off < size; off += partSize {
		p := buf[:min(partSize, size-off)]
		random.Read(p)
		n := aws.Int32(int32(len(parts) + 1))
		part, err := c.UploadPart(ctx, &awss3.UploadPartInput{Bucket: &name, Key: key, UploadId: up.UploadId, PartNumber: n, Body: bytes.NewReader(p)})
		if err != nil {
			return err
		}
		parts = append(parts, types.CompletedPart{PartNumber: n, ETag: part.ETag})
	}
	_, err = c.CompleteMultipartUpload(ctx, &awss3.CompleteMultipartUploadInput{
		Bucket: &name, Key: key, UploadId: up.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	return err
}
