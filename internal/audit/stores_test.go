package audit

import (
	"context"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/stele-ml/stele/fingerprint"
	"github.com/stele-ml/stele/internal/source"
	"github.com/stele-ml/stele/internal/source/azure"
	"github.com/stele-ml/stele/internal/source/bucket"
	"github.com/stele-ml/stele/internal/source/gcs"
	"github.com/stele-ml/stele/internal/source/s3"
	"github.com/stele-ml/stele/internal/source/storetest"
)

// aSmallPlace is a folder to be copied into buckets: 120 files of up to 30 KB,
// one of 5 MiB and a half, an empty one.
func aSmallPlace(t *testing.T) *place { return aPlaceOf(t, 120, 20, 5) }

// openBucket opens a folder of a bucket in the environment of the test.
func openBucket(t *testing.T, s *storetest.Server, name, prefix string) source.Source {
	t.Helper()
	ctx := context.Background()
	var st bucket.Store
	var err error
	switch s.Scheme {
	case "s3":
		st, err = s3.Open(ctx, name, s3.Options{})
	case "gs":
		st, err = gcs.Open(ctx, name, gcs.Options{})
	default:
		st, err = azure.Open(ctx, name, azure.Options{})
	}
	if err != nil {
		t.Fatal(err)
	}
	src, err := bucket.Open(ctx, st, prefix, bucket.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { src.Close() })
	return src
}

// auditBucket audits a folder of a bucket against the manifest of a place.
func (p *place) auditBucket(t *testing.T, s *storetest.Server, name string, draws uint64) (*Plan, Result, []Finding, error) {
	t.Helper()
	plan, err := Draw(p.files(t), p.stamped.Summary.Bytes, Seed{5}, draws)
	if err != nil {
		t.Fatal(err)
	}
	var found []Finding
	opts := Options{Algorithm: algorithm, Rules: p.stamped.Rules}
	res, err := Run(context.Background(), openBucket(t, s, name, "v1/"), p.files(t), plan, opts, func(f Finding) error {
		found = append(found, f)
		return nil
	})
	return plan, res, found, err
}

// TestStores: the manifest of a folder audits its copy in every object store,
// and names what was altered there.
func TestStores(t *testing.T) {
	for _, c := range []struct {
		name      string
		server    func(testing.TB) *storetest.Server
		versioned bool
	}{
		{"S3", storetest.S3, false},
		{"S3 with versions", storetest.S3, true},
		{"Google Cloud Storage", storetest.GCS, true},
		{"Azure", storetest.Azure, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := c.server(t)
			s.Setenv(t)
			p := aSmallPlace(t)
			name := s.NewBucket(t, c.versioned)
			s.Copy(t, name, "v1/", p.dir)
			s.Put(t, name, "v10/beside", []byte("another folder"))

			plan, res, found, err := p.auditBucket(t, s, name, 30)
			if err != nil || len(found) != 0 || plan.All || res.ChunksRead != plan.ToRead || res.BytesRead != plan.BytesToRead || res.Files != 122 {
				t.Fatalf("%+v: %+v, %v, %v", plan, res, found, err)
			}

			model, err := os.ReadFile(p.path("model.bin"))
			if err != nil {
				t.Fatal(err)
			}
			model[2*chunk+5] ^= 1
			s.Put(t, name, "v1/model.bin", model)
			s.Put(t, name, "v1/_SUCCESS", []byte("x"))
			s.Put(t, name, "v1/day=00/0000.csv", noise(99, 0))
			s.Put(t, name, "v1/day=00/zz.csv", noise(10, 0))
			s.Delete(t, name, "v1/day=05/0100.csv")
			_, res, found, err = p.auditBucket(t, s, name, everything)
			want := []Finding{
				{Path: "_SUCCESS", Kind: Resized, NewSize: 1},
				{Path: "day=00/0000.csv", Kind: Resized, OldSize: 100, NewSize: 99},
				{Path: "day=00/zz.csv", Kind: Added, NewSize: 10},
				{Path: "day=05/0100.csv", Kind: Removed, OldSize: 100 + (100*7919)%30_000},
				{Path: "model.bin", Kind: Modified, OldSize: 5*chunk + chunk/2, NewSize: 5*chunk + chunk/2, Ranges: []fingerprint.Range{{Start: 2 * chunk, End: 3 * chunk}}},
			}
			if err != nil || !reflect.DeepEqual(found, want) || res.ChunksMissed != 2 || res.ChunksRead != 124 {
				t.Errorf("%+v, %+v, %v", res, found, err)
			}
		})
	}
}

