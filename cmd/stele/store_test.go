package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/stele-ml/stele/internal/source/storetest"
)

// underScripts is the test that runs all scripts.
var underScripts testing.TB

// scriptTB lets what wants a test have a script.
type scriptTB struct {
	testing.TB
	ts *testscript.TestScript
}

func (s scriptTB) Helper()                           {}
func (s scriptTB) Fatal(args ...any)                 { s.ts.Fatalf("%v", args) }
func (s scriptTB) Fatalf(format string, args ...any) { s.ts.Fatalf(format, args...) }
func (s scriptTB) Error(args ...any)                 { s.ts.Fatalf("%v", args) }
func (s scriptTB) Errorf(format string, args ...any) { s.ts.Fatalf(format, args...) }
func (s scriptTB) Cleanup(fn func())                 { s.ts.Defer(fn) }
func (s scriptTB) Skip(args ...any)                  { s.ts.Fatalf("guard the script with [!store:…] skip: %v", args) }
func (s scriptTB) Skipf(format string, args ...any)  { s.ts.Fatalf(format, args...) }

// stores are the object stores that scripts can have, with the program that
// each is.
var stores = map[string]struct {
	program string
	start   func(testing.TB) *storetest.Server
}{
	"s3":     {"bin/versitygw", storetest.S3},
	"gs":     {"bin/fake-gcs-server", storetest.GCS},
	"azblob": {"azurite/node_modules/azurite/package.json", storetest.Azure},
}

// hasStore reports whether a store's program is here.
func hasStore(scheme string) bool {
	_, err := os.Stat(filepath.Join("..", "..", ".tools", filepath.FromSlash(stores[scheme].program)))
	return err == nil
}

func storeOf(ts *testscript.TestScript, scheme string) (*storetest.Server, testing.TB) {
	s, ok := stores[scheme]
	if !ok {
		ts.Fatalf("no store is called %s", scheme)
	}
	t := scriptTB{underScripts, ts}
	return s.start(t), t
}

// cmdStore gives the script a bucket of its own in a running store, and the
// environment to reach it.
func cmdStore(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && (len(args) == 2 || len(args) == 3 && args[2] == "versioned"), "store SCHEME VAR [versioned]")
	s, t := storeOf(ts, args[0])
	for _, kv := range s.Env() {
		name, value, _ := strings.Cut(kv, "=")
		ts.Setenv(name, value)
	}
	ts.Setenv(args[1], strings.TrimSuffix(s.URL(s.NewBucket(t, len(args) == 3), ""), "/"))
}

// inStore finds the store, the bucket and the key of an address.
func inStore(ts *testscript.TestScript, text string) (s *storetest.Server, t testing.TB, bucket, key string) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok {
		ts.Fatalf("%s is no address", text)
	}
	bucket, key, _ = strings.Cut(rest, "/")
	s, t = storeOf(ts, scheme)
	return s, t, bucket, key
}

func cmdUpload(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 2, "upload FROM URL")
	s, t, bucket, key := inStore(ts, args[1])
	from := ts.MkAbs(args[0])
	info, err := os.Stat(from)
	ts.Check(err)
	if info.IsDir() {
		if key != "" {
			key = strings.TrimSuffix(key, "/") + "/"
		}
		s.Copy(t, bucket, key, from)
		return
	}
	data, err := os.ReadFile(from)
	ts.Check(err)
	s.Put(t, bucket, key, data)
}

func cmdErase(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 1, "erase URL")
	s, t, bucket, key := inStore(ts, args[0])
	s.Delete(t, bucket, key)
}

func cmdPublish(ts *testscript.TestScript, neg bool, args []string) {
	usage(ts, !neg && len(args) == 1, "publish URL")
	s, t, bucket, _ := inStore(ts, args[0])
	s.Publish(t, bucket)
}
