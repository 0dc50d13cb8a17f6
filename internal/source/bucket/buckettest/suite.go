package buckettest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/scan"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/bucket"
	"github.com/stele-ml/stele/internal/source/sourcetest"
)

// folder is a bucket, or what lies under a prefix of one, as a source sees it.
type folder struct {
	*Place
	prefix string
}

func (f folder) Put(t *testing.T, path string, data []byte) { f.Place.Put(t, f.prefix+path, data) }
func (f folder) Delete(t *testing.T, path string)           { f.Place.Delete(t, f.prefix+path) }
func (f folder) Holds(path string) bool                     { return f.kind.Holds(f.prefix + path) }
func (f folder) Open(t *testing.T, single string) source.Source {
	return f.Place.Open(t, f.prefix+single)
}

// sources holds a bucket and a folder in it to the words of every source.
func sources(t *testing.T, p *Place) {
	for _, c := range []struct {
		name, prefix string
		versioned    bool
	}{
		{"Bucket", "", false},
		{"Folder", "a folder/+%/", false},
		{"VersionedBucket", "", true},
		{"VersionedFolder", "a folder/+%/", true},
	} {
		if c.versioned && !p.kind.Versions {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			sourcetest.Run(t, func(t *testing.T) sourcetest.Store { return folder{p.kind.New(t, c.versioned), c.prefix} })
		})
	}
}

