package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source/bucket"
	"github.com/stele-ml/stele/internal/source/s3"
)

// runChild is a measured process: one reading of a bucket.
func runChild(ctx context.Context, kind string, requests int, name string) error {
	if kind == "sdk" {
		return readAlone(ctx, name, requests)
	}
	a, err := fingerprint.ParseAlgorithm(kind)
	if err != nil {
		return err
	}
	st, err := s3.Open(ctx, name, s3.Options{Requests: requests})
	if err != nil {
		return err
	}
	src, err := bucket.Open(ctx, st, "", bucket.Options{Requests: requests})
	if err != nil {
		return err
	}
	defer src.Close()
	res, err := scan.Run(ctx, src, scan.Options{Algorithm: a}, nil)
	if err != nil {
		return err
	}
	fmt.Println(res.Fingerprint, res.Summary.Files, res.Summary.Bytes)
	return nil
}

// client is the SDK's, with the connections that we give it ourselves.
func client(ctx context.Context, requests int) (*awss3.Client, error) {
	t := http.DefaultTransport.(*http.Transport).Clone()
	bucket.Tune(t, requests)
	cfg, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(&http.Client{Transport: t}))
	if err != nil {
		return nil, err
	}
	return awss3.NewFromConfig(cfg, func(o *awss3.Options) {
		o.UsePathStyle = true
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	}), nil
}

// readAlone reads every object in ranges and throws it away.
func readAlone(ctx context.Context, name string, requests int) error {
	c, err := client(ctx, requests)
	if err != nil {
		return err
	}
	type job struct {
		key    *string
		off, n int64
		whole  bool
	}
	var (
		jobs  = make(chan job, requests)
		total atomic.Int64
		group sync.WaitGroup
		once  sync.Once
		fail  error
	)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := func(err error) { once.Do(func() { fail = err; cancel() }) }
	for range requests {
		group.Go(func() {
			buf := make([]byte, 1<<20)
			for j := range jobs {
				in := &awss3.GetObjectInput{Bucket: &name, Key: j.key}
				if !j.whole {
					in.Range = aws.String(fmt.Sprintf("bytes=%d-%d", j.off, j.off+j.n-1))
				}
				out, err := c.GetObject(ctx, in)
				if err != nil {
					failed(err)
					continue
				}
				n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{out.Body}, buf)
				out.Body.Close()
				if err == nil && n != j.n {
					err = io.ErrUnexpectedEOF
				}
				if err != nil {
					failed(err)
				}
				total.Add(n)
			}
		})
	}
	pages := awss3.NewListObjectsV2Paginator(c, &awss3.ListObjectsV2Input{Bucket: &name})
	for pages.HasMorePages() && ctx.Err() == nil {
		page, err := pages.NextPage(ctx)
		if err != nil {
			failed(err)
			break
		}
		for _, o := range page.Contents {
			for off := int64(0); off < *o.Size; off += bucket.RangeSize {
				n := min(*o.Size-off, bucket.RangeSize)
				jobs <- job{o.Key, off, n, n == *o.Size}
			}
		}
	}
	close(jobs)
	group.Wait()
	if fail != nil {
		return fail
	}
	fmt.Println(total.Load())
	return nil
}

const (
	smallSize = 16 << 10
	partSize  = 64 << 20
)

// fill writes the sets.
func (b *bench) fill(ctx context.Context) ([]set, error) {
	const writers = 8
	c, err := client(ctx, writers)
	if err != nil {
		return nil, err
	}
	var sets []set
	if b.large > 0 {
		s := set{name: fmt.Sprintf("one object of %.3g GiB", float64(b.large)/(1<<30)), bucket: "large", bytes: b.large, objects: 1}
		if err := fillLarge(ctx, c, s.bucket, b.large); err != nil {
			return nil, err
		}
		sets = append(sets, s)
	}
	if b.small > 0 {
		s := set{name: fmt.Sprintf("%d objects of 16 KiB", b.small), bucket: "small", bytes: int64(b.small) * smallSize, objects: b.small}
		if err := fillSmall(ctx, c, s.bucket, b.small, writers); err != nil {
			return nil, err
		}
		sets = append(sets, s)
	}
	return sets, nil
}

func fillLarge(ctx context.Context, c *awss3.Client, name string, size int64) error {
	if _, err := c.CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: &name}); err != nil {
		return err
	}
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
		parts = append(parts, types.CompletedPart{PartNumber: n, ETag: part.ETag, ChecksumCRC32: part.ChecksumCRC32})
	}
	_, err = c.CompleteMultipartUpload(ctx, &awss3.CompleteMultipartUploadInput{
		Bucket: &name, Key: key, UploadId: up.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts},
	})
	return err
}

func fillSmall(ctx context.Context, c *awss3.Client, name string, count, writers int) error {
	if _, err := c.CreateBucket(ctx, &awss3.CreateBucketInput{Bucket: &name}); err != nil {
		return err
	}
	var (
		group sync.WaitGroup
		once  sync.Once
		fail  error
	)
	for w := range writers {
		group.Go(func() {
			random := rand.NewChaCha8([32]byte{byte(w)})
			data := make([]byte, smallSize)
			for i := w; i < count; i += writers {
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
