package place

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/storetest"
)

// places are an empty folder of each kind.
var places = map[string]func(t *testing.T) Place{
	"local": func(t *testing.T) Place { return parse(t, t.TempDir()) },
	"s3":    func(t *testing.T) Place { return inBucket(t, storetest.S3(t)) },
	"gs":    func(t *testing.T) Place { return inBucket(t, storetest.GCS(t)) },
	"azblob": func(t *testing.T) Place {
		return inBucket(t, storetest.Azure(t))
	},
}

func inBucket(t *testing.T, s *storetest.Server) Place {
	s.Setenv(t)
	return parse(t, s.URL(s.NewBucket(t, false), "folder/"))
}

func someBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{byte(n)}).Read(b)
	return b
}

// What is written to a place is read from it, whole or not at all, and is never
// replaced by something else.
func TestReadWrite(t *testing.T) {
	for name, make := range places {
		t.Run(name, func(t *testing.T) {
			folder, ctx := make(t), t.Context()
			read := func(p Place, limit int64) ([]byte, error) {
				r, size, err := p.Read(ctx, Options{}, limit)
				if err != nil {
					return nil, err
				}
				defer r.Close()
				data, err := io.ReadAll(r)
				if err == nil && int64(len(data)) != size {
					err = fmt.Errorf("%d bytes were announced, and %d came", size, len(data))
				}
				return data, err
			}
			for _, size := range []int{0, 1, smallRead, smallRead + 1, 20 << 20} {
				at, data := folder.Join(fmt.Sprintf("sub/of %d", size)), someBytes(size)
				if _, err := read(at, math.MaxInt64); !errors.Is(err, fs.ErrNotExist) {
					t.Fatalf("%s before it was written: %v", at, err)
				}
				for range 2 { // the same bytes again are content
					if err := at.Write(ctx, Options{}, bytes.NewReader(data), int64(size)); err != nil {
						t.Fatalf("write %s: %v", at, err)
					}
				}
				if got, err := read(at, int64(size)); err != nil || !bytes.Equal(got, data) {
					t.Fatalf("read %s: %d bytes, %v", at, len(got), err)
				}
				if size > 0 {
					if _, err := read(at, int64(size)-1); err == nil {
						t.Errorf("%s: more than the limit was read", at)
					}
					other := bytes.Clone(data)
					other[size-1] ^= 1
					if err := at.Write(ctx, Options{}, bytes.NewReader(other), int64(size)); !errors.Is(err, fs.ErrExist) {
						t.Errorf("%s was replaced: %v", at, err)
					}
				}
				if err := at.Write(ctx, Options{}, bytes.NewReader(append(data, 0)), int64(size)+1); !errors.Is(err, fs.ErrExist) {
					t.Errorf("%s was replaced: %v", at, err)
				}
				if got, err := read(at, math.MaxInt64); err != nil || !bytes.Equal(got, data) {
					t.Errorf("%s was changed by a write that failed: %v", at, err)
				}
			}
			if _, err := read(folder.Join("sub"), math.MaxInt64); err == nil {
				t.Error("a folder was read as a file")
			}

			// Whoever stops in the middle leaves nothing running.
			large := folder.Join(fmt.Sprintf("sub/of %d", 20<<20))
			r, _, err := large.Read(ctx, Options{}, math.MaxInt64)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(r, someBytes(10)); err != nil {
				t.Fatal(err)
			}
			if err := r.Close(); err != nil {
				t.Error(err)
			}
			stopped, stop := context.WithCancel(ctx)
			r, _, err = large.Read(stopped, Options{}, math.MaxInt64)
			if err != nil {
				t.Fatal(err)
			}
			stop()
			if _, err := io.Copy(io.Discard, r); folder.Remote() && err == nil {
				t.Error("reading went on after the context ended")
			}
			r.Close()

			src, err := folder.Join("sub").Open(ctx, Options{})
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			err = src.List(ctx, nil, func(o source.Object) error { names = append(names, o.Path); return nil })
			if err != nil || len(names) != 5 || src.Single() {
				t.Errorf("the folder holds %q: %v", names, err)
			}
			if err := src.Close(); err != nil {
				t.Error(err)
			}
			if _, err := folder.Join("none").Open(ctx, Options{}); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("what is not there: %v", err)
			}
		})
	}
}

// Attack: an object is replaced while a manifest is read from it.
func TestReadOfReplacedObject(t *testing.T) {
	s := storetest.S3(t)
	bucket := s.NewBucket(t, false)
	proxy := s.Proxy(t)
	proxy.Setenv(t)
	s.Put(t, bucket, "m", someBytes(24<<20))
	proxy.On(storetest.Rule{Match: storetest.Key("m"), After: 1, Times: 1, Do: func(x *storetest.Exchange) {
		s.Put(t, bucket, "m", someBytes(24<<20-1))
		storetest.Pass(x)
	}})
	r, _, err := parse(t, s.URL(bucket, "m")).Read(t.Context(), Options{}, math.MaxInt64)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n, err := io.Copy(io.Discard, r); !errors.Is(err, source.ErrChanged) {
		t.Errorf("%d bytes and %v", n, err)
	}
}

func TestReadIrregular(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := parse(t, dir).Read(t.Context(), Options{}, 1); !errors.Is(err, source.ErrIrregular) {
		t.Error(err)
	}
	// A link that leads nowhere has the name: nothing is put through it.
	at := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(dir, "target"), at); err != nil {
		t.Skip(err)
	}
	if err := parse(t, at).Write(t.Context(), Options{}, bytes.NewReader(nil), 0); err == nil {
		t.Error("a dangling link was written through")
	}
	list, err := os.ReadDir(dir)
	if err != nil || len(list) != 1 {
		t.Errorf("%v %v", list, err)
	}
}
