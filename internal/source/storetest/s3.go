package storetest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// region is versitygw's own.
const region = "us-east-1"

var s3Server = launched{start: StartS3}

// S3 is versitygw: objects are files in a folder, versions are kept where a
// bucket has them. So a key is a path of the disk: no segment is longer than
// 255 bytes, and no object lies at a folder's name.
func S3(t testing.TB) *Server {
	t.Helper()
	return s3Server.get(t)
}

// StartS3 is S3 without a test, for a program that measures; it calls Stop.
func StartS3() (*Server, error) {
	program, err := tool("bin/versitygw")
	if err != nil {
		return nil, err
	}
	o := &s3Objects{program: program, access: "steletest", secret: secret()}
	p, port, err := launch(func(port, dir string) (*exec.Cmd, error) {
		for _, d := range []string{"objects", "versions", "users"} {
			if err := os.Mkdir(filepath.Join(dir, d), 0o777); err != nil {
				return nil, err
			}
		}
		cmd := exec.Command(program, "--port", "127.0.0.1:"+port, "--region", region, "--keep-alive", "--iam-dir", filepath.Join(dir, "users"),
			"posix", "--versioning-dir", filepath.Join(dir, "versions"), filepath.Join(dir, "objects"))
		cmd.Env = append(os.Environ(), "ROOT_ACCESS_KEY="+o.access, "ROOT_SECRET_KEY="+o.secret) // not in the list of processes
		return cmd, nil
	}, func(port string) error {
		o.client = o.connect("http://127.0.0.1:" + port)
		_, err := o.client.ListBuckets(context.Background(), &s3.ListBucketsInput{})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("versitygw: %w", err)
	}
	endpoint := "http://127.0.0.1:" + port
	return &Server{Scheme: "s3", Endpoint: endpoint, env: o.environment(endpoint), objects: o, process: p}, nil
}

type s3Objects struct {
	program        string // versitygw
	access, secret string
	client         *s3.Client // of the owner of all buckets
}

// Reader is the server as somebody sees it who may list a bucket and read all
// its objects but those denied. It is for S3 alone, and replaces what Publish
// set.
func (s *Server) Reader(t testing.TB, bucket string, denied ...string) *Server {
	t.Helper()
	o, ok := s.objects.(*s3Objects)
	if !ok {
		t.Fatalf("%s: no such users here", s.Scheme)
	}
	as := *o
	as.access, as.secret = fmt.Sprintf("reader-%d", buckets.Add(1)), secret()
	cmd := exec.Command(o.program, "admin", "create-user", "--role", "user", "--access", as.access, "--secret", as.secret)
	cmd.Env = append(os.Environ(), "ADMIN_ENDPOINT_URL="+s.Endpoint, "ADMIN_REGION="+region, "ADMIN_ACCESS_KEY="+o.access, "ADMIN_SECRET_KEY="+o.secret)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("making a user: %v\n%s", err, out)
	}
	policy := reading(as.access, bucket)
	for _, key := range denied {
		policy = append(policy, statement{"Deny", as.access, []string{"s3:GetObject", "s3:GetObjectVersion"}, arn + bucket + "/" + key})
	}
	if err := o.policy(bucket, policy); err != nil {
		t.Fatal(err)
	}
	reader := *s
	reader.objects, reader.env = &as, as.environment(s.Endpoint)
	return &reader
}

// statement is one of a bucket's policy.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-policies.html
type statement struct {
	Effect    string
	Principal string
	Action    []string
	Resource  string
}

const arn = "arn:aws:s3:::"

// reading is what listing and reading a bucket needs.
func reading(who, bucket string) []statement {
	return []statement{
		{"Allow", who, []string{"s3:GetObject", "s3:GetObjectVersion"}, arn + bucket + "/*"},
		{"Allow", who, []string{"s3:ListBucket", "s3:ListBucketVersions", "s3:GetBucketVersioning", "s3:GetBucketLocation"}, arn + bucket},
	}
}

func (o *s3Objects) connect(endpoint string) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: &endpoint, Region: region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(o.access, o.secret, ""),
		Retryer:     aws.NopRetryer{},
	})
}

func (o *s3Objects) environment(endpoint string) map[string]string {
	return map[string]string{
		"AWS_ENDPOINT_URL":      endpoint,
		"AWS_REGION":            region,
		"AWS_ACCESS_KEY_ID":     o.access,
		"AWS_SECRET_ACCESS_KEY": o.secret,
	}
}

func (o *s3Objects) makeBucket(name string, versioned bool) error {
	ctx := context.Background()
	if _, err := o.client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &name}); err != nil || !versioned {
		return err
	}
	_, err := o.client.PutBucketVersioning(ctx, &s3.PutBucketVersioningInput{
		Bucket: &name, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	return err
}

func (o *s3Objects) publish(bucket string) error { return o.policy(bucket, reading("*", bucket)) }

func (o *s3Objects) policy(bucket string, statements []statement) error {
	text, err := json.Marshal(map[string]any{"Version": "2012-10-17", "Statement": statements})
	if err != nil {
		return err
	}
	_, err = o.client.PutBucketPolicy(context.Background(), &s3.PutBucketPolicyInput{Bucket: &bucket, Policy: aws.String(string(text))})
	return err
}

func (o *s3Objects) put(bucket, key string, data []byte) error {
	_, err := o.client.PutObject(context.Background(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: bytes.NewReader(data)})
	return err
}

func (o *s3Objects) putParts(bucket, key string, parts [][]byte) error {
	ctx := context.Background()
	up, err := o.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return err
	}
	var done []types.CompletedPart
	for i, data := range parts {
		n := aws.Int32(int32(i + 1))
		part, err := o.client.UploadPart(ctx, &s3.UploadPartInput{Bucket: &bucket, Key: &key, UploadId: up.UploadId, PartNumber: n, Body: bytes.NewReader(data)})
		if err != nil {
			return err
		}
		done = append(done, types.CompletedPart{PartNumber: n, ETag: part.ETag, ChecksumCRC32: part.ChecksumCRC32})
	}
	_, err = o.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: &bucket, Key: &key, UploadId: up.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: done},
	})
	return err
}

func (o *s3Objects) remove(bucket, key string) error {
	_, err := o.client.DeleteObject(context.Background(), &s3.DeleteObjectInput{Bucket: &bucket, Key: &key})
	return err
}
