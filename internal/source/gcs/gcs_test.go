package gcs_test

import (
	"context"
	"strings"
	"testing"

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
