// Package azure is the door to Azure Blob Storage, by Microsoft's own SDK.
// [Open] gives one container as a [bucket.Store].
//
// A blob is known by its ETag, which changes with every write to it or to its
// metadata, and every byte is read under the condition that it has this ETag
// still. Page and append blobs are read like any other. Snapshots, earlier
// versions, deleted and uncommitted blobs are not listed.
package azure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strings"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/bloberror"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"

	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/bucket"
)

// Options are choices about a container.
type Options struct {
	Anonymous bool // use no credentials, even where there are some
	Requests  int  // how many may be under way at once; 0: bucket.DefaultRequests
}

// pageSize is how many blobs one request lists, the most that the service gives.
const pageSize = 5000

// Uploads: up to maxSingle bytes go in one request, which is sent again from its
// beginning; more in blocks of at least minBlock bytes, of which as many as
// uploads are held in memory at once. A blob has at most maxBlocks of them.
// Tests alone change the first two.
var (
	maxSingle int64 = 64 << 20
	minBlock  int64 = 16 << 20
)

const (
	uploads   = 3
	maxBlocks = 50_000
)

// Store is one container. Make it with [Open].
type Store struct {
	name   string
	client *container.Client
	http   *http.Transport
	// tree: the account has a hierarchical namespace. It lists a folder's files
	// directly after the folder, whatever sorts between.
	tree bool
	// lacking: nobody asked for anonymous requests, but there were no
	// credentials to make others with.
	lacking bool
}

var _ bucket.Store = (*Store)(nil)

// Open prepares a container for reading and writing, and asks which kind of
// namespace its account has. The account and the credentials are those of the
// environment, in this order: AZURE_STORAGE_CONNECTION_STRING; the account
// AZURE_STORAGE_ACCOUNT, or its address AZURE_STORAGE_ENDPOINT, with
// AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, or with what
// DefaultAzureCredential finds (a service principal, workload identity, a
// managed identity, the Azure CLI). Where there are none, requests are
// anonymous, and a refusal says so.
func Open(ctx context.Context, name string, o Options) (bucket.Store, error) {
	return open(ctx, name, o.Anonymous, bucket.NewTransport(o.Requests))
}

func open(ctx context.Context, name string, anonymous bool, t *http.Transport) (*Store, error) {
	s := &Store{name: name, http: t}
	if err := s.connect(ctx, anonymous); err != nil {
		return nil, err
	}
	// Whoever may read blobs need not be allowed this question. Without an
	// answer the listing is taken to be in order, which its reader checks.
	info, err := s.client.GetAccountInfo(ctx, nil)
	if err != nil {
		if err = s.failed(ctx, s.URL(""), err); ctx.Err() != nil || errors.Is(err, source.ErrUnreachable) {
			s.Close()
			return nil, err
		}
	}
	s.tree = deref(info.IsHierarchicalNamespaceEnabled)
	return s, nil
}

// deref is what p points at, or nothing.
func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// URL implements [bucket.Store].
func (s *Store) URL(key string) string { return "azblob://" + s.name + "/" + key }

// Ordered implements [bucket.Store].
func (s *Store) Ordered() bool { return !s.tree }

// Close implements [bucket.Store].
func (s *Store) Close() error {
	s.http.CloseIdleConnections()
	return nil
}

// List implements [bucket.Store]. Metadata comes along, because one of its names
// is all that tells a folder from an empty file where a driver of Hadoop's made
// it.
func (s *Store) List(ctx context.Context, prefix, from string, page func([]bucket.Item) error) error {
	o := &container.ListBlobsFlatOptions{Prefix: &prefix, Include: container.ListBlobsInclude{Metadata: true}}
	o.MaxResults = new(int32(pageSize))
	if from > prefix && !s.tree {
		o.StartFrom = &from
	}
	for pages := s.client.NewListBlobsFlatPager(o); pages.More(); {
		answer, err := pages.NextPage(ctx)
		if err != nil {
			if s.tree && s.nothing(ctx, prefix, err) {
				return nil
			}
			return s.failed(ctx, prefix, err)
		}
		if answer.Segment == nil {
			return &source.Error{Path: prefix, Detail: "the store's listing has no list"}
		}
		items := make([]bucket.Item, 0, len(answer.Segment.BlobItems))
		for _, b := range answer.Segment.BlobItems {
			it, use, err := item(b)
			if err != nil {
				return err
			}
			if use && it.Key >= from { // a server may not know StartFrom
				items = append(items, it)
			}
		}
		if len(items) > 0 {
			if err := page(items); err != nil {
				return err
			}
		}
	}
	return nil
}

