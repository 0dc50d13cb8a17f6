// Package buckettest holds every object store to the words of [bucket.Store]:
// on a real server ([Run]), and with answers written by hand, which no server
// gives when a test wants them ([Canned]).
package buckettest

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/bucket"
	"github.com/stele-ml/stele/internal/source/storetest"
)

// A Kind is what one store has of its own.
type Kind struct {
	// Server is its server on loopback, in the test's environment or not.
	Server func(t testing.TB) *storetest.Server
	// Open opens a bucket of the server that the environment names.
	Open func(ctx context.Context, name string) (bucket.Store, error)
	// Versions: a bucket can keep versions.
	Versions bool
	// Holds reports whether the server can hold an object of that key beside
	// others, as far as the suite asks.
	Holds func(key string) bool
	// Without are those of the suite's odd keys that the server cannot hold.
	Without []string
	// Early: a listing that does not begin behind a folder may begin with keys
	// that are below where it should.
	Early bool
	// Sizes are those of uploads, in bytes: what is sent in one request, in
	// several, and what lies between.
	Sizes []int
	// Replace are further ways to make another object of a key.
	Replace map[string]func(t *testing.T, name, key string)
	// NoBucket is what the error of a bucket that is not there says.
	NoBucket string
}

// Run holds a kind of store to the interface, on its server.
func Run(t *testing.T, k Kind) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, p *Place)
	}{
		{"Source", sources},
		{"SameFingerprintAsOnDisk", sameAsOnDisk},
		{"Keys", oddKeys},
		{"From", from},
		{"Replaced", replaced},
		{"Put", put},
		{"PutTwiceAtOnce", putAtOnce},
		{"Missing", missing},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, k.New(t, false)) })
	}
}

// A Place is a bucket of a test, which the environment leads to.
type Place struct {
	*storetest.Server
	Bucket string
	Store  bucket.Store
	kind   Kind
}

// New is an empty bucket.
func (k Kind) New(t *testing.T, versioned bool) *Place {
	t.Helper()
	s := k.Server(t)
	s.Setenv(t)
	name := s.NewBucket(t, versioned)
	return &Place{Server: s, Bucket: name, Store: k.open(t, name), kind: k}
}

func (k Kind) open(t *testing.T, name string) bucket.Store {
	t.Helper()
	st, err := k.Open(context.Background(), name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	return st
}

// Put writes or replaces an object.
func (p *Place) Put(t *testing.T, key string, data []byte) {
	t.Helper()
	p.Server.Put(t, p.Bucket, key, data)
}

// Delete removes an object.
func (p *Place) Delete(t *testing.T, key string) {
	t.Helper()
	p.Server.Delete(t, p.Bucket, key)
}

// Open opens what key names as a source.
func (p *Place) Open(t *testing.T, key string) *bucket.Source {
	t.Helper()
	src, err := bucket.Open(context.Background(), p.kind.open(t, p.Bucket), key, bucket.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// Data is recognisably of one name.
func Data(name string, size int) []byte {
	b := bytes.Repeat([]byte(name+"\n"), size/(len(name)+1)+1)
	return b[:size]
}

// List lists a store's objects.
func List(t *testing.T, st bucket.Store, prefix, from string) (all []bucket.Item) {
	t.Helper()
	err := st.List(context.Background(), prefix, from, func(items []bucket.Item) error {
		all = append(all, items...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// Keys are the keys of what was listed.
func Keys(items []bucket.Item) (all []string) {
	for _, it := range items {
		all = append(all, it.Key)
	}
	return all
}

// Read reads n bytes at off, and fails the test unless they are there.
func Read(t *testing.T, st bucket.Store, it bucket.Item, off, n int64) []byte {
	t.Helper()
	r, got, err := st.Read(context.Background(), it, off, n)
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