// sameAsOnDisk: the same tree has the same fingerprint here and on a disk.
func sameAsOnDisk(t *testing.T, p *Place) {
	dir := t.TempDir()
	for path, size := range map[string]int{
		"a-b": 3, "a/b": 0, "a/b.c": 70_000, "a b/é": 1, "a b/e\u0301": 2, "日本/𝄞": 5,
		"large": 9<<20 + 17, "chunk": 1 << 20, "chunk and more": 1<<20 + 1, ".steleignore": 0, "%2F+?#&=": 9,
	} {
		full := filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(full), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, Data(path, size), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	p.Copy(t, p.Bucket, "version 1/", dir)
	for _, a := range []fingerprint.Algorithm{fingerprint.SHA256, fingerprint.BLAKE3} {
		want, err := scan.Local(context.Background(), dir, scan.Options{Algorithm: a}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range []string{"version 1", "version 1/"} {
			got, err := scan.Run(context.Background(), p.Open(t, key), scan.Options{Algorithm: a}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got.Fingerprint != want.Fingerprint || got.Summary != want.Summary {
				t.Errorf("%q: %v, on the disk %v", key, got.Fingerprint, want.Fingerprint)
			}
		}
	}
}

// odd are keys that mean something in a URL, in XML, on a disk or in Unicode.
var odd = []string{
	" leading", "trailing ", "a b", "a%20b", "a+b", "a%2Bb", "100%", "%", "%2F", "%2f", "%zz", "+", "&x=y", "a&b=c;d", "=", "?alt=media",
	"what?versions=1", "#f", "#frag", "~", "a:b@c", "!*()", "\\", "back\\slash", "\"quoted\"", "'\"<>&amp;", "<xml>&amp;",
	"Case", "case", "KEY", "key", "ünïcode", "u\u0308", "é", "e\u0301", "日本", "𝄞", "\u2028", "\t", "tab\tand\nline\rend", "dir/..x",
	"a", "a/", "a/b", "a//b", "a/../b", "a/./b", "//", "/x", strings.Repeat("k", 1024),
}

// oddKeys: keys are raw. What the listing says is what is read, whatever it
// means elsewhere: nothing is decoded, encoded or folded.
func oddKeys(t *testing.T, p *Place) {
	for _, k := range p.kind.Without {
		if !slices.Contains(odd, k) {
			t.Errorf("%q is none of the odd keys", k)
		}
	}
	ctx := context.Background()
	var want, paths []string
	for _, k := range odd {
		if slices.Contains(p.kind.Without, k) {
			continue
		}
		p.Put(t, k, Data(k, 50))
		want = append(want, k)
		if fingerprint.CheckPath(k) == nil {
			paths = append(paths, k)
		}
	}
	slices.Sort(want)
	slices.Sort(paths)
	items := List(t, p.Store, "", "")
	if !slices.Equal(Keys(items), want) {
		t.Fatalf("listed %q\nwant   %q", Keys(items), want)
	}
	for _, it := range items {
		head, err := p.Store.Head(ctx, it.Key)
		if err != nil || head != it {
			t.Errorf("Head(%q) = %+v, %v; listed %+v", it.Key, head, err, it)
		}
		if got := Read(t, p.Store, it, 0, it.Size); !bytes.Equal(got, Data(it.Key, 50)) {
			t.Errorf("%q holds %q", it.Key, got)
		}
		if got := Read(t, p.Store, it, 7, 9); !bytes.Equal(got, Data(it.Key, 50)[7:16]) {
			t.Errorf("a range of %q holds %q", it.Key, got)
		}
		if url := p.URL(p.Bucket, it.Key); p.Store.URL(it.Key) != url {
			t.Errorf("the URL of %q is %s, want %s", it.Key, p.Store.URL(it.Key), url)
		}
	}
	// As paths, where they are some.
	src := p.Open(t, "")
	noPath := func(path string, _ bool) bool { return fingerprint.CheckPath(path) != nil }
	if got := sourcetest.Paths(t, src, noPath); !slices.Equal(got, paths) {
		t.Errorf("listed %q\nwant   %q", got, paths)
	}
	for _, path := range paths {
		o, err := src.Lookup(ctx, path)
		if err != nil || o.Size != 50 {
			t.Errorf("Lookup(%q) = %+v, %v", path, o, err)
			continue
		}
		buf := make([]byte, 100)
		if got, err := src.Fetch(ctx, o, buf); err != nil || !bytes.Equal(buf[:got.N], Data(path, 50)) {
			t.Errorf("%q holds %q, %v", path, buf[:got.N], err)
		}
		if slices.ContainsFunc(want, func(k string) bool { return strings.HasPrefix(k, path+"/") }) {
			continue // a folder as well
		}
		if one := p.Open(t, path); !one.Single() {
			t.Errorf("%q as a root is not Single", path)
		}
	}
}

// from: a listing from the middle, and one that is ended.
func from(t *testing.T, p *Place) {
	for _, k := range []string{"o", "p/1", "p/2/x", "p/20", "p/3", "p0", "q"} {
		p.Put(t, k, nil)
	}
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
		got := Keys(List(t, p.Store, c.prefix, c.from))
		if p.kind.Early && !strings.HasSuffix(c.from, "0") {
			got = slices.DeleteFunc(got, func(k string) bool { return k < c.from })
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%q from %q: %q, want %q", c.prefix, c.from, got, c.want)
		}
	}
	stop := errors.New("stop")
	if err := p.Store.List(context.Background(), "", "", func([]bucket.Item) error { return stop }); err != stop {
		t.Errorf("List = %v, want the error of page", err)
	}
}

// replaced: nothing is read of another object than the one that was listed.
func replaced(t *testing.T, p *Place) {
	ctx := context.Background()
	ways := map[string]func(t *testing.T, p *Place, key string){
		"replaced": func(t *testing.T, p *Place, key string) { p.Put(t, key, []byte("two")) },
		"deleted":  func(t *testing.T, p *Place, key string) { p.Delete(t, key) },
		"replaced and deleted": func(t *testing.T, p *Place, key string) {
			p.Put(t, key, []byte("two"))
			p.Delete(t, key)
		},
	}
	for what, change := range p.kind.Replace {
		ways[what] = func(t *testing.T, p *Place, key string) { change(t, p.Bucket, key) }
	}
	places := []*Place{p}
	if p.kind.Versions {
		places = append(places, p.kind.New(t, true))
	}
	for i, p := range places {
		for what, change := range ways {
			p.Put(t, what+".", []byte("one"))
			it := List(t, p.Store, what+".", "")[0]
			Read(t, p.Store, it, 0, 3)
			change(t, p, what+".")
			for _, n := range []int64{3, 2} {
				if _, _, err := p.Store.Read(ctx, it, 0, n); !errors.Is(err, source.ErrChanged) || errors.Is(err, fs.ErrNotExist) {
					t.Errorf("%s, versioned %v: Read = %v, want ErrChanged", what, i == 1, err)
				}
			}
			if got := List(t, p.Store, what+".", ""); strings.Contains(what, "deleted") == (len(got) != 0) {
				t.Errorf("%s, versioned %v: listed %v", what, i == 1, got)
			}
		}
	}
}

// put: what is stored is what was given, and stays.
func put(t *testing.T, p *Place) {
	st, ctx := p.Store, context.Background()
	for _, size := range p.kind.Sizes {
		key, want := fmt.Sprintf("d/%d b", size), Data("contents", size)
		r := bytes.NewReader(want)
		r.Seek(0, io.SeekEnd) // it is stored from its beginning, wherever it stands
		if err := st.Put(ctx, key, r, int64(size)); err != nil {
			t.Fatalf("Put of %d bytes: %v", size, err)
		}
		it, err := st.Head(ctx, key)
		if err != nil || it.Size != int64(size) {
			t.Fatalf("Head = %+v, %v", it, err)
		}
		if size > 0 && !bytes.Equal(Read(t, st, it, 0, it.Size), want) {
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
	if got := List(t, st, "", ""); len(got) != len(p.kind.Sizes) {
		t.Errorf("%d objects are stored, want %d", len(got), len(p.kind.Sizes))
	}
}

// putAtOnce: of several writers one succeeds, and its bytes stay.
func putAtOnce(t *testing.T, p *Place) {
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = p.Store.Put(context.Background(), "k", strings.NewReader(fmt.Sprint(i)), 1) })
	}
	wg.Wait()
	got := string(Read(t, p.Store, List(t, p.Store, "", "")[0], 0, 1))
	for i, err := range errs {
		if mine := fmt.Sprint(i) == got; mine != (err == nil) || err != nil && !errors.Is(err, fs.ErrExist) {
			t.Errorf("writer %d: %v; the object holds %s", i, err, got)
		}
	}
}

// missing: what is not there is said to be so, and nothing else is.
func missing(t *testing.T, p *Place) {
	ctx := context.Background()
	if got := List(t, p.Store, "nothing/", ""); len(got) != 0 {
		t.Errorf("listed %v", got)
	}
	for _, key := range []string{"nothing", "nothing/"} {
		if _, err := p.Store.Head(ctx, key); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Head(%s) = %v, want fs.ErrNotExist", key, err)
		}
	}
	none := p.kind.open(t, "no-such-bucket")
	if err := none.List(ctx, "", "", nil); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), p.kind.NoBucket) {
		t.Errorf("List of no bucket = %v, want fs.ErrNotExist", err)
	}
	if _, err := none.Head(ctx, "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Head in no bucket = %v, want fs.ErrNotExist", err)
	}
	if err := none.Put(ctx, "x", strings.NewReader("x"), 1); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Put into no bucket = %v, want fs.ErrNotExist", err)
	}
}
