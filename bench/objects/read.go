package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/stele-ml/stele/internal/source/bucket"
)

// client is the SDK's, with the connections that we give it ourselves.
func client(ctx context.Context, requests int) (*awss3.Client, error) {
	h := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { bucket.Tune(t, requests) })
	cfg, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(h))
	if err != nil {
		return nil, err
	}
	return awss3.NewFromConfig(cfg, func(o *awss3.Options) {
		o.UsePathStyle = true
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
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