// TestStoreIsAskedForTheDrawnChunksAlone: a sample costs one request a chunk,
// and the listing.
func TestStoreIsAskedForTheDrawnChunksAlone(t *testing.T) {
	s := storetest.S3(t)
	p := aSmallPlace(t)
	name := s.NewBucket(t, false)
	s.Copy(t, name, "v1/", p.dir)
	proxy := s.Proxy(t)
	proxy.Setenv(t)
	plan, res, _, err := p.auditBucket(t, s, name, 12)
	if err != nil || !res.Held() {
		t.Fatalf("%+v, %v", res, err)
	}
	if uint64(proxy.Reads()) != plan.ToRead {
		t.Errorf("%d reads for %d chunks", proxy.Reads(), plan.ToRead)
	}
	for _, r := range proxy.Requests() {
		if strings.HasSuffix(r.Key, "model.bin") && !strings.HasPrefix(r.Range, "bytes=") {
			t.Errorf("all of the large object was asked for: %+v", r)
		}
	}
}

// TestNetworkFails: what a network and a busy store do makes an audit slower,
// not wrong.
func TestNetworkFails(t *testing.T) {
	s := storetest.S3(t)
	p := aSmallPlace(t)
	name := s.NewBucket(t, true)
	s.Copy(t, name, "v1/", p.dir)
	proxy := s.Proxy(t)
	proxy.Setenv(t)
	var met []*storetest.Met
	for i, fault := range []storetest.Fault{storetest.Drop, storetest.Truncate(7), storetest.Reset(50), storetest.Refuse(503, 0)} {
		met = append(met, proxy.On(storetest.Rule{Match: storetest.Reading, After: 5 * i, Times: 2, Do: fault}))
	}
	plan, res, found, err := p.auditBucket(t, s, name, everything)
	if err != nil || len(found) != 0 || !plan.All || res.ChunksRead != plan.Chunks {
		t.Errorf("%+v, %v, %v", res, found, err)
	}
	for i, m := range met {
		if m.Times() == 0 {
			t.Errorf("fault %d was never met", i)
		}
	}
}

// TestAttackerSwapsAnObjectAfterTheListing: other bytes of the same size are put
// in place between listing and reading, and so between two chunks: that is an
// error that names the object, and nothing is compared with the other bytes.
func TestAttackerSwapsAnObjectAfterTheListing(t *testing.T) {
	for _, versioned := range []bool{false, true} {
		for _, path := range []string{"day=03/0070.csv", "model.bin"} {
			s := storetest.S3(t)
			p := aSmallPlace(t)
			name := s.NewBucket(t, versioned)
			s.Copy(t, name, "v1/", p.dir)
			proxy := s.Proxy(t)
			proxy.Setenv(t)
			data, err := os.ReadFile(p.path(path))
			if err != nil {
				t.Fatal(err)
			}
			data[0] ^= 1
			swap := storetest.First(func(*storetest.Exchange) { s.Put(t, name, "v1/"+path, data) })
			proxy.On(storetest.Rule{Match: storetest.Key("v1/" + path), Times: 1, Do: swap})
			_, _, found, err := p.auditBucket(t, s, name, everything)
			var e *source.Error
			if !errors.Is(err, source.ErrChanged) || !errors.As(err, &e) || !strings.HasSuffix(e.Path, path) || len(found) != 0 {
				t.Errorf("%s, versioned %v: %v, %v; want ErrChanged", path, versioned, found, err)
			}
		}
	}
}

// TestOneKeyDenied: an object that may not be read is an error if it was drawn,
// and no difference.
func TestOneKeyDenied(t *testing.T) {
	s := storetest.S3(t)
	p := aSmallPlace(t)
	name := s.NewBucket(t, false)
	s.Copy(t, name, "v1/", p.dir)
	s.Put(t, name, "v1/a", nil)
	s.Reader(t, name, "v1/day=02/0050.csv").Setenv(t)
	_, res, found, err := p.auditBucket(t, s, name, everything)
	var e *source.Error
	if !errors.Is(err, source.ErrDenied) || !errors.As(err, &e) || !strings.HasSuffix(e.Path, "day=02/0050.csv") {
		t.Errorf("%v; want ErrDenied", err)
	}
	if len(found) != 1 || found[0].Path != "a" || res.Held() {
		t.Errorf("found %v before it", found)
	}
}
