package s3_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/config"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/bucket"
	"github.com/stele-ml/stele/internal/source/bucket/buckettest"
	"github.com/stele-ml/stele/internal/source/s3"
	"github.com/stele-ml/stele/internal/source/sourcetest"
	"github.com/stele-ml/stele/internal/source/storetest"
)

// kind is versitygw.
var kind = buckettest.Kind{
	Server: storetest.S3,
	Open: func(ctx context.Context, name string) (bucket.Store, error) {
		return s3.Open(ctx, name, s3.Options{})
	},
	Versions: true,
	// A key has at most 1,024 bytes in S3, and is a path of the disk in versitygw.
	Holds: func(key string) bool {
		for s := range strings.SplitSeq(key, "/") {
			if len(s) > 255 {
				return false
			}
		}
		return len(key) <= 1024
	},
	Without:  []string{"a/", "a/b", "a//b", "a/../b", "a/./b", "//", "/x", strings.Repeat("k", 1024)},
	Early:    true,
	Sizes:    []int{0, 1, 300_000, 9<<20 + 1},
	NoBucket: "there is no bucket no-such-bucket",
}

func TestStore(t *testing.T) { buckettest.Run(t, kind) }

// open opens a place in the environment of the test.
func open(t *testing.T, name, key string) *bucket.Source {
	t.Helper()
	src, err := tryOpen(name, key, s3.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

func tryOpen(name, key string, o s3.Options) (*bucket.Source, error) {
	st, err := s3.Open(context.Background(), name, o)
	if err != nil {
		return nil, err
	}
	return bucket.Open(context.Background(), st, key, bucket.Options{Requests: o.Requests})
}

// server is versitygw, which every SDK call of the test leads to.
func server(t *testing.T) *storetest.Server {
	t.Helper()
	s := storetest.S3(t)
	s.Setenv(t)
	return s
}

// sdk is AWS's client, for what storetest does not do.
func sdk(t *testing.T) *awss3.Client {
	t.Helper()
	cfg, err := config.LoadDefaultConfig(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return awss3.NewFromConfig(cfg, func(o *awss3.Options) { o.UsePathStyle = true })
}

// setVersioning turns a bucket's versioning on or off.
func setVersioning(t *testing.T, name string, to types.BucketVersioningStatus) {
	t.Helper()
	_, err := sdk(t).PutBucketVersioning(context.Background(), &awss3.PutBucketVersioningInput{
		Bucket: &name, VersioningConfiguration: &types.VersioningConfiguration{Status: to},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// contents reads all that a source lists, each object with one Fetch.
func contents(t *testing.T, src source.Source) map[string]string {
	t.Helper()
	all := make(map[string]string)
	buf := make([]byte, 1<<20)
	for _, o := range sourcetest.List(t, src, nil) {
		got, err := src.Fetch(context.Background(), o, buf)
		if err != nil {
			t.Fatal(err)
		}
		all[o.Path] = string(buf[:got.N])
	}
	return all
}

// TestVersions: with versioning, what is listed is the latest version of each
// key, its id is its mark, and a key whose latest is a delete marker is gone.
func TestVersions(t *testing.T) {
	s := server(t)
	b := s.NewBucket(t, false)
	s.Put(t, b, "before", []byte("written before there were versions"))
	s.Put(t, b, "rewritten", []byte("old"))
	setVersioning(t, b, types.BucketVersioningStatusEnabled)
	s.Put(t, b, "rewritten", []byte("new"))
	s.Put(t, b, "rewritten", []byte("newer"))
	s.Put(t, b, "deleted", []byte("x"))
	s.Delete(t, b, "deleted")
	s.Put(t, b, "again", []byte("x"))
	s.Delete(t, b, "again")
	s.Put(t, b, "again", []byte("back"))
	src := open(t, b, "")
	want := map[string]string{"before": "written before there were versions", "rewritten": "newer", "again": "back"}
	if got := contents(t, src); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q, want %q", got, want)
	}
	marks := make(map[string]source.Mark)
	for _, o := range sourcetest.List(t, src, nil) {
		listed, err := src.Mark(context.Background(), o)
		if err != nil {
			t.Fatal(err)
		}
		looked, err := src.Lookup(context.Background(), o.Path)
		if err != nil {
			t.Fatal(err)
		}
		single, err := src.Mark(context.Background(), looked)
		if err != nil || listed.Same(single) == source.Unsure || listed.Version == "null" {
			t.Errorf("%s: %+v in the listing, %+v alone, %v", o.Path, listed, single, err)
		}
		marks[o.Path] = listed
	}
	if m := marks["before"]; m.Version != "" || m.ETag == "" {
		t.Errorf("an object without a version has the mark %+v", m)
	}
	if marks["rewritten"].Version == "" || marks["again"].Version == "" {
		t.Errorf("no versions in %+v", marks)
	}
	if _, err := src.Lookup(context.Background(), "deleted"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Lookup of a deleted object = %v", err)
	}
	// The same bytes again are another version, though they have the same ETag.
	all := sourcetest.List(t, src, nil)
	s.Put(t, b, "rewritten", []byte("newer"))
	for _, o := range all {
		if _, err := src.Fetch(context.Background(), o, make([]byte, 100)); (o.Path == "rewritten") != errors.Is(err, source.ErrChanged) {
			t.Errorf("Fetch(%s) = %v", o.Path, err)
		}
	}
	setVersioning(t, b, types.BucketVersioningStatusSuspended)
	s.Put(t, b, "after", []byte("written after"))
	src = open(t, b, "")
	if got := contents(t, src); len(got) != 4 || got["after"] != "written after" || got["rewritten"] != "newer" {
		t.Errorf("suspended: %q", got)
	}
}

// TestPages lists more than one page, both ways, and jumps over a folder.
func TestPages(t *testing.T) {
	s := storetest.S3(t)
	p := s.Proxy(t)
	p.Setenv(t)
	b := s.NewBucket(t, true)
	const n = 2600
	var wg sync.WaitGroup
	for w := range 8 {
		wg.Go(func() {
			for i := w; i < n; i += 8 {
				s.Put(t, b, fmt.Sprintf("many/%04d", i), nil)
			}
		})
	}
	wg.Wait()
	want := []string{"a/x", "many-", "many0", "z"}
	for _, k := range want {
		s.Put(t, b, k, []byte("x"))
	}
	for _, versions := range []bool{true, false} {
		p.Clear()
		if !versions {
			p.On(storetest.Rule{Match: versioning, Do: storetest.RefuseAs(403, "AccessDenied")})
		}
		src := open(t, b, "")
		all := sourcetest.List(t, src, nil)
		if len(all) != n+len(want) || !slices.IsSortedFunc(all, func(a, b source.Object) int { return strings.Compare(a.Path, b.Path) }) {
			t.Errorf("versions %v: listed %d", versions, len(all))
		}
		if m, _ := src.Mark(context.Background(), all[0]); versions != (m.Version != "") {
			t.Errorf("versions %v, and the mark %+v", versions, m)
		}
		before := listings(p)
		if got := sourcetest.Paths(t, src, func(p string, _ bool) bool { return p == "many" }); !slices.Equal(got, want) {
			t.Errorf("versions %v: listed %q", versions, got)
		}
		// The first page, the next, which shows how large the folder is, perhaps
		// the one that was on its way, and the one behind the folder.
		if k := listings(p) - before; k > 4 {
			t.Errorf("versions %v: %d requests", versions, k)
		}
	}
}

// versioning matches the question whether a bucket keeps versions.
func versioning(x *storetest.Exchange) bool { return x.Query.Has("versioning") }

func listings(p *storetest.FaultProxy) (n int) {
	for _, s := range p.Requests() {
		if s.Listing {
			n++
		}
	}
	return n
}

// TestWithoutListBucketVersions: who may ask whether there are versions and not
// list them gets the listing without.
func TestWithoutListBucketVersions(t *testing.T) {
	s := storetest.S3(t)
	p := s.Proxy(t)
	p.Setenv(t)
	b := s.NewBucket(t, true)
	s.Put(t, b, "a", []byte("x"))
	for _, code := range []string{"AccessDenied", "NotImplemented", "MethodNotAllowed"} {
		p.Clear()
		status := map[string]int{"AccessDenied": 403, "NotImplemented": 501, "MethodNotAllowed": 405}[code]
		refused := p.On(storetest.Rule{Match: func(x *storetest.Exchange) bool { return x.Query.Has("versions") }, Do: storetest.RefuseAs(status, code)})
		src := open(t, b, "")
		for range 2 {
			if got := contents(t, src); got["a"] != "x" {
				t.Errorf("%s: %q", code, got)
			}
		}
		if refused.Times() != 1 {
			t.Errorf("%s: asked %d times", code, refused.Times())
		}
	}
}
