package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const (
	partSize     = 64 << 20 // of an upload; what is larger has several
	writers      = 8
	largeWriters = 2 // each has a part in memory
)

// fill makes a bucket with objects of random bytes.
func fill(ctx context.Context, name string, objects, size int64, versions bool) error {
	c, err := client(ctx, writers)
	if err != nil {
		return err
	}
	if _, err := c.CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: &name}); err != nil {
		return err
	}
	if versions {
		_, err := c.PutBucketVersioning(ctx, &awss3.PutBucketVersioningInput{
			Bucket: &name, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
		})
		if err != nil {
			return err
		}
	}
	n := int64(writers)
	if size > partSize {
		n = largeWriters
	}
	var (
		group sync.WaitGroup
		once  sync.Once
		fail  error
	)
	for w := range n {
		group.Go(func() {
			random := rand.NewChaCha8([32]byte{byte(w)})
			data := make([]byte, min(size, partSize))
			for i := w; i < objects; i += n {
				key := fmt.Sprintf("part-%05d/sample-%08d.bin", i%200, i)
				if err := put(ctx, c, name, key, size, random, data); err != nil {
					once.Do(func() { fail = err })
					return
				}
			}
		})
	}
	group.Wait()
	return fail
}

// put writes an object as uploads are written: a large one in parts.
func put(ctx context.Context, c *awss3.Client, name, key string, size int64, random *rand.ChaCha8, buf []byte) error {
	if size <= int64(len(buf)) {
		random.Read(buf)
		_, err := c.PutObject(ctx, &awss3.PutObjectInput{Bucket: &name, Key: &key, Body: bytes.NewReader(buf)})
		return err
	}
	up, err := c.CreateMultipartUpload(ctx, &awss3.CreateMultipartUploadInput{Bucket: &name, Key: &key})
	if err != nil {
		return err
	}
	var parts []types.CompletedPart
	for off := int64(0); off < size; off += int64(len(buf)) {
		p := buf[:min(int64(len(buf)), size-off)]
		random.Read(p)
		n := aws.Int32(int32(len(parts) + 1))
		part, err := c.UploadPart(ctx, &awss3.UploadPartInput{Bucket: &name, Key: &key, UploadId: up.UploadId, PartNumber: n, Body: bytes.NewReader(p)})
		if err != nil {
			return err
		}
		parts = append(parts, types.CompletedPart{PartNumber: n, ETag: part.ETag})
	}
	_, err = c.CompleteMultipartUpload(ctx, &awss3.CompleteMultipartUploadInput{
		Bucket: &name, Key: &key, UploadId: up.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	return err
}

// drop removes the objects of a bucket that keeps no versions.
func drop(ctx context.Context, name string) error {
	c, err := client(ctx, writers)
	if err != nil {
		return err
	}
	pages := awss3.NewListObjectsV2Paginator(c, &awss3.ListObjectsV2Input{Bucket: &name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return err
		}
		for _, o := range page.Contents {
			if _, err := c.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: &name, Key: o.Key}); err != nil {
				return err
			}
		}
	}
	return nil
}

// A tree has files of treeLeast to treeMost bytes, in treeFolders folders.
const (
	treeFolders         = 1000
	treeLeast, treeMost = 100, 1000
)

func treePath(dir string, i int) string {
	return filepath.Join(dir, fmt.Sprintf("part-%05d", i%treeFolders), fmt.Sprintf("sample-%08d.bin", i))
}

// tree writes files of random bytes on the disk, folder by folder.
func tree(dir string, files int) error {
	var (
		group sync.WaitGroup
		once  sync.Once
		fail  error
	)
	cores := runtime.NumCPU()
	for w := range cores {
		group.Go(func() {
			for i := w; i < min(treeFolders, files); i += cores {
				if err := folder(dir, i, files); err != nil {
					once.Do(func() { fail = err })
					return
				}
			}
		})
	}
	group.Wait()
	return fail
}

// folder writes the files of a folder, of which first is the first.
func folder(dir string, first, files int) error {
	if err := os.MkdirAll(filepath.Dir(treePath(dir, first)), 0o777); err != nil {
		return err
	}
	random := rand.NewChaCha8([32]byte{byte(first), byte(first >> 8)})
	sizes := rand.New(random)
	buf := make([]byte, treeMost)
	for i := first; i < files; i += treeFolders {
		data := buf[:treeLeast+sizes.IntN(treeMost-treeLeast+1)]
		random.Read(data)
		if err := os.WriteFile(treePath(dir, i), data, 0o666); err != nil {
			return err
		}
	}
	return nil
}
