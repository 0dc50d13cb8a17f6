package azure_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"

	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/azure"
	"github.com/stele-ml/stele/internal/source/bucket"
	"github.com/stele-ml/stele/internal/source/bucket/buckettest"
	"github.com/stele-ml/stele/internal/source/storetest"
)

// kind is Azurite, which no container keeps versions in. It enforces If-Match.
var kind = buckettest.Kind{
	Server: storetest.Azure,
	Open:   open,
	// What Blob Storage allows.
	// https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata
	Holds: func(key string) bool { return len(key) <= 1024 },
	// Blob Storage makes slashes of backslashes, and XML spaces of line ends.
	Without: []string{"\\", "back\\slash", "tab\tand\nline\rend"},
	Sizes:   []int{0, 1, single, single + 1, 9*single + 1},
	Replace: map[string]func(t *testing.T, name, key string){
		"other metadata": func(t *testing.T, name, key string) {
			if _, err := client(t, name).NewBlobClient(key).SetMetadata(context.Background(), map[string]*string{"k": new("v")}, nil); err != nil {
				t.Fatal(err)
			}
		},
	},
	NoBucket: "ContainerNotFound",
}

// single is how much the tests upload in one request, in bytes.
const single = 1 << 20

func open(ctx context.Context, name string) (bucket.Store, error) {
	return azure.Open(ctx, name, azure.Options{})
}

func TestStore(t *testing.T) {
	azure.CutUploads(t, single)
	buckettest.Run(t, kind)
}

