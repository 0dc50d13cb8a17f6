package gcs_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/storage"

	"github.com/stele-ml/stele/internal/source/bucket"
	"github.com/stele-ml/stele/internal/source/bucket/buckettest"
	"github.com/stele-ml/stele/internal/source/gcs"
	"github.com/stele-ml/stele/internal/source/storetest"
)

// kind is fake-gcs-server. It does not enforce ifGenerationMatch: here the
// answer's own generation is what gives a replaced object away, in TestAnswers the
// condition.
var kind = buckettest.Kind{
	Server:   storetest.GCS,
	Open:     open,
	Versions: true,
	// What Cloud Storage allows.
	// https://docs.cloud.google.com/storage/docs/objects#naming
	Holds:   func(key string) bool { return len(key) <= 1024 && !strings.ContainsAny(key, "\r\n") },
	Without: []string{"tab\tand\nline\rend"},
	Sizes:   []int{0, 1, 300_000, 16<<20 - 1, 16 << 20, 33<<20 + 1},
}

func open(ctx context.Context, name string) (bucket.Store, error) {
	return gcs.Open(ctx, name, gcs.Options{})
}

func TestStore(t *testing.T) { buckettest.Run(t, kind) }

// A listing of several pages, from its beginning and from the middle.
func TestPages(t *testing.T) {
	p := kind.New(t, false)
	st := p.Store
	var want []string
	for i := range gcs.PageSize + 5 {
		want = append(want, fmt.Sprintf("p/%05d", i))
		p.Put(t, want[i], nil)
	}
	p.Put(t, "o", nil)
	p.Put(t, "q", nil)
	pages := 0
	var got []string
	err := st.List(context.Background(), "p/", "", func(items []bucket.Item) error {
		pages++
		got = append(got, buckettest.Keys(items)...)
		return nil
	})
	if err != nil || pages != 2 || !slices.Equal(got, want) {
		t.Errorf("listed %d keys in %d pages, %v", len(got), pages, err)
	}
	if got := buckettest.Keys(buckettest.List(t, st, "p/", want[1000])); !slices.Equal(got, want[1000:]) {
		t.Errorf("from %s: listed %q", want[1000], got)
	}
	if got := buckettest.Keys(buckettest.List(t, st, "p/", "p/1")); len(got) != 0 {
		t.Errorf("from p/1: listed %q", got)
	}
	if got := buckettest.Keys(buckettest.List(t, st, "", "p0")); !slices.Equal(got, []string{"q"}) {
		t.Errorf("from p0: listed %q", got)
	}
}

// An object with Content-Encoding gzip is the bytes that are stored, in whole
// and in ranges.
func TestStoredCompressed(t *testing.T) {
	p := kind.New(t, false)
	st := p.Store
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	w.Write(buckettest.Data("text", 100_000))
	w.Close()
	client, err := storage.NewClient(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	o := client.Bucket(p.Bucket).Object("x.txt").NewWriter(context.Background())
	o.ContentEncoding, o.ContentType = "gzip", "text/plain"
	o.Write(packed.Bytes())
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	it := buckettest.List(t, st, "", "")[0]
	if it.Size != int64(packed.Len()) {
		t.Fatalf("listed with %d bytes, %d are stored", it.Size, packed.Len())
	}
	if got := buckettest.Read(t, st, it, 0, it.Size); !bytes.Equal(got, packed.Bytes()) {
		t.Error("the whole object is not what is stored")
	}
	if got := buckettest.Read(t, st, it, 5, 50); !bytes.Equal(got, packed.Bytes()[5:55]) {
		t.Error("a range is not what is stored")
	}
}
