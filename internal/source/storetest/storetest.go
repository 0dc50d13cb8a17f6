// Package storetest starts real object stores on loopback for tests: versitygw
// for S3, fake-gcs-server for Google Cloud Storage, Azurite for Azure. ./test
// tools installs them; where one is missing, the test that asks for it is
// skipped and says so. [Server.Proxy] puts a proxy before a store that fails as
// networks and stores do.
//
// A test binary starts each server at most once and shares it; a test has
// buckets of its own. Servers and what they wrote go when the test binary ends,
// however it ends.
package storetest

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// A Server is one object store on loopback.
type Server struct {
	// Scheme is how a place in this store is written: "s3", "gs" or "azblob".
	Scheme string
	// Endpoint is the address, http://127.0.0.1:PORT.
	Endpoint string

	env     map[string]string // what its SDK needs to find it
	objects objects
	process *process
}

// objects is what each store does in its own words.
type objects interface {
	makeBucket(name string, versioned bool) error
	publish(bucket string) error
	put(bucket, key string, data []byte) error
	putParts(bucket, key string, parts [][]byte) error
	remove(bucket, key string) error
	// environment is what the SDK needs to find the store at endpoint.
	environment(endpoint string) map[string]string
}

// foreign are the environment's names that point an SDK elsewhere, or say who
// the user is. A trailing * stands for all that begin so.
var foreign = []string{
	"AWS_*", "AZURE_*", "GOOGLE_*", "CLOUDSDK_*", "GCE_METADATA_HOST", "STORAGE_EMULATOR_HOST",
	"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy", // an address of loopback needs none
}

// nobody leads each SDK past the user's own files and the machine's identity.
var nobody = map[string]string{
	"AWS_CONFIG_FILE":             os.DevNull,
	"AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
	"AWS_EC2_METADATA_DISABLED":   "true",
	"GCE_METADATA_HOST":           "127.0.0.1:1", // no service listens there: refused at once
	"CLOUDSDK_CONFIG":             filepath.Join(os.DevNull, "none"),
	"AZURE_CONFIG_DIR":            filepath.Join(os.DevNull, "none"),
}

// Env is the environment in which the store's SDK finds the server and nothing
// of the user's, as KEY=VALUE, sorted, for a process that has none of its own.
func (s *Server) Env() []string {
	env := maps.Clone(nobody)
	maps.Copy(env, s.env)
	var list []string
	for _, k := range slices.Sorted(maps.Keys(env)) {
		list = append(list, k+"="+env[k])
	}
	return list
}

// Setenv gives the test this environment until it ends, and takes away what the
// user's own has of any store. Several servers' can be set: call it for the
// first, and Add for the others.
func (s *Server) Setenv(t testing.TB) {
	t.Helper()
	ClearEnv(t)
	s.Add(t)
}

// Add is Setenv without taking anything away.
func (s *Server) Add(t testing.TB) {
	t.Helper()
	for k, v := range s.env {
		t.Setenv(k, v)
	}
}

// ClearEnv takes away, until the test ends, what the user's environment says of
// any store or identity: an SDK then finds no server and no credentials.
func ClearEnv(t testing.TB) {
	t.Helper()
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		for _, f := range foreign {
			if prefix, all := strings.CutSuffix(f, "*"); name == f || all && strings.HasPrefix(name, prefix) {
				t.Setenv(name, "") // puts the value back at the end
				os.Unsetenv(name)
				break
			}
		}
	}
	for k, v := range nobody {
		t.Setenv(k, v)
	}
}

var buckets atomic.Int64

// NewBucket makes an empty bucket or container of a name that no other test
// has. Azurite keeps no versions: versioned is ignored there.
func (s *Server) NewBucket(t testing.TB, versioned bool) string {
	t.Helper()
	name := fmt.Sprintf("bucket-%d", buckets.Add(1))
	if err := s.objects.makeBucket(name, versioned); err != nil {
		t.Fatalf("%s: making the bucket %s: %v", s.Scheme, name, err)
	}
	return name
}

// Publish lets anybody list and read a bucket without credentials.
func (s *Server) Publish(t testing.TB, bucket string) {
	t.Helper()
	if err := s.objects.publish(bucket); err != nil {
		t.Fatalf("%s: publishing %s: %v", s.Scheme, bucket, err)
	}
}

// Put writes or replaces an object.
func (s *Server) Put(t testing.TB, bucket, key string, data []byte) {
	t.Helper()
	if err := s.objects.put(bucket, key, data); err != nil {
		t.Fatalf("%s: putting %q: %v", s.Scheme, key, err)
	}
}

// PutParts writes an object in several parts as large uploads do: on S3 its
// ETag is then no MD5. S3's parts, but the last, have at least 5 MiB.
func (s *Server) PutParts(t testing.TB, bucket, key string, parts ...[]byte) {
	t.Helper()
	if err := s.objects.putParts(bucket, key, parts); err != nil {
		t.Fatalf("%s: putting %q: %v", s.Scheme, key, err)
	}
}

// Delete removes an object; in a versioned bucket, its current version.
func (s *Server) Delete(t testing.TB, bucket, key string) {
	t.Helper()
	if err := s.objects.remove(bucket, key); err != nil {
		t.Fatalf("%s: deleting %q: %v", s.Scheme, key, err)
	}
}

// copying is how many files Copy has under way.
const copying = 8

// lister is a store whose Copy is looked at: it has been seen to acknowledge an
// object and to leave it out of every listing after that.
type lister interface {
	keys(bucket string) (map[string]bool, error)
}

// copyAttempts is how often Copy puts what the store's listing leaves out.
const copyAttempts = 3

// Copy puts every file below the local folder dir under prefix, which is empty
// or ends with a slash. Symbolic links are followed.
func (s *Server) Copy(t testing.TB, bucket, prefix, dir string) {
	t.Helper()
	files := map[string]string{} // by key
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		files[prefix+filepath.ToSlash(rel)] = name
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	l, listed := s.objects.(lister)
	for range copyAttempts {
		s.copyFiles(t, bucket, files)
		if !listed || t.Failed() {
			return
		}
		held, err := l.keys(bucket)
		if err != nil {
			t.Fatalf("%s: listing %s: %v", s.Scheme, bucket, err)
		}
		maps.DeleteFunc(files, func(key, _ string) bool { return held[key] })
		if len(files) == 0 {
			return
		}
		t.Logf("%s: the store acknowledged and does not list %q", s.Scheme, slices.Sorted(maps.Keys(files)))
	}
	t.Fatalf("%s: the store does not keep what is put", s.Scheme)
}

// copyFiles puts files, some at a time.
func (s *Server) copyFiles(t testing.TB, bucket string, files map[string]string) {
	t.Helper()
	var (
		group sync.WaitGroup
		slots = make(chan struct{}, copying)
	)
	for key, name := range files {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			data, err := os.ReadFile(name)
			if err == nil {
				err = s.objects.put(bucket, key, data)
			}
			if err != nil {
				t.Errorf("%s: putting %q: %v", s.Scheme, key, err)
			}
		})
	}
	group.Wait()
}

// URL is the place as a person writes it.
func (s *Server) URL(bucket, key string) string { return s.Scheme + "://" + bucket + "/" + key }
