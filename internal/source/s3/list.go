package s3

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/bucket"
)

// List implements bucket.Store. Where the bucket keeps versions and they may be
// listed, the items have theirs; ListObjectsV2 does not tell them.
func (s *store) List(ctx context.Context, prefix, from string, page func([]bucket.Item) error) error {
	if s.listsVersions(ctx) {
		began := false
		err := s.listVersions(ctx, prefix, from, func(items []bucket.Item) error {
			began = true
			return page(items)
		})
		if began || err == nil || !mayList(err) {
			return err
		}
		s.setVersions(false)
	}
	return s.listCurrent(ctx, prefix, from, page)
}

// mayList reports whether an error of listing versions leaves hope for listing
// without them.
func mayList(err error) bool {
	var e *source.Error
	return errors.As(err, &e) && (e.Class == nil || errors.Is(e.Class, source.ErrDenied))
}

// listsVersions asks once whether the bucket keeps versions. Whoever may not ask
// goes without.
func (s *store) listsVersions(ctx context.Context) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.versioned != nil {
		return *s.versioned
	}
	if !s.Ordered() {
		s.versioned = aws.Bool(false)
		return false
	}
	out, err := s.client.GetBucketVersioning(ctx, &s3.GetBucketVersioningInput{Bucket: &s.name})
	if ctx.Err() != nil {
		return false // the listing will say so
	}
	// "Suspended" has versions too, of what was written before.
	s.versioned = aws.Bool(err == nil && out.Status != "")
	return *s.versioned
}

func (s *store) setVersions(to bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.versioned = &to
}

// startBefore is a key that a listing behind it begins with from, or a few keys
// earlier: listings begin behind what they are given. Of a folder that is left
// out, from is its prefix with '0' in the place of the '/'; then no keys but
// those in that folder are below from and not below this.
func startBefore(from string) *string {
	if from == "" {
		return nil
	}
	before := from[:len(from)-1]
	if strings.HasSuffix(from, "0") {
		before += "/\U0010FFFF"
	}
	if before == "" {
		return nil
	}
	return &before
}

// listCurrent lists with ListObjectsV2.
func (s *store) listCurrent(ctx context.Context, prefix, from string, page func([]bucket.Item) error) error {
	in := &s3.ListObjectsV2Input{Bucket: &s.name, Prefix: optional(prefix), StartAfter: startBefore(from), EncodingType: types.EncodingTypeUrl}
	for {
		out, err := s.client.ListObjectsV2(ctx, in)
		if err != nil {
			return s.failed(ctx, prefix, err)
		}
		if out.IsTruncated == nil {
			return notListed(prefix)
		}
		items := make([]bucket.Item, 0, len(out.Contents))
		for i := range out.Contents {
			o := &out.Contents[i]
			it, err := item(o.Key, out.EncodingType, o.Size, o.ETag, o.LastModified)
			if err != nil {
				return &source.Error{Path: prefix, Err: err}
			}
			items = append(items, it)
		}
		if err := page(items); err != nil {
			return err
		}
		if !*out.IsTruncated {
			return nil
		}
		next := aws.ToString(out.NextContinuationToken)
		if next == "" || next == aws.ToString(in.ContinuationToken) {
			return goesOnNowhere(prefix)
		}
		in.ContinuationToken = &next
	}
}

// listVersions lists with ListObjectVersions: of each key the latest version,
// which is the first listed, unless that is a delete marker.
//
// The next page is asked for behind the last key, not behind the last version:
// older versions are of no use here, and may be many. Some stores begin with that
// key again.
func (s *store) listVersions(ctx context.Context, prefix, from string, page func([]bucket.Item) error) error {
	in := &s3.ListObjectVersionsInput{Bucket: &s.name, Prefix: optional(prefix), KeyMarker: startBefore(from), EncodingType: types.EncodingTypeUrl}
	for {
		out, err := s.client.ListObjectVersions(ctx, in)
		if err != nil {
			return s.failed(ctx, prefix, err)
		}
		if out.IsTruncated == nil {
			return notListed(prefix)
		}
		var items []bucket.Item
		before := aws.ToString(in.KeyMarker)
		last := before
		for i := range out.Versions {
			v := &out.Versions[i]
			it, err := item(v.Key, out.EncodingType, v.Size, v.ETag, v.LastModified)
			if err != nil {
				return &source.Error{Path: prefix, Err: err}
			}
			last = max(last, it.Key)
			if aws.ToBool(v.IsLatest) && (it.Key != before || before == "") {
				it.Version = aws.ToString(v.VersionId)
				items = append(items, it)
			}
		}
		for i := range out.DeleteMarkers {
			key, err := decoded(out.DeleteMarkers[i].Key, out.EncodingType)
			if err != nil {
				return &source.Error{Path: prefix, Err: err}
			}
			last = max(last, key)
		}
		if err := page(items); err != nil {
			return err
		}
		if !*out.IsTruncated {
			return nil
		}
		version := ""
		if last == before {
			// A page of nothing but older versions of that key.
			if version = aws.ToString(out.NextVersionIdMarker); version == "" || version == aws.ToString(in.VersionIdMarker) {
				return goesOnNowhere(prefix)
			}
		}
		in.KeyMarker, in.VersionIdMarker = &last, optional(version)
	}
}

// notListed is the error of an answer that lacks what every listing has: the SDK
// takes an empty body, or another document, for an empty listing.
func notListed(prefix string) error {
	return &source.Error{Path: prefix, Detail: "what the store answered is no listing"}
}

// goesOnNowhere is the error of a listing that would not end.
func goesOnNowhere(prefix string) error {
	return &source.Error{Path: prefix, Detail: "the store says that its listing goes on, and not where"}
}

// item is an object of a listing.
func item(key *string, enc types.EncodingType, size *int64, etag *string, written *time.Time) (bucket.Item, error) {
	k, err := decoded(key, enc)
	switch {
	case err != nil:
		return bucket.Item{}, err
	case size == nil || *size < 0:
		return bucket.Item{}, fmt.Errorf("the store lists %s without a size", source.Show(k))
	}
	return bucket.Item{Key: k, Size: *size, ETag: aws.ToString(etag), Modified: seconds(written)}, nil
}

// seconds is a time as both listings and headers can say it; 0 where there is
// none.
func seconds(t *time.Time) int64 {
	if t == nil {
		return 0
	}
	return t.Unix()
}

// decoded is a key as it is. Keys are asked for in percent-encoding, because XML
// cannot hold every character and changes some; a store that does not know of it
// says nothing and sends them plain.
func decoded(key *string, enc types.EncodingType) (string, error) {
	if enc != types.EncodingTypeUrl {
		return aws.ToString(key), nil
	}
	k, err := url.QueryUnescape(aws.ToString(key))
	if err != nil {
		return "", fmt.Errorf("the store lists a key that is not encoded as it says: %w", err)
	}
	return k, nil
}

// optional leaves an empty parameter out.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