// nothing reports whether a listing failed because its prefix leads through a
// file or to no folder, which a hierarchical namespace calls an error.
// https://learn.microsoft.com/rest/api/storageservices/list-blobs
func (s *Store) nothing(ctx context.Context, prefix string, err error) bool {
	e := (*azcore.ResponseError)(nil)
	if !errors.As(err, &e) || ctx.Err() != nil {
		return false
	}
	switch e.StatusCode {
	case http.StatusNotFound:
		return !bloberror.HasCode(err, bloberror.ContainerNotFound, bloberror.ContainerBeingDeleted)
	case http.StatusBadRequest, http.StatusConflict:
		for i, c := range prefix {
			if c == '/' && i > 0 {
				if _, err := s.Head(ctx, prefix[:i]); err == nil {
					return true // it is a file
				}
			}
		}
	}
	return false
}

// item is a blob as a listing describes it, unless it is a folder.
func item(b *container.BlobItem) (it bucket.Item, use bool, err error) {
	p := b.Properties
	if b.Name == nil || p == nil || p.ETag == nil || p.ContentLength == nil || *p.ContentLength < 0 {
		return it, false, &source.Error{Path: deref(b.Name), Detail: "the store does not say its ETag or its size"}
	}
	it = bucket.Item{Key: *b.Name, Size: *p.ContentLength, ETag: bare(*p.ETag), Archived: archived(string(deref(p.AccessTier)))}
	folder := deref(p.ResourceType) == "directory" || isFolder(it.Size, b.Metadata)
	return it, !folder && !deref(b.Deleted) && deref(b.Snapshot) == "", nil
}

// isFolder reports whether a blob stands for a folder: the drivers of Hadoop
// mark them so in a flat namespace, and the service does in a hierarchical one.
func isFolder(size int64, metadata map[string]*string) bool {
	for name, value := range metadata {
		if size == 0 && strings.EqualFold(name, "hdi_isfolder") && strings.EqualFold(deref(value), "true") {
			return true
		}
	}
	return false
}

// archived is the tier of a blob that must be restored first, or "".
func archived(tier string) string {
	if tier == string(blob.AccessTierArchive) {
		return tier
	}
	return ""
}

// bare is an ETag as a listing spells it: without the quotes of a header.
func bare(e azcore.ETag) string { return strings.Trim(string(e), `"`) }

// Head implements [bucket.Store].
func (s *Store) Head(ctx context.Context, key string) (bucket.Item, error) {
	p, err := s.client.NewBlobClient(key).GetProperties(ctx, nil)
	if err != nil {
		return bucket.Item{}, s.failed(ctx, key, err)
	}
	if p.ETag == nil || p.ContentLength == nil || *p.ContentLength < 0 {
		return bucket.Item{}, &source.Error{Path: key, Detail: "the store does not say its ETag or its size"}
	}
	if isFolder(*p.ContentLength, p.Metadata) {
		return bucket.Item{}, &source.Error{Path: key, Class: fs.ErrNotExist, Detail: "it is a folder"}
	}
	return bucket.Item{Key: key, Size: *p.ContentLength, ETag: bare(*p.ETag), Version: deref(p.VersionID), Archived: archived(deref(p.AccessTier))}, nil
}

