// Package s3 is the door to S3 and what speaks its protocol, by AWS's own SDK:
// credentials, profiles, regions and endpoints are found as that SDK finds them.
package s3

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/ec2rolecreds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"

	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/bucket"
)

const (
	// defaultRegion signs the first request where no region is set; its answer
	// names the bucket's own.
	defaultRegion = "us-east-1"
	// attempts is how often listings, lookups and writes are tried.
	attempts = 6
	// directoryBucket ends the names of S3 Express buckets, which list in no
	// order and keep no versions.
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/directory-buckets-overview.html
	directoryBucket = "--x-s3"
)

// Options are choices about a bucket.
type Options struct {
	// Anonymous asks without credentials, for a public bucket.
	Anonymous bool
	// Requests is how many requests will be under way at once; 0:
	// bucket.DefaultRequests.
	Requests int
}

// store is one bucket. It implements bucket.Store.
type store struct {
	name   string
	client *s3.Client
	http   *http.Client
	signed string // why requests carry no signature, or empty

	mu        sync.Mutex
	versioned *bool // list versions; nil until the first listing asked
}

// Open connects to a bucket and finds its region. Whether the bucket exists and
// may be listed is told by the first listing. Without any credentials requests
// are not signed, as with Anonymous. Credentials that are set up but cannot be
// had are source.ErrDenied; a store that does not answer is
// source.ErrUnreachable.
func Open(ctx context.Context, name string, o Options) (bucket.Store, error) {
	url := "s3://" + name
	options := []func(*config.LoadOptions) error{
		config.WithLogger(logging.Nop{}),
		config.WithDefaultRegion(defaultRegion),
	}
	if o.Anonymous {
		options = append(options, config.WithCredentialsProvider(aws.AnonymousCredentials{}))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return nil, &source.Error{Path: url, Class: source.ErrDenied, Detail: "reading the AWS configuration", Err: err}
	}
	s := &store{name: name}
	if o.Anonymous {
		s.signed = "the request carried no credentials, as asked for"
	} else if _, err := cfg.Credentials.Retrieve(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		// Nothing but the machine's own role was left to ask for: nobody set up
		// credentials.
		if !aws.IsCredentialsProvider(cfg.Credentials, (*ec2rolecreds.Provider)(nil)) {
			return nil, &source.Error{Path: url, Class: source.ErrDenied, Detail: "the credentials that are set up cannot be had", Err: err}
		}
		cfg.Credentials = aws.AnonymousCredentials{}
		s.signed = "no credentials were found, so the request carried none"
	}
	s.connect(&cfg, o)
	if err := s.findRegion(ctx, &cfg, o); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// connect makes the clients.
func (s *store) connect(cfg *aws.Config, o Options) {
	if s.http == nil {
		client, ok := cfg.HTTPClient.(*awshttp.BuildableClient) // it has AWS_CA_BUNDLE
		if !ok {
			client = awshttp.NewBuildableClient()
		}
		t := client.GetTransport()
		bucket.Tune(t, o.Requests)
		// No redirect is followed: what is signed for one host is not sent to another.
		s.http = &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		cfg.HTTPClient = s.http
	}
	again := retry.NewStandard(func(o *retry.StandardOptions) {
		o.MaxAttempts = attempts
		o.RateLimiter = ratelimit.None
		o.Retryables = append(o.Retryables, retryBroken{}, retry.RetryableHTTPStatusCode{Codes: map[int]struct{}{http.StatusTooManyRequests: {}}})
		o.Backoff = retry.BackoffDelayerFunc(func(attempt int, err error) (time.Duration, error) {
			return bucket.Backoff(attempt, isBusy(err)), nil
		})
	})
	s.client = s3.NewFromConfig(*cfg, func(o *s3.Options) {
		o.Retryer = again
		o.UsePathStyle = o.BaseEndpoint != nil // other stores than AWS's seldom have a name for each bucket
		// Every byte is hashed here, and no checksum of S3's is of a range.
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		// What is written is signed with its SHA-256, which every store understands.
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.DisableLogOutputChecksumValidationSkipped = true
	})
}

// once makes one attempt of a call.
func once(o *s3.Options) { o.Retryer = aws.NopRetryer{} }

// regionHeader names a bucket's region in every answer to HeadBucket, refusals
// and redirects too.
const regionHeader = "X-Amz-Bucket-Region"

// findRegion asks for the bucket's region and goes there if it is another. That
// the bucket is not there or not to be listed is left to the listing: an answer
// to HEAD has no body that would say why.
func (s *store) findRegion(ctx context.Context, cfg *aws.Config, o Options) error {
	region := ""
	out, err := s.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: &s.name})
	var answer *awshttp.ResponseError
	switch {
	case err == nil:
		region = aws.ToString(out.BucketRegion)
	case errors.As(err, &answer) && answer.Response != nil:
		region = answer.Response.Header.Get(regionHeader)
		if e := s.failed(ctx, "s3://"+s.name, err); errors.Is(e, source.ErrUnreachable) {
			return e
		}
	default:
		return s.failed(ctx, "s3://"+s.name, err)
	}
	if region != "" && region != cfg.Region {
		cfg.Region = region
		s.connect(cfg, o)
	}
	return nil
}

// Close implements bucket.Store.
func (s *store) Close() error {
	s.http.CloseIdleConnections()
	return nil
}

// URL implements bucket.Store.
func (s *store) URL(key string) string { return "s3://" + s.name + "/" + key }

// Ordered implements bucket.Store.
func (s *store) Ordered() bool { return !strings.HasSuffix(s.name, directoryBucket) }

var _ bucket.Store = (*store)(nil)