// client is the SDK's own, for what no Store does.
func client(t *testing.T, name string) *container.Client {
	t.Helper()
	c, err := container.NewClientFromConnectionString(os.Getenv("AZURE_STORAGE_CONNECTION_STRING"), name, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Blobs of every kind are read; what is no blob, or no more, is not listed.
func TestKinds(t *testing.T) {
	p := kind.New(t, false)
	st, ctx := p.Store, context.Background()
	c := client(t, p.Bucket)
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	body := func(n int) io.ReadSeekCloser {
		return streaming.NopCloser(bytes.NewReader(buckettest.Data("contents", n)))
	}
	folder := map[string]*string{"hdi_isfolder": new("true")}

	must(c.NewAppendBlobClient("append").Create(ctx, nil))
	must(c.NewAppendBlobClient("append").AppendBlock(ctx, body(600), nil))
	must(c.NewAppendBlobClient("append").AppendBlock(ctx, body(400), nil))
	must(c.NewPageBlobClient("page").Create(ctx, 1024, nil))
	must(c.NewPageBlobClient("page").UploadPages(ctx, body(512), blob.HTTPRange{Offset: 512, Count: 512}, nil))
	must(c.NewBlockBlobClient("block").Upload(ctx, body(1000), nil))
	must(c.NewBlobClient("block").CreateSnapshot(ctx, nil))
	must(c.NewBlockBlobClient("packed").Upload(ctx, body(1000), &blockblob.UploadOptions{HTTPHeaders: &blob.HTTPHeaders{BlobContentEncoding: new("gzip")}}))
	must(c.NewBlockBlobClient("uncommitted").StageBlock(ctx, "AAAA", body(10), nil))
	must(c.NewBlockBlobClient("dir").Upload(ctx, body(0), &blockblob.UploadOptions{Metadata: folder}))
	must(c.NewBlockBlobClient("dir/file").Upload(ctx, body(10), nil))
	must(c.NewBlockBlobClient("full").Upload(ctx, body(10), &blockblob.UploadOptions{Metadata: folder}))
	must(c.NewBlockBlobClient("archived").Upload(ctx, body(10), nil))
	must(c.NewBlobClient("archived").SetTier(ctx, blob.AccessTierArchive, nil))

	items := buckettest.List(t, st, "", "")
	if want := []string{"append", "archived", "block", "dir/file", "full", "packed", "page"}; !slices.Equal(buckettest.Keys(items), want) {
		t.Fatalf("listed %q, want %q", buckettest.Keys(items), want)
	}
	for _, it := range items {
		head, err := st.Head(ctx, it.Key)
		if err != nil || head != it {
			t.Errorf("Head(%s) = %+v, %v; listed %+v", it.Key, head, err, it)
		}
		if it.Key == "archived" {
			if it.Archived != "Archive" {
				t.Errorf("listed as %+v", it)
			}
			continue
		}
		var want []byte
		switch it.Key {
		case "append":
			want = append(buckettest.Data("contents", 600), buckettest.Data("contents", 400)...)
		case "page":
			want = append(make([]byte, 512), buckettest.Data("contents", 512)...)
		default:
			want = buckettest.Data("contents", int(it.Size))
		}
		// Content-Encoding is a word about the bytes: they are read as stored.
		if got := buckettest.Read(t, st, it, 0, it.Size); !bytes.Equal(got, want) {
			t.Errorf("%s holds %q", it.Key, got)
		}
		if got := buckettest.Read(t, st, it, 3, 5); !bytes.Equal(got, want[3:8]) {
			t.Errorf("a range of %s holds %q", it.Key, got)
		}
	}
	for _, key := range []string{"dir", "uncommitted"} {
		if _, err := st.Head(ctx, key); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Head(%s) = %v, want fs.ErrNotExist", key, err)
		}
	}
	if src := p.Open(t, "dir"); src.Single() {
		t.Error("a folder's own blob is taken for a file")
	}
}

// The ways to say who asks, and what is said to somebody else.
func TestCredentials(t *testing.T) {
	s := storetest.Azure(t)
	s.Setenv(t)
	shut, shut2, public := s.NewBucket(t, false), s.NewBucket(t, false), s.NewBucket(t, false)
	s.Publish(t, public)
	s.Put(t, shut, "x", []byte("shut"))
	s.Put(t, public, "x", []byte("public"))
	connection := os.Getenv("AZURE_STORAGE_CONNECTION_STRING")
	field := func(name string) string {
		_, rest, _ := strings.Cut(connection, name+"=")
		value, _, _ := strings.Cut(rest, ";")
		return value
	}
	account, key, endpoint := field("AccountName"), field("AccountKey"), field("BlobEndpoint")
	address, err := client(t, shut).GetSASURL(sas.ContainerPermissions{Read: true, List: true}, time.Now().Add(time.Hour), nil)
	if err != nil {
		t.Fatal(err)
	}
	_, token, _ := strings.Cut(address, "?")
	other := base64.StdEncoding.EncodeToString(make([]byte, 32))
	forged := strings.Replace(token, "sig=", "sig=AAAA", 1)

	for _, c := range []struct {
		name      string
		env       []string
		anonymous bool
		bucket    string
		want      error // of a listing
		text      string
	}{
		{"connection string", []string{"AZURE_STORAGE_CONNECTION_STRING", connection}, false, shut, nil, ""},
		{"before the rest", []string{"AZURE_STORAGE_CONNECTION_STRING", connection, "AZURE_STORAGE_ACCOUNT", "x", "AZURE_STORAGE_KEY", other}, false, shut, nil, ""},
		{"with a signature", []string{"AZURE_STORAGE_CONNECTION_STRING", "BlobEndpoint=" + endpoint + ";SharedAccessSignature=" + token}, false, shut, nil, ""},
		{"no connection string", []string{"AZURE_STORAGE_CONNECTION_STRING", "x"}, false, shut, source.ErrDenied, "AZURE_STORAGE_CONNECTION_STRING cannot be used"},
		{"key", []string{"AZURE_STORAGE_ACCOUNT", account, "AZURE_STORAGE_KEY", key, "AZURE_STORAGE_ENDPOINT", endpoint + "/"}, false, shut, nil, ""},
		{"another key", []string{"AZURE_STORAGE_ACCOUNT", account, "AZURE_STORAGE_KEY", other, "AZURE_STORAGE_ENDPOINT", endpoint}, false, shut, source.ErrDenied, "403"},
		{"no key", []string{"AZURE_STORAGE_ACCOUNT", account, "AZURE_STORAGE_KEY", "*", "AZURE_STORAGE_ENDPOINT", endpoint}, false, shut, source.ErrDenied, "AZURE_STORAGE_KEY cannot be used"},
		{"a key of nobody", []string{"AZURE_STORAGE_KEY", key, "AZURE_STORAGE_ENDPOINT", endpoint}, false, shut, source.ErrDenied, "without AZURE_STORAGE_ACCOUNT"},
		{"signature", []string{"AZURE_STORAGE_ENDPOINT", endpoint, "AZURE_STORAGE_SAS_TOKEN", "?" + token}, false, shut, nil, ""},
		{"forged signature", []string{"AZURE_STORAGE_ENDPOINT", endpoint, "AZURE_STORAGE_SAS_TOKEN", forged}, false, shut, source.ErrDenied, "403"},
		{"a signature for another", []string{"AZURE_STORAGE_ENDPOINT", endpoint, "AZURE_STORAGE_SAS_TOKEN", token}, false, shut2, source.ErrDenied, "403"},
		{"none", []string{"AZURE_STORAGE_ENDPOINT", endpoint}, false, shut, source.ErrDenied, "no credentials were found"},
		{"none, public", []string{"AZURE_STORAGE_ENDPOINT", endpoint}, false, public, nil, ""},
		{"anonymous", []string{"AZURE_STORAGE_CONNECTION_STRING", connection}, true, shut, source.ErrDenied, ""},
		{"anonymous, public", []string{"AZURE_STORAGE_CONNECTION_STRING", connection}, true, public, nil, ""},
		{"anonymous beside a signature", []string{"AZURE_STORAGE_CONNECTION_STRING", "BlobEndpoint=" + endpoint + ";SharedAccessSignature=" + token}, true, shut, source.ErrDenied, ""},
		{"anonymous beside a key", []string{"AZURE_STORAGE_ACCOUNT", account, "AZURE_STORAGE_KEY", key, "AZURE_STORAGE_ENDPOINT", endpoint}, true, public, nil, ""},
		{"no account", nil, false, public, source.ErrDenied, "no storage account is named"},
	} {
		t.Run(c.name, func(t *testing.T) {
			storetest.ClearEnv(t)
			for i := 0; i < len(c.env); i += 2 {
				t.Setenv(c.env[i], c.env[i+1])
			}
			n := 0
			st, err := azure.Open(context.Background(), c.bucket, azure.Options{Anonymous: c.anonymous})
			if err == nil {
				defer st.Close()
				err = st.List(context.Background(), "", "", func(items []bucket.Item) error {
					n += len(items)
					buckettest.Read(t, st, items[0], 0, items[0].Size)
					return nil
				})
			}
			if c.want == nil {
				if err != nil || n != 1 {
					t.Errorf("listed %d, %v", n, err)
				}
				return
			}
			if err == nil {
				t.Fatalf("listed %d", n)
			}
			if text := err.Error(); !errors.Is(err, c.want) || !strings.Contains(text, c.text) || strings.Contains(text, "sig=") || strings.Contains(text, "\n") {
				t.Errorf("%v, want %v saying %q", err, c.want, c.text)
			}
			if says := strings.Contains(err.Error(), "no credentials were found"); says != (c.name == "none") {
				t.Errorf("%v", err)
			}
		})
	}
}