// Read implements [bucket.Store].
func (s *Store) Read(ctx context.Context, it bucket.Item, off, n int64) (io.ReadCloser, bucket.Item, error) {
	if it.ETag == "" {
		return nil, bucket.Item{}, &source.Error{Path: it.Key, Detail: "no ETag to pin it by"}
	}
	match := azcore.ETag(`"` + bare(azcore.ETag(it.ETag)) + `"`)
	o := &blob.DownloadStreamOptions{AccessConditions: &blob.AccessConditions{
		ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfMatch: &match},
	}}
	asked := ""
	if whole := off == 0 && n == it.Size; !whole {
		o.Range = blob.HTTPRange{Offset: off, Count: n}
		asked = fmt.Sprintf("bytes %d-%d/%d", off, off+n-1, it.Size)
	}
	r, err := s.client.NewBlobClient(it.Key).DownloadStream(policy.WithRetryOptions(ctx, policy.RetryOptions{MaxRetries: -1}), o)
	if err != nil {
		err = s.failed(ctx, it.Key, err)
		if errors.Is(err, fs.ErrNotExist) {
			err = changed(it.Key, "it vanished")
		}
		return nil, bucket.Item{}, err
	}
	got := bucket.Item{Key: it.Key, Size: it.Size, Version: deref(r.VersionID)}
	if asked == "" {
		got.Size = -1 // a body without a length is not of an object with one
		if r.ContentLength != nil {
			got.Size = *r.ContentLength
		}
	}
	why := ""
	switch sent := deref(r.ContentRange); {
	case r.Body == nil || r.ETag == nil:
		why = "the answer does not say which ETag it is of"
	case bare(*r.ETag) != bare(match):
		why = "it was replaced: its ETag is another"
	case sent != asked:
		why = fmt.Sprintf("the answer is of the range %q, not %q", sent, asked)
	}
	if why != "" {
		if r.Body != nil {
			r.Body.Close()
		}
		return nil, bucket.Item{}, changed(it.Key, why)
	}
	got.ETag = bare(*r.ETag)
	return r.Body, got, nil
}

func changed(key, why string) error {
	return &source.Error{Path: key, Class: source.ErrChanged, Detail: why}
}

// Put implements [bucket.Store]. An attempt that succeeded, but whose answer was
// lost, is tried again and finds its own blob: fs.ErrExist.
func (s *Store) Put(ctx context.Context, key string, r io.ReadSeeker, size int64) error {
	err := bucket.Rewind(key, r, size)
	if err != nil {
		return err
	}
	b := s.client.NewBlockBlobClient(key)
	absent := &blob.AccessConditions{ModifiedAccessConditions: &blob.ModifiedAccessConditions{IfNoneMatch: new(azcore.ETagAny)}}
	headers := &blob.HTTPHeaders{BlobContentType: new("application/octet-stream")}
	if size <= maxSingle {
		_, err = b.Upload(ctx, streaming.NopCloser(r), &blockblob.UploadOptions{AccessConditions: absent, HTTPHeaders: headers})
	} else {
		// The condition holds for the blocks' commit alone: better to know it
		// before they are all there.
		if _, err = s.Head(ctx, key); err == nil {
			return &source.Error{Path: key, Class: fs.ErrExist}
		}
		_, err = b.UploadStream(ctx, &exact{r, size}, &blockblob.UploadStreamOptions{
			AccessConditions: absent, HTTPHeaders: headers,
			BlockSize: max(minBlock, (size+maxBlocks-1)/maxBlocks), Concurrency: uploads,
		})
	}
	if err == nil {
		return nil
	}
	err = s.failed(ctx, key, err)
	if errors.Is(err, source.ErrChanged) { // 412: there is a blob
		return &source.Error{Path: key, Class: fs.ErrExist}
	}
	return err
}

// exact is a reader that fails if it ends before it gave so many bytes. What the
// SDK reads to its end it stores.
type exact struct {
	r    io.Reader
	left int64
}

// Read implements [io.Reader].
func (e *exact) Read(p []byte) (int, error) {
	if e.left == 0 {
		return 0, io.EOF
	}
	n, err := e.r.Read(p[:min(int64(len(p)), e.left)])
	if e.left -= int64(n); err == io.EOF && e.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}
