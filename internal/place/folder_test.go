package place_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/stele-ml/stele/internal/place"
	"github.com/stele-ml/stele/internal/source/storetest"
)

// Files are added once, never replaced; what is replaced is what was read.
func TestFolder(t *testing.T) {
	for name, start := range map[string]func(testing.TB) *storetest.Server{"s3": storetest.S3, "gs": storetest.GCS, "azblob": storetest.Azure, "local": nil} {
		t.Run(name, func(t *testing.T) {
			address := filepath.Join(t.TempDir(), "public")
			if start != nil {
				s := start(t)
				s.Setenv(t)
				address = s.URL(s.NewBucket(t, false), "log")
			}
			p, err := place.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			f, err := p.OpenFolder(t.Context(), place.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			h := place.Headers{ContentType: "text/plain", CacheControl: "no-cache"}
			if _, err := f.Read(t.Context(), "a/b", 10); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("nothing is there: %v", err)
			}
			for i, want := range []bool{true, false} {
				if added, err := f.Add(t.Context(), "a/b", []byte("one"), h); err != nil || added != want {
					t.Errorf("add %d: %v, %v", i, added, err)
				}
			}
			if _, err := f.Add(t.Context(), "a/b", []byte("two"), h); !errors.Is(err, fs.ErrExist) {
				t.Errorf("other bytes: %v", err)
			}
			was, err := f.Read(t.Context(), "a/b", 10)
			if err != nil || string(was.Data) != "one" {
				t.Fatalf("%v", err)
			}
			if _, err := f.Read(t.Context(), "a/b", 2); err == nil {
				t.Error("a file beyond the limit was read")
			}
			if err := f.Replace(t.Context(), "a/b", []byte("two"), h, was); err != nil {
				t.Fatal(err)
			}
			if start != nil {
				if err := f.Replace(t.Context(), "a/b", []byte("three"), h, was); !errors.Is(err, fs.ErrExist) {
					t.Errorf("what was read is no longer there: %v", err)
				}
			}
			now, err := f.Read(t.Context(), "a/b", 10)
			if err != nil || string(now.Data) != "two" {
				t.Errorf("%v", err)
			}
		})
	}
}
