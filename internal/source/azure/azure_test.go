package azure_test

import (
	"context"
	"testing"

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
