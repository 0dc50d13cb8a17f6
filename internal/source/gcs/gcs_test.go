package gcs_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"cloud.google.com/go/storage"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/bucket"
	"github.com/stele-ml/stele/internal/source/gcs"
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

// Holds keeps to what Cloud Storage allows.
// https://docs.cloud.google.com/storage/docs/objects#naming
func (p place) Holds(path string) bool {
	return len(path) <= 1024 && !strings.ContainsAny(path, "\r\n")
}

func (p place) Open(t *testing.T, single string) source.Source { return open(t, p.bucket, single) }

// store opens a bucket of the server that the environment names.
func store(t *testing.T, name string) bucket.Store {
	t.Helper()
	s, err := gcs.Open(context.Background(), name, gcs.Options{})
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

// server is fake-gcs-server, in the test's environment.
func server(t *testing.T) *storetest.Server {
	t.Helper()
	s := storetest.GCS(t)
	s.Setenv(t)
	return s
}

func TestSource(t *testing.T) {
	for _, versioned := range []bool{false, true} {
		name := "Plain"
		if versioned {
			name = "Versioned"
		}
		t.Run(name, func(t *testing.T) {
			s := server(t)
			sourcetest.Run(t, func(t *testing.T) sourcetest.Store { return place{s, s.NewBucket(t, versioned)} })
		})
	}
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
// URL.
func TestKeys(t *testing.T) {
	s := server(t)
	name := s.NewBucket(t, false)
	want := []string{
		" leading", "%", "%2F", "%2f", "&x=y", "+", "//", "/x", "?alt=media", "a", "a b", "a%20b", "a+b", "a/", "a//b", "a/../b", "a/./b", "a/b",
		"#f", "\\", "\"quoted\"", "<xml>&amp;", "é", "e\u0301", "KEY", "key", "日本", "𝄞", "\t", "trailing ", "~", strings.Repeat("k", 1024),
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

// A listing of several pages, from its beginning and from the middle.
func TestPages(t *testing.T) {
	s := server(t)
	name := s.NewBucket(t, false)
	var want []string
	for i := range gcs.PageSize + 5 {
		want = append(want, fmt.Sprintf("p/%05d", i))
		s.Put(t, name, want[i], nil)
	}
	s.Put(t, name, "o", nil)
	s.Put(t, name, "q", nil)
	st := store(t, name)
	pages := 0
	var got []string
	err := st.List(context.Background(), "p/", "", func(items []bucket.Item) error {
		pages++
		got = append(got, keys(items)...)
		return nil
	})
	if err != nil || pages != 2 || !slices.Equal(got, want) {
		t.Errorf("listed %d keys in %d pages, %v", len(got), pages, err)
	}
	if got := keys(list(t, st, "p/", want[1000])); !slices.Equal(got, want[1000:]) {
		t.Errorf("from %s: listed %q", want[1000], got)
	}
	if got := keys(list(t, st, "p/", "p/1")); len(got) != 0 {
		t.Errorf("from p/1: listed %q", got)
	}
	if got := keys(list(t, st, "", "p0")); !slices.Equal(got, []string{"q"}) {
		t.Errorf("from p0: listed %q", got)
	}
	stop := errors.New("stop")
	if err := st.List(context.Background(), "", "", func([]bucket.Item) error { return stop }); err != stop {
		t.Errorf("List = %v, want the error of page", err)
	}
}

// fake-gcs-server does not enforce ifGenerationMatch: here the answer's own
// generation is what gives a replaced object away, in TestAnswers the condition.
func TestReplaced(t *testing.T) {
	for _, versioned := range []bool{false, true} {
		s := server(t)
		name := s.NewBucket(t, versioned)
		s.Put(t, name, "x", []byte("one"))
		st := store(t, name)
		it := list(t, st, "", "")[0]
		read(t, st, it, 0, 3)
		s.Put(t, name, "x", []byte("two"))
		for _, n := range []int64{3, 2} {
			if _, _, err := st.Read(context.Background(), it, 0, n); !errors.Is(err, source.ErrChanged) {
				t.Errorf("versioned %v: Read of a replaced object = %v, want ErrChanged", versioned, err)
			}
		}
		s.Delete(t, name, "x")
		if _, _, err := st.Read(context.Background(), it, 0, 3); !errors.Is(err, source.ErrChanged) || errors.Is(err, fs.ErrNotExist) {
			t.Errorf("versioned %v: Read of a deleted object = %v, want ErrChanged", versioned, err)
		}
		if got := list(t, st, "", ""); len(got) != 0 {
			t.Errorf("versioned %v: a deleted object is listed: %v", versioned, got)
		}
	}
}

// An object with Content-Encoding gzip is the bytes that are stored, in whole
// and in ranges.
func TestStoredCompressed(t *testing.T) {
	s := server(t)
	name := s.NewBucket(t, false)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	w.Write(data("text", 100_000))
	w.Close()
	client, err := storage.NewClient(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	o := client.Bucket(name).Object("x.txt").NewWriter(context.Background())
	o.ContentEncoding, o.ContentType = "gzip", "text/plain"
	o.Write(packed.Bytes())
	if err := o.Close(); err != nil {
		t.Fatal(err)
	}
	st := store(t, name)
	it := list(t, st, "", "")[0]
	if it.Size != int64(packed.Len()) {
		t.Fatalf("listed with %d bytes, %d are stored", it.Size, packed.Len())
	}
	if got := read(t, st, it, 0, it.Size); !bytes.Equal(got, packed.Bytes()) {
		t.Error("the whole object is not what is stored")
	}
	if got := read(t, st, it, 5, 50); !bytes.Equal(got, packed.Bytes()[5:55]) {
		t.Error("a range is not what is stored")
	}
}

func TestPut(t *testing.T) {
	s := server(t)
	st := store(t, s.NewBucket(t, false))
	ctx := context.Background()
	for _, size := range []int{0, 1, 300_000, 16<<20 - 1, 16 << 20, 33<<20 + 1} {
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
			t.Errorf("Put over an object = %v, want fs.ErrExist", err)
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
	none := store(t, "no-such-bucket")
	if err := none.List(ctx, "", "", nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("List of no bucket = %v, want fs.ErrNotExist", err)
	}
	if _, err := none.Head(ctx, "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Head in no bucket = %v, want fs.ErrNotExist", err)
	}
	if err := none.Put(ctx, "x", strings.NewReader("x"), 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Put into no bucket = %v, want fs.ErrNotExist", err)
	}
}
