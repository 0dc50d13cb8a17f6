package azure_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore/streaming"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/blockblob"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/container"
	"github.com/Azure/azure-sdk-for-go/sdk/storage/azblob/sas"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/azure"
	"github.com/stele-ml/stele/internal/source/bucket"
	"github.com/stele-ml/stele/internal/source/sourcetest"
	"github.com/stele-ml/stele/internal/source/storetest"
)

// place is a bucket of a test.
type place struct {
	*storetest.Server
	bucket string
}

func (p place) Put(t *testing.T, path string, data []byte) { p.Server.Put(t, p.bucket, path, data) }
func (p place) Delete(t *testing.T, path string)           { p.Server.Delete(t, p.bucket, path) }

// Holds keeps to what Blob Storage allows.
// https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata
func (p place) Holds(path string) bool { return len(path) <= 1024 }

func (p place) Open(t *testing.T, single string) source.Source { return open(t, p.bucket, single) }

// store opens a bucket of the server that the environment names.
func store(t *testing.T, name string) bucket.Store {
	t.Helper()
	s, err := azure.Open(context.Background(), name, azure.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// open opens what key names in a bucket.
func open(t *testing.T, name, key string) source.Source {
	t.Helper()
	src, err := bucket.Open(context.Background(), store(t, name), key, bucket.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// server is Azurite, in the test's environment.
func server(t *testing.T) *storetest.Server {
	t.Helper()
	s := storetest.Azure(t)
	s.Setenv(t)
	return s
}

func TestSource(t *testing.T) {
	s := server(t)
	sourcetest.Run(t, func(t *testing.T) sourcetest.Store { return place{s, s.NewBucket(t, false)} })
}

// The same tree has the same fingerprint here and on a disk.
func TestSameFingerprintAsOnDisk(t *testing.T) {
	s := server(t)
	name, dir := s.NewBucket(t, false), t.TempDir()
	for path, size := range map[string]int{
		"a-b": 3, "a/b": 0, "a/b.c": 70_000, "a b/é": 1, "a b/e\u0301": 2, "日本/𝄞": 5,
		"large": 9<<20 + 17, "chunk": 1 << 20, "chunk and more": 1<<20 + 1, ".steleignore": 0, "%2F+?#&=": 9,
	} {
		full := filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(full), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, data(path, size), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	s.Copy(t, name, "version 1/", dir)
	for _, a := range []fingerprint.Algorithm{fingerprint.SHA256, fingerprint.BLAKE3} {
		want, err := scan.Local(context.Background(), dir, scan.Options{Algorithm: a}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"version 1", "version 1/"} {
			src := open(t, name, key)
			got, err := scan.Run(context.Background(), src, scan.Options{Algorithm: a}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got.Fingerprint != want.Fingerprint || got.Summary != want.Summary {
				t.Errorf("%q: %v, on the disk %v", key, got.Fingerprint, want.Fingerprint)
			}
		}
	}
}

// data is recognisably of one name.
func data(name string, size int) []byte {
	b := bytes.Repeat([]byte(name+"\n"), size/(len(name)+1)+1)
	return b[:size]
}

// list lists a store's keys.
func list(t *testing.T, s bucket.Store, prefix, from string) (all []bucket.Item) {
	t.Helper()
	err := s.List(context.Background(), prefix, from, func(items []bucket.Item) error {
		all = append(all, items...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func keys(items []bucket.Item) (all []string) {
	for _, it := range items {
		all = append(all, it.Key)
	}
	return all
}

// read reads n bytes at off, and fails the test unless they are there.
func read(t *testing.T, s bucket.Store, it bucket.Item, off, n int64) []byte {
	t.Helper()
	r, got, err := s.Read(context.Background(), it, off, n)
	if err != nil {
		t.Fatalf("Read(%s, %d, %d): %v", source.Show(it.Key), off, n, err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil || int64(len(b)) != n || got != it {
		t.Fatalf("Read(%s, %d, %d) gave %d bytes of %+v, %v", source.Show(it.Key), off, n, len(b), got, err)
	}
	return b
}

// Keys are raw: what the listing says is what is read, whatever it means in a
// URL. (A backslash is not among them: Blob Storage makes a slash of it.)
func TestKeys(t *testing.T) {
	s := server(t)
	name := s.NewBucket(t, false)
	want := []string{
		" leading", "%", "%2F", "%2f", "&x=y", "+", "//", "/x", "?alt=media", "a", "a b", "a%20b", "a+b", "a/", "a//b", "a/../b", "a/./b", "a/b",
		"#f", "\"quoted\"", "<xml>&amp;", "é", "e\u0301", "KEY", "key", "日本", "𝄞", "\t", "trailing ", "~", strings.Repeat("k", 1024),
	}
	slices.Sort(want)
	for _, k := range want {
		s.Put(t, name, k, data(k, 50))
	}
	st := store(t, name)
	items := list(t, st, "", "")
	if !slices.Equal(keys(items), want) {
		t.Fatalf("listed %q\nwant   %q", keys(items), want)
	}
	for _, it := range items {
		head, err := st.Head(context.Background(), it.Key)
		if err != nil || head != it {
			t.Errorf("Head(%q) = %+v, %v; listed %+v", it.Key, head, err, it)
		}
		if got := read(t, st, it, 0, it.Size); !bytes.Equal(got, data(it.Key, 50)) {
			t.Errorf("%q holds %q", it.Key, got)
		}
		if got := read(t, st, it, 7, 9); !bytes.Equal(got, data(it.Key, 50)[7:16]) {
			t.Errorf("a range of %q holds %q", it.Key, got)
		}
	}
}

// A listing from the middle; TestListing has several pages.
func TestFrom(t *testing.T) {
	s := server(t)
	name := s.NewBucket(t, false)
	for _, k := range []string{"o", "p/1", "p/2/x", "p/20", "p/3", "p0", "q"} {
		s.Put(t, name, k, nil)
	}
	st := store(t, name)
	for _, c := range []struct {
		prefix, from string
		want         []string
	}{
		{"p/", "", []string{"p/1", "p/2/x", "p/20", "p/3"}},
		{"p/", "p/20", []string{"p/20", "p/3"}},
		{"p/", "p/2/y", []string{"p/20", "p/3"}},
		{"p/", "p/4", nil},
		{"", "p0", []string{"p0", "q"}},
	} {
		if got := keys(list(t, st, c.prefix, c.from)); !slices.Equal(got, c.want) {
			t.Errorf("%q from %q: %q, want %q", c.prefix, c.from, got, c.want)
		}
	}
	stop := errors.New("stop")
	if err := st.List(context.Background(), "", "", func([]bucket.Item) error { return stop }); err != stop {
		t.Errorf("List = %v, want the error of page", err)
	}
}

// Azurite enforces If-Match.
func TestReplaced(t *testing.T) {
	s := server(t)
	name := s.NewBucket(t, false)
	st := store(t, name)
	ctx := context.Background()
	for what, change := range map[string]func(key string){
		"replaced": func(key string) { s.Put(t, name, key, []byte("two")) },
		"deleted":  func(key string) { s.Delete(t, name, key) },
		"other metadata": func(key string) {
			if _, err := client(t, name).NewBlobClient(key).SetMetadata(ctx, map[string]*string{"k": new("v")}, nil); err != nil {
				t.Fatal(err)
			}
		},
	} {
		s.Put(t, name, what, []byte("one"))
		it := list(t, st, what, "")[0]
		read(t, st, it, 0, 3)
		change(what)
		for _, n := range []int64{3, 2} {
			if _, _, err := st.Read(ctx, it, 0, n); !errors.Is(err, source.ErrChanged) || errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s: Read = %v, want ErrChanged", what, err)
			}
		}
	}
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
	s := server(t)
	name := s.NewBucket(t, false)
	ctx := context.Background()
	c := client(t, name)
	must := func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	body := func(n int) io.ReadSeekCloser { return streaming.NopCloser(bytes.NewReader(data("contents", n))) }
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

	st := store(t, name)
	items := list(t, st, "", "")
	if want := []string{"append", "archived", "block", "dir/file", "full", "packed", "page"}; !slices.Equal(keys(items), want) {
		t.Fatalf("listed %q, want %q", keys(items), want)
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
			want = append(data("contents", 600), data("contents", 400)...)
		case "page":
			want = append(make([]byte, 512), data("contents", 512)...)
		default:
			want = data("contents", int(it.Size))
		}
		// Content-Encoding is a word about the bytes: they are read as stored.
		if got := read(t, st, it, 0, it.Size); !bytes.Equal(got, want) {
			t.Errorf("%s holds %q", it.Key, got)
		}
		if got := read(t, st, it, 3, 5); !bytes.Equal(got, want[3:8]) {
			t.Errorf("a range of %s holds %q", it.Key, got)
		}
	}
	for _, key := range []string{"dir", "uncommitted"} {
		if _, err := st.Head(ctx, key); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Head(%s) = %v, want fs.ErrNotExist", key, err)
		}
	}
	if src := open(t, name, "dir"); src.Single() {
		t.Error("a folder's own blob is taken for a file")
	}
}

func TestPut(t *testing.T) {
	s := server(t)
	st := store(t, s.NewBucket(t, false))
	ctx := context.Background()
	const single = 1 << 20
	azure.CutUploads(t, single)
	for _, size := range []int{0, 1, single, single + 1, 9*single + 1} {
		key, want := fmt.Sprintf("d/%d b", size), data("contents", size)
		r := bytes.NewReader(want)
		r.Seek(0, io.SeekEnd) // it is stored from its beginning, wherever it stands
		if err := st.Put(ctx, key, r, int64(size)); err != nil {
			t.Fatalf("Put of %d bytes: %v", size, err)
		}
		it, err := st.Head(ctx, key)
		if err != nil || it.Size != int64(size) {
			t.Fatalf("Head = %+v, %v", it, err)
		}
		if size > 0 && !bytes.Equal(read(t, st, it, 0, it.Size), want) {
			t.Errorf("%d bytes came back otherwise", size)
		}
		if err := st.Put(ctx, key, strings.NewReader("other"), 5); !errors.Is(err, fs.ErrExist) {
			t.Errorf("Put over a blob = %v, want fs.ErrExist", err)
		}
		if err := st.Put(ctx, key, bytes.NewReader(want), int64(size)); !errors.Is(err, fs.ErrExist) {
			t.Errorf("Put of the same again = %v, want fs.ErrExist", err)
		}
		if after, err := st.Head(ctx, key); err != nil || after != it {
			t.Errorf("after it: %+v, %v", after, err)
		}
	}
	for _, size := range []int64{4, 6} {
		if err := st.Put(ctx, "wrong", strings.NewReader("bytes"), size); err == nil {
			t.Errorf("Put of 5 bytes as %d did not fail", size)
		}
	}
	if _, err := st.Head(ctx, "wrong"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("what could not be stored is there: %v", err)
	}
}

func TestMissing(t *testing.T) {
	s := server(t)
	ctx := context.Background()
	st := store(t, s.NewBucket(t, false))
	if got := list(t, st, "nothing/", ""); len(got) != 0 {
		t.Errorf("listed %v", got)
	}
	if _, err := st.Head(ctx, "nothing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Head of nothing = %v, want fs.ErrNotExist", err)
	}
	if _, err := st.Head(ctx, "nothing/"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Head of no folder = %v, want fs.ErrNotExist", err)
	}
	none := store(t, "no-such-bucket")
	if err := none.List(ctx, "", "", nil); !strings.Contains(fmt.Sprint(err), "ContainerNotFound") || !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("List of no bucket = %v, want fs.ErrNotExist", err)
	}
	if _, err := none.Head(ctx, "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Head in no bucket = %v, want fs.ErrNotExist", err)
	}
	if err := none.Put(ctx, "x", strings.NewReader("x"), 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Put into no bucket = %v, want fs.ErrNotExist", err)
	}
}

// The ways to say who asks, and what is said to somebody else.
func TestCredentials(t *testing.T) {
	s := server(t)
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
					read(t, st, items[0], 0, items[0].Size)
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
